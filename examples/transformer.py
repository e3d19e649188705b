"""A transformer that sorts digits: plain functions of NumPy and a dictionary of parameters, no library of layers."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import autodiff as ad

LENGTH, DIGITS, WIDTH, HEADS, BLOCKS, BATCH = 6, 10, 32, 4, 2, 64
SHAPES = {"qkv": (WIDTH, 3 * WIDTH), "mix": (WIDTH, WIDTH), "up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH)}


def linear(rng, inputs, outputs):
    return {"W": ad.Tensor(rng.normal(0, inputs**-0.5, (inputs, outputs))), "b": ad.Tensor(np.zeros(outputs))}


def make_network(rng):
    return {
        "digit": ad.Tensor(rng.normal(size=(DIGITS, WIDTH))),
        "place": ad.Tensor(rng.normal(size=(LENGTH, WIDTH))),
        "blocks": [{name: linear(rng, *shape) for name, shape in SHAPES.items()} for _ in range(BLOCKS)],
        "out": linear(rng, WIDTH, DIGITS),
    }


def affine(p, x):
    return x @ p["W"] + p["b"]


def normalised(x):
    x = x - np.mean(x, axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-5)


def attention(p, x):
    """What each place reads from all others, and how much it reads of each: (batch, heads, place, place)."""
    q, k, v = np.transpose(np.reshape(affine(p["qkv"], x), (*x.shape[:2], 3, HEADS, -1)), (2, 0, 3, 1, 4))
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(WIDTH / HEADS)
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    weights = weights / np.sum(weights, axis=-1, keepdims=True)
    return affine(p["mix"], np.reshape(np.swapaxes(weights @ v, 1, 2), x.shape)), weights


def forward(network, digits):
    """Scores for each place and digit, and the attention of the last block."""
    x = network["digit"][digits] + network["place"]
    for p in network["blocks"]:
        read, weights = attention(p, normalised(x))
        x = x + read
        x = x + affine(p["down"], np.maximum(affine(p["up"], normalised(x)), 0))
    return affine(network["out"], normalised(x)), weights


def cross_entropy(scores, targets):
    scores = scores - np.max(scores, axis=-1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(scores), axis=-1)) - np.sum(scores * np.eye(DIGITS)[targets], axis=-1))


def draw(picture, losses, rate, digits, weights):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.semilogy(losses, color="tab:blue", linewidth=0.8, label=f"batch of {BATCH} sequences")
    left.set(xlabel="step", ylabel="cross-entropy (nats a digit)", title=f"{rate:.1%} of new sequences sorted right")
    left.legend(frameon=False)
    shown = right.imshow(weights, cmap="viridis", vmin=0)
    right.set(xlabel="digit that is read", ylabel="place and digit, sorted", title="Attention of the last block")
    right.set_xticks(range(LENGTH), digits)
    right.set_yticks(range(LENGTH), [f"{i + 1}: {digit}" for i, digit in enumerate(np.sort(digits))])
    figure.colorbar(shown, label="weight (mean of heads)")
    figure.savefig(picture, dpi=150)
    plt.close(figure)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture and the network")
    args, rng, losses = parser.parse_args(argv), np.random.default_rng(0), []
    args.output.mkdir(parents=True, exist_ok=True)
    picture, graph, network = args.output / "transformer.png", ad.Graph(), make_network(rng)
    optimizer = ad.optim.AdamW(network, ad.optim.Cosine(5e-3, args.steps, warm_up=args.steps // 10), clip_norm=1.0)
    for _ in range(args.steps):
        digits = rng.integers(DIGITS, size=(BATCH, LENGTH))
        loss = cross_entropy(forward(network, digits)[0], np.sort(digits))
        value, gradients = graph.value_and_gradient(loss, optimizer.parameters)
        optimizer.step(gradients)
        losses.append(float(value))
    digits = rng.integers(DIGITS, size=(1000, LENGTH))
    scores, weights = (x.value for x in forward(network, digits))
    rate = np.mean(np.all(np.argmax(scores, -1) == np.sort(digits), axis=-1))
    ad.optim.save(args.output / "transformer.npz", network)
    draw(picture, losses, rate, digits[0], np.mean(weights[0], axis=0))
    print(f"{rate:.1%} of 1,000 new sequences sorted right; saved {picture}")
    return {"rate": rate, "losses": losses, "picture": picture}


if __name__ == "__main__":
    main()
