"""dask: programs as NumPy plans on blocks of rows, for arrays that need not fit in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff.backend import Backend, Capabilities, Plan
from autodiff.core.program import Program
from autodiff.errors import BackendError, DTypeError, ShapeError

from ..numpy.backend import BACKEND as NUMPY

try:
    import dask.array as da

    from .kept import computed, keep
    from .plan import StagedPlan
except ImportError as error:
    _missing: ImportError | None = error
else:
    _missing = None


class DaskBackend(Backend):
    """Arrays are ``dask.array.Array``, and nothing is computed before somebody looks."""

    name = "dask"
    capabilities = Capabilities(NUMPY.capabilities.dtypes, frozenset(("scatter-add", "lazy")))

    def compile(self, program: Program) -> Plan:
        """A plan that is cut into stages when it is first called."""
        return StagedPlan(program)

    @property
    def namespace(self) -> Any:
        """``dask.array``."""
        return da

    def owns(self, value: Any) -> bool:
        """Whether it is a dask array."""
        return isinstance(value, da.Array)

    def aval_of(self, array: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Its shape, if that is known, and dtype."""
        if any(math.isnan(n) for n in array.shape):
            raise ShapeError(
                f"a dask array of dtype {array.dtype} has the unknown shape {array.shape}, and only arrays of known "
                "shape are recorded; call its method compute_chunk_sizes() first"
            )
        what = f"a dask array of shape {array.shape} and dtype {array.dtype}"
        if array.dtype not in self.capabilities.dtypes:
            raise DTypeError(f"{what}: derivatives are not recorded for this dtype; convert it with .astype")
        if type(array._meta) is not np.ndarray:
            kind = type(array._meta)
            raise DTypeError(
                f"{what} has blocks of {kind.__module__}.{kind.__name__}, and plans compute with NumPy's; convert them "
                "with .map_blocks"
            )
        return array.shape, array.dtype

    def asarray(self, value: Any, dtype: np.dtype[Any] | None = None, copy: bool = False) -> Any:
        """NumPy's in chunks of whole rows; dask's as it is, but for its dtype."""
        if not self.owns(value):
            array = np.array(value, dtype, copy=True if copy else None)
            # dask divides by the size of a row to see how many fit.
            chunks = ("auto", *[-1] * (array.ndim - 1))[: array.ndim] if array.size else -1
            return da.from_array(array, chunks, name=False)
        if dtype is not None and value.dtype != dtype:
            return value.astype(dtype)
        # An assignment to elements gives a dask array another graph, and so must be done to an object of its own.
        return da.Array(value.dask, value.name, value.chunks, meta=value._meta) if copy else value

    def keep(self, values: Sequence[Any], before: Sequence[Any]) -> Sequence[Any]:
        """Their blocks, computed when a plan first takes one of them; not the tasks of all steps before."""
        return keep(values, before)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """What it is when computed."""
        return np.asarray(computed(array.compute))


def dask() -> Backend:
    """The backend of dask arrays.

    Returns
    -------
    Backend

    Raises
    ------
    BackendError
        If dask or what its arrays need is not installed.
    """
    if _missing is not None:
        raise BackendError(
            f'backend "dask" needs the package dask, which cannot be imported ({_missing}): pip install "dask[array]"'
        )
    return DaskBackend()
