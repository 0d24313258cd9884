"""From a name to what can be plugged in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haizea.plugins import (
    ADMISSION,
    HOST_SELECTION,
    MAPPER,
    PREEMPTION,
    PROBES,
    QUEUE_ORDER,
    Kind,
    PluginError,
    check,
    find,
    find_class,
    nearest,
)
from haizea.policies.registry import make_policies

MODULE = """
class Good:
    def refusal(self, request):
        return None

class Lacking:
    pass

class Failing:
    def __init__(self):
        raise RuntimeError("no luck")
    def refusal(self, request):
        return None

class Choosy:
    def __init__(self, wanted):
        pass
    def refusal(self, request):
        return None

def function():
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "someplugins.py").write_text(MODULE)
    (tmp_path / "brokenplugins.py").write_text("1 / 0\n")
    installed = tmp_path / "someplugins-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: someplugins\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[haizea.admission_policies]\n"
        "good = someplugins:Good\n"
        "gone = someplugins:Gone\n"
        "accept-all = someplugins:Failing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("someplugins", "brokenplugins"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("kind", [ADMISSION, PREEMPTION, HOST_SELECTION, QUEUE_ORDER, PROBES])
def test_all_that_comes_with_haizea_is_found(kind: Kind) -> None:
    for name, path in kind.builtin.items():
        check(kind, name)
        assert type(find(kind, name)).__name__ == path.rpartition(".")[2]


def test_the_mapper_that_comes_with_haizea_is_found() -> None:
    check(MAPPER, "greedy")
    assert find_class(MAPPER, "greedy").__name__ == "GreedyMapper"


@pytest.mark.parametrize("name", ["someplugins.Good", "good"])
def test_a_dotted_path_and_an_entry_point(module: Path, name: str) -> None:
    check(ADMISSION, name)
    assert type(find(ADMISSION, name)).__name__ == "Good"


def test_what_comes_with_haizea_goes_before_a_plug_in_of_the_same_name(module: Path) -> None:
    assert type(find(ADMISSION, "accept-all")).__name__ == "AcceptAll"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acept-all", "there is no admission policy 'acept-all'; did you mean 'accept-all'?"),
        ("ACCEPT-ALL", "did you mean 'accept-all'?"),
        ("zzz", "Known are accept-all, no-ARs, gone, good; a class of your own"),
        ("nowhere.Policy", "No module named 'nowhere'; is its folder on PYTHONPATH?"),
        ("brokenplugins.Policy", "importing brokenplugins raised ZeroDivisionError"),
        ("someplugins.Goood", "has no class Goood; did you mean someplugins.Good?"),
        ("someplugins.Lacking", "it has no method refusal()"),
        ("someplugins.function", "it is not a class"),
        ("someplugins.Failing", "Failing() raised RuntimeError: no luck"),
        ("someplugins.Choosy", "Choosy() raised TypeError"),
        ("gone", "(someplugins:Gone) cannot be imported"),
        (".Policy", "write package.module.Class"),
        ("some plugins.Policy", "write package.module.Class"),
    ],
)
def test_what_cannot_be_used_is_told_with_the_reason(module: Path, name: str, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        check(ADMISSION, name)
    assert message in str(caught.value)


def test_a_class_that_takes_arguments_is_not_made_to_be_checked(module: Path) -> None:
    kind = Kind("thing", "haizea.things", ("refusal",), {}, takes_arguments=True)
    check(kind, "someplugins.Choosy")


def test_policies_by_name() -> None:
    policies = make_policies(preemption="ar-preempts-everything", queue_order="shortest-first")
    assert type(policies.admission).__name__ == "AcceptAll"
    assert type(policies.preemption).__name__ == "ArPreemptsEverything"
    assert type(policies.host_selection).__name__ == "Greedy"
    assert type(policies.queue_order).__name__ == "ShortestFirst"
    with pytest.raises(PluginError, match="did you mean 'greedy'"):
        make_policies(host_selection="gready")


def test_nearest_ignores_case_and_knows_when_nothing_is_near() -> None:
    assert nearest("NO-ars", ["no-ARs", "accept-all"]) == "no-ARs"
    assert nearest("zzz", ["no-ARs", "accept-all"]) is None
