"""Sparse matrices: SciPy's, and those whose entries are recorded, within something larger."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..containers import register_container
from ..convert import as_node
from ..places import bring
from ..registry import backend_of, get_backend
from ..tensor import Tensor, wrap
from .pattern import scipy_sparse
from .sets import Ints, Sets


class Form:
    """Where the entries of a matrix are, and what makes a sparse array of them.

    Attributes
    ----------
    shape : tuple of int
    starts, members : ndarray
        Where the entries of each row begin, and the column of each.
    """

    __slots__ = ("_template", "members", "shape", "starts")

    def __init__(self, sets: Sets):
        self.shape = (sets.rows, sets.width)
        self.starts: Ints = sets.starts.astype(sets.members.dtype)
        self.members = sets.members
        self._template: Any = None

    def filled(self, data: Any) -> Any:
        """The sparse array with these entries. It has arrays of its own: who has it may change it."""
        if self._template is None:
            self._template = scipy_sparse().csr_array(
                (data[:0], self.members[:0], np.zeros_like(self.starts)), self.shape
            )
            # What is known of it, its copies need not find out.
            assert self._template.has_canonical_format
        # A tenth of the time that SciPy takes to look at arrays that are known to fit.
        found = copy.copy(self._template)
        found.data, found.indices, found.indptr = data, self.members.copy(), self.starts.copy()
        return found


class Recorded:
    """A sparse matrix whose entries are a Tensor: what ``sparse=True`` gives where others would be Tensors.

    That is within another transformation, and where the function uses a Tensor of the outside. It may be computed with
    by its entries, and returned: where the transformation gives numbers, a ``scipy.sparse.csr_array`` takes its place.

    Attributes
    ----------
    data : Tensor
        The entries, row by row.
    indices, indptr : ndarray
        The column of each, and where the entries of each row begin, as ``scipy.sparse.csr_array`` has them.
    shape : tuple of int
    """

    __slots__ = ("_form", "data")

    def __init__(self, form: Form, data: Any):
        self._form = form
        self.data = data

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._form.shape

    @property
    def indices(self) -> Ints:
        """The column of each entry."""
        return self._form.members.copy()

    @property
    def indptr(self) -> Ints:
        """Where the entries of each row begin, and where the last ones end."""
        return self._form.starts.copy()

    @property
    def value(self) -> Any:
        """The ``scipy.sparse.csr_array`` with the values of the entries."""
        return self._form.filled(host(self.data.value))

    def toarray(self) -> Tensor:
        """The whole matrix, as a Tensor."""
        node, (rows, columns) = self.data._node, self.shape
        form = self._form
        places = np.repeat(np.arange(rows), np.diff(form.starts)) * columns + form.members
        whole = ops.full((rows * columns,), 0, node.aval.dtype)
        index = ops.static_index((ops.ARRAY,), (None,))
        return wrap(ops.reshape(ops.index_set(whole, index, node, as_node(places)), self.shape))  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Recorded(shape={self.shape}, nnz={len(self._form.members)}, data={self.data!r})"


def _apart(matrix: Recorded) -> tuple[Sequence[Any], Form]:
    return (matrix.data,), matrix._form


def _together(form: Form, parts: Sequence[Any]) -> Any:
    (data,) = parts
    if isinstance(data, np.ndarray) or (not isinstance(data, Tensor) and backend_of(data) is not None):
        data = host(data)
        if data.ndim == 1:
            return form.filled(data)
    # A Tensor, or the entries of several matrices.
    return Recorded(form, data)


def host(value: Any) -> Any:
    """An array of NumPy, for one of any backend."""
    return value if type(value) is np.ndarray else bring(value, get_backend())


register_container(Recorded, _apart, _together)
