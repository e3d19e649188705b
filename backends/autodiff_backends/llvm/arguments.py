"""What machine code is called with: arrays that are as it is compiled for, and constants."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff.core.program import Program

from ..numpy.values import constant_value
from .entry import WRONG_ARGUMENTS, Argument, Entry, direct
from .machine import MachineCode, load
from .source import STAGE, KernelText


class Regular:
    """Makes what a kernel is called with contiguous and aligned arrays of its dtypes.

    Parameters
    ----------
    arguments : sequence of Argument or None
    """

    __slots__ = ("_arguments",)

    def __init__(self, arguments: Sequence[Argument | None]):
        self._arguments = arguments

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        pairs = zip(values, self._arguments, strict=False)
        return tuple([value if a is None or a.shape is None else regular(value, a.dtype) for value, a in pairs])


def regular(value: Any, dtype: np.dtype[Any]) -> Any:
    """An array of a dtype as kernels take it; anything else as it is."""
    named = np.dtype(dtype.char)
    if type(value) is np.ndarray and value.dtype is named:
        # Most are: asking them takes 0.2 us, ``require`` 2.
        flags = value.flags
        if flags.c_contiguous and flags.aligned:
            return value
    # NumPy's plans, around this one, have scalars for arrays without axes.
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.newbyteorder("=") == dtype:
        value = np.require(value, dtype, requirements=["C", "A", "E"])
        # The same numbers by another name, such as ``long long`` for ``long``.
        return value if value.dtype is named else value.view(named)
    return value


def constant_of(program: Program, number: int) -> Any:
    """A constant of a program as kernels take it."""
    return regular(np.array(constant_value(program, number), order="C"), program.avals[number].dtype)


class Direct:
    """Calls machine code by ``ctypes``, where arrays are laid out in another way than kernels know."""

    __slots__ = ("_arguments", "_function", "_machine", "_table")

    def __init__(self, machine: MachineCode, table: Any, arguments: Sequence[Argument | None]):
        self._machine, self._function, self._table = machine, machine.function(), table
        self._arguments = arguments[len(STAGE) :]

    def __call__(self, *values: Any) -> None:
        numbers, arrays = values[: len(STAGE)], values[len(STAGE) :]
        for array, argument in zip(arrays, self._arguments, strict=True):
            if argument is not None and (array.dtype, array.shape) != argument:
                raise TypeError(WRONG_ARGUMENTS)
        addresses = [array.ctypes.data for array in (self._table, *arrays)]
        self._function((ctypes.c_longlong * len(numbers))(*numbers), (ctypes.c_void_p * len(addresses))(*addresses))


def kernel_of_parts(
    text: KernelText, arguments: Sequence[Argument | None], told: Callable[..., None], is_builtin: bool
) -> tuple[str, Callable[..., Any]]:
    """The source of a kernel that is called for a part of a stage, and what calls it.

    Parameters
    ----------
    text : KernelText
    arguments : sequence of Argument or None
    told : callable
        Warns of what was noted of floating point.
    is_builtin : bool
        Whether arrays are laid out as kernels know; if not, ``ctypes`` calls it.
    """
    if is_builtin:
        Entry(text, arguments).part()
    else:
        direct(text)
    machine = load(text.module)
    table = text.table.array()
    kernel = machine.builtin(Regular(arguments), table, told=told) if is_builtin else Direct(machine, table, arguments)
    return machine.text, kernel
