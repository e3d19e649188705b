"""Rows for medians, quantiles, and reductions of those elements that are numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff.numpy_api.quantiles import METHODS

from .case import Case, answer, booleans, case, complexes, integers, positive, spaced, together

WEIGHTS = np.array([1.0, 0.0, 2.0, 1.5])
FORMS: list[dict[str, Any]] = [
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 1)},
    {"axis": (2, 0), "keepdims": True},
]


def medians() -> list[Case]:
    rows = [case(np.median, spaced(*shape)) for shape in [(), (4,), (2, 3)]]
    rows += [case(together(np.median, *FORMS), spaced(2, 3, 2), covers=np.median)]
    rows += [case(np.median, spaced(3, 0), axis=0), case(np.median, complexes(4))]
    rows += [answer(np.median, integers(5)), answer(np.median, booleans(4))]
    return rows


def quantiles() -> list[Case]:
    methods = list(METHODS)
    if np.lib.NumpyVersion(np.__version__) < "2.1.0":
        # It takes another one of two that are as near.
        methods.remove("closest_observation")
    every = [{"q": [0, 0.3, 0.61, 1.0], "method": method} for method in methods]
    forms = [{"q": 0.3, **form} for form in FORMS] + [{"q": [[0.2], [0.7]], "axis": 1, "keepdims": True}]
    rows = [case(together(np.quantile, *every), spaced(5), covers=np.quantile, single=False)]
    rows += [case(together(np.quantile, *forms), spaced(2, 3, 2), covers=np.quantile, single=False)]
    rows += [case(np.quantile, spaced(), 0.4), case(np.quantile, spaced(3, 0), 0.5, 0)]
    # By q, too, away from where it meets an element.
    some = [{"method": method} for method in ("linear", "hazen")]
    rows += [case(together(np.quantile, *some), spaced(6), positive(low=0.63, high=0.77), covers=np.quantile)]
    rows += [answer(np.quantile, integers(5), 1), answer(np.quantile, booleans(5), 0.5, method="lower")]
    rows += [case(np.percentile, spaced(2, 3), 35, axis=0), case(np.percentile, spaced(4), [20.0, 100], single=False)]
    weighted: dict[str, Any] = {"method": "inverted_cdf", "single": False}
    rows += [
        case(np.quantile, spaced(3, 4), [0, 0.4, 1], axis=1, weights=WEIGHTS, **weighted),
        case(np.percentile, spaced(2, 4), 40, weights=positive(2, 4), **weighted),
    ]
    return rows


HOLES = np.array([[True, False, False, False], [False, False, True, False], [False] * 4])


def holed(function: Callable[..., Any], *args: Any, forms: Any = ({},), gradient: str = "smooth", **about: Any) -> Case:
    """A row for a function of an array with NaN in some places, with each of several sets of keywords."""
    call = together(function, *forms)

    def with_holes(x: Any, *rest: Any) -> Any:
        return call(np.where(HOLES, np.nan, x), *rest)

    with_holes.__name__ = call.__name__
    return case(with_holes, *args, covers=function, gradient=gradient, **about)


AXES: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}]
CHOSEN = np.array([True, False, True, True])
STARTS = [{"initial": 0.02, "axis": 0}, {"initial": 0.02, "where": CHOSEN}, {"initial": 2.0, "keepdims": True}]
FREE = [{"ddof": 1, "axis": 1}, {"correction": 1}, {"where": CHOSEN, "axis": 1}]


def nans() -> list[Case]:
    x = spaced(3, 4)
    more: dict[Any, list[dict[str, Any]]] = {
        np.nansum: [{"dtype": "f8", "axis": 1}, *STARTS],
        np.nanprod: STARTS,
        np.nanmean: [{"axis": 0, "where": np.array([[False], [True], [True]])}],
        np.nanvar: FREE,
        np.nanstd: FREE[:1],
        np.nanmax: STARTS,
        np.nanmin: STARTS[:1],
        np.nanmedian: [],
    }
    rows = [holed(f, x, forms=[*AXES, *keywords], single=False) for f, keywords in more.items()]
    rows += [answer(f, integers(3)) for f in more] + [case(f, spaced(), single=f is np.nansum) for f in more]
    rows += [holed(f, complexes(3, 4), forms=[{"axis": 1}]) for f in (np.nanprod, np.nanvar, np.nanmedian)]
    for f in (np.nanargmax, np.nanargmin):
        rows += [holed(f, x, forms=AXES, gradient="none"), answer(f, integers(4))]
    rows += [holed(f, x, forms=[{"axis": axis} for axis in (None, 0, 1)]) for f in (np.nancumsum, np.nancumprod)]
    numbers = [{"q": 0.3, "axis": 1}, {"q": [0.2, 0.7], "axis": 0}, {"q": 0.4, "keepdims": True}]
    numbers += [{"q": 0.4, "axis": 0, "method": m} for m in ("weibull", "nearest", "closest_observation", "midpoint")]
    numbers += [{"q": 0.4, "axis": 1, "method": "inverted_cdf", "weights": np.arange(12.0).reshape(3, 4)}]
    rows += [holed(np.nanquantile, x, forms=numbers, single=False)]
    rows += [holed(np.nanpercentile, x, positive(low=41, high=45), forms=[{"axis": (0, 1)}])]
    return rows


CASES = [*medians(), *quantiles(), *nans()]
