"""What a derivative rule looks like: the kinds of rows, the states of an argument, and the table.

A row never un-broadcasts, casts, projects to the reals or accumulates: ``differentiate`` does, for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import ops
from ..convert import literal
from ..core.primitives import PRIMITIVES, Primitive, Signature
from ..errors import MissingRuleError
from ..nodes import Node, Operation

Derivative = Callable[..., "Node | float | complex"]
# The cotangent of one input, for that of the output.
Pull = Callable[..., "Node | None"]
# Of all inputs together: their cotangents, or a composition.
Cotangents = Callable[..., Any]


class State:
    """Why an argument has no derivative expression."""

    __slots__ = ("name", "reason")

    def __init__(self, name: str, reason: str = ""):
        self.name = name
        self.reason = reason

    def __repr__(self) -> str:
        return self.name


# The argument has no derivative in principle: an index, a condition, an integer.
NONDIFFERENTIABLE = State("NONDIFFERENTIABLE")
# The derivative is zero wherever it exists.
ZERO = State("ZERO")


def NOT_IMPLEMENTED(reason: str) -> State:
    """The derivative exists but is not written yet; ``reason`` goes into the error."""
    return State("NOT_IMPLEMENTED", reason)


class Rule(ABC):
    """The derivative of one primitive, in both modes.

    Attributes
    ----------
    primitive : Primitive
    source : str
        Where the formula, or the choice at a point without a derivative, comes from.
    masks : bool
        Whether cotangents pulled back have zeros for elements that were not chosen.
    """

    __slots__ = ("_each", "arguments", "masks", "primitive", "source")

    def __init__(
        self,
        primitive: Primitive,
        arguments: Sequence[Derivative | Pull | State] | State | Cotangents,
        source: str = "",
        masks: bool = False,
    ):
        self.primitive = primitive
        self.arguments = arguments
        self._each = isinstance(arguments, Sequence)
        self.source = source
        self.masks = masks

    def argument(self, position: int) -> Cotangents | State:
        """The expression or state of one argument; a single one given stands for all."""
        return self.arguments[position] if self._each else self.arguments  # type: ignore[index,return-value]

    def passes(self, position: int) -> bool:
        """Whether a derivative could pass through this argument."""
        return self.argument(position) not in (ZERO, NONDIFFERENTIABLE)

    def passed(self, signature: Signature) -> tuple[int, ...]:
        """The arguments of an application that a derivative could pass through."""
        return tuple([i for i, aval in enumerate(signature.inputs) if aval.differentiable and self.passes(i)])

    def expression(self, position: int) -> Callable[..., Any]:
        """The expression of an argument that a derivative passes through; an error if it is not written yet."""
        found = self.argument(position)
        if callable(found):
            return found
        raise MissingRuleError(
            f"{self.primitive.name} cannot be differentiated with respect to its argument {position}: {found.reason}"
        )

    @abstractmethod
    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        """The cotangents of the inputs at ``positions`` for the cotangent ``ct`` of the output; None for zero."""

    @abstractmethod
    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Any:
        """The tangent of the output for tangents of the inputs, None being zero; a tuple for several outputs."""


def scaled(t: Node, factor: Node | float | complex, masked: bool) -> Node | None:
    """``t * factor``; zero where a masked ``t`` is zero, whatever the factor is there."""
    if not isinstance(factor, Node):
        return None if factor == 0 else t if factor == 1 else -t if factor == -1 else t * literal(factor)
    if masked and factor.aval.literal is None:
        return ops.masked_multiply(t, factor)
    return t * factor


def computed_from(op: Operation) -> Sequence[Node]:
    """The operands in the dtypes that NumPy computes in: the logarithm of an int8 would be half precision."""
    primitive = op.primitive
    assert primitive is not None
    ufunc = primitive.numpy_ufunc
    whole = [x.aval.dtype.kind in "biu" and not x.aval.weak for x in op.inputs]
    if ufunc is None or True not in whole:
        return op.inputs
    loop = ufunc.resolve_dtypes((*[x.aval.dtype for x in op.inputs], *[None] * ufunc.nout))
    return [
        ops.astype(x, dtype) if integer and dtype.kind in "fc" else x
        for x, dtype, integer in zip(op.inputs, loop, whole, strict=False)
    ]


class Elementwise(Rule):
    """``d out / d input`` as an expression ``f(out, *inputs, **params)`` for each input."""

    __slots__ = ()

    def pull(self, ct: Node, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        return [scaled(ct, self.expression(i)(op, *computed_from(op), **op.params), masked) for i in positions]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Node | None:
        terms = []
        for position, tangent in enumerate(tangents):
            if tangent is not None:
                factor = self.expression(position)(op, *computed_from(op), **op.params)
                # What was not chosen has factor 0, and its tangent may be inf or NaN.
                chosen = self.masks and isinstance(factor, Node)
                terms.append(ops.masked_multiply(factor, tangent) if chosen else scaled(tangent, factor, False))
        return total(terms)


class Linear(Rule):
    """Linear in all differentiable inputs together; ``transposed(ct, out, *inputs, **params)`` for each.

    A single function gives the cotangents of all inputs; those that have none differ in their dtype.
    """

    __slots__ = ()

    def pull(self, ct: Node, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        if callable(self.arguments):
            cotangents = self.arguments(ct, op, *op.inputs, **op.params)
            return [cotangents[i] for i in positions]
        return [self.expression(i)(ct, op, *op.inputs, **op.params) for i in positions]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Node | None:
        inputs = []
        for position, (x, tangent) in enumerate(zip(op.inputs, tangents, strict=True)):
            # Of what it is linear in, integers have no tangent either; a single function does not say what that is.
            if self.passes(position) and (x.aval.differentiable or not callable(self.arguments)):
                inputs.append(ops.zeros_like(x) if tangent is None else tangent)
            else:
                inputs.append(x)
        result: Node = op.signature.primitive(*inputs, **op.params)
        return result


class Multilinear(Linear):
    """Linear in each input by itself: the tangent is a sum, one term an input."""

    __slots__ = ()

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Node | None:
        terms = []
        for position, tangent in enumerate(tangents):
            if tangent is not None:
                inputs = [*op.inputs[:position], tangent, *op.inputs[position + 1 :]]
                terms.append(op.signature.primitive(*inputs, **op.params))
        return total(terms)


class Explicit(Rule):
    """Neither elementwise nor linear: ``pull(ct, out, *inputs, **params)`` for each input, and ``push`` for all.

    ``push(out, inputs, tangents, **params)`` gives the tangent of the output; a tangent that is None is zero. Where a
    primitive has several outputs, ``ct`` is a tuple of their cotangents and ``push`` gives a tuple of their tangents,
    with None for zero in both; ``ops.outputs(out)`` are the outputs themselves.
    """

    __slots__ = ("_push",)

    def __init__(
        self,
        primitive: Primitive,
        pulls: Sequence[Pull | State],
        push: Callable[..., Any],
        source: str = "",
    ):
        super().__init__(primitive, pulls, source)
        self._push = push

    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        return [self.expression(i)(ct, op, *op.inputs, **op.params) for i in positions]

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Any:
        return self._push(op, op.inputs, tangents, **op.params)


class Walked(Rule):
    """What the walkers of ``differentiate`` know how to pass."""

    __slots__ = ()

    def passes(self, position: int) -> bool:
        """Whether a derivative could pass through this argument."""
        return True

    def pull(self, ct: Any, op: Operation, positions: Sequence[int], masked: bool) -> list[Node | None]:
        raise AssertionError("the walker passes it")

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Node | None:
        raise AssertionError("the walker passes it")


class Via(Walked):
    """The derivative is that of an equivalent composition ``f(*inputs, **params)``."""

    __slots__ = ()

    def composition(self, *inputs: Node, **params: Any) -> Node:
        """The equivalent of the primitive, made of others."""
        assert callable(self.arguments)
        return self.arguments(*inputs, **params)  # type: ignore[no-any-return]


def total(terms: Iterable[Node | None]) -> Node | None:
    """The sum of those terms that are not zero; None if all are."""
    result = None
    for term in terms:
        if term is not None:
            result = term if result is None else result + term
    return result


def unary(primitive: Primitive, derivative: Derivative | State, source: str = "") -> Rule:
    """A row for one elementwise input."""
    return Elementwise(primitive, (derivative,), source)


def binary(
    primitive: Primitive, first: Derivative | State, second: Derivative | State, source: str = "", masks: bool = False
) -> Rule:
    """A row for two elementwise inputs."""
    return Elementwise(primitive, (first, second), source, masks)


def without(state: State, *primitives: Primitive) -> list[Rule]:
    """Rows for primitives none of whose arguments has a derivative."""
    return [Elementwise(primitive, state) for primitive in primitives]


def build_table(*topics: Iterable[Rule]) -> dict[Primitive, Rule]:
    """All rows by primitive; fails on a primitive with no row, or with two."""
    table: dict[Primitive, Rule] = {}
    for rows in topics:
        for rule in rows:
            if rule.primitive in table:
                raise ValueError(f"primitive {rule.primitive.name!r} has two derivative rules")
            table[rule.primitive] = rule
    missing = sorted(p.name for p in PRIMITIVES.values() if p not in table)
    if missing:
        raise ValueError(f"primitives without a derivative rule: {', '.join(missing)}")
    return table
