"""The placer for OpenNebula 7: run as its driver runs it, with requests that it really got."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from shared_data import shared

from haizea.backends.opennebula.site.placer import (
    PlacerError,
    WakeUps,
    install_placer,
    lines_for_oned,
)

EMPTY = "<PLAN><ID>-1</ID></PLAN>\n"
RECORDED = [
    *(f"place-request-{number}" for number in range(1, 15)),
    "place-request-of-rank",
    "optimize-request",
]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short path: a socket's name has to be."""
    with TemporaryDirectory(prefix="hz-") as directory:
        yield Path(directory)


@contextmanager
def woken(path: Path) -> Iterator[threading.Semaphore]:
    """Counts how often it is woken."""
    count = threading.Semaphore(0)
    wakeups = WakeUps(path, count.release)
    try:
        yield count
    finally:
        wakeups.close()


def run(program: Path, request: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program, *arguments],
        input=request,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )


@pytest.mark.parametrize("recorded", RECORDED)
def test_it_answers_an_empty_plan_and_wakes_haizea(recorded: str, short: Path) -> None:
    content = shared(f"opennebula/7.4-driver/{recorded}.xml").read_bytes()
    request = base64.b64encode(content) + b"\n"
    install_placer(short / "haizea", short / "wake")
    with woken(short / "wake") as count:
        if "optimize" in recorded:
            done = run(short / "haizea/optimize", request, "0")
            assert done.stdout.decode() == "<PLAN><ID>0</ID></PLAN>\n"
        else:
            done = run(short / "haizea/place", request)
            assert done.stdout.decode() == EMPTY
        assert (done.returncode, done.stderr) == (0, b"")
        assert count.acquire(timeout=20)


@pytest.mark.parametrize(
    "request_", [b"", b"\n", b"no base64 \xff\x00\n", b"x" * 3_000_000, b"x" * 3_000_000 + b"\n"]
)
def test_it_fails_never(request_: bytes, short: Path) -> None:
    """Haizea does not run, and what comes in is no request."""
    install_placer(short / "haizea", short / "wake")
    for program, arguments in (("place", ()), ("optimize", ("; rm x",))):
        done = run(short / "haizea" / program, request_, *arguments)
        assert (done.returncode, done.stdout.decode(), done.stderr) == (0, EMPTY, b"")
    (short / "wake").write_text("no socket", encoding="utf-8")
    assert run(short / "haizea/place", request_).stdout.decode() == EMPTY


def test_it_does_not_wait_where_nobody_takes_what_it_sends(short: Path) -> None:
    install_placer(short / "haizea", short / "wake")
    hold = threading.Event()
    entered = threading.Event()

    def slow() -> None:
        entered.set()
        hold.wait()

    wakeups = WakeUps(short / "wake", slow)
    try:
        for _ in range(15):
            assert run(short / "haizea/place", b"x\n").stdout.decode() == EMPTY
        assert entered.wait(20)
    finally:
        hold.set()
        wakeups.close()


def test_it_does_not_wait_for_the_end_of_its_input(short: Path) -> None:
    """The driver may keep the pipe open."""
    install_placer(short / "haizea", short / "wake")
    with subprocess.Popen(
        [short / "haizea/place"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"abc\n")
        process.stdin.flush()
        assert process.stdout.read().decode() == EMPTY
        assert process.wait(timeout=20) == 0


def test_the_socket_is_its_users_alone_and_goes_away(short: Path) -> None:
    path = short / "wake"
    with woken(path):
        mode = path.lstat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not path.exists()
    # One that was killed leaves its socket behind.
    first = WakeUps(path, lambda: None)
    with woken(path):
        pass
    first.close()


def test_what_is_not_ours_stays(short: Path) -> None:
    (short / "wake").write_text("mine", encoding="utf-8")
    with pytest.raises(PlacerError, match="wake"):
        WakeUps(short / "wake", lambda: None)
    assert (short / "wake").read_text(encoding="utf-8") == "mine"
    (short / "rank").mkdir()
    (short / "rank/optimize").write_text("#!/bin/sh\n", encoding="utf-8")
    with pytest.raises(PlacerError, match="not Haizea's: choose another"):
        install_placer(short / "rank", short / "wake")
    assert not (short / "rank/place").exists()
    # Its own are written again, for another socket for example.
    install_placer(short / "haizea", short / "wake")
    install_placer(short / "haizea", short / "other")
    assert f"'{short}/other'" in (short / "haizea/place").read_text(encoding="utf-8")
    assert sorted(path.name for path in (short / "haizea").iterdir()) == ["optimize", "place"]


def test_wrong_places(short: Path) -> None:
    with pytest.raises(PlacerError, match="too long for a socket"):
        install_placer(short / "haizea", Path("/" + "x" * 120))
    with pytest.raises(PlacerError, match="must begin with /"):
        install_placer(short / "haizea", Path("wake"))
    with pytest.raises(PlacerError, match="the placer's name"):
        install_placer(short / 'a" b', short / "wake")
    (short / "file").write_text("", encoding="utf-8")
    with pytest.raises(PlacerError, match="file"):
        install_placer(short / "file" / "haizea", short / "wake")


def test_the_lines_for_oned() -> None:
    assert '"-t 15 -p haizea -o haizea"' in lines_for_oned("haizea")
