"""Evaluation: what is computed when somebody looks, what is kept, what is reused."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.differentiate import derivative
from autodiff.nodes import Argument, Slot
from autodiff.plan import build, compile_nodes, concrete, evaluate
from autodiff.plan import execute as module
from autodiff.plan.expand import expand, expand_as_recorded
from autodiff.tracing import UNKNOWN
from autodiff_backends.numpy.reference import Interpreted

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])


def test_evaluate_computes_once():
    node = (ad.Tensor(A) * 2).node
    value = evaluate(node)
    np.testing.assert_array_equal(value, A * 2)
    assert evaluate(node) is value
    assert node.value is value
    assert not value.flags.writeable


def test_evaluation_reuses_plans():
    before = module.evaluations.info()
    for scale in (1.0, 3.0, 4.0):
        evaluate((np.arctan2(ad.Tensor(A * scale), 0.3) - 7).node)
    after = module.evaluations.info()
    assert after.misses - before.misses <= 1
    assert after.hits - before.hits >= 2


def test_expensive_nodes_keep_their_values():
    x = ad.Tensor(np.ones((200, 100)))
    total = np.sum(x * 2, axis=0)
    product = x[:3] @ np.ones((100, 2))
    small = np.sum(product, axis=0)
    top = np.sum(total) + np.sum(small * 1.5)
    evaluate(top.node)
    assert total.node.value is not None
    assert product.node.value is not None
    assert small.node.value is None
    for t, expected in ((total, np.full(100, 400.0)), (product, np.full((3, 2), 100.0))):
        np.testing.assert_array_equal(t.node.value, expected)
        assert not t.node.value.flags.writeable


def recorded_steps(x, steps, monkeypatch):
    """The operations of the plans that looks at each of some steps need, and how many states keep values."""
    operations = []
    real = module.compile_nodes

    def compiled(inputs, outputs, *args, **keywords):
        operations.append(len(module.below(inputs, outputs)))
        return real(inputs, outputs, *args, **keywords)

    monkeypatch.setattr(module, "compile_nodes", compiled)
    module.evaluations.clear()
    states = []
    for _ in range(steps):
        x = np.sin(x) * 0.7 + 0.3
        states.append(x.node)
        evaluate(np.max(x).node)
    return operations, sum(node.value is not None for node in states)


def test_a_loop_that_looks_goes_on_from_where_it_looked(monkeypatch):
    # Of 5 or 6 operations in a step those of two are computed: the last one again. All are a few structures.
    operations, kept = recorded_steps(ad.Tensor(A), 40, monkeypatch)
    assert max(operations) < 20
    assert len(operations) < 6
    assert kept >= 36


def test_large_states_are_kept_once_in_a_while(monkeypatch):
    _, kept = recorded_steps(ad.Tensor(np.ones(1 << 18)), 40, monkeypatch)
    assert 1 <= kept <= 6


def test_values_that_are_kept_are_what_they_were():
    x = y = ad.Tensor(A)
    plain = A
    for i in range(12):
        y = np.sin(y) * 0.7 if np.max(y) > 0.3 else np.cos(y)
        plain = np.sin(plain) * 0.7 if np.max(plain) > 0.3 else np.cos(plain)
        np.testing.assert_array_equal(y[i % len(A)].value, plain[i % len(A)])
    np.testing.assert_array_equal(y.value, plain)
    (found,) = ad.Graph().gradient(np.sum(y), [x])

    def loop(x):
        for _ in range(12):
            x = np.sin(x) * 0.7 if np.max(x) > 0.3 else np.cos(x)
        return np.sum(x)

    np.testing.assert_allclose(found, ad.grad(loop)(A), rtol=1e-13)


def test_values_are_leaves_for_later_plans(monkeypatch):
    x = ad.Tensor(A)
    product = x @ A.T
    evaluate(product.node)
    seen = []
    real = module.compile_nodes
    monkeypatch.setattr(module, "compile_nodes", lambda *args, **kw: seen.append(args[0]) or real(*args, **kw))
    evaluate((np.cbrt(product) * 0.123).node)
    assert product.node in seen[0]
    assert x.node not in seen[0]


def test_concrete():
    x = ad.Tensor(A)
    np.testing.assert_array_equal(concrete((x + 1).node), A + 1)
    argument = Argument(x.node.aval, UNKNOWN, Slot(None))
    assert concrete(argument) is None
    assert concrete(argument * 2) is None


@pytest.mark.parametrize("look", [evaluate, lambda node: node.value + 1, lambda node: float(node.value)])
def test_unknown_values_refuse_use(look):
    argument = Argument(ad.Tensor(A).node.aval, UNKNOWN, Slot(None))
    with pytest.raises(ad.errors.TraceError, match=r"autodiff\.function"):
        look(argument * 2 if look is evaluate else argument)


def test_compile_nodes_gives_outputs_in_order():
    x, w = ad.Tensor(A), ad.Tensor(A * 2)
    outputs = [np.sum(x * w), x + w, x]
    plan = compile_nodes([w.node, x.node], [t.node for t in outputs], ad.get_backend())
    results = plan(np.ones((2, 3)), A)
    for result, expected in zip(results, (np.sum(A), A + 1, A)):
        np.testing.assert_array_equal(result, expected)


def test_warnings_of_values_are_shown_and_of_unchosen_derivatives_not():
    x = ad.Tensor([0.0, 4.0])
    with pytest.warns(RuntimeWarning, match="divide"):
        np.testing.assert_array_equal((1 / x).value, [np.inf, 0.25])
    (result,) = ad.Graph().gradient(np.where(x > 0, np.sqrt(x), 0.0), [x])  # no warning
    np.testing.assert_array_equal(result, [0.0, 0.25])


def test_a_program_as_recorded_is_expanded_as_another_one_is():
    x = ad.Tensor(A)
    y = np.sum(np.linalg.pinv(np.outer(x[0], x[1]) + np.eye(3)) * np.tanh(np.sinc(x[0])))
    (gradient,) = derivative(y.node, [x.node], 1)
    program = build([x.node], [y.node, gradient])
    assert any(head in ops.COMPOSITIONS for head in program.heads)
    one, other = expand(program, ()), expand_as_recorded(program, ())
    assert not any(head in ops.COMPOSITIONS for head in other.heads)
    for found, wanted in zip(Interpreted(other)(A), Interpreted(one)(A), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    assert expand_as_recorded(one, ()) is one
