"""Output that cannot be written, to the real command: told in one message, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
HAIZEA = Path(sys.executable).with_name("haizea")
FULL = Path("/dev/full")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the samples, as a clone has them."""
    for folder in ("etc", "traces"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def shell(place: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A line of shell in ``place``, where ``haizea`` is the command."""
    path = f"{HAIZEA.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env={"PATH": path, "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(not FULL.is_char_device(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "command",
    [
        "haizea --help",
        "haizea -c etc/sample.conf 2>errors",
        "haizea generate-workload --jobs 3 --hosts 4 -",
        "haizea convert-data -t reservations haizea-sample.results",
        "haizea sample-config",
    ],
)
def test_where_the_disk_is_full_the_output_is_not_taken_for_written(
    place: Path, command: str
) -> None:
    assert shell(place, "haizea -c etc/sample.conf").returncode == 0
    done = shell(place, f"{command} >/dev/full")
    errors = done.stderr or (place / "errors").read_text(encoding="utf-8")
    assert done.returncode == 1, errors
    assert errors.splitlines()[-1:] == [
        "Error: standard output cannot be written: no space left on device"
    ]
    assert "Exception ignored" not in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("haizea -c etc/sample.conf", 0),
        ("haizea summary haizea-sample.results", 0),
        ("haizea list --server 127.0.0.1:1", 1),
        ("haizea nonsense", 2),
    ],
)
def test_closed_streams_change_nothing(place: Path, command: str, status: int, closed: str) -> None:
    assert shell(place, "haizea -c etc/sample.conf").returncode == 0
    before = (place / "haizea-sample.results").read_bytes()
    done = shell(place, f"{command} {closed}")
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert (place / "haizea-sample.results").read_bytes() == before


def test_a_pipe_stays_one_and_is_written_to(place: Path) -> None:
    made = shell(place, "haizea generate-workload --jobs 3 --hosts 4 -")
    done = shell(
        place,
        "mkfifo pipe; cat pipe >through &"
        " haizea generate-workload --jobs 3 --hosts 4 pipe; status=$?; wait; exit $status",
    )
    assert done.returncode == 0, done.stderr
    assert (place / "pipe").is_fifo()
    assert (place / "through").read_text(encoding="utf-8") == made.stdout
