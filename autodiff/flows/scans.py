"""``scan``: a body that is repeated for the elements of arrays, and carries something from step to step."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Sequence
from typing import Any

from .. import ops
from ..backend import Backend
from ..batch import Batch
from ..core.avals import Aval, several
from ..differentiate import Forward, marked
from ..nodes import Node, Operation, now
from ..tracing import unknowns
from .backward import Backward, Step, Wanted, backward, summed_up
from .bodies import Body, body_of, derived
from .flow import Covers, Flow, Runner, of_batch, or_zeros, plain, present, stacked
from .running import scan_runner


@dataclasses.dataclass(frozen=True)
class Scan(Flow):
    """A body repeated so often: from what is the same for all steps, what is carried, and elements.

    Its operands are these, with arrays of elements; its outputs what is carried at last, and arrays of results.

    Parameters
    ----------
    body : Body
    length : int
        How many steps there are, at least one.
    step : Step
        How many inputs of the body are the same for all steps, and how many are carried.
    along, onto : tuple of int
        The axis of each array that elements are along, and of each array of results.
    reverse : bool
        Whether the last elements come first.
    recompute : bool
        Whether derivatives compute again what a step computed, rather than that all of it is stored.
    """

    name = "scan"

    body: Body
    length: int
    step: Step
    along: tuple[int, ...]
    onto: tuple[int, ...]
    reverse: bool = False
    recompute: bool = False

    def infer(self, inputs: Sequence[Aval]) -> Aval:
        """What is known of the outputs."""
        n = self.step.carry
        avals = [plain(aval.at(None)) for aval in self.body.avals]
        results = zip(avals[n:], self.onto, strict=True)
        return several([*avals[:n], *[stacked(aval, self.length, axis) for aval, axis in results]])

    def operands(self) -> Sequence[Aval]:
        """What is known of the operands, as far as these may be Python numbers."""
        return self.body.inputs[: self.step.consts]

    def __repr__(self) -> str:
        return f"<{self.length} steps{' backwards' if self.reverse else ''} of {self.body!r}>"

    def runner(self, backend: Backend) -> Runner:
        """What computes it from arrays."""
        return scan_runner(self.body, backend, self.length, self.step, self.along, self.onto, self.reverse)

    def only(self, used: Container[int]) -> tuple[Flow, tuple[int, ...]] | None:
        """The same without arrays of results that are not used, if there are any."""
        first = self.step.carry
        kept = tuple([i for i in range(len(self.body.outputs)) if i < first or i in used])
        if len(kept) == len(self.body.outputs):
            return None

        def thinner() -> Body:
            names, outputs = self.body.names()
            return body_of(names, [outputs[i] for i in kept])

        body = derived(self.body, ("only", kept), thinner)
        onto = tuple([self.onto[i - first] for i in kept[first:]])
        return self.but(body=body, onto=onto, covers=None), kept

    # --- derivatives -------------------------------------------------------------------------------------------------

    def pull(self, cts: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        """Cotangents, by a scan in the other direction over what was stored of each step."""
        step = self.step
        consts, init, arrays = step.parts(op.inputs)
        first, second = step.consts, step.consts + step.carry
        wanted = Wanted(
            present(cts[: step.carry]),
            present(cts[step.carry :]),
            tuple([i for i in positions if i < first]),
            tuple([i - second for i in positions if i >= second]),
        )
        back = backward(self.body, step, wanted, self.recompute)
        onto = self.onto + (0,) * back.stored
        kept: tuple[Node, ...] = ()
        if back.stored:
            outputs = tuple(range(len(self.body.outputs)))
            covers = Covers(self, tuple(range(len(op.inputs))), outputs)
            forward = self.but(body=back.forward, onto=onto, covers=covers)
            kept = forward(*op.inputs)[len(outputs) :]
        kept = (*[kept[i] for i in back.passed], *self._factors(back, consts, arrays, kept))
        same = [consts[i] for i in back.consts]
        if back.invariant is not None:
            same += back.invariant.record(consts)
        sums = or_zeros([None] * len(back.found), [consts[i] for i in back.found])
        carried = or_zeros([cts[i] for i in back.carry], [init[i] for i in back.carry])
        results = [ct for ct in cts[step.carry :] if ct is not None]
        along = [self.along[i] for i in back.elements] + [0] * len(kept) + [self.onto[i] for i in wanted.results]
        transposed = Scan(
            back.body,
            self.length,
            Step(len(same), len(sums) + len(carried)),
            tuple(along),
            (*[self.along[i] for i in back.given], *[0] * sum([count for _, count in back.later])),
            not self.reverse,
            self.recompute,
            backend=self.backend,
        )
        found = transposed(*same, *sums, *carried, *[arrays[i] for i in back.elements], *kept, *results)
        by_position = dict(zip(back.found, found, strict=False))
        found = found[len(sums) :]
        by_position.update(zip([first + i for i in back.carry], found, strict=False))
        found = found[len(carried) :]
        by_position.update(zip([second + i for i in back.given], found, strict=False))
        found = found[len(back.given) :]
        for i, factors in back.later:
            by_position[i] = summed_up(found[:factors])
            found = found[factors:]
        return [by_position.get(i) for i in positions]

    def _factors(
        self, back: Backward, consts: Sequence[Node], arrays: Sequence[Node], kept: Sequence[Node]
    ) -> list[Node]:
        """Factors of all steps along the first axis, from elements and what was kept."""
        if back.factors is None:
            return []
        names = unknowns(back.factors.inputs)
        outputs = back.factors.record([*consts, *names[len(consts) :]])
        rows = [ops.moveaxis(x, axis, 0) for x, axis in zip(arrays, self.along, strict=True)]
        begin = now()
        found = Batch(self.length, dict(zip(names[len(consts) :], [*rows, *kept], strict=True))).of_all(outputs)
        marked(found, begin)
        return found

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> tuple[Node | None, ...]:
        """Tangents, by a scan that carries them beside."""
        step = self.step
        body, live, moving = with_tangents(self.body, step, tuple([t is not None for t in tangents]))
        consts, init, arrays = step.parts(op.inputs)
        of_consts, of_init, of_arrays = step.parts(tangents)  # type: ignore[arg-type]
        own_consts = [t for t in of_consts if t is not None]
        own_init = or_zeros([of_init[i] for i in live], [init[i] for i in live])
        pairs = [(t, axis) for t, axis in zip(of_arrays, self.along, strict=True) if t is not None]
        n, m, k = len(own_consts), len(live), step.carry
        first, second = step.consts + n, step.consts + n + k + m
        covers = Covers(
            self,
            (*range(step.consts), *range(first, first + k), *range(second, second + len(arrays))),
            (*range(k), *range(k + m, k + m + len(self.onto))),
        )
        joint = self.but(
            body=body,
            step=Step(step.consts + n, k + m),
            along=(*self.along, *[axis for _, axis in pairs]),
            onto=(*self.onto, *[self.onto[i] for i in moving]),
            covers=covers,
        )
        found = joint(*consts, *own_consts, *init, *own_init, *arrays, *[t for t, _ in pairs])
        result: list[Node | None] = [None] * len(self.body.outputs)
        for i, t in zip(live, found[k:], strict=False):
            result[i] = t
        for i, t in zip(moving, found[k + m + len(self.onto) :], strict=True):
            result[k + i] = t
        return tuple(result)

    # --- batches -----------------------------------------------------------------------------------------------------

    def batched(self, batch: Batch, op: Operation) -> tuple[Node, ...]:
        """One loop of steps for all elements."""
        step = self.step
        flags = [batch.whole(x) is not None for x in op.inputs]
        first, second = step.consts, step.consts + step.carry
        names, outputs = self.body.names()
        while True:
            inputs, found, inner = of_batch(batch, names, outputs, flags)
            grown = [flag or found[i] is not None for i, flag in enumerate(flags[first:second])]
            if grown == flags[first:second]:
                break
            flags[first:second] = grown
        carried = zip(outputs, found, grown, strict=False)
        made = [inner.of_all([one])[0] if flag else one for one, _, flag in carried]
        made += [one if whole is None else whole for one, whole in zip(outputs, found, strict=True)][step.carry :]
        every = [*grown, *[whole is not None for whole in found[step.carry :]]]
        body = body_of(inputs, made)
        flow = self.but(
            body=body,
            along=tuple([axis + flag for axis, flag in zip(self.along, flags[second:], strict=True)]),
            onto=tuple([axis + flag for axis, flag in zip(self.onto, every[step.carry :], strict=True)]),
            covers=None,
        )
        return all_of(batch, flow(*operands_of(batch, op, flags)), every)


def operands_of(batch: Batch, op: Operation, flags: Sequence[bool]) -> list[Node]:
    """The operands for a batch, those that differ for all elements."""
    found: list[Node] = []
    for x, flag in zip(op.inputs, flags, strict=True):
        whole = batch.whole(x)
        found.append(x if not flag else batch.repeated(x) if whole is None else whole)
    return found


def all_of(batch: Batch, outputs: Sequence[Node], flags: Sequence[bool]) -> tuple[Node, ...]:
    """Outputs for all elements, of which some are the same for all."""
    return tuple([x if flag else batch.repeated(x) for x, flag in zip(outputs, flags, strict=True)])


def pushed(body: Body, live: Sequence[bool]) -> tuple[list[Node], list[Node], dict[int, Node], list[Node | None]]:
    """The names of the inputs, outputs, tangents of those inputs that have any, and tangents of the outputs."""
    names, outputs = body.names()
    begin = now()
    places = [i for i, flag in enumerate(live) if flag]
    tangents = dict(zip(places, unknowns([plain(names[i].aval) for i in places]), strict=True))
    forward = Forward({names[i]: t for i, t in tangents.items()})
    found = [forward(node) for node in outputs]
    marked(found, begin)
    return names, outputs, tangents, found


def with_tangents(body: Body, step: Step, live: tuple[bool, ...]) -> Any:
    return derived(body, ("push", step, live), lambda: _push(body, step, live))


def _push(body: Body, step: Step, live: tuple[bool, ...]) -> tuple[Body, tuple[int, ...], tuple[int, ...]]:
    """A step with tangents beside; which of what is carried has any, and which results."""
    first, second = step.consts, step.consts + step.carry
    flags = list(live)
    while True:
        names, outputs, tangents, found = pushed(body, flags)
        grown = [flag or found[i] is not None for i, flag in enumerate(flags[first:second])]
        if grown == flags[first:second]:
            break
        flags[first:second] = grown
    carried = tuple([i for i, flag in enumerate(grown) if flag])
    results = present(found[step.carry :])
    consts, carry, elements = step.parts(names)
    own = [[t for i, t in tangents.items() if low <= i < high] for low, high in ((0, first), (first, second))]
    own.append([t for i, t in tangents.items() if i >= second])
    inputs = [*consts, *own[0], *carry, *own[1], *elements, *own[2]]
    moved = or_zeros([found[i] for i in carried], [outputs[i] for i in carried])
    made = [*outputs[: step.carry], *moved, *outputs[step.carry :], *[t for t in found[step.carry :] if t is not None]]
    joint = body_of(inputs, made)
    return joint, carried, results
