"""Functions of functions: they record like everything else, so they nest."""

from .functions import Function, function
from .gradients import grad, stop_gradient, value_and_grad

__all__ = ["Function", "function", "grad", "stop_gradient", "value_and_grad"]
