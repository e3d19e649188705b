"""Solutions of equations, and their derivatives by the implicit function theorem, as nodes.

Where F(x, p) = 0, the tangent of x solves J dx = -dF, with J the derivative of F by x and dF its tangent for x held
fixed; and the cotangent of p is that of F for -u, where u solves J' u = ct. Both are recorded at the recorded solution,
so that they have derivatives again, of any order and in any mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import ops
from ..called import Call
from ..core.avals import intern_aval
from ..differentiate import Forward, reverse
from ..errors import ArgumentError, ConvergenceError
from ..memo import Memo
from ..nodes import Node, Operation
from ..progress import Task, begun
from ..tracing import unknowns
from ..walks import jacobian
from ..whole import silent
from .equations import Array, Equation, depending, equation_of, scipy_module


def is_regular(matrix: Array) -> bool:
    """Whether a matrix can be inverted in its precision, whatever the units of its rows and columns are."""
    scaled = silent(_equilibrated, matrix)
    if not np.all(np.isfinite(scaled)):
        # A row or a column of zeros; what is infinite or NaN is seen in the solution.
        return not np.all(np.isfinite(matrix))
    lapack = scipy_module("linalg.lapack", "solvers")
    factors, _, info = lapack.dgetrf(scaled)
    reciprocal, _ = (0.0, 0) if info else lapack.dgecon(factors, np.linalg.norm(scaled, 1))
    return bool(reciprocal > np.finfo(matrix.dtype).eps)


def _equilibrated(matrix: Array) -> Array:
    scaled: Array = matrix / np.max(np.abs(matrix), axis=1, keepdims=True)
    scaled /= np.max(np.abs(scaled), axis=0)
    return scaled


class _Regular(Call):
    """One, if a matrix can be inverted; otherwise the error that NumPy has for that.

    What is singular but for rounding would have a solution that is finite, and wrong.
    """

    __slots__ = ()

    def __init__(self, dtype: np.dtype[Any]):
        self.name = "solvers: a check of a matrix"
        self.outputs = (intern_aval((), dtype),)

    def passes(self, position: int) -> bool:
        return False

    def run(self, *values: Any) -> tuple[Array, ...]:
        (matrix,) = values
        if matrix.size and not is_regular(matrix):
            raise np.linalg.LinAlgError("Singular matrix")
        return (np.ones((), matrix.dtype),)


# A solver computes in one of these.
_REGULAR = {np.dtype(code): _Regular(np.dtype(code)) for code in "fd"}


class Linear:
    """How linear systems of the derivative are solved: with the whole matrix. Two that do the same are equal."""

    __slots__ = ()

    def solved(self, f: Node, x: Node, right: Node, transposed: bool) -> Node:
        """The solution of a system whose matrix is the derivative of ``f`` by ``x``, or the transpose of that."""
        (matrix,) = jacobian([f], [x], (), True)
        (one,) = ops.outputs(ops.call_p(matrix, rule=_REGULAR[matrix.aval.dtype]))
        return ops.solve(ops.transpose(matrix) if transposed else matrix, right * one)

    def step(self, problem: Problem, x: Array, right: Array) -> Array:
        """The same in numbers, at some unknowns; NaN if there is no solution."""
        if x.size > LARGEST_MATRIX:
            return np.full_like(x, np.nan)
        matrix = problem.matrix(x)
        return np.linalg.solve(matrix, right) if is_regular(matrix) else np.full_like(x, np.nan)


# Of larger systems no matrix is made to look at a solution.
LARGEST_MATRIX = 1000


class Problem:
    """Equations with numbers for all but the unknowns: what a solver is given.

    Parameters
    ----------
    call : Implicit
        What is solved.
    start : ndarray
    operands : sequence
        The values of operands.
    task : Task, optional
        What is told of evaluations.
    """

    __slots__ = ("_call", "_operands", "_task", "evaluations", "start")

    def __init__(self, call: Implicit, start: Array, operands: Sequence[Any], task: Task | None = None):
        self._call = call
        self._operands = operands
        self._task = task
        self.start = np.asarray(start, np.float64)
        self.evaluations = 0

    @property
    def name(self) -> str:
        """Who is to blame."""
        return self._call.name

    def values(self, x: Array) -> list[Array]:
        """All outputs of the equation: what is to be zero, and what else there is."""
        equation = self._call.equation
        plan = equation.plan("values", equation.record)
        self.evaluations += 1
        if self._task is not None:
            self._task.at(self.evaluations)
        return [np.asarray(v, np.float64) for v in plan(self._as_given(x), *self._operands)]

    def residual(self, x: Array) -> Array:
        """What is to be zero."""
        return self.values(x)[0]

    def _as_given(self, x: Array) -> Array:
        aval = self._call.equation.given[0]
        return np.asarray(x, aval.dtype).reshape(aval.shape)

    def matrix(self, x: Array, output: int = 0) -> Array:
        """The derivative of an output."""
        equation = self._call.equation

        def outputs(given: list[Node], operands: list[Node]) -> list[Node]:
            return jacobian([equation.record(given, operands)[output]], given, (), True)

        plan = equation.plan(("matrix", output), outputs, derived=True)
        return np.asarray(plan(self._as_given(x), *self._operands)[0], np.float64)

    def product(self, x: Array) -> Callable[[Array], Array]:
        """The derivative of what is to be zero, times a vector."""
        equation = self._call.equation

        def outputs(given: list[Node], operands: list[Node]) -> list[Node]:
            unknowns, v = given
            f = equation.record([unknowns], operands)[0]
            change = Forward({unknowns: v})(f)
            return [ops.zeros_like(f) if change is None else change]

        plan = equation.plan("product", outputs, derived=True, beside=equation.given)
        at = self._as_given(x)
        return lambda v: np.asarray(plan(at, self._as_given(v), *self._operands)[0], np.float64)

    @property
    def linear(self) -> Linear:
        """How linear systems of the derivative are solved."""
        return self._call.linear

    def failed(self, reason: str, x: Array, iterations: Any = None) -> ConvergenceError:
        """The error that says why there is no solution."""
        steps = "" if iterations is None else f" after {iterations} iterations"
        return ConvergenceError(
            f"{self.name} was not found{steps}, with {self.evaluations} evaluations: {reason}; the largest residual is "
            f"{np.max(np.abs(self.residual(x)), initial=0.0):.3g}"
        )


class Solver(Protocol):
    """What finds the unknowns of a problem. Two that do the same are equal."""

    def __call__(self, problem: Problem) -> Array:
        """The solution, or an error."""

    def __hash__(self) -> int: ...


class ByProducts(Solver, Protocol):
    """A solver of linear equations."""

    def solved(self, product: Callable[[Array], Array], right: Array, start: Array) -> tuple[Array, str]:
        """The solution of a system, by products with its matrix, and what is wrong with it, if anything is."""


_known: Memo[Any, Implicit] = Memo(1 << 9)


class Implicit(Call):
    """The solution of an equation. Its operands are where the search begins, and those of the equation.

    Parameters
    ----------
    name : str
        For messages.
    equation : Equation
        Of one vector, the unknowns. Its first output is zero at the solution.
    solver : Solver
        What finds the solution.
    linear : Linear
        How the systems of derivatives are solved.
    """

    __slots__ = ("_solver", "equation", "linear")

    def __init__(self, name: str, equation: Equation, solver: Solver, linear: Linear):
        self.name = name
        self.equation = equation
        self.outputs = (equation.given[0].at(None),)
        self._solver = solver
        self.linear = linear

    @classmethod
    def of(cls, name: str, equation: Equation, solver: Solver, linear: Linear) -> Implicit:
        """The one with these."""
        key = (name, equation, solver, linear)
        return _known.get(key) or _known.put(key, cls(*key))

    def run(self, *values: Any) -> tuple[Array, ...]:
        start, *operands = values
        if not start.size:
            return (np.array(start),)
        task = begun(self.name)
        try:
            found = self._solver(Problem(self, start, operands, task))
        finally:
            if task is not None:
                task.end()
        aval = self.outputs[0]
        return (np.array(found, aval.dtype).reshape(aval.shape),)

    def passes(self, position: int) -> bool:
        # Where the search began makes no difference.
        return position > 0

    def pull(self, ct: Sequence[Node | None], op: Operation, positions: Sequence[int]) -> list[Node | None]:
        (given,) = ct
        if given is None:
            return [None] * len(positions)
        f, x, operands = self._at_solution(op)
        u = self.linear.solved(f, x, -given, True)
        return reverse([f], [u], [operands[i - 1] for i in positions])

    def push(self, op: Operation, tangents: Sequence[Node | None]) -> Sequence[Node | None]:
        f, x, operands = self._at_solution(op)
        pairs = zip(operands, tangents[1:], strict=True)
        change = Forward({p: t for p, t in pairs if t is not None})(f)
        return [None if change is None else self.linear.solved(f, x, -change, False)]

    def _at_solution(self, op: Operation) -> tuple[Node, Node, list[Node]]:
        """What is zero, recorded at the solution, and fresh names for what it is made of."""
        x = ops.identity(ops.outputs(op)[0])
        operands = [ops.identity(p) if p.aval.differentiable else p for p in op.inputs[1:]]
        return self.equation.record([x], operands)[0], x, operands


def implicit(name: str, x: Node, outputs: Sequence[Node], start: Node, solver: Solver, linear: Linear) -> Node:
    """The solution for which the first output, recorded from the unknowns ``x``, is zero."""
    if not depending(outputs[:1], [x]):
        raise ArgumentError(
            f"{name}: what has to be zero there does not depend on the unknowns: the function, or its gradient, is the "
            "same for all of them"
        )
    equation, operands = equation_of([x], outputs)
    call = Implicit.of(name, equation, solver, linear)
    return ops.outputs(ops.call_p(start, *operands, rule=call))[0]


@dataclass(frozen=True, slots=True)
class Iterative(Linear):
    """Linear systems are solved by products with vectors alone.

    Parameters
    ----------
    solver : ByProducts
        What solves a linear equation.
    """

    solver: ByProducts

    def solved(self, f: Node, x: Node, right: Node, transposed: bool) -> Node:
        (v,) = unknowns([x.aval.at(None)])
        product = reverse([f], [v], [x])[0] if transposed else Forward({x: v})(f)
        assert product is not None
        return implicit("linear_solve: the solution", v, [product - right], ops.zeros(x.aval), self.solver, self)

    def step(self, problem: Problem, x: Array, right: Array) -> Array:
        found, wrong = self.solver.solved(problem.product(x), right, np.zeros_like(x))
        return np.full_like(x, np.nan) if wrong else found


DENSE = Linear()


def is_linear(f: Node, x: Node) -> bool:
    """Whether what was recorded is linear in something, or affine: its derivative does not depend on that."""
    (v,) = unknowns([x.aval])
    slope = Forward({x: v})(f)
    return slope is None or not depending([slope], [x])
