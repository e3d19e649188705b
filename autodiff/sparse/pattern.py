"""Patterns as users see them: where entries may be that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BackendError
from ..importing import imported
from .sets import Ints, Sets, of_entries

# Of a picture in the terminal: characters at most, each of two by four dots.
WIDTH, HEIGHT = 64, 24
# The dots of a character, row by row, as bits of its number.
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
BRAILLE = 0x2800


class Sparsity:
    """Where a matrix of derivatives may have entries that are not zero. It is printed as a picture.

    Attributes
    ----------
    shape : tuple of int
        Elements of the result, and elements of the argument: arrays are flattened in C order.
    rows, columns : ndarray of int
        Of each entry, row by row and in order.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> pattern = ad.sparsity(lambda x: x[1:] * x[:-1], np.ones(3))
    >>> pattern.shape, pattern.nnz
    ((2, 3), 4)
    >>> pattern.toarray()
    array([[ True,  True, False],
           [False,  True,  True]])
    """

    __slots__ = ("_sets",)

    def __init__(self, sets: Sets):
        self._sets = sets

    @property
    def shape(self) -> tuple[int, int]:
        """Elements of the result, and elements of the argument: arrays are flattened in C order."""
        return (self._sets.rows, self._sets.width)

    @property
    def nnz(self) -> int:
        """How many entries there are."""
        return len(self._sets.members)

    @property
    def rows(self) -> Ints:
        """The row of each entry."""
        return self._sets.row_of_each()

    @property
    def columns(self) -> Ints:
        """The column of each entry."""
        return self._sets.members.copy()

    def toarray(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """The pattern as an array of truth values.

        Returns
        -------
        ndarray of bool
        """
        found = np.zeros(self.shape, bool)
        found[self.rows, self._sets.members] = True
        return found

    def tocsr(self) -> Any:
        """The pattern as a sparse array of SciPy.

        Returns
        -------
        scipy.sparse.csr_array of bool

        Raises
        ------
        BackendError
            If SciPy is not installed.
        """
        return scipy_sparse().csr_array(
            (np.ones(self.nnz, bool), self._sets.members.copy(), self._sets.starts.copy()), shape=self.shape
        )

    def spy(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the pattern with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; the current axes if not given.
        **kwargs
            For ``Axes.plot``: ``markersize``, ``color`` and so on.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        BackendError
            If matplotlib is not installed.
        """
        if ax is None:
            try:
                ax = imported("matplotlib.pyplot").gca()
            except ImportError:
                raise BackendError(
                    "Sparsity.spy: matplotlib is not installed; print the pattern for a picture in the terminal, or "
                    "run pip install matplotlib"
                ) from None
        height, width = self.shape
        size = max(0.5, min(10.0, 200.0 / max(height, width, 1)))
        ax.plot(self._sets.members, self.rows, **{"linestyle": "", "marker": "s", "markersize": size, **kwargs})
        ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
        ax.set_title(f"{self.nnz} of {height} x {width}")
        return ax

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sparsity):
            return NotImplemented
        mine, yours = self._sets, other._sets
        return (
            self.shape == other.shape
            and np.array_equal(mine.starts, yours.starts)
            and np.array_equal(mine.members, yours.members)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        height, width = self.shape
        places = height * width
        share = f", {self.nnz / places:.2%}" if places else ""
        return "\n".join([f"Sparsity(shape={self.shape}, nnz={self.nnz}{share})", *self._picture()])

    def _picture(self) -> list[str]:
        """Characters of braille, each dot of which is one entry, or several places where there are many."""
        height, width = self.shape
        if not height or not width:
            return []
        # Dots are of one size in both directions, so that a diagonal is one.
        scale = max(1.0, height / (4 * HEIGHT), width / (2 * WIDTH))
        rows, columns = [(places / scale).astype(np.int64) for places in (self.rows, self._sets.members)]
        lines, length = int((height - 1) / scale) // 4 + 1, int((width - 1) / scale) // 2 + 1
        marks = np.zeros((lines, length), np.int64)
        np.bitwise_or.at(marks, (rows // 4, columns // 2), DOTS[rows % 4, columns % 2])
        return ["".join([chr(BRAILLE + mark) for mark in line]) for line in marks.tolist()]


def scipy_sparse() -> Any:
    """SciPy's sparse arrays; an error if it is not installed."""
    try:
        return imported("scipy.sparse")
    except ImportError:
        raise BackendError(
            "sparse=True: sparse matrices are SciPy's, which is not installed; run pip install scipy, or leave out "
            "sparse=True for whole matrices"
        ) from None


def part(sets: Sets, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[Sets, Ints]:
    """A block of a pattern, and which entries are in it."""
    if (rows, columns) == ((0, sets.rows), (0, sets.width)):
        return sets, np.arange(len(sets.members))
    first, last = sets.starts[rows[0]], sets.starts[rows[1]]
    members = sets.members[first:last]
    inside = np.arange(first, last)
    if columns != (0, sets.width):
        inside = inside[(members >= columns[0]) & (members < columns[1])]
    own = sets.row_of_each()[inside] - rows[0]
    return of_entries(own, sets.members[inside] - columns[0], rows[1] - rows[0], columns[1] - columns[0], True), inside
