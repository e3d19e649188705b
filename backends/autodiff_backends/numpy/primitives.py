"""What NumPy does in a way of its own: the primitives whose functions and source are not what their cards say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.avals import Aval
from autodiff.core.primitives import Primitive, Signature, by_primitive

from . import functions, lapack, matrix_functions, runtime, sorting
from .functions import FunctionMaker
from .products import is_stack
from .runtime import LONGEST_INNER, MOST_DIMENSIONS_ADDED_AT, SMALLEST_LOGADDEXP, SMALLEST_MASKED, least_tanh_slope
from .values import Values

FLOAT64 = np.dtype(np.float64)
BLAS_REAL = (np.dtype(np.float32), FLOAT64)

# Sums along an axis of a matrix are products with a vector of ones, five times faster (1,000 by 25: 3 us, 16 us). NumPy
# adds columns one after another, and rows in pairs: these only up to LONGEST_INNER.
LONGEST_ONES = 1 << 16

# Rows this short are summed, and multiplied with rows, by a product with ones: NumPy takes 7 ns for any row (25,000
# inner products of 10: 176 us as vecdot, 99 us so).
LONGEST_SHORT_ROW = 16

# Larger broadcasts are views; a view costs more to make than a small array to fill.
FILLED_BROADCAST = 4096

ArrayWriter = Callable[[Values, int, Signature, tuple[int, ...]], None]
BlockWriter = Callable[[Values, Signature, list[str], str], list[str]]


class Scalar(NamedTuple):
    """An expression of Python's floats for single elements of float64; it raises where IEEE gives inf or NaN.

    Parameters
    ----------
    text : str
        A template of the operands.
    truth : bool
        Whether the result may be a truth value: Python's arithmetic on these gives integers.
    first : int
        The operand that numbers begin with; those before are conditions.
    """

    text: str
    truth: bool = False
    first: int = 0


class Override(NamedTuple):
    """What NumPy has of its own for a primitive. None where the card says enough: a ufunc, a reduction, a meaning.

    Parameters
    ----------
    array : callable, optional
        Writes statements that make an array.
    block : callable, optional
        The statements for a block of operands, given their names and that of the array that they go into.
    scalar : Scalar, optional
        An expression of single elements.
    function : callable, optional
        Makes the function of arrays that programs are interpreted with.
    in_place : callable, optional
        Makes one that writes into the first operand.
    routine : callable, optional
        What computes it from arrays and the primitive's parameters by name: source imports it from its module.
    """

    array: ArrayWriter | None = None
    block: BlockWriter | None = None
    scalar: Scalar | None = None
    function: FunctionMaker | None = None
    in_place: FunctionMaker | None = None
    routine: Callable[..., Any] | None = None


# --- statements ------------------------------------------------------------------------------------------------------


def _function(name: str) -> ArrayWriter:
    """A NumPy function of the arguments and the first parameter."""

    def write(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        words = [w.array(a) for a in arguments]
        words += [repr(p) for p in signature.params]
        w.emit(number, f"{w.use(name)}({', '.join(words)}", out=False)

    return write


def _where(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    out = w.avals[number]
    words = [w.array(arguments[0])]
    for value in arguments[1:]:
        aval = w.avals[value]
        if aval.weak and aval.literal is not None:
            words.append(w.constant(np.asarray(aval.literal, out.dtype)))
        else:
            words.append(w.scalars[value] if aval.weak else w.array(value))
    if out.size >= SMALLEST_MASKED:
        w.lines.append(f"{w.helper('choose')}({', '.join(words)}, {w.owned(number)})")
    else:
        w.emit(number, f"{w.use('where')}({', '.join(words)}", out=False)


def write_reduction(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    x = w.avals[arguments[0]]
    (axes,) = signature.params
    axis = "None" if len(axes) == x.ndim else repr(axes[0] if len(axes) == 1 else axes)
    ufunc = signature.primitive.reduces
    assert ufunc is not None
    word, *others = [w.array(a) for a in arguments]
    if others:
        word = f"{w.use('multiply')}({word}, {others[0]})"
    w.emit(number, f"{w.use(ufunc.__name__)}.reduce({word}, {axis}", out=False)


def _sum(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    (value,) = arguments
    x = w.avals[value]
    (axes,) = signature.params
    longest = LONGEST_ONES if axes == (0,) else LONGEST_INNER
    if x.ndim == 2 and len(axes) == 1 and x.dtype in BLAS_REAL and 0 < x.shape[axes[0]] <= longest and x.size:
        vector = w.ones(x.shape[axes[0]], x.dtype)
        words = (vector, w.array(value)) if axes == (0,) else (w.array(value), vector)
        w.emit(number, f"{w.use('dot')}({words[0]}, {words[1]}", out=True)
    elif axes == (x.ndim - 1,) and _short_rows(x) and w.contiguous(value):
        _sum_rows(w, number, x, w.array(value))
    else:
        write_reduction(w, number, signature, arguments)


def _short_rows(x: Aval) -> bool:
    return x.ndim > 1 and 0 < x.shape[-1] <= LONGEST_SHORT_ROW and x.dtype in BLAS_REAL and x.size > 0


def _sum_rows(w: Values, number: int, x: Aval, text: str) -> None:
    """The sums of the rows of a contiguous array, as a matrix by a vector of ones."""
    length = x.shape[-1]
    matrix = text if x.ndim == 2 else f"{text}.reshape({(x.size // length, length)!r})"
    target = w.owned(number)
    flat = target if x.ndim == 2 else f"{target}.reshape(-1)"
    w.lines.append(f"{w.use('dot')}({matrix}, {w.ones(length, x.dtype)}, {flat})")


def _inner_product(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    x = w.avals[arguments[0]]
    (axes,) = signature.params
    left, right = (w.array(a) for a in arguments)
    if len(axes) == x.ndim:
        w.emit(number, w.inner(arguments[0], left, right)[:-1], out=False)
    elif axes == (x.ndim - 1,) and _short_rows(x):
        scratch = w.storage.take(x)
        w.lines.append(f"{w.use('multiply')}({left}, {right}, b{scratch})")
        _sum_rows(w, number, x, f"b{scratch}")
        w.storage.give(scratch)
    elif axes == (x.ndim - 1,) and x.shape[-1] <= LONGEST_INNER:
        w.emit(number, f"{w.use('vecdot')}({left}, {right}", out=True)
    else:
        write_reduction(w, number, signature, arguments)


def _astype(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    (value,) = arguments
    dtype = repr(w.avals[number].dtype.name)
    if w.avals[value].ndim:
        w.emit(number, f"{w.array(value)}.astype({dtype}", out=False)
    else:
        w.emit(number, f"{w.use('array')}({w.array(value)}, {dtype}", out=False)


def view_of(template: str) -> ArrayWriter:
    """A view, as an expression of the operand and of the parameter ``p``."""

    def write(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
        (value,) = arguments
        parameter = repr(signature.params[0]) if signature.params else ""
        if w.avals[number].weak:
            w.lines.append(f"v{number} = {template.format(w.scalars[value], p=parameter)}")
            w.scalars[number] = f"v{number}"
        else:
            w.lines.append(f"v{number} = {template.format(w.array(value), p=parameter)}")
            w.arrays[number] = f"v{number}"

    return write


def _after(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    """The same array under another number, which the order of the statements makes late enough."""
    w.arrays[number] = w.array(arguments[0])


def _imag(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    view_of("{0}.imag")(w, number, signature, arguments)
    # Of a real array it is no view, but nothing that may be written to either.
    w.roots[number] = w.roots[arguments[0]]


def _transpose(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    (axes,) = signature.params
    text = "T" if axes == tuple(range(len(axes)))[::-1] else f"transpose({axes!r})"
    w.arrays[number] = w.view(number, w.array(arguments[0]), f".{text}")


def _reshape(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    source, suffix = w.array(arguments[0]), f".reshape({signature.params[0]!r})"
    if source[0] == "b" and source[1:].isdigit():
        w.arrays[number] = w.view(number, source, suffix)
        return
    if w.avals[arguments[0]].ndim == 0:
        # A reduction to zero dimensions may be a NumPy scalar.
        source = f"{w.use('asarray')}({source})"
    w.arrays[number] = f"v{number}"
    w.lines.append(f"v{number} = {source}{suffix}")


def _broadcast_to(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    aval = w.avals[number]
    (value,) = arguments
    w.arrays[number] = f"v{number}"
    text = w.scalars[value] if value in w.scalars and w.avals[value].dtype == FLOAT64 else w.array(value)
    if aval.size <= FILLED_BROADCAST or number in w.outputs:
        w.roots[number] = number
        dtype = "" if aval.dtype == FLOAT64 else f", {aval.dtype.name!r}"
        w.lines.append(f"v{number} = {w.use('empty')}({aval.shape!r}{dtype})")
        w.lines.append(f"v{number}[...] = {text}")
    else:
        w.lines.append(f"v{number} = {w.use('broadcast_to')}({w.array(value)}, {aval.shape!r})")


def _matmul(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    left, right = (w.array(a) for a in arguments)
    shapes = [w.avals[n].shape for n in (*arguments, number)]
    kind = w.avals[number].dtype.kind
    if kind in "fc" and is_stack(*shapes) and all(w.avals[a].dtype == w.avals[number].dtype for a in arguments):
        name = w.helper("products")
    else:
        name = w.use("dot" if w.dottable(arguments) else "matmul")
    w.emit(number, f"{name}({left}, {right}", out=True)


def _concatenate(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    words = ", ".join(w.array(a) for a in arguments)
    w.emit(number, f"{w.use('concatenate')}(({words},), {signature.params[0]}", out=True)


def _entries(w: Values, spec: tuple[Any, ...], idx: int, arrays: tuple[int, ...]) -> str:
    name = w.array(idx)
    if not arrays:
        return name
    rest = iter(arrays)
    words = [w.array(next(rest)) if entry == "a" else f"{name}[{i}]" for i, entry in enumerate(spec)]
    while words and words[-1] == f"{name}[{len(words) - 1}]" and _whole(w, idx, len(words) - 1):
        words.pop()
    return ", ".join(words)


def _whole(w: Values, idx: int, place: int) -> bool:
    literal = w.avals[idx].literal
    return literal is not None and literal[place] == slice(None)


def _index(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    x, idx, *arrays = arguments
    spec = signature.inputs[1].spec
    assert spec is not None
    source, entries = w.array(x), _entries(w, spec, idx, tuple(arrays))
    if arrays:
        w.arrays[number] = f"v{number}"
        w.lines.append(f"v{number} = {source}[{entries}]")
    elif number in w.writes.copied:
        _copied(w, number, source, entries)
    else:
        w.arrays[number] = w.view(number, source, f"[{entries}]")


def _copied(w: Values, number: int, source: str, entries: str) -> None:
    """A part of an array that is read before it is written to."""
    part = w.view(number, source, f"[{entries}]")
    if w.avals[number].size == 1 and w.avals[number].dtype == FLOAT64:
        w.arrays[number] = part
        w.scalar(number)
        del w.arrays[number]
    elif part == f"v{number}":
        w.arrays[number] = part
        w.lines.append(f"{part} = {part}.copy()")
    else:
        w.lines.append(f"{w.use('copyto')}({w.owned(number)}, {part})")


def _start_write(w: Values, number: int, base: int) -> str:
    """A name for an array like ``base`` that may be written to: its own if nothing else needs it."""
    last = w.writes.last(number)
    if base in w.writes.fills:
        target = w.begin(number)
    elif w.writes.heirs.get(base) == number:
        target = w.array(base)
    elif w.leaves(last):
        # What leaves the plan is written where it leaves from.
        target = f"v{last}"
        w.lines.append(f"{target} = {w.use('array')}({w.array(base)})")
    else:
        source = w.array(base)
        target = w.buffer(last)
        if target != source:
            w.lines.append(f"{w.use('copyto')}({target}, {source})")
    w.arrays[number] = target
    return target


def _index_write(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    base, idx, values, *arrays = arguments
    spec = signature.inputs[1].spec
    assert spec is not None
    text = w.array(values)
    target = _start_write(w, number, base)
    places = _entries(w, spec, idx, tuple(arrays))
    adds = signature.primitive.reduces is np.add and number not in w.writes.untouched
    ndim = signature.out.ndim
    if adds and arrays and (ndim > MOST_DIMENSIONS_ADDED_AT or (ndim > 1 and set(spec) <= {"a", "s"})):
        w.lines.append(f"{w.helper('add_at')}({target}, ({places},), {text})")
    elif adds and arrays:
        w.lines.append(f"{w.use('add')}.at({target}, ({places},), {text})")
    elif values not in w.in_place:
        w.lines.append(f"{target}[{places}] {'+=' if adds else '='} {text}")


def _as_block(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    """What is written for blocks, of whole arrays."""
    block = OVERRIDES[signature.primitive].block
    assert block is not None
    words = [w.array(a) for a in arguments]
    w.lines += block(w, signature, words, w.owned(number))


def _logaddexp(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    out = w.avals[number]
    if out.size < SMALLEST_LOGADDEXP or out.dtype not in BLAS_REAL:
        w.write_ufunc(number, np.logaddexp, arguments)
        return
    words = w.operands(number, arguments)
    w.lines.append(f"{w.helper('log_add_exp')}({', '.join(words)}, {w.owned(number)})")


def _logistic(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    weak = w.avals[number].weak
    word = w.scalars[arguments[0]] if weak else w.array(arguments[0])
    w.emit(number, f"{w.helper('logistic')}({word}", out=not weak)


def _tanh_slope(w: Values, signature: Signature, words: list[str], target: str) -> list[str]:
    """1 - tanh^2, and from x where that cancels, which the least element shows (0.3 us; NaN is the least of all)."""
    (tanh, x), out = words, signature.out
    if not out.size:
        return []
    one = w.constant(np.ones((), out.dtype))
    least = f"{target}.item({target}.argmin())"
    return [
        f"{w.use('multiply')}({tanh}, {tanh}, {target})",
        f"{w.use('subtract')}({one}, {target}, {target})",
        f"if not {least} > {least_tanh_slope(out.dtype)!r}: {w.helper('exact_tanh_slope')}({target}, {x})",
    ]


# --- statements for blocks -------------------------------------------------------------------------------------------


def block_of_ufunc(w: Values, ufunc: np.ufunc, words: list[str], target: str, module: str = "numpy") -> list[str]:
    """A ufunc of blocks."""
    return [f"{w.use(ufunc.__name__, module)}({', '.join(words)}, out={target})"]


def _helped(name: str) -> BlockWriter:
    """A function of this package, which takes what to write into last."""
    return lambda w, signature, words, target: [f"{w.helper(name)}({', '.join(words)}, {target})"]


def _astype_block(w: Values, signature: Signature, words: list[str], target: str) -> list[str]:
    return [f"{w.use('copyto')}({target}, {words[0]}, 'unsafe')"]


def _logaddexp_block(w: Values, signature: Signature, words: list[str], target: str) -> list[str]:
    if signature.out.dtype not in BLAS_REAL:
        return block_of_ufunc(w, np.logaddexp, words, target)
    return _helped("log_add_exp")(w, signature, words, target)


def _heaviside_block(w: Values, signature: Signature, words: list[str], target: str) -> list[str]:
    """heaviside(x, 0.5) = sign(x) / 2 + 1/2, which does not branch at each element as NumPy's does."""
    x, half = words
    if half not in w.constants or w.constants[half] != 0.5:
        return block_of_ufunc(w, np.heaviside, words, target)
    return [
        f"{w.use('sign')}({x}, out={target})",
        f"{w.use('multiply')}({target}, {half}, out={target})",
        f"{w.use('add')}({target}, {half}, out={target})",
    ]


# --- the table -------------------------------------------------------------------------------------------------------


def _scalar(text: str, truth: bool = False) -> Override:
    return Override(scalar=Scalar(text, truth))


OVERRIDES: dict[Primitive, Override] = by_primitive(
    {
        "add": _scalar("{0} + {1}"),
        "subtract": _scalar("{0} - {1}"),
        "multiply": _scalar("{0} * {1}"),
        "divide": _scalar("{0} / {1}"),
        "negative": _scalar("-{0}"),
        "square": _scalar("{0} * {0}"),
        "absolute": _scalar("abs({0})"),
        "conjugate": _scalar("{0}"),
        "maximum": _scalar("({0} if {0} > {1} or {0} != {0} else {1})"),
        "minimum": _scalar("({0} if {0} < {1} or {0} != {0} else {1})"),
        "equal": _scalar("{0} == {1}", truth=True),
        "not_equal": _scalar("{0} != {1}", truth=True),
        "less": _scalar("{0} < {1}", truth=True),
        "less_equal": _scalar("{0} <= {1}", truth=True),
        "greater": _scalar("{0} > {1}", truth=True),
        "greater_equal": _scalar("{0} >= {1}", truth=True),
        "isnan": _scalar("{0} != {0}", truth=True),
        "power": _scalar("math.pow({0}, {1})"),
        **{f: _scalar(f"math.{f}({{0}})") for f in ("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10")},
        **{f: _scalar(f"math.{f}({{0}})") for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "degrees", "radians")},
        **{f"arc{f}": _scalar(f"math.a{f}({{0}})") for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
        "arctan2": _scalar("math.atan2({0}, {1})"),
        "heaviside": Override(block=_heaviside_block),
        **{f.__name__: Override(routine=f) for f in lapack.ROUTINES + matrix_functions.ROUTINES + sorting.ROUTINES},
        "logaddexp": Override(_logaddexp, _logaddexp_block),
        "masked_multiply": Override(
            _as_block,
            _helped("masked_product"),
            Scalar("({0} * {1} if {0} != 0 else 0.0)"),
            functions.always(functions.masked_product),
        ),
        "root_of_squares": Override(
            lambda w, number, signature, arguments: w.write_ufunc(number, np.sqrt, arguments),
            lambda w, signature, words, target: block_of_ufunc(w, np.sqrt, words, target),
            Scalar("math.sqrt({0})"),
        ),
        "logistic": Override(
            _logistic, _helped("logistic"), Scalar("1.0 / (1.0 + math.exp(-{0}))"), functions.always(runtime.logistic)
        ),
        "tanh_slope": Override(
            _as_block,
            _tanh_slope,
            Scalar("(1.0 - {0} * {0} if -0.998 < {0} < 0.998 else math.pow(math.cosh({1}), -2.0))"),
            functions.always(runtime.tanh_slope),
        ),
        "where": Override(_where, _helped("choose"), Scalar("({1} if {0} else {2})", truth=True, first=1)),
        "astype": Override(_astype, _astype_block),
        "part": Override(view_of("{0}[{p}]")),
        "after": Override(_after, scalar=Scalar("{0}")),
        "real": Override(view_of("{0}.real"), scalar=Scalar("{0}")),
        "of_parts": Override(routine=functions.of_parts),
        "imag": Override(_imag),
        "reshape": Override(_reshape, function=functions.reshaped),
        "transpose": Override(_transpose, function=functions.transposed),
        "broadcast_to": Override(_broadcast_to),
        "concatenate": Override(_concatenate),
        "sum": Override(_sum),
        "inner_product": Override(_inner_product),
        "matmul": Override(_matmul),
        "argmax": Override(_function("argmax")),
        "argmin": Override(_function("argmin")),
        "cumsum": Override(_function("cumsum"), function=functions.along(np.cumsum)),
        "cumprod": Override(_function("cumprod"), function=functions.along(np.cumprod)),
        "index": Override(_index, function=functions.read),
        "index_add": Override(_index_write, function=functions.added, in_place=functions.added_in_place),
        "index_set": Override(_index_write, function=functions.written, in_place=functions.set_in_place),
    }
)

# Those without a ufunc that blocks are written for.
BLOCKED = frozenset(primitive for primitive, row in OVERRIDES.items() if row.block is not None)
# Looked into for each signature of a plan that is interpreted.
FUNCTIONS = {primitive: row.function for primitive, row in OVERRIDES.items() if row.function is not None}
FUNCTIONS |= {p: functions.by_keywords(row.routine) for p, row in OVERRIDES.items() if row.routine is not None}
NOTHING = Override()
