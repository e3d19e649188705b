"""Machine code on disk, in the process, and away: found again, never trusted unread, given back with its kernel."""

import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm import machine
from autodiff_backends.llvm.backend import BACKEND, Kernel
from autodiff_backends.loops import files as kernel_files

pytest.importorskip("llvmlite")

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
import numpy as np, autodiff as ad
from autodiff_backends.llvm import backend as _llvm, machine as _machine
assert not any(name.startswith("llvmlite") for name in sys.modules), "nobody has asked for it yet"
_llvm.KERNEL_CALL = float("-inf")
compiled, texts = _machine.compiled, []
_machine.compiled = lambda text: texts.append(text) or compiled(text)
x = ad.Tensor([0.5, 1.5, -2.0])

def slope():
    (found,) = ad.Graph(backend="llvm").gradient(np.sum(np.tanh(x) * x), [x])
    return found

expected = slope()
np.testing.assert_allclose(expected, ad.Graph().gradient(np.sum(np.tanh(x) * x), [x])[0], rtol=1e-14)
"""


def start(cache, program, *arguments):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, kernel_files.CACHE_VARIABLE: str(cache)}
    command = [sys.executable, "-W", "error", "-c", PROGRAM + program, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.split()


def files(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc")


def test_another_process_finds_the_kernel(tmp_path):
    cache = tmp_path / "not" / "yet"
    # Two at once, and the first to write there.
    both = [start(cache, "print(len(texts))") for _ in range(2)]
    assert all(finish(process) in (["0"], ["1"]) for process in both)
    (name,) = written = files(cache)
    assert name.startswith("kernel_")
    assert name.endswith(".o")
    assert finish(start(cache, "print(len(texts))")) == ["0"]
    assert files(cache) == written


FLIPS = """
import random
from pathlib import Path
(path,) = Path(sys.argv[1]).iterdir()
content, draw = path.read_bytes(), random.Random(0)
for count in range(int(sys.argv[2])):
    damaged = bytearray(content)
    at = draw.randrange(len(content)) if count % 4 else content.index(b"\\x7fELF") + draw.randrange(64)
    damaged[at] ^= 1 << draw.randrange(8)
    path.write_bytes(damaged)
    _machine._loaded.clear()
    texts.clear()
    np.testing.assert_array_equal(slope(), expected)
    assert len(texts) == 1, at
    assert path.read_bytes() == content, at
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="object code has another form elsewhere")
def test_no_flipped_bit_is_run(tmp_path):
    """In another process, which would be the one to end: each bit of a file is checked before any of it is used."""
    assert finish(start(tmp_path, FLIPS, str(tmp_path), "200" if "NIGHTLY" in os.environ else "12")) == ["done"]


@pytest.fixture
def texts(monkeypatch):
    """What was compiled, as if this process had compiled nothing yet."""
    found = []
    compiled = machine.compiled
    monkeypatch.setattr(machine, "_loaded", weakref.WeakValueDictionary())
    monkeypatch.setattr(machine, "compiled", lambda text: found.append(text) or compiled(text))
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))
    return found


def plan_anew(as_program, number=0.25):
    """Without what a thread that is about to end may still hold."""
    machine._loaded.clear()
    return plan_of(as_program, number)


def plan_of(as_program, number=0.25):
    x = ad.Tensor([0.5, 1.5])
    plan = BACKEND.compile(as_program([x], [x * x + number]))
    assert type(plan) is Kernel
    np.testing.assert_array_equal(plan(x.value)[0], x.value**2 + number)
    return plan


def test_no_folder(as_program, texts, monkeypatch, tmp_path):
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, "0")
    monkeypatch.chdir(tmp_path)
    plan_anew(as_program)
    assert files(tmp_path) == []
    plan_anew(as_program)
    assert len(texts) == 2


def test_a_folder_that_cannot_be_written_to(as_program, texts, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(tmp_path / "file" / "folder"))
    plan_anew(as_program)
    assert files(tmp_path) == ["file"]


@pytest.mark.parametrize("kept", [0, 20, 60, 1000])
def test_damaged_files_are_replaced(as_program, texts, monkeypatch, tmp_path, kept):
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(tmp_path))
    for expected in (1, 1):
        plan_anew(as_program)
        assert len(texts) == expected
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:kept])
    for expected in (2, 2):
        plan_anew(as_program)
        assert len(texts) == expected


def test_a_planted_file_is_not_run(as_program, texts, monkeypatch, tmp_path):
    """The right name, and machine code of another kernel that was kept as it should be."""
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(tmp_path))
    plan_anew(as_program, 5.0)
    (other,) = tmp_path.iterdir()
    plan_anew(as_program, 7.0)
    (own,) = set(tmp_path.iterdir()) - {other}
    own.write_bytes(other.read_bytes())
    plan_anew(as_program, 7.0)
    assert len(texts) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_nothing_is_read_from_a_folder_that_others_write_to(as_program, texts, monkeypatch, tmp_path):
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(tmp_path))
    plan_anew(as_program)
    tmp_path.chmod(0o777)
    plan_anew(as_program)
    assert len(texts) == 2


def test_kernels_of_one_text_are_one_and_are_given_back(as_program, texts, monkeypatch):
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, "0")
    first, second = plan_of(as_program), plan_of(as_program)
    assert len(texts) == 1
    (code,) = machine._loaded.values()
    gone = weakref.ref(code)
    engine = weakref.ref(machine._engines[max(machine._engines)][0])
    del code, first
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(second(x)[0], [1.25, 4.25])
    call = second.func
    del second
    gc.collect()
    # Who has the builtin alone still has its machine code, and so has a cycle that is garbage.
    np.testing.assert_array_equal(call(x)[0], [1.25, 4.25])
    assert gone() is not None

    class Last:
        def __del__(self):
            found.append(self.call(x)[0])

    found, last = [], Last()
    last.call, last.cycle = call, last
    del call, last
    gc.collect()
    np.testing.assert_array_equal(found, [[1.25, 4.25]])
    for _ in range(100):
        # The thread that has compiled it may not have ended yet.
        gc.collect()
        if gone() is None:
            break
        time.sleep(0.01)
    assert gone() is None
    assert engine() is None
    assert not machine._loaded


def test_what_is_called_is_part_of_the_text(as_program, texts, monkeypatch):
    """Calls have addresses and no names, so that kernels of two functions of C differ in nothing else."""
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, "0")
    x, y = ad.Tensor([0.5, 1.5]), ad.Tensor([0.3, 0.7])
    pairs = [(np.sin(x) * 2.0, np.cos(x) * 2.0), (np.fmod(x, y) * 2.0, x**y * 2.0)]
    for outputs in pairs:
        plans = [BACKEND.compile(as_program([x, y], [out])) for out in outputs]
        for plan, out in zip(plans, outputs, strict=True):
            np.testing.assert_allclose(plan(x.value, y.value)[0], out.value, rtol=1e-14)
    assert len(texts) == 4


def test_compiling_has_a_bound(as_program, texts, monkeypatch):
    """What llvmlite takes for it is not given back: beyond the bound NumPy goes on, after one warning."""
    monkeypatch.setattr(machine, "_bytes_lost", 0)
    monkeypatch.setattr(machine, "MOST_BYTES", 0)
    monkeypatch.setattr(BACKEND, "_exhausted", False)
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, "0")
    x = ad.Tensor([0.5, 1.5])
    kept = plan_of(as_program, 3.0)
    with pytest.warns(RuntimeWarning, match="never gives back, so NumPy executes further programs"):
        plans = [BACKEND.compile(as_program([x], [x * x + 5.0]))]
    plans += [BACKEND.compile(as_program([x], [x * x + float(i)])) for i in range(6, 8)]
    for i, plan in enumerate(plans, 5):
        assert type(plan) is not Kernel
        np.testing.assert_array_equal(plan(x.value)[0], x.value**2 + i)
    # What is there goes on.
    assert type(plan_of(as_program, 3.0)) is type(kept)


def test_a_missing_llvmlite_is_named(as_program, monkeypatch):
    machine.library.cache_clear()
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    x = ad.Tensor([1.0, 2.0])
    with pytest.raises(errors.BackendError, match=r"'llvm'.*pip install llvmlite"):
        ad.Graph(backend="llvm").gradient(np.sum(np.sin(x)), [x])
    with pytest.raises(errors.BackendError, match="llvmlite"):
        BACKEND.compile(as_program([x], [np.sin(x)]))
    np.testing.assert_allclose(ad.Graph().gradient(np.sum(np.sin(x)), [x])[0], np.cos([1.0, 2.0]))
