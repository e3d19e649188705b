"""Train a multi-layer network on scikit-learn's images of handwritten digits."""

import argparse
import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import autodiff as ad

SIZES = [64, 256, 128, 10]  # pixels, two hidden layers, digits
BATCH = 32
RATE = 0.1
MOMENTUM = 0.9
NOISE = 0.2  # on the pixels of training images, so that none is learned by heart


def load():
    """Return training images, held-out images, and the labels of both; pixels from 0 to 1."""
    digits = load_digits()
    return train_test_split(digits.data / 16, digits.target, test_size=0.25, stratify=digits.target, random_state=0)


def make_layers(rng):
    """Return a (weights, bias) pair for each layer, scaled so that signals keep their size."""
    return [
        (ad.Tensor(rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs))), ad.Tensor(np.zeros(outputs)))
        for inputs, outputs in itertools.pairwise(SIZES)
    ]


def forward(layers, x):
    """Return the network's score for each digit: shape (images, 10)."""
    *hidden, (last_weights, last_bias) = layers
    for weights, bias in hidden:
        x = np.maximum(x @ weights + bias, 0)
    return x @ last_weights + last_bias


def cross_entropy(scores, targets):
    """Return the mean of -log(probability of the right digit)."""
    scores = scores - np.max(scores, axis=1, keepdims=True)
    log_probabilities = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.mean(np.sum(targets * log_probabilities, axis=1))


def batches(images, labels, epochs, rng):
    """Yield noisy images and one-hot targets, in a new order every epoch."""
    targets = np.eye(10)[labels]
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            yield images[chosen] + rng.normal(0, NOISE, (BATCH, 64)), targets[chosen]


def train(graph, layers, images, labels, epochs, rng):
    """Fit the layers by gradient descent with momentum; return the loss of every step."""
    parameters = [parameter for layer in layers for parameter in layer]
    graph.add_variables(*parameters)
    velocities = [0.0] * len(parameters)
    losses = []

    steps = epochs * (len(images) // BATCH)
    progress = tqdm(batches(images, labels, epochs, rng), total=steps, unit="batch")
    for step, (x, targets) in enumerate(progress):
        loss = cross_entropy(forward(layers, x), targets)
        value, gradients = graph.value_and_gradient(loss, parameters)

        rate = RATE * (1 - step / steps)
        velocities = [MOMENTUM * v + gradient for v, gradient in zip(velocities, gradients)]
        for parameter, velocity in zip(parameters, velocities):
            parameter.assign_sub(rate * velocity)

        losses.append(float(value))
        progress.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
    return losses


def draw(losses, epochs, images, labels, predictions, path):
    """Save one picture: the loss on the left, held-out digits with their predictions on the right."""
    rows, columns = 5, 8
    right = predictions == labels
    figure = plt.figure(figsize=(12, 4.8), layout="constrained")
    curve, grid = figure.subfigures(1, 2, width_ratios=[1, 1.25])

    axes = curve.subplots()
    axes.set_title(f"Training loss, {epochs} epochs", loc="left")
    epoch = np.arange(1, len(losses) + 1) * epochs / len(losses)
    axes.semilogy(epoch, losses, color="tab:blue", alpha=0.25, linewidth=0.8, label="batch")
    means = np.mean(np.reshape(losses, (epochs, -1)), axis=1)
    axes.semilogy(np.arange(epochs) + 0.5, means, color="tab:blue", linewidth=2, label="mean of the epoch")
    axes.set(xlabel="epoch", ylabel="cross-entropy", xlim=(0, epochs))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)

    grid.suptitle(f"{right.sum()} of {len(labels)} held-out digits read correctly ({right.mean():.1%})")
    mistakes_first = np.argsort(right, kind="stable")
    for cell, i in zip(grid.subplots(rows, columns).flat, mistakes_first):
        cell.imshow(images[i].reshape(8, 8), cmap="gray_r")
        cell.axis("off")
        if right[i]:
            cell.set_title(predictions[i], color="tab:green", fontsize=11)
        else:
            cell.set_title(f"{predictions[i]}, not {labels[i]}", color="tab:red", fontsize=11)

    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(argv=None):
    """Train, report the accuracy on held-out digits, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    parser.add_argument("--backend", default="numpy", help="array library that computes")
    args = parser.parse_args(argv)

    rng = np.random.default_rng(args.seed)
    graph = ad.Graph(backend=args.backend)
    images, held_out, labels, held_out_labels = load()
    layers = make_layers(rng)
    losses = train(graph, layers, images, labels, args.epochs, rng)

    predictions = np.argmax(np.asarray(forward(layers, held_out)), axis=1)
    accuracy = np.mean(predictions == held_out_labels)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "digits.png"
    draw(losses, args.epochs, held_out, held_out_labels, predictions, picture)
    print(f"{accuracy:.1%} of {len(held_out)} held-out digits read correctly; saved {picture}")
    return {"accuracy": accuracy, "losses": losses, "cache": graph.cache_info(), "picture": picture}


if __name__ == "__main__":
    main()
