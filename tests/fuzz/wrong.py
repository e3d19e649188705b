"""Wrong calls by the thousand: each function, each of its arguments, each value that it may not be made for.

What NumPy says to the same call with arrays is what a call is held against: where NumPy raises, so must we, in an error
of this library, at once; where both compute, the numbers are the same. We may refuse more.
"""

from __future__ import annotations

import inspect
import operator
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from autodiff.dispatch import FUNCTIONS

OURS = str(Path(ad.__file__).parent)


class Array(NamedTuple):
    """An array argument: NumPy's, or a Tensor of the same numbers."""

    shape: tuple[int, ...]
    dtype: str = "f8"

    def made(self, tensor: bool) -> Any:
        array = np.arange(np.prod(self.shape, dtype=int)).reshape(self.shape) / 2 + 0.5
        array = array.astype(self.dtype)
        return ad.Tensor(array, dtype=array.dtype, constant=array.dtype.kind in "biu") if tensor else array


V, M, S, C, I = Array((3,)), Array((2, 3)), Array((3, 3)), Array((2, 3, 4)), Array((3,), "i8")
MASK = np.array([True, False, True])
# A matrix that has an inverse, and a triangular factor.
R = P = Array((1, 1))

REDUCED: dict[str, Any] = {"a": M, "axis": 0, "keepdims": False, "where": True}
SUMMED: dict[str, Any] = {**REDUCED, "dtype": float, "initial": 0.0}
LIKE: dict[str, Any] = {"dtype": float, "order": "K", "subok": True, "shape": (2,)}
JOINED: dict[str, Any] = {"dtype": float, "casting": "same_kind"}
UFUNC: dict[str, Any] = {"dtype": float, "casting": "same_kind", "order": "K", "where": True}

# Function -> calls that are right: arguments by name, those by position under "*".
CALLS: dict[str, list[dict[str, Any]]] = {
    "sum": [SUMMED],
    "prod": [SUMMED],
    "mean": [{**REDUCED, "dtype": float}],
    "var": [{**REDUCED, "dtype": float, "ddof": 0}, {"a": M, "correction": 1}, {"a": M, "mean": np.ones(3)}],
    "std": [{**REDUCED, "dtype": float, "ddof": 0}, {"a": M, "correction": 1}],
    "max": [{**REDUCED, "initial": 0.0}],
    "min": [{**REDUCED, "initial": 0.0}],
    "ptp": [{"a": M, "axis": 0, "keepdims": False}],
    "all": [REDUCED],
    "any": [REDUCED],
    "argmax": [{"a": M, "axis": 0, "keepdims": False}],
    "argmin": [{"a": M, "axis": 0, "keepdims": False}],
    "count_nonzero": [{"a": M, "axis": 0, "keepdims": False}],
    "cumsum": [{"a": M, "axis": 0, "dtype": float}],
    "cumprod": [{"a": M, "axis": 0, "dtype": float}],
    "cumulative_sum": [{"x": M, "axis": 0, "dtype": float, "include_initial": False}],
    "cumulative_prod": [{"x": M, "axis": 0, "dtype": float, "include_initial": False}],
    "average": [{"a": M, "axis": 0, "weights": np.ones(2), "returned": False, "keepdims": False}],
    "reshape": [{"a": M, "shape": (3, 2), "order": "C"}],
    "ravel": [{"a": M, "order": "C"}],
    "transpose": [{"a": M, "axes": (1, 0)}],
    "permute_dims": [{"a": M, "axes": (1, 0)}],
    "swapaxes": [{"a": M, "axis1": 0, "axis2": 1}],
    "moveaxis": [{"a": M, "source": 0, "destination": 1}, {"a": M, "source": (0,), "destination": [1]}],
    "rollaxis": [{"a": M, "axis": 1, "start": 0}],
    "expand_dims": [{"a": M, "axis": 0}],
    "squeeze": [{"a": Array((1, 3, 1)), "axis": 0}],
    "broadcast_to": [{"array": V, "shape": (2, 3), "subok": False}],
    "broadcast_arrays": [{"*": (V, M)}],
    "atleast_1d": [{"*": (V,)}],
    "atleast_2d": [{"*": (V, M)}],
    "atleast_3d": [{"*": (V,)}],
    "concatenate": [{"arrays": [M, M], "axis": 0, **JOINED}, {"arrays": [M, M]}],
    "stack": [{"arrays": [M, M], "axis": 0, **JOINED}, {"arrays": [M, M]}],
    "vstack": [{"tup": [M, M], **JOINED}],
    "hstack": [{"tup": [M, M], **JOINED}],
    "dstack": [{"tup": [M, M]}],
    "column_stack": [{"tup": [V, V]}],
    "append": [{"arr": M, "values": M, "axis": 0}],
    "split": [{"ary": C, "indices_or_sections": 2, "axis": 2}],
    "array_split": [{"ary": C, "indices_or_sections": 3, "axis": 2}],
    "hsplit": [{"ary": C, "indices_or_sections": 3}],
    "vsplit": [{"ary": C, "indices_or_sections": 2}],
    "dsplit": [{"ary": C, "indices_or_sections": 2}],
    "rot90": [{"m": M, "k": 1, "axes": (0, 1)}],
    "diff": [{"a": M, "n": 1, "axis": -1, "prepend": 0.0, "append": 1.0}, {"a": M, "n": 1}],
    "meshgrid": [{"*": (V, V), "sparse": False, "indexing": "xy"}],
    "pad": [
        {"array": M, "pad_width": 1, "mode": "constant", "constant_values": 0.0},
        {"array": M, "pad_width": 1, "mode": "edge"},
        {"array": M, "pad_width": 1, "mode": "wrap"},
    ],
    "flip": [{"m": M, "axis": 0}],
    "fliplr": [{"m": M}],
    "flipud": [{"m": M}],
    "roll": [{"a": M, "shift": 1, "axis": 0}, {"a": M, "shift": 1}],
    "lib.stride_tricks.sliding_window_view": [{"x": M, "window_shape": 2, "axis": 1, "subok": False}],
    "tile": [{"A": M, "reps": (2, 1)}],
    "repeat": [{"a": M, "repeats": 2, "axis": 1}, {"a": M, "repeats": [1, 2, 1], "axis": 1}],
    "matrix_transpose": [{"x": M}],
    "take": [{"a": M, "indices": [0, 1], "axis": 1, "mode": mode} for mode in ("raise", "clip")],
    "diagonal": [{"a": C, "offset": 0, "axis1": 0, "axis2": 1}],
    "trace": [{"a": C, "offset": 0, "axis1": 0, "axis2": 1, "dtype": float}],
    "diag": [{"v": V, "k": 0}, {"v": M, "k": 0}],
    "tril": [{"m": M, "k": 0}],
    "triu": [{"m": M, "k": 0}],
    "where": [{"condition": MASK, "x": V, "y": V}],
    "nonzero": [{"a": V}],
    "clip": [{"a": M, "a_min": 0.0, "a_max": 1.0}],
    "nan_to_num": [{"x": M, "nan": 0.0, "posinf": 1.0, "neginf": -1.0}],
    "compress": [{"condition": MASK, "a": M, "axis": 1}],
    "extract": [{"condition": MASK, "arr": V}],
    "select": [{"condlist": [MASK], "choicelist": [V], "default": 0}],
    "take_along_axis": [{"arr": M, "indices": np.array([[0, 1, 2]]), "axis": 1}],
    "round": [{"a": M, "decimals": 0}, {"a": M, "decimals": 2}],
    "real": [{"val": M}],
    "imag": [{"val": M}],
    "angle": [{"z": M, "deg": False}],
    "sinc": [{"x": M}],
    "copy": [{"a": M, "order": "K", "subok": False}],
    "zeros_like": [{"a": M, **LIKE}],
    "ones_like": [{"a": M, **LIKE}],
    "full_like": [{"a": M, "fill_value": 1.0, **LIKE}, {"a": I, "fill_value": 1}],
    "astype": [{"x": M, "dtype": float}],
    "dot": [{"a": M, "b": V}],
    "vdot": [{"a": V, "b": V}],
    "inner": [{"a": V, "b": V}],
    "outer": [{"a": V, "b": V}],
    "tensordot": [{"a": S, "b": S, "axes": 1}, {"a": S, "b": S, "axes": ((0,), (1,))}],
    "einsum": [
        {"*": ("ij,j->i", M, V), "optimize": False},
        {"*": ("ij,j->i", M, V), "dtype": float, "casting": "safe", "order": "K"},
        {"*": (M, [0, 1], V, [1], [0])},
    ],
    "kron": [{"a": M, "b": V}],
    "linalg.solve": [{"a": Array((1, 1)), "b": Array((1,))}],
    "cross": [{"a": V, "b": V, "axisa": -1, "axisb": -1, "axisc": -1}, {"a": S, "b": S, "axis": 1}],
    "linalg.norm": [{"x": M, "ord": 1, "axis": 0, "keepdims": False}, {"x": M, "ord": 1, "axis": (0, 1)}],
    **{f"linalg.{name}": [{"a": R}] for name in ("inv", "det", "slogdet", "eig", "eigvals", "tensorinv")},
    **{f"linalg.{name}": [{"a": P, "UPLO": "L"}] for name in ("eigh", "eigvalsh")},
    "linalg.cholesky": [{"a": P, "upper": False}],
    "linalg.qr": [{"a": S, "mode": "r"}],
    "linalg.svd": [{"a": S, "compute_uv": False}],
    "linalg.pinv": [{"a": P, "rcond": 1e-10}],
    "linalg.lstsq": [{"a": R, "b": Array((1,)), "rcond": None}],
    "linalg.cond": [{"x": R, "p": 1}],
    "linalg.matrix_power": [{"a": R, "n": 2}],
    "linalg.matrix_rank": [{"A": P, "tol": None}],
    "linalg.multi_dot": [{"arrays": [P, P]}],
    "linalg.vector_norm": [{"x": M, "axis": 0, "keepdims": False, "ord": 2}],
    "linalg.matrix_norm": [{"x": M, "keepdims": False, "ord": 1}],
    **{f"fft.{name}": [{"a": V, "n": 4, "axis": -1, "norm": None}] for name in ("fft", "ifft", "rfft", "irfft")},
    **{
        f"fft.{name}": [{"a": M, "s": None, "axes": (0, 1), "norm": None}]
        for name in ("fft2", "ifft2", "fftn", "rfftn")
    },
    **{f"fft.{name}": [{"x": M, "axes": 0}] for name in ("fftshift", "ifftshift")},
    "shape": [{"a": M}],
    "size": [{"a": M, "axis": 0}],
    "allclose": [{"a": V, "b": V, "rtol": 1e-5, "atol": 1e-8, "equal_nan": False}],
    "sort": [{"a": M, "axis": -1, "kind": "stable"}, {"a": M, "stable": True}],
    "argsort": [{"a": M, "axis": -1, "kind": "stable"}],
    "partition": [{"a": V, "kth": 1, "axis": -1}],
    "lexsort": [{"keys": (V, V), "axis": -1}],
    "searchsorted": [{"a": V, "v": 1.0, "side": "left", "sorter": None}],
    "digitize": [{"x": M, "bins": np.array([0.0, 1.0, 2.0]), "right": False}],
    "median": [{"a": M, "axis": 0, "keepdims": False, "overwrite_input": False}],
    "nanmedian": [{"a": M, "axis": 0, "keepdims": False}],
    **{
        name: [{"a": M, "q": 0.5, "axis": 0, "method": "linear", "keepdims": False}]
        for name in ("quantile", "percentile", "nanquantile")
    },
    "nansum": [SUMMED],
    "nanmean": [{**REDUCED, "dtype": float}],
    "nanvar": [{**REDUCED, "dtype": float, "ddof": 0}],
    "nanmax": [{**REDUCED, "initial": 0.0}],
    "nanargmax": [{"a": M, "axis": 0, "keepdims": False}],
    "nancumsum": [{"a": M, "axis": 0, "dtype": float}],
    "unique": [{"ar": M, "return_index": True, "axis": 0, "equal_nan": True}],
    "intersect1d": [{"ar1": V, "ar2": V, "assume_unique": False, "return_indices": True}],
    "isin": [{"element": M, "test_elements": V, "invert": False, "kind": None}],
    "trim_zeros": [{"filt": V, "trim": "fb"}],
    "bincount": [{"*": (I,), "weights": V, "minlength": 4}],
    "histogram": [{"a": V, "bins": 3, "range": (0, 2), "density": False, "weights": V}],
    "histogramdd": [{"sample": M, "bins": 2, "density": False, "weights": np.ones(2)}],
    "cov": [{"m": M, "y": M, "rowvar": True, "bias": False, "ddof": 1}, {"m": M, "fweights": np.ones(3)}],
    "corrcoef": [{"x": M, "y": M, "rowvar": True}],
    "choose": [{"a": np.array([0, 1, 0]), "choices": [V, V], "mode": "raise"}],
    "result_type": [{"*": (M, float)}],
    "add": [{"*": (M, V)}, {"*": (M, V), **UFUNC}],
    "multiply": [{"*": (V, M)}],
    "power": [{"*": (V, M)}],
    "matmul": [{"*": (M, V)}],
    "sin": [{"*": (M,)}, {"*": (M,), **UFUNC}],
    "ldexp": [{"*": (V, 2)}],
    "left_shift": [{"*": (I, 2)}],
    "gcd": [{"*": (I, 2)}],
    "modf": [{"*": (V,)}],
    "arctan2": [{"*": (V, V)}],
    "isnan": [{"*": (V,)}],
    "less": [{"*": (V, M)}],
    "floor_divide": [{"*": (V, M)}],
    "divmod": [{"*": (V, 2.0)}],
    "vecdot": [{"*": (V, V)}],
    "add.reduce": [{"*": (M,), "axis": 0, "dtype": float, "keepdims": False, "initial": 0.0, "where": True}],
    "maximum.reduce": [{"*": (M,), "axis": 0, "keepdims": False, "initial": 0.0}],
    "add.accumulate": [{"*": (M,), "axis": 0, "dtype": float}],
    "add.outer": [{"*": (V, V)}],
}

_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "lt", "eq", "iadd", "imul", "ipow")
OPERATORS: dict[str, list[dict[str, Any]]] = {
    **{name: [{"*": (V, 2.0 if name != "matmul" else V)}, {"*": (V, V)}] for name in _BINARY},
    **{name: [{"*": (I, 2)}] for name in ("and_", "or_", "xor", "lshift", "rshift", "iand")},
    "getitem": [{"*": (M, (0, 1))}, {"*": (M, ([0, 1], [1, 2]))}, {"*": (V, slice(0, 2, 1))}],
}

# Functions that no call above is of: their arguments are of the same kinds.
LEFT_OUT = {
    *("amax", "amin", "array2string", "array_repr", "array_str", "array_equal", "array_equiv", "argwhere", "can_cast"),
    *("empty_like", "flatnonzero", "full", "iscomplexobj", "isclose", "isrealobj", "may_share_memory", "ndim"),
    *("save", "savez", "shares_memory"),
    *("argpartition", "sort_complex", "nanpercentile", "nanprod", "nanstd", "nanmin", "nanargmin", "nancumprod"),
    *("unique_all", "unique_counts", "unique_inverse", "unique_values", "union1d", "setdiff1d", "setxor1d"),
    *("histogram_bin_edges", "histogram2d", "piecewise"),
    *("svdvals", "tensorsolve", "hfft", "ihfft", "ifftn", "irfft2", "irfftn", "rfft2"),
    # These have their lines in tests/wrong_calls.txt.
    *("apply_along_axis", "apply_over_axes", "around", "block", "common_type", "convolve", "correlate", "delete"),
    *(
        "diag_indices_from",
        "diagflat",
        "ediff1d",
        "einsum_path",
        "fix",
        "geomspace",
        "gradient",
        "i0",
        "insert",
        "interp",
    ),
    *(
        "iscomplex",
        "isneginf",
        "isposinf",
        "isreal",
        "ix_",
        "linspace",
        "logspace",
        "min_scalar_type",
        "packbits",
        "poly",
    ),
    *("polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub", "polyval", "ravel_multi_index"),
    *("real_if_close", "resize", "roots", "savetxt", "savez_compressed", "trapezoid", "tril_indices_from"),
    *("triu_indices_from", "unpackbits", "unravel_index", "unstack", "unwrap", "vander"),
    # These write into what they are given (tests/test_writing.py).
    *("copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis"),
    # These are asked by like= (tests/test_numpy_programs.py).
    *("zeros", "ones", "empty", "eye", "identity", "tri", "arange"),
    *("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"),
}


def recursive() -> list[Any]:
    found: list[Any] = [1.0]
    found.append(found)
    return found


def nested(depth: int) -> Any:
    return 1.0 if not depth else [nested(depth - 1)]


# What an argument may not be made for. Made anew for each call, since they can be changed.
VALUES: dict[str, Callable[[bool], Any]] = {
    **{
        f"{type(value).__name__} {value!r}"[:40]: lambda tensor, value=value: value  # type: ignore[misc]
        for value in [
            None, True, False, 0, 1, -1, -5, 7, 1.0, 1.5, -1.5, float("nan"), float("inf"), 1e300, 1j, "a", "", b"a",
            (), (0, 0), (0, 1, 2), (0.5, 1.5), (None, None), ("a", "b"), slice(0, 1), Ellipsis, int, object, range(2),
            np.int64(0), np.float64(0.5), np.str_("a"), np.timedelta64(1, "s"), np.bool_(True), Fraction(1, 2),
            Decimal(1), "f4", "float64", "M8[s]", NotImplemented, ValueError("x"), np, len,
        ]
    },
    "object": lambda tensor: object(),
    "list": lambda tensor: [0, 1],
    "empty list": lambda tensor: [],
    "nested list": lambda tensor: [[0, 1], [1, 0]],
    "ragged list": lambda tensor: [[1], [1, 2]],
    "list of object": lambda tensor: [object()],
    "list of pairs": lambda tensor: [("a", float)],
    "list of itself": lambda tensor: recursive(),
    "deep list": lambda tensor: nested(300),
    "dict": lambda tensor: {"a": 1},
    "empty dict": lambda tensor: {},
    "set": lambda tensor: {1},
    "array": lambda tensor: np.array([0, 1]),
    "array of floats": lambda tensor: np.array([0.5, 1.5]),
    "array without dimensions": lambda tensor: np.array(0),
    "array of objects": lambda tensor: np.array([None, 1]),
    "array of text": lambda tensor: np.array(["a", "b"]),
    "array of dates": lambda tensor: np.array(["2020-01-01"], "M8[D]"),
    "array of another shape": lambda tensor: np.ones((5, 7)),
    "empty array": lambda tensor: np.zeros(0),
    "complex array": lambda tensor: np.array([1j]),
    "boolean array": lambda tensor: np.array([True, False]),
    "masked array": lambda tensor: np.ma.masked_array([1.0, 2.0], [True, False]),
    "number": Array(()).made,
    "vector": V.made,
    "mask": Array((3,), "?").made,
}  # fmt: skip
# NumPy is not asked about these, some of which it ends in a segmentation fault for; and none is computed.
HUGE: dict[str, Callable[[bool], Any]] = {
    "2**40": lambda tensor: 2**40,
    "2**62": lambda tensor: 2**62,
    "2**63": lambda tensor: 2**63,
    "-2**63": lambda tensor: -(2**63),
    "10**30": lambda tensor: 10**30,
    "-10**30": lambda tensor: -(10**30),
    "10**5000": lambda tensor: 10**5000,
    "pair of 10**30": lambda tensor: (10**30, 10**30),
    "pair of 2**40": lambda tensor: (2**40, 2**40),
}

# What NumPy refuses and we do not: why. Of a function and an argument, or of an argument and its value.
ACCEPTED = {
    ("keepdims", "bool np.True_"): "a truth of NumPy is a truth",
    ("subok", "bool np.True_"): "a truth of NumPy is a truth",
    ("average", "weights"): "that weights sum to zero is found out when the mean is computed, and is NaN",
    ("take_along_axis", "indices"): "a list of positions is an array, as everywhere else",
    ("tensordot", "axes"): "an array without dimensions is an integer",
}


class Wrong(NamedTuple):
    """A call with one argument replaced."""

    function: str
    arguments: dict[str, Any]
    argument: str
    place: int | None
    value: str

    def __str__(self) -> str:
        place = "" if self.place is None else f"[{self.place}]"
        return f"{self.function}: {self.argument}{place} is {self.value}"


def wrong_calls() -> Iterator[Wrong]:
    """All of them."""
    for function, calls in {**CALLS, **OPERATORS}.items():
        if called(function) is None:
            continue
        for arguments in calls:
            for argument, value in arguments.items():
                places: list[int | None] = [*range(len(value))] if type(value) in (list, tuple) else []
                if argument != "*":
                    places.append(None)
                elif function == "getitem":
                    del places[0]  # of what is no array others know
                for place in places:
                    for replacement in (*VALUES, *HUGE):
                        yield Wrong(function, arguments, argument, place, replacement)


def called(function: str) -> Callable[..., Any] | None:
    """The function of a name; None if this NumPy has it not."""
    if function in OPERATORS:
        return getattr(operator, function)  # type: ignore[no-any-return]
    try:
        return operator.attrgetter(function)(np)  # type: ignore[no-any-return]
    except AttributeError:
        return None


def result(wrong: Wrong, tensor: bool) -> Any:
    """What the call gives."""

    def made(value: Any) -> Any:
        if isinstance(value, Array):
            return value.made(tensor)
        if type(value) in (list, tuple):
            return type(value)([made(part) for part in value])
        return value.copy() if isinstance(value, np.ndarray) else value

    arguments = {name: made(value) for name, value in wrong.arguments.items()}
    replacement = {**VALUES, **HUGE}[wrong.value](tensor)
    if wrong.place is None:
        arguments[wrong.argument] = replacement
    else:
        parts = list(arguments[wrong.argument])
        parts[wrong.place] = replacement
        arguments[wrong.argument] = type(arguments[wrong.argument])(parts)
    function = called(wrong.function)
    assert function is not None
    given = arguments.pop("*", ())
    if not given:
        parameters = inspect.signature(function).parameters.values()
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in arguments]
        given = [arguments.pop(name) for name in names]
    return function(*given, **arguments)


def plain(found: Any) -> Any:
    """Values of Tensors."""
    if isinstance(found, (tuple, list)):
        return [plain(part) for part in found]
    return np.asarray(found.value) if isinstance(found, ad.Tensor) else found


def complaint(wrong: Wrong) -> str | None:
    """What is wrong with what we say to a wrong call; None if nothing is."""
    huge = wrong.value in HUGE
    expected: Any = None
    refused: Exception | None = None
    if not huge:
        try:
            expected = result(wrong, False)
        except Exception as error:
            refused = error
    try:
        found = result(wrong, True)
    except ad.AutodiffError as error:
        return f"the message is {len(str(error))} long" if len(str(error)) > 1000 else None
    except Exception as error:
        frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        # NumPy's own, from before it asked us.
        if not any(name.startswith(OURS) for name in frames):
            return None
        return f"{type(error).__name__}: {error}"[:300]
    if huge:
        return None
    try:
        value = plain(found)
    except Exception as error:
        return f"late {type(error).__name__}: {error}"[:300]
    if refused is not None:
        better = (wrong.function, wrong.argument) in ACCEPTED or (wrong.argument, wrong.value) in ACCEPTED
        return None if better or type(found) is not ad.Tensor else f"NumPy refuses it: {refused}"[:300]
    return None if agree(value, expected) else f"{value!r}"[:200] + f", and NumPy has {expected!r}"[:200]


def agree(found: Any, expected: Any) -> bool:
    if isinstance(found, (list, tuple)) or isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(agree, found, expected))
    found, expected = np.asarray(found), np.asarray(expected)
    if expected.dtype.kind not in "biufc":
        return True
    return found.shape == expected.shape and bool(np.allclose(found, expected, equal_nan=True))


def missing() -> set[str]:
    """Functions that take Tensors and of which there is no call here."""
    return {f.__name__ for f in FUNCTIONS} - {name.rpartition(".")[2] for name in CALLS} - LEFT_OUT
