"""The documentation: its Python blocks run and print what they say, links lead somewhere, and lists are complete."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.util
import io
import re
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff import backend, dispatch, nodes, rules
from autodiff.plan import simplify
from autodiff_backends.numpy import primitives as _numpy_primitives
from autodiff_backends.numpy import reference as _numpy_reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(ROOT)): page for page in [*ROOT.glob("*.md"), *sorted(DOCS.glob("*.md"))]}
TEXTS = {name: page.read_text(encoding="utf-8") for name, page in PAGES.items()}

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
# How sources of formulas begin; the others say what is chosen where there is no derivative.
FORMULAS = ("DLMF", "Giles", "Golub", "Walter")
NUMPY_NAME = re.compile(r"`np\.([\w.]+)`")

# What pages add to: put back afterwards.
TABLES = (
    backend._loaded,
    backend._registered,
    dispatch.FUNCTIONS,
    dispatch.UFUNCS,
    nodes.PRIMITIVES,
    rules.TABLE,
    _numpy_reference.SPECIAL,
    _numpy_primitives.WRITERS,
)


@pytest.fixture
def _unchanged():
    before = [dict(table) for table in TABLES]
    yield
    for table, entries in zip(TABLES, before):
        table.clear()
        table.update(entries)


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


@pytest.mark.usefixtures("_unchanged", "_no_window")
@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if BLOCK.search(text)])
def test_blocks_run_and_print_what_they_say(name):
    text = TEXTS[name]
    namespace = {"__name__": "__main__"}
    for match in BLOCK.finditer(text):
        block = match[1]
        if "import autodiff as ad" in block:
            # Complete by itself: nothing of the blocks before is needed.
            namespace = {"__name__": "__main__"}
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
    assert sum(len(PRINTED.findall(block)) for block in blocks) == 3


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


def listed(heading):
    """The NumPy functions in a section of the page of functions, those of newer NumPy versions left out."""
    found = set()
    for name in NUMPY_NAME.findall(section("docs/functions.md", heading)):
        value = np
        for part in name.split("."):
            value = getattr(value, part, None)
        found.add(value)
    return found - {None}


def named(functions):
    return sorted(function.__name__ for function in functions)


def state(ufunc):
    """What a ufunc's rule says: a State that all of its arguments are in, or None."""
    primitive = dispatch.UFUNCS[ufunc]
    if not isinstance(primitive, nodes.Primitive):
        return None
    states = {rules.TABLE[primitive].argument(i) for i in range(ufunc.nin)}
    return states.pop() if len(states) == 1 and states <= {rules.ZERO, rules.NONDIFFERENTIABLE} else None


@pytest.mark.parametrize(
    ("heading", "expected"),
    [("With a derivative", None), ("Derivative zero", rules.ZERO), ("No derivative", rules.NONDIFFERENTIABLE)],
)
def test_functions_page_has_the_ufuncs(heading, expected):
    recorded = {ufunc for ufunc in dispatch.UFUNCS if state(ufunc) is expected}
    assert named(recorded - listed(heading)) == []
    assert named(listed(heading) - recorded) == []


def test_functions_page_has_the_functions():
    found = listed("Array functions") | listed("Answers about a Tensor")
    assert named(set(dispatch.FUNCTIONS) - found) == []
    assert named(found - set(dispatch.FUNCTIONS)) == []


def test_functions_page_has_the_methods():
    text = section("docs/functions.md", "Attributes and methods of a Tensor")
    public = {name for name in dir(ad.Tensor) if not name.startswith("_")}
    assert set(re.findall(r"`(\w+)`", text)) == public | {"_i"}


# Primitives whose choice shows in a NumPy function of another name.
SHOWS_IN = {"masked_multiply": "where", "root_of_squares": "std"}


def test_semantics_page_has_the_choices_of_the_rules():
    text = section("docs/semantics.md", "Points without a derivative")
    stated = {}
    for functions, choice in re.findall(r"^\| (`np\..*`) \| (.*) \|$", text, re.MULTILINE):
        for name in NUMPY_NAME.findall(functions):
            stated[getattr(np, name).__name__] = choice.replace("\\|", "|")
    choices = {
        SHOWS_IN.get(primitive.name, primitive.name): rule.source
        for primitive, rule in rules.TABLE.items()
        if rule.source and not rule.source.startswith(FORMULAS)
    }
    assert stated == choices


def test_internals_page_has_the_layers():
    layers = re.findall(r"^\| `(\w+)(?:\.py|/)` \|", TEXTS["docs/internals.md"], re.MULTILINE)
    folder = Path(ad.__file__).parent
    there = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(layers) == there - {"__init__"}


def test_internals_page_shows_simplification_as_it_is():
    assert simplify.ROWS[0].equation in TEXTS["docs/internals.md"]


# --- what backends support -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def support_table():
    spec = importlib.util.spec_from_file_location("support_table", DOCS / "support_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("place", range(6))
def test_support_page_has_what_backends_declare(support_table, place):
    name = list(support_table.COLUMNS)[place]
    declared = support_table.column(name)
    if declared is None:
        pytest.skip(f"the library of {name} is not installed")
    rows = [line.strip("| ").split(" | ") for line in TEXTS["docs/support.md"].splitlines() if line.startswith("|")]
    header = next(row for row in rows if name in row)
    stated = {row[0]: row[header.index(name)] for row in rows if len(row) == len(header) and row[1] in ("yes", "-")}
    assert stated == declared
