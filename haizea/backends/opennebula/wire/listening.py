"""The sockets that listen at an address of this machine: a server started anew has another."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Collection
from itertools import takewhile
from pathlib import Path

#: Tables of the kernel's sockets, those that listen first; those of both kinds of addresses.
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
#: Another after each start of the machine, which counts sockets anew.
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LISTENS = "0A"
_LOCAL, _STATE, _INODE = 1, 3, 9
#: Listens at every address.
_ANY = {"0" * 8, "0" * 32}
#: The first three words of an IPv4 address that is written as one of IPv6.
_MAPPED = bytes(10) + b"\xff\xff"


def peer_here(connected: socket.socket) -> tuple[str, int] | None:
    """Return the other end's address if it is on this machine.

    Who connects to an address of its own has that address, too.
    """
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    peer, own = connected.getpeername(), connected.getsockname()
    return (peer[0], peer[1]) if peer[0] == own[0] else None


def listeners(address: tuple[str, int]) -> frozenset[str]:
    """Return the sockets that listen at an address of this machine; none where nobody can tell.

    Each is known by a number that no other gets while the machine runs.
    """
    wanted, port = _written(address[0]) | _ANY, f"{address[1]:04X}"
    found: set[str] = set()
    for table in _TABLES:
        try:
            with Path(table).open(encoding="ascii") as lines:
                next(lines, None)
                rows = (line.split() for line in lines)
                for row in takewhile(lambda row: row[_STATE] == _LISTENS, rows):
                    host, _, at = row[_LOCAL].partition(":")
                    if at == port and host in wanted:
                        found.add(row[_INODE])
        except (OSError, ValueError, IndexError):
            continue
    return frozenset(found)


def to_keep(address: str, found: Collection[str]) -> str:
    """Return in a text who listens at an address of this machine, for :func:`from_kept`."""
    return json.dumps({"boot": _boot(), "address": address, "sockets": sorted(found)})


def from_kept(kept: str | None, address: str) -> frozenset[str]:
    """Return who listened at an address; none where that is not known, or was another address.

    Before the machine was started anew it was somebody else, of whatever number.
    """
    known = json.loads(kept) if kept else {}
    if known.get("address") != address:
        return frozenset()
    before = "" if known["boot"] == _boot() else f"{known['boot']} "
    return frozenset(before + number for number in known["sockets"])


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _written(host: str) -> set[str]:
    """Return the ways in which the kernel writes an address: words in the machine's order."""
    if ":" in host:
        return {_words(socket.inet_pton(socket.AF_INET6, host.partition("%")[0]))}
    packed = socket.inet_pton(socket.AF_INET, host)
    return {_words(packed), _words(_MAPPED + packed)}


def _words(packed: bytes) -> str:
    numbers = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(number, sys.byteorder):08X}" for number in numbers)
