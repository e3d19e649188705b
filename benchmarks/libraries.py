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

from benchmarks.places import CPU, CUDA, Place

ROOT = Path(__file__).resolve().parent.parent

CPU_ONLY = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
"""Environment of a measuring process of which all contestants compute on the processor."""

SHARED_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""Environment of one of which all compute on the same GPU: JAX would take three quarters of its memory at once."""

GPU_CACHES = {"AUTODIFF_CACHE_DIR": "autodiff", "CUDA_CACHE_PATH": "cuda", "CUPY_CACHE_DIR": "cupy"}
"""Variables that say where compiled kernels are kept, and names of folders for them."""


def _nothing(_module: ModuleType) -> None:
    pass


def _prepare_jax(jax: ModuleType) -> None:
    """Allow float64, multiply float32 as float32, and start XLA so that its start-up is in nobody's first call."""
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.jit(lambda x: x + 1)(1.0).block_until_ready()


def _prepare_torch(torch: ModuleType) -> None:
    """Multiply float32 as float32, whatever the environment says."""
    torch.set_float32_matmul_precision("highest")


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
    "autodiff": Library("autodiff", "autodiff-numpy"),
    "jax": Library("jax", "jax", _prepare_jax),
    "torch": Library("torch", "torch", _prepare_torch),
    "autograd": Library("autograd", "autograd"),
    "mygrad": Library("mygrad", "mygrad"),
    "cupy": Library("cupy", "cupy-cuda13x"),
    "numpy": Library("numpy", "numpy"),
    "python": Library("builtins", ""),
}


def measuring_environment(scratch: Path, place: Place = CPU) -> dict[str, str]:
    """Environment variables for a measuring process, whose compilers find nothing that an earlier run left."""
    changes = {"TORCHINDUCTOR_CACHE_DIR": str(scratch / "torch")}
    if place is CUDA:
        changes |= SHARED_GPU | {name: str(scratch / folder) for name, folder in GPU_CACHES.items()}
    else:
        changes |= CPU_ONLY
    return {**os.environ, **changes}
