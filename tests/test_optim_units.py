"""Many small parameters are one array in a step: the same numbers, states and errors as of each for itself."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, optim
from autodiff.optim import units

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, 0.1, centered=True, momentum=0.5),
    "Adam": lambda p: optim.Adam(p, 0.1, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, 0.1, clip_norm=2.0),
}
SHAPES = [(2, 3), (), (4,), (600,), (3, 1, 2), (0, 2), (5,)]


def arrays(seed, count=7):
    """Of several shapes and dtypes, one of them too large to be joined, in layouts of all kinds."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        shape = SHAPES[i % len(SHAPES)]
        x = np.asarray(rng.normal(size=shape))
        if i % 5 == 1:
            x = np.asarray(x + 1j * rng.normal(size=shape))
        elif i % 5 == 2:
            x = x.astype(np.float32)
        found.append(np.asfortranarray(x) if i % 2 else x[::-1] if x.ndim == 1 else x)
    return found


def trained(make, count=21):
    parameters = [ad.Tensor(x.copy()) for x in arrays(0, count)]
    optimizer = make(parameters)
    gradients = [arrays(seed, count) for seed in (1, 2, 3)]
    for g in gradients:
        optimizer.step(g)
    return parameters, optimizer


def assert_close(found, wanted):
    """But for what sums of squares in another order change, which are in single precision for some."""
    rounding = 16 * np.finfo(wanted.dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=max(rounding, 1e-6), atol=max(rounding, 1e-7), strict=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_joined_parameters_get_the_same_numbers(monkeypatch, name):
    make = OPTIMIZERS[name]
    monkeypatch.setattr(units, "FEWEST_JOINED", 1000)
    alone, one = trained(make)
    monkeypatch.setattr(units, "FEWEST_JOINED", 2)
    together, other = trained(make)
    assert len(other._moments.units.avals) < len(one._moments.units.avals)
    for x, y in zip(alone, together, strict=True):
        assert type(x.value) is type(y.value)
        if name == "AdamW":
            assert_close(y.value, x.value)
        else:
            np.testing.assert_array_equal(y.value, x.value, strict=True)
        # Whoever keeps a value keeps no others alive.
        assert y.value.base is None
    found, wanted = other.state_dict(), one.state_dict()
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, np.ndarray):
            assert_close(found[key], value)


def test_states_go_from_one_kind_to_the_other(monkeypatch):
    make = OPTIMIZERS["RMSprop"]
    monkeypatch.setattr(units, "FEWEST_JOINED", 1000)
    alone, one = trained(make)
    monkeypatch.setattr(units, "FEWEST_JOINED", 2)
    parameters = [ad.Tensor(np.zeros_like(p.value)) for p in alone]
    other = make(parameters)
    other.load_state_dict(one.state_dict())
    for seed in (4, 5):
        for optimizer in (one, other):
            optimizer.step(arrays(seed, len(alone)))
        # Again, now that there is a plan.
        other.load_state_dict(other.state_dict())
    for x, y in zip(alone, parameters, strict=True):
        np.testing.assert_array_equal(y.value, x.value)


def test_a_step_is_as_long_for_any_number_of_small_parameters():
    counts = []
    for count in (units.FEWEST_JOINED, 3 * units.FEWEST_JOINED):
        optimizer = optim.Adam([ad.Tensor(np.ones((2, i % 7 + 1))) for i in range(count)])
        optimizer.step([np.ones((2, i % 7 + 1)) for i in range(count)])
        counts.append(optimizer._plan.n_operations)
    assert counts[0] == counts[1] < units.FEWEST_JOINED


def test_a_wrong_gradient_of_a_joined_parameter_is_named(monkeypatch):
    monkeypatch.setattr(units, "FEWEST_JOINED", 2)
    parameters, optimizer = trained(OPTIMIZERS["SGD"])
    before = [p.value for p in parameters]
    gradients = arrays(1, len(parameters))
    gradients[4] = np.ones((1, 3, 2))
    with pytest.raises(errors.ShapeError, match=r"parameters\[4\]"):
        optimizer.step(gradients)
    assert all(p.value is x for p, x in zip(parameters, before, strict=True))
