"""A real Chromium that looks at a real service, and notices whatever goes wrong in a page."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

import httpx
from axe_playwright_python.sync_playwright import Axe
from chromium import PATIENCE_MILLISECONDS
from playwright.sync_api import BrowserContext, Page
from real_service import RealService

from haizea.service_types import Role

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
#: Who has a token, and of which kind.
PEOPLE = {"anna": Role.USER, "bert": Role.USER, "olga": Role.OPERATOR, "rita": Role.READER}
#: What a browser writes about an answer that says no; the page says what it means.
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")


class WebService:
    """A service with a token for each of several people, on so many hosts."""

    def __init__(self, hosts: int = 8, speed: int = 1) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.real = RealService(Path(self._folder.name), speed, f"{hosts} CPU:400 Memory:8192")
        self.secrets: dict[str, str] = {}

    def __enter__(self) -> WebService:
        self.real.start()
        for name, role in PEOPLE.items():
            self.secrets[name] = self.make_token(name, role)
        return self

    def __exit__(self, *unused: object) -> None:
        self.real.stop()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        return str(self.real.url)

    def make_token(self, name: str, role: Role, expires: int | None = None) -> str:
        """The secret of a new token."""
        return str(self.real.manager.make_token(name, role, name, expires)[1])

    def client(self, name: str) -> httpx.Client:
        """A program with somebody's token."""
        headers = {"Authorization": f"Bearer {self.secrets[name]}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def ask(self, name: str, count: int = 1, **fields: object) -> dict[str, Any]:
        """Return what the service answers somebody who asks for so many whole hosts for an hour."""
        nodes = [{"count": count, "resources": {"CPU": 400, "Memory": 8192}}]
        with self.client(name) as client:
            answer = client.post("/v1/leases", json={"nodes": nodes, "duration": 3600, **fields})
        return dict(answer.json())


class Served(Protocol):
    """A service that is visited: its address, and the tokens of those who sign in with one."""

    secrets: dict[str, str]

    @property
    def url(self) -> str: ...


class Visit:
    """Somebody's visit: a page, signed in or not, and what went wrong on it."""

    def __init__(self, context: BrowserContext, service: Served) -> None:
        self.context = context
        self.service = service
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MILLISECONDS)
        self.troubles: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", self._look)

    def _note(self, message: Any) -> None:
        away = "ERR_CONNECTION_REFUSED" in message.text or "ERR_INCOMPLETE" in message.text
        if message.type in {"error", "warning"} and not _REFUSED.match(message.text) and not away:
            self.troubles.append(message.text)

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.service.url, "data:", "blob:")):
            self.foreign.append(request.url)

    def sign_in(self, name: str) -> None:
        """Sign in as a program would, so that the page begins with the session."""
        session = httpx.post(
            f"{self.service.url}/v1/session", json={"token": self.service.secrets[name]}
        )
        assert session.status_code == 200, session.text
        cookies = [
            {"name": key, "value": value, "url": self.service.url}
            for key, value in session.cookies.items()
        ]
        self.context.add_cookies(cookies)  # type: ignore[arg-type]

    def go(self, view: str = "") -> Page:
        """Open a view by its address."""
        self.page.goto(f"{self.service.url}/{view}")
        return self.page

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page, which lets nobody evaluate one itself."""
        deadline = time.monotonic() + PATIENCE_MILLISECONDS / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            self.page.wait_for_timeout(50)

    def picture(self, name: str) -> None:
        """Keep a screenshot, to be looked at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def check_access(self, *within: str) -> None:
        """Raise where axe-core finds something that keeps people out.

        It looks at the whole page, or at what these selectors find, each of them something: on a
        long page whose rest it has seen, that is far less.
        """
        for selector in within:
            assert self.page.locator(selector).count(), f"nothing is {selector}"
        context = {"include": [[selector] for selector in within]} if within else None
        # Details of all that is in order would take half of the time.
        found = Axe().run(self.page, context, options={"resultTypes": ["violations"]})
        told = [
            f"{v['id']}: {v['help']}: {[n['html'][:200] for n in v['nodes'][:3]]}"
            for v in found.response["violations"]
        ]
        assert not told, "\n".join(told)
        assert found.response["passes"], "axe-core looked at nothing"

    def check(self) -> None:
        """Raise where something went wrong on the page meanwhile."""
        assert not self.troubles, self.troubles
        assert not self.foreign, f"asked for from elsewhere: {self.foreign}"
