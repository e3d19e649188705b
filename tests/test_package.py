"""What is installed: metadata, types, entry points, public names, what an import brings in."""

import ast
import re
import subprocess
import sys
from importlib import import_module, metadata, resources
from pathlib import Path

import pytest

import autodiff

ROOT = Path(__file__).parents[1]

DISTRIBUTION = "autodiff-numpy"

# What would install the unrelated package that has the import's name on the public index.
STRANGER = re.compile(
    r"""(?<![\w.-]) autodiff \[ [a-z]  # extras of it
      | \binstall\b [^\n#|]*? (?<![\w./<-]) autodiff (?![\w./-])  # a command that names it
    """,
    re.VERBOSE,
)


def test_version_is_the_metadata_s():
    assert autodiff.__version__ == metadata.version(DISTRIBUTION)


@pytest.mark.parametrize(
    "text",
    [
        "pip install autodiff",
        'pip install "autodiff[llvm]"',
        "pip install 'autodiff>=0.1'",
        "uv pip install -U numpy autodiff",
        'test = ["pytest", "autodiff[examples]"]',
        'requires = ["autodiff[llvm]>=1"]',
    ],
)
def test_the_stranger_is_recognised(text):
    assert STRANGER.search(text)


@pytest.mark.parametrize(
    "text", ["pip install autodiff-numpy", 'pip install "autodiff-numpy[llvm]"', 'pip install ".[llvm]"']
)
def test_our_own_name_is_not(text):
    assert not STRANGER.search(text)


def test_no_text_installs_the_stranger():
    folders = ["autodiff", "backends", "benchmarks", "docs", "examples", "tests", ".ci"]
    files = [path for path in ROOT.iterdir() if path.suffix in {".md", ".py", ".toml"}]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    read = [path for path in files if path.suffix in {".md", ".py", ".toml", ""} and path != Path(__file__)]
    assert len(read) > 100
    offers = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in read
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if STRANGER.search(line)
    ]
    assert offers == []


@pytest.mark.parametrize("package", ["autodiff", "autodiff_backends"])
def test_types_are_installed(package):
    assert resources.files(package).joinpath("py.typed").is_file()


def test_numpy_backend_is_an_entry_point():
    offered = metadata.distribution(DISTRIBUTION).entry_points
    (entry_point,) = offered.select(group="autodiff.backends", name="numpy")
    assert entry_point.load() is autodiff.get_backend("numpy")


def test_public_names_exist_once():
    assert len(set(autodiff.__all__)) == len(autodiff.__all__)
    assert [name for name in autodiff.__all__ if not hasattr(autodiff, name)] == []


def test_what_a_topic_of_ops_defines_is_in_ops():
    """A name of two topics would be in ``ops`` once."""
    names = []
    # Those of SciPy are in a namespace of their own.
    for path in set((ROOT / "autodiff" / "ops").glob("[a-z]*.py")) - {ROOT / "autodiff" / "ops" / "special.py"}:
        topic = import_module(f"autodiff.ops.{path.stem}")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = getattr(node, "targets", [getattr(node, "target", node)])
            found = [getattr(target, "name", getattr(target, "id", "_")) for target in targets]
            names += [(name, topic) for name in found if not name.startswith("_")]
    assert [name for name, topic in names if getattr(topic, name) is not getattr(autodiff.ops, name, None)] == []
    assert len(names) > 150
    assert len(dict(names)) == len(names)


def test_import_brings_in_numpy_alone(tmp_path):
    heavy = {
        "autodiff.optim",
        "autodiff.testing",
        "array_api_compat",
        "cupy",
        "dask",
        "jax",
        "matplotlib",
        "scipy",
        "sklearn",
        "torch",
        "tqdm",
    }
    program = f"import sys, autodiff; print(*sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert result.stdout.strip() == ""
