"""Other starts for advance reservations that were rejected for their time."""

from __future__ import annotations

import math
import time
from typing import Final

from haizea.core.model.lifecycle import State
from haizea.core.model.members import FIRM
from haizea.core.model.records import LeaseRecord
from haizea.core.scheduler import Scheduler

#: For which rejections it helps to ask for another time.
_OTHER_TIME: Final = {"no-room", "no-time", "promised", "image-late", "too-soon", "in-the-past"}

#: So long, in real seconds, a proposed start can be asked for at least.
_NOTICE_SECONDS: Final = 60


def notice_seconds(speed: float) -> int:
    """Return how long a proposed start can be asked for at least, in a scheduler's seconds.

    So many of these as ``speed`` pass in a real one.
    """
    return math.ceil(_NOTICE_SECONDS * speed)


def offer_for(scheduler: Scheduler, record: LeaseRecord, until: float) -> int | None:
    """Return a start, or a deadline, with which a rejected lease would be accepted.

    ``None`` for other leases, and where none is found until ``until``, by the steady clock.
    """
    if record.state is not State.REJECTED or record.request.kind not in FIRM:
        return None
    if record.code not in _OTHER_TIME:
        return None
    return scheduler.offer(record.request, lambda: time.monotonic() > until, record.prepare_seconds)


def offer_until(record: LeaseRecord, offer: int | None, ahead_seconds: int) -> int | None:
    """Return until when the offer can be asked for, which is so many seconds before it.

    ``None`` without an offer, and for a deadline, which may do for longer.
    """
    if offer is None or record.request.deadline is not None:
        return None
    return offer - ahead_seconds
