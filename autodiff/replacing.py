"""Attributes of other packages that are replaced as soon as these are imported, and put back when asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .importing import imported


class Replacements:
    """Stands before Python's own finders, lets them find modules, and has attributes of these replaced afterwards.

    Parameters
    ----------
    topics : mapping of str to str
        For each module the one whose ``register(module)`` replaces what there is to replace. It is imported then.
    """

    def __init__(self, topics: Mapping[str, str]):
        self.topics = topics
        # An owner, a name, and what it stood for.
        self._replaced: list[tuple[Any, str, Any]] = []

    @property
    def installed(self) -> bool:
        """Whether attributes are replaced, or will be."""
        return self in sys.meta_path

    def install(self) -> None:
        """Replace attributes of modules that are imported, and of those that will be."""
        if self.installed:
            return
        sys.meta_path.insert(0, self)
        for name in self.topics:
            module = sys.modules.get(name)
            if module is not None:
                self._register(module)

    def uninstall(self) -> None:
        """Put back what was replaced."""
        if self.installed:
            sys.meta_path.remove(self)
        self.put_back()

    def put_back(self) -> None:
        """Put back what was replaced so far."""
        while self._replaced:
            owner, name, original = self._replaced.pop()
            setattr(owner, name, original)

    def replace(self, owner: Any, name: str, by: Any) -> None:
        """Replace an attribute of a module or class."""
        self._replaced.append((owner, name, vars(owner)[name]))
        setattr(owner, name, by)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """What the finders behind this one find."""
        if name not in self.topics:
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
            if self.installed:
                self._register(module)

        # This loader is of this module alone; it keeps its class, which others ask for.
        loader.exec_module = exec_module

    def _register(self, module: ModuleType) -> None:
        imported(self.topics[module.__name__]).register(module)
