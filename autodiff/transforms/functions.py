"""``function``: a Python function traced once for each structure of its arguments, then replayed as a compiled plan."""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import numpy as np

from ..arguments import count
from ..backend import Backend
from ..callers import user_frame
from ..compiled import plan_row
from ..containers import builder, flatten, unflatten
from ..convert import as_array, aval_on, describe
from ..core.avals import WEAK_FLOAT, Aval, common_place, intern_aval
from ..errors import ArgumentError, BackendError, RetraceWarning
from ..importing import imported
from ..nodes import NO_SLOT, Argument, Node, freeze
from ..noting import noting_lines, searches
from ..pickling import Named, findable, title
from ..places import placed
from ..plan import PlanCache, compile_nodes
from ..plan.cache import Entry
from ..progress import stage
from ..registry import backend_of, computing, get_backend
from ..static_keys import static_key
from ..tensor import Tensor, wrap
from ..tracebacks import boundaries, boundary, hide
from ..tracing import UNKNOWN, unknowns
from ..watching import call_watched, traced
from .guards import Captured, Guard, Present, Transparent, guard_of, outside_of

P = ParamSpec("P")
T = TypeVar("T")
# What a method is called on, and what else it takes.
S = TypeVar("S")
Q = ParamSpec("Q")

# A call of an entry in so many lets it be compared with first, so that calls that alternate do not do so each time.
CALLS_NOTED = 8

# Traces kept for one structure of the arguments, which differ in values that the function looked at.
VARIANTS_KEPT = 8


class _Traced:
    """A function traced for one structure: its plan, where the plan's inputs come from, and while what it holds."""

    __slots__ = ("_captured", "_constants", "_ordered", "build", "guard", "is_plain", "plan")

    def __init__(
        self,
        plan: Any,
        captured: Captured | None,
        structure: Any,
        constants: dict[int, Any],
        guard: Guard | None,
        ordered: bool,
    ):
        self.plan = plan
        self.guard = guard
        # Whether arguments must be in C order, since the function writes into a reshape of one.
        self._ordered = ordered
        self._captured = captured
        self.build = builder(structure)
        self._constants = constants
        # Whether its results are those of the plan for the arguments, whatever else is there.
        self.is_plain = captured is None and guard is None and not constants and not ordered

    def __call__(self, values: Sequence[Any]) -> Any:
        """The results for these values of the arguments, in the structure that the function returned."""
        if self._ordered:
            _check_order(values)
        results = self.plan(*values) if self._captured is None else self.plan(*values, *self._captured.values())
        if self._constants:
            computed = iter(results)
            count = len(results) + len(self._constants)
            results = [_own(self._constants[i]) if i in self._constants else next(computed) for i in range(count)]
        return self.build(results)


class _Variants(list[_Traced]):
    """The traces for one structure of the arguments, the latest first."""

    @property
    def n_operations(self) -> int:
        """Primitives executed by the plans."""
        return sum([traced.plan.n_operations for traced in self])


@boundaries
class Function(Named, Generic[P, T]):
    """A function that is traced once for each set of shapes and dtypes, then replayed. Made by ``function``.

    Parameters
    ----------
    function : callable
        What is traced.
    cache_size : int
        Traces kept at most.
    backend : str, Backend, namespace or None
        What computes.
    device : object
        Where.
    memory_limit : int or None
        Bytes that a call may hold beside its arguments.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> slope = ad.function(ad.grad(lambda x: np.sum(x**2)))
    >>> slope(np.ones(2)), slope(np.zeros(2)), slope.cache_info()[:2]
    (array([2., 2.]), array([0., 0.]), (1, 1))
    """

    def __init__(
        self,
        function: Callable[P, T],
        cache_size: int,
        backend: Any = None,
        device: Any = None,
        memory_limit: int | None = None,
    ):
        functools.update_wrapper(self, function)
        self._function: Callable[..., Any] = function
        self._cache = PlanCache(count(cache_size, "function: cache_size"))
        self._limit = None if memory_limit is None else count(memory_limit, "function: memory_limit")
        # None for that of the arguments.
        self._backend = None if backend is None and device is None else get_backend(backend, device)
        self._place = None if self._backend is None else self._backend.home
        # The entry that calls are compared with first, if there is one.
        self._latest: Callable[[], Entry | None] = _nothing
        # Whether it was said that values it looks at change all the time.
        self._warned = False
        # NumPy's arrays are taken as they are, unless they have to be brought somewhere else.
        self._away = self._place is not None and self._place is not get_backend()

    def _state(self, frame: FrameType | None) -> Any:
        return findable(self._function, frame), self._cache.capacity, self._backend, None, self._limit

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        # The common call has arrays and floats only, and costs little beside the plan.
        try:
            if kwargs or self._away:
                return self._call_any(args, kwargs)  # type: ignore[no-any-return]
            entry = self._latest()
            if entry is not None and entry.recognised(args) and not searches:
                entry.used = next(self._cache.clock)
                entry.uses += 1
                traced = entry.value[0]
                if traced.is_plain:
                    return traced.build(traced.plan(*args))  # type: ignore[no-any-return]
                return self._replay((), args, args, kwargs, entry.value)  # type: ignore[no-any-return]
            key: list[Any] = []
            for arg in args:
                kind = type(arg)
                if kind is float:
                    key.append(float)
                elif kind is np.ndarray:
                    key.append(arg.shape)  # type: ignore[attr-defined]
                    key.append(arg.dtype)  # type: ignore[attr-defined]
                else:
                    return self._call_any(args, kwargs)  # type: ignore[no-any-return]
            whole = tuple(key)
            entry = self._cache.found(whole)
            if entry is not None and not entry.uses % CALLS_NOTED:
                entry.recognised = entry.recognised or _recogniser(args)
                self._latest = weakref.ref(entry)
            return self._replay(whole, args, args, kwargs, None if entry is None else entry.value)  # type: ignore[no-any-return]
        except Exception as error:
            hide(error)
            raise

    def _call_any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call with containers, keywords, Tensors, or arguments that are part of the structure."""
        found = self._split(args, kwargs)
        # Part of a larger computation if there are Tensors: recorded there.
        return self._function(*args, **kwargs) if found is None else self._replay(*found, args, kwargs)

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], list[Any]] | None:
        """The key of a call, and what of its arguments is data; None if there are Tensors among them."""
        leaves, structure = flatten((args, kwargs), settings=True)
        key: list[Any] = [structure]
        values = []
        for leaf in leaves:
            kind = type(leaf)
            if isinstance(leaf, Tensor):
                return None
            if kind is float:
                key.append(float)
                values.append(leaf)
                continue
            place = None if kind is np.ndarray else backend_of(leaf)
            if kind is np.ndarray or place is not None or isinstance(leaf, (np.generic, np.ndarray)):
                array, aval = self._array(leaf, place)
                key.append(aval)
                values.append(array)
            else:
                key.append(static_key(leaf))
        return tuple(key), values

    def _array(self, value: Any, source: Backend | None) -> tuple[Any, Aval]:
        """An array argument, brought to where it is needed, and what is known of it."""
        place = self._place
        if source is not None and place is not None and place is not source:
            raise BackendError(
                f"autodiff.function: an argument, {describe(value)}, is not on {place.label}, where the function is to "
                "compute; leave out backend= to compute where the arguments are"
            )
        if source is None:
            return placed(value, place, constant=True)
        aval = aval_on(source, value)
        return freeze(source.asarray(value, aval.dtype)), aval

    def _replay(
        self,
        key: Any,
        values: Sequence[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        variants: _Variants | None = None,
    ) -> Any:
        """The results for ``values``, tracing the function if there is no trace under this key that holds."""
        try:
            if variants is None:
                variants = self._cache.get(key, lambda: _Variants([self._trace(values, args, kwargs)]))
            found = variants[0]
            if found.guard is not None and not found.guard.holds(values):
                found = self._retraced(variants, values, args, kwargs)
            return found(values)
        except TypeError:
            # Of the function's own, unless it is the key that has no hash.
            _check_hashable(key)
            raise
        except Transparent:
            return self._function(*args, **kwargs)

    def _retraced(
        self, variants: _Variants, values: Sequence[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Traced:
        """A trace for the values that the function sees today: one made before, or a new one."""
        for i, found in enumerate(variants):
            if found.guard is None or found.guard.holds(values):
                variants[:] = [found, *variants[:i], *variants[i + 1 :]]
                return found
        if len(variants) >= VARIANTS_KEPT and not self._warned:
            self._warned = True
            guard = variants[0].guard
            assert guard is not None
            warnings.warn(
                f"{getattr(self, '__name__', 'a function')} is traced anew at each call, since it looks at values that "
                f"change: at {guard.lines[0]}. Compute with the Tensor instead (np.where for an if or a "
                "mask), or make what is looked at an argument",
                RetraceWarning,
                stacklevel=user_frame()[1],
            )
        found = self._trace(values, args, kwargs)
        variants[:] = [found, *variants[: VARIANTS_KEPT - 1]]
        return found

    def _aval(self, leaf: Any) -> Aval | None:
        """What is known of an argument that is data; None for one that is part of the structure."""
        if type(leaf) is float:
            return WEAK_FLOAT
        if isinstance(leaf, (np.ndarray, np.generic)):
            array = as_array(leaf, copy=None)
            return intern_aval(array.shape, array.dtype, place=self._place)
        place = backend_of(leaf)
        return None if place is None else aval_on(place, leaf)

    def _trace(
        self,
        values: Sequence[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        compile: Callable[..., Any] | None = None,
    ) -> _Traced:
        leaves, given = flatten((args, kwargs), settings=True)
        avals = [self._aval(leaf) for leaf in leaves]

        def called(*nodes: Node) -> Any:
            stand_ins = iter(nodes)
            inner = [leaf if aval is None else wrap(next(stand_ins)) for leaf, aval in zip(leaves, avals, strict=True)]
            args, kwargs = unflatten(given, iter(inner))
            stage("tracing")
            return call_watched(self._function, args, kwargs, list(nodes), "function")

        begin = Argument(WEAK_FLOAT, UNKNOWN, NO_SLOT).sequence
        arguments = unknowns([aval for aval in avals if aval is not None], UNKNOWN)
        present = Present(arguments, values, begin)
        out, noted = traced(begin, present, called, *arguments)
        leaves, structure = flatten(out)
        outputs = [leaf._node for leaf in leaves if isinstance(leaf, Tensor)]
        constants = {i: leaf for i, leaf in enumerate(leaves) if not isinstance(leaf, Tensor)}
        outside = outside_of(outputs, begin, set(arguments))
        backend = self._backend
        if backend is None:
            nodes = [*outputs, *arguments, *outside]
            backend = computing(common_place("autodiff.function", [node.aval for node in nodes]))
        plan = (compile or compile_nodes)([*arguments, *outside], outputs, backend, memory_limit=self._limit)
        captured = Captured(outside, begin, backend.home) if outside else None
        guard = guard_of(noted.looks, arguments, present, begin)
        return _Traced(plan, captured, structure, constants, guard, bool(noted.ordered))

    def __repr__(self) -> str:
        return f"<function of {title(self._function)}>"

    def _repr_html_(self) -> str:
        """What notebooks show: the signature, and the plans of its traces, the latest first."""
        try:
            signature = str(inspect.signature(self._function))
        except (TypeError, ValueError):
            signature = "(...)"
        traces = [traced for variants in self._cache.values()[::-1] for traced in variants]
        shown = imported("autodiff.display.graphs")
        where = "where the arguments are" if self._backend is None else self._backend.label
        name = getattr(self, "__name__", type(self._function).__name__)
        return str(shown.function("Function", name + signature, where, [plan_row(traced.plan) for traced in traces]))

    def profile(self, *args: Any, **kwargs: Any) -> Any:
        """What the operations of a call take: time, and bytes that they move, by the lines of the function.

        Parameters
        ----------
        *args, **kwargs
            As for a call, without Tensors. The function is traced anew for them, and called for half a second or so.

        Returns
        -------
        Profile
            Printed it is a table. Notebooks show it as one, and ``flame()`` is a picture.

        Raises
        ------
        ArgumentError
            If there are Tensors among the arguments.
        BackendError
            If the backend is lazy: it decides itself what it computes, and when.

        See Also
        --------
        Graph.profile : The same of a gradient.

        Examples
        --------
        >>> import autodiff as ad
        >>> import numpy as np
        >>> f = ad.function(lambda x: np.sum(np.exp(x)))
        >>> [row.operation for row in f.profile(np.ones(1000)).rows][:1]
        ['exp']
        """
        found = self._split(args, kwargs)
        if found is None:
            raise ArgumentError("profile: an argument is a Tensor, whose call would be recorded; give arrays (t.value)")
        self(*args, **kwargs)
        variants = self._cache.values()[-1:]
        profiled = imported("autodiff.profiling").profiled

        def again(compile: Callable[..., Any]) -> Callable[[], Any]:
            with noting_lines():
                traced = self._trace(found[1], args, kwargs, compile)
            return lambda: traced(found[1])

        return profiled(
            getattr(self, "__name__", "function"), again, lambda: self(*args, **kwargs), variants and variants[0][0]
        )

    def cache_info(self) -> Any:
        """What the cache of traces has done.

        Returns
        -------
        CacheInfo
            As from ``Graph.cache_info``.
        """
        return self._cache.info()

    def clear_cache(self) -> None:
        """Forget all traces."""
        self._cache.clear()

    @overload
    def __get__(self, instance: None, owner: Any = ...) -> Self: ...
    @overload
    def __get__(self: Function[Concatenate[S, Q], T], instance: S, owner: Any = ...) -> Callable[Q, T]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self.__call__, instance)


def _nothing() -> None:
    """No entry."""


def _recogniser(args: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], bool]:
    """Whether arguments are arrays and floats of the same shapes and dtypes as these, in half of the time of a key."""
    known: dict[str, Any] = {"ndarray": np.ndarray}
    tests = [f"len(args) == {len(args)}"]
    for i, arg in enumerate(args):
        if type(arg) is float:
            tests.append(f"type(args[{i}]) is float")
        else:
            known[f"dtype{i}"], known[f"shape{i}"] = arg.dtype, arg.shape
            tests.append(f"type(args[{i}]) is ndarray and args[{i}].dtype is dtype{i} and args[{i}].shape == shape{i}")
    # Only numbers of places are written into it.
    return eval(f"lambda args: {' and '.join(tests)}", known)  # type: ignore[no-any-return]


def _check_order(values: Sequence[Any]) -> None:
    """Raise an error if an argument is not in C order, in which a reshape of it would be a copy."""
    for value in values:
        if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
            raise ArgumentError(
                f"autodiff.function: an argument, {describe(value)}, is not in C order in memory, and the function "
                "writes into a reshape, which NumPy then has as a copy; give np.ascontiguousarray of it"
            )


def _check_hashable(key: Any) -> None:
    """Raise an error if an argument that is part of the structure of a call cannot be told from others."""
    try:
        hash(key)
    except TypeError as error:
        trace = error.__traceback__
        if trace is not None and trace.tb_next is not None:
            raise  # from within the user's own __hash__
        raise ArgumentError(
            f"autodiff.function: arguments that are not arrays or floats must be hashable ({error}), since the "
            "function is traced for each of their values"
        ) from None


def _own(value: Any) -> Any:
    """A result that is no Tensor: a copy, so that calls share nothing."""
    return np.array(value) if isinstance(value, np.ndarray) else value


@overload
def function(
    f: Callable[P, T],
    *,
    cache_size: int = ...,
    backend: str | Backend | Any | None = ...,
    device: Any = ...,
    memory_limit: int | None = ...,
) -> Function[P, T]: ...
@overload
def function(
    f: None = ...,
    *,
    cache_size: int = ...,
    backend: str | Backend | Any | None = ...,
    device: Any = ...,
    memory_limit: int | None = ...,
) -> Callable[[Callable[P, T]], Function[P, T]]: ...
@boundary
def function(
    f: Callable[..., Any] | None = None,
    *,
    cache_size: int = 128,
    backend: str | Backend | Any | None = None,
    device: Any = None,
    memory_limit: int | None = None,
) -> Any:
    """Make a function that is traced once for each set of shapes and dtypes and then replays a compiled plan.

    Parameters
    ----------
    f : callable
        Written with NumPy. Arrays and Python floats are data; other arguments are part of the structure, and a
        new value of one is a new trace. Python code in it runs when tracing only.
    cache_size : int, optional
        Traces kept at most.
    backend : str, Backend or namespace, optional
        What computes: a name in ``autodiff.backends()``, a backend object, or the namespace of an Array API library.
        If not given, what the arguments are on: NumPy, unless they are another library's arrays.
    device : object, optional
        Where, as the library names its devices.
    memory_limit : int, optional
        Bytes that a call may hold beside its arguments, its results included. What does not fit is computed again where
        it is needed.

    Returns
    -------
    Function
        Takes and returns what ``f`` does, with arrays for Tensors. Tensors that ``f`` uses from outside are read
        at their present value; where ``f`` looks at such a value (an ``if``, ``float``, a mask), it is traced anew for
        another one, and so it is for another truth or mask that it computes from its arguments. Called with Tensors
        it records, so that it can be part of something larger.

    Raises
    ------
    ArgumentError
        If ``f`` is not callable, or ``cache_size`` or ``memory_limit`` is less than 1; when called, if an argument that
        is part of the structure is not hashable, or containers are nested too deep.
    OutOfMemoryError
        When called, if the limit is too low.
    TraceError
        When called, if ``f`` needs a number of an argument (``float``, ``print``) while it is traced, or
        changes a Tensor of the outside.
    BackendError
        If the backend is unknown or cannot be loaded.

    Warns
    -----
    RetraceWarning
        Once, if what ``f`` looks at is another value at each call.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> @ad.function
    ... def rms(x):
    ...     return np.sqrt(np.mean(x**2))
    >>> rms(np.array([3.0, 4.0, 5.0, 0.0]))
    array(3.53553391)
    >>> step = ad.function(ad.value_and_grad(lambda w, x: np.sum((w * x) ** 2)))
    >>> step(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    (array(13.), array([18.,  4.]))
    """
    if f is None:
        return lambda g: Function(g, cache_size, backend, device, memory_limit)
    if not callable(f):
        raise ArgumentError(f"function: {f!r} is not callable")
    return Function(f, cache_size, backend, device, memory_limit)
