"""Transforms of ``scipy.fft`` on Tensors, by the hook that it has: a backend that is tried before SciPy's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numpy_api.calling import Handler
from ..numpy_api.creation import joined
from ..tensor import wrap
from .replacing import REPLACEMENTS, holds_tensor, refusing, replace_functions


def _along_one(name: str) -> Handler:
    function: Any = getattr(np.fft, name)

    def transform(
        x: Any,
        n: Any = None,
        axis: Any = -1,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        return function(wrap(joined(x)), n, axis, norm)

    return transform


def _along_several(name: str, default: Any) -> Handler:
    function: Any = getattr(np.fft, name)

    def transform(
        x: Any,
        s: Any = None,
        axes: Any = default,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        t = wrap(joined(x))
        if s is not None and axes is None:
            # NumPy deprecates what SciPy takes for the last axes.
            axes = tuple(range(t.ndim - len(s), t.ndim))
        if s is None and name.startswith("irfft") and t.ndim:
            # Of one coefficient NumPy makes no point, and refuses that; SciPy makes one.
            places = range(t.ndim) if axes is None else np.atleast_1d(axes)
            if len(places) and t.shape[places[-1]] == 1:
                s = [*[t.shape[a] for a in places[:-1]], 1]
                axes = tuple(map(int, places))
        return function(t, s, axes, norm)

    return transform


# Of the multimethods.
TRANSFORMS: dict[str, Handler] = {
    **{name: _along_one(name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{name: _along_several(name, (-2, -1)) for name in ("fft2", "ifft2", "rfft2", "irfft2")},
    **{name: _along_several(name, None) for name in ("fftn", "ifftn", "rfftn", "irfftn")},
}
TABLE: dict[str, Handler] = {
    "fftshift": lambda x, axes=None: np.fft.fftshift(wrap(joined(x)), axes),
    "ifftshift": lambda x, axes=None: np.fft.ifftshift(wrap(joined(x)), axes),
}
UNRECORDED: dict[str, str] = {}


REASON = "transforms that NumPy has are; cosine and sine transforms are parts of those"


class Backend:
    """What SciPy asks for each transform; it leaves arrays to SciPy."""

    __ua_domain__ = "numpy.scipy.fft"

    @staticmethod
    def __ua_function__(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not REPLACEMENTS.installed or not (holds_tensor(args) or holds_tensor(kwargs.values())):
            return NotImplemented
        name = method.__name__
        return TRANSFORMS.get(name, refusing(f"scipy.fft.{name}", REASON))(*args, **kwargs)


def register(module: Any) -> None:
    """Offer the backend, and replace what is no multimethod."""
    # A second time does nothing.
    module.register_backend(Backend)
    replace_functions(module, TABLE, UNRECORDED)
