"""A journal for tests: every change of a VM, every command, every host that had too much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A VM came to a state. ``cause`` is the user and the call, or what happened by itself."""

    time: float
    vm: int
    old: str
    new: str
    host: int | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A call that changes something, and its answer: ``error`` is empty where it was accepted."""

    time: float
    user: str
    method: str
    arguments: tuple[object, ...]
    error: str
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A host has more than it can hold from this moment on.

    ``kind`` is ``counted`` for OpenNebula's accounts, in which a suspended VM counts on 5 and
    later, and ``running`` for VMs that are on the host in fact. ``cause`` is whose doing it is.
    """

    time: float
    host: int
    kind: str
    vm: int | None
    cause: str
    cpu_used_percent: int
    cpu_percent: int
    memory_used_kb: int
    memory_kb: int


Entry = Change | Command | Violation
_KINDS: dict[str, type[Entry]] = {
    "change": Change,
    "command": Command,
    "violation": Violation,
}


class Journal:
    """Entries in the order in which they came; ``keep`` is told each, to save it."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.commands: list[Command] = []
        self.violations: list[Violation] = []
        self.keep: Callable[[str, dict[str, Any]], None] | None = None

    def add(self, entry: Entry) -> None:
        """Take an entry down."""
        kind = self._append(entry)
        if self.keep is not None:
            self.keep(kind, asdict(entry))

    def _append(self, entry: Entry) -> str:
        match entry:
            case Change():
                self.changes.append(entry)
                return "change"
            case Command():
                self.commands.append(entry)
                return "command"
            case Violation():
                self.violations.append(entry)
                return "violation"

    def restore(self, kind: str, fields: dict[str, Any]) -> None:
        """Take down again what was saved."""
        if kind == "command":
            fields = {**fields, "arguments": tuple(fields["arguments"])}
        self._append(_KINDS[kind](**fields))

    def history(self, vm: int) -> list[Change]:
        """The changes of one VM."""
        return [change for change in self.changes if change.vm == vm]

    def states(self, vm: int) -> list[str]:
        """The names of the states that one VM came to."""
        return [change.new for change in self.history(vm)]
