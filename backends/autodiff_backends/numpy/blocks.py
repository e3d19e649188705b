"""Groups of elementwise operations over large arrays, executed in cache-sized blocks on several threads.

A group is a run of operations over one shape, and the full sums that end it. Inside a block its intermediate
values live in scratch of the block's size; only what is used outside is a whole array.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Container
from typing import Any

import numpy as np

from autodiff.core.primitives import Primitive, Signature
from autodiff.core.program import Application
from autodiff.machine import thread_count

from .workers import shares, together

# Elements from which a group is worth its slices.
SMALLEST_BLOCKED = 1 << 15

# Estimated nanoseconds from which a group is worth threads: handing a range to another one costs 40 to 90 us. Only
# costly operations count (exp, sin, divide ...), an element in single precision and in double, where NumPy has fewer
# vectorised functions. Cheap ones wait for memory, and two threads wait as long or longer.
SMALLEST_THREADED = 400_000
NANOSECONDS_SINGLE, NANOSECONDS_DOUBLE = 0.3, 4.5

# Bytes of one array's block: a dozen of them fit the second-level cache of one core.
BLOCK_BYTES = 1 << 16


class Group:
    """Operations executed block by block.

    Attributes
    ----------
    members : list of Application
        Elementwise operations and full sums, in order.
    shape : tuple of int
        What they run over.
    flat : bool
        Whether all operands have this shape or one element, so that blocks may be runs of elements; else blocks
        are runs of rows.
    """

    __slots__ = ("flat", "members", "shape")

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.members: list[Application] = []
        self.flat = True


def _blockable(signature: Signature, written: Container[Primitive]) -> bool:
    """Whether an operation is elementwise over a large array, with operands that blocks can be cut from."""
    primitive, aval = signature.primitive, signature.out
    if primitive.kind != "elementwise" or aval.ndim == 0 or aval.size < SMALLEST_BLOCKED:
        return False
    if primitive not in written and (primitive.numpy_ufunc is None or primitive.numpy_ufunc.nout != 1):
        return False
    return _flat(signature) or aval.shape[0] >= 2 * thread_count()


def rows_fit(shape: tuple[int, ...], itemsize: int) -> bool:
    """Whether runs of rows do as well as runs of elements: several rows in a block, and enough for all threads."""
    return shape[0] >= 2 * thread_count() and math.prod(shape[1:]) * itemsize * 2 <= BLOCK_BYTES


def _flat(signature: Signature) -> bool:
    shape = signature.out.shape
    return all(aval.shape == shape or aval.size == 1 for aval in signature.inputs)


def _full_sum(signature: Signature) -> bool:
    return (
        signature.primitive.kind == "reduction"
        and signature.primitive.reduces is np.add
        and signature.out.ndim == 0
        and signature.out.dtype.kind == "f"
        # Half precision is added up in single, and rounded once.
        and signature.out.dtype.itemsize > 2
        and signature.inputs[0].size >= SMALLEST_BLOCKED
    )


def schedule(applications: list[Application], written: Container[Primitive]) -> list[Application | Group]:
    """The operations in an order of execution, large elementwise ones gathered into groups.

    Those of a ufunc can be in a group, and those that are ``written`` for blocks without one. What cannot be and needs
    something of a group waits until it has ended, so that the group goes on with what does not: a loss and its gradient
    are often one pass over the data.
    """
    order: list[Application | Group] = []
    group: Group | None = None
    members: set[int] = set()
    later: list[Application] = []
    waiting: set[int] = set()  # what is known only when the group has ended

    for application in applications:
        number, signature, arguments = application
        summed = _full_sum(signature)
        if not summed and not _blockable(signature, written):
            if members.isdisjoint(arguments) and waiting.isdisjoint(arguments):
                order.append(application)
            else:
                later.append(application)
                waiting.add(number)
            continue
        aval = signature.inputs[0] if summed else signature.out
        flat = summed or _flat(signature)
        mixed = group is not None and not summed and group.flat != flat
        if (
            group is None
            or group.shape != aval.shape
            or not waiting.isdisjoint(arguments)
            or (mixed and not rows_fit(aval.shape, aval.dtype.itemsize))
        ):
            if group is not None:
                order += [group, *later]
            group = Group(aval.shape)
            members, later, waiting = set(), [], set()
        group.flat = group.flat and flat
        group.members.append(application)
        members.add(number)
        if summed:
            waiting.add(number)
    if group is not None:
        order += [group, *later]
    return order


def nanoseconds(group: Group) -> float:
    """A rough estimate of what the costly operations of a group take on one thread."""
    total = 0.0
    for _, signature, _ in group.members:
        if not signature.primitive.cheap:
            total += NANOSECONDS_SINGLE if signature.inputs[0].dtype.itemsize <= 4 else NANOSECONDS_DOUBLE
    return total * math.prod(group.shape)


# --- execution --------------------------------------------------------------------------------------------------------


def run_blocks(function: Callable[..., Any], extent: int, block: int, threaded: bool, *arrays: Any) -> list[Any]:
    """Call ``function(start, stop, *arrays)`` on ranges that together are ``range(extent)``; their results."""
    ranges = shares(extent, thread_count() if threaded else 1, block)
    return together([functools.partial(function, start, stop, *arrays) for start, stop in ranges])
