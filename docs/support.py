"""docs/support.md: what each backend supports, from what the backends declare."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.backend import FEATURES, Capabilities
from autodiff.numpy_api.functions import RECORDING

from .markdown import COMMAND, table
from .recorded import OF_COMPLEX, heading, names, recorded, ufuncs

# Column -> the package that a backend needs. CuPy's class declares what it can without a GPU.
COLUMNS = {
    "numpy": "numpy",
    "llvm": "llvmlite",
    "cupy": "numpy",
    "torch": "torch",
    "dask": "dask",
    "array_api_strict": "array_api_strict",
}

DTYPES = ["bool", *[f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]]
DTYPES += ["float16", "float32", "float64", "longdouble", "complex64", "complex128", "clongdouble"]

HEAD = f"""\
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


def page() -> str:
    """docs/support.md; an error if a library is not installed."""
    columns = {name: cells for name in COLUMNS if (cells := column(name)) is not None}
    if absent := COLUMNS.keys() - columns.keys():
        raise SystemExit(f"the table has a column for each backend; install the libraries of {', '.join(absent)}")

    def part(first: str, rows: Iterable[str]) -> str:
        return table((first, *columns), *[(row, *[cells[row] for cells in columns.values()]) for row in rows])

    parts = [
        HEAD,
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
