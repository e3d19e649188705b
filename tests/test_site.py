"""What the site is made of, as far as it needs no Sphinx: tutorials run, lists are complete. nox -s docs builds it."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HOW_TO = sorted((DOCS / "howto").glob("*.md"))


@pytest.fixture
def site(monkeypatch):
    """The package that builds the site."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("docs.site")


@pytest.fixture
def part(site):
    return lambda name: importlib.import_module(f"{site.__name__}.{name}")


@pytest.mark.parametrize("name", ["ten_minutes", "training", "science"])
def test_tutorial_runs_and_draws(name):
    if name == "science":
        pytest.importorskip("scipy")
    pyplot = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    try:
        runpy.run_path(str(DOCS / "tutorials" / f"{name}.py"))
        axes = [axes for number in pyplot.get_fignums() for axes in pyplot.figure(number).axes]
        assert axes
        # What is drawn says what it is; a colour bar is axes, too.
        assert all(one.get_ylabel() for one in axes)
    finally:
        pyplot.close("all")


def test_every_tutorial_has_its_place(part):
    there = {file.stem for file in (DOCS / "tutorials").glob("*.py")}
    assert there == set(part("gallery").TUTORIALS)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda file: file.stem)
def test_example_becomes_a_page_and_a_notebook(part, example):
    gallery = part("gallery")
    text = gallery.prepared(example.stem, example.read_text(encoding="utf-8"))
    docstring = inspect.cleandoc(compile(text, example.name, "exec").co_consts[0])
    title, underline, *_ = docstring.splitlines()
    assert underline == "=" * len(title)
    # The command line of a notebook is not the program's.
    assert text.endswith('if __name__ == "__main__":\n    main([])\n')
    assert example.stem in gallery.EXAMPLES


def test_reference_has_every_public_name_once(part):
    reference = part("reference")
    for name, module in reference.modules().items():
        rows = reference.topics(module)
        found = [member for row in rows.values() for member in row]
        assert sorted(found) == sorted(reference.names(module)), name
    assert set(found) >= {error.__name__ for error in ad.AutodiffError.__subclasses__()}


def test_new_names_are_in_the_reference_by_themselves(part, monkeypatch):
    reference = part("reference")
    monkeypatch.setattr(ad, "brand_new", len, raising=False)
    monkeypatch.setattr(ad, "__all__", [*ad.__all__, "brand_new"])
    assert "brand_new" in reference.topics(ad)["More"]


def test_see_also_comes_before_examples(part):
    reference = part("reference")
    lines = inspect.getdoc(ad.grad).splitlines()
    reference.see_also(None, "function", "autodiff.grad", ad.grad, None, lines)
    assert lines.index("See Also") < lines.index("Examples")
    assert any(line.startswith("autodiff.value_and_grad : ") for line in lines)
    again = list(lines)
    reference.see_also(None, "function", "autodiff.grad", ad.grad, None, again)
    assert again == lines


def test_links_to_files_lead_to_pages(part):
    leads_to = functools.partial(part("links").leads_to, docs=DOCS)
    assert leads_to(ROOT / "examples" / "fluid.py") == "/gallery/fluid.rst"
    assert leads_to(DOCS / "tutorials" / "science.py") == "/learn/science.rst"
    assert leads_to(ROOT / "CONTRIBUTING.md") == "/contributing.md"
    assert leads_to(DOCS / "howto" / "nan.md") == "/howto/nan.md"
    assert leads_to(ROOT / "benchmarks" / "README.md") is None


@pytest.mark.parametrize("page", HOW_TO, ids=lambda file: file.stem)
def test_names_in_how_to_guides_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"\bad\.([a-zA-Z_]+(?:\.[a-zA-Z_]+)*)", text)):
        functools.reduce(getattr, name.split("."), ad)
    for name in set(re.findall(r"`np\.([a-z_0-9.]+)", text)):
        functools.reduce(getattr, name.rstrip(".").split("."), np)
