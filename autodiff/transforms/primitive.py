"""Functions that are called as they are when a plan runs: ``primitive``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import numpy as np

from .. import ops
from ..arguments import flag
from ..batch import Batch
from ..called import Call
from ..containers import Structure, flatten, leaf_names, unflatten
from ..convert import as_node, describe, numeric_dtype
from ..core.avals import Aval, intern_aval
from ..errors import ArgumentError, AutodiffError, DTypeError, ShapeError, shown
from ..memo import Memo
from ..nodes import Node, Operation
from ..pickling import Named, findable
from ..static_keys import static_key
from ..tensor import Tensor, wrap
from ..tracebacks import boundaries, boundary, calling
from ..vectors import PYTHON_NUMBERS, alike, drawn
from .custom import NUMBER, OPERAND, CustomJVP, CustomVJP, Mark

P = ParamSpec("P")
T = TypeVar("T")
# What a method is called on, and what else it takes.
S = TypeVar("S")
Q = ParamSpec("Q")

# Calls that are known of one primitive, by the structure of their arguments.
CALLS_KEPT = 1 << 8


@boundaries
class ShapeDtype:
    """The shape and the dtype of an array that is not computed yet.

    Parameters
    ----------
    shape : sequence of int
        Its sizes; an integer is one size.
    dtype : dtype, optional
        Of its elements.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.ShapeDtype((2, 3), "float32")
    ShapeDtype((2, 3), float32)
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Any, dtype: Any = np.float64):
        self.shape = ops.normalize_shape(shape, "ShapeDtype")
        self.dtype = numeric_dtype(dtype, "ShapeDtype: dtype")

    def __repr__(self) -> str:
        return f"ShapeDtype({self.shape}, {self.dtype})"


class _Opaque(Call):
    """A call of somebody's function with arguments of one structure."""

    __slots__ = ("_dtypes", "_function", "_leaves", "_names", "_structure", "_vectorized", "_wholes", "result")

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        leaves: Sequence[Any],
        dtypes: Sequence[np.dtype[Any]],
        structure: Structure,
        outputs: tuple[Aval, ...],
        result: Structure,
        vectorized: bool,
    ):
        self.name = name
        self.outputs = outputs
        self.result = result
        self._vectorized = vectorized
        # Calls of whole batches, by their size.
        self._wholes: Memo[int, _Opaque] = Memo(8)
        self._function = function
        # The leaves of the arguments, with OPERAND where an operand goes, or NUMBER.
        self._leaves = leaves
        self._dtypes = dtypes
        self._structure = structure
        self._names = [f"{name}: the result{path}" for path in leaf_names(result)]

    def __reduce__(self) -> tuple[Any, ...]:
        function = findable(self._function, sys._getframe(1))
        made = self.name, function, self._leaves, self._dtypes, self._structure, self.outputs, self.result
        return _Opaque, (*made, self._vectorized)

    @calling
    def run(self, *values: Any) -> tuple[np.ndarray[Any, Any], ...]:
        # Copies: the function may keep them, or write to them, and a plan uses its memory again.
        rest = iter([np.array(x, dtype) for x, dtype in zip(values, self._dtypes, strict=True)])
        leaves = [
            next(rest) if leaf is OPERAND else next(rest).item() if leaf is NUMBER else leaf for leaf in self._leaves
        ]
        out = self._function(*unflatten(self._structure, iter(leaves)))
        return self.taken(out)

    def taken(self, out: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """What the function returned as arrays, if it is what was said."""
        given, structure = flatten(out)
        if structure != self.result and not alike(structure, self.result):
            raise ArgumentError(
                f"{self.name}: it returned {drawn(structure)}, but infer says that it returns {drawn(self.result)}"
            )
        arrays = [np.array(result) for result in given]
        for array, aval, result, name in zip(arrays, self.outputs, given, self._names, strict=True):
            if array.shape != aval.shape or array.dtype != aval.dtype:
                kind = ShapeError if array.shape != aval.shape else DTypeError
                raise kind(f"{name} is {describe(result)}, but infer says that it is {aval!r}")
        return tuple(arrays)

    def batched(self, batch: Batch, op: Operation) -> Node:
        if not self._vectorized:
            return super().batched(batch, op)
        return ops.call_p(*batch.of_all(op.inputs), rule=self._wholes.get(batch.size) or self._of_all(batch.size))

    def _of_all(self, size: int) -> _Opaque:
        """The call of a batch, which is along a new first axis of all operands and results."""
        outputs = tuple([intern_aval((size, *aval.shape), aval.dtype) for aval in self.outputs])
        leaves = [OPERAND if leaf is NUMBER else leaf for leaf in self._leaves]
        whole = _Opaque(self.name, self._function, leaves, self._dtypes, self._structure, outputs, self.result, True)
        return self._wholes.put(size, whole)


@boundaries
class Primitive(Named, Generic[P, T]):
    """A function that plans call as it is. Made by ``primitive``.

    Parameters
    ----------
    function : callable
        What is called.
    infer : callable or container of ShapeDtype
        What it returns.
    vectorized : bool
        Whether it takes whole batches.

    Examples
    --------
    >>> import autodiff as ad
    >>> import math
    >>> import numpy as np
    >>> erf = ad.primitive(lambda x: np.vectorize(math.erf)(x), infer=lambda x: x)
    >>> isinstance(erf, ad.Primitive), erf(np.zeros(2))
    (True, array([0., 0.]))
    """

    def __init__(self, function: Callable[P, T], infer: Any, vectorized: bool):
        if not callable(function):
            raise ArgumentError(f"primitive: {shown(function)} is not callable; give the function")
        functools.update_wrapper(self, function, updated=())
        self._function: Callable[..., Any] = function
        self._infer = infer
        self._vectorized = vectorized
        self._calls: Memo[Any, _Opaque] = Memo(CALLS_KEPT)
        self._ruled: CustomVJP[..., Any] | CustomJVP[..., Any] | None = None

    def _state(self, frame: FrameType | None) -> Any:
        function, infer = findable(self._function, frame), findable(self._infer, frame)
        return function, infer, self._vectorized, None if self._ruled is None else self._ruled._given(frame)

    def __setstate__(self, state: Any) -> None:
        *given, rules = state
        self.__init__(*given)  # type: ignore[misc]
        if rules is not None:
            (self.defvjp if len(rules) == 2 else self.defjvp)(*rules)

    @overload
    def __get__(self, instance: None, owner: Any = ...) -> Self: ...
    @overload
    def __get__(self: Primitive[Concatenate[S, Q], T], instance: S, owner: Any = ...) -> Callable[Q, T]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self.__call__, instance)

    @property
    def _title(self) -> str:
        return f"primitive {getattr(self, '__name__', 'of no name')}"

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Say what the derivative is, by a rule for cotangents.

        Parameters
        ----------
        forward : callable
            As for ``custom_vjp``: takes the arguments, returns the pair (result, residuals). It may call the primitive.
        backward : callable
            As for ``custom_vjp``: takes the residuals and a cotangent, returns a tuple of cotangents.

        Raises
        ------
        ArgumentError
            If one is not callable.
        """
        ruled: CustomVJP[..., Any] = CustomVJP(self._named(self._recorded))
        ruled.defvjp(forward, backward)
        self._ruled = ruled

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Say what the derivative is, by a rule for tangents.

        Parameters
        ----------
        rule : callable
            As for ``custom_jvp``: takes the arguments and their tangents, returns the pair (result, tangent).

        Returns
        -------
        callable
            The rule, so that this can be a decorator.

        Raises
        ------
        ArgumentError
            If it is not callable.
        """
        ruled: CustomJVP[..., Any] = CustomJVP(self._named(self._recorded))
        ruled.defjvp(rule)
        self._ruled = ruled
        return rule

    def _named(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(self, updated=())
        def recorded(*args: Any) -> Any:
            return function(*args)

        return recorded

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        if kwargs:
            raise ArgumentError(
                f"{self._title}: it was called with {', '.join(kwargs)} by name; give arguments by position, so that "
                "rules know which is which"
            )
        leaves, _ = flatten(args)
        if not any(isinstance(leaf, Tensor) for leaf in leaves):
            return self._plain(args)  # type: ignore[no-any-return]
        return (self._recorded if self._ruled is None else self._ruled)(*args)  # type: ignore[no-any-return]

    def _plain(self, args: tuple[Any, ...]) -> Any:
        """The call of arrays, which nothing is recorded of."""
        call, _ = self._call(args)
        out = self._function(*args)
        call.taken(out)
        return out

    def _recorded(self, *args: Any) -> Any:
        call, nodes = self._call(args)
        found = ops.outputs(ops.call_p(*nodes, rule=call))
        return unflatten(call.result, iter([wrap(node) for node in found]))

    def _call(self, args: tuple[Any, ...]) -> tuple[_Opaque, list[Node]]:
        """What is called, and its operands: all arrays and floats among the arguments."""
        leaves, structure = flatten(args)
        nodes: list[Node] = []
        kept: list[Any] = []
        for leaf, name in zip(leaves, leaf_names(structure), strict=True):
            if isinstance(leaf, type) or not (type(leaf) in (float, complex) or hasattr(leaf, "dtype")):
                kept.append(leaf)
                continue
            try:
                node = leaf._node if isinstance(leaf, Tensor) else as_node(leaf)
            except AutodiffError as error:
                error.within(f"{self._title}: args{name}")
                raise
            nodes.append(node)
            kept.append(NUMBER if type(leaf) in PYTHON_NUMBERS else OPERAND)
        key = (structure, tuple([static_key(leaf) for leaf in kept]), tuple([(x.shape, x.dtype) for x in nodes]))
        try:
            call = self._calls.get(key)
        except TypeError:
            wrong = next((leaf for leaf in kept if type(leaf).__hash__ is None), kept)
            raise ArgumentError(
                f"{self._title}: {describe(wrong)} is no array, and cannot be hashed to tell calls apart"
            ) from None
        if call is None:
            call = self._calls.put(key, self._made(kept, structure, [(x.shape, x.dtype) for x in nodes]))
        return call, nodes

    def _made(self, kept: list[Any], structure: Structure, given: list[tuple[tuple[int, ...], Any]]) -> _Opaque:
        outputs, result = self._outputs(kept, structure, given)
        dtypes = [dtype for _, dtype in given]
        return _Opaque(self._title, self._function, kept, dtypes, structure, outputs, result, self._vectorized)

    def _outputs(
        self, kept: list[Any], structure: Structure, given: list[tuple[tuple[int, ...], Any]]
    ) -> tuple[tuple[Aval, ...], Structure]:
        """What is known of the results, and their structure."""
        said = self._infer
        if callable(said) and not isinstance(said, type):
            rest = iter(given)
            leaves = [ShapeDtype(*next(rest)) if isinstance(leaf, Mark) else leaf for leaf in kept]
            said = said(*unflatten(structure, iter(leaves)))
        parts, result = flatten(said)
        for part, name in zip(parts, leaf_names(result), strict=True):
            if not hasattr(part, "shape") or not hasattr(part, "dtype"):
                raise ArgumentError(
                    f"{self._title}: infer gives {describe(part)} for the result{name}; it must give what has a shape "
                    "and a dtype, such as ad.ShapeDtype(shape, dtype)"
                )
        avals = [intern_aval(tuple(part.shape), numeric_dtype(part.dtype, f"{self._title}: infer")) for part in parts]
        return tuple(avals), result


@overload
def primitive(function: Callable[P, T], *, infer: Any = None, vectorized: bool = False) -> Primitive[P, T]: ...


@overload
def primitive(
    function: None = None, *, infer: Any = None, vectorized: bool = False
) -> Callable[[Callable[P, T]], Primitive[P, T]]: ...


@boundary
def primitive(function: Any = None, *, infer: Any = None, vectorized: bool = False) -> Any:
    """A function that is called as it is, on arrays, when a plan runs: one of Numba's, of C, of SciPy.

    Parameters
    ----------
    function : callable, optional
        What is called, with the arguments by position; arrays among them are NumPy's, in memory of their own. If it is
        not given, this is a decorator.
    infer : callable or container of ShapeDtype
        What the function returns: a ``ShapeDtype``, or a container of them in the structure of what the function
        returns. Or a function that gives this for the arguments, with a ``ShapeDtype`` for each array or float.
    vectorized : bool, optional
        True if all arrays may have more axes before their own, which the results have then, too; ``vmap`` gives whole
        batches to it, and otherwise calls it for one element after another.

    Returns
    -------
    Primitive
        Called as the function is. Its methods ``defvjp(forward, backward)`` and ``defjvp(rule)`` say what the
        derivative is; there is none if they do not.

    Raises
    ------
    ArgumentError
        If it is not callable, or nothing says what it returns; when called, if it returns another structure.
    ShapeError, DTypeError
        When a value is computed, if the function returns another shape or dtype.
    MissingRuleError
        When a derivative is taken that has no rule.

    Notes
    -----
    The function is never called while a graph is recorded. It has to be pure, as NumPy's functions are: its result may
    be used twice, or the call left out if nobody needs it. Python floats and arrays are its operands; other arguments
    (integers, texts) belong to the structure of the graph. On other backends than NumPy's the operands come to the host
    and the results go back.

    Examples
    --------
    >>> import autodiff as ad
    >>> import math
    >>> import numpy as np
    >>> @ad.primitive(infer=lambda x: x)
    ... def gamma(x):
    ...     return np.array([math.gamma(v) for v in x])
    >>> @gamma.defjvp
    ... def rule(primals, tangents):
    ...     from scipy.special import digamma
    ...
    ...     (x,), (t,) = primals, tangents
    ...     value = gamma(x)
    ...     return value, value * digamma(x) * t
    >>> ad.grad(lambda x: np.sum(gamma(x)))(np.array([2.0, 4.0]))
    array([0.42278434, 7.53670601])
    """
    vectorized = flag(vectorized, "primitive: vectorized")
    if infer is None:
        raise ArgumentError(
            "primitive: infer= is needed, which says what the function returns: ad.ShapeDtype(shape, dtype), or a "
            "function that gives this for the arguments"
        )
    if function is None:
        return lambda function: Primitive(function, infer, vectorized)
    return Primitive(function, infer, vectorized)
