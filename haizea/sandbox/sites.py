"""Hosts: how they come, are monitored, switched off, break and return."""

from __future__ import annotations

import re
import time

from haizea.sandbox.capacity import capacity_of
from haizea.sandbox.cloud import Cloud
from haizea.sandbox.engine import Engine
from haizea.sandbox.objects import Host
from haizea.sandbox.people import NOT_POSSIBLE, Refusal
from haizea.sandbox.states import RUNNING, HostState, Lcm, State, active
from haizea.sandbox.template import Template

#: ``node01-c800-m16384``: CPU in percent and memory in MB in the name, as the fake hosts have it.
_SIZE_IN_NAME = re.compile(r"-c(\d{1,9})-m(\d{1,9})")
_STATUS = {0: HostState.INIT, 1: HostState.DISABLED, 2: HostState.OFFLINE}
DEFAULT_CPU_PERCENT = 800
DEFAULT_MEMORY_MB = 16384


class Sites:
    """Every call here is made within a turn of the cloud."""

    def __init__(self, cloud: Cloud, engine: Engine) -> None:
        self.cloud = cloud
        self.engine = engine
        cloud.on_due["host"] = self._monitored

    def add(
        self,
        name: str,
        *,
        cpu_percent: int | None = None,
        memory_mb: int | None = None,
        drivers: tuple[str, str, str] = ("dummy", "dummy", "dummy"),
        monitored: bool = False,
    ) -> Host:
        """A new host; it shows no capacity until it is monitored.

        Raises:
            Refusal: there is one of this name.
        """
        if not name or any(host.name == name for host in self.cloud.hosts.values()):
            raise Refusal(f"NAME is already taken or empty: {name!r}", NOT_POSSIBLE)
        size = _SIZE_IN_NAME.search(name)
        cpu = int(size[1]) if size else DEFAULT_CPU_PERCENT
        memory = int(size[2]) if size else DEFAULT_MEMORY_MB
        host = Host(
            id=self.cloud.new_id("host"),
            name=name,
            cpu_percent=cpu if cpu_percent is None else cpu_percent,
            memory_kb=(memory if memory_mb is None else memory_mb) * 1024,
            state=HostState.INIT,
            previous_state=HostState.INIT,
            drivers=drivers,
        )
        self.cloud.hosts[host.id] = host
        self.cloud.touch_host(host)
        self._expect_monitoring(host)
        if monitored:
            host.due = self.cloud.now
            self._monitored(host.id)
        return host

    def remove(self, host: Host) -> None:
        """The administrator takes it out.

        Raises:
            Refusal: there are VMs on it.
        """
        if self.cloud.vms_on(host.id):
            raise Refusal("Can not remove a host with running VMs", NOT_POSSIBLE)
        del self.cloud.hosts[host.id]
        self.cloud.touch_host(host)

    def join(self, host: Host, cluster: int) -> None:
        """Move the host to another cluster."""
        host.cluster = cluster
        self.cloud.touch_host(host)

    def set_status(self, host: Host, status: int, cause: str) -> None:
        """0 enabled, 1 disabled, 2 offline.

        Raises:
            Refusal: the status is none of these.
        """
        if status not in _STATUS:
            raise Refusal(f"Wrong status: {status}", NOT_POSSIBLE)
        host.due = None
        self.cloud.set_host_state(host, _STATUS[status], cause)
        if status == 0:
            self._expect_monitoring(host)

    def update(self, host: Host, template: Template, append: bool, cause: str) -> None:
        """Change what the administrator wrote, such as ``RESERVED_CPU``."""
        host.template = {**host.template, **template} if append else template
        self.cloud.touch_host(host)
        self.cloud.accounts.check_host(host.id, self.cloud.now, cause)

    def break_down(self, host: Host, *, commands_fail: bool = True) -> None:
        """Monitoring fails: the host is in ERROR, its VMs UNKNOWN. With ``commands_fail``
        nothing can be started there, and what is under way there fails."""
        host.broken = commands_fail
        host.due = None
        when = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(self.cloud.now))
        text = f"{when} : Error monitoring Host {host.name} ({host.id}): fake host failure"
        host.template = {**host.template, "ERROR": [text]}
        self.cloud.set_host_state(host, HostState.ERROR, "host failure")
        for vm in self.cloud.vms_on(host.id):
            if vm.record is None or vm.record.host_id != host.id:
                continue
            if vm.pair == RUNNING:
                self.engine.come_to(vm, active(Lcm.UNKNOWN), "host failure")
            elif commands_fail and vm.is_busy and vm.operation:
                vm.outcome = "fail"

    def come_back(self, host: Host, *, vms_survive: bool = True) -> None:
        """The host is monitored again; its VMs run on, or are found powered off.

        One that was switched off meanwhile stays so.
        """
        host.broken = False
        host.template = {name: host.template[name] for name in host.template if name != "ERROR"}
        host.monitored_at = self.cloud.stamp
        if host.state in (HostState.ERROR, HostState.INIT):
            self.cloud.set_host_state(host, HostState.MONITORED, "host returned")
        self.cloud.touch_host(host)
        for vm in self.cloud.vms_on(host.id):
            if vm.state is not State.ACTIVE or vm.lcm is not Lcm.UNKNOWN:
                continue
            if vms_survive:
                self.engine.come_to(vm, RUNNING, "host returned")
            else:
                self.engine.power_off_guest(vm)

    def resize(self, host: Host, cpu_percent: int, memory_mb: int) -> None:
        """The machine itself changes."""
        host.cpu_percent, host.memory_kb = cpu_percent, memory_mb * 1024
        self.cloud.touch_host(host)
        self.cloud.accounts.check_host(host.id, self.cloud.now, "host changed")

    def _expect_monitoring(self, host: Host) -> None:
        host.due = self.cloud.now + self.cloud.durations.host_monitoring_seconds
        self.cloud.touch_host(host)
        self.cloud.at(host.due, "host", host.id)

    def _monitored(self, host_id: int) -> None:
        host = self.cloud.hosts.get(host_id)
        if host is None or host.due is None or host.due > self.cloud.now:
            return
        host.due = None
        if host.broken:
            # Switching it on does not repair it.
            self.break_down(host)
            return
        host.monitored_at = self.cloud.stamp
        self.cloud.touch_host(host)
        if host.state is HostState.INIT:
            self.cloud.set_host_state(host, HostState.MONITORED, "monitoring")


def shown_capacity(host: Host) -> tuple[int, int, int, int]:
    """CPU and memory as its XML has them: total and at most, 0 while nothing is known."""
    if not host.shows_capacity:
        return 0, 0, 0, 0
    return host.cpu_percent, host.memory_kb, *capacity_of(host)
