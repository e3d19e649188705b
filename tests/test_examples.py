"""The examples, and the programs that users of this kind of library start from, run as they are written."""

import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

EXAMPLES = Path(__file__).parents[1] / "examples"
XOR = [0, 1, 1, 0]

GRADIENTS = """\
import autodiff as ad
a = ad.Tensor([1, 2, 3, 4])
b = a ** 2
graph = ad.Graph()
graph.add_variables(a)
gradients = graph.gradient(b, [a])
print(gradients)                      # [array([2., 4., 6., 8.])]
"""

PLOTTER = """\
import autodiff as ad
import numpy as np
import matplotlib.pyplot as plt
a = ad.Tensor(np.arange(-2, 2, 0.01), dtype="float64")
d = np.sin((a ** 2) * np.tanh(a))
g = ad.Graph()
g.add_variables(a)
plt.plot(d._i)
labels = ["function"]
for i in range(3):
    plt.plot(g.gradient(d, [a], i + 1)[0])
    labels.append(f"derivative {i + 1}")
plt.legend(labels)
plt.show()
"""

NETWORK = """\
import autodiff as ad
import numpy as np
g = ad.Graph()
X = ad.Tensor([[[0], [0]], [[0], [1]], [[1], [0]], [[1], [1]]], dtype="float64")
Y = ad.Tensor([[0], [1], [1], [0]], dtype="float64")
W1 = ad.Tensor(np.random.rand(160, 2), dtype="float64")
B1 = ad.Tensor(np.random.rand(160, 1), dtype="float64")
W2 = ad.Tensor(np.random.rand(1, 160), dtype="float64")
B2 = ad.Tensor(np.random.rand(1, 1), dtype="float64")

def forward(x):
    Z1 = np.matmul(W1, x) + B1
    A1 = np.tanh(Z1)
    Z2 = np.matmul(W2, A1) + B2
    return Z2

for i in range(1000):
    for x, y in zip(X, Y):
        parameters = [W1, B1, W2, B2]
        g.add_variables(*parameters, x, y)
        Z2 = forward(x)
        E = (y - Z2) ** 2
        print(E)
        for param, gradient in zip(parameters, g.gradient(E, parameters)):
            param.assign(param._i - (0.01 * gradient))
for x in X:
    print(forward(x))
"""


def run_example(name, *argv):
    return runpy.run_path(str(EXAMPLES / name))["main"]([str(arg) for arg in argv])


def run_program(source):
    namespace = {"__name__": "__main__"}
    exec(compile(source, "<program>", "exec"), namespace)
    return namespace


def colours(picture):
    """Count the different colours in a picture: a blank one has one, axes alone a few greys."""
    pixels = plt.imread(picture)[..., :3]
    return len(np.unique(pixels.reshape(-1, 3), axis=0))


def assert_derivatives_of_plotter(x, function, derivatives):
    """Compare each curve with the slope of the one before it."""
    np.testing.assert_allclose(function, np.sin(x**2 * np.tanh(x)), rtol=1e-12, atol=1e-12)
    for curve, derivative in zip([function, *derivatives], derivatives):
        slope = np.gradient(curve, x)
        inside = slice(1, -1)  # one-sided, less exact differences at the ends
        tolerance = 2e-3 * np.max(np.abs(derivative))
        np.testing.assert_allclose(derivative[inside], slope[inside], rtol=0, atol=tolerance)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def _folder_of_the_script(monkeypatch):
    """Put the examples' folder where Python puts that of a script it runs: one example imports another."""
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture
def shown(monkeypatch):
    """Return what each plt.show() would have shown: the labelled curves of the current axes."""
    calls = []

    def show():
        axes = plt.gca()
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        calls.append(dict(zip(names, [line.get_ydata() for line in axes.lines], strict=True)))

    monkeypatch.setattr(plt, "show", show)
    return calls


def test_higher_derivatives(tmp_path):
    result = run_example("higher_derivatives.py", "--output", tmp_path)
    assert_derivatives_of_plotter(result["x"], result["function"], result["derivatives"])
    assert result["picture"].parent == tmp_path
    assert colours(result["picture"]) > 20


def test_higher_derivatives_shows_its_picture_when_asked(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    run_example("higher_derivatives.py", "--output", tmp_path, "--show")
    (figure,) = shown
    # Every curve has a panel, and names its axis.
    assert [len(axes.lines) for axes in figure.axes] == [1, 1, 1, 1]
    assert all(axes.get_ylabel() for axes in figure.axes)
    assert figure.axes[-1].get_xlabel() == "x"


@pytest.mark.parametrize("seed", range(10))
def test_xor_converges(seed):
    result = run_example("xor.py", "--seed", seed)
    np.testing.assert_allclose(result["predictions"], XOR, atol=0.1)
    assert result["cache"].hits >= 3999


def test_xor_prints_every_error_when_asked(capsys):
    run_example("xor.py", "--epochs", 2, "--verbose")
    assert len(capsys.readouterr().out.splitlines()) >= 2 * 4 + 4


def test_train_digits(tmp_path):
    result = run_example("train_digits.py", "--output", tmp_path)
    assert result["accuracy"] > 0.97
    assert np.mean(result["losses"][-42:]) < 0.1 * np.mean(result["losses"][:42])
    assert result["cache"].hits >= len(result["losses"]) - 1
    assert result["picture"].parent == tmp_path
    assert colours(result["picture"]) > 20


def test_convolutional(tmp_path):
    result = run_example("convolutional.py", "--output", tmp_path, "--epochs", 5)
    assert result["accuracy"] > 0.95
    assert np.mean(result["losses"][-42:]) < 0.1 * np.mean(result["losses"][:42])
    assert result["cache"].misses == 1
    assert result["picture"].parent == tmp_path
    assert colours(result["picture"]) > 20


def test_train_digits_on_another_library(tmp_path):
    """One word is different, and the first epoch the same."""
    pytest.importorskip("array_api_strict")
    results = [
        run_example("train_digits.py", "--output", tmp_path, "--epochs", 1, "--backend", name)
        for name in ("numpy", "array_api_strict")
    ]
    np.testing.assert_allclose(results[1]["losses"], results[0]["losses"], rtol=1e-6)
    assert results[1]["cache"][:2] == results[0]["cache"][:2]


def test_gradients_program(capsys):
    run_program(GRADIENTS)
    assert capsys.readouterr().out == "[array([2., 4., 6., 8.])]\n"


def test_plotter_program(shown):
    run_program(PLOTTER)
    (curves,) = shown
    assert list(curves) == ["function", "derivative 1", "derivative 2", "derivative 3"]
    function, *derivatives = curves.values()
    assert_derivatives_of_plotter(np.arange(-2, 2, 0.01), function, derivatives)


def test_network_program(capsys):
    np.random.seed(0)
    namespace = run_program(NETWORK)
    predictions = [namespace["forward"](x)._i.item() for x in namespace["X"]]
    np.testing.assert_allclose(predictions, XOR, atol=0.1)
    assert namespace["g"].cache_info().hits >= 3999
    assert len(capsys.readouterr().out.splitlines()) >= 4004


def test_kalman(tmp_path):
    result = run_example("kalman.py", "--output", tmp_path)
    # Durbin and Koopman, "Time series analysis by state space methods", 2.10.
    np.testing.assert_allclose(result["variances"], [15099, 1469.1], rtol=1e-3)
    assert colours(result["picture"]) > 20


def test_gaussian_process(tmp_path):
    result = run_example("gaussian_process.py", "--output", tmp_path)
    assert result["log_likelihood"] > -2444.1
    assert np.max(np.abs(result["gradient"])) < 0.1
    assert colours(result["picture"]) > 20


def test_fft_filter(tmp_path):
    result = run_example("fft_filter.py", "--output", tmp_path, "--steps", 300)
    assert result["optimised"] < 0.2 * result["window"]
    assert result["cache"].hits >= 299
    assert colours(result["picture"]) > 20


def test_matrix_factorisation(tmp_path):
    result = run_example("matrix_factorisation.py", "--output", tmp_path, "--steps", 60)
    assert result["factors"] < 0.85 * result["components"]
    assert colours(result["picture"]) > 20


def test_transformer(tmp_path):
    result = run_example("transformer.py", "--output", tmp_path, "--steps", 40)
    assert result["losses"][-1] < 0.6 * result["losses"][0]
    assert colours(result["picture"]) > 20
    with np.load(tmp_path / "transformer.npz") as saved:
        assert "blocks.1.qkv.W" in saved
    assert len((EXAMPLES / "transformer.py").read_text(encoding="utf-8").splitlines()) < 100


def test_two_workers_train_as_one_process_does(tmp_path):
    command = [sys.executable, EXAMPLES / "data_parallel.py", "--steps", "12", "--output", tmp_path, "--workers", "2"]
    subprocess.run(command, check=True, timeout=300)
    alone = run_example("data_parallel.py", "--steps", 12, "--output", tmp_path / "alone")
    assert alone["losses"][-1] < 0.5 * alone["losses"][0]
    assert colours(tmp_path / "data_parallel.png") > 20
    with np.load(tmp_path / "data_parallel.npz") as two, np.load(tmp_path / "alone" / "data_parallel.npz") as one:
        assert sorted(two) == sorted(one)
        for name in one:
            np.testing.assert_allclose(two[name], one[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_a_tree_of_workers_adds_up(size):
    example = runpy.run_path(str(EXAMPLES / "data_parallel.py"))
    rng = np.random.default_rng(0)
    arrays = [[rng.normal(size=(2, 3)), rng.normal(size=())] for _ in range(size)]
    trees = [example["local_tree"](*ends) for ends in example["local_trees"](size)]
    with ThreadPoolExecutor(size) as pool:
        found = [*pool.map(lambda tree, own: tree.mean(own, 1 / size), trees, arrays)]
    for of_worker in found:
        for x, y, *parts in zip(of_worker, found[0], *arrays):
            np.testing.assert_array_equal(x, y)
            np.testing.assert_allclose(x, np.mean(parts, axis=0), rtol=1e-12)


def test_fluid(tmp_path):
    result = run_example("fluid.py", "--output", tmp_path, "--steps", 15)
    assert result["last"] < 0.3 * result["losses"][0]
    # A fluid that keeps its volume moves the smoke, and makes none.
    amounts = [np.sum(frame) for frame in result["frames"]]
    np.testing.assert_allclose(amounts, amounts[0], rtol=0.2)
    assert colours(result["picture"]) > 20
