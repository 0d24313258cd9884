"""The compiled core decides what the interpreted one does, to the byte.

The build is the one that ``HAIZEA_COMPILE=1`` makes, without the optimiser, which would
take most of a minute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands_at_once import COMMANDS
from working_order import made_once

pytestmark = [pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]

#: Where it is compiled, the traces and the plug-in are found under the same names.
SOURCES = ("haizea", "setup.py", "pyproject.toml", "README.md", "LICENSE")

EASY = "backfilling: aggressive"
CONSERVATIVE = "backfilling: conservative"
PREEMPTION = "policy-preemption: ar-preempts-everything"
SUSPENSION = f"{PREEMPTION}\nsuspension: all\nmigration: yes\nenactment-overhead: 1"
IMAGES = "lease-preparation: imagetransfer"
CACHES = "diskimage-reuse: image-caches\ndiskimage-cache-size: 8192"
BATCH = "tracefile: batch.swf"
RESERVATIONS = f"{BATCH}\ninjectionfile: reservations.txt"

#: What is in [general], [scheduling], [tracefile] and [deploy-imagetransfer].
RUNS = {
    "easy": ("", EASY, BATCH, ""),
    "conservative": ("", CONSERVATIVE, BATCH, ""),
    "intermediate": ("", "backfilling: intermediate\nbackfilling-reservations: 3", BATCH, ""),
    "suspension and migration": ("", f"{EASY}\n{SUSPENSION}", RESERVATIONS, ""),
    "starting over": ("", f"{CONSERVATIVE}\n{PREEMPTION}", RESERVATIONS, ""),
    "images": (IMAGES, f"{EASY}\n{SUSPENSION}", f"{RESERVATIONS}\nimagefile: images", CACHES),
    "a user's policies": (
        "",
        f"{EASY}\nmapper: plugged.Upwards\npolicy-host-selection: plugged.HighestFirst",
        BATCH,
        "",
    ),
}

CONFIGURATION = """\
[general]
loglevel: VDEBUG
logfile: run.log
{general}
[scheduling]
{scheduling}
[simulation]
resources: 32 CPU:100 Memory:1024
imagetransfer-bandwidth: 1000
[tracefile]
{trace}
[deploy-imagetransfer]
{images}
[accounting]
datafile: run.results
probes: ar best-effort immediate cpu-utilization disk-usage plugged.Ends
"""

PLUGGED = """\
from haizea.accounting.counter import Counter
from haizea.core.model.events import OperationEnded
from haizea.core.model.hosts import hosts_in
from haizea.core.placement.mapper import GreedyMapper

class HighestFirst:
    def tiers(self, request, hosts, view):
        assert all(view.leases_on(host) == 0 for host in hosts_in(hosts))
        for host in reversed(hosts_in(hosts)):
            yield 1 << host

class Upwards(GreedyMapper):
    def choose(self, *asked):
        hosts = super().choose(*asked)
        return None if hosts is None else tuple(sorted(hosts))

class Ends:
    def __init__(self):
        self.counters = [Counter("Operations that ended")]
        self.count = 0
    def begin(self, start, site, leases):
        self.leases = leases
    def note(self, now, decisions):
        for decision in decisions:
            if isinstance(decision, OperationEnded):
                self.count += 1
                record = self.leases.get(decision.lease_id)
                self.counters[0].add(now, self.count, record and record.request.id)
    def figures(self, now):
        return {"operations-ended": self.count}
"""

TABLES = ("per-lease", "per-run", "reservations", "counter")


def why_not() -> str:
    """Return what is missing to compile, if anything is."""
    if find_spec("mypyc") is None:
        return "mypy, whose compiler it is, is not installed"
    if find_spec("setuptools") is None or int(version("setuptools").split(".")[0]) < 77:
        return "setuptools is not installed, or is older than 77"
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler, {compiler}"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "Python's C headers are not installed"
    return ""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Haizea with its core compiled."""
    missing = why_not()
    if missing:
        pytest.skip(missing)
    return made_once(tmp_path_factory, "compiled", compile_into)


def compile_into(place: Path) -> None:
    """Compile a copy of Haizea."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("*.so", "*.pyc"))
        else:
            shutil.copy(source, place)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=place,
        env={**os.environ, "HAIZEA_COMPILE": "1", "MYPYC_OPT_LEVEL": "0", "CFLAGS": "-O0"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def python(haizea: Path, place: Path, code: str, *arguments: str) -> bytes:
    """Return what a program prints that imports Haizea from the folder ``haizea``."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(haizea), str(place)])},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def everything(haizea: Path, place: Path, run: str) -> dict[str, bytes]:
    """All that a run leaves behind and prints, and every export of its results."""
    place.mkdir()
    for name in ("batch.swf", "reservations.txt"):
        shutil.copy(ROOT / "traces" / name, place)
    names = "\n".join(f"image-{7 * lease % 5}" for lease in range(300))
    sizes = "\n".join(f"image-{i} {512 << i}" for i in range(5))
    (place / "images").write_text(f"{sizes}\n# by lease\n{names}\n")
    general, scheduling, trace, images = RUNS[run]
    text = CONFIGURATION.format(general=general, scheduling=scheduling, trace=trace, images=images)
    (place / "run.conf").write_text(text)
    (place / "plugged.py").write_text(PLUGGED)
    commands = ["run run.conf", *(f"convert-data -t {table} run.results" for table in TABLES)]
    printed = python(haizea, place, COMMANDS, *commands).split(b"\0")
    found = dict(zip(("summary", *TABLES, "the end"), printed, strict=True))
    for name in ("run.log", "run.results"):
        found[name] = (place / name).read_bytes()
    return found


def test_it_is_compiled(compiled: Path, tmp_path: Path) -> None:
    imports = "import haizea.core.capacity.slottable as s, haizea.loop as l"
    code = f"{imports}; print(s.__file__, l.__file__)"
    slottable, loop = python(compiled, tmp_path, code).decode().split()
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    capacity = compiled / "haizea" / "core" / "capacity"
    assert slottable == str(capacity / f"slottable{suffix}")
    assert loop == str(compiled / "haizea" / f"loop{suffix}")


@pytest.mark.parametrize("run", RUNS)
def test_compiled_and_interpreted_are_the_same(compiled: Path, tmp_path: Path, run: str) -> None:
    fast = everything(compiled, tmp_path / "compiled", run)
    slow = everything(ROOT, tmp_path / "interpreted", run)
    assert slow["per-lease"].count(b"\n") > 300
    assert sorted(name for name in slow if slow[name] != fast[name]) == []
