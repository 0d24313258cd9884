"""Transfers of images, and plans for what a lease needs of them."""

from __future__ import annotations

from typing import Final, NamedTuple

from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import DiskImage
from haizea.core.model.resources import FOREVER


class ImageTransfer:
    """One use of the link: an image on its way to ``riders``, each lease with its hosts.

    ``relying`` are leases that will use what is on its way to others' hosts. ``deadline``
    is the first moment at which a rider wants to start. ``movable`` transfers are an AR's,
    and may be shifted until they begin.
    """

    #: In the agenda, where leases have theirs: a transfer comes after all of them.
    id: Final = FOREVER

    __slots__ = (
        "begun",
        "deadline",
        "end",
        "image",
        "movable",
        "relying",
        "riders",
        "start",
        "token",
    )

    def __init__(
        self, image: DiskImage, start: int, end: int, deadline: int, movable: bool
    ) -> None:
        self.image = image
        self.start = start
        self.end = end
        self.deadline = deadline
        self.movable = movable
        self.riders: dict[int, HostSet] = {}
        self.relying: dict[int, HostSet] = {}
        self.begun = False
        self.token = 0

    @property
    def hosts(self) -> HostSet:
        """All hosts that receive the image."""
        result = 0
        for hosts in self.riders.values():
            result |= hosts
        return result

    @property
    def soon(self) -> bool:
        """True if it comes as soon as it can, rather than as late as an AR allows."""
        return self.begun or not self.movable

    @property
    def waiting(self) -> list[int]:
        """The leases that wait for it, by id."""
        return sorted(self.riders.keys() | self.relying.keys())


#: A transfer that has not begun, and from when to when it is to be instead.
Move = tuple[ImageTransfer, int, int]


class Shipment(NamedTuple):
    """The delivery of a lease's images: by new transfers, on board of others, or not at all.

    ``moves`` shifts transfers of ARs that have not begun. ``arrival`` is when all is there.
    """

    arrival: int
    new: list[ImageTransfer]
    rides: list[tuple[ImageTransfer, HostSet]]
    moves: list[Move]
    present: HostSet


class Withdrawal(NamedTuple):
    """Transfers under way that a lease left, and those in which others go on in its place."""

    left: list[tuple[ImageTransfer, HostSet]]
    joined: list[tuple[ImageTransfer, int, HostSet]]
