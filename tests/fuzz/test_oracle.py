"""The oracle itself: series against derivatives that are known, and a harness that finds what is planted."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import autodiff as ad
from autodiff.gradients import Gradients

from .compare import Wrong, check
from .program import Program, Slack, Step
from .sweep import find, runner
from .taylor import MONOMIALS, ORDER, SERIES, Unsuitable, variable
from .tolerance import reference
from .ways import Runner

POINTS = {"arccosh": 1.7, "log": 0.8, "log2": 0.8, "log10": 0.8, "sqrt": 0.8}
NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arctanh": "atanh"}
MPMATH: dict[str, Any] = {
    "exp2": lambda x: 2**x, "log2": lambda x: mpmath.log(x, 2), "log10": lambda x: mpmath.log(x, 10),
    "reciprocal": lambda x: 1 / x, "arccosh": mpmath.acosh, "cbrt": mpmath.cbrt,
}  # fmt: skip


@pytest.mark.parametrize("name", [*SERIES, "arccosh", "cbrt"])
def test_series_of_a_function(name: str) -> None:
    point = np.float64(POINTS.get(name, 0.37))
    function = MPMATH.get(name) or getattr(mpmath, NAMES.get(name, name))
    out = getattr(np, name)(variable(np.asarray(point), np.asarray(1.0)))
    for n in range(1, ORDER + 1):
        with mpmath.workdps(40):
            wanted = mpmath.diff(function, mpmath.mpf(float(point)), n) / mpmath.factorial(n - 1)
        found = out.c[MONOMIALS.index((n - 1, 1))]
        assert float(found) == pytest.approx(float(wanted), rel=1e-14)


def test_series_of_two_variables() -> None:
    """f = x^2 y along ones in x alone: d^2/dx^2 is 2 y, and once more 0."""
    x = variable(np.array([1.5, 2.0]), np.array([1.0, 0.0]))
    out = np.sum(x * x * np.array([3.0, 5.0]))
    assert [float(out.c[MONOMIALS.index((n, 1))]) for n in range(3)] == [9.0, 6.0, 0.0]


def test_kinks_are_left_out() -> None:
    x = variable(np.array([0.0, 1.0]), np.ones(2))
    for function in (np.abs, np.sqrt, lambda x: np.maximum(x, 0.0), np.floor, np.max, lambda x: x > 1.0):
        with pytest.raises(Unsuitable):
            function(x if function is not np.max else x * 0)


def small(*texts: str, slack: Slack = Slack(), **inputs: Any) -> Program:  # noqa: B008
    steps = [Step(text, tuple(n for n in inputs if n in text), text.split()[0], slack) for text in texts]
    return Program({name: np.asarray(a) for name, a in inputs.items()}, {}, tuple(steps))


@pytest.mark.parametrize(
    ("program", "wrong"),
    [
        (small("v0 = x0 * 1e200 * 1e200", x0=[1e-300]), np.array([np.inf])),
        (small("v0 = 0 - x0", x0=[0.0]), np.array([-0.0])),
        (small("v0 = (x0 + 1.0) - 1.0", x0=[1e-17]), np.array([1e-17])),
        (small("v0 = x0[-5::-1]", x0=[1.0, 2.0, 3.0]), np.array([3.0])),
        (small("v0 = np.maximum(x0, 0)", x0=[-1.0]), np.array([0])),
        (small("v0 = np.exp(x0)", slack=Slack(0, 2), x0=[1.0]), np.array([np.exp(1.0) * (1 + 1e-14)])),
        (small("v0 = np.sum(x0)", slack=Slack(3, 1), x0=[1.0, 2.0, 3.0]), np.array(6 * (1 + 1e-13))),
    ],
)
def test_wrong_values_are_seen(program: Program, wrong: np.ndarray) -> None:
    ref = reference(program, program.inputs, {})
    check("v0", ref.values["v0"], ref)
    with pytest.raises(Wrong):
        check("v0", wrong, ref)


def planted(monkeypatch: pytest.MonkeyPatch, seeds: range) -> set[str]:
    """The ways by which something is found."""
    run = runner(None)
    return {finding.way for seed in seeds for _, finding in [find(run, seed, small=False)] if finding is not None}


def test_a_wrong_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that is off by a millionth."""
    computed = Gradients.computed

    def off(self: Any, *args: Any) -> Any:
        value, gradients = computed(self, *args)
        return value, [g * g.dtype.type(1 + 1e-6) for g in gradients]

    monkeypatch.setattr(Gradients, "computed", off)
    assert {"orders", "transformations"} <= planted(monkeypatch, range(40))


def test_a_stale_trace_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ad.function`` that gives its first answer for ever."""
    kept: dict[int, Any] = {}
    traced = type(ad.function(np.sin))
    call = traced.__call__

    def stale(self: Any, *args: Any, **keywords: Any) -> Any:
        return kept.setdefault(id(self), (self, call(self, *args, **keywords)))[1]

    monkeypatch.setattr(traced, "__call__", stale)
    assert {"function", "transformations"} <= planted(monkeypatch, range(40))


def test_a_wrong_value_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subtraction the wrong way round, once in the engine of values."""
    monkeypatch.setattr(ad.Tensor, "__sub__", lambda x, y: np.add(x, np.multiply(y, -1)))
    assert {"values", "looked"} & planted(monkeypatch, range(120))


def test_programs_are_the_same_everywhere() -> None:
    """A program is its seed's: nothing else decides, so that a finding can be looked for again."""
    from .generate import generate

    assert generate(77, False).source() == generate(77, False).source()
    assert isinstance(runner(None), Runner)
