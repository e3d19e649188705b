"""The plan compiler: node graph -> structural key -> program -> executable plan, cached."""

from ..core.program import Program, prune
from .build import below, build
from .cache import CacheInfo, PlanCache
from .collect import Collected, collect, collect_below
from .execute import (
    compile_nodes,
    concrete,
    deciding,
    evaluate,
    looked_at,
    on_host,
    peeked,
)
from .hot import tier_of
from .limited import memory_of
from .workspaces import set_buffer_limit

__all__ = [
    "CacheInfo",
    "Collected",
    "PlanCache",
    "Program",
    "below",
    "build",
    "collect",
    "collect_below",
    "compile_nodes",
    "concrete",
    "deciding",
    "evaluate",
    "looked_at",
    "memory_of",
    "on_host",
    "peeked",
    "prune",
    "set_buffer_limit",
    "tier_of",
]
