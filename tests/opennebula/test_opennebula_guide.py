"""The guide to OpenNebula is true: its first steps are taken with the sandbox that it tells of."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

import pytest
from console_docs import ROOT, environment, run_examples

from haizea.config import load
from haizea.config.words import Mode

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.waits]

PAGE = (ROOT / "docs/opennebula.md").read_text(encoding="utf-8")
UNITS = sorted((ROOT / "etc").glob("*.service"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


@contextmanager
def running_sandbox(directory: Path, *arguments: str) -> Iterator[list[str]]:
    """``haizea opennebula sandbox`` in a directory, on free ports; the lines that it prints."""
    given = environment(directory) | {
        "HAIZEA_SANDBOX_PORT": "0",
        "HAIZEA_SANDBOX_EVENTS_PORT": "0",
        "HAIZEA_SANDBOX_SERVICE_PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
    }
    lines: list[str] = []
    with subprocess.Popen(
        ["haizea", "opennebula", "sandbox", *arguments],
        cwd=directory,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        stopping = threading.Timer(300, process.kill)
        stopping.start()
        try:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if "Ctrl-C" in line:
                    break
            assert lines[-1:] == ["Ctrl-C ends the sandbox."], lines
            yield lines
        finally:
            stopping.cancel()
            process.send_signal(signal.SIGINT)
            lines += process.stdout.read().splitlines()
            code = process.wait(timeout=60)
    assert (code, lines[-1]) == (0, "The sandbox has ended.")


def test_the_first_steps(tmp_path: Path) -> None:
    [command] = re.findall("^haizea opennebula sandbox .*$", PAGE, re.MULTILINE)
    with running_sandbox(tmp_path, *shlex.split(command)[3:]) as lines:
        assert lines[0] == "OpenNebula 6.10.5, a sandbox with 1 host"
        files = tmp_path / "haizea-sandbox"
        wrong = run_examples(PAGE, tmp_path, {"BASH_ENV": str(files / "environment")})
        assert not wrong, "\nopennebula.md:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("version", "more"), [("1.4", ()), ("6.10", ("--no-events",)), ("7.4", ("--hold",))]
)
def test_the_sandbox_writes_what_a_check_finds_right(
    tmp_path: Path, version: str, more: tuple[str, ...]
) -> None:
    with running_sandbox(tmp_path, "--version", version, *more):
        files = tmp_path / "haizea-sandbox"
        for path in files.iterdir():
            assert path.stat().st_mode & 0o077 == 0, path
        done = subprocess.run(
            ["haizea", "opennebula", "check", "-c", "haizea-sandbox/haizea.conf"],
            cwd=tmp_path,
            env=environment(tmp_path) | {"ONE_AUTH": str(files / "one_auth")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        verdicts = {line.split(":")[0].split(maxsplit=1)[1]: line for line in _verdicts(done)}
        assert done.returncode == 0, done.stdout + done.stderr
        assert all(line.startswith("right") for what, line in verdicts.items() if what != "events")
        # What was changed by hand stays, what was not is written again.
        (files / "haizea.conf").write_text("[general]\n", encoding="utf-8")
    with running_sandbox(tmp_path, "--version", version, *more) as lines:
        assert any("stays as it is" in line for line in lines)
        assert (files / "haizea.conf").read_text(encoding="utf-8") == "[general]\n"


def _verdicts(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if not line.startswith(" ")]


def test_a_cloud_that_is_kept_goes_on(tmp_path: Path) -> None:
    def call(*arguments: str) -> str:
        files = tmp_path / "haizea-sandbox"
        done = subprocess.run(
            ["bash", "-c", f"haizea opennebula {shlex.join(arguments)}"],
            env=environment(tmp_path) | {"BASH_ENV": str(files / "environment")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    with running_sandbox(tmp_path, "--keep"):
        assert call("submit", "--name", "kept", "--group", "g", "-n", "2") == "VM 0\nVM 1\n"
        assert call("submit", "--one-auth", "haizea-sandbox/alice_auth") == "VM 2\n"
    with running_sandbox(tmp_path, "--keep"):
        rows = call("vms").splitlines()
        assert [row.split()[:3] for row in rows[1:]] == [
            ["0", "kept-1", "oneadmin"],
            ["1", "kept-2", "oneadmin"],
            ["2", "one-2", "alice"],
        ]
    with running_sandbox(tmp_path):
        assert call("vms") == "There are no VMs.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sandbox", "--version", "8.0"], "write 1.4, 6.10, 7.4"),
        (["sandbox", "--users", "alice,o ne"], "cannot be the name of a user"),
        (["sandbox", "--pace", "0"], "--pace must be above 0"),
        (
            ["submit", "--start", "tomorrow"],
            "HAIZEA start 'tomorrow': at what time? Write",
        ),
        (["submit", "--duration", "00:00:00"], "is too short"),
        (["submit", "--deadline", "+5h"], "HAIZEA deadline is without a duration"),
        (["submit", "--after", "+1h", "--duration", "1h"], "deadline"),
        (["submit", "nowhere.template"], "nowhere.template"),
        (["vms"], "ONE_AUTH"),
        (["sandboxx"], "Did you mean 'sandbox'?"),
        (["install-driver", "x y/a b"], "the placer's name"),
    ],
)
def test_wrong_use(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run(
        ["haizea", "opennebula", *arguments],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_it_has_written_into_the_configuration_has_its_directory() -> None:
    install = PAGE.partition("\n## Install\n")[2].partition("\n## ")[0]
    named = re.findall("`(?:state-directory|persistence-file): ([^`]+)`", install)
    [commands] = re.findall("```sh\n(python3 -m venv.*?)```", install, re.DOTALL)
    made = {line.split()[-1] for line in commands.splitlines() if line.startswith("install -d ")}
    assert len(named) == 2
    assert {str(Path(name).parent) if Path(name).suffix else name for name in named} <= made
    assert "-o oneadmin " in commands


# --- the files that come with it ----------------------------------------------------------


def test_the_sample_configuration_has_every_option() -> None:
    path = ROOT / "etc/sample_opennebula.conf"
    config = load(path)
    assert config.general.mode is Mode.OPENNEBULA
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([a-z-]+):", text, re.MULTILINE))
    options = {name for section, name, _ in config.rows() if section == "opennebula"}
    assert options <= named
    # What is commented out is right as well, but for the files that it names.
    known = {name for _, name, _ in config.rows()}
    assert named <= known, named - known


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_units(unit: Path, tmp_path: Path) -> None:
    read = ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    text = unit.read_text(encoding="utf-8")
    read.read_string(text)
    service = read["Service"]
    assert service["ExecStart"].endswith("-c /etc/haizea.conf --fg")
    for name, value in {
        "Type": "notify",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
        "MemoryDenyWriteExecute": "yes",
        "StateDirectory": "haizea",
        "Restart": "on-failure",
    }.items():
        assert service[name] == value
    if "opennebula" in unit.name:
        assert service["User"] == "oneadmin"
        assert "opennebula.service" in read["Unit"]["After"].split()
        assert read["Unit"]["Conflicts"] == "opennebula-scheduler.service"
    verify = shutil.which("systemd-analyze")
    if verify is None:
        return
    here = Path(sys.executable).parent / "haizea"
    installed = tmp_path / unit.name
    installed.write_text(text.replace("/opt/haizea/bin/haizea", str(here)), encoding="utf-8")
    done = subprocess.run(
        [verify, "verify", "--man=no", installed],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    own = [line for line in done.stderr.splitlines() if unit.name in line]
    assert not own, done.stderr
