"""A wire to a PostgreSQL server that breaks at a COMMIT: just before it, or just after it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"


class CutProxy:
    """Listens on a socket in ``folder`` and passes everything on to the server's."""

    def __init__(self, folder: Path, server: Path) -> None:
        self._server = str(server / _SOCKET)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / _SOCKET))
        self._listener.listen()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        #: "before" or "after": where the next COMMIT is cut off, once.
        self.cut: str | None = None
        self._begin(self._accept)

    def close(self) -> None:
        """Cut every wire."""
        for wire in (self._listener, *self._open):
            _close(wire)
        for thread in self._threads:
            thread.join(timeout=30)

    def _begin(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._open += [client, server]
                try:
                    server.connect(self._server)
                except OSError:
                    _close(client)
                    continue
                self._begin(self._to_server, client, server)
                self._begin(self._to_client, client, server)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self.cut and b"COMMIT\0" in data:
                    if self.cut == "after":
                        # From here on nothing comes back, but the server still gets this.
                        client.shutdown(socket.SHUT_WR)
                        server.sendall(data)
                        server.shutdown(socket.SHUT_WR)
                    self.cut = None
                    break
                server.sendall(data)
        _close(client)
        if self.cut != "after":
            with suppress(OSError):
                server.shutdown(socket.SHUT_WR)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                with suppress(OSError):
                    client.sendall(data)
        _close(client)
        _close(server)


def _close(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
    wire.close()
