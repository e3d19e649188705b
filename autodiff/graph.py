"""``Graph``: differentiates recorded Tensors and keeps the compiled gradient functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from .alive import Alive
from .arguments import count, flag
from .backend import Backend
from .compiled import CompiledGradient, Explanation, plan_row
from .convert import describe
from .engine import Walk
from .errors import ArgumentError
from .gradients import Gradient, Gradients
from .importing import imported
from .noting import noting_lines
from .places import Way, made_on
from .plan import CacheInfo
from .plan.cache import DEFAULT_CAPACITY
from .products import Products, check, check_dx, checked
from .registry import get_backend
from .tensor import Tensor, wrap
from .tracebacks import boundaries, hide
from .walks import mixed_slope

if TYPE_CHECKING:
    from .tensor import Recorded


@boundaries
class Graph(Products):
    """Differentiates what Tensors have recorded, and keeps the compiled gradient functions.

    Plans are found again by the structure of the graph (operations, shapes, dtypes), so a training loop that
    records the same computation each time differentiates and compiles it once.

    Parameters
    ----------
    backend : str, Backend or namespace, optional
        What computes: a name in ``autodiff.backends()``, a backend object, or the namespace of an Array API library.
        If not given, what the Tensors are on: NumPy, unless they were made from another library's arrays.
    cache_size : int, optional
        Plans kept at most; the least recently used goes first.
    device : object, optional
        Where, as the library names its devices: ``Graph(backend="torch", device="cuda:1")``.
    memory_limit : int, optional
        Bytes that a derivative may hold beside the values that it is computed from, its results included. What does not
        fit is computed again where it is needed.

    Raises
    ------
    BackendError
        If the backend is unknown, cannot be loaded, or has no such device.
    ArgumentError
        If ``cache_size`` or ``memory_limit`` is less than 1.

    Examples
    --------
    >>> import autodiff as ad
    >>> a = ad.Tensor([1, 2, 3, 4])
    >>> b = a**2
    >>> graph = ad.Graph()
    >>> graph.add_variables(a)
    >>> graph.gradient(b, [a])
    [array([2., 4., 6., 8.])]
    """

    __slots__ = ("__weakref__", "_place", "_variables", "backend")

    def __init__(
        self,
        backend: str | Backend | Any | None = None,
        cache_size: int = DEFAULT_CAPACITY,
        device: Any = None,
        memory_limit: int | None = None,
    ):
        self.backend = get_backend(backend, device)
        asked = None if backend is None and device is None else self.backend
        # Where variables are put; None for where they are.
        self._place = None if asked is None else asked.home
        limit = None if memory_limit is None else count(memory_limit, "Graph: memory_limit")
        # The variables that were put here, for `_repr_html_`.
        self._variables = Alive()
        self._gradients = Gradients(count(cache_size, "Graph: cache_size"), asked, limit)

    def __repr__(self) -> str:
        info = self._gradients.cache.info()
        return f"Graph(backend={self.backend.label!r}, {info.entries} compiled gradients, {info.hits} hits)"

    def _repr_html_(self) -> str:
        """What notebooks show: variables, and the compiled gradients, the latest first."""
        shown = imported("autodiff.display.graphs")
        variables = [(x.name or "", repr(x._node.aval)) for x in self._variables]
        cache = self._gradients.cache
        plans = [plan_row(found.plan) for found in cache.values()[::-1] if isinstance(found, Gradient)]
        return str(shown.graph(self.backend.label, variables, cache.info(), plans))

    # --- placement ---------------------------------------------------------------------------------------------------

    def tensor(
        self, data: Any, dtype: Any = None, constant: bool = False, copy: bool = True, name: Any = None
    ) -> Tensor:
        """A Tensor on the graph's backend.

        Parameters
        ----------
        data : array_like
            As ``Tensor`` takes it.
        dtype : dtype, optional
            What to convert to.
        constant : bool, optional
            True for data that no derivative is taken with respect to.
        copy : bool, optional
            False to use the memory of ``data`` where that is possible; it must then not change.
        name : str, optional
            Shown in ``repr``.

        Returns
        -------
        Tensor
            Made on the backend: nothing is brought there later.

        Raises
        ------
        BackendError
            If ``data`` are on another backend.
        DTypeError
            As from ``Tensor``, and if the backend's device has no such dtype.

        Examples
        --------
        >>> import autodiff as ad
        >>> ad.Graph(backend="numpy").tensor([1.0, 2.0])
        Tensor([1., 2.])
        """
        return made_on(self._place, Tensor, data, dtype, constant, copy, name)  # type: ignore[no-any-return]

    # In the block, Tensors are made on the graph's backend.
    __enter__ = Way()
    __exit__ = Way()

    def add_variables(self, *tensors: Tensor) -> None:
        """Put variables on the graph's backend, so that gradients can be taken with respect to them.

        Parameters
        ----------
        *tensors : Tensor
            Not constant, of a floating or complex dtype. Values of variables are brought there, from another backend
            too; results of operations are computed there, and must not be on another one.

        Raises
        ------
        DifferentiationError
            If one is no Tensor, is constant, or has a dtype without derivatives.
        BackendError
            If a result of operations is on another backend.
        DTypeError
            If the backend's device has no such dtype.
        """
        place = self._place
        for x in tensors:
            if type(x) is not Tensor or not x._node.sequence or not x._node.aval.differentiable:
                check_dx(tensors, "add_variables", "tensors", "give Tensors, one after the other: add_variables(a, b)")
            if place is not None and x._node.aval.place is not place:
                x._put(place)
        self._variables.add(tensors)

    # --- gradients ---------------------------------------------------------------------------------------------------

    @overload
    def gradient(
        self,
        dy: Recorded,
        dx: Sequence[Recorded],
        n: int = ...,
        *,
        as_tensors: Literal[False] = ...,
        mixed: Literal[False] = ...,
    ) -> list[Any]: ...
    @overload
    def gradient(
        self,
        dy: Recorded,
        dx: Sequence[Recorded],
        n: int = ...,
        *,
        as_tensors: Literal[True],
        mixed: Literal[False] = ...,
    ) -> list[Tensor]: ...
    @overload
    def gradient(
        self, dy: Recorded, dx: Sequence[Recorded], n: int = ..., *, as_tensors: Literal[True], mixed: Literal[True]
    ) -> Tensor: ...
    @overload
    def gradient(
        self, dy: Recorded, dx: Sequence[Recorded], n: int = ..., *, as_tensors: bool = ..., mixed: bool = ...
    ) -> Any: ...
    def gradient(self, dy: Any, dx: Sequence[Any], n: int = 1, *, as_tensors: bool = False, mixed: bool = False) -> Any:
        """Derivatives of ``dy`` with respect to each of ``dx``.

        Parameters
        ----------
        dy : Tensor
            What to differentiate. If it has more than one element, its sum is differentiated.
        dx : list of Tensor
            Variables, or any Tensors in the history of ``dy``. A variable that was assigned to since stands
            for the version that ``dy`` was recorded with.
        n : int, optional
            The order; each order is the derivative of the sum of the previous one.
        as_tensors : bool, optional
            True to get Tensors for further expressions, such as a gradient penalty.
        mixed : bool, optional
            True for one mixed partial derivative: by the first of ``dx``, of that by the second, and so on.

        Returns
        -------
        list of ndarray or list of Tensor
            One for each of ``dx``, of its shape and dtype; zeros where ``dy`` does not depend on it. For a
            complex variable du/dx - i du/dy. With ``mixed`` it is one array, or one Tensor, like the last of ``dx``.

        Raises
        ------
        DifferentiationError
            If ``dy`` or one of ``dx`` is no Tensor, is constant, or has a dtype without derivatives.
        ArgumentError
            If ``n`` is less than 1 or ``dx`` is no list; if ``mixed`` is asked for with an order, or of no variables.

        Warns
        -----
        IndependentWarning
            At each call, for a variable that ``dy`` does not depend on.
        GrowthWarning
            Once for a line that differentiates with respect to what it updates by operations, so that each call
            compiles: ``w = w - rate * g``, where ``w.assign_sub(rate * g)`` is meant.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([1.0, 2.0])
        >>> y = x**3
        >>> ad.Graph().gradient(y, [x], 2)
        [array([ 6., 12.])]
        >>> z = ad.Tensor([3.0, 4.0])
        >>> ad.Graph().gradient(x**2 * z, [x, z], mixed=True)
        array([2., 4.])
        """
        try:
            check(dy, dx, n, "gradient")
            if mixed is not False and flag(mixed, "gradient: mixed"):
                return self._mixed(dy, dx, n, as_tensors)
            if not dx:
                return []
            wrt = [x._node for x in dx]
            if as_tensors is not False and flag(as_tensors, "gradient: as_tensors"):
                return wrap(self._gradients.record(dy._node, wrt, n, dx))
            return self._gradients.evaluate(dy._node, wrt, n, dx)[1]
        except Exception as error:
            hide(error)
            raise

    def _mixed(self, dy: Tensor, dx: Sequence[Tensor], n: int, as_tensors: bool) -> Any:
        if n != 1 or not dx:
            raise ArgumentError(
                f"gradient: mixed=True is one derivative by all of dx in turn, with dx of {len(dx)} entries and n={n}; "
                "name a variable as often as it is differentiated by"
            )
        found = self._walked(Walk(mixed_slope), dy, dx, (), as_tensors, "gradient")
        return found[0]

    def value_and_gradient(self, dy: Recorded, dx: Sequence[Recorded]) -> tuple[Any, list[Any]]:
        """The value of ``dy`` and its derivatives, computed by one plan.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what, as in ``gradient``.

        Returns
        -------
        value : ndarray
            The value of ``dy``, read-only.
        gradients : list of ndarray
            As from ``gradient``.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([3.0])
        >>> ad.Graph().value_and_gradient(x * x, [x])
        (array([9.]), [array([6.])])
        """
        try:
            check(dy, dx, 1, "value_and_gradient")
            if not dx:
                return dy.value, []  # type: ignore[union-attr]
            return self._gradients.evaluate(dy._node, [x._node for x in dx], 1, dx)  # type: ignore[union-attr, arg-type]
        except Exception as error:
            hide(error)
            raise

    def compile(self, dy: Recorded, dx: Sequence[Recorded], inputs: Sequence[Recorded]) -> CompiledGradient:
        """The gradient as a function of new values for ``inputs``, which records nothing.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what.
        inputs : list of Tensor
            Tensors in the history of ``dy`` whose values the function takes; all others keep the values that
            ``dy`` was recorded with.

        Returns
        -------
        CompiledGradient
            Called with an array for each of ``inputs``, it gives the value and a list of gradients.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.
        ArgumentError
            If one of ``inputs`` is not in the history of ``dy``.

        Examples
        --------
        >>> import autodiff as ad
        >>> import numpy as np
        >>> x = ad.Tensor([1.0, 2.0])
        >>> f = ad.Graph().compile(np.sum(x**2), [x], [x])
        >>> f([3.0, 4.0])
        (array(25.), [array([6., 8.])])
        """
        y, xs = checked(dy, dx, 1, "compile")
        return self._gradients.compile(y._node, [x._node for x in xs], xs, _input_tensors(inputs))

    # --- looking in --------------------------------------------------------------------------------------------------

    def source(self, dy: Recorded, dx: Sequence[Recorded], n: int = 1) -> str:
        """The code that computes ``gradient(dy, dx, n)``.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what.
        n : int, optional
            The order.

        Returns
        -------
        str
            A Python module: the buffers it works in, and the function ``run``.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.
        """
        y, xs = checked(dy, dx, n, "source")
        return self._gradients.source(y._node, [x._node for x in xs], n, xs)

    def explain(self, dy: Recorded, dx: Sequence[Recorded], n: int = 1) -> Explanation:
        """What ``gradient(dy, dx, n)`` costs.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what.
        n : int, optional
            The order.

        Returns
        -------
        Explanation
            How many operations and launches (kernels, calls of library functions) one call of the compiled
            gradient makes, how many bytes it holds at most, what is brought to the device for it, and its code.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.

        Examples
        --------
        >>> import autodiff as ad
        >>> x = ad.Tensor([1.0, 2.0])
        >>> ad.Graph().explain(x**3 + x, [x]).operations
        5
        """
        y, xs = checked(dy, dx, n, "explain")
        return self._gradients.explain(y._node, [x._node for x in xs], n, xs)

    def draw(self, dy: Tensor, dx: Sequence[Tensor], n: int = 1, *, most: int | None = None) -> Any:
        """What was recorded for ``dy``, and its derivatives, as a picture.

        Parameters
        ----------
        dy : Tensor
            What to differentiate.
        dx : list of Tensor
            With respect to what.
        n : int, optional
            The order.
        most : int, optional
            How many boxes of operations are drawn; see ``autodiff.draw``.

        Returns
        -------
        Picture
            On the left what was recorded, read downwards; on the right the derivatives, read upwards. Notebooks show
            it; it has the text ``svg``, and ``save(path)``.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.
        ArgumentError
            If ``most`` is less than 1.

        See Also
        --------
        autodiff.draw : What was recorded alone.

        Examples
        --------
        >>> import autodiff as ad
        >>> import numpy as np
        >>> x = ad.Tensor([1.0, 2.0], name="x")
        >>> ad.Graph().draw(np.sum(np.sin(x)), [x]).save("sine.svg")  # doctest: +SKIP
        """
        check(dy, dx, n, "draw")
        found = self._gradients.recorded(dy._node, [x._node for x in dx], n, dx)
        return imported("autodiff.drawing").drawn(dy, dx, n, found, most)

    def profile(self, dy: Tensor | Callable[[], Tensor], dx: Sequence[Tensor], n: int = 1) -> Any:
        """What the operations of ``gradient(dy, dx, n)`` take: time, and bytes that they move, by your lines.

        Parameters
        ----------
        dy : Tensor or callable
            What to differentiate, recorded in ``autodiff.record_lines`` if lines are to be known; or a function without
            arguments that records it, which is called there.
        dx : list of Tensor
            With respect to what.
        n : int, optional
            The order.

        Returns
        -------
        Profile
            Printed it is a table. Notebooks show it as one, and ``flame()`` is a picture. It has ``rows`` and
            ``seconds``.

        Raises
        ------
        DifferentiationError
            As from ``gradient``.
        BackendError
            If the backend is lazy: it decides itself what it computes, and when.

        See Also
        --------
        autodiff.function : Its functions have ``profile``, too.
        explain : What a plan costs, as it is known without running it.

        Notes
        -----
        The gradient is called for half a second or so. Operations of NumPy's plan are timed one by one, in the plan,
        those that it computes block by block together. Machine code is timed kernel by kernel. On other backends each
        operation is called by itself. The table says which it was.

        Examples
        --------
        >>> import autodiff as ad
        >>> import numpy as np
        >>> x = ad.Tensor(np.linspace(0.0, 1.0, 10_000))
        >>> profile = ad.Graph(backend="numpy").profile(lambda: np.sum(np.exp(x) * x), [x])
        >>> profile.rows[0].operation
        'exp'
        """
        if not isinstance(dy, Tensor) and callable(dy):
            with noting_lines():
                dy = dy()
        check(dy, dx, n, "profile")
        profiled = imported("autodiff.profiling").profiled
        nodes = [x._node for x in dx]
        name = f"the gradient{f' of order {n}' if n > 1 else ''}"
        compiled, values = self._gradients.found(dy._node, nodes, n, dx)
        return profiled(
            name,
            lambda compile: self._gradients.timed(dy._node, nodes, n, dx, compile),
            lambda: compiled.plan(*values),
            compiled,
        )

    def cache_info(self) -> CacheInfo:
        """What the cache of compiled gradients has done.

        Returns
        -------
        CacheInfo
            ``hits``, ``misses``, ``entries``, ``capacity`` and ``compile_seconds``.
        """
        return self._gradients.cache.info()

    def clear_cache(self) -> None:
        """Forget all compiled gradients and counts."""
        self._gradients.cache.clear()


def _input_tensors(inputs: Any) -> Sequence[Tensor]:
    if isinstance(inputs, Tensor) or not isinstance(inputs, (list, tuple)):
        raise ArgumentError(f"compile: inputs must be a list of Tensors, not {describe(inputs)}")
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise ArgumentError(f"compile: inputs[{i}] is {describe(x)}, not a Tensor")
    return inputs
