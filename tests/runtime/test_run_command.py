"""``haizea run``: what it prints, what it leaves behind, and how it is interrupted."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haizea.cli.commands import cli
from haizea.config import load
from haizea.runtime import RunError, Simulation

CONFIG = """\
[general]
loglevel: {loglevel}
{logfile}
[simulation]
resources: 4 CPU:100 Memory:1024
{simulation}
[tracefile]
tracefile: {trace}
[accounting]
datafile: {datafile}
"""

JOB = "{number} {submit} 0 {run} 1 -1 -1 1 {time} -1 1 1 1 1 1 -1 -1 -1\n"

COMMAND = [sys.executable, "-c", "from haizea.cli.main import main; main()", "run"]


def jobs(count: int) -> str:
    """A trace of one job a minute, each of which may take up to an hour."""
    return "".join(
        JOB.format(number=i + 1, submit=i * 60, run=90 + i % 60, time=3600) for i in range(count)
    )


def configuration(
    tmp_path: Path,
    count: int = 5,
    *,
    loglevel: str = "STATUS",
    logfile: str = "",
    simulation: str = "",
    datafile: str | None = None,
) -> Path:
    trace = tmp_path / "jobs.swf"
    trace.write_text(jobs(count))
    path = tmp_path / "haizea.conf"
    path.write_text(
        CONFIG.format(
            loglevel=loglevel,
            logfile=f"logfile: {logfile}" if logfile else "",
            simulation=simulation,
            trace=trace,
            datafile=datafile or tmp_path / "results",
        )
    )
    return path


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["run", *map(str, arguments)])


def status_in(datafile: Path) -> str:
    db = sqlite3.connect(datafile)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (status,) = db.execute("SELECT value FROM run WHERE key = 'status'").fetchone()
        return str(status)
    finally:
        db.close()


# --- what it prints -----------------------------------------------------------------------


def test_a_run_tells_what_became_of_the_leases_and_where_the_results_are(tmp_path: Path) -> None:
    result = invoke(configuration(tmp_path))
    assert result.exit_code == 0, result.output
    assert "jobs.swf: complete" in result.stdout
    assert result.stdout.endswith(f"Results: {tmp_path / 'results'}\n")
    assert status_in(tmp_path / "results") == "complete"


def test_json_for_programs(tmp_path: Path) -> None:
    result = invoke("--output", "json", configuration(tmp_path))
    told = json.loads(result.stdout)
    assert told["status"] == "complete"
    assert told["states"] == {"Done": 5}
    assert told["datafile"] == str(tmp_path / "results")
    assert told["summary"]["status"] == "complete"
    # The last job arrives after four minutes and runs for 94 seconds.
    assert told["ended"] - told["started"] == 4 * 60 + 94


def test_without_a_datafile_the_run_tells_what_it_knows(tmp_path: Path) -> None:
    path = configuration(tmp_path, datafile="none")
    result = invoke(path)
    assert result.exit_code == 0
    assert "5 of 5 submitted: 5 Done" in result.stdout
    assert "names no datafile" in result.stdout
    assert json.loads(invoke("--output", "json", path).stdout)["summary"] is None


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    result = invoke("--quiet", configuration(tmp_path, loglevel="VDEBUG"))
    assert result.exit_code == 0
    assert result.output == ""
    assert status_in(tmp_path / "results") == "complete"


def test_the_datafile_may_be_named_on_the_command_line(tmp_path: Path) -> None:
    result = invoke("--datafile", tmp_path / "other", configuration(tmp_path))
    assert result.exit_code == 0
    assert not (tmp_path / "results").exists()
    assert status_in(tmp_path / "other") == "complete"


def test_the_log_goes_to_standard_error_in_simulated_time(tmp_path: Path) -> None:
    result = invoke("--loglevel", "INFO", configuration(tmp_path))
    lines = result.stderr.splitlines()
    assert lines[0].startswith("[2006-11-25 13:00:00] INFO lease 1 is asked for: best-effort (1)")
    assert any("INFO lease 5: Active -> Done" in line for line in lines)
    assert lines[-1].startswith("[2006-11-25 13:05:34] STATUS the run is complete; 5 of 5")


def test_the_log_may_go_to_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = invoke(configuration(tmp_path, loglevel="DEBUG", logfile=str(log)))
    assert result.stderr == ""
    assert "DEBUG lease 1: run until" in log.read_text()


def test_the_status_is_told_every_so_many_simulated_minutes(tmp_path: Path) -> None:
    path = configuration(tmp_path, 31, simulation="status-message-interval: 10")
    lines = invoke(path).stderr.splitlines()
    assert [line[:28] for line in lines[:-1]] == [
        "[2006-11-25 13:10:00] STATUS",
        "[2006-11-25 13:20:00] STATUS",
        "[2006-11-25 13:30:00] STATUS",
    ]
    assert "of 31 leases submitted" in lines[0]


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    with (tmp_path / "jobs.swf").open("a") as trace:
        trace.write(JOB.format(number=6, submit=300, run=-1, time=3600))
    result = invoke(path)
    assert result.exit_code == 0
    assert "Note: " in result.stderr
    assert "1 left out" in result.stderr


# --- wrong use ----------------------------------------------------------------------------


def refused(result: Result) -> str:
    """The one message of a run that did not begin."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    message = refused(invoke(tmp_path / "nothing.conf"))
    assert "nothing.conf: no such file or directory" in message


def test_a_configuration_that_is_wrong(tmp_path: Path) -> None:
    path = configuration(tmp_path, loglevel="LOUD", simulation="colour: red")
    message = refused(invoke(path))
    assert "LOUD" in message
    assert "colour" in message


def test_a_trace_that_is_not_there(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    (tmp_path / "jobs.swf").unlink()
    assert "jobs.swf: there is no such file" in refused(invoke(path))
    assert [f.name for f in tmp_path.iterdir()] == ["haizea.conf"]


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    path = configuration(tmp_path, datafile=str(tmp_path / "no-such-directory" / "results"))
    assert "no-such-directory" in refused(invoke(path))


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    path = configuration(tmp_path, logfile=str(tmp_path / "no-such-directory" / "log"))
    message = refused(invoke(path))
    assert "[general] logfile" in message
    assert not (tmp_path / "results").exists()


def test_results_do_not_replace_what_is_read(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    trace = tmp_path / "jobs.swf"
    assert "tracefile" in refused(invoke("--datafile", trace, path))
    assert trace.read_text() == jobs(5)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[simulation]", "mode: opennebula\n[simulation]", "mode: simulated"),
        ("resources", "clock: real\nresources", "clock: simulated"),
    ],
)
def test_what_is_no_simulation_of_a_trace(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = configuration(tmp_path)
    text = path.read_text().replace(old, new) + "[opennebula]\nhost: localhost\n"
    path.write_text(text)
    with pytest.raises(RunError, match=told):
        Simulation(load(path))


# --- interruption -------------------------------------------------------------------------


def start(path: Path, **more: str) -> subprocess.Popen[str]:
    """A run in another process that has come to its first status line."""
    process = subprocess.Popen(
        [*COMMAND, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
    )
    assert process.stderr is not None
    assert "STATUS" in process.stderr.readline()
    return process


def long_run(tmp_path: Path) -> Path:
    return configuration(tmp_path, 40_000, simulation="status-message-interval: 600")


@pytest.mark.parametrize(
    ("number", "exit_status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_an_interrupted_run_leaves_marked_results(
    tmp_path: Path, number: signal.Signals, exit_status: int
) -> None:
    process = start(long_run(tmp_path))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == exit_status, stderr
    assert "Error: interrupted at 20" in stderr
    assert "Traceback" not in stderr
    assert "interrupted" in stdout
    datafile = tmp_path / "results"
    assert status_in(datafile) == "interrupted"
    db = sqlite3.connect(datafile)
    (leases,) = db.execute("SELECT count(*) FROM leases").fetchone()
    db.close()
    assert 0 < leases < 40_000


def test_a_killed_run_leaves_no_results_under_their_name(tmp_path: Path) -> None:
    path = long_run(tmp_path)
    process = start(path)
    process.kill()
    process.communicate(timeout=60)
    assert not (tmp_path / "results").exists()


def test_a_killed_run_leaves_earlier_results_alone(tmp_path: Path) -> None:
    assert invoke(configuration(tmp_path)).exit_code == 0
    before = (tmp_path / "results").read_bytes()
    process = start(long_run(tmp_path))
    process.kill()
    process.communicate(timeout=60)
    assert (tmp_path / "results").read_bytes() == before


# --- other ways to run --------------------------------------------------------------------


def read_all(descriptor: int) -> str:
    """Return what is written to a terminal until its last user closes it."""
    text = b""
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # how a terminal's other side says that it is closed
            break
        if not piece:
            break
        text += piece
    return text.decode()


def on_a_terminal(arguments: Sequence[str | Path]) -> str:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=theirs
        )
        os.close(theirs)
        shown = read_all(ours)
        assert process.wait(timeout=60) == 0
        return shown
    finally:
        os.close(ours)


def test_a_terminal_shows_a_bar_that_is_gone_in_the_end(tmp_path: Path) -> None:
    path = configuration(tmp_path, 2000)
    shown = on_a_terminal([path, "--loglevel", "STATUS"])
    assert "leases" in shown
    assert "[#" in shown or "[." in shown
    before_the_log = shown[: shown.index("[2006-")].split("\r")
    assert "%" in before_the_log[-3]
    assert before_the_log[-2].strip() == ""
    assert before_the_log[-1] == ""


def test_no_bar_when_quiet(tmp_path: Path) -> None:
    assert on_a_terminal([configuration(tmp_path, 500), "--quiet"]) == ""


def test_the_results_depend_on_the_input_alone(tmp_path: Path) -> None:
    path = configuration(tmp_path, 300)
    written = []
    for seed in ("1", "2"):
        subprocess.run(
            [*COMMAND, "--quiet", str(path)],
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        written.append((tmp_path / "results").read_bytes())
    assert written[0] == written[1]
