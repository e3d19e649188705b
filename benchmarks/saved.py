"""The files of a run: the report as text, and all that was measured as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.compare import Comparison, geometric_mean
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
        "geometric mean": geometric_mean([row.ratio.median for row in rows]) if rows else None,
        "headline": [asdict(row) for row in rows],
        "measurements": [comparison.measurement.to_json() for comparison in comparisons],
    }
    (folder / "results.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
