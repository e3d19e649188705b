"""Two pictures of the measurements: ratios to the best peer, and cost against size. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import Comparison, Headline, geometric_mean, median
from benchmarks.report import compare, headlines
from benchmarks.results import Measurement
from benchmarks.units import format_value
from benchmarks.workload import BEST_PEER, STEP, Contestant

RATIOS, SCALING = "ratios", "scaling"
TITLES = {RATIOS: "Time of ours divided by the best peer's", SCALING: "Time against size"}

# Okabe and Ito's colours, which colour-blind people tell apart; markers tell apart what is printed in grey.
OURS = "#D55E00"
COLOURS: Mapping[str, tuple[str, str]] = {
    "autodiff": (OURS, "o"),
    "jax": ("#0072B2", "s"),
    "torch": ("#009E73", "^"),
    "autograd": ("#CC79A7", "D"),
    "mygrad": ("#8C6D1F", "v"),
    "numpy": ("#777777", "x"),
}
GREY, SLOWER, FAINT = "#555555", "#0072B2", "#D9D9D9"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "autodiff",
}
COLUMNS = 4


def save_plots(measurements: Sequence[Measurement], folder: Path, *, targets: bool = True) -> dict[str, str]:
    """Save both pictures as PNG and SVG; titles and names of the SVG files, or nothing without matplotlib."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return {}
    comparisons = compare(measurements)
    saved = {}
    with mpl.rc_context(STYLE):
        for name, draw in ((RATIOS, partial(draw_ratios, targets=targets)), (SCALING, draw_scaling)):
            figure = Figure(layout="constrained")
            if draw(figure, comparisons):
                for suffix in ("png", "svg"):
                    metadata = {"Date": None} if suffix == "svg" else None
                    figure.savefig(folder / f"{name}.{suffix}", dpi=160, metadata=metadata, facecolor="white")
                saved[TITLES[name]] = f"{name}.svg"
    return saved


# --- ratios -----------------------------------------------------------------------------------------------------------


def draw_ratios(figure: Any, comparisons: Sequence[Comparison], *, targets: bool) -> bool:
    """A line for each row of the headline, the fastest against its peer on top; whether there is anything to draw."""
    rows = [row if targets else replace(row, verdicts=()) for row in headlines(comparisons)]
    rows.sort(key=lambda row: row.ratio.median, reverse=True)
    if not rows:
        return False
    figure.set_size_inches(9.5, 1.5 + 0.3 * len(rows))
    axes = figure.subplots()
    axes.set_xscale("log")
    for y, row in enumerate(rows):
        _draw_ratio(axes, y, row)
    mean = geometric_mean([row.ratio.median for row in rows])
    axes.axvline(1, color="black", linewidth=1)
    axes.axvline(mean, color=OURS, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    edges = [edge for row in rows for edge in (row.ratio.low, row.ratio.high, *_limits(row))]
    low, high = min(*edges, mean) / 1.3, max(*edges, 1) * 1.3
    _plain_ticks(axes.xaxis, low, high)
    axes.set_xlim(low, high)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time of ours / time of the best peer: left of 1, ours is faster; bars are quartiles")
    axes.set_title(TITLES[RATIOS], loc="left", pad=8)
    _ratio_legend(figure, axes, f"geometric mean {format_value(mean, '')}", targets=targets)
    return True


def _draw_ratio(axes: Any, y: int, row: Headline) -> None:
    measured = row.ratio
    colour = OURS if measured.median <= 1 else SLOWER
    axes.plot([measured.low, measured.high], [y, y], color=colour, linewidth=4, alpha=0.35, solid_capstyle="butt")
    axes.plot(measured.median, y, "o" if measured.median <= 1 else "s", color=colour, markersize=6)
    for limit in _limits(row):
        axes.plot([limit, limit], [y - 0.34, y + 0.34], color="black", linewidth=2)
    peers = ", ".join(dict.fromkeys(duel.peer for duel in row.duels))
    text = f"{format_value(measured.median, '')} of {peers}"
    axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=GREY)


def _limits(row: Headline) -> set[float]:
    """The row's targets against the best peer."""
    return {verdict.target.limit for verdict in row.verdicts if verdict.target.against == BEST_PEER}


def _ratio_legend(figure: Any, axes: Any, mean: str, *, targets: bool) -> None:
    marks = [
        axes.plot([], [], "o", color=OURS, label="ours is faster")[0],
        axes.plot([], [], "s", color=SLOWER, label="the peer is faster")[0],
        axes.plot([], [], color=OURS, linewidth=1, linestyle=(0, (4, 3)), label=mean)[0],
    ]
    if targets:
        label = "target against the best peer"
        marks += axes.plot([], [], "|", color="black", markersize=11, markeredgewidth=2, label=label)
    figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def _plain_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, written out."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    factors = (1, 2, 5) if len(decades) <= 4 else (1, 3)
    ticks = [tick for decade in decades for factor in factors if low <= (tick := factor * 10.0**decade) <= high]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


# --- scaling ----------------------------------------------------------------------------------------------------------


def draw_scaling(figure: Any, comparisons: Sequence[Comparison]) -> bool:
    """A panel for each workload and variant: warm time of a step against size; whether there is anything to draw."""
    panels = [
        (one, variant, cases)
        for one in comparisons
        for variant, cases in one.variants().items()
        if any(one.series(case.name, STEP, name) for case in cases for name in one.ours)
    ]
    if not panels:
        return False
    lines = -(-len(panels) // COLUMNS)
    figure.set_size_inches(13, 0.9 + 2.75 * lines)
    grid = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    names: dict[str, Any] = {}
    for axes, (one, variant, cases) in zip(grid, panels):
        for contestant in one.workload.contestants:
            _draw_contestant(axes, one, contestant, cases, names)
        _dress(axes, one, variant, cases)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.legend(names.values(), names.keys(), loc="outside upper center", ncols=min(len(names), 7), frameon=False)
    return True


def _draw_contestant(axes: Any, one: Comparison, contestant: Contestant, cases: Sequence[Any], names: Any) -> None:
    found = [(case.size, one.series(case.name, STEP, contestant.name)) for case in cases]
    points = [(size, median(series.warm)) for size, series in found if series is not None]
    if not points:
        return
    colour, marker = COLOURS.get(contestant.library, (GREY, "."))
    ours = contestant.role == "ours"
    names[contestant.name], *_ = axes.plot(
        *zip(*points),
        color=colour,
        marker=marker,
        markersize=4.5 if ours else 3.5,
        linewidth=2.2 if ours else 1.2,
        linestyle=_linestyle(contestant),
        markerfacecolor=colour if contestant.name == contestant.library else "white",
        zorder=3 if ours else 2,
    )


def _linestyle(contestant: Contestant) -> Any:
    """Solid for a library's first contestant; what it does besides is dashed or dotted."""
    extra = contestant.name.removeprefix(contestant.library).strip()
    if not extra:
        return "-"
    return (0, (1, 1.2)) if "llvm" in extra or "trajectory" in extra else (0, (4, 1.5))


def _dress(axes: Any, one: Comparison, variant: str, cases: Sequence[Any]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    sizes = [case.size for case in cases]
    linear = max(sizes) < 10
    if not linear:
        axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sizes, [_short(size) for size in sizes])
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, "s").replace("us", "µs")))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_title(one.workload.name.replace("_", " ") + (f", {variant}" if variant else ""), fontsize=10, loc="left")
    axes.set_xlabel(one.workload.size_unit, fontsize=8)
    axes.tick_params(labelsize=8)


def _short(size: float) -> str:
    if size < 1e4:
        return f"{size:,.0f}"
    return f"{size / 1e6:.3g}M" if size >= 1e6 else f"{size / 1e3:.3g}k"
