"""Work grows in proportion to the number of operations: counted in calls, which are the same on every machine.

A count at n operations and one at 2n: what is linear doubles, and a step that is quadratic shows. ``NIGHTLY=1`` counts
at 100 times as many.
"""

import gc
import os
import pickle
import random
import sys
import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.differentiate import derivative
from autodiff.nodes import history
from autodiff.plan import build, execute
from autodiff_backends.numpy import backend as numpy_
from autodiff_backends.numpy.reference import Interpreted

OPERATIONS = 10_000 if "NIGHTLY" in os.environ else 100
DEEP = 1_000_000 if "NIGHTLY" in os.environ else 50_000

# What doubles exactly, with some room for what happens once in so many operations.
DOUBLED = 2.15


def joined(join):
    def record(n):
        x = ad.Tensor([1.0, 2.0])
        return np.sum(join([x * float(i) for i in range(n)]) ** 2), [x]

    return record


def joined_variables(n):
    variables = [ad.Tensor([1.0, 2.0]) for _ in range(n)]
    return np.sum(np.concatenate(variables) ** 2), variables


def many_variables(n):
    variables = [ad.Tensor([1.0, 2.0]) for _ in range(n)]
    return np.sum(sum(x * x for x in variables)), variables


def parts(n):
    x = ad.Tensor(np.arange(2.0 * n))
    return sum(np.sum(part * part) for part in np.split(x, n)), [x]


def elements(n):
    x = ad.Tensor(np.arange(1.0 * n))
    return sum(x[i] * x[i] for i in range(n)), [x]


def written(n):
    x = ad.Tensor(np.arange(1.0 * n))
    y = x * 1.0
    for i in range(n):
        y[i] = y[i] * 2.0
    return np.sum(y * y), [x]


def filled(n):
    x = ad.Tensor(2.0)
    y = ad.Tensor(np.zeros(n))
    for i in range(n):
        y[i] = x * float(i)
    return np.sum(y * y), [x]


def used_often(n):
    x = ad.Tensor([1.0, 2.0])
    y = np.sin(x)
    return np.sum(sum(y * (i + 0.1) for i in range(n))), [x]


def used_again(n):
    x = ad.Tensor([1.0, 2.0])
    total = y = np.sin(x)
    for _ in range(n):
        total = total + y
    return np.sum(total), [x]


def chain(n):
    x = y = ad.Tensor([1.0, 2.0])
    for _ in range(n):
        y = np.sin(y) * 1.001
    return np.sum(y), [x]


def distinct(n):
    pick = random.Random(0).choice
    x = y = ad.Tensor([0.1, 0.2])
    kinds = [np.sin, np.tanh, np.exp, np.square, np.abs, lambda v: v * 0.37, lambda v: v / 1.7, lambda v: v**3]
    for _ in range(n):
        y = np.tanh(pick(kinds)(y))
    return np.sum(y), [x]


def tree(n):
    x = ad.Tensor([1.0, 2.0])
    terms = [x * float(i) for i in range(n)]
    while len(terms) > 1:
        terms = [sum(terms[i : i + 2]) for i in range(0, len(terms), 2)]
    return np.sum(terms[0]), [x]


def ladder(n):
    x = ad.Tensor([1.0, 2.0])
    a, b = x, x * 2.0
    for _ in range(n):
        a, b = np.sin(a) * 0.3 + b * 0.2, np.tanh(a * b)
    return np.sum(a + b), [x]


def states(n):
    w, h, c = ad.Tensor([[0.1, 0.2], [0.3, 0.4]]), ad.Tensor([0.1, 0.2]), ad.Tensor([0.3, 0.4])
    for _ in range(n):
        h = np.tanh(h @ w)
        c = c * 0.9 + h * 0.1
        h = h * c
    return np.sum(h + c), [w]


def random_graph(n):
    pick = random.Random(1)
    x = ad.Tensor([0.1, 0.2])
    nodes = [x, x * 2.0, np.sin(x)]
    for _ in range(n):
        a, b = nodes[-1], nodes[-1 - pick.randrange(min(len(nodes), 40))]
        nodes.append([a + b, a * b, a - b, np.sin(a) + b, np.maximum(a, b)][pick.randrange(5)] * 0.5)
    return np.sum(nodes[-1]), [x]


def softmaxes(n):
    x = y = ad.Tensor(np.arange(3.0))
    for _ in range(n):
        e = np.exp(y - np.max(y))
        y = e / np.sum(e)
    return np.sum(y * y), [x]


def looked_at(n):
    """A loop that looks at its state in each step, and goes on one way or the other."""
    x = y = ad.Tensor([1.0, 2.0])
    for _ in range(n):
        y = y * 0.7 if float(np.sum(y)) > 1.5 else np.sin(y) + 0.4
    return np.sum(y), [x]


SHAPES = {
    "concatenate": joined(np.concatenate),
    "stack": joined(np.stack),
    "hstack": joined(np.hstack),
    "vstack": joined(np.vstack),
    "column_stack": joined(np.column_stack),
    **{
        f.__name__: f
        for f in (
            joined_variables, many_variables, parts, elements, written, filled, used_often, used_again, chain, distinct,
            tree, ladder, states, random_graph, softmaxes, looked_at,
        )
    },
}  # fmt: skip


def calls(function):
    """How many functions are called, those in C too; the collector, which calls some when it likes, is off."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    gc.collect()
    gc.disable()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def life(record, n):
    def live():
        y, variables = record(n)
        graph = ad.Graph()
        first = graph.gradient(y, variables)
        y.value
        graph.gradient(y, variables)
        return first

    return live


# How programs of this length are computed: simplified and generated, or as they were recorded.
WAYS = {"simplified": 10**9, "as recorded": -1}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", WAYS[request.param])
    return request.param


@pytest.mark.parametrize("name", SHAPES)
def test_work_is_linear(name, way):
    record = SHAPES[name]
    # Tables of what is met for the first time are filled.
    for _ in range(2):
        life(record, 70)()
    # A table that grows old is copied, which may fall into one of the two; so what fails is counted again.
    for n in (OPERATIONS, OPERATIONS + 7, OPERATIONS + 13):
        once, twice = [calls(life(record, k)) for k in (n, 2 * n)]
        if twice < DOUBLED * once:
            break
    assert twice < DOUBLED * once, f"{once / n:.0f} calls an operation, then {twice / n / 2:.0f}"


def test_a_trace_that_looks_in_each_step_is_linear():
    def life(n):
        x, outside = np.ones(2), ad.Tensor([1.0, 2.0])

        @ad.function
        def f(x):
            state = outside
            for _ in range(n):
                state = state * 0.999
                x = x * 0.9 if state[0] > 0.5 else x + 1.0
            return x

        def live():
            f(x)
            # Looks again whether it holds; then it does not.
            outside.assign([1.0, 3.0])
            f(x)
            outside.assign([0.1, 3.0])
            f(x)

        return live

    for _ in range(2):
        life(70)()
    once, twice = [calls(life(n)) for n in (OPERATIONS, 2 * OPERATIONS)]
    assert twice < DOUBLED * once


def test_a_quadratic_step_is_seen():
    def quadratic(n):
        return lambda: [sum(1 for _ in range(i)) for i in range(n)]

    once, twice = [calls(quadratic(n)) for n in (OPERATIONS // 4, OPERATIONS // 2)]
    assert twice > 1.5 * DOUBLED * once


@pytest.mark.parametrize("name", SHAPES)
def test_both_ways_agree(name, monkeypatch):
    y, variables = SHAPES[name](60)
    found = []
    for longest in WAYS.values():
        monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", longest)
        found.append(ad.Graph().gradient(y, variables))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("name", ["elements", "written", "filled"])
def test_a_chain_of_writes_copies_its_array_once(name):
    """A copy for each write would be quadratic in memory traffic, which calls do not show."""
    y, variables = SHAPES[name](50)
    graph = ad.Graph()
    (trace, _), nodes = graph._gradients.collected(y.node, [x.node for x in variables]), [x.node for x in variables]
    derivatives = graph._gradients.record(y.node, nodes)
    program = build(trace.leaves, [y.node, *derivatives])
    plan = Interpreted(program)
    values = trace.values()
    expected = plan(*values)
    copies = 0

    def array(*args, **kwargs):
        nonlocal copies
        copies += 1
        return np.array(*args, **kwargs)

    plan._steps = [(rebound(step[0], array), *step[1:]) for step in plan._steps]
    for one, other in zip(plan(*values), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert copies <= 4


def test_what_is_for_parts_of_an_array_is_added_into_one():
    """A gradient of many slices has one array of zeros of the full size, and an addition for each slice."""
    x = ad.Tensor(np.ones((30, 40)))
    parts = sum(np.tanh(x[i, i]) for i in range(30)) + sum(np.sum(x[i] * x[:, i].sum()) for i in range(10))
    # What is for the whole array takes the others, with no zeros at all.
    for y, zeros in ((parts, 1), (np.sum(np.sin(x)) + parts, 0)):
        (found,) = derivative(y.node, [x.node], 1)
        made = [node for node in history(found) if node.sequence > y.node.sequence]
        assert sum(node.primitive is ops.index_add for node in made) == 50
        assert sum(ops.is_zeros(node) and node.aval.shape == x.shape for node in made) == zeros


def rebound(function, array):
    """A write with ``array`` in the place of ``np.array``, which makes the copy that it writes into."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()] if hasattr(function, "__closure__") else []
    for cell, content in zip(getattr(function, "__closure__", None) or (), cells, strict=True):
        if content is np.array:
            cell.cell_contents = array
    return function


def test_a_long_graph_lives_and_ends_without_recursion():
    def live():
        y, variables = chain(DEEP // 2)
        (gradient,) = ad.Graph().gradient(y, variables)
        assert np.all(np.isfinite(gradient))
        assert "more" in repr(y.node)
        again = pickle.loads(pickle.dumps(y))
        np.testing.assert_array_equal(again.value, y.value)

    # A thread whose stack is small: what recursed for each operation would end it. (Python 3.13 frees chains of objects
    # up to 10,000 deep before it begins anew, which takes half a megabyte however long the chain is.)
    before = threading.stack_size(2 << 20)
    try:
        failures = []
        thread = threading.Thread(target=lambda: failures.extend(failed(live)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert failures == []


def failed(function):
    try:
        function()
    except BaseException as error:
        return [error]
    return []


def test_a_long_program_gets_better_when_it_is_called_again(monkeypatch):
    monkeypatch.setattr(execute, "LONGEST_SIMPLIFIED", 20)
    monkeypatch.setattr(numpy_, "LONGEST_AT_ONCE", 20)
    graph = ad.Graph()
    y, variables = states(10)
    (first,) = graph.gradient(y, variables)
    y.value
    sources = []
    for _ in range(5):
        (found,) = graph.gradient(y, variables)
        np.testing.assert_allclose(found, first, rtol=1e-13)
        ad.background.wait()
        sources.append("def run(" in graph.source(y, variables))
    assert sources[0] is False
    assert sources[-1] is True
