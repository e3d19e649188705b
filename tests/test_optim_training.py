"""What makes training comfortable: searches, sums and averages over steps, files of parameters by name."""

import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff import optim
from autodiff.errors import ArgumentError, BackendError, DTypeError, ShapeError

# --- a quasi-Newton search -------------------------------------------------------------------------------------------


def rosenbrock(x, y):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2).sum() + ((1 - x[:-1]) ** 2).sum() + (y**4).sum() / 4 - y.sum()


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {"line_search_fn": "strong_wolfe", "history_size": 10}),
        ({"history": 3, "iterations": 7}, {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 7}),
        ({"evaluations": 6}, {"line_search_fn": "strong_wolfe", "history_size": 10, "max_eval": 6}),
        ({"line_search": False, "rate": 0.01, "iterations": 4}, {"lr": 0.01, "max_iter": 4, "history_size": 10}),
    ],
)
def test_a_search_is_pytorchs(options, theirs):
    torch = pytest.importorskip("torch")
    start = [np.array([-1.2, 1.0, 0.3]), np.array([[2.0], [0.1]])]
    ours = [ad.Tensor(x) for x in start]
    other = [torch.nn.Parameter(torch.tensor(x)) for x in start]
    graph, optimizer, expected = ad.Graph(), optim.LBFGS(ours, **options), torch.optim.LBFGS(other, **theirs)

    def evaluate():
        loss = rosenbrock(*ours)
        return loss, graph.gradient(loss, ours)

    def closure():
        expected.zero_grad()
        loss = rosenbrock(*other)
        loss.backward()
        return loss

    for _ in range(5):
        assert optimizer.step(evaluate) == pytest.approx(expected.step(closure).item(), rel=1e-6, abs=1e-12)
        for x, y in zip(ours, other):
            np.testing.assert_allclose(x.value, y.detach().numpy(), rtol=1e-6, atol=1e-9)


def quadratic(parameters):
    graph = ad.Graph()

    def evaluate():
        loss = sum(np.sum(np.abs(p - 3) ** 2) + np.sum(np.abs(p) ** 4) for p in parameters)
        return loss, graph.gradient(loss, parameters)

    return evaluate


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_a_search_in_other_dtypes_goes_downhill(dtype):
    p = ad.Tensor(np.array([2.0, -1.0] if dtype == "float32" else [2 + 1j, -1.0], dtype))
    optimizer = optim.LBFGS([p])
    for _ in range(3):
        optimizer.step(quadratic([p]))
    assert p.dtype == dtype
    # The root of 2 (p - 3) + 4 p^3.
    np.testing.assert_allclose(p.value, np.full(2, 1.0), atol=1e-3)


def test_a_search_that_is_interrupted_leaves_everything_as_it_was():
    p = ad.Tensor([2.0, 5.0])
    optimizer, evaluate = optim.LBFGS([p], iterations=3), quadratic([p])
    optimizer.step(evaluate)
    before, calls = optimizer.state_dict(), []

    def breaks():
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(breaks)
    assert_same(optimizer.state_dict(), before)


def test_a_search_through_infinite_losses_comes_back():
    w = ad.Tensor([0.5])
    graph = ad.Graph()

    def evaluate():
        with np.errstate(all="ignore"):
            # NaN where w is negative or 0, where the first long step leads.
            loss = np.sum(w - np.log(w)) * 10
            return loss.value, graph.gradient(loss, [w])

    optimizer = optim.LBFGS([w], rate=50.0)
    for _ in range(5):
        optimizer.step(evaluate)
    np.testing.assert_allclose(w.value, [1.0], atol=1e-4)


def test_parameters_of_a_search_have_one_dtype():
    with pytest.raises(DTypeError, match="LBFGS: parameters are of dtypes float32, float64"):
        optim.LBFGS([ad.Tensor([1.0]), ad.Tensor([1.0], dtype="float32")])


def test_a_search_on_a_backend(backend):
    here, there = ad.Tensor([2.0, 5.0]), ad.Tensor([2.0, 5.0])
    ad.Graph(backend=backend).add_variables(there)
    for p in (here, there):
        graph = ad.Graph() if p is here else ad.Graph(backend=backend)

        def evaluate(p=p, graph=graph):
            loss = np.sum((p - 3) ** 2) + np.sum(p**4)
            return loss, graph.gradient(loss, [p])

        optim.LBFGS([p], iterations=6).step(evaluate)
    np.testing.assert_allclose(np.asarray(there), here.value, rtol=1e-9)


# --- states ----------------------------------------------------------------------------------------------------------


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(value))


def lbfgs(parameters):
    optimizer = optim.LBFGS(parameters, history=3, iterations=2)
    return optimizer, lambda gradients: optimizer.step(quadratic(parameters))


def plateau(parameters):
    schedule = optim.ReduceOnPlateau(0.5, factor=0.5, patience=1)
    optimizer = optim.Adam(parameters, optim.WarmUp(schedule, 3))

    def step(gradients):
        schedule.report(1.0)
        optimizer.step(gradients)

    return optimizer, step


def accumulated(parameters):
    optimizer = optim.Adam(parameters, 0.1)
    return optimizer, optim.Accumulate(optimizer, 3).step


@pytest.mark.parametrize("make", [lbfgs, plateau, accumulated])
def test_what_was_saved_in_the_middle_goes_on_bit_for_bit(make, tmp_path):
    rng = np.random.default_rng(0)
    start, gradients = (
        [rng.normal(size=(2, 3)), rng.normal(size=2)],
        [[rng.normal(size=(2, 3)), np.ones(2)] for _ in range(8)],
    )

    def run(optimizer, step, gradients):
        for g in gradients:
            step(g)
        return optimizer.state_dict()

    def fresh():
        return make([ad.Tensor(x) for x in start])

    expected = run(*fresh(), gradients)
    half, step = fresh()
    run(half, step, gradients[:4])
    half.save(tmp_path / "half.npz")
    again, step = fresh()
    again.load(tmp_path / "half.npz")
    assert_same(again.state_dict(), half.state_dict())
    assert_same(run(again, step, gradients[4:]), expected)
    # And from a dict.
    once_more, step = fresh()
    once_more.load_state_dict(half.state_dict())
    assert_same(run(once_more, step, gradients[4:]), expected)


def test_a_state_without_what_training_goes_on_from_is_refused():
    state = optim.Adam([ad.Tensor([1.0])], 0.1).state_dict()
    with pytest.raises(ArgumentError, match="lacks plateau"):
        optim.Adam([ad.Tensor([1.0])], optim.ReduceOnPlateau(0.1)).load_state_dict(state)
    optimizer = optim.Adam([ad.Tensor([1.0])], 0.1)
    optim.Accumulate(optimizer, 4).step([np.ones(1)])
    other = optim.Adam([ad.Tensor([1.0])], 0.1)
    steps = optim.Accumulate(other, 2)
    state = optimizer.state_dict() | {"accumulated": np.array(3)}
    with pytest.raises(ArgumentError, match="3 gradients were accumulated, but every=2"):
        other.load_state_dict(state)
    assert steps.pending == 0


# --- sums and averages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_parts_of_a_batch_make_the_step_of_all(dtype):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)).astype(dtype), rng.normal(size=12).astype(dtype)
    whole, parts = ad.Tensor(np.ones(3, dtype)), ad.Tensor(np.ones(3, dtype))
    graph = ad.Graph()
    once, steps = optim.Adam([whole], 0.1), optim.Accumulate(optim.Adam([parts], 0.1), every=4)

    def gradient(w, rows):
        return graph.gradient(np.mean(np.abs(x[rows] @ w - y[rows]) ** 2), [w])

    for _ in range(3):
        once.step(gradient(whole, slice(None)))
        made = []
        for begin in range(0, 12, 3):
            found = gradient(parts, slice(begin, begin + 3))
            made.append(steps.step(found))
            assert not np.shares_memory(found[0], parts.value)
            found[0] = found[0] * np.nan
        assert made == [False, False, False, True]
    assert (steps.optimizer.steps, steps.pending, parts.dtype) == (3, 0, dtype)
    np.testing.assert_allclose(parts.value, whole.value, rtol=1e-5 if dtype == "float32" else 1e-12)


def test_gradients_that_are_added_up_are_copied_and_checked():
    w = ad.Tensor([0.0])
    steps, g = optim.Accumulate(optim.SGD([w], 1.0), 2), np.ones(1)
    steps.step([g])
    g[:] = 100
    with pytest.raises(ShapeError, match=r"gradient of parameters\[0\] has shape \(2,\)"):
        steps.step([np.ones(2)])
    assert steps.pending == 1
    steps.step([np.ones(1)])
    np.testing.assert_array_equal(w.value, [-1.0])


def test_averages_on_a_backend(backend):
    w = ad.Tensor([1.0, 2.0])
    ad.Graph(backend=backend).add_variables(w)
    average, steps = optim.ExponentialAverage([w], 0.5), optim.Accumulate(optim.SGD([w], 1.0), 2)
    for g in (1.0, 3.0, 1.0, 3.0):
        steps.step([np.full(2, g)])
        average.update()
    np.testing.assert_allclose(np.asarray(w), [-3.0, -2.0])
    np.testing.assert_allclose(np.asarray(ad.Tensor(average.values[0])), [-1.75, -0.75])
    with average.applied():
        np.testing.assert_allclose(np.asarray(w), [-1.75, -0.75])
    np.testing.assert_allclose(np.asarray(w), [-3.0, -2.0])


def test_averages_that_were_made_before_parameters_went_to_a_backend(backend):
    w = ad.Tensor([1.0, 2.0])
    average = optim.ExponentialAverage([w], 0.5)
    ad.Graph(backend=backend).add_variables(w)
    w.assign([3.0, 4.0])
    home = type(w.value)
    with average.applied():
        np.testing.assert_array_equal(np.asarray(w), [1.0, 2.0])
        assert type(w.value) is home
    for _ in range(2):
        average.update()
    np.testing.assert_array_equal(np.asarray(ad.Tensor(average.values[0])), [3.0, 4.0])


def test_averages_are_pytorchs(tmp_path):
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 2, 3)).astype("float32")
    theirs = torch.nn.Linear(3, 2, bias=False)
    w = {"w": ad.Tensor(values[0])}
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(values[0]))
    model = AveragedModel(theirs, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average = optim.ExponentialAverage(w, 0.9)
    for value in values[1:]:
        with torch.no_grad():
            theirs.weight.copy_(torch.tensor(value))
        model.update_parameters(theirs)
        w["w"].assign(value)
        average.update()
    np.testing.assert_allclose(average.values["w"], model.module.weight.detach().numpy(), rtol=1e-5, atol=1e-7)
    assert average.values["w"].dtype == "float32"
    average.save(tmp_path / "average.npz")
    again = optim.ExponentialAverage({"w": ad.Tensor(values[3])}, 0.9)
    again.load(tmp_path / "average.npz")
    assert_same(again.state_dict(), average.state_dict())
    with pytest.raises(ArgumentError, match="is of ExponentialAverage, not of SGD"):
        optim.SGD(w).load(tmp_path / "average.npz")
    with pytest.raises(ZeroDivisionError), average.applied():
        1 / 0
    np.testing.assert_array_equal(w["w"].value, values[-1])


# --- files of parameters ---------------------------------------------------------------------------------------------


def network():
    rng = np.random.default_rng(0)
    return {
        "layers": [{"W": ad.Tensor(rng.normal(size=(2, 3))), "b": ad.Tensor(np.zeros(3, "float32"))} for _ in range(2)],
        "scale": np.arange(3),
        "name.with/odd \\ signs": ad.Tensor(2.0),
    }


NAMES = ["layers.0.W", "layers.0.b", "layers.1.W", "layers.1.b", "name.with/odd \\ signs", "scale"]


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_parameters_are_saved_by_name(tmp_path, suffix):
    if suffix == "safetensors":
        pytest.importorskip("safetensors")
    path, saved = tmp_path / f"network.{suffix}", network()
    optim.save(path, saved)
    flat = optim.load(path)
    assert sorted(flat) == NAMES
    into = network()
    into["layers"][1]["W"].assign(np.zeros((2, 3)))
    into["scale"] = np.zeros(3, np.int64)
    tensor = into["layers"][1]["W"]
    found = optim.load(path, into)
    assert found["layers"][1]["W"] is tensor
    np.testing.assert_array_equal(tensor.value, saved["layers"][1]["W"].value)
    np.testing.assert_array_equal(found["scale"], np.arange(3))
    assert not into["scale"].any()
    assert [p for p in tmp_path.iterdir() if p.suffix == ".partial"] == []


def test_other_libraries_read_and_write_the_files(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    library.save_file({"a.b": np.ones(2, "float32")}, tmp_path / "theirs.safetensors")
    into = optim.load(tmp_path / "theirs.safetensors", {"a": {"b": ad.Tensor(np.zeros(2, "float32"))}})
    np.testing.assert_array_equal(into["a"]["b"].value, np.ones(2))
    optim.save(tmp_path / "ours.safetensors", into)
    np.testing.assert_array_equal(library.load_file(tmp_path / "ours.safetensors")["a.b"], np.ones(2))
    np.savez(tmp_path / "theirs.npz", w=np.ones(2))
    np.testing.assert_array_equal(optim.load(tmp_path / "theirs.npz", {"w": ad.Tensor([0.0, 0.0])})["w"].value, [1, 1])
    optim.save(tmp_path / "ours.npz", {"a": {"b": np.ones(3)}})
    with np.load(tmp_path / "ours.npz") as archive:
        np.testing.assert_array_equal(archive["a.b"], np.ones(3))


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize(
    ("into", "error", "message"),
    [
        ({"w": ad.Tensor([0.0]), "b": ad.Tensor([0.0])}, ShapeError, r"has w of shape \(2,\) and dtype float64; here"),
        ({"w": ad.Tensor([0.0, 0.0], dtype="float32"), "b": ad.Tensor([0.0])}, ShapeError, "here .* dtype float32"),
        ({"w": ad.Tensor([0.0, 0.0])}, ArgumentError, "has in addition b"),
        ({"w": ad.Tensor([0.0, 0.0]), "b": ad.Tensor([0.0]), "c": 1.0}, ArgumentError, "lacks c"),
        ([ad.Tensor([0.0, 0.0]), ad.Tensor([0.0])], ArgumentError, "lacks 0, 1 and has in addition"),
        (np.ones(2), ArgumentError, "must be a dict of arrays, not an array"),
    ],
)
def test_files_of_other_parameters_are_refused(tmp_path, suffix, into, error, message):
    if suffix == "safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"network.{suffix}"
    optim.save(path, {"w": np.ones(2), "b": np.ones(1)})
    with pytest.raises(error, match=message):
        optim.load(path, into)
    leaves = into.values() if isinstance(into, dict) else into
    assert not any(leaf.value.any() for leaf in leaves if isinstance(leaf, ad.Tensor))


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no such file", b"\xff" * 100])
def test_damaged_files_are_refused(tmp_path, name, content):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    (tmp_path / name).write_bytes(content)
    for into in (None, {"w": ad.Tensor([1.0])}):
        with pytest.raises(ArgumentError, match="or it is damaged"):
            optim.load(tmp_path / name, into)
    with pytest.raises(FileNotFoundError):
        optim.load(tmp_path / f"no-{name}")


def test_names_that_would_be_one_are_refused(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"parameters\['a'\]\['b'\] and parameters\['a.b'\] would both be called 'a.b'"
    ):
        optim.save(tmp_path / "a.npz", {"a": {"b": 1.0}, "a.b": 2.0})
    with pytest.raises(ArgumentError, match="must be a dict of arrays"):
        optim.save(tmp_path / "a.npz", ad.Tensor([1.0]))
    with pytest.raises(DTypeError, match="save: w"):
        optim.save(tmp_path / "a.npz", {"w": "text"})


@pytest.mark.skipif(np.dtype(np.clongdouble) == np.dtype(np.complex128), reason="no extended precision here")
def test_what_safetensors_cannot_hold_is_said(tmp_path):
    pytest.importorskip("safetensors")
    with pytest.raises(DTypeError, match=f"does not take these arrays, of dtypes {np.dtype(np.clongdouble)}"):
        optim.save(tmp_path / "a.safetensors", {"w": np.ones(2, np.clongdouble)})


def test_without_safetensors_an_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(BackendError, match="need the package safetensors"):
        optim.save(tmp_path / "a.safetensors", {"w": np.ones(2)})


def test_parameters_of_a_backend_stay_there(tmp_path, backend):
    w = ad.Tensor([1.0, 2.0])
    ad.Graph(backend=backend).add_variables(w)
    optim.save(tmp_path / "a.npz", {"w": w})
    home = type(w.value)
    w.assign(np.zeros(2))
    optim.load(tmp_path / "a.npz", {"w": w})
    assert type(w.value) is home
    np.testing.assert_array_equal(np.asarray(w), [1.0, 2.0])
