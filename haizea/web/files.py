"""Files of the web interface, read from the installed package once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

#: A page's placeholders for the address of its files, and for its links to them.
_VERSION, _PRELOADS = "{{version}}", "{{preloads}}"

_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file as a browser gets it."""

    content: bytes
    media_type: str


@cache
def version() -> str:
    """Return a word that changes with any file: what it names may be kept for ever."""
    digest = hashlib.sha256()
    for name, found in sorted(_all().items()):
        digest.update(f"{name} {len(found.content)}\n".encode() + found.content)
    return digest.hexdigest()[:12]


def web_file(name: str) -> WebFile | None:
    """The file with this name below the static ones, ``None`` if there is none."""
    return _all().get(name)


@cache
def page(name: str) -> str:
    """A page with the addresses of its files in it. Raises :class:`KeyError` for no such page."""
    preloads = "\n".join(
        f'<link rel="modulepreload" href="web/{version()}/{name}">'
        for name in sorted(_all())
        if name.endswith(".js") and not name.startswith("docs")
    )
    text = _all()[name].content.decode("utf-8")
    return text.replace(_PRELOADS, preloads).replace(_VERSION, version())


@cache
def _all() -> dict[str, WebFile]:
    return dict(_below(files("haizea.web").joinpath("static"), ""))


def _below(folder: Traversable, prefix: str) -> list[tuple[str, WebFile]]:
    found: list[tuple[str, WebFile]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found += _below(entry, f"{name}/")
        elif (media_type := _MEDIA_TYPES.get(name.rpartition(".")[2])) is not None:
            found.append((name, WebFile(entry.read_bytes(), media_type)))
    return found
