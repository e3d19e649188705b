"""``cond`` and ``switch``: one of several bodies, chosen by a number that is known only when a plan runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .. import ops
from ..backend import Backend
from ..batch import Batch
from ..core.avals import INT64, Aval, intern_aval, several
from ..differentiate import marked, reverse
from ..nodes import Node, Operation, now
from ..tracing import unknowns
from .bodies import Body, body_of, derived
from .flow import Covers, Flow, Runner, of_batch, or_zeros, plain, present
from .running import switch_runner
from .scans import all_of, operands_of, pushed

INDEX = intern_aval((), INT64)


@dataclasses.dataclass(frozen=True)
class Switch(Flow):
    """One of several bodies, that of a number; numbers beyond are the first or the last one.

    Its operands are the number and those of the bodies. Each element of a batch may have a number of its own. The
    bodies are those of one element then, and so are their derivatives: a branch that an element has not taken is
    computed, and nothing of it is left, whatever it gave.

    Parameters
    ----------
    branches : tuple of Body
        From the same operands to outputs of the same shapes and dtypes.
    lead : tuple of int
        The sizes of batches whose elements have their own numbers: first axes of the numbers and of all outputs.
    each : tuple of bool
        The operands that have these axes; the others are the same for all elements.
    """

    name = "cond"

    branches: tuple[Body, ...]
    lead: tuple[int, ...] = ()
    each: tuple[bool, ...] = ()

    def infer(self, inputs: Sequence[Aval]) -> Aval:
        """What is known of the outputs."""
        return several([intern_aval((*self.lead, *aval.shape), aval.dtype) for aval in self.branches[0].avals])

    def operands(self) -> Sequence[Aval]:
        """What is known of the operands, as far as these may be Python numbers."""
        each = self.each or (False,) * len(self.branches[0].inputs)
        pairs = zip(self.branches[0].inputs, each, strict=True)
        return [INDEX, *[plain(aval) if flag else aval for aval, flag in pairs]]

    def __repr__(self) -> str:
        return f"<one of {list(self.branches)!r}{f' for each of {self.lead}' if self.lead else ''}>"

    def runner(self, backend: Backend) -> Runner:
        """What computes it from arrays."""
        return switch_runner([self._for_all(body) for body in self.branches], backend, bool(self.lead))

    def _for_all(self, body: Body) -> Body:
        """A branch for all elements, as if all took it."""
        for size in reversed(self.lead):
            names, outputs = body.names()
            batch = Batch(size, {})
            inputs, _, inner = of_batch(batch, names, outputs, self.each)
            body = body_of(inputs, inner.of_all(outputs))
        return body

    def _beside(self, vectors: Sequence[Node]) -> tuple[bool, ...]:
        """``each`` with further operands, which have the axes of the batch."""
        return (*self.each, *[True] * len(vectors)) if self.lead else ()

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> tuple[Node | None, ...]:
        """Tangents: those of the branch."""
        live = tuple([t is not None for t in tangents[1:]])
        key = (self.branches[1:], "tangents", live)
        branches, moving = derived(self.branches[0], key, lambda: _pushed(self.branches, live))
        count = len(self.branches[0].outputs)
        covers = Covers(self, tuple(range(len(op.inputs))), tuple(range(count)))
        own = tuple([flag for flag, t in zip(self.each, tangents[1:], strict=False) if t is not None])
        joint = self.but(branches=branches, covers=covers, each=self.each + own)
        found = joint(*op.inputs, *[t for t in tangents[1:] if t is not None])[count:]
        result: list[Node | None] = [None] * count
        for i, t in zip(moving, found, strict=True):
            result[i] = t
        return tuple(result)

    def pull(self, cts: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        """Cotangents: those of the branch."""
        places = tuple([i - 1 for i in positions])
        key = (self.branches[1:], "cotangents", present(cts), places)
        branches, given = derived(self.branches[0], key, lambda: _pulled(self.branches, present(cts), places))
        if not given:
            return [None] * len(positions)
        vectors = [ct for ct in cts if ct is not None]
        flow = self.but(branches=branches, covers=None, each=self._beside(vectors))
        by_place = dict(zip(given, flow(*op.inputs, *vectors), strict=True))
        for i, flag in enumerate(self.each):
            if not flag and i in by_place:
                # Of each element its own, where these are chosen, and then the sum.
                by_place[i] = ops.sum(by_place[i], tuple(range(len(self.lead))))
        return [by_place.get(i) for i in places]

    def batched(self, batch: Batch, op: Operation) -> tuple[Node, ...]:
        """The branch for all elements; or all branches, if each element has its own."""
        if self.lead or batch.whole(op.inputs[0]) is not None:
            return self._of_each(batch, op)
        flags = [batch.whole(x) is not None for x in op.inputs]
        names = unknowns(self.branches[0].inputs)
        recorded = [body.record(names) for body in self.branches]
        inputs, found, inner = of_batch(batch, names, [node for one in recorded for node in one], flags[1:])
        count = len(recorded[0])
        every = [any(whole is not None for whole in found[i::count]) for i in range(count)]
        branches = []
        for one in recorded:
            made = [inner.of_all([node])[0] if flag else node for node, flag in zip(one, every, strict=True)]
            branches.append(body_of(inputs, made))
        flow = self.but(branches=tuple(branches), covers=None)
        return all_of(batch, flow(*operands_of(batch, op, flags)), every)

    def _of_each(self, batch: Batch, op: Operation) -> tuple[Node, ...]:
        """For elements that have their own numbers."""
        index, *operands = op.inputs
        before = self.each or (False,) * len(operands)
        given: list[Node] = []
        flags = []
        for x, flag in zip(operands, before, strict=True):
            whole = batch.whole(x)
            flags.append(flag or whole is not None)
            if whole is None:
                given.append(batch.repeated(x) if flag else x)
            elif flag or not self.lead:
                given.append(whole)
            else:
                ones = ops.reshape(whole, (batch.size, *(1,) * len(self.lead), *x.aval.shape))
                given.append(ops.broadcast_to(ones, (batch.size, *self.lead, *x.aval.shape)))
        numbers = batch.whole(index)
        flow = self.but(lead=(batch.size, *self.lead), each=tuple(flags), covers=None)
        return flow(batch.repeated(index) if numbers is None else numbers, *given)


def _pushed(branches: tuple[Body, ...], live: tuple[bool, ...]) -> tuple[tuple[Body, ...], tuple[int, ...]]:
    """Branches with tangents beside, and which outputs have any."""
    made = [pushed(body, live) for body in branches]
    moving = tuple([i for i in range(len(branches[0].outputs)) if any(found[i] is not None for *_, found in made)])
    joint = []
    for names, outputs, tangents, found in made:
        moved = or_zeros([found[i] for i in moving], [outputs[i] for i in moving])
        joint.append(body_of([*names, *tangents.values()], [*outputs, *moved]))
    return tuple(joint), moving


def _pulled(
    branches: tuple[Body, ...], cts: tuple[int, ...], places: tuple[int, ...]
) -> tuple[tuple[Body, ...], tuple[int, ...]]:
    """The transposes of branches, and which operands have cotangents in any of them."""
    made = []
    for body in branches:
        names, outputs = body.names()
        begin = now()
        given = unknowns([plain(outputs[i].aval) for i in cts])
        found = reverse([outputs[i] for i in cts], given, [names[i] for i in places])
        marked(found, begin)
        made.append((names, given, found))
    some = [k for k in range(len(places)) if any(found[k] is not None for *_, found in made)]
    transposed = []
    for names, given, found in made:
        pulled = or_zeros([found[k] for k in some], [names[places[k]] for k in some])
        transposed.append(body_of([*names, *given], pulled))
    return tuple(transposed), tuple([places[k] for k in some])


def number_of(condition: Node) -> Node:
    """The number of the branch that a condition chooses: 1 if it holds."""
    return ops.astype(condition, INT64)
