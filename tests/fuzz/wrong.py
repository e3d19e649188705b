"""Wrong calls by the thousand: each function, each of its arguments, each value that it may not be made for.

What NumPy says to the same call with arrays is what a call is held against: where NumPy raises, so must we, in an error
of this library, at once; where both compute, the numbers are the same. We may refuse more.
"""

from __future__ import annotations

import inspect
import operator
import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from autodiff.dispatch import FUNCTIONS

from .right import CALLS, OPERATORS, Array, V

OURS = str(Path(ad.__file__).parent)


# Functions that no call is of, and why not.
LEFT_OUT = {
    "empty_like": "what NumPy gives is undefined",
    **dict.fromkeys(("save", "savez", "savetxt", "savez_compressed"), "these write files"),
    **dict.fromkeys(
        ("copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis"),
        "these write into what they are given (tests/test_writing.py)",
    ),
    **dict.fromkeys(
        ("zeros", "ones", "empty", "eye", "identity", "tri", "arange"),
        "these are asked by like= (tests/test_numpy_programs.py)",
    ),
    **dict.fromkeys(
        ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"),
        "these are asked by like= (tests/test_numpy_programs.py)",
    ),
}


def recursive() -> list[Any]:
    found: list[Any] = [1.0]
    found.append(found)
    return found


def nested(depth: int) -> Any:
    return 1.0 if not depth else [nested(depth - 1)]


# What an argument may not be made for. Made anew for each call, since they can be changed.
VALUES: dict[str, Callable[[bool], Any]] = {
    **{
        f"{type(value).__name__} {value!r}"[:40]: lambda tensor, value=value: value  # type: ignore[misc]
        for value in [
            None, True, False, 0, 1, -1, -5, 7, 1.0, 1.5, -1.5, float("nan"), float("inf"), 1e300, 1j, "a", "", b"a",
            (), (0, 0), (0, 1, 2), (0.5, 1.5), (None, None), ("a", "b"), slice(0, 1), Ellipsis, int, object, range(2),
            np.int64(0), np.float64(0.5), np.str_("a"), np.timedelta64(1, "s"), np.bool_(True), Fraction(1, 2),
            Decimal(1), "f4", "float64", "M8[s]", NotImplemented, ValueError("x"), np, len,
        ]
    },
    "object": lambda tensor: object(),
    "list": lambda tensor: [0, 1],
    "empty list": lambda tensor: [],
    "nested list": lambda tensor: [[0, 1], [1, 0]],
    "ragged list": lambda tensor: [[1], [1, 2]],
    "list of object": lambda tensor: [object()],
    "list of pairs": lambda tensor: [("a", float)],
    "list of itself": lambda tensor: recursive(),
    "deep list": lambda tensor: nested(300),
    "dict": lambda tensor: {"a": 1},
    "empty dict": lambda tensor: {},
    "set": lambda tensor: {1},
    "array": lambda tensor: np.array([0, 1]),
    "array of floats": lambda tensor: np.array([0.5, 1.5]),
    "array without dimensions": lambda tensor: np.array(0),
    "array of objects": lambda tensor: np.array([None, 1]),
    "array of text": lambda tensor: np.array(["a", "b"]),
    "array of dates": lambda tensor: np.array(["2020-01-01"], "M8[D]"),
    "array of another shape": lambda tensor: np.ones((5, 7)),
    "empty array": lambda tensor: np.zeros(0),
    "complex array": lambda tensor: np.array([1j]),
    "boolean array": lambda tensor: np.array([True, False]),
    "masked array": lambda tensor: np.ma.masked_array([1.0, 2.0], [True, False]),
    "number": Array(()).made,
    "vector": V.made,
    "mask": Array((3,), "?").made,
}  # fmt: skip
# NumPy is not asked about these, some of which it ends in a segmentation fault for; and none is computed.
HUGE: dict[str, Callable[[bool], Any]] = {
    "2**40": lambda tensor: 2**40,
    "2**62": lambda tensor: 2**62,
    "2**63": lambda tensor: 2**63,
    "-2**63": lambda tensor: -(2**63),
    "10**30": lambda tensor: 10**30,
    "-10**30": lambda tensor: -(10**30),
    "10**5000": lambda tensor: 10**5000,
    "pair of 10**30": lambda tensor: (10**30, 10**30),
    "pair of 2**40": lambda tensor: (2**40, 2**40),
}

MANY_AXES = ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn", "irfft2", "irfftn")

# What NumPy refuses and we do not: why. Of a function and an argument, or of an argument and its value.
ACCEPTED = {
    ("keepdims", "bool np.True_"): "a truth of NumPy is a truth",
    ("subok", "bool np.True_"): "a truth of NumPy is a truth",
    ("average", "weights"): "that weights sum to zero is found out when the mean is computed, and is NaN",
    ("take_along_axis", "indices"): "a list of positions is an array, as everywhere else",
    ("tensordot", "axes"): "an array without dimensions is an integer",
    ("resize", "new_shape"): "an array without dimensions is an integer",
    **{(f"fft.{name}", "axes"): "one axis is a sequence of one, as in SciPy" for name in MANY_AXES},
    ("linalg.tensorsolve", "axes"): "one axis is a sequence of one",
    ("n", "bool True"): "a truth is an integer",
    ("N", "bool True"): "a truth is an integer",
    ("N", "bool False"): "a truth is an integer",
    ("unwrap", "period"): "a list is an array, as everywhere else",
    ("piecewise", "funclist"): "a class is called with an array, which int takes of one element",
    ("full", "like"): "a Tensor without dimensions is a Tensor",
}

# What is called there is not ours, nor is what it raises.
FUNCTIONS_GIVEN = {
    ("pad", "mode"),
    ("apply_along_axis", "func1d"),
    ("apply_over_axes", "func"),
    ("piecewise", "funclist"),
}


class Wrong(NamedTuple):
    """A call with one argument replaced."""

    function: str
    arguments: dict[str, Any]
    argument: str
    place: int | None
    value: str

    def __str__(self) -> str:
        place = "" if self.place is None else f"[{self.place}]"
        return f"{self.function}: {self.argument}{place} is {self.value}"


def wrong_calls() -> Iterator[Wrong]:
    """All of them."""
    for function, calls in {**CALLS, **OPERATORS}.items():
        if called(function) is None:
            continue
        for arguments in calls:
            for argument, value in arguments.items():
                places: list[int | None] = [*range(len(value))] if type(value) in (list, tuple) else []
                if argument != "*":
                    places.append(None)
                elif function == "getitem":
                    del places[0]  # of what is no array others know
                for place in places:
                    for replacement in (*VALUES, *HUGE):
                        yield Wrong(function, arguments, argument, place, replacement)


def called(function: str) -> Callable[..., Any] | None:
    """The function of a name; None if this NumPy has it not."""
    if function in OPERATORS:
        return getattr(operator, function)  # type: ignore[no-any-return]
    try:
        return operator.attrgetter(function)(np)  # type: ignore[no-any-return]
    except AttributeError:
        return None


def result(wrong: Wrong, tensor: bool) -> Any:
    """What the call gives."""

    def made(value: Any) -> Any:
        if isinstance(value, Array):
            return value.made(tensor)
        if type(value) in (list, tuple):
            return type(value)([made(part) for part in value])
        return value.copy() if isinstance(value, np.ndarray) else value

    arguments = {name: made(value) for name, value in wrong.arguments.items()}
    replacement = {**VALUES, **HUGE}[wrong.value](tensor)
    if wrong.place is None:
        arguments[wrong.argument] = replacement
    else:
        parts = list(arguments[wrong.argument])
        parts[wrong.place] = replacement
        arguments[wrong.argument] = type(arguments[wrong.argument])(parts)
    function = called(wrong.function)
    assert function is not None
    given = arguments.pop("*", ())
    if not given:
        parameters = inspect.signature(function).parameters.values()
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in arguments]
        given = [arguments.pop(name) for name in names]
    return function(*given, **arguments)


def plain(found: Any) -> Any:
    """Values of Tensors."""
    if isinstance(found, (tuple, list)):
        return [plain(part) for part in found]
    return np.asarray(found.value) if isinstance(found, ad.Tensor) else found


def complaint(wrong: Wrong) -> str | None:
    """What is wrong with what we say to a wrong call; None if nothing is."""
    huge = wrong.value in HUGE
    expected: Any = None
    refused: Exception | None = None
    if not huge:
        try:
            expected = result(wrong, False)
        except Exception as error:
            refused = error
    try:
        found = result(wrong, True)
    except ad.AutodiffError as error:
        return f"the message is {len(str(error))} long" if len(str(error)) > 1000 else None
    except Exception as error:
        frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        # NumPy's own, from before it asked us.
        if not any(name.startswith(OURS) for name in frames):
            return None
        if (wrong.function, wrong.argument) in FUNCTIONS_GIVEN and callable({**VALUES, **HUGE}[wrong.value](True)):
            return None
        return f"{type(error).__name__}: {error}"[:300]
    if huge:
        return None
    try:
        value = plain(found)
    except np.linalg.LinAlgError as error:
        # Of a matrix that NumPy refuses, when its value is known.
        return f"late {error}" if refused is None else None
    except Exception as error:
        return f"late {type(error).__name__}: {error}"[:300]
    if refused is not None:
        better = (wrong.function, wrong.argument) in ACCEPTED or (wrong.argument, wrong.value) in ACCEPTED
        return None if better or type(found) is not ad.Tensor else f"NumPy refuses it: {refused}"[:300]
    return None if agree(value, expected) else f"{value!r}"[:200] + f", and NumPy has {expected!r}"[:200]


def agree(found: Any, expected: Any) -> bool:
    if isinstance(found, (list, tuple)) or isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(agree, found, expected))
    if isinstance(expected, np.ma.MaskedArray):
        return bool(np.ma.allequal(found, expected))
    found, expected = np.asarray(found), np.asarray(expected)
    if expected.dtype.kind not in "biufc":
        return True
    return found.shape == expected.shape and bool(np.allclose(found, expected, equal_nan=True))


def missing() -> set[str]:
    """Functions that take Tensors and of which there is no call here."""
    return {f.__name__ for f in FUNCTIONS} - {name.rpartition(".")[2] for name in CALLS} - set(LEFT_OUT)
