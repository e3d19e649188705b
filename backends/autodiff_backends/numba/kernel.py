"""Kernels: source compiled by Numba, kept on disk, called with the arrays of a plan."""

from __future__ import annotations

import operator
import os
import pickle
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import RLock
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from autodiff.whole import sheltered

from ..loops.files import cache_folder, keep_kernel, kernel_name, read_kernel
from .expressions import VECTORISED


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


class Entered(Exception):
    """Numba is in the middle of something, and is not to be asked now: by a signal handler or a finalizer that came
    into it, or at all in the child of a fork that did."""


# By process: in the child of a fork, nobody would open the lock of its parent. (Nor those that Numba has then.)
_alone: defaultdict[int, Any] = defaultdict(RLock)
_inside: list[None] = []


@contextmanager
def numba_alone() -> Iterator[None]:
    """In the block, Numba may be imported and may compile: in one thread at a time."""
    with _alone[os.getpid()]:
        if _inside:
            raise Entered
        _inside.append(None)
        try:
            yield
        finally:
            _inside.clear()


# Numba gives back nothing of what a kernel took, dropped or not. Measured: 0.9 MB for one of three lines, 3 MB for
# 2.7 kB of source, 7 to 80 MB for 70 kB, 30 kB for one from disk. So there are only so many in a process.
MOST_BYTES = 1 << 30
BYTES_COMPILED, BYTES_FOR_EACH, BYTES_LOADED = 900_000, 800, 30_000

_bytes_taken = 0


class Exhausted(Exception):
    """There are as many kernels as a process may have."""


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
        # An interrupt would leave Numba's own lock held, so that no other thread compiled any more.
        found = sheltered(partial(_made, key, signature))
    return found


def _made(key: tuple[str, str], signature: Any) -> Callable[..., None]:
    with numba_alone():
        found = _compiled.get(key)
        if found is None:
            if _bytes_taken > MOST_BYTES:
                raise Exhausted(f"the kernels of this process have taken {_bytes_taken >> 20} MiB by now")
            found = _compiled[key] = _compile(key[0], signature)
    return found


def _compile(source: str, signature: Any) -> Callable[..., None]:
    import numba  # noqa: PLC0415

    global _bytes_taken  # noqa: PLW0603  (what Numba keeps is the process's, and so is the count)
    file = KernelFile(source)
    # Machine code from disk finds its globals through the module of this name, until it is loaded.
    name = kernel_name("kernel", source.encode(), "")
    module = ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(source, "<autodiff kernel>", "exec"), module.__dict__)
        dispatcher = numba.njit(nogil=True, error_model="numpy")(module.kernel)
        if cache_folder() is not None:
            try:
                dispatcher._cache = file
                dispatcher.compile(signature)
            except Exception:
                # Files are not worth an error: without them it is said what is wrong, if it is something else.
                dispatcher = numba.njit(nogil=True, error_model="numpy")(module.kernel)
        dispatcher.compile(signature)
        dispatcher.disable_compile()
    finally:
        sys.modules.pop(name, None)
        _bytes_taken += BYTES_LOADED if file.loaded else BYTES_COMPILED + BYTES_FOR_EACH * len(source)
    return dispatcher  # type: ignore[no-any-return]


class KernelFile:
    """Keeps a kernel's machine code in a file of ours: what Numba's dispatchers call in place of its own files.

    Those hold no checksums, and Numba runs what it finds in them. The methods are those of Numba's own
    ``numba.core.caching._Cache``.

    Parameters
    ----------
    source : str
        Of the kernel.

    Attributes
    ----------
    loaded : bool
        Whether there was a file, and it was right.
    """

    def __init__(self, source: str):
        self._source = source
        self.loaded = False

    cache_path = None

    def enable(self) -> None:
        """It is always enabled."""

    def disable(self) -> None:
        """It is always enabled."""

    def flush(self) -> None:
        """A file is replaced as a whole when it is written again."""

    def _file(self, signature: Any, codegen: Any) -> tuple[str, bytes]:
        """The file for a signature, and all that the machine code in it depends on."""
        import numba  # noqa: PLC0415

        # The functions that kernels call are compiled into them.
        called = Path(__file__).with_name("functions.py").read_bytes()
        versions = (sys.version, numba.__version__, np.__version__, codegen.magic_tuple())
        about = repr((versions, str(signature), self._source)).encode() + called
        return kernel_name("kernel", about, ".numba"), about

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled function from disk; None if it is not there."""
        from numba.core.compiler import CompileResult  # noqa: PLC0415

        context.refresh()
        kept = read_kernel(*self._file(signature, context.codegen()))
        if kept is None:
            return None
        try:
            found = CompileResult._rebuild(context, *pickle.loads(kept))
        except Exception:
            # Of the same versions, but not made by the same Numba: compiled and written anew.
            return None
        self.loaded = True
        return found

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep a compiled function, unless it refers to this process."""
        from numba.core.serialize import dumps  # noqa: PLC0415

        if compiled.library.has_dynamic_globals or compiled.lifted:
            return
        keep_kernel(*self._file(signature, compiled.codegen), dumps(compiled._reduce()))


def _plain_function(source: str) -> FunctionType:
    """The source's function as it is."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "<autodiff kernel>", "exec"), namespace)
    return namespace["kernel"]  # type: ignore[no-any-return]
