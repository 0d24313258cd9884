"""People of a busy hour of OpenNebula: owners, administrators, and hosts that die."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from opennebula_chaos_world import BEGIN, World

from haizea.sandbox.faults import FAIL, Chances, Plan
from haizea.sandbox.states import Lcm

_OWNERS = ("alice", "bob")
_ACTIONS = ("terminate", "terminate-hard", "stop", "suspend", "poweroff", "hold", "release")
_MORE_ACTIONS = ("resume", "undeploy", "poweroff-hard", "resume", "release")
#: In the middle of which ``oned`` is killed, and those that a broken driver fails.
_STEPS: tuple[str, ...] = (
    "LCM_INIT",
    "PROLOG",
    "BOOT",
    "SAVE_STOP",
    "EPILOG_STOP",
    "PROLOG_RESUME",
)
_STEPS += ("BOOT_STOPPED", "SHUTDOWN", "EPILOG", "SHUTDOWN_UNDEPLOY", "EPILOG_UNDEPLOY")
_BREAKABLE = ("PROLOG", "BOOT", "SAVE_STOP", "PROLOG_RESUME", "BOOT_STOPPED")
_OLD = {"terminate": "shutdown", "terminate-hard": "finalize"}
HOUR = 3600.0


@dataclass(slots=True, kw_only=True)
class Asked:
    """A VM as its owner asked for it; times are seconds since the epoch."""

    vm: int
    owner: str
    submitted: float
    kind: str
    start: float | None = None
    duration: int | None = None
    group: str = ""
    touched: list[tuple[float, str]] = field(default_factory=list)


class People:
    """Submit VMs and interfere, at moments that chance chooses within the hour."""

    def __init__(
        self, world: World, *, vms: int = 80, interference: int = 15, deaths: float = 2
    ) -> None:
        self.world = world
        self.asked: dict[int, Asked] = {}
        #: ``(moment, host)``: when somebody else changed what is on a host, or it itself.
        self.stirred: list[tuple[float, int]] = []
        self._groups = 0
        dice = world.dice
        for _ in range(vms):
            world.at(BEGIN + dice.uniform(1, HOUR), self._submit)
        for _ in range(interference):
            world.at(BEGIN + dice.uniform(60, HOUR), self._interfere)
        for _ in range(_number(deaths, world)):
            world.at(BEGIN + dice.uniform(60, HOUR), self._break_host)
        for _ in range(_number(world.trouble.kills, world)):
            world.at(BEGIN + dice.uniform(5, HOUR), world.kill_soon)
        for _ in range(_number(world.trouble.outages, world)):
            world.at(BEGIN + dice.uniform(5, HOUR), self._outage)
        for _ in range(_number(world.trouble.oned_kills, world)):
            step = world.dice.choice(_STEPS)
            world.at(BEGIN + dice.uniform(60, HOUR), partial(world.kill_oned_soon, step))
        for _ in range(_number(world.trouble.broken_drivers, world)):
            world.at(BEGIN + dice.uniform(60, HOUR), self._break_driver)
        world.at(BEGIN + HOUR, self.calm_down)
        world.at(BEGIN + HOUR + 900, self.send_away)

    # --- submissions ---------------------------------------------------------------------

    def _submit(self) -> None:
        dice = self.world.dice
        match dice.choices(
            ("best-effort", "ar", "now", "group", "ar-group", "unlimited", "plain", "senseless"),
            (30, 20, 8, 10, 6, 4, 3, 3),
        )[0]:
            case "best-effort":
                self._ask("best-effort", 'START="best_effort"', self._duration())
            case "ar":
                self._ask("ar", "", self._duration(), ahead=self._ahead())
            case "now":
                self._ask("now", 'START="now"', self._duration())
            case "group":
                self._group("best-effort")
            case "ar-group":
                self._group("ar")
            case "unlimited":
                self._ask("unlimited", 'START="best_effort", DURATION="unlimited"', None)
            case "plain":
                self._ask("plain", None, None)
            case _:
                self._ask("senseless", 'START="soon", DURATION="long"', None)

    def _duration(self) -> int:
        return self.world.dice.choice((20, 60, 120, 300, 600))

    def _ahead(self) -> int:
        return self.world.dice.choice((15, 40, 120, 300, 900, 1800))

    def _group(self, kind: str) -> None:
        dice = self.world.dice
        self._groups += 1
        count, duration = dice.randrange(2, 5), self._duration()
        name = f"g{self._groups}"
        words = f'GROUP="{name}"'
        words += f', GROUP_SIZE="{count}"' if dice.random() < 0.7 else ""
        words += ', START="best_effort"' if kind == "best-effort" else ""
        ahead = self._ahead() if kind == "ar" else None
        owner, preemptible = dice.choice(_OWNERS), dice.choice(("yes", "no"))
        # By one start, whenever the VMs of the group come.
        for _ in range(count):
            self._ask(
                kind, words, duration, ahead=ahead, group=name, who=(owner, preemptible), cpu=4
            )

    def _ask(
        self,
        kind: str,
        words: str | None,
        duration: int | None,
        *,
        ahead: int | None = None,
        group: str = "",
        who: tuple[str, str] | None = None,
        cpu: float | None = None,
    ) -> None:
        world = self.world
        dice = world.dice
        owner, preemptible = who or (dice.choice(_OWNERS), dice.choice(("yes", "no")))
        cpu = cpu or dice.choice((0.5, 1, 2, 4, 8))
        memory = dice.choice((512, 1024, 2048, 8192))
        parts = [words] if words else []
        if ahead is not None:
            parts.append(f'START="+00:{ahead // 60:02}:{ahead % 60:02}"')
        if duration is not None:
            parts.append(f'DURATION="00:{duration // 60:02}:{duration % 60:02}"')
        parts.append(f'PREEMPTIBLE="{preemptible}"')
        text = f'NAME="vm"\nCPU="{cpu}"\nMEMORY="{memory}"\n'
        if words is not None:
            text += f"HAIZEA=[ {', '.join(parts)} ]\n"
        if dice.random() < 0.1:
            name = "REQUIREMENTS" if world.legacy else "SCHED_REQUIREMENTS"
            text += f'{name}="NAME = \\"node0{dice.randrange(1, 7)}\\""\n'
        number = world.call(owner, "one.vm.allocate", text)
        if not isinstance(number, int):
            return  # It was refused, as the sandbox does now and then.
        now = world.now()
        start = None if ahead is None else int(now) + ahead
        self.asked[number] = Asked(
            vm=number,
            owner=owner,
            submitted=now,
            kind=kind,
            start=start,
            duration=duration,
            group=group,
        )

    # --- interference --------------------------------------------------------------------

    def _interfere(self) -> None:
        world, dice = self.world, self.world.dice
        living = [vm.id for vm in world.control.vms() if vm.state not in ("DONE", "FAILED")]
        if not living:
            return
        number = dice.choice(living)
        match dice.randrange(12):
            case 0 | 1:
                self._migrate(number)
            case 2:
                if world.control.vm(number).state == "RUNNING":
                    self._touch(number, "ended by itself")
                    world.control.end_vm(number)
            case 3:
                self._resize(number)
            case 4:
                self._switch_host()
            case _:
                action = dice.choice(_ACTIONS + _MORE_ACTIONS)
                by = dice.choice(("admin", self.asked[number].owner))
                self.act(number, action, by)

    def act(self, number: int, action: str, by: str) -> None:
        """Somebody does something to a VM."""
        name = _OLD.get(action, action) if self.world.legacy else action
        before = self.world.control.vm(number).host
        if self.world.call(by, "one.vm.action", name, number) is not None:
            self._touch(number, f"{by} {action}", before)

    def _touch(self, number: int, what: str, *hosts: int | None) -> None:
        now = self.world.now()
        self.asked[number].touched.append((now, what))
        for host in {*hosts, self.world.control.vm(number).host}:
            if host is not None:
                self.stirred.append((now, host))

    def _migrate(self, number: int) -> None:
        world = self.world
        before, host = world.control.vm(number).host, world.dice.randrange(6)
        live = world.dice.random() < 0.5
        arguments = (number, host, live) if world.legacy else (number, host, live, False)
        if world.call("admin", "one.vm.migrate", *arguments) is not None:
            self._touch(number, f"admin migrate to {host}", before, host)

    def _resize(self, number: int) -> None:
        if self.world.legacy:
            return
        text = 'CPU="1"\nMEMORY="1024"\n'
        if self.world.call("admin", "one.vm.resize", number, text, False) is not None:
            self._touch(number, "admin resize")

    def _switch_host(self) -> None:
        world = self.world
        host = world.dice.randrange(6)

        def switch(on: bool) -> None:
            if world.legacy:
                world.call("admin", "one.host.enable", host, on)
            else:
                world.call("admin", "one.host.status", host, 0 if on else 1)
            self.stirred.append((world.now(), host))

        switch(False)
        world.at(world.now() + world.dice.uniform(30, 600), lambda: switch(True))

    def _break_host(self) -> None:
        world, dice = self.world, self.world.dice
        host = dice.randrange(6)
        if self._is_dead(host):
            return
        for vm in world.control.hosts()[host].vms:
            self._touch(vm, "its host died")
        self.stirred.append((world.now(), host))
        world.control.break_host(host)
        survive = dice.random() < 0.5
        back = world.now() + dice.uniform(10, 400)
        world.at(back, lambda: self._return_host(host, survive))

    def _is_dead(self, host: int) -> bool:
        """Tell whether it died, whatever an administrator switched meanwhile."""
        return self.world.sandbox.cloud.hosts[host].broken

    def _return_host(self, host: int, survive: bool) -> None:
        if self._is_dead(host):
            for vm in self.world.control.hosts()[host].vms:
                self._touch(vm, "its host returned")
            self.stirred.append((self.world.now(), host))
            self.world.control.return_host(host, vms_survive=survive)

    def _break_driver(self) -> None:
        """Let whatever a host's driver is asked for fail, for a while."""
        world, dice = self.world, self.world.dice
        plans = world.sandbox.cloud.faults.plans
        plan = Plan(FAIL, Lcm[dice.choice(_BREAKABLE)], host=dice.randrange(6), count=10**6)
        plans.append(plan)
        mended = world.now() + dice.uniform(20, 200)
        world.excuses.append((world.now(), mended + 60, "a driver failed"))

        def mend() -> None:
            if plan in plans:
                plans.remove(plan)

        world.at(mended, mend)

    def _outage(self) -> None:
        world = self.world
        world.is_down = True
        back = world.now() + world.dice.choice((2, 10, 60, 300))
        world.excuses.append((world.now(), back + 20, "oned was away"))

        def return_() -> None:
            world.is_down = False

        world.at(back, return_)

    # --- the end -------------------------------------------------------------------------

    def calm_down(self) -> None:
        """Nothing goes wrong any more, and what is broken is put right."""
        world = self.world
        world.trouble = type(world.trouble)(delay_seconds=0.02, longest_delay_seconds=0.1)
        world.control.chances(**{name: 0.0 for name in Chances.__slots__ if name != "slow_factor"})
        world.control.forget_plans()
        world.is_down = False
        world.kill_oned_soon("")
        world.kill_at = ""
        for host in range(6):
            self._return_host(host, True)
            if world.legacy:
                world.call("admin", "one.host.enable", host, True)
            else:
                world.call("admin", "one.host.status", host, 0)
        for vm in world.control.vms():
            # A migration that failed is its administrator's to mend.
            if "_MIGRATE_" in vm.state and vm.state.endswith("_FAILURE"):
                world.call("admin", "one.vm.recover", vm.id, 2)

    def send_away(self) -> None:
        """VMs without end are ended by their owners; so is what somebody took for himself.

        What hangs in 1.4 is deleted by an administrator, as nobody else can free its host.
        """
        since = {change.vm: change.time for change in self.world.control.changes()}
        for vm in self.world.control.vms() if self.world.legacy else ():
            if vm.is_busy and self.world.now() - since[vm.id] > 300:
                self.act(vm.id, "terminate-hard", "admin")
        for number, asked in self.asked.items():
            endless = asked.kind in ("unlimited", "plain")
            if endless or asked.touched:
                self.act(number, "terminate-hard", asked.owner)


def _number(average: float, world: World) -> int:
    """A number of happenings."""
    whole = int(average)
    return whole + (world.dice.random() < average - whole)
