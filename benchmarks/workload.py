"""What a workload is: the data classes that each file in ``benchmarks/workloads`` fills in.

Nothing here measures or prints, and nothing here imports a library under test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

Numbers: TypeAlias = Sequence[npt.ArrayLike]
Role: TypeAlias = Literal["ours", "peer", "reference"]

STEP = "step"
"""The metric of a `Timed` entry."""

PEAK_MEMORY = "peak memory"
"""The metric that `benchmarks.footprint` adds."""

HOST = "host"
"""The metric that an entry with a `Timed.wait` has beside `STEP`: the time until a step returns, without waiting."""

LAUNCHES = "launches"
"""The metric of what a step starts on a device: kernels and calls of library functions."""

ESTABLISHED = "rows that the project was tuned on"
HELD_OUT = "rows that it was not tuned on"
"""The groups of workloads, as `Workload.group`, each with a target of its own for its mean."""

BEST_PEER = "best peer"
"""As `Target.against`: the peer with the smallest median in that row."""

BEST_YARDSTICK = "best yardstick"
"""As `Target.against`: the yardstick with the smallest median in that row."""

RECORDED = ("autodiff",)
"""Our contestants by default that record anew at each step."""

TRACED = ("autodiff function",)
"""Our contestants by default that trace once."""

SLOW_TO_COMPILE = ("torch compile",)
"""Contestants that a quick run leaves out."""

_ROLES: Mapping[str, Role] = {"autodiff": "ours", "numpy": "reference", "python": "reference"}


class UnavailableError(Exception):
    """Raised by a builder or a step of a contestant that cannot take part here: noted with its reason, no failure."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A step that the harness times.

    Parameters
    ----------
    step : callable
        Does all of its work before it returns (an asynchronous library waits for its result), unless there is a `wait`.
        Its first call may compile; building the entry must not.
    numbers : callable
        Takes what `step` returned and gives the arrays that all contestants must agree on.
    facts : callable, optional
        Gives further metrics that are counted once, such as the size of the generated code.
    wait : callable, optional
        Takes what the last `step` returned and waits until a device has done all that was started on it.
    tier : callable, optional
        Says what answers now, where the plan may be replaced by a better one; nothing if that is not known.
    """

    step: Callable[[], Any]
    numbers: Callable[[Any], Numbers]
    facts: Callable[[], Mapping[str, float]] = dict
    wait: Callable[[Any], Any] | None = None
    tier: Callable[[], str] = str


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a `Measured` entry: a value for each metric, and the numbers to agree on."""

    metrics: Mapping[str, float]
    numbers: Numbers = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """A step that measures itself, because it has phases or its figure is no time.

    Parameters
    ----------
    sample : callable
        Does the work once and gives a `Sample`.
    """

    sample: Callable[[], Sample]


Entry: TypeAlias = Timed | Measured


@dataclass(frozen=True, slots=True)
class Case:
    """One size or variant of a workload.

    Parameters
    ----------
    name : str
        As in the report.
    parameter : object, optional
        What the contestants' builders receive.
    quick : bool, optional
        Whether quick runs measure it.
    size : float, optional
        Its place on the axis of sizes, in the workload's `size_unit`.
    variant : str, optional
        Tells cases apart that differ in more than their size: each variant has a scaling curve of its own.
    rtol : float, optional
        Agreement in this case; by default, the workload's.
    work : tuple of float and str, optional
        What a step has to do at least, and its unit, ``B`` (moved) or ``flop``: gives a rate.
    """

    name: str
    parameter: Any = None
    quick: bool = True
    size: float | None = None
    variant: str = ""
    rtol: float | None = None
    work: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work.

    Parameters
    ----------
    name : str
        Heads its column. By convention the library's name, and a word more if it has several.
    build : callable
        Takes the library's imported module and the case's parameter, and gives an `Entry`.
    library : str, optional
        Key of `benchmarks.libraries.LIBRARIES`; by default, `name`.
    cases : sequence of str, optional
        Names of the cases it takes part in; by default, all.
    max_first_calls : int, optional
        A bound for a compiler that keeps what it compiled, or takes very long.
    yardstick : bool, optional
        Does no more than the part that bounds the speed, such as a copy of the same bytes: a reference, of which the
        numbers need not agree.
    chosen : str, optional
        The backend that a user of ours has to ask for; empty for what one gets who chooses nothing.
    """

    name: str
    build: Callable[[ModuleType, Any], Entry]
    library: str = ""
    cases: Sequence[str] | None = None
    max_first_calls: int = 1000
    yardstick: bool = False
    chosen: str = ""

    def __post_init__(self) -> None:
        if not self.library:
            object.__setattr__(self, "library", self.name)

    @property
    def default(self) -> bool:
        """Whether it is ours, and one gets it who chooses nothing."""
        return self.role == "ours" and not self.chosen

    @property
    def role(self) -> Role:
        """Ours, a peer, or a reference: shown and checked, but not counted as a peer."""
        return "reference" if self.yardstick else _ROLES.get(self.library, "peer")


@dataclass(frozen=True, slots=True)
class Target:
    """An upper limit on one of our figures, or on its ratio to another.

    Parameters
    ----------
    limit : float
        In the metric's unit, or a plain ratio where there is something to compare with.
    contestants : tuple of str, optional
        Which of our contestants it concerns: the fastest of these counts; by default, of those that one gets who
        chooses nothing.
    metric : str, optional
        Which of its metrics.
    against : str, optional
        A contestant's name, `BEST_PEER` or `BEST_YARDSTICK`.
    base_case : str, optional
        Compare with this other case (of the same contestant, unless `against` is given).
    first_call : bool, optional
        Concerns the first call rather than the warm ones.
    cases : tuple of str, optional
        Names of the cases that it concerns; by default, all.
    """

    limit: float
    contestants: tuple[str, ...] = ()
    metric: str = STEP
    against: str | None = None
    base_case: str | None = None
    first_call: bool = False
    cases: tuple[str, ...] | None = None

    @property
    def is_ratio(self) -> bool:
        """Whether the limit is on a ratio."""
        return self.against is not None or self.base_case is not None


HELD_OUT_ROW = Target(1.1, against=BEST_PEER)
"""What every case of a held-out workload has to reach."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the headline table: the best of ours by default against the best peer. All rows weigh the same.

    Parameters
    ----------
    label : str
        Says what is computed.
    cases : tuple of str, optional
        The geometric mean over these counts; by default, over all.
    contestants : tuple of str, optional
        Which of ours count; by default, all that one gets who chooses nothing.
    """

    label: str
    cases: tuple[str, ...] = ()
    contestants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """What one file in ``benchmarks/workloads`` declares as ``WORKLOAD``.

    Parameters
    ----------
    name : str
        As given to ``--only``.
    summary : str
        One or two sentences for the report: what a step does, and what is held equal.
    contestants : sequence of Contestant
        In the order of the report; interleaved in this order.
    cases : sequence of Case, optional
        Sizes or variants.
    targets : sequence of Target, optional
        What the issue asks for.
    rows : sequence of Row, optional
        Its rows of the headline table.
    group : str, optional
        `ESTABLISHED` or `HELD_OUT`.
    size_unit : str, optional
        What the sizes of the cases count.
    units : mapping, optional
        Unit of each metric: ``s`` or ``B``, alone or with a suffix (``s/op``); others are counts.
    rtol, atol : float, optional
        Agreement: the largest difference in an array, against its largest magnitude.
    checked_steps : int, optional
        How many consecutive steps of a `Timed` entry must agree.
    max_rounds, max_first_calls : int, optional
        Bounds for workloads of which one step takes long.
    """

    name: str
    summary: str
    contestants: Sequence[Contestant]
    cases: Sequence[Case] = (Case("-"),)
    targets: Sequence[Target] = ()
    rows: Sequence[Row] = ()
    group: str = ESTABLISHED
    size_unit: str = ""
    units: Mapping[str, str] = field(default_factory=lambda: {STEP: "s", HOST: "s"})
    rtol: float = 1e-9
    atol: float = 1e-12
    checked_steps: int = 3
    max_rounds: int = 1000
    max_first_calls: int = 1000

    def in_brief(self) -> Workload:
        """The middle case of each variant, without contestants that take seconds to compile: what a quick run measures.

        Cases that are not for quick runs do not count.
        """
        variants: dict[str, list[Case]] = {}
        for case in self.cases:
            if case.quick:
                variants.setdefault(case.variant, []).append(case)
        sized = [sorted(cases, key=lambda case: case.size or 0) for cases in variants.values()]
        return replace(
            self,
            cases=tuple(cases[len(cases) // 2] for cases in sized),
            contestants=tuple(c for c in self.contestants if c.name not in SLOW_TO_COMPILE),
        )
