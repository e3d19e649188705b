"""Put a run's tables into the documentation: ``python -m benchmarks.publish [DIR ...] [--quick]``.

Writes ``docs/benchmarks.md`` with its pictures, ``docs/benchmarks-figures.md``, and the part of ``README.md`` between
the two comments; of a run on a GPU, ``docs/benchmarks-gpu.md`` and ``docs/benchmarks-gpu-figures.md``. Targets are left
to the report of a run. Several folders are parts of one run: what a later one measured takes the place of what an
earlier one did. Quick runs are published only where that is asked for, and say so.
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

SAME = ("processor", "cores", "gpu")
"""What the parts of one run have in common, of what is known of their machines."""


def publish(results: Sequence[Path], root: Path, *, quick: bool = False) -> None:
    """Write what a run is published in, below that folder.

    Parameters
    ----------
    results : sequence of Path
        The data of all parts of the run.
    root : Path
    quick : bool, optional
        Whether the run may be a quick one.

    Raises
    ------
    ValueError
        If the run had failures, was a rehearsal or a quick one, or its parts are of different machines; or if the
        README lacks the comments.
    """
    where = ", ".join(map(str, results))
    data = merged([json.loads(path.read_text(encoding="utf-8")) for path in results])
    if data["failed"]:
        names = ", ".join(data["failed"])
        raise ValueError(f"{where} is of a run in which these failed, which is nothing to publish: {names}")
    place = PLACES[data["place"]]
    if place not in (CPU, CUDA):
        raise ValueError(f"{where} is of a {place.name}, which is nothing to publish")
    if data["quick"] and not quick:
        raise ValueError(f"{where} is of a quick run, whose figures are rough; --quick publishes them nevertheless")
    measurements = [Measurement.from_json(one) for one in data["measurements"]]
    if place is CUDA:
        _write(compare_on(measurements, place), data, root, GPU)
    else:
        _publish_with_pictures(data, measurements, root)


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The data of a run that was made in parts.

    Raises
    ------
    ValueError
        If they are of different places or machines.
    """
    for one in parts[1:]:
        for fact in ("place", *(f"machine.{name}" for name in SAME)):
            values = [_fact(part, fact) for part in (parts[0], one)]
            if values[0] != values[1]:
                raise ValueError(f"these are no parts of one run, since the {fact} differs: {values[0]}, {values[1]}")
    measurements: dict[str, Any] = {}
    failed: dict[str, None] = {}
    for part in parts:
        measured = {one["workload"]: one for one in part["measurements"]}
        failed = {name: None for name in failed if name not in measured} | dict.fromkeys(part["failed"])
        measurements |= measured
    return {
        "place": parts[0]["place"],
        "quick": any(part["quick"] for part in parts),
        "failed": list(failed),
        "machine": dict(parts[-1]["machine"]),
        "measurements": list(measurements.values()),
    }


def _fact(part: Mapping[str, Any], name: str) -> Any:
    first, _, rest = name.partition(".")
    return part.get(first) if not rest else part[first].get(rest)


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
    parser.add_argument("folders", type=Path, nargs="*", metavar="DIR", help="what was given to --output")
    parser.add_argument("--quick", action="store_true", help="publish a quick run, too")
    arguments = parser.parse_args(argv)
    try:
        publish([folder / "results.json" for folder in arguments.folders or [default]], ROOT, quick=arguments.quick)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
