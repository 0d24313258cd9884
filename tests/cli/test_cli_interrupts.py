"""Ctrl-C at any moment, from the first import on, ends a command without a traceback."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from haizea.cli.errors import explained

SCRIPTS = Path(sys.executable).parent

LEASES = """\
<lease-workload name="one"><lease-requests>
<lease-request arrival="00:00:00"><lease preemptible="true">
<nodes><node-set numnodes="1"><res type="CPU" amount="100"/></node-set></nodes>
<start/><duration time="00:10:00"/>
</lease></lease-request>
</lease-requests></lease-workload>
"""

#: A console script that gets SIGINT as it imports the so-manieth module since it began.
INTERRUPTED = """
import os, signal, sys

def look(event, details):
    global left
    if event != "import" or left < 0 or (left == first and not details[0].startswith("haizea")):
        return
    left -= 1
    if left < 0:
        os.write(1, b"interrupted now\\n")
        signal.raise_signal(signal.SIGINT)

first = left = int(sys.argv[1])
ignored, place, function = sys.argv[2:5]
sys.argv[:5] = ["haizea"]
if ignored == "yes":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
script = getattr(__import__(place, fromlist=[function]), function)
sys.addaudithook(look)
script()
"""

Arguments = list[str]
ALL = ["haizea.cli.main", "main"]
COMMANDS: dict[str, Arguments] = {
    "help": [*ALL, "--help"],
    "list": [*ALL, "list", "--server", "127.0.0.1:1"],
    "run": [*ALL, "run", "one.conf"],
    "-c": [*ALL, "-c", "one.conf"],
    "list-leases": ["haizea.cli.legacy", "list_leases", "--server", "127.0.0.1:1"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with something to simulate."""
    (tmp_path / "one.lwf").write_text(LEASES)
    (tmp_path / "one.conf").write_text(
        "[simulation]\nresources: 4 CPU:100 Memory:1024\n[tracefile]\ntracefile: one.lwf\n"
    )
    return tmp_path


def interrupted_at(
    number: int, command: Arguments, folder: Path, ignored: str = "no"
) -> subprocess.CompletedProcess[str]:
    """Return what became of a command that was interrupted at this import."""
    words = [sys.executable, "-c", INTERRUPTED, str(number), ignored, *command]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=folder, timeout=120
    )


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("number", [0, 1, 2, 8, 20, 60, 120, 180, 240, 400])
def test_an_interrupt_amid_imports_ends_it_quietly(
    number: int, command: Arguments, folder: Path
) -> None:
    done = interrupted_at(number, command, folder)
    if "interrupted now" in done.stdout:
        assert done.returncode == 130, done.stderr
        assert done.stderr.split() in ([], ["interrupted"])
    else:
        assert number > 20, "hardly anything is imported before Ctrl-C is seen to"
        assert done.returncode != 130, done.stderr


def test_an_interrupt_that_python_wraps_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """3.11 does so while it makes a class with fields, as many modules do."""
    with pytest.raises(click.exceptions.Exit) as ended, explained():
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("number", [0, 8, 20])
def test_who_has_interrupts_ignored_is_not_interrupted(number: int, folder: Path) -> None:
    """Start with the signals that a shell sets for what it starts behind an &."""
    done = interrupted_at(number, COMMANDS["help"], folder, ignored="yes")
    assert done.returncode == 0, done.stderr
    assert "interrupted now" in done.stdout
    assert "Commands:" in done.stdout


#: Frames of what is imported once Ctrl-C is seen to. Before that, while main is imported (by
#: legacy, for the old names), Python itself tells of it.
GUARDED = re.compile(r'File "[^"]*/haizea/cli/(?!__init__|main|legacy)\w+\.py"')


@pytest.mark.parametrize(
    "words", [["haizea", "--help"], ["haizea", "run", "one.conf"], ["haizea-list-leases", "-h"]]
)
def test_an_interrupt_early_on_shows_no_traceback_of_haizea(words: Arguments, folder: Path) -> None:
    for milliseconds in range(0, 300, 15):
        with subprocess.Popen(
            [SCRIPTS / words[0], *words[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        ) as process:
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=120)
        assert GUARDED.search(told) is None, told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("request", "-d", "1h", "-n", "1"), "the lease may have been taken. To ask again"),
        (("change", "17", "--extend", "1h"), "it may have been changed; see 'haizea show 17'"),
        (("maintenance", "add", "host-1"), "it may have been planned; see"),
        (("maintenance", "change", "3", "--until", "never"), "it may have been changed; see"),
        (("maintenance", "end", "3"), "maintenance 3 may be over; see 'haizea maintenance list'"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_an_interrupt_before_the_answer_says_what_may_be_done(
    words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("hz_any\n")
    token.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        access = ["--server", url, "--token-file", str(token), "--output", "json"]
        command = [str(SCRIPTS / "haizea"), *words, *access]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(30)
                assert b"HTTP/1.1" in connection.recv(65536)
                process.send_signal(signal.SIGINT)
                assert process.stderr is not None, "it is a pipe"
                assert f"interrupted: {told}" in process.stderr.read()
            assert process.wait(60) == 130
