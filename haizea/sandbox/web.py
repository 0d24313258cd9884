"""The web server: kept-alive connections on 127.0.0.1, a thread each."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from haizea.sandbox.faults import CLOSE, ERROR, LOSE, STALL, Faults

MOST_BODY_BYTES = 16 << 20
_IDLE_SECONDS = 300.0


class WebServer(ThreadingHTTPServer):
    """Answers POST requests with ``reply``; what goes wrong is decided by ``faults``.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, reply: Callable[[bytes], bytes], faults: Faults) -> None:
        self.reply = reply
        self.faults = faults
        self.is_closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox web"
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, cut every connection, and wait for the threads."""
        self.is_closing.set()
        self.shutdown()
        self._thread.join()
        with self._open_lock:
            for connection in self._open:
                _cut(connection)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection while it is open."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection is over."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    wbufsize = -1
    server: WebServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            self._send(413 if length.isdigit() else 411, b"", close=True)
            return
        body = self.rfile.read(int(length))
        mode, seconds = self.server.faults.web()
        if mode == STALL:
            self._stall(seconds)
        if mode == LOSE:
            self.server.reply(body)
        if mode in (CLOSE, LOSE) or self.server.is_closing.is_set():
            _cut(self.connection)
            self.close_connection = True
            return
        if mode == ERROR:
            self._send(500, b"Internal Server Error")
            return
        self._send(200, self.server.reply(body))

    def _stall(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.server.is_closing.wait(0.02):
            pass

    def _send(self, status: int, body: bytes, close: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """The journal is the log."""


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
