"""Optimizers, learning-rate schedules, gradient clipping, averages, and files of parameters.

The update of all parameters is recorded once, as NumPy code on Tensors, and replayed as one plan.
"""

from typing import Any

from ..spelling import listed, no_attribute
from ..tracebacks import boundary
from .averages import Accumulate, ExponentialAverage
from .clipping import clip_norm, clip_value, global_norm
from .files import load, save
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .optimizers import SGD, Adam, AdamW, Lion, RMSprop
from .plateau import ReduceOnPlateau
from .schedules import Constant, Cosine, CosineRestarts, Exponential, Linear, StepDecay, WarmUp

__all__ = [
    "LBFGS",
    "SGD",
    "Accumulate",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "ExponentialAverage",
    "Linear",
    "Lion",
    "Optimizer",
    "RMSprop",
    "ReduceOnPlateau",
    "StepDecay",
    "WarmUp",
    "clip_norm",
    "clip_value",
    "global_norm",
    "load",
    "save",
]


@boundary
def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name)


def __dir__() -> list[str]:
    return listed(__name__)
