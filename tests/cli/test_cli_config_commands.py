"""Commands about configurations: the sample, and studies of many runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haizea.cli.commands import cli
from haizea.config import load
from haizea.config.reference import sample_configuration

STUDY = """
[multi]
tracedir: my traces
tracefiles: a.lwf
injectiondir: my traces
injectionfiles: none x.lwf
basedatadir: out/data

[common:simulation]
resources: 4 CPU:100 Memory:1024

[fcfs:scheduling]
backfilling: off

[easy:scheduling]
backfilling: aggressive
"""

NAMES = ["fcfs_a", "fcfs_a_x", "easy_a", "easy_a_x"]


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my traces").mkdir()
    for name in ("a.lwf", "x.lwf"):
        (Path("my traces") / name).touch()
    Path("study.conf").write_text(STUDY)


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, args)


def generate() -> None:
    assert run("generate-configs", "-c", "study.conf", "-d", "my confs").exit_code == 0


def test_the_sample_is_printed() -> None:
    result = run("sample-config")
    assert (result.exit_code, result.output) == (0, sample_configuration())


def test_the_configurations_of_a_study_are_written() -> None:
    result = run("generate-configs", "--conf", "study.conf", "--dir", "my confs")
    assert (result.exit_code, result.output) == (0, "4 configurations written to my confs\n")
    assert sorted(p.name for p in Path("my confs").iterdir()) == sorted(
        f"{name}.conf" for name in NAMES
    )
    assert Path("out/data").is_dir()
    config = load("my confs/easy_a_x.conf")
    assert config.tracefile.injectionfile == Path("my traces/x.lwf")
    assert config.accounting.datafile == Path("out/data/easy_a_x.results")


def test_nothing_is_written_of_a_study_that_is_wrong() -> None:
    Path("study.conf").write_text(STUDY.replace("aggressive", "agressive"))
    result = run("generate-configs", "-c", "study.conf", "-d", "my confs")
    assert result.exit_code == 2
    assert "did you mean 'aggressive'?" in result.stderr
    assert not Path("my confs").exists()


def test_a_directory_that_cannot_be_made() -> None:
    Path("my confs").touch()
    result = run("generate-configs", "-c", "study.conf", "-d", "my confs")
    assert result.exit_code == 2
    assert result.stderr == "Error: my confs: file exists\n"


def stand_in() -> str:
    """A program in place of haizea, which notes what it is called with; x fails."""
    path = Path("stand-in").resolve()
    path.write_text(
        '#!/bin/sh\nprintf "%s|%s\\n" "$1" "$2" >> calls\ncase $2 in *x*) exit 1;; esac\n'
    )
    path.chmod(0o755)
    return str(path)


def test_the_script_runs_every_configuration_and_tells_of_failures() -> None:
    generate()
    result = run("generate-scripts", "-c", "study.conf", "-d", "my confs", "-o", "run all.sh")
    assert (result.exit_code, result.output) == (0, "run all.sh runs 4 configurations\n")
    Path("out/data").rmdir()
    done = subprocess.run(
        ["./run all.sh", "2"],
        env={"HAIZEA": stand_in(), "PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 123
    calls = Path("calls").read_text().splitlines()
    assert sorted(calls) == sorted(f"-c|my confs/{name}.conf" for name in NAMES)
    assert Path("out/data").is_dir()


def test_the_script_is_printed_without_a_file_to_write_it_to() -> None:
    generate()
    result = run("generate-scripts", "-c", "study.conf", "-d", "my confs", "--jobs", "3")
    assert result.output.startswith("#!/bin/sh\n")
    assert '-P "${1:-3}"' in result.output


def test_only_missing_leaves_out_what_has_results() -> None:
    generate()
    Path("out/data/easy_a.results").touch()
    result = run("generate-scripts", "-c", "study.conf", "-d", "my confs", "-m")
    assert "easy_a.conf" not in result.output
    assert "easy_a_x.conf" in result.output
    for name in NAMES:
        Path(f"out/data/{name}.results").touch()
    result = run("generate-scripts", "-c", "study.conf", "-d", "my confs", "-m", "-o", "run.sh")
    assert result.output == "run.sh runs 0 configurations\n"
    assert subprocess.run(["sh", "run.sh"], check=False).returncode == 0


def test_a_script_needs_the_configurations() -> None:
    result = run("generate-scripts", "-c", "study.conf", "-d", "my confs")
    assert result.exit_code == 2
    assert "run 'haizea generate-configs -c study.conf -d my confs' first." in result.stderr
