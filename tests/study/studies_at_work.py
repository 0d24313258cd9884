"""Small studies, and commands on them as processes of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from console_docs import environment

from haizea.config.ini import ConfigError
from haizea.study.directory import LEASES_TABLE, LEVELS_TABLE, RUNS_TABLE
from haizea.study.expansion import Run, read_runs

#: Two profiles, two loads, two seeds: eight runs of a blink each.
SMALL = """\
fixed: {hosts: 4, jobs: 12, ar-share: 0.2, suspend-rate: 50, resume-rate: 50}
profiles:
  none: {suspension: none}
  all: {suspension: all}
factors: {load: [0.5, 0.9]}
repetitions: 2
baseline: {profile: none}
"""

#: An admission policy that does as the environment says, in a worker, before a run begins.
TROUBLE = """\
import os, signal, sys, time
from pathlib import Path
from haizea.policies.admission import AcceptAll


class Trouble(AcceptAll):
    def refusal(self, *args):
        sys.stdout.write("asked for an answer\\n")
        if "FAIL" in os.environ:
            raise RuntimeError("this policy never works")
        place = Path(os.environ["TROUBLE"])
        try:
            (place / "first").touch(exist_ok=False)
        except FileExistsError:
            return super().refusal(*args)
        if "WAIT" in os.environ:
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def write(directory: Path, text: str = SMALL, name: str = "small.yaml") -> Path:
    """A study's file."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def runs_of(directory: Path, text: str) -> list[Run]:
    """The runs of a study that is written so."""
    return read_runs(write(directory, text))[1]


def problems_of(directory: Path, text: str) -> list[str]:
    """All that is wrong with such a study, without the directory."""
    try:
        runs_of(directory, text)
    except ConfigError as error:
        return [line.removeprefix(f"{directory}/") for line in str(error).splitlines()]
    raise AssertionError("nothing is wrong with it")


def with_trouble(directory: Path) -> Path:
    """The small study, with the policy of :data:`TROUBLE` in it."""
    (directory / "trouble.py").write_text(TROUBLE, encoding="utf-8")
    more = "fixed: {policy-admission: trouble.Trouble, "
    return write(directory, SMALL.replace("fixed: {", more), "trouble.yaml")


def command(directory: Path, *words: str | Path, **variables: str) -> subprocess.Popen[str]:
    """A ``haizea study`` command that has begun, in a directory whose modules it finds."""
    return subprocess.Popen(
        ["haizea", "study", *map(str, words)],
        cwd=directory,
        env=environment(directory)
        | {"PYTHONPATH": str(directory), "TROUBLE": str(directory)}
        | {name: os.environ[name] for name in ("COVERAGE_PROCESS_START",) if name in os.environ}
        | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(directory: Path, *words: str | Path, **variables: str) -> tuple[int, str, str]:
    """The exit status, output and errors of a ``haizea study`` command."""
    process = command(directory, *words, **variables)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def tables(directory: Path) -> dict[str, bytes]:
    """The bytes of the tables of a study."""
    return {
        name: (directory / name).read_bytes() for name in (RUNS_TABLE, LEASES_TABLE, LEVELS_TABLE)
    }
