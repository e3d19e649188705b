"""Resident memory of this process, now and at its peak, from Linux's ``/proc``."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def current_bytes() -> int:
    """Resident memory now."""
    return _status_bytes("VmRSS")


def peak_bytes() -> int:
    """Largest resident memory since the last `reset_peak`."""
    return _status_bytes("VmHWM")


def reset_peak() -> None:
    """Collect garbage, return free pages to the system, and start a new peak from what is left."""
    gc.collect()
    _trim_heap()
    _CLEAR_REFS.write_text(_RESET_PEAK)


def is_measurable() -> bool:
    """Whether this system has the files that the other functions read."""
    return _STATUS.exists() and _CLEAR_REFS.exists()


def _status_bytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"{_STATUS} has no field {field}")


def _trim_heap() -> None:
    """Call glibc's ``malloc_trim``; another C library may have none, and then pages stay."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
