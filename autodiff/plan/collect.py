"""The structural key: one walk over what outputs are made of, giving a tuple that plans are cached under."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..nodes import Node, by_sequence

# A walk for values only stops at every node that has one.
EVERYTHING = float("inf")

# Marks an operation in a key whose value is at hand, so that a plan need not compute it.
VALUED = "valued"


class Collected:
    """What a walk found.

    Attributes
    ----------
    key : tuple
        Signatures and input numbers; equal for two graphs of one structure.
    leaves : list of Node
        Nodes whose values a plan for this structure takes, in the order it takes them.
    numbers : dict of Node to int
        The number of each node in ``key``, in order.
    floor : float
        How far back operations with values were walked.
    """

    __slots__ = ("floor", "key", "leaves", "numbers")

    def __init__(self, key: tuple[Any, ...], leaves: list[Node], numbers: dict[Node, int], floor: float):
        self.key = key
        self.leaves = leaves
        self.numbers = numbers
        self.floor = floor

    def values(self) -> list[Any]:
        """What a plan for this structure takes."""
        return [leaf.value for leaf in self.leaves]


def collect(roots: Iterable[Node], floor: float = EVERYTHING, oldest: float = 0) -> Collected:
    """Walk from ``roots`` to the leaves.

    Parameters
    ----------
    roots : iterable of Node
    floor : float, optional
        Operations younger than this are walked even if they have values.
    oldest : float, optional
        Operations that are not younger than this are not walked, and are leaves.

    Returns
    -------
    Collected
    """
    roots = tuple(roots)
    collected = _collect(
        [
            node
            for node in dict.fromkeys(roots)
            if node.inputs and node.sequence > oldest and (node.value is None or node.sequence > floor)
        ],
        floor,
        oldest=oldest,
    )
    key = list(collected.key)
    for node in roots:
        number = collected.numbers.get(node)
        if number is None:
            number = collected.numbers[node] = len(collected.numbers)
            collected.leaves.append(node)
            key.append(node.aval)
        key.append(number)
    collected.key = tuple(key)
    return collected


def collect_below(root: Node, floor: float) -> Collected:
    """The walk for derivatives of ``root`` with respect to nodes of age ``floor`` or younger.

    The root is not in it, so that it can keep it without a reference cycle; its number would be
    ``len(collected.numbers)``. Its own value is never an input.
    """
    collected = _collect([root] if root.inputs else [], floor, root)
    if root.inputs:
        del collected.numbers[root]
    else:
        collected.key = (root.aval,)
    return collected


def _collect(operations: list[Node], floor: float, root: Node | None = None, oldest: float = 0) -> Collected:
    """What is collected of the operations below and including some; the value of ``root`` is no leaf."""
    seen = set(operations)
    for operation in operations:
        for node in operation.inputs:
            if node.inputs and node not in seen and (node.value is None or node.sequence > floor):
                if node.sequence <= oldest:
                    continue
                seen.add(node)
                operations.append(node)
    # Creation order is the same each time the same code is recorded, and it is topological.
    operations.sort(key=by_sequence)
    numbers: dict[Node, int] = {}
    leaves: list[Node] = []
    key: list[Any] = []
    for operation in operations:
        key.append(operation.signature)
        for node in operation.inputs:
            number = numbers.get(node)
            if number is None:
                number = numbers[node] = len(numbers)
                leaves.append(node)
            key.append(number)
        numbers[operation] = len(numbers)
        if operation.value is not None and operation is not root:
            key.append(VALUED)
            leaves.append(operation)
    return Collected(tuple(key), leaves, numbers, floor)
