"""Leases at the edges of what can be asked for: of nothing, and beyond the year 9999."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haizea.cli.commands import cli

CONFIG = """\
[general]
loglevel: VDEBUG
[scheduling]
backfilling: aggressive
[simulation]
resources: 1 CPU:100 Memory:1024
[tracefile]
tracefile: {folder}/leases.yaml
[accounting]
datafile: {folder}/out
"""


def haizea(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def run(folder: Path, leases: str) -> Result:
    (folder / "leases.yaml").write_text(leases)
    (folder / "run.conf").write_text(CONFIG.format(folder=folder))
    return haizea("run", folder / "run.conf")


@pytest.mark.parametrize(
    "nodes", ["{CPU: 0, Memory: 0}", "{CPU: 0}", "[{CPU: 100}, {count: 2, Memory: 0}]"]
)
@pytest.mark.parametrize("start", ["best-effort", "now", "01:00:00"])
def test_a_lease_with_a_node_of_nothing_is_rejected(tmp_path: Path, nodes: str, start: str) -> None:
    done = run(tmp_path, f"- {{duration: 60, start: {start}, nodes: {nodes}}}\n- {LEASE}")
    assert done.exit_code == 0
    rows = haizea("convert-data", "-t", "per-lease", tmp_path / "out").stdout
    reason = "it has a node that asks for nothing: give each some CPU or memory"
    assert [reason in row for row in rows.splitlines()[1:]] == [True, False]
    checked = haizea("check-schedule", tmp_path / "out")
    assert (checked.exit_code, "no violation" in checked.stdout) == (0, True), checked.output


LEASE = "{duration: 60, nodes: {CPU: 10, Memory: 0}}"


def test_a_node_that_asks_for_some_of_one_type_is_one(tmp_path: Path) -> None:
    assert run(tmp_path, f"- {LEASE}").exit_code == 0
    assert "Done" in haizea("convert-data", "-t", "per-lease", tmp_path / "out").stdout


def test_a_run_that_ends_after_the_year_9999_is_told_like_any_other(tmp_path: Path) -> None:
    long = "{duration: 100000000000, nodes: {count: 1, CPU: 100, Memory: 1024}}"
    done = run(tmp_path, f"- {long}\n" * 3)
    assert done.exit_code == 0, done.output
    assert "2006-11-25 13:00:00 to 11513-07-" in done.stdout
    assert "is over (11513-07-" in done.stderr or "[11513-07-" in done.stderr
    out = tmp_path / "out"
    assert "to 11513-07-" in haizea("summary", out).stdout
    assert "no violation" in haizea("check-schedule", out).stdout
    assert "11513-" in haizea("gantt", out).stdout
    assert haizea("convert-data", "-t", "states", out).exit_code == 0
