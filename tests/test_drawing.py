"""Pictures of recorded graphs: whole, valid, bounded, and folded by names and by structure."""

from __future__ import annotations

import re
import stat
import sys
import threading
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import autodiff as ad
from autodiff.display import graphviz
from autodiff.display.folding import folded, repetitions
from autodiff.display.layered import fitted, layered, layers
from autodiff.display.texts import TIMES
from autodiff.errors import ArgumentError, DifferentiationError
from autodiff.nodes import Operation
from autodiff.noting import notes


@pytest.fixture
def rng():
    return np.random.default_rng(0)


SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _own_layout(monkeypatch):
    """Boxes are placed by this library, whether graphviz is installed or not."""
    monkeypatch.setattr(graphviz.shutil, "which", lambda name: None)


def boxes(picture):
    """The texts of the boxes of a picture, which has to be XML."""
    root = ET.fromstring(picture.svg)
    return [[text.text for text in box.iter(f"{SVG}text")] for box in root.iter(f"{SVG}g")]


def tips(picture):
    return [title.text for title in ET.fromstring(picture.svg).iter(f"{SVG}title")]


def arrows(picture):
    found = list(ET.fromstring(picture.svg).iter(f"{SVG}path"))
    return [path for path in found if path.get("marker-end")]


def mlp(rng):
    names = {"W1": (3, 4), "b1": (4,), "W2": (4, 1)}
    variables = [ad.Tensor(rng.normal(size=shape), name=name) for name, shape in names.items()]
    W1, b1, W2 = variables
    x = ad.Tensor(rng.normal(size=(5, 3)), constant=True, name="data")
    return np.sum((np.tanh(x @ W1 + b1) @ W2) ** 2), variables


def recurrent(rng, steps):
    W, x = ad.Tensor(rng.normal(size=(3, 3)), name="W"), ad.Tensor(rng.normal(size=(steps, 3)), constant=True, name="x")
    h = np.zeros(3)
    for t in range(steps):
        h = np.tanh(h @ W + x[t])
    return np.sum(h), W


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_a_graph_is_drawn(rng):
    loss, _ = mlp(rng)
    picture = ad.draw(loss)
    labels = [box[0] for box in boxes(picture)]
    assert sorted(labels) == sorted(["data", "W1", "b1", "W2", "@", "+", "tanh", "@", "^ 2", "sum", "y"])
    # Each of the operations takes what it is made of, and the result stands below.
    assert len(arrows(picture)) == 2 + 2 + 1 + 2 + 1 + 1 + 1
    assert loss.node.value is None


def test_derivatives_stand_beside_what_was_recorded(rng):
    loss, variables = mlp(rng)
    picture = ad.Graph().draw(loss, variables)
    labels = [box[0] for box in boxes(picture)]
    assert {"dy / dW1", "dy / db1", "dy / dW2", "tanh_slope"} <= set(labels)
    assert any("in the derivative of tanh" in tip for tip in tips(picture))
    assert "recorded" in picture.svg
    assert "derivative" in picture.svg


def test_a_picture_is_saved_and_shown(rng, tmp_path):
    picture = ad.draw(mlp(rng)[0])
    picture.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == picture.svg == picture._repr_svg_()
    assert picture.svg in picture._repr_html_()
    assert repr(picture).startswith("<an SVG picture")


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: ad.Tensor(2.0, constant=True),
        lambda x: np.linalg.svd(np.outer(x, x))[1],
        lambda x: x[[0, 1]] + x[1:][:, None],
        lambda x: np.where(x > 0, x, 1j * x),
        lambda x: ad.scan(lambda c, y: (c + y, c * y), 0.0, x)[1],
        lambda x: ad.Tensor(np.zeros((0, 3))) * 2,
        lambda x: ad.Graph().gradient(np.sum(x**3), [x], as_tensors=True)[0],
    ],
)
def test_any_graph_is_drawn(make):
    assert boxes(ad.draw(make(ad.Tensor([1.0, -2.0, 3.0]))))


def test_of_what_is_independent_or_itself(rng):
    x = ad.Tensor([1.0])
    assert ["dy / dx", "1"] in boxes(ad.Graph().draw(x, [x]))
    with pytest.warns(ad.IndependentWarning):
        picture = ad.Graph().draw(np.sin(x), [ad.Tensor(2.0)])
    assert ["dy / dx", "scalar"] in boxes(picture)


def test_numbers_stand_in_the_boxes_that_take_them():
    x = ad.Tensor([1.0, 2.0])
    labels = [box[0] for box in boxes(ad.draw([2 - x, x / 8.0, x**3]))]
    assert {"2 \N{MINUS SIGN} x", "÷ 8", "^ 3"} <= set(labels)


def test_other_orders(rng):
    x = ad.Tensor([1.0, 2.0], name="x")
    assert ["d²y / dx²", "2"] in boxes(ad.Graph().draw(np.sin(x), [x], 2))


def test_nothing_that_a_user_writes_is_markup():
    name = "<script>alert('&')</script>\x00\ud800"
    x = ad.Tensor([1.0, 2.0], name=name)
    with ad.scope(name):
        picture = ad.Graph().draw(np.sum(x**2), [x], most=1)
    assert "<script" not in picture.svg
    assert any("alert" in text for box in boxes(picture) for text in box)


def test_pictures_on_one_page_share_no_names(rng):
    first, second = (ad.draw(y).svg for y in (np.sin(ad.Tensor(1.0)), np.cos(ad.Tensor(1.0))))
    names = [set(re.findall(r' id="([^"]*)"', svg)) for svg in (first, second)]
    assert all(names)
    assert names[0].isdisjoint(names[1])
    assert set(re.findall(r"url\(#([^)]*)\)", first)) <= names[0]


def test_what_cannot_be_drawn():
    with pytest.raises(DifferentiationError, match="draw: y is"):
        ad.draw(np.ones(3))
    with pytest.raises(DifferentiationError, match=r"draw: y\[1\] is"):
        ad.draw([ad.Tensor(1.0), 2.0])
    with pytest.raises(ArgumentError, match="draw: most"):
        ad.draw(ad.Tensor(1.0), most=0)


# --- folding ---------------------------------------------------------------------------------------------------------


def test_a_loop_is_drawn_once(rng):
    loss, W = recurrent(rng, 50)
    picture = ad.draw(loss)
    found = boxes(picture)
    for label in ("tanh", "+", "@", "index"):
        assert [box[-1] for box in found if box[0] == label] == [f"{TIMES}50"]
    # The state leads from one step to the next.
    assert any(arrow.get("stroke-dasharray") for arrow in arrows(picture))
    assert len(boxes(ad.Graph().draw(loss, [W]))) < 60


def test_scopes_are_boxes_of_large_graphs(rng):
    x = h = ad.Tensor(rng.normal(size=4), name="x")
    for i in range(4):
        with ad.scope(f"layer{i}"):
            for _ in range(5):
                h = np.tanh(h * 2) + x
    small = [box[0] for box in boxes(ad.draw(h, most=12))]
    assert [label for label in small if label.startswith("layer")] == [f"layer{i}" for i in range(4)]
    assert not any(label.startswith("layer") for label, *_ in boxes(ad.draw(h, most=80)))
    both = boxes(ad.Graph().draw(np.sum(h), [x], most=20))
    assert sum(box[0] == "layer3" for box in both) == 2


def test_alike_scopes_repeat(rng):
    h = ad.Tensor(rng.normal(size=4))
    for i in range(30):
        with ad.scope(f"step{i}"):
            h = np.tanh(h * 2) + 1
    labels = [box[0] for box in boxes(ad.draw(h, most=10))]
    assert "step0 … step29" in labels


def test_the_deepest_names_that_fit_are_drawn(rng):
    h = ad.Tensor(rng.normal(size=4))
    for outer in "ab":
        with ad.scope(outer):
            for inner in "xy":
                with ad.scope(inner):
                    for _ in range(6):
                        h = np.sin(h) * 2
    assert {"a/x", "a/y", "b/x", "b/y"} <= {box[0] for box in boxes(ad.draw(h, most=6))}
    assert {"a", "b"} <= {box[0] for box in boxes(ad.draw(h, most=3))}


def test_pictures_of_large_graphs_are_small(rng):
    nodes = [ad.Tensor(rng.normal(size=3)) for _ in range(100)]
    inputs = nodes[:]
    ways = [np.add, np.multiply, np.maximum, lambda a, b: np.sin(a)]
    for _ in range(2_000):
        a, b = rng.integers(0, len(nodes), 2)
        nodes.append(ways[rng.integers(4)](nodes[a], nodes[b]))
    loss = np.sum(sum(nodes))
    picture = ad.Graph().draw(loss, inputs)
    assert boxes(picture)
    assert len(picture.svg) < 100_000


def test_a_word_is_cut_into_its_repetitions():
    word = np.array([9, *[1, 2, 3] * 5, 7, 7, *[4] * 6, 8])
    assert repetitions(word) == [(1, 3, 5), (18, 1, 6)]
    assert repetitions(np.array([], int)) == []
    assert repetitions(np.arange(20)) == []


def test_all_operations_are_in_one_box():
    rng = np.random.default_rng(3)
    for _ in range(30):
        n = int(rng.integers(1, 60))
        letters = rng.integers(0, 3, n).tolist()
        scopes = [("a", "b", "c")[: int(k)] for k in rng.integers(0, 4, n)]
        halves = sorted(rng.integers(0, 2, n).tolist())
        found = folded(letters, scopes, halves, int(rng.integers(1, 20)))
        assert sorted(i for fold in found for i in fold.members) == list(range(n))
        assert all(len({halves[i] for i in fold.members}) == 1 for fold in found)


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_layers_follow_arrows():
    edges = [(0, 2), (1, 3), (2, 3), (3, 4), (0, 4)]
    assert layers([0] * 5, edges) == [0, 1, 1, 2, 3]
    assert layers([0, 0, 5, 0, 0], edges) == [4, 5, 5, 6, 7]


def test_places_keep_their_distance():
    rng = np.random.default_rng(0)
    for n in (1, 2, 7):
        wanted, room = rng.normal(size=n) * 5, [0.0, *rng.uniform(1, 2, n - 1)]
        found = fitted(wanted, np.ones(n), room)
        assert all(b - a >= r - 1e-9 for a, b, r in zip(found, found[1:], room[1:]))
    assert fitted([0.0, 10.0], [1.0, 1.0], [0.0, 1.0]) == [0.0, 10.0]
    assert fitted([1.0, 0.0], [1.0, 1.0], [0.0, 1.0]) == [0.0, 1.0]


def test_boxes_of_a_layer_do_not_overlap():
    rng = np.random.default_rng(1)
    for _ in range(10):
        n = 25
        widths = rng.uniform(20, 120, n)
        edges = [(int(a), int(b)) for a, b in np.sort(rng.integers(0, n, (40, 2))) if a < b]
        found = layered(widths, edges, [0] * n)
        assert all(found.layer[a] < found.layer[b] for a, b in edges)
        for layer in set(found.layer):
            row = sorted((found.x[i], widths[i]) for i in range(n) if found.layer[i] == layer)
            assert all(b - a >= (v + w) / 2 for (a, v), (b, w) in pairwise(row))


# Places what it is told in the order of the layers, and leads arrows through the middles of those between.
DOT = """#!{python}
import re, sys
text = sys.stdin.read()
layer = {{name: int(rung) for rung, names in re.findall(r"same;rung(\\d+);(.*)}}", text) for name in names.split(";")}}
names = re.findall(r"^(\\w+)\\[", text, re.M)
print("graph 1 5 5")
for i, name in enumerate(names):
    height = 9 - (int(name[4:]) if name.startswith("rung") else layer[name])
    print("node", name, 1 + i % 2, height, 1, 0.5, "x solid box black lightgrey")
for a, b in re.findall(r"^(\\w+)->(\\w+)", text, re.M):
    print("edge", a, b, 4, 1, 9, 1, 8, 2, 7, 2, 6, "solid black")
print("stop")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script of Python is no program there")
def test_graphviz_is_used_where_it_is(tmp_path, monkeypatch):
    dot = tmp_path / "dot"
    dot.write_text(DOT.format(python=sys.executable))
    dot.chmod(dot.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(graphviz.shutil, "which", lambda name: str(dot))
    found = graphviz.placed([(40.0, 20.0)] * 3, [(0, 1), (1, 2), (0, 2)], [0, 0, 0])
    assert found.layer == [0, 1, 2]
    assert found.bends[0, 2] == [20.0]
    assert found.x == [20.0, 92.0, 20.0]
    assert list(map(len, found.bends.values())) == [0, 0, 1]
    assert boxes(ad.draw(np.sin(np.cos(ad.Tensor(1.0)))))


def test_a_graphviz_that_fails_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(graphviz.shutil, "which", lambda name: str(tmp_path / "missing"))
    assert graphviz.placed([(40.0, 20.0)], [], [0]) is None
    assert boxes(ad.draw(np.sin(ad.Tensor(1.0))))


# --- scopes ----------------------------------------------------------------------------------------------------------


def test_scopes_cost_nothing_where_there_is_none():
    plain = Operation.__init__
    with ad.scope("a"):
        assert Operation.__init__ is not plain
        with ad.scope("b"):
            pass
        assert Operation.__init__ is not plain
    assert Operation.__init__ is plain


def test_scopes_in_threads():
    """Who ends a scope leaves those of other threads alone."""
    plain, wrong = Operation.__init__, []

    def work(name):
        for _ in range(300):
            with ad.scope(name):
                node = np.sin(ad.Tensor(1.0)).node
            if notes[node].scope != (name,):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert Operation.__init__ is plain


def test_scopes_change_no_plan():
    graph, x = ad.Graph(), ad.Tensor([1.0, 2.0])
    first = graph.gradient(np.sum(np.sin(x)), [x])
    with ad.scope("named"):
        second = graph.gradient(np.sum(np.sin(x)), [x])
    assert np.array_equal(first, second)
    assert graph.cache_info().misses == 1


def test_a_decorated_function_is_recorded_in_its_scope():
    @ad.scope("inner")
    def inner(x):
        return np.sin(x)

    with ad.scope("outer"):
        y = inner(ad.Tensor(1.0))
    assert any("outer/inner" in tip for tip in tips(ad.draw(y)))


def test_errors_name_the_scope():
    with ad.debug_nans(), ad.scope("layer"), pytest.raises(ad.errors.NotFiniteError, match="in scope layer"):
        np.sqrt(ad.Tensor(-1.0)).value
    with ad.scope("early"):
        y = np.sqrt(ad.Tensor(-1.0))
    with ad.debug_nans(), pytest.raises(ad.errors.NotFiniteError, match="before debug_nans was on, in scope early"):
        y.value


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_scope_has_a_name(name):
    with pytest.raises(ArgumentError, match="scope: name"):
        ad.scope(name)


def test_lines_are_in_the_picture():
    with ad.record_lines():
        y = np.sin(ad.Tensor(1.0))
    assert any(re.search(r"test_drawing\.py, line \d+", tip) for tip in tips(ad.draw(y)))


def test_a_function_is_drawn_by_what_it_returns():
    with pytest.raises(
        ad.errors.DifferentiationError, match=r"^draw: y is function .*: ad.draw\(f\(ad.Tensor\(x\)\)\) "
    ):
        ad.draw(lambda x: np.sin(x))
    assert "sin" in ad.draw(np.sin(ad.Tensor(1.0))).svg
