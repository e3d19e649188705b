"""What running transformations are about: the nodes that they watch, and the values that are looked at meanwhile.

A derivative is lost where a Tensor that it passes through becomes plain numbers; while a transformation runs, that is
an error. A value that a function looks at while it is traced decides what is recorded; the trace has to know of it.
Outside of transformations other packages may take values, and a derivative that they may have lost is a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Sequence
from contextvars import ContextVar, copy_context
from threading import get_ident
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from .callers import Caller, caller, line_of, user_frame
from .convert import as_node
from .core.avals import intern_aval
from .differentiate import derivative, passes
from .errors import AutodiffError, DetachedError, DetachedWarning, TraceError, UnsupportedError
from .nodes import NO_SLOT, Constant, Node, Slot, Unknown, Variable, refused, renamed
from .ops import identity
from .reasons import reason_of, solver_for
from .tracebacks import calling

# The arguments of transformations that are running, in any thread, with the name of the transformation and the thread.
# What a finished transformation was about is a constant to all others. An entry for each, so that one call into C ends
# it.
watched: dict[int, tuple[list[Node], str, int]] = {}


def watched_nodes() -> dict[Node, str]:
    """All that running transformations watch, with their names."""
    return {node: name for nodes, name, _ in list(watched.values()) for node in nodes}


def is_transforming() -> bool:
    """Whether a transformation runs in this thread."""
    thread = get_ident()
    return any(thread == one for _, _, one in list(watched.values()))


def derivative_from(node: Node) -> Node | None:
    """A watched node that a derivative could pass from to ``node``."""
    if not watched or not node.aval.differentiable:
        return None
    ends = watched_nodes()
    floor = min([x.sequence for x in ends], default=0)
    seen = {node}
    stack = [node]
    while stack:
        node = stack.pop()
        if node in ends:
            return node
        for position, x in enumerate(node.inputs):
            if x.sequence >= floor and x not in seen and x.aval.differentiable and passes(node, position):
                seen.add(x)
                stack.append(x)
    return None


def belongs_to_larger(root: Node, leaves: list[Node], begin: int) -> bool:
    """Whether a derivative passes to ``root`` from Tensors of the outside, or from what others watch.

    ``leaves`` are those of a walk from ``root``. What is not older than ``begin`` was made by the transformation.
    """

    def outside(node: Node) -> bool:
        return node.sequence < begin and (type(node) is Variable or node in ends)

    if any(type(leaf.value) is Unknown and leaf.sequence < begin for leaf in leaves):
        return True
    ends = watched_nodes() if watched else {}
    if not any(leaf.inputs or outside(leaf) for leaf in leaves):
        return False
    seen = {root}
    stack = [root]
    while stack:
        node = stack.pop()
        if outside(node):
            return True
        for position, x in enumerate(node.inputs):
            if x not in seen and x.aval.differentiable and passes(node, position):
                seen.add(x)
                stack.append(x)
    return False


# What to write instead of writing into an array of NumPy.
INTO_A_TENSOR = (
    "np.zeros(n, like=t) is a Tensor to write into, and with `import autodiff.numpy as np` np.zeros(n) is one where "
    "derivatives are taken"
)


def lost_in(what: str, target: str, instead: str = "") -> UnsupportedError:
    """The error where what depends on a Tensor would be written into ``target``, which is none."""
    return UnsupportedError(
        f"{what}: the result depends on a Tensor, and writing it into {target} would lose its derivative; give a "
        f"Tensor instead: {INTO_A_TENSOR}{instead and f'; or write {instead}'} ({caller().line})"
    )


_OURS = "of `import autodiff.numpy as np`, which records"

# What to write instead of functions of NumPy that ask no operand what to do, by how their names begin.
REMEDIES: dict[str, str] = {
    "numpy.polynomial.": "Import it after autodiff, or call it by its module (np.polynomial.polynomial.polyfit)",
    "numpy.lib._function_base_impl.vectorize.": f"Write np.vectorize {_OURS}, or arrays in place of elements",
    "numpy.lib._function_base_impl.kaiser": f"Write np.kaiser {_OURS}",
}


def _remedy(function: str | None, instead: str) -> str:
    solver = None if function is None else solver_for(function)
    if solver is not None:
        return solver
    found = (text for name, text in REMEDIES.items() if function is not None and function.startswith(name))
    return next(found, instead)


# The functions of NumPy that take Tensors: `tensor` puts the table of `dispatch`, which is above, here.
recorded_functions: list[Container[Any]] = []


def _unaware(function: str) -> str:
    """Why a function of another package took a value: by the name that it has inside of that."""
    name = function.rpartition(".")[2]
    if function.startswith("numpy.") and any(getattr(np, name, None) in table for table in recorded_functions):
        return f"NumPy does not look for Tensors where np.{name} was given one, such as in a list"
    return f"{function} does not know Tensors"


def refuse_detached(node: Node, asked: str, instead: str) -> None:
    """An error if a derivative that is being taken would be lost were this node's value taken as plain numbers.

    ``asked`` says what would take it, ``instead`` what to write.
    """
    source = derivative_from(node)
    # Some rows find by the dtype that there is nothing to pass: that of np.sign does.
    if source is None or type(source.value) is Unknown or derivative(node, [source], 1) == [None]:
        return
    line, function = caller()
    unaware = "" if function is None else f"{_unaware(function)}: "
    reason = None if function is None else reason_of(function)
    if reason is not None:
        unaware, instead = f"{function} does not know Tensors, since {reason.why}: ", f"Instead {reason.instead}"
    name = watched_nodes().get(source, "grad")
    message = (
        f"{unaware}{asked} would take the value of a Tensor {node.aval!r} that autodiff.{name} "
        f"differentiates through, and lose its derivative, at {line}. {_remedy(function, instead)}; "
        "ad.stop_gradient(t) or t.value takes the value where no derivative is meant to pass"
    )
    refused[get_ident()] = line, DetachedError, message
    raise DetachedError(message)


# What makes a Tensor of a node: `tensor`, which is above, puts it here.
wrapping: list[Callable[[Node], Any]] = []


def _inside(array: np.ndarray[Any, Any]) -> Any:
    """An array argument as a constant Tensor, so that what a function writes into it is recorded and stays inside.

    Not integers and booleans, which are positions and masks more often than buffers.
    """
    if array.dtype.kind not in "fc":
        return array
    # What nobody can write to need not be copied.
    fixed = not array.flags.writeable and array.base is None and array.dtype.isnative
    return wrapping[0](Constant(intern_aval(array.shape, array.dtype), array) if fixed else as_node(array))


@calling
def call_watched(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], nodes: list[Node], name: str
) -> Any:
    """What a function returns, its arguments being watched meanwhile. Arrays among them are constants inside.

    An error that was raised from one of this library's is that one, as NumPy does where an element is written.
    """
    key = id(nodes)
    for x in args:
        if type(x) is np.ndarray:
            args = [_inside(x) if type(x) is np.ndarray else x for x in args]
            break
    if kwargs:
        kwargs = {name: _inside(x) if type(x) is np.ndarray else x for name, x in kwargs.items()}
    try:
        watched[key] = nodes, name, get_ident()
        return function(*args, **kwargs)
    except AutodiffError:
        raise
    except Exception as error:
        cause = error.__cause__
        if isinstance(cause, AutodiffError):
            raise cause.with_traceback(error.__traceback__) from None
        line, kind, message = refused.pop(get_ident(), ("", AutodiffError, ""))
        if line and line == line_of(error):
            raise kind(message) from error
        raise
    finally:
        watched.pop(key, None)


# --- values that other packages took -------------------------------------------------------------------------------

# Packages whose functions compute from what they are given; but those of these modules keep it, compare it, or were
# given it by a function of the user's that they call.
COMPUTING = ("numpy.", "scipy.")
NOT_COMPUTING = (
    "numpy._core.arrayprint.",
    "numpy.lib._format_impl.",
    "numpy.lib._npyio_impl.",
    "numpy.testing.",
    "scipy.integrate.",
    "scipy.io.",
    "scipy.optimize.",
)

# What took the value of a node, and the line: to a derivative everything that was computed from it is constant.
taken: WeakKeyDictionary[Node, Caller] = WeakKeyDictionary()
# What it has of them: whether there are any is asked at each derivative, and the other takes 0.1 us to say.
taken_at_all: dict[Any, Any] = taken.data  # type: ignore[attr-defined]


def note_taken(node: Node) -> None:
    """Note that a value is taken, if a function that does not know Tensors computes from it."""
    if node.aval.differentiable and type(node) is not Constant:
        found = caller()
        function = found.function
        if function is not None and function.startswith(COMPUTING) and not function.startswith(NOT_COMPUTING):
            taken[node] = found


def warn_taken(nodes: Sequence[Node], variables: Sequence[Any]) -> None:
    """Warn of values between variables, which are numbers among the nodes, and a result that were taken; each once."""
    wrt = {nodes[i] for i in variables if isinstance(i, int)}
    for node in [x for x in nodes if x in taken]:
        if node in wrt or _depends(node, wrt):
            line, function = taken.pop(node, (None, None))
            warnings.warn(
                f"{function} took the value of a Tensor {node.aval!r} at {line}: what it computed is a constant to "
                "this derivative. Write it with functions of NumPy that are recorded, or give the function t.value "
                "or np.asarray(t) where no derivative is meant to pass",
                DetachedWarning,
                stacklevel=user_frame()[1],
            )


def _depends(node: Node, wrt: Container[Node]) -> bool:
    seen = {node}
    stack = [node]
    while stack:
        for x in stack.pop().inputs:
            if x in wrt:
                return True
            if x not in seen:
                seen.add(x)
                stack.append(x)
    return False


# --- values that are looked at while a function is traced ------------------------------------------------------------


class Look(NamedTuple):
    """A value that was looked at.

    Parameters
    ----------
    node : Node
    line : str
        The line of the user's code.
    """

    node: Node
    line: str


class Tracing(NamedTuple):
    """A function being traced in this thread, and the one around it.

    Parameters
    ----------
    begin : int
        Nodes are younger than this if they belong to the trace.
    looks : list of Look
        Values that were looked at.
    ordered : list of Node
        Arguments whose elements were taken to be in C order in memory.
    present : callable
        The value that a node has in the call for which the function is traced; None if nobody knows.
    outer : Tracing or None
        The trace in which this one is made.
    name : str
        The function of this library that traces.
    """

    begin: int
    looks: list[Look]
    ordered: list[Node]
    present: Callable[[Node], Any]
    outer: Tracing | None
    name: str = "function"


_tracing: ContextVar[Tracing | None] = ContextVar("tracing", default=None)
# Where the traces begin that are being made in any thread: nothing is asked while there is none.
traces: set[int] = set()


def traced(
    begin: int, present: Callable[[Node], Any], function: Callable[..., Any], *args: Any, name: str = "function"
) -> tuple[Any, Tracing]:
    """What a function returns, which is traced by the function of a name, and what was noted meanwhile."""
    trace = Tracing(begin, [], [], present, _tracing.get(), name)
    context = copy_context()
    context.run(_tracing.set, trace)
    try:
        traces.add(begin)
        return context.run(function, *args), trace
    finally:
        traces.discard(begin)


def note_look(node: Node) -> None:
    """Note that a value is looked at, for all traces that are being made in this thread."""
    if traces:
        trace = _tracing.get()
        if trace is None:
            return
        look = Look(node, caller().line)
        while trace is not None:
            trace.looks.append(look)
            trace = trace.outer


def present_value(node: Node) -> Any:
    """The value that a node has in the call for which this thread traces a function, which holds for such calls only.

    None if no function is traced, or the value is not known to the innermost one.
    """
    trace = _tracing.get() if traces else None
    value = None if trace is None else trace.present(node)
    if trace is not None and value is not None:
        # Traces around this one depend on what it captures, and are told when it does.
        trace.looks.append(Look(node, caller().line))
    return value


def note_order(node: Node) -> None:
    """Note that an argument is taken to be in C order, for all traces that are being made in this thread."""
    trace = _tracing.get()
    while trace is not None:
        trace.ordered.append(node)
        trace = trace.outer


def tracing() -> Tracing | None:
    """The function that this thread traces."""
    return _tracing.get() if traces else None


def is_tracing() -> bool:
    """Whether this thread is tracing a function."""
    return bool(traces) and _tracing.get() is not None


def fresh(node: Node) -> Node:
    """A node for a new handle: one of its own, where a function that is traced would share one of the outside.

    So what has an older node, while a function is traced, is a handle of the outside.
    """
    trace = _tracing.get()
    return node if trace is None or not 0 < node.sequence < trace.begin else identity(node)


def slot_of(node: Node) -> Slot | None:
    """Where the present value is found of a Tensor that stood for ``node``."""
    slot = node.slot if isinstance(node, (Variable, Constant)) else renamed(node)
    return None if slot is NO_SLOT else slot


def refuse_change(node: Node, slot: Slot | None, what: str) -> None:
    """An error if a Tensor from outside of the function that is being traced is changed in it.

    A replay would not do it again, and what it was changed to is known in the trace only.
    """
    trace = _tracing.get() if traces else None
    if trace is None:
        return
    made = slot.made if slot is not None else node.sequence or trace.begin
    if made < trace.begin:
        line, _ = caller()
        why = (
            "calls that replay the trace would not change it again. Return the new value, and assign it after the call"
        )
        if trace.name != "function":
            why = "a body is called once, whatever it is for. Make the Tensor part of what it takes and returns"
        raise TraceError(
            f"{what} at {line} changes a Tensor {node.aval!r} of the outside while autodiff.{trace.name} traces: {why}"
        )
