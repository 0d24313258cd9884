"""Matchmaking of whole pools: what recorded daemons said, and what an owner is told."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from opennebula_elements import element
from shared_data import shared

from haizea.backends.opennebula.expressions.errors import ExpressionError
from haizea.backends.opennebula.expressions.language import parse_rank, parse_requirement
from haizea.backends.opennebula.expressions.table import HOST_PLACES, AttributeTable
from haizea.backends.opennebula.matching.datastores import Datastores
from haizea.backends.opennebula.matching.matchmaker import OLD_NAMES, Matchmaker
from haizea.backends.opennebula.matching.needs import VmNeeds, vm_needs
from haizea.backends.opennebula.matching.ranks import LiveRanks
from haizea.backends.opennebula.model.host import HostInfo, host_of
from haizea.backends.opennebula.model.pools import (
    GroupRole,
    RolePolicy,
    VmGroup,
    datastore_of,
    vm_group_of,
)
from haizea.backends.opennebula.model.template import Attributes
from haizea.backends.opennebula.model.vm import vm_of
from haizea.config.opennebula import DatastorePolicy, HostPolicy, OpenNebula
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import Host, host_set, hosts_in
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import Capacity
from haizea.core.placement.mapper import View
from haizea.service.opennebula_section import default_ranks


def host(number: int, state: int = 2, **template: str) -> HostInfo:
    return host_of(
        element(
            "HOST",
            {
                "ID": str(number),
                "NAME": f"node{number}",
                "STATE": str(state),
                "CLUSTER_ID": "0",
                "HOST_SHARE": {"RUNNING_VMS": str(number % 3), "MAX_CPU": "800"},
                "TEMPLATE": {"HOSTNAME": f"node{number}", **template},
                "MONITORING": {"CAPACITY": {"FREE_CPU": str(100 * number)}},
            },
        ),
    )


HOSTS = [host(number) for number in range(4, 10)]  # indices 0 to 5


# ---- recorded ----


def documents(folder: str) -> Iterator[tuple[str, Element]]:
    """The XML documents in recorded answers, where they are well-formed."""
    for path in sorted(shared(f"opennebula/{folder}").glob("*.response.xml")):
        inner = re.search(r"<string>(.*)</string>", path.read_text(encoding="utf-8"), re.DOTALL)
        text = html.unescape(inner[1]) if inner else ""
        if text.startswith("<") and "<X>a<b & c</X>" not in text:
            yield path.name, fromstring(text)


def place_requests() -> Iterator[tuple[str, Element]]:
    folder: Path = shared("opennebula/7.4-driver")
    for path in sorted(folder.glob("place-request*.xml")):
        yield path.name, fromstring(path.read_text(encoding="utf-8"))


def matchmaker_of(root: Element) -> Matchmaker:
    groups = [vm_group_of(one) for one in root.iter("VM_GROUP")]
    return Matchmaker([host_of(one) for one in root.iter("HOST")], groups)


def test_recorded_matches_of_the_core_are_ours() -> None:
    compared = 0
    for name, root in place_requests():
        matchmaker = matchmaker_of(root)
        vms = [vm_needs(vm_of(one)) for one in root.findall("VM_POOL/VM")]
        matches = matchmaker.match_all(vms)
        for recorded in root.findall("REQUIREMENTS/VM"):
            vm = int(recorded.findtext("ID", ""))
            expected = {int(one.text or "") for one in recorded.findall("HOSTS/ID")}
            found = {matchmaker.hosts[i].id for i in hosts_in(matches[vm].hosts)}
            assert found == expected, (name, vm)
            assert (matches[vm].error, matches[vm].reason) == (None, None)
            compared += 1
    assert compared > 25


def test_recorded_datastores_of_the_core_are_ours() -> None:
    for name, root in place_requests():
        facts = [datastore_of(one) for one in root.iter("DATASTORE")]
        hosts = [host_of(one) for one in root.iter("HOST")]
        datastores = Datastores(facts, hosts)
        vms = {int(one.findtext("ID", "")): one for one in root.findall("VM_POOL/VM")}
        for recorded in root.findall("REQUIREMENTS/VM"):
            vm = vm_needs(vm_of(vms[int(recorded.findtext("ID", ""))]))
            expected = [int(one.text or "") for one in recorded.findall("DATASTORES/ID")]
            assert [datastores.choose(vm, 0).id] == expected, name


def test_the_recorded_plan_takes_the_best_rank_that_is_ours() -> None:
    folder = shared("opennebula/7.4-driver")
    request = fromstring((folder / "place-request-of-rank.xml").read_text(encoding="utf-8"))
    plan = fromstring((folder / "plan-of-rank-placer.xml").read_text(encoding="utf-8"))
    matchmaker = matchmaker_of(request)
    vms = {int(one.findtext("ID", "")): one for one in request.findall("VM_POOL/VM")}
    actions = plan.findall("ACTION")
    assert actions
    for action in actions:
        vm = vm_needs(vm_of(vms[int(action.findtext("VM_ID", ""))]))
        best = next(matchmaker.match(vm).tiers())
        chosen = int(action.findtext("HOST_ID", ""))
        assert chosen in {matchmaker.hosts[i].id for i in hosts_in(best)}


def expressions_in(text: str, name: str) -> set[str]:
    found = re.findall(rf"<{name}>(?:<!\[CDATA\[)?(.*?)(?:\]\]>)?</{name}>", text)
    return {one for one in found if one}


def test_every_recorded_expression_parses() -> None:
    text = "".join(
        html.unescape(path.read_text(encoding="utf-8"))
        for path in sorted(shared("opennebula").glob("*/*.xml"))
    )
    for name in ("REQUIREMENTS", "DS_REQUIREMENTS", "NIC_REQUIREMENTS"):
        found = expressions_in(text, f"AUTOMATIC_{name}")
        assert found
        for expression in found:
            assert parse_requirement(expression).condition is not None
    for name in ("SCHED_REQUIREMENTS", "REQUIREMENTS"):
        for expression in expressions_in(text, name):
            if not expression.startswith("<"):
                parse_requirement(expression)
    ranks = expressions_in(text, "SCHED_RANK") | expressions_in(text, "RANK")
    assert {"FREE_CPU", "FREECPU", "-ID"} <= ranks
    for expression in ranks:
        parse_rank(expression)


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_recorded_vms_are_on_hosts_that_suit_them(version: str) -> None:
    hosts: dict[int, HostInfo] = {}
    placed = 0
    for _, root in documents(version):
        for one in root.iter("HOST"):
            if one.find("HOST_SHARE") is not None:
                facts = host_of(one)
                hosts[facts.id] = facts
    table = AttributeTable([facts.attributes for facts in hosts.values()], HOST_PLACES)
    index = {host_id: i for i, host_id in enumerate(hosts)}
    for name, root in documents(version):
        for one in root.iter("VM"):
            history = one.findall("HISTORY_RECORDS/HISTORY")
            if not history:
                continue
            vm = vm_needs(vm_of(one))
            for text in (vm.automatic_requirements, vm.requirements):
                met = table.matching(parse_requirement(text))
                assert met >> index[int(history[-1].findtext("HID", ""))] & 1, name
            placed += 1
    assert placed > 50


def test_a_vm_of_1_4_has_its_words_in_its_template() -> None:
    path = shared("opennebula/1.4/006_vm.info__PENDING.response.xml")
    text = path.read_text(encoding="utf-8")
    inner = re.search(r"<VM>.*</VM>", html.unescape(text).replace("a<b & c", ""), re.DOTALL)
    assert inner
    vm = vm_needs(vm_of(fromstring(inner[0])))
    assert (vm.id, vm.requirements, vm.rank) == (0, 'HOSTNAME="n*"', "FREECPU")
    hosts = [host_of(element("HOST", {"ID": "0", "STATE": "2", "TEMPLATE": {"HOSTNAME": "n0"}}))]
    assert Matchmaker(hosts, names=OLD_NAMES).match(vm).hosts == 1


# ---- what the owner is told ----


def test_a_vm_without_requirements_suits_all_usable_hosts() -> None:
    hosts = [host(i, state) for i, state in enumerate([0, 1, 2, 3, 4, 5, 6, 7, 8])]
    match = Matchmaker(hosts).match(VmNeeds(id=1))
    assert match.hosts == host_set([1, 2])
    assert (match.error, match.reason) == (None, None)


def test_automatic_and_own_requirements_must_both_hold() -> None:
    vm = VmNeeds(
        id=1,
        automatic_requirements="(CLUSTER_ID = 0) & !(PUBLIC_CLOUD = YES)",
        requirements="ID = 5 | ID = 7",
    )
    assert Matchmaker(HOSTS).match(vm).hosts == host_set([1, 3])


def test_the_reason_counts_what_fails() -> None:
    vm = VmNeeds(id=1, requirements='FREE_CPU > 2000 & HOSTNAME = "node[45]" & FREECPU > 1')
    match = Matchmaker(HOSTS).match(vm)
    assert match.hosts == 0
    assert match.error is None
    assert match.reason == (
        "no host meets SCHED_REQUIREMENTS: of 6 hosts, 6 fail FREE_CPU > 2000,"
        ' 6 fail FREECPU > 1 (no host has FREECPU), 4 fail HOSTNAME = "node[45]"'
    )
    assert list(match.tiers()) == []


def test_conditions_that_no_host_meets_at_once_are_told() -> None:
    match = Matchmaker(HOSTS).match(VmNeeds(id=1, requirements="ID < 6 & ID > 7"))
    assert (
        match.reason == "no host meets SCHED_REQUIREMENTS: of 6 hosts, 4 fail ID < 6, 4 fail ID > 7"
    )
    alternatives = Matchmaker(HOSTS).match(VmNeeds(id=1, requirements="ID = 1 | ID = 2"))
    assert (
        alternatives.reason
        == "no host meets SCHED_REQUIREMENTS: of 6 hosts, 6 fail ID = 1 | ID = 2"
    )


def test_a_reason_is_no_longer_than_people_read() -> None:
    text = " & ".join(f'A{i} = "{"x" * 100}\x1b"' for i in range(30))
    reason = Matchmaker(HOSTS).match(VmNeeds(id=1, requirements=text)).reason
    assert reason is not None
    assert len(reason) < 500
    assert reason.isprintable()


def test_automatic_requirements_are_told_apart() -> None:
    match = Matchmaker(HOSTS).match(VmNeeds(id=1, automatic_requirements="(CLUSTER_ID = 100)"))
    assert (
        match.reason == "no host meets AUTOMATIC_REQUIREMENTS: of 6 hosts, 6 fail CLUSTER_ID = 100"
    )


def test_without_usable_hosts_the_reason_says_so() -> None:
    assert Matchmaker([]).match(VmNeeds(id=1)).reason == "there are no hosts"
    reason = Matchmaker([host(1, 3), host(2, 8)]).match(VmNeeds(id=1, requirements="ID=1")).reason
    assert reason == "no host can be used: all 2 are disabled, failed or not monitored"


def test_wrong_requirements_suit_no_host() -> None:
    match = Matchmaker(HOSTS).match(VmNeeds(id=1, requirements="FREE_CPU >> 5"))
    assert match.hosts == 0
    assert match.error is not None
    assert match.error.startswith("SCHED_REQUIREMENTS, character 11: ")
    assert match.reason == match.error


def test_a_wrong_rank_is_told_and_the_default_one_taken() -> None:
    matchmaker = Matchmaker(HOSTS, default_rank="ID")
    match = matchmaker.match(VmNeeds(id=1, rank="FREE_CPU *"))
    assert match.error is not None
    assert match.error.startswith("SCHED_RANK, character 11: ")
    assert match.reason is None
    assert list(match.tiers()) == [1 << i for i in (5, 4, 3, 2, 1, 0)]


def test_a_wrong_default_rank_is_the_administrators() -> None:
    with pytest.raises(ExpressionError, match="the default rank, character 1"):
        Matchmaker(HOSTS, default_rank="*")


def test_names_are_those_of_the_generation() -> None:
    matchmaker = Matchmaker(HOSTS, names=OLD_NAMES)
    reason = matchmaker.match(VmNeeds(id=1, requirements="ID = 1")).reason
    assert reason is not None
    assert reason.startswith("no host meets REQUIREMENTS")
    error = matchmaker.match(VmNeeds(id=1, rank="(")).error
    assert error is not None
    assert error.startswith("RANK, character 2")


def test_a_vm_that_must_leave_its_host_suits_all_others() -> None:
    matchmaker = Matchmaker(HOSTS)
    assert matchmaker.match(VmNeeds(id=1, leaving_host_id=4)).hosts == 0b111110
    assert matchmaker.match(VmNeeds(id=1, leaving_host_id=99)).hosts == 0b111111
    last = matchmaker.match(VmNeeds(id=1, requirements="ID = 4", leaving_host_id=4))
    assert last.reason == "no host suits the VM but the one that it must leave"


def test_vms_that_belong_together_get_hosts_that_suit_all() -> None:
    role = GroupRole(name="r", policy=RolePolicy.AFFINED, vm_ids=frozenset({1, 2, 3}))
    matchmaker = Matchmaker(HOSTS, [VmGroup(id=0, name="g", roles=(role,))])
    vms = [VmNeeds(id=1, requirements="ID > 5"), VmNeeds(id=2, requirements="ID < 8")]
    matches = matchmaker.match_all([*vms, VmNeeds(id=9)])
    assert matches[1].hosts == matches[2].hosts == host_set([2, 3])
    assert matches[9].hosts == matchmaker.usable
    apart = matchmaker.match_all([*vms, VmNeeds(id=3, requirements="ID = 9")])
    assert apart[1].hosts == 0
    assert apart[1].reason == "no host suits all of VMs 1, 2, 3, which must be on one"


# ---- ranks ----


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (HostPolicy.PACKING, [0b10010, 0b01001, 0b100100]),
        (HostPolicy.STRIPING, [0b100100, 0b01001, 0b10010]),
        (HostPolicy.LOAD_AWARE, [1 << i for i in (5, 4, 3, 2, 1, 0)]),
        (HostPolicy.FIXED, [0b111111]),
        (HostPolicy.CUSTOM, [1 << i for i in range(6)]),
    ],
)
def test_default_policies(policy: HostPolicy, expected: list[int]) -> None:
    ranks = default_ranks(OpenNebula(host_policy=policy, host_rank="-ID"))
    matchmaker = Matchmaker(HOSTS, default_rank=ranks.hosts)
    assert ranks.packing is (policy is HostPolicy.PACKING)
    assert list(matchmaker.match(VmNeeds(id=1)).tiers()) == expected


def test_fixed_goes_by_priority_and_load_by_what_the_generation_calls_it() -> None:
    hosts = [host(1), host(2, PRIORITY="5", FREECPU="7"), host(3, PRIORITY="-1")]
    fixed = default_ranks(OpenNebula(host_policy=HostPolicy.FIXED)).hosts
    by_priority = Matchmaker(hosts, default_rank=fixed)
    assert by_priority.default_ranking.tiers == (0b010, 0b001, 0b100)
    old = default_ranks(OpenNebula(host_policy=HostPolicy.LOAD_AWARE)).legacy_hosts
    assert Matchmaker(hosts, default_rank=old).default_ranking.tiers == (0b010, 0b101)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (DatastorePolicy.PACKING, "-FREE_MB"),
        (DatastorePolicy.STRIPING, "FREE_MB"),
        (DatastorePolicy.FIXED, "PRIORITY"),
        (DatastorePolicy.CUSTOM, "USED_MB"),
    ],
)
def test_datastore_policies(policy: DatastorePolicy, expected: str) -> None:
    section = OpenNebula(datastore_policy=policy, datastore_rank="USED_MB")
    assert default_ranks(section).datastores == expected


def test_hosts_of_one_rank_are_told_apart_by_their_leases() -> None:
    matchmaker = Matchmaker(HOSTS)
    own = matchmaker.match(VmNeeds(id=1, rank="ID")).ranking
    capacity = Capacity((1,))
    request = LeaseRequest(
        id=8,
        submitted=0,
        kind=Kind.BEST_EFFORT,
        nodes=(NodeSet(1, capacity),),
        duration=None,
        names=("70",),
    )
    table = SlotTable([Host(i, f"n{i}", Capacity((9,))) for i in range(7)], 0)
    for owner, held in enumerate([0, 4, 4, 5, 5]):
        table.reserve(0, 100, ((held, capacity),), owner)
    view = View(table, 0)
    spread = LiveRanks()
    # Until hosts are seen, all are alike.
    assert list(spread.tiers(request, 0b111111, view)) == [0b111111]
    spread.follow(matchmaker.default_ranking)
    assert list(spread.tiers(request, 0b111111, view)) == [0b000100, 0b100000, 0b001000, 1, 2, 16]
    packed = LiveRanks(packing=True)
    packed.follow(matchmaker.default_ranking)
    assert list(packed.tiers(request, 0b111111, view)) == [0b100000, 0b000100, 1, 0b001000, 16, 2]
    spread.rank(70, own)
    # A host that came after the look at the pool has no rank.
    assert list(spread.tiers(request, 0b1000011, view)) == [2, 1, 1 << 6]
    spread.rank(70, None)
    assert list(spread.tiers(request, 0b11, view)) == [1, 2]


WRITTEN = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "ID > 5", "ID", "-FREE_CPU", "ID = 5 |", 'HOSTNAME = "n*"', "1/0", "A@>1"]
    ),
)


@tries(200)
@given(WRITTEN, WRITTEN, WRITTEN)
def test_whatever_is_written_has_an_answer(automatic: str, own: str, rank: str) -> None:
    vm = VmNeeds(id=1, automatic_requirements=automatic, requirements=own, rank=rank)
    match = Matchmaker(HOSTS).match(vm)
    assert (match.reason is None) == bool(match.hosts)
    tiers = list(match.tiers())
    assert sum(tiers) == match.hosts
    assert sum(tier.bit_count() for tier in tiers) == match.hosts.bit_count()


def test_a_pool_of_odd_hosts_is_no_trouble() -> None:
    odd: list[Attributes] = [
        {"ID": "0", "STATE": "99"},
        {"ID": "1", "STATE": "8", "HOST_SHARE": "?"},
        {"ID": "2", "STATE": ["2", "3"]},
    ]
    matchmaker = Matchmaker([host_of(element("HOST", one)) for one in odd])
    assert matchmaker.match(VmNeeds(id=1, requirements="RUNNING_VMS = 0")).hosts == 0
    assert matchmaker.usable == 0b100
