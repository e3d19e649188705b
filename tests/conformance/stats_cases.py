"""Rows for the distributions of ``scipy.stats``: all methods of one in a row, by all parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from . import case as cases
from .case import Case, Draw, composed, positive, real

# On the line, on its positive half, from 0 to 1, and from 1 on.
LINE, HALF, UNIT = real(3), positive(3, low=0.6, high=2.5), real(3, low=0.3, high=0.7)
SHAPE = positive(3, low=1.3, high=2.5)

# Distributions by where numbers are drawn from, and parameters.
CONTINUOUS: list[tuple[str, Draw, tuple[Any, ...]]] = [
    ("norm laplace logistic cauchy gumbel_r gumbel_l", LINE, ()),
    ("expon halfnorm halfcauchy rayleigh maxwell", HALF, ()),
    ("lognorm gamma chi2 weibull_min lomax invgamma invgauss", HALF, (SHAPE,)),
    ("t skewnorm gennorm vonmises", LINE, (SHAPE,)),
    ("beta", UNIT, (SHAPE, SHAPE)),
    ("f", HALF, (SHAPE, positive(3, low=2.5, high=4.0))),
    ("powerlaw", UNIT, (SHAPE,)),
    ("uniform", UNIT, ()),
    ("pareto", positive(3, low=1.6, high=3.0), (SHAPE,)),
    ("truncnorm", UNIT, (real(3, low=-2.0, high=-0.5), real(3, low=1.0, high=3.0))),
]
# By an integer, and what is no parameter that derivatives are taken by.
DISCRETE: list[tuple[str, tuple[Any, ...]]] = [
    ("poisson", (SHAPE,)),
    ("binom", (5, UNIT)),
    ("bernoulli", (UNIT,)),
    ("nbinom", (SHAPE, UNIT)),
    ("geom", (UNIT,)),
]
DENSITIES = ("logpdf", "pdf", "cdf", "sf", "logcdf", "logsf")
PROBABILITIES = ("logpmf", "pmf", "cdf", "sf", "logcdf", "logsf")
QUANTILES = ("ppf", "isf", "median")
MOMENTS = ("mean", "var", "std")
# Which have formulas for what.
DENSITY_ALONE = ("skewnorm", "gennorm", "vonmises")
NO_QUANTILES = (*DENSITY_ALONE, "invgauss", "truncnorm")
WITH_MOMENTS = ("norm", "expon", "uniform", "laplace", "logistic", "gamma", "chi2", "beta", "lognorm")
WITH_MOMENTS += ("poisson", "binom", "bernoulli", "geom")


def case(function: Callable[..., Any], *args: Any, **keywords: Any) -> Case:
    """A row; SciPy's distributions give double precision whatever they are given."""
    return cases.case(function, *args, single=False, **keywords)


def methods(name: str, names: tuple[str, ...]) -> tuple[Callable[..., Any], ...]:
    return tuple([getattr(getattr(stats, name), method) for method in names])


def rows(name: str, names: tuple[str, ...], *args: Any, **keywords: Any) -> Case:
    found = methods(name, names)
    return case(Together(name, found), *args, covers=found, **keywords)


class Together:
    """Some methods of one distribution, called together."""

    def __init__(self, name: str, functions: tuple[Callable[..., Any], ...]):
        self.__name__ = f"{name}.{functions[0].__name__}"
        self.functions = functions

    def __call__(self, *args: Any, **kwargs: Any) -> list[Any]:
        # SciPy takes no parameters of location by place if there are shapes to tell.
        return [function(*args, **kwargs) for function in self.functions]


def continuous() -> list[Case]:
    found = []
    for names, draw, shapes in CONTINUOUS:
        for name in names.split():
            wanted = DENSITIES[:2] if name in DENSITY_ALONE else DENSITIES
            found.append(rows(name, wanted, draw, *shapes, rtol=1e-5))
            if name not in NO_QUANTILES:
                some = QUANTILES[:2]
                found.append(rows(name, some, UNIT, *shapes, rtol=1e-5))
            if name in WITH_MOMENTS and shapes:
                found.append(rows(name, MOMENTS, *shapes))
    return found


def discrete() -> list[Case]:
    found = []
    for name, shapes in DISCRETE:
        found.append(rows(name, PROBABILITIES, [1, 1, 3] if name != "bernoulli" else [0, 0, 0], *shapes, rtol=1e-5))
        if name in WITH_MOMENTS:
            found.append(rows(name, MOMENTS, *shapes))
    return found


def placed() -> list[Case]:
    """By location and scale; outside of the support, and where parameters are invalid."""
    loc, scale = real(2, 1, low=-0.3, high=0.3), positive(3)
    found = [
        case(stats.norm.logpdf, LINE, loc, scale),
        case(stats.norm.cdf, np.array([0.5, -1.0, 2.0]), loc=loc, scale=scale),
        case(stats.norm.ppf, UNIT, loc=loc, scale=scale),
        case(stats.norm.median, loc, scale),
        case(stats.norm.mean, loc, scale),
        case(stats.norm.std, [[0.5], [1.0]], scale),
        case(stats.uniform.logpdf, UNIT, loc=real(low=-0.2, high=0.2), scale=positive(low=1.5)),
        case(stats.gamma.median, SHAPE, loc=1.0, scale=scale),
        case(stats.gamma.pdf, np.array([2.0, -1.0, 3.0]), SHAPE, scale=scale),
        case(stats.expon.sf, real(3, low=-3.0, high=-1.0), gradient="zero"),
        case(stats.beta.cdf, np.array([0.5, 2.0, -1.0]), SHAPE, SHAPE),
        case(stats.t.logpdf, real(2, 3), 3, loc=real(3)),
        case(stats.poisson.pmf, [2, -1, 4], SHAPE, loc=1),
        case(stats.bernoulli.pmf, [1, 0, 1], UNIT),
        case(stats.binom.pmf, [2, 1, 7], 5, UNIT),
        case(frozen, LINE, real(), positive(), covers=stats.norm.logpdf),
        case(frozen_gamma, HALF, SHAPE, covers=stats.gamma.logpdf),
    ]
    return found


def frozen(x: Any, loc: Any, scale: Any) -> list[Any]:
    distribution = stats.norm(loc, scale=scale)
    return [distribution.logpdf(x), distribution.sf(x), distribution.ppf(0.3), distribution.var()]


def frozen_gamma(x: Any, a: Any) -> Any:
    return stats.gamma(a, scale=2.0).logpdf(x)


# --- of vectors ------------------------------------------------------------------------------------------------------


def covariance(n: int) -> Draw:
    return Draw((n, n), "invertible", -0.5, 0.5)


def of_normal(x: Any, mean: Any, cov: Any) -> list[Any]:
    # SciPy looks at both triangles, and asks for symmetry.
    cov = (cov + cov.T) / 2
    normal = stats.multivariate_normal
    return [normal.logpdf(x, mean, cov), normal.pdf(x, mean=mean, cov=cov), normal(mean, cov).logpdf(x)]


def of_whole(x: Any, alpha: Any) -> list[Any]:
    return [stats.dirichlet.logpdf(x, alpha), stats.dirichlet.pdf(x, alpha), stats.dirichlet(alpha).logpdf(x)]


def of_counts(p: Any) -> list[Any]:
    x, p = [[1, 2, 0], [1, 1, 1]], p / np.sum(p)
    return [stats.multinomial.logpmf(x, 3, p), stats.multinomial.pmf(x[0], 3, p)]


def vectors() -> list[Case]:
    normal, dirichlet, multinomial = stats.multivariate_normal, stats.dirichlet, stats.multinomial
    both = (normal.logpdf, normal.pdf)
    return [
        case(of_normal, real(3), real(3), covariance(3), covers=both),
        case(of_normal, real(2, 4, 2), np.zeros(2), covariance(2), covers=both),
        case(normal.logpdf, real(4), positive(), positive()),
        case(normal.logpdf, real(4, 3), real(3), 2.0),
        case(normal.logpdf, real(3), [0.0, 1.0, 0.5], positive(3)),
        case(normal.entropy, np.zeros(3), cov=positive(3)),
        case(of_whole, real(2, low=0.2, high=0.4), positive(3), covers=(dirichlet.logpdf, dirichlet.pdf)),
        case(dirichlet.logpdf, real(2, 4, low=0.2, high=0.4), positive(3)),
        case(of_counts, real(3, low=0.2, high=0.4), covers=(multinomial.logpmf, multinomial.pmf)),
    ]


CASES: list[Case] = composed([*continuous(), *discrete(), *placed(), *vectors()])
