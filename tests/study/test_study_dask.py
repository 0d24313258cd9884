"""A study on a Dask cluster: the same bytes as on processes, whatever is killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies_at_work import SMALL, done, tables, with_trouble, write

pytestmark = pytest.mark.slow

#: Three runs with a file among what goes in.
TRACE = """\
fixed: {hosts: 8, trace: x.swf, suspend-rate: 50}
factors: {backfilling: [off, aggressive, conservative]}
keep-results: yes
"""


def test_the_same_bytes_as_on_processes_and_files_travel(tmp_path: Path) -> None:
    batch = Path(__file__).parents[2] / "traces/batch.swf"
    (tmp_path / "x.swf").write_bytes(batch.read_bytes())
    study = write(tmp_path, TRACE)
    assert done(tmp_path, "run", study, "-d", "one")[0] == 0
    status, out, err = done(tmp_path, "run", study, "-d", "two", "--dask", "local", "-j", "2")
    assert status == 0, err
    assert out.startswith("3 of 3 runs are finished, 3 of them made now")
    assert tables(tmp_path / "one") == tables(tmp_path / "two")
    assert len(list((tmp_path / "two").rglob("*.results"))) == 3


def test_kill_9_of_a_worker_and_a_run_that_fails(tmp_path: Path) -> None:
    with_trouble(tmp_path)
    text = SMALL.replace("all: {", "all: {policy-admission: trouble.Trouble, ")
    study = write(tmp_path, text)
    assert done(tmp_path, "run", write(tmp_path, SMALL, "plain.yaml"))[0] == 0
    status, _, err = done(tmp_path, "run", study, "--dask", "local", "-j", "2", FAIL="1")
    assert status == 1
    assert "Run 5 failed (profile all, load 0.5, seed 1): " in err
    assert "this policy never works" in err
    status, out, err = done(tmp_path, "run", study, "--dask", "local", "-j", "2")
    assert status == 0, err
    assert (tmp_path / "first").exists(), "a worker killed itself amid a run"
    assert "8 of 8 runs are finished, 4 of them made now" in out
    ours, plain = (tables(tmp_path / name) for name in ("small.study", "plain.study"))
    assert ours["leases.parquet"] == plain["leases.parquet"]


def test_a_scheduler_that_does_not_answer_is_told(tmp_path: Path) -> None:
    status, _, err = done(tmp_path, "run", write(tmp_path), "--dask", "nonsense://x")
    assert status == 2
    assert "--dask nonsense://x: the scheduler does not answer" in err
