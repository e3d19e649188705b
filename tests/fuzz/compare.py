"""Whether a result is NumPy's: every bit of what is exact, within the distance of right evaluations elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from .tolerance import SAFETY, Reference


class Wrong(AssertionError):
    """A result that is not what it must be."""


def _bits(a: np.ndarray) -> np.ndarray:
    """Equal for equal numbers, unequal for zeros of two signs, equal for all NaNs."""
    if a.dtype.kind == "c":
        return np.stack([_bits(np.ascontiguousarray(a.real)), _bits(np.ascontiguousarray(a.imag))])
    if a.dtype.kind != "f":
        return a
    whole = np.ascontiguousarray(np.where(np.isnan(a), np.array(np.nan, a.dtype), a)).view(f"u{a.dtype.itemsize}")
    return whole


def check(name: str, got: Any, ref: Reference, exact: bool = True) -> None:
    """Compare one value. ``exact`` False makes bits that differ by nothing but the sign of a zero equal."""
    wanted = ref.values[name]
    got = np.asarray(got)
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        raise Wrong(f"{name} is {got.dtype}{got.shape}, and NumPy's is {wanted.dtype}{wanted.shape}")
    if name in ref.unknown:
        return
    with np.errstate(all="ignore"):
        if name not in ref.distances:
            same = (_bits(got) == _bits(wanted)) if exact else (got == wanted) | (np.isnan(got) & np.isnan(wanted))
            if not np.all(same):
                raise Wrong(f"{name} is {got!r}, and NumPy's, of which every bit counts, is {wanted!r}")
            return
        allowed = SAFETY * ref.distances[name]
        if name in ref.units:
            allowed = np.minimum(allowed, ref.units[name] * np.spacing(np.abs(wanted)).astype(np.longdouble))
        wide = np.clongdouble if wanted.dtype.kind == "c" else np.longdouble
        gap = np.abs(got.astype(wide) - wanted.astype(wide))
        fine = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (gap <= allowed) | np.isinf(allowed)
        if wanted.dtype.kind == "c":
            # Which part of a complex number becomes NaN is a matter of the order of its products.
            fine = fine | (~np.isfinite(got) & ~np.isfinite(wanted))
        if not np.all(fine):
            place = tuple(int(i) for i in np.argwhere(~fine)[0])
            raise Wrong(
                f"{name}[{place}] is {got[place]!r}, and NumPy's is {wanted[place]!r}; they may be "
                f"{allowed[place]:.3g} apart, and are {gap[place]:.3g}"
            )
