"""Choice of the system datastore for a VM and a host."""

from __future__ import annotations

import pytest
from opennebula_elements import element

from haizea.backends.opennebula.expressions.errors import ExpressionError
from haizea.backends.opennebula.matching.datastores import DatastoreChoice, Datastores
from haizea.backends.opennebula.matching.needs import DiskNeeds, VmNeeds, disk_needs, vm_needs
from haizea.backends.opennebula.model.host import HostInfo, host_of
from haizea.backends.opennebula.model.pools import Datastore, datastore_of
from haizea.backends.opennebula.model.template import Attributes, Tree, read_template
from haizea.backends.opennebula.model.vm import vm_of


def datastore(number: int, free_mb: int = 1000, clusters: str = "0", **more: str) -> Datastore:
    top = {"TYPE": "1", "STATE": "0", "USED_MB": "10", "TOTAL_MB": "9999"}
    top |= {name: more.pop(name) for name in list(more) if name in top}
    return datastore_of(
        element(
            "DATASTORE",
            {
                "ID": str(number),
                "NAME": f"ds{number}",
                "FREE_MB": str(free_mb),
                "CLUSTERS": {"ID": clusters.split()} if clusters else "",
                "TEMPLATE": dict(more),
                **top,
            },
        )
    )


def host(number: int, cluster: int = 0, disks: Attributes | str = "") -> HostInfo:
    return host_of(
        element(
            "HOST",
            {
                "ID": str(number),
                "NAME": f"n{number}",
                "STATE": "2",
                "CLUSTER_ID": str(cluster),
                "HOST_SHARE": {"DATASTORES": disks},
            },
        )
    )


def vm(system_mb: int = 0, **more: str) -> VmNeeds:
    return VmNeeds(
        id=1,
        disks=DiskNeeds(system_mb=system_mb),
        datastore_requirements=more.get("requirements", ""),
        datastore_rank=more.get("rank", ""),
    )


TWO = [datastore(0, 1000), datastore(100, 5000)]


@pytest.mark.parametrize(
    ("rank", "expected"),
    [("FREE_MB", 100), ("-FREE_MB", 0), ("PRIORITY", 0), ("ID", 100), ("", 0)],
)
def test_the_default_rank_decides(rank: str, expected: int) -> None:
    assert Datastores(TWO, [host(0)], rank).choose(vm(10), 0) == DatastoreChoice(expected)


def test_the_vms_rank_goes_before_the_default_one() -> None:
    assert Datastores(TWO, [host(0)]).choose(vm(10, rank="-ID"), 0).id == 0


def test_one_with_room_is_taken_if_the_best_has_none() -> None:
    assert Datastores(TWO, [host(0)], "-FREE_MB").choose(vm(1000), 0).id == 100
    choice = Datastores(TWO, [host(0)]).choose(vm(5000), 0)
    assert choice.id is None
    assert choice.reason == "none of 2 system datastores has 5000 MB left for the VM on host n0"


def test_a_vm_without_disks_fits_a_full_one() -> None:
    assert Datastores([datastore(0, 0)], [host(0)]).choose(vm(0), 0).id == 0


def test_one_that_was_never_measured_may_have_room() -> None:
    unknown = datastore(0, 0, USED_MB="0", TOTAL_MB="0")
    assert unknown.free_mb is None
    assert Datastores([unknown], [host(0)]).choose(vm(10**9), 0).id == 0


def test_only_enabled_system_datastores_count() -> None:
    others = [datastore(0, TYPE="0"), datastore(1, STATE="1"), datastore(2, TYPE="2")]
    assert Datastores(others, [host(0)]).choose(vm(), 0).reason == (
        "no system datastore is enabled"
    )
    assert Datastores([*others, datastore(3)], [host(0)]).choose(vm(), 0).id == 3


def test_it_must_be_in_the_hosts_cluster() -> None:
    datastores = Datastores(
        [datastore(0, clusters="0 5"), datastore(1, clusters="6")], [host(0, 5)]
    )
    assert datastores.choose(vm(), 0).id == 0
    elsewhere = Datastores([datastore(1, clusters="6"), datastore(2, clusters="")], [host(0, 5)])
    assert elsewhere.choose(vm(), 0).reason == (
        "no system datastore that meets the requirements is in host n0's cluster"
    )
    assert Datastores([datastore(2, clusters="")], [host(0, -1)]).choose(vm(), 0).id == 2


def test_requirements_are_met() -> None:
    datastores = Datastores([datastore(0, SITE="north"), datastore(1, SITE="south")], [host(0)])
    assert datastores.choose(vm(requirements='SITE = "s*"'), 0).id == 1
    unmet = datastores.choose(vm(requirements="SITE = west"), 0)
    assert unmet == DatastoreChoice(None, "no system datastore meets (SITE = west): there are 2")
    wrong = datastores.choose(vm(requirements="SITE"), 0)
    assert wrong.id is None
    assert wrong.reason.startswith("SCHED_DS_REQUIREMENTS, character 5: ")
    wrong_rank = datastores.choose(vm(rank="+"), 0)
    assert wrong_rank.reason.startswith("SCHED_DS_RANK, character 1: ")
    automatic = VmNeeds(id=1, automatic_datastore_requirements='("CLUSTERS/ID" @> 7)')
    assert "CLUSTERS/ID" in datastores.choose(automatic, 0).reason


def test_what_is_taken_is_gone_for_the_next() -> None:
    datastores = Datastores(TWO, [host(0)])
    chosen = []
    for _ in range(7):
        choice = datastores.choose(vm(900), 0)
        chosen.append(choice.id)
        if choice.id is not None:
            datastores.take(vm(900), 0, choice.id)
    assert chosen == [100, 100, 100, 100, 100, 0, None]


def test_a_shared_datastore_is_filled_to_the_last() -> None:
    datastores = Datastores([datastore(0, 1000)], [host(0)])
    datastores.take(vm(600), 0, 0)
    assert datastores.choose(vm(399), 0).id == 0
    assert datastores.choose(vm(400), 0).id is None


def test_a_local_datastore_has_the_room_of_each_host() -> None:
    local = datastore(5, 10, SHARED="NO")
    hosts = [
        host(0, disks={"FREE_DISK": "500", "DS": [{"ID": "4", "FREE_MB": "1"}]}),
        host(1, disks={"FREE_DISK": "1", "DS": {"ID": "5", "FREE_MB": "900"}}),
        host(2),
    ]
    datastores = Datastores([local], hosts)
    assert datastores.choose(vm(499), 0).id == 5
    assert datastores.choose(vm(500), 0).id is None
    assert datastores.choose(vm(899), 1).id == 5
    assert datastores.choose(vm(10**6), 2).id == 5  # not measured yet
    datastores.take(vm(800), 1, 5)
    assert datastores.choose(vm(99), 1).id == 5
    assert datastores.choose(vm(100), 1).id is None
    assert datastores.choose(vm(499), 0).id == 5


def test_a_vm_that_comes_back_has_its_files_in_the_shared_one() -> None:
    back = VmNeeds(id=1, disks=DiskNeeds(system_mb=10**6, images_mb={1: 10**9}), has_run=True)
    shared = Datastores([datastore(0)], [host(0)])
    assert shared.choose(back, 0).id == 0
    shared.take(back, 0, 0)
    assert shared.choose(vm(999), 0).id == 0
    local = Datastores([datastore(0, SHARED="NO")], [host(0, disks={"FREE_DISK": "5"})])
    assert local.choose(back, 0).id is None


def test_disks_that_stay_in_an_image_datastore_need_room_there() -> None:
    images = datastore(1, 100, TYPE="0")
    datastores = Datastores([datastore(0), images], [host(0)])
    needs = VmNeeds(id=1, disks=DiskNeeds(images_mb={1: 60}))
    assert datastores.choose(needs, 0).id == 0
    datastores.take(needs, 0, 0)
    assert datastores.choose(needs, 0).reason == (
        "image datastore 1 has no room for the VM's disks"
    )


def test_an_administrators_limit_is_the_room() -> None:
    assert datastore(0, 5000, LIMIT_MB="300").free_mb == 290
    assert datastore(0, 5000, LIMIT_MB="5").free_mb == 0


def test_a_wrong_default_rank_is_the_administrators() -> None:
    with pytest.raises(ExpressionError, match="the default datastore rank, character 1"):
        Datastores(TWO, [host(0)], "/")


def test_disks_are_where_their_images_say() -> None:
    clone = {"CLONE": "YES", "CLONE_TARGET": "SYSTEM", "LN_TARGET": "NONE", "DATASTORE_ID": "1"}
    template = element(
        "TEMPLATE",
        {
            "DISK": [
                {"TYPE": "fs", "SIZE": "100"},
                {"TYPE": "FILE", "SIZE": "20", "DISK_SNAPSHOT_TOTAL_SIZE": "5", **clone},
                {"TYPE": "FILE", "SIZE": "3000", **clone, "CLONE_TARGET": "SELF"},
                {"TYPE": "FILE", "SIZE": "4000", **clone, "CLONE": "NO"},
                {"TYPE": "FILE", "SIZE": "-7", **clone},
                {"TYPE": "CDROM"},
                "nonsense",
            ]
        },
    )
    assert disk_needs(read_template(template)) == DiskNeeds(system_mb=125, images_mb={1: 3000})


def needs_of(**parts: Tree) -> VmNeeds:
    return vm_needs(vm_of(element("VM", {"ID": "1", "LCM_STATE": "0", **parts})))


@pytest.mark.parametrize(
    ("state", "history", "expected"),
    [("1", 0, False), ("1", 1, True), ("2", 1, False), ("3", 1, False), ("4", 1, True)],
)
def test_which_vms_come_back(state: str, history: int, expected: bool) -> None:
    records: Attributes = {"HISTORY": [{"HID": "3"}] * history}
    found = needs_of(STATE=state, HISTORY_RECORDS=records if history else "")
    assert found.has_run is expected
    assert found.leaving_host_id is None


def test_a_vm_that_is_to_be_moved_leaves_its_last_host() -> None:
    records: Attributes = {"HISTORY": [{"HID": "3"}, {"HID": "4"}]}
    found = needs_of(STATE="3", RESCHED="1", HISTORY_RECORDS=records)
    assert found.leaving_host_id == 4
