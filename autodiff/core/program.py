"""Programs: a graph as a flat list of applications of primitives, independent of nodes and of their values.

A value is a number. Equal applications are one value (hash-consing), so building a program shares common
subexpressions, and it simplifies as it goes if given rewriting rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..background import check
from .avals import WEAK_FLOAT, Aval, intern_aval
from .primitives import COMPARED_BY_VALUE, Primitive, Signature

# A primitive applied to values: the number of the value that it makes, what it is, and the values that it takes.
Application = tuple[int, Signature, tuple[int, ...]]

Rewrite = Callable[["Program", Signature, "tuple[int, ...]"], "int | None"]

Replace = Callable[["Program", int, Signature, "tuple[int, ...]"], "int | None"]

# A row may make values that rows apply to, as a sum moves down a chain of products. This far, not to the end of a
# chain of any length: what is left is as right as it was.
DEEPEST_REWRITE = 32

# The head of a value that is a number of the structure.
NUMBER = "number"


class Program:
    """Values and how each is made; inputs first, then constants and applications in order.

    Attributes
    ----------
    avals : list of Aval
        Shape and dtype of each value.
    signatures : list of Signature or None
        What makes each value; None for inputs and constants.
    arguments : list of tuple of int
        The values each is made from.
    constants : dict of int to object
        The values that are known: numbers in the structure, and arrays that rules made. Never user data.
    n_inputs : int
    outputs : tuple of int
    quiet : bool
        True if elements that are not chosen may be divided by zero or invalid, which is nobody's mistake.
    witnesses : list of int or None
        Values that rows have made which are finite unless the program has to be computed without these rows; None if
        such rows are not to be applied.
    derived : bool
        Whether ``call`` makes values of derivatives: while the replacement of one is made.
    origins : list or None
        Of each value what it comes from, an object of whoever asks: passes hand it on. None where nobody does.
    origin : object
        What values come from that are made now.
    """

    __slots__ = (
        "_applied_by_rows",
        "_depth",
        "_known",
        "arguments",
        "avals",
        "constants",
        "derived",
        "heads",
        "n_inputs",
        "origin",
        "origins",
        "outputs",
        "quiet",
        "rewrite",
        "signatures",
        "witnesses",
    )

    def __init__(self, inputs: Sequence[Aval], rewrite: Rewrite | None = None):
        self.avals: list[Aval] = list(inputs)
        self.signatures: list[Signature | None] = [None] * len(inputs)
        self.arguments: list[tuple[int, ...]] = [()] * len(inputs)
        # What rewriting rows look at first: the primitive of each value, NUMBER, or None.
        self.heads: list[Primitive | str | None] = [None if a.literal is None else NUMBER for a in inputs]
        self.constants: dict[int, Any] = {}
        self.n_inputs = len(inputs)
        self.outputs: tuple[int, ...] = ()
        self.quiet = False
        self.rewrite = rewrite
        self.derived = False
        self.origin: Any = None
        self.origins: list[Any] | None = None
        self.witnesses: list[int] | None = None
        self._known: dict[Any, int] = {}
        # What rewriting made of applications in derivatives; of what a user wrote it is not the value.
        self._applied_by_rows: dict[Any, int] = {}
        self._depth = 0

    def emptied(self, rewrite: Rewrite | None = None) -> Program:
        """A program with the same inputs and nothing else, to be filled with what this one computes."""
        made = Program(self.avals[: self.n_inputs], rewrite)
        if self.origins is not None:
            made.origins = self.origins[: self.n_inputs]
        return made

    def follow(self, program: Program, number: int) -> None:
        """What is made now comes from what a value of the program that this one is filled from comes from."""
        if program.origins is not None:
            self.origin = program.origins[number]

    def constant(self, aval: Aval, value: Any) -> int:
        """A known value; numbers of the structure are one value each."""
        key = aval if aval.literal is not None else (aval, id(value))
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self.avals)
            self.avals.append(aval)
            self.heads.append(None if aval.literal is None else NUMBER)
            self.signatures.append(None)
            self.arguments.append(())
            self.constants[number] = value
            if self.origins is not None:
                self.origins.append(self.origin)
        return number

    def literal(self, value: Any, aval: Aval) -> int:
        """A number of the structure, of the dtype and weakness of ``aval``."""
        return self.constant(intern_aval((), aval.dtype, aval.weak, value), value)

    def append(self, signature: Signature, arguments: tuple[int, ...]) -> int:
        """A new value, whether there is an equal one or not."""
        number = len(self.avals)
        self.avals.append(signature.out)
        self.heads.append(signature.primitive)
        self.signatures.append(signature)
        self.arguments.append(arguments)
        if self.origins is not None:
            self.origins.append(self.origin)
        return number

    def apply(self, signature: Signature, arguments: tuple[int, ...]) -> int:
        """The value of a primitive applied to values, an earlier one if it is the same.

        What a user wrote is not given the value of a rewritten derivative; a derivative is given what a user wrote.
        """
        is_derived = signature.is_derived
        primitive = signature.primitive
        # Two complex factors are not rounded alike: NumPy adds one product to the other without rounding that.
        if primitive.commutative and arguments[0] > arguments[1] and (is_derived or signature.out.dtype.kind != "c"):
            arguments = (arguments[1], arguments[0], *arguments[2:])
            if signature.inputs[0] is not signature.inputs[1]:
                signature = self._signature(primitive, arguments, signature.params, is_derived)
        key = (signature.written, arguments)
        number = self._known.get(key)
        if number is None and self.rewrite is not None:
            if is_derived:
                number = self._applied_by_rows.get(key)
            if number is None and self._depth < DEEPEST_REWRITE:
                number = self._rewritten(signature, arguments)
                if number is not None:
                    (self._applied_by_rows if is_derived else self._known)[key] = number
                    return number
        if number is None:
            number = self._known[key] = self.append(signature, arguments)
        elif not is_derived:
            own = self.signatures[number]
            if own is not None and own.is_derived:
                # A derivative was the first to need what a user wrote as well.
                self.signatures[number] = own.written
        return number

    def _rewritten(self, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        """What rewriting rows make of an application; None if none applies."""
        assert self.rewrite is not None
        outer, self.derived = self.derived, signature.is_derived
        self._depth += 1
        try:
            return self.rewrite(self, signature, arguments)
        finally:
            self._depth -= 1
            self.derived = outer

    def call(self, primitive: Primitive, *arguments: int, params: tuple[Any, ...] = ()) -> int:
        """``apply`` with the signature found from the arguments."""
        return self.apply(self._signature(primitive, arguments, params, self.derived), arguments)

    def _signature(
        self, primitive: Primitive, arguments: tuple[int, ...], params: tuple[Any, ...], derived: bool
    ) -> Signature:
        signature = primitive.signature(tuple([self.avals[a] for a in arguments]), params)
        return signature.derived if derived else signature

    def is_primitive(self, number: int, primitive: Primitive) -> bool:
        """Whether a value is made by ``primitive``."""
        return self.heads[number] is primitive

    def live(self) -> list[int]:
        """The values that outputs need, in order."""
        needed = bytearray(len(self.avals))
        for number in self.outputs:
            needed[number] = True
        for number in range(len(needed) - 1, -1, -1):
            if needed[number]:
                for a in self.arguments[number]:
                    needed[a] = True
        return [number for number, is_needed in enumerate(needed) if is_needed]

    def applications(self) -> list[Application]:
        """The applications that outputs need, in order: what a plan executes."""
        signatures, arguments = self.signatures, self.arguments
        return [(n, made, arguments[n]) for n in self.live() if (made := signatures[n]) is not None]

    def settle(self) -> None:
        """Nothing is added any more: forget what equal applications are found by."""
        self._known = {}
        self._applied_by_rows = {}

    def __str__(self) -> str:
        lines = [f"inputs {', '.join(f'v{i}: {self.avals[i]!r}' for i in range(self.n_inputs))}"]
        for number, signature, arguments in self.applications():
            words = [f"v{a}" if a not in self.constants else repr(self.avals[a]) for a in arguments]
            words += [f"{k}={v!r}" for k, v in signature.keywords.items()]
            lines.append(f"v{number} = {signature.primitive.name}({', '.join(words)}) : {self.avals[number]!r}")
        lines.append(f"outputs {', '.join(f'v{i}' for i in self.outputs)}")
        return "\n".join(lines)


def rebuild(program: Program, rewrite: Rewrite, known: Mapping[int, Any], watched: bool = False) -> Program:
    """The same program built anew with rewriting rows, some of its inputs being known indices."""
    result = program.emptied(rewrite)
    result.witnesses = [] if watched else None
    leaves = {number: _leaf(result, program.avals[number], value) for number, value in known.items()}
    return _copied(
        program,
        result,
        leaves,
        lambda aval, value: _leaf(result, aval, value),
        lambda _, signature, arguments: _applied(result, signature, arguments),
    )


def _leaf(program: Program, aval: Aval, value: Any) -> int:
    """A known leaf; indices and Python numbers are numbers of the structure then, and equal ones are one value."""
    if (aval.spec is not None or aval.weak) and aval.literal is None:
        aval = intern_aval((), aval.dtype, aval.weak, value, aval.spec)
    return program.constant(aval, value)


def _beyond(program: Program, arguments: tuple[int, ...]) -> tuple[int, ...]:
    """Operands of a comparison, where a Python integer that no integer of the other's dtype reaches is an infinity."""
    first, second = arguments
    for number, other in ((first, second), (second, first)):
        value, dtype = program.avals[number].literal, program.avals[other].dtype
        if type(value) is int and program.avals[number].weak and dtype.kind in "iu":
            limits = np.iinfo(dtype)
            if not limits.min <= value <= limits.max:
                infinity = program.literal(math.copysign(math.inf, value), WEAK_FLOAT)
                return (infinity, other) if number == first else (other, infinity)
    return arguments


def _applied(program: Program, signature: Signature, arguments: tuple[int, ...]) -> int:
    """``apply``, with the signature made anew where rewriting changed what is known of an argument."""
    if signature.primitive.numpy_ufunc in COMPARED_BY_VALUE:
        arguments = _beyond(program, arguments)
    avals = tuple([program.avals[a] for a in arguments])
    if avals != signature.inputs:
        is_derived = signature.is_derived
        signature = signature.primitive.signature(avals, signature.params)
        if is_derived:
            signature = signature.derived
    return program.apply(signature, arguments)


def prune(program: Program, replace: Replace | None = None) -> Program:
    """The same program without what no output needs.

    ``replace`` may give another value for an application: it gets the program in the making, the number of the
    application in the old one, what it is, and its arguments in the new one.
    """
    result = program.emptied()

    def make(number: int, signature: Signature, arguments: tuple[int, ...]) -> int:
        result.derived = signature.is_derived
        other = None if replace is None else replace(result, number, signature, arguments)
        return result.apply(signature, arguments) if other is None else other

    return _copied(program, result, {}, result.constant, make)


def _copied(
    program: Program,
    result: Program,
    leaves: Mapping[int, int],
    known: Callable[[Aval, Any], int],
    make: Callable[[int, Signature, tuple[int, ...]], int],
) -> Program:
    """``result`` filled with what outputs of ``program`` need.

    ``leaves`` has the inputs that are other values there; ``known`` makes a constant; ``make`` gives the new value of
    an application, from its old number, its signature and its new arguments.
    """
    numbers = {**{i: i for i in range(program.n_inputs)}, **leaves}
    origins = program.origins
    for number in program.live():
        check()
        if origins is not None:
            result.origin = origins[number]
        signature = program.signatures[number]
        if number in program.constants:
            numbers[number] = known(program.avals[number], program.constants[number])
        elif signature is not None:
            numbers[number] = make(number, signature, tuple([numbers[a] for a in program.arguments[number]]))
    result.outputs = tuple([numbers[i] for i in program.outputs])
    result.quiet = program.quiet
    return result
