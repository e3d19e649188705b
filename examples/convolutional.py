"""Read digits by convolutions: a convolutional network for the images of train_digits.py."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from train_digits import BATCH, arguments, batches, draw_digits, draw_losses, load, train

import autodiff as ad

CHANNELS = [1, 32, 64]  # of the images, and of what each convolution makes of them
RATE = 0.01


def make_layers(rng):
    """Return (filters, bias) for each convolution and (weights, bias) for the scores."""
    shapes = [(inputs, 3, 3, outputs) for inputs, outputs in itertools.pairwise(CHANNELS)]
    shapes.append((2, 2, CHANNELS[-1], 10))
    return [
        (
            ad.Tensor(rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape), dtype="float32"),
            ad.Tensor(np.zeros(shape[-1]), dtype="float32"),
        )
        for shape in shapes
    ]


def convolve(x, filters, bias):
    """Return one image for each filter: shape (images, rows, columns, channels) as before, but for the channels."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.tensordot(windows, filters, axes=3) + bias


def pool(x):
    """Return the greatest of every two by two pixels."""
    images, rows, columns, channels = x.shape
    return np.max(np.reshape(x, (images, rows // 2, 2, columns // 2, 2, channels)), axis=(2, 4))


def forward(layers, images):
    """Return the network's score for each digit: shape (images, 10)."""
    *convolutions, (weights, bias) = layers
    x = ad.Tensor(images[..., np.newaxis], constant=True)
    for filters, offsets in convolutions:
        x = pool(np.maximum(convolve(x, filters, offsets), 0))
    return np.tensordot(x, weights, axes=3) + bias


def draw_filters(axes, filters):
    """Draw the filters of the first convolution side by side: red adds, blue subtracts."""
    axes.set_title("Filters of the first layer", loc="left")
    rows, columns = 4, CHANNELS[1] // 4
    tiles = np.reshape(np.moveaxis(filters[0], -1, 0), (rows, columns, 3, 3))
    framed = np.pad(tiles, [(0, 0), (0, 0), (1, 0), (1, 0)], constant_values=np.nan)
    picture = np.reshape(np.swapaxes(framed, 1, 2), (4 * rows, 4 * columns))[1:, 1:]
    limit = np.max(np.abs(filters))
    shown = axes.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.figure.colorbar(shown, ax=axes, label="weight", shrink=0.8)
    axes.axis("off")


def main(argv=None):
    """Train, report the accuracy on held-out digits, save the picture."""
    args = arguments(argv, __doc__, epochs=30)
    rng = np.random.default_rng(args.seed)
    images, held_out, labels, held_out_labels = load()
    steps = args.epochs * (len(images) // BATCH)

    graph = ad.Graph(backend=args.backend)
    layers = make_layers(rng)
    graph.add_variables(*[parameter for layer in layers for parameter in layer])
    optimizer = ad.optim.Adam(layers, ad.optim.Cosine(RATE, steps, warm_up=steps // args.epochs))
    losses = train(graph, optimizer, forward, layers, batches(images, labels, args.epochs, rng), steps)

    predictions = np.argmax(np.asarray(forward(layers, held_out)), axis=1)
    accuracy = np.mean(predictions == held_out_labels)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "convolutional.png"
    figure = plt.figure(figsize=(12, 7), layout="constrained")
    left, grid = figure.subfigures(1, 2, width_ratios=[1, 1.1])
    curve, filters = left.subplots(2, 1, height_ratios=[1.2, 1])
    draw_losses(curve, losses, args.epochs)
    draw_filters(filters, np.asarray(layers[0][0]))
    draw_digits(grid, held_out, held_out_labels, predictions, rows=6, columns=6)
    figure.savefig(picture, dpi=150)
    print(f"{accuracy:.1%} of {len(held_out)} held-out digits read correctly; saved {picture}")
    return {"accuracy": accuracy, "losses": losses, "cache": graph.cache_info(), "picture": picture}


if __name__ == "__main__":
    main()
