"""The state of an optimizer as a file of arrays, without pickle, and whether it is that of this optimizer.

What a file says about itself is believed only as far as it agrees with what the optimizer has: sizes are compared
before anything is unpacked, so a hostile file costs no more memory than the state that it stands for.
"""

from __future__ import annotations

import math
import operator
import os
import re
import secrets
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import unquote

import numpy as np

from ..convert import describe, is_masked
from ..errors import ArgumentError, ShapeError, shown

if sys.platform != "win32":
    import fcntl

# Shape and dtype of each array that an optimizer has, by name.
Expected = Mapping[str, tuple[tuple[int, ...], Any]]

# What stands in a state beside the arrays.
ABOUT = ("optimizer", "steps")

SUFFIX = ".npy"
# The first format of NumPy's arrays, which has headers of at most 64 KiB. ``write`` needs no other.
FORMAT = (1, 0)
# Bytes of the table of an archive: so many at least, and so many for each array.
TABLE_BYTES, TABLE_BYTES_EACH = 2**18, 2**12
# Bytes of the optimizer's name or its number of steps, and of what is read at once.
SMALL_BYTES, CHUNK_BYTES = 2**10, 2**20
STEPS_BELOW = 2**63
LONGEST_NAME = 2**15

# Seconds between tries for a file that another process has: one in all.
PAUSES = [0.001 * 2**i for i in range(10)]

Found = TypeVar("Found")

# What cannot stand in the names of an archive: zipfile ends a name at a zero and turns backslashes on Windows.
_UNSAFE = re.compile("[%\\\\\0-\x1f\x7f\ud800-\udfff]")


def file_path(path: Any, what: str) -> Path:
    """The path that a user gave; links are followed, so a save keeps them."""
    try:
        return Path(os.path.realpath(os.fsdecode(os.fspath(path))))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what}: path={describe(path)} must be a str or a Path: {error}") from None


# --- writing ---------------------------------------------------------------------------------------------------------


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state; the file is there only once it is complete, whoever else writes or loses power meanwhile."""
    members = {_member(name): np.asanyarray(array) for name, array in state.items()}
    with _partial(path) as file:
        archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        try:
            for name, array in members.items():
                # The same state is the same bytes: ZipInfo has no time but the first that there is.
                with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, version=FORMAT, allow_pickle=False)
            archive.close()
        finally:
            # One that was interrupted is thrown away: it does not try to write its end, now or when it is freed.
            archive.fp = None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is there only once it is complete."""
    with _partial(path) as file:
        file.write(content)


@contextmanager
def _partial(path: Path) -> Iterator[IO[bytes]]:
    """A file of this writer's own in the same folder. It becomes that of the path, or nothing is left of it."""
    if path.exists() and not path.is_file():
        raise ArgumentError(f"save: {path} is no file, and is left as it is; give the path of a file")
    _sweep(path)
    partial, file = path, None
    try:
        while file is None:
            # Permissions are those of any file that the user makes.
            partial = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}.partial")
            file = partial.open("x+b")
            _locked(file)
            if sys.platform != "win32" and not os.fstat(file.fileno()).st_nlink:
                # Another writer swept it away before it was locked.
                file.close()
                file = None
        yield file
        file.flush()
        os.fsync(file.fileno())
        if sys.platform == "win32":
            file.close()  # an open file cannot be renamed there
        patiently(lambda: os.replace(partial, path))
        _settle(path.parent)
    finally:
        if file is not None:
            with suppress(OSError):
                # A full disk may refuse what is still in the buffer.
                file.close()
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def patiently(action: Callable[[], Found]) -> Found:
    """Do what Windows refuses while another process reads or replaces a file, which takes a moment."""
    if sys.platform == "win32":
        for pause in PAUSES:
            with suppress(PermissionError):
                return action()
            time.sleep(pause)
    return action()


def _prefix(path: Path) -> str:
    # File systems have names of at most 255 bytes.
    return f".{path.name[:40]}."


def _locked(file: IO[bytes]) -> bool:
    """Whether this process holds the file now; a lock ends with its process, however that ends."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(path: Path) -> None:
    """Remove what writers left behind that were killed: files that nobody holds."""
    if sys.platform == "win32":
        # Nothing tells there who holds them, and a file that is opened here cannot be renamed by its writer.
        return
    with suppress(OSError):
        for left in path.parent.glob(f"{_glob_escaped(_prefix(path))}*.partial"):
            with suppress(OSError), left.open("rb") as file:
                if _locked(file):
                    left.unlink()


def _glob_escaped(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


def _settle(folder: Path) -> None:
    """Have the new name of a file survive a loss of power, where a folder can be synchronised."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _member(name: str) -> str:
    """What an array is called in the archive."""
    found = _UNSAFE.sub(lambda match: "".join(f"%{b:02X}" for b in match[0].encode("utf-8", "surrogatepass")), name)
    if len(found.encode()) > LONGEST_NAME:
        raise ArgumentError(
            f"save: {name[:60]}... is a name of more than {LONGEST_NAME} bytes, which no archive holds; give the dict "
            "shorter keys"
        )
    return found + SUFFIX


# --- reading ---------------------------------------------------------------------------------------------------------


class _Table:
    """The file below an archive. While its table is read, a part of more than ``limit`` bytes is refused."""

    def __init__(self, file: IO[bytes], limit: int):
        self._file = file
        self.limit: int | None = limit
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if self.limit is not None and not 0 <= size <= self.limit:
            if size < 0:
                size = self.limit
            else:
                raise ValueError(f"its table of contents has {size} bytes, more than the arrays here could need")
        return self._file.read(size)


def read(path: Path, optimizer: str, expected: Expected) -> dict[str, Any]:
    """The state in a file, which is one of this optimizer.

    Raises
    ------
    ArgumentError
        If it is no such file, damaged, or of another optimizer.
    ShapeError
        If an array has another shape or dtype.
    """
    what = f"load: {path}"
    with _archive(path, expected, what, "no file that an optimizer saved") as (archive, members):
        state: dict[str, Any] = {}
        for name in ABOUT:
            if name in members:
                state[name] = _read_array(archive, members[name], None, name, what).item()
        check_names(members, state.get("optimizer"), optimizer, expected, what)
        checked_steps(state["steps"], what)
        for name, of in expected.items():
            state[name] = _read_array(archive, members[name], of, name, what)
        return state


def read_arrays(path: Path, expected: Expected) -> dict[str, Any]:
    """The arrays in a file, which are those expected.

    Raises
    ------
    ArgumentError
        If it is no such file, damaged, or has arrays of other names.
    ShapeError
        If an array has another shape or dtype.
    """
    what = f"load: {path}"
    with _archive(path, expected, what, "no file .npz of arrays") as (archive, members):
        _check_same(members, expected, what, "the file must have those of the parameters, and no others")
        return {name: _read_array(archive, members[name], of, name, what) for name, of in expected.items()}


@contextmanager
def _archive(
    path: Path, expected: Expected, what: str, otherwise: str
) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """An archive and its members by the names of arrays; errors of this library for whatever is wrong with it."""
    with patiently(lambda: path.open("rb")) as file:
        try:
            table = _Table(file, TABLE_BYTES + TABLE_BYTES_EACH * len(expected))
            with zipfile.ZipFile(table) as archive:
                table.limit = None
                yield archive, _members(archive)
        except (ArgumentError, ShapeError):
            raise
        except Exception as error:
            # Damage shows as nearly anything: zlib's errors, a KeyError, NotImplementedError, a seek to nowhere.
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise ArgumentError(f"{what} is {otherwise}, or it is damaged ({reason})") from error


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = unquote(info.filename.removesuffix(SUFFIX), errors="surrogatepass")
        if not info.filename.endswith(SUFFIX) or name in members:
            raise ValueError(f"it has {info.filename[:60]!r}, which no optimizer writes, or twice")
        members[name] = info
    return members


def _read_array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, of: tuple[tuple[int, ...], Any] | None, name: str, what: str
) -> np.ndarray[Any, Any]:
    """An array of the archive, of the shape and dtype that it must have; a small one without dimensions if None."""
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != FORMAT:
            raise ValueError(f"{name} has another format of arrays")
        try:
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
        except MemoryError:  # Python's parser, of brackets in brackets
            raise ValueError(f"the header of {name} is no header") from None
        if of is not None:
            _check_array(name, shape, dtype, of, what)
        elif shape != () or dtype.hasobject or dtype.itemsize > SMALL_BYTES:
            raise ValueError(f"{name} is no single value")
        if info.file_size != member.tell() + math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{name} has {info.file_size} bytes, which are not those of its shape")
        array = np.empty(shape[::-1] if by_columns else shape, dtype)
        # No view of bytes has a size-0 axis; there is nothing to read then.
        into = array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(b"")
        done = 0
        while done < array.nbytes:
            chunk = member.read(min(CHUNK_BYTES, array.nbytes - done))
            if not chunk:
                raise EOFError(f"{name} ends after {done} of {array.nbytes} bytes")
            into[done : done + len(chunk)] = chunk
            done += len(chunk)
        # At its end the checksum is compared.
        if member.read(1):
            raise ValueError(f"{name} has more bytes than its shape")
    return array.T if by_columns else array


# --- whether a state is that of this optimizer -----------------------------------------------------------------------


def check(state: Any, optimizer: str, expected: Expected, what: str) -> dict[str, Any]:
    """The arrays and the number of steps in a state; an error that says how it differs from what the optimizer has."""
    if not isinstance(state, Mapping):
        raise ArgumentError(f"{what} is {describe(state)}, not a dict; give what state_dict() returned")
    check_names(state, state.get("optimizer"), optimizer, expected, what)
    found: dict[str, Any] = {"steps": checked_steps(state["steps"], what)}
    for name, of in expected.items():
        array = state[name]
        if not isinstance(array, (np.ndarray, np.generic)) or is_masked(array):
            raise ArgumentError(f"{what} has {name}={describe(array)}, which is no NumPy array")
        _check_array(name, array.shape, array.dtype, of, what)
        found[name] = array
    return found


def _text(name: Any) -> str:
    """What a state calls itself or an array: text, of Python or NumPy, or anything that somebody has put there."""
    if isinstance(name, int):
        # Python writes integers of up to 4,300 digits.
        text = shown(name)
        return f"an integer {text}" if text.startswith("of") else text
    return str(name)[:60]


def check_names(names: Iterable[Any], saved: Any, optimizer: str, expected: Expected, what: str) -> None:
    """Raise an error if a state is of another optimizer, or its arrays have other names."""
    names = list(names)
    if saved is None or _text(saved) != optimizer:
        raise ArgumentError(f"{what} is of {'no optimizer' if saved is None else _text(saved)}, not of {optimizer}")
    own = {name: None for name in names if name not in ABOUT or name == "steps"}
    hint = "the optimizer must have the same options and its parameters the same structure"
    _check_same(own, [*expected, "steps"], what, hint)


def _check_same(names: Iterable[Any], expected: Iterable[str], what: str, hint: str) -> None:
    """Raise an error if names are not those expected."""
    held, wanted = set(names), set(expected)
    missing = [name for name in expected if name not in held]
    unknown = [_text(name) for name in names if name not in wanted]
    if missing or unknown:
        differences = [
            f"{word} {', '.join(name[:60] for name in words[:5])}{', ...' if len(words) > 5 else ''}"
            for word, words in (("lacks", missing), ("has in addition", unknown))
            if words
        ]
        raise ArgumentError(f"{what} {' and '.join(differences)}; {hint}")


def check_arrays(arrays: Mapping[str, Any], expected: Expected, what: str) -> Mapping[str, Any]:
    """Arrays that have the names, shapes and dtypes expected; an error for others."""
    _check_same(arrays, expected, what, "the file must have those of the parameters, and no others")
    for name, of in expected.items():
        _check_array(name, arrays[name].shape, arrays[name].dtype, of, what)
    return arrays


def checked_steps(steps: Any, what: str) -> int:
    """A number of steps that training can go on from."""
    try:
        found = None if isinstance(steps, (bool, np.bool_)) else operator.index(steps)
    except TypeError:
        found = None
    if found is None or not 0 <= found < STEPS_BELOW:
        shown = steps if isinstance(steps, float) else describe(steps)
        raise ArgumentError(f"{what} has steps={shown}; the number of steps must be an integer of at least 0")
    return found


def _check_array(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], of: tuple[tuple[int, ...], Any], what: str
) -> None:
    if (shape, dtype) != of:
        raise ShapeError(
            f"{what} has {name} of shape {shape} and dtype {dtype}; here it is of shape {of[0]} and dtype {of[1]}"
        )


def unique(names: Iterable[str]) -> list[str]:
    """Names of arrays. Keys of a dict may have the same text: of equal names the later ones get a number."""
    found: dict[str, None] = {}
    for name in names:
        numbered, count = name, 1
        while numbered in found:
            count += 1
            numbered = f"{name}#{count}"
        found[numbered] = None
    return list(found)
