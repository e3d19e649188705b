"""Results that are computed again where a derivative needs what they are made of.

What a function recorded is a *body* with operands: the nodes of the outside that it is made of. Its results are outputs
of one operation, which holds them and the operands. A derivative does not pass through the results: it is that of the
body, recorded anew on the operands *after* the cotangents are known. So nothing between operands and results has to
stay until then. What the derivative is made of is a body in turn, and so for derivatives of any order.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import ops
from .batch import Batch
from .differentiate import Forward, marked, reverse
from .memo import Memo
from .nodes import Node, Operation, now, operations_since
from .tracing import unknowns
from .written import Body, body_with


class Recomputed:
    """The rule of results that are computed again.

    Parameters
    ----------
    body : Body
        From operands to results, and to those of its nodes that are stored.
    results : int
        How many results there are.
    operands : int
        How many operands the body has; what is stored follows them.
    late : tuple of int
        The operands that the body waits for.
    """

    __slots__ = ("_body", "_late", "_operands", "_results")

    renews = True

    def __init__(self, body: Body, results: int, operands: int, late: tuple[int, ...]):
        self._body = body
        self._results = results
        self._operands = operands
        self._late = late

    def passes(self, position: int) -> bool:
        """Whether a derivative passes through this operand: it may through each."""
        return position >= 0

    def pull(self, ct: Sequence[Node | None], operands: Sequence[Node]) -> list[Node | None]:
        """Cotangents of the operands."""
        cotangents = [x for x in ct if x is not None]
        begin = now()
        names = _after(operands[: self._operands], cotangents)
        made = self._body.record(names, ())
        since = now()
        outs = [out for out, x in zip(made, ct, strict=False) if out is not None and x is not None]
        places = [i for i, x in enumerate(names) if x.aval.differentiable and not _is_fixed(x)]
        pulled = reverse(outs, cotangents, [names[i] for i in places])
        late = tuple(range(len(operands), len(operands) + len(cotangents)))
        found = self._again(begin, since, names, made, operands, cotangents, pulled, late)
        result: list[Node | None] = [None] * len(operands)
        for i, node in zip(places, found, strict=True):
            result[i] = node
        return result

    def push(self, operands: Sequence[Node], tangents: Sequence[Node | None]) -> list[Node | None]:
        """Tangents of the results."""
        own = operands[: self._operands]
        begin = now()
        names = _after(own, [own[i] for i in self._late])
        made = self._body.record(names, ())
        since = now()
        given = {x: t for x, t in zip(names, tangents, strict=False) if t is not None}
        forward = Forward(given)
        pushed = [out and forward(out) for out in made[: self._results]]
        return self._again(begin, since, names, made, operands, list(given.values()), pushed, self._late)

    def _again(
        self,
        begin: int,
        since: int,
        names: Sequence[Node],
        made: Sequence[Node | None],
        operands: Sequence[Node],
        given: Sequence[Node],
        found: Sequence[Node | None],
        late: tuple[int, ...],
    ) -> list[Node | None]:
        """What was found as results that are computed again in turn, of operands and what is given.

        It was recorded since ``begin`` on ``names``, of which the body ``made`` something, and ``since`` then.
        """
        live = [x for x in found if x is not None]
        # What a user wrote is no derivative, also where it is recorded anew.
        marked(live, since)
        inner = [x for x in made[self._results :] if x is not None]
        stored = operands[self._operands :]
        ends = [*names, *inner, *given]
        body, beside = body_with(ends, operations_since(live, begin, ends), live)
        whole = [*operands, *given, *beside]
        if stored:
            known = _after(stored, [whole[i] for i in late])
            live = [x for x in body.record([*names, *known, *given], beside) if x is not None]
        results = iter(recomputed(live, body, whole, (), late))
        return [x and next(results) for x in found]

    def batched(self, batch: Batch, op: Operation) -> Node:
        """The operation for a whole batch."""
        own, count = op.inputs[1:], self._operands
        wholes = batch(own)
        begin = now()
        names = [x if _is_fixed(x) else unknowns([x.aval])[0] for x in own[:count]]
        made = [x for x in self._body.record(names, ()) if x is not None]
        pairs = zip(names, wholes, strict=False)
        given = {name: unknowns([whole.aval])[0] for name, whole in pairs if whole is not None}
        every = Batch(batch.size, given)
        inner = made[self._results :]
        outputs = [
            *every.of_all(made[: self._results]),
            *[x if whole is None else whole for x, whole in zip(inner, every(inner), strict=True)],
        ]
        ends = [given.get(name, name) for name in names]
        body, beside = body_with(ends, operations_since(outputs, begin, ends), outputs)
        operands = [x if whole is None else whole for x, whole in zip(own, wholes, strict=True)]
        fresh = body.record(_after(operands[:count], [operands[i] for i in self._late]), beside)
        nodes = [x for x in fresh[: self._results] if x is not None]
        return _whole(nodes, body, [*operands[:count], *beside], operands[count:], self._late)


def _is_fixed(x: Node) -> bool:
    """Whether a node is a number of the structure, or no array: it is the same whenever it is used."""
    return x.aval.literal is not None or x.aval.spec is not None


def _after(operands: Sequence[Node], late: Sequence[Node]) -> list[Node]:
    """Fresh names for operands, for what they are after others are known."""
    known = set(late)
    others = [x for x in known if x.aval.size]
    return [
        x if _is_fixed(x) else ops.identity(x) if x in known or x.aval.weak else ops.after(ops.identity(x), others)
        for x in operands
    ]


_rules: Memo[object, Recomputed] = Memo(1 << 9)


def _whole(
    nodes: Sequence[Node], body: Body, operands: Sequence[Node], stored: Sequence[Node], late: tuple[int, ...]
) -> Node:
    """The operation whose outputs are the results."""
    key = (body, len(nodes), len(operands), late)
    rule = _rules.get(key) or _rules.put(key, Recomputed(*key))
    return ops.custom_p(ops.pack_p(*nodes), *operands, *stored, rule=rule)


def recomputed(
    nodes: Sequence[Node], body: Body, operands: Sequence[Node], stored: Sequence[Node], late: tuple[int, ...] = ()
) -> tuple[Node, ...]:
    """Nodes that a body gives for operands, as results that are computed again."""
    return ops.outputs(_whole(nodes, body, operands, stored, late)) if nodes else ()


def recomputed_since(begin: int, nodes: Sequence[Node], stored: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes whose history since a moment is computed again, but for what is stored of it."""
    body, operands = body_with((), operations_since(nodes, begin), [*nodes, *stored])
    return recomputed(nodes, body, operands, stored)
