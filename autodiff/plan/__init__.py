"""The plan compiler: node graph -> structural key -> program -> executable plan, cached."""

from .cache import CacheInfo, PlanCache
from .collect import Trace, collect, collect_below
from .execute import compile_nodes, concrete, evaluate
from .program import Program, build, prune

__all__ = [
    "CacheInfo",
    "PlanCache",
    "Program",
    "Trace",
    "build",
    "collect",
    "collect_below",
    "compile_nodes",
    "concrete",
    "evaluate",
    "prune",
]
