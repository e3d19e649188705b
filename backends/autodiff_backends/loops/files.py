"""Where compiled kernels are kept on disk, how a file gets there whole, and what is read back: what was written.

Machine code runs without any further check, so a file is used only if it is the user's own, in a folder that nobody
else can write to, and holds the bytes that were written for this very kernel.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

# Names the folder of compiled kernels; "0" keeps none on disk.
CACHE_VARIABLE = "AUTODIFF_CACHE_DIR"

# The beginning of each file, followed by the hash of what the kernel depends on together with the rest of the file.
MAGIC = b"autodiff kernel 1\n"
HASH_BYTES = hashlib.sha256().digest_size

# Of all files together. A kernel takes 20 kB, one of 2,000 statements 500.
FOLDER_BYTES = 1 << 28
# Files of ours, and those that a process which was killed was writing.
OURS = re.compile(r"kernels?_\w+\.\w+")


def cache_folder() -> Path | None:
    """Where kernels are kept: ``AUTODIFF_CACHE_DIR``, else the user's cache folder.

    None if that is ``0``, or there is no such folder: for a user without a home.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given == "0":
        return None
    if given:
        return Path(given)
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # A relative path is none by the specification of these variables: it would be another folder for each program.
    if not os.path.isabs(base):
        try:
            home = Path.home()
        except RuntimeError:
            return None
        # An empty HOME stands for the root of the file system, as it does for users who have none.
        if not home.is_absolute() or home == Path(home.anchor):
            return None
        base = str(home / ".cache")
    return Path(base) / "autodiff"


def kernel_name(kind: str, about: bytes, suffix: str) -> str:
    """The name of the file of a kernel, from all that its machine code depends on."""
    return f"{kind}_{hashlib.sha256(about).hexdigest()[:32]}{suffix}"


def read_kernel(name: str, about: bytes) -> bytes | None:
    """What was kept under a name for a kernel; None if there is nothing, or it is not to be trusted."""
    folder = cache_folder()
    if folder is None or not is_private(folder):
        return None
    try:
        with (folder / name).open("rb") as file:
            if not _own(os.fstat(file.fileno())):
                return None
            content = file.read()
    except OSError:
        return None
    head = len(MAGIC) + HASH_BYTES
    kept = content[head:]
    if content[:head] != MAGIC + _digest(about, kept):
        return None
    with suppress(OSError):
        os.utime(folder / name)
    return kept


def keep_kernel(name: str, about: bytes, content: bytes) -> None:
    """Keep the machine code of a kernel, if there is a folder for it that only this user writes to."""
    folder = cache_folder()
    if folder is None:
        return
    with suppress(OSError):
        _make(folder)
        if is_private(folder):
            write_whole(folder / name, MAGIC + _digest(about, content) + content)
            _make_room(folder)


def _make_room(folder: Path) -> None:
    """Remove the files that were not used for longest, if there are too many bytes in the folder."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            # Another process may have removed it.
            with suppress(FileNotFoundError):
                if OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, entry.path, status.st_size))
    excess = sum(size for _, _, size in found) - FOLDER_BYTES
    if excess > 0:
        # An eighth more, so that this is not done again at the next file.
        excess += FOLDER_BYTES // 8
    for _, path, size in sorted(found):
        if excess <= 0:
            return
        with suppress(OSError):
            os.unlink(path)
            excess -= size


def _digest(about: bytes, content: bytes) -> bytes:
    found = hashlib.sha256(hashlib.sha256(about).digest())
    found.update(content)
    return found.digest()


def _make(folder: Path) -> None:
    """Make a folder that only this user can enter, and those above it that are missing, whatever the umask."""
    if not folder.is_dir():
        _make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def is_private(folder: Path) -> bool:
    """Whether a folder is this user's, and nobody else can put files there or another folder in its place."""
    if sys.platform == "win32":
        # Folders are private there by what they inherit from the user's.
        return True
    try:
        folder = folder.resolve(strict=True)
        if not _own(os.stat(folder)):
            return False
        return all(_settled(os.stat(above)) for above in folder.parents)
    except (OSError, RuntimeError):
        return False


def _own(status: os.stat_result) -> bool:
    """Whether something is this user's, and no other may write to it."""
    if sys.platform == "win32":
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _settled(status: os.stat_result) -> bool:
    """Whether what is in a folder stays there: others may not write to it, or only add what is theirs, as in /tmp."""
    if sys.platform == "win32":
        return True
    if status.st_uid not in (0, os.geteuid()):
        return False
    return bool(status.st_mode & stat.S_ISVTX) or not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that others may be reading or writing: the last one wins, and nobody sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="kernel_", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
