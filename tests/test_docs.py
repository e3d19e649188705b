"""The documentation: its Python blocks run and print what they say, links lead somewhere, and lists are complete."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.util
import io
import re
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import autodiff as ad
from autodiff import dispatch
from autodiff.plan import simplify

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(ROOT)): page for page in [*ROOT.glob("*.md"), *sorted(DOCS.rglob("*.md"))]}
TEXTS = {name: page.read_text(encoding="utf-8") for name, page in PAGES.items()}

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
NUMPY_NAME = re.compile(r"`np\.([\w.]+)`")


@pytest.fixture
def _unchanged():
    """The guide adds a function, which is taken out again."""
    with mock.patch.dict(dispatch.FUNCTIONS):
        yield


@pytest.fixture
def _no_window(monkeypatch):
    pyplot = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))


# --- blocks ----------------------------------------------------------------------------------------------------------


def run_session(block, namespace, where, line):
    """Run a block of ``>>>`` lines as a doctest."""
    test = doctest.DocTestParser().get_doctest(block, {}, where, where, line)
    test.globs = namespace
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    failed = runner.run(test, out=report.write, clear_globs=False).failed
    assert not failed, report.getvalue()


def run_program(block, namespace, where, line):
    """Run a block without prompts; what it prints stands in comments behind the prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * line + block, where, "exec"), namespace)
    assert printed.getvalue().splitlines() == PRINTED.findall(block), f"{where}, line {line + 1}"


# Libraries that a page may import, and not everybody has.
OPTIONAL = re.compile(r"^(?:>>> )?import (dask|torch)\b", re.MULTILINE)

# The blocks of CONTRIBUTING belong to files: tests/test_contributing.py puts them there.
RUN = [name for name, text in TEXTS.items() if BLOCK.search(text) and name != "CONTRIBUTING.md"]


@pytest.mark.usefixtures("_unchanged", "_no_window")
@pytest.mark.parametrize("name", RUN)
def test_blocks_run_and_print_what_they_say(name):
    text = TEXTS[name]
    namespace = {"__name__": "__main__"}
    for match in BLOCK.finditer(text):
        block = match[1]
        if "import autodiff as ad" in block:
            # Complete by itself: nothing of the blocks before is needed.
            namespace = {"__name__": "__main__"}
        if any(importlib.util.find_spec(library) is None for library in OPTIONAL.findall(block)):
            # `nox -s docs` has them.
            continue
        run = run_session if block.startswith(">>>") else run_program
        run(block, namespace, str(PAGES[name]), text.count("\n", 0, match.start(1)))


@pytest.mark.parametrize("name", TEXTS)
def test_code_lines_are_not_longer_than_120(name):
    code = "".join(BLOCK.findall(TEXTS[name]))
    assert [line for line in code.splitlines() if len(line) > 120] == []


def test_readme_programs_are_complete_and_checked():
    blocks = BLOCK.findall(TEXTS["README.md"])
    assert len(blocks) == 4
    assert all("import autodiff as ad" in block for block in blocks)
    assert sum(len(PRINTED.findall(block)) for block in blocks) == 6


def test_readers_are_told_figures_and_no_targets():
    pages = [TEXTS[name] for name in ("README.md", "docs/benchmarks.md", "docs/benchmarks-figures.md")]
    assert not [page for page in pages if re.search(r"MISSED|\btargets?\b", page)]


# --- links -----------------------------------------------------------------------------------------------------------


def anchors(text):
    """The anchors of a page's headings, as its readers' browsers know them."""
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text)]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize(
    ("name", "link"), [(name, link) for name, text in TEXTS.items() for link in dict.fromkeys(LINK.findall(text))]
)
def test_link_leads_somewhere(name, link):
    path, _, anchor = link.partition("#")
    target = (PAGES[name].parent / path).resolve() if path else PAGES[name]
    assert target.exists()
    if anchor:
        assert anchor in anchors(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["guide.md", "semantics.md", "functions.md", "internals.md", "decisions.md"])
def test_readme_leads_to_every_page(name):
    assert f"docs/{name}" in LINK.findall(TEXTS["README.md"])


# --- completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ad.__all__)
def test_public_name_is_documented(name):
    text = TEXTS["docs/guide.md"] + TEXTS["docs/functions.md"] + TEXTS["docs/semantics.md"]
    assert re.search(rf"\bad\.{name}\b", text)


@pytest.mark.parametrize("name", ad.optim.__all__)
def test_guide_has_what_trains(name):
    assert re.search(rf"`(ad\.optim\.)?{name}`", section("docs/guide.md", "Training"))


def test_guide_has_the_errors():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", TEXTS["docs/guide.md"], re.MULTILINE)
    assert dict(rows) == {error.__name__: error.__bases__[1].__name__ for error in ad.AutodiffError.__subclasses__()}


def section(name, heading):
    """The text between a heading of a page and the next one."""
    (found,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", TEXTS[name], re.MULTILINE | re.DOTALL)
    return found


def test_internals_page_shows_simplification_as_it_is():
    assert simplify.ROWS[0].equation in TEXTS["docs/internals/graphs.md"]


# --- generated pages -------------------------------------------------------------------------------------------------


@pytest.fixture
def generate(monkeypatch):
    """The module that writes pages."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("docs.generate")


def cells(text):
    """The rows of a page's tables."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


PICTURES = ("pictures/derivative.svg", "pictures/house.svg", "pictures/loop.svg")


# Those of backends need all libraries: see below.
@pytest.mark.parametrize("page", ["decisions.md", "functions.md", "house.md", "internals.md", *PICTURES])
def test_page_is_what_the_generator_writes(generate, page):
    if page == "functions.md" and not np.__version__.startswith("2.4."):
        pytest.skip("the page has the names of NumPy 2.4")
    stands = (DOCS / page).read_text(encoding="utf-8")
    if "`scipy." in stands:
        pytest.importorskip("scipy")
    assert generate.PAGES[page]() == stands, f"write it again: {generate.COMMAND}"


def test_every_generated_page_is_compared(generate):
    assert generate.PAGES.keys() == {
        "decisions.md", "functions.md", "house.md", "internals.md", *PICTURES, "support.md",
    }  # fmt: skip


def test_arrows_that_longer_ways_stand_for_are_left_out(generate):
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert generate.house.reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_every_room_is_drawn(generate):
    drawn = set(re.findall(r">([\w/]+)</text></g>", generate.house.picture()))
    assert drawn == {generate.house.short(room) for room in generate.house.rooms()}


@pytest.mark.parametrize(
    ("size", "steps", "error"),
    [
        (11, ("Handle.value", "Tensor.__array_ufunc__"), "the order is"),
        (12, ("Tensor.__array_ufunc__", "nobody"), "does not come through nobody"),
        (13, ("result_dtype", "broadcast_shapes"), "goes back to"),
    ],
)
def test_a_walk_has_to_be_true(generate, size, steps, error):
    def prepared():
        t = ad.Tensor(np.ones((3, 1, size)))
        return lambda: np.cos(t).value

    with pytest.raises(LookupError, match=error):
        generate.walks.walked(generate.walks.Walk("a walk", prepared, tuple((name, "") for name in steps)))


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (np.sin, "yes"), (np.heaviside, "yes"), (np.sign, "yes"), (np.einsum, "yes"), (np.linalg.solve, "yes"),
        (np.floor, "zero"), (np.floor_divide, "zero"), (np.round, "zero"), (np.zeros_like, "zero"),
        (np.less, "none"), (np.argmax, "none"), (np.count_nonzero, "none"), (np.nonzero, "none"),
    ],
)  # fmt: skip
def test_generator_tells_derivatives(generate, function, derivative):
    assert generate.functions.recorded()[function].derivative == derivative


def test_generator_tells_choices(generate):
    found = generate.functions.recorded()
    assert "0 at 0" in found[np.abs].notes
    assert "`root_of_squares`: minimum-norm" in found[np.std].notes
    assert found[np.mean].notes == ""


def test_generator_tells_what_a_backend_lacks(generate):
    only_real = {"sqrt of complex numbers": "no complex root"}
    assert generate.support.lacking([np.sqrt, np.sin], only_real) == {
        "`np.sqrt` of complex numbers": ["no complex root"]
    }
    without = generate.support.lacking(
        [np.tanh, np.sin, np.arctan2, np.linalg.norm], {"cosh": "no cosh", "hypot": "no hypot"}
    )
    # The slopes of these are compositions that have those primitives.
    assert without == {"`np.tanh`": ["no cosh"], "`np.arctan2`": ["no hypot"]}


@pytest.mark.parametrize("place", range(6))
def test_support_page_has_what_backends_declare(generate, place):
    name = list(generate.support.COLUMNS)[place]
    declared = generate.support.column(name)
    if declared is None:
        pytest.skip(f"the library of {name} is not installed")
    rows = [row for row in cells(TEXTS["docs/support.md"]) if len(row) == len(generate.support.COLUMNS) + 1]
    header = next(row for row in rows if name in row)
    stated = {row[0]: row[header.index(name)] for row in rows if name not in row and not row[0].startswith("---")}
    assert stated == declared, f"write the page again: {generate.COMMAND}"


def test_support_page_is_what_the_generator_writes(generate):
    if None in [generate.support.column(name) for name in generate.support.COLUMNS]:
        pytest.skip("a column's library is not installed")
    assert generate.support.page() == TEXTS["docs/support.md"], f"write it again: {generate.COMMAND}"
