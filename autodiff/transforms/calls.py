"""Calls of transformed functions: which arguments are differentiated, what stands for them, and what results become."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arguments import count
from ..containers import Structure, flatten, is_container, leaf_names, unflatten
from ..convert import as_node, describe
from ..core.avals import WEAK_COMPLEX, WEAK_FLOAT, Aval
from ..engine import Walk, collected_of
from ..errors import ArgumentError, AutodiffError, DifferentiationError, RangeError, several, shown
from ..gradients import Gradients
from ..memo import Memo
from ..nodes import NO_SLOT, Argument, Constant, Node, Variable
from ..places import bring, placed
from ..plan import Collected, collect_below
from ..registry import get_backend
from ..tensor import Tensor, stand_in, wrap
from ..vectors import PYTHON_NUMBERS, captured
from ..watching import belongs_to_larger, call_watched

# The derivatives of all transformed functions: found by structure, whichever call made them.
ENGINE = Gradients(2048, alone=True)

# Those under a memory limit.
_limited: Memo[int, Gradients] = Memo(64)


def engine_within(memory_limit: Any, name: str) -> Gradients:
    """The engine whose plans hold no more than a limit, if there is one."""
    if memory_limit is None:
        return ENGINE
    limit = count(memory_limit, f"{name}: memory_limit")
    return _limited.get(limit) or _limited.put(limit, Gradients(256, None, limit, alone=True))


Argnums = int | Sequence[int] | None
Argnames = str | Sequence[str] | None


class Path:
    """How an argument is reached, for messages: written out only when one is needed."""

    __slots__ = ("_base", "_number", "_structure")

    def __init__(self, base: str, structure: Structure, number: int):
        self._base = base
        self._structure = structure
        self._number = number

    def __str__(self) -> str:
        return f"{self._base}{leaf_names(self._structure)[self._number]}"


# --- arguments -------------------------------------------------------------------------------------------------------


def _at(name: str, path: Any) -> str:
    """An argument of a transformed function, for messages."""
    return f"{name}: args[{path}]" if isinstance(path, int) else f"{name}: {path}"


def argument(value: Any, name: str, path: Any) -> Node:
    """A node to differentiate with respect to, for an argument of a function: its position, or how it is reached."""
    kind = type(value)
    if kind is float:
        return Argument(WEAK_FLOAT, value, NO_SLOT)
    if kind is Tensor or isinstance(value, Tensor):
        if not value._node.aval.differentiable:
            raise no_derivative(_at(name, path), value._node.aval)
        # A fresh name: in a nested derivative the same Tensor may be an argument of both.
        return ops.identity(value._node)
    if kind is int or kind is bool:
        try:
            return Argument(WEAK_FLOAT, float(value), NO_SLOT)
        except OverflowError:
            raise RangeError(f"{_at(name, path)}: {shown(value)} is larger than any float") from None
    if kind is complex:
        return Argument(WEAK_COMPLEX, value, NO_SLOT)
    try:
        array, aval = placed(value)
    except AutodiffError as error:
        error.within(_at(name, path))
        raise
    return Argument(aval, array, NO_SLOT)


def no_derivative(name: str, aval: Aval) -> DifferentiationError:
    """The error for an argument of a dtype without derivatives."""
    return DifferentiationError(
        f"{name}: there are no derivatives with respect to an argument {aval!r}; use a floating dtype, or leave it "
        "out of argnums"
    )


def check_call(function: Any, argnums: Any, name: str, argnames: Any = None) -> None:
    """Errors for what cannot be transformed, or chooses no arguments."""
    if not callable(function):
        raise ArgumentError(f"{name}: {shown(function)} is not callable; give the function to differentiate")
    valid = argnums is None or (isinstance(argnums, int) and not isinstance(argnums, bool))
    if not valid and isinstance(argnums, (tuple, list)) and argnums:
        valid = all(isinstance(p, int) and not isinstance(p, bool) for p in argnums)
    if not valid:
        raise ArgumentError(f"{name}: argnums={argnums!r} must be an integer or a non-empty tuple of integers")
    words = ("",) if argnames is None or isinstance(argnames, str) else argnames
    if not isinstance(words, (tuple, list)) or not words or not all(isinstance(word, str) for word in words):
        raise ArgumentError(f"{name}: argnames={shown(argnames)} must be a name or a non-empty tuple of names")


def _positions(argnums: Any, count: int, name: str) -> tuple[int, ...]:
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for p in positions:
        if not -count <= p < count:
            raise ArgumentError(
                f"{name}: argnums={shown(argnums)} names args[{shown(p)}], but the function was called with "
                f"{several(count, 'positional argument')}"
            )
    return tuple([p % count for p in positions])


def _named(function: Any, word: str, args: Sequence[Any], kwargs: dict[str, Any], name: str) -> int | str:
    """Where an argument is that is chosen by its name: its position, or its name if it was given by that."""
    if word in kwargs:
        return word
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = []
    if word in parameters and parameters.index(word) < len(args):
        return parameters.index(word)
    known = f"its parameters are {', '.join(parameters)}" if parameters else "its parameters are not known"
    raise ArgumentError(f"{name}: argnames names {word!r}, but the function was called without it; {known}")


class Chosen:
    """The arguments of a call that are differentiated, and those that the function gets in their place.

    Attributes
    ----------
    args, kwargs
        What to call the function with.
    own : list of Node
        What stands for the leaves of the chosen arguments.
    numbers : list of bool
        Which of these are Python numbers.
    structure : Structure
        Of what ``argnums`` and ``argnames`` ask for.
    """

    __slots__ = ("_taken", "args", "kwargs", "name", "numbers", "own", "paths", "structure")

    def __init__(
        self,
        function: Any,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        name: str,
        argnums: Argnums = None,
        argnames: Argnames = None,
    ):
        self.name = name
        self.args = list(args)
        self.kwargs = dict(kwargs)
        self.own: list[Node] = []
        self.numbers: list[bool] = []
        self.paths: list[Path] = []
        # Nodes by where an argument is: one that is named twice has one node.
        self._taken: dict[int | str, tuple[list[Node], list[bool], list[Path], Structure]] = {}
        if argnums is None and argnames is None:
            argnums = 0
        parts = []
        if argnums is not None:
            structures = [self._take(p, args[p]) for p in _positions(argnums, len(args), name)]
            parts.append(structures[0] if isinstance(argnums, int) else (tuple, None, tuple(structures)))
        if argnames is not None:
            words = (argnames,) if isinstance(argnames, str) else tuple(argnames)
            keys = [_named(function, word, args, kwargs, name) for word in words]
            structures = [self._take(p, kwargs[p] if isinstance(p, str) else args[p]) for p in keys]
            parts.append(structures[0] if isinstance(argnames, str) else (dict, words, tuple(structures)))
        self.structure: Structure = parts[0] if len(parts) == 1 else (tuple, None, tuple(parts))

    def _take(self, key: int | str, value: Any) -> Structure:
        """Let nodes stand for an argument; its structure."""
        found = self._taken.get(key)
        if found is None:
            leaves, structure = flatten(value)
            label = f"args[{key}]" if isinstance(key, int) else key
            labels = [Path(label, structure, i) for i in range(len(leaves))]
            nodes = [argument(leaf, self.name, labels[i]) for i, leaf in enumerate(leaves)]
            numbers = [type(leaf) in PYTHON_NUMBERS for leaf in leaves]
            replaced = unflatten(structure, iter([stand_in(node) for node in nodes]))
            if isinstance(key, int):
                self.args[key] = replaced
            else:
                self.kwargs[key] = replaced
            found = self._taken[key] = nodes, numbers, labels, structure
        nodes, numbers, labels, structure = found
        self.own += nodes
        self.numbers += numbers
        self.paths += labels
        return structure

    @property
    def is_number(self) -> bool:
        """Whether all that is differentiated are Python numbers: then results without axes are, too."""
        return bool(self.numbers) and all(self.numbers)

    def rebuilt(self, leaves: Sequence[Any]) -> Any:
        """What has one part for each of the nodes, in the structure that was asked for; numbers for numbers."""
        parts = [scalar(x) if number else x for x, number in zip(leaves, self.numbers, strict=True)]
        return unflatten(self.structure, iter(parts))

    def called(self, function: Callable[..., Any]) -> Any:
        """What the function returns for the nodes."""
        return call_watched(function, self.args, self.kwargs, self.own, self.name)


# --- results ---------------------------------------------------------------------------------------------------------


def scalar(value: Any) -> Any:
    """A Python number for an array of one element."""
    if type(value) is float or isinstance(value, Tensor):
        return value
    if not isinstance(value, (np.ndarray, np.generic)):
        if type(value) in PYTHON_NUMBERS:
            return value
        value = bring(value, get_backend())
    return value.item()


class Results:
    """What a function returned: nodes for its numbers and arrays, and the structure that they are in.

    Parameters
    ----------
    out : object
        What it returned.
    name : str
        The transformation.
    beside : bool, optional
        Whether that has the option ``has_aux``.

    Attributes
    ----------
    nodes : list of Node
    structure : Structure
    """

    __slots__ = ("beside", "name", "nodes", "structure")

    def __init__(self, out: Any, name: str, beside: bool = True):
        self.name = name
        self.beside = beside
        leaves, self.structure = flatten(out)
        self.nodes: list[Node] = []
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor) and (leaf is None or isinstance(leaf, (str, bytes)) or callable(leaf)):
                hint = " (has_aux=True allows for other results beside)" if beside else ""
                raise DifferentiationError(
                    f"{name}: the function returned {describe(leaf)}{self.at(i)}; it must return numbers and arrays, "
                    f"or containers of them{hint}"
                )
            try:
                self.nodes.append(leaf._node if isinstance(leaf, Tensor) else as_node(leaf))
            except AutodiffError as error:
                error.within(f"{name}: the function returned {describe(leaf)}{self.at(i)}")
                raise

    def at(self, i: int) -> str:
        """Where a result is, for messages."""
        path = leaf_names(self.structure)[i]
        return f" at result{path}" if path else ""

    def differentiable(self) -> Results:
        """The same; an error for a result that has no derivative."""
        for i, node in enumerate(self.nodes):
            if not node.aval.differentiable:
                if isinstance(node, Constant) and node.aval.weak and node.aval.dtype.kind != "b":
                    # A number that the function is told: a constant function.
                    self.nodes[i] = as_node(float(node.value))
                    continue
                hint = "; return it beside the others with has_aux=True" if self.beside else ""
                raise DifferentiationError(
                    f"{self.name}: the function returned {node.aval!r}{self.at(i)}, and a result of dtype "
                    f"{node.aval.dtype} has no derivative{hint}"
                )
        return self

    def rebuilt(self, leaves: Sequence[Any], numbers: bool = False) -> Any:
        """What has one part for each of the nodes, in the structure of the results."""
        parts = [scalar(x) if numbers and not node.aval.ndim else x for x, node in zip(leaves, self.nodes, strict=True)]
        return unflatten(self.structure, iter(parts))


class Aux:
    """What a function returns beside what is differentiated: values where these are asked for."""

    __slots__ = ("_leaves", "_structure", "nodes")

    def __init__(self, aux: Any):
        self._leaves, self._structure = flatten(aux)
        self.nodes = [leaf._node for leaf in self._leaves if isinstance(leaf, Tensor)]

    def rebuilt(self, values: Iterator[Any]) -> Any:
        """The same with values, or Tensors, for Tensors."""
        leaves = [next(values) if isinstance(leaf, Tensor) else leaf for leaf in self._leaves]
        return unflatten(self._structure, iter(leaves))


def apart(out: Any, has_aux: bool, name: str) -> tuple[Any, Aux]:
    """What is differentiated of the results of a function, and the rest."""
    if not has_aux:
        return out, Aux(())
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise DifferentiationError(
            f"{name}: with has_aux=True the function must return a pair (result, other results), not "
            f"{describe(out) if not is_container(out) else f'a {type(out).__name__} of {len(flatten(out)[0])} results'}"
        )
    return out[0], Aux(out[1])


def is_number(value: Any) -> bool:
    """Whether something that is no Tensor is one number."""
    try:
        return placed(value)[1].size == 1
    except AutodiffError:
        return False


def real_scalar(out: Any, name: str) -> Tensor:
    """The result of a differentiated function, checked to be one real number."""
    if not isinstance(out, Tensor):
        if isinstance(out, (bool, np.bool_)):
            raise DifferentiationError(f"{name}: the function returned {out}, and a truth value has no derivative")
        if out is None or is_container(out) or not is_number(out):
            raise DifferentiationError(
                f"{name}: the function must return a scalar, a Tensor or a number, not {describe(out)}"
            )
        out = Tensor(out)
    aval = out._node.aval
    if aval.size != 1:
        raise DifferentiationError(
            f"{name}: the function must return a scalar, but returned {aval!r}; sum it (np.sum) to differentiate the "
            "sum, or take ad.elementwise_grad for the derivative at each element, or ad.jacobian for all of them"
        )
    if aval.dtype.kind == "c":
        raise DifferentiationError(
            f"{name}: the function returned {aval!r}; the derivative of a complex result depends on the direction, so "
            "differentiate its real or imaginary part (np.real, np.imag), or use holomorphic_grad"
        )
    if not aval.differentiable:
        raise DifferentiationError(
            f"{name}: the function returned {aval!r}, and a result of dtype {aval.dtype} has no derivative"
        )
    return out  # type: ignore[no-any-return]


# --- what belongs to something larger --------------------------------------------------------------------------------


def belongs(root: Node, own: Sequence[Node]) -> bool:
    """Whether a derivative passes to a result from outside of the transformation, which needs a Tensor back.

    ``own`` are what stands for arguments, in the order in which they were made.
    """
    for node in own:
        if type(node) is not Argument:
            return True
    begin = own[0].sequence if own else 0
    if root.inputs:
        collected = root.collected
        if collected is None or collected.floor > begin:
            collected = root.collected = collect_below(root, begin)
        leaves = collected.leaves
    else:
        leaves = [root]
    # The common case: a function of its arguments, and of constants.
    for leaf in leaves:
        if leaf.inputs or (leaf.sequence < begin and isinstance(leaf, Variable)):
            return belongs_to_larger(root, leaves, begin)
    return False


def together(
    walk: Walk,
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    own: Sequence[Node],
    given: Sequence[Node],
    aux: Aux,
    values: bool = True,
    engine: Gradients = ENGINE,
) -> tuple[list[Any], list[Any], Any]:
    """The values of outputs, what a walk gives, and the other results: all by one plan, or all as Tensors.

    ``own`` are those of the inputs that stand for arguments, and ``given`` what the walk takes beside. Outputs have no
    ``values`` if inputs have none.
    """
    roots = [*outputs, *aux.nodes]
    collected = collected_of(roots, own)
    if is_larger(collected, roots, own, given):
        found = ENGINE.nodes(walk, outputs, inputs, captured(given))
        return wrap([*outputs]), wrap(found), aux.rebuilt(iter(wrap(aux.nodes)))
    n = len(outputs) if values else 0
    also = roots if values else aux.nodes
    known = engine.values(walk, collected, outputs, inputs, given, also)
    return known[:n], known[len(also) :], aux.rebuilt(iter(known[n:]))


def is_larger(collected: Collected, roots: Sequence[Node], own: Sequence[Node], given: Sequence[Node] = ()) -> bool:
    """``belongs`` for several results, for which was collected, and for what is ``given`` beside arguments."""
    for node in (*own, *given):
        if type(node) is not Argument:
            return True
    begin = own[0].sequence if own else 0
    leaves = collected.leaves
    for leaf in leaves:
        if leaf.inputs or (leaf.sequence < begin and isinstance(leaf, Variable)):
            return any(belongs_to_larger(root, leaves, begin) for root in roots)
    return False
