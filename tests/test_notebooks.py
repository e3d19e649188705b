"""What notebooks show: valid, escaped, of bounded size, and nothing is computed or changed for it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import autodiff as ad
from autodiff.display import arrays, html, texts
from autodiff.plan.execute import evaluations

EVIL = "<img src=x onerror='alert(1)'>&\x00\x1b"


def shown(x):
    """The text of what a notebook shows, which has to be well-formed."""
    page = x._repr_html_()
    root = ET.fromstring(f"<page>{page}</page>")
    for style in root.iter("style"):
        style.text = ""
    return " ".join(root.itertext())


# --- Tensors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ad.Tensor(3.5), ["()", "float64", "3.5", "variable"]),
        (lambda: ad.Tensor([1, 2], constant=True), ["(2,)", "int64", "constant"]),
        (lambda: ad.Tensor(np.zeros((0, 3))), ["(0, 3)", "no elements"]),
        (lambda: ad.Tensor([1 + 2j, np.nan, -np.inf * 1j]), ["complex128", "1.+2.j", "nan"]),
        (lambda: ad.Tensor([True, False]), ["float64", "1."]),
        (lambda: ad.Tensor(np.float16([1.5])), ["float16", "1.5"]),
        (lambda: ad.Tensor(np.longdouble([1.5])), ["longdouble" if np.longdouble(1).itemsize == 8 else "float", "1.5"]),
        (lambda: ad.Tensor(np.arange(24.0).reshape(2, 3, 2, 2)), ["[0, 0, :, :], the first of 6 matrices"]),
        (lambda: np.sin(ad.Tensor([0.0])), ["sin", "0."]),
        (lambda: ad.Tensor([1.0]) * 1j, ["complex128", "0.+1.j"]),
        (lambda: ad.Tensor([1.0, 2.0])[::-1], ["2."]),
        (lambda: ad.Tensor([2.0], name=EVIL), ["alert(1)"]),
        (lambda: ad.Tensor(2.0) * 2, ["4."]),
        (lambda: np.linalg.svd(ad.Tensor(np.eye(2)))[1], ["1."]),
    ],
)
def test_any_tensor_is_shown(make, words):
    text = shown(make())
    assert all(word in text for word in words), text


def test_tensors_of_backends_are_shown(xp, backend):
    graph = ad.Graph(backend=backend)
    t = graph.tensor(np.arange(400.0).reshape(20, 20), name="there")
    assert "there" in shown(t)
    if "lazy" in graph.backend.capabilities.features:
        assert "computes it when t.value is asked for" in shown(t * 2)
        return
    assert "399." in shown(t)
    assert "798." in shown(t * 2)


def test_what_is_traced_has_no_value():
    seen = []

    @ad.function
    def f(x):
        seen.append(shown(x) + shown(x * 2))
        return x

    f(np.ones(3))
    assert seen[0].count("being traced") + seen[0].count("not computed yet") == 2
    assert ad.grad(lambda x: (seen.append(shown(x * x)), np.sum(x))[1])(np.ones(2)).tolist() == [1.0, 1.0]


def test_corners_of_large_arrays_are_shown():
    t = ad.Tensor(np.arange(1e6).reshape(1000, 1000))
    text = shown(t)
    assert all(word in text for word in ("0.", "3003.", "999999.", "…"))
    assert " 500500." not in text
    for big in (t, ad.Tensor(np.zeros(10**6)), ad.Tensor(np.zeros((50, 50, 50, 50)))):
        assert len(big._repr_html_()) < 6_000


def test_only_corners_are_fetched():
    fetched = []

    def to_numpy(part):
        fetched.append(part.size)
        return part

    arrays.values(np.zeros((9, 1000, 1000)), to_numpy, (9, 1000, 1000))
    assert sum(fetched) == 64


def test_nothing_is_kept_of_what_is_shown():
    x = ad.Tensor([1.0, 4.0])
    y = np.sqrt(x)
    assert "2." in shown(y)
    assert y.node.value is None
    assert not hasattr(y.node, "met")
    graph = ad.Graph()
    graph.gradient(y, [x])
    z = np.sqrt(x)
    shown(z)
    graph.gradient(z, [x])
    assert graph.cache_info().misses == 1


def test_what_takes_long_is_not_computed():
    a = ad.Tensor(np.zeros((4000, 4000)), copy=False)
    before = evaluations.info().misses
    assert "not computed yet" in shown(a @ a @ a)
    called = []

    @ad.primitive(infer=lambda x: x)
    def slow(x):
        called.append(x)
        return x

    assert "not computed yet" in shown(slow(ad.Tensor(1.0)) * 2)
    assert called == []
    assert evaluations.info().misses == before


def test_warnings_are_for_those_who_compute():
    assert "nan" in shown(np.sqrt(ad.Tensor([-1.0])))


# --- graphs and functions --------------------------------------------------------------------------------------------


def test_a_graph_is_shown():
    graph = ad.Graph()
    assert "nothing compiled" in shown(graph)
    w = ad.Tensor([1.0, 2.0], name=f"weights{EVIL}")
    graph.add_variables(w)
    graph.add_variables(w)
    for _ in range(2):
        graph.gradient(np.sum(w**2), [w])
    text = shown(graph)
    for word in ("weights<img", "float64[2]", "1 of 512 compiled", "1 hits", "gradient 1", "def run"):
        assert word in text, word
    assert text.count("float64[2]") - text.count("# x0: float64[2]") == 1
    assert graph.cache_info().hits == 1
    del w
    assert "weights" not in shown(graph)


def test_a_copy_knows_no_variables():
    graph, w = ad.Graph(), ad.Tensor([1.0], name="weights")
    graph.add_variables(w)
    assert "weights" in shown(graph)
    assert list(pickle.loads(pickle.dumps(graph._variables))) == []
    assert "weights" not in shown(copy.deepcopy(graph))


def test_many_variables_and_plans_are_bounded():
    graph, variables = ad.Graph(), [ad.Tensor(np.zeros(i + 1)) for i in range(40)]
    graph.add_variables(*variables)
    for w in variables:
        graph.gradient(np.sum(w), [w])
    text = shown(graph)
    assert "16 more variables" in text
    assert "28 more gradients" in text
    assert len(graph._repr_html_()) < 30_000


def test_a_function_is_shown():
    @ad.function
    def norm(x, p=2):
        return np.sum(x**p)

    assert "norm(x, p=2)" in shown(norm)
    assert "not called yet" in shown(norm)
    norm(np.ones(3))
    norm(np.ones((2, 2)))
    text = shown(norm)
    assert "trace 2" in text
    assert "def run" in text


def test_compiled_gradients_and_explanations_are_shown():
    x = ad.Tensor([1.0, 2.0])
    graph = ad.Graph()
    compiled = graph.compile(np.sum(x**2), [x], [x])
    assert "(float64[2])" in shown(compiled)
    text = shown(graph.explain(np.sum(x**2), [x]))
    assert "operations" in text
    assert "def run" in text


def test_where_no_page_is_shown_what_it_is_made_of_is_named():
    def cubed(x):
        return np.sum(x**3)

    assert repr(ad.function(cubed)) == f"<function of {cubed.__qualname__}>"
    assert repr(ad.function(ad.grad(np.sum))) == "<function of <grad of sum>>"
    x = ad.Tensor([1.0, 2.0])
    assert repr(ad.Graph().compile(cubed(x), [x], [x])) == "<CompiledGradient of (float64[2]) on numpy>"


def test_pages_are_for_light_and_dark():
    page = ad.Tensor(1.0)._repr_html_()
    # No colour of its own but greys between the two.
    assert "#" not in page
    assert "color:inherit" in page


def test_texts_are_cut_and_plain():
    assert html.escape("<a&\"'>\x00") == "&lt;a&amp;&quot;&#x27;&gt;\N{REPLACEMENT CHARACTER}"
    assert len(html.escape("x" * 10**6)) < 500
    assert [texts.seconds(t) for t in (2.0, 3e-3, 4.5e-6, 6e-9)] == ["2 s", "3 ms", "4.5 us", "6 ns"]
    assert [texts.size(n) for n in (0, 999, 1500, 2e9)] == ["0 B", "999 B", "1.5 kB", "2 GB"]
    assert texts.columns(("a", "bb"), [("1", "x"), ("22", "y")], left=(1,)) == " a  bb\n 1  x\n22  y"


def test_nothing_is_imported_before_it_is_shown():
    code = """
import sys, autodiff
names = ("autodiff.display", "autodiff.drawing", "autodiff.profiling")
sys.exit(any(name.startswith(names) for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
