"""Default: NumPy's plan answers at once, and LLVM's machine code as soon as that pays, if llvmlite is installed."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from typing import Any

from autodiff.backend import Backend, Plan, Timed
from autodiff.background import is_at_work
from autodiff.core.primitives import Signature
from autodiff.core.program import Program, prune
from autodiff.errors import BackendError
from autodiff.plan.costs import nanoseconds
from autodiff.plan.hot import COMPILING, Hot, Task, clock
from autodiff.registry import get_backend

from ..numpy.backend import BACKEND as NUMPY

# Chooses a tier for the process: "numpy", "llvm", or "auto", which is both in turn.
VARIABLE = "AUTODIFF_TIERS"
AUTO, FIRST, SECOND = "auto", "numpy", "llvm"

# Programs that are longer are made machine code without NumPy's source before, where that is estimated to save as much
# of their time as the last figure: nobody waits for either in the background, and both take about as long.
LONGEST_BOTH = 1_000
SAVED_AT_ONCE = 0.3
# What machine code is taken to save of programs with loops and branches, of whose bodies estimates know nothing.
SAVED_OF_FLOWS = 0.5


@cache
def has_compiler() -> bool:
    """Whether llvmlite is installed. It is not imported."""
    try:
        return find_spec("llvmlite") is not None
    except ValueError:
        # Somebody has put something else in its place.
        return False


def compiler() -> Any:
    """LLVM's backend, with all that it needs."""
    found: Any = get_backend(SECOND)
    found.prepare()
    return found


def tiers() -> str:
    """The tiers that plans are to have."""
    chosen = os.environ.get(VARIABLE) or AUTO
    if chosen not in (AUTO, FIRST, SECOND):
        raise BackendError(f"{VARIABLE}={chosen!r} is none of {AUTO!r}, {FIRST!r}, {SECOND!r}")
    return chosen if has_compiler() else FIRST


class MachineCode(Task):
    """LLVM's plan of a program."""

    what = "compiling machine code"

    def __init__(self, program: Program):
        self._program = program
        self.operations = len(program.avals)

    def nominal(self) -> float:
        """Seconds of a call of NumPy's plan, as estimated from the program alone."""
        found = [self._program.signatures[number] for number in self._program.live()]
        return 1e-9 * sum([nanoseconds(signature) for signature in found if signature is not None])

    def saved(self) -> float:
        """The part of the time that machine code is estimated to save."""
        found = float(compiler().saved(self._program))
        return max(found, SAVED_OF_FLOWS) if any(map(_flows, set(self._program.signatures))) else found

    def make(self) -> Plan:
        """The machine code."""
        made: Plan = compiler().compile(self._program)
        return made


class DefaultBackend(Backend):
    """Arrays are ``numpy.ndarray``."""

    name = "default"
    home = NUMPY
    steady = NUMPY
    capabilities = NUMPY.capabilities
    primitives = NUMPY.primitives

    @property
    def label(self) -> str:
        """What messages say: where its arrays are."""
        return NUMPY.label

    @property
    def tier(self) -> str:
        """Why a plan has one tier."""
        chosen = tiers()
        return f"{chosen}: {f'{VARIABLE}={chosen}' if has_compiler() else 'llvmlite is not installed'}"

    def compile(self, program: Program) -> Plan:
        """NumPy's plan, which becomes machine code by and by; where there is no compiler NumPy's alone."""
        chosen = tiers()
        if chosen == FIRST:
            return NUMPY.compile(program)
        if chosen == SECOND:
            return get_backend(SECOND).compile(program)
        program = _with_tiers(program)
        task = MachineCode(program)
        if task.operations > LONGEST_BOTH and is_at_work() and task.saved() > SAVED_AT_ONCE:
            first = NUMPY.frugal(program)
            if first is not None:
                return Hot(first, task, task.run())
        start = clock()
        plan = NUMPY.compile(program)
        COMPILING.unit(task.operations, clock() - start)
        return Hot(plan, task)

    def timed(self, program: Program, plan: Plan) -> Timed | None:
        """That of the tier which answers at present."""
        chosen = tiers()
        if chosen == AUTO:
            chosen = SECOND if isinstance(plan, Hot) and plan.is_exchanged else FIRST
        return get_backend(chosen).timed(_with_tiers(program) if has_compiler() else program, plan)

    def interpret(self, program: Program) -> Plan | None:
        """NumPy's, if there is one."""
        return NUMPY.interpret(program)

    def frugal(self, program: Program) -> Plan | None:
        """NumPy's."""
        return NUMPY.frugal(program)


BACKEND = DefaultBackend()


def _flows(signature: Signature | None) -> bool:
    """Whether an application has bodies that are compiled: those of a loop, or of branches."""
    return signature is not None and any(hasattr(value, "on") for value in signature.params)


def _with_tiers(program: Program) -> Program:
    """The same program, in which steps of loops and branches have tiers of their own."""

    def replaced(result: Program, _: int, signature: Signature, arguments: tuple[int, ...]) -> int | None:
        if not _flows(signature):
            return None
        params = tuple([value.on(BACKEND) if hasattr(value, "on") else value for value in signature.params])
        return result.call(signature.primitive, *arguments, params=params)

    return prune(program, replaced) if any(map(_flows, set(program.signatures))) else program
