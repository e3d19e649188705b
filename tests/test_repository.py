"""What stands beside the library: the same facts in several files agree, and workflows call sessions that exist."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(lines):
    """Requirements without spaces, and without the extras of a package, of which conda has none."""
    return {re.sub(r"\s|\[.*\]", "", line) for line in lines}


def test_the_citation_is_of_this_version():
    citation = read("CITATION.cff")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    names = re.search(r"^authors:\n((?:  .*\n)+)", citation, re.MULTILINE)[1]
    assert re.findall(r"- name: (.*)", names) == [author["name"] for author in PROJECT["authors"]]


def test_the_recipe_has_the_requirements_of_the_package():
    recipe = read("recipe/recipe.yaml")
    assert f"\n  version: {PROJECT['version']}\n" in recipe

    def section(name):
        found = re.search(rf"^  {name}:\n((?:    .*\n)+)", recipe, re.MULTILINE)[1]
        return requirements(line.strip().removeprefix("- ") for line in found.splitlines())

    assert section("run") == {*requirements(PROJECT["dependencies"]), f"python{PROJECT['requires-python']}"}
    extras = requirements(
        line for name in ("llvm", "special", "dask", "torch") for line in PROJECT["optional-dependencies"][name]
    )
    assert section("run_constraints") == {line.replace("torch", "pytorch") for line in extras}


def test_there_are_workflows():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_sessions_that_exist(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(read("noxfile.py"))
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    lists = re.findall(r"session: \[(.*)\]$", text, re.MULTILINE)
    called = re.findall(r"\w+(?:-[\d.]+)?(?:\(backend='\w+'\))?", ", ".join(lists).replace('"', ""))
    called += re.findall(r'session: "(.*?)"', text) + re.findall(r"--session (\w+)", text)
    assert called
    assert {re.match(r"\w+", name)[0] for name in called} <= sessions
    backends = ast.literal_eval(
        next(
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BACKENDS"
        )
    )
    assert {name for call in called for name in re.findall(r"'(\w+)'", call)} <= set(backends)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path):
    used = re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def test_workflows_run_where_users_are():
    ci = read(".github/workflows/ci.yml")
    assert {"ubuntu-latest", "windows-latest", "macos-latest"} <= set(re.findall(r"[\w]+-latest", ci))
    versions = {line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert set(re.findall(r'python: "(.*?)"', ci)) | set(re.findall(r'python: \["(.*?)"\]', ci)) == versions
