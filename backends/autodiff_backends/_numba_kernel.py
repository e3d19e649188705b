"""Kernels: source compiled by Numba, kept on disk, called with the arrays of a plan."""

from __future__ import annotations

import hashlib
import operator
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from ._kernel_files import cache_folder, write_whole
from ._loops_expressions import VECTORISED


def two_sum(total: float, lost: float, term: float) -> tuple[float, float]:
    """``total + term``, and ``lost`` with what its rounding loses (Knuth)."""
    new = total + term
    part = new - total
    return new, lost + ((total - (new - part)) + (term - part))


def with_lost(total: float, lost: float) -> float:
    """The sum with what its additions have lost, which is not a number if the sum has left the range."""
    return total + lost if lost - lost == 0.0 else total


# What stands for the functions that kernels call, where Python runs a kernel's source.
PLAIN_FUNCTIONS = SimpleNamespace(
    add=operator.add,
    two_sum=two_sum,
    with_lost=with_lost,
    is_far=lambda x: int(abs(x) > 65536),
    tanh_slope=lambda x: 4 * np.exp(-2 * abs(x)) / np.square(1 + np.exp(-2 * abs(x))),
    **{name: getattr(np, name) for name in VECTORISED},
)

_compiled: dict[tuple[str, str], Callable[..., None]] = {}
_lock = threading.Lock()


def load(source: str, types: Sequence[tuple[np.dtype[Any], int | None, bool]]) -> Callable[..., None]:
    """The function ``kernel`` of a source, compiled for its parameters.

    Parameters
    ----------
    source : str
    types : sequence of (numpy.dtype, int or None, bool)
        For each parameter after the table its dtype, its number of axes (None for a Python number), and whether
        it is written to.
    """
    import numba  # noqa: PLC0415  (takes most of a second)

    table = numba.types.Array(numba.types.uint32, 1, "C", readonly=True)
    parameters = []
    for dtype, ndim, written in types:
        scalar = numba.from_dtype(dtype)
        parameters.append(scalar if ndim is None else numba.types.Array(scalar, ndim, "C", readonly=not written))
    signature = numba.types.void(table, *parameters)
    key = (source, str(signature))
    if numba.config.DISABLE_JIT:
        # Numba's switch for looking into generated code: the same source, run by Python, with Python's integers.
        kernel = _plain_function(source)
        kernel.__globals__["fn"] = PLAIN_FUNCTIONS
        return lambda table, *arrays: kernel(table.tolist(), *arrays)
    found = _compiled.get(key)
    if found is None:
        with _lock:
            found = _compiled.get(key)
            if found is None:
                found = _compiled[key] = _compile(source, signature)
    return found


def _compile(source: str, signature: Any) -> Callable[..., None]:
    import numba  # noqa: PLC0415

    options = {"nogil": True, "error_model": "numpy"}
    folder = cache_folder()
    if folder is not None:
        try:
            module = _on_disk(source, folder)
            return numba.njit(signature, cache=True, **options)(module.kernel)  # type: ignore[no-any-return]
        except Exception:
            # A folder that cannot be written to, damaged files (Numba unpickles them): compile for this process only,
            # which says what is wrong if it is something else.
            pass
    return numba.njit(signature, **options)(_plain_function(source))  # type: ignore[no-any-return]


def _plain_function(source: str) -> FunctionType:
    """The source's function as it is."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<autodiff kernel>", "exec"), namespace)
    return namespace["kernel"]  # type: ignore[no-any-return]


def _on_disk(source: str, folder: Path) -> ModuleType:
    """The source as a module in a file named after its contents, beside which Numba keeps the machine code.

    The functions that it calls are compiled into it, so they are part of the name.
    """
    called = Path(__file__).with_name("_numba_functions.py").read_bytes()
    name = "kernel_" + hashlib.sha256(called + source.encode()).hexdigest()[:32]
    path = folder / f"{name}.py"
    try:
        known = path.read_text(encoding="utf-8") == source
    except (OSError, ValueError):
        known = False
    if not known:
        write_whole(path, source.encode())
    module = ModuleType(name)
    # Machine code from disk finds its globals through the module's name.
    sys.modules[name] = module
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module
