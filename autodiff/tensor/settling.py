"""What a Tensor stands for that is made or changed in a block in which nothing is recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import get_ident
from weakref import WeakKeyDictionary, ref

from .. import ops
from ..nodes import Constant, Node, Operation, Slot, Unknown
from ..plan import evaluate
from ..unrecorded import Block, blocks, current
from ..watching import tracing, watched

# Operations whose results may be views. Such a result follows its base in the block and after it, so how it was made is
# kept; but no derivative passes to it, now or once it is made anew.
LOOKING = {ops.identity, ops.index, ops.reshape_p, ops.transpose_p, ops.broadcast_to_p, ops.real, ops.imag}
# What a value stands for. Of others it is known as long as a handle has it.
_origins: WeakKeyDictionary[Node, Callable[[], Node | None]] = WeakKeyDictionary()


def block_from_here() -> Block:
    """A block that begins now."""
    return Block(_watching(), tracing())


def _watching() -> frozenset[int]:
    thread = get_ident()
    return frozenset([key for key, (_, _, one) in list(watched.items()) if one == thread])


def active() -> Block | None:
    """The block that this thread is in, unless a transformation has begun in it: that one records what it needs."""
    block = current.get() if blocks else None
    if block is None:
        return None
    here = block_from_here()
    return block if here.watching == block.watching and here.tracing is block.tracing else None


def recording_nothing() -> bool:
    """Whether what is computed here, outside of all transformations, has no derivatives."""
    block = active()
    return block is not None and not block.watching and block.tracing is None


def is_settled(node: Node) -> bool:
    """Whether this thread is in a block, and a node is a value to it."""
    return bool(blocks) and type(node) is Operation and node.value is not None and type(node.inputs[0]) is Constant


def settled(node: Node) -> Node:
    """What a Tensor stands for in a block, in place of an operation: its value, which depends on nothing.

    In a function that is transformed, which may be called with no values, it is an operation that stops derivatives.
    """
    if type(node) is not Operation or node.aval.parts or node.aval.literal is not None or node.aval.spec is not None:
        return node
    block = active()
    if block is None:
        return node
    if block.watching or block.tracing is not None:
        return ops.stop_gradient(node) if node.aval.differentiable else node
    if not _is_known(node):
        # It belongs to a transformation that has begun in the block.
        return node
    looks = node.signature.primitive in LOOKING
    if looks and node.aval.differentiable:
        node = ops.stop_gradient(node)
    value = evaluate(node)
    # An operation, as what it stands for: its handles have versions of their own. The slot says that it is no number
    # of the structure.
    known = ops.identity(Constant(node.aval, value, Slot(value)))
    known.value = value
    _origins[known] = partial(_same, node) if looks else ref(node)
    return known


def _same(node: Node) -> Node:
    return node


def origin(node: Node) -> Node:
    """The operation that a value stands for, if it is one and that may matter to views; else the node itself."""
    found = _origins.get(node)
    return (found and found()) or node


def _is_known(node: Node) -> bool:
    """Whether a node has a value: nothing that it is made of is only traced."""
    seen, stack = {node}, [node]
    while stack:
        for x in stack.pop().inputs:
            if x.value is None:
                if x not in seen:
                    seen.add(x)
                    stack.append(x)
            elif type(x.value) is Unknown:
                return False
    return True
