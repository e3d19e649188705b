"""Rolling, fusion and storages: whatever the schedule does, statements see what they would see one after another."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.core.primitives import PRIMITIVES
from autodiff_backends.loops import schedule as schedules
from autodiff_backends.loops.forms import REDUCTIONS
from autodiff_backends.loops.schedule import FEWEST_ITERATIONS, SHORTEST_ROLLED, Schedule, roll
from autodiff_backends.loops.statements import Lowering
from autodiff_backends.numpy.reference import Interpreted

from ..conftest import kernels_at_once
from .schedule_execution import compiled, execute, turns

deterministic = settings(derandomize=True, deadline=None, database=None, max_examples=200)

# --- rolling ---------------------------------------------------------------------------------------------------------

symbols = st.integers(0, 4)
words = st.lists(symbols, min_size=1, max_size=12)
sequences = st.lists(st.tuples(words, st.integers(1, 30)), min_size=1, max_size=6).map(
    lambda parts: [symbol for word, count in parts for symbol in word * count]
)


@deterministic
@given(sequences)
def test_pieces_tile_the_sequence_and_are_repetitions(sequence):
    place = 0
    for start, period, count in roll(sequence):
        assert start == place
        body = sequence[start : start + period]
        assert body * count == sequence[start : start + period * count]
        assert count == 1 or (count >= FEWEST_ITERATIONS and period * count >= SHORTEST_ROLLED)
        place += period * count
    assert place == len(sequence)


@deterministic
@given(words, st.integers(0, 6), st.integers(0, 6), st.integers(4, 40))
def test_a_loop_between_a_begin_and_an_end_is_found(body, before, after, count):
    body = [*body, 5]
    count = max(count, -(-SHORTEST_ROLLED // len(body)))
    sequence = [100 + i for i in range(before)] + body * count + [200 + i for i in range(after)]
    pieces = [piece for piece in roll(sequence) if piece[2] > 1]
    # Where the body begins is a matter of taste: a rotation may start with a piece of the body before.
    assert len(pieces) == 1
    _, period, found = pieces[0]
    assert len(body) % period == 0
    assert period * found >= len(body) * (count - 1)


def test_what_comes_twice_does_not_hide_what_comes_three_times():
    inner = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    twice = inner * 3 + list(range(10, 40))
    assert (0, 9, 3) in roll(twice * 2)
    assert roll(twice * 3) == [(0, len(twice), 3)]


def test_short_repetitions_are_left_as_they_are():
    assert roll([1] * (SHORTEST_ROLLED - 1)) == [(0, SHORTEST_ROLLED - 1, 1)]
    assert roll([1] * SHORTEST_ROLLED) == [(0, 1, SHORTEST_ROLLED)]
    assert roll(list(range(SHORTEST_ROLLED)) * 2) == [(0, 2 * SHORTEST_ROLLED, 1)]
    assert roll([]) == []
    assert roll([7]) == [(0, 1, 1)]


@pytest.mark.parametrize("kind", ["periodic", "constant", "distinct", "random"])
def test_long_sequences_are_rolled_fast(kind):
    rng = np.random.default_rng(0)
    n = 200_000
    sequence = {
        "periodic": np.tile(rng.integers(0, 30, 200), n // 200),
        "constant": np.zeros(n, int),
        "distinct": np.arange(n),
        "random": rng.integers(0, 50, n),
    }[kind].tolist()
    seconds = []
    for _ in range(2):
        begin = time.process_time()
        pieces = roll(sequence)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 2
    expected = {"periodic": [(0, 200, n // 200)], "constant": [(0, 1, n)]}.get(kind, [(0, n, 1)])
    assert pieces == expected


# --- schedules -------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    kernels_at_once(monkeypatch)


@pytest.fixture
def small(monkeypatch):
    """Limits at which ordinary programs have many groups, and short loops are rolled up."""
    monkeypatch.setattr(schedules, "SHORTEST_ROLLED", 6)
    monkeypatch.setattr(schedules, "LARGEST_GROUP", 3)


def elements(schedule, statement, column, shape=None, address=None):
    """Where in which array the elements of an access are; of some rows of a band, from an address on."""
    access = statement.target if column < 0 else statement.operands[column]
    shape = statement.form.shape if shape is None else shape
    places = np.full(shape, schedule.address(statement, column) if address is None else address)
    for n, step in zip(np.indices(shape), access.strides):
        places += n * step
    return [(schedule.arrays[access.storage], place) for place in places.ravel().tolist()]


def touched(schedule, statement, column, shape=None, address=None):
    """The same, and all of what index arrays may mean."""
    if not statement.form.is_anywhere(column):
        return elements(schedule, statement, column, shape, address)
    storage = (statement.target if column < 0 else statement.operands[column]).storage
    size = schedule.lowering.storages[storage].size
    return [(schedule.arrays[storage], schedule.offsets[storage] + place) for place in range(size)]


def assert_memory_is_nobody_elses(schedule):
    """Follow each element of memory: a reader finds what was written to its own storage, and it lives till then."""
    lowering = schedule.lowering
    owner = {}
    for storage in lowering.inputs.values():
        for place in range(lowering.storages[storage].size):
            owner[schedule.arrays[storage], schedule.offsets[storage] + place] = storage
    for segment in schedule.segments:
        for k, turn in itertools.product(range(segment.count), turns(segment)):
            addresses = turn.addresses(schedule, segment, k)
            # The statements of a group take turns, so that none may touch an element that another storage has.
            seen = {}
            for j in turn.group.members:
                statement = schedule.statements[segment.start + k * segment.period + j]
                for column in schedule.columns(segment, j):
                    access = statement.target if column < 0 else statement.operands[column]
                    for element in touched(schedule, statement, column, turn.shape, addresses[j, column]):
                        assert seen.setdefault(element, access.storage) == access.storage
                        if column < 0:
                            assert not element[0].startswith("x"), "an input is written to"
                            owner[element] = access.storage
                        else:
                            assert owner.get(element) == access.storage, "another storage is there"
    for storage in lowering.outputs:
        for place in range(lowering.storages[storage].size):
            assert owner.get((schedule.arrays[storage], schedule.offsets[storage] + place)) == storage


def assert_order_is_kept(schedule):
    """A statement is in a later group than those it reads from, unless it reads what the same loop has at its place."""
    statements = schedule.statements
    for segment in schedule.segments:
        assert sorted(itertools.chain(*[g.members for g in segment.groups])) == list(range(segment.period))
        for g, group in enumerate(segment.groups):
            assert group.members == sorted(group.members)
            for j in group.members:
                form = statements[segment.start + j].form
                assert form.shape == group.shape
                assert segment.group_of[j] == g
                assert form.name not in REDUCTIONS or form.reduced == group.reduced
        for first in range(segment.start, segment.start + segment.period * segment.count, segment.period):
            for j, i in itertools.combinations(range(segment.period), 2):
                writer, later = statements[first + j], statements[first + i]
                form, target, _ = writer
                written = set(touched(schedule, writer, -1))
                for column, access in enumerate(later.operands):
                    if access.storage != target.storage or written.isdisjoint(touched(schedule, later, column)):
                        continue
                    assert segment.group_of[j] <= segment.group_of[i]
                    if segment.group_of[j] == segment.group_of[i]:
                        assert form.name not in REDUCTIONS
                        assert access == target
                        assert not form.is_anywhere(-1)
                        assert not later.form.is_anywhere(column)


def assert_places_are_independent(schedule):
    """Every place of a group's iteration space may be done by another thread, at the same time as all others."""
    for segment in schedule.segments:
        for group in segment.groups:
            written = {}
            members = [(j, schedule.statements[segment.start + j]) for j in group.members]
            for j, statement in members:
                if -1 not in schedule.columns(segment, j):
                    continue
                if statement.form.is_anywhere(-1):
                    # It is done one place after the other, by one thread.
                    storage = statement.target.storage
                    assert [s.target.storage for _, s in members].count(storage) == 1, "two statements write anywhere"
                    continue
                reduces = statement.form.name in REDUCTIONS
                for place, element in enumerate(elements(schedule, statement, -1)):
                    known = written.setdefault(element, (j, None if reduces else place))
                    assert known[0] == j, "two statements write to an element"
                    assert reduces or known[1] == place, "a statement writes to an element twice"
            for j, statement in members:
                for column in schedule.columns(segment, j):
                    if column < 0:
                        continue
                    if statement.form.is_anywhere(column):
                        storage = statement.operands[0].storage
                        others = [s for _, s in members if s is not statement or not s.form.writes_anywhere]
                        assert storage not in {s.target.storage for s in others}, "any element is picked"
                        continue
                    for place, element in enumerate(elements(schedule, statement, column)):
                        # What a statement reads and then writes itself is all that is read and written.
                        assert written.get(element, (j, place)) == (j, place), "another thread writes what is read"


def assert_right(program, values):
    straight = Schedule(Lowering(program), rolling=False)
    assert len(straight.segments) == 1
    assert_order_is_kept(straight)
    assert_memory_is_nobody_elses(straight)
    assert_places_are_independent(straight)
    schedule = Schedule(Lowering(program))
    assert_order_is_kept(schedule)
    assert_memory_is_nobody_elses(schedule)
    expected = Interpreted(program)(*values)
    for made in (execute(schedule, values), *compiled(schedule, values)):
        for found, wanted in zip(made, expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6 if wanted.dtype == np.float32 else 1e-12, atol=1e-12)
    return schedule


instructions = st.lists(st.tuples(*[st.integers(0, 47)] * 3, st.integers(0, 3)), min_size=1, max_size=16)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("group", [1, 3, 64])
def test_random_programs(as_program, random_graph, monkeypatch, group):
    monkeypatch.setattr(schedules, "LARGEST_GROUP", group)

    @settings(deterministic, max_examples=100)
    @given(instructions)
    def check(steps):
        leaves, outputs = random_graph(steps, at_arrays=True)
        assert_right(as_program(leaves, outputs), [x.value for x in leaves])

    check()


def recurrent(steps, size=3):
    """The loss of a small recurrent network, and its gradient."""
    rng = np.random.default_rng(0)
    w, u, x = (ad.Tensor(rng.normal(size=shape)) for shape in [(size, size), (size, 2), (steps, 2)])
    h, loss = np.zeros(size), 0.0
    for i in range(steps):
        h = np.tanh(w @ h + u @ x[i])
        loss = loss + np.sum(h * h)
    return [w, u, x], [loss, *ad.Graph().gradient(loss, [w, u, x], as_tensors=True)]


@pytest.mark.parametrize("steps", [3, 4, 7, 12])
def test_a_recurrent_network_forward_and_back(as_program, steps):
    leaves, outputs = recurrent(steps)
    for kept in (outputs, outputs[1:], outputs[:1]):
        assert_right(as_program(leaves, kept), [x.value for x in leaves])


def test_loops_are_rolled_up_however_long(as_program):
    schedules = []
    for steps in (12, 40):
        leaves, outputs = recurrent(steps)
        schedules.append(assert_right(as_program(leaves, outputs), [x.value for x in leaves]))
    short, long = schedules
    # The losses are one product at the end of each way; what is summed there differs, code for steps does not.
    assert sum(s.period for s in short.segments) == sum(s.period for s in long.segments)
    assert len(long.lowering.statements) > 3 * len(short.lowering.statements)
    assert [s.count for s in long.segments if s.count > 1] == [s.count + 28 for s in short.segments if s.count > 1]


@pytest.mark.usefixtures("small")
def test_a_loop_that_reads_inputs_and_values_in_any_order(as_program):
    """One place of a rolled body means inputs, constants and values of other loops, in no regular order."""
    x, y = ad.Tensor(np.linspace(0.1, 1, 8).reshape(4, 2)), ad.Tensor([0.3, -0.4])
    order = [3, 0, 2, 2, 1, 3]
    first = [x[i] * y for i in order]
    total = y
    for part in [*first[::-1], y, x[0], np.array([1.0, 2.0]), first[2]]:
        total = np.tanh(total * part + 0.1)
    schedule = assert_right(as_program([x, y], [total, first[0], first[3]]), [x.value, y.value])
    assert max(segment.count for segment in schedule.segments) >= 10


def test_memory_is_used_again(as_program):
    x = ad.Tensor(np.linspace(0.1, 1, 12).reshape(3, 4))
    value = x
    for i in range(30):
        value = np.sum(np.tanh(value @ value.T * (0.1 + i))[:, :, None] * value, axis=0)
    schedule = assert_right(as_program([x], [value]), [x.value])
    sizes = sum(storage.size for storage in schedule.lowering.storages)
    assert schedule.workspaces[np.dtype(float)] < sizes / 8


def test_intermediate_values_of_one_loop_stay_in_registers(as_program):
    x, y = ad.Tensor(np.ones((2, 3))), ad.Tensor(np.ones((2, 3)))
    schedule = assert_right(as_program([x, y], [np.sum(np.tanh(x * y + 1.5) - np.sin(x))]), [x.value, y.value])
    assert schedule.workspaces == {np.dtype(float): 0}
    assert len(schedule.segments[0].groups) == 1


def test_numbers_given_in_calls(as_program, variable):
    for count in (3, 16, 17, 40):
        numbers = [variable(0.5 + i) for i in range(count)]
        x = variable(np.array([1.0, 2.0]))
        total = x
        for number in numbers:
            total = PRIMITIVES["multiply"](total, PRIMITIVES["add"](x, number))
        schedule = assert_right(as_program([x, *numbers], [total]), [x.value, *[n.value for n in numbers]])
        assert len(schedule.scalars[np.dtype(float)]) == count


writes = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(0, 3), st.booleans()), max_size=6)


@deterministic
@given(writes, writes)
def test_writes_into_one_array_keep_their_order(as_program, before, after):
    """Overlapping or not, from values that are there early or late, with reads of any part between them."""
    x = ad.Tensor(np.linspace(0.1, 0.8, 8))
    results = []
    y = x * 1.5
    for k, (start, length, kind, adds) in enumerate([*before, *after]):
        if k == len(before):
            results.append(y[1:6] * y[2:7])
        early = x[:length] * (2.5 + k)
        late = np.tanh(early * np.sum(x * (3.5 + k)))
        value = [early, late, early * 0.3 + late, late[::-1]][kind]
        y[start : start + length] = value + y[start : start + length] if adds else value
    results += [y[:3] * 2.0, y[5:] + y[:3], np.sum(y)]
    assert_right(as_program([x], results), [x.value])


def test_parts_that_overlap_keep_their_order(as_program):
    """A write that the one before does not touch, but the one before that."""
    x = ad.Tensor(np.linspace(0.1, 2.0, 5))
    y = ad.Tensor(np.zeros(20))
    y[0:5], y[10:15], y[1:6] = np.sin(x), np.cos(x), np.tanh(x)
    assert_right(as_program([x], [y * 1.5]), [x.value])


def test_columns_of_one_array_are_one_loop(as_program):
    """Their elements lie between each other, and are different ones."""
    x = ad.Tensor(np.arange(12.0).reshape(4, 3))
    y = np.sin(x)
    for i in range(3):
        y[:, i] = x[:, i] * float(i + 2)
    schedule = assert_right(as_program([x], [y * 1.5]), [x.value])
    (groups,) = [segment.groups for segment in schedule.segments]
    assert [group.shape for group in groups] == [(4, 3), (4,), (4, 3)]


@pytest.mark.parametrize("own", [0, 1, 2])
def test_a_body_that_reads_its_own_value_in_some_iterations_only(as_program, own):
    x, rates = ad.Tensor([0.3, -0.4]), ad.Tensor(np.linspace(0.1, 2.0, 9))
    total, previous, results = x, x * 0.5, []
    for k in range(9):
        value = np.sin(x * rates[k])
        total = np.tanh(total * (value if k % 3 == own else previous))
        previous = value
        results += [value, total]
    schedule = assert_right(as_program([x, rates], results), [x.value, rates.value])
    assert max(segment.count for segment in schedule.segments) >= 8
