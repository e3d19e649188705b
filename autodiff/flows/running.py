"""Loops over plans: a body is compiled once for a backend, and its plan is called for each step.

A loop is written for each body, so that a step costs little beside its plan: nothing is packed, and what a body hands
on as it is, is handed on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..backend import Backend, Repetition
from ..progress import counted
from ..whole import silent
from .backward import Backward, Step
from .bodies import Body
from .flow import Runner, stacked

# What is carried is kept at every step of a loop, and not computed again, if all of it takes no more than this.
FEW_BYTES = 1 << 24


@lru_cache(512)
def _compiled(source: str) -> Any:
    """The function ``loop`` of a source, in which only names of places are written."""
    namespace: dict[str, Any] = {"naturals": itertools.count, "counted": counted}
    exec(compile(source, "<autodiff loop>", "exec"), namespace)
    # Not in its own globals, which would be a cycle.
    return namespace.pop("loop")


def _names(letter: str, count: int) -> list[str]:
    return [f"{letter}{i}" for i in range(count)]


def _call(plan: str, body: Body, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Statements that compute the outputs of a body from what these words say, and the words for its outputs."""
    direct = body.direct
    made: dict[int, str] = {}
    for place, i in zip(body.outputs, direct, strict=True):
        if i is None:
            made.setdefault(place, f"v{len(made)}")
    lines = [f"{', '.join(made.values())}, = {plan}({', '.join(words)})"] if made else []
    return lines, [made[place] if i is None else words[i] for place, i in zip(body.outputs, direct, strict=True)]


def _carried(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """The statement that hands on what is carried."""
    moved = [(name, value) for name, value in zip(names, values, strict=True) if name != value]
    return [f"{', '.join([n for n, _ in moved])} = {', '.join([v for _, v in moved])}"] if moved else []


def _is_numpy(backend: Backend) -> bool:
    """Whether arrays are NumPy's, which results can be written into."""
    return isinstance(backend.asarray(0.0), (np.ndarray, np.generic))


def _at(axis: int) -> str:
    """The index of one step along an axis, of an array whatever its axes are."""
    return f"[{':, ' * axis}i, ...]"


def scan_runner(
    body: Body, backend: Backend, length: int, step: Step, along: Sequence[int], onto: Sequence[int], reverse: bool
) -> Runner:
    """What repeats a body for the elements of arrays."""
    plan = body.plan(backend)
    whole = backend.repeat(plan, _repetition(body, length, step, along, onto, reverse))
    if whole is not None:
        return whole
    plan = backend.alone(plan)
    consts, carry = _names("k", step.consts), _names("c", step.carry)
    arrays, results = _names("x", len(along)), _names("y", len(onto))
    in_place = _is_numpy(backend)
    words = [*consts, *carry, *[f"{x}{_at(axis)}" for x, axis in zip(arrays, along, strict=True)]]
    # An element that is handed on is taken once.
    taken = [f"e{i} = {word}" for i, word in enumerate(words[step.consts + step.carry :])]
    words[step.consts + step.carry :] = _names("e", len(along))
    lines, values = _call("plan", body, words)
    lines = [*taken, *lines]
    for y, value, axis in zip(results, values[step.carry :], onto, strict=True):
        lines.append(f"{y}{_at(axis)} = {value}" if in_place else f"{y}.append({value})")
    lines += _carried(carry, values[: step.carry])
    positions = f"range({length - 1}, -1, -1)" if reverse else f"range({length})"
    loop = _compiled(
        "\n".join(
            [
                f"def loop({', '.join(['plan', *consts, *carry, *arrays, *results])}):",
                f"    for i in counted({positions}, 'scan{', backwards' if reverse else ''}', {length}):",
                *[f"        {line}" for line in lines or ["pass"]],
                f"    return [{', '.join(carry)}]",
            ]
        )
    )
    avals = [stacked(aval, length, axis) for aval, axis in zip(body.avals[step.carry :], onto, strict=True)]
    own = _Own(backend, body)
    if in_place:

        def run(values: Sequence[Any]) -> tuple[Any, ...]:
            made = [np.empty(aval.shape, aval.dtype) for aval in avals]
            return (*own(loop(plan, *values, *made), values), *made)

        return run
    xp = backend.namespace

    def run_apart(values: Sequence[Any]) -> tuple[Any, ...]:
        parts: list[list[Any]] = [[] for _ in onto]
        found = loop(plan, *values, *parts)
        together = [xp.stack(one[::-1] if reverse else one, axis=axis) for one, axis in zip(parts, onto, strict=True)]
        return (*own(found, values), *together)

    return run_apart


def _repetition(
    body: Body, length: int, step: Step, along: Sequence[int], onto: Sequence[int], reverse: bool
) -> Repetition:
    """The loop as backends are told."""
    count = len(body.inputs)
    made = {place: count + i for i, place in enumerate(dict.fromkeys(n for n in body.outputs if n >= count))}
    outputs = tuple([made.get(number, number) for number in body.outputs])
    return Repetition(length, *step, body.inputs, body.avals, outputs, tuple(along), tuple(onto), reverse)


class _Own:
    """Arrays that are an operand, or part of one, as arrays of their own: an operation shares no memory with these.

    Parameters
    ----------
    backend : Backend
    body : Body
        What made them. What it hands on as it is may be anything that it was given.
    """

    __slots__ = ("_backend", "_direct", "_dtypes")

    def __init__(self, backend: Backend, body: Body):
        self._backend = backend
        self._direct = [i is not None for i in body.direct]
        self._dtypes = [aval.dtype for aval in body.avals]

    def __call__(self, found: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        """What was ``found`` from ``values``."""
        given = {*map(id, values)}
        triples = zip(found, self._direct, self._dtypes, strict=False)
        return [
            self._backend.asarray(x, dtype, copy=True) if direct or id(x) in given else x
            for x, direct, dtype in triples
        ]


def while_runner(test: Body, body: Body, backend: Backend, step: Step) -> Runner:
    """What repeats a body as long as another one says so."""
    consts, carry = _names("k", step.consts), _names("c", step.carry)
    asked, (answer,) = _call("test", test, [*consts, *carry])
    lines, values = _call("plan", body, [*consts, *carry])
    lines += _carried(carry, values)
    loop = _compiled(
        "\n".join(
            [
                f"def loop({', '.join(['test', 'plan', *consts, *carry])}):",
                "    for n in counted(naturals(), 'while_loop'):",
                *[f"        {line}" for line in asked],
                f"        if not {answer}:",
                f"            return [{', '.join([*carry, 'n'])}]",
                *[f"        {line}" for line in lines],
            ]
        )
    )
    ask, plan = backend.alone(test.plan(backend)), backend.alone(body.plan(backend))
    own = _Own(backend, body)

    def run(values: Sequence[Any]) -> tuple[Any, ...]:
        *found, count = loop(ask, plan, *values)
        return (*own(found, values), backend.asarray(np.array(count)))

    return run


def switch_runner(branches: Sequence[Body], backend: Backend, batched: bool) -> Runner:
    """What computes the branch that a number says; for several numbers all that are taken, and chooses."""
    calls = [_branch(body, backend) for body in branches]
    owns = [_Own(backend, body) for body in branches]
    last = len(branches) - 1
    if not batched:

        def run(values: Sequence[Any]) -> tuple[Any, ...]:
            number = min(max(int(values[0]), 0), last)
            return tuple(owns[number](calls[number](*values[1:]), values))

        return run
    xp = backend.namespace

    def run_all(values: Sequence[Any]) -> tuple[Any, ...]:
        which = values[0]
        found: list[Any] | None = None
        for number, call in enumerate(calls):
            chosen = which <= 0 if not number else which >= last if number == last else which == number
            if last and not bool(xp.any(chosen)):
                continue
            made = owns[number](silent(call, *values[1:]), values)
            if found is None:
                found = made
                continue
            found = [_chosen(xp, chosen, new, old) for new, old in zip(made, found, strict=True)]
        if found is None:
            # A batch of nothing.
            found = owns[0](calls[0](*values[1:]), values)
        return tuple(found)

    return run_all


def _chosen(xp: Any, chosen: Any, new: Any, old: Any) -> Any:
    """Elements of one array where they are chosen, along the first axes, and of another elsewhere."""
    return xp.where(xp.reshape(chosen, (*chosen.shape, *(1,) * (new.ndim - chosen.ndim))), new, old)


def _branch(body: Body, backend: Backend) -> Any:
    lines, values = _call("plan", body, words := _names("x", len(body.inputs)))
    source = [f"def loop({', '.join(['plan', *words])}):", *[f"    {line}" for line in lines]]
    loop = _compiled("\n".join([*source, f"    return [{', '.join(values)}]"]))
    made: list[Any] = []

    def call(*values: Any) -> list[Any]:
        # A branch that is never taken is never compiled.
        if not made:
            made.append(backend.alone(body.plan(backend)))
        return loop(made[0], *values)  # type: ignore[no-any-return]

    return call


def rewind_runner(
    body: Body, back: Backward, backend: Backend, step: Step, given: Sequence[int], wanted: Sequence[int]
) -> Runner:
    """What reverses a number of steps, from what is carried at some of them."""
    consts, carry = step
    forward, backward = _branch(body, backend), _branch(back.body, backend)
    stored = [i for i in back.forward.direct[carry:] if i is not None]
    zeros = [(body.avals[i].shape, body.avals[i].dtype) for i in back.carry]
    totals = [(body.inputs[i].shape, body.inputs[i].dtype) for i in back.found]
    nbytes = sum([aval.size * aval.dtype.itemsize for aval in body.avals])
    places = {i: place for place, i in enumerate([*back.found, *[consts + i for i in back.carry]])}

    def run(values: Sequence[Any]) -> tuple[Any, ...]:
        count, same, state = int(values[0]), values[1 : 1 + consts], list(values[1 + consts : 1 + consts + carry])
        vectors = dict(zip(given, values[1 + consts + carry :], strict=True))
        cts = [vectors[i] if i in vectors else _zeros(backend, *zeros[k]) for k, i in enumerate(back.carry)]
        found = [*[_zeros(backend, *total) for total in totals], *cts]
        used = [same[i] for i in back.consts]
        every = 1 if count * nbytes <= FEW_BYTES else spacing(count)
        kept = []
        for i in counted(range(count), "while_loop, again for its derivative", count):
            if i % every == 0:
                kept.append(state)
            state = forward(*same, *state)
        firsts = range((count - 1) // every * every, -1, -every)
        for first in counted(firsts, "while_loop, backwards", len(firsts)):
            states = [kept.pop()]
            for _ in range(first + 1, min(first + every, count)):
                states.append(forward(*same, *states[-1]))
            while states:
                operands = [*same, *states.pop()]
                found = backward(*used, *found, *[operands[i] for i in stored])
        given_ = {*map(id, values)}
        found = [backend.asarray(x, copy=True) if id(x) in given_ else x for x in found]
        return tuple([found[places[i]] for i in wanted])

    return run


def _zeros(backend: Backend, shape: tuple[int, ...], dtype: Any) -> Any:
    return backend.asarray(np.zeros(shape, dtype))


def spacing(count: int) -> int:
    """How many steps are between two that are kept, so that those and the steps between two are as few as can be."""
    return max(1, math.isqrt(max(count - 1, 0)) + 1)
