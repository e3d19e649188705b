"""Where compiled kernels are kept on disk, and how a file gets there whole."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# Names the folder of compiled kernels; "0" keeps none on disk.
CACHE_VARIABLE = "AUTODIFF_CACHE_DIR"


def cache_folder() -> Path | None:
    """Where kernels are kept: ``AUTODIFF_CACHE_DIR``, else the user's cache folder; None if that is ``0``."""
    given = os.environ.get(CACHE_VARIABLE)
    if given == "0":
        return None
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "autodiff"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that others may be reading or writing: the last one wins, and nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(temporary, path)
