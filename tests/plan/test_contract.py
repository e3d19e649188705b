"""Sums of products become inner and matrix products where the product has no other use, and nowhere else."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.nodes import history
from autodiff.plan import build, prune
from autodiff.plan.contract import contract_sums
from autodiff.plan.simplify import simplify
from autodiff_backends.numpy.reference import Interpreted

RNG = np.random.default_rng(11)


def leaf(shape, dtype="float64"):
    return ad.Tensor(RNG.normal(size=shape).astype(dtype), dtype=dtype).node


CONTRACTED = {
    "columns": lambda: ops.sum_p(leaf((3, 2)) * leaf((3, 2)), axes=(0,)),
    "all": lambda: ops.sum_p(leaf((3, 2)) * leaf((3, 2)), axes=(0, 1)),
    "squares": lambda: ops.sum_p(ops.square(leaf((2, 3, 4), "float32")), axes=(2,)),
    "rows by a vector": lambda: ops.sum_p(leaf((3, 2)) * leaf((2,)), axes=(1,)),
    "rows by a row": lambda: ops.sum_p(leaf((1, 2)) * leaf((3, 2)), axes=(1,)),
    "columns by a column": lambda: ops.sum_p(leaf((3, 1)) * leaf((3, 2)), axes=(0,)),
    "nothing": lambda: ops.sum_p(leaf((0, 2)) * leaf((0, 2)), axes=(0,)),
}
LEFT_ALONE = {
    "repeated along the rest": lambda: ops.sum_p(leaf((3, 2)) * leaf((2,)), axes=(0,)),
    "a column by rows": lambda: ops.sum_p(leaf((3, 1)) * leaf((3, 2)), axes=(1,)),
    "complex": lambda: ops.sum_p(leaf((3,), "complex128") * leaf((3,), "complex128"), axes=(0,)),
    "two dtypes": lambda: ops.sum_p(leaf((3,), "float32") * leaf((3,)), axes=(0,)),
    "three axes": lambda: ops.sum_p(leaf((3, 2, 2)) * leaf((2,)), axes=(2,)),
    "integers": lambda: ops.sum_p(leaf((3,), "int64") * leaf((3,), "int64"), axes=(0,)),
    "one number": lambda: ops.sum_p(leaf((1, 1)) * leaf((1, 1)), axes=(0, 1)),
    "no product": lambda: ops.sum_p(leaf((3,)) + leaf((3,)), axes=(0,)),
}


def programs(*outputs):
    """A program before and after, and the values of its inputs."""
    leaves = [node for node in history(*outputs) if not node.inputs and node.aval.literal is None]
    before = prune(build(leaves, outputs))
    return before, contract_sums(before), [node.value for node in leaves]


def names(program):
    return {made.primitive.name for _, made, _ in program.applications()}


@pytest.mark.parametrize("name", CONTRACTED)
def test_contracted(name, verify):
    before, after, values = programs(CONTRACTED[name]())
    verify(after)
    assert "sum" not in names(after)
    (wanted,), (found,) = Interpreted(before)(*values), Interpreted(after)(*values)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=64 * np.finfo(wanted.dtype).eps)


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_left_alone(name, verify):
    before, after, _ = programs(LEFT_ALONE[name]())
    assert str(verify(after)) == str(before)


def test_a_product_that_is_used_is_summed_as_it_is(verify):
    product = leaf((3, 2)) * leaf((3, 2))
    total = ops.sum_p(product, axes=(0,))
    for outputs in [(total, product), (total, ops.sin(product))]:
        _, after, _ = programs(*outputs)
        assert "inner_product" not in names(verify(after))


def test_quiet_programs_stay_quiet():
    before, _, _ = programs(CONTRACTED["all"]())
    before.quiet = True
    assert contract_sums(before).quiet


def test_gradients_of_squared_errors_use_it():
    w, x = ad.Tensor(RNG.normal(size=(4,))), RNG.normal(size=(5, 4))
    error = np.sum((x @ w - 1.0) ** 2)
    assert "vdot" in ad.Graph().source(error, [w])
    before = prune(build([w.node], [error.node], simplify))
    assert "inner_product" not in names(before)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_sum_over_one_element_keeps_what_is_not_a_number(axis):
    x = np.array([[np.nan], [np.inf], [1.0]])
    x = x.T if axis == 0 else x
    for factor in (0.0, np.zeros((1, 1)), np.zeros_like(x), np.zeros(1)):
        with np.errstate(invalid="ignore"):
            expected = np.sum(x * factor, axis)
            np.testing.assert_array_equal(np.sum(ad.Tensor(x) * factor, axis).value, expected)
            np.testing.assert_array_equal(ad.function(lambda a, b: np.sum(a * b, axis))(x, factor), expected)
