"""The backends that tests run on, and the option that demands one. Nothing else in the tests knows this list."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

# Backend name -> the array library it needs.
BACKENDS = {"numpy": "numpy"}


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
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a backend whose library is installed."""
    name: str = request.param
    if request.config.getoption("backend"):
        importlib.import_module(BACKENDS[name])
    else:
        pytest.importorskip(BACKENDS[name])
    return name


@pytest.fixture
def xp(backend: str) -> ModuleType:
    """The array library of the backend."""
    return importlib.import_module(BACKENDS[backend])
