"""A study at work: made once, whatever is killed; failures stop nobody; tables are the same."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from studies_at_work import SMALL, command, done, tables, with_trouble, write

import haizea.study
from haizea.study.directory import StudyDirectory, StudyError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the small study, made by the command."""
    directory = tmp_path_factory.mktemp("small")
    status, out, err = done(directory, "run", write(directory), "-j", "2")
    assert status == 0, err
    assert out.startswith("8 of 8 runs are finished, 8 of them made now")
    return directory / "small.study"


def test_a_table_has_a_row_for_each_run(small: Path) -> None:
    frames = haizea.study.load(small)
    first, *factors = repr(frames).splitlines()
    assert "8 runs" in first
    assert factors == [
        "  profile: none, all",
        "  load: 0.5, 0.9",
        "  seed: 1, 2",
    ]
    assert frames.factors == {"profile": ["none", "all"], "load": [0.5, 0.9], "seed": [1, 2]}
    assert list(frames.runs["run"]) == list(range(1, 9))
    assert set(frames.runs["status"]) == {"complete"}
    assert frames.runs["waiting-time-mean"].notna().all()
    leases = frames.leases(["kind", "state"])
    best_effort = leases[leases["kind"] == "best-effort"]
    assert len(best_effort) == 8 * 12
    by_run = best_effort[best_effort["state"] == "Done"].groupby("run").size()
    assert list(by_run) == list(frames.runs["completed-best-effort"])
    assert len(frames.levels()) == 8 * 240


def test_nothing_is_made_twice(small: Path) -> None:
    before = tables(small)
    status, out, _ = done(small.parent, "run", "small.yaml")
    assert (status, out.split(", in")[0]) == (0, "8 of 8 runs are finished, 0 of them made now")
    assert tables(small) == before


def test_a_larger_study_makes_only_what_it_adds(small: Path, tmp_path: Path) -> None:
    more = write(tmp_path, SMALL.replace("0.9]", "0.9, 1.2]"), "more.yaml")
    status, out, _ = done(tmp_path, "run", more, "-d", small, "--dry-run")
    assert status == 0
    assert out.startswith("12 runs, 12 of them different\n8 are finished, 4 are to be made\nAbout ")
    status, out, _ = done(tmp_path, "run", write(tmp_path), "--dry-run")
    assert out.endswith("How long and how large they are is known once one is finished\n")


def test_a_results_file_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    text = "fixed: {hosts: 2, jobs: 3}\nfactors: {load: [0.5]}\nkeep-results: yes\n"
    status, _, err = done(tmp_path, "run", write(tmp_path, text))
    assert status == 0, err
    [file] = (tmp_path / "small.study").rglob("*.results")
    assert file.read_bytes().startswith(b"SQLite format 3")


def test_kill_9_of_a_worker_changes_nothing(small: Path, tmp_path: Path) -> None:
    study = with_trouble(tmp_path)
    status, out, err = done(tmp_path, "run", study, "-j", "2")
    assert status == 0, err
    assert (tmp_path / "first").exists(), "a worker killed itself amid a run"
    assert out.startswith("8 of 8 runs are finished, 8 of them made now")
    assert tables(tmp_path / "trouble.study")["leases.parquet"] == tables(small)["leases.parquet"]


def test_kill_9_of_the_command_loses_no_finished_run(small: Path, tmp_path: Path) -> None:
    study = with_trouble(tmp_path)
    directory = tmp_path / "trouble.study"
    process = command(tmp_path, "run", study, "-j", "2", WAIT="1")
    # One worker waits in the middle of its run; the other makes all others.
    places: list[Path] = []
    while len(list(directory.glob("runs/*/*.json"))) < 7 or len(places) != 1:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
        places = list(directory.glob("working/place-*"))
    [waiting] = places
    process.kill()
    process.communicate()
    os.kill(int(waiting.name.partition("-")[2]), signal.SIGKILL)
    status, out, err = done(tmp_path, "run", study, "-j", "2")
    assert status == 0, err
    assert out.startswith("8 of 8 runs are finished, 1 of them made now")
    assert tables(directory)["leases.parquet"] == tables(small)["leases.parquet"]
    assert not list(directory.glob("working/*"))


def test_ctrl_c_ends_it_and_it_goes_on(tmp_path: Path) -> None:
    study = with_trouble(tmp_path)
    process = command(tmp_path, "run", study, "-j", "2", WAIT="1")
    while not (tmp_path / "first").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted; the same command goes on with the rest\n"
    assert done(tmp_path, "run", study)[0] == 0


def test_a_run_that_fails_is_told_with_its_output_and_stops_no_other(tmp_path: Path) -> None:
    with_trouble(tmp_path)
    text = SMALL.replace("all: {", "all: {policy-admission: trouble.Trouble, ")
    study = write(tmp_path, text)
    status, out, err = done(tmp_path, "run", study, "-j", "2", FAIL="1")
    assert status == 1
    assert out.startswith("4 of 8 runs are finished, 4 of them made now")
    assert "Run 5 failed (profile all, load 0.5, seed 1): " in err
    assert "this policy never works" in err
    assert "4 runs failed" in err
    kept = [json.loads(p.read_text()) for p in tmp_path.glob("small.study/runs/*/*.failed")]
    assert len(kept) == 4
    assert all("asked for an answer" in failure["output"] for failure in kept)
    frames = haizea.study.load(tmp_path / "small.study")
    assert list(frames.runs["status"]) == ["complete"] * 4 + ["failed"] * 4
    (tmp_path / "first").touch()
    status, out, _ = done(tmp_path, "run", study)
    assert (status, out.split(", in")[0]) == (0, "8 of 8 runs are finished, 4 of them made now")


def test_a_run_that_takes_its_workers_with_it_fails(tmp_path: Path) -> None:
    (tmp_path / "trouble.py").write_text(
        "import os\nfrom haizea.policies.admission import AcceptAll\n"
        "class Trouble(AcceptAll):\n"
        "    def refusal(self, *args):\n"
        "        print('here it ends', flush=True)\n"
        "        os._exit(3)\n"
    )
    text = "fixed: {hosts: 2, jobs: 3, policy-admission: trouble.Trouble}\nfactors: {load: [0.5]}"
    status, _, err = done(tmp_path, "run", write(tmp_path, text))
    assert status == 1
    assert "its worker ended 3 times before the run did (status 3 here it ends" in err
    assert "1 run failed; its output is beside the results" in err


def test_what_was_half_written_is_made_again(small: Path, tmp_path: Path) -> None:
    directory = StudyDirectory(tmp_path / "x")
    with directory.alone():
        directory.save("ab12", b'{"figures": {}, "levels": {}}', b"leases", None)
        assert directory.finished("ab12") == {"leases_bytes": 6, "figures": {}, "levels": {}}
        directory.file("ab12", "leases").write_bytes(b"lea")
        assert directory.finished("ab12") is None
        directory.save("ab12", b'{"figures": {}, "levels": {}}', b"leases", None)
        directory.file("ab12", "json").write_bytes(b"")
        assert directory.finished("ab12") is None


def test_two_commands_do_not_share_a_directory(tmp_path: Path) -> None:
    study = write(tmp_path)
    with StudyDirectory(tmp_path / "small.study").alone():
        status, _, err = done(tmp_path, "run", study)
    assert status == 2
    assert "another 'haizea study run' is at work here" in err


def test_a_directory_without_results_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there are no results of a study"):
        haizea.study.load(tmp_path)


def test_an_input_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    from haizea.study.expansion import read_runs
    from haizea.study.processes import Processes

    write(tmp_path, (Path(__file__).parents[2] / "traces/batch.swf").read_text(), "x.swf")
    text = "fixed: {hosts: 8, trace: x.swf}\nfactors: {suspension: [none]}"
    _, runs = read_runs(write(tmp_path, text))
    (tmp_path / "x.swf").write_text("; nothing\n")
    directory = StudyDirectory(tmp_path / "kept")
    with directory.alone():
        [over] = Processes(directory, 1).carry_out(runs)
    assert over.failure is not None
    assert "changed since the study began" in over.failure.message
