"""The state of an optimizer as a file of arrays, without pickle, and whether it is that of this optimizer."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a state; the file is there only once it is complete."""
    partial = path.with_name(f"{path.name}.partial")
    # An open file, since NumPy adds a suffix to names.
    with partial.open("wb") as file:
        np.savez(file, **state)
    os.replace(partial, path)


def read(path: Path) -> dict[str, Any]:
    """The state in a file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: array if array.ndim or "[" in name else array.item() for name, array in arrays.items()}
    except (ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ArgumentError(f"load: {path} is no file that an optimizer saved: {error}") from error


def check(
    state: Mapping[str, Any], optimizer: str, expected: Mapping[str, tuple[tuple[int, ...], Any]], what: str
) -> None:
    """Raise an error that says how a state differs from what the optimizer has."""
    if state.get("optimizer") != optimizer:
        raise ArgumentError(f"{what} is of {state.get('optimizer', 'no optimizer')}, not of {optimizer}")
    missing = [name for name in (*expected, "steps") if name not in state]
    unknown = [name for name in state if name not in expected and name not in ("optimizer", "steps")]
    if missing or unknown:
        differences = [
            f"{word} {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
            for word, names in (("lacks", missing), ("has in addition", unknown))
            if names
        ]
        raise ArgumentError(
            f"{what} {' and '.join(differences)}; the optimizer must have the same options and its parameters the "
            "same structure"
        )
    for name, (shape, dtype) in expected.items():
        array = state[name]
        if array.shape != shape or array.dtype != dtype:
            raise ShapeError(
                f"{what} has {name} of shape {array.shape} and dtype {array.dtype}; here it is of shape {shape} and "
                f"dtype {dtype}"
            )
