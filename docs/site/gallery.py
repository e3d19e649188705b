"""The gallery: the programs in ``examples/`` made ready for sphinx-gallery."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

MAIN = """\
if __name__ == "__main__":
    main()
"""

EXAMPLES = [
    "fluid",
    "higher_derivatives",
    "train_digits",
    "convolutional",
    "gaussian_process",
    "kalman",
    "fft_filter",
    "matrix_factorisation",
    "xor",
]
TUTORIALS = ["ten_minutes", "training", "science"]
# What a program that draws nothing is shown by.
THUMBNAILS = {"xor": "pictures/xor.png"}

HEADER = """\
Gallery
=======

Programs in plain NumPy, and what they draw. Each page ends with its picture, and offers the program and a notebook to
download; all of them run from a clone, too: ``python examples/fluid.py``.
"""


def configuration(docs: Path) -> dict[str, Any]:
    """The settings of sphinx-gallery."""
    return {
        "examples_dirs": [str(docs / "_prepared"), str(docs / "tutorials")],
        "gallery_dirs": [str(docs / "gallery"), str(docs / "learn")],
        "filename_pattern": r"\.py$",
        "within_subsection_order": "docs.site.gallery.place",
        "abort_on_example_error": True,
        "show_memory": False,
        "show_signature": False,
        "min_reported_time": 1_000,
        "write_computation_times": False,
        "remove_config_comments": True,
        "thumbnail_size": (400, 280),
        "reset_modules": ("matplotlib",),
        "image_srcset": ["2x"],
    }


def place(filename: str) -> int:
    """Where a page stands among those of its gallery."""
    return [*TUTORIALS, *EXAMPLES].index(Path(filename).stem)


def prepare(docs: Path) -> None:
    """Write the examples as sphinx-gallery reads them, where they changed."""
    folder = docs / "_prepared"
    folder.mkdir(exist_ok=True)
    texts = {"GALLERY_HEADER.rst": HEADER}
    for source in sorted((docs.parent / "examples").glob("*.py")):
        texts[source.name] = prepared(source.stem, source.read_text(encoding="utf-8"))
    for name, text in texts.items():
        write(folder / name, text)


def prepared(name: str, program: str) -> str:
    """A program whose docstring is a page's beginning, and which runs in a notebook, too."""
    summary = ast.get_docstring(ast.parse(program)) or ""
    title, _, rest = summary.rstrip(".").partition(": ")
    intro = [f"{rest[0].upper()}{rest[1:]}.\n"] if rest else []
    heading = "\n".join([title, "=" * len(title), "", *intro])
    if name in THUMBNAILS:
        heading = f"{heading}\n.. image:: /{THUMBNAILS[name]}\n   :width: 60%\n"
    _, body = program.split(f'"""{summary}"""', 1)
    if not body.endswith(MAIN):
        raise ValueError(f"examples/{name}.py has to end with:\n{MAIN}")
    thumbnail = f"# sphinx_gallery_thumbnail_path = '{THUMBNAILS[name]}'\n" if name in THUMBNAILS else ""
    # A notebook has arguments of its own on the command line.
    call = MAIN.replace("main()", "main([])")
    return f'"""\n{heading}"""\n{body.removesuffix(MAIN)}{thumbnail}# %%\n# What it finds\n# -------------\n\n{call}'


def write(file: Path, text: str) -> None:
    """Write a file if its text changed, so that a second build is short."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
