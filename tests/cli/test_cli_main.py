"""The ``haizea`` command: help, old spellings, errors and exit status."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from haizea import __version__
from haizea.accounting.errors import ResultsError
from haizea.cli import legacy
from haizea.cli.commands import COMMANDS, cli, load_command
from haizea.cli.errors import explained
from haizea.cli.main import main
from haizea.config import ConfigError, Problem
from haizea.plugins import PluginError
from haizea.workloads.errors import WorkloadError

ROOT = Path(__file__).parent.parent.parent
LEAST = "[simulation]\nresources: 4 CPU:100 Memory:1024\n[tracefile]\ntracefile: a.lwf\n"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "my.conf"
    path.write_text(LEAST)
    return path


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """A console script that is over is not interrupted any more; the tests are."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def script(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """The exit status of the console script ``haizea`` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["haizea", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_the_commands(flag: str) -> None:
    result = CliRunner().invoke(cli, [flag])
    assert result.exit_code == 0
    for name, place in COMMANDS.items():
        assert name in result.output
        assert place.summary in " ".join(result.output.split())


def test_without_anything_there_is_help_and_it_is_wrong_use() -> None:
    result = CliRunner().invoke(cli, [])
    assert (result.exit_code, result.output.startswith("Usage: haizea")) == (2, False)
    assert "Commands:" in result.output


def test_version() -> None:
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, f"haizea, version {__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(name: str, flag: str) -> None:
    result = CliRunner().invoke(cli, [name, flag])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: cli {name}")


def test_every_command_is_called_what_the_table_says() -> None:
    for name in COMMANDS:
        assert load_command(name).name == name


def test_help_does_not_import_what_it_does_not_need() -> None:
    code = (
        "import sys; from haizea.cli.commands import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "print([m for m in sys.modules if m.startswith('haizea.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "haizea.config" not in done.stderr
    assert "haizea.core" not in done.stderr


def test_a_service_is_stopped_without_what_it_is_made_of(tmp_path: Path) -> None:
    """Stopping one used to import all of it, which takes longer than it takes to end."""
    conf = tmp_path / "service.conf"
    conf.write_text(f"[service]\nstate-directory: {tmp_path}\n")
    code = (
        "import sys; from haizea.cli.commands import cli\n"
        "try: cli(['-c', sys.argv[1], '--stop'], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "print(*sys.modules)"
    )
    args = [sys.executable, "-c", code, str(conf)]
    done = subprocess.run(args, capture_output=True, text=True)
    assert "there is nothing to stop" in done.stderr
    imported = set(done.stdout.split())
    assert "haizea.service.stopping" in imported
    assert not imported & {"haizea.service.daemon", "haizea.runtime", "fastapi", "sqlalchemy"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["sample-confg"], "there is no command 'sample-confg'. Did you mean 'sample-config'?"),
        (["zzz"], "there is no command 'zzz'. 'haizea --help' lists them all."),
        (["--stop"], "--fg, --stop and --new-store need a configuration: add -c FILE."),
        (["--fg"], "--fg, --stop and --new-store need a configuration: add -c FILE."),
        (
            ["-c", "x.conf", "sample-config"],
            "-c, --fg, --stop and --new-store go without a command.",
        ),
        (["-c"], "requires an argument"),
        (["--zzz"], "No such option"),
    ],
)
def test_wrong_use(args: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout


def test_there_is_no_daemon_to_stop(conf: Path) -> None:
    with conf.open("a") as file:
        file.write(f"[service]\nstate-directory: {conf.parent / 'state'}\n")
    result = CliRunner().invoke(cli, ["-c", str(conf), "--stop"])
    assert result.exit_code == 1
    assert result.stderr == f"Error: no service of {conf} runs: there is nothing to stop\n"


def test_a_configuration_that_is_wrong(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf.write_text("[general]\nmode: x\nlogfil: y\n")
    result = CliRunner().invoke(cli, ["-c", str(conf), "--stop"])
    assert result.exit_code == 2
    assert f"{conf}:2: [general] mode: 'x' is not one of" in result.stderr
    assert f"{conf}:3: [general] logfil: there is no such option" in result.stderr


@pytest.mark.parametrize("args", [["-c", "none.conf"], ["-c", "none.conf", "--stop"]])
def test_a_configuration_that_is_not_there(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 2
    assert "none.conf" in result.stderr
    assert "no such file" in result.stderr.lower()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConfigError(Path("a.conf"), [Problem("is bad", "general", "mode", 3)]), "a.conf:3"),
        (PluginError("no such policy"), "no such policy"),
        (WorkloadError("a.lwf", 7, "<res>", "is bad"), "a.lwf, line 7, <res>: is bad"),
        (ResultsError("a.results is bad"), "a.results is bad"),
        (FileNotFoundError(2, "No such file or directory", "a"), "a: no such file or directory"),
        (PermissionError(13, "Permission denied", "a"), "a: permission denied"),
        (OSError("odd"), "odd"),
    ],
)
def test_errors_of_users_are_one_message_and_status_2(error: Exception, message: str) -> None:
    with pytest.raises(click.ClickException) as caught, explained():
        raise error
    assert caught.value.exit_code == 2
    assert message in caught.value.format_message()


def test_bugs_are_not_hidden() -> None:
    with pytest.raises(AssertionError), explained():
        raise AssertionError("a bug")


def test_the_console_script_tells_the_exit_status(
    conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script(monkeypatch, "sample-config") == 0
    assert script(monkeypatch, "-c", str(conf), "--stop") == 1
    assert script(monkeypatch, "--zzz") == 2
    assert script(monkeypatch, "generate-configs", "-c", "none.conf", "-d", "x") == 2
    assert "Error: none.conf: no such file or directory\n" in capsys.readouterr().err


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("sample-config")
    def command() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("haizea.cli.config_commands.sample_config", command)


@pytest.mark.usefixtures("interrupted")
def test_an_interrupt_is_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script(monkeypatch, "sample-config") == 130
    assert capsys.readouterr().err.split() == ["interrupted"]


def test_a_broken_pipe_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "from haizea.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "sample-config"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""


def test_old_names_are_commands_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for function in ("convert_data", "csv2lwf", "generate_configs", "generate_scripts", "lwf2xml"):
        name = f"haizea-{function.replace('_', '-')}"
        monkeypatch.setattr(sys, "argv", [name, "-h"])
        with pytest.raises(SystemExit) as ended:
            getattr(legacy, function)()
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"Usage: {name} ")


def test_every_console_script_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for target in project["scripts"].values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_completion_offers_commands_and_options() -> None:
    def offered(words: str) -> str:
        environment = {
            **os.environ,
            "_HAIZEA_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        code = "from haizea.cli.main import main; main()"
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment
        ).stdout

    assert offered("haizea gen").split() == [
        "plain,generate-configs",
        "plain,generate-scripts",
        "plain,generate-workload",
    ]
    assert "plain,--only-missing" in offered("haizea generate-scripts --only")
