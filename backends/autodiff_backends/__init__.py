"""Array libraries that ``autodiff`` runs on, one module each. Found by name through the registry.

The names here are what generated NumPy source imports.
"""

from ._numpy_blocks import run_blocks
from ._numpy_runtime import add_at, choose, exact_tanh_slope, inner, log_add_exp, logistic, masked_product
from ._numpy_trigonometry import sine_cosine

__all__ = [
    "add_at",
    "choose",
    "exact_tanh_slope",
    "inner",
    "log_add_exp",
    "logistic",
    "masked_product",
    "run_blocks",
    "sine_cosine",
]
