"""Where programs are cut into regions, and plans composed of the plans of these."""

import importlib

import numpy as np
import pytest

import autodiff as ad
from autodiff.core.program import Application, Program
from autodiff_backends.loops.regions import CALLS, LOOPS, Composed, Cuts, is_view, regions, whole
from autodiff_backends.numpy.reference import Interpreted


def fits(program: Program, application: Application) -> bool:
    return application[1].primitive.name not in ("matmul", "cumsum")


CUTS = Cuts(fits, is_view, lambda program, members: True)


@pytest.fixture
def cut(as_program):
    """The kinds of the regions of some outputs; the composed plan gives what the program means."""

    def make(leaves, outputs):
        program = as_program(leaves, outputs)
        found = regions(program, CUTS)
        values = [x.value for x in leaves]
        made = {n for region in found for n in region.members}
        assert made == set(program.applications())
        plan = Composed(program, found, CUTS, lambda kind, part: Interpreted(part))
        for one, wanted in zip(plan(*values), Interpreted(program)(*values), strict=True):
            np.testing.assert_array_equal(one, wanted)
        return [region.kind for region in found], plan

    return make


@pytest.fixture
def x():
    return ad.Tensor(np.linspace(0.1, 0.9, 9).reshape(3, 3))


def test_regions_alternate(cut, x):
    kinds, plan = cut([x], [np.sin(np.tanh(x) @ x)])
    assert kinds == [LOOPS, CALLS, LOOPS]
    assert len(plan.steps) == 3


def test_what_the_next_region_does_not_need_waits(cut, x):
    kinds, _ = cut([x], [np.tanh(x @ x) + np.sum(x * x)])
    assert kinds == [CALLS, LOOPS]
    kinds, _ = cut([x], [np.cumsum(np.sin(x @ x), axis=0) + np.cumsum(x, axis=1)])
    assert kinds == [CALLS, LOOPS, CALLS, LOOPS]


def test_what_the_next_region_needs_does_not_wait(cut, x):
    kinds, _ = cut([x], [np.tanh((x * 2.0).T @ x) + np.sum(x * x)])
    assert kinds == [LOOPS, CALLS, LOOPS]


def test_views_of_inputs_hold_nothing_up(cut, x):
    kinds, _ = cut([x], [np.tanh(x.T @ x[::-1]) + np.sum(x * x), x.T])
    assert kinds == [CALLS, LOOPS]


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_chains_with_side_branches(cut, x, depth):
    value, rest = x, []
    for i in range(depth):
        rest.append(np.sum(value * float(i + 2)))
        value = np.tanh(value @ x)
    kinds, _ = cut([x], [value, *rest])
    assert kinds == [CALLS, LOOPS] * depth


def test_what_is_larger_than_its_operands_is_made_where_it_is_read(cut, x):
    def outer(x):
        return np.reshape(np.sin(x[0]), (3, 1)) * x[1]

    # Of the outer product its operands are handed on, through views too; of what is as large as they are, the result.
    late = np.cumsum(np.tanh(x), axis=0)
    for value in (outer(x), outer(x).T[::-1]):
        kinds, plan = cut([x], [np.sin(late) + value])
        assert kinds == [LOOPS, CALLS, LOOPS]
        assert sorted([plan._sizes[n] for n in plan.steps[0][2]]) == [3 * 8, 9 * 8]
    # What is read before, what is an output, and what calls read.
    cut([x], [np.sin(late) + outer(x), outer(x) * 2.0])
    cut([x], [late @ outer(x), np.sin(late) * outer(x)])
    value = outer(x)
    cut([x], [value, value.T, np.sin(late) + value])


def test_values_are_dropped_after_their_last_reading(cut, x):
    _, plan = cut([x], [np.sin(np.tanh(x) @ x), x, x.T])
    assert sorted(n for dead in plan._dead for n in dead) == sorted(
        {n for _, read, made in plan.steps for n in (*read, *made)} - {n for n, _, _ in plan._outputs}
    )
    alive = set()
    for (_, read, made), dead in zip(plan.steps, plan._dead, strict=True):
        assert alive.issuperset(n for n in read if n != 0)
        alive.update(made)
        alive.difference_update(dead)


def test_one_kind_is_no_composition(as_program, x):
    for outputs, kind in [([np.sin(x)], LOOPS), ([x @ x], CALLS), ([x], CALLS), ([np.sin(x) @ x], None)]:
        program = as_program([x], outputs)
        assert whole(program, regions(program, CUTS), CUTS) == kind


@pytest.mark.parametrize("dtype", ["f2", "g", "c8", "c16", "G"])
@pytest.mark.parametrize(
    "view", [lambda x: x[::-1], lambda x: x[1:], lambda x: x.reshape(3, 2), lambda x: x[None], lambda x: x.T]
)
def test_views_of_what_loops_do_not_have_are_numpys(view, dtype, monkeypatch):
    """Beside what loops compute, a part of half precision was copied as if it were of a dtype that loops know."""
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(importlib.import_module("autodiff_backends.llvm.backend"), "KERNEL_CALL", float("-inf"))
    x, y = np.arange(1, 7).astype(dtype), np.linspace(0.0, 1.0, 5)
    found = ad.function(lambda x, y: (view(x), x * x, np.exp(y) * y), backend="llvm")(x, y)
    np.testing.assert_array_equal(found[0], view(x))
    np.testing.assert_allclose(found[2], np.exp(y) * y, rtol=1e-14)
