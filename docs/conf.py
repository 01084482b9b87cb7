"""Builds the manual (`make manual`) from the repository's own Markdown pages, as GitHub shows them.

Sphinx is run from the repository's root, so that README.md and its neighbours are pages like all others and
every link means the same here and there. The table of contents is the list of links in `docs/index.md`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Tokenbourse"
author = "Tokenbourse"
language = "en_GB"

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/**.md"]
exclude_patterns = [".*", "build", "data", "deploy", "dist", "bench", "tests", "exchange", "feeds"]
exclude_patterns += ["matching", "settlement"]

myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "Tokenbourse"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_permalinks_icon = "#"
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["_static"]
html_css_files = ["manual.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "door.html"}

_CHAPTER = re.compile(r"^## (.+)\n((?:.+\n|\n(?!## ))*)", re.MULTILINE)
_LINK = re.compile(r"\]\(([\w./-]+)\.md\)")


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Append a hidden table of contents to the first page: under each title the pages that it links."""
    if name != root_doc:
        return
    for title, text in _CHAPTER.findall(source[0]):
        pages = "\n".join(dict.fromkeys(_LINK.findall(text)))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Have the table of contents made while the first page is read."""
    app.connect("source-read", add_contents)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
