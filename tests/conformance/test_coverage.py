"""Nothing that is recorded is missing from the table of operations."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import fft, linalg, special, stats

import autodiff as ad
from autodiff import ops
from autodiff.core.primitives import PRIMITIVES
from autodiff.differentiate import Forward
from autodiff.nodes import Node, history
from autodiff.numpy_api.functions import function_table
from autodiff.numpy_api.methods import ACCUMULATE, FOLDED, REDUCE
from autodiff.numpy_api.special import NUMPYS, UNRECORDED
from autodiff.numpy_api.ufuncs import ufunc_table
from autodiff.reasons import REASONS
from autodiff.scipy_api import fft as fft_topic
from autodiff.scipy_api import linalg as linalg_topic
from autodiff.scipy_api import special as special_topic
from autodiff.scipy_api import stats as stats_topic
from autodiff.scipy_api.distributions import CONTINUOUS, DISCRETE, MOMENTS
from autodiff.scipy_api.multivariate import RECORDED

from . import checks
from .table import CASES

COVERED = {x for case in CASES for x in case.covers}
WORDS = {x.partition("[")[0].partition(" ")[0] for x in COVERED if isinstance(x, str)}

# What a Tensor has beyond an ndarray; tested with Tensor itself.
HANDLE = {
    "node", "name", "constant", "value", "_i", "assign", "assign_add", "assign_sub", "copy", "to",
    "__array_ufunc__", "__array_function__", "__array_priority__", "__init__", "__repr__", "__reduce__", "__copy__",
    "__deepcopy__", "__dlpack__", "__floor__", "__ceil__", "__trunc__", "__dlpack_device__", "__hash__",
}  # fmt: skip
PYTHON = {
    "__annotations__",
    "__module__",
    "__qualname__",
    "__doc__",
    "__slots__",
    "__weakref__",
    "__firstlineno__",
    "__static_attributes__",
}


def test_every_ufunc_is_in_the_table() -> None:
    assert not {f.__name__ for f in ufunc_table() if f not in COVERED}


def test_every_ufunc_of_scipy_is_in_the_table() -> None:
    public = {name: f for name, f in vars(special).items() if isinstance(f, np.ufunc)}
    recorded = {*ops.special.CARDS, *NUMPYS}
    # What is in neither list is newer than this library; psi is digamma, jv is jn.
    assert not {name for name, f in public.items() if f.__name__ not in recorded | set(UNRECORDED)}
    assert not {name for name in UNRECORDED if name in recorded}
    assert not {name for name in recorded if name in public and public[name] not in COVERED}


def test_ufuncs_of_scipy_that_are_not_recorded_say_why() -> None:
    for name in UNRECORDED:
        ufunc = getattr(special, name)
        with pytest.raises(ad.errors.UnsupportedError, match=f"special.{name} is not recorded for Tensors: "):
            ufunc(*[ad.Tensor([0.5])] * ufunc.nin)


# Of scipy.linalg: what makes matrices of sizes alone, or looks for BLAS; and what asks about values, for which a Tensor
# is an array outside of transformations, and an error inside.
NO_ARRAYS = {
    "find_best_blas_type", "get_blas_funcs", "get_lapack_funcs", "dft", "hadamard", "helmert", "hilbert", "invhilbert",
    "invpascal", "pascal",
}  # fmt: skip
QUESTIONS = {"bandwidth", "ishermitian", "issymmetric", "fiedler_companion", "subspace_angles"}


def test_every_function_of_scipys_linear_algebra_is_in_one_state() -> None:
    public = {name for name in linalg.__all__ if inspect.isfunction(getattr(linalg, name))}
    states = [set(linalg_topic.TABLE), set(linalg_topic.UNRECORDED), NO_ARRAYS, QUESTIONS]
    assert not public - set().union(*states)
    assert sum(map(len, states)) == len(set().union(*states))


@pytest.mark.parametrize(("module", "topic"), [(linalg, linalg_topic), (special, special_topic)])
def test_functions_of_scipy_are_in_the_table(module: Any, topic: Any) -> None:
    # solve_lyapunov is another name of solve_continuous_lyapunov.
    missing = {name for name in topic.TABLE if getattr(module, name, None) not in COVERED}
    assert not {name for name in missing if hasattr(module, name)} - {"solve_lyapunov"}
    for name in topic.UNRECORDED:
        if hasattr(module, name):
            with pytest.raises(
                ad.errors.UnsupportedError, match=rf"{module.__name__}.{name} is not recorded for Tensors: "
            ):
                getattr(module, name)(ad.Tensor([[0.5]]))


def test_methods_of_scipys_distributions_are_in_the_table() -> None:
    """All that have a formula, or are made of one."""
    wanted = [(name, method) for name, methods in RECORDED.items() for method in methods]
    for name, row in (CONTINUOUS | DISCRETE).items():
        density = ("logpmf", "pmf") if row.discrete else ("logpdf", "pdf")
        methods = [*density, *stats_topic.PROBABILITIES, *([] if row.discrete else stats_topic.QUANTILES)]
        wanted += [(name, method) for method in methods if stats_topic.formula(row, method) is not None]
        # Some of these take parameters alone, and have no Tensor in a row without.
        wanted += [(name, method) for method in ("mean", "var", "std") if name in MOMENTS and _has_shapes(name)]
    assert not {(name, method) for name, method in wanted if getattr(getattr(stats, name), method) not in COVERED}


def test_transforms_of_scipy_are_in_the_table() -> None:
    names = {*fft_topic.TRANSFORMS, *fft_topic.TABLE}
    assert not {name for name in names if getattr(fft, name) not in COVERED}


def _has_shapes(name: str) -> bool:
    return bool(getattr(stats, name).numargs)


def test_every_numpy_function_is_in_the_table() -> None:
    assert not {f.__name__ for f in function_table() if f not in COVERED}


def test_every_ufunc_method_is_in_the_table() -> None:
    methods = {f"np.{f.__name__}.reduce" for f in {*REDUCE, *FOLDED}}
    methods |= {f"np.{f.__name__}.accumulate" for f in {*ACCUMULATE, *FOLDED}}
    assert not methods - COVERED


def test_every_method_and_operator_of_tensor_is_in_the_table() -> None:
    names = {name for kind in ad.Tensor.__mro__[:-1] for name in vars(kind)}
    refused = {name.rpartition(".")[2] for name in REASONS}
    mine = {name for name in names - HANDLE - PYTHON - refused if name[:2] == "__" or name[0] != "_"}
    assert not {name for name in mine if f"Tensor.{name}" not in WORDS}


def test_functions_with_floating_results_are_swept_with_gradients() -> None:
    """A function all of whose rows have no derivative gives no floating Tensor in any of them."""
    swept = {x for case in CASES if case.gradient != "none" for x in case.covers}
    for case in CASES:
        if case.gradient == "none" and case.covers[0] not in swept:
            inputs = checks.tensors(case, case.arrays())
            floats = [
                out for out in checks.leaves(case(*inputs)) if isinstance(out, ad.Tensor) and checks.floating(out)
            ]
            assert not floats, case.name


def _recorded() -> list[Node]:
    """Values, gradients and tangents of every row, as nodes."""
    roots: list[Node] = []
    for case in CASES:
        inputs = checks.tensors(case, case.arrays())
        outs = [x for x in checks.leaves(case(*inputs)) if isinstance(x, ad.Tensor)]
        roots += [x.node for x in outs]
        wrt = checks.variables(case, inputs)
        for out in outs:
            if case.gradient == "smooth" and checks.floating(out) and wrt:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ad.errors.IndependentWarning)
                    roots += [g.node for g in ad.Graph().gradient(out, wrt, as_tensors=True)]
                tangent = Forward({wrt[0].node: ad.Tensor(np.ones(wrt[0].shape)).node})(out.node)
                roots += [] if tangent is None else [tangent]
    return roots


def test_every_primitive_is_reached_by_the_table() -> None:
    reached = Counter(node.primitive.name for node in history(*_recorded()) if node.primitive is not None)
    # Where values are is no function of the table, but that of tests/test_placement.py; the derivative of the logistic
    # function, which is that of logaddexp, comes with second derivatives only (tests/test_derivatives_oracle.py); plans
    # have factors (tests/backends/test_numpy_lapack.py); rules and functions of users have tests/test_custom.py and
    # tests/test_primitive.py, what is computed again tests/test_checkpoint_memory.py, and loops and branches
    # tests/test_control.py.
    elsewhere = {"place", "in_range", "logistic_slope", "lu", "lu_solve", "lu_slogdet", "lu_det"}
    elsewhere |= {"custom", "pack", "after", "batched", "call", "flow"}
    assert not {name for name in PRIMITIVES if name not in reached} - elsewhere
