"""Programs as straight-line Python source over NumPy: a module of one function, compiled once and called often.

Names in the source are numbers: nothing a user wrote reaches it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from autodiff.backend import Plan
from autodiff.background import check
from autodiff.core.program import Program
from autodiff.plan.slices import join_slices
from autodiff.plan.workspaces import Workspaces

from .flags import LOUD, QUIET, forget, noted
from .parts import LONGEST_PART, in_parts
from .reference import Interpreted
from .values import number_text
from .writer import Writer

EXTENDED = (np.dtype(np.longdouble), np.dtype(np.clongdouble))

_serial = itertools.count()


class Generated:
    """A plan that is one Python function.

    Attributes
    ----------
    source : str
        The module text: its imports, the buffers it works in, and ``run``.
    n_operations : int
        Primitives executed by one call.
    peak_bytes : int
        What one call holds at most: buffers, other new arrays, and results.
    """

    def __init__(self, program: Program):
        writer = self._writer(join_slices(program))
        writer.write()
        results = writer.results()
        self.n_operations = len(writer.applications)
        self.peak_bytes = writer.peak_bytes
        self._raises = writer.raises
        self.is_bare = _is_bare(writer)
        # What is said of it by the interpreter.
        program.settle()
        self._program = program
        self._reference: Interpreted | None = None
        pieces = _pieces(writer, results, self.is_bare)
        self.source = "\n".join(pieces)
        functions = _functions(pieces, f"<autodiff plan {next(_serial)}>", writer.objects)
        self._run: Callable[..., tuple[Any, ...]] = functions["run"]
        make, context = functions["workspace"], QUIET if program.quiet else LOUD
        # Beside the buffers the context that a call runs in: nobody enters that twice at once.
        self._workspaces = Workspaces(lambda: (make(), context.copy().run), writer.storage.nbytes, _first)
        self._spare = self._workspaces.spare

    def _writer(self, program: Program) -> Writer:
        return Writer(program)

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        if self.is_bare:
            return self._run(self.exact, *values)
        spare: Any = self._spare
        try:
            kept = spare.pop()
        except IndexError:
            kept, spare = self._workspaces.take()
        buffers, within = kept
        try:
            results: tuple[Any, ...] = within(self._run, buffers, *values)
        except BaseException as error:
            forget()
            if not self._raises or not isinstance(error, (ArithmeticError, ValueError)):
                raise
            return self.exact(*values)
        spare.append(kept)
        if noted:
            self._interpreted().tell(values)
        return results

    def exact(self, *values: Any) -> tuple[Any, ...]:
        """What IEEE arithmetic gives, where Python's floats raise."""
        return self._interpreted()(*values)

    @property
    def bare(self) -> Plan:
        """The function itself, if it needs nothing of what a call does."""
        return Bare(self, self._run) if self.is_bare else self

    def _interpreted(self) -> Interpreted:
        if self._reference is None:
            self._reference = Interpreted(self._program)
        return self._reference


class Bare(partial[tuple[Any, ...]]):
    """A plan of Python's numbers alone: nothing of this library is between a call and its function.

    Attributes
    ----------
    source : str
        The module text.
    n_operations : int
        Primitives executed by one call.
    peak_bytes : int
        What one call holds at most.
    """

    source: str
    n_operations: int
    peak_bytes: int

    def __new__(cls, plan: Generated, run: Callable[..., tuple[Any, ...]]) -> Bare:
        made = super().__new__(cls, run, plan.exact)
        made.source, made.n_operations, made.peak_bytes = plan.source, plan.n_operations, plan.peak_bytes
        return made


def _is_bare(writer: Writer) -> bool:
    """Whether only Python's numbers are in it: then NumPy has nothing to say of it, and nothing is worked in."""
    program = writer.program
    known = (writer.names, writer.helpers, writer.meanings, writer.objects, writer.constants, writer.functions)
    return (
        not any(known)
        and not writer.storage.buffers
        and not writer.views
        and all(aval.weak and aval.spec is None for aval in program.avals[: program.n_inputs])
    )


def _first(kept: Any) -> Any:
    """The first buffer of what is kept between calls."""
    return kept[0][0]


def _functions(pieces: list[str], name: str, objects: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """The functions that the pieces of a plan's module define, which know some objects. None refers to itself.

    A function in its own globals is a reference cycle, and a plan that nobody needs would wait for the collector.
    """
    namespace: dict[str, Any] = dict(objects)
    line = 0
    for piece in pieces:
        check()
        exec(compile("\n" * line + piece, name, "exec"), namespace)
        line += piece.count("\n") + 1
    found = {key: f for key, f in namespace.items() if isinstance(f, FunctionType) and f.__globals__ is namespace}
    scope = {key: value for key, value in namespace.items() if key not in found}
    # Those of a group are called by parts, and these by ``run``: each sees those before it.
    defined: dict[str, Callable[..., Any]] = {}
    for kind in ("workspace", "group", "part", "run"):
        made = {key: FunctionType(f.__code__, scope) for key, f in found.items() if key.startswith(kind)}
        defined.update(made)
        scope = {**scope, **made}
    # The functions as they were made, whose globals this is.
    namespace.clear()
    return defined


def _pieces(writer: Writer, results: list[str], is_bare: bool) -> list[str]:
    """The text of a plan as a module, cut where it may be: Python compiles a piece without a pause."""
    program = writer.program
    buffers = writer.storage.buffers
    statements = writer.lines
    inputs = [f"x{i}" for i in range(program.n_inputs)]
    views = [*[f"b{i}" for i in range(len(buffers))], *writer.views.values()]
    parts: list[str] = []
    if len(statements) > 2 * LONGEST_PART:
        parts, statements = in_parts(statements, [*inputs, *views], results)
    lines = [f"    {line}" for line in statements]
    lines.append(f"    return ({', '.join(results)},)" if results else "    return ()")
    first = "buffers"
    if is_bare:
        first = "exact"
        if writer.raises:
            again = f"        return exact({', '.join(inputs)})"
            lines = ["    try:", *[f"    {line}" for line in lines], "    except (ArithmeticError, ValueError):", again]
    if buffers:
        lines.insert(0, f"    ({', '.join(views)},) = buffers")
        writer.use("empty")
    workspace = _workspace(writer)
    parameters = ", ".join([first, *inputs])
    header = ["import math"] if any("math." in line for line in writer.lines) else []
    if writer.helpers:
        header.append(f"from autodiff_backends import {', '.join(sorted(writer.helpers))}")
    if writer.meanings:
        header += ["import numpy", "from autodiff.core.primitives import PRIMITIVES"]
        header += [f"meaning_{name} = PRIMITIVES[{name!r}].meaning" for name in sorted(writer.meanings)]
    comments = [f"# x{i}: {program.avals[i]!r}" for i in range(program.n_inputs) if program.avals[i].literal is None]
    for name, value in writer.objects.items():
        comments += [f"# {line}" for line in f"{name}: {value}".splitlines()]
    constants = [f"{name} = {_constant_text(writer, value)}" for name, value in writer.constants.items()]
    header += [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(writer.names.items())]
    return [
        "\n".join([*header, "", *comments, *constants, ""]),
        *_definitions(writer.functions),
        "\n".join(["def workspace():", *workspace, ""]),
        *parts,
        "\n".join([f"def run({parameters}):", *lines, ""]),
    ]


def _definitions(lines: list[str]) -> list[str]:
    """Functions, each ending with an empty line, as texts of a length that is compiled without a pause."""
    pieces = []
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if not line and len(piece) >= LONGEST_PART:
            pieces.append("\n".join(piece))
            piece = []
    return [*pieces, "\n".join(piece)] if piece else pieces


def _workspace(writer: Writer) -> list[str]:
    """Statements that make the buffers, and the views of them that calls work with."""
    made = [f"empty({shape!r}, {dtype.name!r})" for shape, dtype in writer.storage.buffers]
    if not writer.views:
        return [f"    return ({''.join(f'{text}, ' for text in made)})"]
    lines = [f"    b{i} = {text}" for i, text in enumerate(made)]
    lines += [f"    {name} = {expression}" for expression, name in writer.views.items()]
    names = [*[f"b{i}" for i in range(len(made))], *writer.views.values()]
    return [*lines, f"    return ({', '.join(names)},)"]


def _constant_text(writer: Writer, value: Any) -> str:
    """An expression that makes a constant: a number, an index, or an array that a derivative rule made."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    if not value.size:
        return f"{writer.use('empty')}({value.shape!r}, {value.dtype.name!r})"
    if value.ndim == 1 and np.all(value == 1):
        return f"{writer.use('ones')}({value.size}, {value.dtype.name!r})"
    if value.ndim == 1 and value.dtype == np.int64 and np.array_equal(value, np.arange(value.size)):
        return f"{writer.use('arange')}({value.size})"
    numbers = value.tolist()
    if value.dtype in EXTENDED:
        # Constants of a program are Python numbers, so doubles hold them.
        numbers = value.astype(complex if value.dtype.kind == "c" else float).tolist()
    return f"{writer.use('array')}({_nested_text(numbers)}, {value.dtype.name!r})"


def _nested_text(numbers: Any) -> str:
    """Lists of Python numbers as an expression, infinities and NaN included."""
    if isinstance(numbers, list):
        return f"[{', '.join(map(_nested_text, numbers))}]"
    return number_text(numbers)
