"""Times for transfers that are to come as late as they can, all over one link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from haizea.core.capacity.channel import Channel
from haizea.core.images.closures import Periods, latest
from haizea.core.images.shipments import ImageTransfer, Move


class Wanted(NamedTuple):
    """A transfer of so many seconds, over by ``deadline``, nothing of it in a ``closed`` period."""

    transfer: ImageTransfer
    seconds: int
    deadline: int
    closed: Periods


def late_as_possible(link: Channel, wanted: Sequence[Wanted], now: int) -> list[Move] | None:
    """Times for transfers that the link does not carry yet, from ``now`` on; or ``None``.

    From the latest deadline to the earliest, each as late as the link allows: whatever can be
    done in time at all is done so by taking the earliest deadline first, where nothing is closed.
    What they are given is taken out of the link.
    """
    moves: list[Move] = []
    order = sorted(enumerate(wanted), key=lambda p: (p[1].deadline, p[0]), reverse=True)
    for _, (transfer, seconds, deadline, closed) in order:
        start = latest(link, seconds, deadline, now, closed)
        if start is None:
            return None
        link.reserve(start, start + seconds)
        moves.append((transfer, start, start + seconds))
    return moves
