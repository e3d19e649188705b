"""Loops and branches as operations: values, derivatives of any order, batches, memory, errors."""

import pickle
import re
import warnings
from collections import namedtuple

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import autodiff as ad
from autodiff import errors, ops
from autodiff.containers import flatten
from autodiff.flows import bodies
from autodiff.nodes import history
from autodiff.plan import collect, compile_nodes

from . import loops

RNG = np.random.default_rng(5)
N, LENGTH = 3, 5
W, B, H = RNG.normal(size=(N, N)) / 2, RNG.normal(size=N), RNG.normal(size=N)
U, V = RNG.normal(size=LENGTH), RNG.normal(size=LENGTH)
State = namedtuple("State", "h count")


def network(scan, **keywords):
    """A recurrent network with a counter, named and nested state, results that are used and one that is not."""

    def loss(w, b, h, u, v):
        def step(state, x):
            h = np.tanh(w @ state.h + b * x["u"] + 0.3 * x["v"])
            return State(h, state.count + 1), {"y": h * x["v"] * state.count, "z": [np.sum(h), x["u"]], "no": None}

        last, ys = scan(step, State(h, 0), {"u": u, "v": v}, **keywords)
        assert ys["no"] is None
        return np.sum(np.sin(last.h)) + np.sum(ys["y"] ** 2) + np.sum(ys["z"][1] ** 2 * v) + last.count * np.sum(h)

    return loss


ARGS = (W, B, H, U, V)
EVERY = tuple(range(len(ARGS)))
MORE = [np.stack([x, 0.5 * x, x**2]) for x in ARGS]
KEYWORDS = [
    {},
    {"reverse": True},
    {"checkpoint": 1},
    {"checkpoint": True},
    {"checkpoint": 2, "reverse": True},
    {"checkpoint": 9},
]


@pytest.mark.parametrize("keywords", KEYWORDS, ids=str)
def test_a_scan_has_the_derivatives_of_the_loop(keywords):
    ours, python = network(ad.scan, **keywords), network(loops.scan, **keywords)
    loops.close(ours(*ARGS), python(*ARGS))
    loops.close(ad.value_and_grad(ours, EVERY)(*ARGS), ad.value_and_grad(python, EVERY)(*ARGS))
    tangents = tuple([np.cos(x) for x in ARGS])
    loops.close(ad.jvp(ours, ARGS, tangents), ad.jvp(python, ARGS, tangents))
    for k in (0, 3):
        loops.close(ad.hessian(ours, k)(*ARGS), ad.hessian(python, k)(*ARGS))
    for axes in ((0,) * 5, (None, 0, 0, None, 0), (None, None, None, 0, None)):
        args = [more if axis == 0 else one for one, more, axis in zip(ARGS, MORE, axes, strict=True)]
        gradients = [ad.vmap(ad.grad(f, EVERY), axes)(*args) for f in (ours, python)]
        loops.close(*gradients)
        total = [lambda *x, f=f: np.sum(ad.vmap(f, axes)(*x) ** 2) for f in (ours, python)]  # noqa: B023
        loops.close(*[ad.grad(f, EVERY)(*args) for f in total])


def test_scans_nest():
    def nested(scan):
        def loss(a, x):
            def outer(c, row):
                d, ys = scan(lambda d, e: (np.sin(d * e + np.sum(c * a)), d * c), c, row)
                return d, ys * row

            c, ys = scan(outer, x, a)
            return c + np.sum(ys**2)

        return loss

    ours, python = nested(ad.scan), nested(loops.scan)
    a = RNG.normal(size=(3, 4))
    loops.close(ad.value_and_grad(ours, (0, 1))(a, 0.3), ad.value_and_grad(python, (0, 1))(a, 0.3))
    loops.close(ad.hessian(ours)(a, 0.3), ad.hessian(python)(a, 0.3))
    batch = np.stack([a, a**2])
    loops.close(*[ad.vmap(ad.grad(f, (0, 1)), (0, None))(batch, 0.3) for f in (ours, python)])


# --- random programs --------------------------------------------------------------------------------------------------

CARRIES = {
    "product": lambda c, x, w: c * np.cos(x * w),
    "sum": lambda c, x, w: c + w * x,
    "sine": lambda c, x, w: np.sin(c * x) + w,
    "constant": lambda c, x, w: w * w,
    "element": lambda c, x, w: x * 1.0,
    "same": lambda c, x, w: c,
    "chosen": lambda c, x, w: np.where(c > 0, np.sqrt(np.abs(c)) + w, c * x),
}
RESULTS = {
    "carry": lambda c, x, w: c,
    "power": lambda c, x, w: c**2 * w,
    "element": lambda c, x, w: x,
    "none": lambda c, x, w: None,
    "outside": lambda c, x, w: w,
}
STACKS = {
    "grad": lambda f: ad.grad(f, (0, 1, 2)),
    "jvp": lambda f: lambda *a: ad.jvp(f, a, tuple([np.cos(x) for x in a])),
    "vmap": lambda f: lambda *a: ad.vmap(f)(*[np.stack([x, 0.5 * x]) for x in a]),
}


def summed(function):
    """One number of all that a function gives."""

    def total(*args):
        return sum([np.sum(np.arctan(np.real(leaf))) for leaf in arrays_of(function(*args))])

    return total


def arrays_of(value):
    return [leaf for leaf in flatten(value)[0] if leaf is not None]


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    carries=st.lists(st.sampled_from(sorted(CARRIES)), min_size=1, max_size=2),
    result=st.sampled_from(sorted(RESULTS)),
    length=st.integers(1, 3),
    reverse=st.booleans(),
    checkpoint=st.sampled_from([False, 1, 2]),
    dtype=st.sampled_from(["f4", "f8", "c16"]),
    stack=st.lists(st.sampled_from(sorted(STACKS)), max_size=2),
)
def test_random_loops(carries, result, length, reverse, checkpoint, dtype, stack):
    if dtype != "f8":
        # A root is of real numbers, and steep where single precision is coarse.
        carries = [name for name in carries if name != "chosen"] or ["sum"]

    def program(scan):
        def f(c, x, w):
            def step(pair, x):
                first, second = pair
                made = [CARRIES[name](value, x, w) for name, value in zip(carries, (first, second))]
                return (*made, second)[:2] if len(made) > 1 else (made[0], second + made[0]), RESULTS[result](
                    first, x, w
                )

            found = scan(step, (c, c * w), x, reverse=reverse, checkpoint=checkpoint)
            return sum([np.sum(np.real(leaf) ** 2) for leaf in arrays_of(found)])

        for name in stack:
            f = STACKS[name](summed(f))
        return f

    rng = np.random.default_rng(length)
    args = [np.asarray(rng.normal(size=shape), dtype) for shape in ((), (length,), ())]
    if dtype == "c16":
        args = [x + 0.5j * x**2 for x in args]
    tolerance = 2e-3 if dtype == "f4" else 1e-8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.IndependentWarning)
        found, expected = program(ad.scan)(*args), program(loops.scan)(*args)
    for x, y in zip(arrays_of(found), arrays_of(expected), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, tolerance, tolerance * max(1, np.max(np.abs(y), initial=0)))


# --- steps, elements, dtypes ------------------------------------------------------------------------------------------


def test_without_elements_results_or_steps():
    assert ad.scan(lambda c, _: (c * 2, None), 3, length=4) == (48, None)
    carry, ys = ad.scan(lambda c, x: (c + x, (c, None, x > 0)), np.float32(1), np.zeros(0, np.float32))
    loops.close((carry, ys), (np.float32(1), (np.zeros(0, "f4"), None, np.zeros(0, bool))))
    slope = ad.grad(lambda c, x: np.sum(ad.scan(lambda c, x: (c * x, c), c, x)[0] ** 2))
    loops.close(slope(np.ones(2), np.zeros((0, 2))), 2 * np.ones(2))
    none = ad.scan(lambda c, x: (None, x * 2), None, np.arange(3))
    loops.close(none, (None, 2 * np.arange(3)))


def test_numbers_get_the_dtype_that_they_have_after_a_step():
    single = np.ones(2, np.float32)
    assert ad.scan(lambda c, x: (c + x, None), 0, single)[0].dtype == np.float32
    assert ad.scan(lambda c, x: (c * 0.5, None), 1, single)[0].dtype == np.float64
    assert ad.scan(lambda c, x: (c + 1, None), 0, single)[0].dtype == np.int64
    assert ad.scan(lambda c, x: (0.5, c), single[0], single)[0].dtype == np.float32
    assert ad.while_loop(lambda c: c < 5, lambda c: c + single[0], 0).dtype == np.float32


def test_integers_are_counted_and_have_no_derivative():
    def f(x):
        count, total = ad.fori_loop(0, 4, lambda i, c: (c[0] + i, c[1] * x + i), (0, x))
        return total * count

    expected = lambda x: loops.fori_loop(0, 4, lambda i, c: (c[0] + i, c[1] * x + i), (0, x))[1] * 6  # noqa: E731
    for transform in (ad.value_and_grad, lambda f: ad.grad(ad.grad(f))):
        loops.close(transform(f)(0.7), transform(expected)(0.7))


def test_tensors_record_and_arrays_are_computed():
    x = ad.Tensor([1.0, 2.0])
    assert isinstance(ad.scan(lambda c, x: (c + x, c), 0.0, x)[0], ad.Tensor)
    assert isinstance(ad.scan(lambda c, y: (c + x, c), np.zeros(2), np.ones(3))[0], ad.Tensor)
    assert type(ad.scan(lambda c, y: (c + np.ones(2), c), np.zeros(2), np.ones(3))[0]) is np.ndarray
    graph = ad.Graph()
    graph.add_variables(x)
    total = np.sum(ad.scan(lambda c, y: (c * x, c), x, length=2)[1] ** 2)
    loops.close(graph.gradient(total, [x]), [2 * x.value + 4 * x.value**3])


def test_what_is_captured_is_captured_when_it_is_recorded():
    w, x = ad.Tensor(2.0), np.ones(2)
    carry, _ = ad.scan(lambda c, x: (c * w + x, None), 1.0, x)
    x[:] = 100
    assert carry.value == 7.0


def test_a_body_is_traced_once_and_compiled_once(monkeypatch):
    monkeypatch.setenv("AUTODIFF_TIERS", "numpy")  # each tier compiles it
    calls, compiled = [], []
    compile_nodes = bodies.compile_nodes
    monkeypatch.setattr(bodies, "compile_nodes", lambda *a, **k: compiled.append(1) or compile_nodes(*a, **k))
    rates = RNG.normal(size=7)

    def loss(x):
        def step(c, r):
            calls.append(1)
            return np.sin(c * r) * 1.25, None

        return ad.scan(step, x, rates)[0]

    ad.grad(loss)(np.array(0.4))
    assert len(calls) == 1
    first = len(compiled)
    assert first == 2  # a step with what is stored, and its transpose
    ad.grad(loss)(np.array(0.5))
    assert (len(calls), len(compiled)) == (2, first)
    # A number has the dtype that it has after a step, which has to be seen first.
    ad.grad(loss)(0.5)
    assert (len(calls), len(compiled)) == (4, first)


def test_what_is_the_same_for_all_steps_is_computed_once():
    w = ad.Tensor(np.eye(2))
    carry, _ = ad.scan(lambda c, x: (np.linalg.inv(w + 1) @ c, None), np.ones(2), length=3)
    names = [signature.primitive.name for signature, _ in carry.node.inputs[0].params["rule"].body.steps]
    assert "inv" not in names
    assert "matmul" in names


def test_a_step_may_write_into_what_it_is_given():
    def filled(x):
        def step(i, buffer):
            buffer[i] = np.sin(buffer[i - 1]) * x
            return buffer

        return np.sum(ad.fori_loop(1, LENGTH, step, np.zeros(LENGTH) + x))

    def python(x):
        parts = [x]
        for _ in range(1, LENGTH):
            parts.append(np.sin(parts[-1]) * x)
        return sum(parts)

    loops.close(ad.value_and_grad(filled)(0.5), ad.value_and_grad(python)(0.5))
    rows = ad.Tensor(np.arange(3.0))
    with pytest.raises(errors.IndexingError, match="index 3 is out of range for axis 0 with size 3"):
        np.asarray(ad.fori_loop(0, 4, lambda i, c: c + rows[i], 0.0))


def test_the_source_of_a_plan_shows_the_steps():
    w = ad.Tensor([1.0, 2.0])
    total = np.sum(ad.scan(lambda c, x: (np.tanh(w * c + x), None), w, np.arange(3.0))[0])
    source = ad.Graph().source(total, [w])
    assert "# rule0: <3 steps of <body of 3 operations" in source
    assert "#   v5 = tanh(v4) : float64[2]" in source


def test_results_that_nobody_takes_are_not_stacked():
    w = ad.Tensor(np.ones(3))
    last, ys = ad.scan(lambda c, x: (np.sin(c * w), (c, np.cos(c))), w * 0.5, length=4)
    for outputs, results in (([last], 1), ([last, ys[1]], 2), ([ys[0]], 2)):
        nodes = [t.node for t in outputs]
        plan = compile_nodes(collect(nodes).leaves, nodes, ad.get_backend())
        assert f"to [{', '.join(['float64[3]'] * results)}]>" in plan.source
    both = ad.Graph().gradient(np.sum(last) + np.sum(ys[1]), [w])
    loops.close(both, [x + y for x, y in zip(*[ad.Graph().gradient(np.sum(t), [w]) for t in (last, ys[1])])])


def test_what_an_inner_loop_stored_is_not_computed_again():
    x = ad.Tensor(np.arange(6.0).reshape(2, 3) + 1)
    inner = lambda c, row: (ad.scan(lambda d, e: (np.sin(d * e), None), c, row)[0], None)  # noqa: E731
    (slope,) = ad.Graph().gradient(ad.scan(inner, 1.0, x)[0], [x], as_tensors=True)
    rules = [node.params["rule"] for node in history(slope.node) if node.primitive is ops.flow_p]
    flows = [[s.primitive for s, _ in rule.body.steps].count(ops.flow_p) for rule in rules]
    # The inner loop, and that with what is stored, which covers it; and back.
    assert flows == [2, 1]


def test_tangents_of_a_loop_may_be_made_of_its_results():
    def nested(scan):
        running = lambda x: scan(lambda c, e: (c * e, c * e), 1.0, x)[1]  # noqa: E731
        return lambda x: np.sum(ad.jvp(running, (x,), (running(x),))[1])

    loops.close(*[ad.grad(nested(scan))(np.array([1.0, 2.0, 3.0])) for scan in (ad.scan, loops.scan)])


def test_flows_can_be_pickled():
    x = ad.Tensor([1.0, 2.0])
    total = np.sum(ad.scan(lambda c, e: (c * e + x[0], c), 1.0, x)[1])
    again = pickle.loads(pickle.dumps(total))
    assert again.value == total.value
    rule = total.node.inputs[0].inputs[0].params["rule"]
    assert pickle.loads(pickle.dumps(rule)).body is rule.body


# --- backends ---------------------------------------------------------------------------------------------------------


def test_loops_run_on_every_backend(backend):
    def loss(w, h, xs):
        def step(c, x):
            h = np.tanh(w @ c[0] + x) * (c[1] + 1.0)
            h = ad.cond(h[0] > 0, np.sin, lambda h: h * 0.5, h)
            return (h, c[1] + 1), h

        (h, _), ys = ad.scan(step, (h, 0), xs, reverse=True)
        slower = lambda c: (c[0] + 1, c[1] * 0.7 + 0.01 * np.tanh(h))  # noqa: E731
        _, small = ad.while_loop(lambda c: np.sum(c[1] ** 2) > 1e-1, slower, (0, h))
        return np.sum(h**2) + np.sum(ys * xs) + np.sum(small)

    xs = RNG.normal(size=(4, N))
    graph = ad.Graph(backend=backend)
    tensors = [graph.tensor(x) for x in (W, H, xs)]
    value, wanted = ad.value_and_grad(loss, (0, 1, 2))(W, H, xs)
    total = loss(*tensors)
    np.testing.assert_allclose(np.asarray(total), value, 1e-9)
    for found, expected in zip(graph.gradient(total, tensors), wanted, strict=True):
        np.testing.assert_allclose(backend.to_numpy(found), expected, 1e-9, 1e-12)


# --- errors -----------------------------------------------------------------------------------------------------------

VECTOR = np.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ad.scan(lambda c, x: c, 0.0, VECTOR), errors.ArgumentError, "f must return a pair (carry, y)"),
        (lambda: ad.scan(lambda c, x: (c, x), 0.0), errors.ArgumentError, "give length="),
        (lambda: ad.scan(lambda c, x: (c, x), 0.0, 3.0), errors.ShapeError, "xs is weak float64, which has no axis"),
        (
            lambda: ad.scan(lambda c, x: (c, x), 0.0, (VECTOR, np.ones(4))),
            errors.ShapeError,
            "xs[1] is float64[4], with 4 elements along its first axis, but by xs[0] there are 3",
        ),
        (lambda: ad.scan(lambda c, x: (c, x), 0.0, VECTOR, length=2), errors.ShapeError, "but by length there are 2"),
        (
            lambda: ad.scan(lambda c, x: ({"h": [c["h"][0][:2]]}, x), {"h": [VECTOR]}, VECTOR),
            errors.ShapeError,
            "scan: carry['h'][0] is float64[3] before a step, and float64[2] after it",
        ),
        (
            lambda: ad.scan(lambda c, x: (c * x, x), VECTOR.astype("f4"), VECTOR),
            errors.DTypeError,
            "scan: carry is float32[3] before a step, and float64[3] after it",
        ),
        (
            lambda: ad.scan(lambda c, x: ((c, c), x), VECTOR, VECTOR),
            errors.ArgumentError,
            "what is carried must be nested as an array, but is (*, *)",
        ),
        (lambda: ad.scan(lambda c, x: (None, x), VECTOR, VECTOR), errors.ArgumentError, "None"),
        (
            lambda: ad.scan(lambda c, x: (c if c > 0 else -c, x), 0.0, VECTOR),
            errors.TraceError,
            "Use autodiff.cond or np.where instead of if",
        ),
        (lambda: ad.scan(lambda c, x: (c, x), 0.0, VECTOR, checkpoint=0), errors.ArgumentError, "checkpoint"),
        (lambda: ad.scan(3, 0.0, VECTOR), errors.ArgumentError, "scan: f=3 is not callable"),
        (
            lambda: ad.while_loop(lambda c: c > 0, lambda c: c[:2], VECTOR),
            errors.ShapeError,
            "while_loop: carry is float64[3] before a step, and float64[2] after it",
        ),
        (
            lambda: ad.while_loop(lambda c: c > 0, lambda c: c - 1, VECTOR),
            errors.ShapeError,
            "while_loop: cond_fun must give one truth value",
        ),
        (
            lambda: ad.while_loop(lambda c: float(c) > 0, lambda c: c - 1, 3.0),
            errors.TraceError,
            "autodiff.while_loop, which is called once",
        ),
        (lambda: ad.fori_loop(0.5, 3, lambda i, c: c, 0), errors.ArgumentError, "fori_loop: lower=0.5 is no integer"),
        (lambda: ad.cond(VECTOR, np.sin, np.cos, 1.0), errors.ShapeError, "cond: pred is an array of shape (3,)"),
        (
            lambda: ad.cond(ad.Tensor(1.0) > 0, lambda x: x, lambda x: x[:2], VECTOR),
            errors.ShapeError,
            "the result is float64[2] if false_fun is taken, and float64[3] if true_fun is",
        ),
        (
            lambda: ad.cond(ad.Tensor(1.0) > 0, lambda x: {"a": x}, lambda x: {"a": x.astype("f4")}, VECTOR),
            errors.DTypeError,
            "the result['a'] is float32[3] if false_fun is taken, and float64[3] if true_fun is",
        ),
        (
            lambda: ad.cond(ad.Tensor(1.0) > 0, lambda x: (x, x), lambda x: x, VECTOR),
            errors.ArgumentError,
            "what true_fun returns, as what false_fun does, must be nested as an array, but is (*, *)",
        ),
        (lambda: ad.switch(0, []), errors.ArgumentError, "switch: branches=[] must be a non-empty list"),
        (lambda: ad.switch(0.5, [np.sin], 1.0), errors.ArgumentError, "switch: index=0.5 is no integer"),
        (lambda: ad.map_reduce(np.sum, np.ones((0, 2)), 3), errors.ArgumentError, "there are no elements in xs"),
        (lambda: ad.map_reduce(np.sum, 1.0, 3), errors.ShapeError, "xs is float 1.0, which has no axis of elements"),
        (lambda: ad.associative_scan(np.add, 1.0), errors.AxisError, "has no axis 0"),
        (
            lambda: ad.associative_scan(lambda a, b: a[:0], VECTOR),
            errors.ShapeError,
            "associative_scan: fn was given elems of shape (1,), and returned an array of shape (0,)",
        ),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_body_cannot_change_a_tensor_of_the_outside():
    total = ad.Tensor(np.zeros(3))

    def step(c, x):
        total[0] = c
        return c + x, None

    with pytest.raises(errors.TraceError, match=r"changes a Tensor .* of the outside while autodiff\.scan traces"):
        ad.scan(step, 0.0, np.ones(2))
    np.testing.assert_array_equal(total.value, np.zeros(3))
