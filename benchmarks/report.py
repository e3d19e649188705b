"""Measurements as Markdown tables: the report of a run, which has targets, and the pages that are published of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from benchmarks.compare import Comparison, Headline, Verdict, geometric_mean
from benchmarks.footprint import RESOLUTION
from benchmarks.results import Measurement, Spread, ratio, spread
from benchmarks.sizes import scale_lines, worst_lines
from benchmarks.tables import MISSING, NONE, answered, table
from benchmarks.units import format_spread, format_value
from benchmarks.workload import (
    BEST_PEER,
    ESTABLISHED,
    HELD_OUT,
    PEAK_MEMORY,
    STEP,
    Target,
    Workload,
)
from benchmarks.workloads import load_workload

MEAN_TARGETS = {ESTABLISHED: 0.30, HELD_OUT: 0.55}
"""Upper limits of the geometric means over the rows of each group."""

_QUICK = "**Quick run: {}. It shows that the benchmarks run, and only roughly how fast.**"

ONE_ROW = "A row over several sizes is their geometric mean."

_BY_DEFAULT = (
    "What a user of ours has who chooses nothing, the faster of recording at each step and `ad.function`, against the "
    "fastest peer, warm. What answered stands in brackets, with its tier where that is known. "
)

_HOW_TO_READ = (
    "A ratio is ours divided by theirs, round by round: median [quartiles], below 1 is faster or smaller. "
    "*first* is the first call of a fresh entry, which compiles; *warm* are later calls. *Peak memory* is what a "
    "process holds at most in a warm call, above its level before the first. "
    "Absolute figures hold for this machine at this moment only."
)


Section = Callable[[Sequence[Comparison]], list[str]]
"""Makes the lines of a section of a report."""


@dataclass(frozen=True, slots=True)
class Edition:
    """What one report says that another does not.

    Parameters
    ----------
    title : str
        Its heading.
    name : str
        What its pages are called, without the suffix.
    how_to_read : str
        What the figures are.
    compared : str
        Who stands in the headline.
    mean_targets : mapping
        Upper limits of the geometric means over the rows of a group of workloads, by the group.
    sections : dict, optional
        By its heading, what makes the lines of a section after the headline.
    targets : bool, optional
        Whether the headline is held to targets.
    quick : str, optional
        What a quick run measures.
    """

    title: str = "Benchmarks"
    name: str = "benchmarks"
    how_to_read: str = _HOW_TO_READ
    compared: str = _BY_DEFAULT + ONE_ROW
    mean_targets: Mapping[str, float] = field(default_factory=lambda: MEAN_TARGETS)
    sections: dict[str, Section] = field(default_factory=dict)
    targets: bool = True
    quick: str = "few rounds of the middle sizes, without what takes long to compile"


PROCESSOR = Edition(sections={"By size": scale_lines, "Where ours is slowest": worst_lines})


def compare(measurements: Sequence[Measurement]) -> list[Comparison]:
    """Each measurement with the workload that it is of."""
    return [Comparison(load_workload(one.workload), one) for one in measurements]


def headlines(comparisons: Sequence[Comparison]) -> list[Headline]:
    """All rows of the headline table."""
    return [headline for comparison in comparisons for headline in comparison.headlines()]


def markdown(
    comparisons: Sequence[Comparison],
    machine: Mapping[str, str],
    *,
    failed: Sequence[str],
    quick: bool,
    pictures: Mapping[str, str] | None = None,
    edition: Edition = PROCESSOR,
) -> str:
    """Report all measurements.

    Parameters
    ----------
    comparisons : sequence of Comparison
        In the order of the report.
    machine : mapping
        Facts about the machine, by name.
    failed : sequence of str
        Workloads that failed, wholly or in part.
    quick : bool
        Whether this was a quick run, of which the figures mean little.
    pictures : mapping, optional
        Titles and addresses of pictures.
    edition : Edition, optional
        What it says.
    """
    lines = [f"# {edition.title}", "", *_quick_lines(quick, edition)]
    if failed:
        lines += [f"**Failed: {', '.join(failed)}.** What is known of it stands under *Not measured*.", ""]
    lines += [*_fact_lines(comparisons, machine), edition.how_to_read, ""]
    lines += ["## Headline", "", *headline_lines(headlines(comparisons), edition), "", *_picture_lines(pictures)]
    lines += _section_lines(comparisons, edition.sections | _SCALING)
    lines += ["## Targets", ""]
    header = ("workload", "case", "contestant", "figure", "measured", "target", "")
    lines += table(header, (row for one in comparisons for row in _target_rows(one)))
    lines += ["", "## Not measured", "", *_remark_lines(comparisons)]
    for one in comparisons:
        lines += _workload_lines(one)
    return _text(lines)


def pages(
    comparisons: Sequence[Comparison],
    machine: Mapping[str, str],
    *,
    quick: bool,
    pictures: Mapping[str, str] | None = None,
    edition: Edition = PROCESSOR,
) -> tuple[str, str]:
    """What is published of all measurements: a page with one picture and one table, and one with all figures.

    Parameters
    ----------
    comparisons : sequence of Comparison
        In the order of the pages.
    machine : mapping
        Facts about the machine, by name.
    quick : bool
        Whether this was a quick run, of which the figures mean little.
    pictures : mapping, optional
        Titles and addresses of pictures.
    edition : Edition, optional
        What they say.
    """
    edition = replace(edition, targets=False)
    figures = f"[All figures]({edition.name}-figures.md): every workload, size and contestant."
    above, below = _picture_lines(pictures)[:2], _picture_lines(pictures)[2:]
    rows = headlines(comparisons)
    brief = brief_lines(rows, edition)
    sections = _section_lines(comparisons, edition.sections)
    first = [f"# {edition.title}", "", *_quick_lines(quick, edition), *above]
    first += [*(brief or headline_lines(rows, edition)), "", figures, "", *([] if brief else sections)]
    first += ["## How to read this", "", edition.how_to_read, "", *_fact_lines(comparisons, machine)]
    behind = [f"# {edition.title}: all figures", "", *_quick_lines(quick, edition)]
    behind += [f"In short, and how to read these: [{edition.title.lower()}]({edition.name}.md).", ""]
    behind += ["## Row by row", "", *headline_lines(rows, edition), "", *sections] if brief else []
    behind += [*below, *_section_lines(comparisons, _SCALING), "## Not measured", "", *_remark_lines(comparisons)]
    for one in comparisons:
        behind += _workload_lines(one)
    return _text(first), _text(behind)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _quick_lines(quick: bool, edition: Edition) -> list[str]:
    return [_QUICK.format(edition.quick), ""] if quick else []


def _fact_lines(comparisons: Sequence[Comparison], machine: Mapping[str, str]) -> list[str]:
    """The machine, and the versions of the libraries."""
    versions = {name: version for one in comparisons for name, version in one.measurement.versions.items()}
    lines = []
    for facts in (machine, versions):
        lines += ["; ".join(f"{name} {value}" for name, value in facts.items()), ""]
    return lines


def _picture_lines(pictures: Mapping[str, str] | None) -> list[str]:
    return [line for title, address in (pictures or {}).items() for line in (f"![{title}]({address})", "")]


def _section_lines(comparisons: Sequence[Comparison], sections: Mapping[str, Section]) -> list[str]:
    """Those of the sections in which there is something."""
    lines = []
    for title, make in sections.items():
        if section := make(comparisons):
            lines += [f"## {title}", "", *section, ""]
    return lines


# --- the headline -----------------------------------------------------------------------------------------------------


def headline_lines(rows: Sequence[Headline], edition: Edition = PROCESSOR) -> list[str]:
    """The headline table, the mean below it, and what they say."""
    if not rows:
        return ["Nothing was measured."]
    groups = _groups(rows)
    lines = [edition.compared]
    for name, group in groups.items():
        lines += ["", *([f"### {_capital(name)}", ""] if len(groups) > 1 else [])]
        lines += _group_lines(group, edition, edition.mean_targets.get(name))
    return lines


def brief_lines(rows: Sequence[Headline], edition: Edition = PROCESSOR) -> list[str]:
    """A row for each group of the headline; nothing where there is one group only."""
    groups = _groups(rows)
    if len(groups) < 2:
        return []
    cells = []
    for name, group in groups.items():
        least, most = (choose(group, key=lambda row: row.ratio.median) for choose in (min, max))
        faster = sum(row.ratio.median < 1 for row in group)
        ends = [f"{format_value(row.ratio.median, '')}, {row.label}" for row in (least, most)]
        cells.append((_capital(name), format_value(_mean(group), ""), f"{faster} of {len(group)}", *ends))
    header = ("", "ours / best peer, geometric mean", "ours is faster in", "least", "most")
    return [edition.compared, "", *table(header, cells)]


def _groups(rows: Sequence[Headline]) -> dict[str, list[Headline]]:
    """The rows of each group."""
    groups: dict[str, list[Headline]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"


def _group_lines(rows: Sequence[Headline], edition: Edition, mean_target: float | None) -> list[str]:
    """The table of the rows of one group, and their mean."""
    beside = [column for column in _BESIDE if any(column.pair(row) != (None, None) for row in rows)]
    titles = [title for column in beside for title in (f"{column.title}, ours", "best peer's")]
    header = ["", "ours", "best peer", "ours / best peer", *titles]
    cells = [_headline_cells(row, beside) for row in rows]
    mean = f"Geometric mean over the rows: **{format_value(_mean(rows), '')}**"
    if edition.targets:
        header += ["target", ""]
        cells = [(*row_cells, *_target_cells(row.verdicts)) for row_cells, row in zip(cells, rows, strict=True)]
        mean += _judged(rows, mean_target)
    return [*table(header, cells), "", f"{mean}."]


def summary_lines(rows: Sequence[Headline]) -> list[str]:
    """The headline in short, for those who want to know how fast this is."""
    cells = [(*_headline_cells(row, ())[:3], format_value(row.ratio.median, "")) for row in rows]
    mean = f"On average (geometric mean) ours takes **{format_value(_mean(rows), '')}** of the fastest peer's time."
    return [mean, "", PROCESSOR.compared, "", *table(("", "ours", "fastest peer", "ratio"), cells)]


def _mean(rows: Sequence[Headline]) -> float:
    return geometric_mean([row.ratio.median for row in rows])


def _judged(rows: Sequence[Headline], mean_target: float | None) -> str:
    """What the targets say of the mean and of the rows."""
    verdicts = [verdict for row in rows for verdict in row.verdicts]
    met, judged = (sum(v.met is wanted for v in verdicts) for wanted in (True, False))
    met_mean = mean_target is not None and _mean(rows) <= mean_target
    wanted = "" if mean_target is None else f" (target {mean_target}: {'met' if met_mean else 'MISSED'})"
    return f"{wanted}. Of the rows' targets, {met} of {met + judged} are met"


@dataclass(frozen=True, slots=True)
class _Column:
    """A figure beside the times in the headline, in two columns: ours and the best peer's."""

    title: str
    pair: Callable[[Headline], tuple[float | None, float | None]]
    form: Callable[[float | None], str]


def _headline_cells(row: Headline, beside: Sequence[_Column]) -> tuple[str, ...]:
    return (
        row.label,
        f"{_range([duel.seconds for duel in row.duels], 's')} ({_names(map(answered, row.duels))})",
        f"{_range([duel.peer_seconds for duel in row.duels], 's')} ({_names([duel.peer for duel in row.duels])})",
        format_spread(row.ratio, ""),
        *(column.form(value) for column in beside for value in column.pair(row)),
    )


def _target_cells(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """The limits, and how many of them are met in how many cases."""
    limits = dict.fromkeys(_limit(verdict.target) for verdict in verdicts)
    judged = [verdict for verdict in verdicts if verdict.met is not None]
    met = sum(bool(verdict.met) for verdict in judged)
    if not judged:
        mark = NONE
    elif met == len(judged):
        mark = "✓ met"
    else:
        mark = "✗ MISSED" + (f" ({met} of {len(judged)} met)" if len(judged) > 1 else "")
    return "; ".join(limits) or NONE, mark


def _limit(target: Target) -> str:
    return f"≤ {format_value(target.limit, '')} x {target.against}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _range(values: Sequence[float], unit: str) -> str:
    low, high = (format_value(value, unit) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def format_memory(memory: float | None) -> str:
    """Bytes, or what they are below."""
    if memory is None:
        return NONE
    return format_value(memory, "B") if memory >= RESOLUTION else f"< {format_value(RESOLUTION, 'B')}"


def _format_host(seconds: float | None) -> str:
    return NONE if seconds is None else format_value(seconds, "s")


_BESIDE = (
    _Column("peak memory", lambda row: (row.duels[-1].memory, row.duels[-1].peer_memory), format_memory),
    _Column("host", lambda row: (row.duels[-1].host, row.duels[-1].peer_host), _format_host),
)


# --- cost against size ------------------------------------------------------------------------------------------------


def scaling_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """A table for each workload and variant: warm time of each contestant at each size."""
    lines = []
    for one in comparisons:
        for variant, cases in one.variants().items():
            title = one.workload.name + (f", {variant}" if variant else "")
            header = (f"{title} ({one.workload.size_unit})", *(f"{case.size:,.0f}" for case in cases))
            rows = []
            for contestant in one.workload.contestants:
                found = [one.series(case.name, STEP, contestant.name) for case in cases]
                if any(found):
                    spreads = (None if series is None else spread(series.warm) for series in found)
                    cells = (NONE if s is None else format_value(s.median, "s") for s in spreads)
                    rows.append((contestant.name, *cells))
            if rows:
                lines += [*table(header, rows), ""]
    return lines[:-1]


_SCALING = {"Cost against size": scaling_lines}


# --- targets and remarks ----------------------------------------------------------------------------------------------


def _target_rows(one: Comparison) -> Iterable[tuple[str, ...]]:
    """Every target in every case that it concerns, with the figure beside it."""
    for verdict in one.verdicts(one.workload.targets):
        target, measured = verdict.target, verdict.measured
        unit = "" if target.is_ratio else _unit(one.workload, target.metric)
        yield (
            one.workload.name,
            verdict.case,
            " or ".join(name for name in target.contestants or ["ours"]),
            _figure(target.metric, first_call=target.first_call),
            "not measured" if measured is None else format_spread(measured, unit),
            _format_target(target, unit),
            {None: NONE, True: "met", False: "MISSED"}[verdict.met],
        )


def _format_target(target: Target, unit: str) -> str:
    if not target.is_ratio:
        return f"≤ {format_value(target.limit, unit)}"
    base = " at ".join(filter(None, (target.against, target.base_case)))
    return f"≤ {format_value(target.limit, '')} x {base}"


def _remark_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """What is missing, unavailable or wrong, each reason once, with the workloads and cases it is about."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in comparisons:
        for name in one.measurement.missing:
            reasons.setdefault((name, "library not installed"), []).append(one.workload.name)
        remarks: dict[tuple[str, str], list[str]] = {}
        for remark in one.measurement.remarks:
            text = f"**FAILED** {_brief(remark.text)}" if remark.failed else _brief(remark.text)
            remarks.setdefault((remark.contestant or "all", text), []).append(remark.case)
        for reason, cases in remarks.items():
            everywhere = set(cases) >= set(one.cases)
            where = one.workload.name if everywhere else f"{one.workload.name} ({', '.join(cases)})"
            reasons.setdefault(reason, []).append(where)
    rows = [(*reason, "; ".join(where)) for reason, where in reasons.items()]
    return table(("contestant", "why", "where"), rows) if rows else ["Every contestant took part everywhere."]


def _brief(text: str, length: int = 300) -> str:
    """On one line of a table, without what would end a cell."""
    flat = " ".join(text.split()).replace("|", "/")
    return flat if len(flat) <= length else f"{flat[:length]} ..."


# --- one workload -----------------------------------------------------------------------------------------------------


def _workload_lines(one: Comparison) -> list[str]:
    """A section with its two tables."""
    lines = ["", f"## {one.workload.name}", "", one.workload.summary, ""]
    columns = [c.name for c in one.workload.contestants if c.role != "ours"]
    columns += [BEST_PEER] if len(one.peers) > 1 else []
    ratios = list(_ratio_rows(one, columns))
    if ratios:
        header = ("case", "figure", "ours", *(f"/ {name}" for name in columns))
        lines += [*table(header, ratios), ""]
    return lines + table(("case", "figure", "contestant", "warm", "first", "tier"), _absolute_rows(one))


def _metrics(one: Comparison) -> list[str]:
    return list(dict.fromkeys(series.metric for series in one.measurement.series))


def _ratio_rows(one: Comparison, columns: Sequence[str]) -> Iterable[tuple[str, ...]]:
    for case, metric, first_call, ours in product(one.cases, _metrics(one), (False, True), one.ours):
        cells = [_ratio_cell(one, case, metric, ours, other, first_call=first_call) for other in columns]
        if any(cell not in (NONE, MISSING) for cell in cells):
            yield case, _figure(metric, first_call=first_call), ours, *cells


def _ratio_cell(one: Comparison, case: str, metric: str, ours: str, other: str, *, first_call: bool) -> str:
    """A ratio with its spread."""
    if other in one.measurement.missing:
        return MISSING
    a = one.series(case, metric, ours, first_call=first_call)
    b = one.series(case, metric, other, first_call=first_call)
    if a is None or b is None:
        return NONE
    if metric == PEAK_MEMORY and max(*a.warm, *b.warm) < RESOLUTION:
        return NONE
    measured = ratio(a.values(first_call=first_call), b.values(first_call=first_call))
    if measured is None:
        return NONE
    return format_spread(measured, "") + (f" ({b.contestant})" if other == BEST_PEER else "")


def _absolute_rows(one: Comparison) -> Iterable[tuple[str, ...]]:
    names = [contestant.name for contestant in one.workload.contestants]
    for case, metric, name in product(one.cases, _metrics(one), names):
        series = one.measurement.find(case, metric, name)
        if series is not None:
            spreads = (spread(series.warm), spread(series.first))
            cells = (_absolute(s, metric, _unit(one.workload, metric)) for s in spreads)
            yield case, metric, name, *cells, series.tier or NONE


def _absolute(measured: Spread | None, metric: str, unit: str) -> str:
    if measured is None:
        return NONE
    return format_memory(measured.median) if metric == PEAK_MEMORY else format_spread(measured, unit)


def _unit(workload: Workload, metric: str) -> str:
    return workload.units.get(metric, "B" if metric == PEAK_MEMORY else "")


def _figure(metric: str, *, first_call: bool) -> str:
    return f"{metric}, {'first' if first_call else 'warm'}"
