"""Structures that are met again and again are recognised by code of their own, in a fifth of the time that a key takes.

The code walks from the result to its leaves, and asks of each node what the key would say of it. It gives what the
plan takes; or None for any other structure, which is then found by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

from ..background import Later
from ..core.primitives import Signature
from ..nodes import Argument, Constant, Node
from .collect import VALUED

# What code gives for a result and the nodes that it is differentiated with respect to.
Recogniser = Callable[[Node, Sequence[Node]], "list[Any] | None"]

# Uses of a plan after which code is written for its structure: that takes 20 us an operation.
USES = 3
# Operations in a structure that is written at once, and in one that is written at all.
SHORTEST_LATER = 64
LONGEST = 4_000


def is_leaf(node: Node, wrt: Sequence[Node]) -> bool:
    """Whether a result of operations is one to a walk back to ``wrt``: see ``collect``."""
    return node.value is not None and node.sequence <= min([x.sequence for x in wrt])


class Recognised:
    """The code for one structure, written at its first uses.

    Parameters
    ----------
    key : tuple
        That of ``collect_below``.
    positions : tuple of int
        The numbers of the nodes that it is differentiated with respect to.
    values : bool
        Whether values of the leaves are given; else the leaves.
    alone : bool, optional
        Whether it is of arguments of functions and constants only, so that no larger derivative passes through it.
    """

    __slots__ = ("_later", "call")

    def __init__(self, key: tuple[Any, ...], positions: tuple[int, ...], values: bool, alone: bool = False):
        make = partial(_recogniser, key, positions, values, alone)
        # None as long as there is none.
        self.call: Recogniser | None = None
        self._later: Later[Recogniser] | None = None
        if len(key) > 3 * SHORTEST_LATER:
            self._later = Later(make, "writing code that recognises a structure")
        else:
            self.call = make()

    def get(self) -> Recogniser | None:
        """The code, if it is there."""
        if self.call is None and self._later is not None:
            self.call = self._later.get()
            if self.call is not None:
                self._later = None
        return self.call


def _operations(key: tuple[Any, ...]) -> Iterator[tuple[Signature, tuple[int, ...], bool]]:
    """The operations of a key, in order: what each is, the numbers of its inputs, and whether it has a value."""
    place = 0
    while place < len(key):
        signature = key[place]
        end = place + 1 + len(signature.inputs)
        valued = end < len(key) and key[end] is VALUED
        yield signature, key[place + 1 : end], valued
        place = end + valued


def _recogniser(key: tuple[Any, ...], positions: tuple[int, ...], values: bool, alone: bool) -> Recogniser:
    """Code for a structure, from its key."""
    avals: list[Any] = []
    leaves: list[int] = []
    # By the number of each: its signature, its inputs, and whether it has a value.
    made: dict[int, tuple[int, tuple[int, ...], bool]] = {}
    signatures: list[Signature] = []
    for signature, arguments, valued in _operations(key):
        for aval, number in zip(signature.inputs, arguments, strict=True):
            if number == len(avals):
                avals.append(aval)
                leaves.append(number)
        number = len(avals)
        made[number] = len(signatures), arguments, valued
        signatures.append(signature)
        avals.append(signature.out)
        if valued:
            leaves.append(number)
    lines: list[str] = []
    bound = {number}
    younger = None
    for number, (place, arguments, valued) in reversed(made.items()):
        node = f"n{number}"
        wrong = [f"{node}.signature is not s{place}"]
        if valued:
            wrong.append(f"is_leaf({node}, wrt) or {node}.value is None")
        elif younger is not None:
            wrong.append(f"{node}.value is not None")
        if younger is not None:
            # The key is in order of creation; and of two numbers are two nodes.
            wrong.append(f"{node}.sequence >= {younger}.sequence")
        names, same = [], []
        for position, argument in enumerate(arguments):
            if argument in bound:
                names.append(f"x{position}")
                same.append(f"x{position} is not n{argument}")
            else:
                bound.add(argument)
                names.append(f"n{argument}")
        lines += [f"if {' or '.join(wrong)}: return None", f"{', '.join(names)}, = {node}.inputs"]
        if same:
            lines.append(f"if {' or '.join(same)}: return None")
        younger = node
    for number in leaves:
        if alone:
            kind = "Argument" if number in positions else "Constant"
            lines.append(f"if type(n{number}) is not {kind}: return None")
        elif number not in made:
            lines.append(f"if n{number}.inputs and not is_leaf(n{number}, wrt): return None")
    alike: dict[Any, list[int]] = {}
    for number in leaves:
        if number not in made:
            alike.setdefault(avals[number], []).append(number)
    for numbers in alike.values():
        # So are leaves.
        if len(numbers) > 1:
            names = [f"n{number}" for number in numbers]
            lines.append(f"if len({{{', '.join(names)}}}) != {len(names)}: return None")
    lines.append(f"{', '.join([f'w{i}' for i in range(len(positions))])}, = wrt")
    lines.append(f"if {' or '.join([f'w{i} is not n{p}' for i, p in enumerate(positions)])}: return None")
    found = [f"n{number}{'.value' if values else ''}" for number in leaves]
    lines.append(f"return [{', '.join(found)}]")
    return _layout(tuple(lines), max(made), len(signatures))(signatures, is_leaf)


@lru_cache(256)
def _layout(lines: tuple[str, ...], root: int, count: int) -> Callable[..., Recogniser]:
    """The code of structures that differ in signatures only."""
    text = [
        "def layout(signatures, is_leaf):",
        f"    [{', '.join([f's{i}' for i in range(count)])}] = signatures",
        f"    def recognise(n{root}, wrt):",
        *[f"        {line}" for line in lines],
        "    return recognise",
    ]
    namespace: dict[str, Any] = {"Argument": Argument, "Constant": Constant}
    # Only names of places are written into it.
    exec("\n".join(text), namespace)
    return namespace["layout"]  # type: ignore[no-any-return]
