"""Every example in docs/formats.md is read, and the traces that come with Haizea are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from haizea.cli.commands import cli
from haizea.core.model.lease import Kind
from haizea.core.model.resources import ResourceTypes
from haizea.workloads import bind, merge, read, read_images, site_of, with_images
from haizea.workloads.csv_leases import read_csv
from haizea.workloads.source import Source

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(\w+) (\w+)\n(.*?)^```", DOC, flags=re.S | re.M)
TRACES = ROOT / "traces"


def test_every_format_has_an_example() -> None:
    assert {kind for _, kind, _ in EXAMPLES} == {"lwf", "swf", "leases", "lease", "csv", "images"}


@pytest.mark.parametrize(("language", "kind", "text"), EXAMPLES)
def test_examples(tmp_path: Path, language: str, kind: str, text: str) -> None:
    path = tmp_path / f"example.{'yaml' if language == 'yaml' else kind}"
    path.write_text(text, encoding="utf-8")
    if kind == "images":
        assert [i.name for i in read_images(path).order] == ["web.img", "base.img", "web.img"]
        return
    workload = read_csv(Source(path)) if kind == "csv" else read(path)
    assert workload.leases
    bind(workload, ResourceTypes(), 0)
    if kind == "swf":
        assert [x.label for x in workload.leases] == ["1", "2"]
        assert workload.site is not None
    if kind in ("lwf", "csv"):
        kinds = [x.kind for x in workload.leases]
        assert kinds == [Kind.BEST_EFFORT, Kind.AR, Kind.IMMEDIATE]


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.lwf")), ids=lambda p: p.stem)
def test_traces_say_what_will_be_seen(path: Path) -> None:
    workload = read(path)
    assert workload.name == path.stem
    assert len(workload.description) > 80
    assert workload.site is not None
    bound = bind(workload, site_of(workload.site).types, 0)
    assert [r.label for r in bound.requests] == [str(r.id) for r in bound.requests]


def test_the_sample_is_the_one_of_the_quick_start() -> None:
    workload = read(TRACES / "sample.lwf")
    first, second = workload.leases
    assert (first.kind, first.node_count, first.duration) == (Kind.BEST_EFFORT, 1, 3600)
    assert (second.kind, second.node_count, second.start) == (Kind.AR, 4, 1800)
    assert (second.arrival_seconds, second.duration) == (900, 1800)
    assert (first.preemptible, second.preemptible) == (True, False)


def test_the_other_traces_fit_together() -> None:
    batch = read(TRACES / "batch.swf")
    assert len(batch.leases) == 300
    reservations = read(TRACES / "reservations.txt")
    merged = bind(merge(batch, reservations), ResourceTypes(), 0)
    assert sum(r.kind is Kind.AR for r in merged.requests) == len(reservations.leases) == 5
    with_images(read(TRACES / "backfilling.lwf"), read_images(TRACES / "batch.images"))
    assert [x.kind for x in read(TRACES / "leases.yaml").leases] == [
        Kind.IMMEDIATE,
        Kind.AR,
        Kind.BEST_EFFORT,
    ]


def test_the_generated_trace_is_what_its_header_says(tmp_path: Path) -> None:
    text = (TRACES / "batch.swf").read_text()
    match = re.search(r"^; Note: made by: haizea (.*)$", text, flags=re.M)
    assert match
    assert f"haizea {match[1]} batch.swf" in DOC
    made = tmp_path / "batch.swf"
    result = CliRunner().invoke(cli, [*shlex.split(match[1]), str(made)])
    assert result.exit_code == 0, result.output
    assert made.read_text() == text


def test_the_error_in_the_document_is_the_real_one(tmp_path: Path) -> None:
    match = re.search(r"^Error: (traces/sample.lwf.*)$", DOC, flags=re.M)
    assert match
    wrong = tmp_path / "sample.lwf"
    text = (TRACES / "sample.lwf").read_text()
    wrong.write_text(text.replace('duration time="01:00:00"', 'duration time="1x"'))
    result = CliRunner().invoke(cli, ["lwf2xml", str(wrong)])
    assert result.exit_code == 2
    with pytest.raises(Exception, match="1x") as caught:
        read(wrong)
    assert str(caught.value) == match[1].replace("traces/sample.lwf", str(wrong))
