"""Every recorded function in every dtype: shape, dtype and value are NumPy's, recorded, computed and traced.

Where NumPy raises, this library raises an error of its own that is of the same class. A share of all calls is made, the
same ones each time; with SWEEP=all in the environment all of them are, which takes some minutes.
"""

from __future__ import annotations

import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autodiff as ad

from . import checks
from .case import Case
from .dtype_calls import ARRANGING, ELEMENTWISE, PAIRWISE, REDUCTIONS
from .table import CASES

SHARE = 1 if os.environ.get("SWEEP") == "all" else 29

DTYPES = ["?", "i1", "u1", "i4", "i8", "u8", "f2", "f4", "f8", "g", "F", "D"]
SHAPES: list[tuple[int, ...]] = [(), (1,), (0,), (3,), (2, 3), (1, 1), (3, 0), (1, 3)]
PAIRS = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 3), (3, 2)),
    ((1,), (1,)),
    ((0,), (1,)),
    ((), (1,)),
    ((2, 1), (3,)),
]
# What is trimmed by its values is not while a function is traced.
TRIMMED = re.compile(r"(poly(mul|div|add|sub)?|roots)\(")
# Each element of these is as accurate as the largest of the result.
WHOLE = re.compile(r"(svd|eigh|qr|pinv|lstsq|solve|inv)\(")
BUILTINS = (IndexError, ZeroDivisionError, OverflowError, TypeError, ValueError, NotImplementedError)

# What this library refuses though NumPy has an answer, or answers in another class, and why.
DIFFERENT = {
    r"^average.*weights": "NumPy looks at the sum of the weights, and calls weights that do not fit a TypeError",
    r"initial=-1, where": "two things are wrong, and which is found first differs",
    r"^full\(": "without like= NumPy asks nobody, and with it it takes no array",
    r"^where\((mask, x, )?(300|-1)\b": "NumPy refuses numbers that do not fit from 2.5 on, and wrapped them before",
    r"^cross": "NumPy deprecates vectors of two components",
    r"^np\.(divide|power|exp|sin)\.at\(.* of \[\('(bool|u?int)": "floats do not go into integers, as elsewhere",
    r"^np\.negative\.at.*bool.*\(1, 1\)|reduceat.* of \[\('(bool|complex\d+)', \(1,\)": "two things are wrong, too",
    r"^np\.logaddexp\.at\(.*complex": "of no elements nothing is computed, whatever their dtype",
    r"^gradient\(u\[4,1\], u\[4\]\).* \(1,": "what NumPy says of too few samples is an accident, too",
    r"^gradient\(.* of \[\('bool'": "NumPy looks at samples first, and subtracts no booleans but by coordinates",
    r"^apply_over_axes\(<lambda>.*bool": "the power of booleans, too",
    r"^interp\(.*complex": "NumPy drops imaginary parts of places in some calls, and refuses them in others",
    r"^tensordot|^array_split|^split|^roll": "NumPy's own class of error is an accident of its Python code",
    r"^Tensor.__(float|int|complex|index|pow)__": "Python's protocols, and ndarray's own power of booleans",
    r"^(append|hstack)\(x, nan": "lists beside arrays are arrays",
    r"^Tensor.(real|imag)\(.*complex\d+'.*complex\d+'": "complex numbers do not go into real ones, as elsewhere",
    r"^polyfit.*(\(1,( 1)?\)\)|complex)": "other lengths are NumPy's TypeError, and so are complex weights",
    r"^polydiv\(.*complex64": "what rounding leaves at the front is within NumPy's threshold here, and beyond it there",
    r"^(i0|interp)\(.*float128": "SciPy has no i0 of long doubles, and NumPy no interpolation",
    r"^(obl|pro)_": "some of SciPy's do not end in single precision",
    r"^ldexp": "NumPy has no loops for some of its scalars",
    r"^linalg|^norm": "NumPy's check of axes differs",
    r"^bdtr.* of \[\('(u?int8|float16|float32)'": "SciPy's own warning, wherever it computes in single precision",
    r"^(lu|fiedler|expm_frechet)\(.*\(1, 1?\)": "SciPy's dtypes and digits of one element are others",
    r"^entropy\(f\[0|^logpdf\(u\[2": "SciPy looks at values and shapes of parameters in another way",
    r"^(Tensor.)?choose": "choices that nobody knows yet are positions, found out of range when read",
    r"^(nan)?(quantile|percentile)\(s.*u\[": "so are quantiles",
    r"^hist.*complex": "complex numbers are in no bins here",
    r"^histogram.*weights=c.*bool": "so are sums of weights that are booleans",
    r"^cov": "NumPy's own classes of errors; weights are real, and of double precision",
    r"^eig(vals)?\(": "NumPy gives real numbers if all values are real",
    r"^stack\(.*dtype=.* of \[\('complex\d+', \(1,\)\)": "two things are wrong, and which is found first differs",
    r"^pinv\(.*, None\) of \[\('(bool|u?int)": "NumPy asks for the precision of whole numbers, which have none",
    r"^lstsq\(.* of \[\('bool'": "NumPy gives no residuals where the rank is not full; here they are NaN",
    r"^cond\(.*'nuc'\) of \[\('bool'": "NumPy inverts a singular matrix, and takes norms of NaN",
}

VERSION = np.lib.NumpyVersion(np.__version__)
if VERSION < "2.3.0":
    DIFFERENT[r"^cond\(.* of \[\('complex"] = "NumPy gives complex numbers for norms before 2.3"
if VERSION < "2.1.0":
    DIFFERENT[r"^clip\(x, None, None|^clip\(x, 0, 300|^full_like\(x, (-1|1099511627776)\)"] = (
        "NumPy clips without bounds, and looks at numbers that do not fit into what is empty, from 2.1 on"
    )


def drawn(dtype: str, shape: tuple[int, ...], seed: str) -> np.ndarray:
    """Small numbers, with zeros and ties, that every operation can be exact with."""
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    kind = np.dtype(dtype).kind
    if kind == "c":
        return (rng.integers(-6, 7, shape) / 2 + 1j * rng.integers(-6, 7, shape) / 2).astype(dtype)
    low = {"b": 0, "u": 0}.get(kind, -4)
    whole = rng.integers(low, 2 if kind == "b" else 6, shape)
    return np.asarray(whole / 2 if kind == "f" else whole).astype(dtype)


def recast(array: np.ndarray, dtype: str, single: bool) -> np.ndarray:
    """An argument of the conformance table in another dtype; its first element only, if asked for."""
    array = array[(slice(0, 1),) * array.ndim] if single else array
    if array.dtype.kind in "ib":
        return array
    kind = np.dtype(dtype).kind
    if kind in "biu":
        array = np.round(array.real * 3)
        return (np.abs(array) if kind == "u" else array).astype(dtype)
    return (array.real if kind == "f" else array).astype(dtype)


def tensor(array: np.ndarray) -> ad.Tensor:
    return ad.Tensor(array, constant=array.dtype.kind in "iub", copy=False)


def outcome(function: Callable[..., Any], arguments: list[Any]) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return [checks.leaves(function(*arguments)), None]
        except Exception as error:
            return [None, error]


def differs(got: Any, expected: Any, whole: bool) -> str | None:
    """What is wrong with a result, if anything is."""
    if isinstance(got, ad.Tensor):
        recorded = (got.dtype, got.shape)
        if recorded != (np.asarray(expected).dtype, np.shape(expected)):
            return f"recorded as {recorded} for {np.asarray(expected).dtype} {np.shape(expected)}"
        got = got.value
    got, expected = np.asarray(got), np.asarray(expected)
    if (got.dtype, got.shape) != (expected.dtype, expected.shape):
        return f"computed as {got.dtype} {got.shape} for {expected.dtype} {expected.shape}"
    if expected.dtype.kind not in "fc":
        return None if np.array_equal(got, expected) else f"{got.tolist()} for {expected.tolist()}"
    # Sums of half precision depend on the order of additions.
    eps = float(np.finfo(expected.dtype).eps)
    atol = 64 * eps * np.max(np.abs(expected), initial=0.0) if whole else 16 * eps
    same = np.allclose(got.astype("G"), expected.astype("G"), rtol=64 * eps, atol=atol, equal_nan=True)
    return None if same else f"{got.tolist()} for {expected.tolist()}"


def verdict(function: Callable[..., Any], arrays: list[np.ndarray], traced: bool, whole: bool = False) -> str | None:
    """What is wrong with a call, if anything is."""
    expected, numpys = outcome(function, [a.copy() for a in arrays])
    arguments = arrays if traced else [tensor(a) for a in arrays]
    got, own = outcome(ad.function(function) if traced else function, arguments)
    if own is None and numpys is None:
        with np.errstate(all="ignore"):
            if len(got) != len(expected):
                return f"{len(got)} results for {len(expected)}"
            try:
                return next(filter(None, [differs(g, e, whole) for g, e in zip(got, expected)]), None)
            except Exception as error:
                own = error
    elif own is None:
        return accepted(got, numpys)
    if isinstance(own, ad.errors.UnsupportedError):
        return None
    if not isinstance(own, (ad.errors.AutodiffError, np.linalg.LinAlgError)):
        return f"a foreign {type(own).__name__}: {own}"
    if traced and "is traced" in str(own).replace("traces", "is traced"):
        return None
    if numpys is None and "with out=" in str(own):
        return None  # what goes into a Tensor must be of its dtype
    if numpys is None:
        return f"refused: {own}"
    same = any(isinstance(own, builtin) and isinstance(numpys, builtin) for builtin in BUILTINS)
    return None if same else f"{type(own).__name__} {own} for {type(numpys).__name__} {numpys}"


def accepted(results: list[Any], numpys: Exception) -> str | None:
    """What is wrong with results where NumPy raises: they may be errors only when somebody looks."""
    try:
        values = [np.asarray(r) for r in results]
    except (ad.errors.AutodiffError, np.linalg.LinAlgError) as error:
        same = any(isinstance(error, builtin) and isinstance(numpys, builtin) for builtin in BUILTINS)
        return None if same else f"{type(error).__name__} {error} for {type(numpys).__name__} {numpys}"
    return f"gives {[v.tolist() for v in values]} where NumPy raises {type(numpys).__name__}: {numpys}"


def chosen(*words: Any) -> bool:
    """Whether a call is in the share that is made."""
    return zlib.crc32(repr(words).encode()) % SHARE == 0


def sweep(calls: Iterator[tuple[str, Callable[..., Any], list[np.ndarray]]]) -> None:
    wrong = []
    count = 0
    for name, function, arrays in calls:
        call = f"{name} of {[(a.dtype.name, a.shape) for a in arrays]}"
        if any(re.search(pattern, call) for pattern in DIFFERENT):
            continue
        count += 1
        for traced in (False,) if TRIMMED.match(name) else (False, True):
            found = verdict(function, arrays, traced, WHOLE.match(name) is not None)
            if found is not None:
                wrong.append(f"{call}{', traced' if traced else ''}: {found}")
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong[:20])
    assert count


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("group", [REDUCTIONS, ARRANGING, ELEMENTWISE], ids=["reductions", "arranging", "elementwise"])
def test_calls_on_one_array(group: dict[str, Callable[..., Any]], dtype: str) -> None:
    sweep(
        (name, function, [drawn(dtype, shape, name)])
        for name, function in group.items()
        for shape in SHAPES
        if chosen(name, dtype, shape)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_calls_on_two_arrays(dtype: str) -> None:
    sweep(
        (name, function, [drawn(dtype, shapes[0], name), drawn(other, shapes[1], name + other)])
        for name, function in PAIRWISE.items()
        for other in DTYPES
        for shapes in PAIRS
        if chosen(name, dtype, other, shapes)
    )


def keeps(case: Case, dtype: str) -> bool:
    """Whether there is a rule: SciPy's functions differ in what they compute other numbers than doubles in."""
    own = getattr(case.covers[0], "__module__", None) or ""
    return not own.startswith("scipy.") or dtype == "f8"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_conformance_table_in_every_dtype(dtype: str) -> None:
    sweep(
        (case.name, case, [recast(a, dtype, single) for a in case.arrays()])
        for case in CASES
        for single in (False, True)
        if case.draws and keeps(case, dtype) and chosen(case.name, dtype, single)
    )


LAYOUTS = {
    "reversed": lambda a: np.flip(a.copy()).copy()[(slice(None, None, -1),) * a.ndim],
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "transposed": lambda a: a.T.copy().T,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape) if a.ndim and a.size else a,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_calls_on_arrays_of_any_layout(layout: str) -> None:
    sweep(
        (name, function, [LAYOUTS[layout](drawn(dtype, shape, name))])
        for name, function in {**REDUCTIONS, **ARRANGING}.items()
        for dtype in ("i8", "f4", "f8")
        for shape in ((3,), (2, 3))
        if chosen(name, layout, dtype, shape)
    )
