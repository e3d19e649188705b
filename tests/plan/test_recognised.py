"""Structures recognised without their key: only those that the key would find, whatever small thing differs."""

import gc
import random
import weakref

import numpy as np
import pytest

import autodiff as ad
from autodiff.gradients import MET_AT_ONCE
from autodiff.plan import recognised
from autodiff.transforms.calls import ENGINE

STEPS = recognised.USES + 3


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setenv("AUTODIFF_BACKGROUND", "0")


def recognises(graph, y, wrt, n=1):
    """Whether a structure is recognised: if so, as that which its key finds."""
    engine, nodes = graph._gradients, [x.node for x in wrt]
    found = engine.again(y.node, nodes, n)
    if found is None:
        return False
    plan, values = found
    y.node.collected = None
    by_key, leaves = engine.found(y.node, nodes, n, wrt)
    assert plan is by_key
    assert len(values) == len(leaves)
    assert all(a is b for a, b in zip(values, leaves, strict=True))
    return True


def vector(seed=0):
    return ad.Tensor(np.random.default_rng(seed).normal(size=3))


def valued(t):
    assert t.value is not None
    return t


b = vector(3)
# Older than what is differentiated with respect to, and so a leaf.
before = valued(np.tanh(b))


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


x, w = vector(1), vector(2)
old = valued(np.tanh(x))


def reordered(swap):
    second = np.cos(w) if swap else None
    first = np.sin(x)
    return first * (np.cos(w) if second is None else second)


def shared(twice):
    a = x * w
    return a + (x * w if twice else a)


def written(place):
    t = x * w
    t[place] = 2.0
    return t * t


# Pairs that differ in one thing, and end alike.
PAIRS = {
    "order": (lambda: reordered(False), lambda: reordered(True)),
    "a shared value": (lambda: shared(False), lambda: shared(True)),
    "a leaf for another": (lambda: x * w + b, lambda: x * w + w),
    "operands exchanged": (lambda: np.sin(x) * np.cos(w), lambda: np.cos(x) * np.sin(w)),
    "one more": (lambda: np.tanh(x * w) * w, lambda: np.tanh(np.tanh(x * w)) * w),
    "another number": (lambda: (x**2) * w, lambda: (x**3) * w),
    "another kind of number": (lambda: (x * 2.0) * w, lambda: (x * 2.5) * w),
    "a value at hand": (lambda: np.sin(x * w) * w, lambda: np.sin(valued(x * w)) * w),
    "a result of before": (lambda: x * w * np.tanh(x), lambda: x * w * old),
    "a leaf with a history": (lambda: x * w * before, lambda: x * w * np.tanh(b)),
    "a value before and since": (lambda: x * w * before, lambda: x * w * valued(np.tanh(b))),
    "another slice": (lambda: x[1:] * 2.0 * w[:-1], lambda: x[1::2] * 2.0 * w[:1]),
    "another dtype": (lambda: x * w * b.value, lambda: x * w * b.value.astype(np.float32)),
    "written elsewhere": (lambda: written(0), lambda: written(slice(0, 1))),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("swapped", [False, True])
def test_what_differs_in_one_thing_is_not_mistaken(name, swapped):
    one, other = PAIRS[name][::-1] if swapped else PAIRS[name]
    graph, wrt = ad.Graph(), [x, w]
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            graph.gradient(np.sum(one()), wrt)
        assert recognises(graph, np.sum(one()), wrt)
        assert not recognises(graph, np.sum(other()), wrt)
        for _ in range(STEPS):
            for function in (one, other):
                y, fresh = np.sum(function()), np.sum(function())
                recognises(graph, y, wrt)
                expected = ad.Graph().value_and_gradient(fresh, wrt)
                value, found = graph.value_and_gradient(y, wrt)
                same([value, *found], [expected[0], *expected[1]])
        assert recognises(graph, np.sum(other()), wrt)


def test_what_is_asked_for_is_part_of_it():
    graph = ad.Graph()
    for _ in range(STEPS):
        graph.gradient(np.sum(x * x * w), [x, w])
    assert recognises(graph, np.sum(x * x * w), [x, w])
    for wrt, n in [([w, x], 1), ([x], 1), ([x, x], 1), ([x, w], 2)]:
        assert not recognises(graph, np.sum(x * x * w), wrt, n)
        found = graph.gradient(np.sum(x * x * w), wrt, n)
        same(found, ad.Graph().gradient(np.sum(x * x * w), wrt, n))
    y = np.sum(x * x * w)
    assert y.value is not None
    assert not recognises(graph, y, [x, w])


def test_a_variable_that_was_assigned_to_stands_for_its_old_version():
    graph, v = ad.Graph(), ad.Tensor([1.0, 2.0])
    for _ in range(STEPS):
        graph.gradient(np.sum(v**3), [v])
    y = np.sum(v**3)
    v.assign([5.0, 5.0])
    assert not recognises(graph, y, [v])
    assert np.array_equal(graph.gradient(y, [v])[0], [3.0, 12.0])
    assert np.array_equal(graph.gradient(np.sum(v**3), [v])[0], [75.0, 75.0])


def test_warnings_come_at_each_call():
    graph = ad.Graph()
    for _ in range(STEPS):
        with pytest.warns(ad.errors.IndependentWarning):
            graph.gradient(np.sum(x * x), [x, w])
    for _ in range(STEPS):
        graph.gradient(np.sum(x * w), [x, w])
    for _ in range(STEPS):
        first, taken = (x * w)[0], np.ones(())
        graph.gradient(first * taken, [x, w])
    for _ in range(2):
        first = (x * w)[0]
        with pytest.warns(ad.DetachedWarning):
            graph.gradient(first * np.mean([first, first]), [x, w])


def test_where_nan_begins_is_looked_for():
    graph, v = ad.Graph(), ad.Tensor([0.0])
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            graph.gradient(np.sum(np.log(v) * v), [v])
        with ad.debug_nans(), pytest.raises(FloatingPointError):
            graph.gradient(np.sum(np.log(v) * v), [v])


def test_hits_are_counted_and_a_plan_that_is_dropped_is_gone():
    graph = ad.Graph(cache_size=1)
    for _ in range(10):
        graph.gradient(np.sum(x * w), [x, w])
    assert graph.cache_info()[:3] == (9, 1, 1)
    (entry,) = map(weakref.ref, graph._gradients.cache._entries.values())
    graph.gradient(np.sum(x + w), [x, w])
    gc.collect()
    assert entry() is None
    assert not recognises(graph, np.sum(x * w), [x, w])
    assert graph.cache_info()[:3] == (9, 2, 1)
    for _ in range(STEPS):
        graph.gradient(np.sum(x * w), [x, w])
    graph.clear_cache()
    assert not recognises(graph, np.sum(x * w), [x, w])


def test_structures_that_end_alike_are_tried_one_after_the_other():
    graph = ad.Graph()

    def chain(n):
        t = x
        for _ in range(n):
            t = np.tanh(t * w)
        return np.sum(t)

    for _ in range(STEPS):
        for n in range(1, MET_AT_ONCE + 2):
            graph.gradient(chain(n), [x, w])
    for n in range(2, MET_AT_ONCE + 2):
        assert recognises(graph, chain(n), [x, w])
    assert not recognises(graph, chain(1), [x, w])


def test_long_structures_are_written_in_the_background(monkeypatch):
    monkeypatch.delenv("AUTODIFF_BACKGROUND")
    graph = ad.Graph()

    def chain():
        t = x
        for _ in range(recognised.SHORTEST_LATER):
            t = np.tanh(t * w)
        return np.sum(t)

    expected = ad.Graph().gradient(chain(), [x, w])
    for _ in range(10_000):
        same(graph.gradient(chain(), [x, w]), expected)
        if recognises(graph, chain(), [x, w]):
            break
    else:
        pytest.fail("no code was written")


# --- functions -------------------------------------------------------------------------------------------------------


def warm(function, *args):
    for _ in range(STEPS):
        ad.grad(function)(*args)


@pytest.mark.parametrize("value", [1.5, np.array([1.0, 2.0])])
def test_functions_of_their_arguments_are_recognised(value):
    def f(x):
        return np.sum(x * x * 3.5) + np.sum(x)

    warm(f, value)
    assert is_recognised(f, value)
    np.testing.assert_allclose(ad.grad(f)(value), 7.0 * value + 1.0)


def test_what_belongs_to_something_larger_is_not_mistaken():
    outside = ad.Tensor(3.0)

    def constant(x):
        return x * c * x

    c = ad.Tensor(3.0, constant=True)
    warm(constant, 2.0)
    assert is_recognised(constant, 2.0)
    assert type(ad.grad(constant)(2.0)) is float
    c = outside
    for _ in range(STEPS):
        slope = ad.grad(constant)(2.0)
        assert isinstance(slope, ad.Tensor)
        assert ad.Graph().gradient(slope, [outside])[0] == 4.0
    c = 3.0
    assert ad.grad(ad.grad(constant))(2.0) == 6.0
    assert ad.grad(lambda y: ad.grad(lambda x: x * y * x)(2.0))(5.0) == 4.0
    c = outside * 1.0
    assert c.value is not None
    assert isinstance(ad.grad(constant)(2.0), ad.Tensor)
    # The argument itself a Tensor.
    c = 3.0
    assert isinstance(ad.grad(constant)(outside), ad.Tensor)


def is_recognised(function, value):
    seen = []

    def noting(x):
        result = function(x)
        seen.append(ENGINE.again(result.node, [x.node]))
        return result

    ad.grad(noting)(value)
    return seen[0] is not None


# --- random programs -------------------------------------------------------------------------------------------------

UNARY = [np.sin, np.tanh, np.negative, lambda t: t**2, lambda t: t * 0.75, lambda t: t[::-1] + 0.0, lambda t: t[1] * t]
BINARY = [np.add, np.multiply, np.subtract, np.maximum]


def program(rng, length):
    return [
        (rng.choice(["unary", "unary", "binary", "binary", "binary", "look", "write", "old"]),
         rng.randrange(8), rng.randrange(1000), rng.randrange(1000))
        for _ in range(length)
    ]  # fmt: skip


def changed(rng, steps):
    """The program with one thing another."""
    steps = list(steps)
    i = rng.randrange(len(steps))
    kind = rng.choice(["step", "operands", "more", "less", "exchange"])
    if kind == "step":
        steps[i] = program(rng, 1)[0]
    elif kind == "operands":
        steps[i] = (*steps[i][:2], rng.randrange(1000), steps[i][3])
    elif kind == "more":
        steps.insert(i, program(rng, 1)[0])
    elif kind == "less" and len(steps) > 1:
        steps.pop(i)
    else:
        j = rng.randrange(len(steps))
        steps[i], steps[j] = steps[j], steps[i]
    return steps


def run(steps, leaves, older):
    pool = list(leaves)
    for kind, which, i, j in steps:
        a, c = pool[i % len(pool)], pool[j % len(pool)]
        if kind == "unary":
            pool.append(UNARY[which % len(UNARY)](a))
        elif kind == "binary":
            pool.append(BINARY[which % len(BINARY)](a, c))
        elif kind == "look":
            assert a.value is not None
        elif kind == "old":
            pool.append(older * a)
        elif all(a is not leaf for leaf in leaves):
            a[which % 3] = c[0]
    return np.sum(pool[-1] * leaves[0]) + np.sum(leaves[1] * leaves[2])


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_that_change_a_little(seed):
    rng = random.Random(seed)
    leaves = [vector(seed), vector(seed + 100), vector(seed + 200)]
    recognitions = 0
    for _ in range(3):
        graph = ad.Graph()
        programs = [program(rng, rng.randrange(2, 12))]
        programs += [changed(rng, programs[0]) for _ in range(4)]
        order = [0] * STEPS + [rng.choice([0, 0, 1, 2, 3, 4]) for _ in range(25)]
        for which in order:
            older = np.exp(leaves[2] * 0.1)
            assert older.value is not None
            wrt = leaves[: 1 + which % 2] if which else leaves
            y, fresh = [run(programs[which], leaves, older) for _ in range(2)]
            recognitions += recognises(graph, y, wrt)
            value, found = graph.value_and_gradient(y, wrt)
            expected, gradients = ad.Graph().value_and_gradient(fresh, wrt)
            same([value, *found], [expected, *gradients])
            leaves[1].assign_add(np.full(3, 0.01))
    assert recognitions
