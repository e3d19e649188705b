"""SciPy's own solvers, given derivatives of this library as they are; and what to write for derivatives of them."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

optimize = pytest.importorskip("scipy.optimize")
integrate = pytest.importorskip("scipy.integrate")
sparse_linalg = pytest.importorskip("scipy.sparse.linalg")

X0 = np.array([-1.2, 1.0, 0.5])


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def plain(function, *kinds):
    """The function, which may give SciPy arrays of doubles only."""

    def called(*args):
        out = function(*args)
        for x, kind in zip(out if isinstance(out, tuple) else (out,), kinds, strict=True):
            assert type(x) is kind, (type(x), kind)
            assert x.dtype == np.float64
        return out

    return called


MINIMIZERS = {
    "BFGS": {},
    "L-BFGS-B": {},
    "SLSQP": {},
    "CG": {},
    "Newton-CG": {"hess": ad.hessian(rosenbrock)},
    "trust-ncg": {"hessp": ad.hvp(rosenbrock)},
    "trust-krylov": {"hessp": ad.hvp(rosenbrock)},
    "trust-exact": {"hess": ad.hessian(rosenbrock)},
    "trust-constr": {"hessp": ad.hvp(rosenbrock)},
}


@pytest.mark.parametrize("method", MINIMIZERS)
def test_minimize(method):
    second = {name: plain(f, np.ndarray) for name, f in MINIMIZERS[method].items()}
    both = plain(ad.value_and_grad(rosenbrock), np.ndarray, np.ndarray)
    found = optimize.minimize(both, X0, jac=True, method=method, **second)
    assert found.success
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-3)


def test_minimize_with_further_arguments():
    def f(x, a, b):
        return np.sum((x - a) ** 2) * b

    a = np.array([1.0, 2.0])
    for second, method in (({"hess": ad.hessian(f)}, "trust-exact"), ({"hessp": ad.hvp(f)}, "trust-krylov")):
        found = optimize.minimize(ad.value_and_grad(f), np.zeros(2), args=(a, 3.0), jac=True, method=method, **second)
        np.testing.assert_allclose(found.x, a)
    found = optimize.minimize(f, np.zeros(2), args=(a, 3.0), jac=ad.grad(f))
    np.testing.assert_allclose(found.x, a, rtol=1e-6)


def residuals(p, t, y):
    return p[0] * np.exp(p[1] * t) - y


def model(t, a, b):
    return a * np.exp(b * t)


T = np.linspace(0.0, 1.0, 6)
Y = 2 * np.exp(0.5 * T)


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares(method):
    jac = plain(ad.jacobian(residuals), np.ndarray)
    found = optimize.least_squares(residuals, [1.0, 0.0], jac=jac, args=(T, Y), method=method)
    np.testing.assert_allclose(found.x, [2.0, 0.5], rtol=1e-8)
    found = optimize.leastsq(residuals, [1.0, 0.0], args=(T, Y), Dfun=jac)
    np.testing.assert_allclose(found[0], [2.0, 0.5], rtol=1e-8)


@pytest.mark.parametrize("method", ["lm", "trf"])
def test_curve_fit(method):
    jac = ad.jacobian(model, argnums=(1, 2), flat=True)
    assert jac(T, 1.0, 0.5).shape == (6, 2)
    found, covariance = optimize.curve_fit(model, T, Y, p0=[1.0, 0.0], jac=jac, method=method)
    np.testing.assert_allclose(found, [2.0, 0.5], rtol=1e-8)
    assert covariance.shape == (2, 2)


def test_one_matrix_of_all_derivatives():
    def f(x, p):
        return {"a": np.outer(x, x) * p["s"], "b": x[0] * p["v"]}, "aux"

    x, p = np.array([1.0, 2.0]), {"s": 3.0, "v": np.array([1.0, -1.0, 2.0])}
    matrix, aux = ad.jacobian(f, argnums=(0, 1), has_aux=True, flat=True)(x, p)
    assert aux == "aux"
    nested, _ = ad.jacobian(f, argnums=(0, 1), has_aux=True)(x, p)
    rows = [
        np.concatenate([np.reshape(block, (n, -1)) for block in (part[0], part[1]["s"], part[1]["v"])], axis=1)
        for part, n in ((nested["a"], 4), (nested["b"], 3))
    ]
    np.testing.assert_array_equal(matrix, np.concatenate(rows))
    sparse = ad.jacobian(f, argnums=(0, 1), has_aux=True, flat=True, sparse=True)(x, p)[0]
    assert sparse.format == "csr"
    np.testing.assert_array_equal(sparse.toarray(), matrix)
    assert ad.jacobian(lambda x: x**2, flat=True)(3.0).tolist() == [[6.0]]
    # A derivative of it, too.
    cubes = ad.grad(lambda x: np.sum(ad.jacobian(lambda x: x**3, flat=True)(x)))
    np.testing.assert_allclose(cubes(x), 6 * x)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root(method):
    def f(x):
        return np.stack([x[0] ** 2 + x[1] ** 2 - 1, x[0] - x[1]])

    found = optimize.root(f, [1.0, 0.0], jac=plain(ad.jacobian(f), np.ndarray), method=method)
    np.testing.assert_allclose(found.x, np.sqrt([0.5, 0.5]))
    found = optimize.fsolve(f, [1.0, 0.0], fprime=ad.jacobian(f))
    np.testing.assert_allclose(found, np.sqrt([0.5, 0.5]))


def test_root_of_a_number():
    def f(x):
        return x**3 - 2

    # SciPy's numbers are NumPy's scalars, which are arrays without axes.
    first, second = plain(ad.grad(f), np.ndarray), plain(ad.grad(ad.grad(f)), np.ndarray)
    exact = np.cbrt(2.0)
    found = optimize.root_scalar(
        plain(ad.value_and_grad(f), np.ndarray, np.ndarray), x0=1.5, fprime=True, method="newton"
    )
    np.testing.assert_allclose(found.root, exact)
    np.testing.assert_allclose(optimize.newton(f, 1.5, fprime=first, fprime2=second), exact)
    found = optimize.root_scalar(f, x0=1.5, fprime=first, fprime2=second, method="halley")
    np.testing.assert_allclose(found.root, exact)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_stiff_equations(method):
    def slope(t, y):
        return np.stack([y[1], 50 * (1 - y[0] ** 2) * y[1] - y[0]])

    jac = plain(ad.jacobian(slope, argnums=1), np.ndarray)
    found = integrate.solve_ivp(slope, (0.0, 2.0), [2.0, 0.0], method=method, jac=jac, rtol=1e-6)
    usual = integrate.solve_ivp(slope, (0.0, 2.0), [2.0, 0.0], method="RK45", rtol=1e-8)
    assert found.success
    np.testing.assert_allclose(found.y[:, -1], usual.y[:, -1], rtol=1e-3)


@pytest.mark.parametrize("method", ["trust-constr", "SLSQP"])
def test_constraints(method):
    def bounded(x):
        return np.stack([x[0] ** 2 + x[1] ** 2, x[0] * x[1]])

    def cost(x):
        return -x[0] - 2 * x[1]

    jac, second, curvature = ad.jacobian(bounded), {}, {}
    if method == "trust-constr":
        second = {"hess": ad.hessian(cost)}
        curvature = {"hess": ad.hessian(lambda x, weights: np.dot(weights, bounded(x)))}
    constraint = optimize.NonlinearConstraint(bounded, -np.inf, [2.0, 1.0], jac=jac, **curvature)
    found = optimize.minimize(
        ad.value_and_grad(cost), [0.1, 0.2], jac=True, constraints=[constraint], method=method, **second
    )
    # On the circle, along the direction of steepest descent.
    np.testing.assert_allclose(found.x, np.sqrt(2 / 5) * np.array([1.0, 2.0]), rtol=1e-2)


# --- where derivatives would be lost ---------------------------------------------------------------------------------

A = np.array([[3.0, 1.0], [1.0, 2.0]])
LOST = {
    "minimize": lambda a: optimize.minimize(lambda x: np.sum((x - a) ** 2), np.zeros(2)).x[0],
    "minimize from": lambda a: optimize.minimize(lambda x: np.sum(x**2), a).x[0],
    "root": lambda a: optimize.root(lambda x: x - a, np.zeros(2)).x[0],
    "root by a method": lambda a: optimize.root(lambda x: x - a, np.zeros(2), method="broyden1").x[0],
    "root: fsolve": lambda a: optimize.fsolve(lambda x: x - a, np.zeros(2))[0],
    "root: brentq": lambda a: optimize.brentq(lambda x: x - a[0], 0.0, 3.0),
    "root: of a number": lambda a: optimize.root_scalar(lambda x: x - a[0], bracket=(0.0, 3.0)).root,
    "least_squares": lambda a: optimize.least_squares(lambda x: x - a, np.zeros(2)).x[0],
    "least_squares: curve_fit": lambda a: optimize.curve_fit(lambda t, p: p * t, np.arange(2.0), a)[0][0],
    "odeint: solve_ivp": lambda a: integrate.solve_ivp(lambda t, y: -a * y, (0.0, 1.0), np.ones(2)).y[0, -1],
    "odeint": lambda a: integrate.odeint(lambda y, t: -a * y, np.ones(2), [0.0, 1.0])[-1, 0],
    "linear_solve": lambda a: sparse_linalg.cg(A, a)[0][0],
}


@pytest.mark.parametrize("use", LOST)
def test_what_to_write_instead(use, capfd):
    solver = use.split()[0].rstrip(":")
    for call, error in (
        (lambda: ad.grad(LOST[use])(np.array([1.0, 2.0])), errors.DetachedError),
        (lambda: ad.vmap(LOST[use])(np.ones((2, 2))), errors.TraceError),
    ):
        with pytest.raises(error, match=rf"does not know Tensors: .*Write ad\.{solver}\("):
            call()
    # MINPACK prints what it drops.
    capfd.readouterr()
