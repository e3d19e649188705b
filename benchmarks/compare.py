"""Comparisons within one workload's measurement: the best of ours, the best peer, targets, and rows of the headline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.results import Measurement, Series, Spread, ratio, spread
from benchmarks.workload import (
    BEST_PEER,
    BEST_YARDSTICK,
    ESTABLISHED,
    HOST,
    PEAK_MEMORY,
    STEP,
    Case,
    Row,
    Target,
    Workload,
)

SCALES = ("small", "medium", "large")
"""Of the cases of a variant, in order of their sizes."""


@dataclass(frozen=True, slots=True)
class Duel:
    """The best of ours against the best peer in one case.

    Parameters
    ----------
    case : str
    ours, peer : str
        The fastest contestants.
    ratio : Spread
        Of their warm times, round by round.
    seconds, peer_seconds : float
        Medians of their warm times.
    memory, peer_memory : float or None
        Peaks of their memory in bytes, where they were measured.
    host, peer_host : float or None
        Medians of the times until their steps return, where they were measured apart.
    tier : str
        What answered, of ours, where that is known.
    """

    case: str
    ours: str
    peer: str
    ratio: Spread
    seconds: float
    peer_seconds: float
    memory: float | None
    peer_memory: float | None
    host: float | None
    peer_host: float | None
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target with what was measured in one case."""

    target: Target
    case: str
    measured: Spread | None

    @property
    def met(self) -> bool | None:
        """Whether the median is within the limit; None if nothing was measured."""
        return None if self.measured is None else self.measured.median <= self.target.limit


@dataclass(frozen=True, slots=True)
class Headline:
    """A row of the headline table with what was measured of it.

    Parameters
    ----------
    workload, label, group : str
    ratio : Spread
        The geometric mean over the duels.
    duels : tuple of Duel
        One for each measured case.
    verdicts : tuple of Verdict
        Of the targets for warm times that concern the row.
    """

    workload: str
    label: str
    ratio: Spread
    duels: tuple[Duel, ...]
    verdicts: tuple[Verdict, ...]
    group: str = ESTABLISHED


class Comparison:
    """Looks up and compares the series of one workload's measurement."""

    def __init__(self, workload: Workload, measurement: Measurement) -> None:
        self.workload = workload
        self.measurement = measurement
        self.cases = list(dict.fromkeys(series.case for series in measurement.series))
        self.ours = [c.name for c in workload.contestants if c.role == "ours"]
        self.default = [c.name for c in workload.contestants if c.default] or self.ours
        self.peers = [c.name for c in workload.contestants if c.role == "peer"]
        self.yardsticks = [c.name for c in workload.contestants if c.yardstick]

    def series(self, case: str, metric: str, contestant: str, *, first_call: bool = False) -> Series | None:
        """The series of a contestant, or of the best peer or yardstick, if it has values of that kind."""
        groups = {BEST_PEER: self.peers, BEST_YARDSTICK: self.yardsticks}
        if contestant in groups:
            return self.best(case, metric, groups[contestant], first_call=first_call)
        found = self.measurement.find(case, metric, contestant)
        return found if found is not None and found.values(first_call=first_call) else None

    def best(self, case: str, metric: str, names: Sequence[str], *, first_call: bool = False) -> Series | None:
        """Of the series of these contestants, the one with the smallest median."""
        found = (self.series(case, metric, name, first_call=first_call) for name in names)
        present = [series for series in found if series is not None]
        return min(present, key=lambda s: median(s.values(first_call=first_call)), default=None)

    def duel(self, case: str, names: Sequence[str] = ()) -> Duel | None:
        """The best of ours by default, or of these of ours, against the best peer; None if one was not measured."""
        ours, peer = self.best(case, STEP, names or self.default), self.series(case, STEP, BEST_PEER)
        if ours is None or peer is None:
            return None
        measured = ratio(ours.warm, peer.warm)
        if measured is None:
            return None
        seconds = (median(one.warm) for one in (ours, peer))
        memory, host = (
            [self.figure(case, metric, one.contestant) for one in (ours, peer)] for metric in (PEAK_MEMORY, HOST)
        )
        return Duel(case, ours.contestant, peer.contestant, measured, *seconds, *memory, *host, ours.tier)

    def figure(self, case: str, metric: str, contestant: str) -> float | None:
        """The median of a warm metric, if it was measured."""
        series = self.series(case, metric, contestant)
        return None if series is None else median(series.warm)

    def verdicts(self, targets: Sequence[Target], cases: Sequence[str] = ()) -> list[Verdict]:
        """Every target in every case that it concerns, of these cases or of all."""
        return [
            Verdict(target, case, self._measured(target, case))
            for target in targets
            for case in target.cases or [case.name for case in self.workload.cases]
            if not cases or case in cases
        ]

    def _measured(self, target: Target, case: str) -> Spread | None:
        ours = self.best(case, target.metric, target.contestants or self.default, first_call=target.first_call)
        if ours is None:
            return None
        values = ours.values(first_call=target.first_call)
        if not target.is_ratio:
            return spread(values)
        other = target.against or ours.contestant
        base = self.series(target.base_case or case, target.metric, other, first_call=target.first_call)
        return None if base is None else ratio(values, base.values(first_call=target.first_call))

    def headlines(self) -> list[Headline]:
        """The workload's rows of the headline table of which something was measured."""
        found = (self._headline(row) for row in self.workload.rows)
        return [headline for headline in found if headline is not None]

    def _headline(self, row: Row) -> Headline | None:
        cases = row.cases or tuple(case.name for case in self.workload.cases)
        duels = tuple(duel for case in cases if (duel := self.duel(case, row.contestants)) is not None)
        if not duels:
            return None
        concerned = [
            target
            for target in self.workload.targets
            if target.metric == STEP
            and target.against
            and not target.first_call
            and (not row.contestants or not target.contestants or set(target.contestants) <= set(row.contestants))
        ]
        verdicts = tuple(self.verdicts(concerned, cases))
        mean = mean_spread([d.ratio for d in duels])
        return Headline(self.workload.name, row.label, mean, duels, verdicts, self.workload.group)

    def scale(self, name: str) -> str:
        """Whether a case is small, medium or large among those of its variant."""
        (variant,) = [case.variant for case in self.workload.cases if case.name == name]
        sized = [case for case in self.workload.cases if case.variant == variant and case.size is not None]
        names = [case.name for case in sorted(sized, key=_size)]
        if len(names) < 2 or name not in names:
            return SCALES[1]
        return SCALES[round(names.index(name) / (len(names) - 1) * (len(SCALES) - 1))]

    def variants(self) -> dict[str, list[Case]]:
        """The measured cases of each variant in order of size, of variants with sizes to compare."""
        variants: dict[str, list[Case]] = {}
        for case in self.workload.cases:
            if case.size is not None and case.name in self.cases:
                variants.setdefault(case.variant, []).append(case)
        return {name: sorted(cases, key=_size) for name, cases in variants.items() if len(cases) > 1}


def median(values: Sequence[float]) -> float:
    """Of values that there are."""
    found = spread(values)
    assert found is not None, "only series with values are compared"
    return found.median


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive values."""
    return math.exp(sum(map(math.log, values)) / len(values))


def mean_spread(spreads: Sequence[Spread]) -> Spread:
    """Geometric means of the medians and of the quartiles."""
    return Spread(*(geometric_mean([getattr(one, name) for one in spreads]) for name in ("median", "low", "high")))


def _size(case: Case) -> float:
    assert case.size is not None, "only cases with a size are sorted"
    return case.size
