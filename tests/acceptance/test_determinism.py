"""Same input, same bytes: whatever the seed of hashes, on every Python.

``HAIZEA_PYTHONS`` names interpreters that have Haizea's dependencies, such as those of
virtual environments that it was installed in, separated by ``:``. Without it, the test of
other Pythons is skipped: an interpreter without the dependencies shows nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from commands_at_once import COMMANDS

ROOT = Path(__file__).resolve().parents[2]

SEEDS = ("0", "1", "4242")

#: Preemption, suspension, migration, images and caches, all at once.
CONFIGURATION = """\
[general]
loglevel: VDEBUG
logfile: run.log
lease-preparation: imagetransfer
[scheduling]
backfilling: {backfilling}
policy-preemption: ar-preempts-everything
suspension: all
migration: yes
enactment-overhead: 1
shutdown-time: 5
[simulation]
resources: 32 CPU:100 Memory:1024
imagetransfer-bandwidth: 1000
[tracefile]
tracefile: {trace}
injectionfile: {injection}
[deploy-imagetransfer]
transfer-mechanism: multicast
avoid-redundant-transfers: yes
diskimage-reuse: image-caches
diskimage-cache-size: 8192
[accounting]
datafile: run.results
probes: ar best-effort immediate cpu-utilization disk-usage
attributes: purpose=determinism, seed=none
"""

BACKFILLING = ("aggressive", "conservative")

TABLES = ("per-lease", "per-run", "reservations", "counter")


def haizea(
    python: str, place: Path, *commands: str, environment: Mapping[str, str] | None = None
) -> list[bytes]:
    """Return what each command prints, run by an interpreter, with this checkout's Haizea."""
    done = subprocess.run(
        [python, "-c", COMMANDS, *commands],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    *printed, end = done.stdout.split(b"\0")
    assert not end
    return printed


def everything(
    python: str, place: Path, backfilling: str, environment: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """All that a run leaves behind and prints, and every export of its results.

    It runs in ``place``, with the same relative names each time: names are in the results.
    """
    place.mkdir()
    text = CONFIGURATION.format(
        backfilling=backfilling,
        trace=ROOT / "traces" / "batch.swf",
        injection=ROOT / "traces" / "reservations.txt",
    )
    (place / "run.conf").write_text(text)
    commands = ["run run.conf", *(f"convert-data -t {table} run.results" for table in TABLES)]
    printed = haizea(python, place, *commands, environment=environment)
    found = dict(zip(("summary", *TABLES), printed, strict=True))
    found["log"] = (place / "run.log").read_bytes()
    found["results"] = (place / "run.results").read_bytes()
    return found


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Return what is not the same in both."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


@pytest.mark.parametrize("backfilling", BACKFILLING)
def test_the_seed_of_hashes_does_not_matter(backfilling: str, tmp_path: Path) -> None:
    runs = [
        everything(sys.executable, tmp_path / seed, backfilling, {"PYTHONHASHSEED": seed})
        for seed in SEEDS
    ]
    assert runs[0]["per-lease"].count(b"\n") > 300
    for run in runs[1:]:
        assert differences(runs[0], run) == []


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_generated_workload_is_the_same_whenever_it_is_generated(
    seed: str, tmp_path: Path
) -> None:
    made = []
    for hashes in SEEDS:
        name = f"{hashes}.lwf"
        haizea(
            sys.executable,
            tmp_path,
            f"generate-workload --jobs 100 --hosts 16 --seed {seed} --ar-share 0.2 {name}",
            environment={"PYTHONHASHSEED": hashes},
        )
        made.append((tmp_path / name).read_bytes().replace(name.encode(), b"NAME"))
    assert made[0] == made[1] == made[2]


def other_pythons() -> list[str]:
    return [path for path in os.environ.get("HAIZEA_PYTHONS", "").split(":") if path]


@pytest.mark.parametrize("backfilling", BACKFILLING)
def test_every_python_gives_the_same(backfilling: str, tmp_path: Path) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip(
            "set HAIZEA_PYTHONS to interpreters of environments that Haizea is installed in"
        )
    ours = everything(sys.executable, tmp_path / "ours", backfilling)
    # SQLite itself writes its version into the file; what the file says is in the exports.
    del ours["results"]
    for number, python in enumerate(pythons):
        theirs = everything(python, tmp_path / str(number), backfilling)
        del theirs["results"]
        assert differences(ours, theirs) == [], python
