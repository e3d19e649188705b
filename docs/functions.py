"""docs/functions.md: every function that takes Tensors, by topic, and what a Tensor has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.dispatch import UFUNC_METHODS
from autodiff.numpy_api import answers
from autodiff.numpy_api.functions import RECORDING
from autodiff.scipy_api import fft, linalg, special, stats
from autodiff.scipy_api.distributions import CONTINUOUS, DISCRETE, MOMENTS
from autodiff.scipy_api.multivariate import RECORDED

from . import states
from .markdown import COMMAND, table
from .recorded import heading, listed, names, recorded, ufuncs

# Whose functions are recorded by name.
SCIPYS = {"special": special, "linalg": linalg}


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


def scipys() -> str:
    """Functions of SciPy that are no ufuncs, and why others are not recorded."""
    rows = [("module", "recorded"), *[(f"`scipy.{m}`", _words(topic.TABLE)) for m, topic in SCIPYS.items()]]
    rows.append(("`scipy.fft`", _words((*fft.TRANSFORMS, *fft.TABLE))))
    for kind, rest in ((CONTINUOUS, stats.QUANTILES), (DISCRETE, ())):
        methods = f"densities, {' '.join(stats.PROBABILITIES)} {' '.join(rest)}".strip()
        rows.append((f"`scipy.stats`: {methods}, where SciPy has formulas", _words(kind)))
    rows += [(f"`scipy.stats.{name}`", _words(methods)) for name, methods in RECORDED.items()]
    rows.append(("`scipy.stats`: mean var std", _words(MOMENTS)))
    reasons: dict[str, list[str]] = {}
    for module, topic in SCIPYS.items():
        for name, reason in topic.UNRECORDED.items():
            reasons.setdefault(reason, []).append(f"`{module}.{name}`")
    refused = [("not recorded", "why"), *[(" ".join(those), reason) for reason, those in reasons.items()]]
    return f"{table(*rows)}\n\n{table(*refused)}"


def _words(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def attributes() -> str:
    """What a Tensor has, with what its docstrings say."""
    public = {name: inspect.getdoc(getattr(ad.Tensor, name)) or "" for name in dir(ad.Tensor) if name[0] != "_"}
    short = {name: doc.split("\n\n")[0].replace("\n", " ") for name, doc in public.items()}
    own = {name: doc for name, doc in short.items() if not doc.startswith("See `numpy.")}
    rest = " ".join(f"`{name}`" for name in short if name not in own)
    rows = [(f"`{name}`", doc) for name, doc in own.items()]
    return table(("attribute", ""), *rows) + f"\n\nAs an ndarray has them: {rest}"


HEAD = f"""\
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


def page() -> str:
    """docs/functions.md."""
    parts = [HEAD, "## Ufuncs\n", topic(ufuncs()), ""]
    parts += ["### Methods of ufuncs\n", methods(), ""]
    for module in RECORDING:
        parts += [heading(module) + "\n", topic(module.TABLE), ""]
    parts += ["## Functions of SciPy\n", "[How](semantics.md#functions-of-scipy) they take Tensors.\n", scipys(), ""]
    parts += [heading(answers) + "\n", "They record nothing.\n", listed(answers.TABLE), ""]
    parts += ["## Attributes and methods of a Tensor\n", attributes(), "", states.section()]
    return "\n".join(parts) + "\n"
