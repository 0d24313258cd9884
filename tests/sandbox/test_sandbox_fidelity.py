"""Every recorded call of three generations is made to the sandbox, and the answers compared."""

from __future__ import annotations

import ast
import itertools
import re
import xmlrpc.client
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sandbox_recordings import Recording, decoded, differences, recordings, send
from shared_data import shared

from haizea.sandbox.clock import ManualClock
from haizea.sandbox.faults import Chances
from haizea.sandbox.journal import Change
from haizea.sandbox.server import HostSpec, Options, Sandbox

#: Just before the recordings began, so that moments in them are to come.
START = 1_795_220_000.0

TEMPLATES = "the sandbox has no VM templates: users submit VMs"
SETTINGS = "the sandbox shows only the settings that matter to a scheduler"
DRIVER = "what oned tells a scheduler driver on its standard input: the sandbox runs no drivers"

#: What is not reproduced, by version and number, and why.
NOT_REPRODUCED: dict[str, dict[int, str]] = {
    "1.4": {},
    "6.10.5": {12: SETTINGS},
    "7.4.0": {
        12: SETTINGS,
        809: TEMPLATES,
        810: TEMPLATES,
    },
}

#: Recordings that are no calls, by folder, and why there is nothing to compare.
NO_CALLS = {"7.4-driver": DRIVER}

#: Every recording of 6 and 7 with one of these numbers is of another run, on a fresh OpenNebula.
MISCELLANEOUS = range(801, 900)
SMALL = 'NAME="{}"\nCPU="1"\nMEMORY="512"\n'
LIFE_14 = (
    'NAME="{}"\nCPU="1"\nMEMORY="1024"\nHAIZEA=[START="+00:05:00",DURATION="01:00:00",'
    'PREEMPTIBLE="no",GROUP="g1"]\nREQUIREMENTS="HOSTNAME=\\"n*\\""\nRANK="FREECPU"\nX="a<b & c"\n'
)

Step = Callable[[], object]
_READS = {"info", "infoextended", "infoset"}


class Run:
    """A sandbox in the state in which the recorder's OpenNebula was, and calls to it."""

    def __init__(self, version: str, hosts: tuple[HostSpec, ...]) -> None:
        self.sandbox = Sandbox(
            Options(
                version=version,
                hosts=hosts,
                host_count=0,
                clock=ManualClock(START),
                chances=Chances(swap_events=0.0),
                events_port=None,
                users=() if version.startswith("1.4") else (("alice", "alicepass"),),
            )
        )
        self.control = self.sandbox.control
        password = "onepass" if not version.startswith("1.4") else _SHA_1
        self.session = f"oneadmin:{password}"

    def call(self, method: str, *arguments: str | int | bool) -> Any:
        body = xmlrpc.client.dumps((self.session, *arguments), method)
        values = decoded(send(self.sandbox, body.encode()))
        assert values[0] is True, (method, arguments, values)
        self.control.settle()
        return values[1] if len(values) > 1 else None

    def started(self, method: str, *arguments: str | int | bool, seconds: float = 1.5) -> None:
        """Call, and let only so many seconds pass."""
        body = xmlrpc.client.dumps((self.session, *arguments), method)
        assert decoded(send(self.sandbox, body.encode()))[0] is True
        self.control.advance(seconds)

    def settled(self) -> None:
        self.control.settle()


_SHA_1 = "34c629abfcb47856b3d1c0a30798221aefb61605"


def modern_context(
    run: Run, first: int, life_template: str, sequence_has_error: bool
) -> dict[int, list[Step]]:
    """Return what the recorder did unrecorded, by the number of the recording that it came before.

    ``first`` is the id of the VM with which it began; those before are of an earlier try.
    """
    call, control = run.call, run.control
    life, big, f1, f2, f3, f4, f5 = range(first, first + 7)

    def small(vm: int, host: int | None = None) -> None:
        assert call("one.vm.allocate", SMALL.format(f"f{vm - big}"), False) == vm
        if host is not None:
            call("one.vm.deploy", vm, host)

    def failing(step: str, vm: int, method: str, *arguments: str | int | bool) -> None:
        control.plan("fail", step=step, vm=vm)
        call(method, *arguments)

    def named(name: str, vm: int, template: str = SMALL) -> Step:
        def step() -> None:
            assert call("one.vm.allocate", template.format(name), False) == vm

        return step

    def earlier_try() -> None:
        if first == 0:
            return
        life_0 = call("one.vm.allocate", life_template, False)
        big_1 = call("one.vm.allocate", large.format("big"), False)
        call("one.vm.deploy", life_0, 0)
        for _ in range(7):
            call("one.vm.action", "suspend", life_0)
            call("one.vm.action", "resume", life_0)
        call("one.vm.action", "suspend", life_0)
        call("one.vm.migrate", life_0, 1, False)
        call("one.vm.update", life_0, 'HAIZEA=[STATE="active"]\nX="1"', 1)
        later = f'SCHED_ACTION=[ACTION="suspend",TIME="{START + 9999:.0f}"]'
        call("one.vm.schedadd", life_0, later)
        call("one.vm.action", "terminate", life_0)
        call("one.vm.action", "terminate", big_1)

    def break_host_3() -> None:
        if sequence_has_error:
            control.break_host(3, commands_fail=False)

    def unreserved() -> None:
        call("one.host.update", 6, 'RESERVED_CPU=""\nRESERVED_MEM=""', 1)

    def all_over() -> None:
        for vm in range(f4, f5 + 4):
            call("one.vm.recover", vm, 3)

    large = 'NAME="{}"\nCPU="64"\nMEMORY="131072"\n'
    wide = 'NAME="{}"\nCPU="16"\nMEMORY="512"\n'
    return {
        1: [earlier_try],
        33: [named("big", big, large)],
        117: [lambda: run.started("one.vm.action", "suspend", life, seconds=0.5)],
        119: [run.settled, lambda: run.started("one.vm.action", "resume", life, seconds=0.5)],
        121: [run.settled, lambda: run.started("one.vm.action", "stop", life, seconds=0.5)],
        123: [run.settled, lambda: small(f1), lambda: run.started("one.vm.deploy", f1, 0)],
        124: [run.settled, lambda: run.started("one.vm.action", "terminate", f1)],
        125: [
            run.settled,
            lambda: small(f2),
            lambda: failing("BOOT", f2, "one.vm.deploy", f2, 0),
        ],
        127: [lambda: failing("SAVE_SUSPEND", f2, "one.vm.action", "suspend", f2)],
        128: [
            lambda: call("one.vm.action", "suspend", f2),
            lambda: failing("BOOT_SUSPENDED", f2, "one.vm.action", "resume", f2),
        ],
        130: [lambda: small(f3, 0)],
        132: [lambda: small(f4, 3), lambda: control.end_vm(f4)],
        133: [
            lambda: call("one.vm.action", "resume", f4),
            break_host_3,
        ],
        136: [named("f5", f5)],
        139: [named("dis", f5 + 1)],
        142: [named("off", f5 + 2)],
        143: [
            lambda: call("one.host.status", 4, 0),
            lambda: call("one.host.status", 5, 0),
            lambda: control.advance(60),
        ],
        145: [named("oc", f5 + 3, wide)],
        161: [unreserved, all_over],
        901: [
            named("hf1", f5 + 5),
            lambda: call("one.vm.deploy", f5 + 5, 3),
            lambda: control.break_host(3, commands_fail=False),
        ],
        904: [named("hf2", f5 + 6)],
    }


def old_context(run: Run) -> dict[int, list[Step]]:
    """The same for 1.4."""
    call, control = run.call, run.control

    def hosts() -> None:
        for number in (1, 2, 3):
            name = f"n{number}-c800-m16384"
            call("one.host.allocate", name, "im_fake", "vmm_fake", "tm_fake")

    def crowd() -> None:
        call("one.vm.allocate", LIFE_14.format("big"))
        for number in range(10):
            vm = call("one.vm.allocate", LIFE_14.format(f"oc{number}"))
            call("one.vm.deploy", vm, 3)

    def failed() -> None:
        control.plan("fail", step="BOOT", vm=1)
        call("one.vm.deploy", 1, 0)

    return {
        2: [hosts],
        3: [lambda: control.advance(10)],
        44: [crowd],
        46: [failed],
        48: [
            lambda: call("one.vm.allocate", LIFE_14.format("slow")),
            lambda: run.started("one.vm.deploy", 12, 0),
        ],
        50: [
            run.settled,
            lambda: run.started("one.vm.action", "suspend", 12, seconds=0.5),
        ],
    }


def miscellaneous_context(run: Run) -> dict[int, list[Step]]:
    """The same for the second run of 7.4."""
    call = run.call
    sa = (
        'NAME="sa"\nCPU="1"\nMEMORY="512"\nSCHED_ACTION=[ACTION="suspend",TIME="+20"]\n'
        'SCHED_ACTION=[ACTION="resume",TIME="+35"]\n'
        'SCHED_ACTION=[ACTION="terminate",TIME="+50",WARNING="-10"]\n'
    )
    user = 'NAME="{}"\nCPU="1"\nMEMORY="128"\n'

    return {
        801: [lambda: call("one.vm.allocate", SMALL.format("held"), True)],
        802: [lambda: call("one.vm.allocate", sa, False), lambda: call("one.vm.deploy", 1, 0)],
        803: [lambda: run.control.advance(60)],
        804: [lambda: call("one.vm.allocate", SMALL.format("sp"), False)],
        811: [lambda: call("one.vm.allocate", user.format("fromtpl"), False)],
        814: [
            lambda: call(
                "one.vm.allocate",
                user.format("gw") + 'VMGROUP=[VMGROUP_ID="0",ROLE="workers"]\n',
                False,
            )
        ],
    }


def replay(
    run: Run, taken: list[Recording], context: dict[int, list[Step]], skipped: dict[int, str]
) -> Iterator[tuple[Recording, list[str], list[Change]]]:
    """Make the recorded calls; what is different, and what then happened to VMs."""
    # The VM is looked at underway: its state must not pass on.
    underway = range(117, 123)
    for recording in taken:
        for step in context.get(recording.number, ()):
            step()
        before = len(run.control.changes())
        found = send(run.sandbox, recording.request)
        reads = _READS & set(recording.method.split("."))
        if not reads and recording.number not in underway:
            run.settled()
        told = [] if recording.number in skipped else differences(recording.response, found)
        yield recording, told, run.control.changes(before)


def node(number: int) -> HostSpec:
    return HostSpec(name=f"node{number:02}-c800-m16384")


def modern_run(version: str) -> Run:
    return Run(version, tuple(node(number) for number in range(1, 9)))


def runs_of(version: str) -> Iterator[tuple[Run, list[Recording], dict[int, list[Step]]]]:
    taken = recordings(shared(f"opennebula/{version}"))
    if version == "1.4":
        run = Run("1.4.0", ())
        yield run, taken, old_context(run)
        return
    first = 2 if version == "6.10.5" else 0
    run = modern_run(version)
    usual = [each for each in taken if each.number not in MISCELLANEOUS]
    (template,) = (each.argument(1) for each in usual if each.number == 15)
    yield run, usual, modern_context(run, first, template, sequence_has_error=first == 0)
    rest = [each for each in taken if each.number in MISCELLANEOUS]
    if rest:
        run = modern_run(version)
        yield run, rest, miscellaneous_context(run)


@pytest.mark.parametrize("version", sorted(NOT_REPRODUCED))
def test_answers_are_those_that_were_recorded(version: str) -> None:
    skipped = NOT_REPRODUCED[version]
    wrong: list[str] = []
    for run, taken, context in runs_of(version):
        with run.sandbox:
            for recording, told, _ in replay(run, taken, context, skipped):
                wrong += [f"{recording.name}: {text}" for text in told]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("version", sorted(NOT_REPRODUCED))
def test_what_is_not_reproduced_is_not_and_nothing_else(version: str) -> None:
    """Each exception is needed: without it, that recording and no other would differ."""
    different: set[int] = set()
    for run, taken, context in runs_of(version):
        with run.sandbox:
            for recording, told, _ in replay(run, taken, context, {}):
                if told:
                    different.add(recording.number)
    assert different == set(NOT_REPRODUCED[version])


def test_every_recording_is_replayed_or_listed() -> None:
    everything = shared("opennebula")
    folders = {path.name for path in everything.iterdir() if path.is_dir()}
    assert folders == set(NOT_REPRODUCED) | set(NO_CALLS)
    for folder in NO_CALLS:
        assert not list((everything / folder).glob("*.response.xml"))
    for version, listed in NOT_REPRODUCED.items():
        replayed = [each.number for _, taken, _ in runs_of(version) for each in taken]
        present = sorted(
            int(path.name[:3]) for path in (everything / version).glob("*.response.xml")
        )
        assert sorted(replayed) == present
        assert set(listed) <= set(replayed)
        assert all(listed.values())


def recorded_paths(version: str) -> list[list[tuple[int, int]]]:
    """The states that the recorder saw after each call, in the order of the calls."""
    text = shared(f"opennebula/{version}/SEQUENCE.txt").read_text()
    paths = re.findall(r"-> \(\d+, \d+\) path (\[.*\])", text)
    return [[pair for _, pair in ast.literal_eval(path)] for path in paths]


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_states_come_in_the_order_in_which_they_were_seen(version: str) -> None:
    """The recorder looked from time to time, so what it saw is a part of what happens."""
    seen = recorded_paths(version)
    happened: list[list[str]] = []
    run, taken, context = next(runs_of(version))
    with run.sandbox:
        followed = list(replay(run, taken, context, {}))
    for (recording, _, changes), (after, _, _) in itertools.pairwise(followed):
        looked_at = after.name[4:].startswith("vm.info__after_")
        if looked_at and 34 <= recording.number <= 157 and decoded(recording.response)[0] is True:
            happened.append([change.new for change in changes])
    assert seen
    names = {**{(3, lcm): name for lcm, name in _LCM.items()}, **_RESTING}
    at = 0
    for path in seen:
        wanted = [names[pair] for pair in path]
        start = at
        while at < len(happened) and not _is_part(wanted, happened[at]):
            at += 1
        assert at < len(happened), (wanted, happened[start])
        at += 1


def _is_part(wanted: list[str], states: list[str]) -> bool:
    """``wanted`` comes in ``states`` in this order; what was so before is no change."""
    rest = iter(states)
    first, *others = wanted
    if first == "RUNNING" and (not others or first not in states):
        wanted = others
    return all(name in rest for name in wanted)


_LCM = {
    0: "LCM_INIT", 1: "PROLOG", 2: "BOOT", 3: "RUNNING", 4: "MIGRATE", 5: "SAVE_STOP",
    6: "SAVE_SUSPEND", 7: "SAVE_MIGRATE", 8: "PROLOG_MIGRATE", 9: "PROLOG_RESUME",
    10: "EPILOG_STOP", 11: "EPILOG", 12: "SHUTDOWN", 18: "SHUTDOWN_POWEROFF", 20: "BOOT_POWEROFF",
    21: "BOOT_SUSPENDED", 22: "BOOT_STOPPED", 29: "SHUTDOWN_UNDEPLOY", 30: "EPILOG_UNDEPLOY",
    31: "PROLOG_UNDEPLOY", 32: "BOOT_UNDEPLOY", 35: "BOOT_MIGRATE", 45: "PROLOG_MIGRATE_SUSPEND",
}  # fmt: skip
_RESTING = {
    (1, 0): "PENDING", (2, 0): "HOLD", (4, 0): "STOPPED", (5, 0): "SUSPENDED", (6, 0): "DONE",
    (8, 0): "POWEROFF", (9, 0): "UNDEPLOYED",
}  # fmt: skip
