"""The backends that tests run on, and the option that demands one. Nothing else in the tests knows this list."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

# Backend name -> the array library it needs.
BACKENDS = {"numpy": "numpy", "numba": "numba"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        choices=sorted(BACKENDS),
        help="run on this backend only, and fail instead of skipping if its library is missing",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("backend")
        metafunc.parametrize("backend", [wanted] if wanted else list(BACKENDS), indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a backend whose library is installed."""
    name: str = request.param
    if request.config.getoption("backend"):
        importlib.import_module(BACKENDS[name])
    else:
        pytest.importorskip(BACKENDS[name])
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
