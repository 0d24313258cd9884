"""A client for tests of the sandbox, with a session and the standard library's XML-RPC."""

from __future__ import annotations

import re
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from haizea.sandbox.clock import ManualClock
from haizea.sandbox.faults import Chances
from haizea.sandbox.server import Options, Sandbox

VM = 'NAME="{name}"\nCPU="{cpu}"\nMEMORY="{memory}"\n'


class Client:
    """Calls with one session over one kept-alive connection."""

    def __init__(self, sandbox: Sandbox, session: str | None = None) -> None:
        self._proxy = xmlrpc.client.ServerProxy(sandbox.url)
        self.session = session or sandbox.session

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """The whole answer."""
        found = getattr(self._proxy, method)(self.session, *arguments)
        assert isinstance(found, list)
        return found

    def done(self, method: str, *arguments: Any) -> Any:
        """The value of a call that is accepted."""
        answer = self.call(method, *arguments)
        assert answer[0] is True, answer
        return answer[1] if len(answer) > 1 else None

    def refused(self, method: str, *arguments: Any) -> tuple[str, int]:
        """Text and code of a call that is refused."""
        answer = self.call(method, *arguments)
        assert answer[0] is False, answer
        return answer[1], answer[2]

    def submit(self, *, cpu: float = 1, memory: int = 512, name: str = "vm", rest: str = "") -> int:
        """A new VM."""
        text = VM.format(name=name, cpu=cpu, memory=memory) + rest
        return int(self.done("one.vm.allocate", text, False))

    def close(self) -> None:
        """Close the connection."""
        self._proxy("close")()


@contextmanager
def site(**options: Any) -> Iterator[tuple[Sandbox, Client]]:
    """A sandbox whose time stands still, and oneadmin's client of it."""
    settings: dict[str, Any] = {
        "clock": ManualClock(),
        "events_port": None,
        "chances": Chances(swap_events=0.0),
        **options,
    }
    with Sandbox(Options(**settings)) as sandbox:
        client = Client(sandbox)
        try:
            yield sandbox, client
        finally:
            client.close()


def value(xml: str, tag: str) -> str:
    """The text of the first element of this name, without its CDATA."""
    found = re.search(rf"<{tag}>(?:<!\[CDATA\[)?(.*?)(?:\]\]>)?</{tag}>", xml)
    assert found, tag
    return found[1]
