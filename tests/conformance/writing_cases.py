"""Rows for functions that write into what they are given: into a new array, which is the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case, booleans, case, integers, real


def _into(function: Callable[..., Any], shape: tuple[int, ...], *args: Any, **keywords: Any) -> Case:
    """A row for ``function(y, *args)``, whose result is ``y``."""

    def written(x: Any, *args: Any) -> Any:
        y = x * 1.0
        function(y, *args, **keywords)
        return y

    written.__name__ = function.__name__
    return case(written, real(*shape), *args, covers=function)


CASES: list[Case] = [
    _into(np.copyto, (2, 3), real(3)),
    _into(np.copyto, (2, 3), real(2, 1)),
    _into(np.copyto, (2, 3), real(2, 3), where=np.array([True, False, True])),
    _into(np.copyto, (0, 3), real(3)),
    _into(np.put, (2, 3), integers(4, high=6), real(4)),
    _into(np.put, (5,), [0, 3, -1], real(2)),
    _into(np.put, (2, 2), [5, -7], real(), mode="wrap"),
    _into(np.put, (2, 2), [5, -7], real(2), mode="clip"),
    _into(np.place, (2, 3), booleans(2, 3), real(2)),
    _into(np.place, (4,), [True, False, True, True], real(5)),
    _into(np.putmask, (2, 3), booleans(2, 3), real(2, 3)),
    _into(np.putmask, (2, 3), booleans(2, 3), real(4)),
    _into(np.fill_diagonal, (3, 3), real()),
    _into(np.fill_diagonal, (2, 4), real(2)),
    _into(np.fill_diagonal, (5, 2), real(3), wrap=True),
    _into(np.fill_diagonal, (2, 2, 2), real(2)),
    _into(np.put_along_axis, (3, 2), np.array([[1], [0], [1]]), real(3, 1), axis=1),
]
