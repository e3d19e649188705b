"""The elementary functions of compiled loops: against 40 digits of mpmath, at special values, and with large angles."""

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff_backends.numba.expressions import ANGLES, VECTORISED

numba = pytest.importorskip("numba")

from autodiff_backends.numba import functions  # noqa: E402

RANGES = {
    "exp": [(-745, 709.7), (-1, 1), (-1e-8, 1e-8)],
    "expm1": [(-40, 700), (-0.6, 0.6), (-1e-8, 1e-8)],
    "log": [(0.5, 2), (1 - 1e-6, 1 + 1e-6), (1e-310, 1e-300), (1e300, 1.7e308)],
    "log1p": [(-0.999, 5), (-1e-4, 1e-4), (1e10, 1e300)],
    "tanh": [(-25, 25), (-1, 1), (-1e-4, 1e-4)],
    "sin": [(-10, 10), (-65_000, 65_000), (-1e-4, 1e-4)],
    "cos": [(-10, 10), (-65_000, 65_000), (-1e-4, 1e-4)],
}
SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    5e-324,
    -5e-324,
    2.2e-308,
    -1.0,
    1.0,
    709.79,
    -745.2,
    -746.0,
    1e308,
    -1e308,
]


@pytest.fixture(scope="module")
def compiled():
    """Each function over arrays, in one module of machine code."""

    def over(name):
        namespace = {"fn": functions}
        parameters = ("x", "y")[: 2 if name == "logaddexp" else 1]
        elements = ", ".join(f"{p}[i]" for p in parameters)
        source = f"def f({', '.join(parameters)}, out):\n for i in range(out.size):\n  out[i] = fn.{name}({elements})"
        exec(source, namespace)
        vector = numba.types.Array(numba.float64, 1, "C")
        kernel = numba.njit(numba.types.void(*[vector] * (len(parameters) + 1)), error_model="numpy")(namespace["f"])

        def call(*arrays):
            out = np.empty_like(arrays[0])
            kernel(*arrays, out)
            return out

        return call

    return {name: over(name) for name in sorted(VECTORISED)}


def errors(results, exact):
    """Distances from the exact values, in units in the last place of these."""
    found = []
    for result, value in zip(results, exact):
        unit = np.spacing(abs(float(value)))
        found.append(float(abs(mpmath.mpf(float(result)) - value) / mpmath.mpf(float(unit))))
    return np.array(found)


def test_every_function_has_ranges():
    assert set(RANGES) | {"logaddexp"} == VECTORISED
    assert ANGLES < VECTORISED


@pytest.mark.parametrize("name", RANGES)
def test_within_two_units_in_the_last_place(name, compiled):
    rng = np.random.default_rng(0)
    for low, high in RANGES[name]:
        x = rng.uniform(low, high, 500)
        if name in ANGLES:
            x = np.append(x, np.arange(1, 40) * np.pi / 2)
        with mpmath.workdps(60):
            exact = [getattr(mpmath, name)(mpmath.mpf(float(v))) for v in x]
        worst = errors(compiled[name](x), exact)
        assert worst.max() < 2, (low, high, x[worst.argmax()])


@pytest.mark.parametrize("name", sorted(VECTORISED - {"logaddexp"}))
def test_special_values_are_numpys(name, compiled):
    x = np.array([v for v in SPECIAL if name not in ANGLES or not np.isfinite(v) or abs(v) < 1e4])
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x)
    result = compiled[name](x)
    np.testing.assert_allclose(result, wanted, rtol=4.5e-16, atol=5e-324)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(result[numbers]), np.signbit(wanted[numbers]))


def test_logaddexp_is_numpys(compiled):
    rng = np.random.default_rng(1)
    special = np.array(SPECIAL)
    x, y = (a.ravel() for a in np.meshgrid(special, special))
    x, y = (np.concatenate([a, rng.normal(0, 30, 500)]) for a in (x, y))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(compiled["logaddexp"](x, y), np.logaddexp(x, y), rtol=1e-15, atol=1e-16)


@pytest.mark.parametrize("far", [65_537.0, -1e9, 1e22, 1e308])
def test_large_angles_are_the_c_librarys(far):
    x = np.linspace(-3.0, 3.0, 2_000)
    x[1_234] = far
    step = ad.function(ad.value_and_grad(lambda x: np.sum(np.sin(x) ** 2 * np.cos(x))), backend="numba")
    value, gradient = step(x)
    s, c = np.sin(x), np.cos(x)
    assert "fn.is_far" in step._cache.values()[0][0].plan.source
    np.testing.assert_allclose(value, np.sum(s**2 * c), rtol=1e-12)
    np.testing.assert_allclose(gradient, 2 * s * c**2 - s**3, rtol=1e-11, atol=1e-14)


def test_large_angles_in_loops_that_write_what_they_read():
    x = np.linspace(-3.0, 3.0, 2_000)
    x[7] = 1e9

    @ad.function(backend="numba")
    def f(x):
        y = ad.Tensor(np.zeros(2_000)) + x * 2
        y[...] = np.sin(y) + y
        y[...] += np.cos(x) * y
        return np.exp(-(y * y)) + np.tanh(y) / (1 + np.log1p(y * y)) + np.sqrt(np.exp(-y * y) + 1)

    y = 2 * x
    y = np.sin(y) + y
    y = y + np.cos(x) * y
    wanted = np.exp(-(y * y)) + np.tanh(y) / (1 + np.log1p(y * y)) + np.sqrt(np.exp(-y * y) + 1)
    np.testing.assert_allclose(f(x), wanted, rtol=1e-12)
