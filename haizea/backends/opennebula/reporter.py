"""How VMs' owners are told what becomes of them: what the backend knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol


class Reporter(Protocol):
    """Whoever passes on what is to be said in a VM; any thread may call it, it never waits."""

    def report(self, vm_id: int, status: Mapping[str, str], message: str) -> None:
        """Say in VM ``vm_id`` how it is.

        ``status`` are the parts of ``HAIZEA_STATUS`` (``STATE``, ``REASON``, ``START``,
        ``END``, ``LEASE``; empty ones are left out), ``message`` is ``SCHED_MESSAGE``. Of
        several reports the last one counts; saying the same again costs nothing.
        """

    def forget(self, vm_ids: Iterable[int]) -> None:
        """These VMs are gone: nothing is to be said in them any more."""


class Silent:
    """Says nothing."""

    def report(self, vm_id: int, status: Mapping[str, str], message: str) -> None:
        """Nothing."""

    def forget(self, vm_ids: Iterable[int]) -> None:
        """Nothing."""
