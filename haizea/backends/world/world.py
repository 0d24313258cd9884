"""A site of simulated hosts and VMs that goes on by itself, in a file of its own.

What becomes of a command is drawn when it is given, and depends on the command alone. From
then on the world is a function of time: whoever looks next, a minute or a month later and in
whichever process, sees what happened meanwhile, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from haizea.backends.world import rows
from haizea.backends.world.audit import audit
from haizea.backends.world.file import WorldFile
from haizea.backends.world.giving import Giving, evolve_on_file
from haizea.backends.world.locking import WorldLock
from haizea.backends.world.options import WorldOptions
from haizea.backends.world.rows import Entry, Happening, HostState, Incident, Stretch, What
from haizea.backends.world.vm import (
    Command,
    IncidentKind,
    Verb,
    Vm,
    lose_host,
)
from haizea.core.model.hosts import Host

_SECONDS_PER_DAY = 86_400


class World:
    """The world in a file.

    May be used by several threads, and its file by several processes at once. Everything
    is on file when a method returns. Methods raise
    :class:`~haizea.backends.world.file.WorldUnavailable` when the file cannot be read or
    written at present; nothing is half done then.
    """

    def __init__(
        self, file: WorldFile, options: WorldOptions, lock: WorldLock | None = None
    ) -> None:
        self._file = file
        self._lock = lock
        self._options = options
        seen = file.rows("SELECT max(moment) FROM happenings") + file.rows(
            "SELECT max(given) FROM journal"
        )
        self._now: int = max(row[0] or 0 for row in seen)
        self._pruned = self._now

    @classmethod
    def open(
        cls,
        path: str | Path,
        hosts: Sequence[Host] = (),
        now: int = 0,
        options: WorldOptions | None = None,
        *,
        store: str | None = None,
    ) -> World:
        """The world in this file, made if there is none.

        Of ``hosts``, those that the world does not have are added, up since ``now``; one
        whose capacity changed has the new one, and from now on dies, or does not, as the
        options say. Without hosts, it is as it was left. A manager says in which ``store``
        its leases are, and those of other stores cannot have the world until it is closed.
        Raises :class:`~haizea.backends.world.file.WorldError` if the file cannot be used.
        """
        with ExitStack() as undo:
            lock = None
            if store is not None:
                lock = WorldLock(Path(path).resolve(), store)
                undo.callback(lock.give_back)
            file = WorldFile.open(path)
            undo.callback(file.close)
            world = cls(file, options or WorldOptions(), lock)
            for host in hosts:
                world.add_host(host, now)
            undo.pop_all()
        return world

    @property
    def options(self) -> WorldOptions:
        """The faults of this world."""
        return self._options

    def close(self) -> None:
        """Let go of the file; the world goes on."""
        self._file.close()
        if self._lock is not None:
            self._lock.give_back()
            self._lock = None

    # --- time -----------------------------------------------------------------------------

    def look(self, now: int) -> int:
        """Let everything happen that happens by ``now``, in order.

        Answers the present moment: ``now``, or later if the world was seen later already.
        O(what happens), each O(log n).
        """
        self._now = now = max(now, self._now)
        moment = self._next_moment()
        if moment is not None and moment <= now:
            with self._file.writing():
                while (moment := self._next_moment()) is not None and moment <= now:
                    self._let_happen(moment)
        if now - self._pruned >= _SECONDS_PER_DAY // 24:
            self.prune(now)
        return now

    def next_news(self) -> int | None:
        """The next moment when something happens by itself that a manager must be told."""
        return self._first(
            "SELECT min(until) FROM vms WHERE next_state IN ('ended', 'failed')",
            "SELECT min(until) FROM hosts",
        )

    def _next_moment(self) -> int | None:
        return self._first(
            "SELECT min(until) FROM vms WHERE until IS NOT NULL", "SELECT min(until) FROM hosts"
        )

    def _first(self, *queries: str) -> int | None:
        moments = [self._file.rows(query)[0][0] for query in queries]
        return min((m for m in moments if m is not None), default=None)

    def _let_happen(self, moment: int) -> None:
        for vm in rows.select_vms(self._file, "WHERE until = ? ORDER BY serial", moment):
            evolve_on_file(self._file, vm)
        for host in rows.select_hosts(self._file, "WHERE until = ?", moment):
            if host.up:
                repaired = moment + self._options.host_repair_seconds
                self._lose_host(host, moment, "a simulated fault: it died", repaired)
            else:
                self._restore_host(host, moment)

    # --- commands -------------------------------------------------------------------------

    def give(self, now: int, command: Command) -> Vm | None:
        """Give a VM a command; it begins ``now``, whenever it was due. Answers the VM then.

        Given again while it is the VM's last command, it changes nothing; nor does one that
        was due before the VM's last. One that cannot be followed is a happening, one that
        nobody may give an incident besides.
        """
        return self.give_all(now, [command])[0]

    def give_all(self, now: int, commands: Sequence[Command]) -> list[Vm | None]:
        """Give commands to different VMs, in order, as :meth:`give`; if the file fails, none is.

        O(commands), and O(VMs) once for each host on which one comes to take capacity.
        """
        now = self.look(now)
        with self._file.writing():
            return Giving(self._file, self._options, now).give(commands)

    # --- hosts ----------------------------------------------------------------------------

    def add_host(self, host: Host, now: int) -> None:
        """The site has this host, up from ``now`` on if it is new."""
        found = rows.select_hosts(self._file, "WHERE id = ?", host.id)
        if found:
            self._change_host(found[0], host, max(now, self._now))
            return
        with self._file.writing():
            self._file.run(
                "INSERT INTO hosts VALUES (?, ?, ?, 1, ?, ?, '')",
                host.id,
                host.name,
                rows.written(host.capacity),
                now,
                self._dies_at(host.id, now),
            )

    def _change_host(self, known: HostState, host: Host, now: int) -> None:
        """The site and the options may be others than when the host was last up."""
        until = known.until
        if known.up and (until is None) == self._options.hosts_die:
            until = self._dies_at(host.id, now)
        if (known.name, known.capacity, known.until) == (host.name, host.capacity, until):
            return
        with self._file.writing():
            statement = "UPDATE hosts SET name = ?, capacity = ?, until = ? WHERE id = ?"
            self._file.run(statement, host.name, rows.written(host.capacity), until, host.id)

    def host_down(self, host_id: int, now: int, reason: str = "the host failed") -> None:
        """A host dies now, and all that runs on it; it stays down until :meth:`host_up`."""
        now = self.look(now)
        with self._file.writing():
            for host in rows.select_hosts(self._file, "WHERE id = ? AND up", host_id):
                self._lose_host(host, now, reason, None)

    def host_up(self, host_id: int, now: int) -> None:
        """A host that is down is back, with what is saved on it."""
        now = self.look(now)
        with self._file.writing():
            for host in rows.select_hosts(self._file, "WHERE id = ? AND NOT up", host_id):
                self._restore_host(host, now)

    def _dies_at(self, host_id: int, since: int) -> int | None:
        lasts = self._options.host_lasts_seconds(host_id, since)
        return None if lasts is None else since + lasts

    def _lose_host(self, host: HostState, now: int, reason: str, until: int | None) -> None:
        statement = "UPDATE hosts SET up = 0, since = ?, until = ?, reason = ? WHERE id = ?"
        self._file.run(statement, now, until, reason, host.id)
        self._file.run("INSERT INTO outages VALUES (?, ?, NULL)", host.id, now)
        self._host_happens(now, What.HOST_DOWN, host.id, reason)
        there = (
            "WHERE (host = ? OR destination = ?) AND"
            " state IN ('running', 'suspending', 'resuming', 'stopping', 'migrating')"
            " ORDER BY serial"
        )
        for vm in rows.select_vms(self._file, there, host.id, host.id):
            new = lose_host(vm, now, f"{host.name}: {reason}")
            rows.store_vm(self._file, new)
            rows.follow_stretch(self._file, vm, new, now)
            finish = "UPDATE journal SET outcome = ?, finished = ? WHERE id = ?"
            self._file.run(finish, f"failed: {new.why}", now, vm.serial)
            rows.happens(self._file, now, What.FAILED, new, new.why)

    def _restore_host(self, host: HostState, now: int) -> None:
        statement = "UPDATE hosts SET up = 1, since = ?, until = ?, reason = '' WHERE id = ?"
        self._file.run(statement, now, self._dies_at(host.id, now), host.id)
        self._file.run("UPDATE outages SET over = ? WHERE host = ? AND over IS NULL", now, host.id)
        self._host_happens(now, What.HOST_UP, host.id, "")

    # --- what is known --------------------------------------------------------------------

    def hosts(self) -> list[HostState]:
        """The hosts, by id."""
        return rows.select_hosts(self._file)

    def vms(self, lease: int | None = None) -> list[Vm]:
        """The VMs of a lease or of all, as last looked at; those that are over, too."""
        if lease is None:
            return rows.select_vms(self._file, "ORDER BY lease, node")
        return rows.select_vms(self._file, "WHERE lease = ? ORDER BY node", lease)

    def happenings(self, after: int = 0) -> list[Happening]:
        """Return what happened without being asked for, later than the happening ``after``."""
        query = "SELECT id, moment, kind, lease, node, host, why FROM happenings WHERE id > ?"
        found = self._file.rows(f"{query} ORDER BY id", after)
        return [Happening(row[0], row[1], What(row[2]), *row[3:]) for row in found]

    def last_happening(self) -> int:
        """The number of the latest happening; 0 before the first."""
        last: int = self._file.rows("SELECT coalesce(max(id), 0) FROM happenings")[0][0]
        return last

    def last_lease(self) -> int:
        """The greatest id of a lease that has VMs here; 0 where none has."""
        last: int = self._file.rows("SELECT coalesce(max(lease), 0) FROM vms")[0][0]
        return last

    def history(self, lease: int | None = None) -> list[Stretch]:
        """The stretches in which VMs really ran, of a lease or of all, by start."""
        return rows.select_stretches(self._file, lease)

    def journal(self, lease: int | None = None) -> list[Entry]:
        """The commands that were given, repetitions apart, in order."""
        where, values = ("", ()) if lease is None else ("WHERE lease = ?", (lease,))
        query = "SELECT id, lease, node, verb, due, host, given, outcome, finished FROM journal"
        found = self._file.rows(f"{query} {where} ORDER BY id", *values)
        return [Entry(i, of, node, Verb(verb), *rest) for i, of, node, verb, *rest in found]

    def incidents(self) -> list[Incident]:
        """All that should never have happened: what was noticed when it was asked for, and
        what the history shows besides, of all that is kept. O(history)."""
        query = "SELECT moment, kind, lease, node, host, why FROM incidents ORDER BY id"
        noted = [Incident(r[0], IncidentKind(r[1]), *r[2:]) for r in self._file.rows(query)]
        known = {(i.kind, i.lease, i.node, i.host) for i in noted}
        outages = self._file.rows("SELECT host, start, over FROM outages ORDER BY start")
        shown = audit(self.history(), self.hosts(), outages)
        return noted + [i for i in shown if (i.kind, i.lease, i.node, i.host) not in known]

    def prune(self, now: int) -> None:
        """Forget what has been over for longer than ``keep_days``; not incidents."""
        before = now - self._options.keep_days * _SECONDS_PER_DAY
        with self._file.writing():
            for statement in (
                "DELETE FROM stretches WHERE over < ? AND over IS NOT NULL",
                "DELETE FROM vms WHERE since < ? AND state IN ('ended', 'failed', 'gone')",
                "DELETE FROM journal WHERE given < ?",
                "DELETE FROM happenings WHERE moment < ?",
                "DELETE FROM outages WHERE over < ?",
            ):
                self._file.run(statement, before)
        self._pruned = now

    def _host_happens(self, now: int, what: What, host: int, why: str) -> None:
        statement = "INSERT INTO happenings VALUES (NULL, ?, ?, NULL, NULL, ?, ?)"
        self._file.run(statement, now, what, host, why)
