"""A tap between Haizea and OpenNebula: it counts calls, and spoils answers when it is told to."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, at_work

_METHOD = re.compile(rb"<methodName>([^<]*)</methodName>")

#: Gets the answer and writes something else to the client; ``closing`` is set at the end.
Spoil = Callable[["Handler", bytes], None]


class Tap(ThreadingHTTPServer):
    """A proxy of the sandbox at ``port()``, on a free port of its own."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, port: Callable[[], int]) -> None:
        self.target = port
        self.calls: Counter[str] = Counter()
        self.spoilt: Counter[str] = Counter()
        self.spoil: dict[str, Spoil] = {}
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def counted(self) -> Counter[str]:
        """The calls so far."""
        return Counter(self.calls)

    def close(self) -> None:
        """End, with every thread."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to tell."""


class Handler(BaseHTTPRequestHandler):
    """One call; its connection is closed afterwards."""

    server: Tap
    timeout = 60

    def do_POST(self) -> None:
        """Pass a call on, and its answer back."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = _METHOD.search(body)
        method = found[1].decode() if found else ""
        self.server.calls[method] += 1
        spoil = self.server.spoil.get(method) or self.server.spoil.get("")
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target(), timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
            answer = connection.getresponse().read()
        if spoil is None:
            self.say(answer)
        else:
            self.server.spoilt[method] += 1
            with contextlib.suppress(OSError):
                spoil(self, answer)

    def say(self, body: bytes, *, length: int | None = None, status: int = 200) -> None:
        """An answer, which may claim another length."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class TappedSite(Site):
    """A site whose Haizea speaks to OpenNebula through a tap."""

    def start(self) -> None:
        """Start OpenNebula, the tap, and Haizea."""
        self.sandbox.start()
        self.tap = Tap(lambda: self.sandbox.port)
        self.start_haizea()

    @property
    def port(self) -> int:
        """The tap's."""
        return self.tap.port

    def close(self) -> None:
        """End everything."""
        try:
            self.tap.closing.set()
            super().close()
        finally:
            self.tap.close()


@contextmanager
def tapped_site(
    directory: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> Iterator[TappedSite]:
    """A site with a tap that is at work."""
    with at_work(TappedSite, directory, monkeypatch, **options) as made:
        yield made
