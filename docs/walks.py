"""Two walks through the house for docs/internals.md: which functions a call comes through, with the files they are in.

A walk is made by a call. It fails if a function that it names is not called, or if it goes back to a file that it left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

import autodiff as ad
from tests.import_graph import PACKAGES


class Walk(NamedTuple):
    """What makes a call, and what the functions on its way do, in their order."""

    title: str
    prepared: Callable[[], Callable[[], Any]]
    steps: tuple[tuple[str, str], ...]


def look() -> Callable[[], Any]:
    """A sine, recorded and looked at, of a shape that nobody else has."""
    t = ad.Tensor(np.ones((7, 13, 1)))
    return lambda: np.sin(t).value


def differentiate() -> Callable[[], Any]:
    """A gradient that goes in reverse."""
    x, w = ad.Tensor(np.ones((5, 11, 1))), ad.Tensor(np.ones((11, 1)))
    dy = np.sum(np.sin(x) * w)
    return lambda: ad.Graph().gradient(dy, [x, w])


WALKS = (
    Walk(
        "From `np.sin(t)` to a running plan",
        look,
        (
            ("Tensor.__array_ufunc__", "NumPy hands the call over. The table `UFUNCS` has the card of sin."),
            ("Primitive.signature", "These shapes and dtypes are new to the card, so it asks its `infer`."),
            ("infer_elementwise", "Shape and dtype of the result, or an error at the user's line."),
            ("Handle.value", "A Tensor of a new node is what `np.sin` returned. Somebody looks."),
            ("evaluate", "A node is evaluated by a plan: found again, or made here by `compile_nodes`."),
            ("collect", "One walk over the nodes gives the structural key, and the leaves whose values are taken."),
            (
                "PlanCache.get",
                "No plan has this key yet. From the second time on, the walk goes to its call from here.",
            ),
            ("build", "Nodes become a program."),
            ("Program.apply", "Equal applications become one value."),
            ("Rewriter.__call__", "Rows of equations are tried on each application as it is added."),
            ("expand", "Primitives of rules that the backend does not know become compositions."),
            ("contract_sums", "Sums of products become inner and matrix products."),
            ("check_capabilities", "What the backend cannot do is an error now."),
            ("NumpyBackend.compile", "A short program becomes source, a long one is interpreted at first."),
            ("Generated.__init__", "The plan: a module of NumPy calls, made in two steps and compiled by Python."),
            ("Values.__init__", "Which buffer each value has, and for how long."),
            ("Writer.write", "The statements, in order."),
            ("Workspaces.take", "The plan is called: it takes its buffers, runs, and gives them back."),
        ),
    ),
    Walk(
        "From `graph.gradient(dy, [x])` to numbers",
        differentiate,
        (
            ("Graph.gradient", "Checks the arguments, and gives nodes to the engine."),
            ("collect_below", "The structural key of `dy`, back to the oldest of `x`."),
            (
                "PlanCache.entry",
                "The key has the order, and where `x` is. A hit goes to the call of the plan from here.",
            ),
            ("derivatives", "A miss: derivatives as nodes, and zeros for what `dy` does not depend on."),
            ("reverse", "Walks from `dy` to `x`. (`Forward` walks the other way where that is shorter.)"),
            ("Linear.pull", "The rows of the table say how a cotangent passes through each primitive."),
            ("Operator.__call__", "Rows call ops, which record nodes as a user's call does: order n is this, n times."),
            ("compile_nodes", "From nodes to a plan, as above."),
            ("Generated.__call__", "The plan is called with the values of the leaves."),
        ),
    ),
)


def followed(call: Callable[[], Any]) -> dict[str, Path]:
    """The functions of the library that a call comes through, in the order of their first calls, and their files."""
    found: dict[str, Path] = {}

    def note(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_qualname not in found:
            for folder in PACKAGES.values():
                path = Path(code.co_filename)
                if path.is_relative_to(folder):
                    found[code.co_qualname] = path.relative_to(folder.parent)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


def walked(walk: Walk) -> str:
    """A walk as a list in Markdown."""
    way = followed(walk.prepared())
    if unknown := [name for name, _ in walk.steps if name not in way]:
        raise LookupError(f"{walk.title}: the call does not come through {', '.join(unknown)}")
    order = [name for name in way if name in dict(walk.steps)]
    if order != [name for name, _ in walk.steps]:
        raise LookupError(f"{walk.title}: the order is {', '.join(order)}")
    files = [way[name] for name in order]
    if again := [str(file) for file in files if files.count(file) > 1]:
        raise LookupError(f"{walk.title}: goes back to {again[0]}")
    lines = [f"{i}. `{way[name].as_posix()}`, `{name}`: {text}" for i, (name, text) in enumerate(walk.steps, 1)]
    return "\n".join([f"### {walk.title}\n", *lines, ""])


@cache
def text() -> str:
    """Both walks. They are made once: a second time the plans are there."""
    return "\n".join([walked(walk) for walk in WALKS])
