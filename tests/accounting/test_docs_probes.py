"""The example of docs/probes.md works as it stands there; docs/results.md knows every name."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from streams import SITE, T, suspended_for_an_ar

from haizea.accounting import schema
from haizea.accounting.probes import make_probes
from haizea.accounting.results import ResultsFile
from haizea.core.model.turn import Turn
from haizea.plugins import PluginError

DOCS = Path(__file__).parents[2] / "docs"
BUILTIN = ["ar", "best-effort", "immediate", "cpu-utilization", "disk-usage"]


def fences(language: str) -> list[str]:
    page = (DOCS / "probes.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run(to: Path, probes: list[str]) -> sqlite3.Connection:
    results = ResultsFile(to, SITE, probes=make_probes(probes))
    for now, decisions in suspended_for_an_ar():
        results.note(Turn(now, decisions))
    results.finish("complete", T + 200)
    return sqlite3.connect(to)


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = fences("python")
    (tmp_path / "siteprobes.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    [named] = re.findall(r"^probes: (.*)$", "".join(fences("ini")), re.MULTILINE)
    db = run(tmp_path / "r.db", named.split())
    found = db.execute("SELECT time, value FROM counters WHERE counter = 'Busy hosts'").fetchall()
    figures = dict(db.execute("SELECT name, value FROM figures"))
    db.close()
    at = [(time - T, value) for time, value in found]
    assert at == [(0, 0), (20, 2), (50, 0), (60, 4), (110, 0), (120, 2), (190, 0)]
    assert figures["busy-hosts-max"] == 4
    assert figures["busy-hosts-mean"] == (2 * 30 + 4 * 50 + 2 * 70) / 200


def test_every_name_in_a_file_is_documented(tmp_path: Path) -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    db = run(tmp_path / "r.db", BUILTIN)
    counters = {name for (name,) in db.execute("SELECT DISTINCT counter FROM counters")}
    figures = {name for (name,) in db.execute("SELECT name FROM figures")}
    db.close()
    for name in counters - {"Disk usage (host-3)"}:
        assert name in page or f"`{name[name.index('(') :]}`" in page, name
    for name in figures:
        stem, _, last = name.rpartition("-")
        variants = (f"`{name}`", f"`-{last}`", f"`{name.split('-')[0]}-KIND`")
        assert any(variant in page for variant in variants), (stem, name)
    for statement in schema.TABLES:
        assert f"`{statement.split()[2]}`" in page
    for column in schema.PER_LEASE_COLUMNS + schema.MORE_LEASE_COLUMNS:
        assert f"`{column}`" in page


def test_probes_are_made_once_each_and_unknown_ones_are_refused() -> None:
    assert len(make_probes(["ar", "immediate", "ar"])) == 2
    with pytest.raises(PluginError, match="did you mean 'best-effort'"):
        make_probes(["best-efort"])
    with pytest.raises(PluginError, match="has no method begin"):
        make_probes(["collections.OrderedDict"])
