"""Recorded graphs and their derivatives as diagrams: what ``draw`` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arguments import count
from .convert import describe
from .core.avals import FLOAT64, Aval
from .core.primitives import Signature
from .core.program import Program, prune
from .display.diagrams import Diagram, Edge, Vertex
from .display.folding import Fold, folded
from .display.ink import picture
from .display.pictures import Picture
from .display.texts import TIMES
from .display.texts import shape as shape_text
from .errors import DifferentiationError
from .nodes import Constant, Node, Variable, history, is_fixed
from .noting import notes
from .plan import build
from .plan.simplify import simplify
from .tensor import Tensor
from .tracebacks import boundary

# Boxes of operations that are drawn, and of anything else.
MOST_BOXES = 60

SYMBOLS = {
    "add": "+",
    "subtract": "\N{MINUS SIGN}",
    "multiply": TIMES,
    "divide": "÷",
    "power": "^",
    "matmul": "@",
    "negative": "\N{MINUS SIGN}x",
    "square": "x²",
    "reciprocal": "1/x",
    "identity": "=",
}


@boundary
def draw(y: Any, *, most: int = MOST_BOXES) -> Picture:
    """The graph that was recorded for a Tensor, as a picture.

    Parameters
    ----------
    y : Tensor or list of Tensor
        What to draw: it, and all that it was computed from.
    most : int, optional
        How many boxes of operations are drawn. A larger graph is folded: what was recorded in one ``autodiff.scope`` is
        one box, what repeats is drawn once, and the rest is put together by nearness.

    Returns
    -------
    Picture
        Notebooks show it. It has the text ``svg``, and ``save(path)``.

    Raises
    ------
    DifferentiationError
        If ``y`` is no Tensor.
    ArgumentError
        If ``most`` is less than 1.

    See Also
    --------
    Graph.draw : The same with the derivatives.
    scope : Names what is recorded.

    Notes
    -----
    Nothing is computed. Point at a box to see shapes, dtypes and parameters, and the line if it was recorded in
    ``autodiff.record_lines``. If graphviz is installed its ``dot`` places the boxes.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> x = ad.Tensor([1.0, 2.0], name="x")
    >>> picture = ad.draw(np.sum(np.tanh(x) ** 2))
    >>> "tanh" in picture.svg
    True
    """
    tensors = list(y) if isinstance(y, (list, tuple)) else [y]
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            which = f"y[{i}]" if isinstance(y, (list, tuple)) else "y"
            raise DifferentiationError(
                f"draw: {which} is {describe(tensor)}, not a Tensor; give what was "
                "computed from Tensors: ad.draw(f(ad.Tensor(x))) for a function"
            )
    roots = [tensor.node for tensor in tensors]
    names = [tensor.name or ("y" if len(tensors) == 1 else f"y[{i}]") for i, tensor in enumerate(tensors)]
    leaves = _leaves(roots)
    program = build(leaves, roots, tracked=True)
    return picture(_Drawn(prune(program), leaves, names, [], count(most, "draw: most")).diagram())


def drawn(dy: Tensor, dx: Sequence[Tensor], n: int, found: Sequence[Node], most: int | None) -> Picture:
    """What was recorded for ``dy``, and its derivatives, as they are before a backend has them."""
    roots = [dy.node, *found]
    leaves = _leaves(roots)
    program = prune(build(leaves, roots, simplify, tracked=True))
    order = "" if n == 1 else "".join(["⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(n)])
    y = dy.name or "y"
    names = [x.name or (f"x{i}" if len(dx) > 1 else "x") for i, x in enumerate(dx)]
    wanted = [f"d{order}{y} / d{name}{order}" for name in names]
    limit = MOST_BOXES if most is None else count(most, "draw: most")
    return picture(_Drawn(program, leaves, [y], wanted, limit).diagram())


def _leaves(roots: Sequence[Node]) -> list[Node]:
    return [x for x in history(*roots) if not x.inputs and not is_fixed(x)]


class _Drawn:
    """A diagram in the making: of a program whose first outputs are results, and the others their derivatives."""

    def __init__(self, program: Program, leaves: Sequence[Node], names: list[str], wanted: Sequence[str], most: int):
        self._program, self._leaves, self._names, self._wanted, self._most = program, leaves, names, wanted, most
        self._items = program.applications()
        self._own = _needed(program, program.outputs[: len(names)])
        self._folds = self._folded()
        self._vertices: list[Vertex] = []
        self._edges: dict[tuple[int, int, bool], None] = {}
        # Of each value the vertex, and in which repetition it is.
        self._place: dict[int, tuple[int, int]] = {}
        self._runs: dict[int, int] = {}

    def _half(self, number: int) -> int:
        return int(bool(self._wanted) and number not in self._own)

    def _folded(self) -> list[Fold]:
        letters = [_letter(signature) for _, signature, _ in self._items]
        scopes = [self._scope(number) for number, _, _ in self._items]
        return folded(letters, scopes, [self._half(number) for number, _, _ in self._items], self._most)

    def _scope(self, number: int) -> tuple[str, ...]:
        note = notes.get(self._origin(number))
        return () if note is None else note.scope

    def _origin(self, number: int) -> Any:
        assert self._program.origins is not None
        return self._program.origins[number]

    def diagram(self) -> Diagram:
        """All of it."""
        boxes = {i: fold for fold in self._folds for i in fold.members}
        consumers: dict[int, dict[tuple[int, int], None]] = {}
        places = {id(fold): i for i, fold in enumerate(self._folds)}
        for i, (_, _, arguments) in enumerate(self._items):
            for position, a in enumerate(arguments):
                if self._is_leaf(a):
                    consumers.setdefault(a, {})[places[id(boxes[i])], position] = None
        for a in self._program.outputs:
            if self._is_leaf(a):
                consumers.setdefault(a, {})
        self._add_leaves(consumers)
        self._runs = {len(self._vertices) + i: fold.run for i, fold in enumerate(self._folds)}
        for fold in self._folds:
            number = len(self._vertices)
            self._vertices.append(self._box(fold))
            for turn, members in enumerate(fold.turns):
                for i in members:
                    self._place[self._items[i][0]] = number, turn
        for number, _, arguments in self._items:
            for a in arguments:
                if a in self._place:
                    self._join(a, number)
        self._add_results()
        headings = ("recorded", "derivative") if self._wanted else ()
        edges = [Edge(source, target, carried) for source, target, carried in self._edges]
        return Diagram(self._vertices, edges, headings, self._remarks())

    def _remarks(self) -> list[str]:
        if not any(edge for *_, edge in self._edges) and not any(fold.run >= 0 for fold in self._folds):
            return []
        return ["Stacked boxes repeat as often as they say. Dashed arrows lead from one repetition to the next."]

    def _is_leaf(self, a: int) -> bool:
        """Whether a value is drawn though nothing made it: numbers and indices stand in the boxes that take them."""
        program = self._program
        if program.signatures[a] is not None:
            return False
        aval = program.avals[a]
        return a not in program.constants or (aval.literal is None and aval.spec is None and not aval.weak)

    def _join(self, source: int, target: int) -> None:
        (u, i), (v, j) = self._place[source], self._place[target]
        if u == v and i == j:
            return
        run_u, run_v = (self._runs.get(x, -1) for x in (u, v))
        self._edges[u, v, run_u >= 0 and run_u == run_v and i != j] = None

    # --- boxes -------------------------------------------------------------------------------------------------------

    def _add_leaves(self, consumers: dict[int, dict[tuple[int, int], None]]) -> None:
        keys: list[Any] = [
            lambda a: a,
            lambda a: (self._program.avals[a], tuple(consumers[a]), type(self._node(a))),
            lambda a: tuple(consumers[a]),
            lambda a: self._leaf_half(consumers[a]),
        ]
        for key in keys:
            groups: dict[Any, list[int]] = {}
            for a in consumers:
                groups.setdefault(key(a), []).append(a)
            if len(groups) <= self._most:
                break
        for members in groups.values():
            number = len(self._vertices)
            self._vertices.append(self._leaf(members, self._leaf_half(consumers[members[0]])))
            for a in members:
                self._place[a] = number, 0

    def _leaf_half(self, consumers: dict[tuple[int, int], None]) -> int:
        """In which column it is: with what was recorded, unless only derivatives take it."""
        if not consumers:
            return 0
        return min([self._half(self._items[self._folds[box].members[0]][0]) for box, _ in consumers])

    def _node(self, a: int) -> Node | None:
        return self._leaves[a] if a < self._program.n_inputs else None

    def _leaf(self, members: list[int], block: int) -> Vertex:
        nodes = [self._node(a) for a in members]
        named = [
            node.slot.name for node in nodes if isinstance(node, (Variable, Constant)) and node.slot and node.slot.name
        ]
        is_variable = isinstance(nodes[0], Variable)
        label = ("variable" if is_variable else "constant") if not named else named[0]
        if len(members) > 1 and named and named[-1] != label:
            label = f"{label} … {named[-1]}"
        aval = self._program.avals[members[0]]
        tip = f"{'variable' if is_variable else 'constant'} {aval!r}"
        return Vertex("variable" if is_variable else "constant", _short(label), _detail(aval), tip, block, len(members))

    def _box(self, fold: Fold) -> Vertex:
        members = fold.members
        number, signature, _ = self._items[members[0]]
        block = self._half(number)
        is_derived = bool(block) or signature.is_derived
        if len(fold.turns[0]) == 1 and not fold.name:
            label = self._label([self._items[turn[0]] for turn in fold.turns])
            kind = "derived" if is_derived else "operation"
            return Vertex(
                kind, _short(label), _detail(signature.out), self._tip(number, signature), block, len(fold.turns)
            )
        counts = Counter([self._items[i][1].title for i in fold.turns[0]])
        total = len(fold.turns[0])
        most = ", ".join([name if n == 1 else f"{n} {name}" for name, n in counts.most_common(2)])
        rest = f", {len(counts) - 2} more kinds" if len(counts) > 2 else ""
        tip = "\n".join([f"{n} {TIMES} {name}" for name, n in counts.most_common(12)])
        kind = "derived group" if is_derived else "group"
        detail = f"{most}{rest}" if fold.name else ""
        return Vertex(
            kind, _short(fold.name or f"{most}{rest}", 44), detail, f"{total} operations\n{tip}", block, len(fold.turns)
        )

    def _label(self, items: list[Any]) -> str:
        """What an operation is called; numbers that it takes stand in its name, unless repetitions have others."""
        _, signature, arguments = items[0]
        program, name = self._program, signature.title
        symbol = SYMBOLS.get(name)
        numbers = {}
        for place, a in enumerate(arguments):
            aval = program.avals[a]
            if a in program.constants and aval.spec is None and (aval.literal is not None or aval.weak):
                values = {repr(program.constants.get(args[place])) for _, _, args in items}
                numbers[place] = _number(program.constants[a]) if len(values) == 1 else "·"
        if symbol and len(arguments) == 2 and len(numbers) == 1:
            ((place, text),) = numbers.items()
            return f"{text} {symbol} x" if place == 0 else f"{symbol} {text}"
        if symbol:
            return symbol
        return str(name) + (f" {', '.join(numbers.values())}" if numbers else "")

    def _tip(self, number: int, signature: Signature) -> str:
        lines = [f"{signature!r} -> {signature.out!r}"]
        note = notes.get(self._origin(number))
        if note is not None:
            if note.order:
                lines.append(f"in the derivative of {note.name}")
            if note.number:
                lines.append(note.line)
            elif note.scope:
                lines.append("/".join(note.scope))
        return "\n".join(lines)

    def _add_results(self) -> None:
        """What comes out, behind what makes it."""
        outputs = self._program.outputs
        texts = [*[(name, "result", 0) for name in self._names], *[(text, "gradient", 1) for text in self._wanted]]
        if len(texts) > self._most:
            texts = [
                *texts[: len(self._names)],
                *[(f"{len(self._wanted)} derivatives", "gradient", 1)] * len(self._wanted),
            ]
        made: dict[tuple[str, str, int], int] = {}
        for a, text in zip(outputs, texts, strict=True):
            number = made.get(text) if text[0].endswith(" derivatives") else None
            if number is None:
                number = made[text] = len(self._vertices)
                self._vertices.append(Vertex(text[1], _short(text[0]), _detail(self._program.avals[a]), "", text[2]))
            if a in self._place:
                self._edges[self._place[a][0], number, False] = None


def _needed(program: Program, outputs: Sequence[int]) -> set[int]:
    """The values that some outputs are made of."""
    found, stack = set(outputs), list(outputs)
    while stack:
        for a in program.arguments[stack.pop()]:
            if a not in found:
                found.add(a)
                stack.append(a)
    return found


def _letter(signature: Signature) -> Any:
    """What an operation is, whatever numbers it takes."""
    inputs = [(aval.shape, aval.dtype.str, aval.weak) for aval in signature.inputs]
    if signature.primitive.commutative:
        inputs.sort()
    return signature.primitive, tuple(inputs), signature.out, signature.is_derived


def _detail(aval: Aval) -> str:
    if aval.parts:
        return ", ".join([shape_text(part.shape) for part in aval.parts[:3]])
    return shape_text(aval.shape) + ("" if aval.dtype == FLOAT64 else f" {aval.dtype.name}")


def _number(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return _short(str(value), 12)
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _short(text: str, longest: int = 26) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
