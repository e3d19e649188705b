"""``numpy.vectorize`` of a function that takes Tensors."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..nodes import Node
from ..plan import concrete
from ..tensor import wrap
from ..tracebacks import hide
from .creation import holds_tensors, joined


class vectorize(np.vectorize):
    """``numpy.vectorize``, which calls the function with a Tensor for each element where a Tensor is given."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if not callable(self.pyfunc) or not holds_tensors((*args, *kwargs.values())):
                return super().__call__(*args, **kwargs)
            if kwargs.keys() - self.excluded:
                raise ArgumentError(
                    f"vectorize: {', '.join(sorted(map(str, kwargs.keys() - self.excluded)))} is given by name, and is "
                    "vectorised over; give it by its place, or name it in excluded="
                )
            varying = [i for i in range(len(args)) if i not in self.excluded]
            nodes = [joined(args[i]) for i in varying]
            cores = self._cores(len(nodes))
            around = _loops([x.aval.shape for x in nodes], cores)
            results = []
            for at in itertools.product(*map(range, around)):
                given = list(args)
                for i, x, core in zip(varying, nodes, cores, strict=True):
                    given[i] = wrap(_element(x, at, core))
                found = self.pyfunc(*given, **kwargs)
                results.append(found if isinstance(found, tuple) else (found,))
            if not results:
                raise ArgumentError("vectorize: of no elements nothing is known of what the function returns")
            stacked = [self._stacked(parts, around, k) for k, parts in enumerate(zip(*results, strict=True))]
            return stacked[0] if len(stacked) == 1 and not isinstance(found, tuple) else tuple(stacked)
        except Exception as error:
            hide(error)
            raise

    def _cores(self, count: int) -> list[int]:
        """How many of the last axes of each argument the function takes as they are."""
        if self.signature is None:
            return [0] * count
        given = [len([name for name in core.split(",") if name]) for core in _cores_of(self.signature)]
        if len(given) != count:
            raise ArgumentError(
                f"vectorize: signature={self.signature!r} names {len(given)} arguments, {count} are given"
            )
        return given

    def _stacked(self, parts: tuple[Any, ...], around: tuple[int, ...], k: int) -> Any:
        found = [joined(part) for part in parts]
        shape = found[0].aval.shape
        whole = ops.reshape(ops.stack(found, 0), (*around, *shape))
        return wrap(ops.astype(whole, np.dtype(self.otypes[k])) if self.otypes is not None else whole)


def _cores_of(signature: str) -> list[str]:
    """What stands in the brackets before the arrow."""
    inputs = signature.replace(" ", "").partition("->")[0]
    return inputs[1:-1].split("),(")


def _loops(shapes: list[tuple[int, ...]], cores: list[int]) -> tuple[int, ...]:
    for shape, core in zip(shapes, cores, strict=True):
        if len(shape) < core:
            raise ShapeError(f"vectorize: an argument of shape {shape} has fewer axes than the signature, {core}")
    return np.broadcast_shapes(*[shape[: len(shape) - core] for shape, core in zip(shapes, cores, strict=True)])


def _element(x: Node, at: tuple[int, ...], core: int) -> Node:
    """What an argument has at a place, axes of size 1 being repeated."""
    shape = x.aval.shape[: x.aval.ndim - core]
    place = [0 if n == 1 else i for n, i in zip(shape, at[len(at) - len(shape) :], strict=True)]
    return ops.read_index(x, (*place, Ellipsis), concrete)
