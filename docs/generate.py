"""Write the pages that are made of others and of the library's tables: docs/functions.md, support.md, decisions.md.

Run as ``python -m docs.generate`` where every backend's library is installed. The functions and their rules come from
the tables that the code reads. Calls of them come from tests/conformance, whose table has rows for every function: each
is recorded, and the rules say whether a derivative passes.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import autodiff as ad
from autodiff import nodes, ops, rules
from autodiff.backend import FEATURES, Capabilities
from autodiff.core.primitives import PRIMITIVES, Primitive
from autodiff.differentiate import active_operations
from autodiff.dispatch import FUNCTIONS, UFUNC_METHODS, UFUNCS
from autodiff.numpy_api import answers
from autodiff.numpy_api.functions import RECORDING
from tests.conformance import checks
from tests.conformance.case import Case
from tests.conformance.table import CASES

from . import house, walks

DOCS = Path(__file__).parent
COMMAND = "python -m docs.generate"

# --- what a function is ----------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    """What is recorded in the calls of one function.

    Attributes
    ----------
    derivative : str
        "yes", "zero" (of a floating result that depends on no argument in a way that has another derivative), or
        "none" (the result is no floating array).
    parts : dict of Primitive to None
        The primitives of its results, in order.
    passed : dict of Primitive to None
        Those of them that a derivative passes through.
    needed : set of str
        The primitives that its values and gradients are executed with, as ``Capabilities.missing`` names them.
    """

    derivative: str = "none"
    parts: dict[Primitive, None] = field(default_factory=dict)
    passed: dict[Primitive, None] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)

    def add(self, case: Case) -> None:
        """What one call records."""
        inputs = checks.tensors(case, case.arrays())
        variables = [t.node for t in checks.variables(case, inputs)]
        outs = [x for x in checks.leaves(case(*inputs)) if isinstance(x, ad.Tensor)]
        graph = ad.Graph()
        for out in outs:
            history = nodes.history(out.node)
            self.parts |= dict.fromkeys([op.primitive for op in history if op.primitive is not None])
            if checks.floating(out):
                flows, _ = active_operations([out.node], variables)
                self.passed |= dict.fromkeys([op.primitive for op in flows])
                self.derivative = "yes" if flows or self.derivative == "yes" else "zero"
                if flows:
                    of = [t for t in inputs if t.node in variables]
                    history += nodes.history(*[g.node for g in graph.gradient(out, of, as_tensors=True)])
            self.needed |= executed({op.signature for op in history if op.inputs})

    @property
    def notes(self) -> str:
        """Where the formulas of its rules are from, and what they choose where there is no derivative."""
        sources = {p.name: rules.TABLE[p].source for p in self.passed if rules.TABLE[p].source}
        own = len(self.parts) == 1
        return "; ".join(source if own else f"`{name}`: {source}" for name, source in sources.items())


# As a backend says that it has a primitive for real numbers only.
OF_COMPLEX = " of complex numbers"


def executed(signatures: Iterable[Any]) -> set[str]:
    """The names of the primitives in these signatures, compositions taken apart."""
    found = set()
    for signature in signatures:
        if signature.primitive in ops.COMPOSITIONS:
            found |= composed_of(signature.written)
        else:
            found.add(signature.primitive.name)
            if any(aval.dtype.kind == "c" for aval in signature.inputs):
                found.add(signature.primitive.name + OF_COMPLEX)
    return found


@cache
def composed_of(signature: Any) -> set[str]:
    """The names of the primitives that a composition has."""
    inputs = [ad.Tensor(np.ones(aval.shape, aval.dtype)).node for aval in signature.inputs]
    out = ops.COMPOSITIONS[signature.primitive](*inputs, **signature.keywords)
    return executed({op.signature for op in nodes.history(out) if op.inputs})


@cache
def recorded() -> dict[Any, Recorded]:
    """All functions of the tables, with what is recorded for them."""
    found: dict[Any, Recorded] = {}
    # Some rows call a function by way of another, and record more than it does.
    direct = {case.function for case in CASES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ad.errors.IndependentWarning)
        for case in CASES:
            for function in case.covers:
                if not isinstance(function, str) and (case.function is function) == (function in direct):
                    found.setdefault(function, Recorded()).add(case)
    # Ufuncs of other libraries come into the table when they are called.
    return {function: found.get(function, Recorded()) for function in [*UFUNCS, *FUNCTIONS]}


def ufuncs() -> list[Any]:
    """Those functions that are ufuncs: elementwise ones before products of arrays."""
    return sorted([f for f in recorded() if isinstance(f, np.ufunc)], key=lambda ufunc: ufunc.signature is not None)


# --- what it is called -----------------------------------------------------------------------------------------------


def module_of(function: Any) -> str:
    """Where a NumPy function, or another library's ufunc, is imported from."""
    if not isinstance(function, np.ufunc):
        return str(function.__module__)
    card = PRIMITIVES.get(function.__name__)
    return card.module if card is not None and card.numpy_ufunc is function else "numpy"


def names(function: Any) -> list[str]:
    """What a function is called, its own name first and then others in the same module."""
    module = module_of(function)
    written = module.replace("numpy", "np", 1) if module.partition(".")[0] == "numpy" else module
    own = function.__name__
    others = [name for name, value in vars(importlib.import_module(module)).items() if value is function]
    return [f"`{written}.{name}`" for name in sorted(others, key=lambda name: (name != own, name))]


# --- docs/functions.md -----------------------------------------------------------------------------------------------


def table(*rows: Iterable[str]) -> str:
    """A table in Markdown, its heading first."""
    lines = ["| " + " | ".join([cell.replace("|", r"\|") for cell in row]) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(list(rows[0])), *lines[1:]])


def topic(functions: Iterable[Any]) -> str:
    """The functions of one topic."""
    rows = [("function", "derivative", "recorded as", "formula, or choice where there is none")]
    for function in functions:
        found = recorded()[function]
        parts = [p.name for p in found.parts]
        itself = parts == [function.__name__] and isinstance(function, np.ufunc)
        rows.append((
            " ".join(names(function)),
            found.derivative,
            "" if itself else " ".join(f"`{part}`" for part in parts),
            found.notes,
        ))  # fmt: skip
    return table(*rows)


def methods() -> str:
    """Which methods of ufuncs are recorded, found by calling them."""
    t = ad.Tensor(np.ones((2, 2)))
    calls: dict[str, Callable[[np.ufunc], Any]] = {
        "reduce": lambda ufunc: ufunc.reduce(t),
        "accumulate": lambda ufunc: ufunc.accumulate(t),
        "outer": lambda ufunc: ufunc.outer(t, t),
        "at": lambda ufunc: ufunc.at(t.copy(), [0], 1.0) if ufunc.nin == 2 else ufunc.at(t.copy(), [0]),
        "reduceat": lambda ufunc: ufunc.reduceat(t, [0]),
    }
    assert calls.keys() == UFUNC_METHODS.keys() - {"__call__"}
    rows = [("method", "recorded for")]
    for method, call in calls.items():
        those = [ufunc for ufunc in ufuncs() if answers_to(call, ufunc)]
        two = [ufunc for ufunc in ufuncs() if ufunc.nin == 2]
        rest = [ufunc for ufunc in two if ufunc not in those]
        if len(those) > len(rest):
            words = f"every ufunc of two arguments except {listed(rest)}"
        else:
            words = listed(those) or "none"
        rows.append((f"`ufunc.{method}`", words))
    return table(*rows)


def answers_to(call: Callable[[np.ufunc], Any], ufunc: np.ufunc) -> bool:
    """Whether a method of a ufunc is recorded, if not for these arguments."""
    try:
        call(ufunc)
    except Exception as error:  # NumPy itself refuses some methods, with errors of several classes
        return isinstance(error, ad.errors.AutodiffError) and not isinstance(error, ad.errors.UnsupportedError)
    return True


def listed(functions: Iterable[Any]) -> str:
    """The names of functions."""
    return " ".join(names(function)[0] for function in functions)


def attributes() -> str:
    """What a Tensor has, with what its docstrings say."""
    public = {name: inspect.getdoc(getattr(ad.Tensor, name)) or "" for name in dir(ad.Tensor) if name[0] != "_"}
    short = {name: doc.split("\n\n")[0].replace("\n", " ") for name, doc in public.items()}
    own = {name: doc for name, doc in short.items() if not doc.startswith("See `numpy.")}
    rest = " ".join(f"`{name}`" for name in short if name not in own)
    rows = [(f"`{name}`", doc) for name, doc in own.items()]
    return table(("attribute", ""), *rows) + f"\n\nAs an ndarray has them: {rest}"


def heading(module: Any) -> str:
    """The heading of a topic, and what its module says that it has."""
    name = module.__name__.rpartition(".")[2]
    return f"## {name.capitalize()}\n\n{(module.__doc__ or '').splitlines()[0]}"


FUNCTIONS_HEAD = f"""\
# What is recorded

<!-- Written by `{COMMAND}` from the tables of the library; change those instead. -->

These functions take Tensors and record. Every other NumPy function raises `UnsupportedError`, naming itself, when it is
given a Tensor: none falls back to object arrays or drops the gradient. [Semantics](semantics.md) says what they do with
their arguments, [CONTRIBUTING](../CONTRIBUTING.md#adding-a-numpy-function) how to add one.

| derivative | means |
|---|---|
| yes | it has derivatives of every order |
| zero | the result is floating and piecewise constant: its derivative is zero |
| none | the result is boolean or integer, a mask or an index; differentiating it is a `DifferentiationError` |

*Recorded as* names the primitives that a function is made of, where it is not one itself. Where a function has no
derivative at a point, the last column says which value is taken there; otherwise it names the source of the formula.
"""


def functions_page() -> str:
    """docs/functions.md."""
    parts = [FUNCTIONS_HEAD, "## Ufuncs\n", topic(ufuncs()), ""]
    parts += ["### Methods of ufuncs\n", methods(), ""]
    for module in RECORDING:
        parts += [heading(module) + "\n", topic(module.TABLE), ""]
    parts += [heading(answers) + "\n", "They record nothing.\n", listed(answers.TABLE), ""]
    parts += ["## Attributes and methods of a Tensor\n", attributes()]
    return "\n".join(parts) + "\n"


# --- docs/support.md -------------------------------------------------------------------------------------------------

# Column -> the package that a backend needs. CuPy's class declares what it can without a GPU.
COLUMNS = {
    "numpy": "numpy",
    "numba": "numba",
    "cupy": "numpy",
    "torch": "torch",
    "dask": "dask",
    "array_api_strict": "array_api_strict",
}

DTYPES = ["bool", *[f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]]
DTYPES += ["float16", "float32", "float64", "longdouble", "complex64", "complex128", "clongdouble"]

SUPPORT_HEAD = f"""\
# What each backend supports

<!-- Written by `{COMMAND}` from what backends declare (`Backend.capabilities`); change that instead. -->

A program that needs what is missing is an error that names the function and the backend, before anything runs. How to
use backends: [backends](backends.md).
"""


def capabilities(name: str) -> Capabilities | None:
    """What a backend declares; None if its library is not installed."""
    if importlib.util.find_spec(COLUMNS[name]) is None:
        return None
    if name == "cupy":
        declared: Capabilities = importlib.import_module("autodiff_backends.cupy.backend").CupyBackend.capabilities
        return declared
    return ad.get_backend(name).capabilities


def topics() -> dict[str, Iterable[Any]]:
    """The functions that record, by topic."""
    return {"Ufuncs": ufuncs(), **{heading(module).split("\n")[0][3:]: module.TABLE for module in RECORDING}}


def lacking(functions: Iterable[Any], missing: Mapping[str, str]) -> dict[str, list[str]]:
    """Those of these functions that need what is missing: what they are called, and why."""
    found = {}
    for function in functions:
        lacks = recorded()[function].needed & missing.keys()
        if lacks:
            suffix = OF_COMPLEX if all(name.endswith(OF_COMPLEX) for name in lacks) else ""
            found[names(function)[0] + suffix] = sorted({missing[name] for name in lacks})
    return found


def column(name: str) -> dict[str, str] | None:
    """The cells of a backend by what stands in the first column: dtypes, features and topics."""
    declared = capabilities(name)
    if declared is None:
        return None
    cells = {f"`{d}`": "yes" if np.dtype(d) in declared.dtypes else "-" for d in DTYPES}
    cells |= {feature: "yes" if feature in declared.features else "-" for feature in FEATURES}
    for title, functions in topics().items():
        without = lacking(functions, declared.missing)
        cells[title] = f"all but {', '.join(without)}" if without else "all"
    return cells


def reasons() -> str:
    """Why what is missing is."""
    lines = []
    for name in COLUMNS:
        declared = capabilities(name)
        assert declared is not None
        for functions in topics().values():
            lines += [f"- {name}, {f}: {'; '.join(why)}" for f, why in lacking(functions, declared.missing).items()]
    return "\n".join(lines) or "Nothing is."


def support_page() -> str:
    """docs/support.md; an error if a library is not installed."""
    columns = {name: cells for name in COLUMNS if (cells := column(name)) is not None}
    if absent := COLUMNS.keys() - columns.keys():
        raise SystemExit(f"the table has a column for each backend; install the libraries of {', '.join(absent)}")

    def part(first: str, rows: Iterable[str]) -> str:
        return table((first, *columns), *[(row, *[cells[row] for cells in columns.values()]) for row in rows])

    parts = [
        SUPPORT_HEAD,
        "## Functions\n",
        "Of the functions of each topic of [what is recorded](functions.md), with their derivatives.\n",
        part("topic", topics()) + "\n",
        "### Why something is missing\n",
        reasons() + "\n",
        "## dtypes\n",
        part("dtype", [f"`{d}`" for d in DTYPES]) + "\n",
        "On a device without float64 (some of PyTorch's, array-api-strict's `no_float64`) it is refused there.\n",
        "## Features\n",
        part("feature", FEATURES),
    ]
    return "\n".join(parts) + "\n"


# --- docs/decisions.md -----------------------------------------------------------------------------------------------

DECISIONS_HEAD = f"""\
# Decisions

<!-- Written by `{COMMAND}` from the headings of docs/decisions/; add a decision there, under a heading of its own. -->

What was decided by measurement, or against the obvious, with the figures. Times are medians on a shared machine of two
cores (Python 3.11, NumPy 2.4); ratios are what carries over. `python -m benchmarks` measures again.
"""


def decisions_page() -> str:
    """docs/decisions.md: an index of the pages in docs/decisions/."""
    parts = [DECISIONS_HEAD]
    for page in sorted((DOCS / "decisions").glob("*.md")):
        title, *headings = re.findall(r"^##? (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        links = [f"[{heading}](decisions/{page.name}#{anchor(heading)})" for heading in headings]
        parts.append(f"**[{title}](decisions/{page.name})**: {', '.join(links)}.\n")
    return "\n".join(parts)


def anchor(heading: str) -> str:
    """The anchor of a heading, as its readers' browsers know it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# --- docs/internals.md -----------------------------------------------------------------------------------------------


def internals_page() -> str:
    """docs/internals.md, whose walks are made of calls."""
    page = (DOCS / "internals.md").read_text(encoding="utf-8")
    begin, end = "<!-- walks: begin -->\n", "<!-- walks: end -->"
    return f"{page[: page.index(begin)]}{begin}\n{walks.text()}\n{page[page.index(end) :]}"


# --- writing ---------------------------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "decisions.md": decisions_page,
    "functions.md": functions_page,
    "house.md": house.page,
    "internals.md": internals_page,
    "pictures/house.svg": house.picture,
    "support.md": support_page,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (DOCS / page).write_text(write(), encoding="utf-8")
