"""What generated NumPy source calls where no single NumPy function is fast enough: selection by bit masks, logaddexp.

NumPy's ``where`` and ``where=`` branch at each element, 2 to 8 ns for masks that cannot be predicted. Masks of bits do
not branch: 0.4 ns in float32, 1.5 ns in float64, and exactly the same elements, NaN and signed zeros included.
"""

from __future__ import annotations

from math import isfinite, prod
from typing import Any

import numpy as np

from autodiff.whole import apart

Array = np.ndarray[Any, Any]

# The integers whose bits are those of a floating dtype.
_BITS: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.float32): np.dtype(np.int32),
    np.dtype(np.float64): np.dtype(np.int64),
}

# Below this many elements the calls cost more than the branches.
SMALLEST_MASKED = 1 << 13


# NumPy's iterators over index arrays have room for so many.
MOST_DIMENSIONS_ADDED_AT = 32

# Elements from which places of one number are added at faster than those of several (1,000 by 1,000: 51 ms, 26 ms) and
# than rows (20,000 rows of 16: 3.0 ms, 0.8 ms).
SMALLEST_FLAT = 1 << 11


def _mask(condition: Array, bits: np.dtype[Any]) -> Array:
    """All bits set where the condition is true, none elsewhere."""
    mask: Array = condition.astype(bits)
    np.negative(mask, mask)
    return mask


def add_at(out: Array, index: Any, values: Any) -> None:
    """``np.add.at(out, index, values)``, which ends the process with arrays of more than 32 dimensions (NumPy 2.4)."""
    if out.ndim <= MOST_DIMENSIONS_ADDED_AT:
        if out.ndim > 1 and np.size(values) >= SMALLEST_FLAT and out.flags.c_contiguous and _are_places(index):
            # Numbers, or rows of all that the axes without an index hold.
            axes = len(index)
            places = np.ravel_multi_index(index, out.shape[:axes], mode="wrap")
            if axes < out.ndim:
                row = prod(out.shape[axes:])
                places = places[..., None] * row + np.arange(row)
            rows = np.broadcast_to(values, (*places.shape[: places.ndim - (axes < out.ndim)], *out.shape[axes:]))
            np.add.at(out.reshape(-1), places.reshape(-1), rows.reshape(-1))
            return
        np.add.at(out, index, values)
        return
    places = np.arange(out.size).reshape(out.shape)[index]
    flat = out.reshape(-1)
    np.add.at(flat, places.reshape(-1), np.broadcast_to(values, places.shape).reshape(-1))
    out[...] = flat.reshape(out.shape)


def _are_places(index: Any) -> bool:
    return all(np.asarray(i).dtype.kind in "iu" for i in index)


def choose(condition: Array, x: Any, y: Any, out: Array) -> None:
    """``out[...] = where(condition, x, y)``."""
    bits = _BITS.get(out.dtype)
    np.copyto(out, y)
    # (A condition of no dimensions may be a bool.)
    if bits is None or out.size < SMALLEST_MASKED or not np.ndim(condition):
        np.copyto(out, x, where=condition)
        return
    target = out.view(bits)
    # y ^ ((y ^ x) & mask) is x where the mask is set.
    difference = np.bitwise_xor(target, np.asarray(x, out.dtype).view(bits))
    np.bitwise_and(difference, _mask(condition, bits), difference)
    np.bitwise_xor(target, difference, target)


def masked_product(ct: Array, factor: Any, out: Array) -> None:
    """``out[...] = ct * factor``, and 0 where ``ct`` is 0, whatever the factor is there."""
    np.multiply(ct, factor, out)
    # Only a factor of inf or NaN makes a zero something else, and the sum of squares shows that: 0.4 us for 56
    # elements, where a mask takes 1.3. It may also overflow, which costs no more than the mask. (Of many elements in
    # rows: from 10,000 on BLAS has threads of its own, which those of 32 callers wait for.)
    total = np.vdot(out, out) if out.size <= SMALLEST_MASKED else inner(out, out)
    if isfinite(total.real):
        return
    bits = _BITS.get(out.dtype)
    if bits is None or out.size < SMALLEST_MASKED:
        np.copyto(out, 0, where=np.equal(ct, 0))
        return
    target = out.view(bits)
    np.bitwise_and(target, _mask(np.not_equal(ct, 0), bits), target)


@apart
def _exponential(x: Any, out: Array | None) -> Any:
    with np.errstate(over="ignore"):
        return np.exp(x, out)


def logistic(x: Any, out: Array | None = None) -> Any:
    """1 / (1 + exp(-x)); 0 where exp(-x) overflows."""
    exponential = _exponential(np.negative(x, out), out)
    return np.divide(1, np.add(1, exponential, out), out)


def least_tanh_slope(dtype: np.dtype[Any]) -> float:
    """Where 1 - tanh^2 is not more than this, it has lost eight bits; three in half precision."""
    return 2.0**-8 if dtype.itemsize > 2 else 2.0**-3


# Up to so many elements are found one by one: in 16,384 truth values NumPy takes 7 us, `bytes.find` less than one.
FEW = 32

# More are computed in parts, which take little memory.
MOST_AT_ONCE = 1 << 13


def exact_tanh_slope(slope: Array, x: Any) -> None:
    """1 / cosh(x)^2 where ``slope``, computed as 1 - tanh^2, has lost digits: a few elements, most often."""
    lost = slope <= least_tanh_slope(slope.dtype)
    places: Any
    if x.shape == slope.shape and slope.flags.c_contiguous and lost.flags.c_contiguous:
        slope, x = slope.reshape(-1), x.reshape(-1)
        places = _true_places(lost)
    else:
        x = np.broadcast_to(x, slope.shape)
        places = lost
    if places is lost or len(places) <= MOST_AT_ONCE:
        _set_tanh_slope(slope, x, places)
    else:
        for start in range(0, len(places), MOST_AT_ONCE):
            _set_tanh_slope(slope, x, places[start : start + MOST_AT_ONCE])


def _set_tanh_slope(slope: Array, x: Array, places: Any) -> None:
    # cosh(x) is (1 + e) / (2 sqrt(e)).
    e = np.exp(-2 * np.absolute(x[places]))
    slope[places] = 4 * (e / np.square(1 + e))


def _true_places(truth: Array) -> Any:
    """Where the elements of a contiguous boolean array are that are true."""
    content = truth.tobytes()
    if content.count(1) > FEW:
        return np.flatnonzero(truth)
    places = []
    place = content.find(1)
    while place >= 0:
        places.append(place)
        place = content.find(1, place + 1)
    return np.array(places, np.intp)


def tanh_slope(tanh: Any, x: Any) -> Any:
    """1 / cosh(x)^2, given tanh(x)."""
    slope = np.asarray(np.square(tanh))
    np.subtract(1, slope, out=slope)
    exact_tanh_slope(slope, np.asarray(x))
    return slope


# From this many elements on, eight vectorised calls cost less than NumPy's logaddexp, which is 13 ns an element.
SMALLEST_LOGADDEXP = 1 << 9

_ZERO = np.array(0.0, np.float16)


@apart
def _distance(x: Any, y: Any, dtype: np.dtype[Any]) -> Array:
    with np.errstate(invalid="ignore"):
        return np.subtract(x, y, dtype=dtype)  # type: ignore[no-any-return]


def log_add_exp(x: Any, y: Any, out: Array) -> None:
    """``out[...] = logaddexp(x, y)`` by NumPy's formula, the greater + log1p(exp(-|x - y|)); 1 to 2 ns an element."""
    distance = _distance(x, y, out.dtype)
    np.absolute(distance, distance)
    # Equal infinities have no distance, but are their own maximum; so is NaN.
    np.fmax(distance, _ZERO, out=distance)
    np.negative(distance, distance)
    np.exp(distance, distance)
    np.log1p(distance, distance)
    np.maximum(x, y, out=out)
    np.add(out, distance, out)


# Sums of products up to this length are one call of the BLAS, which adds up in 8 to 32 lanes: for longer ones the
# errors grow (200,000 products in float64: 1.4 units in the last place of the sum of magnitudes, NumPy's sum 0.3).
LONGEST_INNER = 1 << 11
_ROW = 1 << 10


def inner(x: Array, y: Array) -> Any:
    """The sum of ``x * y``, by rows that are added up in pairs, as accurate as NumPy's sum of the products."""
    x, y = x.reshape(-1), y.reshape(-1)
    if x.size <= LONGEST_INNER:
        return np.vdot(x, y)
    whole = x.size - x.size % _ROW
    total = np.add.reduce(np.vecdot(x[:whole].reshape(-1, _ROW), y[:whole].reshape(-1, _ROW)))
    return total if whole == x.size else total + np.vdot(x[whole:], y[whole:])
