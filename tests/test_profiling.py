"""Profiles: every operation of a plan is in them, at the line that wrote it, and what is not known is not said."""

from __future__ import annotations

import math
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import autodiff as ad
from autodiff import profiling
from autodiff.backend import Part
from autodiff.display.flames import Flame, drawn
from autodiff.display.texts import TIMES
from autodiff.errors import ArgumentError, BackendError, DifferentiationError
from autodiff.plan import timing


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """A few calls are enough for a test."""
    monkeypatch.setattr(profiling, "CALLS", 3)
    monkeypatch.setattr(profiling, "SECONDS", 0.0)


def loss_of(x, w):
    with ad.scope("layer"):
        h = np.tanh(x @ w)  # the hidden line
    return np.sum(h**2)  # the line of the sum


def profiled(backend, size=8):
    graph = ad.Graph(backend=backend)
    with graph:
        w = ad.Tensor(np.linspace(0.1, 1.0, size).reshape(size, 1), name="w")
        x = ad.Tensor(np.linspace(-1.0, 1.0, 3 * size).reshape(3, size), constant=True)
    return graph.profile(lambda: loss_of(x, w), [w])


def everything(profile):
    """The rows of all operations, those of kernels too."""
    return [one for row in profile.rows for one in (row.inside or (row,))]


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_every_operation_is_at_its_line():
    profile = profiled("numpy")
    rows = {(row.operation, row.derivative_of): row for row in profile.rows}
    tanh, slope = rows["tanh", ""], rows["tanh_slope", "tanh"]
    assert "the hidden line" in tanh.line
    assert "test_profiling.py" in tanh.line
    assert tanh.line == slope.line
    assert tanh.scope == slope.scope == "layer"
    assert "the line of the sum" in next(row.line for key, row in rows.items() if key[0] == "inner_product")
    assert any(of == "matmul" for _, of in rows)
    assert all(row.line for row in profile.rows)
    assert all(row.seconds >= 0 for row in profile.rows)
    assert tanh.bytes == 2 * 3 * 8
    assert profile.seconds > 0
    assert profile.remarks == []


def test_operations_of_one_line_are_one_row():
    x = ad.Tensor([1.0, 2.0])
    profile = ad.Graph(backend="numpy").profile(lambda: np.sum(np.sin(x) * np.sin(2 * x) * np.sin(3 * x)), [x])
    (sines,) = [row for row in profile.rows if row.operation == "sin" and not row.derivative_of]
    assert sines.number == 3
    assert sines.title.endswith(f"{TIMES}3")


def test_it_is_the_plan_that_runs():
    graph, w = ad.Graph(backend="numpy"), ad.Tensor(np.linspace(0.1, 1.0, 8).reshape(8, 1))
    y = loss_of(np.ones((3, 8)), w)
    source, operations = graph.source(y, [w]), graph.explain(y, [w]).operations
    profile = graph.profile(y, [w])
    executed = sum(row.number for row in everything(profile))
    assert operations - source.count(".T\n") <= executed <= operations


def test_a_table_and_a_picture():
    profile = profiled("numpy")
    lines = str(profile).splitlines()
    assert lines[0].startswith("the gradient on numpy: ")
    assert lines[1].split() == ["time", "share", "number", "bytes", "operation", "line"]
    assert len([line for line in lines if "test_profiling.py, line" in line]) == len(profile.rows)
    assert repr(profile) == str(profile)
    page = ET.fromstring(f"<page>{profile._repr_html_()}</page>")
    assert "tanh_slope, derivative of tanh" in "".join(page.itertext())
    flame = ET.fromstring(profile.flame().svg)
    titles = [title.text for title in flame.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("layer ") for title in titles)
    assert any("the hidden line" in title for title in titles)


def test_long_tables_are_cut(monkeypatch):
    monkeypatch.setattr(profiling, "MOST_ROWS", 2)
    profile = profiled("numpy")
    assert f"{len(profile.rows) - 2} more rows take" in str(profile)
    assert len(profile.flame().svg) < 20_000


def test_orders():
    x = ad.Tensor([1.0, 2.0])
    profile = ad.Graph(backend="numpy").profile(lambda: np.exp(np.sin(x)), [x], 2)
    assert "of order 2" in str(profile)
    assert {"sin", "cos", "exp"} <= {row.operation for row in profile.rows}


def test_lines_that_were_not_noted_are_not_made_up():
    x = ad.Tensor([1.0, 2.0])
    y = np.sum(np.exp(x) * x)
    profile = ad.Graph(backend="numpy").profile(y, [x])
    assert {row.line for row in profile.rows} == {""}
    assert "record_lines" in profile.remarks[-1]
    with ad.record_lines():
        y = np.sum(np.exp(x) * x)
    assert all("np.exp(x)" in row.line for row in ad.Graph(backend="numpy").profile(y, [x]).rows)


def test_lines_are_those_of_users_after_many_calls():
    """What is recorded by a recipe is recorded at the line that calls it."""
    x = ad.Tensor(np.ones((2, 2)))
    for _ in range(5):
        np.mean(x @ x)
    profile = ad.Graph(backend="numpy").profile(lambda: np.mean(x @ x), [x])
    assert all("np.mean(x @ x)" in row.line for row in profile.rows)


def test_numbers_and_caches_stay():
    graph, x = ad.Graph(backend="numpy"), ad.Tensor([1.0, 2.0])
    y = np.sum(np.sin(x) * x)
    graph.profile(y, [x])
    assert y.node.value is None
    assert np.allclose(graph.gradient(y, [x]), np.cos([1.0, 2.0]) * [1.0, 2.0] + np.sin([1.0, 2.0]))
    assert graph.cache_info().misses == 1


def test_what_leaves_the_plan_is_measured_by_itself():
    """Python's floats raise where NumPy's do not: each call is made again by the interpreter."""
    x = ad.Tensor(0.0)
    profile = ad.Graph(backend="numpy").profile(lambda: 1.0 / x * 2.0, [x])
    assert {"divide"} <= {row.operation for row in profile.rows}
    assert any("by itself" in remark for remark in profile.remarks)


def test_memory_limits():
    x = ad.Tensor(np.linspace(0, 1, 1000))

    def loss():
        y = x
        for _ in range(10):
            y = np.sin(y) * y
        return np.sum(y)

    profile = ad.Graph(backend="numpy", memory_limit=60_000).profile(loss, [x])
    assert {"sin", "cos"} <= {row.operation for row in profile.rows}


def test_what_is_refused():
    x = ad.Tensor([1.0])
    graph = ad.Graph()
    with pytest.raises(DifferentiationError, match="profile: dy"):
        graph.profile(3.0, [x])
    with pytest.raises(DifferentiationError, match="profile: dy"):
        graph.profile(lambda: 3.0, [x])
    with pytest.raises(ArgumentError, match="profile: an argument is a Tensor"):
        ad.function(np.sin).profile(x)


def test_lazy_backends_are_refused():
    pytest.importorskip("dask.array")
    graph = ad.Graph(backend="dask")
    x = graph.tensor([1.0, 2.0])
    with pytest.raises(BackendError, match="is lazy"):
        graph.profile(np.sum(x**2), [x])


# --- functions -------------------------------------------------------------------------------------------------------


def test_functions_have_profiles():
    @ad.function
    def f(x, p=2):
        y = np.exp(x)  # of the function
        return y**p, np.sum(y)

    profile = f.profile(np.ones(4), p=3)
    assert profile.name == "f"
    assert "of the function" in next(row.line for row in profile.rows if row.operation == "exp")


def test_derivatives_in_functions_are_at_their_lines():
    f = ad.function(ad.value_and_grad(lambda x: np.sum(np.tanh(x) ** 2)))
    for _ in range(2):
        rows = f.profile(np.ones((2, 2))).rows
        assert ("tanh_slope", "tanh") in {(row.operation, row.derivative_of) for row in rows}
        assert all("np.tanh(x) ** 2" in row.line for row in rows)


# --- backends --------------------------------------------------------------------------------------------------------


def test_other_backends_call_operations_by_themselves(backend, xp):
    graph = ad.Graph(backend=backend)
    if graph.backend.name in ("numpy", "llvm") or "lazy" in graph.backend.capabilities.features:
        pytest.skip("its own plans say what they take, or nobody can")
    profile = profiled(backend)
    assert {"tanh", "matmul"} <= {row.operation for row in profile.rows}
    assert any("by itself" in remark for remark in profile.remarks)


def test_operations_by_themselves_give_the_same():
    """Several outputs, constants, one array twice, and results that are arguments."""
    log = []
    x = ad.Tensor(np.array([[2.0, 1.0], [0.5, 3.0]]))
    roots = [np.sum(np.linalg.svd(x @ x)[1]).node, x.node, (x[0] * 2 + [1.0, 2.0]).node]
    numpy = ad.get_backend("numpy")
    leaves = [node for node in ad.nodes.history(*roots) if not node.inputs and not ad.nodes.is_fixed(node)]
    values = [leaf.value for leaf in leaves]
    compiled = ad.plan.compile_nodes(leaves, roots, timing.Timing(numpy, None, log, alone=True), tracked=True)
    expected = ad.plan.compile_nodes(leaves, roots, numpy)(*values)
    for found, wanted in zip(compiled(*values), expected):
        assert np.allclose(found, wanted)
    assert log


def test_kernels_are_measured_as_a_whole():
    pytest.importorskip("llvmlite")
    profile = profiled("llvm")
    (kernel,) = [row for row in profile.rows if row.operation.startswith("kernel")]
    assert kernel.number == sum(row.number for row in kernel.inside)
    assert all(math.isnan(row.seconds) for row in kernel.inside)
    assert {"tanh", "tanh_slope"} <= {row.operation for row in kernel.inside}
    assert any("the hidden line" in row.line for row in kernel.inside)
    assert "kernel is compiled as one" in profile.remarks[0]
    assert "·" in str(profile)
    assert "nan" not in str(profile)
    assert "nan" not in profile.flame().svg


def test_regions_are_measured_one_by_one():
    """Factorizations are NumPy's, what is around them are kernels."""
    pytest.importorskip("llvmlite")
    graph = ad.Graph(backend="llvm")
    a = ad.Tensor(np.eye(4) * 3)

    def loss():
        b = np.linalg.inv(np.tanh(np.sin(a) * a + 1) + np.eye(4))
        return np.sum(np.exp(np.cos(b) * b + 2) ** 2)

    profile = graph.profile(loss, [a])
    names = {row.operation for row in everything(profile)}
    assert {"inv", "sin", "tanh", "exp"} <= names
    assert any(row.operation.startswith("kernel") for row in profile.rows)


def test_the_tier_that_answers_is_measured(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.delenv("AUTODIFF_TIERS", raising=False)
    graph, w = ad.Graph(), ad.Tensor(np.linspace(0.1, 1.0, 8).reshape(8, 1))
    x = np.ones((3, 8))
    profile = graph.profile(lambda: loss_of(x, w), [w])
    assert profile.tier.startswith("numpy")
    assert "tanh" in {row.operation for row in profile.rows}
    plan = graph._gradients.cache.values()[-1].plan
    # As if it had been called often, and machine code had been faster.
    state = plan._state
    state.take(state._task.run())
    state._settle(state._fast.plan)
    profile = graph.profile(lambda: loss_of(x, w), [w])
    assert profile.tier.startswith("llvm")
    assert any(row.operation.startswith("kernel") for row in profile.rows)


# --- pieces ----------------------------------------------------------------------------------------------------------


def test_parts_of_several_lines_have_none():
    tanh = np.tanh(ad.Tensor([1.0])).node.signature
    with ad.record_lines():
        first = np.sin(ad.Tensor([1.0])).node
        second = np.cos(ad.Tensor([1.0])).node
    part = Part("together", ((first.signature, first), (second.signature, second), (tanh, None)))
    (row,) = profiling.rows_of([(part, 1.0)])
    assert (row.line, row.number, row.seconds) == ("", 3, 1.0)
    assert [one.operation for one in row.inside] == ["sin", "cos", "tanh"]
    assert row.inside[2].line == ""


def test_flames_are_as_wide_as_their_time():
    root = Flame("all", "a call")
    root.add([("line", "<a>"), ("operation", "sin")], 3.0)
    root.add([("line", "b")], 1.0)
    picture = ET.fromstring(drawn(root, "a remark").svg)
    widths = [float(rect.get("width")) for rect in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[0] == pytest.approx(884, abs=1)
    assert sorted(widths[1:]) == pytest.approx([221, 663, 663], abs=1)


def test_medians_leave_the_first_call_out():
    fake = SimpleNamespace(parts=["a", "b"])
    log, calls = [], iter([9.0, 1.0, 3.0, 2.0])
    found = timing.medians(lambda: log.append((fake, [next(calls), 5.0])), log, 4, 10.0)
    assert found == [("a", 2.0), ("b", 5.0)]


def test_kernels_say_what_is_in_them():
    inside = (
        profiling.Row(math.nan, "sin", 1, 8, "f.py, line 3"),
        profiling.Row(math.nan, "cos", 1, 8, "f.py, line 4"),
    )
    rows = [profiling.Row(2.0, "kernel 1", 2, 16, "", "", "", inside), profiling.Row(1.0, "add", 1, 8, "")]
    flame = ET.fromstring(profiling.Profile("f", "numpy", "llvm", 4.0, rows, []).flame().svg)
    titles = [title.text for title in flame.iter("{http://www.w3.org/2000/svg}title")]
    assert any(
        title.startswith("kernel 1  2 s") and "sin  f.py, line 3\ncos  f.py, line 4" in title for title in titles
    )
    assert any(title.startswith("recorded without its line  1 s") for title in titles)
    assert any(title.startswith("around the operations  1 s") for title in titles)
