"""What a ``Graph`` gives of a gradient beside its numbers: the gradient as a function of arrays, and what it costs."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from .backend import Backend, Plan
from .convert import describe, is_complex
from .core.avals import Aval
from .errors import ArgumentError, DTypeError, ShapeError, several
from .nodes import Node
from .noting import searches
from .places import taken
from .plan.searching import check_compiled
from .registry import get_backend
from .tensor.handle import Handle
from .tracebacks import boundaries, hide


class Explanation(NamedTuple):
    """What a gradient costs: from ``Graph.explain``. Printed, it is a text.

    Parameters
    ----------
    backend : str
        What computes it, and where.
    operations : int
        The primitives that one call executes.
    launches : int
        The kernels and library functions that one call starts.
    brought : tuple of str
        Shape and dtype of the arrays that are brought to the backend's device for it, once for each recording.
    source : str
        The code that runs.
    peak_bytes : int or None
        What one call holds at most beside its arguments: buffers, other arrays and results. None where the backend
        does not know.
    stored : tuple of str
        The values that are held when it is most, if the graph has a memory limit.
    recomputed : tuple of str
        The values that are computed again for the limit.
    tier : str
        Which plan answers now, NumPy's or machine code, and why: calls, and times as estimated and as measured.
    """

    backend: str
    operations: int
    launches: int
    brought: tuple[str, ...]
    source: str
    peak_bytes: int | None = None
    stored: tuple[str, ...] = ()
    recomputed: tuple[str, ...] = ()
    tier: str = ""

    def __str__(self) -> str:
        lines = [f"on {self.backend}: {self.operations} operations in {self.launches} launches"]
        if self.tier:
            lines.append(f"answered by {self.tier}")
        if self.brought:
            lines.append(f"brought from NumPy: {', '.join(self.brought)}")
        if self.peak_bytes is not None:
            lines.append(f"holds {self.peak_bytes} bytes at most beside its arguments")
        for what, values in (("stored then", self.stored), ("computed again", self.recomputed)):
            if values:
                lines.append(f"{what}: {', '.join([f'{n} x {v}' if n > 1 else v for v, n in Counter(values).items()])}")
        return "\n".join([*lines, "", self.source])


@boundaries
class CompiledGradient:
    """A gradient as a function of arrays. Made by ``Graph.compile``.

    Parameters
    ----------
    plan : Plan
        What computes the value and the gradients.
    inputs : list of Node
        What the arguments stand for.
    bound : list
        Values of the other inputs of the plan.
    home : Backend
        Where it computes.

    Attributes
    ----------
    source : str
        The code that runs.
    """

    __slots__ = ("_avals", "_away", "_bound", "_home", "_plan")

    def __init__(self, plan: Plan, inputs: list[Node], bound: list[Any], home: Backend):
        self._plan = plan
        self._avals = [node.aval for node in inputs]
        self._bound = bound
        self._home = home
        self._away = home is not get_backend()

    @property
    def source(self) -> str:
        """The code that runs."""
        return self._plan.source

    def __call__(self, *values: Any) -> tuple[Any, list[Any]]:
        try:
            if len(values) != len(self._avals):
                raise ArgumentError(
                    f"the compiled gradient takes {several(len(self._avals), 'array')}, not {len(values)}"
                )
            arrays = []
            for i, (value, aval) in enumerate(zip(values, self._avals, strict=True)):
                if type(value) is not np.ndarray or value.dtype != aval.dtype or self._away:
                    value = self._taken(value.value if isinstance(value, Handle) else value, aval, i)
                if value.shape != aval.shape:
                    raise ShapeError(
                        f"argument {i} of the compiled gradient has shape {value.shape}, but it was compiled for "
                        f"{aval!r}; compile another for this shape"
                    )
                arrays.append(value)
            results = self._plan(*arrays, *self._bound)
            if searches:
                check_compiled(self._plan, results, self._home)
            return results[0], list(results[1:])
        except Exception as error:
            hide(error)
            raise

    def _taken(self, value: Any, aval: Aval, i: int) -> Any:
        """An argument where the gradient computes."""
        if aval.dtype.kind != "c" and is_complex(value):
            raise DTypeError(
                f"argument {i} of the compiled gradient is {describe(value)}, and it was compiled for {aval!r}, "
                "which has no imaginary part; take np.real of it, or compile another for complex numbers"
            )
        return taken(value, aval, self._home if self._away else None)
