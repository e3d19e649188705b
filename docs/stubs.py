"""Write autodiff/numpy.pyi, what type checkers read of ``autodiff.numpy``: ``python -m docs.stubs``.

NumPy's annotations know no Tensors. This takes parameters from NumPy's signatures, and says that a Tensor gives a
Tensor. What is not named in a table below has the form that most functions have.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from autodiff.dispatch import FUNCTIONS
from autodiff.numpy_api.creation import NAMESPACE
from autodiff.numpy_api.lists import OF_SEVERAL

STUB = Path(__file__).parent.parent / "autodiff" / "numpy.pyi"
VERSION = ".".join(np.__version__.split(".")[:2])

HEAD = f'''\
"""What type checkers read of ``autodiff.numpy``. Written by `python -m docs.stubs`, with NumPy {VERSION}.

What makes arrays is said to make Tensors, as it does where derivatives are taken.
"""

# mypy: disable-error-code="overload-overlap, misc"
# pyright: reportOverlappingOverload=false

import builtins as _builtins
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, SupportsIndex, TypeAlias, TypeVar, overload

import numpy as _np
from numpy.typing import DTypeLike, NDArray

from .tensor import Tensor

_R = TypeVar("_R")
# NumPy has a bool of its own.
_Bool: TypeAlias = _builtins.bool
_Number: TypeAlias = complex | _np.generic
_Array: TypeAlias = NDArray[Any]
_Leaf: TypeAlias = Tensor | _Array | _Number
_T: TypeAlias = Tensor | Sequence[Tensor | Sequence[Tensor]]
_Plains: TypeAlias = _Array | Sequence[_Array | _Number | Sequence[_Array | _Number]]
# Not NumPy's ArrayLike: a Tensor is one, and what may be either is to be taken as each.
_Plain: TypeAlias = _Number | _Plains
_Mixed: TypeAlias = Sequence[_Leaf | Sequence[_Leaf]]
_Axes: TypeAlias = SupportsIndex | Sequence[SupportsIndex] | None
_Axis: TypeAlias = SupportsIndex | None
_DType: TypeAlias = DTypeLike | None
'''

UFUNCS = """
class _Ufunc:
    __name__: str
    @property
    def nin(self) -> int: ...
    @property
    def nout(self) -> int: ...
    @property
    def nargs(self) -> int: ...
    @property
    def ntypes(self) -> int: ...
    @property
    def types(self) -> list[str]: ...
    @property
    def identity(self) -> Any: ...
    @property
    def signature(self) -> str | None: ...
    def at(self, a: Any, indices: Any, b: Any = ..., /) -> None: ...

class _Unary(_Ufunc):
    @overload
    def __call__(self, x: _T, /, **keywords: Any) -> Tensor: ...
    @overload
    def __call__(self, x: _Number, /, out: Any = ..., **keywords: Any) -> Any: ...
    @overload
    def __call__(self, x: _Plain, /, out: Any = ..., **keywords: Any) -> _Array: ...

class _UnaryPair(_Ufunc):
    @overload
    def __call__(self, x: _T, /, *out: Any, **keywords: Any) -> tuple[Tensor, Tensor]: ...
    @overload
    def __call__(self, x: _Number, /, *out: Any, **keywords: Any) -> tuple[Any, Any]: ...
    @overload
    def __call__(self, x: _Plain, /, *out: Any, **keywords: Any) -> tuple[_Array, _Array]: ...

class _BinaryPair(_Ufunc):
    @overload
    def __call__(self, x1: _T, x2: Any, /, *out: Any, **keywords: Any) -> tuple[Tensor, Tensor]: ...
    @overload
    def __call__(self, x1: Any, x2: _T, /, *out: Any, **keywords: Any) -> tuple[Tensor, Tensor]: ...
    @overload
    def __call__(self, x1: _Number, x2: _Number, /, *out: Any, **keywords: Any) -> tuple[Any, Any]: ...
    @overload
    def __call__(self, x1: _Plain, x2: _Plain, /, *out: Any, **keywords: Any) -> tuple[_Array, _Array]: ...

class _Binary(_Ufunc):
    @overload
    def __call__(self, x1: _T, x2: Any, /, **keywords: Any) -> Tensor: ...
    @overload
    def __call__(self, x1: Any, x2: _T, /, **keywords: Any) -> Tensor: ...
    @overload
    def __call__(self, x1: _Number, x2: _Number, /, out: Any = ..., **keywords: Any) -> Any: ...
    @overload
    def __call__(self, x1: _Plain, x2: _Plain, /, out: Any = ..., **keywords: Any) -> _Array: ...
    @overload
    def reduce(self, array: _T, /, axis: _Axes = ..., dtype: _DType = ..., **keywords: Any) -> Tensor: ...
    @overload
    def reduce(self, array: _Plain, /, axis: _Axes = ..., dtype: _DType = ..., **keywords: Any) -> Any: ...
    @overload
    def accumulate(self, array: _T, /, axis: SupportsIndex = ..., **keywords: Any) -> Tensor: ...
    @overload
    def accumulate(self, array: _Plain, /, axis: SupportsIndex = ..., **keywords: Any) -> _Array: ...
    @overload
    def reduceat(self, array: _T, /, indices: Any, axis: SupportsIndex = ..., **keywords: Any) -> Tensor: ...
    @overload
    def reduceat(self, array: _Plain, /, indices: Any, axis: SupportsIndex = ..., **keywords: Any) -> _Array: ...
    @overload
    def outer(self, A: _T, B: Any, /, **keywords: Any) -> Tensor: ...
    @overload
    def outer(self, A: Any, B: _T, /, **keywords: Any) -> Tensor: ...
    @overload
    def outer(self, A: _Plain, B: _Plain, /, **keywords: Any) -> _Array: ...
"""

NAMED = """
class _Eig(NamedTuple, Generic[_R]):
    eigenvalues: _R
    eigenvectors: _R

class _SlogDet(NamedTuple, Generic[_R]):
    sign: _R
    logabsdet: _R
"""

CLASSES = {(1, 1): "_Unary", (2, 1): "_Binary", (1, 2): "_UnaryPair", (2, 2): "_BinaryPair"}

# Parameters that take arrays, if they must be given.
_ARRAYS = """
A a a1 a2 ar1 ar2 arr array ary b condition element f filt fp indices m p q seq_of_zeros u v val values x x1 x2 xp y z
"""
ARRAYS = frozenset(_ARRAYS.split())

# Parameters that take arrays in a list.
LISTS = frozenset(("arrays", "choicelist", "keys", "multi_index", "tup"))

TYPES = {
    "axis": "_Axes",
    "ddof": "float | None",
    "device": "Any",
    "dtype": "_DType",
    "edge_order": "int",
    "endpoint": "_Bool",
    "equal_nan": "_Bool",
    "hermitian": "_Bool",
    "keepdims": "_Bool",
    "mode": "str",
    "norm": "str | None",
    "num": "SupportsIndex",
    "order": "str | None",
    "overwrite_input": "_Bool",
    "subok": "_Bool",
}

# What functions give that give no one array; the type of an array is put in. Any means: it depends on options.
RESULTS = {
    **dict.fromkeys(("split", "array_split", "hsplit", "vsplit", "dsplit"), "list[{}]"),
    **dict.fromkeys(
        ("nonzero", "unstack", "unravel_index", "tril_indices_from", "triu_indices_from"), "tuple[{}, ...]"
    ),
    "polydiv": "tuple[{0}, {0}]",
    **dict.fromkeys(("linalg.eig", "linalg.eigh"), "_Eig[{}]"),
    "linalg.slogdet": "_SlogDet[{}]",
    **dict.fromkeys(("gradient", "linalg.lstsq", "linalg.qr", "linalg.svd", "polyfit", "unique"), "Any"),
    **dict.fromkeys(("unique_all", "unique_counts", "unique_inverse"), "Any"),
    **dict.fromkeys(("copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"), "None"),
}

# Functions whose result for arrays may be a number.
NUMBERS = frozenset(("corrcoef", "cov", "dot", "inner", "interp", "trapezoid", "vdot"))
NUMBERS |= {f"linalg.{name}" for name in ("cond", "det", "matrix_rank", "multi_dot", "trace", "vecdot")}

# NumPy's own annotations hold: what they give is no Tensor, whatever they are given.
_KEPT = """
allclose array2string array_equal array_equiv array_repr array_str can_cast common_type diag_indices_from einsum_path
histogram histogram2d histogram_bin_edges histogramdd iscomplexobj isrealobj may_share_memory min_scalar_type
ndenumerate ndim result_type save savetxt savez savez_compressed shape shares_memory size
"""
KEPT = frozenset(_KEPT.split())

# Functions of any number of arrays.
_AT_LEAST = (
    "(a: _T, /) -> Tensor",
    "(a: _Plain, /) -> _Array",
    "(a: Any, b: Any, /, *arrays: Any) -> tuple[Any, ...]",
)
WRITTEN = {
    **dict.fromkeys(("atleast_1d", "atleast_2d", "atleast_3d"), _AT_LEAST),
    "broadcast_arrays": (
        "(*args: _T, subok: _Bool = ...) -> tuple[Tensor, ...]",
        "(*args: Any, subok: _Bool = ...) -> tuple[Any, ...]",
    ),
    "einsum": (
        "(subscripts: str, a: _T, /, *operands: Any, **keywords: Any) -> Tensor",
        "(subscripts: str, a: Any, b: _T, /, *operands: Any, **keywords: Any) -> Tensor",
        "(*operands: Any, **keywords: Any) -> Any",
    ),
    "ix_": ("(*args: _T) -> tuple[Tensor, ...]", "(*args: Any) -> tuple[Any, ...]"),
    "meshgrid": (
        "(*xi: _T, copy: _Bool = ..., sparse: _Bool = ..., indexing: str = ...) -> tuple[Tensor, ...]",
        "(*xi: Any, copy: _Bool = ..., sparse: _Bool = ..., indexing: str = ...) -> tuple[Any, ...]",
    ),
    "where": (
        "(condition: Any, x: _T, y: Any, /) -> Tensor",
        "(condition: Any, x: Any, y: _T, /) -> Tensor",
        "(condition: _T, x: Any, y: Any, /) -> Tensor",
        "(condition: _T, /) -> tuple[Tensor, ...]",
        "(condition: _Plain, /) -> tuple[_Array, ...]",
        "(condition: _Plain, x: _Plain, y: _Plain, /) -> _Array",
    ),
}

# Types that not every machine has.
WIDE = frozenset(("complex192", "complex256", "float96", "float128"))


def _parameters(function: Callable[..., Any], typed: dict[str, str]) -> str:
    """Parameters as they stand in a definition: those that are ``typed``, and the rest by their names."""
    parts: list[str] = []
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    starred = False
    for i, (name, p) in enumerate(inspect.signature(function).parameters.items()):
        if p.kind is p.KEYWORD_ONLY and not starred:
            starred = True
            if p.VAR_POSITIONAL not in kinds:
                parts.append("*")
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if star or p.default is p.empty else " = ..."
        parts.append(f"{star}{name}: {typed.get(name) or TYPES.get(name, 'Any')}{default}")
        if p.kind is p.POSITIONAL_ONLY and (i + 1 == len(kinds) or kinds[i + 1] is not p.POSITIONAL_ONLY):
            parts.append("/")
    return ", ".join(parts)


def _signatures(function: Callable[..., Any], path: str) -> Iterator[str]:
    """The signatures of a function, those for Tensors first."""
    if path in WRITTEN:
        yield from WRITTEN[path]
        return
    result = RESULTS.get(path, "{}")
    if path in NAMESPACE or result in ("Any", "None"):
        yield f"({_parameters(function, {})}) -> {result.format('Tensor')}"
        return
    parameters = inspect.signature(function).parameters
    needed = [name for name, p in parameters.items() if p.default is p.empty]
    arrays = [name for name in needed if name in ARRAYS]
    lists = [name for name in needed if name in LISTS]
    tensor = result.format("Tensor")
    number = path in NUMBERS or "keepdims" in parameters
    if lists:
        yield f"({_parameters(function, dict.fromkeys(lists, '_T'))}) -> {tensor}"
        plain = result.format("Any" if number else "_Array")
        yield f"({_parameters(function, dict.fromkeys(lists, '_Plains'))}) -> {plain}"
        yield f"({_parameters(function, dict.fromkeys(lists, '_Mixed'))}) -> {tensor}"
        yield f"({_parameters(function, dict.fromkeys(lists, 'Any'))}) -> Any"
        return
    if not arrays:
        raise ValueError(f"{path}: {list(parameters)} names no array; enter it in a table of docs/stubs.py")
    for name in arrays:
        yield f"({_parameters(function, {name: '_T'})}) -> {tensor}"
    plain = result.format("Any" if number else "_Array")
    yield f"({_parameters(function, dict.fromkeys(arrays, '_Plain'))}) -> {plain}"


def _definitions(module: ModuleType, prefix: str, method: bool) -> Iterator[str]:
    for name in sorted(module.__all__):
        found, path = getattr(module, name), prefix + name
        if isinstance(found, np.ufunc):
            yield f"{name}: {CLASSES[found.nin, found.nout]}"
        elif not callable(found) or path in KEPT or isinstance(found, type):
            if method:
                yield f"{name} = _np.{path}"
        elif found in FUNCTIONS or path in NAMESPACE or path in OF_SEVERAL:
            signatures = list(_signatures(found, path))
            for signature in signatures:
                if len(signatures) > 1:
                    yield "@overload"
                if method:
                    yield "@staticmethod"
                yield f"def {name}{signature}: ..."


def text() -> str:
    """The stub."""
    parts = [HEAD, UFUNCS, NAMED]
    for module in (np.linalg, np.fft):
        short = module.__name__.removeprefix("numpy.")
        parts.append(f"\nclass {short}:\n")
        parts += [f"    {line}\n" for line in _definitions(module, f"{short}.", True)]
    own = [f"{line}\n" for line in _definitions(np, "", False)]
    named = {re.split(r"[(:]", line.removeprefix("def "))[0] for line in own} | {"linalg", "fft"}
    parts.append("\n")
    parts += [f"from numpy import {name} as {name}\n" for name in sorted(np.__all__) if name not in named | WIDE]
    parts.append("\n")
    return "".join(parts + own)


if __name__ == "__main__":
    STUB.write_text(text(), encoding="utf-8")
