"""Questions about capacity as it would be otherwise; it is as before when they end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from haizea.core.capacity.channel import Channel
from haizea.core.capacity.hold import Hold
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.allocation import Use

#: The owner of holds that are mere assumptions.
_NOBODY = -1


@contextmanager
def without(table: SlotTable, hold: Hold) -> Iterator[None]:
    """Look at a table as it were without ``hold``."""
    heard = table.openings.hush()
    table.withdraw(hold)
    try:
        yield
    finally:
        table.restore(hold)
        table.openings.hear_on(heard)


@contextmanager
def assuming(table: SlotTable, start: int, end: int, use: Use) -> Iterator[None]:
    """Look at a table as it were if ``use`` was held, too, over ``[start, end)``. It fits."""
    heard = table.openings.hush()
    hold = table.reserve(start, end, use, _NOBODY)
    try:
        yield
    finally:
        table.withdraw(hold)
        table.openings.hear_on(heard)


@contextmanager
def freed(channel: Channel, intervals: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Look at a channel as it were if these intervals were not reserved."""
    for interval in intervals:
        channel.release(*interval)
    try:
        yield
    finally:
        for interval in intervals:
            channel.reserve(*interval)
