"""The transpose of one step of a loop: what it takes of the step before it, and what it gives."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from .. import ops
from ..differentiate import marked, reverse
from ..nodes import Node, Operation, by_sequence, now, operations_since
from ..tracing import unknowns
from ..written import depending
from .bodies import Body, body_of, derived
from .flow import or_zeros, plain


class Step(NamedTuple):
    """How many of the inputs of a body are the same for all steps, and how many are carried; the rest are elements."""

    consts: int
    carry: int

    def parts(self, nodes: Sequence[Node]) -> tuple[list[Node], list[Node], list[Node]]:
        """What is the same for all steps, what is carried, and elements."""
        first, second = self.consts, self.consts + self.carry
        return [*nodes[:first]], [*nodes[first:second]], [*nodes[second:]]


class Wanted(NamedTuple):
    """What cotangents are given, by numbers among what is carried and the results, and whose are wanted."""

    carry: tuple[int, ...]
    results: tuple[int, ...]
    consts: tuple[int, ...]
    elements: tuple[int, ...]


class Backward(NamedTuple):
    """The transpose of a step.

    Parameters
    ----------
    body : Body
        Takes, in this order: what is the same for all steps, sums for ``found``, cotangents of ``carry``, elements,
        what was stored, and cotangents of the results. Gives sums, cotangents of ``carry``, those of ``elements``, and
        what ``later`` takes.
    consts : tuple of int
        Which of the inputs it takes that are the same for all steps.
    invariant : Body or None
        What else is the same for all steps, made of all that is.
    elements : tuple of int
        Which elements it takes.
    forward : Body
        The step itself, which gives what is to be stored beside its results.
    stored : int
        How many these are.
    factors : Body or None
        Makes factors of what is the same for all steps, of elements, and of what was stored: for all steps at once.
    passed : tuple of int
        Which of what was stored the body takes beside these.
    carry : tuple of int
        What is carried that has a cotangent.
    found : tuple of int
        Those of the ``consts`` that were wanted and have one.
    given : tuple of int
        Those of the elements.
    later : tuple of (int, int)
        Further ``consts``, whose cotangents are summed up when all steps are done: each with the number of arrays that
        it is the sum of (1), or of the products of (2).
    """

    body: Body
    consts: tuple[int, ...]
    invariant: Body | None
    elements: tuple[int, ...]
    forward: Body
    stored: int
    factors: Body | None
    passed: tuple[int, ...]
    carry: tuple[int, ...]
    found: tuple[int, ...]
    given: tuple[int, ...]
    later: tuple[tuple[int, int], ...]


def backward(body: Body, step: Step, wanted: Wanted, recompute: bool) -> Backward:
    """The transpose of a step; to ``recompute`` is to store nothing but what is carried."""
    key = ("backward", step, wanted, recompute)
    return derived(body, key, lambda: _backward(body, step, wanted, recompute))  # type: ignore[no-any-return]


def _backward(body: Body, step: Step, wanted: Wanted, recompute: bool) -> Backward:
    names, outputs = body.names()
    consts, carry, elements = step.parts(names)
    results = outputs[step.carry :]
    begin = now()
    targets = [*[consts[i] for i in wanted.consts], *carry, *[elements[i] for i in wanted.elements]]
    live = wanted.carry
    while True:
        roots = [*[outputs[i] for i in live], *[results[i] for i in wanted.results]]
        cts = unknowns([plain(node.aval) for node in roots])
        pulled = reverse(roots, cts, targets)
        of_consts, of_carry, of_elements = Step(len(wanted.consts), step.carry).parts(pulled)  # type: ignore[arg-type]
        grown = {*live, *[i for i, ct in enumerate(of_carry) if ct is not None]}
        if grown == set(live):
            break
        live = tuple(sorted(grown))
    marked(pulled, begin)
    by_const = {i: ct for i, ct in zip(wanted.consts, of_consts, strict=True) if ct is not None}
    room = sum([outputs[i].aval.size for i in live])
    later = {} if recompute else {i: kept for i, ct in by_const.items() if (kept := _summands(ct, room))}
    found = [i for i in by_const if i not in later]
    sums = unknowns([plain(consts[i].aval) for i in found])
    given = [i for i, ct in zip(wanted.elements, of_elements, strict=True) if ct is not None]
    added = [total + by_const[i] for total, i in zip(sums, found, strict=True)]
    marked(added, sums[-1].sequence if sums else begin)
    made = [
        *added,
        *or_zeros([of_carry[i] for i in live], [outputs[i] for i in live]),
        *[ct for ct in of_elements if ct is not None],
        *[x for kept in later.values() for x in kept],
    ]
    inside = operations_since(made, -1, names) if recompute else _inside(made, [*cts, *sums])
    own = {*inside, *cts, *sums}
    taken = [x for x in dict.fromkeys([x for op in inside for x in op.inputs] + made) if x not in own]
    varying = {*carry, *elements, *depending([*carry, *elements], taken)}
    same = [x for x in consts if x in taken]
    invariant = [x for x in taken if isinstance(x, Operation) and x not in varying]
    read = [i for i, x in enumerate(elements) if x in taken]
    needed = [x for x in taken if x in varying and x not in elements]
    factors = {} if recompute else _factors(needed, {*names, *operations_since(outputs, -1, names)}, consts)
    direct = [x for x in needed if x not in factors]
    made_of = [x for kept in factors.values() for x in kept if x not in elements and x not in consts]
    stored = [*dict.fromkeys([*direct, *made_of])]
    n = len(live)
    transposed = body_of(
        [*same, *invariant, *sums, *cts[:n], *[elements[i] for i in read], *direct, *factors, *cts[n:]], made, inside
    )
    return Backward(
        transposed,
        tuple([i for i, x in enumerate(consts) if x in taken]),
        body_of(consts, invariant) if invariant else None,
        tuple(read),
        body_of(names, [*outputs, *stored]),
        len(stored),
        body_of([*consts, *elements, *stored], [*factors]) if factors else None,
        tuple([stored.index(x) for x in direct]),
        live,
        tuple(found),
        tuple(given),
        tuple([(i, len(kept)) for i, kept in later.items()]),
    )


def _factors(needed: Sequence[Node], own: Container[Node], consts: Sequence[Node]) -> dict[Node, list[Node]]:
    """What is needed of a step and made, element by element, of what the step itself computed; and of what of that.

    For all steps at once that takes as many calls as for one.
    """
    found: dict[Node, list[Node]] = {}
    for x in needed:
        if x in own:
            continue
        taken: dict[Node, None] = {}
        stack, seen = [x], {x}
        while stack:
            node = stack.pop()
            if node in own:
                taken[node] = None
                if node.aval.shape != x.aval.shape and node not in consts:
                    break
            elif isinstance(node, Operation):
                if node.signature.primitive.kind != "elementwise" or node.aval.shape != x.aval.shape:
                    break
                fresh = [y for y in node.inputs if y not in seen]
                seen.update(fresh)
                stack += fresh
        else:
            found[x] = [*taken]
    return found


def _summands(ct: Node, room: int) -> list[Node]:
    """What is kept of each step to sum up a cotangent later: itself, or two factors; nothing if that is too much.

    The sum of outer products is one product of matrices.
    """
    if ct.primitive is ops.matmul_p and ct.inputs[0].aval.ndim == ct.inputs[1].aval.ndim == 2:
        u, v = ct.inputs
        if u.aval.size + v.aval.size <= ct.aval.size and u.aval.dtype == v.aval.dtype == ct.aval.dtype:
            return [u, v]
    return [ct] if ct.aval.size <= room else []


def summed_up(factors: Sequence[Node]) -> Node:
    """A cotangent, from what was kept of all steps along the first axis."""
    if len(factors) == 1:
        return ops.sum(factors[0], (0,))
    u, v = factors
    length, n, k = u.aval.shape
    return ops.matmul(
        ops.reshape(ops.transpose(u, (1, 0, 2)), (n, length * k)), ops.reshape(v, (length * k, v.aval.shape[2]))
    )


def _inside(made: Sequence[Node], given: Sequence[Node]) -> list[Operation]:
    """The operations that depend on what is given, and those beside that are computed again rather than stored."""
    inside = {*depending(given, made)}
    own = {*inside, *given}
    stack = [x for op in inside for x in op.inputs if x not in own]
    stack += [x for x in made if x not in own]
    while stack:
        x = stack.pop()
        if x not in own and isinstance(x, Operation) and _is_look(x):
            own.add(x)
            inside.add(x)
            stack += x.inputs
    return sorted(inside, key=by_sequence)


def _is_look(op: Operation) -> bool:
    """Whether a value is another look at one that is there, or cannot be stored; a part of several outputs can."""
    primitive = op.signature.primitive
    return bool(op.aval.parts) or (primitive is not ops.part_p and (op.signature.is_view or primitive.kind == "view"))
