"""The backends that are known, by name, and which of them an array is of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .backend import Backend
from .errors import BackendError, shown
from .importing import imported, importing
from .spelling import meant
from .tracebacks import boundary, hide

ENTRY_POINT_GROUP = "autodiff.backends"

# Built in: name -> where the backend object is. Looked up before entry points; nothing is imported until asked for.
BUILT_IN = {
    "array_api_strict": "autodiff_backends.array_api.backend:array_api_strict",
    "cupy": "autodiff_backends.cupy.backend:cupy",
    "dask": "autodiff_backends.dask.backend:dask",
    "default": "autodiff_backends.default.backend:BACKEND",
    "llvm": "autodiff_backends.llvm.backend:BACKEND",
    "numpy": "autodiff_backends.numpy.backend:BACKEND",
    "torch": "autodiff_backends.torch:torch",
}

# Names that were built in once -> what took their place.
FORMER = {"numba": "llvm"}

# What makes a backend of a namespace that is no known library's.
ANY_NAMESPACE = "autodiff_backends.array_api.backend:for_namespace"

# What Tensors say that their namespace is.
OURS = "autodiff.numpy"

# The package that a library's classes are from -> the backend. Other arrays say what their namespace is.
LIBRARIES = {"array_api_strict": "array_api_strict", "cupy": "cupy", "dask": "dask", "torch": "torch"}

_registered: dict[str, Backend | str] = {}
_loaded: dict[str, Backend] = {}
# Which backend owns the arrays of a class.
_owners: WeakKeyDictionary[type, Backend | None] = WeakKeyDictionary()


def _changed() -> None:
    """A backend came, which may own classes that nobody did. Threads that are still asking write into the old table."""
    global _owners  # noqa: PLW0603  (a table that was cleared would get what they find)
    _owners = WeakKeyDictionary()


@boundary
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
    _changed()


def _entry_points() -> dict[str, str]:
    with importing():
        # Imported when it is needed: it takes 17 ms, and most programs never ask for a backend that is not built in.
        points = imported("importlib.metadata").entry_points(group=ENTRY_POINT_GROUP)
        return {point.name: point.value for point in points}


@boundary
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
    try:
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
            _changed()
        return found if device is None else found.at(device)
    except Exception as error:
        hide(error)
        raise


Backend.find = get_backend


def computing(place: Backend | None) -> Backend:
    """The backend that computes what is on a place: the default one where nobody has said where that is."""
    return get_backend("default") if place is None else place


def _load(name: str) -> Backend:
    where = _registered.get(name) or BUILT_IN.get(name)
    if where is None and name in FORMER:
        now = FORMER[name]
        raise BackendError(
            f"backend {name!r} was replaced by {now!r}, which compiles the same programs: write backend={now!r} "
            f'(pip install "autodiff-numpy[{now}]")'
        )
    where = where or _entry_points().get(name)
    if where is None:
        known = backends()
        raise BackendError(f"unknown backend {name!r}; known backends: {', '.join(known)}{meant(name, known)}")
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
        return getattr(imported(module), attribute)


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
    name = "numpy" if words[0] == "numpy" or xp.__name__ == OURS else LIBRARIES.get(words[0])
    found: Backend = _imported(ANY_NAMESPACE, xp.__name__)(xp) if name is None else get_backend(name)
    return found


def backend_of(value: Any) -> Backend | None:
    """The backend on whose device an array is; None for NumPy's and for what is no array."""
    kind, owners = type(value), _owners
    try:
        owner = owners[kind]
    except KeyError:
        owner = owners[kind] = _owner(value)
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
        namespace = value.__array_namespace__()
        # A Tensor is no array of a library.
        return None if namespace.__name__ == OURS else _of_namespace(namespace)
    return None


def _working(names: list[str]) -> Iterator[Backend]:
    """The backends of these names but those that cannot be loaded: only who asks for one of them is told why."""
    for name in names:
        with suppress(BackendError):
            yield get_backend(name)
