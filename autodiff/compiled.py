"""What a ``Graph`` gives of a gradient beside its numbers: the gradient as a function of arrays, and what it costs."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from .backend import Backend, Plan
from .convert import describe, is_complex
from .core.avals import Aval
from .errors import ArgumentError, DTypeError, ShapeError, several
from .flows import Body
from .importing import imported
from .noting import searches
from .places import taken
from .plan import compile_nodes, memory_of, tier_of
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

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> graph, x = ad.Graph(backend="numpy"), ad.Tensor([1.0, 2.0])
    >>> explanation = graph.explain(np.sum(np.exp(x)), [x])
    >>> explanation.backend, explanation.operations
    ('numpy', 2)
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

    def _repr_html_(self) -> str:
        """What notebooks show."""
        text = str(self).removesuffix(self.source).rstrip()
        return str(imported("autodiff.display.graphs").explanation(text.splitlines(), self.source))

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


def plan_row(plan: Plan) -> tuple[int, int | None, str, str]:
    """What notebooks show of a plan: its operations, the bytes that it holds, what answers, and its source."""
    peak = memory_of(plan).peak_bytes
    return plan.n_operations, peak, tier_of(plan) or "", plan.source


class Made(NamedTuple):
    """What a plan is made of.

    Parameters
    ----------
    body : Body
        From its inputs to the value and the derivatives.
    backend : Backend
        What compiles it.
    memory_limit : int or None
        Bytes that it may hold.
    """

    body: Body
    backend: Backend
    memory_limit: int | None

    def plan(self) -> Plan:
        """The plan, compiled now, or found on disk."""
        return compile_nodes(*self.body.names(), self.backend, True, memory_limit=self.memory_limit)


@boundaries
class CompiledGradient:
    """A gradient as a function of arrays. Made by ``Graph.compile``.

    Parameters
    ----------
    plan : Plan
        What computes the value and the gradients.
    avals : list of Aval
        What is known of the arguments.
    bound : list
        Values of the other inputs of the plan.
    home : Backend
        Where it computes.
    made : Made
        What the plan is made of, for another process.

    Attributes
    ----------
    source : str
        The code that runs.

    Examples
    --------
    >>> import autodiff as ad
    >>> import numpy as np
    >>> graph, x = ad.Graph(), ad.Tensor([1.0, 2.0])
    >>> step = graph.compile(np.sum(x**3), [x], inputs=[x])
    >>> step([2.0, 3.0])
    (array(35.), [array([12., 27.])])
    """

    __slots__ = ("_avals", "_away", "_bound", "_home", "_made", "_plan")

    def __init__(self, plan: Plan, avals: list[Aval], bound: list[Any], home: Backend, made: Made):
        self._plan = plan
        self._avals = avals
        self._bound = bound
        self._home = home
        self._made = made
        self._away = home is not get_backend()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._avals, self._bound, self._home, self._made)

    def __copy__(self) -> CompiledGradient:
        # Nothing of it changes.
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledGradient:
        return self

    @property
    def source(self) -> str:
        """The code that runs."""
        return self._plan.source

    def __repr__(self) -> str:
        return f"<CompiledGradient of ({', '.join(map(repr, self._avals))}) on {self._home.label}>"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        arguments = ", ".join(map(repr, self._avals))
        shown = imported("autodiff.display.graphs")
        return str(shown.function("CompiledGradient", f"({arguments})", self._home.label, [plan_row(self._plan)]))

    def __call__(self, *values: Any) -> tuple[Any, list[Any]]:
        try:
            if len(values) != len(self._avals):
                takes = several(len(self._avals), "array")
                raise ArgumentError(f"the compiled gradient takes {takes}, not {len(values)}")
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


class _Later:
    """The plan of a compiled gradient from another process: it is made when it is asked for."""

    __slots__ = ("_made", "_plan")

    def __init__(self, made: Made):
        self._made = made
        self._plan: Plan | None = None

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        return (self._plan or self._found())(*values)

    def _found(self) -> Plan:
        # Two threads may make it; one of the plans stays.
        self._plan = self._plan or self._made.plan()
        return self._plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)


def _restored(avals: list[Aval], bound: list[Any], home: Backend, made: Made) -> CompiledGradient:
    return CompiledGradient(_Later(made), avals, bound, home, made)
