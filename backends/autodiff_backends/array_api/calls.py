"""What computes an application of a primitive: a function, what its operands are converted to, and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from operator import getitem
from typing import Any, NamedTuple

import numpy as np

from autodiff.backend import has
from autodiff.core.primitives import COMPARED_BY_VALUE, PRIMITIVES, Primitive, Signature, by_primitive
from autodiff.errors import BackendError

from . import indexing, reductions
from .elementwise import ELEMENTWISE, Meaning, compare_mixed, same, truth

DType = np.dtype[Any]

# What arrays may be of, where a library has it: half precision too.
DTYPES = frozenset(np.dtype(code) for code in "?bhilBHILefdFD")


class Call(NamedTuple):
    """A function and what it is called with.

    Parameters
    ----------
    meaning : str or callable
        A function of the namespace by its name, or one of this package.
    operands : tuple of numpy.dtype or None
        What each argument is converted to first; None for what stays as it is.
    parameters : tuple
        Static arguments after the operands.
    keywords : mapping of str to object
        Static arguments by name; dtypes among them are NumPy's here.
    with_namespace : bool
        Whether a function of this package is given the namespace before the operands.
    view : bool
        Whether the result may share memory with an operand.
    numbers : tuple of int
        The operands that may be Python numbers, as long as there is an array beside.
    literals : tuple of int
        Those of them that had better be numbers than arrays if they are known.
    in_place : callable, optional
        What to call instead if the first operand may be overwritten.
    """

    meaning: Meaning
    operands: tuple[DType | None, ...]
    parameters: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = {}
    with_namespace: bool = True
    view: bool = False
    numbers: tuple[int, ...] = ()
    literals: tuple[int, ...] = ()
    in_place: Callable[..., Any] | None = None


class Override(NamedTuple):
    """What computes a primitive, where its card does not say it in the words of the standard.

    Parameters
    ----------
    kinds : mapping of str to Meaning
        Of an elementwise primitive what computes it, by the kinds of number that it computes with.
    call : callable, optional
        Makes the call of a signature, if the dtypes of operands do not say enough.
    needs : tuple of str
        The functions that are in the standard since 2022.12 or later and that functions of this package call.
    operator : str, optional
        What Python computes exactly as NumPy does, for two floats.
    """

    kinds: Mapping[str, Meaning] = {}
    call: Callable[[Signature], Call] | None = None
    needs: tuple[str, ...] = ()
    operator: str | None = None

    def meaning(self, signature: Signature, kind: str) -> Meaning:
        """What computes an elementwise primitive of numbers of a kind."""
        for kinds, meaning in self.kinds.items():
            if kind in kinds:
                return meaning
        raise BackendError(f"{signature!r} is not available in a library of the Array API standard")


def operand_dtypes(signature: Signature) -> tuple[DType, ...]:
    """What the operands of an elementwise primitive (or a matrix product) are converted to."""
    return signature.loop_dtypes[: len(signature.inputs)]


def elementwise_call(signature: Signature) -> Call:
    """The call of an elementwise primitive by the standard's functions."""
    loop = operand_dtypes(signature)
    primitive = signature.primitive
    if primitive.numpy_ufunc in COMPARED_BY_VALUE and loop[0] != loop[1]:
        return Call(compare_mixed, loop, keywords={"comparison": primitive.name})
    meaning = OVERRIDES[primitive].meaning(signature, loop[0].kind)
    return Call(meaning, loop, view=meaning is same or signature.is_view)


def _logical(signature: Signature) -> Call:
    """Of truth values themselves, or of any numbers, which need not have a dtype in common."""
    kind = "b" if all(aval.dtype.kind == "b" for aval in signature.inputs) else "i"
    return Call(OVERRIDES[signature.primitive].meaning(signature, kind), (None,) * len(signature.inputs))


def _where(signature: Signature) -> Call:
    dtype = signature.out.dtype
    return Call("where", (np.dtype(np.bool_), dtype, dtype))


def _astype(signature: Signature) -> Call:
    (dtype,) = signature.params
    given = signature.inputs[0].dtype
    if dtype.kind == "b" and given.kind != "b":
        return Call(truth, (None,))
    if given.kind == "c" and dtype.kind != "c":
        return Call(reductions.astype_real, (None,), keywords={"dtype": dtype})
    return Call("astype", (None,), (dtype,))


def _kind(signature: Signature) -> str:
    return signature.inputs[0].dtype.kind


def _sum_like(name: str) -> Callable[[Signature], Call]:
    """A reduction that libraries do in a dtype of their choice unless they are told."""

    def make(signature: Signature) -> Call:
        dtype = signature.out.dtype
        return Call(name, (dtype,), keywords={"axis": signature.params[0], "dtype": dtype})

    return make


def _by_kind(*names: str, **meanings: Meaning) -> Callable[[Signature], Call]:
    """A function by the kind of number, the first parameter being its ``axis``."""
    kinds = {kind: meaning for kinds, meaning in meanings.items() for kind in kinds}

    def make(signature: Signature) -> Call:
        return Call(kinds[_kind(signature)], (None,), keywords={"axis": signature.params[0]})

    return make


def shaped(name: str) -> Callable[[Signature], Call]:
    """A view in a shape, or with axes, that the first parameter says."""
    return lambda signature: Call(name, (None,), (signature.params[0],), view=True)


def _inner_product(signature: Signature) -> Call:
    dtype = signature.out.dtype
    return Call(reductions.inner_product, (dtype, dtype), keywords={"axis": signature.params[0], "dtype": dtype})


def _matmul(signature: Signature) -> Call:
    loop = operand_dtypes(signature)
    return Call(reductions.matmul_truth if loop[0].kind == "b" else "matmul", loop)


def _concatenate(signature: Signature) -> Call:
    operands = (signature.out.dtype,) * len(signature.inputs)
    return Call(reductions.concatenate, operands, keywords={"axis": signature.params[0]})


def _index(signature: Signature) -> Call:
    operands = (None,) * len(signature.inputs)
    spec = signature.inputs[1].spec
    assert spec is not None
    if len(operands) == 2 and 0 not in spec:
        return Call(getitem, operands, with_namespace=False, view=True)
    return Call(indexing.index, operands, keywords={"spec": spec}, view=len(operands) == 2)


def _index_write(function: Callable[..., Any]) -> Callable[[Signature], Call]:
    def make(signature: Signature) -> Call:
        operands = (None, None, signature.out.dtype, *[None] * (len(signature.inputs) - 3))
        return Call(function, operands, keywords={"spec": signature.inputs[1].spec})

    return make


def over_no_axes(signature: Signature) -> Call:
    """A reduction over no axes, which some libraries take for one over all."""
    dtype = signature.out.dtype
    if len(signature.inputs) == 2:
        return Call("multiply", (dtype, dtype))
    return Call(same, (dtype,), view=True) if signature.inputs[0].dtype == dtype else Call(truth, (None,))


def standard_call(signature: Signature) -> Call:
    """The call of any primitive by the standard's functions."""
    if signature.primitive.kind == "reduction" and signature.params == ((),):
        return over_no_axes(signature)
    row = OVERRIDES.get(signature.primitive)
    if row is None:
        return by_meaning(signature)
    return elementwise_call(signature) if row.call is None else row.call(signature)


def by_meaning(signature: Signature) -> Call:
    """What the primitive's card says."""
    meaning = signature.meaning("a library of the Array API standard")
    is_ufunc = signature.primitive.kind == "elementwise" and signature.primitive.loop is not None
    operands = operand_dtypes(signature) if is_ufunc else (None,) * len(signature.inputs)
    return Call(meaning, operands, keywords=signature.meaning_keywords, view=signature.is_view)


NOTHING = Override()

# What rows of elementwise primitives have beside a function for each kind of number.
_FURTHER: dict[str, Override] = {
    "add": Override(operator="+"),
    "subtract": Override(operator="-"),
    "multiply": Override(operator="*"),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor", "logical_not"), Override(call=_logical)),
    **dict.fromkeys(("fmod", "cbrt", "modf"), Override(needs=("copysign",))),
    **dict.fromkeys(("fmax", "logaddexp2"), Override(needs=("maximum",))),
    **dict.fromkeys(("ldexp", "frexp"), Override(needs=("clip",))),
    "fmin": Override(needs=("minimum",)),
    "spacing": Override(needs=("nextafter",)),
}

OVERRIDES: dict[Primitive, Override] = by_primitive(
    {
        **{name: _FURTHER.get(name, NOTHING)._replace(kinds=kinds) for name, kinds in ELEMENTWISE.items()},
        "where": Override(call=_where),
        "astype": Override(call=_astype),
        "reshape": Override(call=shaped("reshape")),
        "transpose": Override(call=shaped("permute_dims")),
        "broadcast_to": Override(call=shaped("broadcast_to")),
        "concatenate": Override(call=_concatenate),
        "sum": Override(call=_sum_like("sum")),
        "prod": Override(call=_sum_like("prod")),
        "cumsum": Override(call=_sum_like("cumulative_sum"), needs=("cumulative_sum",)),
        "cumprod": Override(call=_sum_like("cumulative_prod"), needs=("cumulative_prod",)),
        "max": Override(call=_by_kind(iuf="max", b="any", c=reductions.max_complex)),
        "min": Override(call=_by_kind(iuf="min", b="all", c=reductions.min_complex)),
        "all": Override(call=_by_kind(b="all", iufc=reductions.all_numbers)),
        "any": Override(call=_by_kind(b="any", iufc=reductions.any_numbers)),
        "argmax": Override(call=_by_kind(biufc=reductions.argmax)),
        "argmin": Override(call=_by_kind(biufc=reductions.argmin)),
        "inner_product": Override(call=_inner_product),
        "matmul": Override(call=_matmul),
        "index": Override(call=_index),
        "index_add": Override(call=_index_write(indexing.index_add), needs=("searchsorted",)),
        "index_set": Override(call=_index_write(indexing.index_set), needs=("searchsorted",)),
    }
)


def missing(xp: Any, own: Container[Primitive] = ()) -> dict[str, str]:
    """The primitives that a namespace lacks functions for, and which; a backend may have some of its ``own``."""
    result = {}
    for primitive in PRIMITIVES.values():
        row = OVERRIDES.get(primitive)
        if row is None and primitive in own:
            continue
        if row is None and primitive.meaning is None and primitive.numpy_ufunc is not None:
            result[primitive.name] = f"{xp.__name__} has no such function"
            continue
        wanted = {*primitive.needs} if row is None else {*row.needs, *[m for m in row.kinds.values() if type(m) is str]}
        lacking = sorted(name for name in wanted if not has(xp, name))
        if lacking:
            modules = {name.partition(".")[0] for name in lacking if "." in name}
            absent = sorted(module for module in modules if not hasattr(xp, module))
            words = [f"module {name}" for name in absent] or [f"function {name}" for name in lacking]
            result[primitive.name] = f"{xp.__name__} has no {' and no '.join(words)}"
    return result
