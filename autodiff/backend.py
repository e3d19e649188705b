"""What array libraries are used through. ``registry`` has those that are known.

A backend sees programs and arrays, never nodes or rules, so every rule, order and transformation runs on each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from .core.primitives import PRIMITIVES
from .errors import AutodiffError, BackendError, DTypeError

if TYPE_CHECKING:
    from .core.avals import Aval
    from .core.primitives import Primitive, Signature
    from .core.program import Program


class Plan(Protocol):
    """An executable program. Calling it is safe from several threads at once.

    It may have an attribute ``n_launches``, how many kernels and library functions one call starts, if that is
    another number than that of its operations; and ``peak_bytes``, what one call holds at most beside its arguments.
    """

    @property
    def n_operations(self) -> int:
        """How many primitives one call executes."""
        ...

    @property
    def source(self) -> str:
        """What is executed, as text."""
        ...

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """The outputs for these inputs: new arrays that share no memory with inputs or between calls."""
        ...


class Part(NamedTuple):
    """A part of a plan that time is taken of.

    Parameters
    ----------
    kind : {"operation", "together", "kernel"}
        One operation; several that are computed block by block; or compiled as one, of which no single one has a time.
    operations : tuple of (Signature, object)
        What it executes, and what each comes from (see ``Program.origins``).
    """

    kind: str
    operations: tuple[tuple[Signature, Any], ...]

    @classmethod
    def of(cls, kind: str, program: Program, numbers: Sequence[int]) -> Part:
        """The part that makes some values of a program."""
        origins = program.origins or [None] * len(program.avals)
        made = [(program.signatures[n], origins[n]) for n in numbers]
        return cls(kind, tuple([(signature, origin) for signature, origin in made if signature is not None]))


class Timed(Protocol):
    """A plan that says what its parts take."""

    @property
    def n_operations(self) -> int:
        """How many primitives one call executes."""
        ...

    @property
    def source(self) -> str:
        """What is executed, as text."""
        ...

    @property
    def parts(self) -> list[Part]:
        """What time is taken of, in order."""
        ...

    def seconds(self, *values: Any) -> tuple[tuple[Any, ...], list[float] | None]:
        """The outputs for these inputs, and the seconds of each part; None if this call was none to judge by."""
        ...


# What dtypes a library may have that derivatives are recorded for.
REAL_DTYPES = frozenset(np.dtype(code) for code in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"))
COMPLEX_DTYPES = frozenset((np.dtype(np.complex64), np.dtype(np.complex128)))

# What `Capabilities.features` may name.
FEATURES = (
    "in-place",
    "scatter-add",
    "data-dependent shapes",
    "asynchronous",
    "lazy",
)


# Follows the name of a primitive that a backend has for real numbers only.
OF_COMPLEX = " of complex numbers"


def missing_special(library: str, names: Collection[str], of_complex: Collection[str] = ()) -> dict[str, str]:
    """What a library lacks that has these of SciPy's functions, and for complex numbers only those of the others."""
    special = [p.name for p in PRIMITIVES.values() if p.module != "numpy"]
    lacking = {name: f"{library} has no such function" for name in special if name not in names}
    real = {
        f"{name}{OF_COMPLEX}": f"{library} has it for real numbers only" for name in names if name not in of_complex
    }
    return lacking | real


def has(namespace: Any, name: str) -> bool:
    """Whether a namespace has a function, whose name may begin with that of a module in it."""
    for part in name.split("."):
        namespace = getattr(namespace, part, None)
    return namespace is not None


def missing_in(namespace: Any, own: Container[Primitive] = ()) -> dict[str, str]:
    """What a namespace lacks that primitives need to be computed by what their cards say; some are a backend's own."""
    found = {}
    for primitive in PRIMITIVES.values():
        # Ufuncs of SciPy are there where SciPy is.
        needs = primitive.needs if primitive.module == "numpy" and primitive not in own else ()
        lacking = [name for name in needs if not has(namespace, name)]
        if lacking:
            found[primitive.name] = f"{namespace.__name__} has no function {' and no function '.join(lacking)}"
    return found


class Capabilities(NamedTuple):
    """What a backend can do, declared once: programs are checked against it, and the table in the docs is made of it.

    Parameters
    ----------
    dtypes : frozenset of numpy.dtype
        Of the elements that its arrays may have.
    features : frozenset of str
        Which of ``FEATURES`` it has.
    missing : mapping of str to str
        The primitives that it cannot execute, and why not; with ``OF_COMPLEX`` after the name if only those.
    """

    dtypes: frozenset[Any] = REAL_DTYPES | COMPLEX_DTYPES
    features: frozenset[str] = frozenset()
    missing: Mapping[str, str] = {}


class Repetition(NamedTuple):
    """A loop: what one step takes of the step before it, and of arrays that have an element for each.

    Parameters
    ----------
    length : int
        How many steps there are, at least one.
    consts, carry : int
        How many inputs of a step are the same for all, and how many after these are what the step before gave; the
        rest are elements of arrays.
    inputs, avals : tuple of Aval
        What is known of the inputs of a step, and of what it gives: what is carried, and elements of results.
    outputs : tuple of int
        What these are: inputs, by their numbers; or what the plan of a step computes, which is counted after them.
    along, onto : tuple of int
        The axis of each array that elements are along, and of each array of results.
    reverse : bool
        Whether the last elements come first.
    """

    length: int
    consts: int
    carry: int
    inputs: tuple[Aval, ...]
    avals: tuple[Aval, ...]
    outputs: tuple[int, ...]
    along: tuple[int, ...]
    onto: tuple[int, ...]
    reverse: bool


class Backend(ABC):
    """An array library on one device: how arrays get there and back, and how programs are executed on it.

    A subclass needs ``name`` and ``compile``. The other methods are those of a library whose arrays are NumPy's; one
    with arrays of its own overrides ``asarray``, ``to_numpy``, ``owns`` and ``aval_of``, and ``at`` and ``device_of``
    if it has several devices. See "Adding a backend" in CONTRIBUTING.md.

    Attributes
    ----------
    name : str
        What messages and ``ad.get_backend`` call it.
    device : object
        Where its arrays are, as the library names it; hashable.
    primitives : frozenset of str
        The primitives of derivative rules that it computes itself; programs have the others as compositions.

    Examples
    --------
    >>> import autodiff as ad
    >>> backend = ad.get_backend("numpy")
    >>> isinstance(backend, ad.Backend), backend.name
    (True, 'numpy')
    """

    name: str
    device: Any = "cpu"
    primitives: frozenset[str] = frozenset()
    # What gives the backend of a name and a device: the registry, which knows this class, puts it here.
    find: ClassVar[Callable[..., Backend]]

    @abstractmethod
    def compile(self, program: Program) -> Plan:
        """Make an executable plan of a program.

        Parameters
        ----------
        program : Program
            What to compute.

        Returns
        -------
        Plan
            Called with a value for each input, it gives the outputs. Values are arrays of this backend on its
            device; Python numbers where ``program.avals`` says ``weak``; tuples where it has a ``spec`` (an index).
        """

    def interpret(self, program: Program) -> Plan | None:
        """Make a plan that exists at once, however slow, to answer while ``compile`` works in the background.

        Parameters
        ----------
        program : Program
            What to compute.

        Returns
        -------
        Plan or None
            None if ``compile`` takes no longer, or there is no such plan; then the caller waits for ``compile``.
        """
        return None

    def frugal(self, program: Program) -> Plan | None:
        """Make a plan that computes one value after another, in order, and keeps none longer than it is needed.

        Parameters
        ----------
        program : Program
            What to compute.

        Returns
        -------
        Plan or None
            None if plans of ``compile`` do so.
        """
        return None

    def repeat(self, plan: Plan, loop: Repetition) -> Callable[[Sequence[Any]], tuple[Any, ...]] | None:
        """Make one call of all steps of a loop.

        Parameters
        ----------
        plan : Plan
            Of one step, as ``compile`` made it: it gives what is computed, each once.
        loop : Repetition
            How steps follow one another.

        Returns
        -------
        callable or None
            Given what is the same for all steps, what is carried first, and arrays, it gives what is carried last, and
            arrays of results: new arrays. None if the plan is to be called for each step.
        """
        return None

    def alone(self, plan: Plan) -> Plan:
        """A plan of ``compile`` as it is best called by itself.

        Parameters
        ----------
        plan : Plan
            Of one step of a loop, or of a branch.

        Returns
        -------
        Plan
            The same, unless plans wait for ``repeat``.
        """
        return plan

    def timed(self, program: Program, plan: Plan) -> Timed | None:
        """Make a plan that computes as another one does, and says what its parts take.

        Parameters
        ----------
        program : Program
            What to compute.
        plan : Plan
            What answers at present, of a program like this one.

        Returns
        -------
        Timed or None
            None if there is none: then each operation is timed by itself.
        """
        return None

    # --- arrays ------------------------------------------------------------------------------------------------------

    @property
    def home(self) -> Backend:
        """The backend whose arrays this one computes with: NumPy's, unless ``owns`` says which are its own."""
        return Backend.find() if type(self).owns is Backend.owns else self

    @property
    def steady(self) -> Backend:
        """The backend whose plans are what they will be: itself, unless it exchanges them for others later."""
        return self

    @property
    def tier(self) -> str:
        """What ``Graph.explain`` says of a plan that does not say itself what answers, and why."""
        return f"{self.name}, as chosen"

    @property
    def namespace(self) -> Any:
        """The module of the library's functions."""
        return np

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return Capabilities()

    def owns(self, value: Any) -> bool:
        """Whether a value is an array of this library, on whichever device.

        Parameters
        ----------
        value : object
            Anything.

        Returns
        -------
        bool
            False for NumPy's arrays, unless they are this library's own.
        """
        return isinstance(value, np.ndarray)

    def aval_of(self, array: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """What is known of an array of this library without computing it.

        Parameters
        ----------
        array : array
            One that it owns.

        Returns
        -------
        shape : tuple of int
            Sizes of the axes.
        dtype : numpy.dtype
            NumPy's dtype of the same numbers.

        Raises
        ------
        ShapeError
            If the shape is not known.
        DTypeError
            If NumPy has no such dtype, or it is no number.
        """
        return array.shape, array.dtype

    def asarray(self, value: Any, dtype: np.dtype[Any] | None = None, copy: bool = False) -> Any:
        """An array of this library on its device.

        Parameters
        ----------
        value : ndarray, number or array
            NumPy's, or this library's own on any device.
        dtype : numpy.dtype, optional
            To convert to; that of ``value`` if not given.
        copy : bool, optional
            True for memory that nothing else has.

        Returns
        -------
        array
            C-contiguous where the library has layouts.

        Raises
        ------
        DTypeError
            If the device has no such dtype.
        """
        return np.array(value, dtype, copy=True if copy else None)

    def keep(self, values: Sequence[Any], before: Sequence[Any]) -> Sequence[Any]:
        """What variables hold of new values: blocks or numbers, where arrays are how they are computed.

        Parameters
        ----------
        values : sequence of array
            This backend's own. Nobody changes them.
        before : sequence of array
            What the variables held until now.

        Returns
        -------
        sequence of array
            With the same elements; as they are, unless a library is lazy.
        """
        return values

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """The elements of an array of this library, on the host.

        Parameters
        ----------
        array : array
            One that it owns.

        Returns
        -------
        ndarray
            It may share memory with ``array``.
        """
        return np.asarray(array)

    def device_of(self, array: Any) -> Any:
        """Where an array of this library is.

        Parameters
        ----------
        array : array
            One that it owns.

        Returns
        -------
        object
            As ``at`` takes it.
        """
        return self.device

    def at(self, device: Any) -> Backend:
        """The same library on another device.

        Parameters
        ----------
        device : object
            As the library names it.

        Returns
        -------
        Backend
            The same object each time.

        Raises
        ------
        BackendError
            If there is no such device.
        """
        if isinstance(device, type(self.device)) and device == self.device:
            return self
        raise BackendError(f"backend {self.name!r} has no device {device!r}; it computes on {self.device}")

    def synchronize(self) -> None:
        """Wait until what was started on the device is done."""
        return  # where calls return when they are done

    # --- what it is called -------------------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """Its name and device, for messages."""
        return self.name if self.device == "cpu" else f"{self.name} ({self.device})"

    def __repr__(self) -> str:
        return f"<backend {self.label}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Backend.find, (self.name, self.device)


def check_capabilities(program: Program, backend: Backend) -> None:
    """Raise an error that names the function and the backend if a program has what a backend cannot execute."""
    dtypes, _, missing = backend.capabilities

    def lacking(aval: Aval, signature: Signature | None) -> AutodiffError | None:
        name = None if signature is None else _lacking(signature, missing)
        if name is not None:
            return BackendError(f"{name} is not available on backend {backend.label}: {missing[name]}")
        if aval.spec is None and not aval.weak and aval.dtype not in dtypes:
            what = "an input" if signature is None else f"the result of {signature.primitive.name}"
            return DTypeError(
                f"{what} has dtype {aval.dtype}, which backend {backend.label} does not have; "
                "convert with .astype, or use another backend"
            )
        return None

    plain = {aval.dtype for aval in set(program.avals) if aval.spec is None and not aval.weak}
    if not missing and plain <= dtypes:
        return
    # A long program has few different ones, and asks seldom which are needed.
    if any(lacking(*pair) for pair in set(zip(program.avals, program.signatures, strict=True))):
        for number in program.live():
            error = lacking(program.avals[number], program.signatures[number])
            if error is not None:
                raise error


def _lacking(signature: Signature, missing: Mapping[str, str]) -> str | None:
    """The name under which an application is among those that a backend has not."""
    name = signature.primitive.name
    if name in missing:
        return name
    name += OF_COMPLEX
    return name if name in missing and any(aval.dtype.kind == "c" for aval in signature.inputs) else None
