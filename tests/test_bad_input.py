"""Wrong calls: each is an error of this library that names what is wrong, and everything is usable afterwards."""

import ctypes
import re
import time
import traceback
from types import SimpleNamespace

import numpy as np
import pytest

import autodiff as ad
from autodiff import machine, optim
from autodiff.containers import DEEPEST, builder, flatten, unflatten
from autodiff.errors import (
    ArgumentError,
    AutodiffError,
    DifferentiationError,
    DTypeError,
    IndexingError,
    ShapeError,
    shown,
)

BIG = 10**5000


def w():
    return ad.Tensor([1.0, 2.0])


def sgd(*args, **kwargs):
    return optim.SGD([w()], *args, **kwargs)


def nested(depth, leaf=None):
    found = np.ones(2) if leaf is None else leaf
    for level in range(depth):
        found = [[found], (found,), {"a": found}][level % 3]
    return found


def list_of_itself():
    found = [np.ones(2)]
    found.append(found)
    return found


def dict_of_itself():
    found = {"a": np.ones(2)}
    found["b"] = (found, [found])
    return found


@ad.function
def doubled(x, *others):
    return x * 2


def compiled(dtype="float64"):
    x = ad.Tensor(np.ones(2, dtype))
    return ad.Graph().compile(np.sum(np.real(x * x)), [x], [x])


def slopes(f, order):
    x = w()
    return ad.Graph().gradient(f(x), [x], order)


class Unhashable:
    __hash__ = None

    def __eq__(self, other):
        return True


class NoText:
    def __repr__(self):
        raise RuntimeError("no text")


# What is called -> the error, and what its message says: what is wrong, and what to write instead.
CALLS = {
    # --- numbers that optimizers take
    "rate as text": (lambda: sgd("0.1"), ArgumentError, r"SGD: rate=str '0.1' must be a number"),
    "rate as bytes": (lambda: sgd(b"0.1"), ArgumentError, "rate=bytes"),
    "a truth as rate": (lambda: sgd(True), ArgumentError, "rate=bool True"),
    "no rate": (lambda: sgd(None), ArgumentError, "rate=NoneType None"),
    "a complex rate": (lambda: sgd(0.1j), ArgumentError, "rate=complex"),
    "a complex rate of NumPy": (lambda: sgd(np.complex128(0.1)), ArgumentError, "dtype complex128|rate=complex128"),
    "an array of one rate": (lambda: sgd(np.array([0.1])), ArgumentError, r"an array of shape \(1,\)"),
    "a text of NumPy": (lambda: sgd(np.array("0.1")), ArgumentError, "dtype <U3"),
    "an endless rate": (
        lambda: sgd(BIG),
        ArgumentError,
        "rate=int of 16610 bits must be a number that a float can hold",
    ),
    "an infinite rate": (lambda: sgd(np.inf), ArgumentError, "finite"),
    "a rate that is none": (lambda: sgd(np.nan), ArgumentError, "finite"),
    "a negative rate": (lambda: sgd(-1), ArgumentError, "at least 0"),
    "momentum as text": (lambda: sgd(0.1, momentum="0.9"), ArgumentError, "SGD: momentum=str"),
    "nesterov as text": (
        lambda: sgd(0.1, momentum=0.9, nesterov="no"),
        ArgumentError,
        "nesterov=str 'no' must be True or",
    ),
    "amsgrad as text": (lambda: optim.Adam([w()], amsgrad="no"), ArgumentError, "Adam: amsgrad"),
    "centered as number": (lambda: optim.RMSprop([w()], centered=3), ArgumentError, "RMSprop: centered=int 3"),
    "one beta": (lambda: optim.Adam([w()], betas=(0.9,)), ArgumentError, "must be two numbers"),
    "betas without end": (lambda: optim.Adam([w()], betas=BIG), ArgumentError, "betas=of 16610 bits"),
    "betas as text": (lambda: optim.Adam([w()], betas=("a", "b")), ArgumentError, r"betas\[0\]=str"),
    "no weight decay": (lambda: sgd(weight_decay=None), ArgumentError, "weight_decay"),
    "a schedule of texts": (lambda: sgd(lambda step: "0.1").step([np.ones(2)]), ArgumentError, "step: rate=str"),
    "warm_up without end": (lambda: optim.Linear(0.1, steps=-BIG), ArgumentError, "steps=of 16610 bits"),
    # --- parameters and gradients
    "a Tensor as parameters": (lambda: optim.SGD(w()), ArgumentError, "must be a list of Tensors"),
    "no parameters": (lambda: optim.SGD(None), ArgumentError, "must be a list of Tensors"),
    "numbers as parameters": (lambda: optim.SGD([1.0]), DifferentiationError, r"parameters\[0\] is float"),
    "parameters in themselves": (lambda: optim.SGD(list_of_itself()), ArgumentError, "contains itself"),
    "parameters too deep": (lambda: optim.SGD(nested(300, w())), ArgumentError, "more than 200"),
    "no gradients": (lambda: sgd().step(None), ArgumentError, "must be a flat list of arrays.*not NoneType"),
    "an array for gradients": (lambda: sgd().step(np.ones(2)), ArgumentError, "must be a flat list of arrays"),
    "too few gradients": (lambda: sgd().step([]), ArgumentError, "0 gradients for 1"),
    "a gradient of None": (lambda: sgd().step([None]), ArgumentError, "is None; give zeros"),
    "gradients in themselves": (lambda: sgd().step(list_of_itself()), ArgumentError, "contains itself"),
    "text for a gradient": (lambda: sgd().step(["a"]), DTypeError, "str 'a'"),
    # --- bounds on gradients
    "clip_norm of nothing": (
        lambda: optim.clip_norm(None, 1.0),
        ArgumentError,
        "clip_norm: gradients is NoneType.*zeros",
    ),
    "clip_norm of None": (
        lambda: optim.clip_norm([np.ones(2), None], 1.0),
        ArgumentError,
        r"gradients\[1\] is NoneType",
    ),
    "clip_norm of text": (lambda: optim.clip_norm(["a"], 1.0), ArgumentError, r"gradients\[0\] is str"),
    "clip_norm of integers": (
        lambda: optim.clip_norm([np.ones(2, int)], 1.0),
        DTypeError,
        r"\[0\] has dtype int64.*astype",
    ),
    "clip_norm of objects": (lambda: optim.clip_norm([np.ones(2, object)], 1.0), DTypeError, "dtype object"),
    "clip_norm to None": (lambda: optim.clip_norm([np.ones(2)], None), ArgumentError, "limit=NoneType"),
    "clip_norm to text": (lambda: optim.clip_norm([np.ones(2)], "1"), ArgumentError, "limit=str"),
    "clip_norm of itself": (lambda: optim.clip_norm(list_of_itself(), 1.0), ArgumentError, "contains itself"),
    "clip_value of nothing": (lambda: optim.clip_value(None, 1.0), ArgumentError, "clip_value: gradients is NoneType"),
    "global_norm of nothing": (lambda: optim.global_norm(None), ArgumentError, "global_norm: gradients is"),
    "global_norm of text": (lambda: optim.global_norm("abc"), ArgumentError, "global_norm: gradients is str"),
    "global_norm of texts": (lambda: optim.global_norm([np.array(["a"])]), DTypeError, "dtype <U1"),
    # --- caches
    "a cache of no size": (lambda: ad.function(np.sin, cache_size=0), ArgumentError, "cache_size=0 must be an integer"),
    "a cache of less": (lambda: ad.function(np.sin, cache_size=-1), ArgumentError, "cache_size=-1"),
    "half a cache": (lambda: ad.function(np.sin, cache_size=2.5), ArgumentError, "cache_size=2.5"),
    "a truth as size": (lambda: ad.function(np.sin, cache_size=True), ArgumentError, "cache_size=True"),
    "no cache": (lambda: ad.function(cache_size=None)(np.sin), ArgumentError, "cache_size=None"),
    "a graph's cache of no size": (lambda: ad.Graph(cache_size=0), ArgumentError, "cache_size=0"),
    "a graph's cache of less": (lambda: ad.Graph(cache_size=-BIG), ArgumentError, "cache_size=of 16610 bits"),
    # --- arguments of traced functions
    "a set": (lambda: doubled(np.ones(2), {1}), ArgumentError, "must be hashable.*'set'"),
    "an unhashable object": (
        lambda: doubled(np.ones(2), Unhashable()),
        ArgumentError,
        "must be hashable.*'Unhashable'",
    ),
    "a list of itself": (
        lambda: doubled(np.ones(2), list_of_itself()),
        ArgumentError,
        "a list is nested .* contains itself",
    ),
    "a dict of itself": (lambda: doubled(np.ones(2), dict_of_itself()), ArgumentError, "contains itself"),
    "far too deep": (lambda: doubled(np.ones(2), nested(100_000)), ArgumentError, "more than 200"),
    "a result of itself": (
        lambda: ad.function(lambda x: list_of_itself())(np.ones(2)),
        ArgumentError,
        "contains itself",
    ),
    "a gradient to itself": (
        lambda: ad.grad(lambda p: np.sum(p[0]))(list_of_itself()),
        ArgumentError,
        "contains itself",
    ),
    # --- integers
    "a factor without end": (lambda: w() * BIG, DTypeError, r"int of 16610 bits, beside .* is larger than any number"),
    "a term without end": (lambda: BIG + w(), DTypeError, "larger than any number"),
    "a power without end": (lambda: w() ** BIG, DTypeError, "larger than any number"),
    "a bound without end": (lambda: np.clip(w(), 0, BIG), DTypeError, "larger than any number"),
    "a comparison without end": (lambda: w() < BIG, DTypeError, "larger than any number"),
    "a traced factor": (lambda: ad.function(lambda x, k: x * k)(np.ones(2), BIG), DTypeError, "larger than any"),
    "a Tensor without end": (lambda: ad.Tensor(BIG), DTypeError, "int of 16610 bits"),
    "a list without end": (lambda: ad.Tensor([BIG, 1]), DTypeError, "list <ValueError in its repr>"),
    "an index without end": (lambda: w()[BIG], IndexingError, "index of 16610 bits is out of range"),
    "an axis without end": (lambda: np.sum(w(), axis=BIG), ArgumentError, "axis of 16610 bits is out of range"),
    "a size without end": (lambda: w().reshape(BIG), ShapeError, "cannot be made to have shape"),
    "threads without end": (lambda: ad.set_num_threads(-BIG), ArgumentError, "of 16610 bits"),
    "a time as order": (lambda: slopes(np.sin, np.timedelta64(3, "s")), ArgumentError, "n=np.timedelta64"),
    "an order of less": (lambda: ad.Graph().gradient(np.sum(w()), [w()], -BIG), ArgumentError, "n=of 16610 bits"),
    "an object without text": (lambda: ad.Tensor(NoText()), DTypeError, "NoText <RuntimeError in its repr>"),
    # --- dimensions
    "65 dimensions": (lambda: w().reshape((1,) * 64 + (2,)), ShapeError, "65 dimensions.*at most 64"),
    "one axis more": (lambda: ad.Tensor(np.ones((1,) * 64))[None], ShapeError, "65 dimensions"),
    "broadcast to 65": (lambda: np.broadcast_to(w(), (1,) * 64 + (2,)), ShapeError, "65 dimensions"),
    "stacked to 65": (lambda: np.stack([ad.Tensor(np.ones((1,) * 64))] * 2), ShapeError, "65 dimensions"),
    # --- compiled gradients
    "complex values": (
        lambda: compiled()(np.array([1j, 2])),
        DTypeError,
        "argument 0 .* no imaginary part; take np.real",
    ),
    "a complex Tensor": (lambda: compiled()(ad.Tensor([1j, 2])), DTypeError, "no imaginary part"),
    "complex values without an imaginary part": (lambda: compiled()(np.ones(2, complex)), DTypeError, "imaginary"),
    "a list of complex values": (lambda: compiled("float32")([1j, 2]), DTypeError, "compiled for float32"),
    "no values": (lambda: compiled()(None), AutodiffError, "NoneType|shape"),
    "values of another shape": (lambda: compiled()(np.ones(3)), ShapeError, r"shape \(3,\)"),
    # --- orders
    "a sine's order without end": (
        lambda: slopes(np.sin, 10**9),
        ArgumentError,
        "order n=1000000000 does not fit into memory: .* ask for a lower order",
    ),
    "orders without end": (lambda: slopes(np.tanh, BIG), ArgumentError, "order n=of 16610 bits does not fit"),
}


@pytest.mark.parametrize("name", CALLS)
def test_wrong_calls_are_named_where_they_are_made(name):
    call, error, message = CALLS[name]
    begin = time.process_time()
    with pytest.raises(error, match=message) as caught:
        call()
    # None late, and none only after all memory is gone.
    assert time.process_time() - begin < 30
    assert isinstance(caught.value, AutodiffError)
    assert len(str(caught.value)) < 1000
    # The line of this file that is wrong is in the traceback, and no foreign error hides behind ours.
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert any(frame.filename == __file__ for frame in frames)
    assert_usable()


# Everywhere that optimizers and schedules take a number, and all that is none there.
NUMBERS = {
    "SGD: rate": lambda value: sgd(value),
    "SGD: momentum": lambda value: sgd(momentum=value),
    "SGD: weight_decay": lambda value: sgd(weight_decay=value),
    "SGD: clip_norm": lambda value: sgd(clip_norm=value),
    "SGD: clip_value": lambda value: sgd(clip_value=value),
    "RMSprop: rate": lambda value: optim.RMSprop([w()], value),
    "RMSprop: decay": lambda value: optim.RMSprop([w()], decay=value),
    "RMSprop: epsilon": lambda value: optim.RMSprop([w()], epsilon=value),
    "RMSprop: momentum": lambda value: optim.RMSprop([w()], momentum=value),
    "Adam: rate": lambda value: optim.Adam([w()], value),
    "Adam: betas[0]": lambda value: optim.Adam([w()], betas=(value, 0.999)),
    "Adam: betas[1]": lambda value: optim.Adam([w()], betas=(0.9, value)),
    "Adam: epsilon": lambda value: optim.Adam([w()], epsilon=value),
    "AdamW: rate": lambda value: optim.AdamW([w()], value),
    "AdamW: weight_decay": lambda value: optim.AdamW([w()], weight_decay=value),
    "Constant: rate": lambda value: optim.Constant(value),
    "StepDecay: rate": lambda value: optim.StepDecay(value, 10),
    "StepDecay: every": lambda value: optim.StepDecay(0.1, value),
    "StepDecay: factor": lambda value: optim.StepDecay(0.1, 10, value),
    "Exponential: rate": lambda value: optim.Exponential(value, 0.9),
    "Exponential: factor": lambda value: optim.Exponential(0.1, value),
    "Linear: rate": lambda value: optim.Linear(value, steps=10),
    "Linear: steps": lambda value: optim.Linear(0.1, steps=value),
    "Cosine: rate": lambda value: optim.Cosine(value, steps=10),
    "Cosine: steps": lambda value: optim.Cosine(0.1, steps=value),
    "clip_norm: limit": lambda value: optim.clip_norm([np.ones(2)], value),
    "clip_value: limit": lambda value: optim.clip_value([np.ones(2)], value),
}
NO_NUMBERS = {
    "text": "0.1",
    "bytes": b"0.1",
    "none": None,
    "true": True,
    "complex": 0.5j,
    "complex of NumPy": np.complex128(0.5),
    "true of NumPy": np.bool_(True),
    "text of NumPy": np.str_("0.5"),
    "an array": np.array([0.5]),
    "an array of text": np.array("0.5"),
    "a time": np.timedelta64(1, "s"),
    "a list": [0.5],
    "a dict": {},
    "an object": object(),
    "no text": NoText(),
    "nan": float("nan"),
    "infinite": np.float32("inf"),
    "negative": -1,
    "endless": BIG,
    "endless below": -BIG,
}


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("place", NUMBERS)
def test_what_is_no_number_is_named(place, value):
    if value is None and place in ("SGD: clip_norm", "SGD: clip_value"):
        NUMBERS[place](value)
        return
    if value is BIG and place.endswith(("steps", "every")):
        NUMBERS[place](value)
        return
    with pytest.raises(ArgumentError, match=f"^{re.escape(place)}=.* must be ") as caught:
        NUMBERS[place](value)
    assert len(str(caught.value)) < 200
    assert any(frame.filename == __file__ for frame in traceback.extract_tb(caught.value.__traceback__))


def assert_usable():
    x = w()
    np.testing.assert_array_equal(ad.Graph().gradient(np.sum(x * x), [x])[0], [2.0, 4.0])
    np.testing.assert_array_equal(doubled(np.ones(2)), [2.0, 2.0])
    optimizer = optim.SGD([x], 0.5, momentum=0.5)
    optimizer.step([np.ones(2)])
    np.testing.assert_array_equal(x.value, [0.5, 1.5])


# --- what only looks wrong -------------------------------------------------------------------------------------------


def test_errors_of_the_users_own_functions_pass():
    """Also where they are of the kind and the words that an unhashable argument has."""

    class Own:
        def __eq__(self, other):
            return True

        def __hash__(self):
            raise TypeError("unhashable type: 'mine'")

    def own_set(x):
        {[1]: x}
        return x

    with pytest.raises(TypeError, match="unhashable type: 'list'") as caught:
        ad.function(own_set)(np.ones(2))
    assert not isinstance(caught.value, AutodiffError)
    with pytest.raises(TypeError, match="unhashable type: 'mine'") as caught:
        doubled(np.ones(2), Own())
    assert not isinstance(caught.value, AutodiffError)
    assert_usable()


@pytest.mark.parametrize("depth", [1, 60, 150, DEEPEST - 2])
def test_containers_may_be_as_deep_as_is_said(depth):
    leaves, structure = flatten(nested(depth))
    assert len(leaves) == 1
    assert repr(unflatten(structure, iter(leaves))) == repr(builder(structure)(leaves)) == repr(nested(depth))
    np.testing.assert_array_equal(doubled(np.ones(2), nested(depth)), [2.0, 2.0])
    out = ad.function(lambda x: nested(depth, x))(np.ones(2))
    assert repr(out) == repr(nested(depth))


@pytest.mark.parametrize("ndim", [32, 33, 40, 64])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x,
        lambda x: np.exp(x) + x[(0,) * 3],
        lambda x: np.cumsum(x * 2, axis=3),
        lambda x: np.repeat(x, 2, 3),
        lambda x: x[:, [0, 0, 0]] * 2,
        lambda x: np.concatenate([x, x * x], 3),
        lambda x: np.max(x * 3, axis=(5, 6)),
        lambda x: np.transpose(x) * x,
        lambda x: x[..., 0] @ np.ones(2),
        lambda x: np.broadcast_to(x[0], x.shape) * x,
    ],
)
def test_arrays_have_as_many_dimensions_as_numpys(f, ndim, backend):
    if backend.name not in ("numpy", "llvm"):
        pytest.skip("other libraries have other bounds")
    shape = (1,) * (ndim - 2) + (2, 1) if ndim < 64 else (1,) * 62 + (2, 1)
    start = np.arange(1.0, 3.0).reshape(shape)
    graph = ad.Graph(backend=backend)
    x = graph.tensor(start)
    try:
        expected = f(start)
    except (ValueError, IndexError):
        with pytest.raises(AutodiffError):
            f(x)
        return
    y = f(x)
    np.testing.assert_allclose(y.value, expected, rtol=1e-14)
    (slope,) = graph.gradient(y, [x])
    step = 1e-6
    for i, place in enumerate(np.ndindex(2)):
        moved = start.copy()
        moved.reshape(-1)[place] += step
        difference = (np.sum(f(moved)) - np.sum(f(start))) / step
        np.testing.assert_allclose(slope.reshape(-1)[i], difference, rtol=1e-4)


def test_memory_mapped_files_are_arrays(tmp_path):
    def mapped(dtype, values):
        array = np.memmap(tmp_path / np.dtype(dtype).name, dtype, "w+", shape=3)
        array[:] = values
        return array

    data, places, mask = mapped("f8", [1, 2, 3]), mapped("i8", [2, 0, 2]), mapped("?", [1, 0, 1])
    t = ad.Tensor([1.0, 5.0, 7.0])
    for x in (
        ad.Tensor(data),
        ad.Tensor(data, copy=False),
        ad.Graph(backend="numpy").tensor(data),
        ad.Tensor(data, "f8"),
    ):
        np.testing.assert_array_equal(x.value, [1.0, 2.0, 3.0])
    for y in (data * t, t * data, np.multiply(data, t)):
        assert isinstance(y, ad.Tensor)
        np.testing.assert_array_equal(y.value, [1.0, 10.0, 21.0])
    np.testing.assert_array_equal(t[places].value, [7.0, 1.0, 7.0])
    np.testing.assert_array_equal(t[mask].value, [1.0, 7.0])
    assert float(np.sum(t, where=mask)) == 8.0
    assert float(data @ t) == 32.0
    np.testing.assert_array_equal(ad.function(np.negative)(data), [-1.0, -2.0, -3.0])
    np.testing.assert_array_equal(ad.grad(lambda v: np.sum(v * v))(data), [2.0, 4.0, 6.0])
    np.testing.assert_array_equal(ad.Graph().compile(np.sum(t * t), [t], [t])(data)[1][0], [2.0, 4.0, 6.0])
    optimizer = optim.SGD([t], 1.0)
    optimizer.step([data])
    np.testing.assert_array_equal(t.value, [0.0, 3.0, 4.0])
    optimizer.load_state_dict(optimizer.state_dict() | {"parameters[0]": data})
    t.assign_add(data)
    np.testing.assert_array_equal(t.value, [2.0, 4.0, 6.0])
    t[:2] = data[1:]
    np.testing.assert_array_equal(t.value, [2.0, 3.0, 6.0])


def test_orders_that_end_may_be_any():
    x = ad.Tensor([1.0, 2.0])
    np.testing.assert_array_equal(ad.Graph().gradient(x**3, [x], 10**12)[0], [0.0, 0.0])
    np.testing.assert_array_equal(ad.Graph().gradient(x**50, [x], 150)[0], [0.0, 0.0])
    np.testing.assert_allclose(ad.Graph().gradient(np.exp(x), [x], 300)[0], np.exp([1.0, 2.0]), rtol=1e-12)


@pytest.mark.parametrize("f", [np.tanh, lambda x: np.sin(x) / x, lambda x: np.exp(np.sin(x))])
def test_orders_that_do_not_fit_are_refused_before_memory_is_gone(f, monkeypatch):
    monkeypatch.setattr("autodiff.differentiate.memory_bytes", lambda: 2**28)
    x = ad.Tensor([1.0, 2.0])
    begin = x.node.sequence
    with pytest.raises(ArgumentError, match="does not fit into memory"):
        ad.Graph().gradient(f(x), [x], 10**6)
    assert ad.Tensor(1.0).node.sequence - begin < 2**28 / 1000


def test_the_memory_of_a_machine_with_windows_is_known(monkeypatch):
    def asked(status):
        # The length of the structure, and then what there is.
        assert status._obj[0] == ctypes.sizeof(status._obj) == 64
        status._obj[1] = 2**30
        return 1

    kernel = SimpleNamespace(GlobalMemoryStatusEx=asked)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(machine.sys, "platform", "win32")
    assert machine.memory_bytes.__wrapped__() == 2**30


def test_the_memory_of_the_machine_is_known(monkeypatch, tmp_path):
    machine.memory_bytes.cache_clear()
    whole = machine.memory_bytes()
    assert 2**24 < whole < 2**60
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("1000000\n")
    for place, expected in (("max", whole), ("limit", min(10**6, whole)), ("absent", whole)):
        machine.memory_bytes.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(machine, "CONTROL_GROUPS", (*machine.CONTROL_GROUPS, str(tmp_path / place)))
            assert machine.memory_bytes() == expected
    machine.memory_bytes.cache_clear()


def test_the_text_of_anything():
    assert shown(1.5) == "1.5"
    assert len(shown("a" * 1000)) == 60
    assert shown(BIG) == shown(-BIG) == "of 16610 bits"
    assert shown([BIG]) == "<ValueError in its repr>"
    assert shown(NoText()) == "<RuntimeError in its repr>"
