"""The CuPy backend on a GPU: every path against double precision, repeats, streams, captures, large arrays, memory.

Collected with ``--backend=cupy`` only. The same programs run in a thousandth of their size anywhere, in
``test_cupy_programs.py``.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import autodiff as ad

from . import cupy_names
from .cupy_programs import programs
from .test_cupy_programs import check, host, step_of

pytestmark = pytest.mark.usefixtures("cupy")

NAMES = list(programs(0.001))
REPEATED = ("elementwise", "columns 257x4096", "rows 3x1000003", "axes 0, 2, 3", "layer norm, first axis")


@pytest.fixture(scope="module")
def cupy() -> Any:
    return pytest.importorskip("cupy")


@pytest.fixture(scope="module")
def whole() -> Any:
    return programs()


@pytest.mark.parametrize("name", NAMES)
def test_a_path(name: str, whole: Any) -> None:
    check(whole[name], "cupy", calls=4)


@pytest.mark.parametrize("name", REPEATED)
def test_results_are_the_same_to_the_last_bit_beside_other_work(name: str, whole: Any, cupy: Any) -> None:
    step = step_of(whole[name], ad.Graph(backend="cupy"))
    first = host(step())
    noise, other = cupy.ones(4_000_000, "f4"), cupy.cuda.Stream(non_blocking=True)
    for _ in range(60):
        with other:
            noise *= 1.0001
        for x, y in zip(host(step()), first, strict=True):
            np.testing.assert_array_equal(x, y)


def test_threads_on_streams_of_their_own(whole: Any, cupy: Any) -> None:
    step = step_of(whole["elementwise"], ad.Graph(backend="cupy"))
    (right, _), found = host(step()), []
    cupy.cuda.Device().synchronize()

    def work() -> None:
        with cupy.cuda.Stream(non_blocking=True):
            found.extend([float(host(step())[0]) for _ in range(50)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [float(right)] * 200


def test_a_captured_plan_sees_new_values(whole: Any) -> None:
    program = whole["recurrence"]
    graph = ad.Graph(backend="cupy")
    for call in range(8):
        weights = (program.variables[0] * (1 + 0.1 * call)).astype("f4")
        check(program._replace(variables=[weights]), "cupy", graph=graph)
    w, data = graph.tensor(program.variables[0]), [graph.tensor(d, constant=True) for d in program.data]
    assert "captured" in graph.explain(program.loss(w, *data), [w]).source


def test_a_plan_first_used_while_the_user_captures(whole: Any, cupy: Any) -> None:
    graph = ad.Graph(backend="cupy")
    step = step_of(whole["elementwise"], graph)
    right = float(host(step())[0])
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            kept = step()
        finally:
            captured = stream.end_capture()
        assert float(host(step())[0]) == right, "called before the graph is launched"
        captured.launch()
        stream.synchronize()
        assert float(host(kept)[0]) == right


def test_more_than_two_to_the_31_elements(cupy: Any) -> None:
    size = 2**31 + 1_000_003
    graph = ad.Graph(backend="cupy")
    x = cupy.ones(size, "f2")
    x[-1] = 3
    v = graph.tensor(x, copy=False)
    (g,) = graph.gradient(np.sum(v * v * v), [v])
    assert [float(g[i]) for i in (0, size // 2, -2, -1)] == [3, 3, 3, 27]
    del v, g
    t = graph.tensor(x.astype("i1"), constant=True, copy=False)
    assert int(np.sum(t)) == size + 2


def test_out_of_memory_is_an_error_and_the_next_call_works(cupy: Any) -> None:
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    size = int(cupy.cuda.Device().mem_info[0] * 0.45) // 4
    graph = ad.Graph(backend="cupy")

    def loss(a: Any) -> Any:
        return np.sum(np.exp(np.sin(a)) * a)

    v = graph.tensor(cupy.ones(size, "f4"), copy=False)
    kept = graph.value_and_gradient(loss(v), [v])
    with pytest.raises(ad.errors.OutOfMemoryError, match=f"float32\\[{size}\\]"):
        graph.value_and_gradient(loss(v * 2.0), [v])
    del kept
    value, _ = graph.value_and_gradient(loss(v), [v])
    np.testing.assert_allclose(float(value) / size, np.exp(np.sin(1)), rtol=1e-2)


# --- what is called of the library -----------------------------------------------------------------------------------


def test_the_table_of_names_is_that_of_this_cupy(cupy: Any) -> None:
    if cupy.__version__ != cupy_names.version():
        pytest.skip(f"the table is that of CuPy {cupy_names.version()}")
    assert cupy_names.written().splitlines() == cupy_names.TABLE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("function", [np.linalg.inv, lambda a: np.linalg.solve(a, a), lambda a: np.linalg.cholesky(-a)])
def test_matrices_that_numpy_refuses_are_its_error(function: Any, batch: tuple[int, ...]) -> None:
    t = ad.Graph(backend="cupy").tensor(np.ones((*batch, 2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        function(t).to("numpy").value


def test_each_element_of_a_convolution_is_precise() -> None:
    a, v = np.array([1e12, 1.0, 1e-12, 3.0]), np.array([1.0, 1e-12])
    t = ad.Graph(backend="cupy").tensor(a)
    np.testing.assert_allclose(np.asarray(np.convolve(t, v)), np.convolve(a, v), rtol=1e-15)
