"""``check_grads``: it finds what is wrong, says where, and lets pass what is right."""

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors
from autodiff.testing import check_grads

X = np.array([0.5, -1.0, 2.0])


def test_what_is_right_passes():
    check_grads(lambda x, y: np.sin(x) * y, (X, 2.0), order=3)
    check_grads(lambda x: np.sin(x) * x[0], (X.astype("f4"),))
    check_grads(lambda x: np.tanh(x) * x[0], (X[:2].astype("f2"),), order=1)
    check_grads(lambda p: {"a": p["z"] ** 2 * np.conj(p["z"]), "b": [np.abs(p["z"])]}, ({"z": X + 1j, "k": 3},))
    check_grads(lambda x: np.linalg.inv(x), (np.array([[2.0, 1.0], [0.5, 3.0]]),), modes="reverse")
    check_grads(ad.jacobian(np.exp), (X,), modes=["forward"])


def test_arguments_are_left_alone():
    x = X.copy()

    def f(v):
        v *= 2
        return v

    check_grads(f, (x,))
    np.testing.assert_array_equal(x, X)


def lost(p):
    return {"out": [p["w"] ** 2 * ad.stop_gradient(p["b"]), p["w"]]}


P = {"w": 3.0, "b": np.array([1.0, 2.0])}
WRONG = {
    "forward": (
        lambda: check_grads(lost, (P,)),
        r"forward mode: .*result\['out'\]\[0\] by args\[0\]\['b'\].* is 0.0 at \(0,\)",
    ),
    "reverse": (lambda: check_grads(lost, (P,), modes="reverse"), r"^check_grads: reverse mode: .*by args\[0\]\['b'\]"),
    "kink": (lambda: check_grads(np.abs, (np.array([1.0, 1e-4]),)), r"at \(1,\), one of 1 of 2 elements"),
    "second order only": (
        lambda: check_grads(lambda x: np.where(x > 2, 3 * (x - 2) ** 2, 0.0), (2.0,), rtol=0.1, atol=0.1),
        "forward mode, then forward mode",
    ),
    "NaN": (lambda: check_grads(lambda x: np.sqrt(x * 0) * x, (1.0,), order=1), "is nan"),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found(call, message):
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match=message) as caught:
        call()
    assert isinstance(caught.value, errors.DerivativeError)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_grads(3, (X,)), errors.ArgumentError, "not callable"),
        (lambda: check_grads(np.sin, X), errors.ArgumentError, r"write \(x,\)"),
        (lambda: check_grads(np.sin, (X,), order=0), errors.ArgumentError, "order=0"),
        (lambda: check_grads(np.sin, (X,), modes=("fwd",)), errors.ArgumentError, "modes="),
        (lambda: check_grads(np.sin, (3,)), errors.ArgumentError, "no argument is a floating"),
        (lambda: check_grads(np.argmax, (X,)), errors.DifferentiationError, "no derivative"),
    ],
)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
