"""What a type checker knows of transformed functions: their arguments, and what they return."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parent.parent

# A line with a comment is an error of that kind, and no other line is.
PROGRAM = """
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import autodiff as ad

Array = NDArray[np.float64]


def loss(w: Array, x: Array, scale: float = 1.0) -> float:
    return float(np.sum(w * x) * scale)


w = x = np.ones(2)
ad.grad(loss)(w, x, scale=2.0)
ad.grad(loss)(w)  # call-arg
ad.grad(loss)(w, x, scael=2.0)  # call-arg
ad.grad(loss)(w, x, "a")  # arg-type
ad.grad(3)  # arg-type
ad.grad(loss, argnums="w")  # arg-type
value, slopes = ad.value_and_grad(loss)(w, x)
value + 1.0
value + "a"  # operator
ad.value_and_grad(loss)(w, x, scale="a")  # arg-type
ad.elementwise_grad(lambda y: np.sin(y))(w)
ad.nth_derivative(loss, 2)(w)  # call-arg
ad.holomorphic_grad(loss)(w, x, 1.0, 2.0)  # call-arg
ad.jacobian(loss)("a", x)  # arg-type
ad.hessian(loss)(w, x, None)  # arg-type
ad.vmap(loss)(w)  # call-arg
ad.function(loss)(w, x)


@ad.custom_vjp
def clipped(y: Array) -> Array:
    return y


clipped(w)
clipped(w, w)  # call-arg
clipped("a")  # arg-type
with ad.debug_nans(inf=True):
    pass
with ad.debug_nans(inf="yes"):  # arg-type
    pass
"""


def test_mypy_finds_wrong_arguments_of_transformed_functions(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    run = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False, cwd=ROOT)
    found = {}
    for line in run.stdout.splitlines():
        place, _, text = line.partition(": error: ")
        if text:
            found[int(place.split(":")[1])] = text.rpartition("[")[2].rstrip("]")
    expected = {n: line.partition("  # ")[2] for n, line in enumerate(PROGRAM.splitlines(), 1) if "  # " in line}
    assert found == expected, run.stdout + run.stderr
