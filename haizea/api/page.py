"""The page that shows the description of the interface, for browsers.

It is one file without anything from elsewhere, the same wherever it runs: a browser
cannot show a token before it has the page. The page asks for one, and fetches the
description with it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Response

router = APIRouter()
PATH = "/docs"


@cache
def _page() -> tuple[bytes, str]:
    """The page, and the policy that lets a browser run what is in it and nothing else."""
    text = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    script, style = (
        " ".join(f"'sha256-{_digest(part)}'" for part in _inside(name, text))
        for name in ("script", "style")
    )
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text.encode(), policy


def _inside(name: str, text: str) -> list[str]:
    return re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@router.get(PATH, include_in_schema=False)
async def show_page() -> Response:
    """The page."""
    body, policy = _page()
    return Response(
        body,
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": policy},
    )
