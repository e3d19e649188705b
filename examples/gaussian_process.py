"""Fit a Gaussian process to patients: how their diabetes progresses, by body mass index and blood pressure."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes

import autodiff as ad

NAMES = ("body mass index [kg/m²]", "mean blood pressure [mmHg]")
COLUMNS = (2, 3)  # of the data


def load():
    """Return body mass index and blood pressure, shape (442, 2), and the progression one year later."""
    data = load_diabetes(scaled=False)
    return data.data[:, COLUMNS], data.target


def kernel(a, b, scale, lengths):
    """Return covariances of smooth functions at points a and b: large where points are near."""
    differences = (a[:, np.newaxis] - b) / lengths
    return scale**2 * np.exp(-0.5 * np.sum(differences**2, axis=-1))


def parts(logarithms):
    """Return the size of the function, the length over which it changes along each axis, and the noise."""
    scale, *lengths, noise = np.exp(logarithms)
    return scale, np.stack(lengths), noise


def negative_log_likelihood(logarithms, points, values):
    """Return that of the values, for the logarithms of all parameters."""
    scale, lengths, noise = parts(logarithms)
    covariance = kernel(points, points, scale, lengths) + noise**2 * np.eye(len(points))
    factor = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(factor, values)
    return 0.5 * np.sum(whitened**2) + np.sum(np.log(np.diagonal(factor))) + 0.5 * len(values) * np.log(2 * np.pi)


def predict(logarithms, points, values, wanted):
    """Return the mean and the standard deviation of the function at other points."""
    scale, lengths, noise = parts(np.asarray(logarithms))
    covariance = kernel(points, points, scale, lengths) + noise**2 * np.eye(len(points))
    between = kernel(wanted, points, scale, lengths)
    mean = between @ np.linalg.solve(covariance, values)
    variance = scale**2 - np.sum(between * np.linalg.solve(covariance, between.T).T, axis=1)
    return mean, np.sqrt(variance)


def main(argv=None):
    """Fit the parameters, report them, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    args = parser.parse_args(argv)

    raw, progression = load()
    centre, spread = raw.mean(axis=0), raw.std(axis=0)
    points, middle = (raw - centre) / spread, progression.mean()
    values = progression - middle

    likelihood = ad.function(ad.value_and_grad(negative_log_likelihood))
    start = np.log(np.array([values.std(), 1.0, 1.0, values.std()]))
    fit = minimize(likelihood, start, args=(points, values), jac=True, method="L-BFGS-B")
    scale, *lengths, noise = np.exp(fit.x)

    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)
    for axis, (axes, name) in enumerate(zip(panels, NAMES, strict=True)):
        along = np.zeros((100, 2))
        along[:, axis] = np.linspace(points[:, axis].min(), points[:, axis].max(), 100)
        mean, deviation = predict(fit.x, points, values, along)
        x = along[:, axis] * spread[axis] + centre[axis]
        axes.plot(raw[:, axis], progression, "o", color="0.7", markersize=2.5, label="a patient")
        axes.plot(x, mean + middle, color="C0", label="expected, the other at its mean")
        low, high = mean + middle - 1.96 * deviation, mean + middle + 1.96 * deviation
        axes.fill_between(x, low, high, color="C0", alpha=0.2, linewidth=0, label="95 % of its probability")
        axes.set(xlabel=name)
    panels[0].set(ylabel="progression of the disease [score]")
    panels[0].legend(loc="upper left", framealpha=0.9)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "gaussian_process.png"
    figure.savefig(picture, dpi=150)
    for name, length, unit in zip(NAMES, lengths, spread, strict=True):
        print(f"changes over {length * unit:.1f} of {name}")
    print(f"size {scale:.1f}, noise {noise:.1f}, log-likelihood {-fit.fun:.2f} after {fit.nit} steps; saved {picture}")
    return {"parameters": fit.x, "log_likelihood": -fit.fun, "gradient": fit.jac, "picture": picture}


if __name__ == "__main__":
    main()
