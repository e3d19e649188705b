"""The elementary functions of compiled loops, evaluated by NumPy: against 60 digits of mpmath, and special values."""

import mpmath
import numpy as np
import pytest
from scipy import special

from autodiff_backends.loops.elementary import LARGEST_ANGLE
from autodiff_backends.loops.evaluation import Evaluated
from autodiff_backends.loops.functions import FUNCTIONS, LIMITED, SINGLE, function_of

# Where each function is tried; in single precision what fits of it.
RANGES = {
    "exp": [(-745, 709.7), (-1, 1), (-1e-8, 1e-8)],
    "exp2": [(-1074, 1023.9), (-1, 1), (-1e-8, 1e-8)],
    "expm1": [(-40, 700), (-0.6, 0.6), (-1e-8, 1e-8)],
    "log": [(0.5, 2), (1 - 1e-6, 1 + 1e-6), (1e-310, 1e-300), (1e300, 1.7e308)],
    "log1p": [(-0.999, 5), (-1e-4, 1e-4), (1e10, 1e300)],
    "tanh": [(-25, 25), (-1, 1), (-1e-4, 1e-4)],
    "tanh_slope": [(-300, 300), (-1, 1)],
    "sinh": [(-710, 710), (-1, 1), (-25, 25), (-1e-8, 1e-8)],
    "cosh": [(-710, 710), (-1, 1), (-25, 25)],
    "logistic": [(-700, 700), (-1, 1)],
    "arctan": [(-10, 10), (-1, 1), (-1e10, 1e10), (0.6, 0.7), (2.3, 2.5)],
    "sin": [(-10, 10), (-65_000, 65_000), (-1e-4, 1e-4)],
    "cos": [(-10, 10), (-65_000, 65_000), (-1e-4, 1e-4)],
    "tan": [(-10, 10), (-65_000, 65_000), (-1e-4, 1e-4)],
    "arcsin": [(-1, 1), (-1e-4, 1e-4), (0.999, 1)],
    "arccos": [(-1, 1), (-1e-4, 1e-4), (0.999, 1), (-1, -0.999)],
    "arcsinh": [(-10, 10), (-1e-4, 1e-4), (-1e300, 1e300)],
    "arccosh": [(1, 10), (1, 1.001), (1e5, 1e300)],
    "arctanh": [(-1, 1), (-1e-4, 1e-4), (0.999, 1)],
    "cbrt": [(-10, 10), (-1e-300, 1e-300), (-1e300, 1e300), (1e-320, 1e-310)],
    "erf": [(-1, 1), (-6, 6), (1.2, 3), (-1e-4, 1e-4)],
    "erfc": [(-1, 1), (-6, 26), (1.2, 3), (-1e-4, 1e-4)],
    "erfcx": [(-1, 1), (-26, 2), (1.2, 3), (1, 40), (1e5, 1e8)],
    "gammaln": [(0, 3), (0.999, 1.001), (1.999, 2.001), (2, 30), (1e-300, 1e-3), (1e10, 2.5e305)],
    "psi": [(0, 3), (1.4616, 1.4617), (2, 30), (1e-300, 1e-3), (1e10, 1e300)],
    "expit": [(-740, 40), (-1, 1)],
    "log_expit": [(-740, 740), (-1, 1)],
    "logit": [(0, 1), (0.4999, 0.5001), (1e-300, 1e-3), (0.999, 1)],
    "entr": [(0, 3), (0.999, 1.001), (1e-300, 1e-3)],
    "ndtr": [(-38, 9), (-4, -1), (-1, 1), (-1e-4, 1e-4)],
    "log_ndtr": [(-40, 9), (-1.1, 1), (-1e8, -1)],
}
RANGES["log2"] = RANGES["log10"] = RANGES["log"]
LARGEST_SINGLE = {
    "exp": 88,
    "exp2": 127,
    "expm1": 88,
    "sinh": 89,
    "cosh": 89,
    "erfc": 9,
    "tanh_slope": 40,
    "logistic": 80,
    "expit": 100,
    "log_expit": 100,
    "ndtr": 14,
    "log_ndtr": 1e18,
    "erfcx": 9,
    "gammaln": 4e36,
}
EXACT = {
    "log2": lambda x: mpmath.log(x, 2),
    "log10": lambda x: mpmath.log(x, 10),
    "exp2": lambda x: mpmath.mpf(2) ** x,
    **{f"arc{name}": getattr(mpmath, f"a{name}") for name in ("tan", "sin", "cos", "sinh", "cosh", "tanh")},
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "tanh_slope": lambda x: 1 / mpmath.cosh(x) ** 2,
    **dict.fromkeys(("logistic", "expit"), lambda x: 1 / (1 + mpmath.exp(-x))),
    "erfcx": lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
    "gammaln": mpmath.loggamma,
    "psi": mpmath.digamma,
    "log_expit": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "logit": lambda x: mpmath.log(x / (1 - x)),
    "entr": lambda x: -x * mpmath.log(x),
    "ndtr": lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "log_ndtr": lambda x: mpmath.log(mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
}
NUMPYS = {"tanh_slope": lambda x: 1 / np.cosh(x) ** 2, "logistic": lambda x: 1 / (1 + np.exp(-x))}
OF_TWO = ("logaddexp", "logaddexp2", "arctan2", "hypot", "power", "xlogy", "xlog1py", "rel_entr", "kl_div")
ANGLES = {name for name, limit in LIMITED.items() if limit.exact is None}
DTYPES = [np.dtype(np.float64), np.dtype(np.float32)]


def evaluated(name, *arrays, exact=False):
    with np.errstate(all="ignore"):
        return function_of(name, arrays[0].dtype, exact)(*[Evaluated(a) for a in arrays]).array


def numpys(name):
    return NUMPYS.get(name) or getattr(np, name, None) or getattr(special, name)


def samples(name, dtype, count=150):
    rng = np.random.default_rng(0)
    limit = LARGEST_SINGLE.get(name, 1e38)
    for low, high in RANGES[name]:
        if dtype == np.float32:
            low, high = max(low, -limit), min(high, limit)
            if low >= high or (high < 1e-36 and low > 0):
                low, high = (1e-44, 1e-36) if high < 1 else (1e30, 3e38)
        yield rng.uniform(low, high, count).astype(dtype)
    if name in ANGLES:
        yield (np.arange(1, 40) * np.pi / 2).astype(dtype)


def distances(name, x, results):
    """From the exact values, in units in the last place of these."""
    exact_function = EXACT.get(name) or getattr(mpmath, name)
    found = []
    with mpmath.workdps(60):
        for value, result in zip(x, results):
            exact = exact_function(mpmath.mpf(float(value)))
            unit = np.spacing(abs(x.dtype.type(float(exact))))
            found.append(float(abs(mpmath.mpf(float(result)) - exact) / mpmath.mpf(float(unit))))
    return np.array(found)


def test_every_function_has_ranges():
    assert set(RANGES) | set(OF_TWO) == set(FUNCTIONS)
    assert set(SINGLE) | set(LIMITED) < set(FUNCTIONS)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", RANGES)
def test_within_two_units_in_the_last_place(name, dtype):
    for x in samples(name, dtype):
        results = evaluated(name, x)
        assert results.dtype == dtype
        worst = distances(name, x, results)
        assert worst.max() < (3 if name == "log_ndtr" else 2), x[worst.argmax()]


def special_values(dtype):
    tiny, least, most = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    values = [0.0, np.inf, np.nan, least, tiny, 1.0, 0.5, 87.0, 88.8, 104.0, 709.79, 745.2, 746.0, 1024.0, most]
    return np.array([*values, *[-v for v in values]], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", RANGES)
def test_special_values_are_numpys(name, dtype):
    x = special_values(dtype)
    if name in ANGLES:
        x = x[~(np.isfinite(x) & (abs(x) > LARGEST_ANGLE))]
    if name in ("gammaln", "psi"):
        # SciPy has infinities where their logarithms and inverses are none.
        x = x[(x == 0.0) | ~(abs(x) < np.finfo(dtype).tiny)]
    with np.errstate(all="ignore"):
        wanted = numpys(name)(x)
    found = evaluated(name, x, exact=name not in ANGLES)
    # Reflected values near zeros have less digits; SciPy's are no closer.
    rtol = 100 * np.finfo(dtype).eps if name == "psi" else 4 * np.finfo(dtype).eps
    least = np.finfo(dtype).smallest_subnormal if name != "expit" else np.finfo(dtype).tiny
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=least)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(wanted[numbers]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_numbers_are_numpys(name, dtype):
    rng = np.random.default_rng(1)
    x, y = (a.ravel() for a in np.meshgrid(special_values(dtype), special_values(dtype)))
    x, y = (np.concatenate([a, rng.normal(0, 30, 500).astype(dtype)]) for a in (x, y))
    found = evaluated(name, x, y)
    with np.errstate(all="ignore"):
        wanted = numpys(name)(x, y)
        # SciPy's kl_div loses what its terms have in common.
        scale = 1 + (np.fmin(abs(x), abs(y)) if name == "kl_div" else 0)
        near = abs(found - wanted) <= np.finfo(dtype).eps * (5 * abs(wanted) + scale)
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    assert np.all(same | (near & np.isfinite(wanted))), (x[~same & ~near], y[~same & ~near])
