"""The calls of OpenNebula that a scheduler needs, alike in every version."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from haizea.backends.opennebula.model.errors import (
    BadAnswer,
    Fault,
    NotInThisVersion,
    OpenNebulaError,
    RefusalKind,
    Refused,
    Unreachable,
)
from haizea.backends.opennebula.model.host import HostInfo, read_host, read_hosts, read_monitoring
from haizea.backends.opennebula.model.pools import (
    Cluster,
    Datastore,
    RaftState,
    User,
    VmGroup,
    read_clusters,
    read_configuration,
    read_datastores,
    read_raft_state,
    read_user,
    read_vm_groups,
)
from haizea.backends.opennebula.model.template import Attributes, Template, write_template
from haizea.backends.opennebula.model.version import LEGACY, Version, read_version
from haizea.backends.opennebula.model.vm import (
    VirtualMachine,
    VmState,
    oldest_first,
    read_vm,
    read_vms,
)
from haizea.backends.opennebula.wire.answers import Value, encode_call, unwrap
from haizea.backends.opennebula.wire.commands import LEGACY_ACTIONS, Action, Recovery
from haizea.backends.opennebula.wire.connection import (
    Connections,
    ConnectionSettings,
    RetrySettings,
)
from haizea.backends.opennebula.wire.session import Session

_log = logging.getLogger(__name__)

_EVERYBODYS = -2
_NO_LIMIT = -1
_NOT_DONE = -1
_BY_SAVING = 0
_IDS_PER_CALL = 500
_LONGEST_BACKOFF_SECONDS = 30.0


class Client:
    """A client of one ``oned``, to be used from any number of threads.

    A call that only reads, or that can be repeated without harm, is tried again where no
    answer arrives; any other one only while nothing was sent. Every call raises

    * :class:`Unreachable` where no answer arrives, after the last try;
    * :class:`BadAnswer` where the answer is malformed, too large or hostile;
    * :class:`Refused` where OpenNebula says no, with its message and kind;
    * :class:`Fault` where it does not understand the call;
    * :class:`NotInThisVersion` where it has no such call.
    """

    def __init__(
        self,
        url: str,
        session: Session,
        *,
        connection: ConnectionSettings | None = None,
        retry: RetrySettings | None = None,
    ) -> None:
        self.connections = Connections(url, connection or ConnectionSettings())
        self._session = session
        self._retry = retry or RetrySettings()
        self._closing = threading.Event()
        self._version: Version | None = None
        self.absences = 0  # so often nobody listened: who answers was started since
        self._missing: set[str] = set()  # calls that this OpenNebula does not have

    def __repr__(self) -> str:
        return f"Client({self.connections.name!r}, {self._session!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections, and give up waiting for another try."""
        self._closing.set()
        self.connections.close()

    # -- the server --

    def version(self, *, ask_again: bool = False) -> Version:
        """Its version; one that has no such call is 1.4. Asked for once."""
        version = self._version
        if version is None or ask_again:
            try:
                version = read_version(self._text("one.system.version", legacy=False))
            except Fault as fault:
                if fault.code != Fault.NO_SUCH_METHOD:
                    raise
                version = LEGACY
            self._version = version
            self._missing.clear()
        return version

    def raft_state(self) -> RaftState:
        """The server's role in its zone. SOLO where there are no zones (1.4)."""
        if self._is_legacy:
            return RaftState.SOLO
        return read_raft_state(self._text("one.zone.raftstatus"))

    def configuration(self) -> Template:
        """The content of ``oned.conf``; for administrators alone. Not in 1.4."""
        self._needs_newer("one.system.config")
        return read_configuration(self._text("one.system.config"))

    def user(self, session: Session | None = None) -> User:
        """The user whose session it is, by default the client's own.

        Raises :class:`Refused` with ``RefusalKind.AUTHENTICATION`` for wrong credentials. In
        1.4 it knows the name alone.
        """
        if not self._is_legacy:
            return read_user(self._text("one.user.info", -1, session=session))
        # It checks no password on one.vm.info; on this it does.
        self._text("one.hostpool.info", session=session)
        return User(id=-1, name=(session or self._session).user)

    # -- what there is --

    def hosts(self, *, monitoring: bool = True) -> tuple[HostInfo, ...]:
        """All hosts, with their last monitoring where it is wanted."""
        text = self._text("one.hostpool.info")
        if self._is_legacy:
            # The pool has no templates, which requirements need.
            return tuple(self.host(host.id) for host in read_hosts(text, tolerant=True))
        hosts = tuple(read_hosts(text))
        if not monitoring:
            return hosts
        latest = self.host_monitoring()
        return tuple(
            host.monitored(latest[host.id]) if host.id in latest else host for host in hosts
        )

    def host(self, number: int) -> HostInfo:
        """One host."""
        return read_host(self._text("one.host.info", number), tolerant=self._is_legacy)

    def host_monitoring(self) -> dict[int, Attributes]:
        """Each host's last monitoring (``CAPACITY``, ``SYSTEM``); empty in old versions."""
        if self._is_legacy:
            return {}
        text = self._text_if_known("one.hostpool.monitoring", 0)
        return {} if text is None else read_monitoring(text)

    def clusters(self) -> tuple[Cluster, ...]:
        """All clusters; none in 1.4."""
        return () if self._is_legacy else read_clusters(self._text("one.clusterpool.info"))

    def datastores(self) -> tuple[Datastore, ...]:
        """All datastores; none in 1.4."""
        return () if self._is_legacy else read_datastores(self._text("one.datastorepool.info"))

    def vm_groups(self) -> tuple[VmGroup, ...]:
        """All VM groups; none in versions without them."""
        if self._is_legacy:
            return ()
        call = (_EVERYBODYS, _NO_LIMIT, _NO_LIMIT)
        text = self._text_if_known("one.vmgrouppool.info", *call)
        return () if text is None else read_vm_groups(text)

    # -- virtual machines --

    def vms(self, unread: set[int] | None = None) -> tuple[VirtualMachine, ...]:
        """All VMs that are not done, with their templates, the oldest first.

        What cannot be read is added to ``unread``.
        """
        if self._is_legacy:
            return self._legacy_vms(unread)
        call = (_EVERYBODYS, _NO_LIMIT, _NO_LIMIT, _NOT_DONE)
        text = self._text_if_known("one.vmpool.infoextended", *call)
        if text is None:
            # Before it there was no shorter form either.
            text = self._text("one.vmpool.info", *call)
        return oldest_first(read_vms(text))

    def vms_by_id(
        self, numbers: Iterable[int], unread: set[int] | None = None
    ) -> tuple[VirtualMachine, ...]:
        """These VMs, as :meth:`vms` has them, without those that are unknown."""
        wanted = sorted(set(numbers))
        if not self._is_legacy and "one.vmpool.infoset" not in self._missing:
            found: list[VirtualMachine] = []
            for start in range(0, len(wanted), _IDS_PER_CALL):
                names = ",".join(map(str, wanted[start : start + _IDS_PER_CALL]))
                text = self._text_if_known("one.vmpool.infoset", names, True)
                if text is None:
                    return self._one_by_one(wanted, unread=unread)
                found += read_vms(text)
            return oldest_first(found)
        return self._one_by_one(wanted, unread=unread)

    def vm(self, number: int) -> VirtualMachine:
        """One VM, with its whole history."""
        vm = read_vm(self._text("one.vm.info", number), tolerant=self._is_legacy)
        if vm.id != number:
            raise BadAnswer(f"asked for VM {number}, and got VM {vm.id}")
        return vm

    def deploy(self, vm: int, host: int, *, datastore: int | None = None) -> None:
        """Start a VM on a host, in a system datastore or in the one that ``oned`` chooses.

        That it returns means that the command was accepted; the VM's state tells how it ended.
        So do the other commands.
        """
        if self._is_legacy:
            self._command("one.vm.deploy", vm, host)
        else:
            where = -1 if datastore is None else datastore
            self._command("one.vm.deploy", vm, host, False, where, "")

    def action(self, action: Action, vm: int) -> None:
        """Suspend a VM, end it, …"""
        name = str(action)
        if self._is_legacy:
            if action not in LEGACY_ACTIONS:
                raise NotInThisVersion(f"OpenNebula {self.version()} cannot {action} a VM")
            name = LEGACY_ACTIONS[action]
        self._command("one.vm.action", name, vm)

    def migrate(self, vm: int, host: int, *, datastore: int | None = None) -> None:
        """Move a VM to another host: one that runs is saved for it, and not moved live."""
        if self._is_legacy:
            self._command("one.vm.migrate", vm, host, False)
        else:
            where = -1 if datastore is None else datastore
            self._command("one.vm.migrate", vm, host, False, False, where, _BY_SAVING)

    def update(self, vm: int, attributes: Mapping[str, str | Mapping[str, str]]) -> None:
        """Add attributes to a VM's user template; those of the same name are replaced whole.

        Repeating it changes nothing, so it is tried again. Not in 1.4.
        """
        self._needs_newer("one.vm.update")
        self._call("one.vm.update", (vm, write_template(attributes), 1), repeat=True)

    def recover(self, vm: int, how: Recovery) -> None:
        """Help a VM that failed or hangs. Not in 1.4."""
        self._needs_newer("one.vm.recover")
        self._command("one.vm.recover", vm, int(how))

    def command(self, method: str, *parameters: Value) -> tuple[Value, ...]:
        """Any other call, which may change something: sent once. Answers its values."""
        return self._call(method, parameters, repeat=False)

    # -- how --

    @property
    def _is_legacy(self) -> bool:
        return self.version().is_legacy

    def _needs_newer(self, method: str) -> None:
        if self._is_legacy:
            raise NotInThisVersion(f"OpenNebula {self.version()} has no {method}")

    def _legacy_vms(self, unread: set[int] | None) -> tuple[VirtualMachine, ...]:
        pool = read_vms(self._text("one.vmpool.info", _EVERYBODYS), tolerant=True)
        wanted = [vm for vm in pool if vm.state != VmState.DONE]
        return self._one_by_one([vm.id for vm in wanted], wanted, unread)

    def _one_by_one(
        self,
        numbers: Iterable[int],
        known: Iterable[VirtualMachine] = (),
        unread: set[int] | None = None,
    ) -> tuple[VirtualMachine, ...]:
        """Ask for each; one that cannot be read is logged and left out, the others stay.

        ``one.vm.info`` of 1.4 has no owner's name, so that it is taken from ``known``.
        """
        owners = {vm.id: vm.uname for vm in known}
        found = []
        for number in numbers:
            try:
                vm = self.vm(number)
            except Refused as refusal:
                if refusal.kind is not RefusalKind.NO_SUCH_OBJECT:
                    raise
            except BadAnswer as error:
                _log.error("VM %d cannot be read, and is left out: %s", number, error)
                if unread is not None:
                    unread.add(number)
            else:
                found.append(_owned(vm, owners.get(number, "")))
        return oldest_first(found)

    def _text(
        self,
        method: str,
        *parameters: Value,
        session: Session | None = None,
        legacy: bool | None = None,
    ) -> str:
        """The text that a call which only reads answers."""
        values = self._call(method, parameters, repeat=True, session=session, legacy=legacy)
        if not values or not isinstance(values[0], str):
            raise BadAnswer(f"{method} answers no text")
        return values[0]

    def _text_if_known(self, method: str, *parameters: Value) -> str | None:
        """See ``_text``; ``None`` where this version has no such call, which is remembered."""
        if method in self._missing:
            return None
        try:
            return self._text(method, *parameters)
        except Fault as fault:
            if fault.code != Fault.NO_SUCH_METHOD:
                raise
            self._missing.add(method)
            return None

    def _command(self, method: str, *parameters: Value) -> None:
        """Change something: sent once."""
        self._call(method, parameters, repeat=False)

    def _call(
        self,
        method: str,
        parameters: tuple[Value, ...],
        *,
        repeat: bool,
        session: Session | None = None,
        legacy: bool | None = None,
    ) -> tuple[Value, ...]:
        session = session or self._session
        hashed = self._is_legacy if legacy is None else legacy
        body = encode_call(method, (session.wire(hashed=hashed), *parameters))
        try:
            return unwrap(self._tried(method, body, repeat))
        except Refused as refusal:
            text = session.hide(str(refusal))
            raise Refused(text, refusal.code, refusal.object_id) from None
        except Fault as fault:
            text = session.hide(str(fault)).removeprefix(f"fault {fault.code}: ")
            raise Fault(fault.code, text) from None
        except BadAnswer as error:
            raise BadAnswer(f"{method}: {session.hide(str(error))}") from None

    def _tried(self, method: str, body: bytes, repeat: bool) -> tuple[Value, ...]:
        """Send it until it is answered, as often as is allowed and harmless."""
        wait = self._retry.backoff_seconds
        for attempt in range(1, self._retry.attempts + 1):
            try:
                return self.connections.exchange(body, fresh=not repeat)
            except Unreachable as error:
                self.absences += error.nobody_listens
                again = repeat or not error.maybe_done
                if not again or attempt == self._retry.attempts or self._closing.is_set():
                    raise Unreachable(f"{method}: {error}", maybe_done=error.maybe_done) from None
                _log.info("%s: %s; trying again in %.1f s", method, error, wait)
            self._closing.wait(wait)
            wait = min(2 * wait, _LONGEST_BACKOFF_SECONDS)
        raise OpenNebulaError(f"{method}: no attempt is allowed")


def _owned(vm: VirtualMachine, uname: str) -> VirtualMachine:
    return replace(vm, uname=uname) if uname and not vm.uname else vm
