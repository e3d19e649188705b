"""The structural key: equal for one structure, different for two, and complete."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan import collect, collect_below, evaluate
from autodiff.plan.collect import VALUED

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])


def key(function, *values):
    tensors = [ad.Tensor(value) for value in values]
    return collect([function(*tensors).node]).key


def shared(x):
    cosine = np.cos(x)
    return np.sin(x) * cosine + cosine


SAME = {
    "values": (lambda x: np.sin(x) * 2.5, lambda x: np.sin(x) * 7.5),
    "index": (lambda x: x[0] * 2, lambda x: x[1] * 2),
    "slice of one length": (lambda x: x[:, 0:2], lambda x: x[:, 1:3]),
    "index array": (lambda x: x[[0, 1]], lambda x: x[[1, 1]]),
    "captured array": (lambda x: x * np.ones(3), lambda x: x * np.arange(3.0)),
    "big integers": (lambda x: x * 1000, lambda x: x * 1001),
}
DIFFERENT = {
    "primitive": (lambda x: np.sin(x), lambda x: np.cos(x)),
    "parameter": (lambda x: np.sum(x, axis=0), lambda x: np.sum(x, axis=-1)),
    "number": (lambda x: x**2, lambda x: x**3),
    "kind of number": (lambda x: x * 2, lambda x: x * 2.0),
    "zero": (lambda x: x * 0.0, lambda x: x * -0.0),
    "operands": (lambda x: np.sin(x) - np.cos(x), lambda x: np.cos(x) - np.sin(x)),
    "sharing": (lambda x: np.sin(x) * np.cos(x) + np.cos(x), shared),
    "dtype of an operand": (lambda x: x * np.ones(3), lambda x: x * np.ones(3, np.float32)),
    "weakness": (lambda x: x * 2.5, lambda x: x * np.float64(2.5)),
    "length of a slice": (lambda x: x[:, 0:2], lambda x: x[:, 0:1]),
    "length": (lambda x: np.sin(x), lambda x: np.sin(np.sin(x))),
    "new axis": (lambda x: x[None], lambda x: x[:, None]),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_one_structure_has_one_key(one, other):
    assert key(one, A) == key(other, A + 1)
    assert hash(key(one, A)) == hash(key(other, A))


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_another_structure_has_another_key(one, other):
    assert key(one, A) != key(other, A)


@pytest.mark.parametrize("other", [A[:1], A.astype(np.float32), A[0], A + 0j], ids=repr)
def test_shapes_and_dtypes_are_in_the_key(other):
    def function(x):
        return np.sin(x) * x

    assert key(function, A) != key(function, other)


def test_leaves_are_in_the_order_of_their_numbers():
    x, w = ad.Tensor(A), ad.Tensor(A * 2)
    y = np.sin(w) * x + w
    trace = collect([y.node])
    numbers = [trace.numbers[leaf] for leaf in trace.leaves]
    assert numbers == sorted(numbers)
    assert set(trace.leaves) == {x.node, w.node}
    for value, leaf in zip(trace.values(), trace.leaves):
        assert value is leaf.value
    assert list(trace.numbers.values()) == list(range(len(trace.numbers)))


def test_a_walk_stops_at_values_unless_they_are_younger_than_its_floor():
    x = ad.Tensor(A)
    middle = x * 2
    y = np.sin(middle)
    evaluate(middle.node)
    assert collect([y.node]).leaves == [middle.node]
    assert collect([y.node]).numbers.keys() == {middle.node, y.node}
    deep = collect([y.node], floor=x.node.sequence)
    assert VALUED in deep.key
    assert {x.node, middle.node} <= set(deep.leaves)
    assert collect([y.node]).key != deep.key


def test_several_roots():
    x = ad.Tensor(A)
    y, z = np.sin(x), np.cos(x)
    one, other = collect([y.node, z.node]), collect([z.node, y.node])
    assert one.key != other.key
    assert collect([x.node, y.node, y.node]).numbers.keys() == {x.node, y.node}
    assert collect([x.node]).leaves == [x.node]


def test_the_root_is_not_in_its_own_trace():
    x = ad.Tensor(A)
    y = np.sin(x) * x
    y.value
    trace = collect_below(y.node, 0)
    assert y.node not in trace.numbers
    assert y.node not in trace.leaves
    assert len(trace.numbers) == trace.numbers[y.node.inputs[0]] + 1
    assert collect_below(x.node, 0).numbers == {}


def test_key_holds_no_values_and_no_nodes():
    x = ad.Tensor(A)
    y = np.sum(np.sin(x) * A[0] + x[[0, 1]] * 3.7)
    for letter in collect([y.node]).key:
        assert not isinstance(letter, (np.ndarray, float, ad.Node))


def test_long_graphs_are_walked_without_recursion():
    t = ad.Tensor(1.0)
    for _ in range(20_000):
        t = t + t
    trace = collect([t.node])
    assert len(trace.numbers) == 20_001
    assert trace.leaves[0].value == 1.0
