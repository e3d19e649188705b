"""Higher derivatives: a function and its first three derivatives, drawn one below the other."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import autodiff as ad


def main(argv=None):
    """Draw the curves, save the picture, and return them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
    parser.add_argument("--show", action="store_true", help="open the picture in a window too")
    args = parser.parse_args(argv)

    a = ad.Tensor(np.arange(-2, 2, 0.01), dtype="float64")
    d = np.sin((a**2) * np.tanh(a))
    g = ad.Graph()
    g.add_variables(a)

    # Each has a scale of its own: the third derivative is a hundred times as large as the function.
    figure, panels = plt.subplots(4, 1, sharex=True, figsize=(7, 7), layout="constrained")
    panels[0].plot(a._i, d._i, color="0.3")
    panels[0].set(ylabel="f(x)", title="f(x) = sin(x² tanh x), and its derivatives")
    derivatives = []
    for i in range(3):
        derivatives.append(g.gradient(d, [a], i + 1)[0])
        panels[i + 1].plot(a._i, derivatives[i], color=f"C{i}")
        panels[i + 1].set(ylabel=f"f{(i + 1) * '′'}(x)")
    panels[-1].set(xlabel="x", xlim=(-2, 2))

    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "higher_derivatives.png"
    figure.savefig(picture, dpi=150)
    print(f"saved {picture}")
    if args.show:
        plt.show()
    return {"x": a._i, "function": d._i, "derivatives": derivatives, "picture": picture}


if __name__ == "__main__":
    main()
