"""CuPy in the words that meanings of primitives are written in: NumPy's of release 2, and SciPy's special functions.

What CuPy has under another name is found here, what it does less of than NumPy is composed, and for all that it lacks
there is a table, so that a program that needs it is refused before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from autodiff.backend import missing_in, missing_special
from autodiff.core.avals import broadcast_shape
from autodiff.core.primitives import Primitive

from .device import Device
from .special import INEXACT, SPECIAL, SPECIAL_OF_COMPLEX, Special

Function = Callable[..., Any]

# Of the functions that cards say they need, those that CuPy has in its modules.
FUNCTIONS = {
    "": "frexp isfinite modf",
    "linalg": "cholesky det eig eigh eigvals eigvalsh inv qr slogdet solve svd",
    "fft": "fft ifft irfft rfft",
}


def lacking(own: Container[Primitive]) -> dict[str, str]:
    """The primitives that CuPy has no function for, and why, but for those that have ``own`` calls of it."""
    modules = {name: dict.fromkeys(names.split(), True) for name, names in FUNCTIONS.items()}
    inner = {name: SimpleNamespace(**names) for name, names in modules.items() if name}
    declared = SimpleNamespace(__name__="CuPy", **modules[""], **inner)
    special = missing_special("CuPy", SPECIAL, SPECIAL_OF_COMPLEX)
    return missing_in(declared, own) | special | INEXACT


class Namespace:
    """CuPy's functions under the names, and with the keywords, that NumPy 2 has.

    Parameters
    ----------
    device : Device
        What has CuPy's modules.
    """

    __name__ = "cupy"

    def __init__(self, device: Device):
        self._device, self._xp = device, device.xp

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._xp, name)
        setattr(self, name, found)
        return found

    def asarray(self, value: Any, dtype: Any = None, *, device: Any = None, copy: bool | None = None) -> Any:
        """An array on the current device, which is the one that plans are executed on."""
        return self._xp.array(value, dtype) if copy else self._xp.asarray(value, dtype)

    @cached_property
    def special(self) -> Special:
        """Special functions, imported when they are first needed."""
        return Special(self._xp, self._device.module("cupyx.scipy.special"))

    @cached_property
    def linalg(self) -> Matrices:
        """Linear algebra."""
        return Matrices(self._device)


class Matrices:
    """CuPy's linear algebra, with an error for matrices that NumPy refuses, too: CuPy gives it only if it is told to.

    Parameters
    ----------
    device : Device
        What has CuPy's modules.
    """

    def __init__(self, device: Device):
        self._device, self._xp = device, device.xp
        self._errors: Callable[..., AbstractContextManager[None]] = device.module("cupyx").errstate

    def __getattr__(self, name: str) -> Function:
        function = getattr(self._xp.linalg, name)

        def call(*arrays: Any, **keywords: Any) -> Any:
            with self.strict():
                return function(*arrays, **keywords)

        setattr(self, name, call)
        return call

    def strict(self) -> AbstractContextManager[None]:
        """Within it errors of CUDA's libraries are raised, unless work is captured: then there is none to see yet."""
        return self._errors(linalg="ignore" if self._device.capturing() else "raise")

    def solve(self, a: Any, b: Any) -> Any:
        """The solutions x of a x = b, whose leading axes are broadcast: CuPy has them alike."""
        batch = broadcast_shape(a.shape[:-2], b.shape[:-2])
        a, b = (self._xp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
        with self.strict():
            return self._xp.linalg.solve(a, b)

    def lu_factor(self, a: Any) -> tuple[Any, Any]:
        """Both factors of one matrix in one, and which row each was exchanged with, beginning with 0."""
        factors: tuple[Any, Any] = self._device.module("cupyx.scipy.linalg").lu_factor(a, check_finite=False)
        return factors
