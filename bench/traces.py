"""Reading jobs for the yardsticks. Imports nothing of Haizea, which would add to their time."""

from __future__ import annotations

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
