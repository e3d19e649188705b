"""What bounds a step's speed, and nothing else: copies of the same bytes, matrix products of the same shapes."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from benchmarks.compilers import DEFAULT, NUMPY
from benchmarks.gradients import Builder, Pose
from benchmarks.places import Place
from benchmarks.workload import Contestant, Numbers, Timed


def copies(pose: Pose, place: Place) -> list[Contestant]:
    """A copy of the variable, by each library that computes for us: what a gradient must read and write at least."""
    return _yardsticks("copy", _copy, pose, place)


def products(pose: Pose, place: Place) -> list[Contestant]:
    """The matrix products of the chain's gradient, by each library that computes for us."""
    return _yardsticks("matmul", _products, pose, place)


def _yardsticks(name: str, steps: Callable[..., Callable[[], Any]], pose: Pose, place: Place) -> list[Contestant]:
    def build(module: ModuleType, parameter: Any) -> Timed:
        arrays = [
            place.tensor(module, array) if module.__name__ == "torch" else module.asarray(array)
            for array in pose(parameter).variables
        ]
        return Timed(steps(module, *arrays), _no_numbers, wait=place.waiting(module))

    builder: Builder = build
    libraries = [NUMPY if backend == DEFAULT else backend for backend in place.backends]
    return [Contestant(f"{library} {name}", builder, library, yardstick=True) for library in libraries]


def _no_numbers(_result: Any) -> Numbers:
    return []


def _copy(module: ModuleType, array: Any) -> Callable[[], Any]:
    target = module.empty_like(array)
    if module.__name__ == "torch":
        return lambda: target.copy_(array)
    return lambda: module.copyto(target, array)


def _products(module: ModuleType, A: Any, B: Any, C: Any) -> Callable[[], Any]:
    """Of sum((A B C)^2) / 2, whose cotangent is A B C itself."""

    def step() -> Any:
        AB = module.matmul(A, B)
        Y = module.matmul(AB, C)
        dAB = module.matmul(Y, C.T)
        return module.matmul(dAB, B.T), module.matmul(A.T, dAB), module.matmul(AB.T, Y)

    return step
