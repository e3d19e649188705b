"""Ways to compile that not every machine has: our further backends, and ``torch.compile``."""

from __future__ import annotations

import importlib
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from benchmarks.workload import UnavailableError

DEFAULT = ""
"""In place of a backend's name: what a user has who chooses nothing."""

NUMPY = "numpy"

COMPILE_SECONDS = 60.0
"""What ``torch.compile`` is given at most: it takes forever for some loops that it unrolls."""

_compile_seconds = COMPILE_SECONDS


def give_compilers(seconds: float) -> None:
    """Have ``torch.compile`` give up after that time."""
    global _compile_seconds  # noqa: PLW0603  (each measuring process has one budget)
    _compile_seconds = min(seconds, COMPILE_SECONDS)


def graph_on(ad: ModuleType, backend: str = DEFAULT, device: str | None = None) -> Any:
    """An empty graph on that backend, with empty caches."""
    graph = ad.Graph() if backend == DEFAULT else ad.Graph(backend=loaded(ad, backend, device))
    graph.clear_cache()
    return graph


def function_on(ad: ModuleType, function: Callable[..., Any], backend: str = DEFAULT, device: str | None = None) -> Any:
    """A function that is traced once and replayed on that backend, with empty caches."""
    ad.Graph().clear_cache()
    if backend == DEFAULT:
        return ad.function(function)
    return ad.function(function, backend=loaded(ad, backend, device))


def loaded(ad: ModuleType, backend: str, device: str | None = None) -> Any:
    """The backend of that name, if it can be had here."""
    if backend == DEFAULT:
        return ad.get_backend()
    if backend not in ad.backends():
        raise UnavailableError(f"there is no backend {backend!r}")
    try:
        return ad.get_backend(backend, device)
    except ad.errors.BackendError as error:
        raise UnavailableError(str(error)) from error


def finish_compiling(ad: ModuleType) -> None:
    """Wait for the plans that are made in the background."""
    importlib.import_module(f"{ad.__name__}.background").wait()


def torch_compile(torch: ModuleType, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under ``torch.compile``, for fixed shapes; what PyTorch cannot compile is no failure of ours."""
    if not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        raise UnavailableError("torch.compile needs a C++ compiler")
    torch.compiler.reset()
    compiled = torch.compile(function, dynamic=False)
    warm = False

    def call(*arguments: Any) -> Any:
        nonlocal warm
        if warm:
            return compiled(*arguments)
        try:
            with _time_limit(_compile_seconds):
                result = compiled(*arguments)
        except Exception as error:
            raise UnavailableError(f"torch.compile: {type(error).__name__}: {error}") from error
        warm = True
        return result

    return call


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in the block after that time, where the system has timers."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"not compiled after {seconds:.0f} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, in case it is swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
