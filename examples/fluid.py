"""Stir smoke into a digit: the flow at the beginning is found by the gradient through a simulation of a fluid."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from tqdm import tqdm

import autodiff as ad

CELLS = 32  # of a square that is closed to a torus, along each side
STEPS = 20
SMOOTH = 1e-6  # how much fast changes of the flow cost


def load(digit):
    """Return a square with a digit in its middle, from 0 to 1."""
    digits = load_digits()
    image = digits.images[np.flatnonzero(digits.target == digit)[0]] / 16
    enlarged = np.kron(image, np.ones((3, 3)))
    margin = (CELLS - len(enlarged)) // 2
    return np.pad(enlarged, margin)


def project(vx, vy):
    """Return the part of a flow that neither begins nor ends anywhere: what a fluid that keeps its volume may do."""
    kx, ky = np.fft.fftfreq(CELLS)[:, np.newaxis], np.fft.fftfreq(CELLS)[np.newaxis, :]
    square = kx**2 + ky**2
    square[0, 0] = 1.0
    fx, fy = np.fft.fft2(vx), np.fft.fft2(vy)
    along = (kx * fx + ky * fy) / square
    return np.real(np.fft.ifft2(fx - kx * along)), np.real(np.fft.ifft2(fy - ky * along))


def advect(field, vx, vy):
    """Return a field that a flow has carried for one step: each cell gets what was where its content came from."""
    rows, columns = np.meshgrid(np.arange(CELLS), np.arange(CELLS), indexing="ij")
    x, y = rows - vx, columns - vy
    left, top = np.floor(x), np.floor(y)
    right, below = x - left, y - top
    i, j = left.astype(int) % CELLS, top.astype(int) % CELLS
    k, n = (i + 1) % CELLS, (j + 1) % CELLS
    return (
        (1 - right) * (1 - below) * field[i, j]
        + (1 - right) * below * field[i, n]
        + right * (1 - below) * field[k, j]
        + right * below * field[k, n]
    )


def simulate(vx, vy, smoke):
    """Yield the smoke after each step."""
    vx, vy = project(vx, vy)
    for _ in range(STEPS):
        vx, vy = project(advect(vx, vx, vy), advect(vy, vx, vy))
        smoke = advect(smoke, vx, vy)
        yield smoke


def loss(flow, smoke, target):
    """Return how far the smoke is from the target at the end, and what fast changes of the flow cost."""
    *_, last = simulate(flow[0], flow[1], smoke)
    rough = np.sum((flow - np.roll(flow, 1, 1)) ** 2) + np.sum((flow - np.roll(flow, 1, 2)) ** 2)
    return np.mean((last - target) ** 2) + SMOOTH * rough


def main(argv=None):
    """Find the flow, report how near the smoke comes, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    parser.add_argument("--steps", type=int, default=150, help="iterations of L-BFGS at most")
    parser.add_argument("--digit", type=int, default=3)
    args = parser.parse_args(argv)

    target = load(args.digit)
    # A square with as much smoke as the digit has: the flow moves it, and makes none.
    side = round(np.sqrt(np.sum(target)))
    begin = (CELLS - side) // 2
    smoke = np.pad(np.ones((side, side)), (begin, CELLS - side - begin))
    value_and_grad = ad.value_and_grad(loss)
    losses = []

    def objective(vector):
        value, gradient = value_and_grad(vector.reshape(2, CELLS, CELLS), smoke, target)
        losses.append(float(value))
        return losses[-1], gradient.ravel()

    start = 0.01 * np.random.default_rng(0).standard_normal(2 * CELLS**2)
    with tqdm(total=args.steps, unit="step") as progress:
        fit = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": args.steps},
            callback=lambda _: progress.update(),
        )
    flow = fit.x.reshape(2, CELLS, CELLS)
    frames = [smoke, *simulate(flow[0], flow[1], smoke)]

    shown = [0, STEPS // 4, STEPS // 2, 3 * STEPS // 4, STEPS]
    figure, panels = plt.subplots(1, len(shown) + 1, figsize=(12, 2.6), layout="constrained")
    for axes, step in zip(panels, shown, strict=False):
        shading = axes.imshow(frames[step], cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(f"step {step}")
    panels[-1].imshow(target, cmap="gray_r", vmin=0, vmax=1)
    panels[-1].set_title("wanted")
    for axes in panels:
        axes.axis("off")
    figure.colorbar(shading, ax=panels, label="smoke", shrink=0.7, pad=0.01)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "fluid.png"
    figure.savefig(picture, dpi=150)
    print(f"mean squared error {losses[0]:.4f} at first, {fit.fun:.4f} after {fit.nit} steps; saved {picture}")
    return {"losses": losses, "last": fit.fun, "frames": frames, "picture": picture}


if __name__ == "__main__":
    main()
