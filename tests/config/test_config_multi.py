"""Studies: one file, many configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from haizea.config import ConfigError, loads
from haizea.config.multi import expand

ROOT = Path(__file__).parent.parent.parent

STUDY = """
[multi]
tracedir: traces
tracefiles: a.lwf b.lwf
injectiondir: traces/injected
injectionfiles: none x.lwf
basedatadir: out

[common:simulation]
resources: 4 CPU:100 Memory:1024

[common:scheduling]
backfilling: off
suspend-rate: 50

[common:accounting]
attributes: study=first

[easy:scheduling]
backfilling: aggressive

[easy+SR:scheduling]
backfilling: aggressive
suspension: all
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "traces" / "injected").mkdir(parents=True)
    for name in ("a.lwf", "b.lwf", "a.swf", "injected/x.lwf"):
        (tmp_path / "traces" / name).write_text("")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.conf").write_text(STUDY)
    return Path("study.conf")


def problems(study: Path, old: str, new: str) -> str:
    assert old in STUDY
    study.write_text(STUDY.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        expand(study)
    return str(caught.value)


def test_one_configuration_for_every_combination(study: Path) -> None:
    assert [member.name for member in expand(study)] == [
        "easy_a",
        "easy_a_x",
        "easy_b",
        "easy_b_x",
        "easy+SR_a",
        "easy+SR_a_x",
        "easy+SR_b",
        "easy+SR_b_x",
    ]


def test_a_configuration_has_what_is_common_what_its_profile_says_and_its_files(
    study: Path,
) -> None:
    members = {member.name: member.config for member in expand(study)}
    config = members["easy+SR_b_x"]
    assert config.scheduling.backfilling == "aggressive"
    assert config.scheduling.suspension == "all"
    assert config.scheduling.suspend_rate_mb_s == 50
    assert members["easy_a"].scheduling.suspension == "none"
    assert config.tracefile.tracefile == Path("traces/b.lwf")
    assert config.tracefile.injectionfile == Path("traces/injected/x.lwf")
    assert members["easy_a"].tracefile.injectionfile is None
    assert config.accounting.datafile == Path("out/easy+SR_b_x.results")
    assert config.accounting.attributes == (
        ("study", "first"),
        ("profile", "easy+SR"),
        ("tracefile", "b.lwf"),
        ("injectionfile", "x.lwf"),
    )


def test_the_text_of_a_configuration_means_the_same(study: Path) -> None:
    for member in expand(study):
        assert loads(member.text, study) == member.config


def test_short_names_and_no_injections(study: Path) -> None:
    study.write_text(STUDY.replace("injectiondir", "injdir").replace("injectionfiles", "injfiles"))
    assert len(expand(study)) == 8
    study.write_text(STUDY.replace("injectionfiles: none x.lwf\n", ""))
    assert len(expand(study)) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a.lwf b.lwf", "a.lwf c.lwf", "[multi] tracefiles: there is no file traces/c.lwf"),
        ("tracefiles: a.lwf b.lwf\n", "", "[multi] tracefiles: is missing"),
        ("basedatadir: out", "basedata: out", "did you mean 'basedatadir'?"),
        ("injectiondir:", "injdir: q\ninjectiondir:", "is the same as injectiondir: keep one"),
        ("a.lwf b.lwf", "a.lwf a.swf", "two configurations would be called easy_a"),
        ("[easy:scheduling]", "[easy:schedulin]", "did you mean [easy:scheduling]?"),
        ("[easy:scheduling]", "[easy]", "write [multi], [common:SECTION] or [PROFILE:SECTION]"),
        ("[easy:scheduling]", "[a/b:scheduling]", "a profile's name has letters"),
        ("backfilling: off", "backfilling: of", "did you mean 'off'?"),
        ("suspend-rate: 50", "suspend-rat: 50", "did you mean 'suspend-rate'?"),
        ("attributes: study=first", "datafile: q", "datafile: comes from [multi]: leave it out"),
        ("attributes: study=first", "attributes: profile=1", "'profile' is there twice"),
        ("[multi]", "[mutli]", "has no section [multi]"),
    ],
)
def test_what_is_wrong_with_a_study(study: Path, old: str, new: str, message: str) -> None:
    assert message in problems(study, old, new)


def test_a_study_without_profiles(study: Path) -> None:
    text = problems(study, STUDY[STUDY.index("[easy:") :], "")
    assert "there is no profile" in text


def test_a_problem_of_what_is_common_is_told_once_with_its_line(study: Path) -> None:
    text = problems(study, "suspend-rate: 50", "suspend-rate: x")
    assert text.startswith("study.conf:14: [common:scheduling] suspend-rate: 'x' is not a number")
    assert "\n" not in text


def test_all_problems_are_told_at_once(study: Path) -> None:
    text = problems(study, "backfilling: off", "backfilling: of\nbackfillin: off")
    assert len(text.splitlines()) == 2


def test_the_sample_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    members = expand("etc/sample_multi.conf")
    assert len(members) == 4 * 2 * 2
    assert members[0].name == "nobackfilling_batch"
