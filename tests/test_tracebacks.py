"""Tracebacks end at the user's line: frames of the library are taken out, those of users' functions stay."""

import inspect
import subprocess
import sys
import traceback
import types

import numpy as np
import pytest

import autodiff as ad
from autodiff import optim, solvers, testing, tracebacks
from autodiff.callers import in_package
from autodiff.errors import ConvergenceError, ShapeError


def frames(error):
    """The functions of a traceback from the test on, which begins it."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def raised(function, *args, **kwargs):
    with pytest.raises(Exception) as caught:
        function(*args, **kwargs)
    return caught.value


W = np.ones(3)


def too_long(x):
    return np.sum(x + np.ones(4))


def main(transform):
    return transform(too_long)(W)


def test_the_users_functions_stay_and_what_is_between_goes():
    for transform in (ad.grad, ad.value_and_grad, ad.function, ad.jacobian, ad.hessian, ad.elementwise_grad):
        error = raised(main, transform)
        assert type(error) is ShapeError
        assert frames(error) == ["raised", "main", "too_long"]


def test_nested_functions_of_users_all_stay():
    def inner(x):
        return x @ np.ones((7, 7))

    def outer(x):
        return np.sum(ad.vmap(inner)(x[None]))

    assert frames(raised(lambda: ad.grad(ad.function(outer))(W))) == ["raised", "<lambda>", "outer", "inner"]


def test_rules_of_users_stay():
    @ad.custom_vjp
    def square(x):
        return x * x

    def forward(x):
        return x * x, x

    def backward(x, ct):
        return (np.reshape(ct * x, (7, 7)),)

    square.defvjp(forward, backward)
    assert frames(raised(lambda: ad.grad(lambda x: np.sum(square(x)))(W)))[-1] == "backward"

    @ad.primitive(infer=lambda x: x)
    def broken(x):
        raise OSError("of the user")

    error = raised(lambda: np.sum(broken(ad.Tensor(W))).value)
    assert type(error) is OSError
    assert frames(error)[-1] == "broken"
    assert not any(in_package(frame) for frame, _ in traceback.walk_tb(error.__traceback__))


def slope(y, t):
    return np.concatenate([y, y, t])


@pytest.mark.parametrize(
    ("call", "last"),
    [
        (lambda: ad.odeint(slope, W, [0.0, 1.0]), "slope"),
        (lambda: ad.minimize(too_long, W), "too_long"),
        (lambda: ad.root(too_long, W), "too_long"),
        (lambda: ad.scan(lambda c, x: (c + too_long(c), None), W, length=3), "too_long"),
        (lambda: ad.cond(True, too_long, too_long, W), "too_long"),
        (lambda: ad.fori_loop(0, 3, lambda i, x: too_long(x), W), "too_long"),
        (lambda: testing.check_grads(too_long, [W]), "too_long"),
        (lambda: ad.map_reduce(too_long, np.ones((6, 3)), 2), "too_long"),
        (lambda: ad.checkpoint(too_long)(W), "too_long"),
    ],
)
def test_functions_given_to_solvers_and_loops(call, last):
    error = raised(call)
    assert not any(in_package(frame) for frame, _ in traceback.walk_tb(error.__traceback__))
    assert frames(error)[-1] == last


def test_errors_when_a_plan_runs():
    a = ad.Tensor(np.zeros((2, 2)))
    for call in (
        lambda: ad.grad(lambda a: np.sum(np.linalg.inv(a)))(np.zeros((2, 2))),
        lambda: np.linalg.inv(a).value,
        lambda: str(np.linalg.inv(a)),
        lambda: np.asarray(np.linalg.inv(a)),
        lambda: float(np.linalg.inv(a)[0, 0]),
        lambda: ad.Graph().gradient(np.sum(np.linalg.inv(a)), [a]),
        lambda: ad.function(np.linalg.inv)(np.zeros((2, 2))),
    ):
        error = raised(call)
        assert type(error) is np.linalg.LinAlgError
        assert frames(error) == ["raised", "<lambda>"]
    error = raised(lambda: ad.root(lambda x: x**2 + 1, 1.0))
    assert type(error) is ConvergenceError
    assert frames(error) == ["raised", "<lambda>"]
    with np.errstate(divide="raise"):
        error = raised(lambda: (1.0 / ad.Tensor(0.0)).value)
    assert type(error) is FloatingPointError
    assert frames(error) == ["raised", "<lambda>"]


def test_causes_and_contexts_are_treated_alike():
    def wrong(x):
        try:
            return np.sum(x) / len(np.linalg.inv(np.zeros((2, 2))))
        except np.linalg.LinAlgError as error:
            raise KeyError("of the user") from error

    error = raised(lambda: ad.grad(wrong)(W))
    assert frames(error) == ["raised", "<lambda>", "wrong"]
    assert frames(error.__cause__)[:2] == ["wrong", "inv"]
    pytest.importorskip("array_api_strict")
    # NumPy's error that one of ours stands for is there, without frames.
    error = raised(lambda: ad.Graph(backend="array_api_strict", device="nowhere"))
    found = error
    while found is not None:
        assert not any(in_package(frame) for frame, _ in traceback.walk_tb(found.__traceback__))
        found = found.__cause__ or found.__context__


def test_errors_of_a_group_are_treated_alike():
    def several(x):
        found = []
        for n in (4, 5):
            try:
                ad.grad(lambda y, n=n: np.sum(y + np.ones(n)))(x)
            except ShapeError as error:
                found.append(error)
        raise ExceptionGroup("of the user", found)

    error = raised(lambda: ad.grad(several)(W))
    assert frames(error) == ["raised", "<lambda>", "several"]
    assert [frames(one) for one in error.exceptions] == [["several", "<lambda>"]] * 2


def test_errors_that_are_mistakes_of_the_library_keep_all_frames(monkeypatch):
    def mistake(*args):
        raise RuntimeError("of the library")

    # It runs as a function of the library would.
    mistaken = types.FunctionType(mistake.__code__, {**globals(), "__name__": "autodiff.graph"})
    monkeypatch.setattr("autodiff.graph.check", mistaken)
    x = ad.Tensor(W)
    error = raised(lambda: ad.Graph().gradient(np.sum(x), [x]))
    assert frames(error) == ["raised", "<lambda>", "gradient", "mistake"]
    # What the user's own code raises does not.
    assert frames(raised(lambda: ad.grad(lambda x: 1 / 0)(W))) == ["raised", "<lambda>", "<lambda>"]
    assert frames(raised(lambda: ad.grad(lambda x: x)(W, nothing=1))) == ["raised", "<lambda>"]


def test_all_frames_by_a_variable_of_the_environment(monkeypatch):
    monkeypatch.setenv(tracebacks.VARIABLE, "full")
    names = frames(raised(main, ad.grad))
    assert names[:3] == ["raised", "main", "transformed"]
    assert names[-1] == "broadcast_shapes"
    monkeypatch.setenv(tracebacks.VARIABLE, "")
    assert frames(raised(main, ad.grad)) == ["raised", "main", "too_long"]


def test_what_python_prints():
    code = "import autodiff as ad, numpy as np\ndef f(x):\n    return np.sum(x + np.ones(4))\nad.grad(f)(np.ones(3))\n"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert text.count("File ") == 2
    assert text.index("<module>") < text.index(" in f") < text.index("ShapeError: add(float64[3], float64[4])")


def test_an_error_raised_again_and_again_keeps_its_users():
    def again(x):
        try:
            return too_long(x)
        except ShapeError:
            return ad.grad(too_long)(x)

    assert frames(raised(lambda: ad.grad(again)(W))) == ["raised", "<lambda>", "again", "too_long"]


def _public():
    """The functions and classes that users call."""
    for module in (ad, optim, solvers, testing):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isgeneratorfunction(inspect.unwrap(value)):
                # A context manager: what is raised in its block is not raised by it.
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{module.__name__}.{name}", value


# What has nothing to call: data, errors, and what users derive from.
DATA = ("Backend", "CacheInfo", "Explanation", "Node", "Operation", "Variable", "autodiff.Constant")


@pytest.mark.parametrize(("name", "value"), list(_public()))
def test_everything_public_is_a_boundary(name, value):
    if inspect.isfunction(value):
        assert tracebacks.is_boundary(value), name
        return
    if issubclass(value, (Exception, Warning)) or name.endswith(DATA):
        return
    for key, function in vars(value).items():
        if inspect.isfunction(function) and (not key.startswith("_") or key in ("__init__", "__call__")):
            assert tracebacks.is_boundary(function), f"{name}.{key}"
