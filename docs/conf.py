"""What Sphinx makes the site of: the Markdown of this folder, which a forge shows as well, and the docstrings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes

from toloka_airflow import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent

project = "toloka_airflow"
author = "the toloka_airflow authors"
copyright = "the toloka_airflow authors. Apache License 2.0"  # noqa: A001, which is Sphinx's name
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
default_role = "py:obj"
# Blocks of JSON Lines, and of JSON that is shortened.
suppress_warnings = ["misc.highlighting_failure"]

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}
autosummary_generate = True
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"toloka_airflow {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# The search is Sphinx's own: a script and an index beside the pages, so it works from a folder, too.
html_theme_options = {"navigation_with_keys": True}
html_show_sourcelink = False
html_copy_source = False
# Excerpts are fetched, which a browser refuses in a folder: this script asks for them where a server has the site.
html_show_search_summary = False
html_js_files = ["search_summary.js"]
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

LINK_FROM_ROOT = re.compile(r"\]\((?!https?:|#)(?:docs/)?([^)]+)\)")
PART_OF_NAME = re.compile(r"[._]*(?:[A-Z]+(?![a-z])|[A-Z]?[^A-Z._]+)[._]*|.")
EXAMPLE = re.compile(r"^<!-- source of (\w+\.py) -->$", re.MULTILINE)


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put into a page what a forge shows by a link: the changelog, and the source of the examples."""
    # What leads to the README on a forge leads to the first page here.
    source[0] = re.sub(r"\]\((\.\./)+README\.md(#[^)]*)?\)", "](/index.md)", source[0])
    if docname == "changelog":
        source[0] = LINK_FROM_ROOT.sub(r"](\1)", (ROOT / "CHANGELOG.md").read_text())
    if docname == "examples":
        source[0] = EXAMPLE.sub(r"```{literalinclude} ../dags_examples/\1\n:language: python\n```", source[0])


def let_names_wrap(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let a line of the API reference end behind a part of a name, and not within it: a phone is narrower than most."""
    if not docname.startswith("_reference/"):
        return
    for kind in (nodes.title, addnodes.desc_addname, addnodes.desc_name):
        for text in [text for named in doctree.findall(kind) for text in named.findall(nodes.Text)]:
            parts = PART_OF_NAME.findall(text)
            wrapped = [each for part in parts for each in (nodes.Text(part), nodes.raw("", "<wbr>", format="html"))]
            text.parent.replace(text, wrapped[:-1])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what is above; Pygments has no colours for a table."""
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", fill_in)
    app.connect("doctree-resolved", let_names_wrap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
