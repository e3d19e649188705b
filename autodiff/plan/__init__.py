"""The plan compiler: node graph -> structural key -> program -> executable plan, cached."""

from ..core.program import Program, prune
from .build import build
from .cache import CacheInfo, PlanCache
from .collect import Trace, collect, collect_below
from .execute import (
    brought,
    compile_nodes,
    concrete,
    elsewhere,
    evaluate,
    fetched,
    leaf_values,
    looked_at,
    on_host,
)
from .workspaces import set_buffer_limit

__all__ = [
    "CacheInfo",
    "PlanCache",
    "Program",
    "Trace",
    "brought",
    "build",
    "collect",
    "collect_below",
    "compile_nodes",
    "concrete",
    "elsewhere",
    "evaluate",
    "fetched",
    "leaf_values",
    "looked_at",
    "on_host",
    "prune",
    "set_buffer_limit",
]
