"""Elementary functions in kernels: the same numbers as those that NumPy evaluates, in vectors and one by one."""

import numpy as np
import pytest

from autodiff.core.primitives import PRIMITIVES
from autodiff_backends.llvm import backend as llvm_
from autodiff_backends.llvm.backend import BACKEND, Kernel, Staged
from autodiff_backends.llvm.machine import processor
from autodiff_backends.loops import files as kernel_files
from autodiff_backends.loops.evaluation import Evaluated
from autodiff_backends.loops.functions import FUNCTIONS, LIMITED, function_of

pytest.importorskip("llvmlite")
pytest.importorskip("scipy")

# Those of derivatives are no functions of one operand.
OF_TWO = ("logaddexp", "logaddexp2", "arctan2", "hypot", "power", "xlogy", "xlog1py", "rel_entr", "kl_div")
NAMES = sorted(set(FUNCTIONS) - {"tanh_slope"})


@pytest.fixture(autouse=True)
def everywhere(monkeypatch, tmp_path_factory):
    """Kernels also where they do not pay, in a folder of their own."""
    monkeypatch.setenv(kernel_files.CACHE_VARIABLE, str(tmp_path_factory.mktemp("kernels")))
    monkeypatch.setattr(llvm_, "KERNEL_CALL", float("-inf"))


def evaluated(name, x, y):
    operands = [Evaluated(a) for a in ((x, y) if name in OF_TWO else (x,))]
    with np.errstate(all="ignore"):
        found = function_of(name, x.dtype)(*operands).array
        limit = LIMITED.get(name)
        if limit is not None and limit.exact is not None:
            outside = limit.outside(operands[0]).array
            found = np.where(outside, function_of(name, x.dtype, exact=True)(*operands).array, found)
    return found


@pytest.mark.parametrize(("dtype", "has_fma"), [("f8", True), ("f4", True), ("f8", False)])
def test_kernels_have_the_numbers_of_the_functions(as_program, variable, monkeypatch, dtype, has_fma):
    if has_fma and not processor().has_fma:
        pytest.skip("the processor does not multiply and add at once")
    monkeypatch.setattr(processor(), "has_fma", has_fma)
    rng = np.random.default_rng(0)
    # Negative numbers are in one of the parts that loops handle at once only; the last one is short.
    x = rng.uniform(0.01, 0.99, 1543)
    x[600:700] = rng.uniform(-20, 20, 100)
    y = rng.uniform(0.1, 5, 1543)
    x[[3, 601, 602, 1542]] = 0.0, -np.inf, np.inf, np.nan
    x, y = x.astype(dtype), y.astype(dtype)
    operands = [variable(x), variable(y)]
    nodes = [PRIMITIVES[name](*operands[: 2 if name in OF_TWO else 1]) for name in NAMES]
    plan = BACKEND.compile(as_program(operands, nodes))
    assert isinstance(plan, (Kernel, Staged))
    for name, found in zip(NAMES, plan(x, y), strict=True):
        wanted = evaluated(name, x, y)
        with np.errstate(all="ignore"):
            apart = abs(found - wanted) / np.spacing(abs(wanted))
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        # Where terms cancel, one more rounding is many units: near zeros of log_ndtr, kl_div and reflected values.
        most = 2e4 if name in ("kl_div", "rel_entr", "psi", "gammaln") else 4
        assert np.all(same | (apart <= most)), (name, x[~same & ~(apart <= most)])


@pytest.mark.parametrize("name", ["gammaln", "psi", "sin"])
def test_short_loops_are_right_for_all_numbers(as_program, variable, name):
    x = np.array([-2.5, -0.25, 1e5])
    operand = variable(x)
    (found,) = BACKEND.compile(as_program([operand], [PRIMITIVES[name](operand)]))(x)
    np.testing.assert_allclose(found, PRIMITIVES[name].numpy_ufunc(x), rtol=1e-13)
