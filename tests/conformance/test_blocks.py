"""The sweep once more, all elementwise parts being groups: in blocks of a few elements, shared by threads."""

from __future__ import annotations

import pytest

from autodiff_backends.numpy import blocks, groups

from . import checks
from .case import Case
from .table import CASES


@pytest.fixture(autouse=True)
def _tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SMALLEST_BLOCKED", 2)
    monkeypatch.setattr(groups, "SMALLEST_THREADED", 0)
    monkeypatch.setattr(groups, "BLOCK_BYTES", 24)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 24)
    monkeypatch.setattr(blocks, "thread_count", lambda: 2)


@pytest.mark.parametrize("case", [c for c in CASES if c.gradient != "none"], ids=lambda c: c.name)
def test_reverse_mode_in_tiny_blocks(case: Case) -> None:
    checks.check_reverse(case, case.arrays(), "numpy")
