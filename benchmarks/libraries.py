"""The libraries that may take part: how each is found, imported, configured and asked for its version."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent

CPU_ONLY = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
"""Environment of every measuring process: all contestants compute on the same processor."""


def _nothing(_module: ModuleType) -> None:
    pass


def _prepare_jax(jax: ModuleType) -> None:
    """Allow float64, and start XLA so that its start-up is in nobody's first call."""
    jax.config.update("jax_enable_x64", True)
    jax.jit(lambda x: x + 1)(1.0).block_until_ready()


@dataclass(frozen=True, slots=True)
class Library:
    """A library under test.

    Parameters
    ----------
    module : str
        What to import.
    distribution : str
        What to ask the version of; empty for the standard library.
    prepare : callable, optional
        Configures the imported module, once per process.
    """

    module: str
    distribution: str
    prepare: Callable[[ModuleType], None] = _nothing

    @property
    def installed(self) -> bool:
        """Whether the module can be found; a folder without ``__init__.py`` does not count."""
        spec = importlib.util.find_spec(self.module)
        return spec is not None and spec.origin is not None

    def load(self) -> ModuleType:
        """Import and configure the module."""
        module = importlib.import_module(self.module)
        self.prepare(module)
        return module

    @property
    def version(self) -> str:
        """Version of the installed distribution, or a word for why there is none."""
        if not self.installed:
            return "missing"
        if not self.distribution:
            return "standard library"
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return "not installed, run from its sources"


LIBRARIES: Mapping[str, Library] = {
    "autodiff": Library("autodiff", "autodiff"),
    "jax": Library("jax", "jax", _prepare_jax),
    "torch": Library("torch", "torch"),
    "autograd": Library("autograd", "autograd"),
    "mygrad": Library("mygrad", "mygrad"),
    "numpy": Library("numpy", "numpy"),
    "python": Library("builtins", ""),
}


def measuring_environment(scratch: Path) -> dict[str, str]:
    """Environment variables for a measuring process, whose compilers find nothing that an earlier run left."""
    return {**os.environ, **CPU_ONLY, "TORCHINDUCTOR_CACHE_DIR": str(scratch / "torch")}
