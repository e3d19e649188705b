"""Numbers of all magnitudes, and how two of them are compared."""

import numpy as np


def wild(rng, shape, dtype):
    """Numbers of all magnitudes: normal ones of each exponent, subnormal ones, the ends, zeros, infinities and NaN."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        return np.where(rng.random(shape) < 0.3, rng.integers(0, 4, shape), values).astype(dtype)
    if dtype.kind == "c":
        real = np.dtype(f"f{dtype.itemsize // 2}")
        return _paired(rng, shape, real)
    info = np.finfo(dtype)
    exponents = rng.integers(info.minexp - info.nmant, info.maxexp, shape)
    near = rng.random(shape) < 0.4
    exponents = np.where(near, rng.integers(-4, 5, shape), exponents)
    with np.errstate(all="ignore"):
        wide = np.longdouble if dtype.itemsize > 8 else np.float64
        values = np.ldexp(rng.uniform(1, 2, shape).astype(wide), exponents).astype(dtype)
    ends = np.array(
        [0, -0.0, np.inf, -np.inf, np.nan, info.max, info.smallest_normal, info.smallest_subnormal, 1, info.eps], dtype
    )
    values = np.where(rng.random(shape) < 0.15, rng.choice(ends, shape), values)
    return np.where(rng.random(shape) < 0.5, -values, values).astype(dtype)


def _paired(rng, shape, real):
    """Complex numbers of two wild parts."""
    out = np.empty(shape, np.result_type(real, np.complex64))
    out.real, out.imag = wild(rng, shape, real), wild(rng, shape, real)
    return out


def same_bits(first, second):
    """Where two arrays are the same: bits, any NaN being any other."""
    first, second = np.asarray(first), np.asarray(second)
    if first.dtype.kind == "c":
        return same_bits(first.real, second.real) & same_bits(first.imag, second.imag)
    if first.dtype.kind != "f":
        return first == second
    return ((first == second) & (np.signbit(first) == np.signbit(second))) | (np.isnan(first) & np.isnan(second))
