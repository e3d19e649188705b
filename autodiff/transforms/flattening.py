"""Results and derivatives as vectors and matrices, whatever containers and shapes they come in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..containers import flatten
from ..sparse import scipy_sparse
from ..tensor import Tensor, wrap
from .calls import Results, apart


def with_vector(function: Callable[..., Any], has_aux: bool, name: str) -> Callable[..., Any]:
    """The same function, all results of which are one vector, beside what is not differentiated."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        nodes = Results(apart(found, has_aux, name)[0], name).differentiable().nodes
        vector = np.concatenate([np.reshape(wrap(node), (-1,)) for node in nodes]) if nodes else Tensor(np.zeros(0))
        return (vector, found[1]) if has_aux else vector

    return called


def with_matrix(derivative: Callable[..., Any], has_aux: bool, sparse: bool) -> Callable[..., Any]:
    """The same derivative of a vector, all blocks of which are one matrix: its columns belong to the arguments."""

    @functools.wraps(derivative)
    def called(*args: Any, **kwargs: Any) -> Any:
        found = derivative(*args, **kwargs)
        blocks, aux = found if has_aux else (found, None)
        parts = flatten(blocks)[0]
        if sparse:
            matrix = scipy_sparse().hstack(parts, format="csr")
        else:
            matrix = np.concatenate([np.reshape(part, (np.shape(part)[0], -1)) for part in parts], axis=1)
        return (matrix, aux) if has_aux else matrix

    return called
