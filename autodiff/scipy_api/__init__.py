"""SciPy's functions on Tensors. SciPy asks no operand what to do, as NumPy does; so its names get handlers here.

When a module of SciPy is imported, its public functions that have a handler are replaced by ones that look for a Tensor
among their arguments, and call SciPy's own function if there is none. `uninstall` puts SciPy's own back.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .replacing import restore

# Modules of SciPy, and where their handlers are.
TOPICS = {
    "scipy.fft": "fft",
    "scipy.linalg": "linalg",
    "scipy.special": "special",
    "scipy.stats": "stats",
}


class _Finder:
    """Stands before Python's own finders, lets them find modules of SciPy, and has handlers registered afterwards."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in TOPICS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                self._register_after(spec)
                return spec
        return None

    def _register_after(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                _register(module)

        # This loader is of this module alone; it keeps its class, which others ask for.
        loader.exec_module = exec_module


_finder = _Finder()


def _register(module: ModuleType) -> None:
    import_module(f"{__name__}.{TOPICS[module.__name__]}").register(module)


def install() -> None:
    """Let SciPy's functions take Tensors: those of modules that are imported, and of those that will be."""
    if _finder in sys.meta_path:
        return
    sys.meta_path.insert(0, _finder)
    for name in TOPICS:
        module = sys.modules.get(name)
        if module is not None:
            _register(module)


def uninstall() -> None:
    """Put SciPy's own functions back."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    restore()
