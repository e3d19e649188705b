"""Every transformation on every backend: the numbers are NumPy's, and the arrays the backend's own."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff as ad

from .checks import away, host

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2))
LABELS = np.array([0, 1, 1, 0, 1, 0])
PARAMETERS = {"w": RNG.normal(size=(4, 3)), "b": RNG.normal(size=3), "v": RNG.normal(size=(3, 2))}


def network(p: dict[str, Any]) -> Any:
    return np.mean((np.tanh(X @ p["w"] + p["b"]) @ p["v"] - Y) ** 2)


def classifier(p: dict[str, Any]) -> Any:
    """A log-sum-exp, and a gather of what is labelled."""
    scores = np.tanh(X @ p["w"] + p["b"]) @ p["v"]
    largest = np.max(scores, axis=1, keepdims=True)
    normalizer = np.log(np.sum(np.exp(scores - largest), axis=1)) + largest[:, 0]
    return np.mean(normalizer - scores[np.arange(6), LABELS])


def windows(p: dict[str, Any]) -> Any:
    """Parts of arrays, joined and written."""
    w = p["w"] * 1.0
    w[1:3, ::2] = p["b"][:2]
    joined = np.concatenate([w[:-1], w[1:] ** 2], axis=1)
    return np.sum(joined * np.cumsum(joined, axis=0)) + np.sum(np.prod(p["v"], axis=1))


MODELS = pytest.mark.parametrize("model", [network, classifier, windows], ids=lambda f: f.__name__)


def on(backend: ad.Backend, array: Any) -> np.ndarray:
    """The elements of an array that must be on the backend."""
    assert backend.home.owns(array)
    if away(backend):
        assert backend.device_of(array) == backend.device
    return host(array)


def close(backend: ad.Backend, actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(on(backend, actual), expected, rtol=1e-9, atol=1e-12)


def placed(backend: ad.Backend) -> dict[str, Any]:
    """The parameters as arrays of the backend."""
    return {name: backend.asarray(value, copy=True) for name, value in PARAMETERS.items()}


def expected_gradients(model: Callable[..., Any]) -> dict[str, np.ndarray]:
    return ad.grad(model)(PARAMETERS)


@MODELS
def test_gradients_and_functions(model: Callable[..., Any], backend: ad.Backend) -> None:
    expected, value = expected_gradients(model), ad.value_and_grad(model)(PARAMETERS)[0]
    there = placed(backend)
    step = ad.function(ad.value_and_grad(model))
    for transformed in (ad.value_and_grad(model), step, step):
        got, gradients = transformed(there)
        close(backend, got, value)
        for name, e in expected.items():
            close(backend, gradients[name], e)
    assert step.cache_info()[:2] == (1, 1)
    brought = ad.function(ad.grad(model), backend=backend)(PARAMETERS)
    for name, e in expected.items():
        close(backend, brought[name], e)


@MODELS
def test_graphs(model: Callable[..., Any], backend: ad.Backend) -> None:
    expected = expected_gradients(model)
    graph = ad.Graph(backend=backend)
    variables = {name: ad.Tensor(value) for name, value in PARAMETERS.items()}
    graph.add_variables(*variables.values())
    loss = model(variables)
    for gradient, e in zip(graph.gradient(loss, list(variables.values())), expected.values(), strict=True):
        close(backend, gradient, e)
    close(backend, loss.value, model(PARAMETERS))
    compiled = graph.compile(loss, list(variables.values()), list(variables.values()))
    for gradient, e in zip(compiled(*PARAMETERS.values())[1], expected.values(), strict=True):
        close(backend, gradient, e)
    assert graph.explain(loss, list(variables.values())).backend == backend.label


@MODELS
def test_second_derivatives(model: Callable[..., Any], backend: ad.Backend) -> None:
    """A product of the Hessian and a vector, in three ways."""
    direction = {name: np.cos(np.arange(v.size)).reshape(v.shape) for name, v in PARAMETERS.items()}

    def along(p: dict[str, Any]) -> Any:
        slopes = ad.grad(model)(p)
        return sum(np.sum(slopes[name] * d) for name, d in direction.items())

    expected = ad.grad(along)(PARAMETERS)
    for name, got in ad.grad(along)(placed(backend)).items():
        close(backend, got, expected[name])
    for name, got in ad.function(ad.grad(along), backend=backend)(PARAMETERS).items():
        close(backend, got, expected[name])
    graph = ad.Graph(backend=backend)
    variables = {name: graph.tensor(value) for name, value in PARAMETERS.items()}
    slopes = graph.gradient(model(variables), list(variables.values()), as_tensors=True)
    total = sum(np.sum(g * d) for g, d in zip(slopes, direction.values(), strict=True))
    for got, e in zip(graph.gradient(total, list(variables.values())), expected.values(), strict=True):
        close(backend, got, e)


def test_orders(backend: ad.Backend) -> None:
    graph = ad.Graph(backend=backend)
    x = np.linspace(-1.0, 1.0, 7)
    t, plain = graph.tensor(x), ad.Tensor(x)
    for order in range(1, 6):
        expected = ad.Graph().gradient(np.sin(plain**2 * np.tanh(plain)), [plain], order)[0]
        np.testing.assert_allclose(
            on(backend, graph.gradient(np.sin(t**2 * np.tanh(t)), [t], order)[0]), expected, rtol=1e-8, atol=1e-8
        )


def test_perturbations_are_not_confused(backend: ad.Backend) -> None:
    one = backend.asarray(np.array(1.0))
    assert float(host(ad.grad(lambda x: x * ad.grad(lambda y: x + y)(one))(one))) == 1.0
    assert float(host(ad.grad(lambda x: x * ad.stop_gradient(x))(backend.asarray(np.array(3.0))))) == 3.0


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtypes(dtype: str, backend: ad.Backend) -> None:
    x = (RNG.normal(size=(3, 2)) + (1j * RNG.normal(size=(3, 2)) if dtype[0] == "c" else 0)).astype(dtype)

    def size(z: Any) -> Any:
        return np.sum(np.abs(np.exp(z) @ np.conj(z.T)) ** 2)

    expected = ad.grad(size)(x)
    gradient = ad.grad(size)(backend.asarray(x, copy=True))
    assert on(backend, gradient).dtype == dtype
    np.testing.assert_allclose(host(gradient), expected, rtol=1e-4 if dtype in ("float32", "complex64") else 1e-10)


def test_arrays_of_the_library_are_indices(backend: ad.Backend) -> None:
    graph = ad.Graph(backend=backend)
    t = graph.tensor(X)
    rows, mask = backend.asarray(np.array([0, -1, 0])), backend.asarray(X[:, 0] > 0)
    for index, plain in ((rows, host(rows)), ((slice(None), rows), (slice(None), host(rows))), (mask, host(mask))):
        close(backend, t[index].value, X[plain])
        counts = np.zeros(X.shape)
        np.add.at(counts, plain, 1.0)
        close(backend, graph.gradient(t[index], [t])[0], counts)
    written = t * 1.0
    written[rows] = 0.0
    close(
        backend,
        graph.gradient(written, [t])[0],
        np.where(np.isin(np.arange(6), [0, 5])[:, None], 0.0, np.ones(X.shape)),
    )


def test_training_is_the_same(backend: ad.Backend) -> None:
    def train(graph: ad.Graph) -> list[np.ndarray]:
        variables = {name: ad.Tensor(value) for name, value in PARAMETERS.items()}
        graph.add_variables(*variables.values())
        optimizer = ad.optim.Adam(list(variables.values()), rate=0.05, clip_norm=1.0)
        for _ in range(5):
            optimizer.step(graph.gradient(classifier(variables), list(variables.values())))
            for v in variables.values():
                v.assign_sub(0.01 * np.ones(v.shape))
        assert graph.cache_info().misses == 1
        return [np.asarray(v) for v in variables.values()]

    for got, expected in zip(train(ad.Graph(backend=backend)), train(ad.Graph()), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_threads_share_a_graph(backend: ad.Backend) -> None:
    graph = ad.Graph(backend=backend)
    expected = expected_gradients(network)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                variables = {name: graph.tensor(value) for name, value in PARAMETERS.items()}
                for g, e in zip(graph.gradient(network(variables), list(variables.values())), expected.values()):
                    close(backend, g, e)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_results_share_no_memory(backend: ad.Backend) -> None:
    """Gradients are the caller's: writing into one changes nothing else."""
    if "in-place" not in backend.capabilities.features:
        pytest.skip(f"arrays of {backend.label} are not written to")
    graph = ad.Graph(backend=backend)
    t = graph.tensor([1.0, 2.0])
    loss = np.sum(t * t + 3 * t)
    first = graph.gradient(loss, [t, t])
    first[0][0] = 99.0
    np.testing.assert_array_equal(host(first[1]), [5.0, 7.0])
    np.testing.assert_array_equal(host(graph.gradient(loss, [t])[0]), [5.0, 7.0])
    np.testing.assert_array_equal(np.asarray(t), [1.0, 2.0])


def test_pickles_and_copies(backend: ad.Backend) -> None:
    t = ad.Graph(backend=backend).tensor([1.0, 2.0])
    y = t**3
    for again in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        close(backend, again.value, [1.0, 8.0])


@MODELS
def test_products_matrices_and_batches(model: Callable[..., Any], backend: ad.Backend) -> None:
    """What is more than a gradient: products with vectors, Hessians, batches."""
    there = placed(backend)
    direction = {name: np.cos(np.arange(v.size)).reshape(v.shape) for name, v in PARAMETERS.items()}
    there_too = {name: backend.asarray(value, copy=True) for name, value in direction.items()}
    for expected, got in [
        (ad.jvp(model, (PARAMETERS,), (direction,)), ad.jvp(model, (there,), (there_too,))),
        (ad.linearize(model, PARAMETERS)[1](direction), ad.linearize(model, there)[1](there_too)),
    ]:
        for e, g in zip(np.atleast_1d(expected), got if isinstance(got, tuple) else [got], strict=True):
            close(backend, g, e)
    slopes = ad.hvp(model)(PARAMETERS, direction)
    for found in (ad.hvp(model)(there, there_too), ad.function(ad.hvp(model))(there, there_too)):
        for name, e in slopes.items():
            close(backend, found[name], e)

    def of_b(parameters: dict[str, Any]) -> Callable[..., Any]:
        rest = {name: ad.Tensor(value, constant=True) for name, value in parameters.items()}
        return lambda b: model({**rest, "b": b})

    b, along = PARAMETERS["b"], of_b(there)
    hessian = ad.hessian(of_b(PARAMETERS))(b)
    for chunk_size in (None, 2):
        close(backend, ad.hessian(along, chunk_size=chunk_size)(there["b"]), hessian)
    batch = backend.asarray(np.stack([b, 2 * b]), copy=True)
    each = [ad.grad(of_b(PARAMETERS))(k * b) for k in (1, 2)]
    close(backend, ad.vmap(ad.grad(along))(batch), np.stack(each))
