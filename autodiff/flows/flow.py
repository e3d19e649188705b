"""What all flows of control share: the parameter of the operation ``flow``, which says what it is.

A flow is frozen data, compared by content, so that equal loops are one signature.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

from .. import ops
from ..backend import Backend
from ..batch import Batch
from ..core.avals import Aval, intern_aval
from ..core.primitives import PYTHON_TYPES
from ..nodes import Node, Operation
from ..registry import backend_of, get_backend
from ..tracing import unknowns
from .bodies import Body

Runner = Callable[[Sequence[Any]], "tuple[Any, ...]"]
F = TypeVar("F", bound="Flow")


class Covers(NamedTuple):
    """A flow that another one computes among other things.

    Parameters
    ----------
    flow : Flow
    operands, outputs : tuple of int
        The places of its own among those of the larger one.
    """

    flow: Flow
    operands: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Flow(ABC):
    """A loop, or branches: its derivatives and its batch, as operations, and what computes it.

    Parameters
    ----------
    covers : Covers, optional
        What need not be computed where this is.
    backend : Backend, optional
        What compiles the bodies; that of the arrays if not given.
    """

    # What users know it as.
    name: ClassVar[str]

    covers: Covers | None = dataclasses.field(default=None, kw_only=True, repr=False)
    backend: Backend | None = dataclasses.field(default=None, kw_only=True, repr=False)
    # What computes it, by the backend.
    _runners: dict[Backend, Runner] = dataclasses.field(default_factory=dict, compare=False, repr=False, kw_only=True)

    def __call__(self, *operands: Node) -> tuple[Node, ...]:
        """Record it; the outputs."""
        return ops.outputs(ops.flow_p(*operands, rule=self))

    @abstractmethod
    def infer(self, inputs: Sequence[Aval]) -> Aval:
        """What is known of the outputs."""

    @abstractmethod
    def pull(self, cts: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        """The cotangents of the operands at ``positions``, for those of the outputs."""

    @abstractmethod
    def push(self, op: Operation, tangents: Sequence[Node | None]) -> tuple[Node | None, ...]:
        """The tangents of the outputs, for those of the operands."""

    @abstractmethod
    def batched(self, batch: Batch, op: Operation) -> tuple[Node, ...]:
        """The outputs for all elements of a batch."""

    def only(self, used: Container[int]) -> tuple[Flow, tuple[int, ...]] | None:
        """The same with fewer outputs, and which these are, if not all are used; None if there is no less."""
        return None

    @abstractmethod
    def runner(self, backend: Backend) -> Runner:
        """What computes it from arrays."""

    def run(self, xp: Any, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs for arrays of a namespace: the meaning of the operation."""
        backend = self.backend
        if backend is None:
            # On the device where they are; numbers alone say nothing.
            own = (backend_of(x) for x in arrays)
            backend = next((found for found in own if found is not None), None) or get_backend(xp)
        return self._made(backend)(arrays)

    def _made(self, backend: Backend) -> Runner:
        """What computes it, made once."""
        found = self._runners.get(backend)
        if found is None:
            found = self._runners.setdefault(backend, _with_numbers(self.runner(backend), self.operands()))
        return found

    @abstractmethod
    def operands(self) -> Sequence[Aval]:
        """What is known of the operands, as far as these may be Python numbers."""

    def on(self: F, backend: Backend) -> F:
        """The same with its bodies compiled by a backend: now, so that the first call does not wait for it."""
        found = self.but(backend=backend)
        found._made(backend)
        return found

    def but(self: F, **changes: Any) -> F:
        """The same with other fields."""
        return dataclasses.replace(self, _runners={}, **changes)

    def __str__(self) -> str:
        """What it is, and its bodies as programs: a plan's source shows it."""
        fields = [getattr(self, f.name) for f in dataclasses.fields(self)]
        bodies = [
            x for field in fields for x in (field if isinstance(field, tuple) else (field,)) if isinstance(x, Body)
        ]
        lines = [f"  {line}" for body in bodies for line in str(body).splitlines()]
        return "\n".join([repr(self), *lines])

    def __reduce__(self) -> tuple[Any, ...]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "_runners"}
        return _restored, (type(self), values)


def _restored(kind: type[F], values: dict[str, Any]) -> F:
    return kind(**values)


def _with_numbers(runner: Runner, operands: Sequence[Aval]) -> Runner:
    """What gives Python numbers where bodies take them; a library may have made arrays of them on the way."""
    weak = {i: PYTHON_TYPES[aval.dtype.kind] for i, aval in enumerate(operands) if aval.weak}
    if not weak:
        return runner

    def run(values: Sequence[Any]) -> tuple[Any, ...]:
        return runner([weak[i](x) if i in weak else x for i, x in enumerate(values)])

    return run


def plain(aval: Aval) -> Aval:
    """What is known of an array of this shape and dtype."""
    return intern_aval(aval.shape, aval.dtype, place=aval.place)


def stacked(aval: Aval, length: int, axis: int) -> Aval:
    """What is known of several of these along a new axis."""
    return intern_aval((*aval.shape[:axis], length, *aval.shape[axis:]), aval.dtype)


def or_zeros(found: Sequence[Node | None], like: Sequence[Node]) -> list[Node]:
    """What was found, and zeros of the shape of what it belongs to."""
    return [ops.zeros(plain(x.aval)) if node is None else node for node, x in zip(found, like, strict=True)]


def present(nodes: Sequence[Node | None]) -> tuple[int, ...]:
    """The places of those that are there."""
    return tuple([i for i, node in enumerate(nodes) if node is not None])


def of_batch(
    batch: Batch, names: Sequence[Node], outputs: Sequence[Node], flags: Sequence[bool]
) -> tuple[list[Node], list[Node | None], Batch]:
    """Inputs and outputs of a body for a batch, where some of its inputs differ from element to element.

    An output is None if it is the same for all.
    """
    pairs = [*zip(names, flags, strict=True)]
    inputs = [unknowns([batch.aval_of_all(x.aval)])[0] if flag else x for x, flag in pairs]
    inner = Batch(batch.size, {x: whole for x, whole in zip(names, inputs, strict=True) if whole is not x})
    return inputs, inner(outputs), inner
