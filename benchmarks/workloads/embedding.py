"""Bags of words: rows of a table that are gathered and added up, and their gradient, which adds to the rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import HELD_OUT, HELD_OUT_ROW, Case, Row, Workload

NAME = "embedding"
# Words of the table, numbers for each, texts, and words of a text.
SIZES = {
    "16 texts": (1_000, 16, 16, 10),
    "256 texts": (10_000, 64, 256, 20),
    "2,048 texts": (50_000, 128, 2_048, 40),
}


def pose(size: tuple[int, int, int, int]) -> Problem:
    """The table and the weights of a score; which words each text has, and what should be there."""
    words, numbers, texts, length = size
    random = np.random.default_rng(0)
    drawn = (words * random.random((texts, length)) ** 3).astype(np.int64)
    table, weights = random.normal(0, 1, (words, numbers)), random.normal(0, 1, numbers)
    variables = [array.astype(np.float32) for array in (table, weights)]
    return Problem(variables, [drawn, random.normal(0, 1, texts).astype(np.float32)], compared=7)


def misfit(xp: Any, table: Any, weights: Any, words: Any, wanted: Any) -> Any:
    """Squared differences of the scores of all texts."""
    states = xp.tanh(xp.sum(table[words], 1) / words.shape[1])
    return xp.mean((xp.sum(states * weights, 1) - wanted) ** 2)


WORKLOAD = Workload(
    name=NAME,
    summary="A score of texts by the mean of their words' rows in a table, and its gradients, float32.",
    contestants=contestants(misfit, pose, peers=("jax", "torch", "torch compile")),
    cases=tuple(Case(name, size, size=size[1] * size[2] * size[3]) for name, size in SIZES.items()),
    targets=(HELD_OUT_ROW,),
    rows=(Row("rows of a table for 16 to 2,048 texts"),),
    group=HELD_OUT,
    size_unit="numbers",
    rtol=1e-3,
    max_rounds=15,
    max_first_calls=2,
)
