"""The check that every contestant computes the same numbers, made before any timing counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.workload import Numbers


class DisagreementError(AssertionError):
    """Two contestants of a workload computed different numbers."""


def require_agreement(numbers: Mapping[str, Sequence[Numbers]], where: str, *, rtol: float, atol: float) -> None:
    """Raise `DisagreementError` unless all contestants computed the same numbers at every step.

    Parameters
    ----------
    numbers : mapping
        For each contestant, the arrays of each step.
    where : str
        Names the workload and the case in the message.
    rtol, atol : float
        Bound on the largest difference in an array: ``rtol * (largest magnitude) + atol``.

    Raises
    ------
    DisagreementError
        Naming every pair that differs, and how.
    """
    if not numbers:
        return
    reference, *others = numbers
    complaints = [
        f"{other} and {reference}, step {step}: {complaint}"
        for other in others
        for step, (theirs, base) in enumerate(zip(numbers[other], numbers[reference], strict=True), 1)
        if (complaint := _difference(theirs, base, rtol=rtol, atol=atol))
    ]
    if complaints:
        raise DisagreementError(f"{where}: contestants disagree\n  " + "\n  ".join(complaints))


def _difference(actual: Numbers, expected: Numbers, *, rtol: float, atol: float) -> str:
    """Say how two lists of arrays differ; an empty string where they agree."""
    if len(actual) != len(expected):
        return f"{len(actual)} arrays against {len(expected)}"
    for index, (a, b) in enumerate(zip(map(np.asarray, actual), map(np.asarray, expected), strict=True)):
        if complaint := _array_difference(a, b, rtol=rtol, atol=atol):
            return f"array {index}: {complaint}"
    return ""


def _array_difference(actual: npt.NDArray[Any], expected: npt.NDArray[Any], *, rtol: float, atol: float) -> str:
    if (actual.shape, actual.dtype) != (expected.shape, expected.dtype):
        return f"{actual.dtype}{list(actual.shape)} against {expected.dtype}{list(expected.shape)}"
    if not (np.isfinite(actual).all() and np.isfinite(expected).all()):
        return "a value is not finite, so the comparison would mean nothing"
    largest = np.max(np.abs(actual - expected), initial=0.0)
    bound = rtol * np.max(np.abs(expected), initial=0.0) + atol
    return "" if largest <= bound else f"largest difference {largest:.3g}, allowed {bound:.3g}"
