"""Events by ZeroMQ: two frames each, nearly in order, and at times lost or repeated."""

from __future__ import annotations

import base64
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from haizea.extras import advice
from haizea.sandbox.faults import Faults
from haizea.sandbox.objects import Host, Machine
from haizea.sandbox.render import Renderer
from haizea.sandbox.template import cdata, plain
from haizea.sandbox.wire import Argument

#: How long an event is held back for another to overtake it, in real seconds.
_HELD_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class _Event:
    """A message, its keys, how often each is sent, and whether the next overtakes it."""

    keys: tuple[str, ...]
    copies: tuple[int, ...]
    message: str
    is_late: bool


class EventsError(RuntimeError):
    """Events cannot be published; the message says why and what to do."""


class Publisher:
    """Publishes what happens in a cloud on a port of 127.0.0.1, from a thread of its own."""

    def __init__(self, port: int, faults: Faults, render: Renderer) -> None:
        try:
            import zmq
        except ImportError:
            raise EventsError(
                "events can be left out with --no-events; publishing them"
                f" {advice('pyzmq', 'opennebula')}"
            ) from None
        self._faults = faults
        self._render = render
        self._events: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 100_000)
        try:
            self._socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        except zmq.ZMQError as error:
            self._socket.close()
            self._context.term()
            raise EventsError(f"cannot publish events on port {port}: {error}") from None
        bound = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.port = int(bound.rpartition(":")[2])
        self._thread = threading.Thread(target=self._run, name="sandbox events", daemon=True)
        self._thread.start()

    def vm_changed(self, vm: Machine) -> None:
        """A VM came to a state."""
        inner, state, lcm = self._render.vm(vm), vm.state.name, vm.lcm.name
        host = vm.record.host_name if vm.record else ""
        remote = f"<REMOTE_HOST>{plain(host)}</REMOTE_HOST>" if host else "<REMOTE_HOST/>"
        self._put(
            (f"EVENT VM {vm.id}/{state}/{lcm} ", f"EVENT STATE VM/{state}/{lcm}/{vm.id} "),
            "<HOOK_MESSAGE><HOOK_TYPE>STATE</HOOK_TYPE><HOOK_OBJECT>VM</HOOK_OBJECT>"
            f"<STATE>{state}</STATE><LCM_STATE>{lcm}</LCM_STATE>"
            f"<RESOURCE_ID>{vm.id}</RESOURCE_ID>{remote}{inner}</HOOK_MESSAGE>",
        )

    def host_changed(self, host: Host) -> None:
        """A host came to a state."""
        state = host.state.name
        self._put(
            (f"EVENT HOST {host.id}/{state}/ ", f"EVENT STATE HOST/{state}//{host.id} "),
            "<HOOK_MESSAGE><HOOK_TYPE>STATE</HOOK_TYPE><HOOK_OBJECT>HOST</HOOK_OBJECT>"
            f"<STATE>{state}</STATE><RESOURCE_ID>{host.id}</RESOURCE_ID>"
            f"<REMOTE_HOST>{plain(host.name)}</REMOTE_HOST>"
            f"{self._render.host(host, monitoring=False)}</HOOK_MESSAGE>",
        )

    def called(
        self,
        method: str,
        arguments: Sequence[Argument],
        values: Sequence[Argument],
        submitted: Machine | None,
    ) -> None:
        """A call was answered with ``values``; ``arguments`` are those after the session, and
        ``submitted`` is the VM that it made."""
        extra = self._render.vm(submitted) if submitted else ""
        parts = [("IN", 1, "****")]
        parts += [("IN", at, _shown(value)) for at, value in enumerate(arguments, start=2)]
        kept = values if values[0] is True else values[:4]
        parts += [("OUT", at, _shown_answer(value)) for at, value in enumerate(kept, start=1)]
        inner = "".join(
            f"<PARAMETER><POSITION>{at}</POSITION><TYPE>{kind}</TYPE><VALUE>{value}</VALUE>"
            "</PARAMETER>"
            for kind, at, value in parts
        )
        result = int(values[0] is True)
        self._put(
            (f"EVENT API {method} {result}",),
            f"<HOOK_MESSAGE><HOOK_TYPE>API</HOOK_TYPE><CALL>{method}</CALL><CALL_INFO>"
            f"<RESULT>{result}</RESULT><PARAMETERS>{inner}</PARAMETERS><EXTRA>{extra}</EXTRA>"
            "</CALL_INFO></HOOK_MESSAGE>",
        )

    def close(self) -> None:
        """Send what is left, and stop."""
        self._events.put(None)
        self._thread.join()
        self._socket.close()
        self._context.term()

    def _run(self) -> None:
        held: _Event | None = None
        while True:
            try:
                event = self._events.get(timeout=_HELD_SECONDS if held else None)
            except queue.Empty:
                event = held
                held = None
                if event is not None:
                    self._send(event)
                continue
            if event is None:
                break
            if held is None and event.is_late:
                held = event
                continue
            self._send(event)
            if held is not None:
                self._send(held)
                held = None
        if held is not None:
            self._send(held)

    def _send(self, event: _Event) -> None:
        coded = base64.b64encode(event.message.encode())
        for key, copies in zip(event.keys, event.copies, strict=True):
            for _ in range(copies):
                self._socket.send_multipart([key.encode(), coded])

    def _put(self, keys: tuple[str, ...], message: str) -> None:
        """Queue an event. Faults are decided here, in the order of events: a seed repeats them."""
        copies = tuple(self._faults.event_copies() for _ in keys)
        self._events.put(_Event(keys, copies, message, self._faults.swaps_events()))


def _shown(value: Argument) -> str:
    """A parameter, raw as OpenNebula publishes it: with some of them the message is no XML."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _shown_answer(value: Argument) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return cdata(value) if isinstance(value, str) and value.startswith("[") else plain(value)
