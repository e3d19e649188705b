"""Products of derivatives and vectors: ``jvp``, ``vjp``, ``linearize``, ``hvp``, ``vhp``, ``ggnvp``.

None of them makes the matrix: each is one walk over what the function recorded, compiled once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag
from ..containers import LEAF, Structure, flatten, unflatten
from ..convert import describe
from ..core.avals import Aval
from ..engine import Walk, collected_of
from ..errors import ArgumentError, DifferentiationError, several
from ..nodes import Argument, Node, history
from ..tensor import stand_in, wrap
from ..tracebacks import boundaries, boundary
from ..vectors import captured, drawn, vectors
from ..walks import gauss_newton_product, hessian_product, product_hessian, pull, push
from ..watching import call_watched
from .calls import ENGINE, Argnames, Argnums, Aux, Chosen, Results, apart, check_call, is_larger, real_scalar, together

PUSH, PULL = Walk(push), Walk(pull)


def _recorded(function: Any, primals: Sequence[Any], has_aux: bool, name: str) -> tuple[Chosen, Results, Aux]:
    """The arguments of a function, all of them differentiated, and what it returns."""
    check_call(function, None, name)
    if not isinstance(primals, (tuple, list)):
        raise ArgumentError(
            f"{name}: primals={describe(primals)} must be a tuple or a list, an entry for each argument; write (x,)"
        )
    everything = tuple(range(len(primals)))
    chosen = Chosen(function, primals, {}, name, everything)
    out, aux = apart(chosen.called(function), flag(has_aux, f"{name}: has_aux"), name)
    return chosen, Results(out, name).differentiable(), aux


@boundary
def jvp(
    function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of a function and its derivative along a direction: the Jacobian times a vector, in forward mode.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns floating or complex arrays or numbers, or containers of them.
    primals : tuple or list
        Its arguments: arrays, numbers, or containers of them.
    tangents : tuple or list
        The direction: for each of ``primals`` what has its structure and shapes.
    has_aux : bool, optional
        True if the function returns a pair, of which only the first is differentiated.

    Returns
    -------
    value
        What the function returns.
    tangent
        Its derivative along ``tangents``, in the same structure. Numbers if all ``primals`` are Python numbers, and
        Tensors if one is a Tensor.
    aux
        With ``has_aux``, the other results.

    Raises
    ------
    ShapeError
        If a tangent has another shape than its primal.
    ArgumentError
        If the structures differ, or ``primals`` is no tuple or list.
    DifferentiationError
        If a result has no derivative: integers, booleans.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.jvp(np.sin, (0.0,), (2.0,))
    (0.0, 2.0)
    >>> ad.jvp(lambda x, y: x * y, (np.array([1.0, 2.0]), 3.0), (np.array([1.0, 0.0]), 1.0))
    (array([3., 6.]), array([4., 2.]))
    """
    chosen, results, aux = _recorded(function, primals, has_aux, "jvp")
    if not isinstance(tangents, (tuple, list)):
        raise ArgumentError(f"jvp: tangents={describe(tangents)} must be a tuple or a list, an entry for each primal")
    given = _entries(tangents, chosen.structure, [node.aval for node in chosen.own], "jvp: tangents")
    values, found, rest = together(PUSH, results.nodes, chosen.own, chosen.own, given, aux)
    pair = results.rebuilt(values, chosen.is_number), results.rebuilt(found, chosen.is_number)
    return (*pair, rest) if has_aux else pair


def _entries(values: Sequence[Any], structure: Structure, avals: Sequence[Aval], what: str) -> list[Node]:
    """Nodes for vectors, of which there is one for each part of a structure; a list for a tuple is as good."""
    _, _, parts = structure
    if len(values) != len(parts):
        entries = several(len(parts), "entry", "entries")
        raise ArgumentError(f"{what} must have {entries}, one for each primal, not {len(values)}")
    nodes: list[Node] = []
    for i, (entry, part) in enumerate(zip(values, parts, strict=True)):
        nodes += vectors(entry, part, avals[len(nodes) : len(nodes) + _leaves(part)], f"{what}[{i}]")
    return nodes


def _leaves(structure: Structure) -> int:
    """How many leaves a structure has."""
    return 1 if structure is LEAF else sum(map(_leaves, structure[2]))


@boundaries
class _Linear:
    """A linear function of vectors, at a point that is known: what ``vjp`` and ``linearize`` return."""

    __slots__ = ("_apply", "_avals", "_many", "_name", "_rebuild", "_structure")

    def __init__(
        self,
        name: str,
        apply: _Part,
        avals: list[Aval],
        structure: Structure,
        rebuild: Callable[[Sequence[Any]], Any],
        many: bool,
    ):
        self._name = name
        self._apply = apply
        self._avals = avals
        self._structure = structure
        self._rebuild = rebuild
        # Whether it takes an argument for each part of the structure, or one in this structure.
        self._many = many

    def __call__(self, *args: Any) -> Any:
        what = f"{self._name}: {'tangents' if self._many else 'cotangent'}"
        if self._many:
            nodes = _entries(args, self._structure, self._avals, what)
        elif len(args) != 1:
            raise ArgumentError(
                f"{what}: the pullback takes one, nested as what the function returned ({drawn(self._structure)}), not "
                f"{len(args)}"
            )
        else:
            nodes = vectors(args[0], self._structure, self._avals, what)
        return self._rebuild(self._apply(nodes))

    def __copy__(self) -> _Linear:
        # Nothing of it changes.
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Linear:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Nodes first, inputs before what uses them, so that pickling is no recursion over the graph.
        return _restored, (self._apply.history(), *[getattr(self, name) for name in _LINEAR])


_LINEAR = ("_name", "_apply", "_avals", "_structure", "_rebuild", "_many")


def _restored(nodes: list[Node], *parts: Any) -> _Linear:
    return _Linear(*parts)


class _Part:
    """What a walk gives for vectors, without computing again what does not depend on these."""

    __slots__ = ("_also", "_avals", "_is_larger", "_outputs", "_own", "_second", "_walk")

    def __init__(self, walk: Walk, outputs: list[Node], own: list[Node], also: list[Node], avals: list[Aval]):
        self._walk, self._outputs, self._own, self._also, self._avals = walk, outputs, own, also, avals
        # Whether it belongs to a larger derivative: it is recorded then.
        self._is_larger = is_larger(collected_of(also, own), also, own)
        # Made by the first look at values; in another process by the first call.
        self._second: Callable[[Sequence[Any]], Sequence[Any]] | None = None

    def values(self) -> list[Any]:
        """Those of all results."""
        if self._is_larger:
            return wrap(self._also)  # type: ignore[no-any-return]
        collected = collected_of(self._also, self._own)
        split = ENGINE.split(self._walk, collected, self._outputs, self._own, self._avals, self._also)
        values, self._second = split
        return values

    def __call__(self, nodes: list[Node]) -> Sequence[Any]:
        if self._is_larger or any(type(node) is not Argument for node in nodes):
            return wrap(ENGINE.nodes(self._walk, self._outputs, self._own, captured(nodes)))  # type: ignore[no-any-return]
        if self._second is None:
            self.values()
        assert self._second is not None
        return self._second([node.value for node in nodes])

    def history(self) -> list[Node]:
        """All that it refers to, inputs first."""
        return history(*self._also, *self._own)

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, {name: getattr(self, name) for name in _Part.__slots__} | {"_second": None}


@boundary
def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function and its pullback: what takes a vector times the Jacobian, in reverse mode.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns floating or complex arrays or numbers, or containers of them.
    *primals
        Its arguments: arrays, numbers, or containers of them.
    has_aux : bool, optional
        True if the function returns a pair, of which only the first is differentiated.

    Returns
    -------
    value
        What the function returns.
    pullback : callable
        Takes a cotangent in the structure and the shapes of the value, and returns a tuple: for each of ``primals`` the
        derivative of the sum of cotangent times value. The function is not computed again for another cotangent.
    aux
        With ``has_aux``, the other results.

    Raises
    ------
    DifferentiationError
        If a result has no derivative: integers, booleans.
    ShapeError
        When the pullback is called, if a cotangent has another shape than its value.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> value, pullback = ad.vjp(lambda x, y: x * y, np.array([1.0, 2.0]), 3.0)
    >>> value
    array([3., 6.])
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 3., 30.]), 21.0)
    """
    chosen, results, aux = _recorded(function, primals, has_aux, "vjp")
    avals = [node.aval for node in results.nodes]
    apply = _Part(PULL, results.nodes, chosen.own, [*results.nodes, *aux.nodes], avals)
    values, n = apply.values(), len(avals)
    pullback = _Linear("vjp", apply, avals, results.structure, chosen.rebuilt, False)
    value = results.rebuilt(values[:n], chosen.is_number)
    return (value, pullback, aux.rebuilt(iter(values[n:]))) if has_aux else (value, pullback)


@boundary
def linearize(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function and its derivative as a linear function of directions, in forward mode.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns floating or complex arrays or numbers, or containers of them.
    *primals
        Its arguments: arrays, numbers, or containers of them.
    has_aux : bool, optional
        True if the function returns a pair, of which only the first is differentiated.

    Returns
    -------
    value
        What the function returns.
    pushforward : callable
        Takes a tangent for each of ``primals``, and returns the derivative along them in the structure of the value.
        What does not depend on the tangents has been computed before.
    aux
        With ``has_aux``, the other results.

    Raises
    ------
    DifferentiationError
        If a result has no derivative: integers, booleans.
    ShapeError
        When the pushforward is called, if a tangent has another shape than its primal.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> value, pushforward = ad.linearize(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pushforward(np.array([1.0, 0.0])), pushforward(np.array([0.0, 1.0]))
    (array([2., 0.]), array([0., 4.]))
    """
    chosen, results, aux = _recorded(function, primals, has_aux, "linearize")
    avals = [node.aval for node in chosen.own]
    apply = _Part(PUSH, results.nodes, chosen.own, [*results.nodes, *aux.nodes], avals)
    values, n = apply.values(), len(results.nodes)
    rebuild = functools.partial(results.rebuilt, numbers=chosen.is_number)
    pushforward = _Linear("linearize", apply, avals, chosen.structure, rebuild, True)
    value = rebuild(values[:n])
    return (value, pushforward, aux.rebuilt(iter(values[n:]))) if has_aux else (value, pushforward)


# --- products with second derivatives --------------------------------------------------------------------------------


def _second(
    function: Callable[..., Any], argnums: Argnums, argnames: Argnames, has_aux: bool, walk: Walk, name: str
) -> Callable[..., Any]:
    """A function of the arguments, with a vector after the first one, that gives what a walk does."""
    check_call(function, argnums, name, argnames)
    has_aux = flag(has_aux, f"{name}: has_aux")

    @functools.wraps(function)
    @boundary
    def product(*args: Any, **kwargs: Any) -> Any:
        chosen, vector = _with_vector(function, args, kwargs, name, argnums, argnames)
        out, aux = apart(chosen.called(function), has_aux, name)
        root = real_scalar(out, name)._node
        given = vectors(vector, chosen.structure, [node.aval for node in chosen.own], f"{name}: v")
        return _product(walk, [root], chosen.own, given, chosen, aux, has_aux)

    return _own_signature(product)


def _own_signature(product: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the name and the docstring of another one, and one argument more: not with its signature."""
    del product.__wrapped__  # type: ignore[attr-defined]
    return product


def _with_vector(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str, argnums: Argnums, argnames: Argnames
) -> tuple[Chosen, Any]:
    """The arguments without the vector, which comes second; and the vector."""
    if len(args) < 2:
        raise ArgumentError(
            f"{name}: call it with the arguments of the function and, after the first of these, the vector: "
            f"{name}(f)(x, v, ...)"
        )
    first, vector, *rest = args
    return Chosen(function, (first, *rest), kwargs, name, argnums, argnames), vector


def _product(
    walk: Walk, outputs: list[Node], inputs: list[Node], given: list[Node], chosen: Chosen, aux: Aux, has_aux: bool
) -> Any:
    _, found, rest = together(walk, outputs, inputs, chosen.own, given, aux)
    return (chosen.rebuilt(found), rest) if has_aux else chosen.rebuilt(found)


@boundary
def hvp(
    function: Callable[..., Any],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
) -> Callable[..., Any]:
    """The Hessian of a function that returns a scalar, times a vector; the matrix is not made.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns one real number.
    argnums : int or sequence of int, optional
        As for ``grad``.
    has_aux : bool, optional
        As for ``grad``.
    argnames : str or sequence of str, optional
        As for ``grad``.

    Returns
    -------
    callable
        Takes the arguments of ``function`` with the vector after the first one, ``(x, v, *others)``, as
        ``scipy.optimize.minimize`` calls its ``hessp``. The vector has the structure and the shapes of what is
        differentiated with respect to, and so has the product.

    Raises
    ------
    DifferentiationError
        When called, if the function does not return a scalar.
    ShapeError
        When called, if the vector has another shape than the argument.

    Notes
    -----
    Forward over reverse mode: it costs some gradients' time, whatever the number of variables is.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> product = ad.hvp(lambda x: np.sum(x**4) + x[0] * x[1])
    >>> product(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([12.,  1.])
    """
    return _second(function, argnums, argnames, has_aux, Walk(hessian_product), "hvp")


@boundary
def vhp(
    function: Callable[..., Any],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
) -> Callable[..., Any]:
    """A vector times the Hessian of a function that returns a scalar, by reverse mode alone.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns one real number.
    argnums : int or sequence of int, optional
        As for ``grad``.
    has_aux : bool, optional
        As for ``grad``.
    argnames : str or sequence of str, optional
        As for ``grad``.

    Returns
    -------
    callable
        As from ``hvp``, to which it is equal, since Hessians are symmetric; ``hvp`` takes less memory.

    Raises
    ------
    DifferentiationError
        As for ``hvp``.
    ShapeError
        As for ``hvp``.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.vhp(lambda x: x**3)(2.0, 10.0)
    120.0
    """
    return _second(function, argnums, argnames, has_aux, Walk(product_hessian), "vhp")


def half_square(x: Any) -> Any:
    """Half of the sum of squares, of which the Hessian is the identity."""
    leaves, _ = flatten(x)
    return sum([0.5 * np.sum(np.square(leaf)) for leaf in leaves])


@boundary
def ggnvp(
    function: Callable[..., Any],
    loss: Callable[[Any], Any] = half_square,
    argnums: int | Sequence[int] | None = None,
    *,
    argnames: str | Sequence[str] | None = None,
) -> Callable[..., Any]:
    """The generalised Gauss-Newton matrix of a loss of a function's results, times a vector.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns real arrays or numbers, or containers of them.
    loss : callable, optional
        Takes what ``function`` returns, and returns one real number; half of the sum of squares if not given.
    argnums : int or sequence of int, optional
        As for ``grad``.
    argnames : str or sequence of str, optional
        As for ``grad``.

    Returns
    -------
    callable
        Takes the arguments of ``function`` with the vector after the first one, and returns the product.

    Raises
    ------
    DifferentiationError
        When called, if the function returns what has no derivative, or the loss does not return a scalar.
    ShapeError
        When called, if the vector has another shape than the argument.

    Notes
    -----
    With the Jacobian J of the function and the Hessian H of the loss it is J^T H J v.

    References
    ----------
    N. Schraudolph, Fast curvature matrix-vector products for second-order gradient descent (2002).

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> product = ad.ggnvp(lambda x: x**2)
    >>> product(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 4., 16.])
    """
    name = "ggnvp"
    check_call(function, argnums, name, argnames)
    if not callable(loss):
        raise ArgumentError(f"{name}: loss={describe(loss)} is not callable")

    @functools.wraps(function)
    @boundary
    def product(*args: Any, **kwargs: Any) -> Any:
        chosen, vector = _with_vector(function, args, kwargs, name, argnums, argnames)
        results = Results(chosen.called(function), name, beside=False).differentiable()
        for node in results.nodes:
            if node.aval.dtype.kind == "c":
                raise DifferentiationError(
                    f"{name}: the function returned {node.aval!r}; its results must be real (np.real, np.imag)"
                )
        # Fresh names, with respect to which the loss is differentiated.
        stand_ins: list[Node] = [ops.identity(node) for node in results.nodes]
        made = unflatten(results.structure, iter([stand_in(node) for node in stand_ins]))
        root = real_scalar(call_watched(loss, [made], {}, stand_ins, name), name)._node
        given = vectors(vector, chosen.structure, [node.aval for node in chosen.own], f"{name}: v")
        walk = Walk(gauss_newton_product, (len(chosen.own),))
        inputs = [*chosen.own, *stand_ins]
        return _product(walk, [*results.nodes, root], inputs, given, chosen, Aux(()), False)

    return _own_signature(product)
