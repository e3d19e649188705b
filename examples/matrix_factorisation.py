"""Fill in missing pixels of handwritten digits: a factorisation of few numbers an image, and principal components."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from tqdm import tqdm

import autodiff as ad

PARTS = 20  # numbers an image
MISSING = 0.3  # of all pixels
RIDGE = 3.0  # how much large factors cost


def load(rng):
    """Return images in rows, from 0 to 1, and which of their pixels are known."""
    images = load_digits().data / 16
    return images, rng.random(images.shape) > MISSING


def loss(factors, images, known):
    """Return the squared error of known pixels, and what the size of the factors costs."""
    weights, parts = factors
    errors = np.where(known, weights @ parts - images, 0.0)
    return 0.5 * np.sum(errors**2) + 0.5 * RIDGE * (np.sum(weights**2) + np.sum(parts**2))


def principal_components(images, known):
    """Return images of the first principal components, where missing pixels are at first their mean."""
    mean = np.sum(np.where(known, images, 0), axis=0) / np.maximum(np.sum(known, axis=0), 1)
    centred = np.where(known, images - mean, 0)
    u, s, vh = np.linalg.svd(centred, full_matrices=False)
    return (u[:, :PARTS] * s[:PARTS]) @ vh[:PARTS] + mean


def draw(axes, title, images):
    """Draw the first images side by side."""
    axes.imshow(np.hstack([image.reshape(8, 8) for image in images]), cmap="gray_r", vmin=0, vmax=1)
    axes.set_title(title, loc="left")
    axes.axis("off")


def main(argv=None):
    """Factorise, report the error of pixels that were missing, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200, help="iterations of L-BFGS at most")
    args = parser.parse_args(argv)

    rng = np.random.default_rng(args.seed)
    images, known = load(rng)
    shapes = [(len(images), PARTS), (PARTS, images.shape[1])]
    sizes = [rows * columns for rows, columns in shapes]
    value_and_grad = ad.function(ad.value_and_grad(loss))

    def objective(vector):
        factors = [part.reshape(shape) for part, shape in zip(np.split(vector, sizes[:1]), shapes, strict=True)]
        value, gradients = value_and_grad(factors, images, known)
        return value, np.concatenate([gradient.ravel() for gradient in gradients])

    start = rng.normal(0, 0.3, sum(sizes))
    with tqdm(total=args.steps, unit="step") as progress:
        fit = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": args.steps},
            callback=lambda _: progress.update(),
        )
    weights, parts = (part.reshape(shape) for part, shape in zip(np.split(fit.x, sizes[:1]), shapes, strict=True))
    filled, simple = weights @ parts, principal_components(images, known)
    errors = [float(np.sqrt(np.mean((found - images)[~known] ** 2))) for found in (simple, filled)]

    figure, rows = plt.subplots(4, 1, figsize=(9, 5.2), layout="constrained")
    draw(rows[0], "Known pixels, from 0 (white) to 1 (black)", np.where(known, images, 0.0)[:12])
    draw(rows[1], f"Principal components: root mean square error of missing pixels {errors[0]:.3f}", simple[:12])
    draw(
        rows[2],
        f"Factorisation of what is known: root mean square error of missing pixels {errors[1]:.3f}",
        filled[:12],
    )
    draw(rows[3], "All pixels", images[:12])
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "matrix_factorisation.png"
    figure.savefig(picture, dpi=150)
    print(f"error of missing pixels: {errors[0]:.3f} by components, {errors[1]:.3f} by factors; saved {picture}")
    return {"components": errors[0], "factors": errors[1], "picture": picture}


if __name__ == "__main__":
    main()
