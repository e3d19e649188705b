"""Sparse matrices of derivatives: where entries may be, and how few products give all of them.

A pattern comes from one walk over recorded nodes, colours from the pattern alone, and entries from compressed products.
"""

from .compressed import Options, hessian_entries, jacobian_entries
from .pattern import Sparsity
from .walk import patterns

__all__ = ["Options", "Sparsity", "hessian_entries", "jacobian_entries", "patterns"]
