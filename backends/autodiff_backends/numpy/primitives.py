"""How each primitive that is no ufunc is written as NumPy source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.core.avals import Aval
from autodiff.core.primitives import Signature

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


def _reduction(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    x = w.avals[arguments[0]]
    (axes,) = signature.params
    axis = "None" if len(axes) == x.ndim else repr(axes[0] if len(axes) == 1 else axes)
    ufunc = signature.primitive.reduces
    assert ufunc is not None
    w.emit(number, f"{w.use(ufunc.__name__)}.reduce({w.array(arguments[0])}, {axis}", out=False)


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
        _reduction(w, number, signature, arguments)


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
        axis = axes[0] if len(axes) == 1 else axes
        w.emit(number, f"{w.use('add')}.reduce({w.use('multiply')}({left}, {right}), {axis}", out=False)


def _astype(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    (value,) = arguments
    dtype = repr(w.avals[number].dtype.name)
    if w.avals[value].ndim:
        w.emit(number, f"{w.array(value)}.astype({dtype}", out=False)
    else:
        w.emit(number, f"{w.use('array')}({w.array(value)}, {dtype}", out=False)


def _view(template: str) -> ArrayWriter:
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


def _conjugate(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    if signature.is_view:
        _view("{0}")(w, number, signature, arguments)
    else:
        w.write_ufunc(number, "conjugate", arguments)


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
    else:
        w.arrays[number] = w.view(number, source, f"[{entries}]")


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
    adds = signature.primitive.name == "index_add" and number not in w.writes.untouched
    if adds and arrays and signature.out.ndim > MOST_DIMENSIONS_ADDED_AT:
        w.lines.append(f"{w.helper('add_at')}({target}, ({places},), {text})")
    elif adds and arrays:
        w.lines.append(f"{w.use('add')}.at({target}, ({places},), {text})")
    elif values not in w.in_place:
        w.lines.append(f"{target}[{places}] {'+=' if adds else '='} {text}")


def _masked_multiply(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    ct, factor = (w.array(a) for a in arguments)
    target = w.owned(number)
    w.lines.append(f"{w.helper('masked_product')}({ct}, {factor}, {target})")


def _root_of_squares(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    w.write_ufunc(number, "sqrt", arguments)


def _logaddexp(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    out = w.avals[number]
    if out.size < SMALLEST_LOGADDEXP or out.dtype not in BLAS_REAL:
        w.write_ufunc(number, "logaddexp", arguments)
        return
    words = w.operands(number, arguments)
    w.lines.append(f"{w.helper('log_add_exp')}({', '.join(words)}, {w.owned(number)})")


def _logistic(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    weak = w.avals[number].weak
    word = w.scalars[arguments[0]] if weak else w.array(arguments[0])
    w.emit(number, f"{w.helper('logistic')}({word}", out=not weak)


def _tanh_slope(w: Values, number: int, signature: Signature, arguments: tuple[int, ...]) -> None:
    tanh, x = (w.array(a) for a in arguments)
    w.lines += tanh_slope_lines(w, signature.out, tanh, x, w.owned(number))


def tanh_slope_lines(w: Values, out: Aval, tanh: str, x: str, target: str) -> list[str]:
    """1 - tanh^2, and from x where that cancels, which the least element shows (0.3 us; NaN is the least of all)."""
    if not out.size:
        return []
    one = w.constant(np.ones((), out.dtype))
    least = f"{target}.item({target}.argmin())"
    return [
        f"{w.use('multiply')}({tanh}, {tanh}, {target})",
        f"{w.use('subtract')}({one}, {target}, {target})",
        f"if not {least} > {least_tanh_slope(out.dtype)!r}: {w.helper('exact_tanh_slope')}({target}, {x})",
    ]


WRITERS: dict[str, ArrayWriter] = {
    "masked_multiply": _masked_multiply,
    "root_of_squares": _root_of_squares,
    "logaddexp": _logaddexp,
    "logistic": _logistic,
    "tanh_slope": _tanh_slope,
    "conjugate": _conjugate,
    "identity": _view("{0}"),
    "stop_gradient": _view("{0}"),
    "real": _view("{0}.real"),
    "imag": _view("{0}.imag"),
    "part": _view("{0}[{p}]"),
    "where": _where,
    "astype": _astype,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "concatenate": _concatenate,
    "sum": _sum,
    "inner_product": _inner_product,
    "prod": _reduction,
    "max": _reduction,
    "min": _reduction,
    "all": _reduction,
    "any": _reduction,
    "argmax": _function("argmax"),
    "argmin": _function("argmin"),
    "cumsum": _function("cumsum"),
    "cumprod": _function("cumprod"),
    "index": _index,
    "index_add": _index_write,
    "index_set": _index_write,
    "matmul": _matmul,
}
