"""``while_loop``: a body that is repeated as long as a condition holds, and the reverse of such a loop.

How many steps there are is known only when a plan runs. The loop counts them; its reverse takes that number, keeps what
is carried at some steps, and computes again what is between two of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .. import ops
from ..backend import Backend
from ..batch import Batch
from ..convert import literal
from ..core.avals import INT64, Aval, intern_aval, several
from ..nodes import Node, Operation
from ..tracing import unknowns
from .backward import Backward, Step, Wanted, backward
from .bodies import Body, body_of
from .branches import Switch, number_of
from .flow import Covers, Flow, Runner, of_batch, or_zeros, plain, present
from .running import rewind_runner, while_runner
from .scans import all_of, operands_of, with_tangents

COUNT = intern_aval((), INT64)


@dataclasses.dataclass(frozen=True)
class While(Flow):
    """A body repeated as long as a condition holds; its outputs are what is carried at last, and the number of steps.

    Parameters
    ----------
    test, body : Body
        Both take what is the same for all steps, and what is carried.
    step : Step
        How many of these there are.
    """

    name = "while_loop"

    test: Body
    body: Body
    step: Step

    def infer(self, inputs: Sequence[Aval]) -> Aval:
        """What is known of the outputs."""
        return several([*[plain(aval.at(None)) for aval in self.body.avals], COUNT])

    def operands(self) -> Sequence[Aval]:
        """What is known of the operands, as far as these may be Python numbers."""
        return self.body.inputs[: self.step.consts]

    def __repr__(self) -> str:
        return f"<{self.body!r} while {self.test!r}>"

    def runner(self, backend: Backend) -> Runner:
        """What computes it from arrays."""
        return while_runner(self.test, self.body, backend, self.step)

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> tuple[Node | None, ...]:
        """Tangents, by a loop that carries them beside."""
        step = self.step
        live = tuple([t is not None for t in tangents])
        body, carried, _ = with_tangents(self.body, step, live)
        consts, init, _ = step.parts(op.inputs)
        of_consts, of_init, _ = step.parts(tangents)  # type: ignore[arg-type]
        own = [t for t in of_consts if t is not None]
        moved = or_zeros([of_init[i] for i in carried], [init[i] for i in carried])
        n, k = len(own), step.carry
        first = step.consts + n
        covers = Covers(self, (*range(step.consts), *range(first, first + k)), (*range(k), k + len(carried)))
        joint = self.but(
            test=_widened(self.test, step, body.inputs, n),
            body=body,
            step=Step(first, k + len(carried)),
            covers=covers,
        )
        found = joint(*consts, *own, *init, *moved)
        result: list[Node | None] = [None] * (k + 1)
        for i, t in zip(carried, found[k:], strict=False):
            result[i] = t
        return tuple(result)

    def pull(self, cts: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        """Cotangents, by the reverse of as many steps."""
        count = ops.outputs(op)[-1]
        back = Rewind(self.body, self.step, present(cts[:-1]), tuple(positions), backend=self.backend)
        return back.found(count, op.inputs, [ct for ct in cts[:-1] if ct is not None])

    def batched(self, batch: Batch, op: Operation) -> tuple[Node, ...]:
        """One loop for all elements, until it has ended for all; what an element has then stays as it is."""
        step = self.step
        flags = [batch.whole(x) is not None for x in op.inputs]
        names, outputs = self.body.names()
        (asked,) = self.test.record(names)
        while True:
            inputs, found, inner = of_batch(batch, names, [*outputs, asked], flags)
            if found[-1] is not None:
                return self._of_each(batch, op, flags[: step.consts])
            grown = [flag or found[i] is not None for i, flag in enumerate(flags[step.consts :])]
            if grown == flags[step.consts :]:
                break
            flags[step.consts :] = grown
        made = [inner.of_all([one])[0] if flag else one for one, flag in zip(outputs, grown, strict=True)]
        flow = self.but(test=body_of(inputs, [asked]), body=body_of(inputs, made), covers=None)
        return all_of(batch, flow(*operands_of(batch, op, flags)), [*grown, False])

    def _of_each(self, batch: Batch, op: Operation, flags: Sequence[bool]) -> tuple[Node, ...]:
        """For elements that end by themselves: each counts its steps, and is left alone by those beyond."""
        step = self.step
        names = unknowns(self.body.inputs)
        (number,) = unknowns([COUNT])
        given = [*names[: step.consts], number, *names[step.consts :]]
        (asked,) = self.test.record(names)
        outputs = _where(asked, step, given, [number + literal(1), *self.body.record(names)])
        own = [*flags, *[True] * (1 + step.carry)]
        inputs, _, inner = of_batch(batch, given, [*outputs, asked], own)
        flow = self.but(
            test=body_of(inputs, [ops.any_true(inner.of_all([asked])[0], axes=(0,))]),
            body=body_of(inputs, inner.of_all(outputs)),
            step=Step(step.consts, 1 + step.carry),
            covers=None,
        )
        first = operands_of(batch, op, [*flags, *[True] * step.carry])
        counts, *found = flow(*first[: step.consts], batch.repeated(ops.zeros(COUNT)), *first[step.consts :])[:-1]
        return (*found, counts)


def _where(condition: Node, step: Step, given: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """A step of what goes on, and nothing of what has ended: then all elements may take all steps."""
    goes = body_of(given, outputs)
    stays = body_of(given, given[step.consts :])
    return [*Switch((stays, goes))(number_of(condition), *given)]


def _longest(counts: Node) -> Node:
    """The greatest number of steps that any element has."""
    return ops.amax(counts, axes=(0,)) if counts.aval.size else ops.zeros(COUNT)


def _widened(test: Body, step: Step, inputs: Sequence[Aval], more: int) -> Body:
    """A condition of the same, where there are more constants and more that is carried."""
    names = unknowns(inputs)
    first = step.consts + more
    return body_of(names, test.record([*names[: step.consts], *names[first : first + step.carry]]))


@dataclasses.dataclass(frozen=True)
class Rewind(Flow):
    """The reverse of a number of steps: its operands are that number, those of the loop, and cotangents.

    Parameters
    ----------
    body : Body
        A step.
    step : Step
        How many of its inputs are the same for all steps, and how many are carried.
    given : tuple of int
        What is carried that has a cotangent at the end.
    wanted : tuple of int
        The operands of the loop whose cotangents it gives.
    """

    name = "while_loop"

    body: Body
    step: Step
    given: tuple[int, ...]
    wanted: tuple[int, ...]

    @property
    def back(self) -> Backward:
        """The transpose of a step."""
        consts = tuple([i for i in self.wanted if i < self.step.consts])
        return backward(self.body, self.step, Wanted(self.given, (), consts, ()), True)

    @property
    def reached(self) -> tuple[int, ...]:
        """The operands of the loop that have a cotangent."""
        back = self.back
        some = {*back.found, *[self.step.consts + i for i in back.carry]}
        return tuple([i for i in self.wanted if i in some])

    def found(self, count: Node, operands: Sequence[Node], cts: Sequence[Node]) -> list[Node | None]:
        """The cotangents of what is wanted."""
        reached = self.reached
        if not reached:
            return [None] * len(self.wanted)
        by_place = dict(zip(reached, self.but(wanted=reached)(count, *operands, *cts), strict=True))
        return [by_place.get(i) for i in self.wanted]

    def infer(self, inputs: Sequence[Aval]) -> Aval:
        """What is known of the outputs."""
        return several([plain(self.body.inputs[i].at(None)) for i in self.wanted])

    def operands(self) -> Sequence[Aval]:
        """What is known of the operands, as far as these may be Python numbers."""
        return [COUNT, *self.body.inputs[: self.step.consts]]

    def __repr__(self) -> str:
        return f"<the reverse of {self.body!r}>"

    def runner(self, backend: Backend) -> Runner:
        """What computes it from arrays."""
        return rewind_runner(self.body, self.back, backend, self.step, self.given, self.wanted)

    def _operands(self, op: Operation) -> tuple[Node, list[Node], list[Node]]:
        """The number of steps, the operands of the loop, and cotangents."""
        count, *rest = op.inputs
        n = self.step.consts + self.step.carry
        return count, rest[:n], rest[n:]

    # The reverse of a loop is linear in cotangents, and its derivative in another direction is the reverse of the loop
    # that carries tangents in that direction: the second derivative is symmetric.

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> tuple[Node | None, ...]:
        """Tangents, by the reverse of the loop with tangents."""
        count, operands, cts = self._operands(op)
        _, of_operands, of_cts = tangents[0], tangents[1 : 1 + len(operands)], tangents[1 + len(operands) :]
        return tuple(self._along(count, operands, of_operands, cts, of_cts, self.wanted))

    def _along(
        self,
        count: Node,
        operands: Sequence[Node],
        tangents: Sequence[Node | None],
        cts: Sequence[Node],
        of_cts: Sequence[Node | None],
        wanted: Sequence[int],
    ) -> list[Node | None]:
        """The derivatives of cotangents of operands, along tangents of the operands and of the given cotangents."""
        step = self.step
        body, carried, _ = with_tangents(self.body, step, tuple([t is not None for t in tangents]))
        joint, places = self._joint(operands, tangents, carried)
        n = len(joint) - step.consts - step.carry - len(carried)
        first = step.consts + n
        given = [(i, ct) for i, ct in zip(self.given, of_cts, strict=True) if ct is not None]
        moved = {i: step.carry + k for k, i in enumerate(carried)}
        given += [(moved[i], ct) for i, ct in zip(self.given, cts, strict=True) if i in moved]
        if not given:
            return [None] * len(wanted)
        given.sort(key=lambda pair: pair[0])
        flow = Rewind(
            body,
            Step(first, step.carry + len(carried)),
            tuple([i for i, _ in given]),
            tuple([places[i] for i in wanted]),
            backend=self.backend,
        )
        return flow.found(count, joint, [ct for _, ct in given])

    def _joint(
        self, operands: Sequence[Node], tangents: Sequence[Node | None], carried: Sequence[int]
    ) -> tuple[list[Node], list[int]]:
        """The operands of the loop with tangents, and the places among these of those of the loop."""
        step = self.step
        consts, init, _ = step.parts(operands)
        of_consts, of_init, _ = step.parts(tangents)  # type: ignore[arg-type]
        own = [t for t in of_consts if t is not None]
        moved = or_zeros([of_init[i] for i in carried], [init[i] for i in carried])
        first = step.consts + len(own)
        return [*consts, *own, *init, *moved], [*range(step.consts), *range(first, first + step.carry)]

    def pull(self, cts: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        """Cotangents: of cotangents by the loop with tangents, of what is carried by the reverse of that."""
        count, operands, own = self._operands(op)
        tangents: list[Node | None] = [None] * len(operands)
        for i, ct in zip(self.wanted, cts, strict=True):
            tangents[i] = ct
        n = len(operands)
        wanted = [i - 1 for i in positions if 1 <= i <= n]
        found = self._along(count, operands, tangents, own, [None] * len(own), wanted) if wanted else []
        by_position = {i + 1: ct for i, ct in zip(wanted, found, strict=True)}
        if any(i > n for i in positions):
            forward = self._forward(count, operands, tangents)
            by_position.update({n + 1 + k: forward[i] for k, i in enumerate(self.given)})
        return [by_position.get(i) for i in positions]

    def _forward(self, count: Node, operands: Sequence[Node], tangents: Sequence[Node | None]) -> list[Node | None]:
        """The tangents of what is carried, after so many steps."""
        step = self.step
        body, carried, _ = with_tangents(self.body, step, tuple([t is not None for t in tangents]))
        joint, _ = self._joint(operands, tangents, carried)
        first = len(joint) - step.carry - len(carried)
        names, outputs = body.names()
        end, number = unknowns([COUNT, COUNT])
        given = [end, *names[:first], number, *names[first:]]
        loop = While(
            body_of(given, [ops.less(number, end)]),
            body_of(given, [number + literal(1), *outputs]),
            Step(1 + first, 1 + len(outputs)),
            backend=self.backend,
        )
        found = loop(count, *joint[:first], ops.zeros(COUNT), *joint[first:])
        result: list[Node | None] = [None] * step.carry
        for i, t in zip(carried, found[1 + step.carry :], strict=False):
            result[i] = t
        return result

    def batched(self, batch: Batch, op: Operation) -> tuple[Node, ...]:
        """The reverse of as many steps as any element has; those that an element has not do nothing to it."""
        step, (count, operands, cts) = self.step, self._operands(op)
        names = unknowns(self.body.inputs)
        end, number = unknowns([COUNT, COUNT])
        given = [end, *names[: step.consts], number, *names[step.consts :]]
        each = batch.whole(count) is not None
        outputs = self.body.record(names)
        if each:
            outputs = _where(ops.less(number, end), step, names, outputs)
        # Cotangents are of each element, so what they are of is, too.
        flags = [each, *[batch.whole(x) is not None for x in operands[: step.consts]], False]
        flags += [batch.whole(x) is not None for x in operands[step.consts :]]
        moved = [1 + i + (i >= step.consts) for i in self.wanted]
        for i in moved:
            flags[i] = True
        for i, ct in zip(self.given, cts, strict=True):
            flags[2 + step.consts + i] |= batch.whole(ct) is not None
        flags[2 + step.consts :] = [flag or each for flag in flags[2 + step.consts :]]
        while True:
            inputs, found, inner_ = of_batch(batch, given, outputs, flags)
            grown = [flag or found[i] is not None for i, flag in enumerate(flags[2 + step.consts :])]
            if grown == flags[2 + step.consts :]:
                break
            flags[2 + step.consts :] = grown
        made = [inner_.of_all([one])[0] if flag else one for one, flag in zip(outputs, grown, strict=True)]
        flow = Rewind(
            body_of(inputs, [inputs[1 + step.consts] + literal(1), *made]),
            Step(1 + step.consts, 1 + step.carry),
            tuple([1 + i for i in self.given]),
            tuple(moved),
            backend=self.backend,
        )

        def whole(x: Node, flag: bool) -> Node:
            found = batch.whole(x)
            return found if found is not None else batch.repeated(x) if flag else x

        own = [count, *operands[: step.consts], ops.zeros(COUNT), *operands[step.consts :]]
        longest = batch.whole(count)
        total = count if longest is None else _longest(longest)
        values = [whole(x, flag) for x, flag in zip(own, flags, strict=True)]
        vectors = [whole(ct, grown[i]) for i, ct in zip(self.given, cts, strict=True)]
        return flow(total, *values, *vectors)
