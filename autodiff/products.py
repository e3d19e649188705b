"""Products and matrices of derivatives of recorded Tensors: ``jvp``, ``vjp``, ``hvp``, ``jacobian``, ``hessian``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import sparse
from .arguments import count, flag, word
from .convert import describe
from .core.avals import Aval
from .engine import Walk, collected_of
from .errors import ArgumentError, DifferentiationError, several
from .gradients import Gradients
from .matrices import MODES, Options, Run, chunks, hessian_blocks, is_forward, jacobian_blocks
from .nodes import Constant, Node
from .tensor import Tensor, wrap
from .tracebacks import boundaries
from .vectors import captured, vector
from .walks import hessian_product, pull, push

if TYPE_CHECKING:
    from .tensor import Recorded


def check_dy(dy: Any, what: str) -> None:
    if not isinstance(dy, Tensor):
        raise DifferentiationError(
            f"{what}: dy is {describe(dy)}, not a Tensor, so nothing was recorded for it; compute it from Tensors "
            "by NumPy's functions (float, the module math, and np.array of Tensors give plain numbers)"
        )
    if not dy.node.aval.differentiable:
        raise DifferentiationError(
            f"{what}: dy is {describe(dy)}; a result of dtype {dy.dtype} has no derivative. Comparisons, "
            "indices and roundings are no functions to differentiate; use a floating result"
        )


def check_dx(dx: Any, what: str, name: str = "dx", remedy: str = "give the Tensor that dy was computed from") -> None:
    if isinstance(dx, Tensor) or not isinstance(dx, (list, tuple)):
        raise ArgumentError(f"{what}: dx must be a list of Tensors, not {describe(dx)}; write [x]")
    for i, x in enumerate(dx):
        if not isinstance(x, Tensor):
            raise DifferentiationError(f"{what}: {name}[{i}] is {describe(x)}, not a Tensor; {remedy}")
        if isinstance(x.node, Constant):
            raise DifferentiationError(
                f"{what}: {name}[{i}] is a constant Tensor {x.node.aval!r}; make it with constant=False to "
                "differentiate with respect to it"
            )
        if not x.node.aval.differentiable:
            raise DifferentiationError(
                f"{what}: {name}[{i}] is {describe(x)}; there are no derivatives with respect to dtype {x.dtype}. "
                "Use a floating dtype"
            )


def check(dy: Any, dx: Any, n: Any, what: str) -> None:
    """Errors for arguments that cannot be; the common case passes a few comparisons."""
    if type(dy) is Tensor and dy._node.aval.differentiable and type(n) is int and n >= 1 and type(dx) in (list, tuple):
        for x in dx:
            if type(x) is not Tensor or not x._node.sequence or not x._node.aval.differentiable:
                break
        else:
            return
    check_dy(dy, what)
    check_dx(dx, what)
    count(n, f"{what}: n", of=", the order of the derivative")


def checked(dy: Recorded, dx: Sequence[Recorded], n: Any, what: str) -> tuple[Tensor, Sequence[Tensor]]:
    """``check``, and the same as what they are for a type checker."""
    check(dy, dx, n, what)
    return dy, dx  # type: ignore[return-value]


@boundaries
class Products:
    """What a ``Graph`` gives of derivatives beside gradients. Each is found in its cache of plans."""

    __slots__ = ("_gradients",)

    _gradients: Gradients

    def _walked(
        self, walk: Walk, dy: Tensor, dx: Sequence[Tensor], given: Sequence[Node], as_tensors: Any, what: str
    ) -> list[Any]:
        record = flag(as_tensors, f"{what}: as_tensors")
        found = self._gradients.products(walk, dy._node, [x._node for x in dx], dx, given, record)
        return wrap(found) if record else found

    def jvp(self, dy: Recorded, dx: Sequence[Recorded], v: Sequence[Any], *, as_tensors: bool = False) -> Any:
        """The derivative of ``dy`` along a direction: the Jacobian times a vector, in forward mode.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what, as in ``gradient``.
        v : list of array_like
            The direction: for each of ``dx`` an array of its shape.
        as_tensors : bool, optional
            True to get a Tensor for further expressions.

        Returns
        -------
        ndarray or Tensor
            Of the shape and dtype of ``dy``.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.
        ShapeError
            If a vector has another shape than its variable.
        ArgumentError
            If there are more or fewer vectors than variables.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([1.0, 2.0])
        >>> ad.Graph().jvp(x**2, [x], [[1.0, 0.0]])
        array([2., 0.])
        """
        y, xs = checked(dy, dx, 1, "jvp")
        given = _vectors(v, [x._node.aval for x in xs], as_tensors, "jvp: v")
        return self._walked(Walk(push), y, xs, given, as_tensors, "jvp")[0]

    def vjp(self, dy: Recorded, dx: Sequence[Recorded], v: Any, *, as_tensors: bool = False) -> list[Any]:
        """A vector times the Jacobian of ``dy``: the derivatives of the sum of ``v * dy``, in reverse mode.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what, as in ``gradient``.
        v : array_like
            Of the shape of ``dy``.
        as_tensors : bool, optional
            True to get Tensors for further expressions.

        Returns
        -------
        list of ndarray or list of Tensor
            One for each of ``dx``, of its shape and dtype.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.
        ShapeError
            If ``v`` has another shape than ``dy``.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([1.0, 2.0])
        >>> ad.Graph().vjp(x**2, [x], [1.0, 10.0])
        [array([ 2., 40.])]
        """
        y, xs = checked(dy, dx, 1, "vjp")
        given = [_vector(v, y._node.aval, as_tensors, "vjp: v")]
        return self._walked(Walk(pull), y, xs, given, as_tensors, "vjp")

    def hvp(self, dy: Recorded, dx: Sequence[Recorded], v: Sequence[Any], *, as_tensors: bool = False) -> list[Any]:
        """The Hessian of ``dy`` times a vector; the matrix is not made.

        Parameters
        ----------
        dy : Tensor
            What to differentiate. If it has more than one element, its sum is differentiated.
        dx : list of Tensor
            With respect to what, as in ``gradient``.
        v : list of array_like
            The vector: for each of ``dx`` an array of its shape.
        as_tensors : bool, optional
            True to get Tensors for further expressions.

        Returns
        -------
        list of ndarray or list of Tensor
            One for each of ``dx``, of its shape and dtype.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.
        ShapeError
            If a vector has another shape than its variable.
        ArgumentError
            If there are more or fewer vectors than variables.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([1.0, 2.0])
        >>> ad.Graph().hvp(x[0] ** 2 * x[1], [x], [[1.0, 0.0]])
        [array([4., 2.])]
        """
        y, xs = checked(dy, dx, 1, "hvp")
        given = _vectors(v, [x._node.aval for x in xs], as_tensors, "hvp: v")
        return self._walked(Walk(hessian_product), y, xs, given, as_tensors, "hvp")

    def jacobian(
        self,
        dy: Recorded,
        dx: Sequence[Recorded],
        *,
        mode: str = "auto",
        chunk_size: int | None = None,
        sparse: bool = False,
        as_tensors: bool = False,
    ) -> list[Any]:
        """All elements of ``dy`` differentiated with respect to all elements of each of ``dx``.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what, as in ``gradient``.
        mode : {"auto", "forward", "reverse"}, optional
            Column by column, or row by row; what is fewer, if not given.
        chunk_size : int, optional
            How many columns or rows are computed together; all if not given. Fewer take less memory.
        sparse : bool, optional
            True for sparse matrices of SciPy, as ``autodiff.jacobian`` gives them.
        as_tensors : bool, optional
            True to get Tensors for further expressions; not with ``sparse``.

        Returns
        -------
        list of ndarray or list of Tensor or list of scipy.sparse.csr_array
            One for each of ``dx``, with the axes of ``dy`` and then its own; with ``sparse`` a row for each element of
            ``dy``, and a column for each element of its own, in C order.

        Raises
        ------
        DifferentiationError
            As from ``gradient``, and if ``dy`` and one of ``dx`` are complex.
        ArgumentError
            If an option makes no sense.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([1.0, 2.0])
        >>> ad.Graph().jacobian(x**2, [x])
        [array([[2., 0.],
               [0., 4.]])]
        """
        y, xs = checked(dy, dx, 1, "jacobian")
        if flag(sparse, "jacobian: sparse"):
            options = Options(word(mode, "jacobian: mode", MODES), chunks(chunk_size, "jacobian"))
            return self._entries(1, y, xs, options, as_tensors, "jacobian")
        inputs, run = self._runner(y, xs, as_tensors, "jacobian")
        forward = is_forward(mode, [y._node], inputs, "jacobian")
        found = jacobian_blocks(run, [y._node], inputs, forward, chunks(chunk_size, "jacobian"))
        return wrap(found) if as_tensors else found

    def hessian(
        self,
        dy: Recorded,
        dx: Sequence[Recorded],
        *,
        chunk_size: int | None = None,
        sparse: bool = False,
        as_tensors: bool = False,
    ) -> list[list[Any]]:
        """All second derivatives of ``dy``.

        Parameters
        ----------
        dy : Tensor
            What to differentiate: real.
        dx : list of Tensor
            With respect to what, as in ``gradient``.
        chunk_size : int, optional
            How many columns are computed together; all if not given. Fewer take less memory.
        sparse : bool, optional
            True for sparse matrices of SciPy, as ``autodiff.hessian`` gives them; ``dy`` has one element then.
        as_tensors : bool, optional
            True to get Tensors for further expressions; not with ``sparse``.

        Returns
        -------
        list of list of ndarray or list of list of Tensor or list of list of scipy.sparse.csr_array
            For each of ``dx`` and each of ``dx``: with the axes of ``dy``, those of the first and those of the second;
            with ``sparse`` a row for each element of the first, and a column for each of the second, in C order.

        Raises
        ------
        DifferentiationError
            As from ``gradient``, and if something is complex.
        ArgumentError
            If an option makes no sense.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([1.0, 2.0])
        >>> ad.Graph().hessian(x[0] ** 2 * x[1], [x])
        [[array([[4., 2.],
               [2., 0.]])]]
        """
        y, xs = checked(dy, dx, 1, "hessian")
        n = len(xs)
        if flag(sparse, "hessian: sparse"):
            options = Options(chunk=chunks(chunk_size, "hessian"))
            found = self._entries(2, y, xs, options, as_tensors, "hessian")
            return [found[i : i + n] for i in range(0, n * n, n or 1)]
        inputs, run = self._runner(y, xs, as_tensors, "hessian")
        found = hessian_blocks(run, [y._node], inputs, chunks(chunk_size, "hessian"))
        rows = [found[i : i + n] for i in range(0, n * n, n or 1)]
        return wrap(rows) if as_tensors else rows

    def _entries(
        self,
        order: int,
        dy: Tensor,
        dx: Sequence[Tensor],
        options: Options,
        as_tensors: Any,
        what: str,
    ) -> list[Any]:
        """The sparse matrices of a result by variables."""
        if flag(as_tensors, f"{what}: as_tensors"):
            raise ArgumentError(
                f"{what}: sparse=True gives SciPy's arrays, which hold numbers, so as_tensors=True cannot be had with "
                "it; leave one of them out"
            )
        inputs = self._gradients.versions(dy._node, [x._node for x in dx], dx) if dx else []
        collected = collected_of([dy._node], inputs)
        entries = sparse.jacobian_entries if order == 1 else sparse.hessian_entries
        return entries(self._gradients, collected, [dy._node], inputs, options, what)

    def _runner(self, dy: Tensor, dx: Sequence[Tensor], as_tensors: Any, what: str) -> tuple[list[Node], Run]:
        """The nodes that derivatives are taken with respect to, and what gives what a walk does."""
        record = flag(as_tensors, f"{what}: as_tensors")
        wrt = [x._node for x in dx]

        def run(walk: Walk, outputs: Sequence[Node], given: Sequence[Node]) -> list[Any]:
            return self._gradients.products(walk, dy._node, wrt, dx, given, record)

        return self._gradients.versions(dy._node, wrt, dx) if dx else [], run


def _vectors(v: Any, avals: Sequence[Aval], as_tensors: Any, what: str) -> list[Node]:
    """Nodes for the vectors of a product, one for each variable."""
    if isinstance(v, (Tensor, np.ndarray)) or not isinstance(v, (list, tuple)) or len(v) != len(avals):
        arrays = several(len(avals), "array")
        raise ArgumentError(f"{what}={describe(v)} must be a list of {arrays}, one for each of dx")
    return [_vector(x, aval, as_tensors, f"{what}[{i}]") for i, (x, aval) in enumerate(zip(v, avals, strict=True))]


def _vector(v: Any, aval: Aval, as_tensors: Any, what: str) -> Node:
    node = vector(v.value if isinstance(v, Tensor) and not as_tensors else v, aval, what)
    return node if not as_tensors else captured([node])[0]
