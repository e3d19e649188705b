r"""
Training a network
==================

A small network learns to tell two spirals apart. It is written in plain NumPy: no layers library, a dozen lines.
"""

import matplotlib.pyplot as plt
import numpy as np

import autodiff as ad

# %%
# Data
# ----

rng = np.random.default_rng(0)
turn = np.sqrt(rng.uniform(0.02, 1, 400)) * 3 * np.pi
arm = rng.integers(0, 2, 400)
angle = turn + np.pi * arm
points = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1) / (3 * np.pi)
points += rng.normal(0, 0.015, points.shape)

# %%
# The network
# -----------
#
# Parameters are Tensors, here one dict for each layer. Layers are matrix products, and what is between them is
# ``np.tanh``.


def make_layer(inputs, outputs):
    return {
        "weights": ad.Tensor(rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs))),
        "bias": ad.Tensor(np.zeros(outputs)),
    }


layers = [make_layer(2, 32), make_layer(32, 32), make_layer(32, 1)]


def forward(layers, x):
    *hidden, last = layers
    for layer in hidden:
        x = np.tanh(x @ layer["weights"] + layer["bias"])
    return (x @ last["weights"] + last["bias"])[:, 0]


def cross_entropy(scores, labels):
    """The mean of -log(probability of the right arm), from scores, without overflow."""
    return np.mean(np.logaddexp(0, scores) - labels * scores)


# %%
# The loop
# --------
#
# Each step records the network anew, with whatever Python does in it. Only the first one differentiates and compiles:
# the others find its plan in the cache. :class:`autodiff.optim.Adam` updates all parameters in one compiled step.

parameters = [parameter for layer in layers for parameter in layer.values()]
graph = ad.Graph()
graph.add_variables(*parameters)
steps = 1_500
optimizer = ad.optim.Adam(layers, ad.optim.Cosine(0.01, steps, warm_up=50), clip_norm=1.0)

losses = []
for _ in range(steps):
    batch = rng.choice(len(points), 100, replace=False)
    loss = cross_entropy(forward(layers, points[batch]), arm[batch])
    value, gradients = graph.value_and_gradient(loss, parameters)
    optimizer.step(gradients)
    losses.append(float(value))

graph.cache_info()

# %%
# What it learned
# ---------------

side = np.linspace(-1.15, 1.15, 150)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
probability = 1 / (1 + np.exp(-np.asarray(forward(layers, grid))))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
left.semilogy(losses, color="C0", alpha=0.25, linewidth=0.8, label="batch of 100")
left.semilogy(np.convolve(losses, np.ones(50) / 50, "valid"), color="C0", label="mean of 50 steps")
left.set(xlabel="step", ylabel="cross-entropy", xlim=(0, steps))
left.legend(frameon=False)
shown = right.contourf(side, side, probability.reshape(150, 150), levels=20, cmap="RdBu_r", vmin=0, vmax=1, alpha=0.6)
for which, colour in enumerate(["navy", "darkred"]):
    right.plot(*points[arm == which].T, ".", color=colour, markersize=4, label=f"arm {which}")
right.set(xlabel="first coordinate", ylabel="second coordinate", aspect="equal")
right.legend(loc="upper right", framealpha=0.9)
figure.colorbar(shown, label="probability of arm 1")

# %%
# Go on later
# -----------
#
# Parameters, moments and the number of steps are one file. Training goes on from it with the same bits.

import tempfile
from pathlib import Path

file = Path(tempfile.mkdtemp()) / "spirals.npz"
optimizer.save(file)
again = ad.optim.Adam(layers, ad.optim.Cosine(0.01, steps, warm_up=50))
again.load(file)
again

# %%
# Where next
# ----------
#
# - :doc:`/gallery/train_digits` and :doc:`/gallery/convolutional` read handwritten digits.
# - :doc:`/howto/fast`: what hits the cache, and when to write :func:`autodiff.function`.
# - :doc:`/howto/nan`: when the loss becomes NaN.
# - :doc:`/howto/backend`: the same on a GPU.
