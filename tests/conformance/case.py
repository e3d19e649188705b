"""What a row of the table is: a call, where its array arguments are drawn from, and what is expected of it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Draw:
    """An array argument: its shape and how its elements are drawn.

    ``kind`` is "uniform" in (low, high), "signed" for that with random signs (so away from zero), "spaced" for
    distinct numbers 0.3 apart, "between" for numbers 0.1 or more away from integers and halves, "complex" for
    both parts uniform, "invertible" and "complex invertible" for square matrices far from singular ones, "spread" and
    "complex spread" for matrices with singular values that are far from each other and from 0, "integer" or "boolean"
    (which are constants).
    """

    shape: tuple[int, ...]
    kind: str = "uniform"
    low: float = -1.0
    high: float = 1.0

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        size = math.prod(self.shape)
        uniform = rng.uniform(self.low, self.high, self.shape)
        match self.kind:
            case "uniform":
                return np.asarray(uniform)
            case "signed":
                return np.asarray(uniform * rng.choice([-1.0, 1.0], self.shape))
            case "spaced":
                return (rng.permutation(size) * 0.3 - 0.15 * size + 0.1 + rng.uniform(0, 0.05)).reshape(self.shape)
            case "between":
                return np.asarray(rng.integers(-3, 3, self.shape) + rng.uniform(0.1, 0.4, self.shape))
            case "complex":
                return np.asarray(uniform + 1j * rng.uniform(self.low, self.high, self.shape))
            case "invertible":
                return np.asarray(uniform + 3 * np.eye(self.shape[-1]))
            case "complex invertible":
                return np.asarray(
                    uniform + 1j * rng.uniform(self.low, self.high, self.shape) + 3 * np.eye(self.shape[-1])
                )
            case "spread" | "complex spread":
                if self.kind == "complex spread":
                    uniform = uniform + 1j * rng.uniform(self.low, self.high, self.shape)
                u, s, vh = np.linalg.svd(uniform, full_matrices=False)
                return np.asarray((u * (1 + 0.7 * np.arange(s.shape[-1])[::-1])) @ vh)
            case "integer":
                return np.asarray(rng.integers(int(self.low), int(self.high), self.shape))
            case "boolean":
                return np.asarray(rng.random(self.shape) < 0.6)
        raise ValueError(self.kind)

    @property
    def differentiable(self) -> bool:
        return self.kind not in ("integer", "boolean")

    def __repr__(self) -> str:
        return f"{self.kind[0]}{list(self.shape)}".replace(" ", "")


def real(*shape: int, low: float = -1.5, high: float = 1.5) -> Draw:
    return Draw(shape, "uniform", low, high)


def positive(*shape: int, low: float = 0.5, high: float = 2.0) -> Draw:
    return Draw(shape, "uniform", low, high)


def signed(*shape: int, low: float = 0.4, high: float = 1.8) -> Draw:
    return Draw(shape, "signed", low, high)


def spaced(*shape: int) -> Draw:
    return Draw(shape, "spaced")


def between(*shape: int) -> Draw:
    return Draw(shape, "between")


def complexes(*shape: int, low: float = 0.3, high: float = 1.2) -> Draw:
    return Draw(shape, "complex", low, high)


def invertible(*shape: int, kind: str = "invertible") -> Draw:
    return Draw(shape, kind, -1.0, 1.0)


def spread(*shape: int, kind: str = "spread") -> Draw:
    return Draw(shape, kind, -1.0, 1.0)


def integers(*shape: int, low: int = 0, high: int = 9) -> Draw:
    return Draw(shape, "integer", low, high)


def booleans(*shape: int) -> Draw:
    return Draw(shape, "boolean")


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``covers`` names what the row tests: a NumPy function, or an attribute of Tensor as a string. ``gradient`` is
    "smooth", "zero" (piecewise constant, a floating result all of whose derivatives are zero) or "none" (the
    result is no floating array). ``single`` is False where single precision is not asked for, as with a dtype
    given; ``independent`` is True where the result depends on the shape of an argument only. Where ``composed`` is True
    it is made of functions that have rows of their own: NumPy alone runs it, unless another backend is asked for.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    covers: tuple[Any, ...]
    gradient: str = "smooth"
    rtol: float = 1e-6
    single: bool = True
    independent: bool = False
    composed: bool = False
    draws: tuple[Draw, ...] = field(default=())

    @property
    def name(self) -> str:
        words = [_short(x) for x in self.args] + [f"{k}={_short(v)}" for k, v in self.keywords.items()]
        return f"{_label(self.covers[0])}({', '.join(words)})"

    def arrays(self) -> list[np.ndarray]:
        """Fresh values of the array arguments, the same ones each time."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return [draw.sample(rng) for draw in self.draws]

    def __call__(self, *arrays: Any) -> Any:
        """The call with these in place of the drawn arguments."""
        rest = iter(arrays)
        args = [_filled(x, rest) for x in self.args]
        keywords = {k: _filled(v, rest) for k, v in self.keywords.items()}
        return self.function(*args, **keywords)


def case(
    function: Callable[..., Any],
    *args: Any,
    covers: Any = None,
    gradient: str = "smooth",
    rtol: float = 1e-6,
    single: bool = True,
    independent: bool = False,
    **keywords: Any,
) -> Case:
    """A row: ``function(*args, **keywords)`` where every Draw, also within lists and tuples, stands for an array."""
    covered = (function,) if covers is None else covers if isinstance(covers, tuple) else (covers,)
    draws: list[Draw] = []
    for x in [*args, *keywords.values()]:
        _gather(x, draws)
    return Case(function, args, keywords, covered, gradient, rtol, single, independent, draws=tuple(draws))


def composed(rows: list[Case]) -> list[Case]:
    """Rows of what is made of functions that have rows of their own."""
    return [replace(row, composed=True) for row in rows]


def answer(function: Callable[..., Any], *args: Any, covers: Any = None, **keywords: Any) -> Case:
    """A row whose result has no derivative: booleans, integers, shapes."""
    return case(function, *args, covers=covers, gradient="none", **keywords)


def together(function: Callable[..., Any], *keywords: dict[str, Any]) -> Callable[..., Any]:
    """A function that gives the results with each of several sets of keywords, which are then one row."""

    def call(*args: Any) -> Any:
        results = [function(*args, **given) for given in keywords]
        return tuple([part for result in results for part in (result if isinstance(result, tuple) else (result,))])

    call.__name__ = f"{function.__name__} {' '.join(map(str, keywords))}"
    return call


def _gather(x: Any, found: list[Draw]) -> None:
    if isinstance(x, Draw):
        found.append(x)
    elif isinstance(x, (list, tuple)):
        for part in x:
            _gather(part, found)


def _filled(x: Any, rest: Any) -> Any:
    if isinstance(x, Draw):
        return next(rest)
    if isinstance(x, (list, tuple)):
        return type(x)(_filled(part, rest) for part in x)
    return x


def _label(x: Any) -> str:
    return x if isinstance(x, str) else str(getattr(x, "__name__", x))


def _short(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"{x.dtype.kind}{x.tolist()}".replace(" ", "")
    if isinstance(x, (list, tuple)):
        return "[" + ",".join(_short(part) for part in x) + "]"
    return _label(x) if callable(x) else repr(x)
