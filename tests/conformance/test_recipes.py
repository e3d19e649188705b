"""What is recorded from a recipe is what the function itself records: every row of the table, and known traps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import nodes, ops, recipe
from autodiff.core import avals as core_avals
from autodiff.dispatch import FUNCTIONS, UFUNCS
from autodiff.memo import Memo
from autodiff.nodes import history
from autodiff.numpy_api import functions
from autodiff.numpy_api.memo import memoised
from autodiff.ops import indexing
from autodiff.plan import collect
from autodiff.tensor import tensor

from . import checks
from .case import Case
from .table import CASES

X = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
MASK = np.array([[True, False, True], [False, True, True]])


@contextmanager
def without_recipes() -> Iterator[None]:
    """NumPy functions, operators and indexing as they are without recipes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functions, "memoised", lambda handler: handler)
        for function, handler in functions.function_table().items():
            patch.setitem(FUNCTIONS, function, handler)
        for ufunc, function in UFUNCS.items():
            patch.setitem(UFUNCS, ufunc, function.function if isinstance(function, recipe.Composite) else function)
        patch.setattr(recipe, "recipe", lambda function, avals: None)
        forms = Memo(2)
        patch.setattr(indexing, "_forms", forms)
        patch.setattr(indexing, "_hot_forms", forms.hot)
        for composite in (tensor._matmul, tensor._transpose, tensor._matrix_transpose, indexing._write_basic):
            recipes = recipe.Recipes()
            patch.setattr(composite, "_recipes", recipes)
            patch.setattr(composite, "_get", recipes.get)
        yield


def recorded(result: Any) -> tuple[Any, list[Any]]:
    """The structure of the Tensors in a result, and the values that it is about."""
    trace = collect([x.node for x in checks.leaves(result) if isinstance(x, ad.Tensor)])
    return (type(result), trace.key), trace.values()


def assert_same(found: tuple[Any, list[Any]], expected: tuple[Any, list[Any]]) -> None:
    assert found[0] == expected[0]
    for value, wanted in zip(found[1], expected[1], strict=True):
        assert type(value) is type(wanted)
        # What was looked at may have several outputs.
        np.testing.assert_equal(value, wanted)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_recipes_record_what_functions_record(case: Case) -> None:
    inputs = case.arrays()
    with without_recipes():
        expected = recorded(case(*checks.tensors(case, inputs)))
    for _ in range(3):
        assert_same(recorded(case(*checks.tensors(case, inputs))), expected)


# Two calls that Python takes for equal, or whose values decide what is recorded.
TRAPS: dict[str, tuple[Callable[[ad.Tensor], Any], Callable[[ad.Tensor], Any]]] = {
    "number and boolean": (lambda x: np.where(MASK, x, 1), lambda x: np.where(MASK, x, True)),
    "integer and float": (lambda x: np.where(MASK, x, 1), lambda x: np.where(MASK, x, 1.0)),
    "zeros": (lambda x: np.full_like(x, 0.0), lambda x: np.full_like(x, -0.0)),
    "float and array": (lambda x: np.where(MASK, x, 0.25), lambda x: np.where(MASK, x, np.array(0.25))),
    "dtype": (lambda x: np.sum(x, dtype="float32"), lambda x: np.sum(x, dtype=np.float64)),
    "order of keywords": (
        lambda x: np.sum(x, axis=0, keepdims=True),
        lambda x: np.sum(x, keepdims=True, axis=0),
    ),
    "keyword and position": (lambda x: np.swapaxes(x, 0, axis2=1), lambda x: np.swapaxes(x, 1, axis2=1)),
    "nesting": (lambda x: np.concatenate([x, x], 1), lambda x: np.concatenate([[x[0], x[0]], x], 0)),
    "values of an array": (
        lambda x: np.repeat(x, np.array([1, 2]), axis=0),
        lambda x: np.repeat(x, np.array([0, 3]), axis=0),
    ),
    "values of a list": (lambda x: np.take(x, [0, 1], axis=1), lambda x: np.take(x, [2, -1], axis=1)),
    "values of a mask": (
        lambda x: np.compress(np.array([True, False]), x, axis=0),
        lambda x: np.compress(np.array([True, True]), x, axis=0),
    ),
    "values of a Tensor of positions": (
        lambda x: np.take(x, ad.Tensor([0, 1], constant=True, dtype=int), axis=1),
        lambda x: np.take(x, ad.Tensor([1, 1], constant=True, dtype=int), axis=1),
    ),
    "a float that is structure": (
        lambda x: np.linalg.norm(x[0], 2.5),
        lambda x: np.linalg.norm(x[0], 3.5),
    ),
    "one operand twice": (lambda x: np.dot(x, x.T), lambda x: np.dot(x, np.ones((3, 2)))),
    "new axes and slice": (lambda x: x[None, None, None], lambda x: x[:]),
    "index and tuple": (lambda x: x[1], lambda x: x[1,]),
    "indices and slice": (
        lambda x: np.broadcast_to(x, (3, 2, 3))[1, 0, 2],
        lambda x: np.broadcast_to(x, (3, 2, 3))[1:0:2],
    ),
    "number and boolean by keyword": (
        lambda x: np.full_like(x, fill_value=1),
        lambda x: np.full_like(x, fill_value=True),
    ),
    "constants of two calls": (lambda x: np.sinc(x) + np.sinc(x), lambda x: np.round(x, 2) + np.round(x, 2)),
    "slices": (lambda x: x[:, 0:2], lambda x: x[:, 1:3]),
    "written number": (lambda x: _written(x, 0), lambda x: _written(x, 1)),
}  # fmt: skip


def _written(x: ad.Tensor, value: Any) -> ad.Tensor:
    y = x + 0.25
    y[0] = value
    return y


@pytest.mark.parametrize(("one", "other"), TRAPS.values(), ids=TRAPS)
def test_calls_that_look_alike_do_not_share_a_recipe(one: Any, other: Any) -> None:
    expected = []
    for f in (one, other):
        with without_recipes():
            expected.append(recorded(f(ad.Tensor(X))))
    for _ in range(3):
        for f, wanted in zip((one, other), expected, strict=True):
            assert_same(recorded(f(ad.Tensor(X))), wanted)


REFUSED: dict[str, tuple[Callable[[ad.Tensor], Any], Callable[[ad.Tensor], Any]]] = {
    "axis": (lambda x: np.sum(x, axis=1), lambda x: np.sum(x, axis=1.0)),
    "index": (lambda x: x[1], lambda x: x[1.0]),
    "boolean index": (lambda x: x[1], lambda x: x[[True] * 5]),
    "slice": (lambda x: x[0:2], lambda x: x[0.0:2]),
    "array as out=": (lambda x: np.sum(x, axis=0), lambda x: np.sum(x, axis=0, out=np.zeros(3))),
    "range of positions": (
        lambda x: np.take_along_axis(x, ad.Tensor([[0, 2]], constant=True, dtype=int), 1),
        lambda x: np.take_along_axis(x, ad.Tensor([[0, 3]], constant=True, dtype=int), 1),
    ),
}


@pytest.mark.parametrize(("good", "bad"), REFUSED.values(), ids=REFUSED)
def test_an_error_is_raised_each_time(good: Any, bad: Any) -> None:
    messages = set()
    for _ in range(3):
        good(ad.Tensor(X))
        with pytest.raises(ad.errors.AutodiffError) as caught:
            bad(ad.Tensor(X))
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_out_is_written_each_time() -> None:
    for _ in range(4):
        out = ad.Tensor(np.zeros(3))
        assert np.sum(ad.Tensor(X), axis=0, out=out) is out
        np.testing.assert_array_equal(out.value, X.sum(axis=0))


def test_arrays_in_a_call_are_captured_each_time() -> None:
    mask = MASK.copy()
    for _ in range(4):
        y = np.where(mask, ad.Tensor(X), 0.0)
        before = mask.copy()
        mask[0] = ~mask[0]
        np.testing.assert_array_equal(y.value, np.where(before, X, 0.0))


def _changing(t: ad.Tensor) -> ad.Tensor:
    t += 1.0
    return t * 2.0


UNFIT: dict[str, Callable[[ad.Tensor], Any]] = {
    "changes its argument": _changing,
    "returns its argument": lambda t: t,
    "returns what is no Tensor": lambda t: (t + 1.0, t.shape),
    "makes a variable": lambda t: t + ad.Tensor(1.0),
    "needs a value": lambda t: t + 1.0 if t.value.all() else t,
    "refuses Tensors without a value": lambda t: t[np.asarray(t) > 0],
}


@pytest.mark.parametrize("handler", UNFIT.values(), ids=UNFIT)
def test_handlers_that_do_more_than_record_get_no_recipe(handler: Callable[[ad.Tensor], Any]) -> None:
    call = memoised(handler)
    for _ in range(4):
        x, y = ad.Tensor(X), ad.Tensor(X)
        found, expected = call(x), handler(y)
        assert (found is x) == (expected is y)
        np.testing.assert_array_equal(x.value, y.value)
        assert str(found) == str(expected)
        for one, other in zip(checks.leaves(found), checks.leaves(expected), strict=True):
            if isinstance(one, ad.Tensor):
                assert [type(node) for node in history(one.node)] == [type(node) for node in history(other.node)]


def test_constants_in_recipes_are_read_only() -> None:
    record = recipe.recipe(lambda x: ops.take(x, [0, 1], 1), (ad.Tensor(X).node.aval,))
    assert record is not None
    for leaf in record(ad.Tensor(X).node).inputs:
        assert not isinstance(leaf.value, np.ndarray) or not leaf.value.flags.writeable


def test_very_long_lists_of_arguments_have_no_recipe() -> None:
    rows = [ad.Tensor(X[0]) for _ in range(300)]
    for _ in range(3):
        np.testing.assert_array_equal(np.stack(rows).value, np.stack([X[0]] * 300))


def test_signatures_that_are_made_again_are_those_of_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(values: np.ndarray) -> Any:
        x = ad.Tensor(values)
        return collect([(np.mean(x, axis=1) @ x[:, 1]).node]).key

    before = [key(X) for _ in range(3)]
    with monkeypatch.context() as patch:
        for primitive in nodes.PRIMITIVES.values():
            patch.setattr(primitive.interned, "_most_hot", 1)
        patch.setattr(core_avals._avals, "_most_hot", 1)
        for size in range(5):
            key(np.ones((7, 9 + size)))
        letters = [part for part in before[0] if isinstance(part, nodes.Signature)]
        assert any(part not in part.primitive.signatures.values() for part in letters)
    after = [key(X) for _ in range(3)]
    with without_recipes():
        expected = key(X)
    assert before + after == [expected] * 6


def test_a_table_of_recipes_has_a_bound() -> None:
    table = recipe.Recipes(kept=4)
    made = []
    for round in range(30):
        for i in (0, round):
            record = table.get(i) or (lambda i=i: i)
            table.met(i, lambda i: made.append(i) or (lambda: i), i)
            assert record() == i
            assert len(table._recipes) <= 4
            assert len(table._met) <= 4
    # What is asked for again and again was made once.
    assert made.count(0) == 1


def test_the_table_of_index_forms_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing._forms, "_most_hot", 2)
    indexing._forms.clear()
    x = ad.Tensor(np.arange(20.0))
    for i in range(20):
        np.testing.assert_array_equal(x[i:].value, np.arange(i, 20.0))
        assert x[i].value == i
        assert len(indexing._forms) <= 4


def test_a_composite_that_is_met_once_makes_no_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = recipe.recipe
    monkeypatch.setattr(recipe, "recipe", lambda function, avals: made.append(avals) or real(function, avals))
    vectors = [ad.Tensor(np.ones(n)) for n in range(901, 921)]
    for count in (0, 20, 20):
        keys = [collect([(x @ x).node]).key for x in vectors]
        assert len(made) == count
        assert keys == [collect([ops.matmul(x.node, x.node)]).key for x in vectors]
