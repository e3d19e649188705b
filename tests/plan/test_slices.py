"""Operations on adjacent slices of one array: which are joined, and that results stay the same."""

from collections import Counter

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.core.avals import intern_aval
from autodiff.nodes import Slot, Variable
from autodiff.ops.indexing import take_slices
from autodiff.plan import build, prune
from autodiff.plan.slices import LARGEST_JOINED, join_slices
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated

RNG = np.random.default_rng(5)


def leaf(shape):
    return Variable(intern_aval(shape, np.dtype(float)), RNG.normal(size=shape), Slot(None))


def sigmoid(x):
    return 1 / (1 + ops.exp(-x))


def count(program):
    return Counter(made.primitive.name for _, made, _ in program.applications())


def joined(leaves, outputs, verify):
    """The program with slices joined, compared with the one without; and how often its primitives occur."""
    program = prune(build(leaves, outputs))
    result = verify(join_slices(program))
    values = [node.value for node in leaves]
    wanted = Interpreted(program)(*values)
    for plan in (Interpreted(result), Generated(program)):
        for _ in range(2):
            for found, right in zip(plan(*values), wanted, strict=True):
                np.testing.assert_allclose(found, right, rtol=1e-14)
    return count(result)


@pytest.mark.parametrize("axis", [0, 1])
def test_gates_go_through_one_sigmoid(axis, verify):
    x = leaf((12, 12))
    whole = [slice(None)] * axis
    a, b, c, d = (take_slices(x, *whole, slice(i, i + 3)) for i in (0, 3, 6, 9))
    cell = sigmoid(b) * ops.tanh(d)
    found = joined([x], [cell, sigmoid(a), sigmoid(c) + cell], verify)
    assert (found["exp"], found["divide"], found["tanh"]) == (1, 1, 1)


def test_operands_at_a_distance(verify):
    x, y, s = leaf((10,)), leaf((12,)), leaf(())
    parts = [s * take_slices(x, slice(i, i + 4)) * take_slices(y, slice(i + 4, i + 8)) for i in (0, 4)]
    assert joined([x, y, s], [parts[0] - parts[1]], verify)["multiply"] == 2


@pytest.mark.parametrize(
    "starts",
    [(0, 5), (0, 2), (0, 0)],
    ids=["a gap", "an overlap", "the same"],
)
def test_slices_that_are_not_adjacent_stay(starts, verify):
    x = leaf((9,))
    parts = [ops.exp(take_slices(x, slice(i, i + 4))) for i in starts]
    assert joined([x], [parts[0] + parts[1], parts[0]], verify)["exp"] == len(set(starts))


def test_what_differs_between_slices_stays(verify):
    x, y = leaf((8,)), leaf((4,))
    a, b = (take_slices(x, slice(i, i + 4)) for i in (0, 4))
    found = joined([x, y], [ops.exp(a) * ops.exp2(b), a * y - b * a, (a + 1.0) * (b + 2.0)], verify)
    assert (found["exp"], found["exp2"], found["add"], found["multiply"]) == (1, 1, 2, 4)


def test_single_elements_and_large_arrays_stay(verify):
    x, y = leaf((2,)), leaf((LARGEST_JOINED + 2,))
    half = LARGEST_JOINED // 2 + 1
    a, b = (ops.exp(take_slices(x, slice(i, i + 1))) for i in (0, 1))
    c, d = (ops.exp(take_slices(y, slice(i, i + half))) for i in (0, half))
    assert joined([x, y], [a * b, c * d], verify)["exp"] == 4


def test_what_is_only_written_stays_to_be_computed_in_its_place(verify):
    x = leaf((8,))
    out = ops.zeros_like(x)
    for i in (0, 4):
        part = take_slices(x, slice(i, i + 4))
        out = ops.index_add(out, take_slices(x, slice(4 - i, 8 - i)).inputs[1], ops.exp(part))
    assert joined([x], [out], verify)["exp"] == 2


def test_a_recurrent_cell_has_the_gradient_of_its_parts():
    w, x = RNG.normal(size=(4, 12)), RNG.normal(size=4)

    def loss(w, x):
        gates = x @ w
        f, i, o = (1 / (1 + np.exp(-gates[k : k + 4])) for k in (0, 4, 8))
        return np.sum(f * x + i * np.tanh(o * x))

    value, slope = ad.function(ad.value_and_grad(loss))(w, x)
    step = 1e-6 * RNG.normal(size=w.shape)
    assert value == pytest.approx(float(loss(w, x)))
    assert np.sum(slope * step) == pytest.approx((loss(w + step, x) - loss(w - step, x)) / 2, rel=1e-5)
