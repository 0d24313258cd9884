"""Pages for browsers: the web interface at ``/``, and the interface's description at ``/docs``.

Both are files without anything from elsewhere, the same wherever they run: a browser cannot
show a token before it has a page. Data come from the interface alone.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import fastapi_offline
from fastapi import APIRouter, Request, Response

from haizea.api.interface import Here
from haizea.api.problems import not_found
from haizea.web.files import WebFile, page, version, web_file

router = APIRouter()
PATH, DOCS_PATH = "/", "/docs"
_FILES, _VIEWER = "/web/", "/docs/viewer/"

#: Nothing but the service's own files, and nothing that is in the page itself.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: A page of ours makes no markup out of text.
_OWN_POLICY = f"{_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"
_FOR_EVER = "public, max-age=31536000, immutable"

_VIEWER_FILES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}


def has(path: str) -> bool:
    """Tell whether this is the address of a page or of a part of one: anybody may have it."""
    return path in {PATH, DOCS_PATH} or path.startswith((_FILES, _VIEWER))


@router.get(PATH, include_in_schema=False)
async def show_page(request: Request, here: Here) -> Response:
    """The web interface; it says whether to ask who signed in, or for credentials at once."""
    known = here.identities.shown(request.scope) is not None
    text = page("index.html")
    for name, said in (("session", known), ("passwords", here.identities.take_passwords)):
        text = text.replace(f"{{{{{name}}}}}", "yes" if said else "no")
    return _page(text, _OWN_POLICY)


@router.get(DOCS_PATH, include_in_schema=False)
async def show_description(here: Here) -> Response:
    """The description of the HTTP interface, with forms to try it."""
    return _page(page("docs.html"), _POLICY)


def _page(text: str, policy: str) -> Response:
    headers = {"Content-Security-Policy": policy}
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)


@router.get(_FILES + "{made}/{name:path}", include_in_schema=False)
async def show_file(made: str, name: str) -> Response:
    """A part of a page."""
    found = web_file(name)
    if found is None or name.endswith(".html"):
        raise not_found(f"file {name[:100]!a}")
    # Of another version it is what there is now, until the page is loaded anew.
    return _file(found, keep=made == version())


@router.get(_VIEWER + "{name}", include_in_schema=False)
async def show_viewer_file(name: str) -> Response:
    """A part of the viewer of descriptions."""
    if name not in _VIEWER_FILES:
        raise not_found(f"file {name[:100]!a}")
    return _file(_viewer_file(name), keep=False)


def _file(found: WebFile, keep: bool) -> Response:
    headers = {"Cache-Control": _FOR_EVER if keep else "no-cache"}
    return Response(found.content, media_type=found.media_type, headers=headers)


@cache
def _viewer_file(name: str) -> WebFile:
    content = files(fastapi_offline).joinpath("static", name).read_bytes()
    return WebFile(content, _VIEWER_FILES[name])
