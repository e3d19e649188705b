"""Recipes: what a function of nodes recorded, to be recorded again on other nodes of the same abstract values.

Most NumPy functions are compositions of primitives, and working out which (axes, subscripts, dtypes) costs several
times what recording them does. It depends on abstract values and on static arguments only, so it is done once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from .containers import maker
from .convert import as_node
from .core.avals import Aval
from .memo import Memo
from .nodes import Constant, Node, Operation, freeze, history, ticks
from .tracing import WITHHELD, trace

# What a function of nodes records, as a function of nodes: a node, or a tuple or list of nodes.
Record = Callable[..., Any]

# Operations in a recipe at most; composites have up to 30, a longer one is a long list of arguments.
LONGEST = 64
# Recipes kept for one function. What is in a loop is met again soon; the rest only takes memory.
RECIPES_KEPT = 1 << 9
IMPOSSIBLE = -math.inf


def recipe(function: Record, avals: tuple[Aval, ...]) -> Record | None:
    """What ``function`` records for nodes of ``avals``, with ValueNeeded raised if that depends on their values.

    None if that is no recipe: made of older nodes, of no nodes, or of very many. Constants that the function makes are
    made anew each time, with the same values, so that the structural key does not depend on whether a recipe was used.
    """
    given, result = trace(function, avals, WITHHELD)
    several = isinstance(result, (tuple, list))
    return recorded(given, result) if all(isinstance(x, Node) for x in (result if several else [result])) else None


def recorded(given: Sequence[Node | None], result: Any) -> Record | None:
    """The recipe of a result as a function of the nodes ``given``; None in the place of a node stays None."""
    several = isinstance(result, (tuple, list))
    outputs = list(result) if several else [result]
    names: dict[Node | None, str] = {**{node: f"x{i}" for i, node in enumerate(given)}, None: "None"}
    steps: list[Node] = []
    shared: list[Node] = []
    made: list[Node] = []
    for node in history(*[node for node in outputs if node is not None]):
        if node in names:
            continue
        if node.inputs:
            kind, those = "n", steps
        elif type(node) is Constant and node.slot is None:
            kind, those = ("g", shared) if _is_shared(node) else ("c", made)
        else:
            return None
        names[node] = f"{kind}{len(those)}"
        those.append(node)
    if len(steps) > LONGEST:
        return None
    layout = _layout(
        (len(given), len(shared), len(made)),
        tuple([", ".join([names[x] for x in node.inputs]) for node in steps]),
        f"kind([{', '.join([names[node] for node in outputs])}])" if several else names[outputs[0]],
    )
    return layout(
        [node.signature for node in steps],
        shared,
        [node.aval for node in made],
        [freeze(node.value) for node in made],
        maker(type(result)),
    )


def _is_shared(node: Constant) -> bool:
    """Whether a constant is one of the numbers that are one node for ever."""
    return type(node.value) in (int, float) and as_node(node.value) is node


@lru_cache(1024)
def _layout(counts: tuple[int, int, int], steps: tuple[str, ...], result: str) -> Callable[..., Record]:
    """The code of recipes that differ in signatures and constants only: 0.2 us less for each step than a loop.

    ``counts`` are those of inputs, of constants that are one node for ever, and of constants made anew.
    """
    inputs, shared, made = [range(n) for n in counts]
    lines = [
        "def layout(signatures, shared, avals, values, kind):",
        f"    [{', '.join([f's{i}' for i in range(len(steps))])}] = signatures",
        f"    [{', '.join([f'g{i}' for i in shared])}] = shared",
        f"    [{', '.join([f'a{i}' for i in made])}] = avals",
        f"    [{', '.join([f'v{i}' for i in made])}] = values",
        f"    def record({', '.join([f'x{i}' for i in inputs])}):",
        *[f"        c{i} = Constant(a{i}, v{i})" for i in made],
        *[line for i, arguments in enumerate(steps) for line in _recorded(i, arguments)],
        f"        return {result}",
        "    return record",
    ]
    namespace: dict[str, Any] = {"Constant": Constant, "Operation": Operation, "ticks": ticks}
    # Only names of places are written into it.
    exec(compile("\n".join(lines), "<autodiff recipe>", "exec"), namespace)
    return namespace["layout"]  # type: ignore[no-any-return]


def _recorded(i: int, arguments: str) -> list[str]:
    """What ``operation`` does, written out."""
    return [
        f"        n{i} = Operation()",
        f"        n{i}.signature = s{i}",
        f"        n{i}.inputs = ({arguments},)",
        f"        n{i}.aval = s{i}.out",
        f"        n{i}.value = n{i}.collected = None",
        f"        n{i}.sequence = next(ticks)",
    ]


class Recipes:
    """Recipes by key, made when a key is met again: a call that is never made again is not worth one.

    Parameters
    ----------
    kept : int, optional
        Recipes held at most.
    after : int, optional
        How often a key is met before.
    """

    __slots__ = ("_after", "_met", "_recipes", "get")

    def __init__(self, kept: int = RECIPES_KEPT, after: int = 1):
        self._after = after
        self._recipes: Memo[Any, Record] = Memo(kept)
        # How often keys were met; IMPOSSIBLE if there is no recipe.
        self._met: Memo[Any, float] = Memo(kept)
        # One that was not asked for lately is found when it is met, and here from then on.
        self.get: Callable[[Any], Record | None] = self._recipes.hot.get

    def met(self, key: Any, make: Callable[..., Record | None], *args: Any) -> None:
        """Note that a call was met that has no recipe under its key here; ``make(*args)`` would make one."""
        count = self._met.get(key) or 0
        if count < self._after:
            if count != IMPOSSIBLE:
                self._met.replace(key, count + 1)
        elif self._recipes.get(key) is None:
            try:
                record = make(*args)
            except Exception:
                # Tensors without values are refused where an array or a number is not.
                record = None
            if record is None:
                self._met.replace(key, IMPOSSIBLE)
            else:
                self._recipes.put(key, record)


class Composite:
    """A function of nodes composed of primitives; what looks at values, too, is done anew each time.

    Parameters
    ----------
    function : callable
        From nodes to a node or a tuple of them.
    """

    __slots__ = ("_get", "_recipes", "function")

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self._recipes = Recipes()
        self._get = self._recipes.get

    def __call__(self, *nodes: Node) -> Any:
        # Written out for two: a comprehension takes 0.15 us.
        key = (nodes[0].aval, nodes[1].aval) if len(nodes) == 2 else tuple([x.aval for x in nodes])
        record = self._get(key)
        if record is not None:
            return record(*nodes)
        result = self.function(*nodes)
        self._recipes.met(key, recipe, self.function, key)
        return result
