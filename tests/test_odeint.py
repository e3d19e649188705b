"""Solutions of differential equations as operations of a graph, and their derivatives."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors

linalg = pytest.importorskip("scipy.linalg")

PRECISE = {"rtol": 1e-11, "atol": 1e-11}
M = np.array([[-0.5, 1.0], [-1.2, -0.3]])
Y0 = np.array([1.0, 0.5])
T = np.array([0.0, 0.4, 1.1, 1.5])
WEIGHTS = np.random.default_rng(0).normal(size=(4, 2))
ALONG = (0.3 * M, 0.2 * Y0, 0.7 * T)


def by_steps(m, y0, t):
    return ad.odeint(lambda y, t: m @ y, y0, t, **PRECISE)


def by_exponentials(m, y0, t):
    return np.stack([linalg.expm(m * (t[i] - t[0])) @ y0 for i in range(4)])


def weighed(f):
    return lambda *args: np.sum(WEIGHTS * f(*args))


def directed(g):
    """The derivative of a number along a direction, in reverse mode."""
    return lambda *args: sum(np.sum(x * v) for x, v in zip(ad.grad(g, (0, 1, 2))(*args), ALONG, strict=True))


def pushed(f):
    return lambda *args: ad.jvp(f, args, ALONG)[1]


ODE = {
    "value": lambda f: f,
    "reverse": lambda f: ad.grad(weighed(f), (0, 1, 2)),
    "forward": pushed,
    "reverse, forward": lambda f: pushed(ad.grad(weighed(f), (0, 1, 2))),
    "forward, reverse": lambda f: ad.grad(weighed(pushed(f)), (0, 1, 2)),
    "forward twice": lambda f: pushed(pushed(f)),
    "reverse twice": lambda f: ad.grad(directed(weighed(f)), (0, 1, 2)),
    "reverse three times": lambda f: ad.grad(directed(directed(weighed(f))), (0, 1, 2)),
    "batch": lambda f: ad.vmap(ad.grad(weighed(f), (0, 1, 2)), (None, 0, None)),
    "Hessian": lambda f: lambda m, y0, t: ad.hessian(lambda y0: np.sum(f(m, y0, t) ** 2))(y0),
}


def by_discrete_steps(m, y0, t):
    return ad.odeint(lambda y, t: m @ y, y0, t, adjoint="discrete", max_steps=20, **PRECISE)


@pytest.mark.parametrize("function", [by_steps, by_discrete_steps])
@pytest.mark.parametrize("use", ODE)
def test_linear_equations(use, function):
    args = (M, np.stack([Y0, -Y0]), T) if use == "batch" else (M, Y0, T)
    found, expected = ODE[use](function)(*args), ODE[use](by_exponentials)(*args)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", ["RK45", "Radau", "BDF", "LSODA"])
def test_methods(method):
    options = {"method": method, "rtol": 1e-9, "atol": 1e-10}

    def oscillator(p, y0):
        def slope(y, t, p):
            return {"x": y["v"], "v": p * (1 - y["x"] ** 2) * y["v"] - y["x"] + 0.1 * t}

        return ad.odeint(slope, {"x": y0, "v": 0.0}, [0.0, 0.3, 1.0], p, **options)

    found = oscillator(0.7, 1.0)
    assert found["x"].shape == (3,)
    exact = ad.odeint(
        lambda y, t: np.stack([y[1], 0.7 * (1 - y[0] ** 2) * y[1] - y[0] + 0.1 * t]), [1.0, 0.0], T, **PRECISE
    )
    assert exact.shape == (4, 2)
    ad.testing.check_grads(lambda p, y: oscillator(p, y)["x"], (0.7, 1.0), 1, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853"])
def test_discrete_derivatives_are_those_of_the_steps(method):
    """With steps so long that the solution is wrong, and that depend on nothing: tolerances are met by any."""
    options = {"method": method, "rtol": 1e8, "atol": 1e8, "max_step": 0.5, "adjoint": "discrete", "max_steps": 12}

    def slope(y, t, p):
        return np.sin(4 * t) - p * np.sin(y)

    def last(p, y0):
        return ad.odeint(slope, y0, [0.0, 1.0, 3.0], p, **options)[-1]

    y0 = np.array([1.0, 1.5])
    exact = ad.odeint(slope, y0, [0.0, 1.0, 3.0], 2.0, **PRECISE)[-1]
    assert np.max(np.abs(last(2.0, y0) - exact)) > {"RK23": 1e-3, "RK45": 1e-6, "DOP853": 1e-9}[method]
    ad.testing.check_grads(last, (2.0, y0), 2 if method == "RK23" else 1)


def test_adjoints_of_stiff_equations():
    """Robertson's reactions: backwards the state would grow by far more than all numbers hold."""

    def last(k):
        def slope(y, t):
            first, third = k[1] * y[1] * y[2] - k[0] * y[0], k[2] * y[1] ** 2
            return np.stack([first, -first - third, third])

        return ad.odeint(slope, [1.0, 0.0, 0.0], [0.0, 10.0], method="Radau", rtol=1e-8, atol=1e-12)[-1]

    k = np.array([0.04, 1e4, 3e7])
    forward, back = (ad.jacobian(last, mode=mode)(k) for mode in ("forward", "reverse"))
    np.testing.assert_allclose(back, forward, rtol=1e-4)
    moved = [(last(k * (1 + h)) - last(k * (1 - h))) / 2e-3 for h in 1e-3 * np.eye(3)]
    np.testing.assert_allclose(forward * k, np.stack(moved, 1), rtol=1e-3)


def test_what_decays_grows_backwards():
    def last(rate):
        return ad.odeint(lambda y, t: -rate * y, 1.0, [0.0, 5.0], rtol=1e-10, atol=1e-13)[-1]

    for rate in (3.0, 20.0):
        exact = [(-5.0) ** n * np.exp(-5 * rate) for n in range(3)]
        found = [last(rate), ad.grad(last)(rate), ad.hessian(last)(rate)]
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-11)
    # Reverse mode twice goes back and forth; it says when it cannot.
    with pytest.raises(errors.ConvergenceError, match=r"solved backwards it is off by .*ad\.hessian"):
        ad.grad(ad.grad(last))(20.0)


def test_times_that_decrease_or_repeat_and_state_in_single_precision():
    t = np.array([1.0, 0.5, 0.5, -0.2])
    found = ad.odeint(lambda y, t: -y, 2.0, t, **PRECISE)
    np.testing.assert_allclose(found, 2 * np.exp(1 - t), rtol=1e-9)
    w = np.array([1.0, 2.0, 3.0, 4.0])
    g = ad.grad(lambda t: np.sum(w * ad.odeint(lambda y, t: -y, 2.0, t, **PRECISE)))(t)
    np.testing.assert_allclose(g, ad.grad(lambda t: np.sum(w * 2 * np.exp(t[0] - t)))(t), rtol=1e-7)
    single = ad.odeint(lambda y, t: -y, np.ones(2, "float32"), [0.0, 1.0], rtol=1e-5, atol=1e-6)
    assert single.dtype == np.float32
    assert ad.odeint(lambda y, t: -y, np.ones((0, 2)), [0.0, 1.0]).shape == (2, 0, 2)
    assert ad.odeint(lambda y, t: -y, 1.0, [3.0]).tolist() == [1.0]


def test_weights_of_the_outside():
    w = ad.Tensor([0.5, 0.2])
    last = ad.odeint(lambda y, t: -w * y, np.ones(2), [0.0, 1.0], **PRECISE)[-1]
    graph = ad.Graph()
    for order in (1, 2, 3):
        (found,) = graph.gradient(np.sum(last), [w], order)
        np.testing.assert_allclose(found, (-1.0) ** order * np.exp(-w.value), rtol=1e-7)


def fall(height, speed, gravity):
    return ad.odeint(
        lambda y, t: {"x": y["v"], "v": -gravity},
        {"x": height, "v": speed},
        [0.0, 9.0],
        event=lambda y, t: y["x"],
        **PRECISE,
    )


def test_the_time_of_an_event():
    def exact(height, speed, gravity):
        return (speed + np.sqrt(speed**2 + 2 * gravity * height)) / gravity

    args = (10.0, 1.0, 9.81)
    time, state = fall(*args)
    assert type(time) is float
    np.testing.assert_allclose([time, state["x"]], [exact(*args), 0.0], atol=1e-10)
    for which in (lambda f: ad.grad(f, (0, 1, 2)), lambda f: ad.jacobian(ad.grad(f), (0, 1, 2))):
        np.testing.assert_allclose(which(lambda *a: fall(*a)[0])(*args), which(exact)(*args), rtol=1e-8)
    at_the_end = ad.grad(lambda *a: fall(*a)[1]["v"], (0, 1, 2))(*args)
    speed = ad.grad(lambda h, v, g: -np.sqrt(v**2 + 2 * g * h), (0, 1, 2))
    np.testing.assert_allclose(at_the_end, speed(*args), rtol=1e-8)
    # By the level that is passed, and when the fall begins.
    slopes = ad.grad(
        lambda level, start: ad.odeint(
            lambda y, t: np.stack([y[1], -9.81]),
            [10.0, 0.0],
            np.stack([start, 20.0]),
            event=lambda y, t: y[0] - level,
            **PRECISE,
        )[0],
        (0, 1),
    )(4.0, 1.0)
    np.testing.assert_allclose(slopes, [-1 / np.sqrt(2 * 9.81 * 6), 1.0], rtol=1e-8)
    heights = np.array([1.0, 10.0])
    found = ad.vmap(ad.grad(lambda h: fall(h, 1.0, 9.81)[0]))(heights)
    np.testing.assert_allclose(found, [ad.grad(exact)(h, 1.0, 9.81) for h in heights], rtol=1e-8)


# --- what cannot be found --------------------------------------------------------------------------------------------

BAD = {
    "blown up": (
        lambda: ad.odeint(lambda y, t: y**2, 1.0, [0.0, 2.0]),
        errors.ConvergenceError,
        r"odeint: the solution was not found beyond t=1",
    ),
    "NaN slope": (
        lambda: ad.odeint(lambda y, t: y * np.nan, 1.0, [0.0, 2.0]),
        errors.ConvergenceError,
        "beyond t=0: the state is not finite",
    ),
    "too many steps": (
        lambda: ad.odeint(lambda y, t: -y, 1.0, [0.0, 2.0], max_evaluations=3),
        errors.ConvergenceError,
        "more than 3 evaluations",
    ),
    "too little room": (
        lambda: ad.odeint(lambda y, t: -y, 1.0, [0.0, 2.0], adjoint="discrete", max_steps=2),
        errors.ConvergenceError,
        r"from t=0 to t=2, and there is room for 2 \(max_steps=\)",
    ),
    "discrete": (
        lambda: ad.odeint(lambda y, t: -y, 1.0, T, adjoint="discrete", method="BDF"),
        errors.ArgumentError,
        "adjoint='discrete' differentiates the steps",
    ),
    "no event": (lambda: fall(-1.0, 0.0, 1.0), errors.ConvergenceError, "no event before the last time"),
    "times": (lambda: ad.odeint(lambda y, t: y, 1.0, [0.0, 1.0, 0.5]), errors.ArgumentError, "must increase"),
    "no times": (lambda: ad.odeint(lambda y, t: y, 1.0, 0.0), errors.ShapeError, "one axis of at least one time"),
    "shape of a slope": (
        lambda: ad.odeint(lambda y, t: y[0], Y0, T),
        errors.ShapeError,
        r"returned float64\[\], but y0",
    ),
    "structure": (
        lambda: ad.odeint(lambda y, t: y["x"], {"x": 1.0}, T),
        errors.ArgumentError,
        "must return what y0 is",
    ),
    "rtol": (lambda: ad.odeint(lambda y, t: y, 1.0, T, rtol=0), errors.ArgumentError, "rtol=0 must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_found(case):
    call, error, match = BAD[case]
    with pytest.raises(error, match=match):
        call()


def test_equations_in_machine_code_take_elements_of_an_array(monkeypatch):
    """An element is a scalar of NumPy's between the statements of a plan, and machine code takes arrays."""
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("AUTODIFF_TIERS", "llvm")
    monkeypatch.setenv("AUTODIFF_BACKGROUND", "0")

    def end(rates):
        def slope(y, t):
            return np.stack([rates[0] * y[0] - rates[1] * y[0] * y[1], rates[2] * y[0] * y[1] - y[1]])

        return ad.odeint(slope, np.array([2.0, 1.0]), np.array([0.0, 0.5, 1.0]), rtol=1e-10, atol=1e-10)[-1]

    rates = np.array([0.8, 0.5, 0.4])
    step = 1e-5 * np.eye(3)
    differences = np.stack([(end(rates + h) - end(rates - h)) / 2e-5 for h in step], axis=1)
    np.testing.assert_allclose(ad.jacobian(end)(rates), differences, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("adjoint", ["continuous", "discrete"])
def test_slope_that_depends_on_nothing_but_arguments(adjoint):
    # The state is y0 + k (t - t0), and k may be any array, or zero.
    def last(k, y0, end):
        return ad.odeint(lambda y, t: k, y0, np.stack([0.0, 1.0, end]), adjoint=adjoint)[-1]

    k = np.array([2.0, -3.0])
    np.testing.assert_allclose(last(k, Y0, 3.0), Y0 + 3 * k)
    by_k, by_y0, by_end = ad.jacobian(last, (0, 1, 2))(k, Y0, 3.0)
    np.testing.assert_allclose(by_k, 3 * np.eye(2), rtol=1e-7)
    np.testing.assert_allclose(by_y0, np.eye(2), rtol=1e-7)
    np.testing.assert_allclose(by_end, k, rtol=1e-7)
    np.testing.assert_allclose(ad.jvp(lambda k: last(k, Y0, 3.0), (k,), (np.ones(2),))[1], [3.0, 3.0], rtol=1e-7)
    np.testing.assert_allclose(ad.hessian(lambda k: np.sum(last(k, Y0, 3.0) ** 2))(k), 18 * np.eye(2), atol=1e-6)
    np.testing.assert_allclose(last(np.zeros(2), Y0, 3.0), Y0)


@pytest.mark.parametrize("method", ["RK45", "RK23", "Radau", "BDF", "LSODA"])
def test_constant_slope_of_every_method(method):
    np.testing.assert_allclose(
        ad.odeint(lambda y, t: [2.0, 3.0], Y0, T, method=method)[-1], Y0 + 1.5 * np.array([2, 3])
    )


def test_list_for_an_array():
    def swing(k, make):
        return ad.odeint(lambda y, t: make([y[1], -k * y[0]]), [1.0, 0.0], T, **PRECISE)

    for make in (list, tuple):
        np.testing.assert_array_equal(swing(2.0, make), swing(2.0, np.stack))
        np.testing.assert_array_equal(*[ad.jacobian(lambda k, m=m: swing(k, m))(2.0) for m in (make, np.stack)])
    fall = ad.odeint(lambda y, t: [y[1], -9.81], np.float32([10.0, 0.0]), [0.0, 1.0])
    assert fall.dtype == np.float32
    np.testing.assert_allclose(fall[-1], [10 - 9.81 / 2, -9.81], rtol=1e-6)
    turned = ad.odeint(lambda y, t: [[y[0, 1], y[0, 0]], (y[1, 1], y[1, 0])], np.eye(2), [0.0, 1.0])
    np.testing.assert_allclose(turned[-1], linalg.expm(np.array([[0.0, 1.0], [1.0, 0.0]])), rtol=1e-6)
    # Where the state is a list of arrays, it stays one.
    pair = ad.odeint(lambda y, t: [y[1], -y[0]], [np.ones(3), np.zeros(3)], [0.0, 1.0])
    assert [part.shape for part in pair] == [(2, 3), (2, 3)]
