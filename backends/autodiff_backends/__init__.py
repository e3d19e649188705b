"""Array libraries that ``autodiff`` runs on, one module each. Found by name through the registry.

The names here are what generated NumPy source imports.
"""

from .numpy.blocks import run_blocks
from .numpy.products import products
from .numpy.runtime import add_at, choose, exact_tanh_slope, inner, log_add_exp, logistic, masked_product
from .numpy.trigonometry import sine_cosine

__all__ = [
    "add_at",
    "choose",
    "exact_tanh_slope",
    "inner",
    "log_add_exp",
    "logistic",
    "masked_product",
    "products",
    "run_blocks",
    "sine_cosine",
]
