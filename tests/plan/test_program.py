"""Programs: what they hold, sharing, pruning, and the invariants of every pass."""

import pickle

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.core.avals import FLOAT64, intern_aval
from autodiff.nodes import Operation, Slot, Variable
from autodiff.plan import Program, build, collect, prune
from autodiff.plan.expand import expand
from autodiff.plan.simplify import simplify, simplify_graph
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated

VECTOR = intern_aval((3,), FLOAT64)


def variable(aval=VECTOR, value=None):
    return Variable(aval, value, Slot(value))


def execute(plan_class, program, inputs):
    program.quiet = True
    with np.errstate(all="ignore"):
        return plan_class(program)(*[node.value for node in inputs])


# --- every pass keeps the invariants and the values ------------------------------------------------------------------


@pytest.mark.parametrize("rewrite", [None, simplify_graph, simplify], ids=["plain", "simplify_graph", "simplify"])
def test_built_and_pruned_programs_verify(graph, rewrite, verify):
    inputs, outputs = graph
    program = verify(build(inputs, outputs, rewrite))
    pruned = verify(prune(program))
    assert [pruned.avals[n] for n in pruned.outputs] == [program.avals[n] for n in program.outputs]
    assert len(pruned.avals) - pruned.n_inputs <= len(program.live())
    assert str(pruned).splitlines()[-1].startswith("outputs v")


def test_simplified_values_equal_plain_ones(graph):
    inputs, outputs = graph
    expected = execute(Interpreted, build(inputs, outputs), inputs)
    for rewrite in (simplify_graph, simplify):
        program = expand(prune(build(inputs, outputs, rewrite)), ad.get_backend().primitives)
        for plan_class in (Interpreted, Generated):
            results = execute(plan_class, program, inputs)
            for result, wanted, node in zip(results, expected, outputs):
                assert np.shape(result) == node.shape
                assert np.asarray(result).dtype == node.dtype
                tolerance = 1e-4 if node.dtype.itemsize < 8 else 1e-9
                np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance)


def test_simplification_is_stable(graph):
    """Simplifying what is simple changes nothing any more."""
    inputs, outputs = graph
    once = prune(build(inputs, outputs, simplify))
    again = Program(once.avals[: once.n_inputs], simplify)
    numbers = {i: i for i in range(once.n_inputs)}
    for number in once.live():
        signature = once.signatures[number]
        if number in once.constants:
            numbers[number] = again.constant(once.avals[number], once.constants[number])
        elif signature is not None:
            arguments = tuple(numbers[a] for a in once.arguments[number])
            numbers[number] = again.call(signature.primitive, *arguments, params=signature.params)
    again.outputs = tuple(numbers[n] for n in once.outputs)
    assert len(again.applications()) <= len(once.applications())


# --- pieces ----------------------------------------------------------------------------------------------------------


def test_equal_applications_are_one_value(verify):
    x, y = variable(), variable()
    one = ops.sin(x * y) + ops.sin(x * y)
    other = ops.sin(y * x)
    program = verify(build([x, y], [one, other]))
    assert len(program.applications()) == 3
    names = [made.primitive.name for _, made, _ in program.applications()]
    assert names == ["multiply", "sin", "add"]
    assert program.outputs[1] == program.arguments[program.outputs[0]][0]


def test_operands_of_commutative_primitives_alone_change_places():
    x, y = variable(), variable()
    program = build([x, y], [x + y, y + x, x - y, y - x])
    first, second, third, fourth = program.outputs
    assert first == second
    assert third != fourth


def test_numbers_are_one_value_each_and_kept_apart_by_type():
    x = variable()
    program = build([x], [x * 2, x + 2, x * 2.0, x * -0.0, x * 0.0])
    assert sorted(repr(value) for value in program.constants.values()) == ["-0.0", "0.0", "2", "2.0"]


def test_program_text(verify):
    x = variable()
    program = verify(build([x], [ops.sum(ops.sin(x) * 2, (0,))]))
    assert str(program).splitlines() == [
        "inputs v0: float64[3]",
        "v2 = sin(v0) : float64[3]",
        "v3 = multiply(2, v2) : float64[3]",
        "v4 = sum(v3, axes=(0,)) : float64[]",
        "outputs v4",
    ]


def test_prune_drops_what_no_output_needs(verify):
    x, y = variable(), variable()
    program = build([x, y], [x * 2])
    program.call(ops.exp, 1)
    program.call(ops.exp, 0)
    pruned = verify(prune(program))
    assert pruned.n_inputs == 2
    assert len(pruned.avals) == 4
    assert [made.primitive.name for _, made, _ in pruned.applications()] == ["multiply"]


def test_prune_keeps_what_is_said_of_the_program():
    x = variable()
    program = build([x], [x * 2])
    program.quiet = True
    assert prune(program).quiet


def test_outputs_may_be_inputs_constants_and_repeated(verify):
    x = variable()
    seven = ad.Tensor([7.0], constant=True).node
    program = verify(prune(build([x], [x, x, seven, x * 1], simplify)))
    assert program.outputs[0] == program.outputs[1] == program.outputs[3] == 0
    assert program.applications() == []
    results = Generated(program)(np.arange(3.0))
    np.testing.assert_array_equal(results[2], [7.0])
    assert not np.shares_memory(results[0], results[1])


def test_build_stops_at_its_inputs(verify):
    x = variable()
    middle = ops.exp(x)
    program = verify(build([middle], [middle * 2]))
    assert [made.primitive.name for _, made, _ in program.applications()] == ["multiply"]


def test_one_node_given_as_two_inputs(verify):
    x = variable()
    program = verify(build([x, x], [x * 2]))
    assert program.n_inputs == 2
    np.testing.assert_array_equal(Interpreted(program)(np.ones(3), np.zeros(3))[0], np.full(3, 2.0))


def test_number_given_as_input_stays_a_number(verify):
    x = variable()
    two = (x * 2).inputs[1]
    program = verify(build([x, two], [x * two]))
    assert program.n_inputs == 2
    np.testing.assert_array_equal(Interpreted(program)(np.ones(3), 2)[0], np.full(3, 2.0))


def test_long_programs_are_built_without_recursion(verify):
    x = variable()
    node = x
    for _ in range(5_000):
        node = ops.sin(node)
    program = verify(prune(build([x], [node], simplify)))
    assert len(program.applications()) == 5_000


def test_verifier_notices(verify):
    """A verifier that passes everything would be no test of anything."""
    x = variable()

    def broken(change):
        program = build([x], [ops.sin(x * 2)])
        change(program)
        with pytest.raises(AssertionError):
            verify(program)

    broken(lambda p: p.arguments.__setitem__(2, (3, 1)))
    broken(lambda p: p.avals.__setitem__(3, intern_aval((4,), FLOAT64)))
    broken(lambda p: p.heads.__setitem__(3, ops.cos))
    broken(lambda p: p.heads.pop())
    broken(lambda p: p.constants.clear())
    broken(lambda p: setattr(p, "outputs", (99,)))
    verify(build([x], [ops.sin(x * 2)]))


def test_nodes_of_programs_are_not_changed():
    x = variable()
    node = ops.sin(x) * 2
    before = (node.signature, node.inputs, node.value)
    build([x], [node], simplify)
    assert (node.signature, node.inputs, node.value) == before
    assert isinstance(node, Operation)


# --- whose value it is -----------------------------------------------------------------------------------------------


def _slope(function, values):
    x = ad.Tensor(values)
    (slope,) = ad.Graph().gradient(np.sum(function(x)), [x], as_tensors=True)
    return x, slope


def test_derivatives_are_known_as_such_and_stay_so():
    x, slope = _slope(np.sin, [0.5, 1.0])
    assert slope.node.signature.is_derived
    assert not np.cos(x).node.signature.is_derived
    assert not (slope * 2).node.signature.is_derived
    assert pickle.loads(pickle.dumps(slope.node)).signature.is_derived
    signature = slope.node.signature
    assert signature.derived is signature
    assert signature.written.derived is signature
    assert signature.written.written is signature.written


def test_a_recorded_derivative_has_another_key_than_what_a_user_wrote():
    x, slope = _slope(np.sin, [0.5, 1.0])
    assert slope.node.primitive is ops.cos
    assert collect([slope.node]).key != collect([np.cos(x).node]).key


def test_what_a_user_wrote_does_not_get_the_value_of_a_rewritten_derivative():
    """One product, twice: numbers of a derivative meet, and what a user wrote stays as it is."""
    x = ad.Tensor([1.0, 2.0])
    inner = ops.multiply(0.1, x.node)
    written = ops.multiply(0.3, inner)
    derived = ops.multiply(0.3, inner)
    derived.signature = derived.signature.derived
    for outputs in ([derived, written], [written, derived]):
        program = build([x.node], outputs, simplify)
        values = Interpreted(program)(x.value)
        first = values[outputs.index(written)]
        np.testing.assert_array_equal(first, 0.3 * (0.1 * x.value))
    alone = build([x.node], [derived], simplify)
    assert len(alone.applications()) == 1
    shared = build([x.node], [written, derived], simplify)
    assert shared.outputs[0] == shared.outputs[1], "a derivative takes what is there"


def test_programs_that_are_copied_know_whose_values_they_have():
    x, slope = _slope(lambda x: np.sin(x) * x, [0.5, 1.0])
    for program in (build([x.node], [slope.node]), prune(build([x.node], [slope.node], simplify))):
        copied = prune(program)
        assert [made.is_derived for _, made, _ in copied.applications()] == [
            made.is_derived for _, made, _ in program.applications()
        ]
        assert any(made.is_derived for _, made, _ in copied.applications())
