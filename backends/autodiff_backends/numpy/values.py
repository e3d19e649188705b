"""Values of a plan: which are Python floats, which buffers the others go into, what each is called in the source.

Arrays go through ``out=`` into planned buffers, in place where an operand is not needed again. Values of one
element in float64 are Python floats (a NumPy call costs 0.2 us or more, a float operation 0.03 us); where
Python raises and IEEE arithmetic would give inf or NaN, the call is repeated exactly, by the interpreter.
Names in the source are numbers: nothing a user wrote reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from autodiff.core.avals import Aval
from autodiff.core.parameters import Own
from autodiff.core.primitives import PRIMITIVES, Primitive
from autodiff.core.program import Program

from .blocks import Group, schedule
from .runtime import LONGEST_INNER
from .trigonometry import SMALLEST_TOGETHER
from .writes import Writes

FLOAT64 = np.dtype(np.float64)

SINE, COSINE, RESHAPE, INDEX = (PRIMITIVES[name] for name in ("sin", "cos", "reshape", "index"))

# Sums of float64 up to this length are products with ones: 0.36 us instead of 0.69 for 400 elements. NumPy adds longer
# ones pairwise, which is more accurate.
LONGEST_DOT = LONGEST_INNER


def number_text(value: Any) -> str:
    """A Python number as an expression."""
    if isinstance(value, complex):
        return f"complex({number_text(value.real)}, {number_text(value.imag)})"
    return repr(value) if not isinstance(value, float) or math.isfinite(value) else f"float('{value}')"


def constant_value(program: Program, number: int) -> Any:
    """A constant of a program: a Python number if it is weak, an index as it is, else an array of its dtype."""
    aval, value = program.avals[number], program.constants[number]
    if aval.weak or aval.spec is not None:
        return value
    return np.asarray(value, aval.dtype)


class Storage:
    """Buffers by liveness: each one is free again when the last value that looks into it is used."""

    def __init__(self) -> None:
        self.buffers: list[tuple[tuple[int, ...], np.dtype[Any]]] = []
        self._free: dict[tuple[tuple[int, ...], np.dtype[Any]], list[int]] = {}

    def take(self, aval: Aval) -> int:
        """A free buffer of this shape and dtype, or a new one."""
        key = (aval.shape, aval.dtype)
        free = self._free.get(key)
        if free:
            return free.pop()
        self.buffers.append(key)
        return len(self.buffers) - 1

    def give(self, buffer: int) -> None:
        """A buffer that nobody looks into any more."""
        self._free.setdefault(self.buffers[buffer], []).append(buffer)

    @property
    def nbytes(self) -> int:
        return sum(math.prod(shape) * dtype.itemsize for shape, dtype in self.buffers)


class Values:
    """The values of a program while a plan is written: their names, buffers and last uses."""

    def __init__(self, program: Program, written: Container[Primitive]):
        self.program = program
        self.avals = program.avals
        self.lines: list[str] = []
        self.names: dict[str, set[str]] = {}
        self.helpers: set[str] = set()
        self.meanings: set[str] = set()
        # What no text can say: loops and branches, by the names that the source has for them.
        self.objects: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        self.functions: list[str] = []
        self.storage = Storage()
        self.arrays: dict[int, str] = {}
        self.scalars: dict[int, str] = {}
        self.roots: dict[int, int] = {}
        self.buffer_of: dict[int, int] = {}
        self.applications = program.applications()
        self.outputs = set(program.outputs)
        self.raises = False
        # Bytes of what the largest group has beside whole arrays.
        self.scratch = 0
        self._literals: dict[tuple[int, np.dtype[Any]], str] = {}
        self.schedule = schedule(self.applications, written)
        self.partners = self._pair_sines_and_cosines()
        self.writes = Writes(program, self.applications, self._places())
        self._begun: dict[int, str] = {}
        # Views of buffers are made with them: expression to name.
        self.views: dict[str, str] = {}
        self.in_place: set[int] = set()
        # The values that are Python floats, which whoever writes them decides.
        self.is_scalar: set[int] = set()
        self._place_constants()

    def _pair_sines_and_cosines(self) -> dict[int, int]:
        """For each sin or cos the other one of its argument, if one call gives both at the same place."""
        partners: dict[int, int] = {}
        places = [item.members if isinstance(item, Group) else [] for item in self.schedule]
        places.append([item for item in self.schedule if not isinstance(item, Group)])
        for numbers in places:
            found: dict[tuple[Primitive, int], int] = {}
            for number, signature, arguments in numbers:
                aval, primitive = signature.out, signature.primitive
                if primitive in (SINE, COSINE) and aval.dtype == FLOAT64:
                    (argument,) = arguments
                    other = found.get((COSINE if primitive is SINE else SINE, argument))
                    found[primitive, argument] = number
                    if other is not None and aval.size >= SMALLEST_TOGETHER:
                        partners[number], partners[other] = other, number
        return partners

    def _places(self) -> dict[int, int]:
        """Where each application is in the schedule."""
        return {
            number: place
            for place, item in enumerate(self.schedule)
            for number, _, _ in (item.members if isinstance(item, Group) else (item,))
        }

    def leaves(self, number: int) -> bool:
        """Whether a value, or a view of it, leaves the plan."""
        return self.last_use.get(number) == len(self.schedule)

    def _place_constants(self) -> None:
        for number in self.program.live():
            if number < self.program.n_inputs:
                aval = self.avals[number]
                (self.scalars if aval.weak else self.arrays)[number] = f"x{number}"
                self.roots[number] = number
            elif number in self.program.constants:
                aval = self.avals[number]
                if aval.weak or (aval.literal is not None and aval.spec is None and aval.dtype == FLOAT64):
                    value = self.program.constants[number]
                    self.scalars[number] = number_text(float(value) if aval.dtype == FLOAT64 else value)
                else:
                    self.arrays[number] = self.constant(constant_value(self.program, number))
                self.roots[number] = number

    def constant(self, value: Any) -> str:
        """A name for a constant array."""
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def find_last_uses(self) -> None:
        """Which memory each value looks into, and after which place in the schedule nobody does any more."""
        for number, signature, arguments in self.applications:
            root = number
            if number not in self.is_scalar and number not in self.writes.copied and signature.is_view:
                root = self.roots[arguments[0]]
            self.roots[number] = root
        # The end for outputs.
        self.last_use: dict[int, int] = {}
        for place, item in enumerate(self.schedule):
            for _, _, arguments in item.members if isinstance(item, Group) else (item,):
                for argument in arguments:
                    self.last_use[self.roots[argument]] = place
        for number in self.outputs:
            self.last_use[self.roots[number]] = len(self.schedule)

    def before_block(self) -> list[str]:
        """What is done before each block of a group: nothing, unless it is timed."""
        return []

    def after_member(self, number: int) -> list[str]:
        """What is done after each block of a member of a group."""
        return []

    def use(self, name: str, module: str = "numpy") -> str:
        """A name that the source imports."""
        self.names.setdefault(module, set()).add(name)
        return name

    def scalar(self, number: int) -> str:
        """A value of one element as a Python number."""
        text = self.scalars.get(number)
        if text is None:
            text = self.scalars[number] = f"s{number}"
            self.lines.append(f"{text} = {self.arrays[number]}.item()")
        return text

    def array(self, number: int) -> str:
        """A value as an array of its shape and dtype."""
        text = self.arrays.get(number)
        if text is None:
            aval = self.avals[number]
            if number in self.program.constants:
                text = self.constant(np.asarray(self.program.constants[number], aval.dtype))
            else:
                text = f"v{number}"
                dtype = "" if aval.dtype == FLOAT64 else f", dtype={aval.dtype.name!r}"
                shape = f", ndmin={aval.ndim}" if aval.ndim else ""
                self.lines.append(f"{text} = {self.use('array')}({self.scalars[number]}{dtype}{shape})")
            self.arrays[number] = text
        return text

    def operand(self, number: int, out: Aval, others: list[Aval], loop: np.dtype[Any] | None = None) -> str:
        """A value as an operand of a ufunc whose result is ``out``; a Python number where that is as good.

        ``loop`` is what a ufunc computes in that takes operands of different dtypes.
        """
        aval = self.avals[number]
        # A weak number must stay one: as an array it would decide the dtype of the result.
        if number not in self.scalars or (number in self.arrays and not aval.weak):
            return self.array(number)
        full = [a for a in others if a.shape == out.shape and not a.weak]
        if aval.literal is not None and full:
            # A zero-dimensional array is converted faster than a Python number.
            dtype = loop or self._literal_dtype(aval, full[0], out)
            if dtype is not None and not (isinstance(aval.literal, complex) and dtype.kind != "c"):
                key = (number, dtype)
                if key not in self._literals:
                    self._literals[key] = self.constant(np.asarray(aval.literal, dtype))
                return self._literals[key]
        if aval.weak or (full and all(a.dtype == FLOAT64 for a in full)):
            return self.scalars[number]
        return self.array(number)

    def operands(self, number: int, arguments: tuple[int, ...]) -> list[str]:
        """All operands of a ufunc. If the result has axes, one operand at least is an array, and brings them."""
        words, out = [], self.avals[number]
        loop = self.loop(number)
        for i, argument in enumerate(arguments):
            others = arguments[:i] + arguments[i + 1 :]
            if out.ndim:
                others = tuple([a for a in others if a not in self.scalars or a in self.arrays])
            words.append(self.operand(argument, out, [self.avals[a] for a in others], loop[i]))
        return words

    def loop(self, number: int) -> Sequence[np.dtype[Any] | None]:
        """What a ufunc of SciPy computes its operands in; None for NumPy's, which have one dtype for all."""
        signature = self.program.signatures[number]
        assert signature is not None
        return signature.loop_dtypes if signature.primitive.module != "numpy" else (None,) * len(signature.inputs)

    def _literal_dtype(self, aval: Aval, other: Aval, out: Aval) -> np.dtype[Any] | None:
        """What NumPy converts a number of the structure to beside another operand; None where that is not known."""
        if not aval.weak:
            return aval.dtype
        # A loop may compute in a wider dtype than its operand has (float_power), and then the number is of that.
        known = other.dtype.kind in "fc" and (out.dtype == other.dtype or out.dtype.kind == "b")
        return other.dtype if known else None

    def inner(self, number: int, left: str, right: str) -> str:
        """The sum of the products of all elements of two arrays, the first of which is the value ``number``."""
        if self.avals[number].size <= LONGEST_INNER:
            return f"{self.use('vdot')}({left}, {right})"
        return f"{self.helper('inner')}({left}, {right})"

    def ones(self, length: int, dtype: np.dtype[Any]) -> str:
        """A name for a constant vector of ones."""
        key = (-length, dtype)
        if key not in self._literals:
            self._literals[key] = self.constant(np.ones(length, dtype))
        return self._literals[key]

    def dottable(self, arguments: tuple[int, ...]) -> bool:
        first, second = (self.avals[a] for a in arguments)
        return first.ndim == second.ndim == 2 and first.dtype == second.dtype and first.dtype.kind in "fc"

    def target(self, number: int) -> str | None:
        """The buffer a value is computed into; None if it leaves the plan and must be new."""
        write = self.writes.placed.get(number)
        if write is not None:
            return self._place(number, write)
        if self.leaves(number):
            return None
        return self.buffer(number)

    def _place(self, number: int, write: int) -> str:
        """A view of the array that a value is written into, to be computed there."""
        idx = self.program.arguments[write][1]
        self.in_place.add(number)
        return self.view(number, self.begin(write), f"[{self.array(idx)}]")

    def begin(self, write: int) -> str:
        """The array that a chain of writes into a repeated number works on, made when it is first needed."""
        first = self.writes.firsts[write]
        if first not in self._begun:
            self._begun[first] = self._filled(first)
        return self._begun[first]

    def _filled(self, first: int) -> str:
        """A new array, or a buffer, of the number that the base of a write repeats; as it is if all is written."""
        aval = self.avals[first]
        last = self.writes.last(first)
        filling = self.writes.filling(self.program.arguments[first][0])
        assert filling is not None
        text = self.scalars[filling] if filling in self.scalars else self.array(filling)
        complete = first in self.writes.complete
        if not self.leaves(last):
            target = self.buffer(last)
            if not complete:
                self.lines.append(f"{target}.fill({text})")
            return target
        name, words = "full", f"{aval.shape!r}, {text}, {aval.dtype.name!r}"
        if complete or self.avals[filling].literal == 0:
            # Zeros come from the system without being written.
            name, words = "empty" if complete else "zeros", f"{aval.shape!r}, {aval.dtype.name!r}"
        self.lines.append(f"v{last} = {self.use(name)}({words})")
        return f"v{last}"

    def buffer(self, number: int) -> str:
        """The name of a free buffer that a value is computed into."""
        place = self.storage.take(self.avals[number])
        self.buffer_of[number] = place
        return f"b{place}"

    def view(self, number: int, source: str, suffix: str) -> str:
        """The name of a view of an array, ``source`` followed by ``suffix``; of a buffer it is made only once."""
        if source[0] in "bw" and (suffix[0] != "[" or suffix[1:-1] in self.constants):
            # Integers alone would give a number: what the buffer held when it was made.
            single = suffix[0] == "[" and not self.avals[number].ndim
            expression = f"{source}[*{suffix[1:-1]}, ...]" if single else source + suffix
            return self.views.setdefault(expression, f"w{len(self.views)}")
        self.lines.append(f"v{number} = {source}{suffix}")
        return f"v{number}"

    def contiguous(self, number: int) -> bool:
        """Whether a value is taken to be one run of elements: it may be a view only if it is reshaped."""
        signature = self.program.signatures[number]
        while signature is not None and signature.primitive is RESHAPE:
            (number,) = self.program.arguments[number]
            signature = self.program.signatures[number]
        return signature is None or (self.roots[number] == number and signature.primitive is not INDEX)

    def meaning(self, primitive: str) -> str:
        """The name that the source gives to the meaning of a primitive."""
        self.meanings.add(primitive)
        return f"meaning_{primitive}"

    def static(self, value: Any, kind: Any = None) -> str:
        """A static parameter as an expression."""
        if kind is Own:
            name = f"rule{len(self.objects)}"
            self.objects[name] = value
            return name
        if isinstance(value, np.dtype):
            return f"{self.use('dtype')}({value.str!r})"
        return repr(value)

    def helper(self, name: str) -> str:
        """A function of this package that the source imports."""
        self.helpers.add(name)
        return name

    def owned(self, number: int) -> str:
        """The name of an uninitialised array for a value: a buffer, or a new array if it leaves the plan."""
        target = self.target(number)
        if target is None:
            aval = self.avals[number]
            target = f"v{number}"
            self.lines.append(f"{target} = {self.use('empty')}({aval.shape!r}, {aval.dtype.name!r})")
        self.arrays[number] = target
        return target

    def emit(self, number: int, call: str, out: bool) -> None:
        """``call`` is text up to the closing parenthesis, which an out argument may precede."""
        target = self.target(number) if out else None
        if target is None:
            self.arrays[number] = f"v{number}"
            close = ").item()" if self.avals[number].weak else ")"
            self.lines.append(f"v{number} = {call}{close}")
            if self.avals[number].weak:
                self.scalars[number] = f"v{number}"
        else:
            self.arrays[number] = target
            # NumPy 2.4 deprecates a positional out for these two; for all others it is faster.
            word = "out=" if call.startswith(("maximum(", "minimum(")) else ""
            self.lines.append(f"{call}, {word}{target})")

    def write_ufunc(self, number: int, ufunc: np.ufunc, arguments: tuple[int, ...], module: str = "numpy") -> None:
        out, words = self.avals[number], self.operands(number, arguments)
        self.emit(number, f"{self.use(ufunc.__name__, module)}({', '.join(words)}", out=not (out.weak or out.parts))
