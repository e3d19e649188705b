"""What a type checker knows of transformed functions: their arguments, and what they return."""

import ast
import importlib
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autodiff.tensor import methods

ROOT = Path(__file__).parent.parent

# A line with a comment is an error of that kind, and no other line is.
PROGRAM = """
import numpy as np
from numpy.typing import NDArray

import autodiff as ad
import autodiff.numpy as anp

Array = NDArray[np.float64]


def loss(w: Array, x: Array, scale: float = 1.0) -> float:
    return float(np.sum(w * x) * scale)


def clip(y: Array) -> Array:
    return np.clip(y, 0.0, 1.0)


w = x = np.ones(2)
ad.grad(loss)(w, x, scale=2.0)
ad.grad(loss)(w)  # call-arg
ad.grad(loss)(w, x, scael=2.0)  # call-arg
ad.grad(loss)(w, x, "a")  # arg-type
ad.grad(3)  # arg-type
ad.grad(loss, argnums="w")  # arg-type
value, slopes = ad.value_and_grad(loss)(w, x)
value + 1.0
value + "a"  # operator
ad.value_and_grad(loss)(w, x, scale="a")  # arg-type
ad.elementwise_grad(clip)(w)
ad.nth_derivative(loss, 2)(w)  # call-arg
ad.holomorphic_grad(loss)(w, x, 1.0, 2.0)  # call-arg
ad.jacobian(loss)("a", x)  # arg-type
ad.hessian(loss)(w, x, None)  # arg-type
ad.vmap(loss)(w)  # call-arg
ad.function(loss)(w, x)


@ad.custom_vjp
def clipped(y: Array) -> Array:
    return y


class Model:
    @ad.function
    def predict(self, x: Array) -> ad.Tensor:
        return ad.Tensor(x)


t = ad.Tensor(w)
graph = ad.Graph()
clipped(w)
clipped(w, w)  # call-arg
clipped("a")  # arg-type
with ad.debug_nans(inf=True):
    pass
with ad.debug_nans(inf="yes"):  # arg-type
    pass
ad.function(loss)(w)  # call-arg
ad.function(loss)(w, x, 2.0) + "a"  # operator
ad.function(cache_size=2)(loss)(w, x, scael=1.0)  # call-arg
Model().predict(x).sum().vlaue  # attr-defined
Model().predict()  # call-arg
(t * 2).vlaue  # attr-defined
(t == t).any().vlaue  # attr-defined
t.sum(axs=0)  # call-arg
t.reshape("a")  # arg-type
t.put([0], 1.0).value  # func-returns-value, attr-defined
graph.gradient(t * 2, t)  # call-overload
graph.gradient("t", [t])  # call-overload
graph.gradient(np.sin(t), [t], as_tensors=True)[0].vlaue  # attr-defined
graph.value_and_gradient(t.sum(), t)  # arg-type
graph.jacobian(np.tanh(t), [t], mood="forward")  # call-arg
anp.sin(t).vlaue  # attr-defined
anp.stack([t, w]).vlaue  # attr-defined
anp.linalg.solve(w, t).vlaue  # attr-defined
anp.where(t > 0, t, 0.0).vlaue  # attr-defined
anp.zeros(3).vlaue  # attr-defined
anp.sum(t, axs=0)  # call-overload
anp.summ(t)  # attr-defined
anp.sin(w).value  # attr-defined
ad.stop_gradient(t).vlaue  # attr-defined
ad.optim.Adam([t], rate="a")  # arg-type
"""


STUB = (ROOT / "autodiff" / "numpy.pyi").read_text(encoding="utf-8")
RIGHT = Path(__file__).with_name("typed_program.py")


def expected():
    """The lines with errors of a kind."""
    return {n: line.partition("  # ")[2] for n, line in enumerate(PROGRAM.splitlines(), 1) if "  # " in line}


@pytest.fixture
def programs(tmp_path):
    """A program with errors, and one without."""
    wrong, right = tmp_path / "program.py", tmp_path / RIGHT.name
    wrong.write_text(PROGRAM)
    right.write_text(RIGHT.read_text(encoding="utf-8"))
    return [str(wrong), str(right)]


def test_mypy_finds_the_errors_of_a_program_and_none_in_another(programs, tmp_path):
    pytest.importorskip("mypy")
    # A file without settings: those of this project are not a user's.
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = true\ncheck_untyped_defs = true\n")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    command += [f"--config-file={settings}"]
    env = os.environ | {"MYPYPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")])}
    run = subprocess.run([*command, *programs], capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    found = {}
    for line in run.stdout.splitlines():
        place, _, text = line.partition(": error: ")
        if text:
            file, number = place.rsplit(":", 1)
            assert file == "program.py", line
            found.setdefault(int(number), []).append(text.rpartition("[")[2].rstrip("]"))
    assert {n: ", ".join(dict.fromkeys(kinds)) for n, kinds in found.items()} == expected(), run.stdout + run.stderr


def test_pyright_finds_the_errors_of_a_program_and_none_in_another(programs, tmp_path):
    if "REQUIRE_PYRIGHT" not in os.environ:
        pytest.importorskip("pyright", reason="pyright is not installed; `nox -s types` installs it")
    roots = [str(ROOT), str(ROOT / "backends")]
    settings = {"typeCheckingMode": "strict", "include": programs, "extraPaths": roots, "reportUnusedExpression": False}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "--project"]
    run = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    if not run.stdout and "REQUIRE_PYRIGHT" not in os.environ:
        pytest.skip(f"pyright, which brings itself by npm, does not run here: {run.stderr}")
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] == len(programs)
    found = {(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in report["generalDiagnostics"]}
    assert found == {("program.py", n) for n in expected()}, run.stdout


def test_the_typed_program_runs():
    assert np.isfinite(runpy.run_path(str(RIGHT))["results"][0])


@pytest.fixture
def stubs(monkeypatch):
    """The module that writes the stub."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("docs.stubs")


# Signatures of functions change from release to release.
VERSION = ".".join(np.__version__.split(".")[:2])
same_numpy = pytest.mark.skipif(f"NumPy {VERSION}." not in STUB, reason="the stub is of another NumPy")


@same_numpy
def test_the_stub_of_the_namespace_is_what_is_written(stubs):
    assert stubs.text() == STUB, "run python -m docs.stubs"


def test_the_stub_has_the_names_of_the_namespace(stubs):
    words = set(re.findall(r"\w+", STUB))
    assert {*np.__all__} - words <= stubs.WIDE


@same_numpy
def test_methods_have_the_signatures_that_a_type_checker_reads():
    tree = ast.parse(Path(methods.__file__).read_text(encoding="utf-8"))
    (block,) = [x for x in ast.walk(tree) if isinstance(x, ast.If) and isinstance(x.body[0], ast.FunctionDef)]
    said = {x.name: x.args for x in block.body}
    assert list(said) == [x.targets[0].id for x in block.orelse]
    for name, args in said.items():
        given = [a.arg for a in (*args.args, *args.kwonlyargs)][1:]
        wanted = list(inspect.signature(getattr(np, name)).parameters)[1:]
        assert given == [x for x in wanted if x != "kwargs"], name
