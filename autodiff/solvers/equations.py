"""What solvers are given: functions, recorded once as equations; unknowns, as one vector; and plans of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import Plan
from ..containers import LEAF, Structure, flatten, is_container, leaf_names, unflatten
from ..convert import as_node, describe
from ..core.avals import FLOAT64, Aval, intern_aval
from ..engine import collected_of
from ..errors import (
    ArgumentError,
    AutodiffError,
    DTypeError,
    ShapeError,
    TraceError,
    UnsupportedError,
    shown,
)
from ..importing import imported
from ..memo import Memo
from ..nodes import NO_SLOT, Argument, Constant, Node, Unknown
from ..numpy_api.creation import joined
from ..plan import compile_nodes, evaluate
from ..registry import computing
from ..tensor import Tensor, wrap
from ..tracing import WITHHELD
from ..transforms.calls import is_larger, scalar
from ..vectors import PYTHON_NUMBERS, alike, drawn
from ..watching import call_watched
from ..written import Body, body_with
from ..written import depending as operations_of

Array = np.ndarray[Any, Any]

UNSOLVED = Unknown(
    TraceError,
    "a value was needed of an unknown while a solver of autodiff records its equations, which is done once, before it "
    "solves them: print, float(), an if, a conversion to an array, or a function that does not know Tensors. Use "
    "np.where instead of if, np.stack instead of np.array, and ad.primitive for functions of arrays",
    lines=True,
)


def scipy_module(name: str, what: str) -> Any:
    """A module of SciPy; an error that names who needs it, if it is not installed."""
    try:
        return imported(f"scipy.{name}")
    except ImportError as error:
        raise UnsupportedError(
            f"{what}: it needs SciPy, which is not installed: pip install scipy ({error})"
        ) from error


class Unknowns:
    """A value, or the containers of several, as one vector of real numbers.

    Parameters
    ----------
    value : array_like or container of these
        Nested lists and tuples of numbers are one array.
    what : str
        For messages.

    Attributes
    ----------
    flat : Node
    structure : Structure
    """

    __slots__ = ("_avals", "_numbers", "flat", "structure")

    def __init__(self, value: Any, what: str):
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple) and _all_numbers(value):
            value = np.asarray(value)
        leaves, self.structure = flatten(value)
        self._numbers = [type(leaf) in PYTHON_NUMBERS for leaf in leaves]
        nodes = []
        for leaf, path in zip(leaves, leaf_names(self.structure), strict=True):
            node = leaf._node if isinstance(leaf, Tensor) else _node_of(leaf, f"{what}{path}")
            if node.aval.dtype.kind in "biu":
                node = ops.astype(node, FLOAT64)
            if node.aval.dtype.kind != "f":
                raise DTypeError(
                    f"{what}{path} is {describe(leaf)}, and solvers are of real numbers; give real and imaginary parts"
                )
            nodes.append(ops.strong(node))
        # SciPy's solvers are of double precision, and NumPy has no linear algebra but of this and the single one.
        single = bool(nodes) and all(x.aval.dtype.itemsize <= 4 for x in nodes)
        self._avals = [intern_aval(x.aval.shape, x.aval.dtype) for x in nodes]
        self.flat = vector(nodes, np.float32 if single else np.float64)

    def apart(self, flat: Node, lead: tuple[int, ...] = ()) -> list[Node]:
        """The parts of a vector, or of several along axes before its own, in the precision of the value."""
        pairs = zip(self._computed(flat, lead), self._avals, strict=True)
        return [ops.astype(part, aval.dtype) for part, aval in pairs]

    def _computed(self, flat: Node, lead: tuple[int, ...] = ()) -> list[Node]:
        """The same in the precision that solvers compute in."""
        parts = []
        start = 0
        whole = (slice(None),) * len(lead)
        for aval in self._avals:
            part = ops.take_slices(flat, *whole, slice(start, start + aval.size))
            parts.append(ops.reshape(part, (*lead, *aval.shape)))
            start += aval.size
        return parts

    def rebuilt(self, flat: Node) -> Any:
        """A vector in the structure of the value, as Tensors that a function is given."""
        return unflatten(self.structure, iter([wrap(part) for part in self._computed(flat)]))

    def vector_of(self, out: Any, what: str, value: str, function: str = "the function") -> Node:
        """What a function returned, checked to be like the value, as a vector; a list is an array where that is one."""
        nodes, structure = results_of(out, what)
        if self.structure is LEAF and structure is not LEAF and _is_list(structure):
            nodes, structure = [joined(unflatten(structure, iter(map(wrap, nodes))))], LEAF
        if not alike(structure, self.structure):
            raise ArgumentError(
                f"{what}: {function} must return what {value} is, {drawn(self.structure)}, not {drawn(structure)}"
            )
        for node, aval in zip(nodes, self._avals, strict=True):
            if node.aval.shape != aval.shape:
                raise ShapeError(f"{what}: {function} returned {node.aval!r}, but {value} has {aval!r} in that place")
        return vector(nodes, self.flat.aval.dtype)

    def returned(self, parts: Sequence[Any], lead: bool = False) -> Any:
        """Results in the structure of the value, Python numbers for Python numbers."""
        pairs = zip(parts, self._numbers, strict=True)
        return unflatten(self.structure, iter([scalar(x) if number and not lead else x for x, number in pairs]))


def _is_list(structure: Structure) -> bool:
    """Whether a structure is nothing but lists and tuples, which may stand for an array."""
    return structure is LEAF or (structure[0] in (list, tuple) and all(map(_is_list, structure[2])))


def _all_numbers(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_all_numbers(part) for part in value)
    return type(value) in PYTHON_NUMBERS or isinstance(value, np.number)


def _node_of(leaf: Any, what: str) -> Node:
    if leaf is None or isinstance(leaf, (str, bytes)) or callable(leaf):
        raise DTypeError(f"{what} is {describe(leaf)}, and must be a number or an array")
    try:
        return as_node(leaf)
    except AutodiffError as error:
        error.within(what)
        raise


def vector(nodes: Sequence[Node], dtype: Any) -> Node:
    """All elements of nodes, one after another."""
    flat = [ops.reshape(ops.astype(ops.strong(x), dtype), (-1,)) for x in nodes]
    if not flat:
        return ops.zeros(intern_aval((0,), np.dtype(dtype)))
    return flat[0] if len(flat) == 1 else ops.concatenate(flat, 0)


def checked_function(function: Any, name: str) -> None:
    """An error for what cannot be called."""
    if not callable(function):
        raise ArgumentError(f"{name}: {shown(function)} is not callable; give the function")


def checked_args(args: Any, name: str) -> tuple[Any, ...]:
    """Further arguments of a function: a tuple, or, as SciPy allows, one that is none."""
    return tuple(args) if isinstance(args, (tuple, list)) else (args,)


def unknown(aval: Aval) -> Node:
    """A node for what is to be found."""
    return Argument(aval, UNSOLVED, NO_SLOT)


def called(function: Callable[..., Any], args: Sequence[Any], unknowns: list[Node], name: str) -> Any:
    """What a function returns for unknowns."""
    return call_watched(function, list(args), {}, unknowns, name)


def results_of(out: Any, what: str) -> tuple[list[Node], Structure]:
    """The nodes that a function returned, which have to be real, and their structure."""
    leaves, structure = flatten(out)
    nodes = []
    for leaf, path in zip(leaves, leaf_names(structure), strict=True):
        node = leaf._node if isinstance(leaf, Tensor) else _node_of(leaf, f"{what}: the function's result{path}")
        if node.aval.dtype.kind not in "fbiu":
            raise DTypeError(f"{what}: the function returned {node.aval!r}{path}, and solvers are of real numbers")
        nodes.append(node)
    return nodes, structure


def one_number(out: Any, what: str) -> Node:
    """The node of a function's result that has to be a real number."""
    if is_container(out) or np.size(out) != 1:
        described = f"a {type(out).__name__}" if is_container(out) else describe(out)
        raise ShapeError(f"{what}: the function must return one real number, but returned {described}")
    (node,), _ = results_of(out, what)
    return ops.reshape(ops.strong(node), ())


class Equation:
    """What a function recorded: outputs made of what is given, and of operands. One structure is one object.

    Parameters
    ----------
    body : Body
    residuals : tuple of Aval
        Those that are numbers or indices of the structure are no operands.

    Attributes
    ----------
    given : tuple of Aval
    """

    __slots__ = ("_body", "_plans", "_residuals", "given")

    def __init__(self, body: Body, residuals: tuple[Aval, ...]):
        self._body = body
        self._residuals = residuals
        self._plans: dict[Any, Plan] = {}
        self.given = body.given

    def __reduce__(self) -> tuple[Any, ...]:
        # Without plans.
        return Equation, (self._body, self._residuals)

    def record(self, given: Sequence[Node], operands: Sequence[Node]) -> list[Node]:
        """The outputs for these."""
        rest = iter(operands)
        residuals = [next(rest) if aval.literal is None else Constant(aval, aval.literal) for aval in self._residuals]
        found = self._body.record(given, residuals)
        assert all(node is not None for node in found)
        return found  # type: ignore[return-value]

    def plan(
        self,
        key: Any,
        outputs: Callable[[list[Node], list[Node]], Sequence[Node]],
        derived: bool = False,
        beside: Sequence[Aval] = (),
    ) -> Plan:
        """A plan on the host of what is given, ``beside`` too, and operands: of ``outputs(given, operands)``."""
        found = self._plans.get(key)
        if found is None:
            avals = [*self.given, *beside, *[aval for aval in self._residuals if aval.literal is None]]
            names: list[Node] = [Argument(aval.at(None), WITHHELD, NO_SLOT) for aval in avals]
            n = len(self.given) + len(beside)
            nodes = outputs(names[:n], names[n:])
            found = self._plans.setdefault(key, compile_nodes(names, nodes, computing(None), derivatives=derived))
        return found


_equations: Memo[Any, Equation] = Memo(1 << 9)


def equation_of(given: Sequence[Node], found: Sequence[Node]) -> tuple[Equation, list[Node]]:
    """The equation of what was recorded between nodes, and its operands."""
    # What does not depend on what is given is an operand: a constant slope is a slope.
    body, residuals = body_with(given, operations_of(given, found), found)
    known = [
        ops.static_index(x.aval.spec, x.value) if x.aval.spec is not None and x.aval.literal is None else x
        for x in residuals
    ]
    key = (body, tuple([x.aval for x in known]))
    equation = _equations.get(key) or _equations.put(key, Equation(*key))
    return equation, [x for x in known if x.aval.literal is None]


def depending(nodes: Sequence[Node], on: Sequence[Node]) -> bool:
    """Whether any of some nodes is made of others."""
    seen = {*nodes}
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node in on:
            return True
        fresh = [x for x in node.inputs if x not in seen]
        seen.update(fresh)
        stack += fresh
    return False


def finished(nodes: Sequence[Node], begin: Node, args: Any) -> list[Any]:
    """Results as Tensors if derivatives may pass to them or a Tensor was given, else as arrays.

    ``begin`` is older than all that was recorded.
    """
    recorded = any(isinstance(leaf, Tensor) for leaf in flatten(args)[0])
    if recorded or is_larger(collected_of(nodes, [begin]), nodes, [begin]):
        return [wrap(node) for node in nodes]
    return [evaluate(node) for node in nodes]
