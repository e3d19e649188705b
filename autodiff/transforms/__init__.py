"""Functions of functions: they record like everything else, so they nest."""

from typing import TYPE_CHECKING

from ..pickling import restorable
from ..tracebacks import boundary
from .batching import vmap
from .checkpoint import checkpoint
from .control import cond, fori_loop, scan, switch, while_loop
from .custom import CustomJVP, CustomVJP, custom_jvp, custom_vjp
from .custom_batch import CustomBatch, custom_batch
from .functions import Function, function
from .gradients import elementwise_grad, grad, holomorphic_grad, nth_derivative, stop_gradient, value_and_grad
from .jacobians import hessian, jacobian
from .primitive import Primitive, ShapeDtype, primitive
from .products import ggnvp, hvp, jvp, linearize, vhp, vjp
from .reductions import associative_scan, map_reduce
from .sparse import sparsity

# What these make of a function can be pickled, whatever they are written like.
if not TYPE_CHECKING:
    checkpoint, elementwise_grad, ggnvp, grad, hessian, holomorphic_grad = [
        boundary(restorable(f)) for f in (checkpoint, elementwise_grad, ggnvp, grad, hessian, holomorphic_grad)
    ]
    hvp, jacobian, nth_derivative, value_and_grad, vhp, vmap = [
        boundary(restorable(f)) for f in (hvp, jacobian, nth_derivative, value_and_grad, vhp, vmap)
    ]

__all__ = [
    "CustomBatch",
    "CustomJVP",
    "CustomVJP",
    "Function",
    "Primitive",
    "ShapeDtype",
    "associative_scan",
    "checkpoint",
    "cond",
    "custom_batch",
    "custom_jvp",
    "custom_vjp",
    "elementwise_grad",
    "fori_loop",
    "function",
    "ggnvp",
    "grad",
    "hessian",
    "holomorphic_grad",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "map_reduce",
    "nth_derivative",
    "primitive",
    "scan",
    "sparsity",
    "stop_gradient",
    "switch",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
    "while_loop",
]
