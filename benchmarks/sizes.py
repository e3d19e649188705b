"""Ours against the best peer by size, in each way that a user could choose; and the cases where ours is slowest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.compare import SCALES, Comparison, Duel, geometric_mean
from benchmarks.tables import NONE, answered, table
from benchmarks.units import format_spread, format_value
from benchmarks.workload import RECORDED, TRACED

WORST = 10
"""How many cases are named in which ours is slowest against the best peer."""


def scale_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """Geometric means over all cases of the workloads in the headline: each way of ours, by size."""
    compared = [one for one in comparisons if one.workload.rows]
    lines = ["Geometric means over all cases of the workloads in the headline, against the best peer.", ""]
    rows = []
    for group in dict.fromkeys(one.workload.group for one in compared):
        members = [one for one in compared if one.workload.group == group]
        for way, chosen in _ways(members):
            found = [
                (one.scale(case), duel.ratio.median)
                for one in members
                for case in one.cases
                if (names := chosen(one)) and (duel := one.duel(case, names)) is not None
            ]
            if found:
                rows.append((group, way, *(_mean_cell(found, scale) for scale in (*SCALES, None))))
    return [*lines, *table(("", "ours", *SCALES, "all"), rows)] if rows else []


def _ways(comparisons: Sequence[Comparison]) -> list[tuple[str, Callable[[Comparison], list[str]]]]:
    """Ways to use ours, and the contestants of each in a workload."""
    backends = dict.fromkeys(c.chosen for one in comparisons for c in one.workload.contestants if c.chosen)
    return [
        ("by default", lambda one: one.default),
        ("by default, recording at each step", lambda one: [name for name in one.default if name in RECORDED]),
        ("by default, `ad.function`", lambda one: [name for name in one.default if name in TRACED]),
        *((f"backend {name!r}", partial(_choosing, name)) for name in backends),
        ("the fastest of all", lambda one: one.ours),
    ]


def _choosing(backend: str, one: Comparison) -> list[str]:
    return [c.name for c in one.workload.contestants if c.chosen == backend]


def _mean_cell(found: Sequence[tuple[str, float]], scale: str | None) -> str:
    values = [value for of, value in found if scale in (of, None)]
    return f"{format_value(geometric_mean(values), '')} ({len(values)})" if values else NONE


def worst_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """The cases in which ours by default is slowest against the best peer."""
    duels = [(one, duel) for one in comparisons if one.workload.rows for case in one.cases if (duel := one.duel(case))]
    duels.sort(key=lambda pair: -pair[1].ratio.median)
    rows = [
        (
            one.workload.name,
            duel.case,
            f"{format_value(duel.seconds, 's')} ({answered(duel)})",
            f"{format_value(duel.peer_seconds, 's')} ({duel.peer})",
            format_spread(duel.ratio, ""),
            _fastest(one, duel),
        )
        for one, duel in duels[:WORST]
    ]
    header = ("workload", "case", "ours by default", "best peer", "ratio", "the fastest of all of ours")
    return table(header, rows) if rows else []


def _fastest(one: Comparison, duel: Duel) -> str:
    """The ratio of the best of all that a user could choose."""
    best = one.duel(duel.case, one.ours)
    assert best is not None, "there is one of those by default"
    return f"{format_value(best.ratio.median, '')} ({best.ours})"
