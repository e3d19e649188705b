"""CONTRIBUTING's recipes, done to a copy of the tree: what they add is there, differentiates, and runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autodiff
import autodiff_backends

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The first line of a block that goes into a file.
PLACE = re.compile(r"# (?P<file>\S+\.py)(?:, (?P<how>in|before) (?P<name>\w+))?\n")

# Held to NumPy and to finite differences as the rows of the table are, on NumPy and on the recipe's backend.
CHECK = """
import sys
import shelves
import autodiff as ad
from tests.conformance import checks
from tests.conformance.table import CASES

ad.register_backend("shelves", shelves.backend)
added = [case for case in CASES if getattr(case.covers[0], "__name__", "") in sys.argv[1:]]
assert {case.covers[0].__name__ for case in added} == set(sys.argv[1:])
for case in added:
    for backend in (ad.get_backend(), shelves.backend):
        checks.check_value(case, case.arrays(), backend)
        if case.gradient == "none":
            continue
        checks.check_reverse(case, case.arrays(), backend)
        checks.check_forward(case, case.arrays(), backend)
        checks.check_second_order(case, case.arrays(), backend)

from docs import functions
page = functions.page()
assert "| `np.ediff1d` | yes | `" in page
assert "| `np.convolve` | yes |" in page
assert "the correlation with the other vector" in page
print(len(added), "rows hold")
"""

# A backend of a page computes all that is recorded.
WHOLE = """
import warnings
import pytest
import shelves
import autodiff as ad
from autodiff.numpy_api.answers import ANSWERS
from tests.conformance import checks
from tests.conformance.table import CASES

ad.register_backend("shelves", shelves.backend)
warnings.simplefilter("ignore")
# Questions about values are answered for NumPy's arrays only.
rows = [case for case in CASES if getattr(case.covers[0], "__name__", "") not in ANSWERS]
missing = 0
for case in rows:
    try:
        with checks.capable(shelves.backend):
            checks.check_value(case, case.arrays(), shelves.backend)
    except pytest.skip.Exception:  # NumPy itself has no such function
        missing += 1
assert missing < 0.01 * len(rows)
print(len(rows) - missing, "rows hold")
"""


def put(root: Path, block: str) -> None:
    """Write a block into the file that its first line names."""
    place = PLACE.match(block)
    assert place is not None
    file, body = root / place["file"], block[place.end() :]
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if body in text:
        return
    if place["how"] is None:
        text += f"\n\n{body}" if text else body
    else:
        (line,) = re.findall(rf"^{place['name']}\b.*= [\[{{(]\n", text, re.MULTILINE)
        text = text.replace(line, line + body if place["how"] == "in" else f"{body}\n\n{line}")
    file.write_text(text, encoding="utf-8")


def run(root: Path, *arguments: str) -> str:
    """Run Python on the copy."""
    paths = os.pathsep.join([str(root), str(root / "backends")])
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "AUTODIFF_CACHE_DIR": "0"}
    # Warnings are errors here too.
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which the recipes have been followed."""
    root = tmp_path_factory.mktemp("copy")
    library = {"autodiff": autodiff, "backends/autodiff_backends": autodiff_backends}
    folders = {name: Path(str(module.__file__)).parent for name, module in library.items()}
    folders |= {name: ROOT / name for name in ("docs", "tests/conformance")}
    for name, folder in folders.items():
        shutil.copytree(folder, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "tests/__init__.py", "tests/import_graph.py"):
        shutil.copy(ROOT / file, root / file)
    for block in BLOCK.findall(TEXT):
        if PLACE.match(block):
            put(root, block)
    return root


def test_functions_of_the_recipes_are_in_the_tree() -> None:
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
    for title in ("Adding a NumPy function", "Adding a primitive and its rule"):
        for block in BLOCK.findall(sections[title]):
            place = PLACE.match(block)
            if place is not None:
                assert block[place.end() :] in (ROOT / place["file"]).read_text(encoding="utf-8"), block


def test_every_block_is_part_of_a_recipe_or_of_its_session() -> None:
    blocks = BLOCK.findall(TEXT)
    assert all(PLACE.match(block) or block.startswith(">>>") for block in blocks)
    assert len([block for block in blocks if PLACE.match(block)]) == 11


def test_a_composite_touches_one_source_file_and_a_primitive_three() -> None:
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
    files = {
        title: {place["file"] for block in BLOCK.findall(text) if (place := PLACE.match(block))}
        for title, text in sections.items()
    }
    assert {file.split("/")[0] for found in files.values() for file in found} == {"autodiff", "tests", "shelves.py"}
    sources = {title: [file for file in found if file.startswith("autodiff")] for title, found in files.items()}
    assert len(sources["Adding a NumPy function"]) == 1
    assert len(sources["Adding a primitive and its rule"]) == 3


def test_what_the_recipes_add_is_held_to_finite_differences(copy: Path) -> None:
    assert int(run(copy, "-c", CHECK, "ediff1d", "convolve").split()[0]) > 8


@pytest.mark.skipif(not hasattr(np, "cumulative_sum"), reason="this NumPy does not have all of the standard's names")
def test_the_backend_of_the_recipe_computes_the_whole_table(copy: Path) -> None:
    assert int(run(copy, "-c", WHOLE).split()[0]) > 2000


def test_sessions_print_what_they_say(copy: Path) -> None:
    sessions = "\n".join([block for block in BLOCK.findall(TEXT) if block.startswith(">>>")])
    (copy / "sessions.txt").write_text(sessions, encoding="utf-8")
    # No output is what doctest has to say when all is well; a session that asks nothing would say it too.
    assert run(copy, "-m", "doctest", "-o", "NORMALIZE_WHITESPACE", "-o", "ELLIPSIS", "sessions.txt") == ""
    assert sessions.count(">>>") > 10


def test_a_primitive_without_a_rule_is_refused(copy: Path, tmp_path: Path) -> None:
    rules = copy / "autodiff" / "rules" / "arrays.py"
    text = rules.read_text(encoding="utf-8")
    try:
        rules.write_text(
            text.replace("    Multilinear(\n        ops.convolve_p,", "    Multilinear(\n        ops.matmul_p,"),
            encoding="utf-8",
        )
        with pytest.raises(AssertionError, match="two derivative rules"):
            run(copy, "-c", "import autodiff")
        rules.write_text(
            re.sub(r"    Multilinear\(\n        ops\.convolve_p,.*?^    \),\n", "", text, flags=re.M | re.S)
        )
        with pytest.raises(AssertionError, match="without a derivative rule: convolve"):
            run(copy, "-c", "import autodiff")
    finally:
        rules.write_text(text, encoding="utf-8")
