"""Whole matrices of derivatives: ``jacobian`` and ``hessian``, each a batch of products in one plan."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from ..arguments import flag, word
from ..engine import Walk
from ..matrices import MODES, Options, chunks, hessian_blocks, is_forward, jacobian_blocks
from ..nodes import Node
from ..tensor import Tensor, wrap
from ..tracebacks import boundary
from .calls import Argnames, Argnums, Aux, Chosen, Results, apart, check_call, scalar, together
from .flattening import with_matrix, with_vector
from .sparse import NOTHING, nested, sparse_matrix

P = ParamSpec("P")


@boundary
def jacobian(
    function: Callable[P, Any],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    mode: str = "auto",
    chunk_size: int | None = None,
    sparse: bool = False,
    argnames: str | Sequence[str] | None = None,
    flat: bool = False,
) -> Callable[P, Any]:
    """The Jacobian of a function: all its results differentiated with respect to all elements of its arguments.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns floating arrays or numbers, or containers of them.
    argnums : int or sequence of int, optional
        As for ``grad``.
    has_aux : bool, optional
        True if the function returns a pair, of which only the first is differentiated.
    mode : {"auto", "forward", "reverse"}, optional
        Column by column, or row by row; what is fewer, if not given.
    chunk_size : int, optional
        How many columns or rows are computed together; all if not given. Fewer take less memory.
    sparse : bool, optional
        True for sparse matrices of SciPy, of few products: columns or rows that have no entries in common are one. See
        ``sparsity`` for where entries are.
    argnames : str or sequence of str, optional
        As for ``grad``.
    flat : bool, optional
        True for one matrix, with a row for each element of all results and a column for each of all arguments that are
        differentiated: what ``scipy.optimize.curve_fit`` takes.

    Returns
    -------
    callable
        Takes the arguments of ``function``, and returns an array with the axes of the result and then those of the
        argument. If the result is a container, a container of these; if the argument is one, a container for each
        result. With ``has_aux`` it returns the pair (Jacobian, other results). With ``sparse`` each array is a
        ``scipy.sparse.csr_array`` with a row for each element of the result, and a column for each of the argument, in
        C order. Where the whole matrix would be a Tensor, as within another transformation, it has ``data``, which is a
        Tensor, ``indices``, ``indptr``, ``shape``, ``toarray()`` and ``value`` only, and it becomes a ``csr_array``
        where the transformation gives numbers.

    Raises
    ------
    ArgumentError
        If an option makes no sense, or ``argnums`` or ``argnames`` names no argument.
    DifferentiationError
        When called, if a result or an argument has a dtype without derivatives, or both are complex.
    DTypeError
        When called, if ``sparse`` is true for float16, which SciPy has no sparse arrays of.
    BackendError
        If ``sparse`` is true, and SciPy is not installed.

    Notes
    -----
    The columns are one batch of ``jvp``, the rows one of ``vjp``, in one plan.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.jacobian(lambda x: np.stack([x[0] * x[1], x[1] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 6.]])
    >>> ad.jacobian(lambda x: x**2)(3.0)
    6.0
    """
    name = "jacobian"
    if flag(flat, f"{name}: flat"):
        check_call(function, argnums, name, argnames)
        of_vector = with_vector(function, has_aux, name)
        sparse = flag(sparse, f"{name}: sparse")
        blocks_of = jacobian(
            of_vector, argnums, has_aux, mode=mode, chunk_size=chunk_size, sparse=sparse, argnames=argnames
        )
        return with_matrix(blocks_of, has_aux, sparse)
    check_call(function, argnums, name, argnames)
    has_aux, chunk = flag(has_aux, f"{name}: has_aux"), chunks(chunk_size, name)
    options = Options(word(mode, f"{name}: mode", MODES), chunk)
    if flag(sparse, f"{name}: sparse"):
        return sparse_matrix(function, argnums, argnames, has_aux, 1, options, name)

    def blocks(run: Any, outputs: Sequence[Node], inputs: Sequence[Node]) -> tuple[list[Any], int]:
        return jacobian_blocks(run, outputs, inputs, is_forward(mode, outputs, inputs, name), chunk), 1

    return _matrix(function, argnums, argnames, has_aux, blocks, name)


@boundary
def hessian(
    function: Callable[P, Any],
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    sparse: bool = False,
    argnames: str | Sequence[str] | None = None,
) -> Callable[P, Any]:
    """The Hessian of a function: all second derivatives.

    Parameters
    ----------
    function : callable
        Written with NumPy; returns a real number, or real arrays, or containers of them.
    argnums : int or sequence of int, optional
        As for ``grad``.
    has_aux : bool, optional
        True if the function returns a pair, of which only the first is differentiated.
    chunk_size : int, optional
        How many columns are computed together; all if not given. Fewer take less memory.
    sparse : bool, optional
        True for sparse matrices of SciPy, of few products: columns that can be told apart are one. See ``sparsity`` for
        where entries are.
    argnames : str or sequence of str, optional
        As for ``grad``.

    Returns
    -------
    callable
        Takes the arguments of ``function``, and returns an array with the axes of the result, and twice those of the
        argument. If the argument is a container, a container of containers. With ``has_aux`` it returns the pair
        (Hessian, other results). With ``sparse``, which is for results of one element, each array is a
        ``scipy.sparse.csr_array`` with a row and a column for each element of the argument, in C order, or what
        ``jacobian`` gives where the whole matrix would be a Tensor.

    Raises
    ------
    ArgumentError
        If an option makes no sense, or ``argnums`` or ``argnames`` names no argument.
    DifferentiationError
        When called, if a result or an argument is not real; with ``sparse`` if a result has more than one element.
    DTypeError
        When called, if ``sparse`` is true for float16, which SciPy has no sparse arrays of.
    BackendError
        If ``sparse`` is true, and SciPy is not installed.

    Notes
    -----
    Forward over reverse mode, all columns as one batch in one plan. For its product with a vector see ``hvp``.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    name = "hessian"
    check_call(function, argnums, name, argnames)
    has_aux, chunk = flag(has_aux, f"{name}: has_aux"), chunks(chunk_size, name)
    if flag(sparse, f"{name}: sparse"):
        return sparse_matrix(function, argnums, argnames, has_aux, 2, Options(chunk=chunk), name)

    def blocks(run: Any, outputs: Sequence[Node], inputs: Sequence[Node]) -> tuple[list[Any], int]:
        return hessian_blocks(run, outputs, inputs, chunk), 2

    return _matrix(function, argnums, argnames, has_aux, blocks, name)


def _matrix(
    function: Callable[..., Any],
    argnums: Argnums,
    argnames: Argnames,
    has_aux: bool,
    blocks: Callable[..., tuple[list[Any], int]],
    name: str,
) -> Callable[..., Any]:
    """A function of the arguments that gives all blocks, nested as results and arguments are."""

    @functools.wraps(function)
    @boundary
    def matrix(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen(function, args, kwargs, name, argnums, argnames)
        out, aux = apart(chosen.called(function), has_aux, name)
        results, own = Results(out, name).differentiable(), chosen.own

        def run(walk: Walk, outputs: Sequence[Node], given: Sequence[Node]) -> list[Any]:
            parts = together(walk, outputs, own, own, given, Aux(()), values=False)[1]
            return [part._node if isinstance(part, Tensor) else part for part in parts]

        found, order = blocks(run, results.nodes, own)
        found = [wrap(part) if isinstance(part, Node) else part for part in found]
        nested = _nested(found, results, chosen, order)
        return (nested, together(NOTHING, results.nodes, own, own, (), aux)[2]) if has_aux else nested

    return matrix


def _nested(blocks: list[Any], results: Results, chosen: Chosen, order: int) -> Any:
    """Blocks in the structure of the arguments, as often as there are orders, and these in that of the results."""
    n = len(chosen.own)
    if True in chosen.numbers:
        # Of a number by numbers.
        for i, block in enumerate(blocks):
            by = [chosen.numbers[i // n**k % n] for k in range(order)]
            if all(by) and not results.nodes[i // n**order].aval.ndim:
                blocks[i] = scalar(block)
    return nested(blocks, results, chosen, order)
