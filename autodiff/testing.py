"""Checks for tests of derivatives: ``check_grads`` compares them with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arguments import count, number
from .containers import flatten, leaf_names, unflatten
from .convert import describe
from .errors import ArgumentError, DerivativeError, DifferentiationError
from .tensor import Tensor
from .tracebacks import boundary
from .transforms import jvp, vjp

__all__ = ["check_grads"]

MODES = ("forward", "reverse")

# Relative and absolute tolerance, and the step of differences, by the bytes of a real number.
TOLERANCES = {2: (0.1, 0.1, 0.1), 4: (2e-2, 2e-2, 2e-2), 8: (1e-5, 1e-6, 1e-3), 16: (1e-5, 1e-6, 1e-3)}


@boundary
def check_grads(
    function: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: str | Sequence[str] = MODES,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    step: float | None = None,
    seed: int = 0,
) -> None:
    """Compare the derivatives of a function with finite differences, along random directions.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns arrays or numbers, or containers of them. It must be smooth near ``args``.
    args : tuple or list
        Its arguments. Floating and complex arrays and Python floats in them are differentiated with respect to;
        everything else stays as it is.
    order : int, optional
        Up to which order: the derivative of each order is checked as a function, too.
    modes : {"forward", "reverse"} or sequence of these, optional
        Which derivatives are compared: ``jvp``, ``vjp``.
    rtol : float, optional
        Relative tolerance; what the lowest precision among the arguments allows, if not given.
    atol : float, optional
        Absolute tolerance, in the same way.
    step : float, optional
        The step of differences, which are of fourth order, in the same way.
    seed : int, optional
        Of the random directions.

    Raises
    ------
    DerivativeError
        If they differ: an ``AssertionError`` that names the mode, the order, the argument, the result and the
        direction, with both numbers.
    ArgumentError
        If an option makes no sense, or there is nothing to differentiate with respect to.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.testing.check_grads(lambda x, y: np.sin(x) * y, (np.array([0.5, 1.0]), 2.0))
    """
    if not callable(function):
        raise ArgumentError(f"check_grads: {describe(function)} is not callable; give the function to differentiate")
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(f"check_grads: args={describe(args)} must be a tuple of the arguments; write (x,)")
    order = count(order, "check_grads: order")
    chosen: Any = (modes,) if isinstance(modes, str) else modes
    if not isinstance(chosen, (tuple, list)) or not chosen or not all(mode in MODES for mode in chosen):
        raise ArgumentError(f"check_grads: modes={describe(modes)} must be of {MODES}")
    seed = count(seed, "check_grads: seed", 0)
    leaves, structure = flatten(tuple(args))
    own = [i for i, leaf in enumerate(leaves) if _is_floating(leaf)]
    if not own:
        raise ArgumentError("check_grads: no argument is a floating or complex array, or a float")
    names = [f"args{name}" for name in leaf_names(structure)]

    def of_floats(*values: Any) -> Any:
        parts = list(leaves)
        for i, value in zip(own, values, strict=True):
            parts[i] = value
        return function(*unflatten(structure, iter(parts)))

    usual = TOLERANCES[min([np.asarray(leaves[i]).real.dtype.itemsize for i in own])]
    asked = {"rtol": rtol, "atol": atol, "step": step}
    tolerances = [
        known if value is None else number(value, f"check_grads: {option}")
        for known, (option, value) in zip(usual, asked.items(), strict=True)
    ]
    if not tolerances[2]:
        raise ArgumentError(f"check_grads: step={step} must be more than 0")
    check = _Check(chosen, tolerances, [names[i] for i in own], seed)
    check(of_floats, [leaves[i] for i in own], order, "")


def _is_floating(leaf: Any) -> bool:
    return type(leaf) in (float, complex) or (hasattr(leaf, "dtype") and np.dtype(leaf.dtype).kind in "fc")


def _arrays(out: Any) -> list[np.ndarray[Any, Any]]:
    """The leaves of a result as arrays."""
    return [np.asarray(leaf.value if isinstance(leaf, Tensor) else leaf) for leaf in flatten(out)[0]]


def _dot(one: Any, other: Any) -> float:
    """The real part of the sum of products."""
    return float(np.sum(np.real(np.asarray(one, np.complex128) * np.asarray(other, np.complex128))))


class _Check:
    """What is compared, and how."""

    def __init__(self, modes: Sequence[str], tolerances: Sequence[float], names: Sequence[str], seed: int):
        self._modes = modes
        self._rtol, self._atol, self._step = tolerances
        self._names = names
        self._seed = seed
        self._rng = np.random.default_rng(seed)

    def __call__(self, function: Callable[..., Any], args: list[Any], order: int, path: str) -> None:
        """Compare the first derivatives of a function, and then check these as functions."""
        first = function(*[_copied(x) for x in args])
        results, structure = _arrays(first), flatten(first)[1]
        floating = [x.dtype.kind in "fc" for x in results]
        if not all(floating):
            wrong = describe(flatten(first)[0][floating.index(False)])
            raise DifferentiationError(f"check_grads: the function returned {wrong}, which has no derivative")
        what = [f"result{name}" for name in leaf_names(structure)]
        cotangents = [self._direction(x) for x in results]
        packed = unflatten(structure, iter([_like(ct, x) for ct, x in zip(cotangents, flatten(first)[0], strict=True)]))
        directions = [self._direction(np.asarray(x)) for x in args]
        pulled = _arrays(list(vjp(function, *args)[1](packed))) if "reverse" in self._modes else []
        for i, (x, v) in enumerate(zip(args, directions, strict=True)):
            expected = self._differences(function, args, i, v)
            if "forward" in self._modes:
                still = [_like(np.zeros_like(d), a) for d, a in zip(directions, args, strict=True)]
                tangents = [*still[:i], _like(v, x), *still[i + 1 :]]
                found = _arrays(jvp(function, args, tangents)[1])
                for name, one, other in zip(what, found, expected, strict=True):
                    self._compare(one, other, f"{path}forward mode", i, v, name)
            if pulled:
                along = sum([_dot(ct, e) for ct, e in zip(cotangents, expected, strict=True)])
                scale = sum([float(np.sum(np.abs(ct) * np.abs(e))) for ct, e in zip(cotangents, expected, strict=True)])
                self._compare(_dot(pulled[i], v), along, f"{path}reverse mode", i, v, " and ".join(what), scale)
        if order > 1:
            if "forward" in self._modes:
                tangents = [_like(v, x) for v, x in zip(directions, args, strict=True)]
                self(lambda *a: jvp(function, a, tangents)[1], args, order - 1, f"{path}forward mode, then ")
            if "reverse" in self._modes:
                self(lambda *a: list(vjp(function, *a)[1](packed)), args, order - 1, f"{path}reverse mode, then ")

    def _direction(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        v = self._rng.uniform(0.5, 1.5, x.shape) * self._rng.choice([-1.0, 1.0], x.shape)
        if x.dtype.kind == "c":
            v = v + 1j * self._rng.uniform(-1.0, 1.0, x.shape)
        return np.asarray(v).astype(x.dtype)

    def _differences(
        self, function: Callable[..., Any], args: list[Any], which: int, v: np.ndarray[Any, Any]
    ) -> list[np.ndarray[Any, Any]]:
        """The derivative along a direction of one argument, by differences of fourth order."""

        def at(h: float) -> list[np.ndarray[Any, Any]]:
            moved = [_copied(x) for x in args]
            moved[which] = _like(np.asarray(args[which]) + np.asarray(h).astype(v.real.dtype) * v, args[which])
            results = _arrays(function(*moved))
            return [x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) for x in results]

        h = self._step
        points = zip(at(h), at(-h), at(2 * h), at(-2 * h), strict=True)
        return [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in points]

    def _compare(
        self, found: Any, expected: Any, mode: str, which: int, v: Any, result: str, scale: float = 0.0
    ) -> None:
        found, expected = np.asarray(found), np.asarray(expected)
        bound = self._atol + self._rtol * np.maximum(np.maximum(np.abs(expected), np.abs(found)), scale)
        wrong = ~(np.abs(found - expected) <= bound)
        if found.shape == expected.shape and not wrong.any():
            return
        where = ""
        if wrong.ndim:
            index = tuple([int(i) for i in np.argwhere(wrong)[0]])
            where = f" at {index}, one of {int(wrong.sum())} of {wrong.size} elements"
            found, expected = found[index], expected[index]
        raise DerivativeError(
            f"check_grads: {mode}: the derivative of the {result} by {self._names[which]} along the direction "
            f"{_shortened(v)} (seed={self._seed}) is {found.item()!r}{where}, but finite differences give "
            f"{expected.item()!r}"
        )


def _shortened(v: np.ndarray[Any, Any]) -> str:
    return " ".join(np.array2string(v, precision=4, threshold=8, edgeitems=2, max_line_width=10**6).split())


def _copied(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x


def _like(value: np.ndarray[Any, Any], x: Any) -> Any:
    """A value as what it stands beside: a Python number for one."""
    return value.item() if type(x) in (float, complex) else value
