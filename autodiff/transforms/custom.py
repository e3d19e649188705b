"""Functions with derivatives that somebody has written: ``custom_vjp``, ``custom_jvp``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from types import FrameType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import numpy as np

from .. import ops
from ..containers import Structure, flatten, leaf_names, unflatten
from ..convert import as_node, describe
from ..core.avals import Aval
from ..errors import ArgumentError, AutodiffError, DifferentiationError, DTypeError, ShapeError, shown
from ..nodes import Node, Variable, now
from ..pickling import Named, findable
from ..tensor import Tensor, recording_nothing, wrap
from ..tracebacks import boundaries, boundary
from ..tracing import RULE, unknowns
from ..vectors import PYTHON_NUMBERS, alike, drawn
from ..written import Beyond, body_of, written
from .calls import Results

# How often a rule is followed into calls of its own function: each gives one more order of derivatives.
DEEPEST = 3

# The functions whose rules are being recorded in this thread.
_running: ContextVar[tuple[Any, ...]] = ContextVar("running", default=())

P = ParamSpec("P")
T = TypeVar("T")
# What a method is called on, and what else it takes.
S = TypeVar("S")
Q = ParamSpec("Q")


class Mark:
    """What stands in the place of an operand among the leaves of arguments: there is one of each name."""

    __slots__ = ("_name",)

    def __init__(self, name: str):
        self._name = name

    def __reduce__(self) -> str:
        return self._name


OPERAND, NUMBER = Mark("OPERAND"), Mark("NUMBER")


@boundaries
class _Custom(Named, Generic[P, T]):
    """A function and the rule of its derivative."""

    _name = ""

    def __init__(self, function: Callable[P, T]):
        if not callable(function):
            raise ArgumentError(f"{self._name}: {shown(function)} is not callable; give the function")
        functools.update_wrapper(self, function)
        self._function: Callable[..., Any] = function
        self._rule: Callable[..., Any] | None = None
        self._last = Beyond(
            f"{self._name}: the rule of {self._title} calls it, and is followed so to order {DEEPEST}; for "
            "higher derivatives write the rule without a call of the function itself"
        )

    def _state(self, frame: FrameType | None) -> Any:
        return {name: findable(value, frame) for name, value in vars(self).items()}

    @overload
    def __get__(self, instance: None, owner: Any = ...) -> Self: ...
    @overload
    def __get__(self: _Custom[Concatenate[S, Q], T], instance: S, owner: Any = ...) -> Callable[Q, T]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self.__call__, instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        if kwargs:
            raise ArgumentError(
                f"{self._name}: {self._title} was called with {', '.join(kwargs)} by name; give arguments by position, "
                "so that the rule knows which is which"
            )
        leaves, structure = flatten(args)
        if not any(isinstance(leaf, Tensor) for leaf in leaves) or recording_nothing():
            return self._function(*args)  # type: ignore[no-any-return]
        if self._rule is None:
            raise ArgumentError(f"{self._name}: {self._title} has no rule yet; call {self._hint}")
        running = _running.get()
        if running.count(self) == DEEPEST:
            return self._beyond(leaves, structure)  # type: ignore[no-any-return]
        token = _running.set((*running, self))
        try:
            return self._recorded(leaves, structure)  # type: ignore[no-any-return]
        finally:
            _running.reset(token)

    def _beyond(self, leaves: list[Any], structure: Structure) -> Any:
        """What the function gives, without a rule: derivatives of this order are asked for by nobody, or refused."""
        results = self._results(self._function(*unflatten(structure, iter(leaves))))
        own = [leaf._node for leaf in leaves if isinstance(leaf, Tensor) and leaf._node.aval.differentiable]
        nodes = [ops.custom_p(node, *own, rule=self._last) for node in results.nodes]
        return results.rebuilt([wrap(node) for node in nodes])

    def _recorded(self, leaves: list[Any], structure: Structure) -> Any:
        raise NotImplementedError

    @property
    def _title(self) -> str:
        return getattr(self, "__name__", "the function")

    _hint = ""

    def _named(self, leaves: list[Any]) -> tuple[list[Any], list[int], int]:
        """The leaves with fresh names for the Tensors, where derivatives may pass, and since when."""
        begin = now()
        named = [wrap(ops.identity(leaf._node)) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        active = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf._node.aval.differentiable]
        return named, active, begin

    def _results(self, out: Any) -> Results:
        return Results(out, f"{self._name}: {self._title}", beside=False).differentiable()

    def _check_closed(self, roots: Sequence[Node], own: Sequence[Node], begin: int) -> None:
        """An error where what was recorded is made of a Tensor that is no argument: its derivative would be lost."""
        seen = {*roots, *own}
        stack = [node for node in dict.fromkeys(roots) if node not in own]
        while stack:
            node = stack.pop()
            outside = node.sequence <= begin and (bool(node.inputs) or type(node) is Variable or node.value is None)
            if outside and node.aval.differentiable:
                raise DifferentiationError(
                    f"{self._name}: {self._title} uses a Tensor {node.aval!r} of the outside, and no rule says what "
                    "its derivative is; make it an argument, or take its value (t.value, ad.stop_gradient)"
                )
            if node.sequence > begin:
                fresh = [x for x in node.inputs if x not in seen]
                seen.update(fresh)
                stack += fresh

    def _checked(self, value: Any, aval: Aval, what: str) -> Node | None:
        """A cotangent or tangent that a rule returned, of the shape and dtype of what it belongs to; None for zero."""
        if value is None:
            return None
        try:
            node: Node = value._node if isinstance(value, Tensor) else as_node(value)
        except AutodiffError as error:
            error.within(what)
            raise
        if node.aval.shape != aval.shape:
            if ops.is_zeros(node):
                return None
            raise ShapeError(f"{what} is {describe(value)}, but belongs to {aval!r}, and must have that shape")
        if node.aval.dtype.kind == "c" and aval.dtype.kind != "c":
            raise DTypeError(f"{what} is {describe(value)}, but belongs to {aval!r}, which has no imaginary part")
        return ops.astype(node, aval.dtype) if node.aval.dtype != aval.dtype else node


def _unknown(avals: Sequence[Aval]) -> list[Node]:
    return unknowns(avals, RULE)


@boundaries
class CustomVJP(_Custom[P, T]):
    """A function with a rule for its cotangents. Made by ``custom_vjp``.

    Parameters
    ----------
    function : callable
        What is computed.

    Examples
    --------
    >>> import autodiff as ad
    >>> square = ad.custom_vjp(lambda x: x * x)
    >>> square.defvjp(lambda x: (x * x, x), lambda x, cotangent: (2 * x * cotangent,))
    >>> isinstance(square, ad.CustomVJP), ad.grad(square)(3.0)
    (True, 6.0)
    """

    _name = "custom_vjp"
    _hint = "defvjp(forward, backward)"

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Say what the derivative is.

        Parameters
        ----------
        forward : callable
            Takes the arguments of the function; returns the pair (result, residuals): anything that ``backward`` needs.
        backward : callable
            Takes the residuals and a cotangent in the structure of the result; returns a tuple with a cotangent for
            each argument, in its structure; None for zero, and for what is no array.

        Raises
        ------
        ArgumentError
            If one is not callable.
        """
        for name, rule in (("forward", forward), ("backward", backward)):
            if not callable(rule):
                raise ArgumentError(f"custom_vjp: {name}={shown(rule)} of {self._title} is not callable")
        self._forward, self._rule = forward, backward

    def _given(self, frame: FrameType | None) -> tuple[Any, ...]:
        """What was given to ``defvjp``, as it can be pickled."""
        return findable(self._forward, frame), findable(self._rule, frame)

    def _recorded(self, leaves: list[Any], structure: Structure) -> Any:
        named, active, begin = self._named(leaves)
        args = unflatten(structure, iter(named))
        pair = self._forward(*args)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise DifferentiationError(
                f"custom_vjp: forward of {self._title} must return a pair (result, residuals), not {describe(pair)}"
            )
        results = self._results(pair[0])
        cotangents = _unknown([node.aval for node in results.nodes])
        assert self._rule is not None
        returned = self._rule(pair[1], unflatten(results.structure, iter([wrap(ct) for ct in cotangents])))
        found = self._split(returned, args, named, active)
        own = [named[i]._node for i in active]
        body, residuals = body_of(cotangents, found, f"custom_vjp: {self._title}")
        self._check_closed(
            [*results.nodes, *residuals], [leaf._node for leaf in named if isinstance(leaf, Tensor)], begin
        )
        outs = [written(body, False, i, node, own, residuals) for i, node in enumerate(results.nodes)]
        return results.rebuilt([wrap(node) for node in outs])

    def _split(self, returned: Any, args: Sequence[Any], named: list[Any], active: list[int]) -> list[Node | None]:
        """A cotangent for each leaf of the arguments that has one."""
        what = f"custom_vjp: backward of {self._title}"
        if not isinstance(returned, (tuple, list)) or len(returned) != len(args):
            count = f"{len(returned)} entries" if isinstance(returned, (tuple, list)) else describe(returned)
            raise ArgumentError(
                f"{what} must return a tuple of {len(args)} cotangents, one for each argument, not {count}"
            )
        values: list[Any] = []
        labels: list[str] = []
        for i, (part, arg) in enumerate(zip(returned, args, strict=True)):
            own, structure = flatten(arg)
            names = [f"{what}: part [{i}]{name}" for name in leaf_names(structure)]
            labels += names
            if part is None:
                values += [None] * len(own)
                continue
            given, other = flatten(part)
            if not alike(other, structure):
                raise ArgumentError(
                    f"{what}: part [{i}] must be nested as the argument is, {drawn(structure)}, not {drawn(other)}"
                )
            values += given
        return [self._checked(values[i], named[i]._node.aval, labels[i]) for i in active]


@boundaries
class CustomJVP(_Custom[P, T]):
    """A function with a rule for its tangents. Made by ``custom_jvp``.

    Parameters
    ----------
    function : callable
        What is computed.

    Examples
    --------
    >>> import autodiff as ad
    >>> square = ad.custom_jvp(lambda x: x * x)
    >>> _ = square.defjvp(lambda primals, tangents: (primals[0] ** 2, 2 * primals[0] * tangents[0]))
    >>> isinstance(square, ad.CustomJVP), ad.grad(square)(3.0)
    (True, 6.0)
    """

    _name = "custom_jvp"
    _hint = "defjvp(rule)"

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Say what the derivative is.

        Parameters
        ----------
        rule : callable
            Takes a tuple of the arguments and a tuple of their tangents (None for what is no array); returns the pair
            (result, tangent), in one structure.

        Returns
        -------
        callable
            The rule, so that this can be a decorator.

        Raises
        ------
        ArgumentError
            If it is not callable.
        """
        if not callable(rule):
            raise ArgumentError(f"custom_jvp: the rule {shown(rule)} of {self._title} is not callable")
        self._rule = rule
        return rule

    def _given(self, frame: FrameType | None) -> tuple[Any, ...]:
        """What was given to ``defjvp``, as it can be pickled."""
        return (findable(self._rule, frame),)

    def _recorded(self, leaves: list[Any], structure: Structure) -> Any:
        named, active, begin = self._named(leaves)
        own = [named[i]._node for i in active]
        names = _unknown([node.aval for node in own])
        tangents: list[Any] = [_still(leaf) for leaf in leaves]
        for i, name in zip(active, names, strict=True):
            tangents[i] = wrap(name)
        assert self._rule is not None
        args = unflatten(structure, iter(named))
        pair = self._rule(args, unflatten(structure, iter(tangents)))
        what = f"custom_jvp: the rule of {self._title}"
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DifferentiationError(f"{what} must return a pair (result, tangent), not {describe(pair)}")
        results = self._results(pair[0])
        values, given = flatten(pair[1])
        if pair[1] is None:
            values = [None] * len(results.nodes)
        elif not alike(given, results.structure):
            raise ArgumentError(
                f"{what}: the tangent must be nested as the result is, {drawn(results.structure)}, not {drawn(given)}"
            )
        found = [
            self._checked(value, node.aval, f"{what}: the tangent{name}")
            for value, node, name in zip(values, results.nodes, leaf_names(results.structure), strict=True)
        ]
        body, residuals = body_of(names, found, f"custom_jvp: {self._title}")
        self._check_closed(
            [*results.nodes, *residuals], [leaf._node for leaf in named if isinstance(leaf, Tensor)], begin
        )
        outs = [written(body, True, i, node, own, residuals) for i, node in enumerate(results.nodes)]
        return results.rebuilt([wrap(node) for node in outs])


def _still(leaf: Any) -> Any:
    """The tangent of what is not differentiated: zeros for floating arrays and numbers, else None."""
    if type(leaf) in PYTHON_NUMBERS:
        return 0.0
    return np.zeros_like(leaf) if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fc" else None


@boundary
def custom_vjp(function: Callable[P, T]) -> CustomVJP[P, T]:
    """A function whose derivative is a rule for cotangents, instead of that of what it is made of.

    Parameters
    ----------
    function : callable
        Written with NumPy; takes arguments by position.

    Returns
    -------
    CustomVJP
        Called as the function is. Its method ``defvjp(forward, backward)`` takes the rule.

    Raises
    ------
    ArgumentError
        If it is not callable; when called, if it has no rule yet, or the rule returns another structure.
    DifferentiationError
        When called, if it uses a Tensor that is no argument.
    ShapeError
        When called, if the rule returns a cotangent of another shape.

    Notes
    -----
    The rule is linear in the cotangent, and so forward mode is the rule transposed. Higher orders differentiate what
    the rule computes. In ``vmap`` the rule is that of one element.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> @ad.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1.0, 1.0),))
    >>> ad.grad(lambda x: 10 * clipped(x))(3.0)
    1.0
    """
    return CustomVJP(function)


@boundary
def custom_jvp(function: Callable[P, T]) -> CustomJVP[P, T]:
    """A function whose derivative is a rule for tangents, instead of that of what it is made of.

    Parameters
    ----------
    function : callable
        Written with NumPy; takes arguments by position.

    Returns
    -------
    CustomJVP
        Called as the function is. Its method ``defjvp(rule)`` takes the rule.

    Raises
    ------
    ArgumentError
        If it is not callable; when called, if it has no rule yet, or the rule returns another structure.
    DifferentiationError
        When called, if it uses a Tensor that is no argument.
    ShapeError
        When called, if the rule returns a tangent of another shape.

    Notes
    -----
    The rule is linear in the tangents, and so reverse mode is the rule transposed. Higher orders differentiate what
    the rule computes. In ``vmap`` the rule is that of one element.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> @ad.custom_jvp
    ... def safe_log(x):
    ...     return np.log(x)
    >>> @safe_log.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return safe_log(x), t / np.maximum(x, 1e-3)
    >>> ad.grad(safe_log)(1e-6), ad.grad(safe_log)(2.0)
    (1000.0, 0.5)
    """
    return CustomJVP(function)
