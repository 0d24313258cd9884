"""Output of commands on a narrow terminal, and into a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_service import RealService, real_service

from haizea.cli.tables import width_of

HAIZEA = [Path(sys.executable).with_name("haizea")]
COLUMNS = 40
LABEL = "a label that is longer than forty places"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("service")) as running:
        for _ in range(3):
            done = running.run("request", "-d1h", "-n3", "-c4", "--label", LABEL)
            assert done.exit_code == 0, done.output
        yield running


def on_a_terminal(service: RealService, *words: str) -> str:
    """Return what is shown on a terminal of 40 columns without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, COLUMNS, 0, 0))
    environment = {**service.environment(), "NO_COLOR": "1"}
    environment.pop("COLUMNS", None)
    shown = b""
    with subprocess.Popen([*HAIZEA, *words], stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # nobody has the other end any more
            pass
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    "words",
    [["list"], ["queue"], ["hosts"], ["show", "1"], ["status"], ["token", "list", "--all"]],
    ids=" ".join,
)
def test_nothing_is_wider_than_a_narrow_terminal(service: RealService, words: list[str]) -> None:
    shown = on_a_terminal(service, *words)
    assert "Error" not in shown
    assert len(shown.splitlines()) > 4
    assert [line for line in shown.splitlines() if width_of(line) > COLUMNS] == []
    # Texts are cut or broken there, and whole where nobody says how wide it may be.
    done = subprocess.run(
        [*HAIZEA, *words], env=service.environment(), capture_output=True, text=True, check=True
    )
    assert "…" not in done.stdout
    if words[0] in {"list", "show"}:
        assert LABEL in done.stdout
        assert LABEL not in shown
