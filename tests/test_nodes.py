"""Nodes, abstract values, primitives and signatures."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, ops
from autodiff.convert import as_array, as_node, literal
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.nodes import history, render
from autodiff.operator import Operator

FLOAT64 = np.dtype(np.float64)


# --- inspection through Tensors --------------------------------------------------------------------------------------


def test_nodes_are_inspectable():
    x, c = ad.Tensor([1.0, 2.0], name="x"), ad.Tensor([3, 4], constant=True)
    y = np.sum(x * c, axis=0)
    assert isinstance(x.node, ad.Variable)
    assert isinstance(c.node, ad.Constant)
    assert isinstance(y.node, ad.Operation)
    assert all(isinstance(t.node, ad.Node) for t in (x, c, y))
    (product,) = y.node.inputs
    assert product.inputs == (x.node, c.node)
    assert (y.node.primitive.name, product.primitive.name) == ("sum", "multiply")
    assert y.node.params == {"axes": (0,)}
    assert (product.shape, product.dtype) == ((2,), FLOAT64)
    assert (y.node.shape, y.shape) == ((), ())
    assert x.node.inputs == ()
    assert x.node.primitive is None
    assert x.node.params == {}


def test_node_has_no_dictionary():
    for t in (ad.Tensor(1.0), ad.Tensor(1.0, constant=True), ad.Tensor(1.0) * 2):
        assert not hasattr(t.node, "__dict__")


def test_printed_graph_is_readable():
    x = ad.Tensor([1.0, 2.0], name="x")
    y = np.sum(np.sin(x) * 2.5)
    text = repr(y.node)
    lines = text.splitlines()
    assert len(lines) == 5
    assert any("Variable(float64[2], name='x')" in line for line in lines)
    assert any("= sin(" in line and line.endswith("-> float64[2]") for line in lines)
    assert "sum(" in lines[-1]
    assert "axes=(0,)" in lines[-1]
    assert render(y.node) == text
    names = [line.split(" = ")[0] for line in lines]
    assert names == [f"v{i}" for i in range(5)]


def test_printed_long_graph_leaves_out_its_middle():
    t = ad.Tensor(1.0)
    for _ in range(500):
        t = np.sin(t)
    lines = repr(t.node).splitlines()
    assert len(lines) < 50
    assert any("more" in line for line in lines)
    assert "v500 = sin(v499)" in lines[-1]


def test_history_is_topological_and_complete():
    x = ad.Tensor([1.0, 2.0])
    y = x * 2
    z = np.sum(y + x) * y[0]
    found = history(z.node)
    places = {node: i for i, node in enumerate(found)}
    assert found[-1] is z.node
    for node in found:
        assert all(places[i] < places[node] for i in node.inputs)
    assert {x.node, y.node, z.node} <= set(found)
    assert len(set(found)) == len(found)


def test_nodes_compute_with_operators():
    x = ad.Tensor([1.0, 2.0]).node
    results = [x + 1, 1 + x, x - 1, 1 - x, x * 2, 2 * x, x / 2, 2 / x, x**2, 2**x, -x]
    expected = [[2, 3], [2, 3], [0, 1], [0, -1], [2, 4], [2, 4], [0.5, 1], [2, 1], [1, 4], [2, 4], [-1, -2]]
    for node, wanted in zip(results, expected):
        assert isinstance(node, ad.Operation)
        np.testing.assert_array_equal(nodes_value(node), wanted)


def nodes_value(node):
    from autodiff.plan import evaluate

    return evaluate(node)


# --- abstract values -------------------------------------------------------------------------------------------------


def test_avals_are_interned():
    one = intern_aval((2, 3), FLOAT64)
    assert intern_aval((2, 3), FLOAT64) is one
    assert intern_aval((2, 3), np.dtype(np.float32)) is not one
    assert intern_aval((3, 2), FLOAT64) is not one
    assert intern_aval((), FLOAT64, True) is not intern_aval((), FLOAT64)
    assert pickle.loads(pickle.dumps(one)) is one


@pytest.mark.parametrize("pair", [(2, 2.0), (1, True), (0.0, -0.0), (1.0, 1 + 0j)], ids=repr)
def test_literals_that_compare_equal_differ(pair):
    one, other = (literal(value).aval for value in pair)
    assert one is not other
    assert repr(one) == repr(pair[0])


def test_aval_attributes():
    aval = intern_aval((2, 3), np.dtype(np.float32))
    assert (aval.ndim, aval.size, aval.differentiable, aval.weak, aval.literal) == (2, 6, True, False, None)
    assert repr(aval) == "float32[2, 3]"
    assert not intern_aval((), np.dtype(np.int64)).differentiable
    assert not intern_aval((), np.dtype(np.bool_)).differentiable
    assert intern_aval((), np.dtype(np.complex64)).differentiable


@pytest.mark.parametrize("value", [0, 1, -1, 2, 64, -64, 0.0, 1.0, -1.0, 2.0, 0.5, True, False], ids=repr)
def test_numbers_of_the_structure(value):
    node = as_node(value)
    assert isinstance(node, ad.Constant)
    assert node.aval.literal == value
    assert type(node.aval.literal) is type(value)


@pytest.mark.parametrize("value", [0.1, 3.0, float("nan"), float("inf"), 1000, -65, 1j], ids=repr)
def test_numbers_that_are_data(value):
    node = as_node(value)
    assert node.aval.literal is None
    assert node.aval.weak
    assert node.value is value
    assert as_node(value).aval is node.aval


def test_numpy_scalars_are_strong():
    aval = as_node(np.float64(2)).aval
    assert not aval.weak
    assert aval.literal is None


def test_as_array_refuses_what_is_not_numeric():
    for bad in (None, object(), "text", [1, "a"], np.array(["2020"], "M8[Y]"), {1: 2}, np.array([None])):
        with pytest.raises(errors.DTypeError, match="numeric"):
            as_array(bad)
    with pytest.raises(errors.ShapeError, match="inhomogeneous"):
        as_array([[1, 2], [3]])
    with pytest.raises(errors.DTypeError, match="'nonsense'"):
        as_array([1], "nonsense")
    with pytest.raises(errors.DTypeError):
        as_array([10**400])


# --- primitives and signatures ---------------------------------------------------------------------------------------


def test_signatures_are_memoised():
    aval = intern_aval((2,), FLOAT64)
    one = ops.add.signature((aval, aval))
    assert ops.add.signature((aval, aval)) is one
    assert one.out is aval
    assert repr(one) == "add(float64[2], float64[2])"
    reduced = ops.sum_p.signature((aval,), ((0,),))
    assert reduced.keywords == {"axes": (0,)}
    assert repr(reduced) == "sum(float64[2], axes=(0,))"
    assert (ad.Tensor([1.0, 2.0]) + ad.Tensor([3.0, 4.0])).node.signature is one


def test_a_failed_signature_leaves_nothing():
    before = dict(ops.add.signatures)
    for _ in range(2):
        with pytest.raises(errors.ShapeError):
            ad.Tensor(np.ones(97)) + ad.Tensor(np.ones(89))
    assert len(ops.add.signatures) == len(before)


def test_signatures_are_bounded(monkeypatch):
    monkeypatch.setattr(ops.expm1.interned, "_most_hot", 8)
    x = ad.Tensor(np.ones(200))
    total = [np.sum(np.expm1(x[:n]) * 0) for n in range(1, 100)]
    assert len(ops.expm1.interned) <= 16
    assert all(float(t) == 0 for t in total)


def test_primitive_names_are_unique():
    with pytest.raises(ValueError, match="'add' is defined twice"):
        Operator("add", lambda primitive: None)
    assert all(name == primitive.name for name, primitive in PRIMITIVES.items())


@pytest.mark.parametrize("primitive", PRIMITIVES.values(), ids=PRIMITIVES)
def test_primitive_pickles_as_itself(primitive):
    assert pickle.loads(pickle.dumps(primitive)) is primitive
    assert repr(primitive) == f"<primitive {primitive.name}>"


def test_sequence_orders_creation():
    x = ad.Tensor(1.0)
    y = x * 2
    z = y + 1
    assert 0 < x.node.sequence < y.node.sequence < z.node.sequence
    assert ad.Tensor(1.0, constant=True).node.sequence == 0
