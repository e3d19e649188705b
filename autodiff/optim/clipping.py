"""Bounds on gradients: on the norm of all together, and on each element. Plain NumPy, for arrays and Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import number
from ..containers import flatten, leaf_names, transform, unflatten
from ..convert import describe
from ..errors import ArgumentError, DTypeError
from ..places import home_of
from ..registry import backend_of
from ..tensor import Tensor
from ..tracebacks import boundary
from ..transforms import function

# Keeps gradients that are all zero from a division by zero; so small that nothing else changes.
SMALLEST_NORM = 1e-6


def squared_magnitude(x: Any) -> Any:
    """|x|^2 of real or complex elements, which is real."""
    return np.square(np.real(x)) + np.square(np.imag(x)) if x.dtype.kind == "c" else np.square(x)


def _global_norm(gradients: Any) -> Any:
    return np.sqrt(sum(np.sum(squared_magnitude(g)) for g in flatten(gradients)[0]))


def _clip_norm(gradients: Any, limit: Any) -> Any:
    scale = np.minimum(limit / (_global_norm(gradients) + SMALLEST_NORM), 1.0)
    # The norm is of the widest dtype among the gradients, but each keeps its own.
    return transform(lambda g: g * scale.astype(np.finfo(g.dtype).dtype), gradients)


def _clip_value(gradients: Any, limit: Any) -> Any:
    def clip(g: Any) -> Any:
        if g.dtype.kind == "c":
            raise DTypeError(
                f"clip_value: clipping the parts of {g.dtype} numbers one by one turns them; use clip_norm"
            )
        return np.maximum(np.minimum(g, limit), -limit)

    return transform(clip, gradients)


_compiled_norm = function(_global_norm)
_compiled_clip_norm = function(_clip_norm)
_compiled_clip_value = function(_clip_value)


def _arrays(gradients: Any, what: str, kinds: str = "fc") -> Any:
    """Gradients with arrays in place of Python numbers, which are what ``grad`` gives for such; an error for others."""
    leaves, structure = flatten(gradients)
    arrays = []
    for position, g in enumerate(leaves):
        if isinstance(g, (float, complex)):
            g = np.asarray(g)
        elif isinstance(g, Tensor):
            _check_kind(g.dtype, kinds, what, structure, position)
        elif isinstance(g, (np.ndarray, np.generic)) or backend_of(g) is not None:
            _, dtype = home_of(g).aval_of(g)
            _check_kind(dtype, kinds, what, structure, position)
        else:
            name = leaf_names(structure)[position]
            hint = "; give zeros where there is none" if g is None else ""
            raise ArgumentError(
                f"{what}: gradients{name} is {describe(g)}, which is no array of numbers and no Tensor{hint}"
            )
        arrays.append(g)
    return unflatten(structure, iter(arrays))


def _check_kind(dtype: Any, kinds: str, what: str, structure: Any, position: int) -> None:
    if dtype.kind not in kinds:
        raise DTypeError(
            f"{what}: gradients{leaf_names(structure)[position]} has dtype {dtype}; give floating or complex numbers "
            "(.astype('float64'))"
        )


@boundary
def global_norm(gradients: Any) -> Any:
    """The Euclidean norm of all gradients as if they were one vector.

    Parameters
    ----------
    gradients : list of array
        Or nested lists, tuples and dicts; arrays or Tensors.

    Returns
    -------
    ndarray or Tensor
        Without dimensions.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> float(ad.optim.global_norm([np.array([3.0, 0.0]), np.array(4.0)]))
    5.0
    """
    return _compiled_norm(_arrays(gradients, "global_norm", "biufc"))


@boundary
def clip_norm(gradients: Any, limit: float) -> Any:
    """Gradients scaled down together so that their global norm is at most a limit.

    Parameters
    ----------
    gradients : list of array
        Or nested lists, tuples and dicts; arrays or Tensors.
    limit : float
        The greatest norm.

    Returns
    -------
    list of array
        New gradients, in the structure of those given.

    Notes
    -----
    Each gradient is multiplied with ``min(1, limit / (norm + 1e-6))``.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013, algorithm 1.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> [g.round(3) for g in ad.optim.clip_norm([np.array([3.0, 0.0]), np.array([4.0])], 1.0)]
    [array([0.6, 0. ]), array([0.8])]
    """
    return _compiled_clip_norm(_arrays(gradients, "clip_norm"), number(limit, "clip_norm: limit"))


@boundary
def clip_value(gradients: Any, limit: float) -> Any:
    """Gradients with every element between a limit and its negative.

    Parameters
    ----------
    gradients : list of array
        Or nested lists, tuples and dicts; real arrays or Tensors.
    limit : float
        The greatest magnitude of an element.

    Returns
    -------
    list of array
        New gradients, in the structure of those given.

    Raises
    ------
    DTypeError
        If a gradient is complex: only a norm bounds it without turning it.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> ad.optim.clip_value([np.array([3.0, -0.5])], 1.0)
    [array([ 1. , -0.5])]
    """
    return _compiled_clip_value(_arrays(gradients, "clip_value", "iufc"), number(limit, "clip_value: limit"))


def clipped(gradients: list[Any], value: Any | None, norm: Any | None) -> list[Any]:
    """Recorded gradients with both bounds, the one on elements first, so that the norm's holds in the end."""
    if value is not None:
        gradients = _clip_value(gradients, value)
    if norm is not None:
        gradients = _clip_norm(gradients, norm)
    return gradients
