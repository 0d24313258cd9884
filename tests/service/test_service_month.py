"""A month of leases: what is over leaves the memory at once and the store in time.

``HAIZEA_LONG_TESTS=1`` lets 10,000 leases pass in 30 days.
"""

from __future__ import annotations

import os
from pathlib import Path

from simulated_month import DAY, START, Month, kept, live

LONG = os.environ.get("HAIZEA_LONG_TESTS") == "1"


def test_memory_and_store_stay_bounded(tmp_path: Path) -> None:
    month = Month(leases=10_000, days=30, keep_days=3) if LONG else Month(450, 9, 1)
    store = live(month, tmp_path)
    try:
        print(
            f"{month.leases} leases in {month.days} days: {month.seconds:.0f} s;"
            f" store {[b // 1000 for b in month.store_bytes[:: month.days // 3]]} kB,"
            f" memory {[round(m) for m in month.memory_mb[:: month.days // 3]]} MB,"
            f" at most {max(month.active)} leases not over"
        )
        decided = [answer.result(timeout=0).record for answer in month.answers]
        assert [record.id for record in decided] == list(range(1, month.leases + 1))
        third = month.days // 3
        assert max(month.store_bytes[third:]) < 1.5 * max(month.store_bytes[:third])
        if LONG:
            assert month.memory_mb[-1] < month.memory_mb[third] + 20

        ids = kept(store)
        last = START + month.days * DAY - month.keep_days * DAY
        assert set(ids) >= {r.id for r in decided if r.request.submitted >= last}
        assert len(ids) < month.leases / 2
        known = {record.id for record in decided if store.lease(record.id) is not None}
        assert known == set(ids)
        assert store.load().records == [], "all are over"
        assert store.load().next_lease_id == month.leases + 1
    finally:
        store.close()
