"""Rows for Tensor's own operators, properties and methods; on a plain array they are ndarray's."""

from __future__ import annotations

import operator
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case, Draw, answer, between, booleans, case, complexes, integers, positive, real, signed, spaced


def method(name: str, *args: Any, gradient: str = "smooth", **keywords: Any) -> Case:
    """A row for ``args[0].name(*args[1:])``."""
    call = lambda x, *rest, **named: getattr(x, name)(*rest, **named)  # noqa: E731
    return case(call, *args, covers=f"Tensor.{name}", gradient=gradient, **keywords)


def attribute(name: str, x: Draw, gradient: str = "smooth") -> Case:
    return case(lambda x: getattr(x, name), x, covers=f"Tensor.{name}", gradient=gradient)


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(x: Any, y: Any) -> Any:
        out = np.copy(x)
        return function(out, y) * 2

    return apply


ARITHMETIC: list[tuple[str, Callable[..., Any], Draw, Draw]] = [
    ("add", operator.add, real(2, 3), real(3)),
    ("sub", operator.sub, real(2, 3), real(3)),
    ("mul", operator.mul, real(2, 3), real(3)),
    ("truediv", operator.truediv, real(2, 3), signed(3)),
    ("pow", operator.pow, positive(2, 3), real(3)),
    ("mod", operator.mod, real(2, 3, low=5.2, high=5.8), real(3, low=2.2, high=2.5)),
    ("matmul", operator.matmul, real(2, 2), real(2, 2)),
]
IN_PLACE = [
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ipow,
    operator.imod,
    operator.imatmul,
]
BITWISE = [
    ("and", operator.and_, operator.iand), ("or", operator.or_, operator.ior), ("xor", operator.xor, operator.ixor),
    ("lshift", operator.lshift, operator.ilshift), ("rshift", operator.rshift, operator.irshift),
]  # fmt: skip
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


def operators() -> list[Case]:
    rows = []
    for (name, f, x, y), in_place in zip(ARITHMETIC, IN_PLACE):
        constant = np.full(y.shape, 2.3)
        rows += [
            case(f, x, y, covers=f"Tensor.__{name}__"),
            case(f, x, constant, covers=f"Tensor.__{name}__"),
            case(f, constant, y, covers=f"Tensor.__r{name}__"),
            case(_in_place(in_place), x, y, covers=f"Tensor.__i{name}__"),
        ]
        if name != "matmul":
            rows += [case(f, x, 2, covers=f"Tensor.__{name}__"), case(f, x, 2.3, covers=f"Tensor.__{name}__")]
            rows += [case(f, 7, y, covers=f"Tensor.__r{name}__"), case(f, 2.3, y, covers=f"Tensor.__r{name}__")]
    a, b = real(2, 3, low=5.2, high=5.8), real(3, low=2.2, high=2.5)
    rows += [
        case(operator.floordiv, a, b, covers="Tensor.__floordiv__", gradient="zero"),
        case(operator.floordiv, 9.1, b, covers="Tensor.__rfloordiv__", gradient="zero"),
        case(_in_place(operator.ifloordiv), a, b, covers="Tensor.__ifloordiv__", gradient="zero"),
        case(divmod, a, b, covers="Tensor.__divmod__"),
        case(divmod, 9.1, b, covers="Tensor.__rdivmod__"),
        case(operator.neg, real(3), covers="Tensor.__neg__"),
        case(operator.pos, real(3), covers="Tensor.__pos__"),
        case(abs, signed(3), covers="Tensor.__abs__"),
        answer(operator.invert, booleans(3), covers="Tensor.__invert__"),
    ]
    rows += [answer(f, spaced(2, 3), spaced(3), covers=f"Tensor.__{f.__name__}__") for f in COMPARISONS]
    rows += [answer(f, spaced(3), 0.5, covers=f"Tensor.__{f.__name__}__") for f in COMPARISONS]
    for name, f, in_place in BITWISE:
        rows += [
            answer(f, integers(2, 3), integers(3, high=4), covers=f"Tensor.__{name}__"),
            answer(f, 5, integers(3, high=4), covers=f"Tensor.__r{name}__"),
            answer(in_place, integers(2, 3), integers(3, high=4), covers=f"Tensor.__i{name}__"),
        ]
    return rows


def _filled(x: Any, value: Any) -> Any:
    out = np.copy(x)
    out.fill(value)
    return out


def _put(x: Any, *args: Any) -> Any:
    out = np.copy(x)
    out.put(*args)
    return out


def _flat_read(x: Any, item: Any) -> Any:
    return x.flat[item]


def _flat_written(x: Any, item: Any, values: Any) -> Any:
    out = np.copy(x)
    if item is None:
        out.flat = values
    else:
        out.flat[item] = values
    return out


def _walked(x: Any) -> Any:
    return np.stack([element * number for number, element in enumerate(x.flat)])


def _shaped(x: Any, shape: Any) -> Any:
    out = np.copy(x, "C")
    out.shape = shape
    return out * 2


def _resized(x: Any, *shape: Any) -> Any:
    out = np.copy(x)
    out.resize(*shape)
    return out * 2


def _real_set(x: Any, y: Any) -> Any:
    out = np.copy(x)
    out.real = y
    out.T.real[0] *= 2
    return out


def _imaginary_set(x: Any, y: Any) -> Any:
    out = np.copy(x)
    out.imag = y
    out[1:].imag -= y
    return out


def _undeletable(x: Any) -> bool:
    try:
        del x[0]
    except ValueError:
        return True
    return False


def memory() -> list[Case]:
    """Elements in a row, other shapes in place, and what is about memory."""
    items = [1, -1, slice(1, 5, 2), [0, 0, 3], np.array([[1, 2], [5, 0]]), ...]
    rows = [case(_flat_read, real(2, 3), item, covers="Tensor.flat") for item in items]
    rows += [case(_flat_written, real(2, 3), item, real(), covers="Tensor.flat") for item in items]
    rows += [case(_flat_written, real(2, 3), item, real(2), covers="Tensor.flat") for item in [None, [0, 2, 4]]]
    rows += [
        case(_walked, real(2, 3), covers="Tensor.flat"),
        case(_flat_read, complexes(2, 2), 3, covers="Tensor.flat"),
    ]
    rows += [case(_shaped, real(2, 3), shape, covers="Tensor.shape") for shape in [6, (3, -1), (2, 3)]]
    rows += [case(_resized, real(6), *shape, covers="Tensor.resize") for shape in [(4,), ((3, 3),), (2, 4), (0,)]]
    rows += [
        case(_real_set, complexes(2, 3), real(3), covers="Tensor.real"),
        case(_real_set, real(2, 3), real(), covers="Tensor.real"),
        case(_imaginary_set, complexes(2, 3), real(3), covers="Tensor.imag"),
        method("view", real(2, 3)),
        method("view", complexes(3), np.float64, single=False),
        case(lambda x: x.__array_namespace__().sin(x), real(2), covers="Tensor.__array_namespace__"),
        answer(lambda x: x.to_device(x.device) is x, real(2), covers=("Tensor.to_device", "Tensor.device")),
        method("tobytes", real(2, 3), gradient="none"),
        method("getfield", real(2, 3), np.int16, 2, gradient="none"),
        answer(lambda x: x.byteswap().tobytes(), real(2, 3), covers="Tensor.byteswap"),
        answer(lambda x: x.data.tobytes(), real(2, 3), covers="Tensor.data"),
        answer(lambda x: x.tofile(os.devnull), real(2, 3), covers="Tensor.tofile"),
        answer(lambda x: x.dump(os.devnull), real(2, 3), covers="Tensor.dump"),
        answer(lambda x: pickle.loads(x.dumps()), real(2, 3), covers="Tensor.dumps"),
        answer(lambda x: x[1:].base is x, real(2, 3), covers="Tensor.base"),
        answer(lambda x: x.base is None, real(2, 3), covers="Tensor.base"),
        answer(lambda x: type(x)[float].__origin__ is type(x), real(2), covers="Tensor.__class_getitem__"),
        answer(_undeletable, real(2), covers="Tensor.__delitem__"),
    ]
    return rows


def methods() -> list[Case]:
    mask = np.array([True, False, True])
    rows = []
    for name in ["sum", "prod", "mean"]:
        rows += [
            method(name, signed(2, 3)),
            method(name, signed(2, 3), 1),
            method(name, signed(2, 3), axis=(0, 1), keepdims=True),
        ]
        rows += [method(name, signed(2, 3), axis=1, where=mask)]
    for name in ["var", "std", "max", "min"]:
        rows += [
            method(name, spaced(2, 3)),
            method(name, spaced(2, 3), 1),
            method(name, spaced(2, 3), axis=0, keepdims=True),
        ]
    rows += [method("var", spaced(2, 3), ddof=1), method("std", spaced(2, 3), axis=1, ddof=1)]
    for name in ["all", "any", "argmax", "argmin"]:
        rows += [method(name, spaced(2, 3), gradient="none"), method(name, spaced(2, 3), axis=1, gradient="none")]
    for name in ["cumsum", "cumprod"]:
        rows += [method(name, signed(2, 3)), method(name, signed(2, 3), 0), method(name, signed(2, 3), axis=-1)]
    rows += [
        method("clip", spaced(2, 3), -0.3, 0.3),
        method("clip", spaced(2, 3), min=-0.3),
        method("clip", spaced(2, 3), max=0.3),
        method("ravel", real(2, 3)),
        method("ravel", real(2, 3), "F"),
        method("flatten", real(2, 3)),
        method("flatten", real(2, 3), order="F"),
        method("reshape", real(2, 3), 3, 2),
        method("reshape", real(2, 3), (3, -1)),
        method("reshape", real(2, 3), -1),
        method("reshape", real(2, 3), 3, 2, order="F"),
        method("transpose", real(2, 3, 4)),
        method("transpose", real(2, 3, 4), 1, 2, 0),
        method("transpose", real(2, 3, 4), (0, 2, 1)),
        method("transpose", real(2, 3, 4), None),
        method("swapaxes", real(2, 3), 0, 1),
        method("squeeze", real(1, 3, 1)),
        method("squeeze", real(1, 3, 1), 0),
        method("diagonal", real(3, 3), 1),
        method("trace", real(3, 3)),
        method("repeat", real(2, 3), 2, axis=1),
        method("take", real(2, 3), [0, 2], axis=1),
        method("round", between(3), gradient="zero"),
        method("dot", real(2, 3), real(3, 2)),
        method("nonzero", integers(2, 3, high=2), gradient="none"),
        method("conj", complexes(2, 3)),
        method("conj", real(2)),
        method("conjugate", complexes(2, 3)),
        method("astype", real(3), np.float64, single=False),
        method("astype", real(3), "complex128", single=False),
        method("astype", real(3), int, gradient="none"),
        method("astype", real(3), np.float64, copy=False, casting="safe", single=False),
        method("item", real(), gradient="none"),
        method("item", real(3), 1, gradient="none"),
        method("tolist", real(2, 3), gradient="none"),
        case(_filled, real(2, 3), real(), covers="Tensor.fill"),
        case(_put, real(2, 3), [0, 5], real(2), covers="Tensor.put"),
        attribute("T", real(2, 3)),
        attribute("T", real(2, 3, 2)),
        attribute("mT", real(2, 3, 2)),
        attribute("real", complexes(3)),
        attribute("imag", complexes(3)),
        attribute("real", real(3)),
        attribute("imag", real(3), gradient="zero"),
    ]
    rows += [
        attribute(name, real(2, 3), gradient="none")
        for name in ["shape", "dtype", "ndim", "size", "itemsize", "nbytes"]
    ]
    rows += [
        answer(len, real(2, 3), covers="Tensor.__len__"),
        answer(bool, real(), covers="Tensor.__bool__"),
        answer(float, real(), covers="Tensor.__float__"),
        answer(int, positive(), covers="Tensor.__int__"),
        answer(complex, complexes(), covers="Tensor.__complex__"),
        answer(operator.index, integers(), covers="Tensor.__index__"),
        answer(lambda x: 1000.0 in x, real(3), covers="Tensor.__contains__"),
        answer(lambda x: format(x, ".3f"), real(), covers="Tensor.__format__"),
        answer(str, integers(3), covers="Tensor.__str__"),
        answer(np.asarray, real(3), covers="Tensor.__array__"),
    ]
    return rows


CASES = [*operators(), *methods(), *memory()]
