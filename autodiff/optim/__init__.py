"""Optimizers, learning-rate schedules and gradient clipping.

The update of all parameters is recorded once, as NumPy code on Tensors, and replayed as one plan.
"""

from typing import Any

from ..spelling import no_attribute
from ..tracebacks import boundary
from .clipping import clip_norm, clip_value, global_norm
from .optimizer import Optimizer
from .optimizers import SGD, Adam, AdamW, RMSprop
from .schedules import Constant, Cosine, Exponential, Linear, StepDecay

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Exponential",
    "Linear",
    "Optimizer",
    "RMSprop",
    "StepDecay",
    "clip_norm",
    "clip_value",
    "global_norm",
]


@boundary
def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name)
