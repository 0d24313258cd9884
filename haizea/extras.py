"""Extras: packages that only a part of Haizea needs, and the line that installs them.

Who only simulates, or only uses the commands, installs no web framework and no database
layer. Where a package is missing, the message has the line to type.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

#: The modules that each extra brings and that Haizea imports. ``opennebula`` and
#: ``postgresql`` bring those of ``service`` too.
MODULES = {
    "service": (
        "alembic",
        "fastapi",
        "fastapi_offline",
        "h11",
        "prometheus_client",
        "pydantic",
        "sqlalchemy",
        "starlette",
        "uvicorn",
    ),
    "opennebula": ("lark", "zmq"),
    "postgresql": ("psycopg",),
    "study": ("distributed", "matplotlib", "pandas", "pyarrow"),
}


def extra_of(error: ImportError) -> str | None:
    """The extra that brings the module which was not found; ``None`` where it is another."""
    module = (error.name or "").partition(".")[0]
    return next((extra for extra, modules in MODULES.items() if module in modules), None)


def advice(module: str, *extras: str) -> str:
    """A sentence's end: the module is not installed, and the line that installs it."""
    return (
        f"needs the package {module}, which is not installed. Install it with:"
        f" {install_line(*extras)}"
    )


def install_line(*extras: str) -> str:
    """The shell command that adds extras to this very installation of Haizea."""
    wanted = f"[{','.join(extras)}]"
    origin = _origin()
    directory = _directory(origin)
    if directory is not None:
        editable = origin.get("dir_info", {}).get("editable", False)
        options = ["-e"] if editable else []
        what = f"{_from_here(directory)}{wanted}"
    elif "url" in origin:
        options, what = [], f"haizea{wanted} @ {_address(origin)}"
    else:
        options, what = [], f"haizea{wanted}"
    python = _from_here(Path(sys.executable)) if sys.executable else "python3"
    return shlex.join([python, "-m", "pip", "install", *options, what])


def _origin() -> dict[str, Any]:
    """Return where pip had this installation from, as PEP 610 has it; empty for an index."""
    # Imported when it is needed: it takes longer than the rest of the start.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution("haizea").read_text("direct_url.json")
    except PackageNotFoundError:
        text = None
    if text is not None:
        return dict(json.loads(text))
    # Run where it was unpacked, it is not installed.
    clone = Path(__file__).resolve().parent.parent
    return {"url": clone.as_uri(), "dir_info": {}} if (clone / "pyproject.toml").exists() else {}


def _directory(origin: dict[str, Any]) -> Path | None:
    """The directory that Haizea was installed from, if it was and is still there."""
    if "dir_info" not in origin:
        return None
    directory = Path(unquote(urlsplit(str(origin["url"])).path))
    return directory if (directory / "pyproject.toml").exists() else None


def _address(origin: dict[str, Any]) -> str:
    """A requirement's address, with the commit where it is of a repository."""
    version = origin.get("vcs_info")
    if version is None:
        return str(origin["url"])
    return f"{version['vcs']}+{origin['url']}@{version['commit_id']}"


def _from_here(path: Path) -> str:
    """A path as one would type it in the current directory; ``.`` for that itself."""
    try:
        inside = path.relative_to(Path.cwd())
    except (OSError, ValueError):
        return str(path)
    # Without the dot, pip would take the name of a directory for that of a package.
    return f"./{inside}" if inside.parts else "."
