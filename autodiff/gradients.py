"""Compiled gradients: what a ``Graph`` keeps and gives, and the derivatives that they are compiled from."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from .backend import Backend, Plan
from .callers import user_frame
from .convert import as_array, describe, is_complex
from .core.avals import Aval
from .core.primitives import Primitive, Signature
from .differentiate import derivative
from .errors import ArgumentError, DTypeError, IndependentWarning, ShapeError
from .nodes import Constant, Node, Operation
from .ops import place_p, zeros
from .plan import Trace, build
from .plan.simplify import simplify_graph
from .registry import backend_of, get_backend
from .tensor import Tensor

# Where variables are in a trace: their numbers. For one that the result does not depend on, what is known of it.
Places = tuple["int | Aval", ...]


class Gradient:
    """A compiled gradient.

    Attributes
    ----------
    plan : Plan
    with_value : bool
        Whether the value is the first output.
    home : Backend
        Where it computes.
    keeps : bool
        Whether the value is one that the node keeps: not if it is on a device, and nobody has put the node there.
    moved : list of int
        The inputs that have to be brought there.
    """

    __slots__ = ("home", "keeps", "moved", "plan", "with_value")

    def __init__(self, plan: Plan, with_value: bool, home: Backend, keeps: bool, moved: list[int]):
        self.plan = plan
        self.with_value = with_value
        self.home = home
        self.keeps = keeps
        self.moved = moved

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self.plan.n_operations


class Explanation(NamedTuple):
    """What a gradient costs: from ``Graph.explain``. Printed, it is a text.

    Parameters
    ----------
    backend : str
        What computes it, and where.
    operations : int
        The primitives that one call executes.
    launches : int
        The kernels and library functions that one call starts.
    brought : tuple of str
        Shape and dtype of the arrays that are brought to the backend's device for it, once for each recording.
    source : str
        The code that runs.
    """

    backend: str
    operations: int
    launches: int
    brought: tuple[str, ...]
    source: str

    def __str__(self) -> str:
        lines = [f"on {self.backend}: {self.operations} operations in {self.launches} launches"]
        if self.brought:
            lines.append(f"brought from NumPy: {', '.join(self.brought)}")
        return "\n".join([*lines, "", self.source])


class Recipe:
    """A derivative as operations to record again on other nodes of the same structure."""

    __slots__ = ("constants", "outputs", "steps")

    def __init__(
        self, steps: list[tuple[Signature, tuple[int, ...]]], constants: list[Constant], outputs: tuple[int, ...]
    ):
        self.steps = steps
        self.constants = constants
        self.outputs = outputs

    @property
    def n_operations(self) -> int:
        """Primitives that it records."""
        return len(self.steps)

    def record(self, nodes: list[Node]) -> list[Node]:
        """The derivative's nodes, for the nodes of a trace in the order of their numbers."""
        nodes = [*nodes, *self.constants]
        for signature, arguments in self.steps:
            nodes.append(Operation(signature, tuple([nodes[a] for a in arguments])))
        return [nodes[i] for i in self.outputs]


class CompiledGradient:
    """A gradient as a function of arrays. Made by ``Graph.compile``.

    Parameters
    ----------
    plan : Plan
        What computes the value and the gradients.
    inputs : list of Node
        What the arguments stand for.
    bound : list
        Values of the other inputs of the plan.
    home : Backend
        Where it computes.

    Attributes
    ----------
    source : str
        The code that runs.
    """

    __slots__ = ("_avals", "_away", "_bound", "_home", "_plan")

    def __init__(self, plan: Plan, inputs: list[Node], bound: list[Any], home: Backend):
        self._plan = plan
        self._avals = [node.aval for node in inputs]
        self._bound = bound
        self._home = home
        self._away = home is not get_backend()

    @property
    def source(self) -> str:
        """The code that runs."""
        return self._plan.source

    def __call__(self, *values: Any) -> tuple[Any, list[Any]]:
        if len(values) != len(self._avals):
            raise ArgumentError(f"the compiled gradient takes {len(self._avals)} arrays, not {len(values)}")
        arrays = []
        for place, (value, aval) in enumerate(zip(values, self._avals, strict=True)):
            if type(value) is not np.ndarray or value.dtype != aval.dtype or self._away:
                value = self._taken(value.value if isinstance(value, Tensor) else value, aval, place)
            if value.shape != aval.shape:
                raise ShapeError(
                    f"argument {place} of the compiled gradient has shape {value.shape}, but it was compiled for "
                    f"{aval!r}; compile another for this shape"
                )
            arrays.append(value)
        results = self._plan(*arrays, *self._bound)
        return results[0], list(results[1:])

    def _taken(self, value: Any, aval: Aval, place: int) -> Any:
        """An argument where the gradient computes."""
        dtype = aval.dtype
        owner = backend_of(value)
        complex_values = is_complex(value) if owner is None else owner.aval_of(value)[1].kind == "c"
        if complex_values and dtype.kind != "c":
            raise DTypeError(
                f"argument {place} of the compiled gradient is {describe(value)}, and it was compiled for {aval!r}, "
                "which has no imaginary part; take np.real of it, or compile another for complex numbers"
            )
        if not self._away:
            return as_array(value, dtype, copy=None)
        return self._home.asarray(value if self._home.owns(value) else as_array(value, dtype, copy=None), dtype)


def derivatives(root: Node, nodes: list[Node], places: Places, n: int) -> list[Node]:
    """Derivatives of ``root`` as nodes; zeros where there is no connection."""
    connected = [nodes[place] for place in places if not isinstance(place, Aval)]
    found = iter(derivative(root, connected, n) if connected else [])
    results = []
    for place in places:
        node = None if isinstance(place, Aval) else next(found)
        if node is None:
            node = zeros(place if isinstance(place, Aval) else nodes[place].aval)
        results.append(node)
    return results


def warn_independent(places: Places) -> None:
    """Warn of each variable that a result does not depend on."""
    for i, place in enumerate(places):
        if isinstance(place, Aval):
            warnings.warn(
                f"the result does not depend on variable {i}, a Tensor {place!r}: its gradient is zero. Was it "
                "computed from the value (t.value, np.asarray(t)) instead of the Tensor?",
                IndependentWarning,
                stacklevel=user_frame()[1],
            )


def recorded_derivatives(root: Node, trace: Trace, places: Places, n: int, place: Backend | None) -> Recipe:
    """The derivative in terms of the nodes of the trace, simplified as far as it stays differentiable.

    What does not depend on anything that is on a backend is said to be on ``place``.
    """
    nodes = [*trace.numbers, root]
    program = build(nodes, derivatives(root, nodes, places, n), simplify_graph)
    place_of = {i: i for i in range(len(nodes))}
    constants: list[Constant] = []
    steps: list[tuple[Signature, tuple[int, ...]]] = []
    live = program.live()
    for number in live:
        if number in program.constants:
            place_of[number] = len(nodes) + len(constants)
            constants.append(Constant(program.avals[number], program.constants[number]))
    avals = [node.aval for node in [*nodes, *constants]]

    def step(primitive: Primitive, params: tuple[Any, ...], arguments: tuple[int, ...]) -> int:
        # Programs have no places, so signatures are made anew.
        signature = primitive.signature(tuple([avals[a] for a in arguments]), params).derived
        steps.append((signature, arguments))
        avals.append(signature.out)
        return len(avals) - 1

    for number in live:
        signature = program.signatures[number]
        if signature is not None:
            arguments = tuple([place_of[a] for a in program.arguments[number]])
            place_of[number] = step(signature.primitive, signature.params, arguments)
    outputs = [place_of[i] for i in program.outputs]
    if place is not None:
        outputs = [i if avals[i].place is place else step(place_p, (place,), (i,)) for i in outputs]
    return Recipe(steps, constants, tuple(outputs))
