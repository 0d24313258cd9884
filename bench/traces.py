"""Reading jobs for the yardsticks. Imports nothing of Haizea, which would add to their time."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from bench.yardsticks import Job


def read_jobs(trace: Path) -> list[Job]:
    """The jobs of a normalised SWF trace, in order of submission."""
    jobs = []
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            if not line.startswith(";"):
                fields = line.split()
                submitted, run, size, requested = (int(fields[i]) for i in (1, 3, 7, 8))
                jobs.append(Job(submitted, size, requested, max(1, min(run, requested))))
    return jobs


def read_sums(trace: Path) -> tuple[list[Job], int, int]:
    """Jobs that need amounts of several types, in order of submission.

    Also what the site has in all, and the bits by which a difference is known that is less than
    nothing of some type. The file has the amounts of the site in its first line; in each of the
    others a job's submission, requested and run seconds, and what it needs.
    """
    with trace.open(encoding="ascii") as lines:
        site, *rows = [[int(field) for field in line.split()] for line in lines]
    places = [0, *accumulate([amount.bit_length() + 1 for amount in site])]

    def packed(amounts: list[int]) -> int:
        return sum([amount << place for amount, place in zip(amounts, places, strict=False)])

    jobs = [
        Job(submitted, packed(needs), requested, max(1, min(run, requested)))
        for submitted, requested, run, *needs in rows
    ]
    return jobs, packed(site), sum([1 << place - 1 for place in places[1:]])
