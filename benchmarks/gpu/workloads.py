"""The workloads of the GPU: those of the CPU in float32 and float64, and two that are bound by the device's speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.gpu.yardsticks import copies, products
from benchmarks.gradients import Loss, Pose, Problem, contestants
from benchmarks.places import CUDA, Place
from benchmarks.workload import BEST_PEER, BEST_YARDSTICK, Case, Row, Target, Workload
from benchmarks.workloads import elementwise, gmm, mlp, xor_step

DTYPES = ("float32", "float64")

SPEED = (Target(1.0, against="torch"), Target(1.3, against=BEST_PEER))
"""Of every row."""

BANDWIDTH = Target(1 / 0.8, against=BEST_YARDSTICK)
PRODUCTS = Target(1 / 0.95, against=BEST_YARDSTICK)

COMPARED = 61
"""Of arrays that fill the device every so many-th row is compared; prime, so that it falls on all places in a block."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the problems are.

    Parameters
    ----------
    hidden : int
        Units of the XOR network.
    width : int
        Of the perceptron.
    mixtures : mapping
        Parameters of the mixtures, by the name of the case.
    elements : int
        Of the elementwise expressions.
    side : int
        Of the matrices in the chain.
    """

    hidden: int
    width: int
    mixtures: Mapping[str, tuple[str, int, int]]
    elements: int
    side: int


FULL = Sizes(
    hidden=xor_step.HIDDEN,
    width=512,
    mixtures={
        "n1000 d10 K25": ("gmm_d10_K25.txt", 25, 1000),
        "n1000 d64 K25": ("gmm_d64_K25.txt", 25, 1000),
    },
    elements=100_000_000,
    side=8192,
)
SMALL = Sizes(hidden=4, width=32, mixtures={"n10 d10 K2": ("gmm_d10_K25.txt", 2, 10)}, elements=1000, side=24)


def gpu_workloads(place: Place) -> dict[str, Workload]:
    """The workloads for that place, by name; small ones to rehearse them where there is no GPU."""
    sizes = FULL if place is CUDA else SMALL
    makers = (xor_workload, mlp_workload, gmm_workload, elementwise_workload, matmul_workload)
    made = [make(place, sizes) for make in makers]
    return {workload.name: workload for workload in made}


def in_dtype(pose: Pose) -> Pose:
    """The problem of a size and a dtype: all floating arrays are converted."""

    def converted(arrays: Iterable[Any], dtype: str) -> list[Any]:
        return [array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays]

    def posed(parameter: tuple[Any, str]) -> Problem:
        size, dtype = parameter
        problem = pose(size)
        variables, data = (converted(arrays, dtype) for arrays in (problem.variables, problem.data))
        return replace(problem, variables=variables, data=data)

    return posed


def _cases(name: str, size: Any, rtol: float, work: tuple[float, str] | None = None) -> list[Case]:
    """A case for each dtype; ``rtol`` is for float32, and ``work`` for one byte an element."""
    return [
        Case(
            f"{name} {dtype}",
            (size, dtype),
            rtol=rtol if dtype == "float32" else None,
            work=work and (work[0] * (np.dtype(dtype).itemsize if work[1] == "B" else 1), work[1]),
        )
        for dtype in DTYPES
    ]


def _rows(label: str, cases: Sequence[Case]) -> tuple[Row, ...]:
    return tuple(Row(f"{label}{case.name}", (case.name,)) for case in cases)


# --- those of the CPU -------------------------------------------------------------------------------------------------


def xor_problem(hidden: int) -> Problem:
    """Parameters, and one sample as data."""
    return Problem(xor_step.initial_parameters(hidden), xor_step.xor_samples()[1])


def xor_loss(xp: Any, *arrays: Any) -> Any:
    """The error as a 0-d loss."""
    return xor_step.scalar_loss(xp)(*arrays)


def xor_workload(place: Place, sizes: Sizes) -> Workload:
    """The step of a network so small that only the host's time counts."""
    cases = _cases(f"{sizes.hidden} units", sizes.hidden, rtol=1e-5)
    return Workload(
        name=xor_step.NAME,
        summary="XOR network, one sample: squared error and its four gradients.",
        contestants=contestants(xor_loss, in_dtype(xor_problem), place=place),
        cases=cases,
        targets=SPEED,
        rows=_rows("XOR step, ", cases),
    )


def mlp_workload(place: Place, sizes: Sizes) -> Workload:
    """Matrix products with a little in between."""
    cases = _cases(f"width {sizes.width}", sizes.width, rtol=2e-4)
    return Workload(
        name=mlp.NAME,
        summary=(
            f"Cross-entropy of a perceptron, {mlp.INPUTS}-width-width-{mlp.CLASSES}, batch of {mlp.BATCH}, and the "
            "gradients of its six parameters. JAX and PyTorch use their own log-softmax and layers."
        ),
        contestants=contestants(
            mlp.cross_entropy, in_dtype(mlp.pose), own={"jax": mlp.in_jax, "torch": mlp.in_torch}, place=place
        ),
        cases=cases,
        targets=SPEED,
        rows=_rows("MLP step, ", cases),
    )


def gmm_workload(place: Place, sizes: Sizes) -> Workload:
    """Contractions of batched triangles, broadcasts, a log-sum-exp."""
    cases = [case for name, size in sizes.mixtures.items() for case in _cases(name, size, rtol=1e-3)]
    return Workload(
        name=gmm.NAME,
        summary=(
            "Objective of a Gaussian mixture and its gradients (ADBench). JAX and PyTorch use their own log-sum-exp."
        ),
        contestants=contestants(
            gmm.in_numpy, in_dtype(gmm.pose), own={"jax": gmm.in_jax, "torch": gmm.in_torch}, place=place
        ),
        cases=cases,
        targets=SPEED,
        rows=_rows("ADBench GMM, ", cases),
    )


# --- those that a device's speed bounds -------------------------------------------------------------------------------


def polynomial(xp: Any, a: Any) -> Any:
    """sum(a^2 (3 - a)), of so little arithmetic that only memory counts."""
    return xp.sum(a * a * (3 - a))


EXPRESSIONS: Mapping[str, Loss] = {"a² (3 - a)": polynomial, "sin(a² tanh a)": elementwise.total}


def evaluated(xp: Any, a: Any, expression: Loss) -> Any:
    """One of the expressions."""
    return expression(xp, a)


# All contestants of a case have the same points, which take seconds to draw.
@lru_cache(maxsize=1)
def points(parameter: tuple[tuple[str, int], str]) -> Problem:
    """Points between 0 and 2, for an expression, a number of them, and a dtype."""
    (name, count), dtype = parameter
    return replace(elementwise.pose((count, dtype)), options=[EXPRESSIONS[name]], compared=COMPARED)


def elementwise_workload(place: Place, sizes: Sizes) -> Workload:
    """What the memory's bandwidth bounds."""
    named = {
        name: _cases(f"{name}, {sizes.elements:,}", (name, sizes.elements), rtol=1e-4, work=(2 * sizes.elements, "B"))
        for name in EXPRESSIONS
    }
    cases = [case for each in named.values() for case in each]
    light, _ = named.values()
    return Workload(
        name=elementwise.NAME,
        summary=(
            "The sum of an elementwise expression and its gradient. Counted as moved: each element read once, its "
            "gradient written once, which are the bytes of a copy. A time of at most 1.25 copies is at least 80 % of "
            "the memory's bandwidth; that is demanded of the polynomial, since the arithmetic of sin(a² tanh a) in "
            "float64 may take longer than its memory."
        ),
        contestants=(*contestants(evaluated, points, place=place), *copies(points, place)),
        cases=cases,
        targets=(*SPEED, replace(BANDWIDTH, cases=tuple(case.name for case in light))),
        rows=_rows("Elementwise, ", cases),
        checked_steps=1,
        max_first_calls=3,
    )


def chain(xp: Any, A: Any, B: Any, C: Any) -> Any:
    """sum((A B C)^2) / 2: two products, and four for the gradients."""
    Y = A @ B @ C
    return 0.5 * xp.sum(Y * Y)


# As for the points.
@lru_cache(maxsize=1)
def matrices(parameter: tuple[int, str]) -> Problem:
    """Three square matrices whose products are of the same magnitude."""
    side, dtype = parameter
    random = np.random.default_rng(0)
    scale = side**-0.5
    drawn = [random.standard_normal((side, side), np.dtype(dtype)) * np.asarray(scale, dtype) for _ in range(3)]
    return Problem(drawn, compared=COMPARED)


def matmul_workload(place: Place, sizes: Sizes) -> Workload:
    """What the speed of matrix products bounds."""
    cases = _cases(f"{sizes.side} square", sizes.side, rtol=5e-5, work=(6 * 2 * sizes.side**3, "flop"))
    return Workload(
        name="matmul",
        summary=(
            "sum((A B C)²) / 2 of three square matrices and its three gradients: six products, float32 without TF32. "
            "The yardsticks make these six products and nothing else; 1.05 of their time is 95 % of their speed."
        ),
        contestants=(*contestants(chain, matrices, place=place), *products(matrices, place)),
        cases=cases,
        targets=(*SPEED, PRODUCTS),
        rows=_rows("Chain of products, ", cases),
        checked_steps=1,
        max_first_calls=3,
    )
