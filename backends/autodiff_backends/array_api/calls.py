"""What computes an application of a primitive: a function, what its operands are converted to, and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import getitem
from typing import Any, NamedTuple

import numpy as np

from autodiff.core.primitives import PRIMITIVES, Signature

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


COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def operand_dtypes(signature: Signature) -> tuple[DType, ...]:
    """What the operands of an elementwise primitive (or a matrix product) are converted to."""
    return signature.loop_dtypes[: len(signature.inputs)]


def elementwise_call(signature: Signature) -> Call:
    """The call of an elementwise primitive by the standard's functions."""
    loop = operand_dtypes(signature)
    name = signature.primitive.name
    if name in COMPARISONS and loop[0] != loop[1]:
        return Call(compare_mixed, loop, keywords={"comparison": name})
    if name.startswith("logical_"):
        return Call(_logical(signature), (None,) * len(loop))
    meaning = meaning_for(ELEMENTWISE, name, loop[0].kind)
    return Call(meaning, loop, view=meaning is same or name in ("real", "imag"))


def _logical(signature: Signature) -> Meaning:
    """Of truth values themselves, or of any numbers, which need not have a dtype in common."""
    name = signature.primitive.name
    return name if all(aval.dtype.kind == "b" for aval in signature.inputs) else meaning_for(ELEMENTWISE, name, "i")


def meaning_for(table: Mapping[str, Mapping[str, Meaning]], name: str, kind: str) -> Meaning:
    """The entry of a table for a primitive and a kind of number."""
    for kinds, meaning in table[name].items():
        if kind in kinds:
            return meaning
    raise KeyError(f"{name} has no meaning for numbers of kind {kind!r}")


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


def _shaped(name: str) -> Callable[[Signature], Call]:
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


ARRAYS: dict[str, Callable[[Signature], Call]] = {
    "where": _where,
    "astype": _astype,
    "reshape": _shaped("reshape"),
    "transpose": _shaped("permute_dims"),
    "broadcast_to": _shaped("broadcast_to"),
    "concatenate": _concatenate,
    "sum": _sum_like("sum"),
    "prod": _sum_like("prod"),
    "cumsum": _sum_like("cumulative_sum"),
    "cumprod": _sum_like("cumulative_prod"),
    "max": _by_kind(iuf="max", b="any", c=reductions.max_complex),
    "min": _by_kind(iuf="min", b="all", c=reductions.min_complex),
    "all": _by_kind(b="all", iufc=reductions.all_numbers),
    "any": _by_kind(b="any", iufc=reductions.any_numbers),
    "argmax": _by_kind(biufc=reductions.argmax),
    "argmin": _by_kind(biufc=reductions.argmin),
    "inner_product": _inner_product,
    "matmul": _matmul,
    "index": _index,
    "index_add": _index_write(indexing.index_add),
    "index_set": _index_write(indexing.index_set),
}


def over_no_axes(signature: Signature) -> Call:
    """A reduction over no axes, which some libraries take for one over all."""
    dtype = signature.out.dtype
    if signature.primitive.name == "inner_product":
        return Call("multiply", (dtype, dtype))
    return Call(same, (dtype,), view=True) if signature.inputs[0].dtype == dtype else Call(truth, (None,))


def standard_call(signature: Signature) -> Call:
    """The call of any primitive by the standard's functions."""
    if signature.primitive.kind == "reduction" and signature.params == ((),):
        return over_no_axes(signature)
    name = signature.primitive.name
    if name in ARRAYS:
        return ARRAYS[name](signature)
    return elementwise_call(signature) if name in ELEMENTWISE else by_meaning(signature)


def by_meaning(signature: Signature) -> Call:
    """What the primitive's card says."""
    primitive = signature.primitive
    assert primitive.meaning is not None, primitive.name
    # A ufunc of another module than NumPy's may compute in another dtype than its operands'.
    operands = operand_dtypes(signature) if primitive.module != "numpy" else (None,) * len(signature.inputs)
    return Call(primitive.meaning, operands, keywords=signature.meaning_keywords, view=signature.is_view)


# Functions that are in the standard since 2022.12 or later and that functions of this package call, by primitive.
NEEDS: dict[str, tuple[str, ...]] = {
    "fmod": ("copysign",),
    "fmax": ("maximum",),
    "fmin": ("minimum",),
    "cbrt": ("copysign",),
    "spacing": ("nextafter",),
    "logaddexp2": ("maximum",),
    "ldexp": ("clip",),
    "frexp": ("clip",),
    "modf": ("copysign",),
    "cumsum": ("cumulative_sum",),
    "cumprod": ("cumulative_prod",),
    "index_add": ("searchsorted",),
    "index_set": ("searchsorted",),
}


def _functions_of(primitive: str) -> set[str]:
    """The functions of the namespace that a primitive may need, by name."""
    meanings = ELEMENTWISE.get(primitive, {}).values()
    return {meaning for meaning in meanings if isinstance(meaning, str)} | set(NEEDS.get(primitive, ()))


def _has(xp: Any, name: str) -> bool:
    """Whether a namespace has a function, which may be in a module of it."""
    for part in name.split("."):
        xp = getattr(xp, part, None)
    return xp is not None


def missing(xp: Any) -> dict[str, str]:
    """The primitives that a namespace lacks functions for, and which."""
    result = {}
    own = {*ELEMENTWISE, *ARRAYS}
    needs = {p.name: set(p.needs) for p in PRIMITIVES.values() if p.name not in own}
    for primitive in (*ELEMENTWISE, *ARRAYS, *needs):
        wanted = _functions_of(primitive) | needs.get(primitive, set())
        lacking = sorted(name for name in wanted if not _has(xp, name))
        if lacking:
            modules = {name.partition(".")[0] for name in lacking if "." in name}
            absent = sorted(module for module in modules if not hasattr(xp, module))
            words = [f"module {name}" for name in absent] or [f"function {name}" for name in lacking]
            result[primitive] = f"{xp.__name__} has no {' and no '.join(words)}"
    for card in PRIMITIVES.values():
        if card.meaning is None and card.name not in ELEMENTWISE and card.numpy_ufunc is not None:
            result[card.name] = f"{xp.__name__} has no such function"
    return result
