"""What each primitive means on NumPy arrays, one call each; and plans that interpret programs with these.

This is the definition that faster executions are tested against, the exact fall-back of scalar code, and how
programs too long to be worth compiling are run.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

from autodiff.nodes import Signature, broadcast_shape, intern_aval
from autodiff.plan.expand import expand
from autodiff.plan.program import Program
from autodiff.whole import apart

from ._numpy_runtime import add_at, logistic, tanh_slope

Function = Callable[..., Any]


def _masked_multiply(ct: Any, factor: Any) -> Any:
    chosen = np.not_equal(ct, 0)
    out = np.zeros(broadcast_shape(np.shape(ct), np.shape(factor)), np.result_type(ct, factor))
    return np.multiply(ct, factor, out=out, where=chosen)


def _entries(spec: tuple[Any, ...], value: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    rest = iter(arrays)
    return tuple([next(rest) if entry == "a" else v for entry, v in zip(spec, value, strict=True)])


def _index(signature: Signature) -> Function:
    spec = signature.inputs[1].spec
    assert spec is not None
    if len(signature.inputs) == 2:
        return lambda x, idx: x[idx]
    return lambda x, idx, *arrays: x[_entries(spec, idx, arrays)]


def _index_add(signature: Signature) -> Function:
    spec = signature.inputs[1].spec
    assert spec is not None

    def run(x: Any, idx: Any, values: Any, *arrays: Any) -> Any:
        out = np.array(x)
        if arrays:
            add_at(out, _entries(spec, idx, arrays), values)
        else:
            out[idx] += values
        return out

    return run


def _index_set(signature: Signature) -> Function:
    spec = signature.inputs[1].spec
    assert spec is not None

    def run(x: Any, idx: Any, values: Any, *arrays: Any) -> Any:
        out = np.array(x)
        out[_entries(spec, idx, arrays)] = values
        return out

    return run


def _with(function: Function, *names: str) -> Callable[[Signature], Function]:
    """A function whose parameters are those of the signature, in order, as keywords."""

    def make(signature: Signature) -> Function:
        keywords = dict(zip(names, signature.params, strict=True))
        return lambda *arrays: function(*arrays, **keywords)

    return make


def _reduction(ufunc: np.ufunc) -> Callable[[Signature], Function]:
    return _with(ufunc.reduce, "axis")


def _always(function: Function) -> Callable[[Signature], Function]:
    return lambda signature: function


def _astype(signature: Signature) -> Function:
    (dtype,) = signature.params
    return lambda x: np.asarray(x).astype(dtype)


def _inner_product(signature: Signature) -> Function:
    (axes,) = signature.params
    return lambda x, y: np.add.reduce(np.multiply(x, y), axis=axes)


def _concatenate(signature: Signature) -> Function:
    (axis,) = signature.params
    return lambda *arrays: np.concatenate(arrays, axis=axis)


SPECIAL: dict[str, Callable[[Signature], Function]] = {
    "masked_multiply": _always(_masked_multiply),
    "identity": _always(np.asarray),
    "stop_gradient": _always(np.asarray),
    "root_of_squares": _always(np.sqrt),
    "logistic": _always(logistic),
    "tanh_slope": _always(tanh_slope),
    "frexp_exponent": _always(lambda x: np.frexp(x)[1]),
    "real": _always(attrgetter("real")),
    "imag": _always(attrgetter("imag")),
    "where": _always(np.where),
    "astype": _astype,
    "reshape": lambda signature: lambda x: np.reshape(x, signature.params[0]),
    "transpose": _with(np.transpose, "axes"),
    "broadcast_to": _with(np.broadcast_to, "shape"),
    "concatenate": _concatenate,
    "inner_product": _inner_product,
    "sum": _reduction(np.add),
    "prod": _reduction(np.multiply),
    "max": _reduction(np.maximum),
    "min": _reduction(np.minimum),
    "all": _reduction(np.logical_and),
    "any": _reduction(np.logical_or),
    "argmax": _with(np.argmax, "axis"),
    "argmin": _with(np.argmin, "axis"),
    "cumsum": _with(np.cumsum, "axis"),
    "cumprod": _with(np.cumprod, "axis"),
    "index": _index,
    "index_add": _index_add,
    "index_set": _index_set,
    "matmul": _always(np.matmul),
}


def function_for(signature: Signature) -> Function:
    """The NumPy function that computes a signature, taking and giving arrays (weak values: Python numbers)."""
    primitive = signature.primitive
    if primitive.name in SPECIAL:
        function = SPECIAL[primitive.name](signature)
    else:
        function = primitive.numpy_ufunc or _composition(signature)
    if signature.out.weak:
        return lambda *arrays: np.asarray(function(*arrays)).item()
    return function


def _composition(signature: Signature) -> Function:
    """A primitive of derivative rules, by what it is composed of."""
    program = Program([intern_aval(a.shape, a.dtype, a.weak) for a in signature.inputs])
    program.outputs = (program.call(signature.primitive, *range(program.n_inputs), params=signature.params),)
    expanded = expand(program, ())
    assert expanded is not program, signature.primitive.name
    plan = Interpreted(expanded)
    return lambda *arrays: plan(*arrays)[0]


def constant_value(program: Program, number: int) -> Any:
    """A constant of a program: a Python number if it is weak, an index as it is, else an array of its dtype."""
    aval, value = program.avals[number], program.constants[number]
    if aval.weak or aval.spec is not None:
        return value
    return np.asarray(value, aval.dtype)


# A function, where its result goes, where its arguments are, and which values nothing needs after it.
Step = tuple[Callable[..., Any], int, tuple[int, ...], list[int]]


class Interpreted:
    """A plan that calls one function after another, freeing values after their last use.

    Parameters
    ----------
    program : Program
    functions : callable, optional
        The function that computes a signature.
    constant : callable, optional
        The constant of a program with a number.
    copy : callable, optional
        A new array of the elements of one.
    """

    def __init__(
        self,
        program: Program,
        functions: Callable[[Signature], Function] = function_for,
        constant: Callable[[Program, int], Any] = constant_value,
        copy: Function = np.array,
    ):
        live = program.live()
        places = {number: place for place, number in enumerate(live)}
        inputs = [number for number in live if number < program.n_inputs]
        self._inputs = [(places[n], n) for n in inputs]
        self._constants = [(places[n], constant(program, n)) for n in live if n in program.constants]
        self._size = len(live)
        self._outputs = [places[n] for n in program.outputs]
        self._weak = [program.avals[n].weak for n in program.outputs]
        last_use: dict[int, int] = {}
        applications = program.applications()
        for number in applications:
            for argument in program.arguments[number]:
                last_use[argument] = number
        found: dict[Signature, Function] = {}
        kept = set(program.outputs)
        self._steps: list[Step] = []
        for number in applications:
            signature = program.signatures[number]
            assert signature is not None
            if signature not in found:
                found[signature] = functions(signature)
            arguments = program.arguments[number]
            dead = [places[a] for a in set(arguments) if last_use[a] == number and a not in kept]
            self._steps.append((found[signature], places[number], tuple([places[a] for a in arguments]), dead))
        self.n_operations = len(self._steps)
        self._quiet = program.quiet
        self._copy = copy
        self._program = program if len(live) <= SOURCE_SHOWN else None

    @property
    def source(self) -> str:
        """The program, if it is not too long to be read."""
        if self._program is None:
            return f"# {self.n_operations} operations, interpreted one by one"
        return str(self._program)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        registers: list[Any] = [None] * self._size
        for place, number in self._inputs:
            registers[place] = values[number]
        for place, value in self._constants:
            registers[place] = value
        (_quietly if self._quiet else _executed)(self._steps, registers)
        # Copies, because a result may be an input, a view of one, or the same array twice.
        copy = self._copy
        return tuple(
            [registers[p] if weak else copy(registers[p]) for p, weak in zip(self._outputs, self._weak, strict=True)]
        )


def _executed(steps: list[Step], registers: list[Any]) -> None:
    for function, place, arguments, dead in steps:
        registers[place] = function(*[registers[a] for a in arguments])
        for a in dead:
            registers[a] = None


@apart
def _quietly(steps: list[Step], registers: list[Any]) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        _executed(steps, registers)


SOURCE_SHOWN = 20_000
