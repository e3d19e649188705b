"""Plans that say what their operations take: what ``profile`` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from .. import ops
from ..backend import Backend, Part, Plan, Timed
from ..core.primitives import Signature
from ..core.program import Program

# What a call has taken: plans in the order in which they ran, and the seconds of the parts of each.
Log = list[tuple[Timed, "list[float] | None"]]


class OneByOne:
    """A plan that calls a plan for each operation, and waits until that is done.

    Attributes
    ----------
    parts : list of Part
        The operations, in order.
    n_operations : int
    source : str
    """

    def __init__(self, program: Program, backend: Backend):
        self._program, self._backend = program, backend
        self._plans: dict[Any, Plan] = {}
        self._steps: list[tuple[int, Signature, tuple[int, ...], Plan | None]] = []
        self.parts: list[Part] = []
        for number, signature, arguments in program.applications():
            plan = None
            if signature.primitive is not ops.part_p:
                plan = self._plan(signature, arguments)
                self.parts.append(Part.of("operation", program, [number]))
            self._steps.append((number, signature, arguments, plan))
        self.n_operations = len(self._steps)
        self.source = str(program)

    def _plan(self, signature: Signature, arguments: tuple[int, ...]) -> Plan:
        """A plan of one operation. Those that are alike are one."""
        program = self._program
        known = tuple([id(program.constants[a]) if a in program.constants else None for a in arguments])
        key = signature, known, tuple([arguments.index(a) for a in arguments])
        if key not in self._plans:
            own = Program([program.avals[a] for a in self._given(arguments)])
            numbers = {a: i for i, a in enumerate(self._given(arguments))}
            for a in arguments:
                if a in program.constants:
                    numbers[a] = own.constant(program.avals[a], program.constants[a])
            made = own.apply(signature, tuple([numbers[a] for a in arguments]))
            several = range(len(signature.out.parts))
            own.outputs = tuple([own.call(ops.part_p, made, params=(i,)) for i in several]) if several else (made,)
            own.quiet = True
            self._plans[key] = self._backend.compile(own)
        return self._plans[key]

    def _given(self, arguments: tuple[int, ...]) -> list[int]:
        return [a for a in dict.fromkeys(arguments) if a not in self._program.constants]

    def seconds(self, *values: Any) -> tuple[tuple[Any, ...], list[float] | None]:
        """The results, and what the operations have taken."""
        program, wait = self._program, self._backend.synchronize
        known = {**dict(enumerate(values)), **program.constants}
        taken = []
        wait()
        for number, signature, arguments, plan in self._steps:
            if plan is None:
                known[number] = known[arguments[0]][signature.params[0]]
                continue
            given = [known[a] for a in self._given(arguments)]
            begin = perf_counter()
            results = plan(*given)
            wait()
            taken.append(perf_counter() - begin)
            known[number] = results if signature.out.parts else results[0]
        home = self._backend.home
        found = [known[n] for n in program.outputs]
        return tuple([home.asarray(x, copy=True) if home.owns(x) else x for x in found]), taken


class Logged:
    """A plan that notes what its parts have taken, at each call."""

    def __init__(self, timed: Timed, log: Log):
        self._timed, self._log = timed, log
        self.n_operations, self.source = timed.n_operations, timed.source

    @property
    def peak_bytes(self) -> int | None:
        """What one call holds at most; None where that is not known."""
        return getattr(self._timed, "peak_bytes", None)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        results, seconds = self._timed.seconds(*values)
        self._log.append((self._timed, seconds))
        return results


class Timing:
    """A backend that makes plans which note what their parts take, and is another one otherwise.

    Parameters
    ----------
    backend : Backend
        The other one.
    answering : Plan
        What answers at present: the parts are those of a plan like it.
    log : list
        What is noted.
    alone : bool, optional
        Whether each operation is to be called by itself.
    """

    def __init__(self, backend: Backend, answering: Plan, log: Log, alone: bool = False):
        self._backend, self._answering, self._log, self._alone = backend, answering, log, alone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @property
    def steady(self) -> Timing:
        """The same of the backend whose plans are what they will be."""
        return Timing(self._backend.steady, self._answering, self._log, self._alone)

    def compile(self, program: Program) -> Plan:
        """A plan that notes what its parts take."""
        timed = None if self._alone else self._backend.timed(program, self._answering)
        return Logged(OneByOne(program, self._backend) if timed is None else timed, self._log)

    def interpret(self, program: Program) -> None:
        """None: nothing is to answer before the plan is there."""

    def frugal(self, program: Program) -> Plan:
        """A plan that notes what each operation takes, one after another."""
        return Logged(OneByOne(program, self._backend), self._log)


Call = Callable[[], Any]

# Calls that are not judged by, and seconds beside which a look at the clock is nothing.
FIRST_CALLS, LOOKED_AT = 2, 2e-5


def medians(call: Call, log: Log, calls: int, seconds: float) -> list[tuple[Part, float]]:
    """The parts that a call has, and what each takes: half of the calls take less.

    So many calls are made, at most, or for so many seconds.
    """
    kept: list[list[float]] = []
    parts: list[Part] = []
    begin = perf_counter()
    for i in range(calls):
        log.clear()
        call()
        if all(taken is not None for _, taken in log):
            found = [part for timed, _ in log for part in timed.parts]
            if found != parts:
                parts, kept = found, []
            # The first call does what is only done once.
            if i:
                kept.append([x for _, taken in log for x in taken or ()])
        if perf_counter() - begin > seconds and kept:
            break
    if not kept:
        return [(part, 0.0) for part in parts]
    return list(zip(parts, [_median(column) for column in zip(*kept, strict=True)], strict=True))


def median_call(call: Call, wait: Callable[[], None], calls: int, seconds: float) -> float:
    """The median of what calls take, until what they started is done. Short ones are timed several at once."""
    found: list[float] = []
    several = 1
    begin = perf_counter()
    while len(found) <= calls:
        start = perf_counter()
        for _ in range(several):
            call()
        wait()
        now = perf_counter()
        # The first two calls do what is only done once.
        if len(found) < FIRST_CALLS:
            several = max(int(LOOKED_AT / max(now - start, 1e-9)), 1) if len(found) == FIRST_CALLS - 1 else 1
        found.append((now - start) / (several if len(found) >= FIRST_CALLS else 1))
        if now - begin > seconds and len(found) > FIRST_CALLS:
            break
    return _median(found[FIRST_CALLS:])


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
