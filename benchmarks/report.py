"""The report: measurements as Markdown tables of targets, ratios and absolute figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from benchmarks.results import Measurement, Series, Spread, ratio, spread
from benchmarks.units import format_spread, format_value
from benchmarks.workload import BEST_PEER, STEP, Target, Workload
from benchmarks.workloads import load_workload

NONE = "-"
MISSING = "missing"

COMPILED = "jax"
"""The library whose first calls compile as ours do."""

_QUICK = "**Quick run: few rounds and small sizes. It shows that the benchmarks run, not how fast.**"

_HOW_TO_READ = (
    "A ratio is ours divided by theirs, round by round: median [quartiles], below 1 is faster or smaller. "
    "*first* is the first call of a fresh entry, which compiles; *warm* are later calls. "
    "Absolute figures hold for this machine at this moment only."
)


def markdown(
    measurements: Sequence[Measurement], machine: Mapping[str, str], *, failed: Sequence[str], quick: bool
) -> str:
    """Report all measurements.

    Parameters
    ----------
    measurements : sequence of Measurement
        In the order of the report.
    machine : mapping
        Facts about the machine, by name.
    failed : sequence of str
        Workloads whose process failed.
    quick : bool
        Whether this was a quick run, of which the figures mean little.
    """
    reports = [_WorkloadReport(load_workload(one.workload), one) for one in measurements]
    versions = {name: version for one in measurements for name, version in one.versions.items()}
    lines = ["# Benchmarks", ""]
    if quick:
        lines += [_QUICK, ""]
    if failed:
        lines += [f"**Failed, see the messages of the run: {', '.join(failed)}.**", ""]
    for facts in (machine, versions):
        lines += ["; ".join(f"{name} {value}" for name, value in facts.items()), ""]
    lines += [_HOW_TO_READ, "", "## Targets", ""]
    header = ("workload", "case", "contestant", "figure", "measured", "target", "")
    lines += _table(header, (row for report in reports for row in report.target_rows()))
    lines += ["", *_summary(reports)]
    for report in reports:
        lines += report.lines()
    return "\n".join(lines).rstrip() + "\n"


def _summary(reports: Sequence[_WorkloadReport]) -> list[str]:
    """The best of ours against the best peer, case by case, and the mean of all."""
    rows = [row for report in reports for case in report.cases if (row := report.summary(case)) is not None]
    if not rows:
        return []
    mean = math.exp(sum(math.log(warm) for _, warm in rows) / len(rows))
    return [
        "## Summary",
        "",
        (
            "*warm*: the fastest of ours against the fastest peer. *first*: the quickest of our first calls against "
            f"{COMPILED}'s, which compiles too. Geometric mean of the warm ratios: **{format_value(mean, '')}**."
        ),
        "",
        *_table(("workload", "case", "ours", "best peer", "warm", "first"), (cells for cells, _ in rows)),
    ]


class _WorkloadReport:
    """The part of the report that concerns one workload."""

    def __init__(self, workload: Workload, measurement: Measurement) -> None:
        self._workload = workload
        self._measurement = measurement
        self._cases = list(dict.fromkeys(series.case for series in measurement.series))
        self._metrics = list(dict.fromkeys(series.metric for series in measurement.series))
        self._ours = [c.name for c in workload.contestants if c.role == "ours"]
        self._others = [c for c in workload.contestants if c.role != "ours"]

    def lines(self) -> list[str]:
        """A section with its two tables."""
        lines = ["", f"## {self._workload.name}", "", self._workload.summary, ""]
        if self._measurement.missing:
            lines += [f"Missing (library not installed): {', '.join(self._measurement.missing)}.", ""]
        columns = [*(c.name for c in self._others), *([BEST_PEER] if len(self._peers()) > 1 else [])]
        ratios = list(self._ratio_rows(columns))
        if ratios:
            header = ("case", "figure", "ours", *(f"/ {name}" for name in columns))
            lines += [*_table(header, ratios), ""]
        return lines + _table(("case", "figure", "contestant", "warm", "first"), self._absolute_rows())

    def summary(self, case: str) -> tuple[tuple[str, ...], float] | None:
        """Names and ratios as text, and the warm ratio; None if a case has no peer."""
        ours, peer = (self._smallest(case, STEP, names, first_call=False) for names in (self._ours, self._peers()))
        if ours is None or peer is None:
            return None
        warm = ratio(ours.warm, peer.warm)
        if warm is None:
            return None
        first = NONE
        compiled = [c.name for c in self._others if c.library == COMPILED]
        ours_first, peer_first = (
            self._smallest(case, STEP, names, first_call=True) for names in (self._ours, compiled)
        )
        if ours_first is not None and peer_first is not None:
            measured = ratio(ours_first.first, peer_first.first)
            first = NONE if measured is None else format_value(measured.median, "")
        cells = (self._workload.name, case, ours.contestant, peer.contestant, format_value(warm.median, ""), first)
        return cells, warm.median

    @property
    def cases(self) -> Sequence[str]:
        """Names of the cases that were measured."""
        return self._cases

    def _smallest(self, case: str, metric: str, names: Sequence[str], *, first_call: bool) -> Series | None:
        """Of the series of these contestants, the one with the smallest median."""
        found = (self._series(case, metric, name, first_call=first_call) for name in names)
        present = [series for series in found if series is not None]
        return min(present, key=lambda s: _median(s, first_call=first_call), default=None)

    def target_rows(self) -> Iterable[tuple[str, ...]]:
        """Every target in every case that it concerns, with the figure beside it."""
        for target in self._workload.targets:
            for case in target.cases or [case.name for case in self._workload.cases]:
                measured = self._measured(target, case)
                yield (
                    self._workload.name,
                    case,
                    target.contestant,
                    _figure(target.metric, first_call=target.first_call),
                    self._format_measured(target, measured),
                    self._format_target(target),
                    _verdict(target, measured),
                )

    def _peers(self) -> list[str]:
        return [contestant.name for contestant in self._others if contestant.role == "peer"]

    def _series(self, case: str, metric: str, contestant: str, *, first_call: bool) -> Series | None:
        """The series of a contestant, or of the best peer, if it has values of that kind."""
        if contestant == BEST_PEER:
            return self._smallest(case, metric, self._peers(), first_call=first_call)
        series = self._measurement.find(case, metric, contestant)
        return series if series is not None and series.values(first_call=first_call) else None

    def _measured(self, target: Target, case: str) -> Spread | None:
        ours = self._series(case, target.metric, target.contestant, first_call=target.first_call)
        if ours is None:
            return None
        values = ours.values(first_call=target.first_call)
        if not target.is_ratio:
            return spread(values)
        base = self._series(
            target.base_case or case,
            target.metric,
            target.against or target.contestant,
            first_call=target.first_call,
        )
        return None if base is None else ratio(values, base.values(first_call=target.first_call))

    def _format_measured(self, target: Target, measured: Spread | None) -> str:
        if measured is None:
            return "not measured"
        return format_spread(measured, "" if target.is_ratio else self._unit(target.metric))

    def _format_target(self, target: Target) -> str:
        if not target.is_ratio:
            return f"<= {format_value(target.limit, self._unit(target.metric))}"
        base = " at ".join(filter(None, (target.against, target.base_case)))
        return f"<= {format_value(target.limit, '')} x {base}"

    def _ratio_rows(self, columns: Sequence[str]) -> Iterable[tuple[str, ...]]:
        for case, metric, first_call, ours in product(self._cases, self._metrics, (False, True), self._ours):
            cells = [self._ratio_cell(case, metric, ours, other, first_call=first_call) for other in columns]
            if any(cell not in (NONE, MISSING) for cell in cells):
                yield case, _figure(metric, first_call=first_call), ours, *cells

    def _ratio_cell(self, case: str, metric: str, ours: str, other: str, *, first_call: bool) -> str:
        """A ratio with its spread and, where there is one, the target."""
        if other in self._measurement.missing:
            return MISSING
        a = self._series(case, metric, ours, first_call=first_call)
        b = self._series(case, metric, other, first_call=first_call)
        if a is None or b is None:
            return NONE
        measured = ratio(a.values(first_call=first_call), b.values(first_call=first_call))
        if measured is None:
            return NONE
        text = format_spread(measured, "")
        if other == BEST_PEER:
            text += f" ({b.contestant})"
        limits = [
            f"<= {format_value(target.limit, '')}: {_verdict(target, measured)}"
            for target in self._workload.targets
            if (target.contestant, target.against, target.metric) == (ours, other, metric)
            and target.first_call == first_call
            and target.base_case is None
            and (target.cases is None or case in target.cases)
        ]
        return "; ".join((text, *limits))

    def _absolute_rows(self) -> Iterable[tuple[str, ...]]:
        names = [contestant.name for contestant in self._workload.contestants]
        for case, metric, name in product(self._cases, self._metrics, names):
            series = self._measurement.find(case, metric, name)
            if series is not None:
                unit = self._unit(metric)
                spreads = (spread(series.warm), spread(series.first))
                cells = (NONE if one is None else format_spread(one, unit) for one in spreads)
                yield case, metric, name, *cells

    def _unit(self, metric: str) -> str:
        return self._workload.units.get(metric, "")


def _median(series: Series, *, first_call: bool) -> float:
    found = spread(series.values(first_call=first_call))
    assert found is not None, "only series with values are compared"
    return found.median


def _verdict(target: Target, measured: Spread | None) -> str:
    if measured is None:
        return NONE
    return "met" if measured.median <= target.limit else "NOT MET"


def _figure(metric: str, *, first_call: bool) -> str:
    return f"{metric}, {'first' if first_call else 'warm'}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, or of a remark if it has no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ["Nothing was measured."]
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *lines]
