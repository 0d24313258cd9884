"""Events that OpenNebula (6 and later) publishes with ZeroMQ: reasons to look, never the truth.

They may come out of order, twice or not at all; what is true is what a call answers.
"""

from __future__ import annotations

import binascii
import importlib
import logging
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.errors import BadAnswer, OpenNebulaError
from haizea.backends.opennebula.host import HostInfo, host_of
from haizea.backends.opennebula.trees import read_object, text_of
from haizea.backends.opennebula.vm import VirtualMachine, vm_of

_log = logging.getLogger(__name__)

#: Changes of state of VMs and hosts, each published once under these keys.
STATE_KEYS = ("EVENT STATE VM/", "EVENT STATE HOST/")

LARGEST_EVENT_BYTES = 4 << 20
_LONGEST_KEY = 4096
_QUEUED_EVENTS = 10000
_RECONNECT_MILLISECONDS = 200
_LONGEST_RECONNECT_MILLISECONDS = 5000
_HEARTBEAT_MILLISECONDS = 15000

_STATE = re.compile(r"EVENT STATE (VM|HOST|IMAGE)/([A-Z_]*)/([^ ]*)/(\d{1,18}) ?")
_OBJECT = re.compile(r"EVENT (VM|HOST|IMAGE) (\d{1,18})/([A-Z_]*)/([^ ]*) ?")
_CALL = re.compile(r"EVENT API ([a-z_.]{1,100}) ([01]) ?")


class EventKind(StrEnum):
    """What an event is about."""

    VM = "VM"
    HOST = "HOST"
    IMAGE = "IMAGE"
    CALL = "API"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A change of state, or a call (``kind`` CALL) that somebody made.

    ``state`` and ``lcm_state`` are names, ``ACTIVE`` and ``RUNNING``; ``vm`` or ``host`` is the
    object as it was. Of a call there is its name and whether it ``succeeded``, and the
    VM or host that it was about where the event has it.
    """

    kind: EventKind
    object_id: int | None
    state: str = ""
    lcm_state: str = ""
    call: str = ""
    succeeded: bool = True
    vm: VirtualMachine | None = None
    host: HostInfo | None = None


def decode_event(key: bytes, message: bytes) -> Event:
    """The event that two frames are: a key and base64 of ``<HOOK_MESSAGE>``.

    Raises :class:`BadAnswer` where they are malformed, too large or hostile, or where the
    message is about another object than the key.
    """
    if len(key) > _LONGEST_KEY or len(message) > LARGEST_EVENT_BYTES:
        raise BadAnswer(f"an event is larger than {LARGEST_EVENT_BYTES} bytes")
    try:
        name = key.decode()
        text = binascii.a2b_base64(message, strict_mode=False).decode()
    except ValueError:
        raise BadAnswer("an event is not text, or not in base64") from None
    hook = read_object(text, "HOOK_MESSAGE")
    found = _STATE.fullmatch(name)
    if found is not None:
        kind, state, lcm_state, number = found.groups()
        return _state_event(kind, int(number), state, lcm_state, hook)
    found = _OBJECT.fullmatch(name)
    if found is not None:
        kind, number, state, lcm_state = found.groups()
        return _state_event(kind, int(number), state, lcm_state, hook)
    found = _CALL.fullmatch(name)
    if found is None:
        raise BadAnswer(f"an event has the key {name[:80]!r}, which is not known")
    return _call_event(found[1], found[2] == "1", hook)


def _state_event(kind: str, number: int, state: str, lcm_state: str, hook: Element) -> Event:
    vm, host = _objects(hook)
    if any(one.id != number for one in (vm, host) if one is not None):
        raise BadAnswer(f"an event of {kind} {number} has another object in it")
    if kind != EventKind.VM:
        lcm_state = ""
    return Event(
        kind=EventKind(kind), object_id=number, state=state, lcm_state=lcm_state, vm=vm, host=host
    )


def _call_event(call: str, succeeded: bool, hook: Element) -> Event:
    extra = hook.find("CALL_INFO/EXTRA")
    vm, host = _objects(hook if extra is None else extra)
    about = vm or host
    number = about.id if about is not None else _answered(hook) if succeeded else None
    return Event(
        kind=EventKind.CALL, object_id=number, call=call, succeeded=succeeded, vm=vm, host=host
    )


def _objects(element: Element) -> tuple[VirtualMachine | None, HostInfo | None]:
    vm, host = element.find("VM"), element.find("HOST")
    return (None if vm is None else vm_of(vm)), (None if host is None else host_of(host))


def _answered(hook: Element) -> int | None:
    """The second value of the call's answer, which is the object of most calls."""
    for parameter in hook.iterfind("CALL_INFO/PARAMETERS/PARAMETER"):
        if text_of(parameter, "TYPE") == "OUT" and text_of(parameter, "POSITION") == "2":
            value = text_of(parameter, "VALUE")
            return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None
    return None


class EventStream:
    """Listens to the events of one ``oned``; connects, and connects again, by itself.

    ``keys`` are beginnings of the keys that are wanted. To be used from one thread.
    Raises :class:`OpenNebulaError` where pyzmq is not installed or the address makes
    no sense; whether anybody publishes there is not known until an event arrives.
    """

    def __init__(
        self, address: str = "tcp://127.0.0.1:2101", *, keys: tuple[str, ...] = STATE_KEYS
    ) -> None:
        self._zmq = _zmq()
        #: How many events could not be read.
        self.unreadable = 0
        self._context = self._zmq.Context()
        self._socket = self._context.socket(self._zmq.SUB)
        for option, value in (
            ("LINGER", 0),
            ("MAXMSGSIZE", LARGEST_EVENT_BYTES),
            ("RCVHWM", _QUEUED_EVENTS),
            ("RECONNECT_IVL", _RECONNECT_MILLISECONDS),
            ("RECONNECT_IVL_MAX", _LONGEST_RECONNECT_MILLISECONDS),
            # A publisher that is gone without a word is noticed, and connected to again.
            ("HEARTBEAT_IVL", _HEARTBEAT_MILLISECONDS),
            ("HEARTBEAT_TIMEOUT", 2 * _HEARTBEAT_MILLISECONDS),
        ):
            self._socket.setsockopt(getattr(self._zmq, option), value)
        for key in keys:
            self._socket.setsockopt(self._zmq.SUBSCRIBE, key.encode())
        try:
            self._socket.connect(address)
        except self._zmq.ZMQError:
            self.close()
            raise OpenNebulaError(
                f"{address!r} is no address of events: write one such as tcp://127.0.0.1:2101"
            ) from None

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        self._context.term()

    def receive(self, timeout_seconds: float) -> Event | None:
        """The next event, ``None`` where none comes in time; unreadable ones are passed over."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = max(0, round((deadline - time.monotonic()) * 1000))
            if not self._socket.poll(left):
                return None
            frames = self._socket.recv_multipart()
            try:
                if len(frames) != 2:
                    raise BadAnswer(f"an event has {len(frames)} frames")
                return decode_event(frames[0], frames[1])
            except BadAnswer as error:
                self.unreadable += 1
                _log.warning("an event of OpenNebula is passed over: %s", error)
            if time.monotonic() >= deadline:
                return None


def _zmq() -> ModuleType:
    try:
        return importlib.import_module("zmq")
    except ImportError:
        raise OpenNebulaError(
            "events of OpenNebula need pyzmq: install it with pip install 'haizea[opennebula]',"
            " or switch events off and let Haizea look every wakeup-interval alone"
        ) from None
