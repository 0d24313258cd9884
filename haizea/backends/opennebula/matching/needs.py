"""The needs of a VM with regard to the place where it runs.

What is missing in a VM or makes no sense counts as OpenNebula's own default, so that one odd VM
does not stop the others; nothing here raises an error for what a user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from haizea.backends.opennebula.model.template import Template, leading_number
from haizea.backends.opennebula.model.vm import VirtualMachine, VmState

#: States of a VM without a host that has run before.
_SAVED = frozenset([VmState.STOPPED, VmState.UNDEPLOYED])


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskNeeds:
    """The space that a VM's disks take: in the system datastore, and in image datastores by id."""

    system_mb: int = 0
    images_mb: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmNeeds:
    """The expressions of a VM as they were written, "" where there is none, and its disks.

    ``leaving_host_id`` is the host that it must not stay on, ``has_run`` whether it comes back
    with files in a system datastore.
    """

    id: int
    requirements: str = ""
    automatic_requirements: str = ""
    rank: str = ""
    datastore_requirements: str = ""
    automatic_datastore_requirements: str = ""
    datastore_rank: str = ""
    disks: DiskNeeds = field(default_factory=DiskNeeds)
    has_run: bool = False
    leaving_host_id: int | None = None


def vm_needs(vm: VirtualMachine) -> VmNeeds:
    """Read what a VM asks for, whichever version wrote it."""
    requirements, rank = own_expressions(vm)
    return VmNeeds(
        id=vm.id,
        requirements=requirements,
        automatic_requirements=vm.template.text("AUTOMATIC_REQUIREMENTS").strip(),
        rank=rank,
        datastore_requirements=_written(vm, "SCHED_DS_REQUIREMENTS"),
        automatic_datastore_requirements=vm.template.text("AUTOMATIC_DS_REQUIREMENTS").strip(),
        datastore_rank=_written(vm, "SCHED_DS_RANK"),
        disks=disk_needs(vm.template),
        has_run=vm.state in _SAVED or (vm.state == VmState.PENDING and bool(vm.history)),
        leaving_host_id=vm.last_host_id if vm.resched else None,
    )


def own_expressions(vm: VirtualMachine) -> tuple[str, str]:
    """The requirements and the rank that a VM's owner wrote; empty where there are none.

    They lost their prefix ``SCHED_`` where they are old.
    """
    requirements = _written(vm, "SCHED_REQUIREMENTS") or _written(vm, "REQUIREMENTS")
    return requirements, _written(vm, "SCHED_RANK") or _written(vm, "RANK")


def disk_needs(template: Template) -> DiskNeeds:
    """Read what the disks of a VM's template take.

    A volatile disk is in the system datastore; one from an image is where the image's
    datastore says, by CLONE_TARGET, or LN_TARGET for a persistent one.
    """
    system_mb = 0
    images_mb: dict[int, int] = {}
    for disk in template.vectors("DISK"):
        words = {name: text.strip().upper() for name, text in disk.items()}
        size_mb = _size_mb(disk, "SIZE") + _size_mb(disk, "DISK_SNAPSHOT_TOTAL_SIZE")
        is_clone = words.get("CLONE") == "YES"
        target = words.get("CLONE_TARGET" if is_clone else "LN_TARGET")
        if words.get("TYPE") in ("SWAP", "FS") or target == "SYSTEM":
            system_mb += size_mb
        elif target == "SELF":
            number = leading_number(disk.get("DATASTORE_ID", ""))
            datastore = -1 if number is None else int(number)
            images_mb[datastore] = images_mb.get(datastore, 0) + size_mb
        # Else the image is used where it is.
    return DiskNeeds(system_mb=system_mb, images_mb=images_mb)


def _written(vm: VirtualMachine, name: str) -> str:
    """A user's words: in ``USER_TEMPLATE``, or in ``TEMPLATE`` (1.4)."""
    return vm.user_template.text(name).strip() or vm.template.text(name).strip()


def _size_mb(disk: Mapping[str, str], name: str) -> int:
    return max(0, int(leading_number(disk.get(name, "")) or 0))
