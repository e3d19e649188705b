"""Functions of functions: ``grad``, ``value_and_grad``, ``function``; and ``stop_gradient``.

They record like everything else, so they nest, and a derivative of a derivative is only another graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from . import ops
from .backend import Backend, backend_of, get_backend
from .containers import LEAF, builder, flatten, is_container, transform, unflatten
from .errors import ArgumentError, BackendError, DifferentiationError, TraceError
from .graph import Graph
from .nodes import (
    FLOAT64,
    NO_SLOT,
    UNKNOWN,
    WEAK_COMPLEX,
    WEAK_FLOAT,
    Argument,
    Aval,
    Constant,
    Node,
    Slot,
    Variable,
    as_array,
    aval_on,
    common_place,
    describe,
    history,
    intern_aval,
    is_fixed,
    rebound,
)
from .plan import PlanCache, collect_below, compile_nodes, elsewhere, evaluate
from .tensor import Tensor, wrap

F = TypeVar("F", bound=Callable[..., Any])


@functools.cache
def _gradients() -> Graph:
    """The graph of all transformed functions: gradients are found by structure, whichever call made them.

    Made when first needed, since a backend imports this package.
    """
    return Graph(cache_size=2048)


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


def _argument(value: Any, name: str, position: int) -> Tensor:
    """A Tensor to differentiate with respect to, for an argument of a function."""
    kind = type(value)
    if kind is float:
        node: Node = Argument(WEAK_FLOAT, value, NO_SLOT)
    elif kind is Tensor:
        if not value._node.aval.differentiable:
            raise _no_derivative(f"{name}, argument {position}", value._node.aval)
        # A fresh name: in a nested derivative the same Tensor may be an argument of both.
        node = ops.identity(value._node)
    elif kind is int or kind is bool:
        node = Argument(WEAK_FLOAT, float(value), NO_SLOT)
    elif kind is complex:
        node = Argument(WEAK_COMPLEX, value, NO_SLOT)
    else:
        node = Argument(*_array_argument(value), NO_SLOT)
    tensor: Tensor = wrap(node)
    return tensor


def _array_argument(value: Any) -> tuple[Aval, Any]:
    """An array to differentiate with respect to, where it is: integers and booleans as float64."""
    place = None if type(value) is np.ndarray else backend_of(value)
    if place is None:
        array = as_array(value, copy=None)
        if array.dtype.kind in "biu":
            array = array.astype(FLOAT64)
        return intern_aval(array.shape, array.dtype), array
    aval = aval_on(place, value)
    if aval.dtype.kind in "biu":
        aval = intern_aval(aval.shape, FLOAT64, place=place)
    return aval, place.asarray(value, aval.dtype)


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
                f"{name}: argnums={argnums!r} names argument {p}, but the function was called with {count} positional "
                "arguments"
            )
    return tuple([p % count for p in positions])


def _check_call(function: Any, argnums: Any, name: str) -> None:
    if not callable(function):
        raise ArgumentError(f"{name}: {function!r} is not callable; give the function to differentiate")
    valid = isinstance(argnums, int) and not isinstance(argnums, bool)
    if not valid and isinstance(argnums, (tuple, list)) and argnums:
        valid = all(isinstance(p, int) and not isinstance(p, bool) for p in argnums)
    if not valid:
        raise ArgumentError(f"{name}: argnums={argnums!r} must be an integer or a non-empty tuple of integers")


def _result(out: Any, name: str) -> Tensor:
    """The result of a differentiated function, checked to be one real number."""
    if not isinstance(out, Tensor):
        if is_container(out) or np.ndim(out):
            raise DifferentiationError(
                f"{name}: the function must return a scalar, not {type(out).__name__} {repr(out)[:60]}"
            )
        return Tensor(out)
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
    return out


def _belongs_to_enclosing(out: Tensor, own: Sequence[Tensor]) -> bool:
    """Whether a result depends on arguments of an enclosing derivative or trace, which needs a Tensor back."""
    mine = {x._node for x in own}
    for node in mine:
        if type(node) is not Argument:
            return True
    root = out._node
    if not root.inputs:
        return type(root) is Argument and root not in mine
    trace, floor = root.trace, own[0]._node.sequence  # they are made in order
    if trace is None or trace.floor > floor:
        trace = root.trace = collect_below(root, floor)
    above = []
    for leaf in trace.leaves:
        if type(leaf) is Argument:
            if leaf not in mine:
                return True
        elif leaf.inputs:
            above.append(leaf)
    return bool(above) and any(type(node) is Argument and node not in mine for node in history(*above))


_PYTHON_NUMBERS = frozenset((float, int, bool, complex))


def _scalar(value: Any) -> Any:
    if type(value) is float:
        return value
    place = backend_of(value)
    if place is not None:
        value = place.to_numpy(value)
    return value.item() if isinstance(value, (np.ndarray, np.generic)) else value


def _differentiated(out: Tensor, own: list[Tensor]) -> tuple[Any, list[Any]]:
    """A result and its gradients: arrays and numbers, or Tensors if they belong to something larger."""
    if _belongs_to_enclosing(out, own):
        return out, _gradients().gradient(out, own, as_tensors=True)
    return _gradients()._evaluate(out._node, own, 1)


def _value_and_gradients(
    function: Callable[..., Any], argnums: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str
) -> tuple[Any, Any]:
    """The value and the gradients for one call: recorded, and found in the cache of plans."""
    replaced = list(args)
    given = args[argnums] if type(argnums) is int and -len(args) <= argnums < len(args) else ()
    number = type(given) in _PYTHON_NUMBERS
    if number or not is_container(given):
        # The common call. What containers of arguments need would take a third of the time of a small gradient.
        x = replaced[argnums] = _argument(given, name, argnums)
        value, (gradient,) = _differentiated(_result(function(*replaced, **kwargs), name), [x])
        return (_scalar(value), _scalar(gradient)) if number else (value, gradient)
    positions = _positions(argnums, len(args), name)
    own: list[Tensor] = []
    structures = []
    numbers: list[bool] = []
    known: dict[int, list[Tensor]] = {}
    for p in positions:
        leaves, structure = flatten(args[p])
        tensors = known.get(p)
        if tensors is None:
            tensors = known[p] = [_argument(leaf, name, p) for leaf in leaves]
            replaced[p] = tensors[0] if structure is LEAF else unflatten(structure, iter(tensors))
        numbers += [type(leaf) in _PYTHON_NUMBERS for leaf in leaves]
        own += tensors
        structures.append(structure)
    out = _result(function(*replaced, **kwargs), name)
    value, gradients = _differentiated(out, own) if own else (out, [])
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


# --- function --------------------------------------------------------------------------------------------------------


class _Traced:
    """A function traced for one set of shapes and dtypes: its plan and where the plan's inputs come from."""

    __slots__ = ("_build", "_constants", "_home", "_moved", "captured", "plan")

    def __init__(self, plan: Any, captured: list[Node], structure: Any, constants: dict[int, Any], home: Backend):
        self.plan = plan
        # A slot, from which the present value is read; or a node, until its Tensor stands for another.
        self.captured: list[Slot | Node] = [_slot_of(node) or node for node in captured]
        self._build = builder(structure)
        self._constants = constants
        self._home = home
        # Captured values that are brought to the backend, by place: as they were found, and there.
        self._moved: dict[int, tuple[Any, Any]] = dict.fromkeys(elsewhere(captured, home), (None, None))

    def __call__(self, values: Sequence[Any]) -> Any:
        """The results for these values of the arguments, in the structure that the function returned."""
        results = self.plan(*values, *self.captured_values()) if self.captured else self.plan(*values)
        if self._constants:
            computed = iter(results)
            count = len(results) + len(self._constants)
            results = [_own(self._constants[i]) if i in self._constants else next(computed) for i in range(count)]
        return self._build(results)

    def captured_values(self) -> list[Any]:
        """The present values of the Tensors that the function uses from outside."""
        values = []
        for place, source in enumerate(self.captured):
            if isinstance(source, Node):
                slot = rebound.get(source)
                if slot is None:
                    values.append(evaluate(source))
                    continue
                source = self.captured[place] = slot
            values.append(_present(source))
        for place, (value, there) in self._moved.items():
            if values[place] is not value:
                there = self._home.asarray(values[place])
                self._moved[place] = (values[place], there)
            values[place] = there
        return values


def _slot_of(node: Node) -> Slot | None:
    """Where the present value of a captured Tensor is found."""
    return node.slot if isinstance(node, (Variable, Constant)) else rebound.get(node)


def _present(slot: Slot) -> Any:
    """The newest value in a slot."""
    if slot.value is None and slot.node is not None:
        node = slot.node()
        if node is None:
            raise TraceError(
                "a Tensor that the traced function uses was changed in place and is gone; trace again (clear_cache)"
            )
        return evaluate(node)
    return slot.value


class _Transparent(Exception):
    """The traced function uses an argument of an enclosing derivative or trace, so its calls are recorded there."""


class Function:
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
    """

    def __init__(self, function: Callable[..., Any], cache_size: int, backend: Any = None, device: Any = None):
        functools.update_wrapper(self, function)
        self._function = function
        self._cache = PlanCache(cache_size)
        self._backend = get_backend(backend, device)
        # Where arguments are brought; None for where they are.
        self._place = None if backend is None and device is None else self._backend.home
        # NumPy's arrays are taken as they are, unless they have to be brought somewhere else.
        self._away = self._place is not None and self._place is not get_backend()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The common call has arrays and floats only, and costs little beside the plan.
        key: list[Any] = []
        for arg in args:
            kind = type(arg)
            if kind is np.ndarray:
                key.append(arg.shape)
                key.append(arg.dtype)
            elif kind is float:
                key.append(float)
            else:
                return self._call_any(args, kwargs)
        if kwargs or self._away:
            return self._call_any(args, kwargs)
        return self._replay(tuple(key), args, args, kwargs)

    def _call_any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call with containers, keywords, Tensors, or arguments that are part of the structure."""
        leaves, structure = flatten((args, kwargs))
        key: list[Any] = [structure]
        values = []
        for leaf in leaves:
            kind = type(leaf)
            if kind is Tensor:
                # Part of a larger computation: record it there.
                return self._function(*args, **kwargs)
            if kind is float:
                key.append(float)
                values.append(leaf)
                continue
            place = None if kind is np.ndarray else backend_of(leaf)
            if kind is np.ndarray or place is not None or isinstance(leaf, (np.generic, np.ndarray)):
                aval, array = self._array(leaf, place)
                key.append(aval)
                values.append(array)
            else:
                key.append((kind, leaf))
        return self._replay(tuple(key), values, args, kwargs)

    def _array(self, value: Any, source: Backend | None) -> tuple[Aval, Any]:
        """An array argument, brought to where it is needed, and what is known of it."""
        place = self._place
        if source is None:
            array = value if type(value) is np.ndarray else as_array(value)
            aval = intern_aval(array.shape, array.dtype, place=place)
            return aval, array if place is None else place.asarray(array)
        if place is not None and place is not source:
            raise BackendError(
                f"autodiff.function: an argument, {describe(value)}, is not on {place.label}, where the function is to "
                "compute; leave out backend= to compute where the arguments are"
            )
        return aval_on(source, value), source.asarray(value)

    def _replay(self, key: Any, values: Sequence[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The results for ``values``, tracing the function if there is no trace under this key."""
        try:
            traced = self._cache.get(key, lambda: self._trace(args, kwargs))
        except TypeError as error:
            if "unhashable" in str(error):
                raise ArgumentError(
                    f"autodiff.function: arguments that are not arrays or floats must be hashable ({error}), since the "
                    "function is traced for each of their values"
                ) from None
            raise
        except _Transparent:
            return self._function(*args, **kwargs)
        return traced(values)

    def _trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Traced:
        arguments: list[Node] = []

        def stand_in(leaf: Any) -> Any:
            kind = type(leaf)
            if kind is float:
                aval = WEAK_FLOAT
            elif isinstance(leaf, (np.ndarray, np.generic)):
                array = as_array(leaf, copy=None)
                aval = intern_aval(array.shape, array.dtype, place=self._place)
            else:
                place = backend_of(leaf)
                if place is None:
                    return leaf
                aval = aval_on(place, leaf)
            node = Argument(aval, UNKNOWN, NO_SLOT)
            arguments.append(node)
            return wrap(node)

        begin = Argument(WEAK_FLOAT, UNKNOWN, NO_SLOT).sequence
        out = self._function(*transform(stand_in, args), **transform(stand_in, kwargs))
        leaves, structure = flatten(out)
        outputs = [leaf._node for leaf in leaves if isinstance(leaf, Tensor)]
        constants = {i: leaf for i, leaf in enumerate(leaves) if not isinstance(leaf, Tensor)}
        outside = _outside(outputs, begin, set(arguments))
        backend = self._backend
        if self._place is None:
            place = common_place("autodiff.function", [node.aval for node in [*outputs, *arguments, *outside]])
            if place is not None and place is not backend.home:
                backend = place
        plan = compile_nodes([*arguments, *outside], outputs, backend)
        return _Traced(plan, outside, structure, constants, backend.home)

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

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self.__call__, instance)


def _outside(outputs: list[Node], begin: int, arguments: set[Node]) -> list[Node]:
    """The nodes older than a trace that its outputs are made of, and the arrays in it; but no fixed leaves."""
    found: list[Node] = []
    seen = set(outputs)
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node.sequence >= begin and node.inputs:
            for x in node.inputs:
                if x not in seen:
                    seen.add(x)
                    stack.append(x)
        elif node not in arguments and not is_fixed(node):
            found.append(node)
    if any(isinstance(node, Argument) for node in history(*found)):
        raise _Transparent
    return found


def _own(value: Any) -> Any:
    """A result that is no Tensor: a copy, so that calls share nothing."""
    return np.array(value) if isinstance(value, np.ndarray) else value


def function(
    f: Callable[..., Any] | None = None,
    *,
    cache_size: int = 128,
    backend: str | Backend | Any | None = None,
    device: Any = None,
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

    Returns
    -------
    Function
        Takes and returns what ``f`` does, with arrays for Tensors. Tensors that ``f`` uses from outside are read
        at their present value. Called with Tensors it records, so that it can be part of something larger.

    Raises
    ------
    TraceError
        When called, if ``f`` needs a value (an ``if``, ``float``, ``print``) while it is traced.
    BackendError
        If the backend is unknown or cannot be loaded.

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
        return lambda g: Function(g, cache_size, backend, device)
    if not callable(f):
        raise ArgumentError(f"function: {f!r} is not callable")
    return Function(f, cache_size, backend, device)
