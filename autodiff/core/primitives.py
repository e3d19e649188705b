"""Primitives and their signatures: what an operation is, apart from the nodes that it is applied to."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..errors import BackendError
from ..importing import imported
from ..memo import Interned
from .avals import Aval, common_place
from .parameters import Own

# Signatures of a primitive that are kept at most, beside those that somebody holds.
SIGNATURES_KEPT = 1 << 12

# The Python scalar of a kind of dtype. (``item()`` of a long double is no Python scalar.)
PYTHON_TYPES: dict[str, type] = {"i": int, "u": int, "f": float, "c": complex, "b": bool}


def resolved_dtypes(ufunc: np.ufunc, avals: Sequence[Aval]) -> tuple[np.dtype[Any], ...]:
    """What a ufunc calculates in; Python scalars are weak beside arrays (NEP 50). TypeError if it has no loop."""
    return _resolved(ufunc, tuple([aval.dtype for aval in avals]), tuple([aval.weak for aval in avals]))


@functools.lru_cache(1024)
def _resolved(ufunc: np.ufunc, dtypes: tuple[np.dtype[Any], ...], weak: tuple[bool, ...]) -> tuple[np.dtype[Any], ...]:
    beside = not all(weak)
    kinds = [PYTHON_TYPES[dtype.kind] if one and beside else dtype for dtype, one in zip(dtypes, weak, strict=True)]
    return ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))


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
    passed : tuple of int or None
        The inputs that a derivative could pass through, once ``differentiate`` has asked.
    """

    __slots__ = ("__weakref__", "_twinned", "inputs", "is_derived", "out", "params", "passed", "primitive", "written")

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
        self.passed: tuple[int, ...] | None = None
        # Whether anybody has asked for the twin, which there is none of before.
        self._twinned = False

    @property
    def derived(self) -> Signature:
        """The twin for nodes of derivatives."""
        if self.is_derived:
            return self
        # Its key is this one, which does not refer to it: the two are no cycle.
        interned = self.primitive.interned
        found = interned.get(self) if self._twinned else None
        if found is None:
            self._twinned = True
            found = interned.put(self, Signature(self.primitive, self.inputs, self.params, self.out, self))
        return found

    def function(self, xp: Any) -> Callable[..., Any]:
        """What computes it from arrays of a namespace, by the meaning of its primitive."""
        return functools.partial(self.meaning(xp.__name__), xp, **self.meaning_keywords)

    def meaning(self, library: str) -> Callable[..., Any]:
        """The meaning of its primitive; an error that names the library if the card has none."""
        meaning = self.primitive.meaning
        if meaning is None:
            raise BackendError(f"{self!r} is not available in {library}, which has no function for it")
        return meaning

    @property
    def meaning_keywords(self) -> dict[str, Any]:
        """What the meaning of its primitive takes by name: static parameters, and the form of an index."""
        forms = [aval.spec for aval in self.inputs if aval.spec is not None and not aval.parts]
        return {**self.keywords, "spec": forms[0]} if forms else self.keywords

    @property
    def is_view(self) -> bool:
        """Whether the result is the first operand's memory seen in another way."""
        view = self.primitive.view
        return view if isinstance(view, bool) else view(self.inputs)

    @property
    def loop_dtypes(self) -> tuple[np.dtype[Any], ...]:
        """What an elementwise primitive (or a product) computes in: the dtypes of its operands, and of the result."""
        loop = self.primitive.loop
        if loop is None:
            return (*[aval.dtype for aval in self.inputs], self.out.dtype)
        return resolved_dtypes(loop, self.inputs)

    @property
    def keywords(self) -> dict[str, Any]:
        """The static parameters by name."""
        return dict(zip(self.primitive.params, self.params, strict=True))

    @property
    def title(self) -> str:
        """Its name in messages: that of its primitive, or what an object among its parameters is called."""
        kinds = self.primitive.params.values()
        own = [value for value, kind in zip(self.params, kinds, strict=True) if kind is Own]
        return getattr(own[0], "name", self.primitive.name) if own else self.primitive.name

    def __repr__(self) -> str:
        arguments = [repr(aval) for aval in self.inputs]
        arguments += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"{self.primitive.name}({', '.join(arguments)})"


PRIMITIVES: dict[str, Primitive] = {}

Row = TypeVar("Row")


class Primitive(ABC):
    """An operation that has a rule and that backends know: a card, on which stands all that is true of it.

    Parameters
    ----------
    name : str
        As NumPy names it, where NumPy has it.
    infer : callable
        ``infer(primitive, *avals, **params) -> Aval``; raises an error of this library for arguments that do
        not fit.
    several : bool, optional
        Whether it has several outputs: ``infer`` gives ``avals.several`` of theirs, and ``ops.part`` takes one of them.
    params : mapping of str to type, optional
        The static, hashable parameters: the type of each, by its name (see ``core.parameters``).
    kind : {"elementwise", "view", "reduction", "contraction", "indexing", "routine", "other"}
        What a compiler may do with it. A routine is a library's own, and costs more than a look at its operands.
    commutative : bool, optional
        Whether two inputs may change places.
    numpy_ufunc : numpy.ufunc, optional
        What computes an elementwise primitive. One that is not NumPy's is imported when it is first asked for.
    module : str, optional
        Where the ufunc is from; another module than NumPy's has it under the name of the primitive.
    loop : numpy.ufunc, optional
        Which ufunc decides the dtypes that it computes in; ``numpy_ufunc`` if not given.
    meaning : callable, optional
        ``meaning(xp, *arrays, **params)``: what it computes, written for any array namespace; an index among the
        operands is a tuple, and its form is given as ``spec``. Several outputs are a tuple. It runs wherever a backend
        has nothing of its own for the primitive, and gives a new array, unless this is a view. Ufuncs and compositions
        need none.
    needs : sequence of str, optional
        The functions of the namespace that the meaning calls and not every library has: ``"linalg.solve"``.
    view : bool or callable, optional
        Whether the result is the first operand's memory seen in another way; if that depends on the operands,
        ``view(avals)``.
    rereads : sequence of int, optional
        The operands of an elementwise primitive that it may read after it has begun to write: the others' memory can
        be the result's.
    writes : bool, optional
        Whether the result is the first operand with some elements written to.
    cheap : bool, optional
        Whether an element is computed faster than fetched from memory.
    reduces : numpy.ufunc, optional
        What a reduction combines elements with, or the products of those of two operands; and partial results with
        each other.
    core : str, optional
        The last axes of the operands and of the result, ``"ik,kj->ij"``, that it works on for each place of those
        before them, which are broadcast. Each letter is an axis through which blocks pass, and ``.`` one that is
        taken as a whole.
    """

    __slots__ = (
        "cheap",
        "commutative",
        "core",
        "in_place",
        "infer",
        "interned",
        "kind",
        "loop",
        "meaning",
        "module",
        "name",
        "needs",
        "numpy_ufunc",
        "params",
        "reduces",
        "rereads",
        "several",
        "signatures",
        "view",
        "writes",
    )

    numpy_ufunc: np.ufunc | None
    loop: np.ufunc | None

    def __init__(
        self,
        name: str,
        infer: Callable[..., Aval],
        *,
        several: bool = False,
        params: Mapping[str, Any] | None = None,
        kind: str = "other",
        commutative: bool = False,
        numpy_ufunc: np.ufunc | None = None,
        module: str = "numpy",
        loop: np.ufunc | None = None,
        meaning: Callable[..., Any] | None = None,
        needs: Iterable[str] = (),
        view: bool | Callable[[tuple[Aval, ...]], bool] = False,
        rereads: Iterable[int] = (),
        writes: bool = False,
        cheap: bool = False,
        reduces: np.ufunc | None = None,
        core: str | None = None,
    ):
        if name in PRIMITIVES:
            raise ValueError(f"primitive {name!r} is defined twice")
        PRIMITIVES[name] = self
        self.name = name
        self.infer = infer
        self.several = several
        self.params = dict(params or {})
        self.kind = kind
        self.commutative = commutative
        self.module = module
        if module == "numpy":
            self.numpy_ufunc = numpy_ufunc
            self.loop = loop or numpy_ufunc
        self.meaning = meaning
        self.needs = tuple(needs)
        self.view = view
        self.rereads = tuple(rereads)
        self.writes = writes
        self.cheap = cheap
        self.reduces = reduces
        self.core = core
        # By abstract values and parameters; twins by their signature.
        self.interned: Interned[Any, Signature] = Interned(SIGNATURES_KEPT)
        # Looked into on the hot path before ``signature`` is called.
        self.signatures = self.interned.hot

    def __getattr__(self, name: str) -> Any:
        if name not in ("numpy_ufunc", "loop"):
            raise AttributeError(name)
        self.numpy_ufunc = self.loop = getattr(imported(self.module), self.name)
        return self.numpy_ufunc

    def signature(self, avals: tuple[Aval, ...], params: tuple[Any, ...] = ()) -> Signature:
        """The interned signature of this primitive on ``avals``, inferring the result the first time."""
        key = avals + params if params else avals
        found = self.interned.get(key)
        if found is None:
            given = dict(zip(self.params, params, strict=True)) if params else {}
            out = self.infer(self, *avals, **given)
            place = common_place(self.name, avals)
            if place is not None:
                out = out.at(place)
            found = self.interned.put(key, Signature(self, avals, params, out))
        return found

    @abstractmethod
    def __call__(self, *inputs: Any, **params: Any) -> Any:
        """Record an Operation. (What can be called is an ``Operator``: nodes are above this module.)"""

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_primitive, (self.name,)


def _restore_primitive(name: str) -> Primitive:
    return PRIMITIVES[name]


def by_primitive(rows: Mapping[str, Row]) -> dict[Primitive, Row]:
    """A table of a backend by the primitives that its rows name; KeyError for a name of none."""
    return {PRIMITIVES[name]: row for name, row in rows.items()}


# Python integers of any size are compared with integers of any dtype.
COMPARED_BY_VALUE = frozenset((np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal))
