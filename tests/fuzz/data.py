"""Where numbers come from: over the whole range of each dtype, or of ordinary size and away from kinks."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

FLOATS = ["float64"] * 12 + ["float32"] * 4 + ["float16"] * 2
COMPLEX = ["complex128"] * 3 + ["complex64"]
INTEGERS = ["int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"]
SHAPES = [
    (),
    (1,),
    (3,),
    (4,),
    (2, 3),
    (3, 2),
    (1, 3),
    (3, 1),
    (3, 3),
    (2, 1, 3),
    (2, 3, 2),
    (0,),
    (2, 0),
    (5,),
    (4, 3),
]

# Python numbers of which products leave the range of some dtype, signs of zero, weak integers of every size.
WHOLE = [
    0,
    1,
    -1,
    2,
    3,
    -2,
    5,
    10,
    64,
    65,
    -65,
    127,
    255,
    300,
    10**9,
    10**10,
    2**31,
    2**32,
    2**53,
    10**19,
    2**63,
    -(2**63),
]
REAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.7, 0.1, -2.5, 300.0, 1e-3, 1e-10, 1e10, 1e-25, 1e38, 1e200, 1e-200, 1e308]
REAL += [5e-324, 1e-45, 65504.0, float("inf"), float("-inf"), float("nan")]
TAME_REAL = [0.5, 2.0, -1.5, 0.3, 1.0, -0.7, 1.7, 3.0, 0.1]
COMPLEXES = [1j, 1 + 0j, -1 - 0j, complex(-1.0, 0.0), 0.5 - 2j, complex(0.0, -0.0), 1e200j]
SCALARS = ["float64", "float32", "float16", "int64", "int8", "uint8", "complex64", "bool"]


def dtype(rng: random.Random, tame: bool) -> np.dtype[Any]:
    kind = rng.random()
    if kind < (0.78 if tame else 0.72):
        names = FLOATS[:15] if tame else FLOATS
    elif kind < 0.87:
        names = COMPLEX
    elif kind < 0.96:
        names = INTEGERS
    else:
        names = ["bool"]
    return np.dtype(rng.choice(names))


def array(rng: random.Random, shape: tuple[int, ...], kind: np.dtype[Any], tame: bool) -> np.ndarray:
    """Numbers of one dtype: each array has one style, and some have a few odd elements."""
    size = int(np.prod(shape))
    if kind.kind == "b":
        return np.array([rng.random() < 0.6 for _ in range(size)], bool).reshape(shape)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        wide = not tame and rng.random() < 0.3
        low, high = (int(limits.min), int(limits.max)) if wide else (max(int(limits.min), -4), 6)
        return np.array([rng.randint(low, high) for _ in range(size)], kind).reshape(shape)
    if kind.kind == "c":
        part = np.dtype(f"f{kind.itemsize // 2}")
        return np.asarray(array(rng, shape, part, tame) + 1j * array(rng, shape, part, tame)).astype(kind)
    if tame:
        found = [rng.choice([-1, 1]) * rng.uniform(0.2, 1.6) for _ in range(size)]
        return np.array(found, kind).reshape(shape)
    style = rng.random()
    info = np.finfo(kind)
    if style < 0.35:
        found = [rng.gauss(0, 1.5) for _ in range(size)]
    elif style < 0.5:
        found = [float(rng.randint(-3, 3)) for _ in range(size)]
    elif style < 0.75:
        low, high = np.log10(float(info.smallest_subnormal)), np.log10(float(info.max))
        found = [rng.choice([-1, 1]) * 10 ** rng.uniform(low, high - 0.01) for _ in range(size)]
    else:
        centre = rng.uniform(np.log10(float(info.tiny)), np.log10(float(info.max)) - 0.5)
        found = [rng.choice([-1, 1]) * 10**centre * rng.uniform(0.5, 2) for _ in range(size)]
    with np.errstate(all="ignore"):
        result = np.array(found, kind)
    if rng.random() < 0.3:
        odd = [0.0, -0.0, 1.0, info.tiny, info.smallest_subnormal, info.max, -info.max, np.inf, -np.inf, np.nan]
        for i in range(size):
            if rng.random() < 0.3:
                result[i] = rng.choice(odd if rng.random() < 0.4 else odd[:7])
    return result.reshape(shape)


def number(rng: random.Random, tame: bool) -> Any:
    """A number that is no array: Python's, or a scalar of NumPy's."""
    kind = rng.random()
    if tame:
        if kind < 0.35:
            return rng.choice([1, 2, 3, -1, 4, -2])
        return (
            rng.choice(TAME_REAL)
            if kind < 0.9
            else np.dtype(rng.choice(["float64", "float32"])).type(rng.choice(TAME_REAL))
        )
    if kind < 0.35:
        return rng.choice(WHOLE[:12] if rng.random() < 0.6 else WHOLE)
    if kind < 0.75:
        return rng.choice(REAL)
    if kind < 0.82:
        return rng.choice(COMPLEXES)
    if kind < 0.85:
        return rng.random() < 0.5
    scalar = np.dtype(rng.choice(SCALARS))
    return array(rng, (1,), scalar, False)[0]
