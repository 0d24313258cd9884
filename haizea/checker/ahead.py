"""Images sent ahead: what hosts hold of them for leases that wait has a limit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from haizea.checker.history import History
from haizea.checker.records import Records
from haizea.checker.scratch import Scratch, Spool
from haizea.checker.violation import Rule, Violation

#: What happens to a lease's image, in the order in which it counts at one moment.
_ARRIVES, _IS_USED = 0, 1


class SentAhead:
    """Fill it with :meth:`add`, then ask :meth:`check`.

    The records do not tell when an image was dropped. But a lease that starts from what came
    for it before, while none of the kind came since, had it on its hosts all the time.
    """

    def __init__(self, records: Records, spare: Scratch) -> None:
        options = records.options
        self._limit_mb = options.ahead_mb
        # Of caches it is not known for whom an image stays; of several future reservations
        # each has hosts of its own, where its image is sent.
        self._tested = (
            options.images_managed
            and options.multicast
            and not options.image_caches
            and options.ahead_mb > 0
            and options.reservations <= 1
            and options.simulated
            and not (records.disturbed or records.host_changes)
        )
        self._shared = options.redundant_avoided
        columns = "time, what, image, mb, lease, came"
        self._events = Spool(spare, "images_sent", columns, "time, what")
        self._held = Spool(spare, "images_held", "came, used, image, mb, lease", "came, lease")

    def add(self, history: History) -> None:
        """Take in one lease."""
        lease = history.lease
        if not self._tested or not lease.image or not lease.image_mb:
            return
        image = lease.image if self._shared else f"{lease.image} of {lease.id}"
        ends = [held.end for held in history.sets if held.purpose == "transfer"]
        for end in ends:
            self._events.add((end, _ARRIVES, image, lease.image_mb, lease.id, end))
        runs = history.phases.get("run", ())
        if lease.kind == "best-effort" and runs:
            before = [end for end in ends if end < runs[0].start]
            if before:
                told = (image, lease.image_mb, lease.id, max(before))
                self._events.add((runs[0].start, _IS_USED, *told))

    def check(self) -> Iterator[Violation]:
        """Nothing is sent ahead for which there is no room, but for the first of the queue."""
        last: dict[str, int] = {}
        for time, what, image, mb, lease, came in self._events:
            if what == _ARRIVES:
                last[image] = time
            elif last[image] == came:
                self._held.add((came, time, image, mb, lease))
        held: dict[str, tuple[int, int]] = {}
        for came, arrived in groupby(self._held, key=lambda row: row[0]):
            held = {image: kept for image, kept in held.items() if kept[0] > came}
            newest = list(arrived)
            for _, used, image, mb, _ in newest:
                held[image] = (max(used, held.get(image, (0, 0))[0]), mb)
            *_, mb, lease = newest[0]
            total_mb = sum(mb for _, mb in held.values())
            # Beside all of them there is room for one more, that of a lease that runs.
            most_mb = max(self._limit_mb - mb, mb)
            if total_mb > most_mb:
                message = (
                    f"with its image, {total_mb} MB are held for leases that wait; there is room"
                    f" for {most_mb} MB beside what runs"
                )
                yield Violation(Rule.PREPARATION, lease, None, came, message)
