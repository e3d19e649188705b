"""Elementwise primitives: one result element from the elements at the same place, after broadcasting.

Shapes and dtypes are NumPy's: ``ufunc.resolve_dtypes`` decides, with Python scalars weak (NEP 50).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import Backend
from ..convert import as_node, literal
from ..core.avals import BOOL, FLOAT64, Aval, broadcast_shape, intern_aval, several
from ..core.parameters import DType, Static
from ..core.primitives import COMPARED_BY_VALUE, PYTHON_TYPES, Primitive, resolved_dtypes
from ..errors import ArgumentError, BackendError, DTypeError, RangeError, ShapeError, shown
from ..nodes import Node, operation
from ..operator import Operator
from ..tracing import WITHHELD
from .outputs import outputs

# Kinds of numbers. Each contains those before it.
_KINDS = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


def holds(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether numbers of the kind of ``other`` go into ``dtype``, whatever their sizes."""
    return _KINDS[other.kind] <= _KINDS[dtype.kind]


def listed(avals: tuple[Aval, ...]) -> str:
    """Shapes and dtypes of arguments, for messages."""
    return ", ".join(repr(aval) for aval in avals)


def broadcast_shapes(name: str, avals: tuple[Aval, ...]) -> tuple[int, ...]:
    """The shape that the arguments broadcast to, or an error naming all of them."""
    try:
        return broadcast_shape(*[aval.shape for aval in avals])
    except ValueError:
        raise ShapeError(
            f"{name}({listed(avals)}): the shapes {' and '.join(str(a.shape) for a in avals)} do not broadcast; "
            "aligned at the last axis, sizes must be equal or 1 (np.reshape or np.expand_dims can add axes)"
        ) from None


def result_dtype(ufunc: np.ufunc, avals: tuple[Aval, ...]) -> tuple[np.dtype[Any], bool]:
    """NumPy's result dtype of ``ufunc``, and whether the result is still weak."""
    weak = all(aval.weak for aval in avals)
    try:
        resolved = resolved_dtypes(ufunc, avals)
    except TypeError as error:
        raise DTypeError(
            f"{ufunc.__name__}({listed(avals)}): NumPy has no loop for these dtypes ({error}); convert with .astype"
        ) from None
    for aval, dtype in zip(avals, resolved, strict=False):
        if aval.weak and type(aval.literal) is int:
            _check_integer(ufunc, avals, aval.literal, dtype)
    return resolved[-1], weak


def _check_integer(ufunc: np.ufunc, avals: tuple[Aval, ...], value: int, dtype: np.dtype[Any]) -> None:
    """An error for a Python integer that does not fit the dtype it is computed in."""
    if ufunc in COMPARED_BY_VALUE and not any(a.dtype.kind == "b" for a in avals):
        return
    # What becomes a boolean or a float is an int64 before.
    limits = np.iinfo(dtype if dtype.kind in "iu" else np.int64)
    if not limits.min <= value <= limits.max:
        raise RangeError(
            f"{ufunc.__name__}({listed(avals)}): the Python integer {shown(value)} does not fit {limits.dtype}"
        )


def infer_elementwise(primitive: Primitive, *avals: Aval) -> Aval:
    """Shape and dtype as NumPy's ufunc of the same name gives them."""
    assert primitive.numpy_ufunc is not None
    for aval in avals:
        if aval.spec is not None:
            raise DTypeError(f"{primitive.name}: an index is no array")
    dtype, weak = result_dtype(primitive.numpy_ufunc, avals)
    return intern_aval(broadcast_shapes(primitive.name, avals), dtype, weak and dtype.kind != "b")


def _is_real(avals: tuple[Aval, ...]) -> bool:
    # The conjugate of a truth value is an int8.
    return avals[0].dtype.kind in "iuf"


def _elementwise(ufunc: np.ufunc, **facts: Any) -> Operator:
    return Operator(ufunc.__name__, infer_elementwise, kind="elementwise", numpy_ufunc=ufunc, **facts)


add = _elementwise(np.add, commutative=True, cheap=True)
subtract = _elementwise(np.subtract, cheap=True)
multiply = _elementwise(np.multiply, commutative=True, cheap=True)
divide = _elementwise(np.divide)
floor_divide = _elementwise(np.floor_divide)
remainder = _elementwise(np.remainder)
fmod = _elementwise(np.fmod)


def _infer_power(primitive: Primitive, x: Aval, y: Aval) -> Aval:
    out = infer_elementwise(primitive, x, y)
    if out.size and out.dtype.kind in "iu" and type(y.literal) is int and y.literal < 0:
        raise ArgumentError(
            f"power({listed((x, y))}): integers to negative integer powers are no integers; make the base floating"
        )
    return out


power = Operator("power", _infer_power, kind="elementwise", numpy_ufunc=np.power)
float_power = _elementwise(np.float_power)
negative = _elementwise(np.negative, cheap=True)
absolute = _elementwise(np.absolute, cheap=True)
sign = _elementwise(np.sign, cheap=True)
heaviside = _elementwise(np.heaviside)
conjugate = _elementwise(np.conjugate, view=_is_real, cheap=True)
reciprocal = _elementwise(np.reciprocal)
square = _elementwise(np.square, cheap=True)
sqrt = _elementwise(np.sqrt)
cbrt = _elementwise(np.cbrt)

exp = _elementwise(np.exp)
exp2 = _elementwise(np.exp2)
expm1 = _elementwise(np.expm1)
log = _elementwise(np.log)
log2 = _elementwise(np.log2)
log10 = _elementwise(np.log10)
log1p = _elementwise(np.log1p)
logaddexp = _elementwise(np.logaddexp, commutative=True, rereads=(0, 1))
logaddexp2 = _elementwise(np.logaddexp2, commutative=True)

sin = _elementwise(np.sin)
cos = _elementwise(np.cos)
tan = _elementwise(np.tan)
arcsin = _elementwise(np.arcsin)
arccos = _elementwise(np.arccos)
arctan = _elementwise(np.arctan)
arctan2 = _elementwise(np.arctan2)
hypot = _elementwise(np.hypot, commutative=True)
sinh = _elementwise(np.sinh)
cosh = _elementwise(np.cosh)
tanh = _elementwise(np.tanh)
arcsinh = _elementwise(np.arcsinh)
arccosh = _elementwise(np.arccosh)
arctanh = _elementwise(np.arctanh)
degrees = _elementwise(np.degrees)
radians = _elementwise(np.radians)

# Which of two zeros is the greater depends on their order, in NumPy too.
maximum = _elementwise(np.maximum, cheap=True)
minimum = _elementwise(np.minimum, cheap=True)
fmax = _elementwise(np.fmax, commutative=True)
fmin = _elementwise(np.fmin, commutative=True)
copysign = _elementwise(np.copysign)
nextafter = _elementwise(np.nextafter)
spacing = _elementwise(np.spacing)
ldexp = _elementwise(np.ldexp)
floor = _elementwise(np.floor)
ceil = _elementwise(np.ceil)
trunc = _elementwise(np.trunc)
rint = _elementwise(np.rint)

equal = _elementwise(np.equal, commutative=True, cheap=True)
not_equal = _elementwise(np.not_equal, commutative=True, cheap=True)
less = _elementwise(np.less, cheap=True)
less_equal = _elementwise(np.less_equal, cheap=True)
greater = _elementwise(np.greater, cheap=True)
greater_equal = _elementwise(np.greater_equal, cheap=True)
logical_and = _elementwise(np.logical_and, commutative=True, cheap=True)
logical_or = _elementwise(np.logical_or, commutative=True, cheap=True)
logical_xor = _elementwise(np.logical_xor, commutative=True)
logical_not = _elementwise(np.logical_not, cheap=True)
bitwise_and = _elementwise(np.bitwise_and, commutative=True)
bitwise_or = _elementwise(np.bitwise_or, commutative=True)
bitwise_xor = _elementwise(np.bitwise_xor, commutative=True)
invert = _elementwise(np.invert)
left_shift = _elementwise(np.left_shift)
right_shift = _elementwise(np.right_shift)
gcd = _elementwise(np.gcd, commutative=True)
lcm = _elementwise(np.lcm, commutative=True)
isnan = _elementwise(np.isnan, cheap=True)
isinf = _elementwise(np.isinf)
isfinite = _elementwise(np.isfinite, cheap=True)
signbit = _elementwise(np.signbit)


def infer_outputs(primitive: Primitive, *avals: Aval) -> Aval:
    """Of a ufunc with several outputs: NumPy's own, also those of a Python number, which are float64."""
    ufunc = primitive.numpy_ufunc
    assert ufunc is not None
    result_dtype(ufunc, avals)
    shape = broadcast_shapes(primitive.name, avals)
    return several([intern_aval(shape, dtype) for dtype in resolved_dtypes(ufunc, avals)[ufunc.nin :]])


def _several(ufunc: np.ufunc) -> Operator:
    name = ufunc.__name__
    meaning = lambda xp, x: tuple(getattr(xp, name)(x))  # noqa: E731
    return Operator(name, infer_outputs, several=True, numpy_ufunc=ufunc, meaning=meaning, needs=(name,))


frexp_p = _several(np.frexp)
modf_p = _several(np.modf)


def frexp(x: Any) -> tuple[Node, ...]:
    """The mantissa, between a half and 1, and the exponent of x = mantissa * 2 ** exponent."""
    return outputs(frexp_p(x))


def modf(x: Any) -> tuple[Node, ...]:
    """The part behind the point and the part before it, both of the sign of x."""
    return outputs(modf_p(x))


def _infer_part(primitive: Primitive, x: Aval) -> Aval:
    real = np.empty(0, x.dtype).real.dtype
    return intern_aval(x.shape, real, x.weak)


real = Operator("real", _infer_part, kind="elementwise", view=True, cheap=True, meaning=lambda xp, x: xp.real(x))
imag = Operator(
    "imag",
    _infer_part,
    kind="elementwise",
    view=lambda avals: avals[0].dtype.kind == "c",
    cheap=True,
    meaning=lambda xp, x: xp.imag(x),
)


def _infer_of_parts(primitive: Primitive, x: Aval, y: Aval) -> Aval:
    return intern_aval(broadcast_shapes("of_parts", (x, y)), np.result_type(x.dtype, np.complex64))


def _of_parts(xp: Any, x: Any, y: Any) -> Any:
    # 1j * y has a NaN beside an infinity; a sum with a complex number has not.
    turned = xp.where(xp.isfinite(y), y, 0) * 1j
    turned = xp.where(y == math.inf, complex(0, math.inf), xp.where(y == -math.inf, complex(0, -math.inf), turned))
    return x + xp.where(y != y, complex(0, math.nan), turned)


# A complex array of its parts, which have one dtype.
of_parts_p = Operator("of_parts", _infer_of_parts, core=",->", meaning=_of_parts, needs=("isfinite",))


def of_parts(x: Any, y: Any) -> Node:
    """The complex numbers with these real and imaginary parts, exactly, of one floating dtype."""
    return of_parts_p(x, y)


def _same(xp: Any, x: Any) -> Any:
    return xp.asarray(x)


def _infer_same(primitive: Primitive, x: Aval) -> Aval:
    return intern_aval(x.shape, x.dtype, x.weak)


# A fresh name for the same quantity: what is differentiated with respect to in a nested derivative.
identity = Operator("identity", _infer_same, kind="elementwise", view=True, meaning=_same)
stop_gradient = Operator("stop_gradient", _infer_same, kind="elementwise", view=True, meaning=_same)


def _infer_place(primitive: Primitive, x: Aval, *, backend: Backend) -> Aval:
    if x.place is not None and x.place is not backend:
        raise BackendError(
            f"{x!r} cannot be used on {backend.label}; t.to({backend.name!r}) makes a copy there, without history"
        )
    return intern_aval(x.shape, x.dtype, place=backend)


# The same quantity, said to be on a backend. It moves nothing: a program is executed on one backend, and has no places.
place_p = Operator("place", _infer_place, params={"backend": Static}, kind="view", core="->")


def place(x: Node, backend: Backend) -> Node:
    """``x`` on a backend: where it is already, or where it is to be computed if nobody has said so yet."""
    return x if x.aval.place is backend else place_p(strong(x), backend=backend)


# A cotangent times a derivative, where the cotangent may be zero for elements that were not chosen (by
# `where`, `maximum`, an index): there the product is 0 even if the derivative is inf or NaN.
masked_multiply = Operator(
    "masked_multiply",
    infer_elementwise,
    kind="elementwise",
    numpy_ufunc=np.multiply,
    rereads=(0, 1),
    cheap=True,
    meaning=lambda xp, ct, factor: xp.where(ct != 0, ct * factor, xp.zeros_like(ct * factor)),
)


def _infer_root_of_squares(primitive: Primitive, x: Aval) -> Aval:
    return infer_elementwise(sqrt, x)


# sqrt of a sum of squares. As a norm it has the minimum-norm subgradient 0 at 0, where sqrt itself has inf.
root_of_squares = Operator(
    "root_of_squares", _infer_root_of_squares, kind="elementwise", loop=np.sqrt, meaning=lambda xp, x: xp.sqrt(x)
)


def _infer_logistic(primitive: Primitive, x: Aval) -> Aval:
    if x.dtype.kind not in "fc":
        raise DTypeError(f"logistic takes floating or complex numbers, not {x.dtype.name}")
    return infer_elementwise(exp, x)


# 1 / (1 + exp(-x)), and 0 where exp(-x) overflows: the weight of one of two in a softmax.
logistic = Operator(
    "logistic", _infer_logistic, kind="elementwise", loop=np.exp, meaning=lambda xp, x: 1 / (1 + xp.exp(-x))
)


def _infer_astype(primitive: Primitive, x: Aval, *, dtype: np.dtype[Any]) -> Aval:
    return intern_aval(x.shape, dtype)


astype_p = Operator(
    "astype",
    _infer_astype,
    params={"dtype": DType},
    kind="elementwise",
    cheap=True,
    meaning=lambda xp, x, dtype: xp.asarray(x).astype(dtype),
)


def astype(x: Node, dtype: Any) -> Node:
    """``x`` in another dtype; a complex value loses its imaginary part, as with ``ndarray.astype``."""
    wanted = np.dtype(dtype)
    number = x.aval.literal
    if type(number) is int and wanted.kind in "fc" and not -(2**63) <= number < 2**63:
        # No dtype of integers holds it, or uint64 only, which a plan would take for int64.
        try:
            x = literal(float(number))
        except OverflowError:
            raise RangeError(
                f"the Python integer {shown(number)} is larger than any float; give one that fits"
            ) from None
    if x.aval.dtype == wanted and not x.aval.weak:
        return x
    if x.aval.weak and wanted.kind in "iu" and type(x.value) is int:
        limits = np.iinfo(wanted)
        if not limits.min <= x.value <= limits.max:
            return _wrapped(x, wanted)
    if x.aval.dtype.kind == "c" and wanted.kind not in "cb":
        x = real(x)
    return operation(astype_p.signature((x.aval,), (wanted,)), (x,))


def _wrapped(x: Node, dtype: np.dtype[Any]) -> Node:
    """A Python integer as NumPy converts it from int64, which it must fit: small dtypes keep its last bits."""
    if not -(2**63) <= x.value < 2**63:
        raise RangeError(f"astype: the Python integer {shown(x.value)} does not fit {dtype}")
    return literal(np.asarray(x.value, np.int64).astype(dtype).item(), dtype)


def number_in(x: Node, dtype: np.dtype[Any], what: str) -> Node:
    """A number that is put into an array of ``dtype``: a Python number must fit it, anything else is converted."""
    aval = x.aval
    if not aval.weak:
        return astype(x, dtype)
    if aval.dtype.kind == "c" and dtype.kind not in "cb":
        raise DTypeError(f"{what}: a complex number does not go into {dtype}; take its real part")
    if dtype.kind == "b" and type(aval.literal) is int:
        return literal(bool(aval.literal), dtype)
    if dtype.kind not in "iu":
        return astype(x, dtype)
    if x.value is WITHHELD:
        WITHHELD._refuse()  # whether it fits depends on the number
    if type(x.value) not in (int, float):
        return astype(x, dtype)
    try:
        number = int(x.value)
    except (ValueError, OverflowError) as error:
        kind = RangeError if isinstance(error, OverflowError) else ArgumentError
        raise kind(f"{what}: {x.value} does not go into {dtype}: {error}") from None
    limits = np.iinfo(dtype)
    if not limits.min <= number <= limits.max:
        raise RangeError(f"{what}: the Python integer {shown(number)} does not fit {dtype}")
    return literal(number, dtype)


def strong(x: Node) -> Node:
    """``x`` as an array of its own dtype: what a Python number is to functions that are no ufuncs."""
    return astype(x, x.aval.dtype)


def select_dtype(*avals: Aval) -> np.dtype[Any]:
    """What arrays are selected from or joined in: as their operands promote, Python scalars being weak."""
    return np.result_type(*[PYTHON_TYPES[a.dtype.kind](0) if a.weak else a.dtype for a in avals])


def _infer_select(primitive: Primitive, condition: Aval, x: Aval, y: Aval) -> Aval:
    shape = broadcast_shapes("where", (condition, x, y))
    if x.weak and y.weak:
        return intern_aval(shape, np.result_type(x.dtype, y.dtype), shape == ())
    return intern_aval(shape, select_dtype(x, y))


where_p = Operator(
    "where",
    _infer_select,
    kind="elementwise",
    rereads=(0, 1, 2),
    cheap=True,
    meaning=lambda xp, condition, x, y: xp.where(condition, x, y),
)


def where(condition: Any, x: Any, y: Any) -> Node:
    """``x`` where ``condition`` is not 0, else ``y``; a Python number takes the dtype that NumPy gives the result."""
    condition, x, y = as_node(condition), as_node(x), as_node(y)
    if condition.aval.dtype.kind != "b":
        condition = astype(condition, BOOL)
    if x.aval.weak and y.aval.weak and condition.aval.place is not None:
        # What is chosen on a device is an array there, no Python number.
        x, y = strong(x), strong(y)
    if x.aval.weak and not y.aval.weak:
        x = number_in(x, select_dtype(x.aval, y.aval), "where")
    elif y.aval.weak and not x.aval.weak:
        y = number_in(y, select_dtype(x.aval, y.aval), "where")
    return where_p(condition, x, y)


def default_float(x: Node) -> np.dtype[Any]:
    """The floating dtype that NumPy's mean and true division compute an array of this dtype in."""
    return x.aval.dtype if x.aval.dtype.kind in "fc" else FLOAT64
