"""What generated kernels leave to calls of the array library: large products, running sums, positions, index arrays.

Each call is a function of arrays of one namespace: CuPy's, or NumPy's where a plan is tried without a GPU. Both mean
the same here, which CuPy alone does not promise: repeated positions, dtypes of small integers, complex numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.backend import has
from autodiff.core.avals import broadcast_shape, has_integers, index_with_arrays
from autodiff.core.primitives import Primitive, Signature, by_primitive
from autodiff.errors import BackendError

from ..loops.statements import looks
from ..numpy.matrix_functions import order_of
from .namespace import Namespace
from .special import IN_DOUBLE

Function = Callable[..., Any]
Maker = Callable[[Signature, Any], Function]

# --- products, running sums and products, positions ------------------------------------------------------------------


def _matmul(signature: Signature, xp: Any) -> Function:
    shape, dtype = signature.out.shape, signature.out.dtype
    left, right = signature.inputs
    inner, columns = right.shape[-2:]
    if len(shape) > 2 and right.size == inner * columns:
        # One matrix on the right of many: all rows are those of a single product.
        rows = math.prod(left.shape[:-1])

        def product(x: Any, y: Any) -> Any:
            return xp.matmul(x.reshape(rows, inner), y.reshape(inner, columns)).reshape(shape)

    else:
        product = xp.matmul
    if left.dtype == right.dtype == dtype:
        return product
    return lambda x, y: product(x.astype(dtype, copy=False), y.astype(dtype, copy=False))


def _running(name: str) -> Maker:
    def make(signature: Signature, xp: Any) -> Function:
        function, (axis,), dtype = getattr(xp, name), signature.params, signature.out.dtype
        return lambda x: function(x, axis=axis, dtype=dtype)

    return make


def _argpartition(signature: Signature, xp: Any) -> Function:
    shape = signature.out.shape
    return lambda x, ranks: xp.argsort(xp.broadcast_to(x, shape), axis=-1, kind="stable")


def _ranked(signature: Signature, xp: Any) -> Function:
    shape, (x, ranks) = signature.out.shape, signature.inputs
    if ranks.ndim == 1:
        return lambda x, ranks: xp.take(xp.sort(x, axis=-1), ranks, axis=-1)
    every = (*shape[:-1], x.shape[-1])
    return lambda x, ranks: xp.take_along_axis(
        xp.sort(xp.broadcast_to(x, every), axis=-1), xp.broadcast_to(ranks, shape), axis=-1
    )


def _searchsorted(signature: Signature, xp: Any) -> Function:
    (right,), shape, a = signature.params, signature.out.shape, signature.inputs[0]
    if a.ndim == 1:
        return lambda a, v: xp.searchsorted(a, v, "right" if right else "left")
    n = a.shape[-1]

    def search_each(a: Any, v: Any) -> Any:
        rows, last = xp.broadcast_to(a, (*shape, n)), xp.broadcast_to(v, shape)[..., None]
        order = xp.argsort(xp.concatenate([rows, last] if right else [last, rows], axis=-1), axis=-1, kind="stable")
        return xp.argmax(order == (n if right else 0), axis=-1)

    return search_each


def _position(name: str) -> Maker:
    def make(signature: Signature, xp: Any) -> Function:
        function, (axis,) = getattr(xp, name), signature.params
        return lambda x: function(x, axis=axis)

    return make


def _concatenate(signature: Signature, xp: Any) -> Function:
    (axis,) = signature.params
    return lambda *arrays: xp.concatenate(arrays, axis=axis)


# --- index arrays ----------------------------------------------------------------------------------------------------


def _spec(signature: Signature) -> tuple[Any, ...]:
    spec = signature.inputs[1].spec
    assert spec is not None
    return spec


def _index(signature: Signature, xp: Any) -> Function:
    spec = _spec(signature)
    if signature.is_view:
        # With the ellipsis a single element is an array, in NumPy too.
        return lambda x, idx: x[(*idx, Ellipsis)]
    return lambda x, idx, *arrays: x[index_with_arrays(spec, idx, arrays)]


# What an atomic addition is done in, where the GPU has none for a dtype: the bits of another one, or a wider one.
SAME_BITS = {np.dtype(np.int64): np.dtype(np.uint64)}
WIDER = {
    **{np.dtype(code): np.dtype(np.int32) for code in ("?", "i1", "i2")},
    **{np.dtype(code): np.dtype(np.uint32) for code in ("u1", "u2")},
}


def _index_add(signature: Signature, xp: Any) -> Function:
    spec, dtype = _spec(signature), signature.out.dtype
    if len(signature.inputs) == 3:

        def add(x: Any, idx: Any, values: Any) -> Any:
            out = x.copy()
            place = out[(*idx, Ellipsis)]
            xp.add(place, values, out=place)
            return out

        return add

    if dtype.kind == "c":
        # Pairs of real numbers along one more axis.
        part = np.empty(0, dtype).real.dtype

        def pairs(x: Any) -> Any:
            return xp.ascontiguousarray(x).reshape(-1).view(part).reshape(*x.shape, 2)

        def add_complex(x: Any, idx: Any, values: Any, *arrays: Any) -> Any:
            out = xp.array(x, order="C")
            xp.add.at(pairs(out), (*index_with_arrays(spec, idx, arrays), slice(None)), pairs(values))
            return out

        return add_complex

    work, bits = WIDER.get(dtype, dtype), SAME_BITS.get(dtype, dtype)

    def add_repeatedly(x: Any, idx: Any, values: Any, *arrays: Any) -> Any:
        out = xp.array(x, work, order="C")
        if bits == dtype:
            xp.add.at(out, index_with_arrays(spec, idx, arrays), values.astype(work, copy=False))
        else:
            xp.add.at(out.view(bits), index_with_arrays(spec, idx, arrays), values.view(bits))
        return out.astype(dtype, copy=False)

    return add_repeatedly


def _index_set(signature: Signature, xp: Any) -> Function:
    spec = _spec(signature)
    together = math.prod(broadcast_shape(*[a.shape for a in signature.inputs[3:]]))

    def write(x: Any, idx: Any, values: Any, *arrays: Any) -> Any:
        out = x.copy()
        out[index_with_arrays(spec, idx, arrays)] = values
        return out

    if together == 1:
        return write

    shape, size = signature.inputs[2].shape, signature.inputs[2].size
    order_dtype = np.dtype(np.int32 if size < 1 << 31 else np.uint64)

    def write_in_order(x: Any, idx: Any, values: Any, *arrays: Any) -> Any:
        # Threads write in any order, so that of repeated positions each gets the value of the last one.
        entries = index_with_arrays(spec, idx, arrays)
        order = xp.arange(size, dtype=order_dtype).reshape(shape)
        last = xp.zeros(x.shape, order_dtype)
        xp.maximum.at(last, entries, order)
        return write(x, idx, values.reshape(-1)[last[entries]], *arrays)

    return write_in_order


# --- matrices and special functions ----------------------------------------------------------------------------------


def _lu_factor(signature: Signature, xp: Any) -> Function:
    packed, exchanges, order = signature.out.parts

    def factor(a: Any) -> tuple[Any, ...]:
        # Of one matrix at a time.
        factors = xp.empty(packed.shape, packed.dtype)
        swaps = xp.empty(exchanges.shape, exchanges.dtype)
        if packed.size:
            for i in np.ndindex(packed.shape[:-2]):
                factors[i], swaps[i] = xp.linalg.lu_factor(a[i])
        rows = order_of(np.asarray(swaps.tolist(), exchanges.dtype).reshape(exchanges.shape), packed.shape[-2])
        return factors, swaps, xp.asarray(rows, order.dtype)

    return factor


# Products of a convolution that are in memory at a time.
PRODUCTS = 1 << 22


def _convolve(signature: Signature, xp: Any) -> Function:
    """By products: CuPy's own is by Fourier transforms, of which all elements have the error of the largest."""
    (mode,), n = signature.params, signature.inputs[0].shape[-1]
    m, shape, dtype = signature.inputs[1].shape[-1], signature.out.shape, signature.out.dtype
    block = max(1, PRODUCTS // max(1, math.prod(shape[:-1]) * (n + m)))

    def convolve(a: Any, v: Any) -> Any:
        out = xp.zeros((*shape[:-1], n + m - 1), dtype)
        for begin in range(0, m, block):
            part = v[..., begin : begin + block]
            # Each row of products is moved on by one more than that before.
            rows = xp.zeros((*shape[:-1], part.shape[-1], n + part.shape[-1]), dtype)
            xp.multiply(a[..., None, :], part[..., :, None], out=rows[..., :n])
            moved = rows.reshape(*shape[:-1], -1)[..., : -part.shape[-1]]
            moved = moved.reshape(*shape[:-1], part.shape[-1], n + part.shape[-1] - 1)
            out[..., begin : begin + moved.shape[-1]] += xp.sum(moved, axis=-2, dtype=dtype)
        return out if mode == "full" else out[..., m - 1 : n].copy()

    return convolve


def _special(signature: Signature, xp: Any) -> Function:
    """A function of SciPy, of numbers as SciPy computes it with: CuPy would take more or less precise ones."""
    name, inputs = signature.primitive.name, signature.inputs
    function: Function = getattr(xp.special, name.lstrip("_"))
    dtypes = signature.loop_dtypes[: len(inputs)]
    if name in IN_DOUBLE:
        dtypes = tuple([np.result_type(dtype, np.float64) for dtype in dtypes])
    if all(aval.dtype == dtype for aval, dtype in zip(inputs, dtypes, strict=True)):
        return function

    def convert(*arrays: Any) -> Any:
        found = function(*[x.astype(dtype, copy=False) for x, dtype in zip(arrays, dtypes, strict=True)])
        return found if signature.out.parts else found.astype(signature.out.dtype, copy=False)

    return convert


OVERRIDES: dict[Primitive, Maker] = by_primitive(
    {
        "reshape": lambda signature, xp: lambda x: x.reshape(signature.params[0]),
        "transpose": lambda signature, xp: lambda x: x.transpose(signature.params[0]),
        "broadcast_to": lambda signature, xp: lambda x: xp.broadcast_to(x, signature.params[0]),
        "matmul": _matmul,
        "cumsum": _running("cumsum"),
        "cumprod": _running("cumprod"),
        "argmax": _position("argmax"),
        "argmin": _position("argmin"),
        "sort": lambda signature, xp: lambda x: xp.sort(x, axis=signature.params[0]),
        "argsort": lambda signature, xp: lambda x: xp.argsort(x, axis=signature.params[0], kind="stable"),
        "partition": lambda signature, xp: lambda x, ranks: xp.sort(xp.broadcast_to(x, signature.out.shape), axis=-1),
        "argpartition": _argpartition,
        "ranked": _ranked,
        "searchsorted": _searchsorted,
        "concatenate": _concatenate,
        "index": _index,
        "index_add": _index_add,
        "index_set": _index_set,
        "lu_factor": _lu_factor,
        "convolve": _convolve,
    }
)


def capturable(signature: Signature) -> bool:
    """Whether the call for a signature does nothing but launch kernels, whatever the values are.

    Of index arrays and slices CuPy's kernels take all that they need. Integers beside them it brings to the device
    first, from memory of the host that a graph would read again when it is replayed.
    """
    primitive = signature.primitive.name
    return primitive in ("index", "index_add") and len(signature.inputs) > 2 and not has_integers(_spec(signature))


def call_for(signature: Signature, xp: Namespace) -> Function:
    """The function that computes a signature from arrays of a namespace; a new array, but for other looks at one.

    Raises
    ------
    BackendError
        If the namespace lacks a function that it needs.
    """
    if signature.out.size == 0:
        return lambda *arguments: xp.empty(signature.out.shape, signature.out.dtype)
    primitive = signature.primitive
    make = OVERRIDES.get(primitive)
    if make is not None:
        if primitive.writes and signature.inputs[2].size == 0:
            return lambda x, *arguments: x.copy()
        return make(signature, xp)
    if looks(signature):
        # Others may have axes that the first has not.
        shape = signature.out.shape
        return (lambda x, *others: x) if signature.inputs[0].shape == shape else lambda x, *_: xp.broadcast_to(x, shape)
    absent = [name for name in primitive.needs if not has(xp, name)]
    if absent:
        raise BackendError(
            f"{primitive.name} is not available on backend cupy: CuPy {getattr(xp, '__version__', '')} has no function "
            f"{' and no function '.join(absent)}"
        )
    return signature.function(xp) if primitive.module == "numpy" else _special(signature, xp)
