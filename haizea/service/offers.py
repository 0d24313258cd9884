"""Other starts for advance reservations that were rejected for their time."""

from __future__ import annotations

import math
import time
from typing import Final

from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import State
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


def offer_for(
    scheduler: Scheduler, record: LeaseRecord, notice_seconds: int, until: float
) -> int | None:
    """Return a start at which a lease would be accepted that was rejected; ``None`` for others.

    It is looked for until ``until``, by the clock that cannot be set.
    """
    if record.state is not State.REJECTED or record.request.kind is not Kind.AR:
        return None
    if record.code not in _OTHER_TIME:
        return None
    return scheduler.offer(
        record.request,
        lambda: time.monotonic() > until,
        notice_seconds,
        record.prepare_seconds,
    )
