"""Array libraries that ``autodiff`` runs on, one module each. Found by name through the registry.

``run_blocks`` is what generated NumPy source calls for large arrays.
"""

from ._numpy_blocks import run_blocks

__all__ = ["run_blocks"]
