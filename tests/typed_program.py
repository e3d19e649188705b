"""A program as users write it who check types: mypy and pyright find nothing in it. See test_typing.py."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import autodiff as ad
import autodiff.numpy as anp

Data = NDArray[np.float64]
Array = ad.Tensor | Data


def layer(x: Array, w: Array, b: Array) -> Array:
    return anp.tanh(anp.matmul(x, w) + b)


def rows(xs: list[ad.Tensor]) -> ad.Tensor:
    buffer = anp.zeros((len(xs), 2))
    for i, x in enumerate(xs):
        buffer[i] = x * 2.0 + 1.0
    return anp.sum(buffer, axis=0)


def loss(w: Array, x: Data, *, scale: float = 1.0) -> Array:
    return scale * anp.mean(anp.square(layer(x, w, anp.zeros(2))))


class Model:
    """Parameters, and what is done with them."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.w = ad.Tensor(rng.normal(size=(3, 2)), name="w")
        self.b = ad.Tensor(np.zeros(2), name="b")

    @ad.function
    def predict(self, x: Data) -> Array:
        return layer(x, self.w, self.b)

    def penalty(self) -> ad.Tensor:
        return (self.w**2).sum() + abs(self.b).max() - self.w.T.reshape(-1)[0]


@ad.custom_vjp
def clipped(x: ad.Tensor) -> ad.Tensor:
    return x.clip(-1.0, 1.0)


def forward(x: ad.Tensor) -> tuple[ad.Tensor, None]:
    return x.clip(-1.0, 1.0), None


def backward(_: None, ct: ad.Tensor) -> tuple[ad.Tensor]:
    return (ct,)


clipped.defvjp(forward, backward)


def train(model: Model, x: Data, steps: int) -> float:
    graph = ad.Graph(backend="numpy")
    graph.add_variables(model.w, model.b)
    optimizer = ad.optim.Adam([model.w, model.b], 0.01)
    value = 0.0
    for _ in range(steps):
        error = np.mean(np.tanh(x @ model.w + model.b) ** 2)
        graph.gradient(np.tanh(model.w), [model.w])
        graph.gradient(np.linalg.norm(model.w), [model.w])
        value, gradients = graph.value_and_gradient(error + model.penalty(), [model.w, model.b])
        optimizer.step(gradients)
    second: list[ad.Tensor] = graph.gradient(model.penalty(), [model.w], as_tensors=True)
    return float(value) + float(second[0].sum())


step: Callable[[Array, Data], tuple[Array, object]] = ad.value_and_grad(loss)
fast = ad.function(loss, cache_size=4)
w, x = np.ones((3, 2)), np.ones((4, 3))
mean: Array = fast(w, x, scale=2.0)
slope = ad.grad(loss, argnums=0)(w, x, scale=2.0)
curvature = ad.hessian(loss)(w, x)
each: Array = ad.vmap(layer, in_axes=(0, None, None))(x[None], w, np.zeros(2))
predicted: Array = Model(0).predict(x)
bounded: ad.Tensor = clipped(ad.Tensor([3.0]))
same: ad.Tensor = ad.stop_gradient(bounded) == bounded
total: ad.Tensor = 2.0 * bounded + rows([bounded, bounded])
results = train(Model(1), x, 3), mean, slope, curvature, each, predicted, same, total.shape[0]
