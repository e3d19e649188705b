"""What the machine has, and how much of it plans may use."""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress

from .errors import ArgumentError, shown
from .tracebacks import boundary

# Where Linux says what a container may take: the second and the first version of control groups.
CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Of a system that does not say what it has.
UNKNOWN_BYTES = 2**32


@functools.cache
def memory_bytes() -> int:
    """The memory that this process could have at most: the machine's, its container's, or its own limit."""
    found = []
    with suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for place in CONTROL_GROUPS:
        with suppress(OSError, ValueError), open(place, encoding="ascii") as file:
            found.append(int(file.read()))
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415  (elsewhere nothing needs it)

        # MEMORYSTATUSEX: its length, then of the memory in bytes how much there is, and how much is free ...
        status = (ctypes.c_ulonglong * 8)(64)
        with suppress(AttributeError, OSError):
            ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        found.append(status[1])
    else:
        import resource  # noqa: PLC0415  (Windows has no such module)

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            found.append(limit)
    return min([bytes_ for bytes_ in found if bytes_ > 0], default=UNKNOWN_BYTES)


# Where Linux says what it knows of the caches of a processor.
CACHES = "/sys/devices/system/cpu/cpu0/cache"
# Of a processor that says nothing: what all of today have at least.
UNKNOWN_CACHES = {1: 2**15, 2: 2**18}


@functools.lru_cache(maxsize=2)
def cache_bytes(level: int) -> int:
    """The first or the second cache for data that a processor has for itself."""
    with suppress(OSError, ValueError):
        for name in sorted(os.listdir(CACHES)):
            said = functools.partial(_said, os.path.join(CACHES, name))
            if name.startswith("index") and said("level") == str(level) and said("type") != "Instruction":
                return int(said("size").removesuffix("K")) * 1024
    return UNKNOWN_CACHES[level]


def _said(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), encoding="ascii") as file:
        return file.read().strip()


_threads: int | None = None


def thread_count() -> int:
    """How many threads plans may use: what was set, else ``OMP_NUM_THREADS``, else the processors at hand."""
    if _threads is not None:
        return _threads
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


@boundary
def set_num_threads(count: int | None) -> None:
    """Set how many threads plans on the CPU may use for elementwise work on large arrays.

    Parameters
    ----------
    count : int or None
        At least 1; None for the default: ``OMP_NUM_THREADS`` if it is set, else the processors at hand.
        Stacks of small products are shared among them; a large product uses what the BLAS library is set to.

    Raises
    ------
    ArgumentError
        If it is no integer of at least 1.

    Examples
    --------
    >>> import autodiff as ad
    >>> ad.set_num_threads(2)
    >>> ad.set_num_threads(None)
    """
    global _threads  # noqa: PLW0603  (a setting of the process, as the number of threads itself is)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ArgumentError(f"set_num_threads: {shown(count)} must be an integer of at least 1, or None")
    _threads = count
