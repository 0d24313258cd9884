"""Events through a real ZeroMQ publisher on this machine, as they were recorded."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator

import pytest
import zmq
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from opennebula_replay import recorded_events

from haizea.backends.opennebula.model.errors import BadAnswer, OpenNebulaError
from haizea.backends.opennebula.model.vm import LcmState, VmState
from haizea.backends.opennebula.wire.events import (
    LARGEST_EVENT_BYTES,
    Event,
    EventKind,
    EventStream,
    decode_event,
)

PATIENCE_SECONDS = 20


class Publisher:
    """A publisher on a free port; ``publish`` sends one event to whoever listens."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._socket = self._made(context)
        self.port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{self.port}"

    @staticmethod
    def _made(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
        made = context.socket(zmq.XPUB)
        made.setsockopt(zmq.LINGER, 0)
        # Tell of each subscription, also of one that somebody else has.
        made.setsockopt(zmq.XPUB_VERBOSE, 1)
        return made

    def wait_for_subscriber(self) -> bytes:
        """The next key that somebody wants, with a 1 before it."""
        while True:
            assert self._socket.poll(PATIENCE_SECONDS * 1000), "nobody subscribed"
            message = self._socket.recv()
            if message.startswith(b"\x01"):
                return message

    def publish(self, key: str, message: str | bytes) -> None:
        data = message if isinstance(message, bytes) else base64.b64encode(message.encode())
        self._socket.send_multipart([key.encode(), data])

    def publish_frames(self, *frames: bytes) -> None:
        self._socket.send_multipart(frames)

    def restart(self) -> None:
        """Go away, and come back at the same address."""
        context = self._socket.context
        self._socket.close()
        self._socket = self._made(context)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._socket.bind(self.address)
            except zmq.ZMQError:
                # The old socket is closed a little later.
                assert time.monotonic() < deadline, "the port stays taken"
                time.sleep(0.01)
            else:
                return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(name="publisher")
def make_publisher() -> Iterator[Publisher]:
    with zmq.Context() as context:
        publisher = Publisher(context)
        yield publisher
        publisher.close()


def vm_message(number: int) -> str:
    return (
        f"<HOOK_MESSAGE><VM><ID>{number}</ID><STATE>3</STATE><LCM_STATE>3</LCM_STATE></VM>"
        "</HOOK_MESSAGE>"
    )


def next_event(stream: EventStream) -> Event:
    event = stream.receive(PATIENCE_SECONDS)
    assert event is not None, "no event came"
    return event


@pytest.mark.parametrize("version", ["6.10", "7.4"])
def test_recorded_events_of_states_arrive(version: str, publisher: Publisher) -> None:
    recorded = recorded_events(version)
    states = [key for key, _ in recorded if key.startswith("EVENT STATE VM/")]
    assert len(states) > 30
    with EventStream(publisher.address) as stream:
        for _ in range(2):
            publisher.wait_for_subscriber()
        for key, message in recorded:
            publisher.publish(key, message)
        for key in states:
            event = next_event(stream)
            state, lcm_state, number = key.removeprefix("EVENT STATE VM/").strip().split("/")
            assert (event.kind, event.object_id) == (EventKind.VM, int(number))
            assert (event.state, event.lcm_state) == (state, lcm_state)
            assert event.vm is not None
            assert event.vm.id == int(number)
            assert event.vm.state == VmState[state]
            if state == "ACTIVE":
                assert event.vm.lcm_state == LcmState[lcm_state.removeprefix("LCM_")]
        assert stream.receive(0) is None
        assert stream.unreadable == 0


@pytest.mark.parametrize("version", ["6.10", "7.4"])
def test_every_recorded_event_is_read(version: str) -> None:
    for key, message in recorded_events(version):
        event = decode_event(key.encode(), base64.b64encode(message.encode()))
        if not key.startswith("EVENT API"):
            assert event.vm is not None
            assert event.vm.id == event.object_id
            assert event.state
            continue
        assert key == f"EVENT API {event.call} {event.succeeded:d}"
        if event.call in ("one.vm.deploy", "one.vm.migrate"):
            assert event.object_id in (0, 1, 2, 3, 99999)


def test_events_of_hosts() -> None:
    message = (
        "<HOOK_MESSAGE><HOOK_TYPE>STATE</HOOK_TYPE><HOST><ID>3</ID><NAME>n3</NAME>"
        "<STATE>3</STATE></HOST></HOOK_MESSAGE>"
    )
    data = base64.b64encode(message.encode())
    for key in ("EVENT STATE HOST/ERROR//3 ", "EVENT HOST 3/ERROR/ "):
        event = decode_event(key.encode(), data)
        assert (event.kind, event.object_id, event.state) == (EventKind.HOST, 3, "ERROR")
        assert event.host is not None
        assert not event.host.usable


def test_events_of_calls_name_their_object() -> None:
    message = (
        "<HOOK_MESSAGE><CALL>one.vm.update</CALL><CALL_INFO><RESULT>1</RESULT><PARAMETERS>"
        "<PARAMETER><POSITION>1</POSITION><TYPE>IN</TYPE><VALUE>****</VALUE></PARAMETER>"
        "<PARAMETER><POSITION>2</POSITION><TYPE>IN</TYPE><VALUE>7</VALUE></PARAMETER>"
        "<PARAMETER><POSITION>3</POSITION><TYPE>IN</TYPE><VALUE>X=a<b</VALUE></PARAMETER>"
        "<POSITION>2</POSITION><TYPE>IN</TYPE><VALUE>8</VALUE><VM><ID>9</ID></VM>"
    )
    event = decode_event(b"EVENT API one.vm.update 1", base64.b64encode(message.encode()))
    assert (event.kind, event.call, event.object_id) == (EventKind.CALL, "one.vm.update", 7)


@pytest.mark.parametrize(
    ("written", "edits"),
    [
        ('HAIZEA=[ DURATION="60" ]', True),
        ("NAME=vm HAIZEA = [", True),
        ('HAIZEA_STATUS=[ STATE="Queued" ]', False),
        ("", False),
    ],
)
def test_updates_that_write_requests_are_told_from_reports(written: str, edits: bool) -> None:
    message = f"<HOOK_MESSAGE><VALUE>{written}</VALUE></HOOK_MESSAGE>"
    event = decode_event(b"EVENT API one.vm.update 1", base64.b64encode(message.encode()))
    assert event.edits_request is edits
    # What users write into a call is no object.
    assert event.vm is None


def test_other_keys_when_they_are_wanted(publisher: Publisher) -> None:
    with EventStream(publisher.address, keys=("EVENT API one.vm.update 1",)) as stream:
        assert publisher.wait_for_subscriber() == b"\x01EVENT API one.vm.update 1"
        publisher.publish("EVENT STATE VM/ACTIVE/RUNNING/1 ", vm_message(1))
        publisher.publish("EVENT API one.vm.update 1", "<HOOK_MESSAGE></HOOK_MESSAGE>")
        assert next_event(stream).call == "one.vm.update"


def test_a_publisher_that_goes_away_and_comes_back(publisher: Publisher) -> None:
    with EventStream(publisher.address) as stream:
        for number in range(3):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while stream.connections <= number and time.monotonic() < deadline:
                assert stream.receive(0.05) is None
            for _ in range(2):
                publisher.wait_for_subscriber()
            publisher.publish(f"EVENT STATE VM/ACTIVE/RUNNING/{number} ", vm_message(number))
            assert next_event(stream).object_id == number
            publisher.restart()


def test_nothing_comes_in_time(publisher: Publisher) -> None:
    with EventStream(publisher.address) as stream:
        before = time.monotonic()
        assert stream.receive(0.05) is None
        assert time.monotonic() - before < PATIENCE_SECONDS


KEY = b"EVENT STATE VM/ACTIVE/RUNNING/1 "
GOOD = base64.b64encode(vm_message(1).encode())
BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb">]><HOOK_MESSAGE>&b;</HOOK_MESSAGE>'


def encoded(text: str) -> bytes:
    return base64.b64encode(text.encode())


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (b"EVENT STATE VM/ACTIVE/RUNNING/2 ", GOOD),
        (b"EVENT STATE VM/ACTIVE/RUNNING/x ", GOOD),
        (b"EVENT STATE VM/ACTIVE/RUNNING/" + b"1" * 4000, GOOD),
        (b"EVENT STATE VM/ACTIVE/RUNNING/" + b"1" * 5000, GOOD),
        (b"EVENT STATE CAT/ACTIVE/RUNNING/1 ", GOOD),
        (b"\xff\xfe", GOOD),
        (b"", GOOD),
        (KEY, b""),
        (KEY, b"not base64!"),
        (KEY, GOOD[:-20]),
        (KEY, base64.b64encode(b"\xff\xfe")),
        (KEY, encoded("<VM></VM>")),
        (KEY, encoded("<HOOK_MESSAGE><VM></VM></HOOK_MESSAGE>")),
        (KEY, encoded(BOMB)),
        (KEY, encoded("<HOOK_MESSAGE>" + "<A>" * 100_000)),
        (KEY, b"A" * (LARGEST_EVENT_BYTES + 1)),
    ],
    ids=range(16),
)
def test_events_that_are_none(key: bytes, message: bytes) -> None:
    with pytest.raises(BadAnswer):
        decode_event(key, message)


@tries(100)
@given(st.binary(max_size=60), st.binary(max_size=100), st.booleans())
def test_no_frames_raise_anything_else(key: bytes, message: bytes, half: bool) -> None:
    with pytest.raises(BadAnswer):
        decode_event(KEY if half else key, base64.b64encode(message))


def test_events_that_are_none_do_not_stop_the_others(publisher: Publisher) -> None:
    with EventStream(publisher.address) as stream:
        for _ in range(2):
            publisher.wait_for_subscriber()
        publisher.publish(KEY.decode(), b"?")
        publisher.publish_frames(KEY)
        publisher.publish_frames(KEY, GOOD, GOOD)
        publisher.publish(KEY.decode(), BOMB)
        publisher.publish(KEY.decode(), vm_message(1))
        assert next_event(stream).object_id == 1
        assert stream.unreadable == 4


def test_an_event_that_is_too_large_does_not_stop_the_others(publisher: Publisher) -> None:
    with EventStream(publisher.address) as stream:
        for _ in range(2):
            publisher.wait_for_subscriber()
        publisher.publish(KEY.decode(), b"A" * (LARGEST_EVENT_BYTES + 1))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while stream.connections < 2 and time.monotonic() < deadline:
            assert stream.receive(0.05) is None
        for _ in range(2):
            publisher.wait_for_subscriber()
        publisher.publish(KEY.decode(), vm_message(1))
        assert next_event(stream).object_id == 1


@pytest.mark.parametrize("address", ["nowhere", "tcp://127.0.0.1", "tcp://127.0.0.1:port"])
def test_an_address_that_makes_no_sense(address: str) -> None:
    with pytest.raises(OpenNebulaError, match=r"tcp://127\.0\.0\.1:2101"):
        EventStream(address)


def test_without_pyzmq_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    with pytest.raises(OpenNebulaError, match=r"pip install .*\[opennebula\]"):
        EventStream()
