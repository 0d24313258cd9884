"""Addresses to which commands send an OpenNebula user's password, and to which they do not."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from haizea.cli.access import Server, Token
from haizea.cli.client import Client, ServiceProblem


def test_no_password_follows_a_token_over_an_open_network() -> None:
    password = Token(secret="YTpi", source="ONE_AUTH", scheme="Basic")
    token = Token(secret="hz_x", source="~/.haizea/token", otherwise=password)
    heard: list[str | None] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["Authorization"])
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            # An address that is not known to be this machine's own.
            far = Server("http", "0.0.0.0", server.server_port)
            near = Server("http", "127.0.0.1", server.server_port)
            for place in (far, near):
                with pytest.raises(ServiceProblem):
                    Client(server=place, token=token).get("/v1/status")
        finally:
            server.shutdown()
            thread.join()
    assert heard == ["Bearer hz_x", "Bearer hz_x", password.authorization]
