"""Derivatives of programs, of orders 1 to 4, by every way to ask for them, held to series in extended precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import autodiff as ad

from .compare import Wrong, check
from .generate import other_arrays
from .program import Program, Slack, Step, compiled, evaluate, literal, run
from .taylor import MONOMIALS, Series, Unsuitable, as_series, variable
from .ways import BUILTIN, Runner, first, host, needs_values, quiet, second, tensors

TOTAL = "v999"
# Of so many values that no other step reads the result is made.
ENDS = 4


def weighted(program: Program, values: dict[str, np.ndarray]) -> Program:
    """The program with one real number in the end: of the newest floating values that nothing reads, weighted sums."""
    rng = np.random.default_rng(program.seed)
    read = {name for step in program.steps for name in step.reads if name != step.writes}
    computed = [n for n in program.names if n not in program.inputs and values[n].dtype.kind in "fc" and values[n].size]
    if not computed:
        raise Unsuitable("no floating result")
    ends = [name for name in computed if name not in read or name == computed[-1]][-ENDS:]
    terms = []
    for name in ends:
        value = values[name]
        weight = rng.uniform(0.5, 1.5, value.shape)
        if value.dtype.kind == "c":
            weight = weight + 1j * rng.uniform(0.5, 1.5, value.shape)
        terms.append(f"np.sum(np.real({name} * {literal(weight.astype(value.dtype))}))")
    slack = Slack(max(values[name].size for name in ends) + 4, 4)
    step = Step(f"{TOTAL} = {' + '.join(terms)}", tuple(ends), TOTAL, slack, bounded=tuple(ends))
    return replace(program, steps=(*program.steps, step))


def variables(program: Program) -> list[str]:
    return [name for name, a in program.inputs.items() if a.dtype.kind in "fc" and a.size]


def precision(program: Program, values: dict[str, np.ndarray]) -> float:
    """The unit of the least precise dtype in a program."""
    text = program.source()
    if "float16" in text or any(v.dtype == np.float16 for v in values.values()):
        raise Unsuitable("half precision")
    single = (
        "float32" in text or "complex64" in text or any(v.dtype in (np.float32, np.complex64) for v in values.values())
    )
    return float(np.finfo(np.float32 if single else np.float64).eps)


class Oracle:
    """Derivatives of a program at some inputs, by series."""

    def __init__(self, program: Program, arrays: dict[str, np.ndarray], numbers: dict[str, Any]):
        self.program, self.arrays, self.numbers = program, arrays, numbers
        values = evaluate(program, arrays, numbers)
        if not all(np.all(np.isfinite(v)) for v in values.values()):
            raise Unsuitable("infinite numbers")
        self.unit = precision(program, values)

    def _run(self, arrays: dict[str, np.ndarray], directions: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
        """The coefficients of the result, and the largest of all coefficients on the way."""
        space: dict[str, Any] = {"np": np, **self.numbers}
        for name, a in arrays.items():
            if name in directions:
                space[name] = variable(a, directions[name])
            else:
                space[name] = as_series(a) if a.dtype.kind in "fc" else a.copy()
        largest = 1.0
        with np.errstate(all="ignore"):
            for step in self.program.steps:
                try:
                    exec(compiled(step.text), space)
                except Unsuitable:
                    raise
                except Exception as error:
                    raise Unsuitable(f"the oracle fails: {type(error).__name__}: {error}: {step.text}") from error
                found = space[step.writes]
                if not isinstance(found, Series):
                    found = np.array(found)
                    found = as_series(found) if found.dtype.kind in "fc" else found
                elif found is not space.get(step.writes) or not step.in_place:
                    found = Series(found.c.copy())
                space[step.writes] = found
                if isinstance(found, Series) and found.size:
                    largest = max(largest, float(np.max(np.abs(found.c))))
        return np.real(space[TOTAL].c), largest

    def expected(self, directions: dict[str, np.ndarray], orders: int) -> dict[int, tuple[float, float]]:
        """By order the derivative along the directions, and how far a right evaluation may be from it.

        Orders of which no digit is certain are left out.
        """
        rng = np.random.default_rng(self.program.seed)
        c, largest = self._run(self.arrays, directions)
        spreads = np.zeros(c.shape)
        for _ in range(2):
            moved = {
                name: a * (1 + 64 * self.unit * rng.uniform(-1, 1, a.shape)) if a.dtype.kind in "fc" else a
                for name, a in self.arrays.items()
            }
            spreads = np.maximum(spreads, np.abs(self._run(moved, directions)[0] - c))
        found = {}
        factorial = 1.0
        for n in range(1, orders + 1):
            factorial *= max(n - 1, 1)
            i = MONOMIALS.index((n - 1, 1))
            value = float(c[i]) * factorial
            allowed = factorial * (16 * float(spreads[i]) + 2e3 * self.unit * largest)
            if np.isfinite(value) and allowed < 1e-2 * (1 + abs(value)):
                found[n] = value, allowed
        if 1 not in found:
            raise Unsuitable("ill-conditioned")
        return found


def draw_direction(rng: np.random.Generator, a: np.ndarray) -> np.ndarray:
    v = rng.uniform(0.5, 1.5, a.shape) * rng.choice([-1, 1], a.shape)
    return v + 1j * rng.uniform(-1, 1, a.shape) if a.dtype.kind == "c" else v


def agree(
    what: str,
    gradients: dict[str, Any],
    directions: dict[str, np.ndarray],
    wanted: tuple[float, float],
    unit: float,
    arrays: dict[str, np.ndarray],
) -> None:
    """A gradient, along directions, is what the oracle says, and has the shape and dtype of its variable."""
    total, size = 0.0, 0.0
    for name, g in gradients.items():
        g = np.asarray(host(g))
        if g.shape != arrays[name].shape or g.dtype != arrays[name].dtype:
            raise Wrong(f"{what}: the gradient of {name} is {g.dtype}{g.shape}")
        with np.errstate(all="ignore"):
            parts = np.real(g.astype(np.complex128) * directions[name])
        total, size = total + float(np.sum(parts)), size + float(np.sum(np.abs(parts)))
    expected, allowed = wanted
    if not np.isfinite(total) or abs(total - expected) > allowed + 1e4 * unit * size:
        raise Wrong(f"{what}: {list(gradients)} give {total!r}, and the series says {expected!r} within {allowed:.2g}")


def orders_of(program: Program) -> int:
    length = len(program.steps)
    return 4 if length <= 6 else 3 if length <= 10 else 2 if length <= 30 else 1


def check_orders(runner: Runner, program: Program) -> None:
    """``Graph.gradient`` of every order that the size of the program allows, and the value beside the gradient."""
    numbers = first(program)
    values = evaluate(program, program.inputs, numbers)
    whole = weighted(program, values)
    names = variables(whole)
    if not names:
        raise Unsuitable("no variables")
    rng = np.random.default_rng([program.seed, 1])
    directions = {name: draw_direction(rng, program.inputs[name]) for name in names}
    oracle = Oracle(whole, whole.inputs, numbers)
    ref = runner.reference(whole, whole.inputs, numbers)
    wanted = oracle.expected(directions, 1)[1]
    graph = ad.Graph(backend=runner.backend)
    with quiet():
        given = tensors(whole, whole.inputs, graph)
        total = run(whole, {name: t[...] for name, t in given.items()}, numbers)[TOTAL]
        value, found = graph.value_and_gradient(total, [given[n] for n in names])
        check(TOTAL, host(value), ref)
        agree("value_and_gradient", dict(zip(names, found)), directions, wanted, oracle.unit, whole.inputs)
        name = names[program.seed // 7 % len(names)]
        if len(whole.steps) <= 20:
            twice = oracle.expected({name: directions[name]}, 2)
            (slope,) = graph.gradient(total, [given[name]], as_tensors=True)
            if 2 in twice:
                (again,) = graph.gradient(np.sum(np.real(slope)), [given[name]])
                agree("a gradient of a gradient", {name: again}, directions, twice[2], oracle.unit, whole.inputs)
        for n, wanted in oracle.expected({name: directions[name]}, orders_of(program)).items():
            (derivative,) = graph.gradient(total, [given[name]], n)
            agree(f"order {n}", {name: derivative}, directions, wanted, oracle.unit, whole.inputs)


class Transformed:
    """A program as a function of its inputs and numbers, and what the transformations make of it."""

    def __init__(self, program: Program, backend: Any):
        self.program, self.backend = program, backend
        self.names, self.variables = list(program.inputs), variables(program)
        self.places = tuple(self.names.index(name) for name in self.variables)
        direct = ad.value_and_grad(self, self.places)
        self.ways = {"value_and_grad": direct, "function": ad.function(direct, backend=backend)}

    def __call__(self, *args: Any) -> Any:
        given = dict(zip([*self.names, *self.program.numbers], args))
        for name in self.names:
            if not isinstance(given[name], ad.Tensor):  # steps may write into it
                given[name] = ad.Tensor(given[name], constant=self.program.inputs[name].dtype.kind in "biu")
        return run(self.program, {n: given[n] for n in self.names}, {n: given[n] for n in self.program.numbers})[TOTAL]

    def slope(self, *args: Any) -> Any:
        """The sum of the gradient with respect to the last variable."""
        return np.sum(np.real(ad.grad(self, self.places[-1])(*args)))

    def copies(self, arrays: dict[str, np.ndarray], there: bool) -> list[Any]:
        """Arguments of their own, on the backend or as they are: what a program does to them stays inside."""
        copies = [arrays[n].copy() for n in self.names]
        if self.backend is None or not there:
            return copies
        return [ad.get_backend(self.backend).home.asarray(a) for a in copies]


def check_transformations(runner: Runner, program: Program) -> None:
    """``ad.grad`` in itself and under ``ad.function``, with other data and numbers at the second call."""
    numbers = first(program)
    whole = weighted(program, evaluate(program, program.inputs, numbers))
    if not variables(whole):
        raise Unsuitable("no variables")
    transformed = Transformed(whole, runner.backend)
    calls = [(whole.inputs, numbers), (other_arrays(whole, True), second(whole)), (whole.inputs, numbers)]
    for arrays, values in calls:
        try:
            _check_call(runner, transformed, arrays, values)
        except Unsuitable:
            if arrays is whole.inputs:
                raise
        except (ad.errors.IndexingError, ad.errors.TraceError) as error:
            if needs_values(program, error):
                return
            raise


def _check_call(
    runner: Runner, transformed: Transformed, arrays: dict[str, np.ndarray], numbers: dict[str, Any]
) -> None:
    whole, names = transformed.program, transformed.variables
    rng = np.random.default_rng([whole.seed, 1])
    directions = {name: draw_direction(rng, arrays[name]) for name in names}
    try:
        oracle = Oracle(whole, arrays, numbers)
    except BUILTIN as error:
        raise Unsuitable("NumPy refuses these numbers") from error
    wanted = oracle.expected(directions, 1)[1]
    ref = runner.reference(whole, arrays, numbers)
    last = names[-1]
    with quiet():
        if len(whole.steps) <= 12:
            expected = oracle.expected({last: directions[last]}, 2)
            if 2 in expected:
                given = transformed.copies(arrays, True)
                found = ad.grad(transformed.slope, transformed.places[-1])(*given, *numbers.values())
                agree("grad of grad", {last: found}, directions, expected[2], oracle.unit, arrays)
        for what, function in transformed.ways.items():
            given = transformed.copies(arrays, function is not transformed.ways["function"])
            value, gradients = function(*given, *numbers.values())
            check(TOTAL, host(value), ref)
            agree(what, dict(zip(names, gradients)), directions, wanted, oracle.unit, arrays)
            for n, a in zip(transformed.names, given):
                if not np.array_equal(host(a), arrays[n], equal_nan=arrays[n].dtype.kind in "fc"):
                    raise Wrong(f"{what} writes into its argument {n}")
