"""Which kind of plan the NumPy backend makes: source at once, after some calls, or never."""

import threading

import numpy as np
import pytest

import autodiff as ad
from autodiff import background
from autodiff.plan import build, tiers
from autodiff_backends.numpy import backend as numpy_
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated

A = np.linspace(0.1, 0.9, 5)


@pytest.fixture
def program():
    x = ad.Tensor(A)
    return build([x.node], [(np.sin(np.cos(np.exp(x) * x) + 2.5) ** 3).node])


def test_programs_of_ordinary_length_are_generated(program):
    assert isinstance(numpy_.BACKEND.compile(program), Generated)


def test_longer_programs_are_interpreted_before_they_are_generated(program, monkeypatch):
    monkeypatch.setattr(numpy_, "LONGEST_AT_ONCE", 2)
    plan = numpy_.BACKEND.compile(program)
    (expected,) = Interpreted(program)(A)
    assert plan.source == Interpreted(program).source
    for _ in range(tiers.CALLS_AT_ONCE + 3):
        (result,) = plan(A)
        np.testing.assert_allclose(result, expected, rtol=1e-14)
        result[...] = 0
        background.wait()
    assert "def run(" in plan.source
    assert plan.n_operations == Generated(program).n_operations


def test_very_long_programs_are_always_interpreted(program, monkeypatch):
    monkeypatch.setattr(numpy_, "LONGEST_AT_ONCE", 2)
    monkeypatch.setattr(numpy_, "LONGEST_GENERATED", 3)
    assert isinstance(numpy_.BACKEND.compile(program), Interpreted)


def test_the_change_of_tier_is_safe_in_threads(program, monkeypatch):
    monkeypatch.setattr(numpy_, "LONGEST_AT_ONCE", 2)
    for _ in range(10):
        plan = numpy_.BACKEND.compile(program)
        results = []

        def work(seed, plan=plan, results=results):
            for _ in range(5):
                results.append((seed, plan(A + seed)[0]))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 40
        for seed, result in results:
            np.testing.assert_allclose(result, Interpreted(program)(A + seed)[0], rtol=1e-14)
