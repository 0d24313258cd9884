"""The picture of a schedule."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from click.testing import CliRunner
from defusedxml.ElementTree import fromstring
from streams import NODE, SITE, T, suspended_for_an_ar

from haizea.accounting.errors import ResultsError
from haizea.accounting.gantt import gantt
from haizea.accounting.reader import Results
from haizea.accounting.results import ResultsFile
from haizea.cli.commands import cli
from haizea.core.model.events import Decision, OperationEnded, Purpose
from haizea.core.model.hosts import Host, Site
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.turn import Turn

SVG = "{http://www.w3.org/2000/svg}"


def write(
    to: Path, site: Site, stream: list[tuple[int, list[Decision]]], end: int, workload: str = "x"
) -> Path:
    results = ResultsFile(to, site, workload=workload, start=T)
    for now, decisions in stream:
        results.note(Turn(now, decisions))
    results.finish("complete", end)
    return to


def draw(file: Path, start: int | None = None, end: int | None = None) -> Element:
    with Results(file) as results:
        root: Element = fromstring(gantt(results, start, end))
    return root


def tips(root: Element) -> list[str]:
    return [str(r[0].text) for r in root.iter(f"{SVG}rect") if len(r)]


def texts(root: Element) -> list[str]:
    return [str(t.text) for t in root.iter(f"{SVG}text")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "r.db", SITE, suspended_for_an_ar(), T + 200, "hand-made")


def test_every_reservation_is_a_bar(file: Path) -> None:
    root = draw(file)
    # Neighbouring hosts with the same reservation share a bar.
    assert sorted(tips(root)) == [
        "AR 2, 1970-01-12 13:47:40 to 1970-01-12 13:48:30",
        "best-effort lease 1, 1970-01-12 13:47:00 to 1970-01-12 13:47:30",
        "best-effort lease 1, 1970-01-12 13:48:40 to 1970-01-12 13:49:50",
        "lease 1: resuming, 1970-01-12 13:48:30 to 1970-01-12 13:48:40",
        "lease 1: suspending, 1970-01-12 13:47:30 to 1970-01-12 13:47:40",
    ]
    words = texts(root)
    assert words[0] == "hand-made, 1970-01-12 13:46:40 to 1970-01-12 13:50:00"
    assert {"host-1", "host-4", "AR", "best-effort lease", "suspending", "resuming"} <= set(words)
    assert "immediate lease" not in words
    assert "1970-01-12" in words


def test_bars_lie_where_they_should(file: Path) -> None:
    found = {str(r[0].text)[:5]: r for r in draw(file).iter(f"{SVG}rect") if len(r)}
    ar = found["AR 2,"]
    first = min(
        (r for r in draw(file).iter(f"{SVG}rect") if len(r)), key=lambda r: float(r.get("x", 0))
    )
    # The AR is on four hosts for 50 s, the first run on two for 30 s, 40 s before it.
    assert float(ar.get("height", 0)) == 2 * float(first.get("height", 0))
    assert float(ar.get("width", 0)) / float(first.get("width", 0)) == pytest.approx(5 / 3, 0.01)
    gap = float(ar.get("x", 0)) - float(first.get("x", 0))
    assert gap / float(ar.get("width", 0)) == pytest.approx(40 / 50, 0.01)


def test_a_part_of_the_time(file: Path) -> None:
    assert tips(draw(file, T + 60, T + 100)) == ["AR 2, 1970-01-12 13:47:40 to 1970-01-12 13:48:20"]
    with pytest.raises(ResultsError, match="there is nothing to draw"):
        draw(file, T + 60, T + 60)


def test_leases_that_share_a_host_do_not_overlap(tmp_path: Path) -> None:
    site = Site.uniform(ResourceTypes(), 1, (400, 4096))
    over: list[Decision] = [
        OperationEnded(i, Purpose.RUN, T + 10 * i, T + 10 * i + 25, ((0, NODE),)) for i in range(6)
    ]
    bars = [
        tuple(float(r.get(name, 0)) for name in ("x", "y", "width", "height"))
        for r in draw(write(tmp_path / "r.db", site, [(T + 90, over)], T + 90)).iter(f"{SVG}rect")
        if len(r)
    ]
    assert len(bars) == 6
    for i, (x, y, width, height) in enumerate(bars):
        for other_x, other_y, _, _ in bars[i + 1 :]:
            apart = abs(other_y - y) >= height - 0.02
            assert apart or other_x >= x + width - 0.02 or other_x <= x


@pytest.mark.parametrize("count", [1, 4, 60, 200, 1000])
def test_any_number_of_hosts(tmp_path: Path, count: int) -> None:
    site = Site.uniform(ResourceTypes(), count, (100, 1024))
    file = write(tmp_path / "r.db", site, [], T + 40 * 86400)
    root = draw(file)
    names = [text for text in texts(root) if text.startswith("host-")]
    assert names
    assert 11 * (len(names) - 1) <= float(root.get("height", 0)), "names do not overlap"
    assert float(root.get("height", 0)) <= 5000
    assert 3 <= texts(root).count("00:00") <= 13


def test_names_cannot_break_the_picture(tmp_path: Path) -> None:
    site = Site(ResourceTypes(), (Host(0, '<a href="x">&\x01' + "y" * 50, (100, 1)),))
    root = draw(write(tmp_path / "r.db", site, [], T + 10, '"/><script>\x00'))
    assert not list(root.iter(f"{SVG}script"))
    assert texts(root)[0].startswith('"/><script>?,')
    assert '<a href="x">&?yyy…' in texts(root)


def test_the_command(file: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    out = tmp_path / "out.svg"
    assert runner.invoke(cli, ["gantt", str(file), "-o", str(out)]).exit_code == 0
    assert out.read_text(encoding="utf-8") == runner.invoke(cli, ["gantt", str(file)]).stdout
    part = runner.invoke(cli, ["gantt", str(file), "--from", "1970-01-12 13:48:00"])
    assert "13:48:00 to 1970-01-12 13:50:00" in part.stdout
    wrong = runner.invoke(cli, ["gantt", str(file), "--to", "tomorrow"])
    assert wrong.exit_code == 2
    assert "--to: 'tomorrow' is not a date and time" in wrong.stderr
    assert runner.invoke(cli, ["gantt", str(tmp_path / "none")]).exit_code == 2
