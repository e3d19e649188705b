"""``no_grad``: nothing is recorded in the block, by this thread, and everything is as before after it."""

import gc
import threading
import weakref

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as adnp
from autodiff.containers import flatten
from autodiff.tensor import tensor as implementation

from .test_views import Program


def is_value(t):
    """Whether no derivative passes to a Tensor, and it has no history but its value."""
    return all(not node.inputs and type(node) is ad.Constant for node in t.node.inputs)


@pytest.fixture
def w():
    return ad.Tensor([1.0, 2.0, 3.0], name="w")


OPERATIONS = {
    "operator": lambda w: w * 2 + 1,
    "reflected": lambda w: 1 - w,
    "unary": lambda w: -abs(w),
    "ufunc": lambda w: np.sin(w),
    "composite": lambda w: np.logaddexp(w, 1.0),
    "reduction": lambda w: np.std(w),
    "method": lambda w: w.sum(),
    "product": lambda w: w @ w,
    "slice": lambda w: w[1:],
    "index": lambda w: w[[0, 0, 2]],
    "view": lambda w: w.reshape(3, 1).T,
    "copy": lambda w: w.copy(),
    "several": lambda w: np.linalg.svd(np.diag(w))[1],
    "sorted": lambda w: np.sort(w)[::-1],
    "einsum": lambda w: np.einsum("i,j->ij", w, w),
    "integer": lambda w: np.argmax(w),
    "truth": lambda w: w > 1,
    "namespace": lambda w: adnp.concatenate([w, adnp.zeros(2)]),
    "scalar": lambda w: 2.0 ** np.mean(w),
    "complex": lambda w: np.fft.fft(w),
    "function": ad.function(lambda w: np.sum(w**2)),
    "scan": lambda w: ad.scan(lambda c, x: (c + x, c * x), 0.0, w)[1],
    "checkpoint": ad.checkpoint(lambda w: np.tanh(np.tanh(w))),
    "minimize": lambda w: ad.minimize(lambda x: np.sum((x - w) ** 2), np.zeros(3)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_are_values(w, name):
    if name == "minimize":
        pytest.importorskip("scipy")
    function = OPERATIONS[name]
    expected = function(w)
    for _ in range(3):
        # Recipes and plans that are made in the block are those of before and after it.
        with ad.no_grad():
            found = function(w)
        assert type(found) is ad.Tensor
        assert is_value(found)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found.value, expected.value)
        if expected.dtype.kind == "f":
            (after,) = ad.Graph().gradient(np.sum(function(w)), [w])
            (before,) = ad.Graph().gradient(np.sum(expected), [w])
            np.testing.assert_array_equal(after, before)
            assert not np.any(ad.Graph().gradient(np.sum(found) + 0 * np.sum(w), [w])[0])


def test_values_are_constants_in_what_is_recorded_after(w):
    with ad.no_grad():
        scale = np.sum(w)
    graph = ad.Graph()
    (found,) = graph.gradient(np.sum(w**2) * scale, [w])
    np.testing.assert_array_equal(found, 2 * w.value * 6)
    # Another value is no other structure.
    for value in (1.0, 2.0):
        with ad.no_grad():
            scale = np.sum(w) + value
        np.testing.assert_array_equal(graph.gradient(np.sum(w**2) * scale, [w])[0], 2 * w.value * (6 + value))
    assert graph.cache_info().misses == 1


def test_variables_that_are_changed_in_place_stay_variables(w):
    graph = ad.Graph()
    loss, view = np.sum(w**2), w[1:]
    with ad.no_grad():
        w -= 0.5
        np.testing.assert_array_equal(w.value, [0.5, 1.5, 2.5])
        w[0] = 7
        np.add(w, 1, out=w)
        view *= 2
        np.copyto(w, w + 1)
        w.sort()
    np.testing.assert_array_equal(w.value, [6.0, 8.0, 9.0])
    np.testing.assert_array_equal(view.value, [8.0, 9.0])
    assert type(w.node) is ad.Variable
    assert w.name == "w"
    np.testing.assert_array_equal(graph.gradient(np.sum(w**2) + np.sum(view), [w])[0], 2 * w.value + [0, 1, 1])
    # A graph of before keeps the old value.
    np.testing.assert_array_equal(graph.gradient(loss, [w])[0], [2.0, 4.0, 6.0])


def test_descent_as_numpy_writes_it_keeps_no_history():
    w, graph = ad.Tensor([1.0, -2.0]), ad.Graph()
    for _ in range(50):
        (gradient,) = graph.gradient(np.sum((w - 3) ** 2), [w])
        with ad.no_grad():
            w -= 0.25 * gradient
    np.testing.assert_allclose(w.value, [3.0, 3.0])
    assert graph.cache_info().misses == 1
    assert not w.node.inputs


def test_random_programs_of_views_do_what_numpy_does():
    """Aliasing is as outside of a block, whatever is read and written in which order."""
    for seed in range(24):
        shape = [(4, 3), (6,), (2, 3, 4), (1, 6), (4, 1, 2), (0, 3)][seed % 6]
        data = np.random.default_rng(seed).normal(size=shape)
        there = Program(seed, data.copy())
        there.run(24)
        here = Program(seed, ad.Tensor(data), there.decided)
        with ad.no_grad():
            try:
                here.run(24)
                found = [np.asarray(x) for x in here.handles]
            except ad.errors.UnsupportedError:
                # The order of elements in memory is not known.
                continue
        for one, other in zip(found, there.handles, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-300, err_msg=str(seed))


def test_views_that_are_made_in_a_block_follow_their_base_and_have_no_derivatives(w):
    graph = ad.Graph()
    with ad.no_grad():
        part, whole, same = w[1:], w[...], w.reshape(3)
        part[0] = 5
        np.testing.assert_array_equal(w.value, [1.0, 5.0, 3.0])
    for values in ([1.0, 5.0, 3.0], [4.0, 2.0, 0.0]):
        np.testing.assert_array_equal(part.value, values[1:])
        (found,) = graph.gradient(np.sum(part * w[1:]) + np.sum(whole * w) + np.sum(same), [w])
        np.testing.assert_array_equal(found, [values[0], 2 * values[1], 2 * values[2]])
        w.assign([4.0, 2.0, 0.0])


def test_views_of_before_are_views_after_a_change_in_the_block(w):
    part = w[1:]
    with ad.no_grad():
        part *= 2
    np.testing.assert_array_equal(w.value, [1.0, 4.0, 6.0])
    np.testing.assert_array_equal(ad.Graph().gradient(np.sum(part**2), [w])[0], [0.0, 8.0, 12.0])


def test_complex_numbers_seen_as_pairs_follow_them():
    z = ad.Tensor([1 + 2j, 3 - 1j])
    with ad.no_grad():
        pairs = z.view(float)
        z.real = 0.5
        np.testing.assert_array_equal(pairs.value, [0.5, 2.0, 0.5, -1.0])
    z.imag = 7
    np.testing.assert_array_equal(pairs.value, [0.5, 7.0, 0.5, 7.0])


def test_values_go_into_arrays(w):
    counts, out = np.ones(3), np.zeros((2, 3))
    with ad.no_grad():
        counts += w > 1.5
        counts[0] = np.sum(w)
        assert np.multiply(w, 2, out=out) is out
        np.sum(np.stack([w, w]), axis=0, out=out[0])
        np.testing.assert_array_equal(counts, [6.0, 2.0, 2.0])
        np.testing.assert_array_equal(out, [[2.0, 4.0, 6.0]] * 2)
        with pytest.raises(ad.errors.DTypeError, match="add with out=: Cannot cast"):
            np.add(w, 1, out=np.zeros(3, int))
        with pytest.raises(ad.errors.ShapeError, match="add with out=: could not broadcast"):
            np.add(w, 1, out=np.zeros(2))
    with pytest.raises(ad.errors.UnsupportedError, match="would lose its derivative"):
        counts += w

    def f(x):
        with ad.no_grad():
            np.add(x, 1, out=np.zeros(3))
        return np.sum(x)

    with pytest.raises(ad.errors.UnsupportedError, match="would lose its derivative"):
        ad.grad(f)(np.ones(3))


def test_constants_that_are_changed_in_place_stay_constants():
    labels = ad.Tensor([1, 2], constant=True)
    with ad.no_grad():
        labels[0] = 5
        labels += 1
    assert labels.constant
    np.testing.assert_array_equal(labels.value, [6, 3])


def test_other_tensors_have_no_history_after_a_change(w):
    y = w * 2
    with ad.no_grad():
        y += 1
    assert is_value(y)
    np.testing.assert_array_equal(y.value, [3.0, 5.0, 7.0])


def test_what_results_were_made_of_is_let_go_of():
    data = ad.Tensor(np.ones(1000))
    with ad.no_grad():
        first = data * 2
        reference, total = weakref.ref(first.node), 0.0
        total = first + total
        del first
        gc.collect()
        assert reference() is None
    assert is_value(total)


def square(x):
    return x**2


TRANSFORMED = {
    "grad": lambda loss, x: ad.grad(loss)(x),
    "value_and_grad": lambda loss, x: ad.value_and_grad(loss)(x),
    "container": lambda loss, x: ad.grad(lambda p: loss(p["x"]))({"x": x})["x"],
    "argnums": lambda loss, x: ad.grad(lambda a, b: loss(a) * np.sum(b), argnums=(0, 1))(x, x),
    "hessian": lambda loss, x: ad.hessian(loss)(x),
    "jacobian": lambda loss, x: ad.jacobian(lambda x: x * loss(x))(x),
    "hvp": lambda loss, x: ad.hvp(loss)(x, x),
    "ggnvp": lambda loss, x: ad.ggnvp(square, loss)(x, x),
    "jvp": lambda loss, x: ad.jvp(loss, (x,), (x,)),
    "linearize": lambda loss, x: ad.linearize(loss, x)[1](x),
    "vjp": lambda loss, x: ad.vjp(loss, x)[1](1.0),
    "vmap": lambda loss, x: ad.vmap(ad.grad(loss))(np.stack([x, x])),
    "per_sample": lambda loss, x: ad.vmap(lambda a: a * loss(x), in_axes=0)(x),
    "elementwise": lambda loss, x: ad.elementwise_grad(lambda x: x**3 * loss(np.ones(3)))(x),
    "function": lambda loss, x: ad.function(ad.grad(loss))(x),
    "scan": lambda loss, x: ad.grad(lambda x: ad.scan(lambda c, a: (c * a, None), loss(x), x)[0])(x),
    "checkpoint": lambda loss, x: ad.grad(ad.checkpoint(loss))(x),
    "twice": lambda loss, x: ad.grad(lambda x: np.sum(ad.grad(loss)(x) ** 2))(x),
}


@pytest.mark.parametrize("kind", [np.asarray, ad.Tensor], ids=["array", "Tensor"])
@pytest.mark.parametrize("name", TRANSFORMED)
def test_functions_that_are_transformed_in_the_block_record_what_they_need(w, name, kind):
    def loss(x):
        return np.sum(x**3 * w)

    transformed = TRANSFORMED[name]
    for _ in range(2):
        with ad.no_grad():
            found = transformed(loss, kind([1.0, 0.5, 2.0]))
        expected = transformed(loss, kind([1.0, 0.5, 2.0]))
        leaves, same = flatten(found)[0], flatten(expected)[0]
        assert len(leaves) == len(same)
        for x, y in zip(leaves, same):
            assert np.any(np.asarray(y))
            np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-14)
            assert not isinstance(x, ad.Tensor) or is_value(x)


def test_a_function_traced_in_the_block_has_its_derivatives_after_it():
    f = ad.function(lambda x: np.sum(np.sin(x) ** 2))
    x = ad.Tensor([0.5, 1.0])
    with ad.no_grad():
        value = f(x)
    assert is_value(value)
    np.testing.assert_allclose(ad.Graph().gradient(f(x), [x])[0], np.sin(2 * x.value))


def test_derivatives_of_what_was_recorded_before(w):
    loss = np.sum(w**3)
    with ad.no_grad():
        (found,) = ad.Graph().gradient(loss, [w])
        (second,) = ad.Graph().gradient(loss, [w], 2)
    np.testing.assert_array_equal(found, 3 * w.value**2)
    np.testing.assert_array_equal(second, 6 * w.value)


def test_rules_of_a_user_are_those_of_before(w):
    @ad.custom_vjp
    def clipped(x):
        return np.exp(x)

    clipped.defvjp(lambda x: (np.exp(x), x), lambda x, ct: (ct * np.minimum(np.exp(x), 5.0),))
    expected = np.minimum(np.exp(w.value), 5.0)
    recorded = np.sum(clipped(w))
    with ad.no_grad():
        value = clipped(w)
        (inside,) = ad.Graph().gradient(recorded, [w])
    assert is_value(value)
    np.testing.assert_allclose(value.value, np.exp(w.value))
    np.testing.assert_allclose(inside, expected)
    np.testing.assert_allclose(ad.Graph().gradient(np.sum(clipped(w)), [w])[0], expected)


@pytest.mark.parametrize("wrapper", [lambda f: f, ad.function, ad.checkpoint], ids=["plain", "function", "checkpoint"])
def test_in_a_function_that_is_transformed_it_stops_derivatives(wrapper):
    @wrapper
    def loss(x):
        with ad.no_grad():
            target = np.sin(x) * 2
            target[0] = 1.0
        return np.sum((x - target) ** 2)

    for x in (np.array([0.5, 1.0]), np.array([0.25, 3.0])):
        target = np.array([1.0, 2 * np.sin(x[1])])
        np.testing.assert_allclose(ad.grad(loss)(x), 2 * (x - target))
        np.testing.assert_allclose(ad.hessian(loss)(x), 2 * np.eye(2))
        np.testing.assert_allclose(ad.vmap(ad.grad(loss))(np.stack([x, x]))[1], 2 * (x - target))
        # Nobody differentiates: numbers are numbers.
        np.testing.assert_allclose(loss(ad.Tensor(x)).value, np.sum((x - target) ** 2))


def test_as_a_decorator_and_nested(w):
    @ad.no_grad()
    def evaluate():
        with ad.no_grad():
            inner = w * 2
        return inner, w * 3

    for _ in range(2):
        assert all(is_value(t) for t in evaluate())
    assert not is_value(w * 3)


def test_it_ends_with_an_error(w):
    with pytest.raises(ZeroDivisionError), ad.no_grad():
        1 / 0
    assert not is_value(w * 2)
    assert implementation._new is ad.Tensor.__new__
    with pytest.raises(ad.errors.ShapeError), ad.no_grad():
        w + np.ones(2)


def test_it_is_about_one_thread(w):
    inside, done, found = threading.Event(), threading.Event(), []

    def other():
        inside.wait(10)
        found.append(w * 2)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with ad.no_grad():
        inside.set()
        assert done.wait(10)
        own = w * 2
    thread.join()
    assert is_value(own)
    assert not is_value(found[0])


def test_threads_that_enter_and_leave_at_once(w):
    wrong = []

    def work(off):
        for _ in range(300):
            if off:
                with ad.no_grad():
                    wrong.append(not is_value(w * 2))
            else:
                wrong.append(is_value(w * 2))

    threads = [threading.Thread(target=work, args=(i % 2 == 0,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(wrong)
    assert implementation._new is ad.Tensor.__new__


def test_on_a_backend(backend):
    w = ad.Tensor([1.0, 2.0])
    graph = ad.Graph(backend=backend)
    graph.add_variables(w)
    for _ in range(2):
        (gradient,) = graph.gradient(np.sum(w**2), [w])
        with ad.no_grad():
            w -= 0.25 * gradient
            total = np.sum(w)
    assert type(total.value) is type(w.value)
    assert type(w.node) is ad.Variable
    np.testing.assert_allclose(np.asarray(w), [0.25, 0.5])
    np.testing.assert_allclose(np.asarray(total), 0.75)


def test_training_in_a_block_steps_as_outside():
    steps = []
    for off in (False, True):
        w = ad.Tensor(np.arange(3.0))
        optimizer = ad.optim.Adam([w], 0.1)
        for _ in range(3):
            loss = np.sum((w - 3) ** 2)
            gradients = ad.Graph().gradient(loss, [w])
            if off:
                with ad.no_grad():
                    optimizer.step(ad.optim.clip_norm(gradients, 1.0))
            else:
                optimizer.step(ad.optim.clip_norm(gradients, 1.0))
        steps.append(w.value)
    np.testing.assert_array_equal(*steps)


def test_debug_nans_finds_the_line(w):
    with ad.no_grad(), ad.debug_nans(), pytest.raises(ad.errors.NotFiniteError, match="log"):
        np.log(w - 5)


def test_a_search_in_a_block_evaluates_its_function_as_outside():
    w = ad.Tensor([2.0, 5.0])
    graph, optimizer = ad.Graph(), ad.optim.LBFGS([w])

    def evaluate():
        loss = np.sum((w - 3) ** 2)
        return loss, graph.gradient(loss, [w])

    with ad.no_grad():
        optimizer.step(evaluate)
    np.testing.assert_allclose(w.value, [3.0, 3.0], atol=1e-6)
