"""Writes by index: which share an array, which assign, what is computed in its place; against the interpreter."""

import sys
from random import Random

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.convert import as_node
from autodiff.core.avals import intern_aval
from autodiff.nodes import Slot, Variable
from autodiff.ops.indexing import static_index
from autodiff.plan import build, prune
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated
from autodiff_backends.numpy.writes import Touched, Writes, _bounds

RNG = np.random.default_rng(13)


def leaf(shape, dtype="float64"):
    value = RNG.normal(size=shape).astype(dtype)
    return Variable(intern_aval(shape, value.dtype), value, Slot(None))


def place(shape, *items):
    """A static index as the recorder normalises it."""
    spec, value = [], []
    sizes = iter(shape)
    for item in (*items, *[slice(None)] * (len(shape) - sum(i is not None for i in items))):
        if item is None:
            spec.append("n")
            value.append(None)
        elif isinstance(item, int):
            next(sizes)
            spec.append("i")
            value.append(item)
        else:
            start, stop, step = item.indices(next(sizes))
            spec.append(len(range(start, stop, step)))
            value.append(slice(start, None if stop < 0 else stop, step))
    return static_index(tuple(spec), tuple(value))


def chain(shape, *writes, base=0.0):
    """Writes one after the other, of exponentials, into a number repeated; and the leaves."""
    out, leaves = ops.broadcast_to(as_node(base), shape), []
    for primitive, items in writes:
        idx = place(shape, *items)
        x = leaf(np.empty(shape)[items].shape)
        leaves.append(x)
        out = primitive(out, idx, ops.exp(x))
    return leaves, out


def check(leaves, outputs, rtol=1e-14, atol=0.0):
    program = prune(build(leaves, outputs))
    values = [node.value for node in leaves]
    plan = Generated(program)
    for _ in range(2):
        for found, wanted in zip(plan(*values), Interpreted(program)(*values)):
            np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)
    return plan.source, writes_of(program)


def writes_of(program):
    applications = program.applications()
    return Writes(program, applications, {number: number for number, _, _ in applications})


HALVES = [(ops.index_add, (slice(0, 3),)), (ops.index_add, (slice(3, 5),))]
DISJOINT = {
    "halves": ((5,), HALVES),
    "columns": ((3, 4), [(ops.index_add, (slice(None), slice(0, 1))), (ops.index_set, (slice(None), slice(1, 4)))]),
    "backwards": ((6,), [(ops.index_add, (slice(None, 2, -1),)), (ops.index_add, (slice(2, None, -1),))]),
    "rows": ((2, 3), [(ops.index_add, (0,)), (ops.index_add, (1,))]),
    "new axes": ((2, 3), [(ops.index_add, (None, 0)), (ops.index_add, (1, None))]),
}
INCOMPLETE = {
    "a part": ((5,), HALVES[1:]),
    "two parts": ((2, 5), [(ops.index_add, (0, slice(0, 2))), (ops.index_add, (1, slice(3, 5)))]),
    "every second": ((6,), [(ops.index_add, (slice(0, 6, 2),))]),
}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("name", [*DISJOINT, *INCOMPLETE])
def test_disjoint_writes_are_computed_in_their_places(name, inside):
    shape, writes = {**DISJOINT, **INCOMPLETE}[name]
    leaves, out = chain(shape, *writes)
    source, found = check(leaves, [ops.sin(out)] if inside else [out])
    assert "+=" not in source
    assert len(found.untouched) == len(found.placed) == len(writes)
    assert bool(found.complete) == (name in DISJOINT)
    assert ("zeros" in source or "fill" in source) == (name in INCOMPLETE)
    assert source.count("exp(x") == len(writes)
    assert "] =" not in source  # no result is copied


OVERLAPPING = {
    "shifted": ((5,), [(ops.index_add, (slice(0, 4),)), (ops.index_add, (slice(1, 5),))]),
    "the first again": (
        (6,),
        [(ops.index_add, (slice(1, 6),)), (ops.index_add, (slice(0, 5),)), (ops.index_add, (0,))],
    ),
    "the same": ((5,), [(ops.index_add, (slice(0, 4),)), (ops.index_add, (slice(0, 4),))]),
    "crossing": ((3, 3), [(ops.index_add, (0,)), (ops.index_add, (slice(None), 0))]),
    "backwards": ((5,), [(ops.index_add, (slice(3, None, -1),)), (ops.index_add, (slice(1, 5),))]),
    "set over": ((5,), [(ops.index_add, (slice(0, 4),)), (ops.index_set, (slice(3, 5),))]),
    "added to a set": ((5,), [(ops.index_set, (slice(0, 4),)), (ops.index_add, (slice(3, 5),))]),
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_overlapping_writes_are_made_in_order(name):
    shape, writes = OVERLAPPING[name]
    leaves, out = chain(shape, *writes)
    _, found = check(leaves, [out])
    assert len(found.untouched) == len(found.placed) == 1


def test_numbers_other_than_zero_are_added_to():
    leaves, out = chain((5,), *HALVES, base=2.0)
    source, found = check(leaves, [out])
    assert source.count("+=") == 2
    assert "full((5,), 2.0" in source
    assert not found.untouched


def test_what_is_needed_elsewhere_is_copied():
    x = leaf((3,))
    value = ops.exp(x)
    out = ops.index_add(ops.broadcast_to(as_node(0.0), (5,)), place((5,), slice(0, 3)), value)
    for outputs, placed in (
        ([out, value], 0),
        ([out, ops.sin(value)], 0),
        ([out * ops.index(out, place((5,), 1))], 1),
    ):
        _, found = check([x], outputs)
        assert len(found.placed) == placed


@pytest.mark.parametrize(
    "function", [ops.cos, lambda z: ops.logaddexp(z, 1.0), lambda z: ops.where(ops.greater(z, 1.0), z, 1.0)]
)
@pytest.mark.parametrize("length", [3, 6])
def test_operands_are_read_before_their_buffer_is_written(function, length):
    """The array written into is not the buffer of an operand that is needed for the last time."""
    x = leaf((2, 3))
    y = ops.exp(x)
    read = ops.index(y, place((2, 3), 0)) if length == 3 else ops.reshape(y, (6,))
    value = function(read)
    shape, where = ((2, 3), place((2, 3), 1)) if length == 3 else ((6,), place((6,), slice(None, None, -1)))
    out = ops.index_add(ops.broadcast_to(as_node(0.0), shape), where, value)
    check([x], [ops.sin(out)])


def test_unknown_places_are_added_to():
    x, positions = leaf((3,)), as_node(np.array([0, 0, 4]))
    zeros = ops.broadcast_to(as_node(0.0), (5,))
    spec = static_index(("a",), (None,))
    first = ops.index_add(zeros, spec, ops.exp(x), positions)
    out = ops.index_add(first, place((5,), slice(0, 3)), ops.sin(x))
    source, found = check([x], [out])
    assert "add.at(" in source
    assert "+=" in source
    assert not found.untouched


@pytest.mark.parametrize("shape", [(70_000,), (300, 200), (2, 40_000)])
@pytest.mark.parametrize("transposed", [False, True])
def test_groups_write_into_views(shape, transposed):
    """Large results in blocks of elements, in blocks of rows, and where neither can be a view."""
    x, y = leaf(shape), leaf(shape)
    whole = (*shape[:-1], shape[-1] + 2)
    inner = place(whole, *[slice(None)] * (len(shape) - 1), slice(1, shape[-1] + 1))
    value = ops.tanh(x) * y
    if transposed and len(shape) > 1:
        value = ops.tanh(ops.transpose(ops.reshape(x, shape[::-1]), tuple(range(len(shape)))[::-1])) * y
    out = ops.index_add(ops.broadcast_to(as_node(0.0), whole), inner, value)
    check([x, y], [out])


@pytest.mark.parametrize("seed", range(40))
def test_random_chains(seed):
    random = np.random.default_rng(seed)
    for _ in range(10):
        shape = tuple(random.integers(1, 9, random.integers(1, 3)).tolist())
        writes = []
        for _ in range(random.integers(1, 7)):
            items = []
            for n in shape[: random.integers(1, len(shape) + 1)]:
                start = int(random.integers(0, n))
                stop = int(random.integers(start, n + 1))
                items.append(start if random.random() < 0.3 else slice(start, stop, int(random.integers(1, 3))))
            writes.append((ops.index_add if random.random() < 0.8 else ops.index_set, tuple(items)))
        leaves, out = chain(shape, *writes)
        check(leaves, [out] if random.random() < 0.5 else [ops.sin(out)])


def test_gradients_of_parts():
    """The halves of a matrix: their gradients are computed into the columns of an array that is not cleared."""
    x = ad.Tensor(RNG.normal(size=(4, 6)))
    y = np.sum(np.exp(x[:, :2])) + np.sum(x[:, 2:] ** 2)
    graph = ad.Graph()
    (d,) = graph.gradient(y, [x])
    np.testing.assert_allclose(d, np.hstack([np.exp(x.value[:, :2]), 2 * x.value[:, 2:]]))
    source = graph.source(y, [x])
    assert "empty((4, 6)" in source
    assert "zeros" not in source


@pytest.mark.parametrize(("columns", "dtype"), [(4, "f4"), (8, "f8"), (16, "f8")])
def test_negatives_of_columns_are_not_those_of_their_neighbours(columns, dtype):
    x, w = RNG.normal(size=(2, 5, columns)).astype(dtype)

    def loss(x):
        first, last = x[:, 1:2] - x[:, :1], x[:, -1:] - x[:, -2:-1]
        return np.sum(np.concatenate([first, np.zeros((5, columns - 2), dtype), last], 1) * w)

    gradient = ad.grad(loss)(x)
    expected = np.zeros_like(x)
    expected[:, 1] += w[:, 0]
    expected[:, 0] -= w[:, 0]
    expected[:, -1] += w[:, -1]
    expected[:, -2] -= w[:, -1]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_boxes_that_meet_are_found_without_looking_at_each():
    """Against a comparison with every one."""
    random = Random(0)

    def side():
        first = random.randrange(8)
        if random.random() < 0.5:
            return range(first, first + 1)
        return range(first, random.randrange(first, 10), random.randrange(1, 3))

    def overlap(box, other):
        ends = [(_bounds(x), _bounds(y)) for x, y in zip(box, other, strict=True)]
        return all(start < other_stop and other_start < stop for (start, stop), (other_start, other_stop) in ends)

    found = []
    for _ in range(2_000):
        dimensions = random.randrange(4)
        touched, boxes = Touched(), []
        for _ in range(random.randrange(1, 12)):
            box = tuple([side() for _ in range(dimensions)])
            expected = any(overlap(box, other) for other in boxes)
            assert touched.meets(box) == expected
            found.append(expected)
            boxes.append(box)
            touched.add(box)
    assert 0.2 < sum(found) / len(found) < 0.8


def test_lines_executed_for_a_chain_of_writes_are_in_proportion_to_it():
    """A walk along the chain for each of its writes would call nothing, so lines are counted."""

    def lines(n):
        x = leaf((n,))
        node = ops.zeros_like(x)
        for i in range(n):
            node = ops.index_add(node, static_index(("i",), (i,)), ops.index(x, static_index(("i",), (i,))))
        program = build([x], [node])
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            writes = writes_of(program)
            ends = {writes.last(n) for n, _, _ in program.applications()[1:] if writes._writes(n)}
        finally:
            sys.settrace(before)
        assert len(ends) == 1
        return count

    assert lines(200) < 2.15 * lines(100)


def everything(x):
    return ops.sum(x, tuple(range(x.aval.ndim)))


def test_what_is_read_of_an_array_before_it_is_written_to_is_copied():
    """As reverse sweeps of loops that fill a buffer do; a copy of the buffer for each write would be quadratic."""
    shape, count = (100, 100), 20
    x = leaf(shape)
    out, parts = ops.sin(x), []
    for i in range(count):
        idx = place(shape, slice(i, 100), i)
        parts.append(ops.index(out, idx))
        out = ops.index_set(out, idx, ops.zeros_like(parts[-1]))
    single = ops.index(out, place(shape, 50, 60))
    out = ops.index_set(out, place(shape, 50), ops.zeros_like(ops.index(out, place(shape, 50))))
    total = everything(ops.exp(out))
    for part in parts:
        total = total + everything(ops.cos(part))
    source, found = check([x], [total + single], 1e-12)
    assert len(found.heirs) == count
    assert len(found.copied) == count + 1
    assert source.count("copyto(") == count


def test_what_is_done_with_an_array_before_it_is_written_to_needs_no_copy():
    shape = (50, 50)
    x = leaf(shape)
    out = ops.sin(x)
    total = 0.0
    for i in range(5):
        total = total + ops.sum(ops.exp(ops.transpose(out)), (0,))
        out = ops.index_set(out, place(shape, i), ops.cos(total))
    source, found = check([x], [total + ops.index(out, place(shape, 1))], 1e-12)
    assert not found.copied
    assert "copyto(" not in source


def test_zeros_that_are_read_before_they_are_written_to():
    shape = (4, 3000)
    leaves = [leaf((3000,)) for _ in range(4)]
    out = ops.broadcast_to(as_node(0.0), shape)
    parts = []
    for i, x in enumerate(leaves):
        out = ops.index_set(out, place(shape, i), ops.exp(x))
        parts.append(ops.index(out, place(shape, (i + 1) % 4)))
    total = parts[0] * 0.0
    for part in parts:
        total = total + ops.cos(part)
    _, found = check(leaves, [total, ops.sin(out)])
    # Nothing is read before the first of them.
    assert len(found.untouched) == 4
    assert not found.complete


@pytest.mark.parametrize("seed", range(40))
def test_random_reads_and_writes(seed):
    random = Random(seed)
    shape = random.choice([(6,), (4, 3), (40, 30)])
    x = leaf(shape)
    out = ops.broadcast_to(as_node(0.0), shape) if random.random() < 0.5 else ops.sin(x)
    x0 = ops.exp(x)
    states, parts = [out], [ops.index(x0, place(shape, 0))]

    def item(n):
        a, b = sorted(random.sample(range(n + 1), 2))
        return random.choice([random.randrange(n), slice(a, b), slice(a, b), slice(None)])

    for _ in range(8):
        for _ in range(random.randrange(3)):
            part = ops.index(random.choice(states[-2:]), place(shape, *[item(n) for n in shape]))
            parts.append(random.choice([part, ops.cos(part), ops.reshape(part, (-1,)), ops.transpose(part)]))
        idx = place(shape, *[item(n) for n in shape])
        size = ops.index(states[-1], idx).aval.shape
        value = random.choice(parts)
        fits = [p for p in parts if p.aval.shape == size]
        if fits and random.random() < 0.6:
            value = random.choice(fits)
        else:
            value = ops.broadcast_to(everything(value), size)
        write = random.choice([ops.index_set, ops.index_add])
        states.append(write(states[-1], idx, random.choice([value, ops.tanh(value)])))
    total = everything(states[-1])
    for part in parts:
        total = total + everything(ops.sin(part))
    check([x], [total, *([states[-1]] if random.random() < 0.5 else []), *parts[-1:]], 1e-12, 1e-12)
