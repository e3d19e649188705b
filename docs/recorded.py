"""What each function records: found by calling it.

Functions and rules come from the tables that the code reads. Calls come from tests/conformance, whose table has rows
for every function: each is recorded, and the rules say whether a derivative passes.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

import autodiff as ad
from autodiff import nodes, ops, rules
from autodiff.backend import OF_COMPLEX
from autodiff.core.primitives import PRIMITIVES, Primitive
from autodiff.differentiate import active_operations
from autodiff.dispatch import FUNCTIONS, UFUNCS
from tests.conformance import checks
from tests.conformance.case import Case
from tests.conformance.table import CASES


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


def listed(functions: Iterable[Any]) -> str:
    """The names of functions."""
    return " ".join(names(function)[0] for function in functions)


def heading(module: Any) -> str:
    """The heading of a topic, and what its module says that it has."""
    name = module.__name__.rpartition(".")[2]
    return f"## {name.capitalize()}\n\n{(module.__doc__ or '').splitlines()[0]}"
