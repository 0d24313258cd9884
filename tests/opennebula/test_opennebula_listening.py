"""The sockets that listen at an address of this machine: after a restart there is another."""

from __future__ import annotations

import json
import socket
import struct
import time
from pathlib import Path

import pytest

from haizea.backends.opennebula.model.errors import Unreachable
from haizea.backends.opennebula.wire import connection
from haizea.backends.opennebula.wire.listening import (
    from_kept,
    listeners,
    peer_here,
    to_keep,
)

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="this system does not tell who listens"
)
BOTH_KINDS = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]


def listening(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Listen there, or skip the test where there are no such addresses."""
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        pytest.skip(f"there is no {host} here")
    made.listen()
    return made


@pytest.mark.parametrize(("host", "family"), BOTH_KINDS, ids=["IPv4", "IPv6"])
def test_whoever_listens_again_is_another(host: str, family: socket.AddressFamily) -> None:
    with listening(host, 0, family) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as connected:
            address = peer_here(connected)
        assert address == (host, port)
        before = listeners(address)
        assert len(before) == 1
        assert listeners(address) == before, "it is the same as long as it listens"
    assert listeners(address) == frozenset()
    with listening(host, port, family):
        after = listeners(address)
        assert len(after) == 1
        assert after.isdisjoint(before)


@pytest.mark.parametrize(
    ("everywhere", "family"), [("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)]
)
def test_who_listens_everywhere_listens_here(everywhere: str, family: socket.AddressFamily) -> None:
    with listening(everywhere, 0, family) as server:
        port = server.getsockname()[1]
        assert len(listeners(("127.0.0.1", port))) == 1


def test_another_address_or_port_is_somebody_elses() -> None:
    with listening("127.0.0.2", 0, socket.AF_INET) as server:
        port = server.getsockname()[1]
        assert listeners(("127.0.0.1", port)) == frozenset()
        assert listeners(("127.0.0.2", port % 65535 + 1)) == frozenset()


def test_a_later_run_knows_who_listened_unless_the_machine_was_started_anew() -> None:
    found = frozenset({"4711", "4712"})
    kept = to_keep("http://localhost:2633/RPC2", found)
    assert from_kept(kept, "http://localhost:2633/RPC2") == found
    assert from_kept(kept, "http://localhost:2634/RPC2") == frozenset()
    assert from_kept(None, "http://localhost:2633/RPC2") == frozenset()
    before = json.dumps(json.loads(kept) | {"boot": "another"})
    others = from_kept(before, "http://localhost:2633/RPC2")
    assert len(others) == 2
    assert others.isdisjoint(found)


def test_only_a_connection_within_this_machine_tells() -> None:
    class Elsewhere(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return ("192.0.2.7", 2633)

        def getsockname(self) -> tuple[str, int]:
            return ("192.0.2.1", 40000)

    with Elsewhere(socket.AF_INET) as connected:
        assert peer_here(connected) is None
    one, other = socket.socketpair()
    with one, other:
        assert peer_here(one) is None, "it has no address"


def reset(client: socket.socket, server: socket.socket) -> None:
    """The server cuts a connection that it has just accepted, and the client's end knows."""
    accepted, _ = server.accept()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    accepted.close()
    for _ in range(1000):
        try:
            client.getpeername()
        except OSError:
            return
        time.sleep(0.01)


def test_a_connection_that_is_cut_as_soon_as_it_is_made_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listening("127.0.0.1", 0, socket.AF_INET) as server:
        seen: list[socket.socket] = []

        def peer_of_a_cut_one(connected: socket.socket) -> tuple[str, int] | None:
            seen.append(connected)
            reset(connected, server)
            return peer_here(connected)

        monkeypatch.setattr(connection, "peer_here", peer_of_a_cut_one)
        settings = connection.ConnectionSettings(
            connect_seconds=20, silence_seconds=20, answer_seconds=60, largest_answer_bytes=1 << 20
        )
        url = f"http://127.0.0.1:{server.getsockname()[1]}/RPC2"
        with pytest.raises(Unreachable) as raised:
            connection.Connections(url, settings).exchange(b"<methodCall/>", fresh=True)
    assert not raised.value.maybe_done, "nothing was sent"
    assert [one.fileno() for one in seen] == [-1]
