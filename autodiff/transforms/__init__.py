"""Functions of functions: they record like everything else, so they nest."""

from .batching import vmap
from .custom import CustomJVP, CustomVJP, custom_jvp, custom_vjp
from .custom_batch import CustomBatch, custom_batch
from .functions import Function, function
from .gradients import elementwise_grad, grad, holomorphic_grad, nth_derivative, stop_gradient, value_and_grad
from .jacobians import hessian, jacobian
from .primitive import Primitive, ShapeDtype, primitive
from .products import ggnvp, hvp, jvp, linearize, vhp, vjp

__all__ = [
    "CustomBatch",
    "CustomJVP",
    "CustomVJP",
    "Function",
    "Primitive",
    "ShapeDtype",
    "custom_batch",
    "custom_jvp",
    "custom_vjp",
    "elementwise_grad",
    "function",
    "ggnvp",
    "grad",
    "hessian",
    "holomorphic_grad",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "nth_derivative",
    "primitive",
    "stop_gradient",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]
