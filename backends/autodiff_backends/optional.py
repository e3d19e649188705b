"""Errors of backends whose library is not on every machine, or whose devices lack dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.backend import Backend
from autodiff.errors import BackendError, DTypeError
from autodiff.importing import imported


def no_dtype(backend: Backend, dtype: np.dtype[Any]) -> DTypeError:
    """The error for a dtype that a backend's device does not have."""
    have = ", ".join(sorted(d.name for d in backend.capabilities.dtypes))
    return DTypeError(f"backend {backend.label} has no dtype {dtype}; convert with .astype to one that it has: {have}")


def required(module: str, package: str) -> Any:
    """A module that not every machine has."""
    try:
        return imported(module)
    except ImportError as error:
        raise BackendError(
            f"backend {module!r} needs the package {package}: pip install {package} ({error})"
        ) from error
