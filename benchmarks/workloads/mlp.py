"""A training step's gradient of a multi-layer perceptron: matrix products with a little in between."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.gradients import Problem, contestants
from benchmarks.workload import BEST_PEER, Case, Row, Target, Workload

NAME = "mlp"
INPUTS, CLASSES, BATCH = 784, 10, 128


def pose(width: int) -> Problem:
    """Weights of three layers, a batch of images and its labels as rows of an identity; float32."""
    random = np.random.default_rng(0)
    sizes = (INPUTS, width, width, CLASSES)
    weights = [random.normal(0, (2 / rows) ** 0.5, (rows, columns)) for rows, columns in pairwise(sizes)]
    biases = [np.zeros(columns) for columns in sizes[1:]]
    images = random.random((BATCH, INPUTS))
    labels = np.eye(CLASSES)[random.integers(0, CLASSES, BATCH)]
    variables = [array.astype(np.float32) for layer in zip(weights, biases) for array in layer]
    return Problem(variables, [images.astype(np.float32), labels.astype(np.float32)])


def logits(xp: Any, *inputs: Any) -> Any:
    """Three layers with rectifiers between them."""
    W1, b1, W2, b2, W3, b3, x = inputs
    x = xp.maximum(x @ W1 + b1, 0)
    x = xp.maximum(x @ W2 + b2, 0)
    return x @ W3 + b3


def cross_entropy(xp: Any, *arrays: Any) -> Any:
    """Mean of -log(softmax) at the labels."""
    *inputs, labels = arrays
    z = logits(xp, *inputs)
    z = z - xp.max(z, axis=1, keepdims=True)
    logarithms = z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))
    return -xp.mean(xp.sum(labels * logarithms, axis=1))


def in_jax(jax: ModuleType, *arrays: Any) -> Any:
    """With JAX's log-softmax."""
    *inputs, labels = arrays
    logarithms = jax.nn.log_softmax(logits(jax.numpy, *inputs))
    return -jax.numpy.mean(jax.numpy.sum(labels * logarithms, axis=1))


def in_torch(torch: ModuleType, *arrays: Any) -> Any:
    """With PyTorch's layers."""
    W1, b1, W2, b2, W3, b3, images, labels = arrays
    x = torch.relu(torch.addmm(b1, images, W1))
    x = torch.relu(torch.addmm(b2, x, W2))
    return torch.nn.functional.cross_entropy(torch.addmm(b3, x, W3), labels)


WORKLOAD = Workload(
    name=NAME,
    summary=(
        f"Cross-entropy of a perceptron, {INPUTS}-width-width-{CLASSES}, batch of {BATCH}, and the gradients of its "
        "six parameters, float32. JAX and PyTorch use their own log-softmax and layers."
    ),
    contestants=contestants(
        cross_entropy,
        pose,
        own={"jax": in_jax, "torch": in_torch},
        peers=("jax", "torch", "torch compile", "autograd"),  # MyGrad makes a float64 of the mean
    ),
    cases=tuple(Case(f"width {width}", width, size=width) for width in (128, 512, 1024)),
    targets=(Target(1.0, against=BEST_PEER),),
    rows=(Row("MLP 784-512-512-10, batch 128, float32", ("width 512",)),),
    size_unit="width",
    rtol=2e-4,
    atol=1e-7,
    max_rounds=15,
)
