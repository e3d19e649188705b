"""What arguments that are no arrays must be, and the errors that say so. Each names ``what``: function and argument."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .convert import describe
from .core.avals import INT64
from .errors import ArgumentError, AutodiffError, DTypeError, OutOfMemoryError, shown
from .machine import memory_bytes
from .spelling import meant

# What NumPy's functions count with.
LARGEST = np.iinfo(INT64).max
TRUTHS = (bool, np.bool_)
# Of elements in memory, which a Tensor has none of; NumPy's functions name one.
ORDERS = ("K", "A", "C", "F")


def whole(value: Any, what: str, truths: bool = False) -> int:
    """An integer of any size: whatever has ``__index__``. An axis or a size is no truth, in NumPy too."""
    if type(value) is int:
        return value
    try:
        if truths or not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise DTypeError(f"{what}={describe(value)} must be an integer")


def integer(value: Any, what: str, low: int = -LARGEST, high: int = LARGEST) -> int:
    """An integer from ``low`` to ``high``, which is what int64 holds."""
    number = whole(value, what, truths=True)
    if number < low:
        raise ArgumentError(f"{what}={shown(number)} must be an integer of at least {low}")
    if number > high:
        raise ArgumentError(f"{what}={shown(number)} must be an integer of at most {high}")
    return number


def single(value: Any) -> bool:
    """Whether a value is one, and no sequence of several."""
    return not hasattr(value, "__getitem__") or getattr(value, "ndim", None) == 0


def items(value: Any, what: str, kind: str = "a sequence, such as a list") -> list[Any]:
    """What a sequence holds; text and bytes are none, nor is what can be read only once."""
    if hasattr(value, "__getitem__") and not isinstance(value, (str, bytes, bytearray, memoryview, dict, type)):
        try:
            return list(value)
        except TypeError:
            pass  # an array without dimensions
    raise DTypeError(f"{what}={describe(value)} must be {kind}")


def integers(value: Any, what: str, each: Callable[[Any, str], int] = whole) -> list[int]:
    """Integers, from one or from a sequence of them."""
    kind = "an integer or a sequence of integers"
    return [each(value, what)] if single(value) else [each(number, what) for number in items(value, what, kind)]


def count(value: Any, what: str, low: int = 1, of: str = "") -> int:
    """How many, as an option of this library; ``of`` says what it counts."""
    # A timedelta64 is an integer to NumPy's classes.
    if isinstance(value, (bool, np.timedelta64)) or not isinstance(value, (int, np.integer)) or value < low:
        raise ArgumentError(f"{what}={shown(value)} must be an integer of at least {low}{of}")
    return int(value)


def number(value: Any, what: str, low: float = 0.0, below: float = math.inf) -> float:
    """``value`` as a float that is at least ``low`` and less than ``below``."""
    if type(value) is not float:
        value = _real(value, what)
    found: float = value
    if not low <= found < below:
        bounds = f"at least {low:g}" + ("" if below == math.inf else f" and less than {below:g}")
        raise ArgumentError(f"{what}={found} must be finite, {bounds}")
    return found


def _real(value: Any, what: str) -> float:
    """A real number as a float: text, truths and arrays of several numbers are none."""
    plain = isinstance(value, (str, bytes, bytearray, bool, np.bool_))
    if plain or (isinstance(value, (np.ndarray, np.generic)) and (value.ndim or value.dtype.kind not in "iuf")):
        raise ArgumentError(f"{what}={describe(value)} must be a number")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        reason = " that a float can hold" if isinstance(error, OverflowError) else ""
        raise ArgumentError(f"{what}={describe(value)} must be a number{reason}") from None


def flag(value: Any, what: str, error: type[AutodiffError] = DTypeError) -> bool:
    """A truth: the text ``"no"`` would be true, and None false."""
    if isinstance(value, TRUTHS) or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise error(f"{what}={describe(value)} must be True or False")


def casts(dtype: np.dtype[Any], wanted: np.dtype[Any], casting: Any, name: str) -> bool:
    """Whether a casting rule lets a dtype become another."""
    try:
        return np.can_cast(dtype, wanted, casting)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"{name}: casting={describe(casting)} is not one of 'no', 'equiv', 'safe', 'same_kind', 'unsafe'"
        ) from None


def word(value: Any, what: str, words: Sequence[str]) -> str:
    """One of some words."""
    if isinstance(value, str) and value in words:
        return value
    hint = meant(value, words) if isinstance(value, str) else ""
    raise ArgumentError(f"{what}={describe(value)} is not one of {', '.join(map(repr, words))}{hint}")


def check_memory(shape: Sequence[int], dtype: np.dtype[Any], what: str) -> None:
    """An error for an array that is asked for by its sizes, and that no memory here could hold."""
    needed = math.prod(shape) * dtype.itemsize
    if needed > memory_bytes():
        raise OutOfMemoryError(
            f"{what}: an array of shape {shown(tuple(shape))} and dtype {dtype} does not fit into memory, of which "
            f"there are {memory_bytes() >> 20} MiB"
        )
