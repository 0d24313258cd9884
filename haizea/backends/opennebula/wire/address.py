"""The addresses of an OpenNebula: its XML-RPC interface, and its events."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from haizea.backends.opennebula.wire.events import AUTO_PORT

USUAL_PORT = 2633


@dataclass(frozen=True, slots=True)
class Address:
    """``host`` without brackets, the ``url`` of the interface, and where ``events`` are, if so."""

    host: str
    url: str
    events: str | None


def address_of(
    host: str | None = None,
    port: int = USUAL_PORT,
    url: str | None = None,
    events: str | None = "auto",
) -> Address:
    """The address of an OpenNebula of which the ``host`` or the whole ``url`` is known.

    ``events`` is an address, ``auto`` for the port that OpenNebula itself tells, or ``none``.
    Where both are given, calls go to the ``url`` (of a proxy, it may be) and events come from
    the ``host``.
    """
    name = host or _host_of(url or "")
    shown = f"[{name}]" if ":" in name else name
    published = {"auto": f"tcp://{shown}{AUTO_PORT}", "none": None, None: None}
    return Address(
        host=name,
        url=url or f"http://{shown}:{port}/RPC2",
        events=published.get(events, events),
    )


def _host_of(url: str) -> str:
    """The host in an address; none where it makes no sense, as whoever calls there will say."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
