"""The import graph of the library, read from its sources: type-only imports and imports inside functions count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import autodiff
import autodiff_backends

PACKAGES = {"autodiff": Path(autodiff.__file__).parent, "autodiff_backends": Path(autodiff_backends.__file__).parent}

Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """The library's modules by name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(module: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the library that one imports, wherever in it."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield from [name] if name in known else [source] if source in known else []
        elif isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names if alias.name in known]


def import_graph() -> Graph:
    """Each module with those that it imports."""
    known = modules()
    return {module: set(imported(module, path, known)) - {module} for module, path in known.items()}


def circles(graph: Graph) -> list[str]:
    """What is left when modules that import nothing of the rest are taken away again and again."""
    rest = dict(graph)
    while True:
        free = [module for module, others in rest.items() if not others & rest.keys()]
        if not free:
            return sorted(rest)
        for module in free:
            del rest[module]
