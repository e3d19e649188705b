"""What array libraries are used through, the registry of those that are known, and whose an array is.

A backend sees programs and arrays, never nodes or rules, so every rule, order and transformation runs on each.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from .errors import ArgumentError, AutodiffError, BackendError, DTypeError, shown

if TYPE_CHECKING:
    from .core.avals import Aval
    from .core.primitives import Signature
    from .core.program import Program

ENTRY_POINT_GROUP = "autodiff.backends"


class Plan(Protocol):
    """An executable program. Calling it is safe from several threads at once.

    It may have an attribute ``n_launches``, how many kernels and library functions one call starts, if that is
    another number than that of its operations.
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
    """

    name: str
    device: Any = "cpu"
    primitives: frozenset[str] = frozenset()

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

    # --- arrays ------------------------------------------------------------------------------------------------------

    @property
    def home(self) -> Backend:
        """The backend whose arrays this one computes with: NumPy's, unless ``owns`` says which are its own."""
        return get_backend() if type(self).owns is Backend.owns else self

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

    def from_dlpack(self, array: Any) -> Any:
        """An array of another library that is on the same device, in the same memory.

        Parameters
        ----------
        array : object
            Has ``__dlpack__``.

        Returns
        -------
        array
            One that this backend owns.

        Raises
        ------
        BackendError
            If this library cannot use that memory.
        """
        owner = backend_of(array)
        what = f"an array of backend {owner.label}" if owner is not None else f"{type(array).__name__}"
        try:
            return self.namespace.from_dlpack(array)
        except (AttributeError, BufferError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise BackendError(
                f"{what} cannot be put on backend {self.label}: {error}; bring it to the host first "
                "(np.asarray of a Tensor of it)"
            ) from error

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
        return get_backend, (self.name, self.device)


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


# Built in: name -> where the backend object is. Looked up before entry points; nothing is imported until asked for.
BUILT_IN = {
    "array_api_strict": "autodiff_backends.array_api.backend:array_api_strict",
    "cupy": "autodiff_backends.cupy.backend:cupy",
    "dask": "autodiff_backends.dask.backend:dask",
    "numba": "autodiff_backends.numba.backend:BACKEND",
    "numpy": "autodiff_backends.numpy.backend:BACKEND",
    "torch": "autodiff_backends.torch:torch",
}

# What makes a backend of a namespace that is no known library's.
ANY_NAMESPACE = "autodiff_backends.array_api.backend:for_namespace"

# The package that a library's classes are from -> the backend. Other arrays say what their namespace is.
LIBRARIES = {"array_api_strict": "array_api_strict", "cupy": "cupy", "dask": "dask", "torch": "torch"}

_registered: dict[str, Backend | str] = {}
_loaded: dict[str, Backend] = {}
_owners: WeakKeyDictionary[type, Backend | None] = WeakKeyDictionary()


_threads: int | None = None


def thread_count() -> int:
    """How many threads plans may use: what was set, else ``OMP_NUM_THREADS``, else the processors at hand."""
    if _threads is not None:
        return _threads
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def set_num_threads(count: int | None) -> None:
    """Set how many threads plans on the CPU may use for elementwise work on large arrays.

    Parameters
    ----------
    count : int or None
        At least 1; None for the default: ``OMP_NUM_THREADS`` if it is set, else the processors at hand.
        Products of matrices use what the BLAS library is set to.

    Raises
    ------
    ArgumentError
        If it is no integer of at least 1.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.set_num_threads(2)
    >>> ad.set_num_threads(None)
    """
    global _threads  # noqa: PLW0603  (a setting of the process, as the number of threads itself is)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ArgumentError(f"set_num_threads: {shown(count)} must be an integer of at least 1, or None")
    _threads = count


def register_backend(name: str, backend: Backend | str) -> None:
    """Make a backend known under a name, in place of any of that name.

    Parameters
    ----------
    name : str
        What ``Graph(backend=name)`` takes.
    backend : Backend or str
        The backend, or where to import it from when it is first asked for: ``"package.module:OBJECT"``, where the
        object may also be a function that makes the backend or says (by a BackendError) why it cannot be had.

    Raises
    ------
    BackendError
        If it is neither.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.register_backend("my_numpy", "autodiff_backends.numpy.backend:BACKEND")
    >>> ad.get_backend("my_numpy").name
    'numpy'
    """
    if not isinstance(name, str) or not name:
        raise BackendError(f"register_backend: the name {shown(name)} is no non-empty string")
    if not (isinstance(backend, Backend) or (isinstance(backend, str) and ":" in backend)):
        raise BackendError(
            f"register_backend({name!r}): {shown(backend)} is neither a backend (an object of a class derived from "
            "autodiff.Backend) nor a string 'package.module:OBJECT'"
        )
    _registered[name] = backend
    _loaded.pop(name, None)
    _owners.clear()


def _entry_points() -> dict[str, str]:
    # Imported here because it takes 17 ms, and most programs never ask for a backend that is not built in.
    from importlib.metadata import entry_points  # noqa: PLC0415

    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}


def backends() -> tuple[str, ...]:
    """Names of all known backends, sorted.

    Returns
    -------
    tuple of str
        Built in, registered, and offered by installed packages. Whether one works on this machine shows when
        it is asked for.

    Examples
    --------
    >>> import autodiff as ad
    >>> "numpy" in ad.backends()
    True
    """
    return tuple(sorted({*BUILT_IN, *_registered, *_entry_points()}))


def get_backend(backend: str | Backend | Any | None = None, device: Any = None) -> Backend:
    """The backend of a name.

    Parameters
    ----------
    backend : str, Backend or namespace, optional
        A name, a backend, or the namespace of an Array API library (the module itself); NumPy if not given.
    device : object, optional
        As the library names its devices, such as ``"cuda:1"`` or 1; its default device if not given.

    Returns
    -------
    Backend
        Loaded when it is first asked for; the same object each time.

    Raises
    ------
    BackendError
        If the name is unknown (the message lists the known ones), its package cannot be imported, or there is no
        such device.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.get_backend("numpy").name
    'numpy'
    """
    name = "numpy" if backend is None else backend
    if isinstance(name, Backend):
        found = name
    elif not isinstance(name, str):
        found = _of_namespace(name)
    elif name in _loaded:
        found = _loaded[name]
    else:
        # Of two threads that load it at once, both get the first one's.
        found = _loaded.setdefault(name, _load(name))
        # It may own classes that nobody did.
        _owners.clear()
    return found if device is None else found.at(device)


def _load(name: str) -> Backend:
    where = _registered.get(name) or BUILT_IN.get(name) or _entry_points().get(name)
    if where is None:
        raise BackendError(f"unknown backend {name!r}; known backends: {', '.join(backends())}")
    if not isinstance(where, str):
        return where
    found = _imported(where, name)
    if not isinstance(found, Backend) and callable(found):
        with _loading(where, name):
            found = found()
    if not isinstance(found, Backend):
        raise BackendError(f"backend {name!r}: {where!r} is {found!r}, which is no backend")
    return found


def _imported(where: str, name: str) -> Any:
    module, _, attribute = where.partition(":")
    with _loading(where, name):
        return getattr(import_module(module), attribute)


@contextmanager
def _loading(where: str, name: str) -> Iterator[None]:
    """In the block, what goes wrong (a library may raise anything when it is imported) says which backend it is of."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(
            f"backend {name!r} is known but cannot be loaded from {where!r}: {type(error).__name__}: {error}"
        ) from error


def _of_namespace(xp: Any) -> Backend:
    """The backend of an Array API namespace, that of its library if this is a known one."""
    if not hasattr(xp, "asarray") or not isinstance(getattr(xp, "__name__", None), str):
        raise BackendError(
            f"{shown(xp)} is no backend; give one of the names {', '.join(backends())}, a backend object, or the "
            "namespace of an Array API library"
        )
    words = xp.__name__.removeprefix("array_api_compat.").split(".")
    name = "numpy" if words[0] == "numpy" else LIBRARIES.get(words[0])
    found: Backend = _imported(ANY_NAMESPACE, xp.__name__)(xp) if name is None else get_backend(name)
    return found


def backend_of(value: Any) -> Backend | None:
    """The backend on whose device an array is; None for NumPy's and for what is no array."""
    kind = type(value)
    try:
        owner = _owners[kind]
    except KeyError:
        owner = _owners[kind] = _owner(value)
    return None if owner is None else owner.at(owner.device_of(value)).home


def _owner(value: Any) -> Backend | None:
    kind = type(value)
    name = LIBRARIES.get(kind.__module__.partition(".")[0])
    if name is not None:
        found = get_backend(name)
        return found if found.owns(value) else None
    if isinstance(value, (np.ndarray, np.generic)):
        return None
    if kind.__module__ == "builtins":
        return None  # for which nothing need be imported
    for found in [*_working(list(_registered)), *list(_loaded.values())]:
        # One whose methods fail on what others own is no reason for an error either.
        with suppress(Exception):
            if found.home is not get_backend() and found.owns(value):
                return found.home
    if hasattr(kind, "__array_namespace__"):
        return _of_namespace(value.__array_namespace__())
    return None


def _working(names: list[str]) -> Iterator[Backend]:
    """The backends of these names but those that cannot be loaded: only who asks for one of them is told why."""
    for name in names:
        with suppress(BackendError):
            yield get_backend(name)
