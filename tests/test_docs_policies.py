"""The examples of docs/policies.md work as they stand there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haizea.config import loads
from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.policy import PlacedLease, Policies
from haizea.plugins import ADMISSION, HOST_SELECTION, PREEMPTION, QUEUE_ORDER
from haizea.plugins import Kind as PluginKind
from haizea.policies.registry import make_policies

PAGE = (Path(__file__).parent.parent / "docs" / "policies.md").read_text(encoding="utf-8")
LEAST = "[simulation]\nresources: 4 CPU:100 Memory:1024\n[tracefile]\ntracefile: a.lwf\n"


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Policies]:
    """Load the policies of the page, found through the configuration of the page."""
    (tmp_path / "sitepolicies.py").write_text("\n".join(fences("python")), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    [configuration] = fences("ini")
    chosen = loads(LEAST + configuration).scheduling
    yield make_policies(
        admission=chosen.policy_admission,
        preemption=chosen.policy_preemption,
        queue_order=chosen.policy_queue_order,
        host_selection=chosen.policy_host_selection,
    )
    sys.modules.pop("sitepolicies", None)


def lease(
    lease_id: int,
    kind: Kind = Kind.BEST_EFFORT,
    *,
    nodes: int = 1,
    duration: int | None = 3600,
    owner: str = "",
) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=lease_id,
        kind=kind,
        nodes=(NodeSet(nodes, (100, 1024)),),
        duration=duration,
        start=1000 if kind is Kind.AR else None,
        preemptible=kind is Kind.BEST_EFFORT,
        owner=owner,
    )


class View:
    """Host *i* has *i* // 2 leases."""

    start = 0

    def leases_on(self, host: int) -> int:
        return host // 2

    def unchanged_until(self, host: int) -> int:
        return 0

    def by_leases(self, hosts: HostSet) -> list[HostSet]:
        return [group for group in (hosts & 0b000011, hosts & 0b001100, hosts & 0b110000) if group]

    def by_unchanged(self, hosts: HostSet) -> list[HostSet]:
        return [hosts]


def test_admission(policies: Policies) -> None:
    refusal = policies.admission.refusal
    assert refusal(lease(1, duration=86400)) is None
    assert refusal(lease(1, duration=90000)) == "25 hours asked, at most 24 are given here"
    assert "give a duration" in (refusal(lease(1, duration=None)) or "")


def test_preemption(policies: Policies) -> None:
    placed = [
        PlacedLease(lease(1, nodes=4), State.ACTIVE, 0, 0b1111),
        PlacedLease(lease(2, nodes=2), State.ACTIVE, 0, 0b11),
        PlacedLease(lease(3, Kind.IMMEDIATE), State.ACTIVE, 0, 0b1),
    ]
    assert list(policies.preemption.victims(lease(9, Kind.AR), placed)) == [placed[1], placed[0]]
    assert not policies.preemption.victims(lease(9), placed)


def test_host_selection(policies: Policies) -> None:
    tiers = policies.host_selection.tiers(lease(1), 0b110111, View())
    assert list(tiers) == [0b110000, 0b000100, 0b000011]


def test_queue_order(policies: Policies) -> None:
    waiting = [lease(1), lease(2, owner="staff-anna"), lease(3, owner="bob")]
    keys = {r.id: (policies.queue_order.key(r, r.submitted), r.id) for r in waiting}
    assert sorted(keys, key=keys.__getitem__) == [2, 1, 3]


def test_an_installed_package_s_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [declaration] = fences("toml")
    group = re.search(r'entry-points\."(.*)"', declaration)
    assert group is not None
    name, target = re.findall(r'^(\S+) = "(.*)"$', declaration, re.MULTILINE)[0]
    (tmp_path / "sitepolicies.py").write_text("\n".join(fences("python")), encoding="utf-8")
    installed = tmp_path / "sitepolicies-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: sitepolicies\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{group[1]}]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert loads(LEAST + f"[scheduling]\npolicy-admission: {name}\n")
        policy = make_policies(admission=name).admission
        assert policy.refusal(lease(1, duration=None)) is not None
    finally:
        sys.modules.pop("sitepolicies", None)


@pytest.mark.parametrize("kind", [ADMISSION, PREEMPTION, HOST_SELECTION, QUEUE_ORDER])
def test_the_table_names_all_that_comes_with_haizea(kind: PluginKind) -> None:
    row = next(line for line in PAGE.splitlines() if f"`{kind.group}`" in line)
    assert ", ".join(f"`{name}`" for name in kind.builtin) in row
