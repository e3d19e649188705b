"""What each primitive means on NumPy arrays, one call each; and plans that interpret programs with these.

This is the definition that faster executions are tested against, the exact fall-back of scalar code, and how
programs too long to be worth compiling are run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff.core.avals import intern_aval
from autodiff.core.primitives import Primitive, Signature
from autodiff.core.program import Program
from autodiff.plan.expand import expand
from autodiff.plan.liveness import Values
from autodiff.plan.memory import held
from autodiff.whole import apart

from .flags import LOUD, QUIET, Telling, forget, noted
from .functions import Function, reduction
from .primitives import FUNCTIONS, NOTHING, OVERRIDES
from .values import constant_value


def function_for(signature: Signature) -> Function:
    """The NumPy function that computes a signature, taking and giving arrays (weak values: Python numbers)."""
    primitive = signature.primitive
    own = FUNCTIONS.get(primitive)
    function: Function
    if own is not None:
        function = own(signature)
    elif primitive.numpy_ufunc is not None:
        function = primitive.numpy_ufunc
    elif primitive.kind == "reduction" and primitive.reduces is not None:
        function = reduction(signature, primitive.reduces)
    else:
        function = _composition(signature) if primitive.meaning is None else signature.function(np)
    if signature.out.weak:
        return lambda *arrays: np.asarray(function(*arrays)).item()
    return function


def _composition(signature: Signature) -> Function:
    """A primitive of derivative rules, by what it is composed of."""
    program = Program([intern_aval(a.shape, a.dtype, a.weak) for a in signature.inputs])
    program.outputs = (program.call(signature.primitive, *range(program.n_inputs), params=signature.params),)
    expanded = expand(program, ())
    assert expanded is not program, signature.primitive.name
    plan = Interpreted(expanded)
    return lambda *arrays: plan(*arrays)[0]


# A function, where its result goes, where its operands are, and those of them that nobody looks at later.
Step = tuple[Function, int, tuple[int, ...], list[int]]


class Interpreted:
    """A plan that calls one function after another, freeing values after their last use.

    Parameters
    ----------
    program : Program
    functions : callable, optional
        The function that computes a signature.
    constant : callable, optional
        The constant of a program with a number.
    copy : callable, optional
        A new array of the elements of one.
    """

    def __init__(
        self,
        program: Program,
        functions: Callable[[Signature], Function] = function_for,
        constant: Callable[[Program, int], Any] = constant_value,
        copy: Function = np.array,
    ):
        self._size = len(program.avals)
        # The outputs, whether they are numbers, and whether it is the last time that each is given.
        self._outputs = [
            (n, program.avals[n].weak, n not in program.outputs[i + 1 :]) for i, n in enumerate(program.outputs)
        ]
        self._constants: list[tuple[int, Any]] = []
        self._steps: list[Step] = []
        self._signatures: list[Signature] = []
        found: dict[Signature, Function] = {}
        needed = bytearray(self._size)
        for number in program.outputs:
            needed[number] = True
        # From the end, where the first use that is met is the last one.
        for number in range(self._size - 1, -1, -1):
            if not needed[number]:
                continue
            signature, arguments = program.signatures[number], program.arguments[number]
            if signature is None:
                if number in program.constants:
                    self._constants.append((number, constant(program, number)))
                continue
            function = found.get(signature)
            if function is None:
                function = found[signature] = functions(signature)
            dead = []
            for a in arguments:
                if not needed[a]:
                    needed[a] = True
                    dead.append(a)
            self._steps.append((function, number, arguments, dead))
            self._signatures.append(signature)
        self._steps.reverse()
        self._signatures.reverse()
        if functions is function_for:
            _write_in_place(program, self._steps)
        self._inputs = [number for number in range(program.n_inputs) if needed[number]]
        self.n_operations = len(self._steps)
        self._quiet = program.quiet
        self._copy = copy
        self._program = program if self._size <= SOURCE_SHOWN else None

    @property
    def source(self) -> str:
        """The program, if it is not too long to be read."""
        if self._program is None:
            return f"# {self.n_operations} operations, interpreted one by one"
        return str(self._program)

    @property
    def peak_bytes(self) -> int | None:
        """What one call holds at most, if the program is not too long to be gone through again."""
        return None if self._program is None else held(Values(self._program)).peak

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        registers = self._registers(values)
        try:
            (QUIET if self._quiet else LOUD).copy().run(_executed, self._steps, registers)
        except BaseException:
            forget()
            raise
        if noted:
            self.tell(values)
        # Copies, because a result may be an input, a view of one, or the same array twice.
        results = []
        for number, weak, is_last in self._outputs:
            results.append(registers[number] if weak else self._copy(registers[number]))
            if is_last:
                registers[number] = None
        return tuple(results)

    def _registers(self, values: Sequence[Any]) -> list[Any]:
        """Where values are to be, with those that are known."""
        registers: list[Any] = [None] * self._size
        for number in self._inputs:
            registers[number] = values[number]
        for number, value in self._constants:
            registers[number] = value
        return registers

    def tell(self, values: Sequence[Any]) -> None:
        """Tell the user what NumPy has noted in a call for these values, and of which operation."""
        telling = Telling(self._quiet)
        if telling.is_wanted:
            _told(self._steps, self._signatures, self._registers(values), telling)


def _executed(steps: list[Step], registers: list[Any]) -> None:
    for function, number, arguments, dead in steps:
        registers[number] = function(*[registers[a] for a in arguments])
        for a in dead:
            registers[a] = None


@apart
def _told(steps: list[Step], signatures: list[Signature], registers: list[Any], telling: Telling) -> None:
    with telling.errstate():
        for step, signature in zip(steps, signatures, strict=True):
            telling.signature = signature
            try:
                _executed([step], registers)
            except FloatingPointError as error:
                raise telling.raised(error) from None


def _write_in_place(program: Program, steps: list[Step]) -> None:
    """Let a chain of writes work in one array, where each would make a copy.

    A write is into what another one gives, if this is its last use, and if nothing that was made of it shares its
    memory: reads of parts of it are copies then.
    """
    heads = program.heads
    writes = {primitive for primitive in set(heads) if isinstance(primitive, Primitive) and primitive.writes}
    if not writes:
        return
    # Arrays that are written into, and the steps that write or read parts of them.
    targets: dict[int, list[int]] = {}
    for place, (_, number, arguments, dead) in enumerate(steps):
        if heads[number] in writes:
            target = arguments[0]
            if heads[target] in writes and target in dead and arguments.count(target) == 1:
                targets[target] = [place]
    signatures = [made for _, number, _, _ in steps if (made := program.signatures[number]) is not None]
    for place, signature in enumerate(signatures):
        arguments = steps[place][2]
        if arguments and arguments[0] in targets and signature.is_view:
            if signature.primitive.kind == "indexing":
                targets[arguments[0]].append(place)
            else:
                del targets[arguments[0]]
    in_place: dict[Signature, Function] = {}
    for places in targets.values():
        for place in places:
            function, number, arguments, dead = steps[place]
            signature = signatures[place]
            if signature not in in_place:
                make = OVERRIDES.get(signature.primitive, NOTHING).in_place
                in_place[signature] = make(signature) if make else _copied(function)
            steps[place] = (in_place[signature], number, arguments, dead)


def _copied(function: Function) -> Function:
    return lambda *arrays: function(*arrays).copy()


SOURCE_SHOWN = 20_000
