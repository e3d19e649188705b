"""Functions of SciPy's in CUDA C++: what their shared definitions give in NumPy, in every precision."""

import numpy as np
import pytest

from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES
from autodiff.plan import Program
from autodiff_backends.cuda.functions import NAMES, part
from autodiff_backends.cuda.kernels import supported
from autodiff_backends.cuda.prelude import prelude
from autodiff_backends.loops.evaluation import Evaluated
from autodiff_backends.loops.functions import function_of

pytest.importorskip("scipy")

EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, 1e-8, 100.0, -40.0, 6e4, 1e30, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("code", ["f2", "f4", "f8"])
def test_the_numbers_are_those_of_the_definitions(run_kernels, code):
    with np.errstate(all="ignore"):
        values = np.concatenate([EDGES, np.linspace(0.013, 9.7, 23), np.linspace(-8.3, -0.1, 11)]).astype(code)
    x, y = (np.ascontiguousarray(a) for a in np.broadcast_arrays(values[:, None], values[None, :]))
    program = Program([intern_aval(a.shape, a.dtype) for a in (x, y)])
    program.outputs = tuple([program.call(PRIMITIVES[name], *range(count)) for name, count in NAMES.items()])
    assert all(supported(program, made) for made in program.applications())
    _, outputs = run_kernels(program, [x, y])
    for (name, count), found in zip(NAMES.items(), outputs, strict=True):
        with np.errstate(all="ignore"):
            operands = [Evaluated(a.astype(found.dtype)) for a in (x, y)[:count]]
            wanted = function_of(name, found.dtype, exact=True)(*operands).array
            # Where terms cancel, the one rounding of a product and a sum is seen.
            most = 1000 if name in ("gammaln", "psi", "kl_div", "rel_entr", "log_ndtr") else 4
            apart = abs(found.astype("f8") - wanted) / np.spacing(abs(wanted))
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted)) | (apart <= most)
        assert same.all(), (name, x[~same][:5], y[~same][:5], found[~same][:5], wanted[~same][:5])


def test_sources_have_the_functions_that_they_use():
    assert part("psi") in prelude("f_psi(x)")
    assert "f_psi" not in prelude("f_gammaln(x) + psi")
