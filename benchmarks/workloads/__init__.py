"""The workloads: one file each, found by its name, declaring one ``WORKLOAD``."""

from __future__ import annotations

import importlib
import pkgutil

from benchmarks.workload import Workload


def workload_names() -> list[str]:
    """Names of all workloads, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_workload(name: str) -> Workload:
    """Import the workload of that name.

    Raises
    ------
    ValueError
        If the file declares another name than its own.
    """
    workload: Workload = importlib.import_module(f"{__name__}.{name}").WORKLOAD
    if workload.name != name:
        raise ValueError(f"benchmarks/workloads/{name}.py declares a workload named {workload.name!r}")
    return workload
