"""Gradients of functions: ``grad``, ``value_and_grad`` and what is like them; and ``stop_gradient``.

They record like everything else, so they nest, and a derivative of a derivative is only another graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .. import ops
from ..arguments import count, flag
from ..containers import LEAF, is_container, transform
from ..core.avals import Aval
from ..engine import Walk
from ..errors import ArgumentError, DifferentiationError
from ..gradients import Gradients
from ..nodes import Node
from ..tensor import Tensor, stand_in, wrap
from ..tracebacks import boundary, hide
from ..vectors import PYTHON_NUMBERS
from ..walks import pull, slopes
from ..watching import call_watched
from .calls import (
    ENGINE,
    Argnames,
    Argnums,
    Chosen,
    Results,
    apart,
    argument,
    belongs,
    check_call,
    engine_within,
    real_scalar,
    scalar,
    together,
)

P = ParamSpec("P")
T = TypeVar("T")


@boundary
def stop_gradient(x: T) -> T:
    """``x`` as a quantity that no derivative passes through.

    Parameters
    ----------
    x : Tensor or array_like
        Or containers of them.

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
    return transform(lambda t: wrap(ops.stop_gradient(t._node)) if isinstance(t, Tensor) else t, x)  # type: ignore[no-any-return]


def _called(
    function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], own: list[Node], name: str, engine: Gradients
) -> tuple[Any, list[Any]]:
    """The result of a function and its gradients: arrays and numbers, or Tensors if they belong to something larger."""
    # Not the handles that the function gets: it may give these other nodes, by operations in place.
    out = call_watched(function, args, kwargs, own, name)
    if type(out) is Tensor and own:
        # The common call: what was found to be right before, and to be a function of its arguments alone.
        again = engine.again(out._node, own)
        if again is not None:
            return engine.computed(out._node, *again)
    if type(out) is not Tensor or out._node.aval.size != 1 or out._node.aval.dtype.kind != "f":
        out = real_scalar(out, name)
    if not own:
        return out, []
    if belongs(out._node, own):
        return wrap(out._node), wrap(ENGINE.record(out._node, own))
    return engine.evaluate(out._node, own)


def _value_and_gradients(
    function: Callable[..., Any],
    argnums: Argnums,
    argnames: Argnames,
    has_aux: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str,
    engine: Gradients,
) -> tuple[Any, Any]:
    """The value and the gradients for one call: recorded, and found in the cache of plans."""
    chosen = Chosen(function, args, kwargs, name, argnums, argnames)
    if not has_aux:
        value, gradients = _called(function, chosen.args, chosen.kwargs, chosen.own, name, engine)
        return scalar(value) if chosen.is_number else value, chosen.rebuilt(gradients)
    out, aux = apart(chosen.called(function), True, name)
    root = real_scalar(out, name)._node
    value, gradients, rest = together(Walk(slopes), [root], chosen.own, chosen.own, (), aux, engine=engine)
    return (scalar(value[0]) if chosen.is_number else value[0], rest), chosen.rebuilt(gradients)


def _transformed(
    function: Callable[..., Any],
    argnums: Argnums,
    argnames: Argnames,
    has_aux: bool,
    name: str,
    memory_limit: Any,
    with_value: bool,
) -> Callable[..., Any]:
    """What takes the arguments of a function and gives its gradients, and its value if it is asked for."""
    check_call(function, argnums, name, argnames)
    aux = flag(has_aux, f"{name}: has_aux")
    engine = engine_within(memory_limit, name)
    first = 0 if argnums is None and argnames is None else argnums
    position = first if type(first) is int and argnames is None and not aux else None

    @functools.wraps(function)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        try:
            if position is not None and -len(args) <= position < len(args):
                # The common call: of one argument that is no container. The rest would take a third of the time of a
                # small gradient; so would calls of functions that do what is written out here.
                given = args[position]
                kind = type(given)
                number = kind in PYTHON_NUMBERS
                if number or kind is np.ndarray or not is_container(given):
                    own, replaced = [argument(given, name, position)], [*args]
                    replaced[position] = stand_in(own[0])
                    value, (gradient,) = _called(function, replaced, kwargs, own, name, engine)
                    if not with_value:
                        return scalar(gradient) if number else gradient
                    return (scalar(value), scalar(gradient)) if number else (value, gradient)
            value, found = _value_and_gradients(function, first, argnames, aux, args, kwargs, name, engine)
            if with_value:
                return value, found
            return (found, value[1]) if aux else found
        except Exception as error:
            hide(error)
            raise

    return transformed


@boundary
def grad(
    function: Callable[P, Any],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    memory_limit: int | None = None,
) -> Callable[P, Any]:
    """The gradient of a function that returns a scalar.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns one real number.
    argnums : int or sequence of int, optional
        The positional arguments to differentiate with respect to; the first one if neither this nor ``argnames`` is
        given. Each is an array, a number, or a container of these: nested lists, tuples, dicts, dataclasses, and
        classes that are registered (``register_container``).
    has_aux : bool, optional
        True if the function returns a pair, of which only the first is differentiated.
    argnames : str or sequence of str, optional
        Parameters to differentiate with respect to by their names, however they are given.
    memory_limit : int, optional
        Bytes that a call may hold beside its arguments, its results included. What does not fit is computed again where
        it is needed.

    Returns
    -------
    callable
        Takes the arguments of ``function`` and returns the gradient: shaped like the argument, a tuple of these
        if ``argnums`` is a sequence, a dict if ``argnames`` is one, a pair of both if both are given. A Python number
        gives a Python float, a Tensor gives a Tensor. With ``has_aux`` it returns the pair (gradient, other results).

    Raises
    ------
    DifferentiationError
        When called, if the function does not return a scalar, or an argument has a dtype without derivatives.
    ArgumentError
        If ``argnums`` or ``argnames`` names no argument.
    OutOfMemoryError
        When called, if the limit is too low.

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
    >>> ad.grad(lambda x, *, scale: scale * x**2, argnames="scale")(3.0, scale=2.0)
    9.0
    >>> ad.grad(lambda x: (x**2, {"twice": 2 * x}), has_aux=True)(3.0)
    (6.0, {'twice': 6.0})
    """
    return _transformed(function, argnums, argnames, has_aux, "grad", memory_limit, False)


@boundary
def value_and_grad(
    function: Callable[P, T],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    memory_limit: int | None = None,
) -> Callable[P, tuple[T, Any]]:
    """The value and the gradient of a function that returns a scalar, from one plan.

    Parameters
    ----------
    function : callable
        As for ``grad``.
    argnums : int or sequence of int, optional
        As for ``grad``.
    has_aux : bool, optional
        As for ``grad``.
    argnames : str or sequence of str, optional
        As for ``grad``.
    memory_limit : int, optional
        As for ``grad``.

    Returns
    -------
    callable
        Takes the arguments of ``function`` and returns the pair (value, gradient); with ``has_aux`` the value is the
        pair (value, other results).

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
    return _transformed(function, argnums, argnames, has_aux, "value_and_grad", memory_limit, True)


# --- other gradients -------------------------------------------------------------------------------------------------


def _sloped(
    function: Callable[..., Any],
    chosen: Chosen,
    has_aux: bool,
    walk: Walk,
    check: Callable[[Aval, str], None],
) -> Any:
    """What a walk gives for the one result of a function, and its other results."""
    out, aux = apart(chosen.called(function), has_aux, chosen.name)
    beside = chosen.name != "nth_derivative"
    results = Results(out, chosen.name, beside).differentiable()
    if results.structure is not LEAF:
        hint = "; with has_aux=True it may return others beside" if beside else ""
        raise DifferentiationError(
            f"{chosen.name}: the function must return one array, not a {type(out).__name__}{hint}"
        )
    (root,) = results.nodes
    check(root.aval, chosen.name)
    _, found, rest = together(walk, [root], chosen.own, chosen.own, (), aux)
    return (chosen.rebuilt(found), rest) if has_aux else chosen.rebuilt(found)


def _check_real(aval: Aval, name: str) -> None:
    if aval.dtype.kind == "c":
        raise DifferentiationError(
            f"{name}: the function returned {aval!r}; the derivative of a complex result depends on the direction, so "
            "differentiate its real or imaginary part, or use holomorphic_grad"
        )


@boundary
def elementwise_grad(
    function: Callable[P, Any],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
) -> Callable[P, Any]:
    """The derivative of an elementwise function: of each element of the result by that of the argument at its place.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns a real array. Each of its elements depends on those at the same place only.
    argnums : int or sequence of int, optional
        As for ``grad``.
    has_aux : bool, optional
        As for ``grad``.
    argnames : str or sequence of str, optional
        As for ``grad``.

    Returns
    -------
    callable
        Takes the arguments of ``function``, and returns what ``grad`` does.

    Raises
    ------
    DifferentiationError
        When called, if the function does not return one real array.

    Notes
    -----
    It is the gradient of the sum of the result. If elements depend on others, these are added up as well.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.elementwise_grad(lambda x: x**3)(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    name = "elementwise_grad"
    check_call(function, argnums, name, argnames)
    aux = flag(has_aux, f"{name}: has_aux")

    @functools.wraps(function)
    @boundary
    def derivative(*args: P.args, **kwargs: P.kwargs) -> Any:
        chosen = Chosen(function, args, kwargs, name, argnums, argnames)
        return _sloped(function, chosen, aux, Walk(slopes), _check_real)

    return derivative


@boundary
def nth_derivative(
    function: Callable[P, Any], n: int, argnums: int = 0, *, argnames: str | None = None
) -> Callable[P, Any]:
    """The derivative of order ``n`` of a function of one number, or of an elementwise function.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns a real number or array.
    n : int
        The order; 0 is the function itself.
    argnums : int, optional
        The positional argument to differentiate with respect to.
    argnames : str, optional
        The parameter to differentiate with respect to, by its name.

    Returns
    -------
    callable
        Takes the arguments of ``function``, and returns an array like the chosen one: each order is the derivative of
        the sum of the one before. A Python number gives a Python float.

    Raises
    ------
    ArgumentError
        If ``n`` is negative or no integer, or several arguments are chosen.
    DifferentiationError
        When called, if the function does not return one real array.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.nth_derivative(np.exp, 5)(0.0)
    1.0
    >>> ad.nth_derivative(lambda x: x**4, 3)(np.array([1.0, 2.0]))
    array([24., 48.])
    """
    name = "nth_derivative"
    check_call(function, argnums, name, argnames)
    order = count(n, f"{name}: n", 0, ", the order of the derivative")
    if not isinstance(argnums, int) or not isinstance(argnames, (str, type(None))):
        raise ArgumentError(f"{name}: argnums and argnames choose one argument here, not a sequence of them")
    if order == 0:
        return function
    place = None if argnames is not None else argnums

    @functools.wraps(function)
    @boundary
    def derivative(*args: P.args, **kwargs: P.kwargs) -> Any:
        chosen = Chosen(function, args, kwargs, name, place, argnames)
        return _sloped(function, chosen, False, Walk(slopes, (order,)), _check_real)

    return derivative


def _ones_pulled(outputs: Sequence[Node], inputs: Sequence[Node], given: Sequence[Node]) -> list[Node]:
    return pull(outputs, inputs, [ops.ones_like(y) for y in outputs])


def _check_complex(aval: Aval, name: str) -> None:
    if aval.size != 1:
        raise DifferentiationError(f"{name}: the function must return one complex number, but returned {aval!r}")
    if aval.dtype.kind != "c":
        raise DifferentiationError(
            f"{name}: the function returned {aval!r}; a holomorphic function of complex numbers has complex results, "
            "and grad differentiates real ones"
        )


@boundary
def holomorphic_grad(
    function: Callable[P, Any],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
) -> Callable[P, Any]:
    """The complex derivative of a holomorphic function of complex numbers that returns one.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns one complex number. Nobody checks that it is holomorphic: that it is made without
        ``np.conj``, ``np.abs``, ``np.real`` and their kin.
    argnums : int or sequence of int, optional
        As for ``grad``; the arguments are complex.
    has_aux : bool, optional
        As for ``grad``.
    argnames : str or sequence of str, optional
        As for ``grad``.

    Returns
    -------
    callable
        Takes the arguments of ``function``, and returns the derivatives by each element of the chosen ones.

    Raises
    ------
    DifferentiationError
        When called, if an argument or the result is not complex, or the result is not one number.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.holomorphic_grad(lambda z: z**2)(1 + 2j)
    (2+4j)
    """
    name = "holomorphic_grad"
    check_call(function, argnums, name, argnames)
    aux = flag(has_aux, f"{name}: has_aux")

    @functools.wraps(function)
    @boundary
    def derivative(*args: P.args, **kwargs: P.kwargs) -> Any:
        chosen = Chosen(function, args, kwargs, name, argnums, argnames)
        for node, path in zip(chosen.own, chosen.paths, strict=True):
            if node.aval.dtype.kind != "c":
                raise DifferentiationError(
                    f"{name}: {path} is {node.aval!r}; holomorphic functions are of complex numbers, and "
                    "grad differentiates with respect to real ones"
                )
        return _sloped(function, chosen, aux, Walk(_ones_pulled), _check_complex)

    return derivative
