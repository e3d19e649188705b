"""Every rewriting row is certified: both sides by NumPy, primitive by primitive, over the whole range of each dtype.

Rows for everything a user wrote give the same bits, signs of zeros, infinities and NaN included. Rows for derivatives
keep finite what is finite and give no zero where none was, whatever the data; where nothing on the way leaves the
normal numbers they agree within a few units in the last place of the largest term.
"""

import itertools
import zlib

import numpy as np
import pytest

from autodiff import ops
from autodiff.convert import as_node
from autodiff.core.avals import intern_aval
from autodiff.nodes import Constant, Slot, Variable
from autodiff.plan import build
from autodiff.plan.simplify import (
    ALWAYS,
    DERIVED,
    EXACT,
    FINAL_ROWS,
    IN_SUMS,
    POWERS,
    ROWS,
    SPECIAL,
    WATCHED,
    Number,
    Rewriter,
    Row,
    Special,
    Var,
)
from autodiff_backends.numpy.reference import Interpreted, function_for

from .numbers import same_bits, wild
from .special_cases import SPECIAL_CASES

FLOATS = ["float16", "float32", "float64", "longdouble", "complex64", "complex128"]
INTEGERS = ["int8", "uint8", "int64", "bool"]
NUMBERS = [0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 7.0, 1e-3, 1e3, 300.0, 1e-25, 1e30, 1e200, 1e-200, 1e300, 5e-324, 2, -5, 60]
COUNT = 4000


# --- data ------------------------------------------------------------------------------------------------------------


def leaf(rng, shape, dtype):
    value = wild(rng, shape, dtype)
    return Variable(intern_aval(value.shape, value.dtype), value, Slot(value))


# --- comparison ------------------------------------------------------------------------------------------------------


def values_of(program, numbers, leaves):
    outputs, program.outputs = program.outputs, tuple(numbers)
    program.quiet = True
    try:
        with np.errstate(all="ignore"):
            return [np.asarray(v) for v in Interpreted(program, numpy_function)(*leaves)]
    finally:
        program.outputs = outputs


def numpy_function(signature):
    """What NumPy computes; powers as its operator does, which looks at the number."""
    if signature.primitive is ops.power and signature.inputs[1].literal is not None and signature.inputs[1].weak:
        return lambda x, exponent: np.asarray(x) ** exponent
    return function_for(signature)


def on_the_way(program, number):
    """The floating values that a value is computed from, data and itself included."""
    seen, stack = {number}, [number]
    while stack:
        for a in program.arguments[stack.pop()]:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return sorted(n for n in seen if program.avals[n].dtype.kind in "fc" and program.avals[n].spec is None)


ADDITIONS = {ops.add, ops.subtract, ops.sum_p, ops.matmul_p, ops.index_add}


def check(program, number, found, leaves, scope, label):
    """Compare a value with what a row makes of it."""
    if program.avals[found].shape != program.avals[number].shape:
        found = program.call(ops.broadcast_to_p, found, params=(program.avals[number].shape,))
    way = on_the_way(program, number)
    before, after, *others = values_of(program, [number, found, *way], leaves)
    assert before.dtype == after.dtype, label
    assert before.shape == after.shape, label
    if scope in (EXACT,) or before.dtype.kind not in "fc":
        with np.errstate(all="ignore"):
            bad = ~same_bits(before, after)
        if before.dtype.kind == "c":
            # Of complex numbers NumPy's own loops round differently; nothing else may differ.
            with np.errstate(all="ignore"):
                near = abs(before - after) <= 4 * eps(before) * abs(before)
            bad &= ~(np.isfinite(before) & np.isfinite(after) & near)
        assert not bad.any(), describe(label, program, leaves, bad, before, after)
    elif scope is POWERS:
        check_powers(program, leaves, before, after, label)
    else:
        check_rounded(program, way, before, after, others, leaves, scope, label)


def eps(array):
    return float(np.finfo(array.dtype).eps)


def describe(label, program, leaves, bad, before, after):
    place = tuple(int(i[0]) for i in np.nonzero(bad)) if before.ndim else ()
    data = [v[place] if v.shape == before.shape else v for v in leaves if v.size <= 20 or v.shape == before.shape]
    return f"{label}: {before[place]!r} became {after[place]!r} for {data!r}\n{program}"


def check_powers(program, leaves, before, after, label):
    with np.errstate(all="ignore"):
        distance = abs(after - before)
        unit = np.spacing(abs(before).astype(np.finfo(before.dtype).dtype))
        close = distance <= (2 if before.dtype.kind == "f" else 8) * unit
    bad = ~(same_bits(before, after) | close)
    if before.dtype.kind == "c":
        bad &= np.isfinite(before)  # of infinite parts NumPy's own powers make NaN or not
    assert not bad.any(), describe(label, program, leaves, bad, before, after)


def magnitude(value):
    with np.errstate(all="ignore"):
        return np.maximum(abs(value.real), abs(value.imag)) if value.dtype.kind == "c" else abs(value)


def spread_over(value, shape):
    """What a value on the way has to do with each element of a result: of a smaller or larger one, all of it."""
    if value.shape == shape:
        return value
    return np.broadcast_to(np.max(magnitude(value), initial=0), shape)


@np.errstate(all="ignore")
def check_rounded(program, way, before, after, others, leaves, scope, label):
    shape, info = before.shape, np.finfo(before.dtype)
    values = dict(zip(way, others, strict=True))
    finite, normal = np.ones(shape, bool), np.ones(shape, bool)
    terms, count, sums = magnitude(before).astype(np.longdouble), 1, scope is IN_SUMS
    for number, value in values.items():
        arguments = [a for a in program.arguments[number] if a in values]
        primitive = program.heads[number] if arguments else None
        finite &= _each(np.isfinite(value), shape)
        normal &= _each(_is_normal(value, info, primitive, [values[a] for a in arguments]), shape)
        if primitive in ADDITIONS or (primitive is not None and value.dtype.kind == "c"):
            sizes = [magnitude(values[a]).astype(np.longdouble) for a in arguments]
            count = max([count, *[size.size for size in sizes]])
            sums |= primitive in (ops.sum_p, ops.matmul_p)
            if primitive is ops.matmul_p:
                with np.errstate(all="ignore"):
                    sizes = [np.sum(sizes[0]) * np.sum(sizes[1])]
            for size in sizes:
                whole = size if size.shape == shape else np.sum(size)
                terms = np.maximum(terms, np.where(np.isfinite(whole), whole, 0))
    if sums:
        # Parts of a sum may overflow where the sum does not, in one order or another.
        finite &= terms < info.max / 4
    # What is finite by its last rounding only may be infinite by another one.
    with np.errstate(all="ignore"):
        finite &= magnitude(before) <= info.max * (1 - 8 * eps(before))
    lost = finite & ~np.isfinite(after)
    if program.witnesses:
        # Somebody looks at these, and computes what was there before if one is not finite.
        seen = values_of(program, program.witnesses, leaves)
        lost &= all(np.isfinite(value).all() for value in seen)
    assert not lost.any(), describe(label, program, leaves, lost, before, after)
    tolerance = 4 * (3 + np.sqrt(count)) * max(eps(v) for v in others) * terms
    vanished = finite & (after == 0) & (magnitude(before) >= info.smallest_normal) & (magnitude(before) > tolerance)
    assert not vanished.any(), describe(label, program, leaves, vanished, before, after)
    with np.errstate(all="ignore"):
        far = finite & normal & ~(magnitude(after - before) <= tolerance + 4 * count * float(info.smallest_subnormal))
    assert not far.any(), describe(label, program, leaves, far, before, after)


def _each(truth, shape):
    return truth if truth.shape == shape else np.bool_(truth.all())


def _is_normal(value, info, primitive, operands):
    """Whether nothing was lost below the normal numbers: in no part, and by no product that became zero."""
    parts = (abs(value.real), abs(value.imag)) if value.dtype.kind == "c" else (abs(value),)
    normal = np.logical_and.reduce([(part == 0) | (part >= info.smallest_normal) for part in parts])
    if operands and primitive not in ADDITIONS:
        zero = np.zeros(value.shape, bool)
        for operand in operands:
            zero = (
                zero | _each(operand == 0, value.shape) if operand.shape == value.shape else zero | (operand == 0).any()
            )
        normal &= (value != 0) | zero
        if value.dtype.kind == "c":
            normal &= np.logical_and.reduce([part != 0 for part in parts]) | (value == 0)
    return normal


# --- rows of patterns ------------------------------------------------------------------------------------------------


class Instance:
    """A pattern written down with arrays for its variables and numbers for its numbers."""

    def __init__(self, row, rng, dtypes, shapes, numbers):
        self.row = row
        self.rng = rng
        self.dtypes, self.shapes, self.numbers = itertools.cycle(dtypes), itertools.cycle(shapes), iter(numbers)
        self.bound = {}
        self.leaves = []
        node = self.node(row.pattern)
        self.program = build(self.leaves, [node])
        (self.number,) = self.program.outputs
        self.signature = self.program.signatures[self.number]

    def node(self, pattern):
        if isinstance(pattern, Var):
            if pattern not in self.bound:
                if isinstance(pattern, Number):
                    value = next(self.numbers)
                    made = Constant(intern_aval((), np.dtype(type(value)), True, value), value)
                else:
                    made = leaf(self.rng, next(self.shapes), next(self.dtypes))
                    self.leaves.append(made)
                self.bound[pattern] = made
            return self.bound[pattern]
        if isinstance(pattern, tuple):
            return pattern[0](*[self.node(part) for part in pattern[1:]])
        return as_node(pattern)

    def applied(self, derived):
        """The number of what the row makes of it; None if it does not apply, or is not taken for its dtype."""
        program = self.program
        program.derived = derived
        found = self.row(program, self.signature, program.arguments[self.number])
        if found is None:
            return None
        aval, out = program.avals[found], self.signature.out
        return found if (aval.dtype, aval.weak) == (out.dtype, out.weak) else None


ALL_ROWS = [*ROWS, *FINAL_ROWS]
MIXED = [("float32", "float64"), ("float64", "float32"), ("float16", "float64"), ("int64", "float64"),
         ("float64", "int8"), ("float32", "complex64"), ("complex128", "float64"), ("int8", "float32")]  # fmt: skip


def random_for(row, *more):
    return np.random.default_rng(zlib.crc32(repr((row.name, more)).encode()))


def instances(row, dtypes):
    """The row's pattern for all numbers and several shapes; what NumPy has no loop for is never recorded."""
    rng = random_for(row, dtypes)
    count = sum(isinstance(v, Number) for v in _variables(row.pattern))
    numbers = list(itertools.product(NUMBERS, repeat=count))
    if len(numbers) > 60:
        numbers = [numbers[i] for i in rng.choice(len(numbers), 60, replace=False)]
    for given in numbers:
        shapes = [(COUNT,)] if count else [(10 * COUNT,)]
        for shape in (shapes, [(5, 1), (3,)], [(), (4,)], [(4,), ()]):
            try:
                with np.errstate(all="ignore"):
                    yield Instance(row, rng, dtypes, shape, given)
            except (TypeError, ValueError):
                continue


def _variables(pattern):
    if isinstance(pattern, Var):
        return {pattern}
    return set().union(*map(_variables, pattern[1:])) if isinstance(pattern, tuple) else set()


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS])
@pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: row.equation)
def test_row_of_patterns(row, dtype):
    kind = np.dtype(dtype).kind
    scope = row.scope_of([kind])
    applied = {True: 0, False: 0}
    for instance in instances(row, (dtype,)):
        for derived in (False, True):
            found = instance.applied(derived)
            if found is not None:
                assert scope is not None, f"{row.equation} is said not to hold for {dtype}, and applies"
                assert derived or scope is not DERIVED, f"{row.equation} applies to what a user wrote in {dtype}"
                data = [n.value for n in instance.leaves]
                check(instance.program, instance.number, found, data, scope, f"{row.equation} in {dtype}")
                applied[derived] += 1
    if scope is not None and row.guard is None and kind in "fc":
        assert applied[True], f"{row.equation} never applies to {dtype}"
        assert applied[False] or scope is DERIVED


@pytest.mark.parametrize("dtypes", MIXED, ids="-".join)
@pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: row.equation)
def test_row_of_patterns_between_dtypes(row, dtypes):
    for instance in instances(row, dtypes):
        kinds = [n.dtype.kind for n in instance.leaves] + [instance.signature.out.dtype.kind]
        for derived in (False, True):
            found = instance.applied(derived)
            if found is not None:
                data = [n.value for n in instance.leaves]
                scope = row.scope_of(kinds)
                check(instance.program, instance.number, found, data, scope, f"{row.equation} in {dtypes}")


def test_some_guards_are_met():
    """Rows with a guard apply to something."""
    for row in ALL_ROWS:
        if row.guard is not None:
            taken = [i.applied(True) is not None for dtype in FLOATS for i in _guarded(row, random_for(row), dtype)]
            assert any(taken), row.equation


def _guarded(row, rng, dtype):
    yield Instance(row, rng, (dtype,), [(6,)], (2.0, 3.0))
    wrapped = Row(_squared(row.pattern), row.replacement, row.equation, row.exact, row.derived, row.guard)
    instance = Instance(wrapped, rng, (dtype,), [(6,)], (2.0, 3.0))
    instance.row = row
    yield instance


def _squared(pattern):
    """A pattern with the square of its first variable in its place: what is never -0."""
    return (
        pattern[0],
        *[(ops.square, p) if isinstance(p, Var) and not isinstance(p, Number) else p for p in pattern[1:]],
    )


@pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: row.equation)
def test_row_is_found_by_the_rewriter(row):
    """The filter by heads loses no row."""
    rewriter = Rewriter([row])
    for instance in [*instances(row, ("float64",)), *_guarded(row, random_for(row), "float64")]:
        for derived in (True, False):
            if instance.applied(derived) is not None:
                program = instance.program
                assert rewriter(program, instance.signature, program.arguments[instance.number]) is not None


# --- rows that look at parameters or shapes --------------------------------------------------------------------------


def test_every_special_row_has_its_cases():
    assert {row.name for row in SPECIAL} == set(SPECIAL_CASES)
    assert all("=" in row.equation for row in SPECIAL)
    assert all(row.scope in (EXACT, IN_SUMS, DERIVED, WATCHED) for row in SPECIAL)


class Making:
    """What cases make graphs with: leaves of wild numbers in one dtype, unless a case asks for another one."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype = rng, dtype
        self.leaves = []

    def __call__(self, shape, dtype=None):
        made = leaf(self.rng, shape, dtype or self.dtype)
        self.leaves.append(made)
        return made


def apply_alone(row, case, making, derived):
    node = case(making)
    leaves = [n for n in making.leaves if n in set(_history(node))]
    program = build(leaves, [node])
    program.derived = derived
    program.witnesses = []
    (number,) = program.outputs
    signature = program.signatures[number]
    found = row(program, signature, program.arguments[number])
    if found is not None:
        aval, out = program.avals[found], signature.out
        if (aval.dtype, aval.weak) != (out.dtype, out.weak):
            found = None
    return program, [n.value for n in leaves], number, found


def _history(node):
    seen, stack = {node}, [node]
    while stack:
        for x in stack.pop().inputs:
            if x not in seen:
                seen.add(x)
                stack.append(x)
    return seen


@pytest.mark.parametrize("row", SPECIAL, ids=lambda row: row.name)
@pytest.mark.parametrize("dtype", [*FLOATS, "int64"])
def test_special_row(row, dtype, verify):
    applies, leaves_alone = SPECIAL_CASES[row.name]
    for place, case in enumerate(applies):
        rng = random_for(row, dtype, place)
        for _ in range(25):
            program, leaves, number, found = apply_alone(row, case, Making(rng, dtype), True)
            if dtype == "float64":
                assert found is not None, f"{row.equation}, case {place}\n{program}"
            if found is not None:
                check(program, number, found, leaves, row.scope, f"{row.equation}, case {place} in {dtype}")
                program.outputs = (number, found)
                verify(program)
            written = apply_alone(row, case, Making(rng, dtype), False)[-1]
            assert written is None or row.scope not in (DERIVED, WATCHED)
            program.witnesses = None
            if row.scope is WATCHED:
                assert row(program, program.signatures[number], program.arguments[number]) is None
    for place, case in enumerate(leaves_alone):
        program, _, number, found = apply_alone(row, case, Making(random_for(row, place), "float64"), True)
        taken = found is not None and program.avals[found] is program.avals[number]
        assert not taken, f"{row.equation} applies to case {place} of what it must leave alone\n{program}"


# --- what is tried first ---------------------------------------------------------------------------------------------

FOLDED = [ops.add, ops.subtract, ops.multiply, ops.divide, ops.maximum, ops.less, ops.arctan2]


@pytest.mark.parametrize("primitive", FOLDED, ids=lambda p: p.name)
def test_folded_numbers_are_what_numpy_computes(primitive):
    """Of Python numbers: Python's integers are not those of 64 bits."""
    scope = Special(primitive, ALWAYS["numbers"], EXACT)
    for first, second in itertools.product([*NUMBERS, -0.0, 2**53 + 1, 2**62, 10**18, True], repeat=2):
        for dtype in (None, *map(np.dtype, FLOATS)):
            nodes = [Constant(intern_aval((), np.dtype(type(v)), type(v) is not bool, v), v) for v in (first, second)]
            if dtype is not None:
                kind = complex if dtype.kind == "c" else float
                with np.errstate(all="ignore"):
                    value = kind(dtype.type(first))
                nodes[0] = Constant(intern_aval((), dtype, False, value), value)
            try:
                with np.errstate(all="ignore"):
                    program = build([], [primitive(*nodes)])
            except (TypeError, ValueError, OverflowError):
                continue
            (number,) = program.outputs
            found = scope(program, program.signatures[number], program.arguments[number])
            if found is not None:
                check(program, number, found, [], EXACT, f"{primitive.name}({first!r}, {second!r}) in {dtype}")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("primitive", [ops.add, ops.multiply, ops.divide, ops.subtract], ids=lambda p: p.name)
def test_one_kind_of_number_is_the_same_number(primitive, dtype):
    rule = Special(primitive, ALWAYS["number"], EXACT)
    for number in (2, -3, 2**24 + 1, 2**53 + 1, 2**60 + 1, 3**30):
        rng = random_for(rule, dtype, number)
        x = leaf(rng, (COUNT,), dtype)
        made = Constant(intern_aval((), np.dtype(int), True, number), number)
        program = build([x], [primitive(x, made)])
        (value,) = program.outputs
        found = rule(program, program.signatures[value], program.arguments[value])
        if found is not None:
            check(program, value, found, [x.value], EXACT, f"{primitive.name} of {number}")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("primitive", [ops.add, ops.multiply, ops.divide, ops.maximum, ops.exp], ids=lambda p: p.name)
def test_broadcasts_move_outward(primitive, dtype):
    rule = Special(primitive, ALWAYS["broadcast"], EXACT)
    rng = random_for(rule, dtype)
    for inner, other in itertools.product([(), (3,), (4, 1), (1, 3)], [(4, 3), (), (3,)]):
        x, y = leaf(rng, inner, dtype), leaf(rng, other, dtype)
        given = (
            [ops.broadcast_to_p(x, shape=(4, 3)), y]
            if primitive.numpy_ufunc.nin == 2
            else [ops.broadcast_to_p(x, shape=(4, 3))]
        )
        try:
            program = build([x, y], [primitive(*given)])
        except TypeError:
            continue
        (value,) = program.outputs
        found = rule(program, program.signatures[value], program.arguments[value])
        assert found is not None
        scope = EXACT if primitive is not ops.exp else DERIVED
        check(program, value, found, [x.value, y.value], scope, f"{primitive.name} of {inner} and {other}")
