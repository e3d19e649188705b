"""The benchmarks' harness: what it measures, compares, and refuses. Times themselves are never tested."""

from __future__ import annotations

import importlib
import json
import os
import re
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
    "places",
    "processes",
    "publish",
    "report",
    "resident",
    "results",
    "timing",
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
    monkeypatch.setattr(found.measure, "QUICK", replace(found.timing.QUICK, settle_seconds=0.01))
    return found


@pytest.fixture
def gpu(bench):
    """The command that measures on a GPU."""
    return importlib.import_module("benchmarks.gpu.__main__")


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
    monkeypatch.setattr(
        main, "measure_in_process", lambda *_, quick, seconds: bench.measure.measure(workload, quick=quick)
    )
    monkeypatch.setattr(main, "workload_names", lambda: ["tiny"])
    monkeypatch.setattr(main, "load_workload", lambda _name: workload)
    monkeypatch.setattr(bench.processes, "load_workload", lambda _name: replace(workload, rows=()))
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


def test_headline_is_of_the_default_and_other_ways_stand_by_size(bench, tiny):
    make = bench.workload.Contestant
    chosen = make("autodiff llvm", timed(bench, 2.0), "autodiff", chosen="llvm")
    workload = replace(tiny, contestants=[*tiny.contestants, chosen])
    measurement = measured(bench, [2.0], [4.0])
    measurement.series += [
        bench.results.Series(case, bench.workload.STEP, "autodiff llvm", warm=[time])
        for case, time in (("one", 1.0), ("ten", 0.25))
    ]
    measurement.find("ten", bench.workload.STEP, "autodiff").tier = "NumPy's plan"
    comparison = bench.report.Comparison(workload, measurement)
    (row,) = comparison.headlines()
    assert row.ratio.median == 0.5
    assert [comparison.scale(case) for case in ("one", "ten")] == ["small", "large"]
    text = bench.report.markdown([comparison], {}, failed=(), quick=False)
    group = bench.workload.ESTABLISHED
    assert f"| {group} | by default | 0.5 (1) | - | 0.5 (1) | 0.5 (2) |" in text
    assert f"| {group} | backend 'llvm' | 0.25 (1) | - | 0.0625 (1) | 0.125 (2) |" in text
    assert "| tiny | ten | 2 s (autodiff: NumPy's plan) | 4 s (peer) | 0.5 | 0.0625 (autodiff llvm) |" in text


def test_ours_is_called_until_its_plans_are_made_before_it_is_timed(bench, tiny, monkeypatch):
    events = []
    monkeypatch.setattr(bench.measure, "finish_compiling", lambda _module: events.append("made"))
    monkeypatch.setattr(bench.measure, "calls_per_block", lambda *_: events.append("timed") or 1)

    def build(_module, parameter):
        return bench.workload.Timed(lambda: events.append("called"), lambda _: [], tier=lambda: f"tier {parameter}")

    contestants = [bench.workload.Contestant("autodiff", build), bench.workload.Contestant("peer", build)]
    workload = replace(tiny, contestants=contestants, cases=tiny.cases[:1], checked_steps=1)
    measurement = bench.measure.measure(workload, quick=True)
    made = events.index("made")
    assert events[:made].count("called") >= 2 + bench.timing.LEAST_CALLS
    assert "timed" not in events[:made]
    assert {series.tier for series in measurement.series} == {"tier 1.0"}
    assert not measurement.failures

    def unknown(_module, _parameter):
        return bench.workload.Timed(int, lambda _: [], tier=lambda: {}["plan"])

    contestants = [bench.workload.Contestant("autodiff", unknown)]
    measurement = bench.measure.measure(replace(workload, contestants=contestants), quick=True)
    (failure,) = measurement.failures
    assert "KeyError: 'plan'" in failure.text
    assert [len(series.warm) for series in measurement.series] == [3]


def test_publishing_writes_page_and_readme(bench, tiny, tmp_path):
    results, readme = tmp_path / "results.json", tmp_path / "README.md"
    readme.write_text(f"before\n{bench.publish.BEGIN}\nold\n{bench.publish.END}\nafter\n", encoding="utf-8")
    measurements = [measured(bench, [1.0], [4.0]).to_json()]
    data = {"place": "cpu", "quick": True, "failed": ["heat"], "machine": {}, "measurements": measurements}
    fine = data | {"failed": []}
    for refused, match in ((data, "heat"), (fine | {"place": "rehearsal"}, "rehearsal"), (fine, "--quick")):
        results.write_text(json.dumps(refused))
        with pytest.raises(ValueError, match=match):
            bench.publish.publish([results], tmp_path)
    for quick in (True, False):
        results.write_text(json.dumps(data | {"failed": [], "quick": quick}))
        bench.publish.publish([results], tmp_path, quick=quick)
        text = readme.read_text(encoding="utf-8")
        assert ("quick run" in text) == quick
        assert ("Quick run" in (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")) == quick
    before, after = text.split(bench.publish.BEGIN)[0], text.split(bench.publish.END)[1]
    assert (before, after) == ("before\n", "\nafter\n")
    assert "old" not in text
    assert "ours takes **0.25** of the fastest peer's time" in text
    assert "| twice | 1 s (autodiff) | 4 s (peer) | 0.25 |" in text
    figures = (tmp_path / "docs" / "benchmarks-figures.md").read_text(encoding="utf-8")
    assert "## tiny" in figures
    page = (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "Geometric mean over the rows: **0.25**.\n" in page
    assert "(benchmarks-figures.md)" in page
    picture = (tmp_path / "docs" / "pictures" / "ratios.svg").read_text(encoding="utf-8")
    assert "ours is faster" in picture
    # Those are what a run's report is for.
    assert not re.search("target|missed", text + page + figures + picture, re.IGNORECASE)
    report = bench.report.markdown(bench.report.compare([measured(bench, [1.0], [4.0])]), {}, failed=(), quick=False)
    assert "Geometric mean over the rows: **0.25** (target 0.3: met). Of the rows' targets, 2 of 2 are met." in report
    assert "](pictures/ratios.svg)" in page
    assert "](pictures/scaling.svg)" in figures
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
            assert set(one.contestants) <= contestants, name
        if workload.rows:
            variants = {case.variant for case in workload.cases}
            sizes = [{case.size for case in workload.cases if case.variant == variant} for variant in variants]
            assert None not in set.union(*sizes), name
            assert max(map(len, sizes)) >= 3, name


def test_ways_to_use_ours_agree_in_the_held_out_workloads(bench):
    ad = bench.libraries.LIBRARIES["autodiff"].load()
    count = 0
    for name in bench.workloads.workload_names():
        workload = bench.workloads.load_workload(name)
        if workload.group == bench.workload.HELD_OUT:
            case = workload.cases[0]
            ways = [c for c in workload.contestants if c.role == "ours" and c.chosen in ("", "numpy")]
            numbers = {c.name: [bench.timing.run_once(c.build(ad, case.parameter))[1]] for c in ways}
            assert len(numbers) >= 2, name
            rtol = workload.rtol if case.rtol is None else case.rtol
            importlib.import_module("benchmarks.agreement").require_agreement(
                numbers, name, rtol=rtol, atol=workload.atol
            )
            count += 1
    assert count >= 15


def test_what_a_fresh_process_waits_for(bench):
    cold, tiers = (importlib.import_module(f"benchmarks.{name}") for name in ("cold", "tiers"))
    ad = bench.libraries.LIBRARIES["autodiff"].load()
    loss, _, pose = cold.PROGRAMS["chain"]
    found = cold.ours(ad, "numpy", loss, pose(9))
    assert set(found) == {cold.FIRST, cold.WARM}
    assert min(found.values()) > 0
    if bench.libraries.Library("llvmlite", "").installed:
        found = cold.ours(ad, "llvm", loss, pose(9))
        assert found[cold.FIRST] < found[cold.READY]
        assert found[cold.LONGEST] < found[cold.READY]
    assert tiers.brief("llvm, compiled in 3 ms: faster") == "llvm"
    assert tiers.brief("numpy: too few calls, so far") == "numpy"


def test_quick_runs_measure_the_middle_of_each_variant(bench, tiny):
    slow = bench.workload.Contestant("torch compile", timed(bench, 2.0), "peer")
    case = bench.workload.Case
    others = (
        case("huge", size=100, quick=False),
        case("left", size=5, variant="b"),
        case("right", size=4, variant="b"),
    )
    workload = replace(tiny, contestants=[*tiny.contestants, slow], cases=(*tiny.cases, case("five", size=5), *others))
    brief = workload.in_brief()
    assert [case.name for case in brief.cases] == ["five", "left"]
    assert [contestant.name for contestant in brief.contestants] == ["autodiff", "peer"]


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


def test_a_device_is_waited_for_at_the_end_of_a_block_and_the_host_timed_apart(bench, monkeypatch):
    now = 0.0

    def advance(seconds):
        nonlocal now
        now += seconds

    monkeypatch.setattr(bench.timing, "perf_counter", lambda: now)
    entry = bench.workload.Timed(lambda: advance(1.0), lambda _: [], wait=lambda _: advance(100.0))
    assert bench.timing.run_once(entry)[0] == {bench.workload.STEP: 101.0}
    assert bench.timing.run_block(entry, 20) == {bench.workload.STEP: 6.0, bench.workload.HOST: 1.0}
    steps_of_the_host = now - 101.0 - 101.0 - 120.0 - 100.0
    assert steps_of_the_host == bench.timing.HOST_CALLS
    assert bench.timing.run_block(replace(entry, wait=None), 20) == {bench.workload.STEP: 1.0}


def test_a_yardstick_need_not_agree_and_is_no_peer(bench, tiny):
    bare = bench.workload.Contestant("bare", timed(bench, 3.0), "peer", yardstick=True)
    target = bench.workload.Target(1.25, against=bench.workload.BEST_YARDSTICK)
    workload = replace(tiny, contestants=[*tiny.contestants, bare], targets=(target,))
    measurement = bench.measure.measure(workload, quick=True)
    assert not measurement.failures
    assert {s.contestant for s in measurement.series} == {"autodiff", "peer", "bare"}
    for series in measurement.series:
        series.warm = [{"autodiff": 6.0, "peer": 9.0, "bare": 5.0}[series.contestant]] * 3
    comparison = bench.report.Comparison(workload, measurement)
    assert comparison.duel("one").peer == "peer"
    assert [(verdict.measured.median, verdict.met) for verdict in comparison.verdicts(workload.targets)] == [
        (1.2, True),
        (1.2, True),
    ]


def test_without_a_gpu_the_command_says_what_is_missing(gpu, monkeypatch, tmp_path, capsys):
    def absent(*_):
        raise gpu.ad.errors.BackendError("the driver is not there")

    monkeypatch.setattr(gpu.ad, "get_backend", absent)
    assert gpu.main(["--output", str(tmp_path)]) == 2
    assert "- cupy: the driver is not there\n- torch: the driver is not there\n" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_all_of_the_gpu_is_rehearsed_and_published_only_from_a_gpu(bench, gpu, monkeypatch, tmp_path):
    # With NumPy alone, so that no other library is imported into this process; the others are in the test below.
    place = replace(bench.places.REHEARSAL, backends={"": None}, peers=())
    monkeypatch.setattr(gpu, "REHEARSAL", place)
    monkeypatch.setattr(bench.measure, "QUICK", replace(bench.timing.QUICK, rounds=3, block_seconds=1e-4))
    workloads = gpu.gpu_workloads(place)
    monkeypatch.setattr(
        gpu,
        "measure_in_process",
        lambda name, _, *, quick, place, seconds: bench.measure.measure(workloads[name], quick=quick),
    )
    assert gpu.main(["--rehearse", "--quick", "--output", str(tmp_path)]) == 0
    data = json.loads((tmp_path / "results.json").read_text())
    for measurement in data["measurements"]:
        cases = [case.name for case in workloads[measurement["workload"]].cases]
        measured = {(s["case"], s["metric"]) for s in measurement["series"] if s["contestant"] == "autodiff"}
        assert measured == {(case, metric) for case in cases for metric in ("step", "host", "launches")}
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| elementwise | a² (3 - a), 1,000 float64 | numpy copy | 15.6 KiB |" in report
    assert "| matmul | 24 square float32 | numpy matmul | 165,888 flop |" in report

    with pytest.raises(ValueError, match="rehearsal"):
        bench.publish.publish([tmp_path / "results.json"], tmp_path)
    (tmp_path / "results.json").write_text(json.dumps(data | {"place": "cuda"}))
    bench.publish.publish([tmp_path / "results.json"], tmp_path, quick=True)
    assert {path.name for path in (tmp_path / "docs").iterdir()} == {"benchmarks-gpu.md", "benchmarks-gpu-figures.md"}


def test_a_run_in_parts_is_one_page(bench):
    def part(name, *, failed=(), quick=False, **machine):
        measurement = {"workload": name, "machine": machine}
        return {
            "place": "cuda",
            "quick": quick,
            "failed": list(failed),
            "machine": {"processor": "a", "date": "today"} | machine,
            "measurements": [measurement],
        }

    first, again = part("gmm", failed=["gmm"]), part("gmm", quick=True, date="tomorrow")
    assert bench.publish.merged([first, part("mlp")])["failed"] == ["gmm"]
    both = bench.publish.merged([first, part("mlp"), again])
    assert [one["workload"] for one in both["measurements"]] == ["gmm", "mlp"]
    assert both["measurements"][0]["machine"] == {"date": "tomorrow"}
    assert (both["failed"], both["quick"], both["machine"]["date"]) == ([], True, "tomorrow")
    with pytest.raises(ValueError, match=r"machine\.gpu differs"):
        bench.publish.merged([first, part("mlp", gpu="another")])


def test_who_has_no_time_leaves_cases_out_and_says_so(bench, tiny, monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(bench.measure, "perf_counter", lambda: 10.0 * next(now))
    measurement = bench.measure.measure(tiny, quick=True, seconds=15.0)
    assert {s.case for s in measurement.series} == {"one"}
    (remark,) = measurement.remarks
    assert (remark.case, remark.failed) == ("ten", False)
    assert "no time" in remark.text
    monkeypatch.setattr(bench.processes, "perf_counter", lambda: 0.0)
    budget = bench.processes.Budget(60.0, [tiny, replace(tiny, cases=tiny.cases[:1])])
    assert [budget.share(), budget.share()] == [40.0, 60.0]
    assert bench.processes.Budget(None, [tiny]).share() is None


def test_the_gpu_command_measures_other_libraries_too(bench, tmp_path):
    command = ["-m", "benchmarks.gpu", "--rehearse", "--quick", "--only", "matmul", "--output", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (measurement,) = json.loads((tmp_path / "results.json").read_text())["measurements"]
    peers = {name for name in ("torch", "jax") if bench.libraries.LIBRARIES[name].installed}
    assert {series["contestant"] for series in measurement["series"]} >= {"autodiff", "autodiff function", *peers}
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert ("| Chain of products, 24 square float64 |" in report) == bool(peers)
