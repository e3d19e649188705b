"""Files of machine code: where they are, who may write there, and that what is read is what was written."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from autodiff_backends.loops import files as kernel_files
from autodiff_backends.loops.files import cache_folder, is_private, keep_kernel, kernel_name, read_kernel

ABOUT, CONTENT = b"a kernel for this machine", bytes(range(100))
NAME = kernel_name("kernel", ABOUT, ".bin")
VARIABLES = (kernel_files.CACHE_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA")

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    found = tmp_path / "kernels"
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(found))
    return found


# --- where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/some/where"}, Path("/some/where/autodiff")),
        ("linux", {"XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "autodiff"),
        ("linux", {"XDG_CACHE_HOME": "here"}, Path.home() / ".cache" / "autodiff"),
        ("linux", {}, Path.home() / ".cache" / "autodiff"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/autodiff")),
        ("linux", {kernel_files.CACHE_VARIABLE: "/mine", "XDG_CACHE_HOME": "/some/where"}, Path("/mine")),
        ("linux", {kernel_files.CACHE_VARIABLE: "0", "XDG_CACHE_HOME": "/some/where"}, None),
        ("linux", {"HOME": ""}, None),
        ("linux", {"HOME": "relative"}, None),
    ],
)
def test_where_kernels_are_kept(monkeypatch, platform, variables, expected):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == expected


def test_a_user_without_a_home(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert cache_folder() is None
    keep_kernel(NAME, ABOUT, CONTENT)
    assert read_kernel(NAME, ABOUT) is None


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
def test_a_user_that_the_system_does_not_know():
    """The modules alone, in a process of a user who has no name and no home, and may not read where this one is."""
    source = Path(kernel_files.__file__).read_text()
    program = (
        "import contextlib, hashlib, os, pathlib, pwd, stat, sys, tempfile, types, __future__\n"
        "os.setgid(54321); os.setuid(54321)\n"
        "module = types.ModuleType('kernel_files'); exec(sys.stdin.read(), module.__dict__)\n"
        "assert module.cache_folder() is None\n"
        "module.keep_kernel('name', b'about', b'content')\nassert module.read_kernel('name', b'about') is None\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "HOME")}
    result = subprocess.run(
        [sys.executable, "-c", program], input=source, env=environment, text=True, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr


# --- what is read is what was written --------------------------------------------------------------------------------


def test_what_was_kept_is_found(folder):
    assert read_kernel(NAME, ABOUT) is None
    keep_kernel(NAME, ABOUT, CONTENT)
    assert read_kernel(NAME, ABOUT) == CONTENT
    assert os.listdir(folder) == [NAME]
    # The file of another kernel under this one's name is not this one.
    assert read_kernel(NAME, b"a kernel for that machine") is None
    keep_kernel(NAME, ABOUT, b"")
    assert read_kernel(NAME, ABOUT) == b""


def test_every_byte_counts(folder):
    keep_kernel(NAME, ABOUT, CONTENT)
    path = folder / NAME
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert read_kernel(NAME, ABOUT) is None
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert read_kernel(NAME, ABOUT) is None
    path.write_bytes(whole + b"\0")
    assert read_kernel(NAME, ABOUT) is None
    keep_kernel(NAME, ABOUT, CONTENT)
    assert read_kernel(NAME, ABOUT) == CONTENT


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    keep_kernel(NAME, ABOUT, CONTENT)

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        keep_kernel(NAME, ABOUT, b"later")
        keep_kernel("other", ABOUT, b"later")
    assert os.listdir(folder) == [NAME]
    assert read_kernel(NAME, ABOUT) == CONTENT


@pytest.fixture
def small(monkeypatch):
    """The bound of the folder, for some ten files."""
    monkeypatch.setattr(kernel_files, "FOLDER_BYTES", 10_000)
    return 10_000


def size(folder):
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def test_the_folder_has_a_bound_and_keeps_what_is_used(folder, small):
    names = [kernel_name("kernel", b"%d" % i, ".bin") for i in range(100)]
    folder.mkdir(mode=0o700)
    (folder / "of_somebody_else").write_bytes(bytes(small))
    (folder / "kernel_abc.tmp").write_bytes(bytes(500))  # its writer was killed
    os.utime(folder / "kernel_abc.tmp", (0, 0))
    for i, name in enumerate(names):
        keep_kernel(name, ABOUT, bytes(900))
        os.utime(folder / name, (i + 1, i + 1))  # file systems may not tell milliseconds apart
        assert size(folder) - small <= small
        if i:
            assert read_kernel(names[0], ABOUT) == bytes(900)
            os.utime(folder / names[0], (i + 2, i + 2))
    left = [name for name in names if (folder / name).exists()]
    assert left[0] == names[0]
    assert left[1:] == names[-len(left) + 1 :]
    assert len(left) >= 7
    assert (folder / "of_somebody_else").exists()
    assert not (folder / "kernel_abc.tmp").exists()


def test_reading_a_file_makes_it_young(folder):
    keep_kernel(NAME, ABOUT, CONTENT)
    os.utime(folder / NAME, (1, 1))
    read_kernel(NAME, b"a kernel for that machine")
    assert (folder / NAME).stat().st_mtime == 1
    read_kernel(NAME, ABOUT)
    assert (folder / NAME).stat().st_mtime > 1


def test_what_cannot_be_removed_stays(folder, small, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "in use", path)

    monkeypatch.setattr(os, "unlink", refused)
    for i in range(20):
        keep_kernel(kernel_name("kernel", b"%d" % i, ".bin"), ABOUT, bytes(900))
    assert len(os.listdir(folder)) == 20


# --- who may write there ---------------------------------------------------------------------------------------------


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mask", [0, 0o002, 0o022, 0o077])
def test_the_umask_does_not_open_folders_or_files(tmp_path, monkeypatch, mask):
    folder = tmp_path / "not" / "yet"
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(folder))
    before = os.umask(mask)
    try:
        keep_kernel(NAME, ABOUT, CONTENT)
    finally:
        os.umask(before)
    assert read_kernel(NAME, ABOUT) == CONTENT
    assert [mode(path) for path in (tmp_path / "not", folder, folder / NAME)] == [0o700, 0o700, 0o600]


@posix
@pytest.mark.parametrize("opened", [0o770, 0o707, 0o777, 0o1777])
def test_folders_that_others_can_write_to_are_not_used(folder, opened):
    keep_kernel(NAME, ABOUT, CONTENT)
    folder.chmod(opened)
    assert read_kernel(NAME, ABOUT) is None
    keep_kernel("other", ABOUT, CONTENT)
    assert os.listdir(folder) == [NAME]
    folder.chmod(0o755)
    assert read_kernel(NAME, ABOUT) == CONTENT


@posix
def test_folders_that_others_can_put_in_place_are_not_used(tmp_path, folder):
    keep_kernel(NAME, ABOUT, CONTENT)
    tmp_path.chmod(0o777)
    assert read_kernel(NAME, ABOUT) is None
    # As /tmp: others may add files, but not move this one's.
    tmp_path.chmod(0o1777)
    assert read_kernel(NAME, ABOUT) == CONTENT
    tmp_path.chmod(0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "link").symlink_to(folder)
    # Through a link the folder itself is what counts; whoever moves the link only gets to other private ones.
    assert is_private(tmp_path / "open" / "link")


@posix
def test_files_that_others_can_write_to_are_not_used(folder):
    keep_kernel(NAME, ABOUT, CONTENT)
    (folder / NAME).chmod(0o620)
    assert read_kernel(NAME, ABOUT) is None
    keep_kernel(NAME, ABOUT, CONTENT)
    assert read_kernel(NAME, ABOUT) == CONTENT


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_others_is_not_used(tmp_path, folder):
    keep_kernel(NAME, ABOUT, CONTENT)
    for path in (folder / NAME, folder, tmp_path):
        os.chown(path, 54321, 54321)
        assert read_kernel(NAME, ABOUT) is None, path
        os.chown(path, 0, 0)
        assert read_kernel(NAME, ABOUT) == CONTENT


def test_what_stands_in_the_way_is_left(folder):
    folder.mkdir(mode=0o700)
    (folder / NAME).mkdir()
    assert read_kernel(NAME, ABOUT) is None
    keep_kernel(NAME, ABOUT, CONTENT)
    assert os.listdir(folder) == [NAME]
    assert os.listdir(folder / NAME) == []
