"""Special functions: ufuncs of SciPy, from the module that has them."""

from __future__ import annotations

from typing import Any

from ..operator import Operator
from .elementwise import infer_elementwise


def _special(name: str, **facts: Any) -> Operator:
    """A ufunc of ``scipy.special``; other libraries have it in a module ``special`` of their namespace, or not."""
    return Operator(
        name,
        infer_elementwise,
        kind="elementwise",
        module="scipy.special",
        meaning=lambda xp, *arrays: getattr(xp.special, name)(*arrays),
        needs=(f"special.{name}",),
        **facts,
    )


erf = _special("erf")
