"""Read handwritten digits: a network of three layers, trained on scikit-learn's images."""

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
    """Return training images, held-out images, and the labels of both; 8 by 8 pixels from 0 to 1."""
    digits = load_digits()
    images = (digits.images / 16).astype("float32")
    return train_test_split(images, digits.target, test_size=0.25, stratify=digits.target, random_state=0)


def make_layers(rng):
    """Return a (weights, bias) pair for each layer, scaled so that signals keep their size."""
    return [
        (
            ad.Tensor(rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)), dtype="float32"),
            ad.Tensor(np.zeros(outputs), dtype="float32"),
        )
        for inputs, outputs in itertools.pairwise(SIZES)
    ]


def forward(layers, images):
    """Return the network's score for each digit: shape (images, 10)."""
    x = np.reshape(images, (len(images), -1))
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
    targets = np.eye(10, dtype="float32")[labels]
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            noise = NOISE * rng.standard_normal(images[chosen].shape, dtype="float32")
            yield images[chosen] + noise, targets[chosen]


def train(graph, optimizer, forward, layers, data, steps):
    """Fit the layers to batches of data; return the loss of every step."""
    parameters = [parameter for layer in layers for parameter in layer]
    losses = []
    progress = tqdm(data, total=steps, unit="batch")
    for images, targets in progress:
        loss = cross_entropy(forward(layers, images), targets)
        value, gradients = graph.value_and_gradient(loss, parameters)
        optimizer.step(gradients)
        losses.append(float(value))
        progress.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
    return losses


def draw_losses(axes, losses, epochs):
    """Draw the loss of every batch, and its mean over each epoch."""
    axes.set_title(f"Training loss, {epochs} epochs", loc="left")
    epoch = np.arange(1, len(losses) + 1) * epochs / len(losses)
    axes.semilogy(epoch, losses, color="tab:blue", alpha=0.25, linewidth=0.8, label="batch")
    means = np.mean(np.reshape(losses, (epochs, -1)), axis=1)
    axes.semilogy(np.arange(epochs) + 0.5, means, color="tab:blue", linewidth=2, label="mean of the epoch")
    axes.set(xlabel="epoch", ylabel="cross-entropy", xlim=(0, epochs))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)


def draw_digits(figure, images, labels, predictions, rows=5, columns=8):
    """Draw held-out digits with their predictions, mistakes first."""
    right = predictions == labels
    figure.suptitle(f"{right.sum()} of {len(labels)} held-out digits read correctly ({right.mean():.1%})")
    mistakes_first = np.argsort(right, kind="stable")
    for cell, i in zip(figure.subplots(rows, columns).flat, mistakes_first):
        cell.imshow(images[i], cmap="gray_r")
        cell.axis("off")
        if right[i]:
            cell.set_title(predictions[i], color="tab:green", fontsize=11)
        else:
            cell.set_title(f"{predictions[i]}, not {labels[i]}", color="tab:red", fontsize=11)


def arguments(argv, description, epochs):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    parser.add_argument("--backend", default="numpy", help="array library that computes: numpy, cupy, torch ...")
    return parser.parse_args(argv)


def main(argv=None):
    """Train, report the accuracy on held-out digits, save the picture."""
    args = arguments(argv, __doc__, epochs=40)
    rng = np.random.default_rng(args.seed)
    images, held_out, labels, held_out_labels = load()
    steps = args.epochs * (len(images) // BATCH)

    graph = ad.Graph(backend=args.backend)
    layers = make_layers(rng)
    graph.add_variables(*[parameter for layer in layers for parameter in layer])
    optimizer = ad.optim.SGD(layers, ad.optim.Linear(RATE, steps), momentum=MOMENTUM)
    losses = train(graph, optimizer, forward, layers, batches(images, labels, args.epochs, rng), steps)

    predictions = np.argmax(np.asarray(forward(layers, held_out)), axis=1)
    accuracy = np.mean(predictions == held_out_labels)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "digits.png"
    figure = plt.figure(figsize=(12, 4.8), layout="constrained")
    curve, grid = figure.subfigures(1, 2, width_ratios=[1, 1.25])
    draw_losses(curve.subplots(), losses, args.epochs)
    draw_digits(grid, held_out, held_out_labels, predictions)
    figure.savefig(picture, dpi=150)
    print(f"{accuracy:.1%} of {len(held_out)} held-out digits read correctly; saved {picture}")
    return {"accuracy": accuracy, "losses": losses, "cache": graph.cache_info(), "picture": picture}


if __name__ == "__main__":
    main()
