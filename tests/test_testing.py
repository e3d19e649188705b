"""``check_grads``: it finds what is wrong, says where, and lets pass what is right."""

import re

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


def test_the_message_has_what_is_needed_to_look_into_it():
    with pytest.raises(errors.DerivativeError) as caught:
        check_grads(lambda x, y: np.sin(x) * ad.stop_gradient(y), (0.5, np.array([1.0, 2.0])), modes="reverse", seed=3)
    found = re.fullmatch(
        r"check_grads: reverse mode: the derivative of the result by args\[1\] along the direction "
        r"\[ ?(\S+) +(\S+)\] \(seed=3\) is 0.0, but finite differences give (\S+)",
        str(caught.value),
    )
    first, second, number = map(float, found.groups())
    assert 0.5 <= abs(first) <= 1.5
    assert 0.5 <= abs(second) <= 1.5
    assert number != 0


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
        (lambda: check_grads(np.sin, (X,), modes=3), errors.ArgumentError, "modes=int 3 must be of"),
        (lambda: check_grads(np.sin, (X,), rtol="small"), errors.ArgumentError, "rtol=str 'small' must be a number"),
        (lambda: check_grads(np.sin, (X,), atol=-1), errors.ArgumentError, "atol=-1.0 must be finite, at least 0"),
        (lambda: check_grads(np.sin, (X,), step=0), errors.ArgumentError, "step=0 must be more than 0"),
        (lambda: check_grads(np.sin, (X,), seed="a"), errors.ArgumentError, "seed='a' must be an integer"),
        (lambda: check_grads(np.argmax, (X,)), errors.DifferentiationError, "no derivative"),
        (lambda: check_grads(lambda x: {"a": "b"}, (X,)), errors.DifferentiationError, "returned str 'b', which"),
    ],
)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
