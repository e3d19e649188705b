"""What tests of compiled loops share: programs of leaves and outputs, statements executed one by one, random graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.core.avals import intern_aval
from autodiff.core.program import Rewrite
from autodiff.nodes import Node, Slot, Variable
from autodiff.plan import Program, build, prune
from autodiff_backends.cuda.kernels import KernelRegion
from autodiff_backends.loops.accesses import Access
from autodiff_backends.loops.forms import ADD_AT, COPY, GATHER, Statement
from autodiff_backends.loops.statements import Lowering
from autodiff_backends.numpy.reference import constant_value, function_for

from .cuda_emulation import NO_COMPILER, EmulatedDevice

LIBRARIES = ("array_api_strict", "array_api_strict:device1", "torch")


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> ad.Backend:
    """The backend of an Array API library that is installed, on a device."""
    name, _, device = request.param.partition(":")
    pytest.importorskip(name)
    return ad.get_backend(name, device or None)


REDUCE = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
REDUCE |= {"all": np.logical_and, "any": np.logical_or, "inner_product": np.add, "matmul": np.add}
NUMBERS = {"True": True, "False": False}


def _variable(value: Any) -> Variable:
    """A leaf with a value: a Python number is weak."""
    weak = type(value) in (int, float)
    array = np.asarray(value)
    return Variable(intern_aval(array.shape, array.dtype, weak), value if weak else array, Slot(None))


def places(access: Access, shape: tuple[int, ...]) -> Any:
    """The places in its storage that an access touches, over an iteration space."""
    grid = np.indices(shape, dtype=np.int64)
    return access.offset + sum((n * step for n, step in zip(grid, access.strides)), np.zeros(shape, np.int64))


def _number(literal: str) -> Any:
    return NUMBERS[literal] if literal in NUMBERS else eval(literal, {"np": np})


def _execute(statement: Statement, memory: list[Any]) -> None:
    form, target, accesses = statement
    if form.indexed:
        _execute_at_arrays(statement, memory)
        return
    found = iter([memory[a.storage][places(a, form.shape)] for a in accesses])
    operands = [next(found) if literal is None else _number(literal) for literal in form.literals]
    dtype = memory[target.storage].dtype
    at = places(target, form.shape)
    if form.name in REDUCE:
        term = np.multiply(*operands, dtype=dtype) if len(operands) == 2 else operands[0]
        term = np.broadcast_to(np.asarray(term, dtype), form.shape)
        first = tuple(1 if axis in form.reduced else n for axis, n in enumerate(form.shape))
        at = places(target, first).squeeze(form.reduced)
        if at.size:
            memory[target.storage][at] = REDUCE[form.name].reduce(term, axis=form.reduced)
    elif form.name == COPY:
        memory[target.storage][at] = np.asarray(operands[0]).astype(dtype)
    elif form.signature is None:
        combine = {"add": np.add, "multiply": np.multiply}[form.name]
        memory[target.storage][at] = combine(*[np.asarray(x).astype(dtype) for x in operands])
    else:
        memory[target.storage][at] = function_for(form.signature)(*operands)


def _execute_at_arrays(statement: Statement, memory: list[Any]) -> None:
    form, target, (source, *accesses) = statement
    at = places(source, form.shape)
    found = iter([memory[a.storage][places(a, form.shape)] for a in accesses])
    numbers = [next(found) if literal is None else _number(literal) for literal in form.literals[1:]]
    values, *indices = numbers if form.writes_anywhere else [None, *numbers]
    for picked, (size, step) in zip(indices, form.indexed, strict=True):
        at = at + np.where(picked < 0, picked + size, picked) * step
    array = memory[target.storage]
    if form.name == GATHER:
        array[places(target, form.shape)] = memory[source.storage][at]
    elif form.name == ADD_AT:
        np.add.at(array, at, np.asarray(values).astype(array.dtype))
    else:
        array[at] = values


@pytest.fixture(scope="session")
def variable() -> Callable[[Any], Variable]:
    return _variable


@pytest.fixture(scope="session")
def as_program() -> Callable[..., Program]:
    """A program of leaves and outputs: nodes, or Tensors."""

    def make(inputs: Sequence[Any], outputs: Sequence[Any], rewrite: Rewrite | None = None) -> Program:
        nodes: list[list[Node]] = [[getattr(x, "node", x) for x in part] for part in (inputs, outputs)]
        program = prune(build(*nodes, rewrite))
        program.quiet = True
        return program

    return make


@pytest.fixture(scope="session")
def run_statements() -> Callable[[Lowering, Sequence[Any]], list[Any]]:
    """The outputs of a lowered program, its statements executed one by one; inputs must not be written to."""

    def run(lowering: Lowering, values: Sequence[Any]) -> list[Any]:
        program = lowering.program
        # What nothing has written to is no number that a program computes with.
        memory = [np.full(s.size, 99).astype(s.dtype) for s in lowering.storages]
        given = {}
        for number, storage in lowering.inputs.items():
            value = constant_value(program, number) if number in program.constants else values[number]
            memory[storage][:] = np.ravel(value)
            given[storage] = memory[storage].copy()
        with np.errstate(all="ignore"):
            for statement in lowering.statements:
                _execute(statement, memory)
        for storage, before in given.items():
            np.testing.assert_array_equal(memory[storage], before, "an input was written to")
        assert not set(lowering.outputs) & set(given)
        assert len(set(lowering.outputs)) == len(lowering.outputs)
        return [memory[s].reshape(program.avals[n].shape) for s, n in zip(lowering.outputs, program.outputs)]

    return run


@pytest.fixture
def run_kernels() -> Callable[[Program, Sequence[Any]], tuple[KernelRegion, list[Any]]]:
    """The kernels of a program and its outputs, the kernels executed by an emulated device."""
    if NO_COMPILER is not None:
        pytest.skip(NO_COMPILER)
    device = EmulatedDevice()

    def run(program: Program, values: Sequence[Any]) -> tuple[KernelRegion, list[Any]]:
        region = KernelRegion(program)
        launch = device.load(region.source)
        given = [
            device.aligned(constant_value(program, n) if n in program.constants else values[n]) for n in region.inputs
        ]
        kept = [array.copy() for array in given]
        outputs = [device.empty(*output) for output in region.outputs]
        counters = [device.zeros(size, np.int32) for size in region.counters]
        arrays = {"x": given, "o": outputs, "c": counters, "w": [device.empty(*w) for w in region.workspaces]}
        arrays["s"] = [program.avals[n].dtype.type(values[n]) for n in region.scalars]
        # Twice, for kernels leave what they count with as they found it.
        for _ in range(2):
            for name, grid, block, arguments in region.launches:
                launch(name, grid, block, [arrays[kind][i] for kind, i in arguments])
            assert not any(c.any() for c in counters)
        for array, before in zip(given, kept, strict=True):
            np.testing.assert_array_equal(array, before, "an input was written to")
        return region, outputs

    return run


# --- random graphs ---------------------------------------------------------------------------------------------------

STEPS: list[Callable[[Any, Any, int], Any]] = [
    lambda x, y, c: x * y,
    lambda x, y, c: x - y * 0.5,
    lambda x, y, c: np.tanh(x) + c,
    lambda x, y, c: np.where(x > y, x, y * 0.3),
    lambda x, y, c: np.maximum(x, y),
    lambda x, y, c: x / (y * y + 1),
    lambda x, y, c: np.sum(x, axis=c % x.ndim if x.ndim else None),
    lambda x, y, c: np.max(x, axis=c % x.ndim if x.ndim else None, keepdims=True),
    lambda x, y, c: x @ y,
    lambda x, y, c: x @ y.T,
    lambda x, y, c: x.T,
    lambda x, y, c: x[..., ::-1],
    lambda x, y, c: x[c % len(x)],
    lambda x, y, c: x[None, ..., ::2],
    lambda x, y, c: x.reshape(-1),
    lambda x, y, c: x.T.reshape(x.shape),
    lambda x, y, c: np.concatenate([x, y], axis=c % 2),
    lambda x, y, c: np.broadcast_to(x, (2, *x.shape)),
    lambda x, y, c: np.stack([x, y]),
    lambda x, y, c: (x * 1000).astype(np.int64),
    lambda x, y, c: (x > 0) & (y < 1),
    lambda x, y, c: np.tanh(x).astype(np.float32),
]


def _written(x: Any, y: Any, choice: int) -> Any:
    result = x * 1.5
    result[choice % len(x)] = y
    result[..., ::2] += x[..., ::2]
    return result


def _steps_in_a_row(x: Any, y: Any, choice: int) -> Any:
    for i in range(4 + choice):
        x = np.tanh(x * y[i % len(y)]) + 0.25 * x
    return x


STEPS += [_written, _steps_in_a_row]


def _places(x: Any, choice: int, count: int = 5) -> Any:
    """Some rows, from both ends, that come again."""
    return (np.arange(count) * (choice + 2)) % len(x) - len(x) * (np.arange(count) % 2)


def _added_at(x: Any, y: Any, choice: int) -> Any:
    result = x * 1.5
    np.add.at(result, _places(x, choice), np.tanh(x[_places(x, choice + 1)]) * y)
    np.add.at(result, (..., _places(x.T, choice).astype(np.int16)), [-0.25, x.T[0]][choice % 2])
    return result


def _set_at(x: Any, y: Any, choice: int) -> Any:
    result = x * y
    result[_places(result, choice)] = np.tanh(y)
    return result


# What loops in machine code do one place after the other, and those on a GPU leave to a library.
AT_ARRAYS: list[Callable[[Any, Any, int], Any]] = [
    lambda x, y, c: x[[0, -1, 0]] * y,
    lambda x, y, c: x[np.array([[1], [-1]]), np.array([0, -1, 0], np.int8)],
    lambda x, y, c: np.take_along_axis(x, np.argsort(y, axis=0), axis=0),
    lambda x, y, c: x[..., (y * 10).astype(np.int64) % x.shape[-1]],
    _added_at,
    _set_at,
]

# What compiled loops leave to NumPy.
UNSUPPORTED: list[Callable[[Any, Any, int], Any]] = [
    lambda x, y, c: np.cumsum(x, axis=c % x.ndim if x.ndim else None),
    lambda x, y, c: np.real(np.exp(1j * x)),
    lambda x, y, c: np.argmax(x, axis=-1) * 0.5,
]

RandomGraph = Callable[..., tuple[list[ad.Tensor], list[ad.Tensor]]]


@pytest.fixture(scope="session")
def random_graph() -> RandomGraph:
    """Leaves, and values made of them by instructions (a step, two operands, a choice); what fails is left out."""

    def make(
        instructions: Sequence[tuple[int, int, int, int]], unsupported: bool = False, at_arrays: bool = False
    ) -> tuple[list[ad.Tensor], list[ad.Tensor]]:
        rng = np.random.default_rng(len(instructions))
        leaves = [ad.Tensor(rng.normal(size=shape)) for shape in [(3, 2), (2,), (2, 3), ()]]
        values = list(leaves)
        steps = [*STEPS, *AT_ARRAYS * (at_arrays or unsupported), *UNSUPPORTED * 2 * unsupported]
        for step, first, second, choice in instructions:
            x, y = values[-1 - first % len(values)], values[-1 - second % len(values)]
            try:
                value = steps[step % len(steps)](x, y, choice)
            except (TypeError, ValueError, IndexError):
                continue
            if value.size <= 200:
                values.append(value)
        return leaves, values[len(leaves) :][-4:] or [leaves[0] * 2.0]

    return make
