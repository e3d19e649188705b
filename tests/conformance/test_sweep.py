"""The sweep: every row of the table in value, reverse, forward, second order and single precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autodiff as ad
from autodiff.numpy_api.answers import ANSWERS

from . import checks
from .case import Case
from .table import CASES

DIFFERENTIABLE = [c for c in CASES if c.gradient != "none"]
SMOOTH = [c for c in CASES if c.gradient == "smooth" and not c.independent]


def over(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda c: c.name)


# Questions that NumPy answers: asked about an array of another library, the error says how to bring it to the host.
ASKED = {getattr(np, name) for name in ANSWERS}


def refused(case: Case, backend: Any) -> str | None:
    """The name of a function that takes no arrays of another library than NumPy."""
    asked = [f.__name__ for f in case.covers if f in ASKED]
    return asked[0] if asked and checks.away(backend) else None


@over(CASES)
def test_value_is_numpys(case: Case, backend: Any) -> None:
    name = refused(case, backend)
    if name is not None:
        with pytest.raises(ad.errors.BackendError, match=rf"np\.{name} .*np\.asarray"):
            checks.check_value(case, case.arrays(), backend)
        return
    with checks.capable(backend):
        checks.check_value(case, case.arrays(), backend)
    # Another library makes contiguous arrays of whatever it is given.
    for arranged in list(checks.LAYOUTS.values())[: 1 if checks.away(backend) else None]:
        checks.check_value(case, [arranged(a) for a in case.arrays()], backend)


@over(DIFFERENTIABLE)
def test_reverse_mode(case: Case, backend: Any) -> None:
    with checks.capable(backend):
        checks.check_reverse(case, case.arrays(), backend)


@over(DIFFERENTIABLE)
def test_forward_mode(case: Case, backend: Any) -> None:
    with checks.capable(backend):
        checks.check_forward(case, case.arrays(), backend)


@over(SMOOTH)
def test_second_order(case: Case, backend: Any) -> None:
    with checks.capable(backend):
        checks.check_second_order(case, case.arrays(), backend)


@over([c for c in CASES if c.single])
def test_single_precision(case: Case, backend: Any) -> None:
    if refused(case, backend) is None:
        with checks.capable(backend):
            checks.check_single(case, case.arrays(), backend)


@over([c for c in CASES if c.gradient == "none"])
def test_what_has_no_derivative_is_refused(case: Case) -> None:
    inputs = checks.tensors(case, case.arrays())
    wrt = checks.variables(case, inputs)
    for out in checks.leaves(case(*inputs)):
        if isinstance(out, ad.Tensor) and wrt:
            with pytest.raises(ad.errors.DifferentiationError, match="no derivative"):
                ad.Graph().gradient(out, wrt)
