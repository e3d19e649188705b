"""What is installed: metadata, types, entry points, public names, what an import costs; and the README."""

import importlib
import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import autodiff

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)", README)


def test_version_is_the_metadata_s():
    assert autodiff.__version__ == metadata.version("autodiff")


@pytest.mark.parametrize("package", ["autodiff", "autodiff_backends"])
def test_types_are_installed(package):
    assert resources.files(package).joinpath("py.typed").is_file()


def test_numpy_backend_is_an_entry_point():
    (entry_point,) = metadata.entry_points(group="autodiff.backends", name="numpy")
    assert entry_point.load() is autodiff.get_backend("numpy")


def test_public_names_exist_once():
    assert len(set(autodiff.__all__)) == len(autodiff.__all__)
    assert [name for name in autodiff.__all__ if not hasattr(autodiff, name)] == []


def test_import_brings_in_numpy_alone(tmp_path):
    heavy = {"array_api_compat", "cupy", "dask", "jax", "matplotlib", "scipy", "sklearn", "torch", "tqdm"}
    program = f"import sys, autodiff; print(*sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_readme_program_prints_what_its_comments_say(program, capsys, monkeypatch):
    pyplot = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))
    exec(compile(program, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.splitlines() == PRINTED.findall(program)


def test_readme_has_its_programs():
    assert len(PROGRAMS) == 4
    assert sum(len(PRINTED.findall(program)) for program in PROGRAMS) == 3


@pytest.mark.parametrize("link", LINKS)
def test_readme_link_leads_somewhere(link):
    assert (ROOT / link).exists()
