"""What computes each primitive in PyTorch: its functions where they mean what NumPy's do, else what is made of them.

Calls go to PyTorch directly, not through the compatible namespace, which costs some microseconds each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import getitem
from typing import Any

import array_api_compat.torch as compat_torch
import numpy as np
import torch

from autodiff.core.primitives import Signature

from ..array_api.calls import COMPARISONS, Call, operand_dtypes, over_no_axes, standard_call
from ..array_api.elementwise import Meaning, compare_mixed, same
from . import functions, indexing, unsigned

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

# Elementwise primitives that are not what the standard's functions compute, by the kind of number.
ELEMENTWISE: dict[str, dict[str, Meaning]] = {
    "sign": {"f": functions.sign, "c": "sgn"},
    "heaviside": {"f": functions.heaviside},
    "remainder": {"f": functions.remainder},
    "fmod": {"f": "fmod"},
    "masked_multiply": {"iufc": functions.masked_multiply},
    "fmax": {"f": "fmax"},
    "fmin": {"f": "fmin"},
    "exp2": {"fc": "exp2"},
    "logaddexp2": {"f": "logaddexp2"},
    "logistic": {"fc": "sigmoid"},
    "rint": {"f": "round", "c": functions.rint_complex},
    "degrees": {"f": "rad2deg"},
    "radians": {"f": "deg2rad"},
    "ldexp": {"f": functions.ldexp},
    "frexp": {"f": functions.frexp},
    "lcm": {"i": functions.lcm, "u": functions.lcm},
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
ELEMENTWISE |= {name: {"f": function} for name, function in SPECIAL.items()}

# The operands that may be Python numbers, by the function. PyTorch gives numbers a dtype as NumPy does, but computes
# half precision in single beside them.
NUMBERS = {
    **dict.fromkeys(("add", "sub", "mul", "div", "pow"), (0, 1)),
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
    at_zero = signature.inputs[-1].literal
    if name == "heaviside" and call.operands[0] in BLAS and at_zero is not None and 0 <= at_zero <= 1:
        return Call(functions.step, call.operands, with_namespace=False)
    if call.meaning is compare_mixed:
        compare = partial(unsigned.compare_mixed, comparison=getattr(torch, NAMES[name]))
        return Call(_named(compare, name), call.operands, with_namespace=False)
    if call.operands[0] is not None:
        for kinds, meaning in ELEMENTWISE.get(name, {}).items():
            if call.operands[0].kind in kinds:
                return call._replace(meaning=meaning, with_namespace=False)
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


def _inner_product(signature: Signature) -> Call:
    (axes,) = signature.params
    dtype = signature.out.dtype
    if len(axes) == signature.inputs[0].ndim and dtype in BLAS:
        return Call(functions.dot, (dtype, dtype), with_namespace=False)
    return Call(functions.inner_product, (dtype, dtype), (axes,), with_namespace=False)


def _shaped(name: str) -> Callable[[Signature], Call]:
    return lambda signature: Call(name, (None,), (signature.params[0],), view=True)


def _matmul(signature: Signature) -> Call:
    call = standard_call(signature)
    if call.meaning != "matmul":
        return call._replace(meaning=functions.matmul_truth, with_namespace=False)
    x, y = signature.inputs
    if x.ndim == y.ndim == 2:
        return call._replace(meaning="mm")
    return call._replace(meaning="bmm") if x.ndim == y.ndim == 3 and x.shape[0] == y.shape[0] else call


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


TORCH: dict[str, Callable[[Signature], Call]] = {
    "where": standard_call,
    "astype": _astype,
    "reshape": _shaped("reshape"),
    "transpose": _shaped("permute"),
    "broadcast_to": _shaped("broadcast_to"),
    "concatenate": _concatenate,
    "sum": _over_axes("sum"),
    "prod": _prod,
    "cumsum": _over_axes("cumsum"),
    "cumprod": _over_axes("cumprod"),
    "max": _extremum("amax"),
    "min": _extremum("amin"),
    "all": _truth("all", functions.all_numbers),
    "any": _truth("any", functions.any_numbers),
    "argmax": _position("argmax", functions.argmax_truth),
    "argmin": _position("argmin", functions.argmin_truth),
    "inner_product": _inner_product,
    "matmul": _matmul,
    "index": _index,
    "index_add": _index_write(indexing.index_add, indexing.add_to),
    "index_set": _index_write(indexing.index_set, indexing.write_to),
}


def torch_call(signature: Signature) -> Call:
    """The call of any primitive by PyTorch's functions."""
    if signature.primitive.kind == "reduction" and signature.params == ((),):
        call = over_no_axes(signature)
    else:
        call = TORCH.get(signature.primitive.name, _elementwise)(signature)
    meaning = call.meaning
    if isinstance(meaning, str):
        meaning = NAMES.get(meaning, meaning)
        call = call._replace(meaning=meaning)
        if call.operands[-1] in NUMBER_DTYPES:
            call = call._replace(numbers=NUMBERS.get(meaning, ()), literals=LITERALS.get(meaning, ()))
    return _of_wide_integers(signature, call)


def gpu_call(signature: Signature) -> Call:
    """The same on a GPU."""
    if signature.primitive.name == "matmul" and signature.out.dtype.kind in "iu":
        call = Call(functions.matmul_integers, operand_dtypes(signature), with_namespace=False)
        return _of_wide_integers(signature, call)
    return torch_call(signature)


def _of_wide_integers(signature: Signature, call: Call) -> Call:
    """The same call, unless it is of unsigned integers that PyTorch has few functions of."""
    name = signature.primitive.name
    mixed = name in COMPARISONS and call.operands[0] != call.operands[1]
    if (call.operands[0] or signature.inputs[0].dtype) not in WIDE or mixed:
        return call
    function = call.meaning
    if isinstance(function, str):
        function = getattr(torch, function)
    elif call.with_namespace:
        function = partial(function, compat_torch)
    wrapped = unsigned.way(name, function)
    if wrapped is function:
        return call
    return call._replace(meaning=_named(wrapped, name), with_namespace=False, numbers=(), in_place=None)


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function under a name for generated source."""

    def run(*operands: Any, **keywords: Any) -> Any:
        return function(*operands, **keywords)

    run.__name__ = f"unsigned_{name}"
    return run
