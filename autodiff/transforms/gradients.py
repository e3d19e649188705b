"""Functions of functions: ``grad``, ``value_and_grad``, ``function``; and ``stop_gradient``.

They record like everything else, so they nest, and a derivative of a derivative is only another graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..containers import LEAF, flatten, is_container, transform, unflatten
from ..core.avals import WEAK_COMPLEX, WEAK_FLOAT, Aval
from ..errors import ArgumentError, AutodiffError, DifferentiationError, RangeError, shown
from ..gradients import Gradients
from ..nodes import NO_SLOT, Argument, Node, Variable
from ..places import bring, placed
from ..plan import collect_below
from ..registry import get_backend
from ..tensor import Tensor, wrap
from ..watching import belongs_to_larger, call_watched

# The gradients of all transformed functions: found by structure, whichever call made them.
_GRADIENTS = Gradients(2048)


def stop_gradient(x: Any) -> Any:
    """``x`` as a quantity that no derivative passes through.

    Parameters
    ----------
    x : Tensor or array_like
        Or nested lists, tuples and dicts of them.

    Returns
    -------
    Tensor or array_like
        Tensors of the same value; anything else as it is.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.grad(lambda x: x * ad.stop_gradient(x))(3.0)
    3.0
    """
    return transform(lambda leaf: wrap(ops.stop_gradient(leaf._node)) if isinstance(leaf, Tensor) else leaf, x)


# --- arguments -------------------------------------------------------------------------------------------------------


def _argument(value: Any, name: str, position: int) -> Node:
    """A node to differentiate with respect to, for an argument of a function."""
    kind = type(value)
    if kind is float:
        return Argument(WEAK_FLOAT, value, NO_SLOT)
    if kind is Tensor or isinstance(value, Tensor):
        if not value._node.aval.differentiable:
            raise _no_derivative(f"{name}, argument {position}", value._node.aval)
        # A fresh name: in a nested derivative the same Tensor may be an argument of both.
        return ops.identity(value._node)
    if kind is int or kind is bool:
        try:
            return Argument(WEAK_FLOAT, float(value), NO_SLOT)
        except OverflowError:
            raise RangeError(f"{name}, argument {position}: {shown(value)} is larger than any float") from None
    if kind is complex:
        return Argument(WEAK_COMPLEX, value, NO_SLOT)
    try:
        array, aval = placed(value)
    except AutodiffError as error:
        error.within(f"{name}, argument {position}")
        raise
    return Argument(aval, array, NO_SLOT)


def _no_derivative(name: str, aval: Aval) -> DifferentiationError:
    return DifferentiationError(
        f"{name}: there are no derivatives with respect to an argument {aval!r}; use a floating dtype, or leave it "
        "out of argnums"
    )


def _positions(argnums: Any, count: int, name: str) -> tuple[int, ...]:
    positions = (argnums,) if type(argnums) is int else tuple(argnums)
    for p in positions:
        if not -count <= p < count:
            raise ArgumentError(
                f"{name}: argnums={shown(argnums)} names argument {shown(p)}, but the function was called with {count} "
                "positional arguments"
            )
    return tuple([p % count for p in positions])


def _check_call(function: Any, argnums: Any, name: str) -> None:
    if not callable(function):
        raise ArgumentError(f"{name}: {shown(function)} is not callable; give the function to differentiate")
    valid = isinstance(argnums, int) and not isinstance(argnums, bool)
    if not valid and isinstance(argnums, (tuple, list)) and argnums:
        valid = all(isinstance(p, int) and not isinstance(p, bool) for p in argnums)
    if not valid:
        raise ArgumentError(f"{name}: argnums={argnums!r} must be an integer or a non-empty tuple of integers")


def _result(out: Any, name: str) -> Tensor:
    """The result of a differentiated function, checked to be one real number."""
    if not isinstance(out, Tensor):
        if out is None or is_container(out) or np.ndim(out):
            raise DifferentiationError(
                f"{name}: the function must return a scalar, not {type(out).__name__} {repr(out)[:60]}"
            )
        if isinstance(out, (bool, np.bool_)):
            raise DifferentiationError(f"{name}: the function returned {out}, and a truth value has no derivative")
        out = Tensor(out)
    aval = out._node.aval
    if aval.size != 1:
        raise DifferentiationError(
            f"{name}: the function must return a scalar, but returned {aval!r}; sum it (np.sum) to differentiate the "
            "sum, or use Graph.gradient, which does"
        )
    if aval.dtype.kind == "c":
        raise DifferentiationError(
            f"{name}: the function returned {aval!r}; the derivative of a complex result depends on the direction, so "
            "differentiate its real or imaginary part (np.real, np.imag)"
        )
    if not aval.differentiable:
        raise DifferentiationError(
            f"{name}: the function returned {aval!r}, and a result of dtype {aval.dtype} has no derivative"
        )
    return out  # type: ignore[no-any-return]


def _belongs_to_larger(out: Tensor, own: list[Node]) -> bool:
    """Whether a derivative passes to a result from outside of the transformation, which needs a Tensor back."""
    for node in own:
        if type(node) is not Argument:
            return True
    root, begin = out._node, own[0].sequence  # they are made in order
    if root.inputs:
        trace = root.trace
        if trace is None or trace.floor > begin:
            trace = root.trace = collect_below(root, begin)
        leaves = trace.leaves
    else:
        leaves = [root]
    # The common case: a function of its arguments, and of constants.
    for leaf in leaves:
        if leaf.inputs or (leaf.sequence < begin and isinstance(leaf, Variable)):
            return belongs_to_larger(root, leaves, begin)
    return False


_PYTHON_NUMBERS = frozenset((float, int, bool, complex))


def _scalar(value: Any) -> Any:
    if type(value) is float or isinstance(value, Tensor):
        return value
    if not isinstance(value, (np.ndarray, np.generic)):
        value = bring(value, get_backend())
    return value.item()


def _called(
    function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], own: list[Node], name: str
) -> tuple[Any, list[Any]]:
    """The result of a function and its gradients: arrays and numbers, or Tensors if they belong to something larger."""
    # Not the handles that the function gets: it may give these other nodes, by operations in place.
    out = call_watched(function, args, kwargs, own, name)
    if type(out) is not Tensor or out._node.aval.size != 1 or out._node.aval.dtype.kind != "f":
        out = _result(out, name)
    if not own:
        return out, []
    if _belongs_to_larger(out, own):
        return out, wrap(_GRADIENTS.record(out._node, own))
    return _GRADIENTS.evaluate(out._node, own)


def _value_and_gradients(
    function: Callable[..., Any], argnums: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str
) -> tuple[Any, Any]:
    """The value and the gradients for one call: recorded, and found in the cache of plans."""
    replaced = list(args)
    given = args[argnums] if type(argnums) is int and -len(args) <= argnums < len(args) else ()
    number = type(given) in _PYTHON_NUMBERS
    if number or not is_container(given):
        # The common call. What containers of arguments need would take a third of the time of a small gradient.
        node = _argument(given, name, argnums)
        replaced[argnums] = wrap(node)
        value, (gradient,) = _called(function, replaced, kwargs, [node], name)
        return (_scalar(value), _scalar(gradient)) if number else (value, gradient)
    positions = _positions(argnums, len(args), name)
    own: list[Node] = []
    structures = []
    numbers: list[bool] = []
    known: dict[int, list[Node]] = {}
    for p in positions:
        leaves, structure = flatten(args[p])
        nodes = known.get(p)
        if nodes is None:
            nodes = known[p] = [_argument(leaf, name, p) for leaf in leaves]
            tensors = [wrap(node) for node in nodes]
            replaced[p] = tensors[0] if structure is LEAF else unflatten(structure, iter(tensors))
        numbers += [type(leaf) in _PYTHON_NUMBERS for leaf in leaves]
        own += nodes
        structures.append(structure)
    value, gradients = _called(function, replaced, kwargs, own, name)
    if True in numbers:
        gradients = [_scalar(g) if number else g for g, number in zip(gradients, numbers, strict=True)]
        if False not in numbers:
            value = _scalar(value)
    parts = iter(gradients)
    results = [next(parts) if s is LEAF else unflatten(s, parts) for s in structures]
    return value, results[0] if isinstance(argnums, int) else tuple(results)


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The gradient of a function that returns a scalar.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns one real number.
    argnums : int or sequence of int, optional
        The positional arguments to differentiate with respect to. Each is an array, a number, or nested lists,
        tuples and dicts of these.

    Returns
    -------
    callable
        Takes the arguments of ``function`` and returns the gradient: shaped like the argument, a tuple of these
        if ``argnums`` is a sequence. A Python number gives a Python float, a Tensor gives a Tensor.

    Raises
    ------
    DifferentiationError
        When called, if the function does not return a scalar, or an argument has a dtype without derivatives.
    ArgumentError
        If ``argnums`` names no argument.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.grad(lambda x: x**2 + x)(3.0)
    7.0
    >>> ad.grad(ad.grad(np.sin))(0.0)
    -0.0
    >>> ad.grad(lambda w: np.sum(w["a"] * w["b"]))({"a": np.ones(2), "b": np.full(2, 3.0)})
    {'a': array([3., 3.]), 'b': array([1., 1.])}
    """
    _check_call(function, argnums, "grad")

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return _value_and_gradients(function, argnums, args, kwargs, "grad")[1]

    return gradient


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Any]]:
    """The value and the gradient of a function that returns a scalar, from one plan.

    Parameters
    ----------
    function : callable
        As for ``grad``.
    argnums : int or sequence of int, optional
        As for ``grad``.

    Returns
    -------
    callable
        Takes the arguments of ``function`` and returns the pair (value, gradient).

    Raises
    ------
    DifferentiationError
        As for ``grad``.
    ArgumentError
        As for ``grad``.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.value_and_grad(lambda x: x**3)(2.0)
    (8.0, 12.0)
    """
    _check_call(function, argnums, "value_and_grad")

    @functools.wraps(function)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return _value_and_gradients(function, argnums, args, kwargs, "value_and_grad")

    return value_and_gradient
