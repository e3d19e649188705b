"""Kernels as wholes, executed by an emulated device: reductions, vectors, gathers, writes, random programs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff import ops
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.plan import Program
from autodiff_backends.cuda import launches
from autodiff_backends.cuda.kernels import KernelRegion, supported
from autodiff_backends.cuda.launches import tiling
from autodiff_backends.numpy.reference import Interpreted

# Numbers with which small arrays are what large ones are otherwise: many blocks, splits, vectors and rests of them;
# loops that one block does in turn, in several steps each; and places that are 64-bit numbers.
NUMBERS: dict[str, dict[str, int]] = {
    "as they are": {},
    "many blocks": {"THREADS": 16, "WARP": 4, "SMALL": 0, "VECTORS_FROM": 1, "BLOCKS": 7, "LEAST": 2},
    "one block": {"THREADS": 16, "WARP": 4, "SMALL": 1 << 20, "MOST_LOOPS": 3},
    "64 bits": {"THREADS": 32, "SMALL": 16, "VECTORS_FROM": 64, "BLOCKS": 3, "LEAST": 1, "LARGEST_INT": 8},
}


@pytest.fixture(params=NUMBERS)
def numbers(request, monkeypatch):
    for name, value in NUMBERS[request.param].items():
        monkeypatch.setattr(launches, name, value)
    return request.param


@pytest.fixture
def many_blocks(monkeypatch):
    for name, value in NUMBERS["many blocks"].items():
        monkeypatch.setattr(launches, name, value)


@pytest.fixture
def check(as_program, run_kernels):
    """Compare the outputs of a program with the interpreter's, and give the region back."""

    def run(inputs: list[Any], *outputs: Any, tolerance: float = 1e-12) -> KernelRegion:
        program = outputs[0] if isinstance(outputs[0], Program) else as_program(inputs, outputs)
        values = inputs if isinstance(outputs[0], Program) else [x.value for x in inputs]
        assert all(supported(program, made) for made in program.applications())
        with np.errstate(all="ignore"):
            expected = Interpreted(program)(*values)
        region, found = run_kernels(program, values)
        for one, wanted in zip(found, expected, strict=True):
            assert (one.shape, one.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
            single = wanted.dtype in (np.float32, np.complex64) if isinstance(wanted, np.ndarray) else False
            half = one.dtype == np.float16
            limit = 1e-2 if half else 2e-5 if single else tolerance
            np.testing.assert_allclose(one.astype("c16"), np.asarray(wanted).astype("c16"), limit, limit)
        return region

    return run


# --- reductions ------------------------------------------------------------------------------------------------------

REDUCTIONS = ["sum", "prod", "max", "min", "all", "any", "inner_product"]
SHAPES = [(7, 5, 3), (37,), (1, 17), (0, 4), (4, 0), (131, 9), (2, 96), ()]


def reductions_of(array: Any, program: Program, number: int) -> list[int]:
    """Every reduction of a value over every set of axes."""
    found = []
    axes = range(array.ndim)
    for taken in itertools.chain(*[itertools.combinations(axes, n) for n in range(array.ndim + 1)]):
        for name in REDUCTIONS:
            if name in ("max", "min") and any(array.shape[a] == 0 for a in taken):
                continue  # refused where it is recorded
            if array.dtype == bool and name not in ("all", "any"):
                continue  # added as integers, which is recorded
            operands = (number, number) if name == "inner_product" else (number,)
            found.append(program.call(PRIMITIVES[name], *operands, params=(taken,)))
    return found


@pytest.fixture
def reduce_all(check):
    """Compare all reductions of arrays of a dtype."""

    def run(code: str) -> None:
        rng = np.random.default_rng(0)
        arrays = [(rng.normal(size=shape) * 1.2 + 0.1).astype(code) for shape in SHAPES]
        program = Program([intern_aval(a.shape, a.dtype) for a in arrays])
        program.outputs = tuple(itertools.chain(*[reductions_of(a, program, i) for i, a in enumerate(arrays)]))
        check(arrays, program)

    return run


def test_reductions_over_any_axes(reduce_all, numbers):
    reduce_all("f8")


@pytest.mark.usefixtures("many_blocks")
@pytest.mark.parametrize("code", ["f4", "f2", "i8", "u8", "?", "c8", "c16"])
def test_reductions_of_any_dtype(reduce_all, code):
    reduce_all(code)


def test_what_reductions_read(check, numbers):
    """Operands in any order, backwards, with gaps, repeated; computed in the same loop; several results of one loop."""
    rng = np.random.default_rng(1)
    x, y = ad.Tensor(rng.normal(size=(12, 34))), ad.Tensor(rng.normal(size=(34,)))
    z = ad.Tensor(rng.normal(size=(12, 34)).astype(np.float32))
    outputs = []
    for view in (
        x.T,
        x[::-1, ::2],
        x[:, 3],
        np.broadcast_to(y, (5, 34)),
        np.tanh(x * y) + z,
        z * 2 > x,
        x[None] * z.T[..., None],
    ):
        for axis in (0, -1, None):
            number = view + 0.5 if view.dtype == bool else view
            outputs += [np.sum(number, axis=axis), np.max(view, axis=axis), np.min(number, axis=axis)]
    outputs += [np.tanh(x * y), np.mean(np.tanh(x * y), axis=1), np.std(z), np.all(x > -9, axis=0)]
    check([x, y, z], *outputs)


def test_undefined_numbers_are_seen_and_extremes_ignore_nothing(check, numbers):
    x = np.zeros((40, 6))
    x[3, 2], x[39, 4], x[:, 5] = np.nan, -np.inf, np.inf
    program = Program([intern_aval(x.shape, x.dtype)])
    program.outputs = tuple(reductions_of(x, program, 0))
    check([x], program)


@pytest.mark.parametrize("shape", [((1 << 17) + 3,), (90, 1001), (3, 40_000), (20_000, 3)])
def test_large_reductions(check, shape):
    """With the numbers as they are: several blocks for a result, vectors and what is left of them."""
    rng = np.random.default_rng(0)
    x = ad.Tensor(rng.normal(size=shape).astype(np.float32))
    y = ad.Tensor(rng.integers(-9, 9, shape).astype(np.int64), constant=True)
    outputs = [np.sum(np.sin(x), axis=axis) for axis in (None, 0, -1)] + [np.max(x), np.sum(y), np.sum(x * x)]
    region = check([x, y], *outputs)
    assert region.counters
    assert max(launch.grid[1] for launch in region.launches) > 1
    # Totals in single precision are as good as NumPy's, which adds in pairs.
    assert len(region.launches) <= len(outputs) + 1


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4, 5)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((40, 2), (2, 1)),
        ((2, 0), (0, 3)),
        ((9, 1), (1, 9)),
        ((30, 33), (33, 31)),
    ],
)
def test_small_products_of_matrices(check, numbers, shapes):
    rng = np.random.default_rng(0)
    x, y = (ad.Tensor(rng.normal(size=shape)) for shape in shapes)
    integers = ad.Tensor(rng.integers(-9, 9, shapes[0]), constant=True)
    outputs = [x @ y, np.tanh(x @ y) + 1.5, np.swapaxes(y, -1, -2)[..., ::-1] @ np.swapaxes(x, -1, -2)[..., ::-1, :]]
    check([x, y, integers], *outputs, integers @ integers.mT, x.astype(np.float32) @ y, (x * 1j) @ y, (x > 0) @ (y > 0))


def test_halves_are_added_in_single_precision(check, numbers):
    x = ad.Tensor(np.full(5000, 1.0, np.float16), constant=True)
    # Added one to another as halves, they would stop at 2048.
    check([x], np.sum(x), np.sum(x[::2] * x[::2]))


# --- elementwise -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (31,), (64,), (8, 12), (5, 7), (3, 4, 16), (1000,)])
def test_vectors_and_what_is_left_of_them(check, numbers, shape):
    """Of different widths in one loop, at places that are multiples of a vector or not, along rows or not."""
    rng = np.random.default_rng(0)
    x = ad.Tensor(rng.normal(size=shape))
    y = ad.Tensor(rng.normal(size=shape[-1:]).astype(np.float32))
    h = ad.Tensor(rng.normal(size=shape).astype(np.float16))
    z = ad.Tensor((rng.normal(size=shape) * 1j).astype(np.complex64))
    outputs = [x * y, np.exp(y), h * h, h + y, z * z, x > y, np.where(x > 0, x, y), x.T * 2.0, x[..., ::-1] + x, z * x]
    outputs += [
        x[..., 1:] * x[..., :-1],
        np.tanh(x[1:]),
        np.concatenate([x, x * y]),
        np.stack([y, y], -1) * 3,
        x.T + x.T,
    ]
    check([x, y, h, z], *outputs)


def test_numbers_given_in_calls(check, variable, as_program, numbers):
    x = variable(np.arange(40.0).astype(np.float32))
    a, b = variable(0.1), variable(3)
    nodes = [ops.multiply(x, a), ops.add(ops.power(x, b), a), ops.multiply(a, b), a, ops.sum(ops.add(x, b), (0,))]
    program = as_program([x, a, b], nodes)
    region = check([x.value, 0.1, 3], program)
    assert len(region.scalars) == 2
    assert {kind for launch in region.launches for kind, _ in launch.arguments} >= {"s", "x", "o"}


@pytest.mark.parametrize(
    "part",
    [
        ([0, -1, 2],),
        (slice(None), [[2, -3], [1, 1]]),
        ([[1], [-2]], [0, 2, -1]),
        (slice(None, None, -1), None, [2, 0]),
        (1, [2, 0]),
        ([1, -1], 2),
    ],
    ids=str,
)
def test_gathers(check, numbers, part):
    x = ad.Tensor(np.random.default_rng(0).normal(size=(30, 4)))
    # The last of these is read by threads other than the one that wrote it.
    check([x], x[part], np.tanh(x[part]) * 2.0, np.sum(x[part]), (x * 2.0)[part] + 1.0)


def test_gathers_by_computed_places(check, numbers):
    x = ad.Tensor(np.random.default_rng(0).normal(size=(6, 40)))
    rows = ad.Tensor(np.array([0, -1, 5, 2] * 10, np.int32), constant=True)
    columns = ad.Tensor(np.arange(40, dtype=np.uint8), constant=True)
    picked = ops.index(x.node, ops.static_index(("a", "a"), (None, None)), (rows + 0).node, columns.node)
    check([x, rows, columns], picked, ops.sum(picked, (0,)))


def test_an_index_array_picks_from_a_number(variable, as_program, check):
    a, places = variable(1.5), variable(np.array([0, 2, 0, -1]))
    picked = ops.index(ops.broadcast_to(a, (3,)), ops.static_index(("a",), (None,)), places)
    region = check([1.5, places.value], as_program([a, places], [picked * 2.0]))
    assert len(region.scalars) == 1


def test_an_index_out_of_range_reads_no_other_memory(run_kernels):
    """Where only a plan meets the numbers, nobody has checked them."""
    x, places = np.arange(5.0), np.array([4, 5, 1000, -5, -6, -(1 << 40)])
    program = Program([intern_aval(x.shape, x.dtype), intern_aval(places.shape, places.dtype)])
    idx = ops.static_index(("a",), (None,))
    program.outputs = (program.call(PRIMITIVES["index"], 0, program.constant(idx.aval, idx.value), 1),)
    _, (found,) = run_kernels(program, [x, places])
    np.testing.assert_array_equal(found, [4, 4, 4, 0, 0, 0])


@pytest.mark.parametrize("seed", range(2))
def test_writes_into_one_array_keep_their_order(check, numbers, seed):
    """Overlapping or not, from values that are there early or late, with reads of any part between them."""
    rng = np.random.default_rng(seed)
    x = ad.Tensor(np.linspace(0.1, 0.8, 24).reshape(8, 3))
    results = []
    y = x * 1.5
    for k in range(8):
        if k == 4:
            results.append(y[1:6] * y[2:7])
        start, length, kind = rng.integers(0, 5), rng.integers(1, 4), rng.integers(0, 4)
        early = x[:length] * (2.5 + k)
        late = np.tanh(early * np.sum(x * (3.5 + k)))
        value = [early, late, early * 0.3 + late, late[::-1]][kind]
        y[start : start + length] = value + y[start : start + length] if rng.integers(2) else value
        y[:, k % 3] += x[:, 0]
    check([x], *results, y[:3] * 2.0, y[5:] + y[:3], np.sum(y))


@pytest.mark.parametrize("seed", range(2))
def test_random_programs(as_program, check, random_graph, numbers, seed):
    rng = np.random.default_rng(seed)
    inputs, outputs = [], []
    for _ in range(12):
        count = int(rng.integers(1, 17))
        leaves, values = random_graph(
            [tuple(map(int, row)) for row in rng.integers(0, 48, (count, 4)) % [48, 48, 48, 4]]
        )
        inputs += leaves
        outputs += values
    check(inputs, *outputs, tolerance=1e-9)


# --- kernels and launches --------------------------------------------------------------------------------------------


def test_a_training_step_of_a_small_network_is_one_launch(check):
    """The loss and four gradients of the XOR network, 160 units."""
    rng = np.random.default_rng(0)
    parameters = [ad.Tensor(rng.random(shape)) for shape in ((160, 2), (160, 1), (1, 160), (1, 1))]
    x, y = ad.Tensor([[0.0], [1.0]]), ad.Tensor([[1.0]])
    first, bias, second, last = parameters
    error = (y - (second @ np.tanh(first @ x + bias) + last)) ** 2
    gradients = ad.Graph().gradient(error, parameters, as_tensors=True)
    region = check([*parameters, x, y], error, *gradients)
    assert len(region.launches) == 1
    assert region.launches[0].grid == (1, 1, 1)
    assert not region.counters


def test_what_is_done_again_is_the_same_kernel(check):
    x = ad.Tensor(np.random.default_rng(0).normal(size=5000))
    value = x
    for _ in range(6):
        value = np.tanh(value) * np.sum(value * value)
    region = check([x], value)
    assert len(region.launches) > len({launch.name for launch in region.launches})
    assert region.source.count("extern") <= 6


@pytest.mark.usefixtures("many_blocks")
def test_memory_is_used_again(check):
    x = ad.Tensor(np.linspace(0.1, 1, 60).reshape(3, 20))
    value = x
    for i in range(30):
        value = np.sum(np.tanh(value @ value.T * (0.1 + i))[:, :, None] * value, axis=0)
    region = check([x], value)
    assert len(region.launches) > 60
    assert len(region.workspaces) <= 8


def test_loops_of_one_kernel_are_limited(check, monkeypatch):
    monkeypatch.setattr(launches, "MOST_LOOPS", 4)
    x = ad.Tensor(np.linspace(0.1, 1, 6))
    value = x
    for _ in range(10):
        value = value * np.sum(value)
    region = check([x], value)
    assert len(region.launches) == 3


def test_results_do_not_depend_on_who_is_first(as_program, run_kernels, many_blocks):
    """Blocks and threads run in another order each time: sums in single precision are the same to the last bit."""
    x = ad.Tensor(np.random.default_rng(0).normal(size=(50, 41)).astype(np.float32))
    program = as_program([x], [np.sum(np.tanh(x)), np.sum(x, axis=0), np.sum(x, axis=1)])
    first = run_kernels(program, [x.value])[1]
    for _ in range(3):
        for one, other in zip(run_kernels(program, [x.value])[1], first):
            np.testing.assert_array_equal(one, other)


def test_what_is_left_to_libraries(as_program):
    x, y = ad.Tensor(np.ones((64, 64))), ad.Tensor(np.ones((64, 63)))
    places = ad.Tensor(np.array([0, 1]), constant=True)

    def is_supported(*nodes: Any) -> list[bool]:
        program = as_program([x, y, places], nodes)
        return [supported(program, made) for made in program.applications()]

    assert is_supported(x @ y) == [True]
    assert is_supported(x @ x) == [False]
    assert is_supported(np.cumsum(x, axis=0)) == [False]
    assert is_supported(np.argmax(x, axis=0)) == [False]
    assert all(is_supported(x.reshape(-1, 1) @ x.reshape(1, -1)))
    added = ops.indexing.add_index(x.node, (places.node,), 1.5, lambda n: None)
    assert is_supported(added)[-1] is False
    assert is_supported(ops.index(x.node, ops.static_index(("a", 64), (None, slice(0, 64, 1))), places.node)) == [True]
    wide = ad.Tensor(np.ones(3, np.longdouble), constant=True)
    program = as_program([wide], [wide * 2])
    assert [supported(program, made) for made in program.applications()] == [False]


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("split", [True, False])
def test_lanes_and_splits_cover_everything(by_rows, split):
    for kept, reduced in itertools.product([1, 2, 3, 31, 32, 33, 1000, 10**6], [0, 1, 2, 7, 8, 255, 257, 5000, 10**7]):
        tiles = tiling(kept, reduced, by_rows, split)
        assert tiles.kept_lanes * tiles.reduced_lanes == launches.THREADS
        assert tiles.tiles * tiles.kept_lanes >= kept > (tiles.tiles - 1) * tiles.kept_lanes
        assert tiles.splits * tiles.chunk >= reduced
        assert (tiles.splits - 1) * tiles.chunk < max(reduced, 1)
        assert tiles.splits == 1 or split
        # Few results of many elements still fill the device.
        if split and kept * reduced >= launches.THREADS * launches.LEAST * launches.BLOCKS * 2:
            assert tiles.tiles * tiles.splits >= launches.BLOCKS / 2
