"""What somebody may have meant by a name that is not there."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import MissingAttributeError
from .importing import imported

# Names of one thing: here, in other libraries, and in books.
_SAME = """
rate learning_rate lr step_size stepsize alpha eta
epsilon eps
tol tolerance xtol ftol atol
beta1 b1
beta2 b2
betas beta
parameters params weights variables
options opts
weight_decay decay l2
max_evaluations max_iter maxiter maxfev
clip_norm max_norm clip_grad_norm
steps num_steps n_steps
argnums argnum wrt
argnames argname
length size n
has_aux aux
n order
in_axes in_axis
out_axes out_axis
dy y
dx x xs
as_tensors create_graph
cache_size maxsize
device devices
backend xp library
constant requires_grad
function jit compile tf_function
grad gradient derivative gradients
value_and_grad value_and_gradient
jacobian jacrev jacfwd jac
vmap vectorize map
hvp hessian_vector_product
jvp directional_derivative pushforward
vjp pullback backward
stop_gradient detach no_grad
checkpoint remat rematerialize
Tensor tensor Variable Parameter array
Graph Tape GradientTape
odeint solve_ivp ode odesolve
cond if_else ifelse where
fori_loop for_loop for
while_loop while
scan foldl
root fsolve find_root newton
minimize fmin optimize
debug_nans detect_anomaly
custom_vjp custom_gradient
RMSprop RMSProp rmsprop
Adam adam
SGD sgd
Constant constant_schedule
Cosine cosine CosineAnnealing cosine_decay
Exponential exponential_decay ExponentialLR
Linear linear_schedule LinearLR
StepDecay StepLR
clip_norm clip_grad_norm_ clip_by_global_norm
"""
SAME = [frozenset(line.split()) for line in _SAME.split("\n") if line]


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a message: what may have been meant by a name, of those that are known; nothing if there is none."""
    names = [word for word in known if not word.startswith("_")]
    alike = [word for group in SAME if name in group for word in names if word in group]
    alike = alike or [word for word in names if word.lower() == name.lower()]
    # Imported where it is needed: it takes a millisecond.
    alike = alike or imported("difflib").get_close_matches(name, names, 1)
    return f"; did you mean {alike[0]!r}?" if alike else ""


def no_attribute(module: str, name: str, known: Iterable[str] = ()) -> MissingAttributeError:
    """The error for a name that a module does not have; it has the ``known`` ones, or those of its ``__all__``."""
    # Python asks for names that begin so, and nobody else.
    hint = "" if name.startswith("_") else meant(name, known or sys.modules[module].__all__)
    error = MissingAttributeError(f"module {module!r} has no attribute {name!r}{hint}")
    # Python would suggest a name beside, if it did not find this.
    error.name = name
    return error


def explain_keyword(error: TypeError, function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Let the error for a call say which keyword is unknown, and what may have been meant."""
    parameters = inspect.signature(function).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"]
    unknown = [name for name in given if name not in named]
    if not unknown or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    title = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    hint = meant(unknown[0], named) or f"; it takes {', '.join(named)}"
    error.args = (f"{title}: there is no argument {unknown[0]!r}{hint}",)
