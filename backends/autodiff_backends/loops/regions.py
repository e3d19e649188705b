"""A program cut into regions: those that compiled loops execute, and those left to calls of an array library."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autodiff.backend import Plan
from autodiff.core.program import Application, Program
from autodiff.plan.costs import nbytes

from .forms import DTYPES
from .statements import looks

LOOPS, CALLS = "loops", "calls"


class Cuts(NamedTuple):
    """What decides where a program is cut.

    Parameters
    ----------
    fits : callable
        ``fits(program, application)``: whether compiled loops are to execute an application, if they can.
    is_view : callable
        ``is_view(program, number)``: whether a value is an application that costs nothing wherever it is done.
    pays : callable
        ``pays(program, members)``: whether compiling these applications is worth it.
    dtypes : collection of numpy.dtype, optional
        Of the arrays that compiled loops can give.
    """

    fits: Callable[[Program, Application], bool]
    is_view: Callable[[Program, int], bool]
    pays: Callable[[Program, list[Application]], bool]
    dtypes: Container[np.dtype[Any]] = DTYPES


class Region:
    """Applications executed by one plan.

    Attributes
    ----------
    kind : str
        ``LOOPS`` or ``CALLS``.
    members : list of Application
    """

    __slots__ = ("kind", "members")

    def __init__(self, kind: str, members: list[Application]):
        self.kind = kind
        self.members = members


def regions(program: Program, cuts: Cuts) -> list[Region]:
    """Regions in the order of execution; few, and kernels only where they pay."""
    applications = program.applications()
    kinds = {application[0]: LOOPS if cuts.fits(program, application) else CALLS for application in applications}
    while True:
        found = _stages(program, applications, kinds, cuts)
        wrong = [r for r in found if r.kind == LOOPS and not cuts.pays(program, r.members)]
        if not wrong:
            return found
        for region in wrong:
            kinds.update(dict.fromkeys([number for number, _, _ in region.members], CALLS))


def _stages(program: Program, applications: list[Application], kinds: dict[int, str], cuts: Cuts) -> list[Region]:
    """Each application in the earliest stage after its arguments; stages of loops and of calls alternate."""
    stage: dict[int, int] = {}
    kind_of_stage = (LOOPS, CALLS)
    for number, _, arguments in applications:
        first = max([0, *[stage.get(a, 0) for a in arguments]])
        if cuts.is_view(program, number):
            # Where its arguments are; whoever looks through it later does so there.
            stage[number] = first
            kinds[number] = kind_of_stage[stage[number] % 2]
            continue
        stage[number] = first + (kind_of_stage[first % 2] != kinds[number])
    _sink(program, applications, stage, cuts)
    members: dict[int, list[Application]] = {}
    for application in applications:
        members.setdefault(stage[application[0]], []).append(application)
    return _waiting(program, [Region(kind_of_stage[s % 2], members[s]) for s in sorted(members)], cuts)


def _sink(program: Program, applications: list[Application], stage: dict[int, int], cuts: Cuts) -> None:
    """What is larger than all it is made from, such as an outer product, is made by the loops that read it, if it can:
    it need not be handed on then."""
    avals = program.avals
    # The first stage that reads a value, through views or not.
    needed: dict[int, int] = dict.fromkeys(program.outputs, -1)
    for number, _, arguments in reversed(applications):
        first = needed.get(number, stage[number])
        if not cuts.is_view(program, number):
            # Stages of loops have even numbers.
            latest = first - first % 2
            sizes = [nbytes(avals[a]) for a in arguments]
            if latest > stage[number] and stage[number] % 2 == 0 and sum(sizes) < nbytes(avals[number]):
                stage[number] = latest
            first = stage[number]
        for a in arguments:
            needed[a] = min(needed.get(a, first), first)


def _waiting(program: Program, found: list[Region], cuts: Cuts) -> list[Region]:
    """Fewer regions: one that the next does not need waits for the one after that, which is of its own kind."""
    for i in range(len(found) - 3, -1, -1):
        if i + 2 >= len(found):
            continue
        made = {number for number, _, _ in found[i].members}
        if any(a in made for _, _, arguments in found[i + 1].members for a in _bases(program, arguments, cuts)):
            continue
        found[i + 2].members = sorted([*found[i].members, *found[i + 2].members])
        if i:
            found[i - 1].members = sorted([*found[i - 1].members, *found[i + 1].members])
            del found[i + 1]
        del found[i]
    return found


def is_view(program: Program, number: int) -> bool:
    """Whether an application is another look at an array that loops and NumPy both have."""
    signature = program.signatures[number]
    if signature is None or not looks(signature):
        return False
    if not all(a.dtype in DTYPES for a in signature.inputs if a.spec is None):
        return False
    return signature.primitive.kind != "indexing" or program.arguments[number][1] in program.constants


class Composed:
    """A plan made of the plans of regions.

    Attributes
    ----------
    source : str
        The sources of the parts, one after another.
    n_operations : int
    steps : list of tuple
        For each region its plan and the numbers of its inputs and outputs in the program.
    regions : list of Region
        Those of the steps.
    """

    def __init__(
        self,
        program: Program,
        found: list[Region],
        cuts: Cuts,
        compile: Callable[[str, Program], Plan],
        copy: Callable[[Any, np.dtype[Any]], Any] = np.array,
        array: type = np.ndarray,
    ):
        outside = _read_later(program, found, cuts)
        self.steps: list[tuple[Plan, list[int], list[int]]] = []
        self.regions: list[Region] = []
        # The steps of a recurrence are regions that are alike: one plan for all of them.
        plans: dict[Any, Plan] = {}
        for region in found:
            part, inputs, outputs = _part(program, region, outside, cuts)
            if outputs:
                # Where somebody asks what values come from, a call says it of each by itself; a kernel is one.
                own = None if region.kind == LOOPS or part.origins is None else tuple(part.origins)
                key = region.kind, _structure(part), own
                if key not in plans:
                    plans[key] = compile(region.kind, part)
                self.steps.append((plans[key], inputs, outputs))
                self.regions.append(region)
        self._dead = _last_readings(self.steps, program.outputs)
        self._copy, self._array = copy, array
        self._known = {n: program.constants[n] for n in program.outputs if n in program.constants}
        # The outputs, and whether the array is not this call's own, or is another output already.
        self._outputs = [
            (n, program.avals[n], n < program.n_inputs or n in program.constants or n in program.outputs[:i])
            for i, n in enumerate(program.outputs)
        ]
        self.n_operations = sum(plan.n_operations for plan, _, _ in self.steps)
        self._sizes = {n: nbytes(program.avals[n]) for _, _, made in self.steps for n in made}

    @property
    def peak_bytes(self) -> int | None:
        """What one call holds at most; None where that of a part is not known."""
        peak = held = 0
        for (plan, _, made), dead in zip(self.steps, self._dead, strict=True):
            inside: int | None = getattr(plan, "peak_bytes", None)
            if inside is None:
                return None
            peak = max(peak, held + inside)
            held += sum([self._sizes[n] for n in made])
            held -= sum([self._sizes.get(n, 0) for n in dead])
        return max(peak, held + sum([nbytes(aval) for _, aval, shared in self._outputs if shared]))

    @property
    def source(self) -> str:
        """What is executed, region by region."""
        parts = []
        for plan, inputs, outputs in self.steps:
            head = f"# {', '.join(f'v{n}' for n in outputs)} from {', '.join(f'v{n}' for n in inputs)}"
            parts.append(f"{head}\n{plan.source}")
        return "\n\n".join(parts)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        registers = dict(enumerate(values))
        for (plan, inputs, outputs), dead in zip(self.steps, self._dead, strict=True):
            registers.update(zip(outputs, plan(*[registers[n] for n in inputs]), strict=True))
            for n in dead:
                del registers[n]
        registers.update(self._known)
        results = []
        for number, aval, shared in self._outputs:
            value = registers[number]
            if not aval.weak and (shared or not isinstance(value, self._array)):
                value = self._copy(value, aval.dtype)
            results.append(value)
        return tuple(results)


def _structure(program: Program) -> tuple[Any, ...]:
    """What the plan of a part depends on, as long as its constants live."""
    known = tuple([(number, type(value), _identity(value)) for number, value in program.constants.items()])
    return tuple(program.avals), tuple(program.signatures), tuple(program.arguments), known, program.outputs


def _identity(value: Any) -> Any:
    """A number by its text, which tells 0.0 from -0.0; what else there is by where it is."""
    return repr(value) if isinstance(value, (bool, int, float, complex, np.generic)) else id(value)


def _last_readings(steps: Sequence[tuple[Plan, list[int], list[int]]], outputs: Iterable[int]) -> list[list[int]]:
    """For each step the values that nothing needs after it."""
    last: dict[int, int] = {}
    for place, (_, read, made) in enumerate(steps):
        last.update(dict.fromkeys((*read, *made), place))
    for number in outputs:
        last.pop(number, None)
    dead: list[list[int]] = [[] for _ in steps]
    for number, place in last.items():
        dead[place].append(number)
    return dead


def _read_later(program: Program, found: list[Region], cuts: Cuts) -> set[int]:
    """Values that a region gives to another one or to the caller; not views, which the reader makes itself."""
    place = {number: i for i, region in enumerate(found) for number, _, _ in region.members}
    needed = set(program.outputs)
    for i, region in enumerate(found):
        for number, _, arguments in region.members:
            if cuts.is_view(program, number) and number not in program.outputs:
                continue
            for a in _bases(program, arguments, cuts):
                if place.get(a, i) != i:
                    needed.add(a)
    return needed


def _bases(program: Program, arguments: tuple[int, ...], cuts: Cuts) -> Iterable[int]:
    """What an application to these values reads, looking through views, and what views wait for."""
    stack = list(arguments)
    while stack:
        a = stack.pop()
        if cuts.is_view(program, a):
            stack.extend(program.arguments[a])
        else:
            yield a


def _part(program: Program, region: Region, outside: set[int], cuts: Cuts) -> tuple[Program, list[int], list[int]]:
    """The program of a region, and the numbers of its inputs and outputs in the whole one."""
    own = {n for n, _, _ in region.members if not cuts.is_view(program, n) or n in program.outputs}
    needed: list[int] = []
    seen: set[int] = set()
    inputs: list[int] = []
    stack = [a for n in own for a in program.arguments[n]]
    while stack:
        n = stack.pop()
        if n in seen or n in own:
            continue
        seen.add(n)
        if n in program.constants:
            continue
        if cuts.is_view(program, n):
            needed.append(n)
            stack.extend(program.arguments[n])
        else:
            inputs.append(n)
    inputs.sort()
    part = Program([program.avals[n] for n in inputs])
    if program.origins is not None:
        part.origins = [program.origins[n] for n in inputs]
    numbers = {n: i for i, n in enumerate(inputs)}
    for n in sorted({*own, *needed, *[n for n in seen if n in program.constants]}):
        part.follow(program, n)
        signature = program.signatures[n]
        if signature is None:
            numbers[n] = part.constant(program.avals[n], program.constants[n])
        else:
            numbers[n] = part.apply(signature, tuple([numbers[a] for a in program.arguments[n]]))
    outputs = sorted(own & outside)
    part.outputs = tuple([numbers[n] for n in outputs])
    part.quiet = program.quiet
    return part, inputs, outputs


def whole(program: Program, found: Sequence[Region], cuts: Cuts) -> str | None:
    """The kind of all regions that compute anything; None if there are both, or results that loops cannot give.

    These are inputs or constants, or parts of them: what loops compute they can give.
    """
    kinds = {region.kind for region in found if any(not cuts.is_view(program, n) for n, _, _ in region.members)}
    if kinds == {LOOPS} and any(program.avals[n].dtype not in cuts.dtypes for n in program.outputs):
        return None
    return (kinds.pop() if kinds else CALLS) if len(kinds) < 2 else None
