"""Events that OpenNebula (6 and later) publishes with ZeroMQ: reasons to look, never the truth.

They may come out of order, twice or not at all; what is true is what a call answers.
"""

from __future__ import annotations

import binascii
import importlib
import logging
import math
import re
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.model.errors import BadAnswer, OpenNebulaError
from haizea.backends.opennebula.model.host import HostInfo, host_of
from haizea.backends.opennebula.model.template import Template
from haizea.backends.opennebula.model.trees import read_object
from haizea.backends.opennebula.model.vm import VirtualMachine, vm_of
from haizea.extras import advice

_log = logging.getLogger(__name__)

#: Changes of state of VMs and hosts, each published once under these keys.
STATE_KEYS = ("EVENT STATE VM/", "EVENT STATE HOST/")

#: Calls that change what requirements and ranks go by, where they were obeyed. The objects
#: themselves come to no other state by them.
CALL_KEYS = tuple(
    f"EVENT API one.{call} 1"
    for call in (
        "host.update",
        "cluster.update",
        "cluster.addhost",
        "cluster.delhost",
        "cluster.adddatastore",
        "cluster.deldatastore",
        "datastore.update",
        "datastore.enable",
        "vm.update",
    )
)
#: Of these the message says whether a request was edited: Haizea itself makes them, too.
VM_UPDATE = "one.vm.update"
_EDIT = re.compile(r"\bHAIZEA\s*=")

LARGEST_EVENT_BYTES = 4 << 20
_LONGEST_KEY = 4096
_QUEUED_EVENTS = 10000
_RECONNECT_MILLISECONDS = 200
_LONGEST_RECONNECT_MILLISECONDS = 5000
_HEARTBEAT_MILLISECONDS = 15000

_STATE = re.compile(r"EVENT STATE (VM|HOST|IMAGE)/([A-Z_]*)/([^ ]*)/(\d{1,18}) ?")
_OBJECT = re.compile(r"EVENT (VM|HOST|IMAGE) (\d{1,18})/([A-Z_]*)/([^ ]*) ?")
_FIRST_PARAMETER = re.compile(r"<POSITION>2</POSITION><TYPE>IN</TYPE><VALUE>([0-9]{1,18})</VALUE>")
_CALL = re.compile(r"EVENT API ([a-z_.]{1,100}) ([01]) ?")


#: In the place of an address's port: the one that OpenNebula's configuration has.
AUTO_PORT = ":auto"
_USUAL_PORT = "2101"


def is_automatic(address: str) -> bool:
    """Tell whether OpenNebula's configuration has to be asked for the port."""
    return address.endswith(AUTO_PORT)


def events_address(address: str, configuration: Template) -> str:
    """The address with its port, which is in ``HM_MAD`` of OpenNebula's configuration."""
    if not is_automatic(address):
        return address
    words = configuration.vector("HM_MAD").get("ARGUMENTS", "").split()
    port = words[words.index("-p") + 1] if "-p" in words[:-1] else _USUAL_PORT
    return f"{address.removesuffix(AUTO_PORT)}:{port}"


class EventKind(StrEnum):
    """Subjects of events."""

    VM = "VM"
    HOST = "HOST"
    IMAGE = "IMAGE"
    CALL = "API"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A change of state, or a call (``kind`` CALL) that somebody made.

    ``state`` and ``lcm_state`` are names, ``ACTIVE`` and ``RUNNING``; ``vm`` or ``host`` is the
    object as it was. Of a call there is its name, whether it ``succeeded``, and the number
    that the caller gave first, which most calls are about; ``edits_request``, if it is an update
    of a VM that writes ``HAIZEA``.
    """

    kind: EventKind
    object_id: int | None
    state: str = ""
    lcm_state: str = ""
    call: str = ""
    succeeded: bool = True
    edits_request: bool = False
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
    found = _CALL.fullmatch(name)
    if found is not None:
        return _call_event(found[1], found[2] == "1", text)
    hook = read_object(text, "HOOK_MESSAGE")
    found = _STATE.fullmatch(name)
    if found is not None:
        kind, state, lcm_state, number = found.groups()
        return _state_event(kind, int(number), state, lcm_state, hook)
    found = _OBJECT.fullmatch(name)
    if found is not None:
        kind, number, state, lcm_state = found.groups()
        return _state_event(kind, int(number), state, lcm_state, hook)
    raise BadAnswer(f"an event has the key {name[:80]!r}, which is not known")


def _state_event(kind: str, number: int, state: str, lcm_state: str, hook: Element) -> Event:
    vm, host = _objects(hook)
    if any(one.id != number for one in (vm, host) if one is not None):
        raise BadAnswer(f"an event of {kind} {number} has another object in it")
    if kind != EventKind.VM:
        lcm_state = ""
    return Event(
        kind=EventKind(kind), object_id=number, state=state, lcm_state=lcm_state, vm=vm, host=host
    )


def _call_event(call: str, succeeded: bool, text: str) -> Event:
    """Users' text is not escaped in these, so that they are not read as XML, nor believed."""
    if not text.startswith("<HOOK_MESSAGE>"):
        raise BadAnswer("an event of a call has no message")
    number = _FIRST_PARAMETER.search(text)
    object_id = None if number is None else int(number[1])
    return Event(
        kind=EventKind.CALL,
        object_id=object_id,
        call=call,
        succeeded=succeeded,
        edits_request=call == VM_UPDATE and _EDIT.search(text) is not None,
    )


def _objects(element: Element) -> tuple[VirtualMachine | None, HostInfo | None]:
    vm, host = element.find("VM"), element.find("HOST")
    return (None if vm is None else vm_of(vm)), (None if host is None else host_of(host))


class EventStream:
    """Listens to the events of one ``oned``; connects, and connects again, by itself.

    ``keys`` are beginnings of the keys that are wanted. To be used from one thread.
    Raises :class:`OpenNebulaError` where pyzmq is not installed or the address makes
    no sense; whether anybody publishes there shows in ``connections``.
    """

    def __init__(
        self, address: str = "tcp://127.0.0.1:2101", *, keys: tuple[str, ...] = STATE_KEYS
    ) -> None:
        self._zmq = _zmq()
        #: How many events could not be read.
        self.unreadable = 0
        #: How often it was connected; what was published between two connections is lost.
        self.connections = 0
        #: How often a connection was lost.
        self.losses = 0
        self._address = address
        self._keys = keys
        self._context = self._zmq.Context()
        try:
            self._connect()
        except self._zmq.ZMQError:
            self._context.destroy(linger=0)
            raise OpenNebulaError(
                f"{address!r} is not an address of events: write one such as tcp://127.0.0.1:2101"
            ) from None

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._context.destroy(linger=0)

    def receive(self, timeout_seconds: float) -> Event | None:
        """The next event, ``None`` where none comes in time; unreadable ones are passed over."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready = dict(self._poller.poll(math.ceil(left * 1000)))
            if self._socket in ready:
                event = self._read()
                if event is not None:
                    return event
            elif self._monitor in ready:
                self._watch()
            if time.monotonic() >= deadline:
                return None

    def _connect(self) -> None:
        zmq = self._zmq
        self._socket = self._context.socket(zmq.SUB)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        for option, value in (
            (zmq.MAXMSGSIZE, LARGEST_EVENT_BYTES),
            (zmq.RCVHWM, _QUEUED_EVENTS),
            (zmq.RECONNECT_IVL, _RECONNECT_MILLISECONDS),
            (zmq.RECONNECT_IVL_MAX, _LONGEST_RECONNECT_MILLISECONDS),
            # A publisher that is gone without a word is noticed.
            (zmq.HEARTBEAT_IVL, _HEARTBEAT_MILLISECONDS),
            (zmq.HEARTBEAT_TIMEOUT, 2 * _HEARTBEAT_MILLISECONDS),
        ):
            self._socket.setsockopt(option, value)
        for key in self._keys:
            self._socket.setsockopt(zmq.SUBSCRIBE, key.encode())
        self._socket.connect(self._address)

    def _read(self) -> Event | None:
        frames = self._socket.recv_multipart()
        try:
            if len(frames) != 2:
                raise BadAnswer(f"an event has {len(frames)} frames")
            return decode_event(frames[0], frames[1])
        except BadAnswer as error:
            self.unreadable += 1
            _log.warning("an event of OpenNebula is passed over: %s", error)
            return None

    def _watch(self) -> None:
        """Take note of a connection that was made or lost.

        ZeroMQ connects again by itself, but not after a message that is too large: it
        would never hear anything again. So a lost connection is always made anew.
        """
        number, _ = self._monitor.recv_multipart()
        if int.from_bytes(number[:2], sys.byteorder) == self._zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.connections += 1
            return
        self.losses += 1
        _log.info("%s: no events, the connection was lost; connecting again", self._address)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
        time.sleep(_RECONNECT_MILLISECONDS / 1000)
        self._connect()


def _zmq() -> ModuleType:
    try:
        return importlib.import_module("zmq")
    except ImportError:
        raise OpenNebulaError(
            "events can be switched off, and Haizea looks every wakeup-interval alone; listening"
            f" to OpenNebula's {advice('pyzmq', 'opennebula')}"
        ) from None
