"""Tasks in 32 threads, checked one by one, with races, forks, finalizers and signal handlers: see ``storm.py``.

A process of its own, so that a hang is a failure. The nightly session runs 80,000.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

NIGHTLY = "NIGHTLY" in os.environ
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("library", ["numpy", "llvm", "torch"])
def test_no_value_is_wrong_and_nothing_hangs(library: str) -> None:
    if library != "numpy" and importlib.util.find_spec({"llvm": "llvmlite"}.get(library, library)) is None:
        pytest.skip(f"{library} is not installed")
    count = (80_000 if library == "numpy" else 5_000) if NIGHTLY else 400
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    # As many threads of BLAS as it takes by itself.
    environment.pop("OPENBLAS_NUM_THREADS", None)
    command = [sys.executable, "-m", "tests.storm", str(count), "0", *([library] if library != "numpy" else [])]
    limit = 3600 if NIGHTLY else 300
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=limit, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
