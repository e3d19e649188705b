"""Plot a function and its first three derivatives."""

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

    plt.plot(d._i)
    labels = ["function"]
    derivatives = []
    for i in range(3):
        derivatives.append(g.gradient(d, [a], i + 1)[0])
        plt.plot(derivatives[i])
        labels.append(f"derivative {i + 1}")
    plt.legend(labels)

    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / "higher_derivatives.png"
    plt.savefig(picture, dpi=150)
    print(f"saved {picture}")
    if args.show:
        plt.show()
    plt.close()
    return {"x": a._i, "function": d._i, "derivatives": derivatives, "picture": picture}


if __name__ == "__main__":
    main()
