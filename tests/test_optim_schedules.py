"""Learning-rate schedules: their courses against PyTorch's, and the one that has a state."""

import importlib.util
import math

import numpy as np
import pytest

import autodiff as ad
from autodiff import optim

# --- schedules -------------------------------------------------------------------------------------------------------


def test_schedules_end_and_stay():
    for kind in (optim.Linear, optim.Cosine):
        schedule = kind(2.0, steps=10, final=0.5)
        assert schedule(0) == 2.0
        assert schedule(5) == pytest.approx(1.25)
        assert schedule(10) == schedule(1000) == pytest.approx(0.5)
        warmed = kind(2.0, steps=14, final=0.5, warm_up=4)
        assert [warmed(step) for step in range(4)] == [0.5, 1.0, 1.5, 2.0]
        assert [warmed(step + 4) for step in range(11)] == [schedule(step) for step in range(11)]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize(
    ("schedule", "kind", "options"),
    [
        (optim.Constant(0.5), "ConstantLR", {"factor": 1.0}),
        (optim.StepDecay(0.5, 3), "StepLR", {"step_size": 3}),
        (optim.Exponential(0.5, 0.9), "ExponentialLR", {"gamma": 0.9}),
        (optim.Linear(0.5, 8, final=0.1), "LinearLR", {"start_factor": 1.0, "end_factor": 0.2, "total_iters": 8}),
        (optim.Cosine(0.5, 8, final=0.1), "CosineAnnealingLR", {"T_max": 8, "eta_min": 0.1}),
        (optim.CosineRestarts(0.5, 3), "CosineAnnealingWarmRestarts", {"T_0": 3}),
        (
            optim.CosineRestarts(0.5, 1, factor=2, final=0.1),
            "CosineAnnealingWarmRestarts",
            {"T_0": 1, "T_mult": 2, "eta_min": 0.1},
        ),
        (optim.WarmUp(0.5, 4), "LinearLR", {"start_factor": 0.25, "total_iters": 3}),
    ],
)
def test_schedules_are_pytorchs(schedule, kind, options):
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.5)
    theirs = getattr(torch.optim.lr_scheduler, kind)(optimizer, **options)
    for step in range(9):
        assert schedule(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        theirs.step()


def test_rate_is_that_of_the_schedule_and_may_be_changed():
    w = ad.Tensor([0.0])
    optimizer = optim.SGD([w], lambda step: 10.0**-step)
    for expected in (-1.0, -1.1, -1.11):
        optimizer.step([np.ones(1)])
        np.testing.assert_allclose(w.value, [expected])
    optimizer.rate = 2.0
    optimizer.step([np.ones(1)])
    np.testing.assert_allclose(w.value, [-3.11])


# --- a plateau -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("options", [{}, {"factor": 0.5, "cooldown": 2, "threshold": 0.05}, {"patience": 0}])
def test_a_plateau_is_pytorchs(mode, options):
    torch = pytest.importorskip("torch")
    options = {"patience": 2, **options}
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.5)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, mode, min_lr=1e-3, eps=0.0, **options)
    ours = optim.ReduceOnPlateau(0.5, mode=mode, minimum=1e-3, **options)
    rng = np.random.default_rng(0)
    rates = set()
    for step, value in enumerate([*(1 + rng.uniform(size=60)), math.nan, math.nan, math.inf, 1.0, 1.0]):
        scheduler.step(value)
        assert ours.report(ad.Tensor(value)) == theirs.param_groups[0]["lr"] == ours(step)
        rates.add(ours(step))
    assert len(rates) > 2


def test_negative_values_must_get_better_too():
    schedule = optim.ReduceOnPlateau(1.0, 0.5, patience=0, threshold=0.1)
    assert [schedule.report(value) for value in (-10.0, -9.5, -10.5, -11.5)] == [1.0, 0.5, 0.25, 0.25]
