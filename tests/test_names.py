"""Every public name of the installed NumPy and SciPy is in one state (``docs/states.py``), and errors give reasons."""

from __future__ import annotations

import importlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as adnp
from autodiff import dispatch, errors
from autodiff.reasons import REASONS

ROOT = Path(__file__).parents[1]


def words(table: dict[str, str]) -> set[tuple[str, str]]:
    return {(module, name) for module, names in table.items() for name in names.split()}


# --- every name is in a state ----------------------------------------------------------------------------------------


@pytest.fixture
def states(monkeypatch):
    """The module that says in which state a name is."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("docs.states")


def test_every_public_name_is_in_a_state(states):
    assert {(name.module, name.name) for name in states.names() if name.state == states.MISSING} == set()


def test_a_name_is_in_one_table(states):
    refused = {tuple(name.rsplit(".", 1)) for name in REASONS}
    listed = [name for table in (refused, words(states.NATURE), words(states.OF_NO_ARRAYS)) for name in table]
    assert sorted({name for name in listed if listed.count(name) > 1}) == []


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.4.0", reason="fewer names, of which as many are of texts")
def test_few_names_are_not_supported(states):
    assert states.share() <= states.HIGHEST_SHARE, f"{states.share():.1%}"


# --- reasons ---------------------------------------------------------------------------------------------------------


def test_errors_give_the_reason():
    t = ad.Tensor([1.0])
    for full, reason in REASONS.items():
        module, _, name = full.rpartition(".")
        if module == "numpy.ndarray":
            assert not hasattr(t, name)
            if hasattr(ad.Tensor, name):
                with pytest.raises(errors.UnsupportedError, match=f"a Tensor has no {name}: ") as caught:
                    getattr(t, name)
                assert str(caught.value).endswith(str(reason))
        elif module == "numpy" and hasattr(np, name):
            message = str(dispatch.unsupported(getattr(np, name)))
            assert message.endswith(f"is not recorded for Tensors: {reason}")


@pytest.mark.parametrize(
    "call",
    [np.isnat, np.is_busday, lambda t: np.busday_count(t, t), lambda t: np.busday_offset(t, 1), np.datetime_as_string],
)
def test_who_calls_a_function_that_is_not_supported_is_told_why(call):
    with pytest.raises(errors.UnsupportedError, match="is not recorded for Tensors: dates are no numbers"):
        call(ad.Tensor([1.0]))


def test_functions_of_python_objects_say_so():
    with pytest.raises(errors.UnsupportedError, match=r"Python objects.*np\.vectorize"):
        np.frompyfunc(lambda x: x + 1, 1, 1)(ad.Tensor([1.0]))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_who_is_detached_by_a_function_that_is_not_supported_is_told_why():
    for call, words in (
        (lambda t: np.lib.stride_tricks.as_strided(t, (2,)), "reads memory by strides"),
        (lambda t: np.asmatrix(t), "is a product of matrices"),
    ):
        with pytest.raises(errors.DetachedError, match=words):
            ad.grad(lambda t, call=call: np.sum(call(t)))(np.ones(3))


# --- what an ndarray has ---------------------------------------------------------------------------------------------

X = np.arange(6.0).reshape(2, 3) + 0.5

VALUES = {
    "tobytes": lambda x: (x.tobytes(), x.tobytes("F"), x.T.tobytes(order="C")),
    "data": lambda x: (x.data.tobytes(), x.data.shape, x.data.format),
    "getfield": lambda x: x.getfield(np.int32, 4).tolist(),
    "byteswap": lambda x: x.byteswap().tobytes(),
    "dumps": lambda x: pickle.loads(x.dumps()).tolist(),
}


@pytest.mark.parametrize("name", VALUES)
def test_bytes_are_those_of_the_value_and_no_derivative_is_lost_with_them(name):
    assert VALUES[name](ad.Tensor(X)) == VALUES[name](X)
    with pytest.raises(errors.DetachedError, match=name):
        ad.grad(lambda x: VALUES[name](x) and np.sum(x))(X)
    assert ad.grad(lambda x: VALUES[name](ad.stop_gradient(x)) and np.sum(x))(X).tolist() == np.ones((2, 3)).tolist()


def test_what_bytes_cannot_be_is_our_error():
    for call, words in (
        (lambda t: t.tobytes("Z"), "tobytes of float64"),
        (lambda t: t.getfield(np.int64, 4), "getfield of float64"),
        (lambda t: t.byteswap(inplace=True), "byteswap: inplace=True"),
    ):
        with pytest.raises(errors.AutodiffError, match=words):
            call(ad.Tensor(X))


def test_files_get_the_value(tmp_path):
    def written(x):
        file = tmp_path / "x"
        x.tofile(file)
        first = file.read_bytes()
        x.tofile(file, sep=" ", format="%.2f")
        stream = io.BytesIO()
        x.dump(stream)
        return first, file.read_text(), pickle.loads(stream.getvalue()).tolist()

    assert written(ad.Tensor(X)) == written(X)


def test_where_a_tensor_is():
    t = ad.Tensor(X)
    assert t.device == X.device == "cpu"
    assert t.to_device("cpu") is t
    for wrong in (lambda: t.to_device("moon"), lambda: X.to_device("moon")):
        with pytest.raises(ValueError, match=r"moon|not supported|Unsupported"):
            wrong()
    with pytest.raises(errors.UnsupportedError, match="stream"):
        t.to_device("cpu", stream=1)


def test_the_namespace_of_a_tensor_takes_and_makes_tensors():
    def f(x):
        xp = x.__array_namespace__()
        y = xp.zeros(3)
        y[0] = xp.sin(x)
        return xp.sum(y)

    assert ad.grad(f)(0.0) == 1.0
    t = ad.Tensor(X)
    assert t.__array_namespace__(api_version="2022.12") is t.__array_namespace__()
    with pytest.raises(ValueError, match="1066"):
        t.__array_namespace__(api_version="1066.10")
    assert ad.Graph(backend=t.__array_namespace__()).backend is ad.get_backend("numpy")


def test_functions_that_ask_nobody_take_tensors_in_our_namespace():
    def f(x):
        total = 0.0
        for (i, j), element in adnp.ndenumerate(x):
            total = total + element**2 * (1 + i + 10 * j)
        checked = adnp.asarray_chkfinite(x)
        pair = adnp.require([x[0, 0], checked[0, 1]], float, ["C", "W"])
        pair[0] = 0.0
        return total + np.sum(pair) * 100

    assert ad.grad(f)(np.ones((2, 2))).tolist() == [[2.0, 122.0], [4.0, 24.0]]
    assert list(adnp.ndenumerate([5, 6])) == list(np.ndenumerate([5, 6]))
    assert type(adnp.require([1])) is type(adnp.asarray_chkfinite([1])) is np.ndarray
    with pytest.raises(ValueError, match="infs or NaNs"):
        adnp.asarray_chkfinite(ad.Tensor([np.inf]))


def test_text_files_get_the_value(tmp_path):
    found = []
    for name, x in (("array", X), ("tensor", ad.Tensor(X))):
        np.savetxt(tmp_path / name, x)
        np.savez_compressed(tmp_path / name, x=x)
        found.append(((tmp_path / name).read_text(), np.load(tmp_path / f"{name}.npz")["x"].tolist()))
    assert found[0] == found[1]


def test_elements_are_not_deleted():
    for x in (X, ad.Tensor(X)):
        with pytest.raises(ValueError, match="delete"):
            del x[0]
