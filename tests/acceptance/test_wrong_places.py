"""A service whose files cannot be where the configuration has them, by the real command.

Each time there is one message, which names the configuration, the place and what to do.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

HAIZEA = Path(sys.executable).with_name("haizea")

CONFIGURATION = """\
[general]
mode: simulated
persistence-file: leases.db
[simulation]
clock: real
resources: 4 CPU:100 Memory:1024
[service]
listen: 127.0.0.1:0
state-directory: state
[world]
file: world.db
"""


def start(place: Path, *changes: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Start a service whose configuration differs in this, detached."""
    text = CONFIGURATION
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (place / "service.conf").write_text(text, encoding="utf-8")
    return haizea(place)


def haizea(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HAIZEA, "-c", "service.conf", *arguments],
        cwd=place,
        env={"PATH": os.defpath, "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("state-directory: state", "state-directory: file/state", "Set state-directory"),
        ("mode: simulated", "mode: simulated\nlogfile: file/log", "logfile in [general]"),
        ("file: world.db", "file: .", "Set file in [world]"),
        ("[service]\n", "[service]\ntls-certificate: none.pem\n", "No such file"),
        ("[service]\n", "[service]\ntls-certificate: file\n", "not what it should be (in PEM)"),
        ("listen: 127.0.0.1:0", "listen: 0.0.0.0:0", "[service] listen: other machines"),
    ],
)
def test_one_message_says_what_is_wrong_where(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    (tmp_path / "file").write_text("no folder, and no certificate")
    done = start(tmp_path, (old, new))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: service.conf:")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert "[Errno" not in done.stderr
    assert not (tmp_path / "state/haizea.pid").exists()


def test_all_that_a_service_writes_is_its_users_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = start(tmp_path, ("mode: simulated", "mode: simulated\nlogfile: haizea.log"))
    assert done.returncode == 0, done.stderr
    try:
        files = [path for path in tmp_path.rglob("*") if path.name != "service.conf"]
        open_to_others = [
            str(path.relative_to(tmp_path))
            for path in files
            if path.is_file()
            and stat.S_IMODE(path.stat().st_mode) & 0o077
            # The number of a process is no secret, and its folder is closed.
            and path.name != "haizea.pid"
        ]
        assert {"haizea.log", "leases.db", "world.db", "token"} <= {path.name for path in files}
        assert open_to_others == []
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    finally:
        assert haizea(tmp_path, "--stop").returncode == 0
