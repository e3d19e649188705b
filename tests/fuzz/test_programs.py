"""A seeded part of the random programs; the nightly session runs 200,000 of them.

``FUZZ_PROGRAMS`` is how many instead, ``FUZZ_FIRST`` the first seed. ``sweep.py`` runs them in several processes.
"""

from __future__ import annotations

import os

import pytest

import autodiff as ad

from .sweep import find, runner

FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
COUNT = int(os.environ.get("FUZZ_PROGRAMS", "2000"))
PARTS = 20
# Programs on NumPy cost 20 ms; other libraries compile for longer, and share most of what these check.
ELSEWHERE = 10


@pytest.fixture(autouse=True)
def _kernels(backend: ad.Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels also where they do not pay."""
    if backend.name == "llvm":
        monkeypatch.setattr("autodiff_backends.llvm.backend.KERNEL_CALL", float("-inf"))


@pytest.mark.parametrize("part", range(PARTS))
def test_programs_are_numpys(backend: ad.Backend, part: int) -> None:
    """Values, orders 1 to 4, traces, transformations and errors, as ``ways.py`` and ``derivatives.py`` say."""
    run = runner(backend)
    count = COUNT if backend is ad.get_backend() else COUNT // ELSEWHERE
    findings = []
    for seed in range(FIRST + part, FIRST + count, PARTS):
        _, finding = find(run, seed)
        if finding is not None:
            findings.append(str(finding))
    assert not findings, "\n\n".join([f"{len(findings)} programs", *findings[:5]])
