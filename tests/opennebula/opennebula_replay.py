"""An HTTP server that answers XML-RPC calls with given bytes, and recordings to give it."""

from __future__ import annotations

import re
import threading
import xmlrpc.client
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from shared_data import shared

VERSIONS = ("1.4", "6.10.5", "7.4.0")

ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<methodResponse>\n<params>\n<param><value><array>'
    "<data>\n%s</data></array></value></param>\n</params>\n</methodResponse>\n"
)
NO_SUCH_METHOD = xmlrpc.client.dumps(xmlrpc.client.Fault(-506, "Method not defined")).encode()


def answer(*values: Any) -> bytes:
    """An answer as OpenNebula writes it."""
    return ENVELOPE.replace("%s", "".join(map(_value, values))).encode()


def _value(value: Any) -> str:
    match value:
        case bool():
            inner = f"<boolean>{value:d}</boolean>"
        case int():
            inner = f"<i4>{value}</i4>"
        case _:
            escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            inner = f"<string>{escaped}</string>"
    return f"<value>{inner}</value>\n"


def recordings(version: str, pattern: str = "*") -> list[Path]:
    """The recorded answers of a version, in the order of the recording."""
    return sorted(shared(f"opennebula/{version}").glob(f"{pattern}.response.xml"))


def recorded(version: str, pattern: str) -> bytes:
    """The first recorded answer whose name matches."""
    return recordings(version, pattern)[0].read_bytes()


def method_of(path: Path) -> str:
    """``010_vm.action__release.response.xml`` → ``one.vm.action``."""
    return "one." + path.name.split("_", 1)[1].split("__")[0]


def recorded_events(version: str) -> list[tuple[str, str]]:
    """Keys and messages of the events that were recorded."""
    text = shared(f"opennebula/events-{version}.tsv").read_text(encoding="utf-8")
    lines = re.findall(r"^2\t'([^']*)'\t(.*?)\n(?=2\t'|\Z)", text, re.M | re.S)
    return [(key, message) for key, message in lines]


#: Writes the whole HTTP answer to a call.
Behaviour = Callable[[BaseHTTPRequestHandler, str, tuple[Any, ...]], None]


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    """An ordinary HTTP answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", "text/xml")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def by_method(answers: dict[str, bytes]) -> Behaviour:
    """Answer each method as told, and any other one as OpenNebula does that has no such method."""

    def behave(handler: BaseHTTPRequestHandler, method: str, _: tuple[Any, ...]) -> None:
        send(handler, answers.get(method, NO_SUCH_METHOD))

    return behave


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A client that gives up is what some tests are about."""


class ReplayServer:
    """Serves calls while it is entered, on a free port; ``calls`` is what it was asked."""

    def __init__(self, behave: Behaviour, port: int = 0) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.connections: set[Any] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                parameters, method = xmlrpc.client.loads(body)
                assert method is not None
                outer.calls.append((method, parameters))
                outer.connections.add(self.client_address)
                behave(self, method, parameters)

            def log_message(self, *_: Any) -> None:
                """Tests have their own words."""

        self.server = _Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/RPC2"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> ReplayServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def sent(self, method: str) -> list[tuple[Any, ...]]:
        """The parameters of the calls of a method, without the session."""
        return [parameters[1:] for called, parameters in self.calls if called == method]
