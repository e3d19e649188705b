"""Sparse matrices of derivatives: where entries may be, and how few products give all of them.

A pattern comes from one walk over recorded nodes, colours from the pattern alone, and entries from compressed products.
The modules are imported when the first matrix is asked for: it takes 2 ms.
"""

from typing import TYPE_CHECKING, Any

from ..importing import imported
from ..spelling import no_attribute
from ..tracebacks import boundary

if TYPE_CHECKING:
    from .entries import hessian_entries, jacobian_entries
    from .pattern import Sparsity, part, scipy_sparse
    from .walk import patterns

__all__ = ["Sparsity", "hessian_entries", "jacobian_entries", "part", "patterns", "scipy_sparse"]

MODULES = {
    "Sparsity": "pattern",
    "hessian_entries": "entries",
    "jacobian_entries": "entries",
    "part": "pattern",
    "patterns": "walk",
    "scipy_sparse": "pattern",
}


@boundary
def __getattr__(name: str) -> Any:
    if name in MODULES:
        return getattr(imported(f"{__name__}.{MODULES[name]}"), name)
    raise no_attribute(__name__, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
