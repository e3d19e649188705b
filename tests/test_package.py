"""What is installed: metadata, types, entry points, public names, what an import brings in."""

import subprocess
import sys
from importlib import metadata, resources

import pytest

import autodiff


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
    heavy = {
        "autodiff.optim",
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
