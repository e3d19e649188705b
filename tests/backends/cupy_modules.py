"""NumPy and SciPy with no more than CuPy has: its names, what its functions are called with, and what they take.

A name that CuPy lacks, a keyword that it does not know, a dtype that it has no loop for and axes that it does not
broadcast are the errors that they are there, so that they are found where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special

from .cupy_names import SUBMODULES, Entry, read

NAMES = read()

# Ufuncs that add at places, repeated or not.
AT = ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor")


class Function:
    """A function that is called as CuPy's is called."""

    def __init__(self, name: str, entry: Entry, function: Callable[..., Any]):
        self.name, self.entry, self.function = name, entry, function

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        assert self.entry.signature is not None, f"{self.name} is no function"
        try:
            self.entry.signature.bind(*args, **keywords)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        if self.entry.loops:
            self._check_loops([x.dtype for x in args if isinstance(x, np.ndarray)])
        return self.function(*args, **keywords)

    def _check_loops(self, dtypes: list[np.dtype[Any]]) -> None:
        # Of operands that are arrays; numbers have the dtypes of these.
        for loop in self.entry.loops:
            inputs = loop.partition("->")[0]
            if len(dtypes) < len(inputs) or all(map(np.can_cast, dtypes, inputs)):
                return
        raise TypeError(f"Wrong type ({dtypes}) of arguments for {self.name}")

    @property
    def at(self) -> Callable[..., None]:
        """What a ufunc does at places."""
        if self.name.rpartition(".")[2] not in AT:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        return self.function.at  # type: ignore[attr-defined, no-any-return]


class Module:
    """The names of one of CuPy's modules, with what another one has of them."""

    def __init__(self, name: str, real: Any, **own: Callable[..., Any]):
        self.__name__, self._real, self._own = name, real, own

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        entry = NAMES.get(full)
        if entry is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in SUBMODULES:
            return LOADED[full]
        found = self._own.get(name) or getattr(self._real, name)
        return found if entry.signature is None else Function(full, entry, found)


def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.shape[:-1] != (b.shape[:-1] if b.ndim > 1 else a.shape[:-1]):
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    return np.linalg.solve(a, b)


def _lu_factor(a: np.ndarray, overwrite_a: bool = False, check_finite: bool = True) -> tuple[np.ndarray, np.ndarray]:
    if a.ndim != 2:
        raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    return scipy.linalg.lu_factor(a, overwrite_a, check_finite)


def _convolve(a: np.ndarray, v: np.ndarray, mode: str = "full") -> np.ndarray:
    """As precise as Fourier transforms are."""
    n = len(a) + len(v) - 1
    whole = np.fft.ifft(np.fft.fft(a, n) * np.fft.fft(v, n)).astype(np.result_type(a, v))
    return whole if mode == "full" else whole[min(len(a), len(v)) - 1 : max(len(a), len(v))]


@contextmanager
def errstate(**given: Any) -> Iterator[None]:
    """Which errors of CUDA's libraries are raised: NumPy raises all."""
    assert set(given) <= {"linalg"}
    assert set(given.values()) <= {"ignore", "raise"}
    yield


CUPY = Module("cupy", np, convolve=_convolve)
LOADED: dict[str, Any] = {
    "cupyx": SimpleNamespace(errstate=errstate),
    "cupy.linalg": Module("cupy.linalg", np.linalg, solve=_solve),
    "cupy.fft": Module("cupy.fft", np.fft),
    "cupyx.scipy.special": Module("cupyx.scipy.special", scipy.special),
    "cupyx.scipy.linalg": Module("cupyx.scipy.linalg", scipy.linalg, lu_factor=_lu_factor),
}
