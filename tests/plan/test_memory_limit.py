"""What is stored and what is computed again under a limit: held to the best there is, and to what is measured."""

import heapq
import math
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan import build, collect, compile_nodes, memory_of, prune
from autodiff.plan.costs import nanoseconds, nbytes
from autodiff.plan.expand import expand
from autodiff.plan.liveness import Values
from autodiff.plan.memory import TooLittle, held, rewritten
from autodiff.plan.ranges import with_ranges
from autodiff_backends.numpy.reference import Interpreted

from ..fuzz.derivatives import TOTAL, variables, weighted
from ..fuzz.generate import generate
from ..fuzz.program import evaluate, run
from ..fuzz.taylor import Unsuitable
from ..fuzz.ways import first, quiet, tensors


def program_of(function, *arrays):
    """The program of a function and its gradients, and the values that it takes."""
    tensors = [ad.Tensor(a) for a in arrays]
    y = function(*tensors)
    gradients = ad.Graph().gradient(y, tensors, as_tensors=True)
    inputs = [t.node for t in tensors]
    return prune(build(inputs, [y.node, *[g.node for g in gradients]])), [t.value for t in tensors]


# --- beside the best ---------------------------------------------------------------------------------------------


def best(program, limit):
    """The least time for what is computed again, by trying all: of a state the values that are there, and those met."""
    applications = program.applications()
    made = {number: (signature, arguments) for number, signature, arguments in applications}
    order = [number for number, _, _ in applications]
    size = {n: nbytes(signature.out) for n, (signature, _) in made.items()}
    needs = {n: {a for a in arguments if a in made} for n, (_, arguments) in made.items()}
    outputs = {n for n in program.outputs if n in made}
    last = max([size[n] for n in outputs], default=0)
    queue = [(0.0, 0, 0, frozenset())]
    seen = set()
    for count in range(10**7):
        if not queue:
            return math.inf
        cost, _, done, there = heapq.heappop(queue)
        if (done, there) in seen:
            continue
        seen.add((done, there))
        total = sum([size[n] for n in there])
        if done == len(order) and outputs <= there and total + last <= limit:
            return cost
        for n in there:
            heapq.heappush(queue, (cost, count, done, there - {n}))
        for n in order[: done + 1]:
            if n not in there and needs[n] <= there and total + size[n] <= limit:
                again = n in order[:done]
                step = cost + nanoseconds(made[n][0]) * again
                heapq.heappush(queue, (step, count, done + (not again), there | {n}))
    raise AssertionError


def random_program(seed):
    """Vectors that are made of one or two of those before, and are needed again in another order, for one number."""
    rng = np.random.default_rng(seed)
    inputs = [ad.Tensor(rng.normal(size=n)) for n in (1000, 2000)]
    values = list(inputs)
    for _ in range(5):
        first, second = values[rng.integers(len(values))], values[rng.integers(len(values))]
        kind = rng.integers(4)
        if kind == 0:
            values.append(np.concatenate([first, second]))
        elif kind == 1 and first.shape == second.shape:
            values.append(first * second)
        else:
            values.append(np.exp(values[-1]) if kind == 2 else values[-1] * 2.0)
    total = np.sum(values[-1])
    for i in rng.permutation(5)[:4]:
        total = total * np.max(values[2 + i])
    return prune(build([t.node for t in inputs], [total.node]))


def test_nearly_as_good_as_trying_all_on_small_programs():
    ratios = []
    for seed in range(8):
        program = random_program(seed)
        values = Values(program)
        full = held(values)
        for part in (0.75, 0.5):
            limit = int(full.peak * part)
            wanted = best(program, limit)
            try:
                found = held(values, limit)
            except TooLittle:
                assert wanted == math.inf
                continue
            assert found.peak <= limit
            assert found.cost >= wanted - 1e-6
            total = sum(values.cost.values())
            ratios.append((total + found.cost) / (total + wanted))
    # (Of 240 the worst was 1.23, and the mean 1.005.)
    assert len(ratios) > 8
    assert max(ratios) < 1.25
    assert np.mean(ratios) < 1.05


def network(weights, x):
    h = x
    for w in weights:
        h = np.tanh(h @ w)
    return np.sum(h**2)


RNG = np.random.default_rng(0)
WEIGHTS = list(RNG.normal(size=(24, 20, 20)) / 5)
DATA = RNG.normal(size=(1000, 20))


@pytest.mark.parametrize("layers", [32, 96])
def test_what_is_computed_again_of_a_chain(layers):
    weights = [WEIGHTS[i % 24] for i in range(layers)]
    program, _ = program_of(lambda *weights: network(weights, DATA), *weights)
    values = Values(program)
    full = held(values)
    total = sum(values.cost.values())
    # A forward pass takes a third. The square root of the memory costs less than one.
    assert held(values, full.peak // 2).cost < 0.25 * total
    assert held(values, full.peak // 4).cost < 0.5 * total


# --- beside what is measured -----------------------------------------------------------------------------------------


def slices(x, w):
    parts = []
    for i in range(6):
        x = np.sin(x) * np.concatenate([x[1:], x[:1]]) + w[i]
        parts.append(x[::2])
    return np.sum(np.stack(parts) ** 2)


def recurrent(x, w):
    h = c = x[:, 0] * 0.5
    for i in range(8):
        z = h @ w + x[:, i]
        gate, inner = 1 / (1 + np.exp(-z)), np.tanh(z)
        c = c * gate + inner
        h = np.where(c > 0, np.tanh(c) * gate, 0.1 * c)
    return np.sum(h * c)


def factors(x, w):
    a = x
    for _ in range(3):
        a = np.linalg.solve(a @ a.T + 5 * np.eye(len(w)), a) + np.reshape(a.T, a.shape)
    return np.sum(a[:, : len(w) // 2] * w[0])


PROGRAMS = {
    "slices": (slices, (60_000,), (6,)),
    "recurrent": (recurrent, (800, 8, 30), (30, 30)),
    "factors": (factors, (100, 100), (100,)),
}


def peak(call, *values):
    """Bytes that a call holds at most above what was there before, buffers included, and its results."""
    call(*values)
    ad.set_buffer_limit(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        results = call(*values)
        return tracemalloc.get_traced_memory()[1] - before, results
    finally:
        tracemalloc.stop()
        ad.set_buffer_limit(None)


# How far a call may go beyond what is planned: blocks of ufuncs and Python's own objects.
BESIDE = 1 << 17


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_more_is_held_than_is_planned_and_the_results_are_the_same(name):
    function, *shapes = PROGRAMS[name]
    tensors = [ad.Tensor(RNG.uniform(0.5, 1.5, shape)) for shape in shapes]
    y = function(*tensors)
    inputs = [t.node for t in tensors]
    outputs = [y.node, *[t.node for t in ad.Graph().gradient(y, tensors, as_tensors=True)]]
    values = [node.value for node in inputs]
    backend = ad.get_backend("numpy")
    plan = compile_nodes(inputs, outputs, backend, True)
    planned = memory_of(plan).peak_bytes
    found, wanted = peak(plan, *values)
    assert 0.5 * planned < found <= planned + BESIDE
    for part in (0.75, 0.55):
        limit = int(planned * part)
        plan = compile_nodes(inputs, outputs, backend, True, memory_limit=limit)
        found, results = peak(plan, *values)
        memory = memory_of(plan)
        assert memory.peak_bytes <= limit
        assert found <= memory.peak_bytes + BESIDE
        for a, b in zip(results, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_operations_give_the_same_bits(name):
    function, *shapes = PROGRAMS[name]
    program, arrays = program_of(function, *[RNG.uniform(0.5, 1.5, shape) for shape in shapes])
    wanted = Interpreted(program)(*arrays)
    values = Values(program)
    full = held(values)
    for part in (0.8, 0.6):
        found = held(values, full.peak * part)
        again = rewritten(program, found.steps)
        assert len(again.applications()) >= len(program.applications()) + len(found.again) > len(values.applications)
        # What it plans is what it is: the same passes find no equal values in it.
        assert held(Values(prune(again))).peak <= found.peak
        for a, b in zip(Interpreted(again)(*arrays), wanted, strict=True):
            assert a.tobytes() == b.tobytes()


# --- random programs -------------------------------------------------------------------------------------------------

SEEDS = range(60)


def test_random_programs_under_random_limits():
    again = 0
    for seed in SEEDS:
        with quiet():
            program = generate(seed, True)
            numbers = first(program)
            try:
                whole = weighted(program, evaluate(program, program.inputs, numbers))
            except Unsuitable:
                continue
            graph = ad.Graph()
            given = tensors(whole, whole.inputs, graph)
            wrt = [given[name] for name in variables(whole)]

            def value(whole=whole, numbers=numbers, **arrays):
                return run(whole, {name: t[...] for name, t in arrays.items()}, numbers)[TOTAL]

            total = value(**given)
            outputs = [total.node, *[t.node for t in graph.gradient(total, wrt, as_tensors=True)]]
            collected = collect(outputs)
            built, _ = with_ranges(prune(expand(prune(build(collected.leaves, outputs)), ())))
            wanted = Interpreted(built)(*collected.values())
            values = Values(built)
            full = held(values)
            for part in np.random.default_rng(seed).uniform(0.3, 1.0, 2):
                with suppress(TooLittle):
                    found = held(values, full.peak * part)
                    again += len(found.again)
                    other = rewritten(built, found.steps)
                    assert held(Values(prune(other))).peak <= found.peak, seed
                    for a, b in zip(Interpreted(other)(*collected.values()), wanted, strict=True):
                        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), seed
            found = graph.gradient(ad.checkpoint(value)(**given), wrt)
            for a, b in zip(found, graph.gradient(value(**given), wrt), strict=True):
                unit = float(np.finfo(a.dtype).eps)
                np.testing.assert_allclose(a, b, rtol=1e4 * unit, atol=1e4 * unit, err_msg=str(seed))
    assert again > 50
