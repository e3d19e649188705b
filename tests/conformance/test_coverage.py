"""Nothing that is recorded is missing from the table of operations."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
from scipy import special

import autodiff as ad
from autodiff import ops
from autodiff.core.primitives import PRIMITIVES
from autodiff.differentiate import Forward
from autodiff.nodes import Node, history
from autodiff.numpy_api.functions import function_table
from autodiff.numpy_api.special import NUMPYS, UNRECORDED
from autodiff.numpy_api.ufuncs import ACCUMULATE, REDUCE, ufunc_table

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


def test_every_numpy_function_is_in_the_table() -> None:
    assert not {f.__name__ for f in function_table() if f not in COVERED}


def test_every_ufunc_method_is_in_the_table() -> None:
    methods = {f"np.{f.__name__}.reduce" for f in REDUCE} | {f"np.{f.__name__}.accumulate" for f in ACCUMULATE}
    assert not methods - COVERED


def test_every_method_and_operator_of_tensor_is_in_the_table() -> None:
    names = {name for kind in ad.Tensor.__mro__[:-1] for name in vars(kind)}
    mine = {name for name in names if name not in HANDLE | PYTHON and (name[:2] == "__" or name[0] != "_")}
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
    # have factors (tests/backends/test_numpy_lapack.py); rules of users have tests/test_custom.py.
    elsewhere = {"place", "in_range", "logistic_slope", "lu", "lu_solve", "lu_slogdet", "custom"}
    assert not {name for name in PRIMITIVES if name not in reached} - elsewhere
