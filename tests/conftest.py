"""The backends that tests run on, and the option that demands one. Nothing else in the tests knows this list."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

import pytest

# Backend name -> the array library it needs.
BACKENDS = {"numpy": "numpy", "numba": "numba"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        choices=sorted(BACKENDS),
        help="run on this backend only, and fail if its library is missing",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("backend")
        installed = [name for name, library in BACKENDS.items() if importlib.util.find_spec(library)]
        metafunc.parametrize("backend", [wanted] if wanted else installed, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another backend than NumPy, what does not depend on the backend has been tested elsewhere."""
    wanted = config.getoption("backend")
    if wanted in (None, "numpy"):
        return
    own = f"test_{wanted}"
    kept = [i for i in items if "backend" in getattr(i, "fixturenames", ()) or i.path.stem.startswith(own)]
    config.hook.pytest_deselected(items=[i for i in items if i not in set(kept)])
    items[:] = kept


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a backend. Its library is there, or was demanded by the option."""
    name: str = request.param
    importlib.import_module(BACKENDS[name])
    if name == "numba":
        _loops_everywhere(monkeypatch)
    return name


def _loops_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generate kernels also where they do not pay, and run their source in Python: compiling takes a second each.

    What is compiled is tested in ``backends/test_numba.py``.
    """
    monkeypatch.setattr(importlib.import_module("numba").config, "DISABLE_JIT", True)
    monkeypatch.setattr(importlib.import_module("autodiff_backends._loops_regions"), "KERNEL_CALL", float("-inf"))


@pytest.fixture
def xp(backend: str) -> ModuleType:
    """The array library of the backend."""
    return importlib.import_module(BACKENDS[backend])
