"""What computes each primitive in PyTorch: its functions where they mean what NumPy's do, else what is made of them.

Calls go to PyTorch directly, not through the compatible namespace, which costs some microseconds each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import getitem
from typing import Any, NamedTuple

import array_api_compat.torch as compat_torch
import numpy as np
import torch

from autodiff.core.primitives import COMPARED_BY_VALUE, PRIMITIVES, Primitive, Signature, by_primitive

from ..array_api.calls import Call, operand_dtypes, over_no_axes, shaped, standard_call
from ..array_api.elementwise import Meaning, compare_mixed, same
from . import functions, indexing, unsigned

Function = Callable[..., Any]

# Names in the standard -> in PyTorch. (Where it has both, one calls the other.)
NAMES = {
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "negative": "neg",
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "bitwise_invert": "bitwise_not",
    "conj": "conj_physical",
}

# Of SciPy's functions, those that PyTorch has to the last digits; for real numbers. (Its J, Y and incomplete gamma
# functions are off by 1e-9, and its ndtr is 0 for what is far to the left.)
_SAME_NAMES = "entr erf erfc erfcx erfinv expit gammaln i0 i0e i1 i1e log_ndtr logit ndtri psi xlog1py xlogy"
_OTHER_NAMES = {
    "k0": "modified_bessel_k0",
    "k1": "modified_bessel_k1",
    "k0e": "scaled_modified_bessel_k0",
    "k1e": "scaled_modified_bessel_k1",
    "_zeta": "zeta",
}
SPECIAL: dict[str, Callable[..., Any]] = {
    **{name: getattr(torch.special, name) for name in _SAME_NAMES.split()},
    **{name: getattr(torch.special, other) for name, other in _OTHER_NAMES.items()},
    "log_expit": torch.nn.functional.logsigmoid,
    "ndtr": functions.ndtr,
}
# The operands that may be Python numbers, by the function. PyTorch gives numbers a dtype as NumPy does, but computes
# half precision in single beside them.
NUMBERS = {
    **dict.fromkeys(("add", "sub", "mul", "div"), (0, 1)),
    # A power with the number -0.5 would be the reciprocal of a root: NaN of minus infinity, which gives 0.
    "pow": (0,),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), (1,)),
    "where": (1, 2),
}
LITERALS = {"pow": (1,)}
NUMBER_DTYPES = {np.dtype(code) for code in ("i1", "i2", "i4", "i8", "u1", "f4", "f8", "c8", "c16")}

WIDE = {np.dtype(code) for code in ("u2", "u4", "u8")}
BLAS = {np.dtype(code) for code in ("f4", "f8")}
INT64 = np.dtype(np.int64)


def _elementwise(signature: Signature) -> Call:
    call = standard_call(signature)
    name = signature.primitive.name
    if call.meaning is compare_mixed:
        compare = partial(unsigned.compare_mixed, comparison=getattr(torch, NAMES[name]))
        return Call(_named(compare, name), call.operands, with_namespace=False)
    if call.operands[0] is not None:
        for kinds, meaning in OVERRIDES.get(signature.primitive, NOTHING).kinds.items():
            if call.operands[0].kind in kinds:
                return call._replace(meaning=meaning, with_namespace=False)
    return call


def _heaviside(signature: Signature) -> Call:
    call, at_zero = _elementwise(signature), signature.inputs[1].literal
    if call.operands[0] in BLAS and at_zero is not None and 0 <= at_zero <= 1:
        return Call(functions.step, call.operands, with_namespace=False)
    return call


def _astype(signature: Signature) -> Call:
    (dtype,) = signature.params
    given = signature.inputs[0].dtype
    if given == dtype:
        return Call(same, (None,), view=True)
    return standard_call(signature) if dtype.kind == "b" or given.kind == "c" != dtype.kind else Call(same, (dtype,))


def _over_axes(name: str) -> Callable[[Signature], Call]:
    """A reduction of numbers, in the dtype that they have."""

    def make(signature: Signature) -> Call:
        dtype = signature.out.dtype
        keywords = {} if dtype.kind in "fc" else {"dtype": dtype}
        return Call(name, (dtype,), (signature.params[0],), keywords)

    return make


def _prod(signature: Signature) -> Call:
    dtype = signature.out.dtype
    return Call(functions.prod, (dtype,), (signature.params[0],), {"dtype": dtype}, with_namespace=False)


def _inv(signature: Signature) -> Call:
    return Call(functions.inv, (None,), with_namespace=False)


def _transform(signature: Signature) -> Call:
    if 0 not in signature.inputs[0].shape:
        return standard_call(signature)
    # MKL refuses those of no elements.
    dtype = signature.out.dtype
    return Call(functions.no_elements, (None,), (signature.out.shape,), {"dtype": dtype}, with_namespace=False)


def _extremum(name: str) -> Callable[[Signature], Call]:
    def make(signature: Signature) -> Call:
        if signature.out.dtype.kind == "c":
            return standard_call(signature)
        return Call(name, (None,), (signature.params[0],))

    return make


def _truth(name: str, of_numbers: Meaning) -> Callable[[Signature], Call]:
    def make(signature: Signature) -> Call:
        meaning = name if signature.inputs[0].dtype.kind == "b" else of_numbers
        return Call(meaning, (None,), (signature.params[0],), with_namespace=False)

    return make


def _position(name: str, of_truth: Meaning) -> Callable[[Signature], Call]:
    def make(signature: Signature) -> Call:
        kind = signature.inputs[0].dtype.kind
        if kind == "c":
            return standard_call(signature)
        return Call(of_truth if kind == "b" else name, (None,), (signature.params[0],), with_namespace=False)

    return make


def searchsorted(xp: Any, *operands: Any, right: bool) -> Any:
    """What the card says, of arrays that are contiguous: PyTorch warns of others."""
    meaning = PRIMITIVES["searchsorted"].meaning
    assert meaning is not None
    return meaning(xp, *[x.contiguous() for x in operands], right=right)


def _searchsorted(signature: Signature) -> Call:
    return standard_call(signature)._replace(meaning=searchsorted)


def _inner_product(signature: Signature) -> Call:
    (axes,) = signature.params
    dtype = signature.out.dtype
    if len(axes) == signature.inputs[0].ndim and dtype in BLAS:
        return Call(functions.dot, (dtype, dtype), with_namespace=False)
    return Call(functions.inner_product, (dtype, dtype), (axes,), with_namespace=False)


def _matmul(signature: Signature) -> Call:
    call = standard_call(signature)
    if call.meaning != "matmul":
        return call._replace(meaning=functions.matmul_truth, with_namespace=False)
    x, y = signature.inputs
    if x.ndim == y.ndim == 2:
        return call._replace(meaning="mm")
    return call._replace(meaning="bmm") if x.ndim == y.ndim == 3 and x.shape[0] == y.shape[0] else call


def _matmul_on_gpu(signature: Signature) -> Call | None:
    if signature.out.dtype.kind not in "iu":
        return None
    return Call(functions.matmul_integers, operand_dtypes(signature), with_namespace=False)


def _concatenate(signature: Signature) -> Call:
    return standard_call(signature)._replace(meaning=functions.concatenate, with_namespace=False)


def _index(signature: Signature) -> Call:
    _, idx, *arrays = signature.inputs
    spec = idx.spec
    assert spec is not None
    if arrays:
        operands = (None, None, *[INT64] * len(arrays))
        return Call(indexing.index, operands, keywords={"spec": spec}, with_namespace=False)
    known = idx.literal is not None and all(type(e) is not slice or e.step is None or e.step > 0 for e in idx.literal)
    if known or not any(type(entry) is int for entry in spec):
        return Call(getitem, (None, None), with_namespace=False, view=True)
    return Call(indexing.read, (None, None), keywords={"spec": spec}, with_namespace=False, view=True)


def _index_write(function: Callable[..., Any], in_place: Callable[..., Any]) -> Callable[[Signature], Call]:
    def make(signature: Signature) -> Call:
        operands = (None, None, signature.out.dtype, *[INT64] * (len(signature.inputs) - 3))
        keywords = {"spec": signature.inputs[1].spec}
        return Call(function, operands, keywords=keywords, with_namespace=False, in_place=in_place)

    return make


class Override(NamedTuple):
    """What PyTorch computes in another way than by the standard's functions.

    Parameters
    ----------
    kinds : mapping of str to Meaning
        Of an elementwise primitive what computes it, by the kinds of number that it computes with.
    call : callable, optional
        Makes the call of a signature.
    on_gpu : callable, optional
        Makes another call on a GPU; None where that is the same.
    wide : callable, optional
        What computes it of unsigned integers of more than 8 bits, given what computes it of signed ones.
    """

    kinds: Mapping[str, Meaning] = {}
    call: Callable[[Signature], Call] | None = None
    on_gpu: Callable[[Signature], Call | None] | None = None
    wide: Callable[[Function], Function] | None = None


def _replaced(function: Function) -> Callable[[Function], Function]:
    return lambda signed: function


NOTHING = Override()
OVERRIDES: dict[Primitive, Override] = by_primitive(
    {
        **{name: Override(kinds={"f": function}) for name, function in SPECIAL.items()},
        "sign": Override(kinds={"f": functions.sign, "c": "sgn"}, wide=_replaced(unsigned.sign)),
        "heaviside": Override(kinds={"f": functions.heaviside}, call=_heaviside),
        "remainder": Override(
            kinds={"f": functions.remainder}, wide=_replaced(unsigned.in_64_bits(unsigned.remainder))
        ),
        "fmod": Override(kinds={"f": "fmod"}, wide=_replaced(unsigned.in_64_bits(unsigned.remainder))),
        "masked_multiply": Override(kinds={"iufc": functions.masked_multiply}, wide=unsigned.same_bits),
        "fmax": Override(kinds={"f": "fmax"}, wide=unsigned.chosen),
        "fmin": Override(kinds={"f": "fmin"}, wide=unsigned.chosen),
        "exp2": Override(kinds={"fc": "exp2"}),
        "logaddexp2": Override(kinds={"f": "logaddexp2"}),
        "logistic": Override(kinds={"fc": "sigmoid"}),
        "rint": Override(kinds={"f": "round", "c": functions.rint_complex}),
        "degrees": Override(kinds={"f": "rad2deg"}),
        "radians": Override(kinds={"f": "deg2rad"}),
        "ldexp": Override(kinds={"f": functions.ldexp}),
        "frexp": Override(kinds={"f": functions.frexp}),
        "lcm": Override(
            kinds={"i": functions.lcm, "u": functions.lcm}, wide=_replaced(unsigned.in_64_bits(unsigned.lcm))
        ),
        "astype": Override(call=_astype),
        "reshape": Override(call=shaped("reshape")),
        "transpose": Override(call=shaped("permute")),
        "broadcast_to": Override(call=shaped("broadcast_to")),
        "concatenate": Override(call=_concatenate),
        "sum": Override(call=_over_axes("sum"), wide=unsigned.same_bits),
        "prod": Override(call=_prod, wide=unsigned.same_bits),
        "cumsum": Override(call=_over_axes("cumsum"), wide=unsigned.same_bits),
        "cumprod": Override(call=_over_axes("cumprod"), wide=unsigned.same_bits),
        "max": Override(call=_extremum("amax"), wide=unsigned.chosen),
        "min": Override(call=_extremum("amin"), wide=unsigned.chosen),
        "all": Override(call=_truth("all", functions.all_numbers)),
        "any": Override(call=_truth("any", functions.any_numbers)),
        "inv": Override(call=_inv),
        **dict.fromkeys(("fft", "ifft", "rfft", "irfft"), Override(call=_transform)),
        "argmax": Override(call=_position("argmax", functions.argmax_truth), wide=unsigned.ordered),
        "argmin": Override(call=_position("argmin", functions.argmin_truth), wide=unsigned.ordered),
        **dict.fromkeys(("sort", "partition", "ranked"), Override(wide=unsigned.chosen)),
        **dict.fromkeys(("argsort", "argpartition"), Override(wide=unsigned.ordered)),
        "searchsorted": Override(call=_searchsorted, wide=unsigned.ordered),
        "inner_product": Override(call=_inner_product, wide=unsigned.same_bits),
        "matmul": Override(call=_matmul, wide=unsigned.same_bits, on_gpu=_matmul_on_gpu),
        "index": Override(call=_index, wide=unsigned.same_bits),
        "index_add": Override(call=_index_write(indexing.index_add, indexing.add_to), wide=unsigned.same_bits),
        "index_set": Override(call=_index_write(indexing.index_set, indexing.write_to), wide=unsigned.same_bits),
        "floor_divide": Override(wide=_replaced(unsigned.in_64_bits(unsigned.floor_divide))),
        "right_shift": Override(wide=_replaced(unsigned.in_64_bits(unsigned.right_shift))),
        "power": Override(wide=_replaced(unsigned.in_64_bits(unsigned.power))),
        "gcd": Override(wide=_replaced(unsigned.in_64_bits(unsigned.gcd))),
        "reciprocal": Override(wide=_replaced(unsigned.reciprocal)),
        **dict.fromkeys(
            ("add", "subtract", "multiply", "negative", "square", "invert", "left_shift"),
            Override(wide=unsigned.same_bits),
        ),
        **dict.fromkeys(("less", "less_equal", "greater", "greater_equal"), Override(wide=unsigned.ordered)),
        **dict.fromkeys(("maximum", "minimum"), Override(wide=unsigned.chosen)),
    }
)


def torch_call(signature: Signature) -> Call:
    """The call of any primitive by PyTorch's functions."""
    if signature.primitive.kind == "reduction" and signature.params == ((),):
        call = over_no_axes(signature)
    else:
        call = (OVERRIDES.get(signature.primitive, NOTHING).call or _elementwise)(signature)
    meaning = call.meaning
    if isinstance(meaning, str):
        meaning = NAMES.get(meaning, meaning)
        call = call._replace(meaning=meaning)
        if call.operands[-1] in NUMBER_DTYPES:
            call = call._replace(numbers=NUMBERS.get(meaning, ()), literals=LITERALS.get(meaning, ()))
    return _of_wide_integers(signature, call)


def gpu_call(signature: Signature) -> Call:
    """The same on a GPU."""
    on_gpu = OVERRIDES.get(signature.primitive, NOTHING).on_gpu
    call = None if on_gpu is None else on_gpu(signature)
    return torch_call(signature) if call is None else _of_wide_integers(signature, call)


def _of_wide_integers(signature: Signature, call: Call) -> Call:
    """The same call, unless it is of unsigned integers that PyTorch has few functions of."""
    primitive = signature.primitive
    wide = OVERRIDES.get(primitive, NOTHING).wide
    mixed = primitive.numpy_ufunc in COMPARED_BY_VALUE and call.operands[0] != call.operands[1]
    if (call.operands[0] or signature.inputs[0].dtype) not in WIDE or mixed or wide is None:
        return call
    function = call.meaning
    if isinstance(function, str):
        function = getattr(torch, function)
    elif call.with_namespace:
        function = partial(function, compat_torch)
    named = _named(wide(function), primitive.name)
    return call._replace(meaning=named, with_namespace=False, numbers=(), in_place=None)


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function under a name for generated source."""

    def run(*operands: Any, **keywords: Any) -> Any:
        return function(*operands, **keywords)

    run.__name__ = f"unsigned_{name}"
    return run
