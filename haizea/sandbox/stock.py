"""Another scheduler: first fit for whatever is PENDING, as careless as a stock one."""

from __future__ import annotations

import threading

from haizea.sandbox.cloud import Cloud
from haizea.sandbox.people import Refusal
from haizea.sandbox.states import HostState, State
from haizea.sandbox.verbs import Verbs

_USABLE = (HostState.MONITORED, HostState.MONITORING_MONITORED)


class StockScheduler:
    """Every ``interval_seconds`` (real ones) it deploys what fits, oldest first.

    It reads no requirements: it is there to be noticed, and to get in the way.
    """

    def __init__(self, cloud: Cloud, verbs: Verbs, interval_seconds: float = 1.0) -> None:
        self._cloud = cloud
        self._verbs = verbs
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox scheduler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def place(self) -> int:
        """One round; the answer is how many VMs were deployed."""
        deployed = 0
        with self._cloud.turn():
            root = next(iter(self._cloud.users.values()))
            waiting = [vm for vm in self._cloud.live.values() if vm.state is State.PENDING]
            for vm in waiting:
                for host in self._cloud.hosts.values():
                    cpu, memory = self._cloud.room_on(host)
                    if host.state not in _USABLE or vm.cpu_percent > cpu or vm.memory_kb > memory:
                        continue
                    try:
                        self._verbs.deploy(root, vm.id, host.id, True)
                    except Refusal:
                        continue
                    deployed += 1
                    break
        return deployed

    def _run(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            self.place()
