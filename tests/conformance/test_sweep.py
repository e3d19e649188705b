"""The sweep: every row of the table in value, reverse, forward, second order and single precision."""

from __future__ import annotations

import pytest

import autodiff as ad

from . import checks
from .case import Case
from .table import CASES

DIFFERENTIABLE = [c for c in CASES if c.gradient != "none"]
SMOOTH = [c for c in CASES if c.gradient == "smooth" and not c.independent]


def over(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda c: c.name)


@over(CASES)
def test_value_is_numpys(case: Case) -> None:
    checks.check_value(case, case.arrays())
    for arranged in checks.LAYOUTS.values():
        checks.check_value(case, [arranged(a) for a in case.arrays()])


@over(DIFFERENTIABLE)
def test_reverse_mode(case: Case, backend: str) -> None:
    checks.check_reverse(case, case.arrays(), backend)


@over(DIFFERENTIABLE)
def test_forward_mode(case: Case, backend: str) -> None:
    checks.check_forward(case, case.arrays(), backend)


@over(SMOOTH)
def test_second_order(case: Case, backend: str) -> None:
    checks.check_second_order(case, case.arrays(), backend)


@over([c for c in CASES if c.single])
def test_single_precision(case: Case, backend: str) -> None:
    checks.check_single(case, case.arrays(), backend)


@over([c for c in CASES if c.gradient == "none"])
def test_what_has_no_derivative_is_refused(case: Case) -> None:
    inputs = checks.tensors(case, case.arrays())
    wrt = checks.variables(case, inputs)
    for out in checks.leaves(case(*inputs)):
        if isinstance(out, ad.Tensor) and wrt:
            with pytest.raises(ad.errors.DifferentiationError, match="no derivative"):
                ad.Graph().gradient(out, wrt)
