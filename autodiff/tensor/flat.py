"""``Flat``: the elements of a Tensor one after the other, as ``numpy.flatiter`` has those of an array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..containers import transform
from ..convert import describe
from ..dispatch import FUNCTIONS, full_name
from ..errors import IndexingError, UnsupportedError
from ..tracebacks import boundaries


@boundaries
class Flat:
    """``t.flat``: an iterator, and a vector that is read and written by index.

    Parameters
    ----------
    base : Tensor
        What the elements are of.
    """

    __slots__ = ("base", "index")

    def __init__(self, base: Any):
        self.base = base
        # Which element comes next.
        self.index = 0

    @property
    def coords(self) -> tuple[int, ...]:
        """Where the next element is."""
        return _coordinates(self.index, self.base.shape)

    def __iter__(self) -> Flat:
        return self

    def __next__(self) -> Any:
        if self.index >= self.base.size:
            raise StopIteration
        element = self.base[_coordinates(self.index, self.base.shape)]
        self.index += 1
        return element

    def __len__(self) -> int:
        return self.base.size  # type: ignore[no-any-return]

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            return self.base[self._position(item)]
        return self.copy()[self._vector_item(item)]

    def __setitem__(self, item: Any, value: Any) -> None:
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            self.base[self._position(item)] = value
            return
        # As NumPy: values that are fewer than the places begin anew.
        places = type(self.base)(np.arange(self.base.size), constant=True)[self._vector_item(item)]
        FUNCTIONS[np.put](self.base, places, value)

    def copy(self) -> Any:
        """The elements as a new Tensor of one dimension."""
        return self.base.flatten()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.copy(), dtype)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(*transform(_plain, args), **transform(_plain, kwargs))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if any(isinstance(x, Flat) for x in keywords.get("out", ())):
            raise UnsupportedError(f"{full_name(ufunc)}: out=t.flat is not recorded; write t.flat = ...")
        return getattr(ufunc, method)(*map(_plain, inputs), **keywords)

    def __eq__(self, other: Any) -> Any:
        return self.copy() == _plain(other)

    def __ne__(self, other: Any) -> Any:
        return self.copy() != _plain(other)

    def __lt__(self, other: Any) -> Any:
        return self.copy() < _plain(other)

    def __le__(self, other: Any) -> Any:
        return self.copy() <= _plain(other)

    def __gt__(self, other: Any) -> Any:
        return self.copy() > _plain(other)

    def __ge__(self, other: Any) -> Any:
        return self.copy() >= _plain(other)

    __hash__ = None  # type: ignore[assignment]

    def _position(self, number: Any) -> tuple[int, ...]:
        """Where an element is, by its number."""
        size = self.base.size
        if not -size <= number < size:
            raise IndexingError(
                f"flat[{number}] is out of range for {self.base.node.aval!r}, which has {size} elements"
            )
        return _coordinates(int(number) % size, self.base.shape)

    def _vector_item(self, item: Any) -> Any:
        """An index of a vector, as a flatiter takes it."""
        if type(item) is tuple:
            if len(item) != 1:
                raise IndexingError(f"flat: {describe(item)} is no index of a vector; give one entry")
            (item,) = item
        if item is None:
            raise IndexingError("flat: None is no index of it; write t.ravel()[None]")
        return item


def _coordinates(number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where the element of this number is, in C order."""
    found = []
    for axis in range(len(shape)):
        step = math.prod(shape[axis + 1 :])
        found.append(number // step)
        number %= step
    return tuple(found)


def _plain(value: Any) -> Any:
    return value.copy() if isinstance(value, Flat) else value
