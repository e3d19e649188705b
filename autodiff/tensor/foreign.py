"""Whose turn it is when a Tensor meets an object of another class: the rules of NEP 13 and 18, as ``ndarray`` has them.

A class that says what ufuncs do with it (``__array_ufunc__``), or other functions (``__array_function__``), decides. So
does one that claims a higher ``__array_priority__``. What NumPy makes a numeric array of is an operand. Any other class
has its turn if it has the reflected operator; if not, the Tensor says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Number
from typing import Any

import numpy as np

from ..containers import flatten
from ..convert import as_node
from ..core.avals import Aval
from ..errors import DTypeError
from ..nodes import Node
from ..registry import backend_of
from .handle import Handle

# What a Tensor's class claims, which is more than NumPy's matrices do.
PRIORITY = 1000.0

# Classes that need no closer look. Asking whether one is in here takes 20 ns.
PLAIN = frozenset((np.ndarray, float, int, complex, bool, np.float64, np.float32, np.int64, np.int32, np.bool_))

_MISSING = object()
_OWN = (_MISSING, np.ndarray.__array_ufunc__)
_OWN_FUNCTIONS = (None, np.ndarray.__array_function__)

_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift")
_COMPARED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}

# What Python asks the other operand for.
REFLECTED = {
    **{f"__{name}__": f"__r{name}__" for name in _BINARY},
    **{f"__{name}__": f"__{other}__" for name, other in _COMPARED.items()},
}


def overrides(value: Any) -> bool:
    """Whether the class of a value says what ufuncs do with it, or that they do nothing (None)."""
    kind = type(value)
    if kind in PLAIN:
        return False
    # Not that of a known library's arrays: those are operands.
    return getattr(kind, "__array_ufunc__", _MISSING) not in _OWN and backend_of(value) is None


def refuses(value: Any) -> bool:
    """Whether ufuncs are nothing for a value: its class has ``__array_ufunc__ = None``."""
    return getattr(type(value), "__array_ufunc__", _MISSING) is None


def outranks(value: Any) -> bool:
    """Whether an object without a word about ufuncs claims a higher priority than a Tensor's."""
    if getattr(type(value), "__array_ufunc__", _MISSING) not in _OWN:
        return False
    priority = getattr(value, "__array_priority__", 0.0)
    return isinstance(priority, (int, float)) and priority > PRIORITY


def reflects(value: Any, operator: str) -> bool:
    """Whether the class of a value has what is reflected in an operator of a Tensor."""
    name = REFLECTED.get(operator, "")
    # Not by getattr, which finds what the class itself, as an object, has: ``type.__ror__`` for each.
    return any(vars(base).get(name) is not None for base in type(value).__mro__ if base is not object)


def answers(value: Any, operator: str) -> bool:
    """Whether a class that NumPy knows nothing of has what is reflected in an operator of a Tensor.

    Built-in classes and numbers have such operators for their own kind; those that state a lower priority leave the
    word to the Tensor.
    """
    known = type(value).__module__ == "builtins" or isinstance(value, Number) or hasattr(value, "__array_priority__")
    return not known and reflects(value, operator)


def operand(value: Any, beside: Aval) -> Node | None:
    """The other operand of an operator; None if its own class should decide."""
    kind = type(value)
    if kind is float or kind is int or kind in PLAIN:
        return as_node(value, beside)
    if isinstance(value, Handle):
        return value._node
    if overrides(value) or outranks(value):
        return None
    if isinstance(value, np.matrix):
        raise DTypeError(
            "a Tensor beside an np.matrix: * and ** would be elementwise here, and products of matrices in NumPy; "
            "write np.asarray(matrix), with @ for products"
        )
    return as_node(value, beside)


def decides(value: Any) -> bool:
    """Whether a class other than ours says what ufuncs do with a value."""
    return type(value) not in PLAIN and not isinstance(value, Handle) and overrides(value)


def leaves(types: Iterable[type], arguments: Any) -> bool:
    """Whether a class other than ours says what functions of NumPy do with its objects (NEP 18), and so decides.

    Arrays of known libraries are operands, as they are of ufuncs.
    """
    theirs = {
        kind
        for kind in types
        if not issubclass(kind, Handle) and getattr(kind, "__array_function__", None) not in _OWN_FUNCTIONS
    }
    return bool(theirs) and any(type(x) in theirs and backend_of(x) is None for x in flatten(arguments)[0])


def left_alone(operator: str, tensor: Handle, other: Any, ufunc: np.ufunc) -> Any:
    """What an operator gives for an object whose class should decide."""
    if refuses(other) or outranks(other) or reflects(other, operator):
        return NotImplemented
    return ufunc(tensor, other) if operator in REFLECTED else ufunc(other, tensor)


def left_alone_in_place(operator: str, other: Any) -> Any:
    """What an augmented assignment gives for an object whose class decides what the result is."""
    if outranks(other):
        return NotImplemented
    raise DTypeError(
        f"{operator}: what comes of a Tensor and an object of class {type(other).__name__} is for that class to say, "
        "and does not go into the Tensor; write t = t + other, with the operator that is meant"
    )


def not_understood(operator: str, other: Any, error: DTypeError) -> Any:
    """NotImplemented for an object that is no operand, if its class may know better; else the error."""
    if answers(other, operator):
        return NotImplemented
    error.within(operator.strip("_"))
    raise error
