"""Rows for counts and histograms, covariances and correlations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case, answer, booleans, case, complexes, integers, positive, real, spaced, together

EDGES = np.array([-1.0, -0.2, 0.1, 2.0])


def _flat(*args: Any, **keywords: Any) -> Any:
    """The counts, and the edges one after another."""
    counts, edges = np.histogramdd(*args, **keywords)
    return (counts, *edges)


def counts() -> list[Case]:
    rows = [answer(np.bincount, integers(9, high=5)), answer(np.bincount, integers(0), minlength=2)]
    rows += [answer(np.bincount, booleans(4), minlength=4)]
    rows += [case(np.bincount, integers(9, high=5), real(9)), case(np.bincount, [0, 3, 3], real(3), 6)]
    rows += [case(np.histogram_bin_edges, spaced(*shape), 4) for shape in [(2, 3), (1,)]]
    rows += [case(np.histogram_bin_edges, spaced(9), "auto")]
    forms: list[dict[str, Any]] = [{"bins": 4}, {"bins": EDGES, "density": True}, {"bins": 3, "range": (-0.5, 0.7)}]
    forms += [{"bins": "sqrt", "density": True}]
    rows += [case(together(np.histogram, *forms), spaced(6), covers=np.histogram, single=False)]
    rows += [
        case(lambda x, w: np.histogram(x, 4, weights=w, density=True), spaced(6), positive(6), covers=np.histogram),
        case(np.histogram, real(2, 3), EDGES, weights=complexes(2, 3), independent=True),
        answer(np.histogram, integers(8), weights=integers(8), bins=[0, 3, 9]),
        case(_flat, real(5, 2), (2, EDGES), weights=positive(5), covers=np.histogramdd, single=False),
        case(_flat, [spaced(4), spaced(4)], 2, density=True, covers=np.histogramdd),
        case(np.histogram2d, spaced(6), spaced(6), [4, 2], weights=positive(6)),
        case(np.histogram2d, real(5), real(5), EDGES, independent=True, gradient="zero", single=False),
    ]
    return rows


FREQUENCIES, SHARES = np.array([1, 0, 2, 1, 3]), np.array([0.5, 1.0, 0.2, 0.7, 1.0])


def covariances() -> list[Case]:
    forms: list[dict[str, Any]] = [{}, {"bias": True}, {"ddof": 2}, {"fweights": FREQUENCIES}]
    forms += [{"fweights": FREQUENCIES, "aweights": SHARES}, {"aweights": SHARES, "ddof": 0}, {"dtype": "f8"}]
    rows = [case(together(np.cov, *forms), real(3, 5), covers=np.cov, single=False)]
    rows += [case(np.cov, real(5, 2), real(5, 1), rowvar=False, single=False)]
    rows += [case(np.cov, real(4), real(4), single=False)]
    rows += [case(np.cov, complexes(2, 4), aweights=positive(4), single=False), case(np.cov, real(4), single=False)]
    rows += [case(np.corrcoef, real(2, 5), single=False), case(np.corrcoef, complexes(2, 4), single=False)]
    rows += [case(np.corrcoef, real(4, 2), real(4), rowvar=False, single=False)]
    return rows


CASES = [*counts(), *covariances()]
