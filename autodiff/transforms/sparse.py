"""Sparse matrices of derivatives of functions: their patterns, and what ``sparse=True`` gives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from .. import sparse
from ..arguments import count
from ..containers import unflatten
from ..engine import Walk, collected_of
from ..errors import ArgumentError
from ..matrices import Options, real_only
from ..nodes import Node
from ..tracebacks import boundary
from ..walks import slopes
from .calls import ENGINE, Argnames, Argnums, Chosen, Results, apart, check_call, is_larger, together

# Gives nothing but the values of outputs, and of what else a function returned.
NOTHING = Walk(lambda outputs, inputs, given: [], derived=False)


@boundary
def sparsity(
    function: Callable[..., Any],
    *args: Any,
    order: int = 1,
    argnums: int | Sequence[int] | None = None,
    argnames: str | Sequence[str] | None = None,
    **kwargs: Any,
) -> Any:
    """Where the Jacobian of a function, or its Hessian, may have entries that are not zero.

    Parameters
    ----------
    function : callable
        Written with NumPy; as for ``jacobian`` or ``hessian``.
    *args
        What it is called with.
    order : {1, 2}, optional
        1 for the Jacobian, 2 for the Hessian.
    argnums : int or sequence of int, optional
        As for ``jacobian``.
    argnames : str or sequence of str, optional
        As for ``jacobian``.
    **kwargs
        What else it is called with.

    Returns
    -------
    Sparsity
        ``rows``, ``columns``, ``shape``, ``nnz``, ``toarray()``, ``tocsr()``, and ``spy()``; printed, it is a picture.
        Results and arguments that are containers give containers of these, nested as the blocks of ``jacobian`` are.

    Raises
    ------
    ArgumentError
        If ``order``, ``argnums`` or ``argnames`` makes no sense.
    DifferentiationError
        As from ``jacobian`` or ``hessian`` with ``sparse=True``.
    RangeError
        If so many places may have entries that they do not fit into memory.

    Notes
    -----
    It follows from the operations that the function does, and from the values of indices. It holds for all values of
    the argument for which the function does the same operations, so an entry may be zero at some of them, or at all.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.sparsity(lambda x: x[1:] * x[:-1], np.ones(12))
    Sparsity(shape=(11, 12), nnz=22, 16.67%)
    ⠙⢦⡀⠀⠀⠀
    ⠀⠀⠙⢦⡀⠀
    ⠀⠀⠀⠀⠙⠦
    """
    check_call(function, argnums, "sparsity", argnames)
    if count(order, "sparsity: order") > 2:
        raise ArgumentError(f"sparsity: order={order} must be 1 for the Jacobian or 2 for the Hessian")
    chosen = Chosen(function, args, kwargs, "sparsity", argnums, argnames)
    results = Results(chosen.called(function), "sparsity").differentiable()
    if order == 1:
        blocks = _blocks(results.nodes, chosen.own)
    else:
        real_only(results.nodes, chosen.own, "sparsity")
        blocks = [block for y in results.nodes for block in _blocks(slopes([y], chosen.own, ()), chosen.own)]
    return nested(blocks, results, chosen, order)


def _blocks(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[sparse.Sparsity]:
    distinct = list(dict.fromkeys(inputs))
    ends = [*accumulate([x.aval.size for x in distinct], initial=0)]
    columns = dict(zip(distinct, pairwise(ends), strict=True))
    return [
        sparse.Sparsity(sparse.part(sets, (0, sets.rows), columns[x])[0])
        for sets in sparse.patterns(outputs, distinct).sets
        for x in inputs
    ]


def nested(blocks: list[Any], results: Results, chosen: Chosen, order: int) -> Any:
    """Blocks in the structure of the arguments, as often as there are orders, and these in that of the results."""
    n = len(chosen.own)
    parts = blocks
    for _ in range(order):
        count = len(parts) // n if n else len(results.nodes)
        parts = [unflatten(chosen.structure, iter(parts[i * n : i * n + n])) for i in range(count)]
    return unflatten(results.structure, iter(parts))


def sparse_matrix(
    function: Callable[..., Any],
    argnums: Argnums,
    argnames: Argnames,
    has_aux: bool,
    order: int,
    options: Options,
    name: str,
) -> Callable[..., Any]:
    """A function of the arguments that gives all blocks of an order as sparse arrays, nested as the whole ones are."""
    sparse.scipy_sparse()
    entries = sparse.jacobian_entries if order == 1 else sparse.hessian_entries

    @functools.wraps(function)
    @boundary
    def matrix(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen(function, args, kwargs, name, argnums, argnames)
        out, aux = apart(chosen.called(function), has_aux, name)
        results, own = Results(out, name).differentiable(), chosen.own
        collected = collected_of(results.nodes, own)
        record = is_larger(collected, results.nodes, own)
        found = nested(entries(ENGINE, collected, results.nodes, own, options, name, record), results, chosen, order)
        return (found, together(NOTHING, results.nodes, own, own, (), aux)[2]) if has_aux else found

    return matrix
