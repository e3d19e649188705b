"""Names and keywords that are not there: the error says what may have been meant."""

import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

import autodiff as ad
import autodiff.numpy as anp
from autodiff import optim, solvers, sparse, testing
from autodiff.errors import MissingAttributeError
from autodiff.spelling import THEIRS, meant


@pytest.mark.parametrize(
    ("module", "name", "wanted"),
    [
        (ad, "hesian", "hessian"),
        (ad, "jit", "function"),
        (ad, "jacrev", "jacobian"),
        (ad, "Variabel", "Variable"),
        (ad, "minimise", "minimize"),
        (ad, "optimm", "optim"),
        (optim, "adam", "Adam"),
        (optim, "AdmW", "AdamW"),
        (optim, "SDG", "SGD"),
        (solvers, "newton", "root"),
        (solvers, "odeit", "odeint"),
        (sparse, "Sparsty", "Sparsity"),
        (anp, "sinn", "sin"),
        (anp.linalg, "invv", "inv"),
    ],
)
def test_names_of_modules(module, name, wanted):
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert type(caught.value) is MissingAttributeError
    assert str(caught.value) == f"module {module.__name__!r} has no attribute {name!r}; did you mean {wanted!r}?"
    assert hasattr(module, wanted)
    assert not hasattr(module, name)
    # Python adds no suggestion of its own.
    assert caught.value.name == name
    assert caught.value.obj is None


def test_a_name_that_is_like_no_other():
    with pytest.raises(AttributeError, match=r"^module 'autodiff' has no attribute 'xyzzy'$"):
        _ = ad.xyzzy
    assert not hasattr(ad, "__wrapped__")


def test_names_that_are_imported_late_are_listed():
    assert {*ad.__all__} <= {*dir(ad)}
    assert {*sparse.__all__} <= {*dir(sparse)}


@pytest.mark.parametrize("module", [ad, optim, solvers], ids=lambda module: module.__name__)
def test_completion_offers_nothing_but_public_names(module):
    offered = {name for name in dir(module) if not name.startswith("__")}
    assert offered == {*module.__all__} | ({"numpy"} if module is ad else set())
    assert all(hasattr(module, name) for name in offered)


def test_python_prints_one_suggestion():
    found = subprocess.run(
        [sys.executable, "-c", "import autodiff as ad\nad.hesian"], capture_output=True, text=True, check=False
    )
    assert found.stderr.lower().count("did you mean") == 1
    assert found.stderr.count("File ") == 1


def w():
    return [ad.Tensor([1.0, 2.0])]


KEYWORDS = [
    (lambda: optim.Adam(w(), lr=0.1), "Adam: there is no argument 'lr'; did you mean 'rate'?"),
    (lambda: optim.Adam(w(), learning_rate=0.1), "Adam: there is no argument 'learning_rate'; did you mean 'rate'?"),
    (lambda: optim.SGD(w(), momentun=0.9), "SGD: there is no argument 'momentun'; did you mean 'momentum'?"),
    (lambda: optim.Adam(w(), 0.1, eps=1e-8), "Adam: there is no argument 'eps'; did you mean 'epsilon'?"),
    (lambda: ad.Graph(bakend="numpy"), "Graph: there is no argument 'bakend'; did you mean 'backend'?"),
    (lambda: ad.grad(np.sum, wrt=0), "grad: there is no argument 'wrt'; did you mean 'argnums' or 'argnames'?"),
    (lambda: ad.hessian(np.sum, argnum=0), "hessian: there is no argument 'argnum'; did you mean 'argnums'?"),
    (lambda: ad.vmap(np.sum, in_axis=0), "vmap: there is no argument 'in_axis'; did you mean 'in_axes'?"),
    (lambda: ad.root(np.sin, 3.0, tolerance=1), "root: there is no argument 'tolerance'; did you mean 'tol'?"),
    (lambda: ad.function(np.sum, maxsize=2), "function: there is no argument 'maxsize'; did you mean 'cache_size'?"),
    (lambda: ad.Graph().jvp(w()[0], w(), u=1), "jvp: there is no argument 'u'; it takes dy, dx, v, as_tensors"),
]


@pytest.mark.parametrize(("call", "message"), KEYWORDS, ids=[message for _, message in KEYWORDS])
def test_keywords(call, message):
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == message
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_other_wrong_calls_are_said_by_python():
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'function'"):
        ad.grad()
    with pytest.raises(TypeError, match=r"takes 1 positional argument but 2 were given|unexpected keyword"):
        ad.grad(lambda x: x)(1.0, 2.0)


def test_words():
    with pytest.raises(ad.errors.ArgumentError, match=r"method=str 'BFG' is not one of .*; did you mean 'BFGS'\?$"):
        ad.minimize(np.sum, np.zeros(2), method="BFG")
    with pytest.raises(ad.errors.BackendError, match=r"unknown backend 'lvm'; .*; did you mean 'llvm'\?$"):
        ad.Graph(backend="lvm")
    with pytest.raises(ad.errors.BackendError, match=r"unknown backend 'cuda'; .*; did you mean 'cupy' or 'torch'\?$"):
        ad.Tensor([1.0]).to("cuda")
    with pytest.raises(ad.errors.BackendError, match=r"unknown backend 'nonsense'; known backends: [^;]*$"):
        ad.Graph(backend="nonsense")


def test_what_is_meant():
    assert meant("lr", ["rate", "momentum"]) == "; did you mean 'rate'?"
    assert meant("step_size", ["rate", "every", "factor"]) == "; did you mean 'rate' or 'every'?"
    # A word of another library comes before one that is spelt alike.
    assert meant("lr", ["lrx", "rate"]) == "; did you mean 'rate'?"
    assert meant("LR", ["lr"]) == "; did you mean 'lr'?"
    assert meant("lr", ["momentum", "_lr"]) == ""
    assert meant("eps", []) == ""


def test_the_names_of_the_table_are_there():
    words = {*ad.backends()}
    for module in (ad, optim, solvers, testing):
        for name in module.__all__:
            value = getattr(module, name)
            words.add(name)
            for function in (value, *vars(value).values()) if inspect.isclass(value) else (value,):
                if inspect.isfunction(function) or function is value:
                    try:
                        words |= {*inspect.signature(function).parameters}
                    except (TypeError, ValueError):
                        assert not inspect.isfunction(function)
    assert {*THEIRS} <= words
    # What is a name here, too, is asked for by it: no row hides it.
    assert not [name for name, theirs in THEIRS.items() if name in theirs]
