"""What somebody may have meant by a name that is not there."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import MissingAttributeError
from .importing import imported

# Names here, and after them what the same is called in other libraries and in books.
_NAMES = """
rate: lr learning_rate step_size stepsize alpha eta
decay: rho alpha smoothing
epsilon: eps
betas: beta beta1 beta2 b1 b2
parameters: params weights variables model
weight_decay: l2 wd
clip_norm: max_norm max_grad_norm clip_grad_norm clip_grad_norm_ clip_by_global_norm
clip_value: clip clip_grad_value_
limit: max_norm clip_value
factor: gamma decay_rate
every: step_size decay_steps period
steps: T_max num_steps n_steps total_steps decay_steps
final: eta_min end_value min_lr
warm_up: warmup warmup_steps
tol: tolerance xtol ftol gtol
maxiter: max_iter max_iterations max_steps iterations
max_evaluations: max_iter maxiter maxfev max_nfev
options: opts
method: solver algorithm
argnums: argnum wrt dx
argnames: argname wrt
length: size n steps
has_aux: aux return_aux
in_axes: in_axis in_dims
out_axes: out_axis out_dims
dy: y loss outputs
dx: x xs inputs wrt
n: order
as_tensors: create_graph
cache_size: maxsize
backend: xp library platform
cupy: cuda gpu
torch: cuda gpu mps pytorch
numpy: cpu
constant: requires_grad trainable
checkpoint: remat rematerialize
function: jit compile tf_function
grad: gradient gradients derivative backward
value_and_grad: value_and_gradient
jacobian: jac jacrev jacfwd
elementwise_grad: egrad
nth_derivative: derivative nth_grad
vmap: vectorize map
hvp: hessian_vector_product
jvp: directional_derivative pushforward
vjp: pullback
stop_gradient: detach no_grad
Tensor: tensor Parameter array asarray
Graph: Tape GradientTape
odeint: solve_ivp ode solve_ode
cond: if_else ifelse
fori_loop: for_loop
scan: foldl
root: fsolve find_root newton
minimize: fmin optimize
debug_nans: detect_anomaly set_detect_anomaly
custom_vjp: custom_gradient
ExponentialAverage: EMA AveragedModel ExponentialMovingAverage
Accumulate: MultiSteps
ReduceOnPlateau: ReduceLROnPlateau reduce_on_plateau
CosineRestarts: CosineAnnealingWarmRestarts
WarmUp: LinearWarmup
StepDecay: StepLR step_decay
Cosine: CosineAnnealing CosineAnnealingLR cosine_decay
Exponential: ExponentialLR exponential_decay
Linear: LinearLR linear_schedule
"""
THEIRS = {ours: theirs.split() for ours, _, theirs in (line.partition(":") for line in _NAMES.split("\n") if line)}

# How alike two names are if one may be the other misspelt. (An "operation" is 0.74 of "iterations".)
CLOSE = 0.75


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a message: what may have been meant by a name, of those that are known; nothing if there is none."""
    names = [word for word in known if not word.startswith("_")]
    alike = [word for word in names if name in THEIRS.get(word, ())]
    # The same letters: in another case, or two of them exchanged.
    letters = sorted(name.lower())
    alike = alike or [word for word in names if sorted(word.lower()) == letters]
    # Imported where it is needed: it takes a millisecond.
    alike = alike or imported("difflib").get_close_matches(name, names, 1, CLOSE)
    return f"; did you mean {' or '.join(map(repr, alike))}?" if alike else ""


def no_attribute(module: str, name: str, known: Iterable[str] = ()) -> MissingAttributeError:
    """The error for a name that a module does not have; it has the ``known`` ones, or those of its ``__all__``."""
    # Python asks for names that begin so, and nobody else.
    hint = "" if name.startswith("_") else meant(name, known or sys.modules[module].__all__)
    error = MissingAttributeError(f"module {module!r} has no attribute {name!r}{hint}")
    # Python would suggest a name beside, if it did not find this.
    error.name = name
    return error


def listed(module: str) -> list[str]:
    """What ``dir`` and completion show of a module: its public names, not what it imports, and Python's own."""
    names = vars(sys.modules[module])
    return [*names["__all__"], *[name for name in names if name.startswith("__")]]


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
