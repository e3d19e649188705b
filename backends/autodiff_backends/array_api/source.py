"""Programs as straight-line Python source over a namespace of array functions, one call an application.

Names in the source are numbers and functions of the library: nothing a user wrote reaches it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from autodiff.backend import Plan
from autodiff.core.parameters import Held
from autodiff.core.primitives import PRIMITIVES, Signature
from autodiff.core.program import Program
from autodiff.whole import apart

from ..numpy.backend import planned
from ..numpy.reference import Interpreted, function_for
from ..numpy.values import constant_value, number_text
from .calls import NOTHING, OVERRIDES, Call, DType
from .elementwise import same

BROADCAST_TO = PRIMITIVES["broadcast_to"]

_serial = itertools.count()


class Dialect(NamedTuple):
    """What plans need to know of a library.

    Parameters
    ----------
    functions : module
        Whose functions calls name.
    namespace : module
        What functions of this package are given: the standard's functions.
    device : object
        Where arrays are made.
    call : callable
        The call for a signature.
    dtype : callable
        The library's dtype for NumPy's.
    convert : callable
        ``convert(array, dtype)``.
    copy : callable
        A new array of the same elements.
    constant : callable
        An array of the library from one of NumPy's.
    quiet : bool
        Whether NumPy may compute, and warn of elements that are not chosen.
    """

    functions: Any
    namespace: Any
    device: Any
    call: Callable[[Signature], Call]
    dtype: Callable[[DType], Any]
    convert: Callable[..., Any]
    copy: Callable[[Any], Any]
    constant: Callable[[np.ndarray[Any, Any]], Any]
    quiet: bool


class Writer:
    """The lines of a plan, and what the names in them are.

    Attributes
    ----------
    names : dict of str to object
        Functions, dtypes and constants that lines refer to.
    n_launches : int
        How many functions the lines call.
    numbers : bool
        Whether they compute with Python numbers by NumPy.
    """

    def __init__(self, program: Program, dialect: Dialect):
        self.program = program
        self.dialect = dialect
        self.names: dict[str, Any] = {"xp": dialect.namespace, "device": dialect.device}
        self.lines: list[str] = []
        self.n_launches = 0
        self.numbers = False
        # The value whose memory a value looks into, and whether it shows all of its elements, each once.
        self._roots: dict[int, int] = {}
        self._partial: set[int] = set()
        self._needed: dict[int, int] = {}
        self._constants: dict[tuple[Any, ...], str] = {}
        self._functions: dict[str, str] = {}
        self._calls: dict[Signature, Call] = {}
        self._of_signatures: dict[Signature, str] = {}

    # --- names -------------------------------------------------------------------------------------------------------

    def bind(self, name: str, value: Any) -> str:
        """A name for an object: the one it has, or the given one unless another object has it."""
        while self.names.setdefault(name, value) is not value:
            name += "_"
        return name

    def _function(self, name: str) -> str:
        """The name for a function of the library. (Asked for twice, it may be two objects.)"""
        if name not in self._functions:
            self._functions[name] = self.bind(name, getattr(self.dialect.functions, name))
        return self._functions[name]

    def _static(self, value: Any) -> str:
        if isinstance(value, Held):
            return self.bind("held", value)
        return self.bind(value.name, self.dialect.dtype(value)) if isinstance(value, np.dtype) else repr(value)

    def _word(self, number: int) -> str:
        """A value as it is."""
        if number not in self.program.constants:
            return f"x{number}" if number < self.program.n_inputs else f"v{number}"
        value = constant_value(self.program, number)
        if isinstance(value, np.ndarray):
            return self._constant(value)
        return number_text(value) if self.program.avals[number].spec is None else repr(value)

    def _constant(self, value: np.ndarray[Any, Any]) -> str:
        """An array made when the plan is."""
        key = (value.shape, value.dtype, value.tobytes())
        if key not in self._constants:
            self._constants[key] = self.bind(f"k{len(self._constants)}", self.dialect.constant(value))
        return self._constants[key]

    # --- operands ----------------------------------------------------------------------------------------------------

    def _array(self, number: int, wanted: DType | None) -> str:
        """An operand as an array of a dtype."""
        aval = self.program.avals[number]
        wanted = aval.dtype if wanted is None else wanted
        if aval.spec is not None:
            return self._word(number)
        if number in self.program.constants and aval.size == 1:
            return self._constant(np.asarray(self.program.constants[number], aval.dtype).astype(wanted))
        if aval.weak:
            if wanted.kind == aval.dtype.kind and wanted.itemsize < aval.dtype.itemsize:
                # Beyond the range of the dtype it is infinite, as in NumPy; PyTorch fills with no such number.
                return self._converted(self._filled(self._word(number), aval.dtype), wanted)
            return self._filled(self._word(number), wanted)
        return self._word(number) if aval.dtype == wanted else self._converted(self._word(number), wanted)

    def _filled(self, word: str, dtype: DType) -> str:
        self.n_launches += 1
        return f"{self._function('full')}((), {word}, dtype={self._static(dtype)}, device=device)"

    def _converted(self, word: str, dtype: DType) -> str:
        self.n_launches += 1
        return f"{self.bind('astype', self.dialect.convert)}({word}, {self._static(dtype)})"

    def _operands(self, call: Call, arguments: tuple[int, ...]) -> list[str]:
        pairs = list(zip(arguments, call.operands, strict=True))
        numbers = {i for i in call.numbers if self.program.avals[arguments[i]].weak}
        known = {i for i in numbers if arguments[i] in self.program.constants}
        # Known numbers are arrays, which libraries take half as long to take as numbers.
        numbers -= known - set(call.literals)
        # An array of the dtype that is computed in must be beside: numbers alone do not say which.
        if numbers and all(i in numbers or dtype != call.operands[-1] for i, (_, dtype) in enumerate(pairs)):
            numbers.remove(min(numbers))
        return [self._word(a) if i in numbers else self._array(a, dtype) for i, (a, dtype) in enumerate(pairs)]

    # --- applications ------------------------------------------------------------------------------------------------

    def expression(self, signature: Signature, arguments: tuple[int, ...], overwrite: bool = False) -> tuple[str, bool]:
        """What computes an application, and whether the result may share memory with the first operand.

        ``overwrite`` says that nothing else needs the first operand.
        """
        if all(a.weak for a in signature.inputs) and _is_elementwise(signature):
            return self._of_numbers(signature, arguments), False
        if signature.out.weak:
            chosen = self.bind("choose_number", _choose_number)
            return f"{chosen}({', '.join([self._word(a) for a in arguments])})", False
        call = self._calls.get(signature) or self._calls.setdefault(signature, self.dialect.call(signature))
        words = self._operands(call, arguments)
        if call.meaning is same:
            return words[0], True
        words += [self._static(p) for p in call.parameters]
        words += [f"{name}={self._static(value)}" for name, value in call.keywords.items()]
        self.n_launches += 1
        if isinstance(call.meaning, str):
            return f"{self._function(call.meaning)}({', '.join(words)})", call.view
        function = call.in_place if overwrite and call.in_place is not None else call.meaning
        if call.with_namespace:
            words.insert(0, "xp")
        # The meaning on a card may be an expression without a name.
        name = function.__name__ if function.__name__.isidentifier() else signature.primitive.name
        return f"{self.bind(name, function)}({', '.join(words)})", call.view

    def _of_numbers(self, signature: Signature, arguments: tuple[int, ...]) -> str:
        """Python numbers are computed with here, whatever library has the arrays."""
        primitive, words = signature.primitive, [self._word(a) for a in arguments]
        operator = OVERRIDES.get(primitive, NOTHING).operator
        if operator is not None and all(a.dtype.kind == "f" for a in signature.inputs):
            return f"{words[0]} {operator} {words[1]}"
        self.numbers = True
        if signature not in self._of_signatures:
            self._of_signatures[signature] = self.bind(f"number_{primitive.name}", _python_function(signature))
        text = f"{self._of_signatures[signature]}({', '.join(words)})"
        return text if signature.out.weak else self._filled(text, signature.out.dtype)

    def write(self) -> None:
        """All applications as lines, values forgotten after their last use."""
        program = self.program
        applications = program.applications()
        self.n_operations = len(applications)
        last_use = {a: number for number, _, arguments in applications for a in arguments}
        last_use |= dict.fromkeys(program.outputs, len(program.avals))
        # When the memory of each value is last looked into, by itself or by a view.
        self._needed = last_use.copy()
        for number, signature, arguments in applications:
            text, view = self.expression(signature, arguments, self._is_free(number, arguments))
            self.lines.append(f"v{number} = {text}")
            if view:
                self._look(number, signature, arguments[0])
            dead = [a for a in dict.fromkeys(arguments) if last_use[a] == number and program.signatures[a] is not None]
            if dead:
                self.lines.append(f"del {', '.join([f'v{a}' for a in dead])}")

    def _is_free(self, number: int, arguments: tuple[int, ...]) -> bool:
        """Whether the first argument of an application is an array that it may overwrite."""
        base, *others = arguments
        made = self.program.signatures[base] is not None and base not in self._roots
        return made and self._needed[base] <= number and base not in [self._roots.get(a, a) for a in others]

    def _look(self, number: int, signature: Signature, value: int) -> None:
        """Note that a value is a view of another one."""
        root = self._roots[number] = self._roots.get(value, value)
        self._needed[root] = max(self._needed[root], self._needed[number])
        primitive = signature.primitive
        # Parts of complex numbers, some of the elements, or some of them repeatedly.
        parts = signature.out.dtype != signature.inputs[0].dtype and signature.is_view
        if value in self._partial or parts or primitive.kind == "indexing" or primitive is BROADCAST_TO:
            self._partial.add(number)

    def results(self) -> list[str]:
        """The outputs, copied where they are not in memory of their own."""
        program = self.program
        taken: set[int] = set()
        words = []
        for number in program.outputs:
            root = self._roots.get(number, number)
            if program.avals[number].weak:
                words.append(self._word(number))
            elif program.signatures[root] is None or root in taken or number in self._partial:
                self.n_launches += 1
                words.append(f"{self.bind('copy', self.dialect.copy)}({self._word(number)})")
            else:
                words.append(self._word(number))
            taken.add(root)
        return words


def _is_elementwise(signature: Signature) -> bool:
    """Whether numbers are computed with as elements are."""
    own = OVERRIDES.get(signature.primitive)
    return own is None or bool(own.kinds)


def _choose_number(condition: Any, x: Any, y: Any) -> Any:
    """One of two Python numbers, in the kind that both promote to."""
    return np.asarray(np.where(bool(condition), x, y)).item()


def _python_function(signature: Signature) -> Callable[..., Any]:
    function = function_for(signature)
    return function if signature.out.weak else lambda *numbers: np.asarray(function(*numbers)).item()


def _loaded(source: str, names: dict[str, Any], file: str) -> Callable[..., Any]:
    """The function ``run`` of a source, with names of ours; it is not in its own globals, which would be a cycle."""
    defined: dict[str, Any] = {}
    exec(compile(source, file, "exec"), defined)
    return FunctionType(defined["run"].__code__, {**names, "__builtins__": defined["__builtins__"]})


class Generated:
    """A plan that is one Python function.

    Attributes
    ----------
    source : str
        What its names are, and ``run``.
    n_operations : int
        Primitives executed by one call.
    n_launches : int
        Functions of the library (or of this package, made of them) that one call calls.
    """

    def __init__(self, program: Program, dialect: Dialect):
        writer = Writer(program, dialect)
        writer.write()
        results = writer.results()
        self.n_operations = writer.n_operations
        self.n_launches = writer.n_launches
        lines = [*writer.lines, f"return ({', '.join(results)},)" if results else "return ()"]
        quiet = dialect.quiet or (program.quiet and writer.numbers)
        if quiet:
            with_ = f"with {writer.bind('errstate', np.errstate)}(all='ignore'):"
            lines = [with_, *[f"    {line}" for line in lines]]
        inputs = [f"# x{i}: {program.avals[i]!r}" for i in range(program.n_inputs) if program.avals[i].literal is None]
        head = f"def run({', '.join([f'x{i}' for i in range(program.n_inputs)])}):"
        self.source = "\n".join([*_explained(writer.names), "", *inputs, head, *[f"    {line}" for line in lines], ""])
        run = _loaded(self.source, writer.names, f"<autodiff plan {next(_serial)}>")
        self._run = apart(run) if quiet else run

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        results: tuple[Any, ...] = self._run(*values)
        return results


def _explained(names: dict[str, Any]) -> list[str]:
    """A comment for each name of a source."""
    return [f"# {name}: {_origin(value)}" for name, value in names.items()]


def _origin(value: Any) -> str:
    """Where an object is from, in a line."""
    name = getattr(value, "__name__", None)
    if isinstance(name, str):
        module = getattr(value, "__module__", None)
        return f"{module}.{name}" if isinstance(module, str) else name
    shape = getattr(value, "shape", None)
    return repr(value).partition("\n")[0] if shape is None else f"an array of shape {tuple(shape)}"


def _function(signature: Signature, dialect: Dialect) -> Callable[..., Any]:
    """What computes a signature alone, for plans that are interpreted."""
    program = Program(signature.inputs)
    writer = Writer(program, dialect)
    text, _ = writer.expression(signature, tuple(range(len(signature.inputs))))
    words = ", ".join([f"x{i}" for i in range(len(signature.inputs))])
    return _loaded(f"def run({words}):\n    return {text}\n", writer.names, "<autodiff function>")


def compile_program(program: Program, dialect: Dialect) -> Plan:
    """A plan: generated source, or interpreted while (or because) a program is long."""
    return planned(
        program, lambda program: interpret_program(program, dialect), lambda program: Generated(program, dialect)
    )


def interpret_program(program: Program, dialect: Dialect) -> Plan:
    """A plan that calls one function after another."""

    def constant(program: Program, number: int) -> Any:
        value = constant_value(program, number)
        return dialect.constant(value) if isinstance(value, np.ndarray) else value

    return Interpreted(program, lambda signature: _function(signature, dialect), constant, dialect.copy)
