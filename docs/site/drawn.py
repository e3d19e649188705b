"""The drawings of the pages and of the README: ``python -m docs.site.drawn`` where llvmlite and SciPy are installed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy import optimize

import autodiff as ad

PICTURES = Path(__file__).parents[1] / "pictures"
PROGRAM = """\
import autodiff as ad
import numpy as np

def f(x):
    return np.sin(x**2 * np.tanh(x))

ad.grad(f)(1.0)
ad.nth_derivative(f, 3)(x)"""


def derivatives() -> Figure:
    """A program, and what it draws."""
    figure = plt.figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.35])
    left.text(0.04, 0.52, PROGRAM, family="monospace", fontsize=10.5, va="center", linespacing=1.5)
    _curves(right)
    return figure


def curves() -> Figure:
    """The same without the program."""
    figure = plt.figure(figsize=(5.4, 4.4), layout="constrained")
    _curves(figure)
    return figure


def _curves(figure: Any) -> None:
    """A function, and its first three derivatives."""

    def f(x):
        return np.sin(x**2 * np.tanh(x))

    x = np.linspace(-2, 2, 500)
    drawn = {"f(x)": f(x)}
    for n, name in enumerate(["f′(x)", "f″(x)", "f‴(x)"], 1):
        drawn[name] = ad.nth_derivative(f, n)(x)
    panels = figure.subplots(4, 1, sharex=True)
    for axes, (name, curve), colour in zip(panels, drawn.items(), ["0.25", "C0", "C1", "C2"], strict=True):
        axes.axhline(0, color="0.85", linewidth=0.8)
        axes.plot(x, curve, color=colour)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set(xlabel="x", xlim=(-2, 2))


def scipy() -> Figure:
    """What derivatives save a solver of SciPy."""

    def rosenbrock(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    value_and_grad, product = ad.value_and_grad(rosenbrock), ad.hvp(rosenbrock)
    start = np.zeros(50)
    ways = {
        "differences of SciPy, BFGS": ("BFGS", {}, "0.5"),
        "ad.value_and_grad, BFGS": ("BFGS", {"jac": True}, "C0"),
        "ad.value_and_grad and ad.hvp, trust-krylov": ("trust-krylov", {"jac": True, "hessp": product}, "C1"),
    }
    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    for name, (method, keywords, colour) in ways.items():
        best, calls = [np.inf], [0]

        def evaluated(x, keywords=keywords, best=best, calls=calls):
            value, gradient = value_and_grad(x)
            best.append(min(best[-1], float(value)))
            calls.append(calls[-1] + 1)
            return (value, gradient) if "jac" in keywords else float(value)

        def multiplied(x, v, best=best, calls=calls):
            best.append(best[-1])
            calls.append(calls[-1] + 1)
            return product(x, v)

        if "hessp" in keywords:
            keywords = keywords | {"hessp": multiplied}
        optimize.minimize(evaluated, start, method=method, **keywords)
        axes.loglog(calls[1:], np.maximum(best[1:], 1e-16), color=colour, label=name)
    axes.set(
        xlabel="evaluations of the function, with its gradient or a Hessian product",
        ylabel="best value so far",
        title="Rosenbrock's function of 50 variables",
    )
    axes.legend(frameon=False)
    return figure


def kink() -> Figure:
    """What is chosen where there is no derivative."""
    x = np.linspace(-1, 1, 201)
    figure, panels = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
    for axes, (name, f) in zip(panels, {"|x|": np.abs, "max(x, 0)": lambda x: np.maximum(x, 0)}.items(), strict=True):
        slope = ad.elementwise_grad(f)
        axes.plot(x, f(x), color="0.6", label=name)
        for side in (x < 0, x > 0):
            axes.plot(x[side], slope(x[side]), color="C0", label="its derivative" if side[0] else None)
        axes.plot(0, slope(np.zeros(1)), "o", color="C0", label="what is chosen at 0")
        axes.set(xlabel="x", xlim=(-1, 1), ylim=(-1.2, 2.4))
        axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def tiers() -> Figure:
    """The time of each call, while machine code is compiled behind the calls, and after it took over."""

    def loss(w, x):
        for _ in range(10):
            x = np.tanh(w @ x)
        return np.sum(x * x)

    w, x = np.eye(8) / 2, np.ones(8)
    curves = {}
    for name, backend in {"default": None, 'backend="numpy"': "numpy"}.items():
        slope = ad.function(ad.grad(loss), backend=backend) if backend else ad.function(ad.grad(loss))
        times, begin = [], time.perf_counter()
        while not times or times[-1][0] < 4:
            before = time.perf_counter()
            slope(w, x)
            after = time.perf_counter()
            times.append((after - begin, after - before))
        curves[name] = np.array(times).T
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    for (name, (since, took)), colour in zip(curves.items(), ["C1", "0.6"], strict=True):
        edges = np.geomspace(since[0] * 0.999, since[-1], 80)
        bins = np.digitize(since, edges)
        # A median of few calls tells what else the machine did.
        there = [b for b, calls in enumerate(np.bincount(bins)) if calls > 20]
        axes.loglog(
            [np.median(since[bins == b]) for b in there],
            [1e6 * np.median(took[bins == b]) for b in there],
            color=colour,
            label=name,
        )
    axes.set(
        xlabel="time since the first call [s]",
        ylabel="time of a call [µs]",
        title="Gradient of a small recurrent network, call by call",
        yticks=[1, 2, 5, 10, 20, 50],
    )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.legend(frameon=False)
    return figure


def xor() -> Figure:
    """What a network learned of the exclusive or."""
    rng = np.random.default_rng(0)
    inputs, targets = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    layers = [ad.Tensor(rng.normal(size=shape)) for shape in [(2, 16), (16,), (16, 1), (1,)]]

    def forward(x):
        return np.tanh(x @ layers[0] + layers[1]) @ layers[2] + layers[3]

    graph, optimizer = ad.Graph(), ad.optim.Adam(layers, 0.01)
    for _ in range(1_000):
        optimizer.step(graph.gradient(np.mean((forward(inputs) - targets) ** 2), layers))
    side = np.linspace(-0.25, 1.25, 100)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    figure, axes = plt.subplots(figsize=(4.6, 3.6), layout="constrained")
    shown = axes.contourf(side, side, forward(grid).value.reshape(100, 100), levels=20, cmap="RdBu_r")
    axes.scatter(*inputs.T, c=targets[:, 0], cmap="RdBu_r", edgecolors="black", s=60)
    axes.set(xlabel="first input", ylabel="second input", aspect="equal")
    figure.colorbar(shown, label="what the network says")
    return figure


DRAWINGS = {
    "derivatives.svg": derivatives,
    "curves.svg": curves,
    "scipy.svg": scipy,
    "kink.svg": kink,
    "tiers.svg": tiers,
    "xor.png": xor,
}

if __name__ == "__main__":
    # Letters are outlines, so that a picture is the same with other fonts; nothing is of the day.
    with mpl.rc_context({"svg.hashsalt": "autodiff", "svg.fonttype": "path"}):
        for name, draw in DRAWINGS.items():
            metadata = {"Date": None} if name.endswith("svg") else None
            draw().savefig(PICTURES / name, dpi=110, metadata=metadata)
