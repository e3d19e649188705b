"""Sessions that check the library: `nox` runs the default ones, `nox -s lint` one of them."""

import os
import tarfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "types", "package", "docs"]
nox.options.error_on_missing_interpreters = "CI" in os.environ

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
# Backend -> the extra that installs its library.
BACKENDS = {"numpy": None, "numba": "numba"}
PACKAGES = ["autodiff", "autodiff_backends"]


def build(session: nox.Session) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist, as a release is built."""
    session.install("build")
    out = Path(session.create_tmp(), "dist")
    for stale in out.glob("autodiff-*"):
        stale.unlink()
    session.run("python", "-m", "build", "--outdir", str(out), silent=True)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist.resolve(), wheel.resolve()


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group."""
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session(python=PYTHONS)
@nox.parametrize("backend", list(BACKENDS))
def tests(session: nox.Session, backend: str) -> None:
    """Run the tests of a backend against the built wheel; further arguments go to pytest."""
    _, wheel = build(session)
    extras = ",".join(["test", *filter(None, [BACKENDS[backend]])])
    session.install(f"{wheel}[{extras}]")
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
    """Check the types, strictly."""
    session.install(*group("types"), *PYPROJECT["project"]["dependencies"])
    session.run("mypy")


@nox.session
def package(session: nox.Session) -> None:
    """Check what the sdist and wheel hold, and import the wheel from an unrelated folder."""
    sdist, wheel = build(session)

    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"{package}/{name}" for package in PACKAGES for name in ("__init__.py", "py.typed")}
    if missing := wanted - held:
        session.error(f"the wheel lacks {sorted(missing)}")
    if strays := {name.split("/")[0] for name in held} - {*PACKAGES, wheel_info(wheel)}:
        session.error(f"the wheel would install {sorted(strays)} at the top level")

    with tarfile.open(sdist) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    if missing := {"LICENSE", "README.md", "autodiff", "backends", "pyproject.toml", "tests"} - tops:
        session.error(f"the sdist lacks {sorted(missing)}")

    session.install(str(wheel))
    session.chdir(session.create_tmp())
    session.run("python", "-c", "import autodiff, autodiff_backends; print(autodiff.__version__)")
    session.run("python", "-m", "pip", "check")


def wheel_info(wheel: Path) -> str:
    """Return the name of a wheel's metadata folder."""
    name, version = wheel.name.split("-")[:2]
    return f"{name}-{version}.dist-info"


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples in docstrings and pages, and check links and completeness."""
    _, wheel = build(session)
    session.install(f"{wheel}[test,numba]")
    session.run("pytest", "--doctest-modules", "--pyargs", *PACKAGES)
    session.run("pytest", "tests/test_docs.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against other libraries, print and save the report; further arguments go to the benchmarks."""
    session.install("-e", ".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)
