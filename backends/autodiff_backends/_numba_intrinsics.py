"""What generated kernels need and Numba has no function for. Imported by kernels only."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def add_in_any_order(typing_context: Any, total: Any, term: Any) -> Any:
    """``total + term`` where the terms of a sum may be added in another order, so that a vector of sums can be kept.

    Only such additions get this permission: everything else is computed as it is written.
    """
    if total != term or not isinstance(total, types.Float):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments, flags=("reassoc",))

    return total(total, term), generate
