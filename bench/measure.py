"""Runs a command and measures what it takes: CPU time, wall time, memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What the ``haizea`` command runs.
HAIZEA = (sys.executable, "-c", "from haizea.cli.main import main; main()")


class ChildFailed(Exception):
    """A command that was to be measured failed, or took too long."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost of a process: CPU seconds (user and system), wall-clock seconds, most memory."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def run(command: Sequence[str], limit_seconds: float, place: Path = ROOT) -> tuple[Usage, str]:
    """Run a command in ``place`` to its end; answers what it took and what it printed.

    Python may keep the byte code of what it imports, as it does for users.

    Raises :class:`ChildFailed` if its exit status is not 0, or after the limit.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.monotonic()
        child = subprocess.Popen(command, cwd=place, env=kept, stdout=out, stderr=err)
        overdue = threading.Timer(limit_seconds, os.kill, (child.pid, signal.SIGKILL))
        overdue.start()
        _, status, usage = os.wait4(child.pid, 0)
        overdue.cancel()
        wall_seconds = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            err.seek(0)
            said = err.read().decode(errors="replace").strip()[-400:]
            why = f"exit status {child.returncode}"
            if wall_seconds >= limit_seconds:
                why = f"not done after {limit_seconds:.0f} s"
            raise ChildFailed(": ".join(x for x in (why, said) if x))
        out.seek(0)
        printed = out.read().decode()
    # ru_maxrss is in KB on Linux, in bytes on macOS.
    peak_mb = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return Usage(usage.ru_utime + usage.ru_stime, wall_seconds, peak_mb), printed


def run_haizea(
    config: Path, datafile: Path | None, limit_seconds: float, place: Path = ROOT
) -> Usage:
    """Run ``haizea run`` on a configuration, with the results saved or not.

    It is the Haizea in the folder ``place``.
    """
    command = [*HAIZEA, "run", "--quiet", str(config)]
    if datafile is not None:
        command += ["--datafile", str(datafile)]
    return run(command, limit_seconds, place)[0]


def run_yardstick(
    name: str, trace: Path, hosts: int, starts: Path, limit_seconds: float
) -> tuple[Usage, float]:
    """Run a yardstick in a process of its own; answers also the seconds of the simulation alone.

    Start times are written to ``starts``.
    """
    module = (sys.executable, "-m", "bench.yardstick")
    usage, printed = run([*module, name, str(trace), str(hosts), str(starts)], limit_seconds)
    return usage, float(json.loads(printed)["simulation_cpu_seconds"])


def run_records(trace: Path, hosts: int, datafile: Path, limit_seconds: float) -> Usage:
    """Run the yardstick for full records, which writes them to ``datafile``."""
    module = (sys.executable, "-m", "bench.records")
    return run([*module, str(trace), str(hosts), str(datafile)], limit_seconds)[0]
