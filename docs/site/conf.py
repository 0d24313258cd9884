"""The documentation site: the project's pages as they are, checked and put together.

``make docs`` builds it. Every link between pages, and every part of a page that a link
names, has to be there: what is not is an error.
"""

from __future__ import annotations

from haizea import __version__

project = "Haizea"
release = version = __version__
author = "the Haizea authors"
copyright = "the Haizea authors, Apache License 2.0"

extensions = ["myst_parser", "sphinxcontrib.mermaid"]
source_suffix = {".md": "markdown"}
root_doc = "docs/index"
# The source is the whole project, so that links mean what they mean there.
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "docs/site"]
language = "en"

# The anchors of headings are those that a code host makes, as the pages are read there too.
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_title = f"Haizea {release}"
html_show_sourcelink = False
html_copy_source = False
# The front page is at the address of the site itself.
html_extra_path = ["front"]
