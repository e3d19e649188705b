"""Loops and branches, each recorded as one operation: ``scan``, ``fori_loop``, ``while_loop``, ``cond``, ``switch``."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import ops
from ..arguments import count
from ..convert import describe, literal
from ..core.avals import INT64, Aval, intern_aval
from ..errors import ArgumentError, DTypeError, ShapeError, shown
from ..flows import Body, Scan, Step, Switch, While, beside, body_of, number_of
from ..nodes import Node, Operation, operations_since
from ..tensor import Tensor, wrap
from ..tracebacks import boundary
from ..written import depending
from .bodies import Call, Carried, Leaves, as_array_of, is_of_tensors, names_for, promoted, results, returned

T = TypeVar("T")


def _check_callable(function: Any, what: str) -> None:
    if not callable(function):
        raise ArgumentError(f"{what}={shown(function)} is not callable")


# --- scan ------------------------------------------------------------------------------------------------------------


@boundary
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    *,
    checkpoint: bool | int = False,
) -> tuple[Any, Any]:
    """Apply a function to one element after another, and carry something from each step to the next.

    As this loop, where ``f`` is called once, and what it recorded is one operation, compiled once::

        carry, ys = init, []
        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)
        return carry, np.stack(ys)

    Parameters
    ----------
    f : callable
        Takes what is carried and an element of ``xs``; returns the pair (carry, y). Both may be arrays, numbers, None,
        or containers of these. What is carried keeps its structure, shapes and dtypes. Tensors of the outside that it
        uses get derivatives, too.
    init : array, number, or container of these
        What the first step is given.
    xs : array, or container of arrays, optional
        Its elements are along the first axes. None to give ``f`` None in each step.
    length : int, optional
        How many steps there are; needed without ``xs``.
    reverse : bool, optional
        True to begin with the last element. The results stand where the elements do.
    checkpoint : bool or int, optional
        False to store all that derivatives need of each step. A number of steps to store what is carried once for as
        many, and to compute again what is between; True for about the square root of the number of all.

    Returns
    -------
    carry : array, or container of arrays
        What the last step returned.
    ys : array, or container of arrays
        The other results of all steps, along a new first axis.

    Raises
    ------
    ArgumentError
        If there is neither ``xs`` nor ``length``, or ``f`` returns no pair, or something of another structure.
    ShapeError, DTypeError
        If what is carried changes its shape or dtype, or arrays of ``xs`` differ in length.
    TraceError
        If ``f`` needs the value of what it is given (an ``if``, ``float``, ``print``).

    Notes
    -----
    Reverse mode stores what it needs of each step, so that its memory grows with the number of steps; with
    ``checkpoint=True`` it grows with the square root of that, for one more evaluation of each step.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.scan(lambda c, x: (c + x, c * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (array(6.), array([0., 2., 9.]))
    >>> def decayed(rate, x):
    ...     return ad.scan(lambda c, _: (c * rate, None), x, length=3)[0]
    >>> ad.grad(decayed)(0.5, 2.0)
    1.5
    """
    _check_callable(f, "scan: f")
    carried, arrays = Carried(Leaves(init, "carry", "scan")), Leaves(xs, "xs", "scan")
    size = _length(arrays, length)
    elements = [_element(node.aval) for node in arrays.nodes]
    while True:
        names = names_for([*carried.avals, *elements], "scan")
        n = len(carried.avals)
        args = [carried.init.rebuilt(wrap(names[:n])), arrays.rebuilt(wrap(names[n:]))]
        call = Call(f, args, names, "scan")
        if not isinstance(call.out, (tuple, list)) or len(call.out) != 2:
            raise ArgumentError(f"scan: f must return a pair (carry, y), not {describe(call.out)}")
        new = carried.after(returned(call.out[0], "carry", "scan"))
        if new is not None:
            break
    ys = returned(call.out[1], "y", "scan")
    found = [*new, *[ops.strong(node) for node in ys.nodes]]
    # What is the same for all steps is computed once.
    inside = [*depending(names, found)]
    outside = beside(names, found, inside)
    recorded = carried.init.recorded or arrays.recorded or is_of_tensors(outside)
    if recorded:
        carried.init.captured()
        arrays.captured()
    operands = [*outside, *carried.operands(), *arrays.nodes]
    if not size:
        empty = [ops.zeros(intern_aval((0, *node.aval.shape), node.aval.dtype)) for node in ys.nodes]
        nodes = [*carried.operands(), *empty]
    else:
        body = body_of([*outside, *names], found, inside)
        nodes = _repeated(body, size, Step(len(outside), n), operands, reverse, _segment(checkpoint, size))
    values = results(nodes, recorded)
    return carried.init.rebuilt(values[:n]), ys.rebuilt(values[n:])


def _length(arrays: Leaves, length: int | None) -> int:
    """How many steps there are."""
    if length is not None:
        length = count(length, "scan: length", 0)
    first = "length"
    for path, node in zip(arrays.paths, arrays.nodes, strict=True):
        if not node.aval.ndim:
            raise ShapeError(f"scan: {path} is {node.aval!r}, which has no axis of elements")
        if length is None:
            first, length = path, node.aval.shape[0]
        elif node.aval.shape[0] != length:
            raise ShapeError(
                f"scan: {path} is {node.aval!r}, with {node.aval.shape[0]} elements along its first axis, but by "
                f"{first} there are {length}"
            )
    if length is None:
        raise ArgumentError("scan: there are no arrays in xs, so how many steps there are is not known; give length=")
    return length


def _element(aval: Aval) -> Aval:
    return intern_aval(aval.shape[1:], aval.dtype, place=aval.place)


def _segment(checkpoint: bool | int, size: int) -> int:
    """How many steps are computed again at a time; 0 if none are."""
    if isinstance(checkpoint, bool):
        return max(1, math.isqrt(max(size - 1, 0)) + 1) if checkpoint else 0
    return count(checkpoint, "scan: checkpoint", 1)


def _repeated(body: Body, size: int, step: Step, operands: Sequence[Node], reverse: bool, segment: int) -> list[Node]:
    """The outputs of all steps: of segments, each of which is one step to derivatives, and of those that remain."""
    n, results_ = step.carry, len(body.outputs) - step.carry
    arrays = len(body.inputs) - sum(step)
    plain = Scan(body, size, step, (0,) * arrays, (0,) * results_, reverse, recompute=segment == 1)
    if segment <= 1:
        return [*plain(*operands)]
    consts, init, xs = step.parts(operands)
    pieces, rest = divmod(size, segment)
    whole = pieces * segment
    first = rest if reverse else 0
    avals = [*body.inputs[: sum(step)], *[_with_axis(aval, segment) for aval in body.inputs[sum(step) :]]]
    names = names_for(avals, "scan")
    inner = plain.but(length=segment)
    outer = Scan(body_of(names, inner(*names)), pieces, step, plain.along, plain.onto, reverse, recompute=True)
    parts = [ops.take_range(x, 0, first, first + whole) for x in xs] if rest else xs
    parts = [ops.reshape(x, (pieces, segment, *x.aval.shape[1:])) for x in parts]
    found = outer(*consts, *init, *parts)
    carry = [*found[:n]]
    made = [ops.reshape(y, (whole, *y.aval.shape[2:])) for y in found[n:]]
    if rest:
        start = 0 if reverse else whole
        last = plain.but(length=rest)(*consts, *carry, *[ops.take_range(x, 0, start, start + rest) for x in xs])
        carry = [*last[:n]]
        pairs = zip(last[n:], made, strict=True) if reverse else zip(made, last[n:], strict=True)
        made = [ops.concatenate(pair, 0) for pair in pairs]
    return [*carry, *made]


def _with_axis(aval: Aval, size: int) -> Aval:
    return intern_aval((size, *aval.shape), aval.dtype, place=aval.place)


# --- while_loop and fori_loop ----------------------------------------------------------------------------------------


@boundary
def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any) -> Any:
    """Apply a function again and again, as long as a condition holds.

    As this loop, where both functions are called once, and what they recorded is one operation, compiled once::

        val = init_val
        while cond_fun(val):
            val = body_fun(val)
        return val

    Parameters
    ----------
    cond_fun : callable
        Takes what is carried; returns one truth value.
    body_fun : callable
        Takes what is carried and returns it anew: in the same structure, of the same shapes and dtypes.
    init_val : array, number, or container of these
        What is carried at first.

    Returns
    -------
    array, or container of arrays
        What is carried when the condition does not hold any more.

    Raises
    ------
    ArgumentError
        If ``body_fun`` returns something of another structure.
    ShapeError, DTypeError
        If what is carried changes its shape or dtype, or the condition is no single truth value.
    TraceError
        If a function needs the value of what it is given.

    Notes
    -----
    Reverse mode works: the loop counts its steps, and its reverse keeps what is carried at about the square root of
    them, and computes again what is between. In ``vmap`` the loop ends when it has ended for all elements.

    Examples
    --------
    >>> import autodiff as ad
    >>> def root(a):
    ...     return ad.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: 0.5 * (x + a / x), a)
    >>> value, slope = ad.value_and_grad(root)(4.0)
    >>> round(value, 6), round(slope, 6)
    (2.0, 0.25)
    """
    _check_callable(cond_fun, "while_loop: cond_fun")
    _check_callable(body_fun, "while_loop: body_fun")
    carried = Carried(Leaves(init_val, "carry", "while_loop"))
    while True:
        names = names_for(carried.avals, "while_loop")
        call = Call(body_fun, [carried.init.rebuilt(wrap(names))], names, "while_loop")
        new = carried.after(returned(call.out, "carry", "while_loop"))
        if new is not None:
            break
    asked = Call(cond_fun, [carried.init.rebuilt(wrap(names))], names, "while_loop")
    answer = _truth(asked.out, "while_loop: cond_fun")
    return _looped(carried, names, new, call.begin, answer, asked.begin)


def _truth(out: Any, what: str) -> Node:
    """The node of one truth value."""
    leaves = returned(out, "", what)
    if len(leaves.nodes) != 1 or leaves.nodes[0].aval.shape != ():
        given = describe(out) if len(leaves.nodes) == 1 else f"{len(leaves.nodes)} values"
        raise ShapeError(f"{what} must give one truth value, not {given}")
    node = leaves.nodes[0]
    return ops.strong(node) if node.aval.dtype.kind == "b" else ops.not_equal(node, literal(0))


def _looped(carried: Carried, names: list[Node], new: list[Node], begin: int, answer: Node, asked: int) -> Any:
    inside, test = _since([*new], begin), _since([answer], min(begin, asked))
    outside = [*dict.fromkeys([*beside(names, new, inside), *beside(names, [answer], test)])]
    recorded = carried.init.recorded or is_of_tensors(outside)
    if recorded:
        carried.init.captured()
    given = [*outside, *names]
    loop = While(body_of(given, [answer], test), body_of(given, new, inside), Step(len(outside), len(names)))
    found = loop(*outside, *carried.operands())[:-1]
    return carried.init.rebuilt(results(found, recorded))


def _since(found: Sequence[Node], begin: int) -> list[Operation]:
    """What a function recorded."""
    return operations_since(found, begin)


@boundary
def fori_loop(
    lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any, *, checkpoint: bool | int = False
) -> Any:
    """Apply a function for each integer of a range.

    As this loop, where ``body_fun`` is called once, and what it recorded is one operation, compiled once::

        val = init_val
        for i in range(lower, upper):
            val = body_fun(i, val)
        return val

    Parameters
    ----------
    lower, upper : int, or Tensor of an integer
        The range. Where both are known it is a ``scan``; else a ``while_loop``.
    body_fun : callable
        Takes an integer (a Tensor) and what is carried; returns what is carried.
    init_val : array, number, or container of these
        What is carried at first.
    checkpoint : bool or int, optional
        As of ``scan``, where the range is known.

    Returns
    -------
    array, or container of arrays
        What is carried at last.

    Raises
    ------
    ArgumentError, ShapeError, DTypeError, TraceError
        As from ``scan`` and ``while_loop``; also if ``lower`` or ``upper`` is no integer.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.fori_loop(1, 5, lambda i, x: x * i, 1)
    array(24)
    """
    _check_callable(body_fun, "fori_loop: body_fun")
    bounds = [_bound(lower, "lower"), _bound(upper, "upper")]
    if all(isinstance(bound, int) for bound in bounds):
        positions = np.arange(bounds[0], max(bounds), dtype=np.int64)
        return scan(lambda val, i: (body_fun(i, val), None), init_val, positions, checkpoint=checkpoint)[0]
    start, stop = [
        wrap(as_array_of(bound._node, INT64)) if isinstance(bound, Tensor) else np.int64(bound) for bound in bounds
    ]
    end = stop if isinstance(stop, Tensor) else int(stop)
    return while_loop(lambda c: c[0] < end, lambda c: (c[0] + 1, body_fun(*c)), (start, init_val))[1]


def _bound(value: Any, what: str) -> Any:
    """A bound of a range: an int, or a Tensor of one."""
    if isinstance(value, Tensor):
        if value.shape != () or value.dtype.kind not in "iu":
            raise DTypeError(f"fori_loop: {what} is {describe(value)}, and must be one integer")
        return value
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"fori_loop: {what}={shown(value)} is no integer") from None


# --- cond and switch -------------------------------------------------------------------------------------------------


@boundary
def cond(pred: Any, true_fun: Callable[..., T], false_fun: Callable[..., T], *operands: Any) -> T:
    """Apply one of two functions.

    Parameters
    ----------
    pred : bool, or Tensor of one truth value or number
        Which. Where it is known, that function is called; a Tensor decides when values are computed, and both functions
        are recorded.
    true_fun, false_fun : callable
        Take the operands; return results of the same structure, shapes and dtypes.
    *operands : array, number, or container of these
        What the function is given.

    Returns
    -------
    array, or container of arrays
        What the function returns.

    Raises
    ------
    ArgumentError, ShapeError, DTypeError
        If the functions return results of different structures, shapes or dtypes.
    TraceError
        If a function needs the value of what it is given, and ``pred`` is a Tensor.

    Notes
    -----
    Only the branch that is taken is computed, in derivatives too. In ``vmap``, where each element has its own ``pred``,
    both are; nothing of the one that an element has not taken gets into its derivative, neither infinities nor NaN.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> def f(x):
    ...     return ad.cond(x > 0, np.sqrt, lambda x: 0.0 * x, x)
    >>> ad.grad(f)(4.0), ad.grad(f)(0.0)
    (0.25, 0.0)
    """
    _check_callable(true_fun, "cond: true_fun")
    _check_callable(false_fun, "cond: false_fun")
    if not isinstance(pred, Tensor):
        known = np.asarray(pred) if not hasattr(pred, "shape") or isinstance(pred, (np.ndarray, np.generic)) else pred
        if tuple(known.shape) != () or (isinstance(known, np.ndarray) and known.dtype.kind not in "biuf"):
            raise ShapeError(f"cond: pred is {describe(pred)}, and must be one truth value or number")
        return (true_fun if bool(known) else false_fun)(*operands)
    if pred.shape != () or pred.dtype.kind == "c":
        raise ShapeError(f"cond: pred is {describe(pred)}, and must be one truth value or number")
    number = number_of(_truth(pred, "cond: pred"))
    return _branches(number, [false_fun, true_fun], operands, "cond", ["false_fun", "true_fun"])  # type: ignore[no-any-return]


@boundary
def switch(index: Any, branches: Sequence[Callable[..., T]], *operands: Any) -> T:
    """Apply one of several functions.

    Parameters
    ----------
    index : int, or Tensor of an integer
        Which. A number below zero means the first, one beyond the last means that.
    branches : sequence of callable
        Take the operands; return results of the same structure, shapes and dtypes.
    *operands : array, number, or container of these
        What the function is given.

    Returns
    -------
    array, or container of arrays
        What the function returns.

    Raises
    ------
    ArgumentError, ShapeError, DTypeError
        If there is no branch, the index is no integer, or results differ in structure, shape or dtype.
    TraceError
        If a function needs the value of what it is given, and ``index`` is a Tensor.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.switch(2, [np.sin, np.cos, np.exp], np.zeros(2))
    array([1., 1.])
    >>> ad.vmap(lambda i, x: ad.switch(i, [np.negative, np.square], x))(np.array([0, 1]), np.array([3.0, 3.0]))
    array([-3.,  9.])
    """
    if not isinstance(branches, (list, tuple)) or not branches:
        raise ArgumentError(f"switch: branches={shown(branches)} must be a non-empty list of functions")
    for i, branch in enumerate(branches):
        _check_callable(branch, f"switch: branches[{i}]")
    if not isinstance(index, Tensor):
        try:
            known = operator.index(index)
        except TypeError:
            raise ArgumentError(f"switch: index={shown(index)} is no integer") from None
        return branches[min(max(known, 0), len(branches) - 1)](*operands)  # type: ignore[no-any-return]
    if index.shape != () or index.dtype.kind not in "biu":
        raise DTypeError(f"switch: index is {describe(index)}, and must be one integer")
    number = as_array_of(index._node, INT64)
    return _branches(number, branches, operands, "switch", [f"branches[{i}]" for i in range(len(branches))])  # type: ignore[no-any-return]


def _branches(
    number: Node, functions: Sequence[Callable[..., Any]], operands: Sequence[Any], name: str, titles: Sequence[str]
) -> Any:
    given = Leaves(tuple(operands), "operands", name).captured()
    names = names_for([node.aval for node in given.nodes], name)
    calls = [Call(function, given.rebuilt(wrap(names)), names, name) for function in functions]
    outs = [returned(call.out, "the result", name) for call in calls]
    nodes = _agreeing(outs, titles, name)
    inside = [_since(one, call.begin) for one, call in zip(nodes, calls, strict=True)]
    outside = [*dict.fromkeys([x for one, own in zip(nodes, inside, strict=True) for x in beside(names, one, own)])]
    bodies = [body_of([*outside, *names], one, own) for one, own in zip(nodes, inside, strict=True)]
    found = Switch(tuple(bodies))(number, *outside, *given.nodes)
    return outs[0].rebuilt(wrap([*found]))


def _agreeing(outs: Sequence[Leaves], titles: Sequence[str], name: str) -> list[list[Node]]:
    """The results of branches, whose Python numbers have the dtype that results of other branches have."""
    first = outs[0]
    for out, title in zip(outs[1:], titles[1:], strict=True):
        first.check(out, f"what {title} returns, as what {titles[0]} does,")
    columns = []
    for i, path in enumerate(first.paths):
        avals = [out.nodes[i].aval for out in outs]
        strong = [aval for aval in avals if not aval.weak]
        dtype = strong[0].dtype if strong else np.result_type(*[aval.dtype for aval in avals])
        for aval, title in zip(avals, titles, strict=True):
            fits = aval.dtype == dtype or (aval.weak and (not strong or promoted(aval, strong[0]) == dtype))
            if aval.shape == avals[0].shape and fits:
                continue
            error = DTypeError if aval.shape == avals[0].shape else ShapeError
            raise error(
                f"{name}: {path} is {avals[0]!r} if {titles[0]} is taken, and {aval!r} if {title} is; branches give "
                "results of one shape and one dtype (np.broadcast_to, .astype)"
            )
        columns.append([as_array_of(out.nodes[i], dtype) for out in outs])
    return [[column[k] for column in columns] for k in range(len(outs))]
