"""A study's file: its runs, and what is told of one that is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from plain_installation import ROOT
from studies_at_work import SMALL, problems_of, runs_of

from haizea.study.expansion import read_runs
from haizea.workloads import WorkloadError

HOSTS = "fixed: {hosts: 4, jobs: 5}\n"


def test_every_combination_is_a_run(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, SMALL)
    assert [run.name for run in runs[:3]] == [
        "profile none, load 0.5, seed 1",
        "profile none, load 0.5, seed 2",
        "profile none, load 0.9, seed 1",
    ]
    assert len(runs) == 8
    assert len({run.digest for run in runs}) == 8


def test_what_is_excluded_is_no_run_and_what_is_beside_is_one(tmp_path: Path) -> None:
    more = "exclude: [{profile: all, load: 0.9}]\nalso: [{profile: all, load: 2, seed: 7}]\n"
    runs = runs_of(tmp_path, SMALL + more)
    assert len(runs) == 8 - 2 + 1
    assert runs[-1].values == (("profile", "all"), ("load", "2"), ("seed", "7"))


def test_a_range_is_all_its_numbers(tmp_path: Path) -> None:
    assert len(runs_of(tmp_path, HOSTS + "factors: {seed: 3..12}")) == 10


def test_names_of_files_have_patterns_and_values_of_factors(tmp_path: Path) -> None:
    for name in ("a-1.swf", "a-2.swf", "b-1.swf", "b-2.swf"):
        shutil.copy(ROOT / "traces/batch.swf", tmp_path / name)
    hosts = "fixed: {hosts: 8, trace: '{kind}-{n}.swf'}\n"
    runs = runs_of(tmp_path, hosts + "factors: {kind: [a, b], n: [1, 2]}")
    assert [run.recipe.files[0].name for run in runs] == [
        "a-1.swf",
        "a-2.swf",
        "b-1.swf",
        "b-2.swf",
    ]
    # They have the same bytes, so they are the same run.
    assert len({run.digest for run in runs}) == 1
    runs = runs_of(tmp_path, "fixed: {hosts: 8}\nfactors: {trace: ['a-*.swf']}")
    assert [dict(run.values)["trace"] for run in runs] == ["a-1.swf", "a-2.swf"]


def test_bytes_options_and_parameters_go_into_the_hash(tmp_path: Path) -> None:
    trace = tmp_path / "x.swf"
    shutil.copy(ROOT / "traces/batch.swf", trace)
    text = "fixed: {hosts: 8, trace: x.swf}\nfactors: {suspension: [none, all]}"
    before = [run.digest for run in runs_of(tmp_path, text)]
    assert [run.digest for run in runs_of(tmp_path, text + "\nname: another\n")] == before
    trace.write_bytes(trace.read_bytes() + b"; a comment\n")
    after = [run.digest for run in runs_of(tmp_path, text)]
    assert len({*before, *after}) == 4
    more = text.replace("hosts: 8", "hosts: 9")
    assert not {run.digest for run in runs_of(tmp_path, more)} & {*before, *after}


def test_a_multi_configuration_is_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study, runs = read_runs(Path("etc/sample_multi.conf"))
    assert len(runs) == 16
    assert list(study.factors) == ["profile", "trace", "injection"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2]", "small.yaml:1: a study has fields: factors, and"),
        ("a: 1", "small.yaml:1 a: there is no such field; known: name"),
        ("fixd: {}\nfactors: {load: 1}", "small.yaml:1 fixd: there is no such field; did you"),
        (HOSTS, "small.yaml:1 factors: a study varies something: add factors"),
        (HOSTS + "factors: {lod: 1}", "small.yaml:2 lod: is neither an option nor a part"),
        (HOSTS + "factors: {datafile: x}", "small.yaml:2 datafile: is neither an option"),
        (HOSTS + "factors: {tracefile: x}", "small.yaml:2 tracefile: is not set here: write trace"),
        (HOSTS + "factors: {load: []}", "small.yaml:2 load: has no value"),
        (HOSTS + "factors: {load: [x]}", "small.yaml:2 load: 'x' is not a number from 0.001"),
        (HOSTS + "factors: {load: [1], load: [2]}", "small.yaml:2 load: is set already, on line 2"),
        (HOSTS + "factors: {load: {a: 1}}", "small.yaml:2 load: a single value is expected here"),
        (HOSTS + "factors: {profile: a}", "small.yaml:2 profile: there is no profile 'a'"),
        (HOSTS + "factors: {seed: 9..1}", "small.yaml:2 seed: 9..1 is empty"),
        (HOSTS + "factors: {seed: 1}\nrepetitions: 2", "small.yaml:3 repetitions: seed is a"),
        (HOSTS + "factors: {load: 1}\nrepetitions: 0", "small.yaml:3 repetitions: '0' is not"),
        (HOSTS + "factors: {load: 1}\nexclude: [{seed: 1}]", "small.yaml:3 seed: there is no"),
        (HOSTS + "factors: {load: 1}\nexclude: [{load: 2}]", "small.yaml:3 load: '2' is not a"),
        (HOSTS + "factors: {load: 1}\nexclude: [{load: 1}]", "small.yaml:1 exclude: leaves no run"),
        (HOSTS + "factors: {load: 1}\nkeep-results: x", "small.yaml:3 keep-results: 'x' is"),
        (
            HOSTS + "profiles: {a: {load: 1}}\nfactors: {load: 1}",
            "small.yaml:2 load: profile a sets it, and so does a factor",
        ),
        ("factors: {load: 1}", "small.yaml:1 jobs: is missing: name a trace"),
        (
            HOSTS + "factors: {suspension: al}",
            "small.yaml:2: [scheduling] suspension: 'al' is not one of none, serial-only, all",
        ),
        (HOSTS + "factors: {scale: 2}", "small.yaml:2 scale: goes with a trace"),
        (
            "fixed: {hosts: 4, trace: no.swf}\nfactors: {suspension: all}",
            "small.yaml:1 trace: there is no file",
        ),
        ("fixed: {hosts: 4}\nfactors: {trace: '*.no'}", "small.yaml:2 trace: no file is called"),
        (
            "fixed: {hosts: 4, trace: 'a-{x}'}\nfactors: {suspension: all}",
            "small.yaml:1 trace: a-{x} has 'x' in it, which this run has no value of",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    problems = problems_of(tmp_path, text)
    assert any(problem.startswith(told) for problem in problems), problems


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = "fixed: {hosts: 0, jobs: x}\nfactors: {suspension: [al, non]}"
    problems = problems_of(tmp_path, text)
    assert [problem.split(":")[1] for problem in problems] == ["1 jobs", "1", "2", "2"] or (
        len(problems) >= 3
    ), problems


def test_a_trace_with_seeds_is_refused_unless_chance_has_a_part_in_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "traces/batch.swf", tmp_path / "x.swf")
    text = "fixed: {hosts: 8, trace: x.swf}\nfactors: {seed: 1..3}"
    assert "seed: changes nothing" in problems_of(tmp_path, text)[0]
    assert len(runs_of(tmp_path, text.replace("x.swf", "x.swf, scale: 2"))) == 3


@pytest.mark.parametrize("text", ["a: [", "a: &x 1\nb: *x", "\0"])
def test_what_is_not_yaml_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(WorkloadError, match=r"small\.yaml"):
        runs_of(tmp_path, text)
