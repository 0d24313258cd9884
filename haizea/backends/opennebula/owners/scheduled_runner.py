"""Runs the ``SCHED_ACTION``s of VMs where OpenNebula leaves that to the scheduler (up to 6.6)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from haizea.backends.opennebula.model.errors import OpenNebulaError, Refused
from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.owners.scheduled_actions import (
    DueAction,
    after_failure,
    after_success,
    due_actions,
    mark,
    next_due,
)
from haizea.backends.opennebula.wire.client import Client

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of an action: it is run once for each moment at which it is due."""

    vm_id: int
    index: int
    due: int


class ScheduledActions:
    """Looks at all VMs every ``interval_seconds``, and when the next action is due.

    It has a thread of its own, which ends by itself where OpenNebula runs the actions, or has
    none. ``now`` is the present in seconds since the epoch. What an action does to a VM is then
    seen as what its owner does.
    """

    def __init__(
        self,
        client: Client,
        *,
        interval_seconds: float,
        now: Callable[[], float],
        dry_run: bool = False,
    ) -> None:
        self._client = client
        self._interval_seconds = interval_seconds
        self._now = now
        self._dry_run = dry_run
        self._closing = threading.Event()
        self._ran: set[_Run] = set()
        self._thread = threading.Thread(target=self._work, name="scheduled actions", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after what is under way."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        pause = 0.0
        while not self._closing.wait(pause):
            try:
                version = self._client.version()
                if version.is_legacy or version.runs_scheduled_actions:
                    return
                pause = self._look()
            except OpenNebulaError as error:
                _log.info("scheduled actions wait: %s", error)
                pause = self._interval_seconds

    def _look(self) -> float:
        """Run what is due; the seconds until the next look."""
        if not self._client.raft_state().schedules:
            return self._interval_seconds
        vms = {vm.id: vm for vm in self._client.vms()}
        now = int(self._now())
        for action in due_actions(vms.values(), now):
            if self._closing.is_set():
                break
            self._run(vms[action.vm_id], action, now)
        self._ran = {run for run in self._ran if run.vm_id in vms}
        coming = next_due(vms.values(), now)
        if coming is None:
            return self._interval_seconds
        return min(self._interval_seconds, max(1.0, coming - self._now()))

    def _run(self, vm: VirtualMachine, action: DueAction, now: int) -> None:
        run = _Run(vm.id, action.index, action.due)
        if self._dry_run:
            _log.info("dry-run: VM %d: %s would be run, as scheduled", vm.id, action.action)
            return
        if run not in self._ran:
            why = action.problem
            try:
                if not why:
                    self._client.command(action.method, *action.parameters)
            except Refused as refused:
                why = str(refused)
            if why:
                self._tell(vm, action, why)
                return
            self._ran.add(run)
            _log.info("VM %d: %s was run, as scheduled", vm.id, action.action)
        mark(self._client, vm, action, after_success(action, now))

    def _tell(self, vm: VirtualMachine, action: DueAction, why: str) -> None:
        """Have the owner read why it was not run; the same is not written again."""
        left = after_failure(action, why)
        if left["MESSAGE"] != action.attributes.get("MESSAGE"):
            _log.warning("VM %d: %s could not be run as scheduled: %s", vm.id, action.action, why)
            mark(self._client, vm, action, left)
