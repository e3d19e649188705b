"""Automatic differentiation of plain NumPy code, at compiled speed, on whatever array library holds the data.

>>> import autodiff as ad
>>> a = ad.Tensor([1, 2, 3, 4])
>>> b = a**2
>>> graph = ad.Graph()
>>> graph.add_variables(a)
>>> graph.gradient(b, [a])
[array([2., 4., 6., 8.])]
"""

from typing import TYPE_CHECKING, Any

from . import errors, numpy_api, scipy_api
from . import numpy as numpy  # what a Tensor names as its namespace
from .backend import Backend
from .compiled import CompiledGradient, Explanation
from .containers import register_container
from .debugging import debug_nans, record_lines, scope
from .errors import AutodiffError, DetachedWarning, GrowthWarning, IndependentWarning, RetraceWarning
from .graph import Graph
from .implementing import implements
from .importing import imported
from .machine import set_num_threads
from .nodes import Constant, Node, Operation, Variable
from .plan import CacheInfo, set_buffer_limit
from .progress import Progress, set_progress
from .registry import backends, get_backend, register_backend
from .spelling import listed, no_attribute
from .tensor import Tensor, no_grad
from .tracebacks import boundary
from .transforms import (
    CustomBatch,
    CustomJVP,
    CustomVJP,
    Function,
    Primitive,
    ShapeDtype,
    associative_scan,
    checkpoint,
    cond,
    custom_batch,
    custom_jvp,
    custom_vjp,
    elementwise_grad,
    fori_loop,
    function,
    ggnvp,
    grad,
    hessian,
    holomorphic_grad,
    hvp,
    jacobian,
    jvp,
    linearize,
    map_reduce,
    nth_derivative,
    primitive,
    scan,
    sparsity,
    stop_gradient,
    switch,
    value_and_grad,
    vhp,
    vjp,
    vmap,
    while_loop,
)

if TYPE_CHECKING:
    from . import optim, solvers, testing
    from .drawing import draw
    from .solvers import fixed_point, least_squares, linear_solve, minimize, odeint, root

__version__ = "0.1.0"

# Modules that are imported when they are first asked for.
LAZY = ("optim", "solvers", "testing")
# What is drawn and shown, by the module that has it, which is imported when it is first asked for.
SHOWN = {"draw": "autodiff.drawing"}
# What `solvers` has, which is imported when one of these is first asked for.
SOLVERS = ("fixed_point", "least_squares", "linear_solve", "minimize", "odeint", "root")

numpy_api.install()
scipy_api.install()


@boundary
def __getattr__(name: str) -> Any:
    # Imported when first asked for: it takes a quarter of the time of all else, and many programs train nothing.
    if name in LAZY:
        return imported(f"autodiff.{name}")
    if name in SOLVERS:
        globals()[name] = found = getattr(imported("autodiff.solvers"), name)
        return found
    if name in SHOWN:
        globals()[name] = found = getattr(imported(SHOWN[name]), name)
        return found
    raise no_attribute(__name__, name)


def __dir__() -> list[str]:
    # A module of its own, which is imported under this name.
    return [*listed(__name__), "numpy"]


__all__ = [
    "AutodiffError",
    "Backend",
    "CacheInfo",
    "CompiledGradient",
    "Constant",
    "CustomBatch",
    "CustomJVP",
    "CustomVJP",
    "DetachedWarning",
    "Explanation",
    "Function",
    "Graph",
    "GrowthWarning",
    "IndependentWarning",
    "Node",
    "Operation",
    "Primitive",
    "Progress",
    "RetraceWarning",
    "ShapeDtype",
    "Tensor",
    "Variable",
    "associative_scan",
    "backends",
    "checkpoint",
    "cond",
    "custom_batch",
    "custom_jvp",
    "custom_vjp",
    "debug_nans",
    "draw",
    "elementwise_grad",
    "errors",
    "fixed_point",
    "fori_loop",
    "function",
    "get_backend",
    "ggnvp",
    "grad",
    "hessian",
    "holomorphic_grad",
    "hvp",
    "implements",
    "jacobian",
    "jvp",
    "least_squares",
    "linear_solve",
    "linearize",
    "map_reduce",
    "minimize",
    "no_grad",
    "nth_derivative",
    "odeint",
    "optim",
    "primitive",
    "record_lines",
    "register_backend",
    "register_container",
    "root",
    "scan",
    "scope",
    "set_buffer_limit",
    "set_num_threads",
    "set_progress",
    "solvers",
    "sparsity",
    "stop_gradient",
    "switch",
    "testing",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
    "while_loop",
]
