"""Optimizers: their steps against formulas in NumPy and against PyTorch; clipping, saved states."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff import optim
from autodiff.errors import ArgumentError, BackendError, DifferentiationError, DTypeError, ShapeError
from autodiff.optim import optimizer as implementation

SHAPES = [(3, 4), (4,), (), (0, 3), (2, 1, 2)]


def arrays(rng, dtype, shapes=SHAPES):
    real = [rng.normal(size=shape) for shape in shapes]
    if np.dtype(dtype).kind == "c":
        real = [x + 1j * rng.normal(size=x.shape) for x in real]
    return [np.asarray(x, dtype) for x in real]


def trained(make, start, gradients):
    """The parameters after a step with each list of gradients."""
    parameters = [ad.Tensor(x) for x in start]
    optimizer = make(parameters)
    for step in gradients:
        optimizer.step(step)
    return [p.value for p in parameters]


# --- formulas of the papers ------------------------------------------------------------------------------------------


def uphill(gradients):
    return np.conj(gradients)


def sgd(p, gradients, rate, momentum=0.0, nesterov=False, weight_decay=0.0):
    v = 0
    for g in gradients:
        g = uphill(g) + weight_decay * p
        v = momentum * v + g
        p = p - rate * (g + momentum * v if nesterov else v)
    return p


def rmsprop(p, gradients, rate, decay=0.99, epsilon=1e-8, momentum=0.0, centered=False, weight_decay=0.0):
    s = u = v = 0
    for g in gradients:
        g = uphill(g) + weight_decay * p
        s = decay * s + (1 - decay) * abs(g) ** 2
        u = decay * u + (1 - decay) * g if centered else 0
        v = momentum * v + g / (np.sqrt(s - abs(u) ** 2) + epsilon)
        p = p - rate * v
    return p


def adam(p, gradients, rate, betas=(0.9, 0.999), epsilon=1e-8, weight_decay=0.0, amsgrad=False, decoupled=False):
    m = v = greatest = 0
    for t, g in enumerate(gradients, 1):
        g = uphill(g)
        if decoupled:
            p = p * (1 - rate * weight_decay)
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * abs(g) ** 2
        greatest = np.maximum(greatest, v) if amsgrad else v
        p = p - rate * (m / (1 - betas[0] ** t)) / (np.sqrt(greatest / (1 - betas[1] ** t)) + epsilon)
    return p


def adamw(*args, weight_decay=1e-2, **options):
    return adam(*args, weight_decay=weight_decay, decoupled=True, **options)


def lion(p, gradients, rate, betas=(0.9, 0.99), weight_decay=0.0):
    m = 0
    for g in gradients:
        g = uphill(g)
        p = p * (1 - rate * weight_decay) - rate * np.sign(betas[0] * m + (1 - betas[0]) * g)
        m = betas[1] * m + (1 - betas[1]) * g
    return p


CASES = [
    (optim.SGD, sgd, {}),
    (optim.SGD, sgd, {"momentum": 0.9}),
    (optim.SGD, sgd, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {}),
    (optim.RMSprop, rmsprop, {"decay": 0.8, "epsilon": 0.1, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {"centered": True}),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, {"betas": (0.5, 0.75), "epsilon": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    (optim.AdamW, adamw, {}),
    (optim.AdamW, adamw, {"weight_decay": 0.3, "amsgrad": True}),
    (optim.Lion, lion, {}),
    (optim.Lion, lion, {"betas": (0.5, 0.75), "weight_decay": 0.3}),
]


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32", "complex64"])
@pytest.mark.parametrize(("kind", "formula", "options"), CASES)
def test_steps_are_those_of_the_paper(kind, formula, options, dtype):
    rng = np.random.default_rng(0)
    start, gradients = arrays(rng, dtype), [arrays(rng, dtype) for _ in range(10)]
    found = trained(lambda p: kind(p, 0.1, **options), start, gradients)
    for i, value in enumerate(found):
        # The formula in twice the precision.
        wide = np.result_type(dtype, np.float64)
        expected = formula(start[i].astype(wide), [g[i].astype(wide) for g in gradients], 0.1, **options)
        assert value.dtype == dtype
        tolerance = 1e-12 if dtype in ("float64", "complex128") else 2e-5
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)


def test_complex_parameters_go_downhill():
    z = ad.Tensor([1 + 2j, -3j])
    graph, optimizer = ad.Graph(), optim.Adam([z], 0.1)
    for _ in range(300):
        optimizer.step(graph.gradient(np.sum(np.abs(z - (2 - 1j)) ** 2), [z]))
    np.testing.assert_allclose(z.value, [2 - 1j, 2 - 1j], atol=1e-3)


def test_rmsprop_of_gradients_that_do_not_vary_stays_finite():
    (p,) = trained(lambda p: optim.RMSprop(p, 0.1, centered=True), [np.ones(3)], [[np.full(3, 1.1)]] * 3000)
    assert np.isfinite(p).all()


# --- PyTorch ---------------------------------------------------------------------------------------------------------

# Keywords here and there.
TORCH = [
    ("SGD", {}, {}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}, {}),
    ("SGD", {"momentum": 0.9, "nesterov": True}, {}),
    ("RMSprop", {}, {}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "weight_decay": 0.1}, {}),
    ("RMSprop", {"decay": 0.8, "epsilon": 0.1}, {"alpha": 0.8, "eps": 0.1}),
    ("Adam", {}, {}),
    ("Adam", {"betas": (0.5, 0.75), "amsgrad": True, "weight_decay": 0.1}, {}),
    ("AdamW", {}, {}),
    (
        "AdamW",
        {"weight_decay": 0.3, "amsgrad": True, "epsilon": 0.1},
        {"weight_decay": 0.3, "amsgrad": True, "eps": 0.1},
    ),
]


def torch_steps(torch, kind, options, start, gradients, before=lambda parameters: None):
    parameters = [torch.nn.Parameter(torch.tensor(x)) for x in start]
    optimizer = getattr(torch.optim, kind)(parameters, **options)
    for step in gradients:
        for p, g in zip(parameters, step):
            p.grad = torch.tensor(g)
        before(parameters)
        optimizer.step()
    return [p.detach().numpy() for p in parameters]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize(("kind", "options", "theirs"), TORCH)
def test_steps_and_defaults_are_pytorchs(kind, options, theirs):
    import torch

    rng = np.random.default_rng(0)
    start, gradients = arrays(rng, "float64"), [arrays(rng, "float64") for _ in range(20)]
    found = trained(lambda p: getattr(optim, kind)(p, **options), start, gradients)
    for value, expected in zip(found, torch_steps(torch, kind, theirs or options, start, gradients)):
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("limit", [0.5, 100.0])
@pytest.mark.parametrize(("option", "function"), [("clip_norm", "clip_grad_norm_"), ("clip_value", "clip_grad_value_")])
def test_clipping_is_pytorchs(option, function, limit):
    import torch

    rng = np.random.default_rng(0)
    start, gradients = arrays(rng, "float64"), [arrays(rng, "float64") for _ in range(5)]
    found = trained(lambda p: optim.SGD(p, 0.1, **{option: limit}), start, gradients)
    clip = getattr(torch.nn.utils, function)
    expected = torch_steps(torch, "SGD", {"lr": 0.1}, start, gradients, lambda p: clip(p, limit))
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


# --- clipping --------------------------------------------------------------------------------------------------------


def test_clipping_keeps_structure_and_dtypes():
    gradients = {"a": np.full(2, 3.0, "float32"), "b": (np.array(4 + 3j, "complex64"), 0.0)}
    norm = np.sqrt(9 + 9 + 25)
    np.testing.assert_allclose(optim.global_norm(gradients), norm, rtol=1e-6)
    found = optim.clip_norm(gradients, 1)
    assert list(found) == ["a", "b"]
    assert (found["a"].dtype, found["b"][0].dtype, found["b"][1].dtype) == ("float32", "complex64", "float64")
    np.testing.assert_allclose(found["b"][0], (4 + 3j) / norm, rtol=1e-6)
    np.testing.assert_allclose(optim.clip_norm(gradients, 50)["a"], gradients["a"])


def test_clipping_of_tensors_is_recorded():
    x = ad.Tensor([3.0, 4.0])
    (clipped,) = optim.clip_norm([2 * x], 1.0)
    np.testing.assert_allclose(ad.Graph().gradient(clipped[0], [x])[0], [0.128, -0.096], atol=1e-6)


def test_zero_gradients_are_clipped_to_zero():
    (found,) = optim.clip_norm([np.zeros(3)], 1.0)
    np.testing.assert_array_equal(found, np.zeros(3))


def test_elements_are_clipped_before_the_norm():
    (p,) = trained(lambda p: optim.SGD(p, 1.0, clip_value=1.0, clip_norm=1.0), [np.zeros(2)], [[np.array([1.0, 9.0])]])
    np.testing.assert_allclose(p, np.full(2, -np.sqrt(0.5)), rtol=1e-5)


def test_parts_of_complex_numbers_are_not_clipped():
    with pytest.raises(DTypeError, match="use clip_norm"):
        optim.clip_value([np.ones(2, complex)], 1.0)
    optimizer = optim.SGD([ad.Tensor([1j])], 0.1, clip_value=1.0)
    with pytest.raises(DTypeError, match="use clip_norm"):
        optimizer.step([np.ones(1, complex)])


# --- one plan --------------------------------------------------------------------------------------------------------


def test_training_compiles_once():
    before = implementation._plans.info()
    rng = np.random.default_rng(0)
    for seed in (1, 2):
        start = arrays(np.random.default_rng(seed), "float64", [(2, 17), (19,)])
        optimizer = optim.Adam([ad.Tensor(x) for x in start], optim.Cosine(0.1, 20), betas=(0.9 / seed, 0.99))
        for _ in range(10):
            optimizer.step(arrays(rng, "float64", [(2, 17), (19,)]))
    after = implementation._plans.info()
    assert after.misses - before.misses == 1
    assert after.hits - before.hits == 1  # asked for once by each optimizer


def test_steps_on_a_backend(backend):
    rng = np.random.default_rng(0)
    start, gradients = arrays(rng, "float64"), [arrays(rng, "float64") for _ in range(3)]
    parameters = [ad.Tensor(x) for x in start]
    ad.Graph(backend=backend).add_variables(*parameters)
    optimizer = optim.AdamW(parameters, 0.1, amsgrad=True, clip_norm=2.0, backend=backend)
    for step in gradients:
        optimizer.step(step)
    expected = [optim.clip_norm(step, 2.0) for step in gradients]
    for i, p in enumerate(parameters):
        formula = adamw(start[i], [g[i] for g in expected], 0.1, amsgrad=True)
        np.testing.assert_allclose(np.asarray(p), formula, rtol=1e-12, atol=1e-12)
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step(gradients[0])
    assert optimizer.steps == 4


class Abacus(type(ad.get_backend())):
    name = "abacus"

    def owns(self, value):
        return False


def test_backend_must_have_the_parameters_arrays():
    optimizer = optim.SGD([ad.Tensor([1.0], name="w")], 0.1, backend=Abacus())
    with pytest.raises(BackendError, match=r"parameters\[0\] \('w'\) is on backend numpy, but .* on abacus"):
        optimizer.step([np.ones(1)])


def test_earlier_graphs_keep_their_values():
    w = ad.Tensor([1.0, 2.0])
    loss = np.sum(w**2)
    optim.SGD([w], 1.0).step([np.ones(2)])
    np.testing.assert_array_equal(ad.Graph().gradient(loss, [w])[0], [2.0, 4.0])
    np.testing.assert_array_equal(w.value, [0.0, 1.0])


def test_parameters_and_gradients_may_be_nested():
    def loss(parameters, x):
        return np.mean((np.tanh(x @ parameters["layer"][0] + parameters["layer"][1]) * parameters["scale"]) ** 2)

    rng = np.random.default_rng(0)
    values = {"layer": [rng.normal(size=(3, 2)), np.ones(2)], "scale": np.array(2.0)}
    nested = {"layer": [ad.Tensor(x) for x in values["layer"]], "scale": ad.Tensor(values["scale"])}
    flat = [ad.Tensor(x) for x in (*values["layer"], values["scale"])]
    x = rng.normal(size=(5, 3))
    gradients = ad.grad(loss)(values, x)
    optim.Adam(nested, 0.1).step(gradients)
    optim.Adam(flat, 0.1).step((*gradients["layer"], gradients["scale"]))
    for a, b in zip((*nested["layer"], nested["scale"]), flat):
        np.testing.assert_array_equal(a.value, b.value)
    # Tensors, as they come from grad of Tensors, are taken at their values.
    optim.Adam(nested, 0.1).step(ad.grad(loss)(nested, x))
    assert nested["scale"].value < flat[2].value


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ([], ArgumentError, "at least one"),
        (ad.Tensor([1.0]), ArgumentError, "must be a list of Tensors"),
        ([np.ones(2)], DifferentiationError, r"parameters\[0\] is an array of shape \(2,\)"),
        ([[ad.Tensor([1.0], constant=True)]], DifferentiationError, r"parameters\[0\]\[0\] is a constant Tensor"),
        ({"w": ad.Tensor([1.0], dtype="int64")}, DifferentiationError, r"parameters\['w'\] is a Tensor int64\[1\]"),
        ([ad.Tensor([1.0])] * 2, ArgumentError, r"parameters\[1\] is the same Tensor as parameters\[0\]"),
    ],
)
def test_parameters_that_cannot_be_trained(parameters, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(parameters, 0.1)


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        ([np.ones(2)], ArgumentError, "1 gradients for 2 parameters"),
        ([np.ones(2), np.ones((3, 2))], ShapeError, r"parameters\[1\] \('W'\) has shape \(3, 2\) and dtype float64"),
        ([np.ones(2, "float32"), np.ones((2, 3))], DTypeError, r"gradient of parameters\[0\] has dtype float32"),
        ([np.ones(2), None], ArgumentError, r"gradient of parameters\[1\] \('W'\) is None"),
        ({"b": np.ones(2), "W": np.ones((2, 3))}, ArgumentError, "nested as the parameters are"),
        (np.ones(2), ArgumentError, "flat list"),
    ],
)
def test_gradients_that_do_not_fit(gradients, error, message):
    b, W = ad.Tensor(np.zeros(2)), ad.Tensor(np.zeros((2, 3)), name="W")
    optimizer = optim.SGD([b, W], 0.1)
    with pytest.raises(error, match=message):
        optimizer.step(gradients)
    assert optimizer.steps == 0
    assert not b.value.any()
    assert not W.value.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, -0.1), "SGD: rate=-0.1 must be finite, at least 0"),
        (lambda p: optim.SGD(p, float("nan")), "rate=nan must be finite"),
        (lambda p: optim.SGD(p, "fast"), "rate=str 'fast' must be a number"),
        (lambda p: optim.SGD(p, 0.1, momentum=1.0), "momentum=1.0 must be finite, at least 0 and less than 1"),
        (lambda p: optim.SGD(p, 0.1, nesterov=True), "nesterov=True needs a momentum"),
        (lambda p: optim.Adam(p, betas=0.9), "betas=0.9 must be two numbers"),
        (lambda p: optim.AdamW(p, betas=(0.9, 1.0)), r"AdamW: betas\[1\]=1.0"),
        (lambda p: optim.RMSprop(p, clip_norm=-1), "RMSprop: clip_norm=-1.0"),
        (lambda p: optim.Cosine(0.1, 10, warm_up=10), "Cosine: steps=10 must be more than warm_up=10"),
        (lambda p: optim.StepDecay(0.1, 0), "StepDecay: every=0 must be an integer of at least 1"),
        (lambda p: optim.WarmUp("fast", 3), "WarmUp: schedule=str 'fast' must be a number, or a schedule"),
        (lambda p: optim.WarmUp(0.1, 0), "WarmUp: steps=0"),
        (lambda p: optim.CosineRestarts(0.1, 3, factor=0.5), "CosineRestarts: factor=0.5 must be an integer"),
        (lambda p: optim.ReduceOnPlateau(0.1, factor=1.0), "ReduceOnPlateau: factor=1.0 must be finite"),
        (lambda p: optim.ReduceOnPlateau(0.1, mode="least"), "mode=str 'least' is not one of 'min', 'max'"),
        (lambda p: optim.ReduceOnPlateau(0.1).report([1.0]), "report: value=.* must be a number"),
        (lambda p: optim.Lion(p, betas=0.9), "Lion: betas=0.9 must be two numbers"),
        (lambda p: optim.LBFGS(p, history=0), "LBFGS: history=0"),
        (lambda p: optim.LBFGS(p).step([np.ones(1)]), "LBFGS.step takes a function"),
        (lambda p: optim.LBFGS(p).step(lambda: 1.0), "it must return the loss and its gradients"),
        (lambda p: optim.Accumulate(optim.LBFGS(p), 2), "one that takes gradients"),
        (lambda p: optim.Accumulate(optim.Accumulate(optim.SGD(p), 2).optimizer, 2), "accumulates already"),
        (lambda p: optim.Accumulate(optim.SGD(p), 0), "every=0"),
        (lambda p: optim.ExponentialAverage(p, decay=1), "ExponentialAverage: decay=1.0"),
        (lambda p: optim.SGD(p, lambda step: -1.0).step([np.ones(1)]), "step: rate=-1.0"),
    ],
)
def test_options_that_make_no_sense(make, message):
    with pytest.raises(ArgumentError, match=message):
        make([ad.Tensor([1.0])])


# --- saved states ----------------------------------------------------------------------------------------------------

RUN = """\
import sys
import numpy as np
import autodiff as ad

def network():
    rng = np.random.default_rng(0)
    parameters = {"W": ad.Tensor(rng.normal(size=(3, 4)).astype("float32")), "b": ad.Tensor(np.zeros(4, "float32"))}
    schedule = ad.optim.Cosine(0.1, steps=10)
    return parameters, ad.optim.AdamW(parameters, schedule, amsgrad=True, clip_norm=1.0)

def train(parameters, optimizer, steps):
    graph = ad.Graph()
    for _ in range(steps):
        x = np.random.default_rng(optimizer.steps).normal(size=(8, 3)).astype("float32")
        loss = np.sum(np.tanh(x @ parameters["W"] + parameters["b"]) ** 3)
        optimizer.step(graph.gradient(loss, [parameters["W"], parameters["b"]]))

if __name__ == "__main__":
    parameters, optimizer = network()
    optimizer.load(sys.argv[1])
    train(parameters, optimizer, 5)
    optimizer.save(sys.argv[2])
"""


def test_training_goes_on_bit_for_bit_in_another_process(tmp_path):
    namespace = {"__name__": "run"}
    exec(compile(RUN, "<run>", "exec"), namespace)
    parameters, whole = namespace["network"]()
    namespace["train"](parameters, whole, 10)
    parameters, half = namespace["network"]()
    namespace["train"](parameters, half, 5)
    half.save(tmp_path / "half")
    script = tmp_path / "run.py"
    script.write_text(RUN)
    subprocess.run([sys.executable, script, tmp_path / "half", tmp_path / "end.npz"], check=True)
    half.load(tmp_path / "end.npz")
    expected, found = whole.state_dict(), half.state_dict()
    assert list(found) == list(expected)
    assert (found["optimizer"], found["steps"]) == ("AdamW", 10)
    for name, value in expected.items():
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(value))
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".partial"] == []


def test_state_is_a_dict_of_copies():
    z = ad.Tensor([1j, 2.0])
    optimizer = optim.RMSprop([z], 0.1, centered=True)
    optimizer.step([np.ones(2, complex)])
    state = optimizer.state_dict()
    assert {name: np.asarray(value).dtype.kind for name, value in state.items()} == {
        "optimizer": "U",
        "steps": "i",
        "parameters[0]": "c",
        "mean_square[0]": "f",
        "mean[0]": "c",
    }
    kept = state["mean_square[0]"].copy()
    state["mean_square[0]"][:] = 7
    np.testing.assert_array_equal(optimizer.state_dict()["mean_square[0]"], kept)
    optimizer.load_state_dict(state)
    np.testing.assert_array_equal(optimizer.state_dict()["mean_square[0]"], [7.0, 7.0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([ad.Tensor([1.0, 2.0])]), ArgumentError, "is of Adam, not of SGD"),
        (lambda: optim.Adam([ad.Tensor([1.0])]), ShapeError, r"parameters\[0\] of shape \(2,\)"),
        (lambda: optim.Adam([ad.Tensor([1.0, 2.0], dtype="float32")]), ShapeError, "dtype float32"),
        (
            lambda: optim.Adam([ad.Tensor([1.0, 2.0])], amsgrad=True),
            ArgumentError,
            r"lacks greatest_second_moment\[0\]",
        ),
        (lambda: optim.Adam({"w": ad.Tensor([1.0, 2.0])}), ArgumentError, r"has in addition parameters\[0\], first"),
    ],
)
def test_states_of_other_optimizers_are_refused(make, error, message, tmp_path):
    optim.Adam([ad.Tensor([1.0, 2.0])]).save(tmp_path / "state.npz")
    other = make()
    before = other.state_dict()
    with pytest.raises(error, match=message):
        other.load(tmp_path / "state.npz")
    for name, value in before.items():
        np.testing.assert_array_equal(np.asarray(other.state_dict()[name]), np.asarray(value))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 broken"])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match="no file that an optimizer saved"):
        optim.SGD([ad.Tensor([1.0])]).load(path)


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "state.npy", np.ones(2))
    with pytest.raises(ArgumentError, match="no file that an optimizer saved"):
        optim.SGD([ad.Tensor([1.0])]).load(tmp_path / "state.npy")
