"""Jacobians and Hessians of recorded nodes: which mode, in how many parts, and what is made of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import ops
from .arguments import count, word
from .convert import aval_on
from .core.avals import intern_aval
from .engine import Walk
from .errors import DifferentiationError
from .nodes import NO_SLOT, Argument, Constant, Node, freeze
from .places import bring, home_of
from .plan import evaluate
from .walks import hessian, hessian_columns, jacobian, jacobian_columns, jacobian_rows

MODES = ("auto", "forward", "reverse")

# Gives values, or nodes, for a walk, its outputs, and what it is given.
Run = Callable[[Walk, Sequence[Node], Sequence[Node]], list[Any]]


class Options(NamedTuple):
    """How a matrix is computed: what a caller has asked for, checked."""

    mode: str = "auto"
    chunk: int | None = None


def chunks(chunk_size: Any, name: str) -> int | None:
    """How many rows or columns are computed together, checked; None for all."""
    return None if chunk_size is None else count(chunk_size, f"{name}: chunk_size")


def is_forward(mode: Any, outputs: Sequence[Node], inputs: Sequence[Node], name: str) -> bool:
    """Whether a Jacobian is computed column by column, in forward mode, or row by row."""
    word(mode, f"{name}: mode", MODES)
    complex_in = [x for x in inputs if x.aval.dtype.kind == "c"]
    complex_out = [y for y in outputs if y.aval.dtype.kind == "c"]
    if complex_in and complex_out:
        raise DifferentiationError(
            f"{name}: the derivative of a complex result, {complex_out[0].aval!r}, by complex numbers, "
            f"{complex_in[0].aval!r}, depends on the direction; differentiate with respect to the real and the "
            "imaginary part, or use holomorphic_grad"
        )
    if mode == "forward" and complex_in:
        raise DifferentiationError(
            f"{name}: mode='forward' goes along real directions, but an argument is {complex_in[0].aval!r}; the "
            "gradients of real results are found in mode='reverse'"
        )
    if mode == "reverse" and complex_out:
        raise DifferentiationError(
            f"{name}: mode='reverse' differentiates real results, but one is {complex_out[0].aval!r}; use "
            "mode='forward'"
        )
    if mode != "auto" or complex_in or complex_out:
        return mode == "forward" or (mode == "auto" and bool(complex_out))
    # Forward mode keeps nothing of a first sweep.
    return sum([x.aval.size for x in inputs]) <= sum([y.aval.size for y in outputs])


def jacobian_blocks(
    run: Run, outputs: Sequence[Node], inputs: Sequence[Node], forward: bool, chunk: int | None
) -> list[Any]:
    """For each output and each input the block of the Jacobian."""
    if chunk is None:
        return run(Walk(jacobian, (forward,)), outputs, ())
    if forward:
        return _by_columns(run, jacobian_columns, outputs, outputs, inputs, chunk)
    blocks = []
    for y in outputs:
        parts = [run(Walk(jacobian_rows), [y], [rows]) for rows in _directions(y, chunk)]
        for i, x in enumerate(inputs):
            shape = y.aval.shape + x.aval.shape
            blocks.append(_joined([part[i] for part in parts], shape, tuple(range(len(shape)))))
    return blocks


def real_only(outputs: Sequence[Node], inputs: Sequence[Node], name: str) -> None:
    """An error if something is complex."""
    for nodes, what in ((inputs, "an argument"), (outputs, "the result")):
        for node in nodes:
            if node.aval.dtype.kind == "c":
                raise DifferentiationError(
                    f"{name}: {what} is {node.aval!r}, and Hessians are of real functions of real numbers; "
                    "differentiate real and imaginary parts (np.real, np.imag)"
                )


def hessian_blocks(run: Run, outputs: Sequence[Node], inputs: Sequence[Node], chunk: int | None) -> list[Any]:
    """For each output and each two inputs the block of second derivatives."""
    real_only(outputs, inputs, "hessian")
    if chunk is None:
        return run(Walk(hessian), outputs, ())
    firsts = [y.aval.shape + x.aval.shape for y in outputs for x in inputs]
    return _by_columns(run, hessian_columns, outputs, firsts, inputs, chunk)


def _by_columns(
    run: Run, walk: Any, outputs: Sequence[Node], of: Sequence[Any], inputs: Sequence[Node], chunk: int
) -> list[Any]:
    """Blocks, of each of some nodes or shapes by each of the inputs, from columns computed some at a time."""
    shapes = [shape if isinstance(shape, tuple) else shape.aval.shape for shape in of]
    by_input = []
    for which, x in enumerate(inputs):
        parts = [run(Walk(walk, (which,)), outputs, [columns]) for columns in _directions(x, chunk)]
        found = []
        for i, shape in enumerate(shapes):
            n, m = x.aval.ndim, len(shape)
            axes = (*range(n, n + m), *range(n))
            found.append(_joined([part[i] for part in parts], x.aval.shape + shape, axes))
        by_input.append(found)
    return [blocks[i] for i in range(len(shapes)) for blocks in by_input]


def _directions(x: Node, chunk: int) -> list[Node]:
    """The directions along each element of an array, so many at a time; one part without any if it has no elements."""
    parts: list[Node] = []
    for start in range(0, max(x.aval.size, 1), chunk):
        stop = min(start + chunk, x.aval.size)
        rows = np.zeros((stop - start, x.aval.size), x.aval.dtype)
        rows[np.arange(stop - start), np.arange(start, stop)] = 1
        array: Any = rows.reshape(stop - start, *x.aval.shape)
        place = x.aval.place
        aval = intern_aval(array.shape, x.aval.dtype, place=place)
        parts.append(Argument(aval, freeze(array if place is None else bring(array, place)), NO_SLOT))
    return parts


def _joined(parts: list[Any], shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Parts of a block, along the first axis, as one: in a shape, and its axes in another order."""
    if all(type(part) is np.ndarray for part in parts):
        return np.concatenate(parts).reshape(shape).transpose(axes)
    nodes = [part if isinstance(part, Node) else Constant(aval_on(home_of(part), part), part) for part in parts]
    whole = ops.transpose(ops.reshape(ops.concatenate(nodes, 0), shape), axes)
    return whole if isinstance(parts[0], Node) else evaluate(whole)
