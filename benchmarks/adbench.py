"""Readers of ADBench's input files (see ``data/README.md``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

DATA = Path(__file__).resolve().parent / "data"

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mixture:
    """A Gaussian mixture: K components, n points in d dimensions.

    Parameters
    ----------
    alphas : ndarray, shape (K,)
    means : ndarray, shape (K, d)
    factors : ndarray, shape (K, d + d * (d - 1) // 2)
        Logarithms of the diagonals, then the columns below them.
    points : ndarray, shape (n, d)
    gamma : float
    m : int
        Of the Wishart prior.
    """

    alphas: Floats
    means: Floats
    factors: Floats
    points: Floats
    gamma: float
    m: int


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A recurrent network on characters of b bits, with l layers.

    Parameters
    ----------
    gates : ndarray, shape (2 * l, 4 * b)
        A weight and a bias for each layer.
    output : ndarray, shape (3, b)
    states : ndarray, shape (2 * l, b)
        A hidden state and a cell for each layer.
    sequence : ndarray, shape (characters, b)
    """

    gates: Floats
    output: Floats
    states: Floats
    sequence: Floats


@dataclass(frozen=True, slots=True)
class Bundle:
    """Observations of points by cameras.

    Parameters
    ----------
    cameras : ndarray, shape (n, 11)
    points : ndarray, shape (m, 3)
    weights : ndarray, shape (p,)
    features : ndarray, shape (p, 2)
        Where each observation is seen.
    observed : ndarray of int, shape (p, 2)
        The camera and the point of each.
    """

    cameras: Floats
    points: Floats
    weights: Floats
    features: Floats
    observed: npt.NDArray[np.int64]


def read_bundle(name: str) -> Bundle:
    """Read a bundle from the file of that name: all cameras are alike, and so are points, weights and features."""
    rows = _rows(name)
    n, m, p = (int(word) for word in rows[0])
    camera, point, weight, feature = (np.array(row, np.float64) for row in rows[1:5])
    each = np.arange(p)
    observed = np.stack([each % n, each % m], axis=1)
    return Bundle(
        np.tile(camera, (n, 1)), np.tile(point, (m, 1)), np.tile(weight, p), np.tile(feature, (p, 1)), observed
    )


def read_mixture(name: str) -> Mixture:
    """Read a mixture from the file of that name."""
    rows = _rows(name)
    d, K, n = (int(word) for word in rows[0])
    blocks = np.split(np.arange(1, 1 + 3 * K + n), [K, 2 * K, 3 * K])
    alphas, means, factors, points = (np.array([rows[i] for i in block], np.float64) for block in blocks)
    assert points.shape == (n, d), f"{name}: {points.shape} is not the announced ({n}, {d})"
    gamma, m = rows[-1]
    return Mixture(alphas[:, 0], means, factors, points, float(gamma), int(m))


def read_recurrent(name: str) -> Recurrent:
    """Read a recurrent network from the file of that name."""
    rows = _rows(name)
    layers, characters, bits = (int(word) for word in rows[0])
    blocks = np.split(np.arange(1, len(rows)), np.cumsum([2 * layers, 3, 2 * layers]))
    gates, output, states, sequence = (np.array([rows[i] for i in block], np.float64) for block in blocks)
    assert sequence.shape == (characters, bits), f"{name}: {sequence.shape} is not ({characters}, {bits})"
    return Recurrent(gates, output, states, sequence)


def _rows(name: str) -> list[list[str]]:
    """The words of each line that has any."""
    lines = (DATA / name).read_text().splitlines()
    return [words for line in lines if (words := line.split())]
