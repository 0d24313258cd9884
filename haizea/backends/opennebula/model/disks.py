"""The images that a VM boots from, as far as they are copied when it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from haizea.backends.opennebula.model.vm import VirtualMachine

_LARGEST_MB = 10**9
_PERSISTENT = ", persistent"


class Images(NamedTuple):
    """The images of a VM: how much is copied, and the kind of store that the most comes from.

    ``kind`` has the image datastore and its transfer driver, in words; ``name`` is that of the
    largest image. All are empty where no image is known.
    """

    size_mb: int = 0
    kind: str = ""
    name: str = ""

    @property
    def kept_mb(self) -> int:
        """The size of what is put back at the VM's end, as far as is known; else it is deleted."""
        return self.size_mb if self.kind.endswith(_PERSISTENT) else 0


def images_of(vm: VirtualMachine) -> Images:
    """Return what is copied for a VM; disks that are made empty, there and then, are not."""
    copied = []
    for disk in vm.template.vectors("DISK"):
        size_mb = _size_mb(disk)
        if size_mb and ("IMAGE_ID" in disk or "IMAGE" in disk):
            copied.append((size_mb, disk))
    if not copied:
        return Images()
    largest = max(copied, key=lambda one: one[0])[1]
    return Images(
        sum(size_mb for size_mb, _ in copied),
        _kind(largest),
        largest.get("IMAGE") or f"image {largest.get('IMAGE_ID', '')}",
    )


def _size_mb(disk: Mapping[str, str]) -> int:
    """The size of the image; a disk that is made larger than it is enlarged in its place."""
    text = disk.get("ORIGINAL_SIZE") or disk.get("SIZE", "")
    return min(int(text), _LARGEST_MB) if text.isascii() and text.isdigit() else 0


def _kind(disk: Mapping[str, str]) -> str:
    store = disk.get("DATASTORE") or disk.get("DATASTORE_ID") or "unknown"
    kind = f"{store[:64]} ({disk.get('TM_MAD', 'unknown')[:32]})"
    # What is not cloned is used where it is, or linked.
    return kind + _PERSISTENT if disk.get("CLONE", "").upper() == "NO" else kind
