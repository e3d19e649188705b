"""Many small matrices solved, inverted and taken determinants of, and the spectrum of a larger one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "matrices"
COUNT = 100_000
ROWS = (3, 4)
ORDER = 200


def pose(case: tuple[str, int]) -> Problem:
    """Matrices; right-hand sides or weights of results; and what is done with them."""
    what, n = case
    random = np.random.default_rng(0)
    if what in ("eigh", "svd"):
        a = random.normal(size=(n, n)) / np.sqrt(n)
        return Problem([a + a.T if what == "eigh" else a], [random.normal(size=(n, n))], [what])
    a = random.normal(size=(COUNT, n, n)) / n + 2 * np.eye(n)
    b = random.normal(size=(COUNT, n, n) if what == "inv" else (COUNT, n, 1))
    return Problem([a], [b], [what], compared=100)


def solve(xp: Any, a: Any, b: Any) -> Any:
    """A system of one column each."""
    return xp.sum(xp.linalg.solve(a, b) ** 2)


def inv(xp: Any, a: Any, b: Any) -> Any:
    """A weighted sum of all inverses."""
    return xp.sum(xp.linalg.inv(a) * b)


def det(xp: Any, a: Any, b: Any) -> Any:
    """The determinants, squared."""
    return xp.sum(xp.linalg.det(a) ** 2)


def eigh(xp: Any, a: Any, b: Any) -> Any:
    """A function of the spectrum, weighted. Who reads one triangle, and gives its gradient, reads that of the mean."""
    w, v = xp.linalg.eigh(0.5 * (a + a.T))
    return xp.sum(((v * xp.sin(w)) @ v.T) * b)


def svd(xp: Any, a: Any, b: Any) -> Any:
    """The same of singular values."""
    u, s, vh = xp.linalg.svd(a, full_matrices=False)
    return xp.sum(((u * xp.sin(s)) @ vh) * b)


FUNCTIONS: dict[str, Callable[..., Any]] = {f.__name__: f for f in (solve, inv, det, eigh, svd)}


def loss(xp: Any, a: Any, b: Any, what: str) -> Any:
    """One of them."""
    return FUNCTIONS[what](xp, a, b)


CASES = [("solve", 2), *[(what, n) for what in ("solve", "inv", "det") for n in ROWS], ("eigh", ORDER), ("svd", ORDER)]
SMALL = tuple(f"{what} {n} x {n}" for what, n in CASES if n in ROWS)
LARGE = tuple(f"{what} {n} x {n}" for what, n in CASES if n == ORDER)

WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"{COUNT:,} small matrices solved for one column, inverted, and their determinants; a function of the spectrum "
        "of one larger matrix. Values and gradients with respect to the matrices, float64."
    ),
    contestants=contestants(loss, pose, peers=("jax", "torch", "torch compile", "autograd")),
    cases=tuple(
        Case(f"{what} {n} x {n}", (what, n), size=n, variant="" if what == "solve" else what) for what, n in CASES
    ),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=(
        Row(f"{COUNT:,} systems, inverses and determinants, 3 x 3 and 4 x 4", cases=SMALL),
        Row(f"eigh and svd of {ORDER} x {ORDER}", cases=LARGE),
    ),
    size_unit="rows of a matrix",
    rtol=1e-6,
    max_rounds=15,
)
