"""Which plan of ours answers where nobody has chosen a backend, in the words of ``Graph.explain``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Tier = Callable[[], str]

MACHINE_CODE = "llvm"
"""The backend of machine code, and the tier in the words of ``Graph.explain``."""


def of_graph(graph: Any, record: Callable[[], Any], variables: Sequence[Any]) -> Tier:
    """Of what gives the gradient of what is recorded."""
    return lambda: brief(getattr(graph.explain(record(), variables), "tier", ""))


def of_function(ad: ModuleType, function: Any) -> Tier:
    """Of the plan of a traced function, which has no `explain`; nothing where plans have no tiers."""

    tier_of = _tier_of(ad)

    def tier() -> str:
        if tier_of is None:
            return ""
        traces = [trace for variants in function._cache.values() for trace in variants]
        return brief(tier_of(traces[0].plan) or "") if traces else ""

    return tier


def are_there(ad: ModuleType) -> bool:
    """Whether plans have tiers."""
    return _tier_of(ad) is not None


def _tier_of(ad: ModuleType) -> Callable[[Any], str | None] | None:
    return getattr(importlib.import_module(f"{ad.__name__}.plan"), "tier_of", None)


def brief(text: str) -> str:
    """The name of the tier, without the reason that comes after it."""
    return text.partition(":")[0].partition(",")[0].strip()
