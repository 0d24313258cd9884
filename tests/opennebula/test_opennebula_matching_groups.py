"""VM groups: which hosts affinity and anti-affinity leave."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from opennebula_elements import element

from haizea.backends.opennebula.matching.groups import GroupRules
from haizea.backends.opennebula.matching.matchmaker import Matchmaker
from haizea.backends.opennebula.matching.needs import VmNeeds
from haizea.backends.opennebula.model.host import HostInfo, host_of
from haizea.backends.opennebula.model.pools import GroupRole, RolePolicy, VmGroup, vm_group_of
from haizea.core.model.hosts import hosts_in

HOST_IDS = [10, 11, 12, 13]
ALL = {10, 11, 12, 13}


def role(
    name: str, vms: Iterable[int], policy: RolePolicy = RolePolicy.NONE, **hosts: Iterable[int]
) -> GroupRole:
    bound = {key: frozenset(ids) for key, ids in hosts.items()}
    return GroupRole(
        name=name,
        policy=policy,
        vm_ids=frozenset(vms),
        affined_host_ids=bound.get("on", frozenset()),
        anti_affined_host_ids=bound.get("off", frozenset()),
    )


def rules(
    *roles: GroupRole, affined: Iterable[str] = (), anti_affined: Iterable[str] = ()
) -> GroupRules:
    """Rules of one group; a set of roles is written as their names with blanks between."""
    group = VmGroup(
        id=0,
        name="g",
        roles=roles,
        affined=tuple(frozenset(names.split()) for names in affined),
        anti_affined=tuple(frozenset(names.split()) for names in anti_affined),
    )
    return GroupRules([group], HOST_IDS)


def left(found: GroupRules, vm: int, placed: dict[int, int]) -> set[int]:
    return {HOST_IDS[i] for i in hosts_in(found.limit(vm, placed).hosts)}


def test_vms_of_no_group_are_free() -> None:
    found = rules(role("a", [1, 2], RolePolicy.ANTI_AFFINED))
    assert left(found, 9, {1: 10}) == ALL
    assert found.together(9) == {9}
    assert found.apart(9) == frozenset()
    assert found.contradiction(9) is None


def test_a_role_without_policy_is_free() -> None:
    assert left(rules(role("a", [1, 2])), 1, {2: 10}) == ALL


def test_a_role_may_keep_its_vms_apart() -> None:
    found = rules(role("a", [1, 2, 3], RolePolicy.ANTI_AFFINED))
    assert left(found, 1, {}) == ALL
    assert left(found, 1, {2: 10, 3: 12}) == {11, 13}
    assert left(found, 1, {1: 10}) == ALL
    assert found.apart(1) == {2, 3}


def test_a_role_may_keep_its_vms_together() -> None:
    found = rules(role("a", [1, 2, 3], RolePolicy.AFFINED))
    assert left(found, 1, {}) == ALL
    assert left(found, 1, {2: 11}) == {11}
    # They were parted by somebody: either host will do.
    assert left(found, 1, {2: 11, 3: 13}) == {11, 13}
    assert left(found, 1, {2: 99}) == set()
    assert found.together(1) == {1, 2, 3}


def test_roles_may_be_kept_together() -> None:
    found = rules(role("a", [1, 2]), role("b", [3]), role("c", [4]), affined=["a b"])
    assert found.together(3) == {1, 2, 3}
    assert left(found, 2, {3: 12}) == {12}
    assert left(found, 4, {3: 12}) == ALL


def test_sets_that_share_a_role_are_one() -> None:
    roles = [role(name, [vm]) for vm, name in enumerate("abcde", start=1)]
    found = rules(*roles, affined=["a b", "d e", "b d"])
    assert found.together(1) == {1, 2, 4, 5}
    assert left(found, 5, {1: 13}) == {13}
    assert found.together(3) == {3}


def test_roles_may_be_kept_apart() -> None:
    found = rules(role("a", [1, 2]), role("b", [3]), role("c", [4]), anti_affined=["a b"])
    assert left(found, 1, {2: 10, 3: 11, 4: 12}) == {10, 12, 13}
    assert left(found, 3, {1: 10, 2: 10}) == {11, 12, 13}
    assert left(found, 4, {1: 10, 3: 11}) == ALL


def test_who_must_be_with_others_keeps_off_their_enemies_too() -> None:
    found = rules(
        role("a", [1]), role("b", [2]), role("c", [3]), affined=["a b"], anti_affined=["b c"]
    )
    assert left(found, 1, {3: 10}) == {11, 12, 13}


def test_a_role_may_be_bound_to_hosts_or_kept_off_them() -> None:
    found = rules(role("a", [1], on=[10, 11, 99]), role("b", [2], off=[10, 99]))
    assert left(found, 1, {}) == {10, 11}
    assert left(found, 2, {}) == {11, 12, 13}
    both = rules(role("a", [1], on=[10, 11], off=[11]))
    assert left(both, 1, {}) == {10}


def test_a_rule_with_an_unknown_role_has_no_effect() -> None:
    found = rules(role("a", [1]), role("b", [2]), affined=["a b nobody"], anti_affined=["a none"])
    assert left(found, 1, {2: 10}) == ALL


def test_rules_that_contradict_each_other_are_told() -> None:
    found = rules(role("a", [1, 2], RolePolicy.ANTI_AFFINED), role("b", [3]), affined=["a b"])
    assert found.contradiction(3) == (
        "VM group g wants VMs 1, 2 on one host and on different ones: change its rules"
    )
    assert rules(role("a", [1, 2], RolePolicy.ANTI_AFFINED)).contradiction(1) is None


def hosts() -> list[HostInfo]:
    return [
        host_of(element("HOST", {"ID": str(i), "STATE": "2", "NAME": f"n{i}"})) for i in HOST_IDS
    ]


def test_reasons_name_the_rules() -> None:
    group = VmGroup(
        id=0, name="g", roles=(role("a", [1, *range(20, 40)], RolePolicy.ANTI_AFFINED, on=[10]),)
    )
    matchmaker = Matchmaker(hosts(), [group])
    match = matchmaker.match(VmNeeds(id=1), dict.fromkeys(range(20, 40), 10))
    assert match.hosts == 0
    assert match.reason == (
        "VM groups leave no host: role a of VM group g is bound to hosts 10; it must not be on a"
        " host of VMs 20, 21, 22, 23, 24, 25, 26, 27, 28, 29 and 10 more"
    )


def test_contradictions_reach_the_owner() -> None:
    group = VmGroup(
        id=0,
        name="g",
        roles=(role("a", [1, 2], RolePolicy.ANTI_AFFINED),),
        affined=(frozenset({"a"}),),
    )
    match = Matchmaker(hosts(), [group]).match(VmNeeds(id=1))
    assert match.hosts == 0
    assert match.error is not None
    assert "change its rules" in match.error


def test_a_group_is_read_as_opennebula_writes_it() -> None:
    group = vm_group_of(
        element(
            "VM_GROUP",
            {
                "ID": "4",
                "NAME": "shop",
                "ROLES": {
                    "ROLE": [
                        {"ID": "0", "NAME": "web", "POLICY": "anti_affined", "VMS": "1,2,x"},
                        {
                            "NAME": "db",
                            "VMS": "3",
                            "HOST_AFFINED": "10, 11",
                            "HOST_ANTI_AFFINED": "12",
                        },
                    ]
                },
                "TEMPLATE": {"AFFINED": ["web, db", "db,cache"], "ANTI_AFFINED": "web,db"},
            },
        )
    )
    assert group == VmGroup(
        id=4,
        name="shop",
        roles=(
            role("web", [1, 2], RolePolicy.ANTI_AFFINED),
            role("db", [3], on=[10, 11], off=[12]),
        ),
        affined=(frozenset({"web", "db"}), frozenset({"db", "cache"})),
        anti_affined=(frozenset({"web", "db"}),),
    )


@pytest.mark.parametrize("policy", ["", "NONSENSE"])
def test_unknown_policies_are_none(policy: str) -> None:
    role = {"NAME": "a", "POLICY": policy, "VMS": "1"}
    group = vm_group_of(element("VM_GROUP", {"ID": "1", "ROLES": {"ROLE": role}}))
    assert group.roles[0].policy is RolePolicy.NONE


POLICIES = st.sampled_from(list(RolePolicy))
PAIRS = st.lists(st.sampled_from(["a b", "b c", "a c", "a b c"]), max_size=2)


@tries(200)
@given(
    st.tuples(POLICIES, POLICIES, POLICIES),
    PAIRS,
    PAIRS,
    st.permutations(range(6)),
)
def test_placing_one_vm_after_the_other_breaks_no_rule(
    policies: tuple[RolePolicy, RolePolicy, RolePolicy],
    affined: list[str],
    anti_affined: list[str],
    order: list[int],
) -> None:
    """Whatever is allowed keeps every rule, told here once more by its definition."""
    members = {"a": {0, 1}, "b": {2, 3}, "c": {4, 5}}
    roles = [role(n, members[n], policy) for n, policy in zip("abc", policies, strict=True)]
    found = rules(*roles, affined=affined, anti_affined=anti_affined)
    placed: dict[int, int] = {}
    for vm in order:
        hosts_left = left(found, vm, placed)
        if found.contradiction(vm) is None and hosts_left:
            placed[vm] = min(hosts_left) if vm % 2 else max(hosts_left)
    for name, policy in zip("abc", policies, strict=True):
        used = [placed[vm] for vm in members[name] if vm in placed]
        if policy is RolePolicy.AFFINED:
            assert len(set(used)) <= 1
        if policy is RolePolicy.ANTI_AFFINED:
            assert len(set(used)) == len(used)
    for names in affined:
        used = [placed[vm] for name in names.split() for vm in members[name] if vm in placed]
        assert len(set(used)) <= 1
    for names in anti_affined:
        sets = [{placed[vm] for vm in members[name] if vm in placed} for name in names.split()]
        assert sum(map(len, sets)) == len(set().union(*sets))
