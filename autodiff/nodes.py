"""The graph: abstract values, primitives, and the Variable, Constant and Operation nodes that recording makes.

Nodes never change once made; only ``value`` is filled in, once, when somebody looks.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable
from operator import attrgetter
from threading import get_ident
from typing import Any

import numpy as np

from .callers import caller
from .core.avals import Aval
from .core.primitives import PRIMITIVES, Primitive, Signature
from .reasons import solver_for

# What nodes count time by: ``next`` of it is a moment. (Its ``__next__`` would take 10 ns longer to call.)
ticks = itertools.count(1)


def now() -> int:
    """A moment, as nodes count: what is made from now on is younger."""
    return next(ticks)


def _operator(name: str, reflected: bool = False) -> Callable[[Node, Any], Operation]:
    """An operator on nodes that records the primitive ``name``; rules are written with these."""

    # The primitive is looked up when used: the ops that define it are above this module.
    def operator(self: Node, other: Any) -> Operation:
        result: Operation = PRIMITIVES[name](other, self) if reflected else PRIMITIVES[name](self, other)
        return result

    return operator


class Node:
    """A quantity in the graph. ``value`` is None until it is computed; a node with a value is a leaf for plans.

    Examples
    --------
    >>> import autodiff as ad
    >>> node = (2 * ad.Tensor([1.0, 2.0])).node
    >>> isinstance(node, ad.Node), node.shape, node.dtype
    (True, (2,), dtype('float64'))
    """

    # `sequence` grows with creation, so it orders a graph topologically and bounds how far back a walk must
    # go: a node cannot depend on a younger one. Plain slots, not a dataclass: recording is the hot path.
    __slots__ = ("__weakref__", "aval", "collected", "inputs", "met", "renamed", "sequence", "signature", "value")

    aval: Aval
    inputs: tuple[Node, ...]
    # Set where it was computed on the way to a value that somebody looked at.
    met: bool
    # Set where a Tensor gets other nodes than that of its creation; see the function of this name.
    renamed: Slot
    sequence: int
    signature: Signature | None
    collected: Any
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements."""
        return self.aval.dtype

    @property
    def primitive(self) -> Primitive | None:
        """The primitive of an Operation; None for leaves."""
        return None if self.signature is None else self.signature.primitive

    @property
    def params(self) -> dict[str, Any]:
        """The static parameters of an Operation by name; empty for leaves."""
        return {} if self.signature is None else self.signature.keywords

    __add__ = _operator("add")
    __radd__ = _operator("add", reflected=True)
    __sub__ = _operator("subtract")
    __rsub__ = _operator("subtract", reflected=True)
    __mul__ = _operator("multiply")
    __rmul__ = _operator("multiply", reflected=True)
    __truediv__ = _operator("divide")
    __rtruediv__ = _operator("divide", reflected=True)
    __pow__ = _operator("power")
    __rpow__ = _operator("power", reflected=True)

    def __neg__(self) -> Operation:
        result: Operation = PRIMITIVES["negative"](self)
        return result


class Reference:
    """What stands for a node: a Tensor."""

    __slots__ = ()

    _node: Node


class Slot:
    """What the versions of one Tensor have in common, so that its present value can be found from an old one.

    ``value`` is the newest array; after an operation in place it is None, and ``node`` refers to the newest node.
    """

    # The node is held weakly: a node refers to its slot, and a cycle would outlive its last user.
    __slots__ = ("made", "name", "node", "value")

    def __init__(self, value: Any, name: str | None = None):
        self.value = value
        self.name = name
        self.node: weakref.ref[Node] | None = None
        # When, as nodes count.
        self.made = next(ticks)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "NO_SLOT" if self is NO_SLOT else (Slot, (self.value, self.name))


# That of nodes whose Tensors have no further versions; nothing is ever written to it.
NO_SLOT = Slot(None)


def renamed(node: Node) -> Slot | None:
    """The slot of a Tensor that stood for a node which was not made for it: by an operation in place, for one."""
    return getattr(node, "renamed", None)


class Variable(Node):
    """A leaf that can be differentiated with respect to: one version of the value in a slot.

    Parameters
    ----------
    aval : Aval
        Its shape and dtype.
    value : ndarray
        Read-only.
    slot : Slot
        What the versions of one Tensor have in common.

    Examples
    --------
    >>> import autodiff as ad
    >>> t = ad.Tensor([1.0, 2.0])
    >>> isinstance(t.node, ad.Variable), t.node.value
    (True, array([1., 2.]))
    """

    __slots__ = ("slot",)

    def __init__(self, aval: Aval, value: Any, slot: Slot):
        self.aval = aval
        self.value = value
        self.slot = slot
        self.inputs = ()
        self.signature = None
        self.collected = None
        self.sequence = next(ticks)

    def __repr__(self) -> str:
        return f"Variable({self.aval!r}{f', name={self.slot.name!r}' if self.slot.name else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_leaf, (type(self), self.aval, self.value, self.slot, *_names(self))


def _restore_leaf(kind: type[Variable | Constant], aval: Aval, value: Any, slot: Slot | None, *names: Any) -> Node:
    return _named_again(kind(aval, freeze(value), slot), *names)  # type: ignore[arg-type]


def _names(node: Node) -> tuple[()] | tuple[Slot, bool]:
    """The slot of the Tensor that stood for a node which was not made for it, and whether the node is its newest."""
    slot = renamed(node)
    return () if slot is None else (slot, slot.node is not None and slot.node() is node)


def _named_again(node: Node, slot: Slot | None = None, is_newest: bool = False) -> Node:
    if slot is not None:
        node.renamed = slot
        if is_newest:
            slot.node = weakref.ref(node)
    return node


def freeze(value: Any) -> Any:
    """A value that may be handed out but not written to, since graphs rely on it."""
    if isinstance(value, np.ndarray):
        # Positional: a quarter of the time of ``flags.writeable = False``.
        value.setflags(False)  # type: ignore[call-arg]
    elif type(value) is tuple:
        for part in value:
            freeze(part)
    return value


# The last line of each thread where a value was refused, the error, and what it said: NumPy drops some on the way, and
# libraries in C have errors of their own for a function that raises one.
refused: dict[int, tuple[str, type[Exception], str]] = {}


class Unknown:
    """A value that is not known while only structure is traced; any use of it is an error that says so.

    Parameters
    ----------
    error : type
        What is raised.
    message : str
        What it says.
    lines : bool, optional
        Whether it says at which line, too.
    """

    __slots__ = ("_error", "_lines", "_message")

    def __init__(self, error: type[Exception], message: str, lines: bool = False):
        self._error = error
        self._message = message
        self._lines = lines

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        if not self._lines:
            raise self._error(self._message)
        line, function = caller()
        solver = None if function is None else solver_for(function)
        remedy = "" if solver is None else f". {function} does not know Tensors: {solver}"
        message = f"{self._message} ({line}){remedy}"
        refused[get_ident()] = line, self._error, message
        raise self._error(message)

    def __getattr__(self, name: str) -> Any:
        # Tools that look at modules ask objects for names like __wrapped__; only arrays are asked for values.
        if name.startswith("__") and not name.startswith("__array"):
            raise AttributeError(name)
        return self._refuse()

    __array_ufunc__ = __array_function__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __pow__ = __rpow__ = __neg__ = __abs__ = __getitem__ = __len__ = __iter__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __bool__ = __float__ = __int__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class Argument(Variable):
    """A variable that stands for an argument of a function being differentiated or traced.

    A result that still depends on one after its own derivative is taken belongs to an enclosing derivative.
    """

    __slots__ = ()


class Constant(Node):
    """A leaf that no derivative is taken with respect to.

    Parameters
    ----------
    aval : Aval
        Its shape and dtype, or the number that it is.
    value : ndarray or number
        Read-only.
    slot : Slot, optional
        That of the Tensor it was made for.

    Examples
    --------
    >>> import autodiff as ad
    >>> t = ad.Tensor([1, 2], constant=True)
    >>> isinstance(t.node, ad.Constant), t.node.dtype
    (True, dtype('int64'))
    """

    __slots__ = ("slot",)

    def __init__(self, aval: Aval, value: Any, slot: Slot | None = None):
        self.aval = aval
        self.value = value
        self.slot = slot
        self.inputs = ()
        self.signature = None
        self.collected = None
        self.sequence = 0

    def __repr__(self) -> str:
        return f"Constant({self.aval!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_leaf, (Constant, self.aval, self.value, self.slot, *_names(self))


class Operation(Node):
    """A primitive applied to nodes. Recording makes them.

    Attributes
    ----------
    signature : Signature
        The primitive, its parameters, and the shapes and dtypes of inputs and result.
    inputs : tuple of Node
        What it is applied to.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> node = np.sin(ad.Tensor(1.0)).node
    >>> isinstance(node, ad.Operation), node.primitive, len(node.inputs)
    (True, <primitive sin>, 1)
    """

    # One is made by ``operation``; and where recording is hot, by what that does, written out. A class without an
    # ``__init__`` makes an empty one in 67 ns, where one that takes the rest makes a whole one in 250 instead of 190,
    # or 150 if written out.
    __slots__ = ()

    signature: Signature

    def __repr__(self) -> str:
        return render(self)

    def __reduce__(self) -> tuple[Any, ...]:
        signature = self.signature
        return _restore_operation, (
            signature.primitive,
            signature.params,
            self.inputs,
            self.value,
            signature.is_derived,
            *_names(self),
        )


def operation(signature: Signature, inputs: tuple[Node, ...]) -> Operation:
    """A primitive applied to nodes."""
    node = Operation()
    node.signature = signature
    node.inputs = inputs
    node.aval = signature.out
    node.value = node.collected = None
    node.sequence = next(ticks)
    return node


def _restore_operation(
    primitive: Primitive, params: tuple[Any, ...], inputs: tuple[Node, ...], value: Any, is_derived: bool, *names: Any
) -> Node:
    signature = primitive.signature(tuple([x.aval for x in inputs]), params)
    node = operation(signature.derived if is_derived else signature, inputs)
    node.value = freeze(value)
    return _named_again(node, *names)


# Of an operation that is recorded again: what it is, and the numbers of its inputs.
Step = tuple[Signature, tuple[int, ...]]


def record_steps(nodes: list[Node], steps: Iterable[Step]) -> None:
    """Record operations on nodes that have numbers: each is one more of them."""
    for signature, arguments in steps:
        nodes.append(operation(signature, tuple([nodes[a] for a in arguments])))


by_sequence = attrgetter("sequence")


def history(*roots: Node) -> list[Node]:
    """All nodes that ``roots`` are made of, themselves included, inputs before what uses them."""
    # A dict, not a set: constants are all of one age, and their order must not change from run to run.
    seen = dict.fromkeys(roots)
    stack = list(seen)
    while stack:
        for node in stack.pop().inputs:
            if node not in seen:
                seen[node] = None
                stack.append(node)
    return sorted(seen, key=by_sequence)


def operations_since(
    outputs: Iterable[Node],
    floor: float,
    ends: Iterable[Node] = (),
    inputs: Callable[[Operation], Iterable[Node]] = attrgetter("inputs"),
) -> list[Operation]:
    """The operations younger than ``floor`` that ``outputs`` are made of, themselves included, inputs first.

    What only nodes among ``ends`` are made of is not walked, nor are these. ``inputs`` gives those of an operation
    that are walked to.
    """
    seen = set(ends)
    stack = [node for node in dict.fromkeys(outputs) if node.sequence > floor and node not in seen]
    seen.update(stack)
    found: list[Operation] = []
    while stack:
        node = stack.pop()
        if isinstance(node, Operation):
            found.append(node)
            for x in inputs(node):
                if x.sequence > floor and x not in seen:
                    seen.add(x)
                    stack.append(x)
    found.sort(key=by_sequence)
    return found


RENDERED_LINES = 40


def render(root: Node) -> str:
    """The graph below ``root`` as text, an operation a line; the middle of a long one is left out."""
    nodes = history(root)
    names = {node: f"v{i}" for i, node in enumerate(nodes)}
    lines = []
    for node in nodes:
        if node.signature is None:
            text = repr(node)
        else:
            arguments = [names[x] for x in node.inputs] + [f"{k}={v!r}" for k, v in node.params.items()]
            text = f"{node.signature.primitive.name}({', '.join(arguments)}) -> {node.aval!r}"
        lines.append(f"{names[node]} = {text}")
    if len(lines) > RENDERED_LINES:
        half = RENDERED_LINES // 2
        lines[half:-half] = [f"... {len(lines) - 2 * half} more ..."]
    return "\n".join(lines)


def is_fixed(node: Node) -> bool:
    """Whether a leaf is a number or an index that no Tensor stands for: it has the same value for ever."""
    if not isinstance(node, Constant) or node.slot is not None:
        return False
    return node.aval.weak or node.aval.literal is not None or node.aval.spec is not None
