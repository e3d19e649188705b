"""Files of parameters, each array under its name: ``.npz``, as NumPy reads and writes it, or ``.safetensors``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from ..containers import LEAF, Structure, flatten, leaf_names, parts_of, step_names, unflatten
from ..convert import as_array, describe
from ..errors import ArgumentError, AutodiffError, BackendError, DTypeError
from ..importing import imported
from ..places import bring, home_of
from ..registry import backend_of, get_backend
from ..tensor import Tensor
from ..tracebacks import boundary
from . import checkpoint
from .averages import assign_all

SAFETENSORS = ".safetensors"


@boundary
def save(path: str | Path, parameters: Any) -> None:
    """Write arrays to a file, each under a name.

    Parameters
    ----------
    path : str or Path
        Where to. One that ends in ``.safetensors`` is written in that format, by the package of this name; any other in
        NumPy's ``.npz``. A file that is there stays as it was until the new one is complete.
    parameters : dict of array or Tensor
        Or nested dicts, lists and tuples. Names are keys with dots between: ``{"layer": {"bias": b}}`` has
        ``layer.bias``, and a list has numbers.

    Raises
    ------
    ArgumentError
        If it is no container, two arrays would have one name, or something is no array.
    BackendError
        If the package ``safetensors`` is needed and not installed.
    DTypeError
        If the format has no such numbers.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np, tempfile, pathlib
    >>> network = {"hidden": {"weights": ad.Tensor(np.ones((2, 3)))}, "scale": ad.Tensor(2.0)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "network.npz"
    ...     ad.optim.save(path, network)
    ...     sorted(np.load(path))
    ['hidden.weights', 'scale']
    """
    leaves, names, _ = _named(parameters, "save")
    arrays = {name: _on_host(x, f"save: {name}") for name, x in zip(names, leaves, strict=True)}
    file = checkpoint.file_path(path, "save")
    if file.suffix != SAFETENSORS:
        checkpoint.write(file, arrays)
        return
    try:
        content = _safetensors().save({name: np.asarray(x, order="C") for name, x in arrays.items()})
    except Exception as error:
        if isinstance(error, AutodiffError):
            raise
        found = ", ".join(sorted({str(x.dtype) for x in arrays.values()}))
        raise DTypeError(
            f"save: the format of safetensors does not take these arrays, of dtypes {found} "
            f"({type(error).__name__}: {error}); write a file .npz"
        ) from None
    checkpoint.write_bytes(file, content)


@boundary
def load(path: str | Path, parameters: Any = None) -> Any:
    """Read the arrays of a file, if asked for into parameters.

    Parameters
    ----------
    path : str or Path
        Of a file that ``save`` wrote, or NumPy's ``savez``, or any library that writes ``.safetensors``.
    parameters : dict of array or Tensor, optional
        Where the arrays belong, as ``save`` takes it: names, shapes and dtypes must be those of the file.

    Returns
    -------
    dict
        Arrays by name, if ``parameters`` is not given. Otherwise a container of its structure: Tensors are the same and
        have a new value, all of them or none, and arrays are new ones.

    Raises
    ------
    ArgumentError
        If it is no such file, or has arrays of other names; nothing is changed then.
    ShapeError
        If an array has another shape or dtype.
    BackendError
        If the package ``safetensors`` is needed and not installed.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "network.npz"
    ...     ad.optim.save(path, {"w": np.ones(2)})
    ...     network = ad.optim.load(path, {"w": ad.Tensor([0.0, 0.0])})
    ...     ad.optim.load(path), network
    ({'w': array([1., 1.])}, {'w': Tensor([1., 1.])})
    """
    file = checkpoint.file_path(path, "load")
    what = f"load: {file}"
    if parameters is None:
        return _safe_content(file, what) if file.suffix == SAFETENSORS else _content(file, what)
    leaves, names, structure = _named(parameters, "load")
    # Tensors and arrays of libraries; numbers and lists are taken as NumPy takes them.
    leaves = [x if isinstance(x, Tensor) or backend_of(x) is not None else as_array(x, copy=None) for x in leaves]
    values = [x.value if isinstance(x, Tensor) else x for x in leaves]
    expected = {name: home_of(x).aval_of(x) for name, x in zip(names, values, strict=True)}
    if file.suffix == SAFETENSORS:
        found = checkpoint.check_arrays(_safe_content(file, what), expected, what)
    else:
        found = checkpoint.read_arrays(file, expected)
    arrays = [bring(found[name], home_of(x)) for name, x in zip(names, values, strict=True)]
    tensors = [(x, array) for x, array in zip(leaves, arrays, strict=True) if isinstance(x, Tensor)]
    if tensors:
        assign_all(*zip(*tensors, strict=True))
    both = zip(leaves, arrays, strict=True)
    return unflatten(structure, iter([x if isinstance(x, Tensor) else array for x, array in both]))


def _named(parameters: Any, what: str) -> tuple[list[Any], list[str], Structure]:
    """The leaves, their names with dots, and the structure they stand in."""
    leaves, structure = flatten(parameters)
    if structure is LEAF:
        raise ArgumentError(f"{what}: parameters must be a dict of arrays, not {describe(parameters)}")
    names = _dotted(parameters)
    paths: dict[str, str] = {}
    for name, place in zip(names, leaf_names(structure), strict=True):
        if name in paths:
            raise ArgumentError(
                f"{what}: parameters{paths[name]} and parameters{place} would both be called {name!r}; give the "
                "dict other keys"
            )
        paths[name] = place
    return leaves, names, structure


def _dotted(value: Any) -> list[str]:
    names = []
    _, structure = flatten(value)
    for step, part in zip(_keys(value, structure), parts_of(value)[1], strict=True):
        inner = flatten(part)[1]
        names += [step] if inner is LEAF else [f"{step}.{name}" for name in _dotted(part)]
    return names


def _keys(value: Any, structure: Structure) -> list[str]:
    """The keys of a container as text."""
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    return [name.strip(".[]") for name in step_names(structure)]


def _on_host(x: Any, what: str) -> np.ndarray[Any, Any]:
    """An array of NumPy's."""
    value = x.value if isinstance(x, Tensor) else x
    if backend_of(value) is not None:
        value = bring(value, get_backend())
    try:
        return as_array(value, copy=None)
    except AutodiffError as error:
        error.within(what)
        raise


def _content(file: Path, what: str) -> dict[str, Any]:
    """All arrays of a file of NumPy's."""
    with checkpoint.patiently(lambda: file.open("rb")) as opened:
        try:
            with np.load(opened, allow_pickle=False) as archive:
                return {unquote(name, errors="surrogatepass"): archive[name] for name in archive}
        except Exception as error:
            # A single array, which is no context, is no such file either.
            raise ArgumentError(f"{what} is no file .npz of arrays, or it is damaged ({error})") from error


def _safe_content(file: Path, what: str) -> dict[str, Any]:
    """All arrays of a file of safetensors."""
    library = _safetensors()
    with file.open("rb"):
        pass  # an error of the system, if it is not there
    try:
        found: dict[str, Any] = library.load_file(file)
    except Exception as error:
        raise ArgumentError(
            f"{what} is no file of safetensors that NumPy can hold, or it is damaged ({error})"
        ) from error
    return found


def _safetensors() -> Any:
    try:
        return imported("safetensors.numpy")
    except ImportError:
        raise BackendError(
            "files .safetensors need the package safetensors (pip install 'autodiff-numpy[safetensors]'); .npz needs "
            "none"
        ) from None
