"""Runs one yardstick on one trace, in a process of its own.

``python -m bench.yardstick easy TRACE HOSTS STARTS`` writes a start time per job to the
file STARTS and prints the CPU seconds that the simulation alone took, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.traces import read_jobs, read_sums
from bench.yardsticks import IN_SUMS, YARDSTICKS, conservative_in_sums


def main(name: str, trace: str, hosts: str, starts: str) -> None:
    """Simulate, write, print."""
    if name == IN_SUMS:
        jobs, amounts, borrows = read_sums(Path(trace))
        begun = time.process_time()
        found = conservative_in_sums(jobs, amounts, borrows)
    else:
        jobs = read_jobs(Path(trace))
        begun = time.process_time()
        found = YARDSTICKS[name](jobs, int(hosts))
    taken = time.process_time() - begun
    Path(starts).write_text("".join(f"{start}\n" for start in found), encoding="ascii")
    print(json.dumps({"simulation_cpu_seconds": taken}))


if __name__ == "__main__":
    main(*sys.argv[1:])
