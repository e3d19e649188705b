"""The site: ``nox -s docs`` builds it, and so does ``sphinx-build -W docs FOLDER`` where ``.[docs]`` is installed.

Pages are Markdown, and read well where they lie, too. What is made of the code is made here: the reference from
``__all__``, the gallery from ``examples/``, the tutorials from ``docs/tutorials/``, and ``llms.txt`` from the table of
contents.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
# Last, so that an installed autodiff comes before that of the checkout.
sys.path.append(str(HERE.parent))

import autodiff as ad  # noqa: E402
from docs.site import gallery, links, llms, reference  # noqa: E402

project = "autodiff"
author = copyright = "the autodiff developers"
version = release = ad.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_prepared", "tutorials", "site", "**/GALLERY_HEADER.rst", "**/sg_execution_times.rst"]
suppress_warnings = ["config.cache"]

# --- Markdown --------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# --- the reference ---------------------------------------------------------------------------------------------------

autosummary_generate = True
autosummary_generate_overwrite = True
templates_path = ["site/templates"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "scipy": ("https://docs.scipy.org/doc/scipy", None),
    "cupy": ("https://docs.cupy.dev/en/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
}
intersphinx_timeout = 5


def _not_about_inventories(record: logging.LogRecord) -> bool:
    """A machine without the network builds the site, too: then names of other libraries are no links."""
    return "failed to reach any of the inventories" not in str(record.msg)


logging.getLogger("sphinx.sphinx.ext.intersphinx").addFilter(_not_about_inventories)

# --- the gallery and the tutorials -----------------------------------------------------------------------------------

# Progress bars are for those who wait.
os.environ["TQDM_DISABLE"] = "1"
sphinx_gallery_conf = gallery.configuration(HERE)

# --- how it looks ----------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "autodiff"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {"text": "autodiff"},
    "navbar_align": "left",
    "show_nav_level": 1,
    "navigation_depth": 3,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
    "back_to_top_button": False,
}


def setup(app: Sphinx) -> None:
    """Connect what makes pages; what writes sources does so before Sphinx looks which there are."""
    app.connect("config-inited", lambda app, config: gallery.prepare(HERE))
    app.connect("config-inited", lambda app, config: reference.write(HERE))
    app.connect("source-read", links.mend)
    app.connect("source-read", gallery.picture_first)
    app.connect("autodoc-process-docstring", reference.see_also, priority=100)
    app.connect("build-finished", llms.write)
