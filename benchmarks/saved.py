"""The files of a run: the report as text, and all that was measured as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare import Comparison, Headline, geometric_mean
from benchmarks.places import Place
from benchmarks.report import headlines


def save(
    folder: Path,
    text: str,
    comparisons: Sequence[Comparison],
    machine: Mapping[str, str],
    *,
    place: Place,
    failed: Sequence[str],
    quick: bool,
) -> None:
    """Write ``report.md`` and ``results.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text, encoding="utf-8")
    rows = headlines(comparisons)
    data = {
        "place": place.name,
        "quick": quick,
        "failed": list(failed),
        "machine": machine,
        "geometric mean": _mean(rows),
        "geometric means": {
            group: _mean([row for row in rows if row.group == group])
            for group in dict.fromkeys(row.group for row in rows)
        },
        "headline": [asdict(row) for row in rows],
        "measurements": [comparison.measurement.to_json() for comparison in comparisons],
    }
    (folder / "results.json").write_text(json.dumps(data, indent=1), encoding="utf-8")


def _mean(rows: Sequence[Headline]) -> float | None:
    return geometric_mean([row.ratio.median for row in rows]) if rows else None
