"""``haizea convert-data`` and ``haizea summary``, from results files to text."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from streams import SITE, T, suspended_for_an_ar

from haizea.accounting.probes import make_probes
from haizea.accounting.results import ResultsFile
from haizea.accounting.schema import PER_LEASE_COLUMNS
from haizea.accounting.summary import duration, render, summarise
from haizea.cli.commands import cli
from haizea.core.model.hosts import Site
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.turn import Turn


def write(to: Path, labels: dict[str, str], probes: list[str], site: Site = SITE) -> ResultsFile:
    results = ResultsFile(to, site, (), labels, "hand-made", probes=make_probes(probes))
    if site is SITE:
        for now, decisions in suspended_for_an_ar():
            results.note(Turn(now, decisions))
    results.finish("complete", T + 200)
    return results


@pytest.fixture
def plain(tmp_path: Path) -> str:
    return str(write(tmp_path / "plain.db", {}, ["best-effort", "cpu-utilization"]).path)


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    labels = {"size": "small", "state": "of the art"}
    return str(write(tmp_path / "labelled.db", labels, ["ar"]).path)


def convert(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["convert-data", *arguments])


def table(*arguments: str) -> list[dict[str, str]]:
    result = convert(*arguments)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def refused(*arguments: str) -> str:
    result = convert(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr


def test_the_header_of_one_file_without_labels_is_as_documented(plain: str) -> None:
    lines = convert("-t", "per-lease", plain).stdout.splitlines()
    assert lines[0] == ",".join(PER_LEASE_COLUMNS) + (
        ",preemptible,owner,image,image_mb,code,after,deadline,fixed_hosts"
    )
    assert lines[1] == (
        "1,job 1,best-effort,Done,2,1000000,,100,1000020,1000190,20,1.9,1,0,0,"
        ",1,ada,,,duration-over,,,"
    )
    header = convert("-t", "reservations", plain).stdout.splitlines()[0]
    assert header == "lease,purpose,host,start,end,CPU,Memory"


def test_reservations_name_hosts(plain: str) -> None:
    first = table("-t", "reservations", plain)[0]
    assert (first["lease"], first["purpose"], first["host"]) == ("1", "run", "host-1")
    assert (first["start"], first["end"]) == (str(T + 20), str(T + 50))


def test_several_files_share_one_header_and_add_labels_and_names(plain: str, labelled: str) -> None:
    rows = table("-t", "per-lease", plain, labelled)
    assert list(rows[0])[: len(PER_LEASE_COLUMNS)] == PER_LEASE_COLUMNS
    assert list(rows[0])[-3:] == ["size", "label.state", "file"]
    assert [r["size"] for r in rows] == ["", "", "", "small", "small", "small"]
    assert [r["file"] for r in rows] == [plain] * 3 + [labelled] * 3
    assert rows[3]["state"] == "Done"
    assert rows[3]["label.state"] == "of the art"


def test_runs_become_a_row_each(plain: str, labelled: str) -> None:
    rows = table("-t", "per-run", plain, labelled)
    assert [r["completed-best-effort"] for r in rows] == ["1", "1"]
    assert [r["started"] for r in rows] == [str(T), str(T)]
    # The probe that reports it was on in the first run only.
    assert [r["queue-size-max"] for r in rows] == ["1", ""]


def test_sites_with_different_resource_types(plain: str, tmp_path: Path) -> None:
    site = Site.uniform(ResourceTypes(("CPU", "GPU")), 1, (100, 1))
    other = write(tmp_path / "other.db", {}, [], site).path
    header = list(table("-t", "reservations", plain, str(other))[0])
    assert header == ["lease", "purpose", "host", "start", "end", "CPU", "Memory", "GPU", "file"]


@pytest.mark.parametrize("name", ["Queue size", "queue-size", "QUEUE_SIZE"])
def test_a_counter_by_name(plain: str, name: str) -> None:
    rows = table("-t", "counter", "-c", name, plain)
    assert [(int(r["time"]) - T, r["value"]) for r in rows] == [
        (0, "0"),
        (0, "1"),
        (20, "0"),
        (60, "1"),
        (110, "0"),
    ]
    assert rows[0]["counter"] == "Queue size"


def test_all_counters_and_their_names(plain: str, labelled: str) -> None:
    names = convert("-l", plain, labelled).stdout.splitlines()
    assert "Accepted AR leases" in names
    assert names == sorted(names)
    found = {r["counter"] for r in table("-t", "counter", plain)}
    assert found == set(convert("-l", plain).stdout.splitlines())
    assert json.loads(convert("-l", "--output", "json", plain).stdout) == sorted(found)


def test_json_has_the_same_as_csv(plain: str) -> None:
    for what in ("per-lease", "per-run", "counter", "reservations", "states", "changes"):
        objects = json.loads(convert("-t", what, "--output", "json", plain).stdout)
        text = [{k: "" if v is None else str(v) for k, v in found.items()} for found in objects]
        assert text == table("-t", what, plain)


def test_output_to_a_file(plain: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("older")
    assert convert("-t", "per-lease", "-o", str(out), plain).stdout == ""
    assert out.read_text() == convert("-t", "per-lease", plain).stdout
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "plain.db"]
    assert "one of the results files" in refused("-t", "per-lease", "-o", plain, plain)
    missing = str(tmp_path / "none" / "out.csv")
    assert "cannot be written" in refused("-t", "per-lease", "-o", missing, plain)


def test_wrong_files_are_named(plain: str, tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused("-t", "per-lease", str(tmp_path / "none"))
    assert "cannot be read" in refused("-t", "per-lease", str(tmp_path))
    text = tmp_path / "text"
    text.write_text("no database at all, however long this text may be" * 40)
    assert f"{text}: this is not a results file" in refused("-t", "per-lease", plain, str(text))
    empty = tmp_path / "empty"
    empty.touch()
    assert "not a results file" in refused("-t", "per-lease", str(empty))
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (a)")
    db.commit()
    db.close()
    assert "not a results file" in refused("-t", "per-lease", str(other))


def test_a_damaged_file_is_told(plain: str, tmp_path: Path) -> None:
    whole = Path(plain).read_bytes()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert "damaged" in refused("-t", "per-lease", str(damaged))


def test_a_newer_file_is_refused(plain: str) -> None:
    db = sqlite3.connect(plain)
    db.execute("UPDATE run SET value = '99' WHERE key = 'schema_version'")
    db.commit()
    db.close()
    assert "newer than this one (file version 99" in refused("-t", "per-lease", plain)


def test_a_counter_that_is_not_there(plain: str, tmp_path: Path) -> None:
    assert "Did you mean 'Queue size'?" in refused("-t", "counter", "-c", "quue", plain)
    bare = write(tmp_path / "bare.db", {}, []).path
    assert "the run had no probes" in refused("-t", "counter", "-c", "queue-size", str(bare))


def test_wrong_use(plain: str) -> None:
    assert "Say what to print" in refused(plain)
    assert "-c goes with -t counter" in refused("-t", "per-lease", "-c", "x", plain)
    assert "per-lease" in refused("-t", "nothing", plain)
    assert "FILE" in refused("-t", "per-lease")


def test_the_summary_says_the_same_as_the_figures(tmp_path: Path) -> None:
    results = write(tmp_path / "r.db", {"size": "small"}, [])
    found = summarise(results)
    assert found == summarise(str(results.path))
    assert found.waiting_time is not None
    assert found.waiting_time.mean == 20
    assert found.all_best_effort_seconds == 190
    assert found.cpu_utilization == pytest.approx(0.55)
    assert render(found) == (
        "hand-made: complete\n"
        "1970-01-12 13:46:40 to 1970-01-12 13:50:00 (00:03:20)\n"
        "size=small\n"
        "\n"
        "Leases       accepted  rejected  completed  cancelled  failed  unfinished\n"
        "AR                  1         0          1          0       0           0\n"
        "best-effort         1         1          1          0       0           0\n"
        "\n"
        "Best-effort       mean    median      95 %      most\n"
        "waiting time  00:00:20  00:00:20  00:00:20  00:00:20\n"
        "slowdown          1.90      1.90      1.90      1.90\n"
        "all done after 00:03:10\n"
        "\n"
        "CPU utilization 55.00% (run 50.00%, suspend 2.50%, resume 2.50%)\n"
        "Suspensions 1, migrations 0, restarts 0\n"
    )


def test_the_summary_command(plain: str, tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["summary", plain]).stdout == render(summarise(plain))
    as_json = json.loads(runner.invoke(cli, ["summary", "--output", "json", plain]).stdout)
    assert as_json[0]["file"] == plain
    assert as_json[0]["waiting_time"]["mean"] == 20
    assert as_json[0]["outcomes"][0]["kind"] == "ar"
    wrong = runner.invoke(cli, ["summary", str(tmp_path)])
    assert wrong.exit_code == 2


def test_an_empty_run_has_a_summary(tmp_path: Path) -> None:
    results = ResultsFile(tmp_path / "r.db", SITE)
    results.finish("interrupted", T)
    text = render(summarise(results))
    assert text.startswith("Run: interrupted\n")
    assert "No leases" in text


def test_durations_for_people() -> None:
    assert [duration(s) for s in (0, 59.6, 86399, 90061)] == [
        "00:00:00",
        "00:01:00",
        "23:59:59",
        "1 d 01:01:01",
    ]
