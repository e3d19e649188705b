"""What the report of the GPU says beside that of the CPU: rates, and shares of the device's speed."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.compare import Comparison, median
from benchmarks.gpu.workloads import gpu_workloads
from benchmarks.places import Place
from benchmarks.report import ONE_ROW, Edition
from benchmarks.results import Measurement, Spread, ratio
from benchmarks.tables import NONE, table
from benchmarks.units import format_spread, format_value
from benchmarks.workload import BEST_YARDSTICK, STEP

_HOW_TO_READ = (
    "All contestants compute on the same GPU, in the same process, and must agree. A ratio is ours divided by theirs, "
    "round by round: median [quartiles], below 1 is faster. *step* is the time of a step where many are started one "
    "after another and the device is waited for at the end. *host* is the time until a step returns, without waiting, "
    "from an empty queue. *launches* are the kernels and library calls of ours, as `Graph.explain` counts them. "
    "*first* is the first call of a fresh entry, which compiles; *warm* are later ones. "
    "Absolute figures hold for this machine at this moment only."
)


def compare_on(measurements: Sequence[Measurement], place: Place) -> list[Comparison]:
    """Each measurement with the workload of that place that it is of."""
    workloads = gpu_workloads(place)
    return [Comparison(workloads[one.workload], one) for one in measurements]


def share_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """A table of rates where the work is counted, beside the fastest of the yardsticks."""
    header = ("workload", "case", "contestant", "counted", "rate", f"share of the {BEST_YARDSTICK}'s")
    rows = [row for one in comparisons for row in _share_rows(one)]
    return table(header, rows) if rows else []


def _share_rows(one: Comparison) -> list[tuple[str, ...]]:
    rows = []
    for case in one.workload.cases:
        if case.work is None:
            continue
        amount, unit = case.work
        yardstick = one.series(case.name, STEP, BEST_YARDSTICK)
        for contestant in one.workload.contestants:
            series = one.series(case.name, STEP, contestant.name)
            if series is not None:
                rate = format_value(amount / median(series.warm), f"{unit}/s")
                share = None if yardstick is None else ratio(yardstick.warm, series.warm)
                cells = (format_value(amount, unit), rate, _percent(share))
                rows.append((one.workload.name, case.name, contestant.name, *cells))
    return rows


def _percent(share: Spread | None) -> str:
    if share is None:
        return NONE
    return f"{format_spread(Spread(*(100 * part for part in (share.median, share.low, share.high))), '')} %"


GPU = Edition(
    title="Benchmarks on a GPU",
    name="benchmarks-gpu",
    how_to_read=_HOW_TO_READ,
    compared=f"The fastest of ours against the fastest peer, warm. {ONE_ROW}",
    mean_targets={},
    quick="few rounds",
    sections={"Rates, and shares of the device's speed": share_lines},
)
