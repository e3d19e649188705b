"""Automatic differentiation of plain NumPy code, at compiled speed, on whatever array library holds the data.

>>> import autodiff as ad
>>> a = ad.Tensor([1, 2, 3, 4])
>>> b = a**2
>>> graph = ad.Graph()
>>> graph.add_variables(a)
>>> graph.gradient(b, [a])
[array([2., 4., 6., 8.])]
"""

from . import errors, numpy_api
from .backend import Backend, backends, get_backend, register_backend, set_num_threads
from .errors import AutodiffError, IndependentWarning
from .graph import CompiledGradient, Explanation, Graph
from .nodes import Constant, Node, Operation, Variable
from .numpy_api import implements
from .plan import CacheInfo
from .tensor import Tensor
from .transforms import Function, function, grad, stop_gradient, value_and_grad

__version__ = "0.1.0"

numpy_api.install()

__all__ = [
    "AutodiffError",
    "Backend",
    "CacheInfo",
    "CompiledGradient",
    "Constant",
    "Explanation",
    "Function",
    "Graph",
    "IndependentWarning",
    "Node",
    "Operation",
    "Tensor",
    "Variable",
    "backends",
    "errors",
    "function",
    "get_backend",
    "grad",
    "implements",
    "register_backend",
    "set_num_threads",
    "stop_gradient",
    "value_and_grad",
]
