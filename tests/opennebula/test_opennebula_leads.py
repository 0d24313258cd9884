"""The time from a VM's deployment until it runs is learned, with its spread, and shown."""

from __future__ import annotations

import json
import random
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from opennebula_service import AT_THE_START, Site, site

from haizea.backends.opennebula.model.disks import Images, images_of
from haizea.backends.opennebula.model.vm import VirtualMachine, read_vm
from haizea.backends.opennebula.state.lead_times import (
    ENOUGH_OF_HOST,
    MOST_TIMES,
    Kinds,
    Latest,
    Timed,
    bound,
)
from haizea.backends.opennebula.state.leads import LeadRules, LeadTimes
from haizea.backends.opennebula.state.ledger import Errand
from haizea.backends.opennebula.state.seen import Look, SeenVms
from haizea.backends.opennebula.state.steps import Goal, Verb
from haizea.core.model.lifecycle import State
from haizea.sandbox.operations import Durations
from haizea.times import format_time

SECONDS = st.floats(min_value=1, max_value=10_000)
#: Images at 100 MB/s, a fixed part and booting beside them.
COPIED = Durations(prolog_mbps=100, prolog_seconds=2, boot_seconds=8)


def disk(size_mb: int) -> str:
    return f'DISK=[ IMAGE="debian", SIZE="{size_mb}" ]'


def learned(cloud: Site) -> dict[str, Any]:
    assert cloud.service is not None, "it runs"
    return {f"{one.operation} {one.of}": one for one in cloud.service.manager.learned()}


def started(cloud: Site, size_mb: int) -> int:
    vm = cloud.submit(rest=disk(size_mb), start="now", duration="00:30:00")
    cloud.until_state(vm, "RUNNING")
    return vm


# --- arithmetic ---------------------------------------------------------------------------


@given(st.lists(SECONDS, min_size=1, max_size=MOST_TIMES), st.sampled_from([0.5, 0.9, 0.95, 0.98]))
@tries(200)
def test_a_bound_is_passed_by_no_more_than_the_certainty_allows(
    seen: list[float], certainty: float
) -> None:
    """Each one of them, judged by all others, as often as it is to be on average."""
    least = bound(seen, certainty)
    assert least >= min(seen)
    above = sum(value > least for value in seen)
    assert above <= (1 - certainty) * (len(seen) + 1)


def test_most_of_what_follows_stays_below_a_bound_of_ten() -> None:
    dice, inside = random.Random(13), 0
    for _ in range(2000):
        seen = [100 / dice.uniform(0.7, 1.3) for _ in range(10)]
        inside += 100 / dice.uniform(0.7, 1.3) <= bound(seen, 0.95)
    assert inside >= 1900


@given(st.floats(10, 500), st.floats(0, 60), st.integers(0, 10_000))
@tries(100)
def test_sizes_that_differ_tell_the_fixed_part_of_a_time_from_the_rate(
    mb_s: float, fixed: float, seed: int
) -> None:
    dice = random.Random(seed)
    sizes = [dice.choice([1024, 4096, 16384, 40960]) for _ in range(8)]
    window = Latest(Timed(s, fixed + s / mb_s) for s in [1024, 40960, *sizes])
    seconds = fixed + 8192 / mb_s
    assert seconds * 0.999 <= window.seconds(0.5, 8192) <= seconds * 1.2


def test_images_of_one_size_are_taken_to_be_copied_in_proportion() -> None:
    window = Latest(Timed(10_000, 100) for _ in range(10))
    assert 40 <= window.seconds(0.9, 4_000) <= 45
    assert 400 <= window.seconds(0.9, 40_000) <= 450


def test_only_so_many_times_and_kinds_are_remembered() -> None:
    kinds = Kinds()
    for number in range(300):
        kinds.note(f"template {number}", Timed(0, 5))
    assert kinds.get("template 0") is None
    for _ in range(100):
        kinds.note("template 299", Timed(0, 5))
    window = kinds.get("template 299")
    assert window is not None
    assert len(window) == MOST_TIMES


# --- what a VM boots from -----------------------------------------------------------------


def vm_with(*disks: dict[str, str]) -> VirtualMachine:
    parts = "".join(
        f"<DISK>{''.join(f'<{n}>{v}</{n}>' for n, v in one.items())}</DISK>" for one in disks
    )
    return read_vm(
        "<VM><ID>7</ID><STATE>1</STATE><LCM_STATE>0</LCM_STATE>"
        f"<TEMPLATE><CPU>1</CPU><MEMORY>512</MEMORY>{parts}</TEMPLATE></VM>"
    )


def test_images_are_copied_and_empty_disks_are_not() -> None:
    system = {"IMAGE": "debian", "SIZE": "20480", "ORIGINAL_SIZE": "2048"}
    store = {"DATASTORE": "images", "TM_MAD": "ssh", "CLONE": "YES"}
    data = {"IMAGE_ID": "9", "SIZE": "512", **store}
    empty = {"TYPE": "fs", "SIZE": "100000"}
    assert images_of(vm_with(system | store, data, empty)) == Images(2560, "images (ssh)", "debian")
    kept = {"IMAGE_ID": "4", "SIZE": "900", **store, "CLONE": "NO"}
    assert images_of(vm_with(kept)) == Images(900, "images (ssh), persistent", "image 4")
    assert images_of(vm_with(empty)) == Images()
    assert images_of(vm_with({"IMAGE": "odd", "SIZE": "-3"})) == Images()


def test_nothing_learned_yet_goes_by_the_size_and_the_rules() -> None:
    rules = LeadRules(image_mb_s=50, boot_seconds=20)
    leads = LeadTimes(rules, SeenVms(), None, lambda _: None)
    image = {"IMAGE": "debian", "SIZE": "5000"}
    assert leads.seconds([vm_with(image), vm_with()], []) == 120


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(SECONDS, min_size=1, max_size=8)),
    st.lists(SECONDS, min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(1, 40), st.frozensets(st.sampled_from("abcdefg"))), min_size=1),
)
@tries(50)
def test_the_slowest_of_the_hosts_in_question_counts(
    by_host: dict[str, list[float]], usual: list[float], asked: list[tuple[int, frozenset[str]]]
) -> None:
    """Each that was seen often enough, whatever was asked before, and of any number of VMs."""
    windows = {host: [Timed(0, x) for x in seen] for host, seen in by_host.items()}
    booting = {"": [Timed(0, x) for x in usual]}
    leads = LeadTimes(
        LeadRules(), SeenVms(), json.dumps({"hosts": windows, "booting": booting}), lambda _: None
    )
    for vms, hosts in asked:
        each = LeadRules().certainty ** (1 / vms)
        counted = [w for host, w in windows.items() if host in hosts and len(w) >= ENOUGH_OF_HOST]
        slowest = max(Latest(w).seconds(each) for w in [booting[""], *counted])
        assert leads.seconds([vm_with()] * vms, hosts) == ceil(slowest)


def test_a_host_counts_as_soon_as_it_was_seen_often_enough() -> None:
    seen = SeenVms()
    leads = LeadTimes(LeadRules(), seen, None, lambda _: None)
    for number in range(5 * ENOUGH_OF_HOST):
        host, seconds = ("slow", 90) if number >= 4 * ENOUGH_OF_HOST else ("quick", 10)
        assert leads.seconds([vm_with()], ["slow"]) == leads.seconds([vm_with()], ["new"])
        seen.take(0, Look(asked=number, vms=(read_vm(vm_on(number, 1, 0)),)))
        errand = Errand(vm=number, lease=1, size=(100, 512), goal=Goal.RUNNING, since=0)
        leads.accepted(100, errand, Verb.DEPLOY)
        seen.take(0, Look(asked=number + 0.5, vms=(read_vm(vm_on(number, 3, 3, host)),)))
        leads.reached(100 + seconds, errand)
    assert leads.seconds([vm_with()], ["slow"]) > leads.seconds([vm_with()], ["quick", "new"])


@pytest.mark.parametrize("rests", [(4, 0), (9, 0)], ids=["stopped", "undeployed"])
def test_going_on_from_what_was_stored_is_no_boot(rests: tuple[int, int]) -> None:
    """Pools have the last stay of a VM alone, whether it is the first or not."""
    seen = SeenVms()
    leads = LeadTimes(LeadRules(), seen, None, lambda _: None)
    errand = Errand(vm=7, lease=1, size=(100, 512), goal=Goal.RUNNING, since=0)
    for asked, (before, sequence) in enumerate([(rests, 0), ((3, 9), 1)]):
        seen.take(0, Look(asked=asked, vms=(read_vm(vm_on(7, *before, "node01", sequence)),)))
        leads.accepted(100, errand, Verb.DEPLOY)
        seen.take(0, Look(asked=asked + 0.5, vms=(read_vm(vm_on(7, 3, 3, "node01", 1)),)))
        leads.reached(400, errand)
        leads.settle()
        assert not leads.shown


def vm_on(number: int, state: int, lcm_state: int, host: str = "", sequence: int = 0) -> str:
    stay = f"<HISTORY><SEQ>{sequence}</SEQ><HID>1</HID><HOSTNAME>{host}</HOSTNAME></HISTORY>"
    return (
        f"<VM><ID>{number}</ID><STATE>{state}</STATE><LCM_STATE>{lcm_state}</LCM_STATE>"
        "<TEMPLATE><CPU>1</CPU><MEMORY>512</MEMORY></TEMPLATE>"
        f"<HISTORY_RECORDS>{stay if host else ''}</HISTORY_RECORDS></VM>"
    )


# --- in a cloud ---------------------------------------------------------------------------


def test_what_deploying_takes_is_learned_kept_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(
        tmp_path, monkeypatch, hosts=2, speed=50, durations=COPIED, listen="127.0.0.1:0"
    ) as cloud:
        assert not learned(cloud)
        vms = [started(cloud, size) for size in (1000, 2000, 4000, 8000, 1000, 4000)]
        cloud.until(lambda: any(one.times == len(vms) for one in learned(cloud).values()))
        found = learned(cloud)
        copy, boot = found["copy from default (ssh)"], found["boot of no template"]
        assert copy.times == boot.times == len(vms)
        assert copy.size_mb == 4000
        assert 42 <= copy.usual_seconds <= copy.planned_seconds <= 48
        assert 8 <= boot.usual_seconds <= boot.planned_seconds
        hosts = {cloud.sandbox.control.hosts()[cloud.host(vm) or 0].name for vm in vms}
        assert {f"boot on {name}" for name in hosts} <= found.keys()
        cloud.call("one.vm.action", "terminate", vms[0])
        cloud.until(lambda: "end of default (ssh)" in learned(cloud))
        shown = cloud.haizea("hosts")
        assert "copy from default (ssh), 4000 MB" in shown
        cloud.stop_haizea()
        cloud.start_haizea()
        assert learned(cloud)["copy from default (ssh)"] == copy


def test_nothing_is_learned_of_a_start_that_failed_or_was_not_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=1, speed=20, durations=COPIED) as cloud:
        cloud.sandbox.control.plan("fail", step="BOOT")
        started(cloud, 1000)
        vm = cloud.submit(rest=disk(6000), start="now", duration="00:30:00")
        cloud.until_state(vm, "PROLOG")
        cloud.sandbox.kill()
        before = cloud.now()
        cloud.until(lambda: cloud.now() >= before + 40)
        cloud.sandbox.start()
        cloud.until_state(vm, "RUNNING")
        started(cloud, 500)
        cloud.until(lambda: bool(learned(cloud)))
        assert learned(cloud)["copy from default (ssh)"].times == 1


def _is_learned_by_cancelling(cloud: Site, kind: str) -> bool:
    """Cancel the lease of a VM that runs; an end that a slow machine disturbs teaches nothing."""
    vm = cloud.running(start="now")
    cloud.haizea("cancel", str(cloud.lease(vm).id))
    cloud.until_state(vm, "DONE", seconds=1200)
    seen = cloud.now()
    cloud.until(lambda: kind in learned(cloud) or cloud.now() > seen + 120)
    return kind in learned(cloud)


def test_what_ending_takes_is_planned_and_what_follows_starts_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are put away for five minutes, where the configuration plans five seconds."""
    slow = Durations(epilog_seconds=300)
    more = {"opennebula": AT_THE_START, "listen": "127.0.0.1:0"}
    with site(tmp_path, monkeypatch, hosts=1, speed=40, durations=slow, **more) as cloud:
        first = cloud.running(start="now")
        cloud.call("one.vm.action", "terminate", first)
        cloud.until_state(first, "DONE")
        # What others ended tells how long files were put away, and not the rest.
        cloud.until(lambda: "end of no image" in learned(cloud))
        assert "shutdown of no template" not in learned(cloud)
        assert any(_is_learned_by_cancelling(cloud, "shutdown of no template") for _ in range(3))
        assert (
            sum(
                learned(cloud)[kind].planned_seconds
                for kind in ("end of no image", "shutdown of no template")
            )
            >= 303
        )
        assert "shutdown of no template" in cloud.haizea("hosts")
        before = cloud.running(start="now", duration="00:20:00")
        # Its end is known once Haizea knows when it came to run.
        cloud.until(lambda: cloud.has_lease(before, State.ACTIVE))
        ends = cloud.lease(before).plan
        assert ends is not None
        following = cloud.booked(start=format_time(ends.phases[-1].end))
        cloud.until_state(before, "SHUTDOWN", seconds=1200)
        cloud.assert_deployed_in_time(following)
        assert ends.phases[-1].end - 303 >= cloud.came_to(before, "SHUTDOWN")[0] - cloud.slack
        assert "shutting its VMs down is planned to take" in cloud.haizea(
            "show", str(cloud.lease(before).id)
        )
        cloud.assert_no_overload()
