"""Evaluation: what is computed when somebody looks, what is kept, what is reused."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.nodes import Argument, Slot
from autodiff.plan import compile_nodes, concrete, evaluate
from autodiff.plan import execute as module
from autodiff.tracing import UNKNOWN

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
