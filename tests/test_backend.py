"""The registry of backends: built-in table first, then what was registered and installed."""

import subprocess
import sys

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, registry


class Recording(ad.Backend):
    """A backend of a user: NumPy's arrays, keeping what it compiles."""

    name = "recording"

    def __init__(self):
        self.programs = []
        self.inner = ad.get_backend("numpy")

    def compile(self, program):
        self.programs.append(program)
        return self.inner.compile(program)


@pytest.fixture(autouse=True)
def _restore_registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    yield
    registry._owners.clear()


def test_numpy_is_the_default():
    found = ad.get_backend()
    assert found is ad.get_backend("numpy") is ad.get_backend(None)
    assert found.name == "numpy"
    assert isinstance(found, ad.Backend)
    assert repr(found) == "<backend numpy>"


def test_names_are_listed_sorted():
    ad.register_backend("zzz", Recording())
    ad.register_backend("aaa", "nowhere:NOTHING")
    names = ad.backends()
    assert {"aaa", "numpy", "zzz"} <= set(names)
    assert list(names) == sorted(names)


def test_registered_object_runs_graphs():
    mine = Recording()
    ad.register_backend("mine", mine)
    assert ad.get_backend("mine") is mine
    assert ad.get_backend(mine) is mine
    graph = ad.Graph(backend="mine")
    x = ad.Tensor([1.0, 2.0])
    np.testing.assert_array_equal(graph.gradient(x**2, [x])[0], [2.0, 4.0])
    assert len(mine.programs) == 1
    assert repr(graph).startswith("Graph(backend='recording'")


def test_registered_path_is_imported_when_asked_for():
    ad.register_backend("later", "autodiff_backends.numpy.backend:BACKEND")
    assert ad.get_backend("later") is ad.get_backend("numpy")


def test_a_registered_backend_replaces_one_of_the_name():
    first, second = Recording(), Recording()
    ad.register_backend("numpy", first)
    assert ad.get_backend("numpy") is first
    ad.register_backend("numpy", second)
    assert ad.get_backend("numpy") is second
    assert ad.Graph().backend is second


def test_entry_points_are_found(monkeypatch):
    monkeypatch.setattr(registry, "_entry_points", lambda: {"installed": "autodiff_backends.numpy.backend:BACKEND"})
    assert "installed" in ad.backends()
    assert ad.get_backend("installed").name == "numpy"
    monkeypatch.setattr(registry, "_entry_points", lambda: {"numpy": "nowhere:NOTHING"})
    registry._loaded.clear()
    assert ad.get_backend("numpy").name == "numpy"  # the built-in table comes first


def test_a_former_name_says_what_took_its_place():
    with pytest.raises(errors.BackendError, match=r"'numba' was replaced by 'llvm'.*backend='llvm'.*\[llvm\]"):
        ad.Graph(backend="numba")


@pytest.mark.parametrize("name", ["nonsense", "Numpy", "", " numpy"])
def test_unknown_name_lists_the_known_ones(name):
    for ask in (ad.get_backend, ad.Graph):
        with pytest.raises(errors.BackendError, match=r"unknown backend.*known backends:.*numpy") as caught:
            ask(name)
        assert repr(name) in str(caught.value)
        assert isinstance(caught.value, LookupError)
    assert ad.Graph("numpy").backend.name == "numpy"


@pytest.mark.parametrize("where", ["no_such_module_anywhere:BACKEND", "autodiff_backends.numpy.backend:NOTHING"])
def test_what_cannot_be_loaded_says_why(where):
    ad.register_backend("broken", where)
    for _ in range(2):
        with pytest.raises(errors.BackendError, match=rf"broken.*{where.partition(':')[0]}") as caught:
            ad.get_backend("broken")
        assert caught.value.__cause__ is not None


BROKEN = {
    "no module": "no.such:X",
    "no attribute": "autodiff_backends.numpy.backend:NOTHING",
    "no name": "autodiff_backends.numpy.backend:",
    "a module that raises": "broken_backend:BACKEND",
    "a function that raises": "raising_backend:backend",
    "no backend": "math:pi",
}


class Foreign:
    """A class that no backend knows, which NumPy makes arrays of."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0])


@pytest.mark.parametrize("where", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_loaded_breaks_only_who_asks_for_it(where, tmp_path, monkeypatch):
    (tmp_path / "broken_backend.py").write_text("raise OSError('libcuda.so: cannot open shared object file')\n")
    (tmp_path / "raising_backend.py").write_text("def backend():\n    raise RuntimeError('no device')\n")
    monkeypatch.syspath_prepend(tmp_path)
    ad.register_backend("m", where)
    for value in (
        [1.0, 2.0],
        (1.0, 2.0),
        np.ones(2),
        Foreign(),
        type("New", (Foreign,), {})(),
        np.float64(3.0),
        range(2),
    ):
        x = ad.Tensor(value, dtype=float)
        np.testing.assert_array_equal(ad.Graph().gradient(np.sum(x * x), [x])[0], 2 * np.asarray(value, float))
        np.testing.assert_array_equal(ad.grad(lambda v, x=x: np.sum(v * x))(np.ones(x.shape)), x.value)
    assert "m" in ad.backends()
    ad.optim.SGD([x]).step([np.ones(x.shape)])
    for ask in (ad.get_backend, ad.Graph, lambda name: ad.function(np.sin, backend=name)):
        with pytest.raises(errors.BackendError, match=r"backend 'm'"):
            ask("m")


def test_a_backend_that_comes_while_it_is_asked_whose_an_array_is_owns_it_from_then_on():
    class Owning(Recording):
        def owns(self, value):
            return isinstance(value, Foreign)

    class Slow(Recording):
        def owns(self, value):
            # What another thread may do just now.
            if "owning" not in ad.backends():
                ad.register_backend("owning", late)
            return False

    late = Owning()
    ad.register_backend("slow", Slow())
    assert registry.backend_of(Foreign()) is None
    assert registry.backend_of(Foreign()) is late


def test_a_backend_that_fails_on_what_others_own_breaks_nobody():
    class Failing(Recording):
        @property
        def home(self):
            return self

        def owns(self, value):
            raise TypeError(f"cannot look at {value!r}")

    ad.register_backend("failing", Failing())
    np.testing.assert_array_equal(ad.Tensor(Foreign()).value, [1.0, 2.0])


def test_lists_and_numbers_import_nothing(tmp_path, monkeypatch):
    (tmp_path / "costly_backend.py").write_text("from autodiff_backends.numpy.backend import BACKEND\n")
    monkeypatch.syspath_prepend(tmp_path)
    ad.register_backend("costly", "costly_backend:BACKEND")
    for value in ([1.0], (1.0,), 1.0, 1, True, 1j, np.ones(2), np.float32(1)):
        ad.Tensor(value)
    ad.function(lambda x, s: x)(np.ones(2), "text")
    assert "costly_backend" not in sys.modules
    assert ad.get_backend("costly").name == "numpy"
    assert "costly_backend" in sys.modules


def test_a_backend_that_can_be_loaded_later_owns_its_arrays_then(tmp_path, monkeypatch, shelves):
    (tmp_path / "late_backend.py").write_text("raise ImportError('not yet')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_registered", {"late": "late_backend:backend"})
    monkeypatch.setattr(registry, "_loaded", {})
    array = shelves.backend.asarray(np.ones(2))
    registry._owners.clear()
    assert registry.backend_of(array) is None
    with pytest.raises(errors.BackendError, match="not yet"):
        ad.get_backend("late")
    monkeypatch.setitem(sys.modules, "late_backend", shelves)
    assert ad.get_backend("late").owns(array)
    assert registry.backend_of(array) is ad.get_backend("late")


@pytest.mark.parametrize("value", [3, object(), ["numpy"], np.random], ids=["number", "object", "list", "module"])
def test_what_is_no_backend(value):
    with pytest.raises(errors.BackendError, match=r"no backend.*numpy"):
        ad.Graph(backend=value)


@pytest.mark.parametrize(
    ("name", "value"), [("", Recording()), (3, Recording()), ("x", 3), ("x", "no colon"), ("x", None)]
)
def test_bad_registration(name, value):
    with pytest.raises(errors.BackendError, match="register_backend"):
        ad.register_backend(name, value)
    assert "x" not in ad.backends()


@pytest.mark.parametrize("module", ["autodiff_backends", "autodiff_backends.numpy.backend"])
def test_backends_may_be_imported_first(module, tmp_path):
    program = f"import {module}, autodiff; print(autodiff.get_backend().name)"
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("numpy", "")
