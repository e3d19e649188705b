"""The backends that tests run on, and the option that demands one. Nothing else in the tests knows this list."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import compress
from operator import not_
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pytest

import autodiff as ad

from .backends.cupy_standin import Called, Emulated

# Plans do not become machine code in the middle of a test, but in those of tiers (``AUTODIFF_TIERS=auto`` runs all so).
os.environ.setdefault("AUTODIFF_TIERS", "numpy")

EMULATED, CALLED = Emulated(), Called()
SHELVES = Path(__file__).parent / "shelves.py"


class Target(NamedTuple):
    """What tests run on: a backend, its package, how files of its own tests begin, the device if not the default."""

    name: str
    package: str
    files: tuple[str, ...]
    device: str | None = None


TARGETS = {
    "numpy": Target("numpy", "numpy", ("test_numpy",)),
    # Nobody has chosen: each plan is machine code from its second call on, whether that pays or not.
    "default": Target("default", "llvmlite", ("test_tiers",)),
    "llvm": Target("llvm", "llvmlite", ("test_llvm",)),
    # Arrays on this fake device cannot be mixed with others, nor become NumPy's by accident.
    "array_api_strict": Target("array_api_strict", "array_api_strict", ("test_array_api",), "device1"),
    "torch": Target("torch", "torch", ("test_torch", "test_array_api")),
    "torch-cuda": Target("torch", "torch", ("test_torch", "test_array_api"), "cuda"),
    "dask": Target("dask", "dask", ("test_dask",)),
    "cupy": Target("cupy", "cupy", ("test_cu",)),
    # CuPy's plans where there is no GPU: their kernels are compiled as C++, each of them, which takes its time.
    "cupy-emulated": Target("emulated", "numpy", ("test_cu",)),
    # What they call of CuPy's library, with the names and the signatures that it has.
    "cupy-called": Target("called", "numpy", ("test_cu",)),
}

# Files of tests that need a GPU, and the option that demands it.
ON_GPU = {"test_cupy_gpu": "cupy"}

# Set in the process of one test.
ALONE = "AUTODIFF_TEST_ALONE"

# Run without being asked for, where their package is installed: the others need a GPU, or take long.
USUAL = ("numpy", "llvm", "array_api_strict")


# Tests of every function in every mode on every backend. A run of all tests makes one of so many of these, on each
# Python another part; with SWEEP=all in the environment, or asked for by file or by name, all.
SWEEPS = ("test_blocks", "test_recipes", "test_sweep")
SHARE = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        choices=sorted(TARGETS),
        help="run on this backend only, and fail if its library is missing",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("backend")
        installed = [name for name in USUAL if importlib.util.find_spec(TARGETS[name].package)]
        metafunc.parametrize("backend", [wanted] if wanted else installed, indirect=True)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What only a GPU can do is no test without one, not even one that is skipped."""
    needed = ON_GPU.get(collection_path.stem)
    return None if needed in (None, config.getoption("backend")) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On NumPy all but the tests of another backend; on another one its own, and those that are for every backend."""
    wanted = config.getoption("backend")
    if wanted is not None:
        own = TARGETS[wanted].files
        others = tuple([begin for target in TARGETS.values() for begin in target.files if begin not in own])

        def belongs(item: pytest.Item) -> bool:
            if "backend" in getattr(item, "fixturenames", ()):
                return True
            everything = wanted in ("numpy", "default")
            return item.path.stem.startswith(own) or (everything and not item.path.stem.startswith(others))

        _keep(config, items, belongs)
    if _is_part(config):
        _keep(config, items, lambda item: item.path.stem not in SWEEPS or _is_of_part(item))


def pytest_collection_finish(session: pytest.Session) -> None:
    """No collection walks over the tests themselves, which are a million objects: some tests ask for hundreds."""
    gc.collect()
    gc.freeze()


def _keep(config: pytest.Config, items: list[pytest.Item], chosen: Callable[[pytest.Item], bool]) -> None:
    kept = [chosen(item) for item in items]
    config.hook.pytest_deselected(items=list(compress(items, map(not_, kept))))
    items[:] = compress(items, kept)


def _is_of_part(item: pytest.Item) -> bool:
    """Whether a test of the sweeps is made: a share of all, without what is composed of rows on other backends."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    if getattr(params.get("case"), "composed", False) and params.get("backend", "numpy") != "numpy":
        return False
    return zlib.crc32(f"{sys.version_info[:2]} {item.nodeid}".encode()) % SHARE == 0


def _is_part(config: pytest.Config) -> bool:
    """Whether this is a run of all tests, which makes a part of the sweeps."""
    asked = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    return os.environ.get("SWEEP") != "all" and not asked


def pytest_report_header(config: pytest.Config) -> str:
    part = f"one of {SHARE} tests" if _is_part(config) else "all tests"
    return f"sweeps: {part} of {', '.join(SWEEPS)} (all with SWEEP=all)"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: in a process of its own, to which other tests have left nothing")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if pyfuncitem.get_closest_marker("alone") is None or ALONE in os.environ:
        return None
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    environment, root = {**os.environ, ALONE: "1"}, pyfuncitem.config.rootpath
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=root)
    assert run.returncode == 0, run.stdout + run.stderr
    return True


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ad.Backend:
    """A backend. Its library is there, or was demanded by the option."""
    target = TARGETS[request.param]
    if target.name == "llvm":
        kernels_everywhere(monkeypatch)
        if request.config.getoption("backend") is None:
            kernels_at_once(monkeypatch)
    if target.name == "called":
        found: ad.Backend = request.getfixturevalue("cupy_called")
        return found
    return EMULATED if target.name == "emulated" else ad.get_backend(target.name, target.device)


@pytest.fixture(autouse=True)
def tiers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On backend "default", machine code in the middle of each test."""
    if request.config.getoption("backend") == "default":
        monkeypatch.setenv("AUTODIFF_TIERS", "auto")
        monkeypatch.setenv("AUTODIFF_BACKGROUND", "0")
        hot = importlib.import_module("autodiff.plan.hot")
        monkeypatch.setattr(hot.Compiling, "seconds", lambda self, operations: 0.0)
        kernels_everywhere(monkeypatch)
        kernels_at_once(monkeypatch)
        monkeypatch.setattr(np.testing, "assert_array_equal", equal_but_for_last_bits)


def equal_but_for_last_bits(actual: Any, desired: Any, *messages: Any, **keywords: Any) -> None:
    """Equality of the results of two tiers."""
    left, right = np.asarray(actual), np.asarray(desired)
    if np.result_type(left, right).kind not in "fc" or left.shape != right.shape:
        EXACTLY_EQUAL(actual, desired, *messages, **keywords)
    else:
        digits = np.finfo(np.result_type(left, right)).eps
        scale = np.max(np.abs(right), initial=0.0, where=np.isfinite(right))
        np.testing.assert_allclose(left, right, rtol=256 * digits, atol=16 * digits * scale)


EXACTLY_EQUAL = np.testing.assert_array_equal


@pytest.fixture
def cupy_called(monkeypatch: pytest.MonkeyPatch) -> ad.Backend:
    """The CuPy backend without kernels, and with what has the names of CuPy's library."""
    return _registered(monkeypatch, "cupy", CALLED)


def _registered(monkeypatch: pytest.MonkeyPatch, name: str, backend: Any) -> Any:
    """A backend, known under a name during one test."""
    registry = importlib.import_module("autodiff.registry")
    for table in ("_registered", "_loaded"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
    monkeypatch.setattr(registry, "_owners", WeakKeyDictionary())
    ad.register_backend(name, backend)
    return backend


def kernels_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code also where it does not pay, as for a processor whose caches hold some rows of small arrays."""
    module = importlib.import_module("autodiff_backends.llvm.backend")
    monkeypatch.setattr(module, "KERNEL_CALL", float("-inf"))
    monkeypatch.setattr(module, "cache_bytes", {1: 64, 2: 256}.__getitem__)


def kernels_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let LLVM translate texts as they are, in a fifth of the time.

    What it makes of them is tested in ``backends/test_llvm*.py``, and by ``--backend=llvm`` everywhere.
    """
    monkeypatch.setattr(importlib.import_module("autodiff_backends.llvm.machine"), "LEVELS", ())


@pytest.fixture
def xp(backend: ad.Backend) -> Any:
    """The array library of the backend."""
    return backend.namespace


@pytest.fixture
def shelves(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A backend with arrays of its own on two devices: a module, with its source."""
    text = SHELVES.read_text(encoding="utf-8")
    module = ModuleType("shelves")
    module.source = text  # type: ignore[attr-defined]
    exec(compile(text, str(SHELVES), "exec"), vars(module))
    _registered(monkeypatch, "shelves", module.backend)
    return module
