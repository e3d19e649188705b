"""The protocol that array libraries are used through, and the registry of those that are known.

A backend sees programs and arrays, never nodes or rules, so every rule, order and transformation runs on each.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .errors import ArgumentError, BackendError

if TYPE_CHECKING:
    from .plan.program import Program

ENTRY_POINT_GROUP = "autodiff.backends"


class Plan(Protocol):
    """An executable program. Calling it is safe from several threads at once."""

    @property
    def n_operations(self) -> int:
        """How many primitives one call executes."""
        ...

    @property
    def source(self) -> str:
        """What is executed, as Python text."""
        ...

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """The outputs for these inputs: new arrays that share no memory with inputs or between calls."""
        ...


@runtime_checkable
class Backend(Protocol):
    """An array library: how programs are executed on it.

    Any object with these two attributes is one; see "Add a backend" in CONTRIBUTING.md.

    Attributes
    ----------
    name : str
        What messages call it.
    """

    name: str

    def compile(self, program: Program) -> Plan:
        """Make an executable plan of a program.

        Parameters
        ----------
        program : Program
            What to compute.

        Returns
        -------
        Plan
            Called with a value for each input, it gives the outputs.
        """
        ...


# Built in: name -> where the backend object is. Looked up before entry points; nothing is imported until asked for.
BUILT_IN = {"numpy": "autodiff_backends.numpy_:BACKEND", "numba": "autodiff_backends.numba_:BACKEND"}

_registered: dict[str, Backend | str] = {}
_loaded: dict[str, Backend] = {}


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
        raise ArgumentError(f"set_num_threads: {count!r} must be an integer of at least 1, or None")
    _threads = count


def register_backend(name: str, backend: Backend | str) -> None:
    """Make a backend known under a name, in place of any of that name.

    Parameters
    ----------
    name : str
        What ``Graph(backend=name)`` takes.
    backend : Backend or str
        The backend, or where to import it from when it is first asked for: ``"package.module:OBJECT"``.

    Raises
    ------
    BackendError
        If it is neither.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.register_backend("my_numpy", "autodiff_backends.numpy_:BACKEND")
    >>> ad.get_backend("my_numpy").name
    'numpy'
    """
    if not isinstance(name, str) or not name:
        raise BackendError(f"register_backend: the name {name!r} is no non-empty string")
    if not (isinstance(backend, Backend) or (isinstance(backend, str) and ":" in backend)):
        raise BackendError(
            f"register_backend({name!r}): {backend!r} is neither a backend (an object with name and compile) nor a "
            "string 'package.module:OBJECT'"
        )
    _registered[name] = backend
    _loaded.pop(name, None)


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


def get_backend(backend: str | Backend | None = None) -> Backend:
    """The backend of a name.

    Parameters
    ----------
    backend : str, Backend or None
        A name, a backend (returned as it is), or None for NumPy.

    Returns
    -------
    Backend
        Loaded when it is first asked for.

    Raises
    ------
    BackendError
        If the name is unknown (the message lists the known ones) or its package cannot be imported.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.get_backend("numpy").name
    'numpy'
    """
    name = "numpy" if backend is None else backend
    if not isinstance(name, str):
        if isinstance(name, Backend):
            return name
        raise BackendError(
            f"{name!r} is no backend; give one of the names {', '.join(backends())}, or a backend object"
        )
    found = _loaded.get(name)
    if found is None:
        found = _loaded[name] = _load(name)
    return found


def _load(name: str) -> Backend:
    where = _registered.get(name) or BUILT_IN.get(name) or _entry_points().get(name)
    if where is None:
        raise BackendError(f"unknown backend {name!r}; known backends: {', '.join(backends())}")
    if not isinstance(where, str):
        return where
    module, _, attribute = where.partition(":")
    try:
        found: Backend = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BackendError(f"backend {name!r} is known but cannot be loaded from {where!r}: {error}") from error
    return found
