"""The reference: a page for each public name, from ``__all__``; which names belong together is a row of ``TOPICS``.

A name that no row has appears by itself, beside those of its own module.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

import autodiff as ad
import autodiff.numpy

from .gallery import write as write_file

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TOPICS: dict[str, dict[str, Sequence[str]]] = {
    "autodiff": {
        "Recording and graphs": ["Tensor", "Graph", "CompiledGradient", "Explanation", "CacheInfo", "stop_gradient"],
        "First derivatives": ["grad", "value_and_grad", "vjp", "jvp", "linearize", "jacobian", "elementwise_grad",
                              "holomorphic_grad"],
        "Higher derivatives": ["hessian", "hvp", "vhp", "ggnvp", "nth_derivative", "sparsity"],
        "Compiling, batches and memory": ["function", "Function", "vmap", "checkpoint", "map_reduce"],
        "Loops and branches": ["scan", "fori_loop", "while_loop", "associative_scan", "cond", "switch"],
        "Solvers": ["root", "fixed_point", "minimize", "least_squares", "linear_solve", "odeint"],
        "Rules of your own": ["custom_vjp", "custom_jvp", "custom_batch", "primitive", "implements", "CustomVJP",
                              "CustomJVP", "CustomBatch", "Primitive", "ShapeDtype", "register_container"],
        "Nodes of a graph": ["Node", "Variable", "Constant", "Operation"],
        "Backends and settings": ["backends", "get_backend", "register_backend", "Backend", "set_num_threads",
                                  "set_buffer_limit"],
        "Finding faults": ["debug_nans", "AutodiffError", "DetachedWarning", "GrowthWarning", "IndependentWarning",
                           "RetraceWarning"],
    },
    "autodiff.solvers": {"Solvers": ["root", "fixed_point", "minimize", "least_squares", "linear_solve", "odeint"]},
    "autodiff.optim": {
        "Optimizers": ["Optimizer", "SGD", "RMSprop", "Adam", "AdamW"],
        "Learning rates": ["Constant", "StepDecay", "Exponential", "Linear", "Cosine"],
        "Clipping": ["clip_norm", "clip_value", "global_norm"],
    },
    "autodiff.testing": {"Checks": ["check_grads"]},
    "autodiff.sparse": {},
    "autodiff.errors": {},
}  # fmt: skip

# Names of one topic that are looked for in another.
RELATED = {
    "autodiff.function": ["autodiff.Graph.compile"],
    "autodiff.debug_nans": ["autodiff.testing.check_grads"],
    "autodiff.testing.check_grads": ["autodiff.debug_nans", "autodiff.grad", "autodiff.custom_vjp"],
    "autodiff.sparsity": ["autodiff.jacobian", "autodiff.hessian"],
    "autodiff.minimize": ["autodiff.hvp", "autodiff.hessian"],
}

CLASSES_ONLY = ("autodiff.errors", "autodiff.sparse")
"""Modules whose functions are for the library: they take nodes, or make messages."""

MOST = 8
"""How many names "See Also" has at most."""

TITLES = {
    "autodiff": "Transformations, Tensors and graphs",
    "autodiff.numpy": "NumPy that makes Tensors",
    "autodiff.optim": "Training",
    "autodiff.solvers": "Solvers with derivatives",
    "autodiff.sparse": "Sparse patterns",
    "autodiff.testing": "Tests of derivatives",
    "autodiff.errors": "Errors and warnings",
}


def names(module: ModuleType) -> list[str]:
    """The public names of a module that have pages, in its own order."""
    public = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    found = {name: getattr(module, name) for name in public}
    if module.__name__ in CLASSES_ONLY:
        return [name for name, value in found.items() if inspect.isclass(value) and _is_of(value, module)]
    return [name for name, value in found.items() if not inspect.ismodule(value)]


def _is_of(value: type, module: ModuleType) -> bool:
    return value.__module__.startswith(module.__name__)


def topics(module: ModuleType) -> dict[str, list[str]]:
    """The public names by topic, those that no row of the table has under what their own module is about."""
    there = names(module)
    rows = TOPICS[module.__name__]
    found = {title: [name for name in row if name in there] for title, row in rows.items()}
    if unknown := [name for row in rows.values() for name in row if name not in there]:
        raise LookupError(f"{module.__name__} has no {', '.join(unknown)}, which docs/site/reference.py lists")
    for name in there:
        if not any(name in row for row in found.values()):
            found.setdefault("More" if rows else "All", []).append(name)
    return found


def modules() -> dict[str, ModuleType]:
    """The modules that have names of their own."""
    return {name: importlib.import_module(name) for name in TOPICS}


# --- pages -----------------------------------------------------------------------------------------------------------


def write(docs: Path) -> None:
    """Write the pages from which the reference is made."""
    folder = docs / "api"
    folder.mkdir(exist_ok=True)
    write_file(folder / "numpy.rst", numpy_page())
    for name, module in modules().items():
        write_file(folder / f"{short(name)}.rst", module_page(name, topics(module), inspect.getdoc(module) or ""))


def short(module: str) -> str:
    """The name of a module's page."""
    return module.rpartition(".")[2]


def module_page(name: str, rows: Mapping[str, Sequence[str]], words: str) -> str:
    """The tables of a module's names, each row a link to a page."""
    title = f"``{name}``: {TITLES[name][0].lower()}{TITLES[name][1:]}".replace("tensors", "Tensors")
    first = words.partition("\n\n")[0].replace("\n", " ")
    parts = [title, "=" * len(title), "", "" if name == "autodiff.errors" else first, ""]
    if name == "autodiff.errors":
        parts += ["Every error that the library raises on purpose is one of these, and of a matching builtin.", ""]
    for topic, row in rows.items():
        if len(rows) > 1:
            parts += [topic, "-" * len(topic), ""]
        parts += [".. autosummary::", "   :toctree: names", "   :nosignatures:", ""]
        parts += [f"   {name}.{member}" for member in row]
        parts.append("")
    return "\n".join(parts)


def numpy_page() -> str:
    """What autodiff.numpy has of its own, and what is NumPy's own object."""
    own = sorted(name for name in autodiff.numpy.__all__ if getattr(autodiff.numpy, name) is not getattr(np, name))
    rest = sorted(set(autodiff.numpy.__all__) - set(own), key=str.lower)
    title = "``autodiff.numpy``: NumPy that makes Tensors"
    head, _, example = (inspect.getdoc(autodiff.numpy) or "").partition(">>> ")
    return "\n".join([
        title, "=" * len(title), "", head, f">>> {example}", "",
        f"Different from NumPy ({len(own)})", "-----------------------------", "",
        "These look for Tensors among their arguments and in lists, or make Tensors where derivatives are taken.", "",
        listed(own), "",
        f"NumPy's own ({len(rest)})", "-----------------------", "",
        "These are the same objects as in NumPy; :doc:`/functions` says which of them take Tensors.", "",
        listed(rest), "",
    ])  # fmt: skip


def listed(members: Sequence[str]) -> str:
    """Names of NumPy that lead to its documentation, where that is known."""
    return ", ".join(f":py:obj:`{member} <numpy.{member}>`" for member in members)


# --- See Also --------------------------------------------------------------------------------------------------------


def see_also(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Let a docstring that names no others name those of its topic."""
    if what not in ("function", "class", "exception", "data") or any(line.strip() == "See Also" for line in lines):
        return
    others = list(related(name))[:MOST]
    if others:
        section = ["", "See Also", "--------", *[f"{other} : {summary(other)}" for other in others], ""]
        lines[place(lines) : place(lines)] = section


def place(lines: Sequence[str]) -> int:
    """Where numpydoc wants "See Also": before notes, references and examples."""
    for i, (line, below) in enumerate(zip(lines, [*lines[1:], ""], strict=True)):
        if line.strip() in ("Notes", "References", "Examples") and set(below.strip()) == {"-"}:
            return i
    return len(lines)


def related(name: str) -> Iterator[str]:
    """The names to look at beside one."""
    yield from RELATED.get(name, ())
    module, _, member = name.rpartition(".")
    if module in TOPICS:
        for row in topics(modules()[module]).values():
            if member in row:
                around = sorted(row, key=lambda other: abs(row.index(other) - row.index(member)))
                yield from (f"{module}.{other}" for other in around if other != member)


def summary(name: str) -> str:
    """The first sentence of a docstring."""
    module, _, member = name.rpartition(".")
    owner = ad.Graph if module == "autodiff.Graph" else importlib.import_module(module)
    return (inspect.getdoc(getattr(owner, member)) or "").partition("\n\n")[0].replace("\n", " ")
