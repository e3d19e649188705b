"""What CuPy has: its functions and what each takes, in a table that was written where CuPy is installed.

``python -m tests.backends.cupy_names`` writes it there, which needs CUDA's libraries and no GPU.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

TABLE = Path(__file__).with_name("cupy_names.txt")
MODULES = ("cupy", "cupy.linalg", "cupy.fft", "cupyx.scipy.special", "cupyx.scipy.linalg")
# CuPy has loops of it where ml_dtypes is installed.
BFLOAT16 = "E"
# Where the others are imported by themselves.
SUBMODULES = ("linalg", "fft")


class Entry(NamedTuple):
    """What is known of a name.

    Parameters
    ----------
    signature : inspect.Signature or None
        What a function is called with; None for a class or a constant.
    loops : tuple of str
        Of a ufunc the dtypes that it takes and gives: ``"dd->d"``.
    """

    signature: inspect.Signature | None = None
    loops: tuple[str, ...] = ()


def read() -> dict[str, Entry]:
    """The entries by the full names."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return dict(_parsed(line) for line in lines if not line.startswith("#"))


def _parsed(line: str) -> tuple[str, Entry]:
    name, _, rest = line.partition(" ")
    if "->" in rest:
        loops = tuple(rest.split())
        inputs = ", ".join(f"x{i}" for i in range(loops[0].index("->")))
        outputs = ", ".join(f"out{i}=0" for i in range(len(loops[0].partition("->")[2])))
        return name, Entry(_signature(f"{inputs}, {outputs}, /, *, out=0, dtype=0, casting=0"), loops)
    return name, Entry(_signature(rest[1:-1])) if rest else Entry()


def _signature(parameters: str) -> inspect.Signature:
    return inspect.signature(eval(f"lambda {parameters}: None"))


def written() -> str:
    """The table for the CuPy that is installed."""
    version = import_module("cupy").__version__
    lines = [line for module in MODULES for line in _lines(import_module(module))]
    return "\n".join([f"# CuPy {version}, as `python -m tests.backends.cupy_names` found it.", *lines, ""])


def _lines(module: ModuleType) -> Iterator[str]:
    ufunc = import_module("cupy").ufunc
    for name in sorted(dir(module)):
        value = getattr(module, name)
        if name.startswith("_") or (isinstance(value, ModuleType) and name not in SUBMODULES):
            continue
        full = f"{module.__name__}.{name}"
        # (Matrix products are no elementwise loops.)
        if isinstance(value, ufunc):
            yield f"{full} {' '.join(loop for loop in value.types if BFLOAT16 not in loop)}"
        elif callable(value) and not isinstance(value, type):
            yield f"{full} ({_parameters(value)})"
        else:
            yield full


def _parameters(function: Any) -> str:
    """The parameters, with 0 for every default."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "*args, **kwargs"
    empty = inspect.Parameter.empty
    parameters = [
        p.replace(annotation=empty, default=p.default if p.default is empty else 0)
        for p in signature.parameters.values()
    ]
    return str(inspect.Signature(parameters))[1:-1]


def version() -> str:
    """Of the CuPy that the table is of."""
    return TABLE.read_text(encoding="utf-8").split()[2].rstrip(",")


if __name__ == "__main__":
    TABLE.write_text(written(), encoding="utf-8")
