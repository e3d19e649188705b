"""Loops that end by a condition, and branches: derivatives of any order, batches whose elements go their own ways."""

import warnings

import numpy as np

import autodiff as ad
from autodiff import errors

from . import loops

RNG = np.random.default_rng(6)
LENGTH, N = 5, 3
W, B, H = RNG.normal(size=(N, N)) / 2, RNG.normal(size=N), RNG.normal(size=N)


def powers(loop):
    def loss(w, a):
        step = lambda c: (c[0] + 1, np.tanh(w @ c[1] + a * c[2]), np.sin(c[2] * 1.3 + np.sum(c[1])))  # noqa: E731
        _, vector, number = loop(lambda c: c[0] < LENGTH, step, (0, a, 0.5 * a[0]))
        return np.sum(vector**2) + number**2

    return loss


def test_a_while_loop_has_the_derivatives_of_the_loop():
    ours, python = powers(ad.while_loop), powers(loops.steps(LENGTH))
    loops.close(ad.value_and_grad(ours, (0, 1))(W, B), ad.value_and_grad(python, (0, 1))(W, B))
    loops.close(ad.jvp(ours, (W, B), (W.T, H)), ad.jvp(python, (W, B), (W.T, H)))
    loops.close(ad.hessian(ours, (0, 1))(W, B), ad.hessian(python, (0, 1))(W, B))
    twice = [lambda b, f=f: np.sum(ad.grad(f, 1)(W, b) ** 2) for f in (ours, python)]
    loops.close(*[ad.grad(lambda b, g=g: np.sum(ad.grad(g)(b) ** 2))(B) for g in twice])
    batch = np.stack([B, H, B * H])
    loops.close(*[ad.vmap(ad.grad(f, (0, 1)), (None, 0))(W, batch) for f in (ours, python)])
    loops.close(*[ad.hessian(lambda b, f=f: np.sum(ad.vmap(f, (None, 0))(W, b) ** 2))(batch) for f in (ours, python)])


COUNTS = np.array([0, 3, 1, 7, 2])


def while_below(x, count, w):
    return ad.while_loop(lambda c: c[0] < count, lambda c: (c[0] + 1, np.sin(w * c[1]) + 0.1 * c[1]), (0, x))[1]


def repeated(x, count, w):
    return loops.fori_loop(0, int(count), lambda _, c: np.sin(w * c) + 0.1 * c, x)


def test_each_element_of_a_batch_has_its_own_number_of_steps():
    x, w, axes = RNG.normal(size=5), 1.3, (0, 0, None)
    each = lambda f: lambda x, w: sum([f(x[i], n, w) ** 2 for i, n in enumerate(COUNTS)])  # noqa: E731
    batch = lambda x, w: np.sum(ad.vmap(while_below, axes)(x, COUNTS, w) ** 2)  # noqa: E731
    loops.close(ad.vmap(while_below, axes)(x, COUNTS, w), np.array([repeated(*a, w) for a in zip(x, COUNTS)]))
    loops.close(ad.value_and_grad(batch, (0, 1))(x, w), ad.value_and_grad(each(repeated), (0, 1))(x, w))
    loops.close(ad.hessian(batch)(x, w), ad.hessian(each(repeated))(x, w))
    slope = lambda f: lambda x, n, w: f(w * 1.0, n, x) if f is None else ad.grad(f, 2)(x, n, w)  # noqa: E731
    inner = lambda x, w: np.sum(ad.vmap(slope(while_below), axes)(x, COUNTS, w) ** 2)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.IndependentWarning)
        loops.close(ad.grad(inner, (0, 1))(x, w), ad.grad(each(slope(repeated)), (0, 1))(x, w))
    grid = ad.vmap(ad.vmap(ad.grad(while_below), axes), (None, None, 0))(x, COUNTS, np.array([1.3, 0.7]))
    # Of no steps the derivative is 1.
    wanted = [[1.0 if not n else ad.grad(repeated)(one, n, w) for one, n in zip(x, COUNTS)] for w in (1.3, 0.7)]
    loops.close(grid, np.array(wanted))


def test_the_reverse_of_a_loop_keeps_few_states():
    def loss(x, count):
        return np.sum(ad.while_loop(lambda c: c[0] < count, lambda c: (c[0] + 1, np.sin(c[1])), (0, x))[1])

    gradient = ad.function(ad.grad(loss))
    x = np.full(10_000, 0.5)
    peaks = [loops.peak(lambda n=n: gradient(x, np.array(n))) / x.nbytes for n in (400, 1600)]
    # Checkpoints and the steps between two of them: 40 and 80.
    assert 30 < peaks[0] < 60
    assert 60 < peaks[1] < 120


def test_a_range_that_is_known_when_it_runs():
    def f(n, x):
        return ad.fori_loop(1, n, lambda i, v: np.sin(v) * i, x)

    function, slope = ad.function(f), ad.function(ad.grad(f, 1))
    for n in (0, 3, 6):
        python = lambda x, n=n: loops.fori_loop(1, n, lambda i, v: np.sin(v) * i, x)  # noqa: E731
        loops.close(function(np.array(n), np.array(0.7)), python(np.array(0.7)))
        if n:
            loops.close(slope(np.array(n), np.array(0.7)), ad.grad(python)(np.array(0.7)))


# --- cond and switch --------------------------------------------------------------------------------------------------


def rooted(x, w):
    return ad.cond(np.sum(x) > 0, lambda x: np.sqrt(np.abs(x)) @ w, lambda x: np.log(1 + x**2) @ w, x)


def rooted_if(x, w):
    return np.sqrt(np.abs(x)) @ w if np.sum(x) > 0 else np.log(1 + x**2) @ w


def test_a_branch_has_the_derivatives_of_the_branch():
    xs, axes = RNG.normal(size=(6, 3)), (0, None)
    for x in xs[:3]:
        loops.close(*[ad.value_and_grad(f, (0, 1))(x, H) for f in (rooted, rooted_if)])
        loops.close(*[ad.hessian(f, (0, 1))(x, H) for f in (rooted, rooted_if)])
        loops.close(*[ad.jvp(f, (x, H), (H, x)) for f in (rooted, rooted_if)])
    total = lambda x, w: np.sum(ad.vmap(rooted, axes)(x, w) ** 2)  # noqa: E731
    each = lambda x, w: sum([rooted_if(x[i], w) ** 2 for i in range(len(xs))])  # noqa: E731
    loops.close(ad.value_and_grad(total, (0, 1))(xs, H), ad.value_and_grad(each, (0, 1))(xs, H))
    loops.close(ad.hessian(total, 1)(xs, H), ad.hessian(each, 1)(xs, H))
    loops.close(ad.vmap(ad.hessian(rooted), axes)(xs, H), np.stack([ad.hessian(rooted_if)(x, H) for x in xs]))


def unsafe(x, w):
    """Not differentiable, or not a number, where the other branch is taken; through operations that are no masks."""
    return ad.cond(x > 0, lambda x: np.log(x) * w + np.sum(np.sqrt(np.array([1.0, 1.0]) * x * w)), lambda x: w * x, x)


def test_nothing_of_a_branch_gets_where_it_is_not_taken():
    x = np.array([0.0, 1.0, -2.0, 0.0])
    f = lambda x, w: np.sum(ad.vmap(unsafe, (0, None))(x, w))  # noqa: E731
    slope, weight = ad.grad(f, (0, 1))(x, 2.0)
    np.testing.assert_allclose(slope, [2.0, 2.0 + np.sqrt(2), 2.0, 2.0])
    np.testing.assert_allclose(weight, -2.0 + 1 / np.sqrt(2))
    for argument in (0, 1):
        assert np.isfinite(ad.hessian(f, argument)(x, 2.0)).all()
    assert np.isfinite(ad.vmap(ad.hessian(unsafe), (0, None))(x, 2.0)).all()


def test_a_predicate_that_is_known_decides_at_once():
    taken = []
    true, false = lambda x: taken.append(1) or x, lambda x: taken.append(0) or -x
    assert ad.cond(True, true, false, 3) == 3
    assert ad.cond(np.bool_(False), true, false, 3) == -3
    assert ad.switch(7, [false, true], 3) == 3
    assert ad.switch(-7, [false, true], 3) == -3
    assert taken == [1, 0, 1, 0]
    # Only the branch that is taken is computed.
    x = ad.Tensor(np.zeros((2, 2)))
    result = ad.cond(np.sum(x) > 0, np.linalg.inv, lambda x: x + 1, x)
    np.testing.assert_array_equal(result.value, np.ones((2, 2)))


def test_branches_of_a_switch():
    functions = [np.sin, lambda x: x**3, lambda x: 2.0]
    f = lambda i, x: ad.switch(i, functions, x)  # noqa: E731
    i, x = np.array([-1, 0, 1, 2, 9]), np.full(5, 0.5)
    loops.close(ad.vmap(f)(i, x), np.array([np.sin(0.5), np.sin(0.5), 0.125, 2.0, 2.0]))
    loops.close(ad.vmap(ad.grad(f, 1))(i, x), np.array([np.cos(0.5), np.cos(0.5), 0.75, 0.0, 0.0]))


def test_loops_and_branches_within_each_other():
    xs = RNG.normal(size=5)

    def chosen(x, c):
        loop = lambda c: ad.scan(lambda a, _: (a * np.sin(c), None), c, length=2)[0]  # noqa: E731
        return ad.cond(x > 0, loop, lambda c: c**2, c)

    def by_if(i, c):
        return c * np.sin(c) ** 2 if xs[i] > 0 else c**2

    def ours(w, xs):
        def step(c, x):
            c = ad.while_loop(lambda v: v[0] < 2, lambda v: (v[0] + 1, np.cos(v[1] * w) + x), (0, c))[1]
            c = chosen(x, c)
            return c, c * x

        c, ys = ad.scan(step, w * 0.5, xs)
        return c * np.sum(ys)

    def python(w, own):
        c, ys = w * 0.5, 0.0
        for i in range(5):
            for _ in range(2):
                c = np.cos(c * w) + own[i]
            c = by_if(i, c)
            ys = ys + c * own[i]
        return c * ys

    loops.close(*[ad.value_and_grad(f, (0, 1))(1.2, xs) for f in (ours, python)])
    loops.close(*[ad.hessian(f, 1)(1.2, xs) for f in (ours, python)])
    loops.close(*[ad.nth_derivative(lambda w, f=f: f(w, xs), 3)(1.2) for f in (ours, python)])
    loops.close(*[ad.vmap(ad.grad(f), (0, None))(np.array([0.3, 1.2]), xs) for f in (ours, python)])
