"""Solvers: roots, fixed points, minima, linear systems and differential equations as operations of a graph."""

from typing import Any

from ..spelling import listed, no_attribute
from ..tracebacks import boundary
from .linear import linear_solve
from .minima import least_squares, minimize
from .ode import odeint
from .roots import fixed_point, root

__all__ = ["fixed_point", "least_squares", "linear_solve", "minimize", "odeint", "root"]


@boundary
def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name)


def __dir__() -> list[str]:
    return listed(__name__)
