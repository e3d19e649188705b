"""The gallery: the programs in ``examples/`` made ready for sphinx-gallery."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MAIN = """\
if __name__ == "__main__":
    main()
"""

# In the order of their pages.
EXAMPLES = [
    "fluid",
    "higher_derivatives",
    "train_digits",
    "convolutional",
    "transformer",
    "data_parallel",
    "gaussian_process",
    "kalman",
    "fft_filter",
    "matrix_factorisation",
    "xor",
]
TUTORIALS = ["ten_minutes", "training", "science"]
# What a program is shown by that draws nothing here.
THUMBNAILS = {"xor": "pictures/xor.png", "data_parallel": "pictures/data_parallel.png"}
# What begins processes that import it again.
NOT_RUN = ["data_parallel"]

PICTURE = re.compile(r"^\.\. image-sg:: .*\n(?:   .*\n)+", re.MULTILINE)

HEADER = """\
Gallery
=======

Programs in plain NumPy, and what they draw. Each page begins with its picture, and has the program
and a notebook to download at its end. All of them run from a clone, too: ``python examples/fluid.py``.
What trains on several processes is shown here and not run.
Nothing runs in the page itself, which would have to load an interpreter from another server; notebooks run anywhere.
"""


def configuration(docs: Path) -> dict[str, Any]:
    """The settings of sphinx-gallery."""
    return {
        "examples_dirs": [str(docs / "_prepared"), str(docs / "tutorials")],
        "gallery_dirs": [str(docs / "gallery"), str(docs / "learn")],
        "filename_pattern": rf"/(?!{'|'.join(NOT_RUN)})\w+\.py$",
        "within_subsection_order": "docs.site.gallery.place",
        "abort_on_example_error": True,
        "show_memory": False,
        "show_signature": False,
        "min_reported_time": 1_000,
        "write_computation_times": False,
        "remove_config_comments": True,
        "ignore_repr_types": r"matplotlib\.",
        "thumbnail_size": (400, 280),
        "reset_modules": ("matplotlib",),
        "image_srcset": ["2x"],
    }


def place(filename: str) -> tuple[int, str]:
    """Where a page stands among those of its gallery: one that no list has comes last."""
    order, name = [*TUTORIALS, *EXAMPLES], Path(filename).stem
    return order.index(name) if name in order else len(order), name


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
    first, _, usage = summary.partition("\n\n")
    title, _, rest = first.rstrip(".").partition(": ")
    intro = [f"{rest[0].upper()}{rest[1:]}.\n"] if rest else []
    if usage:
        intro.append(f"::\n\n{indent(usage, '    ')}\n")
    heading = "\n".join([title, "=" * len(title), "", *intro])
    if name in THUMBNAILS:
        heading = f"{heading}\n.. image:: /{THUMBNAILS[name]}\n   :width: 60%\n"
    lines = program.splitlines(keepends=True)
    body = "\n" + "".join(lines[ast.parse(program).body[0].end_lineno :])
    if not body.endswith(MAIN):
        raise ValueError(f"examples/{name}.py has to end with:\n{MAIN}")
    thumbnail = f"# sphinx_gallery_thumbnail_path = '{THUMBNAILS[name]}'\n" if name in THUMBNAILS else ""
    # A notebook has arguments of its own on the command line.
    call = MAIN.replace("main()", "main([])")
    return f'"""\n{heading}"""\n{body.removesuffix(MAIN)}{thumbnail}# %%\n# What it finds\n# -------------\n\n{call}'


def picture_first(app: Sphinx, page: str, source: list[str]) -> None:
    """Show what a program draws above its lines."""
    drawn = PICTURE.search(source[0])
    if page.startswith("gallery/") and drawn is not None:
        program = source[0].index(".. GENERATED FROM PYTHON SOURCE")
        before, between, after = source[0][:program], source[0][program : drawn.start()], source[0][drawn.end() :]
        source[0] = f"{before}{drawn[0]}\n{between}{after}"


def write(file: Path, text: str) -> None:
    """Write a file if its text changed, so that a second build is short."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
