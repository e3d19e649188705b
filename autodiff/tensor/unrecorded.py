"""``no_grad``: meanwhile Tensors that operations make are values. Recording costs nothing more while there is none.

What makes a Tensor is another function meanwhile, and the Tensor one of a class that takes its node in another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..nodes import Node
from ..unrecorded import blocks, current
from . import tensor as made
from .settling import block_from_here, settled
from .tensor import Tensor


class _Unsettled(Tensor):
    """A Tensor that has no node yet."""

    __slots__ = ()

    @property
    def _node(self) -> Node:
        raise AttributeError("_node")

    @_node.setter
    def _node(self, node: Node) -> None:
        self.__class__ = Tensor  # type: ignore[assignment]
        self._node = settled(node)


_new = made._new


def _new_unsettled(kind: type[Tensor]) -> Any:
    return _new(_Unsettled if current.get() is not None else kind)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing in a block: what operations on Tensors give there are values, at once and without history.

    Yields
    ------
    None
        It is about the thread, or the task, that enters it. As a decorator, ``@ad.no_grad()``, it is about the calls of
        a function.

    See Also
    --------
    stop_gradient : for single values.

    Notes
    -----
    Results are Tensors to which no derivative passes. They are computed operation by operation, as NumPy does it, and
    what they were computed from is let go of: an evaluation over many batches takes no more memory than one. Of small
    arrays, a value that is looked at outside of a block is computed faster, as one plan.

    Variables that are changed in place (``w -= rate * gradient``, ``w[0] = 1``, ``out=``) stay variables, of a new
    value; graphs that were recorded before keep the old one. Other Tensors that are changed in place have no history
    from then on. Views follow their base, but no derivative passes to those that are made in a block.

    Derivatives can be taken in a block, of what was recorded before it. A function that is transformed in the block, as
    by ``ad.grad``, records what it needs. In a function that is transformed outside, the block is as ``stop_gradient``
    of everything that is computed in it.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> w = ad.Tensor([1.0, 2.0])
    >>> graph = ad.Graph()
    >>> (gradient,) = graph.gradient(np.sum(w**2), [w])
    >>> with ad.no_grad():
    ...     w -= 0.25 * gradient
    ...     size = np.sum(w**2)
    >>> w, size
    (Tensor([0.5, 1. ]), Tensor(1.25))
    >>> graph.gradient(np.sum(w**2) + size, [w])
    [array([1., 2.])]
    """
    key, block = object(), block_from_here()
    token = current.set(block)
    try:
        blocks[key] = block
        made._new = _new_unsettled  # type: ignore[assignment]
        yield
    finally:
        blocks.pop(key, None)
        if not blocks:
            made._new = _new
            if blocks:
                # Another thread has begun one between the two.
                made._new = _new_unsettled  # type: ignore[assignment]
        current.reset(token)
