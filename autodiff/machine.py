"""What the machine has. Imports nothing of this package."""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress
from pathlib import Path

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
        with suppress(OSError, ValueError):
            found.append(int(Path(place).read_text()))
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  (Windows has no such module)

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            found.append(limit)
    return min([bytes_ for bytes_ in found if bytes_ > 0], default=UNKNOWN_BYTES)
