"""Looking at OpenNebula: by event at what changed, and at everything now and then.

Two threads, one that listens and one that asks; what is seen is told to whoever wants it.
Nothing is concluded from OpenNebula not answering.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from haizea.backends.opennebula.model.errors import (
    Fault,
    NotInThisVersion,
    OpenNebulaError,
    RefusalKind,
    Refused,
)
from haizea.backends.opennebula.model.template import NO_TEMPLATE
from haizea.backends.opennebula.state.seen import Look, Surroundings
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.events import (
    CALL_KEYS,
    STATE_KEYS,
    VM_UPDATE,
    EventKind,
    EventStream,
    events_address,
    is_automatic,
)
from haizea.backends.opennebula.wire.listening import from_kept, to_keep

_log = logging.getLogger(__name__)

#: Events that come within this time are answered by one question.
_GATHER_SECONDS = 0.02
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 2.0
_LISTEN_SECONDS = 0.5
_ASK_AGAIN_SECONDS = 2.0
#: Who has not answered for so long is said to be silent, though it is waited for.
_SILENT_SECONDS = 12
#: Calls and events that are cut within so long of each other were cut by one restart.
_ONE_RESTART_SECONDS = 20
#: More hosts than these are asked for as a pool.
_MOST_SINGLE_HOSTS = 4


@dataclass(frozen=True, slots=True)
class Down:
    """OpenNebula cannot be asked, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Follower:
    """This server of OpenNebula is not the one that takes commands."""


News = Look | Down | Follower


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """In real seconds: between looks at everything, and at what is under way.

    Hosts and what is around them are looked at ``around_per_full`` times as often as
    everything is: that is little, and not all that changes there is published. So long as
    nothing else is asked, it is asked every ``ping_seconds`` whether OpenNebula answers.
    """

    full_seconds: float = 60.0
    poll_seconds: float = 1.0
    ping_seconds: float = 4.0
    around_per_full: int = 6


class Watcher:
    """Tells news as they come, from a thread of its own.

    ``watch`` has the VMs that something is expected of: they are looked at often. ``expect``
    those that must be: where a look at everything has one of them not, it is asked for by
    number before it counts as gone.
    """

    def __init__(
        self,
        client: Client,
        events: str | None,
        intervals: Intervals,
        tell: Callable[[News], None],
        server: str | None = None,
    ) -> None:
        self._client = client
        self._events = events
        self._intervals = intervals
        self._tell = tell
        self._wake = threading.Condition()
        self._closing = False
        self._everything = True
        self._around = False
        self._vms: set[int] = set()
        self._hosts: set[int] = set()
        #: Replaced as a whole, never changed.
        self.watch: frozenset[int] = frozenset()
        self.expect: frozenset[int] = frozenset()
        self._next_full = 0.0
        self._next_around = 0.0
        self._next_poll = 0.0
        self._next_ping = 0.0
        self._pause = _FIRST_PAUSE_SECONDS
        self._down = False
        #: So often nobody had listened when everything was looked at last.
        self._absences = 0
        #: Who listened there then, if that is to be known.
        self._listeners = from_kept(server, client.connections.name)
        #: When the connection for events was lost last, and when a restart was noticed last.
        self._lost_at: float | None = None
        self._noticed_at = 0.0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to look and to listen."""
        targets = [self._look_on] + ([self._listen] if self._events else [])
        for target in targets:
            thread = threading.Thread(target=target, name="opennebula watch", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Look no more."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)

    def look_at(self, vms: Iterable[int]) -> None:
        """Have these VMs looked at soon. From any thread."""
        with self._wake:
            self._vms.update(vms)
            self._wake.notify_all()

    def look_everywhere(self) -> None:
        """Have everything looked at soon. From any thread."""
        with self._wake:
            self._everything = True
            self._wake.notify_all()

    @property
    def silence(self) -> str:
        """The words for an OpenNebula that was asked long ago; empty if it answers."""
        seconds = int(self._client.connections.silent_seconds())
        silent = seconds >= _SILENT_SECONDS
        return f"OpenNebula has not answered for {seconds} s" if silent else ""

    # --- listening ----------------------------------------------------------------------

    def _address(self) -> str | None:
        """The address of events, once OpenNebula has told it; ``None`` where there are none."""
        assert self._events is not None, "there is an address"
        while is_automatic(self._events):
            try:
                return events_address(self._events, self._client.configuration())
            except NotInThisVersion:
                return None
            except (Refused, Fault):
                return events_address(self._events, NO_TEMPLATE)
            except OpenNebulaError as error:
                _log.debug("where events are is asked for again: %s", error)
            with self._wake:
                if self._closing:
                    return None
                self._wake.wait(_ASK_AGAIN_SECONDS)
        return self._events

    def _listen(self) -> None:
        address = self._address()
        if address is None:
            return
        try:
            stream = EventStream(address, keys=STATE_KEYS + CALL_KEYS)
        except OpenNebulaError as error:
            _log.error("no events of OpenNebula, it is looked at every now and then: %s", error)
            return
        connections = losses = 0
        with stream:
            while not self._closing:
                event = stream.receive(_LISTEN_SECONDS)
                if stream.connections != connections:
                    # Whatever was published before is lost.
                    connections = stream.connections
                    self.look_everywhere()
                with self._wake:
                    if stream.losses != losses:
                        # It may be that nobody is there any more.
                        losses = stream.losses
                        self._lost_at = time.monotonic()
                        self._next_ping = 0.0
                        self._wake.notify_all()
                    if event is None or event.object_id is None:
                        continue
                    if event.call == VM_UPDATE:
                        self._vms |= {event.object_id} if event.edits_request else set()
                    elif event.kind is EventKind.CALL:
                        self._around = True
                    elif event.kind is EventKind.VM:
                        self._vms.add(event.object_id)
                    elif event.kind is EventKind.HOST:
                        self._hosts.add(event.object_id)
                    self._wake.notify_all()

    # --- looking ------------------------------------------------------------------------

    def _look_on(self) -> None:
        while self._wait():
            try:
                self._look()
            except OpenNebulaError as error:
                self._failed(error)
            except Exception:
                _log.exception("looking at OpenNebula failed, which is a bug in Haizea")
                self._failed(OpenNebulaError("an answer could not be made sense of"))
            else:
                self._pause = _FIRST_PAUSE_SECONDS
                if self._down:
                    self._down = False
                    _log.warning("OpenNebula answers again")

    def _wait(self) -> bool:
        """Wait until there is something to look at; whether to go on."""
        with self._wake:
            while not self._closing:
                now = time.monotonic()
                due = min(self._next_full, self._next_around, self._next_ping)
                if self.watch:
                    due = min(due, self._next_poll)
                noticed = self._everything or self._around or self._vms or self._hosts
                if noticed or now >= due:
                    break
                self._wake.wait(min(due - now, 1.0))
            if self._closing:
                return False
        time.sleep(_GATHER_SECONDS)
        return not self._closing

    def _look(self) -> None:
        here = self._client.connections.listeners()
        if self._down or self._was_restarted(self._client.absences, here):
            # It may be another version now.
            self._client.version(ask_again=True)
            self._everything = True
        with self._wake:
            now = time.monotonic()
            everything = self._everything or now >= self._next_full
            around = self._around or now >= self._next_around
            vms, hosts = self._vms, self._hosts
            self._vms, self._hosts, self._around = set(), set(), False
            if now >= self._next_poll:
                vms |= self.watch
                self._next_poll = now + self._intervals.poll_seconds
        try:
            if everything:
                self._look_at_everything()
                self._everything = False
                self._next_full = time.monotonic() + self._intervals.full_seconds
            elif around:
                self._look_around()
            elif hosts:
                self._look_at_hosts(hosts)
            if vms and not everything:
                self._look_at_vms(vms)
            if not (everything or around or hosts or vms):
                # Cheap to answer; 1.4 has nothing of the kind.
                self._leads()
        except OpenNebulaError:
            with self._wake:
                self._vms |= vms
                self._hosts |= hosts
                self._around |= around
            raise
        self._next_ping = time.monotonic() + self._intervals.ping_seconds
        if self._was_restarted(self._absences, self._client.connections.listeners()):
            self._everything = True
        if everything or around:
            rest = self._intervals.full_seconds / self._intervals.around_per_full
            self._next_around = time.monotonic() + rest

    def _was_restarted(self, absences: int, here: frozenset[str]) -> bool:
        """Tell whether OpenNebula was started anew since everything was looked at last.

        Nobody listened for a while; or, where that was too short to be seen, another listens at its
        address on this machine, or both a call and the events were cut. A call or the events alone
        say nothing: either may be cut by a proxy or the network.
        """
        known = self._listeners
        if known and here and here.isdisjoint(known):
            return True
        cut, lost = self._client.connections.cut_at(), self._lost_at
        both = cut is not None and lost is not None and min(cut, lost) > self._noticed_at
        if both and cut is not None and lost is not None:
            both = abs(cut - lost) < _ONE_RESTART_SECONDS
        return both or absences != self._absences

    def _leads(self) -> bool:
        """Tell whether OpenNebula takes commands here."""
        leads = self._client.raft_state().schedules
        if not leads:
            self._tell(Follower())
        return leads

    def _look_around(self) -> None:
        if not self._leads():
            return
        asked = time.monotonic()
        hosts = self._client.hosts()
        self._tell(Look(asked=asked, hosts=hosts, surroundings=self._surroundings()))

    def _look_at_everything(self) -> None:
        if not self._leads():
            return
        asked, absences = time.monotonic(), self._client.absences
        here = self._client.connections.listeners()
        hosts = self._client.hosts()
        unread: set[int] = set()
        vms = list(self._client.vms(unread=unread))
        missing = self.expect - {vm.id for vm in vms} - unread
        if missing:
            vms += self._client.vms_by_id(missing, unread)
        around, restarted = self._surroundings(), self._was_restarted(absences, here)
        here = here or self._listeners
        self._tell(
            Look(
                asked=asked,
                vms=tuple(vms),
                whole=True,
                unread=frozenset(unread),
                hosts=hosts,
                surroundings=around,
                restarted=restarted,
                server=to_keep(self._client.connections.name, here) if here else "",
            )
        )
        self._absences, self._listeners = absences, here
        if restarted:
            self._noticed_at = time.monotonic()

    def _look_at_vms(self, numbers: set[int]) -> None:
        asked = time.monotonic()
        unread: set[int] = set()
        vms = self._client.vms_by_id(numbers, unread)
        gone = frozenset(numbers - {vm.id for vm in vms} - unread)
        look = Look(asked=asked, vms=vms, gone=gone)
        if any("VMGROUP" in vm.template for vm in vms):
            look = replace(look, surroundings=self._surroundings())
        self._tell(look)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            clusters=self._client.clusters(),
            datastores=self._client.datastores(),
            groups=self._client.vm_groups(),
        )

    def _look_at_hosts(self, numbers: set[int]) -> None:
        asked = time.monotonic()
        if len(numbers) > _MOST_SINGLE_HOSTS:
            self._tell(Look(asked=asked, hosts=self._client.hosts()))
            return
        for number in sorted(numbers):
            try:
                self._tell(Look(asked=asked, host=self._client.host(number)))
            except Refused as refusal:
                if refusal.kind is not RefusalKind.NO_SUCH_OBJECT:
                    raise
                self._tell(Look(asked=asked, hosts=self._client.hosts()))

    def _failed(self, error: OpenNebulaError) -> None:
        if not self._down:
            self._down = True
            _log.warning("OpenNebula does not answer, and is asked again: %s", error)
            self._tell(Down(str(error)))
        with self._wake:
            if not self._closing:
                self._wake.wait(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
