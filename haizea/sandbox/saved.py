"""The state in a file, so that a sandbox that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from haizea.sandbox.cloud import Cloud
from haizea.sandbox.objects import (
    Cluster,
    Host,
    Machine,
    SystemDatastore,
    User,
    VmGroup,
    host_from,
    machine_from,
)

_FORMAT = 1


class StateFileError(RuntimeError):
    """The file is none of ours, or of another version; the message says what to do."""


class StateFile:
    """Keeps every object that changes and every entry of the journal.

    It is written at the end of every turn, without waiting for the disk: what was answered
    survives the end of the process, not that of the machine.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = False
        try:
            # Passwords are in it.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StateFileError(f"{path} cannot be written: {error.strerror}") from None
        self._database = sqlite3.connect(path, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS object (kind TEXT, id INTEGER, body TEXT,"
                " PRIMARY KEY (kind, id))"
            )
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, kind TEXT, body TEXT)"
            )
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise StateFileError(f"{path} cannot be used as a state file: {error}") from None

    def settings(self) -> dict[str, Any] | None:
        """The settings that :meth:`keep_settings` was told; ``None`` in a new file.

        Raises:
            StateFileError: another version of Haizea wrote the file.
        """
        found = self._body("settings", 0)
        if found is not None and found.get("format") != _FORMAT:
            raise StateFileError(f"{self.path} is of another version of Haizea: remove it")
        return found

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Keep what the whole sandbox is about."""
        self._put("settings", 0, {**settings, "format": _FORMAT})
        self.turn_over()

    def restore(self, cloud: Cloud) -> None:
        """Fill an empty cloud with what was kept."""
        cloud.next_ids.update(self._body("ids", 0) or {})
        for user in self._bodies("user"):
            cloud.users[user["id"]] = User(**user)
        for host in self._bodies("host"):
            cloud.hosts[host["id"]] = host_from(host)
        for group in self._bodies("group"):
            cloud.groups[group["id"]] = VmGroup(**group)
        for cluster in self._bodies("cluster"):
            cloud.clusters[cluster["id"]] = Cluster(**cluster)
        for datastore in self._bodies("datastore"):
            cloud.datastores[datastore["id"]] = SystemDatastore(**datastore)
        for body in self._bodies("vm"):
            vm = machine_from(body)
            cloud.add_vm(vm)
            cloud.accounts.update(vm, cloud.now, "restored")
        cloud.journal.violations.clear()
        for kind, text in self._database.execute("SELECT kind, body FROM entry ORDER BY id"):
            cloud.journal.restore(kind, json.loads(text))
        _rearm(cloud)

    def attach(self, cloud: Cloud) -> None:
        """Keep what changes from now on."""
        cloud.observers.keep = self._keep
        cloud.observers.turn_over = self.turn_over
        cloud.journal.keep = self._keep_entry

    def turn_over(self) -> None:
        """Everything of a turn was told."""
        if self._changed:
            self._database.commit()
            self._changed = False

    def close(self) -> None:
        """Write what is left."""
        self.turn_over()
        self._database.close()

    def _keep(self, kind: str, what: object) -> None:
        match what:
            case Machine():
                body = {
                    each.name: getattr(what, each.name)
                    for each in fields(what)
                    if each.name not in ("cache", "history", "scheduled")
                }
                body["history"] = [asdict(record) for record in what.history]
                body["scheduled"] = [asdict(action) for action in what.scheduled]
                self._put(kind, what.id, body)
            case Host() | User() | VmGroup() | Cluster() | SystemDatastore():
                self._put(kind, what.id, asdict(what))
            case int():
                # Of all objects hosts alone can be removed.
                self._database.execute("DELETE FROM object WHERE kind = 'host' AND id = ?", (what,))
                self._changed = True
            case dict():
                self._put(kind, 0, what)
            case _:
                raise TypeError(f"a {type(what).__name__} cannot be saved")

    def _keep_entry(self, kind: str, body: dict[str, Any]) -> None:
        self._database.execute(
            "INSERT INTO entry (kind, body) VALUES (?, ?)", (kind, json.dumps(body))
        )
        self._changed = True

    def _put(self, kind: str, object_id: int, body: dict[str, Any]) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO object VALUES (?, ?, ?)", (kind, object_id, json.dumps(body))
        )
        self._changed = True

    def _body(self, kind: str, object_id: int) -> dict[str, Any] | None:
        row = self._database.execute(
            "SELECT body FROM object WHERE kind = ? AND id = ?", (kind, object_id)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def _bodies(self, kind: str) -> list[dict[str, Any]]:
        rows = self._database.execute("SELECT body FROM object WHERE kind = ? ORDER BY id", (kind,))
        return [json.loads(text) for (text,) in rows]


def _rearm(cloud: Cloud) -> None:
    """Schedule anew what was still to come."""
    with cloud.lock:
        for vm in cloud.live.values():
            if vm.due is not None:
                cloud.at(vm.due, "vm", vm.id)
            for action in vm.scheduled:
                if action.done < 0:
                    cloud.at(action.time, "action", vm.id)
        for host in cloud.hosts.values():
            if host.due is not None:
                cloud.at(host.due, "host", host.id)
