"""Events of the sandbox: the frames that were recorded, and what goes wrong with them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import pytest
import zmq
from sandbox_client import Client, site
from shared_data import shared

from haizea.sandbox.server import Sandbox

Event = tuple[str, Element]


class Listener:
    """Hears everything, from a marker on."""

    def __init__(self, sandbox: Sandbox, client: Client) -> None:
        self._client = client
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt_string(zmq.SUBSCRIBE, "")
        assert sandbox.events_url is not None
        self._socket.connect(sandbox.events_url)
        self._mark = 0
        for _ in range(200):
            self._client.call("one.vm.recover", 999_999, 0)
            if self._socket.poll(50):
                break
        self.until_now()

    def until_now(self) -> list[Event]:
        """Return what came since the last call of this."""
        self._mark += 1
        self._client.call("one.vm.recover", 1_000_000 + self._mark, 0)
        found: list[Event] = []
        while self._socket.poll(10_000):
            key, coded = self._socket.recv_multipart()
            message = defusedxml.ElementTree.fromstring(base64.b64decode(coded, validate=True))
            if key == b"EVENT API one.vm.recover 0":
                if f"[{1_000_000 + self._mark}]" in "".join(message.itertext()):
                    return found
                continue
            found.append((key.decode(), message))
        raise AssertionError("no event came for ten seconds")

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@contextmanager
def heard(**options: Any) -> Iterator[tuple[Sandbox, Client, Listener]]:
    with site(events_port=0, **options) as (sandbox, client):
        listener = Listener(sandbox, client)
        try:
            yield sandbox, client, listener
        finally:
            listener.close()


def recorded(name: str) -> Iterator[Event]:
    text = shared(f"opennebula/{name}").read_text()
    for entry in re.split(r"\n(?=\d+\t')", text):
        _, key, message = entry.split("\t", 2)
        # What a user wrote is in it as it is, so one of the recorded messages is no XML.
        with suppress(ParseError):
            yield key.strip("'"), defusedxml.ElementTree.fromstring(message.strip())


LIFE = (
    'HAIZEA=[START="now"]\nGRAPHICS=[TYPE="VNC",LISTEN="127.0.0.1"]\nNIC=[NETWORK_ID="0"]\n'
    'CONTEXT=[NETWORK="YES",FOO="bar"]\nVCPU="1"\nSCHED_RANK="1"\n'
)


def live_through_everything(sandbox: Sandbox, client: Client) -> None:
    """Return what the recorder did."""

    def act(action: str) -> None:
        client.done("one.vm.action", action, 0)
        sandbox.control.settle()

    def deploy(host: int) -> None:
        client.done("one.vm.deploy", 0, host, True, -1, "")
        sandbox.control.settle()

    client.submit(rest=LIFE)
    act("hold")
    act("release")
    client.refused("one.vm.deploy", 0, 999, False, -1, "")
    client.refused("one.vm.action", "frobnicate", 0)
    deploy(0)
    for action in ("suspend", "resume", "poweroff", "resume"):
        act(action)
    for host, live, kind in ((1, False, 0), (0, False, 1), (1, True, 0)):
        client.done("one.vm.migrate", 0, host, live, True, -1, kind)
        sandbox.control.settle()
    act("stop")
    deploy(0)
    act("undeploy")
    act("resume")
    act("hold")
    act("release")
    deploy(1)
    act("suspend")
    client.done("one.vm.migrate", 0, 0, False, True, -1, 0)
    sandbox.control.settle()
    act("stop")
    act("terminate")


def kind(key: str) -> str:
    return re.sub(r"\d+", "N", key)


@pytest.mark.parametrize(
    ("version", "name"), [("6.10.5", "events-6.10.tsv"), ("7.4.0", "events-7.4.tsv")]
)
def test_events_are_those_that_were_recorded(version: str, name: str) -> None:
    with heard(version=version) as (sandbox, client, listener):
        live_through_everything(sandbox, client)
        found = {kind(key): message for key, message in listener.until_now()}
    compared = 0
    for key, message in recorded(name):
        if key.startswith("EVENT API") and kind(key) not in found:
            continue
        mine = found[kind(key)]
        assert [child.tag for child in mine] == [child.tag for child in message], key
        for tag in ("HOOK_TYPE", "HOOK_OBJECT", "STATE", "LCM_STATE", "CALL"):
            assert mine.findtext(tag) == message.findtext(tag), key
        its = message.find("VM")
        if its is not None:
            own = mine.find("VM")
            assert own is not None
            assert [child.tag for child in own] == [child.tag for child in its], key
        compared += 1
    assert compared >= 60


def test_calls_are_events_without_the_password() -> None:
    with heard() as (_, client, listener):
        client.submit()
        ((key, message),) = [each for each in listener.until_now() if "API" in each[0]]
        assert key == "EVENT API one.vm.allocate 1"
        assert "onepass" not in "".join(message.itertext())
        assert message.findtext("CALL_INFO/PARAMETERS/PARAMETER/VALUE") == "****"


def test_a_host_that_dies_is_an_event() -> None:
    with heard() as (sandbox, client, listener):
        client.done("one.vm.deploy", client.submit(), 3)
        sandbox.control.settle()
        listener.until_now()
        sandbox.control.break_host(3)
        keys = [key for key, _ in listener.until_now()]
        assert "EVENT STATE HOST/ERROR//3 " in keys
        assert "EVENT STATE VM/ACTIVE/UNKNOWN/0 " in keys


def states(events: list[Event]) -> list[str]:
    return [key.split("/")[2].strip() for key, _ in events if key.startswith("EVENT VM ")]


def test_events_are_lost_repeated_and_out_of_order_as_told() -> None:
    with heard() as (sandbox, client, listener):

        def one(**chances: float) -> list[str]:
            sandbox.control.chances(**chances)
            client.done("one.vm.deploy", client.submit(cpu=0.1), 0)
            sandbox.control.settle()
            sandbox.control.chances(lose_event=0.0, repeat_event=0.0, swap_events=0.0)
            # The last of them may come after the mark.
            return states(listener.until_now() + listener.until_now())

        in_order = ["LCM_INIT", "LCM_INIT", "PROLOG", "BOOT", "RUNNING"]
        assert one() == in_order
        assert one(lose_event=1.0) == []
        assert one(repeat_event=1.0) == [state for state in in_order for _ in range(2)]
        late = one(swap_events=1.0)
        assert late != in_order
        assert sorted(late) == sorted(in_order)


def test_events_go_on_after_a_restart() -> None:
    with heard() as (sandbox, client, listener):
        sandbox.restart()
        for _ in range(100):
            client.call("one.vm.recover", 5, 0)
            if listener._socket.poll(50):
                break
        listener.until_now()
        client.submit()
        assert states(listener.until_now()) == ["LCM_INIT"]


def test_1_4_publishes_nothing() -> None:
    with site(version="1.4.0", events_port=0) as (sandbox, _):
        assert sandbox.events_url is None
