"""A service that is killed while somebody's request is on its way, in a real browser."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser import Visit
from playwright.sync_api import Browser, Route, expect
from quick_service import QuickService


class Killable:
    """A service in a process of its own, at an address that it keeps."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{listen}"
        self.process = QuickService(directory, {"service": {"listen": listen}})
        self.process.start()
        token = (self.process.state_directory / "token").read_text().strip()
        self.secrets = {"operator": token}

    def leases(self) -> list[object]:
        """List all leases that there are."""
        headers = {"Authorization": f"Bearer {self.secrets['operator']}"}
        answer = httpx.get(f"{self.url}/v1/leases", headers=headers, trust_env=False)
        return list(answer.json()["leases"])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Killable]:
    killable = Killable(tmp_path)
    yield killable
    killable.process.close()


def test_what_was_sent_before_a_kill_is_not_taken_twice(
    chromium: Browser, service: Killable
) -> None:
    with chromium.new_context() as context:
        someone = Visit(context, service)
        someone.sign_in("operator")
        page = someone.go("#/ask")
        page.get_by_label("Label").fill("asked once")
        expect(page.locator(".answer")).to_contain_text("Fits")

        def lose(route: Route) -> None:
            """Let the request arrive, and the service die before the page has its answer."""
            route.fetch()
            service.process.kill()
            route.abort("connectionreset")

        page.route("**/v1/leases", lose, times=1)
        page.get_by_role("button", name="Ask for them").click()
        expect(page.get_by_text("Send it again: it is not taken twice.")).to_be_visible()
        expect(page.get_by_text("The service does not answer.")).to_be_visible()
        someone.picture("killed")
        service.process.start()
        expect(page.get_by_text("The service does not answer.")).to_be_hidden()
        assert len(service.leases()) == 1, "it was taken before the kill"
        page.get_by_role("button", name="Ask for them").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("asked once")
        assert len(service.leases()) == 1
