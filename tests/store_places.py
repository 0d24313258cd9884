"""Places of tests' stores: a file, or a database of a real PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

from postgres_server import shared_server

PLACES = ("sqlite", "postgresql")


def place(kind: str, folder: Path) -> str:
    """The address of a store that is not there yet. Skips the test where it cannot be."""
    if kind == "sqlite":
        return str(folder / "state" / "store.db")
    server = shared_server()
    return server.url(server.new_database())
