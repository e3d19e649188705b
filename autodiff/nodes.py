"""The graph: abstract values, primitives, and the Variable, Constant and Operation nodes that recording makes.

Nodes never change once made; only ``value`` is filled in, once, when somebody looks.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import numpy as np

from .backend import Backend, backend_of
from .callers import caller
from .errors import AutodiffError, BackendError, DTypeError, RangeError, ShapeError, TraceError, shown
from .memo import Interned

_next_sequence = itertools.count(1).__next__

# Abstract values kept at most, and signatures of each primitive, beside those that somebody holds: shapes that depend
# on data would make them grow without end.
AVALS_KEPT = 1 << 14
SIGNATURES_KEPT = 1 << 12


class Aval:
    """Abstract value: what is known of an array before it is computed. Interned, compared by identity.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    weak : bool
        True for what came from a Python scalar, which does not decide the dtype of a result (NEP 50).
    literal : int, float, bool, complex or None
        A value that is part of the structure, such as the 2 of ``x ** 2``.
    differentiable : bool
        Whether a value of this kind can carry a derivative: floating or complex, and no index.
    spec : tuple or None
        The form of an index (see ``ops.indexing``); None for arrays.
    place : Backend or None
        Where the array is, if somebody said so; None for what goes wherever it is needed, such as NumPy's constants.
    """

    __slots__ = ("__weakref__", "differentiable", "dtype", "literal", "ndim", "place", "shape", "size", "spec", "weak")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        weak: bool,
        literal: Any,
        spec: tuple[Any, ...] | None,
        place: Backend | None,
    ):
        self.shape = shape
        self.dtype = dtype
        self.weak = weak
        self.literal = literal
        self.spec = spec
        self.place = place
        self.ndim = len(shape)
        self.size = math.prod(shape)
        self.differentiable = dtype.kind in "fc" and spec is None

    def __repr__(self) -> str:
        if self.spec is not None:
            return f"index{list(self.spec)}"
        if self.literal is not None:
            return shown(self.literal)
        where = "" if self.place is None else f" on {self.place.label}"
        return f"{self.dtype.name}{list(self.shape)}{where}" if not self.weak else f"weak {self.dtype.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return intern_aval, (self.shape, self.dtype, self.weak, self.literal, self.spec, self.place)

    def at(self, place: Backend | None) -> Aval:
        """The same on another backend, or on none."""
        if self.place is place:
            return self
        return intern_aval(self.shape, self.dtype, self.weak, self.literal, self.spec, place)


_avals: Interned[Any, Aval] = Interned(AVALS_KEPT)
_hot_avals = _avals.hot
# Of NumPy's arrays; the latter in bytes.
MOST_DIMENSIONS = 64
LARGEST_ARRAY = 2**63 - 1


def intern_aval(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    weak: bool = False,
    literal: Any = None,
    spec: tuple[Any, ...] | None = None,
    place: Backend | None = None,
) -> Aval:
    """The one Aval with these fields."""
    if literal is not None:
        # The type and the repr tell 2 from 2.0 and True, and -0.0 from 0.0, which compare equal. (Integers have no
        # more than one form, and of more than 4,300 digits no repr.)
        kind = type(literal)
        key: Any = (shape, dtype, weak, kind, literal if kind is int else repr(literal), spec)
    elif spec is not None:
        key = spec
    else:
        key = (shape, dtype, weak)
    if place is not None:
        key = (place, key)
    found = _hot_avals.get(key) or _avals.get(key)
    if found is None:
        if len(shape) > MOST_DIMENSIONS:
            raise ShapeError(
                f"the result has {len(shape)} dimensions, and NumPy's arrays have at most {MOST_DIMENSIONS}; reshape "
                "to fewer before"
            )
        if math.prod(shape) * dtype.itemsize > LARGEST_ARRAY:
            raise ShapeError(f"an array of shape {shown(shape)} and dtype {dtype} is too big for NumPy to address")
        found = _avals.put(key, Aval(shape, dtype, weak, literal, spec, place))
    return found


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes broadcast to; ValueError if they do not. (NumPy does it for up to 32 axes.)"""
    ndim = max(map(len, shapes), default=0)
    sizes = [1] * ndim
    for shape in shapes:
        for axis, size in enumerate(shape, ndim - len(shape)):
            if size != 1 and size != sizes[axis]:
                if sizes[axis] != 1:
                    raise ValueError(f"shapes {', '.join(map(str, shapes))} do not broadcast")
                sizes[axis] = size
    return tuple(sizes)


INDEX_DTYPE = np.dtype(object)
FLOAT64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)
BOOL = np.dtype(np.bool_)
WEAK_FLOAT = intern_aval((), FLOAT64, weak=True)
WEAK_INT = intern_aval((), INT64, weak=True)
WEAK_COMPLEX = intern_aval((), np.dtype(np.complex128), weak=True)
# What and where in the user's program, for the message of an error that only a plan's run can find.
LINE = intern_aval((), INDEX_DTYPE, spec=("line",))


class Signature:
    """One primitive applied to abstract values: what a node *is*, apart from which inputs it has.

    Signatures are interned, so they serve as letters of the structural key that plans are cached under. Each has a
    twin for the nodes that derivative rules make: what a user wrote is computed as it was written, derivatives may be
    rewritten more freely (see ``plan.simplify``).

    Attributes
    ----------
    is_derived : bool
        Whether it is the twin for nodes of derivatives.
    written : Signature
        The one for what a user wrote: itself, or its twin.
    """

    __slots__ = ("__weakref__", "inputs", "is_derived", "out", "params", "primitive", "written")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Aval, ...],
        params: tuple[Any, ...],
        out: Aval,
        written: Signature | None = None,
    ):
        self.primitive = primitive
        self.inputs = inputs
        self.params = params
        self.out = out
        self.is_derived = written is not None
        self.written: Signature = self if written is None else written

    @property
    def derived(self) -> Signature:
        """The twin for nodes of derivatives."""
        if self.is_derived:
            return self
        # Its key is this one, which does not refer to it: the two are no cycle.
        interned = self.primitive.interned
        found = interned.get(self)
        if found is None:
            found = interned.put(self, Signature(self.primitive, self.inputs, self.params, self.out, self))
        return found

    @property
    def keywords(self) -> dict[str, Any]:
        """The static parameters by name."""
        return dict(zip(self.primitive.params, self.params, strict=True))

    def __repr__(self) -> str:
        arguments = [repr(aval) for aval in self.inputs]
        arguments += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"{self.primitive.name}({', '.join(arguments)})"


def aval_on(place: Backend, array: Any) -> Aval:
    """What is known of an array of a backend; its shape as a plain tuple, since libraries have tuples of their own."""
    shape, dtype = place.aval_of(array)
    return intern_aval(tuple([int(n) for n in shape]), np.dtype(dtype), place=place)


def common_place(name: str, avals: Iterable[Aval]) -> Backend | None:
    """The one backend that arguments are on; an error naming both if there are two."""
    found: Aval | None = None
    for aval in avals:
        if aval.place is not None:
            if found is not None and found.place is not aval.place:
                assert found.place is not None
                raise BackendError(
                    f"{name}: one argument, {found!r}, and another, {aval!r}, live on different backends; bring one to "
                    f"the other, for example with t.to({found.place.name!r})"
                )
            found = aval
    return None if found is None else found.place


PRIMITIVES: dict[str, Primitive] = {}


class Primitive:
    """An operation that has a rule and that backends know. Called with nodes it records an Operation.

    Parameters
    ----------
    name : str
        As NumPy names it, where NumPy has it.
    infer : callable
        ``infer(primitive, *avals, **params) -> Aval``; raises an error of this library for arguments that do
        not fit.
    params : sequence of str, optional
        Names of the static, hashable parameters.
    kind : {"elementwise", "view", "reduction", "contraction", "other"}
        What a compiler may do with it.
    commutative : bool, optional
        Whether two inputs may change places.
    numpy_ufunc : numpy.ufunc, optional
        Decides the dtypes of an elementwise primitive.
    """

    __slots__ = ("commutative", "infer", "interned", "kind", "name", "numpy_ufunc", "params", "signatures")

    def __init__(
        self,
        name: str,
        infer: Callable[..., Aval],
        *,
        params: Iterable[str] = (),
        kind: str = "other",
        commutative: bool = False,
        numpy_ufunc: np.ufunc | None = None,
    ):
        if name in PRIMITIVES:
            raise ValueError(f"primitive {name!r} is defined twice")
        PRIMITIVES[name] = self
        self.name = name
        self.infer = infer
        self.params = tuple(params)
        self.kind = kind
        self.commutative = commutative
        self.numpy_ufunc = numpy_ufunc
        # By abstract values and parameters; twins by their signature.
        self.interned: Interned[Any, Signature] = Interned(SIGNATURES_KEPT)
        # Looked into on the hot path before ``signature`` is called.
        self.signatures = self.interned.hot

    def signature(self, avals: tuple[Aval, ...], params: tuple[Any, ...] = ()) -> Signature:
        """The interned signature of this primitive on ``avals``, inferring the result the first time."""
        key = avals + params if params else avals
        found = self.interned.get(key)
        if found is None:
            out = self.infer(self, *avals, **dict(zip(self.params, params, strict=True)))
            place = common_place(self.name, avals)
            if place is not None:
                out = out.at(place)
            found = self.interned.put(key, Signature(self, avals, params, out))
        return found

    def __call__(self, *inputs: Any, **params: Any) -> Operation:
        nodes = tuple([x if isinstance(x, Node) else as_node(x) for x in inputs])
        key = tuple([x.aval for x in nodes])
        if self.params:
            values = tuple([params[name] for name in self.params])
            return Operation(self.signatures.get(key + values) or self.signature(key, values), nodes)
        return Operation(self.signatures.get(key) or self.signature(key), nodes)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_primitive, (self.name,)


def _restore_primitive(name: str) -> Primitive:
    return PRIMITIVES[name]


def _operator(name: str, reflected: bool = False) -> Callable[[Node, Any], Operation]:
    """An operator on nodes that records the primitive ``name``; rules are written with these."""

    # The primitive is looked up when used: the ops that define it are above this module.
    def operator(self: Node, other: Any) -> Operation:
        return PRIMITIVES[name](other, self) if reflected else PRIMITIVES[name](self, other)

    return operator


class Node:
    """A quantity in the graph. ``value`` is None until it is computed; a node with a value is a leaf for plans."""

    # `sequence` grows with creation, so it orders a graph topologically and bounds how far back a walk must
    # go: a node cannot depend on a younger one. Plain slots, not a dataclass: recording is the hot path
    # (making an Operation costs 0.15 us like this, 0.45 us as a frozen dataclass).
    __slots__ = ("__weakref__", "aval", "inputs", "renamed", "sequence", "signature", "trace", "value")

    aval: Aval
    inputs: tuple[Node, ...]
    # Set where a Tensor gets other nodes than that of its creation; see the function of this name.
    renamed: Slot
    sequence: int
    signature: Signature | None
    trace: Any
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements."""
        return self.aval.dtype

    @property
    def primitive(self) -> Primitive | None:
        """The primitive of an Operation; None for leaves."""
        return None if self.signature is None else self.signature.primitive

    @property
    def params(self) -> dict[str, Any]:
        """The static parameters of an Operation by name; empty for leaves."""
        return {} if self.signature is None else self.signature.keywords

    __add__ = _operator("add")
    __radd__ = _operator("add", reflected=True)
    __sub__ = _operator("subtract")
    __rsub__ = _operator("subtract", reflected=True)
    __mul__ = _operator("multiply")
    __rmul__ = _operator("multiply", reflected=True)
    __truediv__ = _operator("divide")
    __rtruediv__ = _operator("divide", reflected=True)
    __pow__ = _operator("power")
    __rpow__ = _operator("power", reflected=True)

    def __neg__(self) -> Operation:
        return PRIMITIVES["negative"](self)


class Slot:
    """What the versions of one Tensor have in common, so that its present value can be found from an old one.

    ``value`` is the newest array; after an operation in place it is None, and ``node`` refers to the newest node.
    """

    # The node is held weakly: a node refers to its slot, and a cycle would outlive its last user.
    __slots__ = ("made", "name", "node", "value")

    def __init__(self, value: Any, name: str | None = None):
        self.value = value
        self.name = name
        self.node: weakref.ref[Node] | None = None
        # When, as nodes count.
        self.made = _next_sequence()

    def __reduce__(self) -> tuple[Any, ...]:
        return Slot, (self.value, self.name)


# That of nodes whose Tensors have no further versions; nothing is ever written to it.
NO_SLOT = Slot(None)


def renamed(node: Node) -> Slot | None:
    """The slot of a Tensor that stood for a node which was not made for it: by an operation in place, for one."""
    return getattr(node, "renamed", None)


class Variable(Node):
    """A leaf that can be differentiated with respect to: one version of the value in a slot.

    Parameters
    ----------
    aval : Aval
        Its shape and dtype.
    value : ndarray
        Read-only.
    slot : Slot
        What the versions of one Tensor have in common.
    """

    __slots__ = ("slot",)

    def __init__(self, aval: Aval, value: Any, slot: Slot):
        self.aval = aval
        self.value = value
        self.slot = slot
        self.inputs = ()
        self.signature = None
        self.trace = None
        self.sequence = _next_sequence()

    def __repr__(self) -> str:
        return f"Variable({self.aval!r}{f', name={self.slot.name!r}' if self.slot.name else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_leaf, (type(self), self.aval, self.value, self.slot)


def _restore_leaf(kind: type[Variable | Constant], aval: Aval, value: Any, slot: Slot | None) -> Node:
    return kind(aval, freeze(value), slot)  # type: ignore[arg-type]


def freeze(value: Any) -> Any:
    """A value that may be handed out but not written to, since graphs rely on it."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    return value


class Unknown:
    """A value that is not known while only structure is traced; any use of it is an error that says so.

    Parameters
    ----------
    error : type
        What is raised.
    message : str
        What it says.
    places : bool, optional
        Whether it says at which line, too.
    """

    __slots__ = ("_error", "_message", "_places")

    def __init__(self, error: type[Exception], message: str, places: bool = False):
        self._error = error
        self._message = message
        self._places = places

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise self._error(f"{self._message} ({caller().place})" if self._places else self._message)

    def __getattr__(self, name: str) -> Any:
        # Tools that look at modules ask objects for names like __wrapped__; only arrays are asked for values.
        if name.startswith("__") and not name.startswith("__array"):
            raise AttributeError(name)
        return self._refuse()

    __array_ufunc__ = __array_function__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __pow__ = __rpow__ = __neg__ = __abs__ = __getitem__ = __len__ = __iter__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __bool__ = __float__ = __int__ = _refuse
    __hash__ = None  # type: ignore[assignment]


UNKNOWN = Unknown(
    TraceError,
    "a value was needed while autodiff.function traces a function, where only shapes and dtypes of its arguments are "
    "known: print, float(), an if, or a conversion to an array. Use np.where instead of if, or call the function "
    "without autodiff.function",
    places=True,
)


class Argument(Variable):
    """A variable that stands for an argument of a function being differentiated or traced.

    A result that still depends on one after its own derivative is taken belongs to an enclosing derivative.
    """

    __slots__ = ()


class Constant(Node):
    """A leaf that no derivative is taken with respect to.

    Parameters
    ----------
    aval : Aval
        Its shape and dtype, or the number that it is.
    value : ndarray or number
        Read-only.
    slot : Slot, optional
        That of the Tensor it was made for.
    """

    __slots__ = ("slot",)

    def __init__(self, aval: Aval, value: Any, slot: Slot | None = None):
        self.aval = aval
        self.value = value
        self.slot = slot
        self.inputs = ()
        self.signature = None
        self.trace = None
        self.sequence = 0

    def __repr__(self) -> str:
        return f"Constant({self.aval!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_leaf, (Constant, self.aval, self.value, self.slot)


class Operation(Node):
    """A primitive applied to nodes.

    Parameters
    ----------
    signature : Signature
        The primitive, its parameters, and the shapes and dtypes of inputs and result.
    inputs : tuple of Node
        What it is applied to.
    """

    __slots__ = ()

    def __init__(self, signature: Signature, inputs: tuple[Node, ...]):
        self.signature = signature
        self.inputs = inputs
        self.aval = signature.out
        self.value = None
        self.trace = None
        self.sequence = _next_sequence()

    def __repr__(self) -> str:
        return render(self)

    def __reduce__(self) -> tuple[Any, ...]:
        signature = self.signature
        assert signature is not None
        return _restore_operation, (
            signature.primitive,
            signature.params,
            self.inputs,
            self.value,
            signature.is_derived,
        )


def _restore_operation(
    primitive: Primitive, params: tuple[Any, ...], inputs: tuple[Node, ...], value: Any, is_derived: bool = False
) -> Node:
    signature = primitive.signature(tuple([x.aval for x in inputs]), params)
    node = Operation(signature.derived if is_derived else signature, inputs)
    node.value = freeze(value)
    return node


by_sequence = attrgetter("sequence")


def history(*roots: Node) -> list[Node]:
    """All nodes that ``roots`` are made of, themselves included, inputs before what uses them."""
    # A dict, not a set: constants are all of one age, and their order must not change from run to run.
    seen = dict.fromkeys(roots)
    stack = list(seen)
    while stack:
        for node in stack.pop().inputs:
            if node not in seen:
                seen[node] = None
                stack.append(node)
    return sorted(seen, key=by_sequence)


RENDERED_LINES = 40


def render(root: Node) -> str:
    """The graph below ``root`` as text, an operation a line; the middle of a long one is left out."""
    nodes = history(root)
    names = {node: f"v{i}" for i, node in enumerate(nodes)}
    lines = []
    for node in nodes:
        if node.signature is None:
            text = repr(node)
        else:
            arguments = [names[x] for x in node.inputs] + [f"{k}={v!r}" for k, v in node.params.items()]
            text = f"{node.signature.primitive.name}({', '.join(arguments)}) -> {node.aval!r}"
        lines.append(f"{names[node]} = {text}")
    if len(lines) > RENDERED_LINES:
        half = RENDERED_LINES // 2
        lines[half:-half] = [f"... {len(lines) - 2 * half} more ..."]
    return "\n".join(lines)


def is_fixed(node: Node) -> bool:
    """Whether a leaf is a number or an index that no Tensor stands for: it has the same value for ever."""
    if not isinstance(node, Constant) or node.slot is not None:
        return False
    return node.aval.weak or node.aval.literal is not None or node.aval.spec is not None


# Python floats are data, so that a decaying learning rate does not change the structure; these few are
# worth simplifying. Small integers are structure; a counter that runs far would compile without end.
LITERAL_FLOATS = (0.0, 1.0, -1.0, 2.0, 0.5)
LITERAL_INTEGER_BOUND = 64


def literal(value: Any, dtype: np.dtype[Any] | None = None) -> Constant:
    """A constant whose value is part of the structure; weak unless a dtype is given."""
    if dtype is not None:
        return Constant(intern_aval((), dtype, False, value), value)
    kind = BOOL if type(value) is bool else np.dtype(type(value))
    return Constant(intern_aval((), kind, type(value) is not bool, value), value)


# Made once: recording x ** 2 makes one node, not two. Zeros are equal, and differ in sign.
_literal_integers = {v: literal(v) for v in range(-LITERAL_INTEGER_BOUND, LITERAL_INTEGER_BOUND + 1)}
_literal_floats = {v: literal(v) for v in LITERAL_FLOATS if v}
_literal_zeros = {sign: literal(sign * 0.0) for sign in (1.0, -1.0)}


def as_node(value: Any, beside: Aval | None = None) -> Node:
    """A node for anything an array function takes: copied, so that later changes to it do not matter.

    ``beside`` is what the value is an operand with: beside integers a Python int must fit their dtype, so it is
    part of the structure, where that is checked.
    """
    kind = type(value)
    if kind is float:
        if value:
            return _literal_floats.get(value) or Constant(WEAK_FLOAT, value)
        return _literal_zeros[math.copysign(1.0, value)]
    if kind is int:
        found = _literal_integers.get(value)
        if found is not None:
            return found
        if -(2**63) <= value < 2**63:
            return literal(value) if beside and beside.dtype.kind in "iu" else Constant(WEAK_INT, value)
        return _long(value, beside)
    if kind is np.ndarray:
        dtype = value.dtype
        if dtype.kind in NUMERIC_KINDS and dtype.isnative:
            return Constant(intern_aval(value.shape, dtype), value.copy())
    if isinstance(value, Node):
        return value
    if kind is bool:
        return literal(value)
    if kind is complex:
        return Constant(WEAK_COMPLEX, value)
    owner = backend_of(value)
    if owner is not None:
        return Constant(aval_on(owner, value), owner.asarray(value, copy=True))
    array = as_array(value)
    return Constant(intern_aval(array.shape, array.dtype), array)


def _long(value: int, beside: Aval | None) -> Constant:
    """A Python int beyond int64: a float beside floats; else of the structure, where it is checked against a dtype."""
    if beside is None or beside.dtype.kind not in "fc":
        return literal(value)
    try:
        return Constant(WEAK_FLOAT, float(value))
    except OverflowError:
        raise RangeError(
            f"int {shown(value)}, beside {beside!r}, is larger than any number that NumPy has; the largest is about "
            "1.8e308"
        ) from None


NUMERIC_KINDS = "biufc"


def numeric_dtype(dtype: Any, what: str) -> np.dtype[Any]:
    """A dtype of numbers or truths; ``what`` is the function and the argument that it was given as."""
    wanted: np.dtype[Any] | None = None
    reason = "give a name such as 'float64', or t.dtype"
    # NumPy would ask whatever has such an attribute for its dtype, a Tensor too.
    if isinstance(dtype, (np.dtype, type, str)) or not hasattr(dtype, "shape"):
        try:
            wanted = np.dtype(dtype)
        except (TypeError, ValueError) as error:
            reason = f"{str(error)[:100]}; {reason}"
    if wanted is None:
        given = repr(dtype) if isinstance(dtype, str) else describe(dtype)
        raise DTypeError(f"{what}={given[:80]} is no dtype that NumPy knows: {reason}")
    if wanted.kind not in NUMERIC_KINDS:
        raise DTypeError(f"{what}={wanted} is not numeric: derivatives are recorded for numbers only; {reason}")
    return wanted


def as_array(value: Any, dtype: Any = None, copy: bool | None = True) -> np.ndarray[Any, Any]:
    """``value`` as a NumPy array of a numeric dtype in native byte order; an error that says what it is if not."""
    if not isinstance(value, np.ndarray):
        owner = backend_of(value)
        if owner is not None:
            raise away_from_numpy("this call", owner)
    wanted = dtype if dtype is None or isinstance(dtype, np.dtype) else numeric_dtype(dtype, "dtype")
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(
            "cannot make an array from a masked array: its mask would be lost; fill it with .filled(value)"
        )
    if isinstance(value, np.matrix):
        raise DTypeError("a np.matrix multiplies as no array does: give np.asarray(m), and write @ for matrix products")
    try:
        array = np.array(value, dtype=None if isinstance(value, np.ndarray) else wanted, copy=copy, subok=False)
        if wanted is not None and array.dtype != wanted and array.dtype.kind in NUMERIC_KINDS:
            array = array.astype(wanted)
        if type(value) is not np.ndarray and wanted is not None and wanted.kind in "fc":
            _refuse_none(value, array)
    except AutodiffError:
        raise  # a Tensor among the values, which refuses
    except (ValueError, TypeError, OverflowError) as error:
        kind = (
            DTypeError if isinstance(error, TypeError) else ShapeError if "inhomogeneous" in str(error) else DTypeError
        )
        raise kind(
            f"cannot make a numeric array{'' if wanted is None else f' of dtype {wanted}'} from {describe(value)}: "
            f"{error}"
        ) from None
    if array.dtype.kind not in NUMERIC_KINDS:
        raise DTypeError(
            f"cannot make a numeric array from {describe(value)}: its dtype is {array.dtype}, and derivatives are "
            "recorded for boolean, integer, floating and complex arrays only; convert it, for example with "
            ".astype('float64')"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def is_complex(value: Any) -> bool:
    """Whether what would be made an array has imaginary parts."""
    array = value if type(value) is np.ndarray else as_array(value, copy=None)
    return bool(array.dtype.kind == "c")


def _refuse_none(value: Any, array: np.ndarray[Any, Any]) -> None:
    """An error where NumPy would make NaN of None."""
    if np.isnan(array).any() and np.array(value).dtype == object:
        raise DTypeError(f"cannot make a numeric array from {describe(value)}: None is no number; write np.nan")


def away_from_numpy(what: str, place: Backend) -> BackendError:
    """The error for an array of another library where NumPy's is needed."""
    return BackendError(
        f"{what} computes with NumPy's arrays, but an array of backend {place.label} was given, and none is brought to "
        "the host without being asked for: np.asarray(tensor) or tensor.to('numpy') does so, and "
        f"ad.Graph(backend={place.name!r}) computes where it is"
    )


def describe(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    owner = backend_of(value)
    if owner is not None:
        shape, dtype = owner.aval_of(value)
        return f"an array of backend {owner.label}, of shape {shape} and dtype {dtype}"
    node = getattr(value, "_node", None)
    if isinstance(node, Node):
        # Its value is nobody's business here: computing it may take long.
        return f"a Tensor {node.aval!r}"
    return f"{type(value).__name__} {shown(value)}"
