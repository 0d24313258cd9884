"""Wrong input to the real command: one clear message, exit status 2, nothing half done.

And what is no wrong input: a lease that is too large, a run that is interrupted, and a
reader who does not read on.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

HAIZEA = [sys.executable, "-c", "from haizea.cli.main import main; main()"]

CONFIGURATION = """\
[general]
loglevel: STATUS
[scheduling]
backfilling: aggressive
[simulation]
resources: 4 CPU:100 Memory:1024
status-message-interval: 600
[tracefile]
tracefile: {trace}
[accounting]
datafile: {datafile}
"""

LEASE = """\
<lease-request arrival="00:00:00">
<lease preemptible="true">
<nodes><node-set numnodes="{nodes}">
<res type="CPU" amount="100"/><res type="Memory" amount="1024"/>
</node-set></nodes>
<start/>
<duration time="{duration}"/>
</lease>
</lease-request>
"""

JOB = "{number} {submit} -1 {run} 1 -1 -1 1 3600 -1 1 1 1 1 1 -1 -1 -1\n"

BOMB = """\
<?xml version="1.0"?>
<!DOCTYPE lease-workload [
<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
]>
<lease-workload name="&c;"><lease-requests/></lease-workload>
"""


def lwf(*leases: str) -> str:
    requests = "".join(leases)
    return (
        '<?xml version="1.0"?>\n<lease-workload name="t">\n<lease-requests>\n'
        f"{requests}</lease-requests>\n</lease-workload>\n"
    )


GOOD = lwf(LEASE.format(nodes=1, duration="01:00:00"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a configuration that works, and its trace."""
    (tmp_path / "trace.lwf").write_text(GOOD)
    configure(tmp_path, "trace.lwf")
    return tmp_path


def configure(place: Path, trace: str, old: str = "", new: str = "") -> None:
    """Write the configuration, for another trace and with ``new`` in place of ``old``."""
    text = CONFIGURATION.format(trace=trace, datafile="out.results")
    assert old in text
    (place / "haizea.conf").write_text(text.replace(old, new, 1) if old else text)


def haizea(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in ``place``."""
    command = [*HAIZEA, *arguments]
    return subprocess.run(
        command, cwd=place, capture_output=True, text=True, timeout=120, check=False
    )


def refusal(place: Path) -> str:
    """The one message of a run that is refused; nothing is left behind."""
    before = sorted(path.name for path in place.iterdir())
    done = haizea(place, "-c", "haizea.conf")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("Error: ") == 1, done.stderr
    assert sorted(path.name for path in place.iterdir()) == before
    return done.stderr.strip()


def test_the_configuration_works_as_it_is(place: Path) -> None:
    done = haizea(place, "-c", "haizea.conf")
    assert done.returncode == 0, done.stderr
    assert (place / "out.results").exists()


def test_an_unknown_option(place: Path) -> None:
    configure(place, "trace.lwf", "backfilling:", "backfiling:")
    message = refusal(place)
    assert "haizea.conf:4:" in message
    assert "[scheduling]" in message
    assert "backfiling" in message
    assert "did you mean backfilling" in message.lower().replace("'", "").replace('"', "")


def test_a_configuration_that_is_missing(place: Path) -> None:
    (place / "haizea.conf").unlink()
    assert "haizea.conf: no such file" in refusal(place)


def test_a_trace_that_is_missing(place: Path) -> None:
    (place / "trace.lwf").unlink()
    message = refusal(place)
    assert "trace.lwf" in message
    assert "there is no such file" in message


def test_malformed_xml(place: Path) -> None:
    (place / "trace.lwf").write_text(GOOD.replace("</node-set>", ""))
    message = refusal(place)
    assert "trace.lwf, line 8" in message


def test_an_entity_bomb(place: Path) -> None:
    (place / "trace.lwf").write_text(BOMB)
    message = refusal(place)
    assert "trace.lwf" in message
    assert "entit" in message.lower()


def test_a_negative_duration(place: Path) -> None:
    (place / "trace.lwf").write_text(lwf(LEASE.format(nodes=1, duration="-01:00:00")))
    message = refusal(place)
    assert "trace.lwf, line 10, <duration>" in message
    assert "'-01:00:00'" in message


def test_text_in_a_number_column(place: Path) -> None:
    good = JOB.format(number=1, submit=0, run=60)
    (place / "jobs.swf").write_text(f"; Version: 2.2\n{good}{good.replace(' 60 ', ' sixty ')}")
    configure(place, "jobs.swf")
    message = refusal(place)
    assert "jobs.swf, line 3" in message
    assert "sixty" in message


@pytest.mark.parametrize("where", ["no-such-directory/out.results", "a-directory"])
def test_results_that_cannot_be_written(place: Path, where: str) -> None:
    (place / "a-directory").mkdir()
    configure(place, "trace.lwf", "out.results", where)
    assert where.split("/")[0] in refusal(place)
    assert list((place / "a-directory").iterdir()) == []


def test_all_that_is_wrong_is_told_at_once(place: Path) -> None:
    configure(place, "trace.lwf", "backfilling: aggressive", "backfilling: agressive\nfoo: 1")
    message = refusal(place)
    assert "agressive" in message
    assert "foo" in message


def test_earlier_results_are_left_alone(place: Path) -> None:
    (place / "out.results").write_bytes(b"results of last week")
    (place / "trace.lwf").write_text("<lease-workload")
    refusal(place)
    assert (place / "out.results").read_bytes() == b"results of last week"


# --- no wrong input -------------------------------------------------------------------------


def test_a_lease_larger_than_the_site_is_rejected_and_the_run_goes_on(place: Path) -> None:
    large, small = (LEASE.format(nodes=n, duration="01:00:00") for n in (5, 4))
    (place / "trace.lwf").write_text(lwf(large, small))
    assert haizea(place, "-c", "haizea.conf").returncode == 0
    with closing(sqlite3.connect(place / "out.results")) as db:
        rows = db.execute("SELECT state, code, reason FROM leases ORDER BY lease").fetchall()
    assert rows[0][:2] == ("Rejected", "too-big")
    assert "5 nodes" in rows[0][2]
    assert rows[1][0] == "Done"
    assert haizea(place, "check-schedule", "out.results").returncode == 0


def test_ctrl_c_ends_in_good_order(place: Path) -> None:
    jobs = (JOB.format(number=i + 1, submit=60 * i, run=90) for i in range(40_000))
    (place / "jobs.swf").write_text("".join(jobs))
    configure(place, "jobs.swf")
    process = subprocess.Popen(
        [*HAIZEA, "-c", "haizea.conf"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "STATUS" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    with closing(sqlite3.connect(place / "out.results")) as db:
        status = db.execute("SELECT value FROM run WHERE key = 'status'").fetchone()
        (leases,) = db.execute("SELECT count(*) FROM leases").fetchone()
    assert status == ("interrupted",)
    assert 0 < leases < 40_000
    # What was simulated is a schedule like any other.
    assert haizea(place, "check-schedule", "out.results").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("convert-data", "-t", "reservations", "out.results"),
        ("summary", "out.results"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_reader_who_does_not_read_on(place: Path, arguments: tuple[str, ...]) -> None:
    assert haizea(place, "-c", "haizea.conf").returncode == 0
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*HAIZEA, *arguments],
            cwd=place,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(writing)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode in (0, 1), done.stderr
