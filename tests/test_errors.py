"""Bad input: an error of this library's tree at the user's line, and everything usable afterwards."""

import inspect
import pickle
import traceback

import numpy as np
import pytest
from numpy.lib import recfunctions

import autodiff as ad
from autodiff import errors

BUILTINS = {
    errors.ShapeError: ValueError,
    errors.DTypeError: TypeError,
    errors.RangeError: OverflowError,
    errors.IndexingError: IndexError,
    errors.ArgumentError: ValueError,
    errors.AxisError: IndexError,
    errors.UnsupportedError: TypeError,
    errors.MissingAttributeError: AttributeError,
    errors.DifferentiationError: TypeError,
    errors.DerivativeError: AssertionError,
    errors.DetachedError: TypeError,
    errors.MissingRuleError: NotImplementedError,
    errors.TraceError: RuntimeError,
    errors.NotFiniteError: FloatingPointError,
    errors.ConvergenceError: RuntimeError,
    errors.OutOfMemoryError: MemoryError,
    errors.BackendError: LookupError,
}


def make():
    """Tensors to do wrong things with."""
    return {
        "x": ad.Tensor(np.arange(6.0).reshape(2, 3), name="x"),
        "v": ad.Tensor([1.0, 2.0, 3.0, 4.0]),
        "c": ad.Tensor([1.0, 2.0], constant=True),
        "i": ad.Tensor([1, 2], constant=True),
        "g": ad.Graph(),
        "a": np.ones((2, 3)),
    }


# Statement, error class, and what its message must say: function, argument, shapes, dtypes, remedy.
BAD = {
    # shapes that do not broadcast or multiply
    "add": ("x + v", errors.ShapeError, ["add", "float64[2, 3]", "float64[4]", "broadcast"]),
    "reflected add": ("np.ones(4) + x", errors.ShapeError, ["add", "(4,)", "(2, 3)"]),
    "ufunc": ("np.hypot(x, v)", errors.ShapeError, ["hypot", "(2, 3)", "(4,)"]),
    "where": ("np.where(x > 0, x, v)", errors.ShapeError, ["where", "(2, 3)", "(4,)"]),
    "matmul": ("x @ x", errors.ShapeError, ["matmul", "2, 3"]),
    "np.matmul": ("np.matmul(x, v)", errors.ShapeError, ["matmul", "2, 3", "4"]),
    "matmul of scalars": ("x @ 2.0", errors.ShapeError, ["matmul"]),
    "dot": ("np.dot(x, x)", errors.ShapeError, ["dot", "2, 3"]),
    "inner": ("np.inner(x, v)", errors.ShapeError, ["inner", "2, 3", "4"]),
    "tensordot": ("np.tensordot(x, v, 1)", errors.ShapeError, ["tensordot", "2, 3", "4"]),
    "einsum": ("np.einsum('ij,jk->ik', x, x)", errors.AutodiffError, ["einsum"]),
    "einsum subscripts": ("np.einsum('ijk->i', x)", errors.AutodiffError, ["einsum", "2, 3"]),
    "reshape": ("x.reshape(4, 2)", errors.ShapeError, ["reshape", "(4, 2)", "2, 3"]),
    "broadcast_to": ("np.broadcast_to(x, (3, 2))", errors.ShapeError, ["broadcast_to", "(3, 2)"]),
    "concatenate": ("np.concatenate([x, v[None]])", errors.ShapeError, ["concatenate", "2, 3", "1, 4"]),
    "stack": ("np.stack([x, v])", errors.ShapeError, ["stack", "2, 3", "4"]),
    "concatenate axis": ("np.concatenate([x, x], axis=3)", errors.AutodiffError, ["concatenate", "axis", "3"]),
    "axis": ("np.sum(x, axis=2)", errors.AutodiffError, ["sum", "axis", "2"]),
    "axis twice": ("np.sum(x, axis=(0, 0))", errors.AutodiffError, ["sum", "axis"]),
    "axis of a method": ("x.mean(axis=-3)", errors.AutodiffError, ["mean", "axis", "-3"]),
    "transpose": ("x.transpose(0, 0)", errors.AutodiffError, ["transpose"]),
    "squeeze": ("np.squeeze(x, axis=0)", errors.AutodiffError, ["squeeze"]),
    "ragged": ("ad.Tensor([[1, 2], [3]])", errors.ShapeError, ["inhomogeneous"]),
    "in place": ("x += np.ones((5, 2, 3))", errors.ShapeError, ["iadd", "(5, 2, 3)", "(2, 3)"]),
    "max of nothing": ("np.max(x[:, :0], axis=1)", errors.AutodiffError, ["max"]),
    # gradient
    "of an array": ("g.gradient(a, [x])", errors.DifferentiationError, ["dy", "(2, 3)", "float64", "not a Tensor"]),
    "gradient of a number": ("g.gradient(3.0, [x])", errors.DifferentiationError, ["gradient", "dy", "float 3.0"]),
    "gradient of None": ("g.gradient(None, [x])", errors.DifferentiationError, ["gradient", "dy", "None"]),
    "gradient of booleans": ("g.gradient(x > 1, [x])", errors.DifferentiationError, ["gradient", "dy", "bool[2, 3]"]),
    "gradient of integers": ("g.gradient(np.argmax(x), [x])", errors.DifferentiationError, ["gradient", "dy", "int64"]),
    "by a constant": ("g.gradient(x[0, 0] * c, [x, c])", errors.DifferentiationError, ["dx[1]", "constant=False"]),
    "by an array": ("g.gradient(x * a, [a])", errors.DifferentiationError, ["gradient", "dx[0]", "(2, 3)"]),
    "by a name": ("g.gradient(x, ['x'])", errors.DifferentiationError, ["gradient", "dx[0]", "'x'"]),
    "by booleans": ("g.gradient(x, [x > 0])", errors.DifferentiationError, ["gradient", "dx[0]", "bool"]),
    "dx is no list": ("g.gradient(x, x)", errors.ArgumentError, ["gradient", "dx", "[x]"]),
    "dx is None": ("g.gradient(x, None)", errors.ArgumentError, ["gradient", "dx"]),
    "order 0": ("g.gradient(x, [x], 0)", errors.ArgumentError, ["gradient", "n=0", "at least 1"]),
    "order -1": ("g.gradient(x, [x], n=-1)", errors.ArgumentError, ["gradient", "n=-1"]),
    "order 1.5": ("g.gradient(x, [x], 1.5)", errors.ArgumentError, ["gradient", "n=1.5", "integer"]),
    "order True": ("g.gradient(x, [x], True)", errors.ArgumentError, ["gradient", "n=True"]),
    "order None": ("g.gradient(x, [x], None)", errors.ArgumentError, ["gradient", "n=None"]),
    "order as Tensors": ("g.gradient(x, [x], 0, as_tensors=True)", errors.ArgumentError, ["n=0"]),
    "value_and_gradient": ("g.value_and_gradient(a, [x])", errors.DifferentiationError, ["value_and_gradient", "dy"]),
    "value by": ("g.value_and_gradient(x, [c])", errors.DifferentiationError, ["value_and_gradient", "dx[0]"]),
    "compile": ("g.compile(a, [x], [x])", errors.DifferentiationError, ["compile", "dy"]),
    "compile by": ("g.compile(x, [c], [x])", errors.DifferentiationError, ["compile", "dx[0]"]),
    "compile inputs": ("g.compile(x, [x], x)", errors.ArgumentError, ["compile", "inputs"]),
    "source": ("g.source(a, [x])", errors.DifferentiationError, ["source", "dy"]),
    "add_variables array": ("g.add_variables(x, a)", errors.DifferentiationError, ["add_variables", "(2, 3)"]),
    "add_variables constant": ("g.add_variables(c)", errors.DifferentiationError, ["add_variables", "constant"]),
    "add integers": ("g.add_variables(np.argmax(x))", errors.DifferentiationError, ["add_variables", "int64"]),
    # dtypes
    "unknown dtype": ("ad.Tensor([1.0], dtype='nonsense')", errors.DTypeError, ["dtype='nonsense'"]),
    "object array": ("ad.Tensor(np.array([object(), 1]))", errors.DTypeError, ["object", "(2,)"]),
    "object": ("ad.Tensor(object())", errors.DTypeError, ["object"]),
    "None": ("ad.Tensor(None)", errors.DTypeError, ["None"]),
    "text": ("ad.Tensor(['a', 'b'])", errors.DTypeError, ["'a'"]),
    "object dtype": ("ad.Tensor([1.0], dtype=object)", errors.DTypeError, ["object"]),
    "dates": ("ad.Tensor(np.array(['2020-01-01'], 'M8[D]'))", errors.DTypeError, ["datetime64"]),
    "operand objects": ("x + np.array([object()] * 3)", errors.DTypeError, ["object"]),
    "operand None": ("x * None", errors.DTypeError, ["None"]),
    "operand text": ("x + 'text'", errors.DTypeError, ["text"]),
    "operand ragged": ("x + [[1], [1, 2]]", errors.ShapeError, ["inhomogeneous"]),
    "astype": ("x.astype('nonsense')", errors.DTypeError, ["astype", "nonsense"]),
    "astype object": ("x.astype(object)", errors.DTypeError, ["astype", "object"]),
    "no loop": ("x & 1", errors.DTypeError, ["bitwise_and", "float64[2, 3]", "astype"]),
    "shift": ("i << 1.5", errors.DTypeError, ["left_shift", "int64[2]"]),
    "name": ("ad.Tensor(1.0, name=3)", errors.ArgumentError, ["name=3"]),
    # indices
    "index": ("x[2]", errors.IndexingError, ["index 2", "axis 0", "size 2", "2, 3"]),
    "negative index": ("x[0, -4]", errors.IndexingError, ["index -4", "axis 1", "size 3"]),
    "index array": ("x[:, [0, 7]]", errors.IndexingError, ["index 7", "axis 1", "size 3"]),
    "too many": ("x[0, 0, 0]", errors.IndexingError, ["3 indices", "2 dimensions"]),
    "mask": ("x[np.ones(4, bool)]", errors.IndexingError, ["(4,)", "2, 3"]),
    "mask Tensor": ("x[v > 0]", errors.IndexingError, ["(4,)"]),
    "float index": ("x[1.0]", errors.IndexingError, ["float"]),
    "float array index": ("x[np.array([0.0])]", errors.IndexingError, ["float64"]),
    "Tensor index": ("x[v]", errors.IndexingError, ["float64"]),
    "text index": ("x['a']", errors.IndexingError, ["'a'"]),
    "two ellipses": ("x[..., ...]", errors.IndexingError, ["ellipsis"]),
    "index arrays": ("x[[0, 1, 0], [0, 1]]", errors.AutodiffError, ["(3,)", "(2,)"]),
    "zero step": ("x[::0]", errors.ArgumentError, ["zero"]),
    "set out of range": ("x[5] = 1.0", errors.IndexingError, ["index 5", "axis 0", "size 2"]),
    "set shape": ("x[0] = np.ones(4)", errors.ShapeError, ["(4,)", "(3,)"]),
    "set complex": ("x[0] = 1j", errors.AutodiffError, ["complex"]),
    "take": ("np.take(x, [9], axis=1)", errors.IndexingError, ["9", "axis 1"]),
    # backends
    "backend": ("ad.Graph(backend='nonsense')", errors.BackendError, ["'nonsense'", "numpy"]),
    "get_backend": ("ad.get_backend('nonsense')", errors.BackendError, ["'nonsense'", "numpy"]),
    "backend object": ("ad.Graph(backend=3)", errors.BackendError, ["3", "numpy"]),
    # assign
    "assign shape": ("x.assign(np.ones(3))", errors.ShapeError, ["assign", "(3,)", "float64", "(2, 3)", "'x'"]),
    "assign scalar": ("x.assign(1.0)", errors.ShapeError, ["assign", "()", "(2, 3)"]),
    "assign complex": ("x.assign(np.ones((2, 3)) * 1j)", errors.DTypeError, ["assign", "complex"]),
    "assign objects": ("c.assign(np.array([None, None]))", errors.DTypeError, ["object"]),
    "assign text": ("x.assign('text')", errors.DTypeError, ["text"]),
    "assign_add shape": ("x.assign_add(np.ones((5, 2, 3)))", errors.ShapeError, ["assign", "(5, 2, 3)", "(2, 3)"]),
    "assign_sub not broadcast": ("x.assign_sub(np.ones(4))", errors.ShapeError, ["assign", "(4,)", "(2, 3)"]),
    # numbers and containers
    "float": ("float(x)", errors.ShapeError, ["float", "(2, 3)"]),
    "int": ("int(x)", errors.ShapeError, ["int", "(2, 3)"]),
    "bool": ("bool(x)", errors.ShapeError, ["(2, 3)", "np.any"]),
    "len": ("len(x[0, 0])", errors.DTypeError, ["len"]),
    "iter": ("iter(x[0, 0])", errors.DTypeError, ["iteration"]),
    "unpack": ("p, q, r, s = np.argmax(x)", errors.DTypeError, ["iteration"]),
    # NumPy
    "unknown function": (
        "recfunctions.structured_to_unstructured(x)",
        errors.UnsupportedError,
        ["recfunctions.structured_to_unstructured", "implements"],
    ),
    "out": ("np.add(x, 1, out=a)", errors.UnsupportedError, ["add", "out="]),
    "where without out": ("np.add(x, 1, where=a > 0)", errors.ArgumentError, ["add", "where", "out="]),
    "max where": ("np.max(x, where=a > 0)", errors.ArgumentError, ["max", "initial"]),
    "ufunc method": ("np.less.reduce(x)", errors.UnsupportedError, ["less.reduce"]),
    "implements": ("ad.implements(3)", errors.ArgumentError, ["implements"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    statement, error, words = BAD[name]
    namespace = {"np": np, "ad": ad, **make(), "recfunctions": recfunctions}
    tensors = [t for t in namespace.values() if isinstance(t, ad.Tensor)]
    before = [(t.node, t.value.copy()) for t in tensors]
    code = compile(f"# the user's program\n\n{statement}\n", "<user>", "exec")
    with pytest.raises(errors.AutodiffError) as caught:
        exec(code, namespace)
    assert isinstance(caught.value, error)
    assert isinstance(caught.value, tuple(BUILTINS.values()))
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in {message!r}"
    # The user's frame is the offending line, and no other exception shows that is not the library's own.
    frames = [frame for frame in traceback.extract_tb(caught.tb) if frame.filename == "<user>"]
    assert [frame.lineno for frame in frames] == [3]
    # Nothing changed, and what follows is right.
    for t, (node, value) in zip(tensors, before):
        assert t.node is node
        np.testing.assert_array_equal(t.value, value)
    np.testing.assert_array_equal(namespace["a"], 1.0)
    x = namespace["x"]
    for n, expected in ((1, 3 * x.value**2), (2, 6 * x.value)):
        np.testing.assert_allclose(namespace["g"].gradient(x**3, [x], n)[0], expected)


def test_failed_compilation_leaves_no_entry():
    x = ad.Tensor(np.ones(3))
    graph = ad.Graph()
    for _ in range(2):
        with pytest.raises(errors.DifferentiationError):
            graph.gradient(x > 0, [x])
    assert graph.cache_info()[:3] == (0, 0, 0)


def test_error_inside_a_differentiated_function_leaves_no_state():
    def bad(x):
        return np.sum(x @ np.ones(7))

    for transform in (ad.grad, ad.value_and_grad, ad.function):
        with pytest.raises(errors.ShapeError, match="matmul") as caught:
            transform(bad)(np.ones(3))
        lines = [frame.line for frame in traceback.extract_tb(caught.tb) if frame.name == "bad"]
        assert lines == ["return np.sum(x @ np.ones(7))"]
    assert ad.grad(lambda x: ad.grad(lambda y: x * y**2)(x))(2.0) == 8.0


def test_every_class_is_of_the_tree_and_of_a_builtin():
    classes = [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, Exception) and not issubclass(value, Warning) and value is not errors.AutodiffError
    ]
    assert set(classes) == set(BUILTINS)
    for error, builtin in BUILTINS.items():
        assert issubclass(error, errors.AutodiffError)
        assert issubclass(error, builtin)
        assert error.__name__ in errors.__doc__
        assert error.__doc__
        again = pickle.loads(pickle.dumps(error("message")))
        assert type(again) is error
        assert str(again) == "message"
    assert issubclass(ad.IndependentWarning, UserWarning)
    assert ad.AutodiffError is errors.AutodiffError
