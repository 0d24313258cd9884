"""Telling systemd how a service of ``Type=notify`` is; nothing where another has started it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def tell_ready(status: str) -> None:
    """The start is over, so what waits for it may go on; ``status`` is for people."""
    _tell(f"READY=1\nSTATUS={status}")


def tell_stopping() -> None:
    """The service was asked to end, and does."""
    _tell("STOPPING=1")


def _tell(text: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    # An @ is for an address that has no file; anything but a path is of another kind of socket.
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    # Whoever should be told may be gone; the service goes on all the same.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(text.encode(), address)
