"""The benchmarks' harness: what it measures, compares, and refuses. Times themselves are never tested."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
MODULES = (
    "footprint",
    "libraries",
    "measure",
    "publish",
    "report",
    "resident",
    "results",
    "workload",
    "workloads",
    "__main__",
)


@pytest.fixture
def bench(monkeypatch):
    """The harness's modules by name, with a library that stands for a peer."""
    monkeypatch.syspath_prepend(str(ROOT))
    found = SimpleNamespace(**{name: importlib.import_module(f"benchmarks.{name}") for name in MODULES})
    monkeypatch.setitem(found.libraries.LIBRARIES, "peer", found.libraries.Library("math", ""))
    return found


def timed(bench, result):
    """A builder of entries that return the case's parameter times a number, or do something worse."""

    def build(_module, parameter):
        def step():
            return result(parameter) if callable(result) else result * parameter

        return bench.workload.Timed(step, lambda value: [np.asarray(value)])

    return build


@pytest.fixture
def tiny(bench, monkeypatch):
    """A workload in which ours and a peer agree, at two sizes; loaded by its name."""
    contestants = [
        bench.workload.Contestant("autodiff", timed(bench, 2.0)),
        bench.workload.Contestant("peer", timed(bench, 2.0)),
    ]
    workload = bench.workload.Workload(
        name="tiny",
        summary="Twice a number.",
        contestants=contestants,
        cases=(bench.workload.Case("one", 1.0, size=1), bench.workload.Case("ten", 10.0, size=10)),
        targets=(bench.workload.Target(0.5, against=bench.workload.BEST_PEER),),
        rows=(bench.workload.Row("twice"),),
        max_rounds=3,
    )
    monkeypatch.setattr(bench.report, "load_workload", lambda _name: workload)
    return workload


def measured(bench, ours, theirs):
    """A measurement of the tiny workload with these warm times in both cases."""
    series = [
        bench.results.Series(case, bench.workload.STEP, name, first=[1.0], warm=list(times))
        for case in ("one", "ten")
        for name, times in (("autodiff", ours), ("peer", theirs))
    ]
    return bench.results.Measurement("tiny", 1.0, [], {"autodiff": "0"}, series)


def test_contestants_that_agree_are_timed(bench, tiny):
    measurement = bench.measure.measure(tiny, quick=True)
    assert {(s.case, s.contestant) for s in measurement.series} == {
        (case, name) for case in ("one", "ten") for name in ("autodiff", "peer")
    }
    assert all(len(s.warm) == 3 and len(s.first) == 1 and min(s.warm) > 0 for s in measurement.series)
    assert measurement.remarks == []
    assert bench.results.Measurement.from_json(json.loads(json.dumps(measurement.to_json()))) == measurement


def test_a_disagreement_is_a_failure_and_is_not_timed(bench, tiny, capsys):
    wrong = bench.workload.Contestant("wrong", timed(bench, lambda x: 2.0 * x + (x > 5)), "peer")
    measurement = bench.measure.measure(replace(tiny, contestants=[*tiny.contestants, wrong]), quick=True)
    (failure,) = measurement.failures
    assert failure.case == "ten"
    assert "wrong and autodiff" in failure.text
    assert "FAILED" in capsys.readouterr().err
    assert {s.case for s in measurement.series} == {"one"}


def test_failures_reach_the_exit_status_and_the_report(bench, tiny, monkeypatch, tmp_path, capsys):
    wrong = bench.workload.Contestant("wrong", timed(bench, 3.0), "peer")
    workload = replace(tiny, contestants=[*tiny.contestants, wrong])
    main = bench.__main__
    monkeypatch.setattr(main, "measure_in_process", lambda *_, quick: bench.measure.measure(workload, quick=quick))
    monkeypatch.setattr(main, "workload_names", lambda: ["tiny"])
    monkeypatch.setattr(main, "load_workload", lambda _name: replace(workload, rows=()))
    assert main.main(["--quick", "--output", str(tmp_path)]) == 1
    assert "**Failed: tiny.**" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "results.json").read_text())["failed"] == ["tiny"]
    assert "FAILED: tiny" in capsys.readouterr().err


def test_who_raises_is_left_out_and_who_is_unavailable_is_excused(bench, tiny):
    def broken(_x):
        raise ZeroDivisionError("broken")

    def unavailable(_x):
        raise bench.workload.UnavailableError("no compiler")

    others = [
        bench.workload.Contestant("broken", timed(bench, broken), "peer"),
        bench.workload.Contestant("absent", timed(bench, unavailable), "peer"),
    ]
    measurement = bench.measure.measure(replace(tiny, contestants=[*tiny.contestants, *others]), quick=True)
    assert {s.contestant for s in measurement.series} == {"autodiff", "peer"}
    assert {(r.contestant, r.failed) for r in measurement.remarks} == {("broken", True), ("absent", False)}


def test_headline_takes_ratios_round_by_round_and_judges_targets(bench, tiny):
    (comparison,) = bench.report.compare([measured(bench, [1.0, 2.0, 3.0], [4.0, 8.0, 12.0])])
    (row,) = comparison.headlines()
    assert row.ratio == bench.results.Spread(0.25, 0.25, 0.25)
    assert [verdict.met for verdict in row.verdicts] == [True, True]
    (comparison,) = bench.report.compare([measured(bench, [3.0, 3.0, 3.0], [4.0, 4.0, 4.0])])
    assert [verdict.met for verdict in comparison.headlines()[0].verdicts] == [False, False]


def test_publishing_writes_page_and_readme(bench, tiny, tmp_path):
    results, readme = tmp_path / "results.json", tmp_path / "README.md"
    readme.write_text(f"before\n{bench.publish.BEGIN}\nold\n{bench.publish.END}\nafter\n", encoding="utf-8")
    data = {"quick": True, "failed": ["heat"], "machine": {}, "measurements": [measured(bench, [1.0], [4.0]).to_json()]}
    results.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="heat"):
        bench.publish.publish(results, tmp_path)
    for quick in (True, False):
        results.write_text(json.dumps(data | {"failed": [], "quick": quick}))
        bench.publish.publish(results, tmp_path)
        text = readme.read_text(encoding="utf-8")
        assert ("quick run" in text) == quick
        assert ("Quick run" in (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")) == quick
    before, after = text.split(bench.publish.BEGIN)[0], text.split(bench.publish.END)[1]
    assert (before, after) == ("before\n", "\nafter\n")
    assert "old" not in text
    assert "Geometric mean over the rows: **0.25** (target 0.7: met)" in text
    page = (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "](pictures/ratios.svg)" in page
    assert "](pictures/scaling.svg)" in page
    assert {path.name for path in (tmp_path / "docs" / "pictures").iterdir()} == {
        f"{name}.{suffix}" for name in ("ratios", "scaling") for suffix in ("png", "svg")
    }


def test_workloads_name_what_they_have(bench):
    for name in bench.workloads.workload_names():
        workload = bench.workloads.load_workload(name)
        cases = {case.name for case in workload.cases}
        contestants = {contestant.name for contestant in workload.contestants}
        for one in (*workload.targets, *workload.rows):
            assert set(one.cases or ()) <= cases, name
            assert set(one.contestants) <= contestants | {"autodiff numba"}, name
        if workload.rows:
            sizes = [case.size for case in workload.cases if not case.variant or case.variant == "float32"]
            assert None not in sizes, name
            assert len(set(sizes)) >= 3, name


def test_peak_memory_counts_temporaries_and_not_inputs(bench):
    if not bench.resident.is_measurable():
        pytest.skip("resident memory is read from Linux's /proc")
    numbers = (1 << 25) // 8  # 32 MiB

    def build(_module, size):
        data = np.ones(size)
        return bench.workload.Timed(lambda: float(np.sum(data + 1.0)), lambda value: [value])

    contestant = bench.workload.Contestant("numpy", build)
    case = bench.workload.Case("large", numbers)
    workload = bench.workload.Workload("sum", "", [contestant], cases=(case,))
    peak = bench.footprint.peak_of_warm_call(workload, case, contestant)
    assert 0.9 * 8 * numbers < peak < 1.2 * 8 * numbers


def test_the_command_measures_and_saves(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "import_time", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.md").read_text(encoding="utf-8").rstrip() == done.stdout.rstrip()
    (measurement,) = json.loads((tmp_path / "results.json").read_text())["measurements"]
    assert {series["contestant"] for series in measurement["series"]} == {"autodiff", "numpy", "python"}
