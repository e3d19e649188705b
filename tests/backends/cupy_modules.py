"""NumPy and SciPy with no more than CuPy has: its names, what its functions are called with, and what they take.

A name that CuPy lacks, a keyword that it does not know, a dtype that it has no loop for and axes that it does not
broadcast are the errors that they are there, so that they are found where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.linalg
import scipy.special

from .cupy_names import Entry, read

NAMES = read()

# Ufuncs that add at places, repeated or not.
AT = ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor")


class Function:
    """A function that is called as CuPy's is called.

    Parameters
    ----------
    name : str
    entry : Entry
        What CuPy's of this name takes.
    function : callable
        What computes it.
    memory : Memory
        What arrays it takes and gives.
    """

    def __init__(self, name: str, entry: Entry, function: Callable[..., Any], memory: Memory):
        self.name, self.entry, self.function, self.memory = name, entry, function, memory

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        assert self.entry.signature is not None, f"{self.name} is no function"
        try:
            self.entry.signature.bind(*args, **keywords)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        check_loops(self.name, self.entry, args)
        on_host = (self.memory.read(self.name, args), self.memory.read(self.name, keywords))
        with np.errstate(all="ignore"):
            return self.memory.made(self.function(*on_host[0], **on_host[1]))

    @property
    def at(self) -> Callable[..., None]:
        """What a ufunc does at places."""
        if self.name.rpartition(".")[2] not in AT:
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        return lambda *args: self.function.at(*self.memory.read(self.name, args))  # type: ignore[attr-defined]


def check_loops(name: str, entry: Entry, operands: Sequence[Any]) -> None:
    """The error of CuPy for operands that a ufunc has no loop for; numbers beside arrays have their dtypes."""
    dtypes = [x.dtype for x in operands if isinstance(x, np.ndarray)]
    for loop in entry.loops:
        inputs = loop.partition("->")[0]
        if len(dtypes) < len(inputs) or all(map(np.can_cast, dtypes, inputs)):
            return
    if entry.loops:
        raise TypeError(f"Wrong type ({dtypes}) of arguments for {name}")


class Memory:
    """NumPy's arrays for those on a device."""

    def read(self, name: str, value: Any) -> Any:
        """The arguments of a function as NumPy's arrays; an error if there are arrays that CuPy would not take."""
        return value

    def made(self, value: Any) -> Any:
        """The results of a function as arrays on the device."""
        return value


class Module:
    """The names of one of CuPy's modules, with what another one has of them."""

    def __init__(self, name: str, real: Any, modules: dict[str, Any], memory: Memory, **own: Callable[..., Any]):
        self.__name__, self._real, self._modules, self._memory, self._own = name, real, modules, memory, own

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        entry = NAMES.get(full)
        if entry is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if full in self._modules:
            return self._modules[full]
        found = self._own.get(name) or getattr(self._real, name)
        return found if entry.signature is None else Function(full, entry, found, self._memory)


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


def modules(memory: Memory) -> dict[str, Any]:
    """CuPy's modules, with arrays of a kind, by their names."""
    found: dict[str, Any] = {"cupyx": SimpleNamespace(errstate=errstate)}
    found["cupy"] = Module("cupy", np, found, memory, convolve=_convolve)
    found["cupy.linalg"] = Module("cupy.linalg", np.linalg, found, memory, solve=_solve)
    found["cupy.fft"] = Module("cupy.fft", np.fft, found, memory)
    found["cupyx.scipy.special"] = Module("cupyx.scipy.special", scipy.special, found, memory)
    found["cupyx.scipy.linalg"] = Module("cupyx.scipy.linalg", scipy.linalg, found, memory, lu_factor=_lu_factor)
    return found
