"""Functions of many elements in parts: ``map_reduce``, batch by batch, and ``associative_scan``, in pairs of pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arguments import count
from ..containers import flatten, leaf_names, transform, unflatten
from ..convert import as_node, describe
from ..errors import ArgumentError, AxisError, ShapeError, shown
from ..tensor import Tensor, wrap
from ..tracebacks import boundary
from ..vectors import alike, drawn
from .bodies import Leaves, is_of_tensors, results
from .control import scan


@boundary
def map_reduce(f: Callable[[Any], Any], xs: Any, batch_size: int, reduce: Callable[[Any, Any], Any] = np.add) -> Any:
    """What a function gives for batches of elements, added up: for more elements than fit into memory at once.

    The value and its derivatives are computed batch by batch, so that nothing that is computed between takes more
    memory than one batch.

    Parameters
    ----------
    f : callable
        Takes a batch: as ``xs``, with ``batch_size`` elements along the first axes. Returns arrays or numbers, or
        containers of them, such as the sum of a loss. It is called once, and once more if the last batch is smaller.
        Tensors of the outside that it uses get derivatives, too.
    xs : array, or container of arrays
        Their elements are along the first axes. A read-only array, such as ``np.memmap(file, mode="r")``, is not
        copied.
    batch_size : int
        How many elements a batch has.
    reduce : callable, optional
        Takes two results and returns one of the same shapes and dtypes: ``np.maximum``, ``np.logaddexp``; their sum if
        it is not given.

    Returns
    -------
    array, or container of arrays
        The results of all batches, reduced in order.

    Raises
    ------
    ArgumentError
        If ``batch_size`` is no positive integer, or there are no elements.
    ShapeError
        If arrays differ in length, or results of batches in shape.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> data = np.arange(10.0)
    >>> def loss(w):
    ...     return ad.map_reduce(lambda x: np.sum((w * x - 1) ** 2), data, batch_size=4)
    >>> ad.value_and_grad(loss)(1.0)
    (205.0, 480.0)
    """
    for name, function in (("f", f), ("reduce", reduce)):
        if not callable(function):
            raise ArgumentError(f"map_reduce: {name}={shown(function)} is not callable")
    size = count(batch_size, "map_reduce: batch_size", 1)
    leaves, structure = flatten(xs)
    lengths = {
        f"xs{name}": _length(leaf, f"xs{name}") for leaf, name in zip(leaves, leaf_names(structure), strict=True)
    }
    total = next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != total:
            raise ShapeError(f"map_reduce: {name} has {length} elements, but {next(iter(lengths))} has {total}")
    if not total:
        raise ArgumentError("map_reduce: there are no elements in xs, so there is nothing to reduce")
    size = min(size, total)
    whole = total // size * size

    def part(start: int, stop: int, rows: int) -> Any:
        """Elements as batches of so many."""
        return transform(lambda x: x[start:stop].reshape((stop - start) // rows, rows, *x.shape[1:]), xs)

    def first(start: int, stop: int) -> Any:
        """The result of one batch, which derivatives compute again."""
        _, found = scan(lambda _, batch: (None, f(batch)), None, part(start, stop, stop - start), checkpoint=1)
        return transform(lambda y: y[0], found)

    def reduced(total: Any, other: Any) -> Any:
        values, structure = flatten(total)
        others, given = flatten(other)
        if not alike(given, structure):
            raise ArgumentError(f"map_reduce: batches give {drawn(structure)} and {drawn(given)}, which differ")
        return unflatten(structure, iter([reduce(x, y) for x, y in zip(values, others, strict=True)]))

    result = first(0, size)
    if whole > size:
        result, _ = scan(
            lambda carry, batch: (reduced(carry, f(batch)), None), result, part(size, whole, size), checkpoint=1
        )
    return result if whole == total else reduced(result, first(whole, total))


def _length(leaf: Any, name: str) -> int:
    """How many elements an array has along its first axis."""
    if not hasattr(leaf, "shape") or not len(leaf.shape):
        raise ShapeError(f"map_reduce: {name} is {describe(leaf)}, which has no axis of elements; give an array")
    return int(leaf.shape[0])


@boundary
def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative function along an axis: ``np.cumsum`` is that of an addition.

    Parameters
    ----------
    fn : callable
        Takes two containers as ``elems`` is, whose arrays have equally many elements along the axis, and returns one:
        of each pair of elements what becomes of them. ``fn(fn(a, b), c)`` is the same as ``fn(a, fn(b, c))``.
    elems : array, or container of arrays
        The elements along an axis.
    reverse : bool, optional
        True to begin with the last element.
    axis : int, optional
        Along which axis.

    Returns
    -------
    array, or container of arrays
        As ``elems``: each element is what becomes of all elements up to it.

    Raises
    ------
    ArgumentError
        If there are no arrays, or ``fn`` returns something of another structure.
    AxisError, ShapeError
        If an array has no such axis, or arrays differ in length along it.

    Notes
    -----
    It calls ``fn`` about twice for each doubling of the number of elements, on many pairs at once, and does about twice
    the work of a loop. Derivatives, ``vmap`` and so on are those of what ``fn`` records.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.associative_scan(np.multiply, np.array([1.0, 2.0, 3.0, 4.0]))
    array([ 1.,  2.,  6., 24.])
    >>> def after(first, second):
    ...     return first[0] * second[0], second[0] * first[1] + second[1]
    >>> rates, inputs = np.array([0.5, 0.5, 2.0]), np.array([1.0, 2.0, 3.0])
    >>> ad.associative_scan(after, (rates, inputs))[1]  # x = rate * x + input
    array([1. , 2.5, 8. ])
    """
    if not callable(fn):
        raise ArgumentError(f"associative_scan: fn={shown(fn)} is not callable")
    leaves, structure = flatten(elems)
    if not leaves:
        raise ArgumentError("associative_scan: there are no arrays in elems")
    given = Leaves(elems, "elems", "associative_scan")
    away = not given.recorded and any(node.aval.place is not None for node in given.nodes)
    moved: list[Any] = []
    for leaf, node, name in zip(leaves, given.nodes, leaf_names(structure), strict=True):
        # NumPy computes with its own arrays; those of other libraries are recorded.
        x: Any = wrap(node) if away else leaf if isinstance(leaf, Tensor) else np.asarray(leaf)
        if not -x.ndim <= axis < x.ndim:
            raise AxisError(f"associative_scan: elems{name} is {describe(leaf)}, which has no axis {axis}")
        x = np.moveaxis(x, axis, 0)
        moved.append(x[::-1] if reverse else x)
    lengths = [x.shape[0] for x in moved]
    if len({*lengths}) > 1:
        raise ShapeError(
            f"associative_scan: arrays of elems have {lengths} elements along axis {axis}; they must have equally many"
        )

    def combined(xs: list[Any], ys: list[Any]) -> list[Any]:
        found, given = flatten(fn(unflatten(structure, iter(xs)), unflatten(structure, iter(ys))))
        if not alike(given, structure):
            raise ArgumentError(
                f"associative_scan: fn must return what is nested as elems is, {drawn(structure)}, not {drawn(given)}"
            )
        for one, x, name in zip(found, xs, leaf_names(structure), strict=True):
            if tuple(np.shape(one)) != tuple(x.shape):
                raise ShapeError(
                    f"associative_scan: fn was given elems{name} of shape {x.shape}, and returned {describe(one)}"
                )
        return found

    found = _scanned(combined, moved) if lengths[0] > 1 else moved
    found = [np.moveaxis(x[::-1] if reverse else x, 0, axis) for x in found]
    if away:
        nodes = [as_node(x) for x in found]
        found = results(nodes, is_of_tensors(nodes, given.nodes))
    return unflatten(structure, iter(found))


def _scanned(fn: Callable[[list[Any], list[Any]], list[Any]], xs: list[Any]) -> list[Any]:
    """Partial results along the first axis: of pairs by the same way, and of those between by one call more."""
    n = xs[0].shape[0]
    if n < 2:
        return xs
    pairs = fn([x[: n - 1 : 2] for x in xs], [x[1::2] for x in xs])
    odd = _scanned(fn, pairs)
    even = [x[:1] for x in xs]
    if n > 2:
        between = fn([y[: (n - 1) // 2] for y in odd], [x[2::2] for x in xs])
        even = [np.concatenate([first, rest]) for first, rest in zip(even, between, strict=True)]
    return [_interleaved(x, y) for x, y in zip(even, odd, strict=True)]


def _interleaved(even: Any, odd: Any) -> Any:
    """Elements of one and of the other in turn; the first may have one more."""
    n = odd.shape[0]
    together = np.stack([even[:n], odd], axis=1).reshape(2 * n, *odd.shape[1:])
    return together if even.shape[0] == n else np.concatenate([together, even[n:]])
