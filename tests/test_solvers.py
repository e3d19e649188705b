"""Solvers as operations of a graph: what they find, derivatives of what they find, and what cannot be found."""

import itertools
import pickle

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

linalg = pytest.importorskip("scipy.linalg")

A = np.array([[3.0, 1.0], [1.0, 2.0]])
B = np.array([1.0, 2.0])
A3 = np.array([[2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 0.0, 2.0]])


# --- roots: x**3 + x = a has one real root, which is a formula of radicals --------------------------------------------


def by_root(a, **options):
    return ad.root(lambda x: x**3 + x - a, np.ones(2) if np.ndim(a) else 1.0, **options)


def by_formula(a):
    u = np.cbrt(a / 2 + np.sqrt(a * a / 4 + 1 / 27))
    return u - 1 / (3 * u)


STEPS = {
    "forward": lambda g: lambda x: ad.jvp(g, (x,), (1.0,))[1],
    "reverse": ad.grad,
    "hessian": lambda g: ad.jacobian(g, mode="forward"),
    "batch": lambda g: lambda x: ad.vmap(g)(np.stack([x, x]) if isinstance(x, ad.Tensor) else np.array([x, x]))[1],
}


@pytest.mark.parametrize("steps", [*itertools.product(STEPS, repeat=2)])
def test_any_mix_of_modes(steps):
    g, h = by_root, by_formula
    for step in (*steps, "reverse"):
        g, h = STEPS[step](g), STEPS[step](h)
    np.testing.assert_allclose(np.asarray(g(1.3)), np.asarray(h(1.3)), rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"method": "lm"}, {"method": "krylov"}, {"linear": "gmres"}, {"tol": 1e-3}])
def test_all_second_derivatives(options):
    a = np.array([0.5, 2.0])
    np.testing.assert_allclose(by_root(a, **options), by_formula(a), rtol=1e-12)

    def total(f):
        return lambda a: np.sum(f(a) ** 2 * a[::-1])

    found = ad.hessian(total(lambda a: by_root(a, **options)))(a)
    np.testing.assert_allclose(found, ad.hessian(total(by_formula))(a), rtol=1e-8)


def test_large_systems_by_products():
    """No matrix is made."""
    n = 3000
    a = np.linspace(0.5, 2.0, n)

    def f(x, a):
        return x**3 + 2 * x - 0.25 * (np.roll(x, 1) + np.roll(x, -1)) - a

    def total(a):
        return np.sum(ad.root(f, np.ones(n), (a,), method="krylov", linear="gmres") ** 2)

    x = ad.root(f, np.ones(n), (a,), method="krylov", linear="gmres")
    np.testing.assert_allclose(f(x, a), 0.0, atol=1e-12)
    found, direction, h = ad.grad(total)(a), np.cos(np.arange(n)), 1e-4
    expected = (total(a + h * direction) - total(a - h * direction)) / (2 * h)
    np.testing.assert_allclose(found @ direction, expected, rtol=1e-6)
    place = ad.minimize(lambda x: np.sum(x**4 / 4 + x**2) - np.dot(x, a), np.ones(n), method="L-BFGS-B", linear="cg")
    np.testing.assert_allclose(place**3 + 2 * place, a, rtol=1e-10)


def test_fourth_order():
    g, h = by_root, by_formula
    for _ in range(4):
        g, h = ad.grad(g), ad.grad(h)
        np.testing.assert_allclose(g(1.3), h(1.3), rtol=1e-9)


def test_tensors_of_the_outside():
    w = ad.Tensor([0.5, 2.0])
    graph = ad.Graph()
    x = ad.root(lambda x, b: x**3 + x - w * b, np.ones(2), (1.0,))
    assert isinstance(x, ad.Tensor)
    for order in (1, 2, 3):
        (found,) = graph.gradient(np.sum(x), [w], order)
        (expected,) = graph.gradient(np.sum(by_formula(w)), [w], order)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_what_comes_back():
    assert type(by_root(2.0)) is float
    assert type(by_root(np.ones(2))) is np.ndarray
    assert isinstance(by_root(ad.Tensor(2.0)), ad.Tensor)
    assert isinstance(ad.root(lambda x, a: x - a, 1.0, (ad.Tensor(2.0),)), ad.Tensor)
    assert ad.root(lambda x: x - 1, np.zeros(2, "float32")).dtype == np.float32
    assert ad.root(lambda x: x - 1, [0, 0]).tolist() == [1.0, 1.0]
    assert ad.root(lambda x: x[:1], np.zeros((0, 3)).sum(1)).shape == (0,)


def test_containers():
    def equations(x, p):
        return [x["u"] + p[0] * x["v"] - 1, x["v"] ** 2 - p[1]]

    x0 = {"u": np.zeros(2), "v": 1.0}
    found = ad.root(equations, x0, ((2.0, 4.0),))
    assert type(found["v"]) is float
    np.testing.assert_allclose(found["u"], [-3.0, -3.0])

    def use(p, q):
        found = ad.root(equations, x0, ((p, q),))
        return np.sum(found["u"] ** 2) * found["v"]

    ad.testing.check_grads(use, (2.0, 4.0), 2)
    np.testing.assert_allclose(ad.grad(use, (0, 1))(2.0, 4.0), [48.0, 16.5])


def test_an_index_and_a_nested_derivative_in_the_equations():
    index = np.array([1, 0])

    def equations(x, a):
        return ad.grad(lambda x: np.sum(x[index] ** 4 + (x * a)[index] ** 2))(x) - a[::-1]

    ad.testing.check_grads(lambda a: ad.root(equations, np.ones(2), (a,)), (np.array([1.0, 2.0]),), 2)


def test_the_search_is_compiled_once():
    for value in (1.0, 2.0, 3.0):
        ad.grad(by_root)(value)
    before = ad.transforms.calls.ENGINE.cache.info().misses
    for value in (1.5, 2.5):
        ad.grad(by_root)(value)
    assert ad.transforms.calls.ENGINE.cache.info().misses == before


SINGULAR = {
    "a double root": lambda a: ad.root(lambda x: (x - a) ** 2, 2.0),
    "roots on a line": lambda a: np.sum(
        ad.root(lambda x: np.stack([1.0, 0.3]) * (0.1 * x[0] + 0.3 * x[1] - a), [0.2, 0.3], method="lm")
    ),
    "minima on a line": lambda a: np.sum(ad.minimize(lambda x: (0.1 * x[0] + 0.3 * x[1] - a) ** 2, [0.2, 0.3])),
    "fewer residuals than unknowns": lambda a: np.sum(
        ad.least_squares(lambda x: 0.1 * x[0] + 0.3 * x[1] - a, [0.2, 0.3])
    ),
}


@pytest.mark.parametrize("case", SINGULAR)
def test_a_singular_jacobian_is_no_number(case):
    """Not where it is singular but for rounding, either."""
    assert np.isfinite(SINGULAR[case](2.0))
    for take in (ad.grad, lambda f: lambda a: ad.jvp(f, (a,), (1.0,))):
        with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
            take(SINGULAR[case])(2.0)


def test_units_make_no_matrix_singular():
    scales = np.array([1.0, 1e-12, 1e12])

    def root(a):
        return ad.root(lambda x: scales * (A3 @ (x / scales[::-1])) - a, scales, tol=1e-14)

    np.testing.assert_allclose(ad.jacobian(root)(scales), scales[::-1, None] * np.linalg.inv(A3) / scales, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
def test_other_precisions(dtype):
    a = np.array([1.5, 2.0], dtype)
    one = np.ones(2, dtype)
    solvers = [
        lambda a: ad.root(lambda x: x**3 + x - a, one),
        lambda a: ad.fixed_point(lambda x: x / 2 + a, one),
        lambda a: ad.minimize(lambda x: np.sum((x - a) ** 2), one),
        lambda a: ad.least_squares(lambda x: x - a, one),
        lambda a: ad.linear_solve(lambda x: x * a, one),
        lambda a: ad.odeint(lambda y, t: -y * a, one, [0.0, 1.0])[1],
    ]
    for solver in solvers:
        found, slope = solver(a), ad.grad(lambda a: np.sum(solver(a)))(a)  # noqa: B023
        assert found.dtype == slope.dtype == a.dtype
        wide = a.astype(float)
        np.testing.assert_allclose(found.astype(float), solver(wide), rtol=5 * max(np.finfo(dtype).eps, 1e-9))


def test_solvers_in_solvers():
    def inner(x):
        return ad.minimize(lambda y: (y - x) ** 2 * (1 + y**2) + y**2, 0.5)

    def outer(a):
        return ad.root(lambda x: inner(x) * x - a, 1.0)

    ad.testing.check_grads(outer, (0.3,), 2)

    def rate(data):
        def misfit(p):
            return ad.odeint(lambda y, t: -p[0] * y, p[1], np.linspace(0, 1, 4), rtol=1e-10, atol=1e-12) - data

        return ad.least_squares(misfit, [1.0, 1.0])

    data = 1.5 * np.exp(-2 * np.linspace(0, 1, 4)) + np.array([0.01, -0.02, 0.0, 0.01])
    ad.testing.check_grads(rate, (data,), 1, "reverse")


def test_on_other_libraries():
    pytest.importorskip("array_api_strict")

    def use(w):
        x = ad.root(lambda x: x**3 + x * w - np.sum(w) * 0.5, np.ones(2))
        y = ad.linear_solve(lambda v: v * w + 0.1 * np.sum(v), w)
        z = ad.odeint(lambda y, t: -y * w, w, [0.0, 1.0])[-1]
        return np.sum(x) + np.sum(y**2) + np.sum(z)

    graph = ad.Graph(backend="array_api_strict")
    w = graph.tensor(B)
    (found,) = graph.gradient(use(w), [w])
    assert type(found).__module__.startswith("array_api_strict")
    np.testing.assert_allclose(ad.get_backend("array_api_strict").to_numpy(found), ad.grad(use)(B))


def test_a_tensor_of_a_solver_is_pickled():
    x = by_root(ad.Tensor([0.5, 2.0]))
    np.testing.assert_allclose(pickle.loads(pickle.dumps(x)).value, x.value)


# --- fixed points ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["iteration", "anderson", "root"])
def test_fixed_points(method):
    def point(a, b):
        return ad.fixed_point(lambda x: np.cos(a * x) + b, np.array([0.5, 0.6]), method=method)

    found = point(0.4, B)
    np.testing.assert_allclose(np.cos(0.4 * found) + B, found, rtol=1e-12)
    ad.testing.check_grads(point, (0.4, B), 2)


def test_a_fixed_point_that_does_not_attract():
    with pytest.raises(errors.ConvergenceError, match="does not converge; the largest residual"):
        ad.fixed_point(lambda x: 2 * x + 1, 1.0)
    assert ad.fixed_point(lambda x: 2 * x + 1, 1.0, method="root") == -1.0


# --- minima ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "Newton-CG", "trust-exact"])
def test_minima(method):
    def place(a, b):
        def energy(x):
            return np.sum((x["u"] - a) ** 4 + x["u"] ** 2) + (x["v"] - b) ** 2 * (1 + x["u"][0] ** 2)

        return ad.minimize(energy, {"u": np.zeros(2), "v": 0.0}, method=method)

    ad.testing.check_grads(place, (B, 0.3), 2)


def test_ridge_regression():
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3))
    y = y[:, 0]

    def weights(strength):
        return ad.minimize(lambda w: np.sum((x @ w - y) ** 2) + strength * np.sum(w**2), np.zeros(3))

    def formula(strength):
        return np.linalg.solve(x.T @ x + strength * np.eye(3), x.T @ y)

    for f in (
        lambda f: f,
        lambda f: lambda s: ad.jvp(f, (s,), (1.0,))[1],
        lambda f: ad.hessian(lambda s: np.sum(f(s))),
    ):
        np.testing.assert_allclose(f(weights)(0.7), f(formula)(0.7), rtol=1e-9)
    strengths = np.array([0.1, 1.0])
    np.testing.assert_allclose(ad.vmap(weights)(strengths), [formula(0.1), formula(1.0)], rtol=1e-9)


@pytest.mark.parametrize("method", ["trf", "lm"])
def test_least_squares(method):
    t = np.linspace(0.0, 1.0, 5)

    def fit(y):
        return ad.least_squares(lambda p: p[0] * np.exp(p[1] * t) - y, [1.0, 0.0], method=method)

    y = np.array([1.0, 1.2, 1.5, 1.7, 2.0])
    p = fit(y)
    model = np.exp(p[1] * t)
    np.testing.assert_allclose([model @ (p[0] * model - y), (t * model) @ (p[0] * model - y)], 0, atol=1e-12)
    ad.testing.check_grads(fit, (y,), 2)


# --- linear systems --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["gmres", "bicgstab", "lgmres", "dense", "cg", "minres"])
def test_linear_systems(method):
    def of(a):
        return (a + a.T) / 2 if method in ("cg", "minres") else a + 0.3 * np.array([[0.0, 1.0], [-1.0, 0.0]])

    def solution(a, b):
        return ad.linear_solve(lambda x: of(a) @ x, b, method=method)

    np.testing.assert_allclose(solution(A, B), np.linalg.solve(of(A), B), rtol=1e-10, atol=1e-12)
    ad.testing.check_grads(solution, (A, B), 2)


def test_a_matrix_that_is_never_made():
    """A discrete Poisson equation, whose gradient by its coefficients is one more of its kind."""
    n = 400
    k = 1 + np.linspace(0, 1, n + 1) ** 2

    def operator(k):
        def apply(u):
            edges = np.concatenate([np.zeros(1), u, np.zeros(1)])
            flow = k * (edges[1:] - edges[:-1])
            return flow[:-1] - flow[1:]

        return apply

    def energy(k):
        u = ad.linear_solve(operator(k), np.ones(n), method="cg")
        return np.sum(u**2)

    matrix = np.diag(k[:-1] + k[1:]) - np.diag(k[1:-1], 1) - np.diag(k[1:-1], -1)
    u = np.linalg.solve(matrix, np.ones(n))
    v = np.linalg.solve(matrix, 2 * u)
    d = lambda w: np.diff(np.concatenate([[0.0], w, [0.0]]))  # noqa: E731
    np.testing.assert_allclose(ad.grad(energy)(k), -d(u) * d(v), rtol=1e-6)


# --- what cannot be found --------------------------------------------------------------------------------------------

BAD = {
    "no root": (lambda: ad.root(lambda x: x**2 + 1, 0.3), errors.ConvergenceError, r"root: .* evaluations: .*largest"),
    "NaN": (lambda: ad.root(lambda x: x * np.nan, 0.3), errors.ConvergenceError, "not finite"),
    "a maximum": (
        lambda: ad.minimize(lambda x: -(x**2), 1.0),
        errors.ConvergenceError,
        "minimize: the minimum was not",
    ),
    "at a maximum": (lambda: ad.minimize(lambda x: -(x**2), 0.0), errors.ConvergenceError, "direction that leads down"),
    "a slope": (lambda: ad.minimize(lambda x: x * 2, 0.0), errors.ArgumentError, "does not depend on the unknowns"),
    "a constant": (lambda: ad.root(lambda x: 1.0, 0.0), errors.ArgumentError, "does not depend on the unknowns"),
    "iterations": (
        lambda: ad.fixed_point(np.cos, 1.0, maxiter=3),
        errors.ConvergenceError,
        "not found after 3 iterations",
    ),
    "singular": (
        lambda: ad.linear_solve(lambda x: x * 0, B),
        errors.ConvergenceError,
        "linear_solve: .*gmres .* is the matrix singular",
    ),
    "not symmetric": (
        lambda: ad.linear_solve(lambda x: np.array([[0.0, 1.0], [-1.0, 0.0]]) @ x, B, method="cg"),
        errors.ConvergenceError,
        "not symmetric and positive",
    ),
    "not linear": (lambda: ad.linear_solve(lambda x: x**2, B), errors.ArgumentError, "not linear"),
    "shape": (lambda: ad.root(lambda x: x[:1], B), errors.ShapeError, "returned 1 numbers, but there are 2 unknowns"),
    "a look": (lambda: ad.root(lambda x: x if x > 0 else -x, 1.0), errors.TraceError, "value was needed of an unknown"),
    "complex": (lambda: ad.root(lambda x: x, 1j), errors.DTypeError, "solvers are of real numbers"),
    "complex result": (lambda: ad.root(lambda x: x * 1j, 1.0), errors.DTypeError, "complex128"),
    "not a number": (lambda: ad.root(lambda x: x, {"a": None}), errors.DTypeError, r"root: x0\['a'\] is NoneType None"),
    "no function": (lambda: ad.root(3, 1.0), errors.ArgumentError, "root: 3 is not callable"),
    "method": (lambda: ad.root(np.sin, 1.0, method="x"), errors.AutodiffError, "root: method=str 'x' is not one of"),
    "linear": (lambda: ad.root(np.sin, 1.0, linear="x"), errors.AutodiffError, "root: linear=str 'x' is not one of"),
    "tol": (lambda: ad.root(np.sin, 1.0, tol=-1), errors.ArgumentError, "tol=-1 must be a positive number"),
    "options": (lambda: ad.root(np.sin, 1.0, options=3), errors.ArgumentError, "options=3 must be a dict"),
    "several values": (lambda: ad.minimize(lambda x: x, B), errors.ShapeError, "one real number"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_found(case):
    call, error, match = BAD[case]
    with pytest.raises(error, match=match):
        call()


def test_list_for_an_array():
    found = ad.fixed_point(lambda x: [np.cos(x[0]), np.cos(x[0])], [1.0, 1.0])
    np.testing.assert_allclose(found, ad.fixed_point(np.cos, np.ones(2)))
    np.testing.assert_allclose(ad.linear_solve(lambda x: (2 * x[0], 4 * x[1]), [1.0, 1.0]), [0.5, 0.25])
    with pytest.raises(
        errors.ShapeError, match=r"fixed_point: the function returned float64\[1\], but x0 has float64\[2"
    ):
        ad.fixed_point(lambda x: [x[0]], [1.0, 1.0])
    with pytest.raises(
        errors.ArgumentError, match=r"linear_solve: matvec must return what b is, an array, not \[\{'a'"
    ):
        ad.linear_solve(lambda x: [{"a": x[0]}], [1.0])
