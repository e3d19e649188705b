"""A plan around another one, which computes, while this one looks at something beside."""

from __future__ import annotations

from ..backend import Plan


class Wrapped:
    """What is said of a plan is said of the one that it wraps.

    Parameters
    ----------
    plan : Plan
    """

    __slots__ = ("__weakref__", "_plan")

    def __init__(self, plan: Plan):
        self._plan = plan

    @property
    def n_operations(self) -> int:
        """Primitives executed by one call."""
        return self._plan.n_operations

    @property
    def n_launches(self) -> int:
        """Kernels and library functions that one call starts."""
        return getattr(self._plan, "n_launches", self._plan.n_operations)

    @property
    def answering(self) -> Plan:
        """The plan that answers at present."""
        return self._plan

    @property
    def source(self) -> str:
        """The code that runs."""
        return self._plan.source
