"""Points without a derivative, or where a naive rule gives NaN: one test for each known pitfall.

The rule (DESIGN, section 2): the derivative if it exists, else the minimum-norm subgradient of a convex function,
else by continuity. No warning may come from a derivative that is finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff.differentiate import Forward, reverse
from autodiff.ops import ones_like
from autodiff.tensor import wrap

inf, nan = np.inf, np.nan


def gradients(f: Callable[..., Any], *values: Any, n: int = 1) -> list[np.ndarray]:
    xs = [ad.Tensor(np.asarray(v, float)) for v in values]
    return ad.Graph().gradient(f(*xs), xs, n)


def gradient(f: Callable[..., Any], value: Any, n: int = 1) -> np.ndarray:
    (result,) = gradients(f, value, n=n)
    return result


def same(actual: Any, expected: Any, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_sqrt_at_zero_is_infinite(shape: tuple[int, ...]) -> None:
    with np.errstate(divide="ignore"):
        same(gradient(np.sqrt, np.zeros(shape)), np.full(shape, inf))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    ("branch", "chosen"),
    [
        (lambda x: np.where(x > 0, np.sqrt(np.abs(x)), 0.0), np.sqrt),
        (lambda x: np.where(x <= 0, 0, np.log(x)), np.log),
        (lambda x: np.where(x > 0, 1 / x, 0.0), np.reciprocal),
        (lambda x: np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0.0), lambda x: x * np.log(x)),
        (lambda x: np.where(x > 0, np.exp(1 / x), 0.0), lambda x: np.exp(1 / x)),
    ],
)
def test_branch_that_was_not_chosen_gives_no_nan(branch: Any, chosen: Any, n: int) -> None:
    same(gradient(branch, [0.0, 4.0], n), [0.0, gradient(chosen, [4.0], n)[0]])
    same(gradient(branch, 0.0, n), 0.0)
    same(gradient(branch, 4.0, n), gradient(chosen, 4.0, n))


UNDEFINED_AT_ZERO = [
    lambda x: x**0.5,
    lambda x: np.power(x, x * 0 + 0.3),
    lambda x: x**x,
    lambda x: np.log(x) * x**-1.5,
    lambda x: np.cbrt(x),
    lambda x: np.arctan2(x, x),
    lambda x: np.arctan2(1, 1 / x),
    lambda x: 1 / np.hypot(x, x),
    lambda x: 1 / np.tanh(x),
    lambda x: np.arccosh(1 + 1 / x),
    lambda x: np.exp(-1 / x**2),
    lambda x: np.logaddexp(np.log(x), 1 / x),
    lambda x: np.remainder(1 / x, x),
]


@pytest.mark.parametrize("place", range(len(UNDEFINED_AT_ZERO)))
def test_branch_that_was_not_chosen_gives_no_nan_in_either_mode(place: int) -> None:
    x = ad.Tensor([0.0, 2.0, 0.5])
    out = np.where(x > 0, UNDEFINED_AT_ZERO[place](x), 0.0).node
    walk, forward, backward = Forward({x.node: ones_like(x.node)}), out, out
    with np.errstate(all="ignore"):
        for _ in range(4):
            forward = walk(forward)
            (backward,) = reverse([backward], [ones_like(backward)], [x.node])
            for one in (wrap(forward).value, wrap(backward).value):
                assert one[0] == 0
                assert np.isfinite(one).all()


def test_maximum_drops_an_infinite_slope_that_lost() -> None:
    for n, expected in [(1, 0.25), (2, -1 / 32)]:
        same(gradient(lambda x: np.maximum(np.sqrt(x), 1), [0.0, 4.0], n), [0.0, expected])


@pytest.mark.parametrize(
    "f",
    [
        lambda u: (np.maximum(np.exp(u), 0) - 1) ** 2,
        lambda u: (np.where(u > -1, np.exp(u), 0) - 1) ** 2,
        lambda u: (np.exp(u)[np.array([0])] - 1) ** 2,
        lambda u: (np.max(np.exp(u)) - 1) ** 2,
        lambda u: (np.abs(u + 1) - 1) ** 2,
    ],
)
def test_second_order_where_a_residual_vanishes(f: Any) -> None:
    """A chosen element may have cotangent 0; it still has curvature."""
    x = ad.Tensor([0.0])
    graph = ad.Graph()
    (first,) = graph.gradient(f(x), [x], as_tensors=True)
    same(graph.gradient(first, [x])[0], [2.0])
    same(graph.gradient(f(x), [x], 2)[0], [2.0])


def test_abs_at_zero() -> None:
    same(gradient(np.abs, [0.0, -0.0, -2.0]), [0, 0, -1])
    same(gradient(np.fabs, [0.0, 3.0]), [0, 1])
    same(gradient(lambda x: abs(x) ** 3, [0.0, 2.0], 2), [0, 12])


@pytest.mark.parametrize("exponent", [0, 0.0, np.float64(0), np.zeros(2)])
def test_power_zero_is_constant(exponent: Any) -> None:
    same(gradient(lambda x: x**exponent, [0.0, 2.0]), [0, 0])


@pytest.mark.parametrize("exponent", [2, 2.0, np.float64(2), np.full(2, 2.0)])
def test_orders_of_a_square_at_zero(exponent: Any) -> None:
    for n, expected in [(1, [0, 4]), (2, [2, 2]), (3, [0, 0]), (4, [0, 0])]:
        same(gradient(lambda x: x**exponent, [0.0, 2.0], n), expected)


def test_power_by_the_exponent() -> None:
    same(gradient(lambda y: 0.0**y, [0.0, 1.0, 2.0]), [0, 0, 0])
    same(gradient(lambda y: np.zeros(2) ** y, [1.0, 2.0]), [0, 0])
    with np.errstate(invalid="ignore"):
        same(gradient(lambda y: (-2.0) ** y, [2.0, 3.0]), [nan, nan])
    same(gradient(lambda x: x ** np.array([2.0, 3.0]), [-2.0, -2.0]), [-4, 12])


def test_power_of_zero_below_one_is_infinite() -> None:
    with np.errstate(divide="ignore"):
        same(gradient(lambda x: x**0.5, [0.0]), [inf])
        same(gradient(lambda x: x**0.3, 0.0), inf)


def test_mixed_second_derivative_of_power_at_exponent_zero() -> None:
    """d/dy (y x^(y-1)) is 1/x at y = 0."""
    x, y = ad.Tensor([2.0, 3.0]), ad.Tensor([0.0, 0.0])
    graph = ad.Graph()
    by_base, by_exponent = graph.gradient(x**y, [x, y], as_tensors=True)
    same(graph.gradient(by_base, [y])[0], [1 / 2, 1 / 3])
    same(graph.gradient(by_exponent, [x])[0], [1 / 2, 1 / 3])


def test_ties_share_evenly() -> None:
    same(gradient(np.max, [1.0, 3.0, 3.0]), [0, 0.5, 0.5])
    same(gradient(np.min, [1.0, 1.0, 1.0]), [1 / 3] * 3)
    same(gradient(lambda x: np.max(x, axis=1), [[1.0, 1.0], [2.0, 1.0]]), [[0.5, 0.5], [1, 0]])
    same(gradients(np.maximum, [1.0, 2.0], [1.0, 1.0]), [[0.5, 1], [0.5, 0]])
    same(gradients(np.minimum, [1.0, 2.0], [1.0, 1.0]), [[0.5, 0], [0.5, 1]])
    same(gradients(np.fmax, [1.0, 2.0], [1.0, 1.0]), [[0.5, 1], [0.5, 0]])


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_extremum_of_a_quantity_with_itself(f: Any) -> None:
    same(gradient(lambda x: f(x, x), [1.0, -2.0]), [1, 1])
    same(gradient(lambda x: f(x, x), 3.0), 1)


@pytest.mark.parametrize("relu", [lambda x: np.maximum(x, 0), lambda x: np.maximum(0.0, x), lambda x: np.fmax(x, 0)])
def test_relu_at_zero(relu: Any) -> None:
    same(gradient(relu, [-1.0, 0.0, 2.0]), [0, 0.5, 1])
    same(gradient(relu, 0.0), 0.5)


def test_clip_at_its_edges() -> None:
    same(gradient(lambda x: np.clip(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0]), [0, 0.5, 1, 0.5, 0])
    same(gradients(np.clip, [0.5, 2.0, -2.0], [-1.0] * 3, [1.0] * 3), [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_extrema_with_nan() -> None:
    same(gradients(np.fmax, [nan, 1.0], [1.0, nan]), [[0, 1], [1, 0]])
    same(gradients(np.fmin, [nan, 1.0], [1.0, nan]), [[0, 1], [1, 0]])
    assert np.isnan(gradient(np.max, [1.0, nan])).all()


def test_products_with_zeros() -> None:
    same(gradient(np.prod, [0.0, 2.0, 3.0]), [6, 0, 0])
    same(gradient(np.prod, [0.0, 0.0, 3.0]), [0, 0, 0])
    same(gradient(np.prod, [0.0, 0.0, 3.0], 2), [3, 3, 0])
    same(gradient(lambda x: np.prod(x, axis=0), [[0.0, 1.0], [2.0, 5.0]]), [[2, 5], [0, 1]])
    same(gradient(np.cumprod, [2.0, 0.0, 3.0]), [1, 8, 0])
    same(gradient(np.multiply.accumulate, [0.0, 0.0, 3.0]), [1, 0, 0])


def test_forward_mode_of_a_product_with_zeros() -> None:
    x = ad.Tensor([0.0, 2.0, 3.0])
    tangent = Forward({x.node: ad.Tensor([1.0, 1.0, 1.0]).node})(np.prod(x).node)
    assert tangent is not None
    same(wrap(tangent).value, 6.0)


def test_logaddexp_with_infinities() -> None:
    xs, ys = [-inf, inf, inf, 1.0, -inf, 1000.0], [-inf, inf, 1.0, -inf, inf, 0.0]
    same(gradients(np.logaddexp, xs, ys), [[0.5, 0.5, 1, 1, 0, 1], [0.5, 0.5, 0, 0, 1, 0]])
    same(gradients(np.logaddexp2, xs, ys), [[0.5, 0.5, 1, 1, 0, 1], [0.5, 0.5, 0, 0, 1, 0]])


def test_softplus_at_zero() -> None:
    """Equal arguments are no kink: the second derivative is w (1 - w)."""
    for n, expected in [(1, 0.5), (2, 0.25), (3, 0.0), (4, -0.125)]:
        same(gradient(lambda x: np.logaddexp(x, 0), [0.0], n), [expected])
        same(gradient(lambda x: np.logaddexp(0.0, x), 0.0, n), expected)
    same(gradient(lambda x: np.logaddexp2(x, 0), [0.0], 2), [0.25 * np.log(2)])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_softplus_far_from_zero(n: int) -> None:
    """Small derivatives have all their digits, and infinite arguments have one."""
    xs = np.array([-inf, -800.0, -700.0, -40.0, 40.0, 700.0, 800.0, inf])
    small = np.exp(-np.abs(xs))
    wanted = {1: np.where(xs < 0, small, 1.0), 2: small, 3: -np.sign(xs) * small}[n]
    for values in (xs, np.repeat(xs, 100)):
        found = gradient(lambda x: np.logaddexp(0.0, x), values, n)
        np.testing.assert_allclose(found, np.repeat(wanted, values.size // xs.size), rtol=1e-12, atol=0)


def test_logsumexp_written_out() -> None:
    def logsumexp(x: Any) -> Any:
        top = np.max(x)
        return np.log(np.sum(np.exp(x - top))) + top

    same(gradient(logsumexp, [-inf, 0.0]), [0, 1])
    same(gradient(logsumexp, [1e4, 1e4]), [0.5, 0.5])
    same(gradient(logsumexp, [0.0, np.log(3.0)]), [0.25, 0.75])


@pytest.mark.parametrize("point", [0.0, 1e-8, 1e-3, 0.0031, 0.004, 0.7])
def test_sinc_near_zero(point: float) -> None:
    """Against the derivatives of the integral of cos(pi x t) over t from 0 to 1."""
    with mpmath.workdps(40):
        for n in range(1, 13):

            def derivative(t: Any, n: int = n) -> Any:
                return (mpmath.pi * t) ** n * mpmath.cos(mpmath.pi * point * t + n * mpmath.pi / 2)

            expected = float(mpmath.quad(derivative, [0, 0.5, 1]))
            np.testing.assert_allclose(gradient(np.sinc, [point], n), [expected], rtol=1e-13, atol=1e-18)


def test_norms_at_the_origin() -> None:
    same(gradients(np.hypot, [0.0, 3.0], [0.0, 4.0]), [[0, 0.6], [0, 0.8]])
    same(gradients(np.hypot, 0.0, 0.0), [0, 0])
    with np.errstate(invalid="ignore"):
        same(gradients(np.arctan2, [0.0], [0.0]), [[nan], [nan]])


@pytest.mark.parametrize("order", [None, 2, 3, 1, 2.5])
def test_vector_norm_at_the_origin(order: Any) -> None:
    same(gradient(lambda x: np.linalg.norm(x, order), [0.0, 0.0]), [0, 0])
    rows = gradient(lambda x: np.linalg.norm(x, order, axis=1, keepdims=True), [[0.0, 0.0], [3.0, 0.0]])
    same(rows, [[0, 0], [1, 0]])


def test_matrix_norm_at_the_origin() -> None:
    same(gradient(np.linalg.norm, np.zeros((2, 2))), np.zeros((2, 2)))
    same(gradient(lambda x: np.linalg.norm(x, "fro"), np.zeros((2, 2))), np.zeros((2, 2)))
    same(gradient(np.linalg.norm, 0.0), 0.0)


def test_infinities_replaced_have_gradient_zero() -> None:
    same(gradient(np.nan_to_num, [nan, inf, -inf, 2.0]), [0, 0, 0, 1])


def test_arctan2_without_overflow() -> None:
    same(gradients(np.arctan2, 1e200, 1e200), [0.5e-200, -0.5e-200])
    same(gradients(np.arctan2, [0.0, 0.0], [1.0, -1.0]), [[1, -1], [0, 0]])


def test_spread_of_a_constant() -> None:
    same(gradient(np.std, [2.0, 2.0, 2.0]), [0, 0, 0])
    same(gradient(np.var, [2.0, 2.0, 2.0]), [0, 0, 0])
    same(gradient(lambda x: np.std(x, axis=1), [[1.0, 1.0], [0.0, 2.0]]), [[0, 0], [-0.5, 0.5]])
    same(gradient(lambda x: np.std(x, axis=0, keepdims=True), [[1.0], [1.0]]), [[0], [0]])


def test_variance_without_degrees_of_freedom_is_nan_as_in_numpy() -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isnan(gradient(lambda x: np.var(x, ddof=1), [2.0]))


def test_piecewise_constant_functions_have_gradient_zero() -> None:
    for f in [np.round, np.floor, np.ceil, np.trunc, np.rint, np.sign, lambda x: x // 1, lambda x: np.round(x, 2)]:
        result = gradient(lambda x, f=f: f(x) + 0.0, [1.2, -0.3, 0.0])
        same(result, [0, 0, 0])


def test_saturated_functions_stay_finite() -> None:
    same(gradient(np.tanh, [1000.0, -1000.0]), [0, 0])
    same(gradient(lambda x: 1 / (1 + np.exp(-x)), [40.0, -40.0]), [np.exp(-40.0), np.exp(-40.0)], 1e-10)
    same(gradient(np.arctan, [1e9]), [1e-18])


@pytest.mark.parametrize(
    ("function", "exact", "points"),
    [
        (np.tanh, mpmath.tanh, [0.1, 3.0, -8.0]),
        (np.log1p, mpmath.log1p, [1e-9, 5.0]),
        (np.expm1, mpmath.expm1, [1e-9, 2.0]),
        (np.arcsinh, mpmath.asinh, [-3.0, 1e-6]),
        (np.arccosh, mpmath.acosh, [1.0001, 7.0]),
        (np.arctanh, mpmath.atanh, [0.999, -0.2]),
        (np.cbrt, mpmath.cbrt, [1e-3, 27.0]),
        (np.exp2, lambda x: mpmath.power(2, x), [-3.0, 3.0]),
    ],
)
def test_derivatives_against_high_precision(function: Any, exact: Any, points: list[float]) -> None:
    mpmath.mp.dps = 40
    for n in (1, 2, 3):
        expected = [float(mpmath.diff(exact, mpmath.mpf(p), n, h=mpmath.mpf("1e-12"))) for p in points]
        np.testing.assert_allclose(gradient(function, points, n), expected, rtol=1e-7)
