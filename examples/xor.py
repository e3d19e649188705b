"""The exclusive or: the smallest network, taught step by step."""

import argparse

import numpy as np

import autodiff as ad


def main(argv=None):
    """Train the network and return its predictions and the gradient cache's counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--seed", type=int, help="for the same weights every time")
    parser.add_argument("--verbose", action="store_true", help="print the error of every step")
    args = parser.parse_args(argv)
    np.random.seed(args.seed)

    g = ad.Graph()
    X = ad.Tensor([[[0], [0]], [[0], [1]], [[1], [0]], [[1], [1]]], dtype="float64")
    Y = ad.Tensor([[0], [1], [1], [0]], dtype="float64")
    W1 = ad.Tensor(np.random.rand(160, 2), dtype="float64")
    B1 = ad.Tensor(np.random.rand(160, 1), dtype="float64")
    W2 = ad.Tensor(np.random.rand(1, 160), dtype="float64")
    B2 = ad.Tensor(np.random.rand(1, 1), dtype="float64")

    def forward(x):
        Z1 = np.matmul(W1, x) + B1
        A1 = np.tanh(Z1)
        Z2 = np.matmul(W2, A1) + B2
        return Z2

    for _ in range(args.epochs):
        for x, y in zip(X, Y):
            parameters = [W1, B1, W2, B2]
            g.add_variables(*parameters, x, y)
            Z2 = forward(x)
            E = (y - Z2) ** 2
            if args.verbose:
                print(E)
            for param, gradient in zip(parameters, g.gradient(E, parameters)):
                param.assign(param._i - (0.01 * gradient))

    predictions = [forward(x)._i.item() for x in X]
    for (first, second), prediction in zip([(0, 0), (0, 1), (1, 0), (1, 1)], predictions):
        print(f"{first} xor {second} = {prediction:.4f}")
    return {"predictions": predictions, "cache": g.cache_info()}


if __name__ == "__main__":
    main()
