"""Put a run's tables into the documentation: ``python -m benchmarks.publish [DIR]``.

Writes ``docs/benchmarks.md`` with its pictures, ``docs/benchmarks-figures.md``, and the part of ``README.md`` between
the two comments; of a run on a GPU, ``docs/benchmarks-gpu.md`` and ``docs/benchmarks-gpu-figures.md``. Targets are left
to the report of a run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import Comparison
from benchmarks.gpu.report import GPU, compare_on
from benchmarks.libraries import ROOT
from benchmarks.places import CPU, CUDA, PLACES
from benchmarks.plots import save_plots
from benchmarks.report import PROCESSOR, Edition, compare, headlines, pages, summary_lines
from benchmarks.results import Measurement

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
PICTURES = "pictures"


def publish(results: Path, root: Path) -> None:
    """Write what a run is published in, below that folder.

    Raises
    ------
    ValueError
        If the run had failures or was a rehearsal, or the README lacks the comments.
    """
    data = json.loads(results.read_text(encoding="utf-8"))
    if data["failed"]:
        names = ", ".join(data["failed"])
        raise ValueError(f"{results} is of a run in which these failed, which is nothing to publish: {names}")
    place = PLACES[data["place"]]
    if place not in (CPU, CUDA):
        raise ValueError(f"{results} is of a {place.name}, which is nothing to publish")
    measurements = [Measurement.from_json(one) for one in data["measurements"]]
    if place is CUDA:
        _write(compare_on(measurements, place), data, root, GPU)
    else:
        _publish_with_pictures(data, measurements, root)


def _write(
    comparisons: Sequence[Comparison],
    data: Mapping[str, Any],
    root: Path,
    edition: Edition,
    pictures: Mapping[str, str] | None = None,
) -> None:
    """Write the two pages of an edition."""
    folder = root / "docs"
    folder.mkdir(exist_ok=True)
    first, figures = pages(comparisons, data["machine"], quick=data["quick"], pictures=pictures, edition=edition)
    (folder / f"{edition.name}.md").write_text(first, encoding="utf-8")
    (folder / f"{edition.name}-figures.md").write_text(figures, encoding="utf-8")


def _publish_with_pictures(data: Mapping[str, Any], measurements: Sequence[Measurement], root: Path) -> None:
    """Write the pages of the processor, their pictures, and the table in the README."""
    comparisons = compare(measurements)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme} needs the comments {BEGIN} and {END}, once each")

    folder = root / "docs" / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    saved = save_plots(measurements, folder, targets=False)
    _write(comparisons, data, root, PROCESSOR, {title: f"{PICTURES}/{name}" for title, name in saved.items()})

    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(summary_lines(headlines(comparisons)))
    if data["quick"]:
        table = f"From a quick run, which makes few rounds.\n\n{table}"
    readme.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__)
    default = ROOT / "benchmarks" / "results"
    parser.add_argument("folder", type=Path, nargs="?", default=default, help="what was given to --output")
    try:
        publish(parser.parse_args(argv).folder / "results.json", ROOT)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
