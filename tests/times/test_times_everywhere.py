"""One grammar: what one place takes, every place takes, and all say the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from haizea.api.forms import LeaseForm
from haizea.backends.opennebula.requests.haizea_attribute import Start, parse_words
from haizea.cli.commands import cli
from haizea.config import load
from haizea.core.model.lease import Kind
from haizea.service.drafts import parse_lease
from haizea.times.durations import parse_lease_duration
from haizea.times.moments import format_moment
from haizea.times.zones import SystemZone
from haizea.workloads import read
from haizea.workloads.csv_leases import read_csv
from haizea.workloads.source import Source

NOW = 1_800_000_000
REST = "[simulation]\nresources: 1 CPU:100 Memory:1024\n[tracefile]\ntracefile: w.swf\n"
NODES = '<nodes><node-set numnodes="1"><res type="CPU" amount="1"/></node-set></nodes>'


def of_yaml(text: str, folder: Path) -> int | None:
    path = folder / "w.yaml"
    path.write_text(f"duration: {json.dumps(text)}\nnodes: {{count: 1, CPU: 1}}\n")
    return read(path).leases[0].duration


def of_lwf(text: str, folder: Path) -> int | None:
    path = folder / "w.lwf"
    path.write_text(f'<lease>{NODES}<start/><duration time="{text}"/></lease>')
    return read(path).leases[0].duration


def of_csv(text: str, folder: Path) -> int | None:
    path = folder / "w.csv"
    path.write_text(f"nodes,duration\n1,{text}\n")
    return read_csv(Source(path)).leases[0].duration


def of_sent_yaml(text: str, folder: Path) -> int | None:
    body = f"duration: {json.dumps(text)}\nnodes: {{count: 1, CPU: 1}}\n"
    return parse_lease(body.encode(), "application/yaml", NOW).duration


def of_json(text: str, folder: Path) -> int | None:
    form = {"duration": text, "nodes": [{"count": 1, "resources": {"CPU": 1}}]}
    return LeaseForm.model_validate(form).duration


def of_opennebula(text: str, folder: Path) -> int | None:
    default = Start(Kind.BEST_EFFORT)
    return parse_words({"DURATION": text}, default=default, zone=None, submitted=NOW).duration


def of_configuration(text: str, folder: Path) -> int | None:
    path = folder / "h.conf"
    (folder / "w.swf").write_text("; MaxProcs: 4\n")
    path.write_text(f"[scheduling]\nshutdown-time: {text}\n{REST}")
    return load(path).scheduling.shutdown_seconds


def of_shell(text: str, folder: Path) -> int | None:
    out = folder / "w.lwf"
    command = ["generate-workload", "--jobs", "1", "--hosts", "4", "--ar-share", "0.5"]
    done = CliRunner().invoke(cli, [*command, "--ar-duration", text, str(out)])
    if done.exit_code:
        raise ValueError(done.stderr)
    lengths = [x.duration for x in read(out).leases if x.kind is Kind.AR]
    # Drawn from half the mean to one and a half.
    assert all(length is not None and 1350 <= length <= 8100 for length in lengths)
    return 5400


PLACES = [of_yaml, of_lwf, of_csv, of_sent_yaml, of_json, of_opennebula, of_configuration, of_shell]
FORMS = ["5400", "90m", "1h30m", "1.5h", "1 hour 30 minutes", "PT1H30M", "01:30:00", "1:30"]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_duration(place: Callable[[str, Path], int | None], text: str, tmp_path: Path) -> None:
    assert place(text, tmp_path) == 5400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1x", "'1x' is not a duration: 'x' is not a unit of time; write 90m, 1h30m"),
        ("00:75:00", "'00:75:00' is not a duration: minutes and seconds go up to 59; write 90m"),
        ("P1M", "'P1M' is not a duration: years and months are not always as long"),
        ("1000000000000000", "'1000000000000000' is not a duration: it is too long; write 90m"),
        ("-5", "'-5' is not a duration: it is negative; write 90m"),
    ],
)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_what_is_no_duration_is_told_alike(
    place: Callable[[str, Path], int | None], text: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="is not a duration") as caught:
        place(text, tmp_path)
    assert told in " ".join(str(caught.value).split())


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_fraction_of_a_second_is_rounded_up_in_workload_files_alone(
    place: Callable[[str, Path], int | None], tmp_path: Path
) -> None:
    if place in (of_yaml, of_lwf, of_csv, of_sent_yaml):
        assert place("5399.5", tmp_path) == 5400
    elif place is not of_shell:
        with pytest.raises(Exception, match=r"'5399\.5' is not a whole number of sec"):
            place("5399.5", tmp_path)


@pytest.mark.parametrize(
    "start", ["1h", "+1h", "PT1H", "01:00:00", "3600", "+1:00", "1 hour", "01:00:00.5"]
)
def test_a_start_in_a_workload_counts_from_its_start(start: str, tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    text = f"{{start: {json.dumps(start)}, duration: 1h, nodes: {{CPU: 1}}}}"
    path.write_text(f"- {text}")
    assert read(path).leases[0].start == 3600
    sent = parse_lease(text.encode(), "application/yaml", NOW)
    assert sent.start == NOW + 3600


@pytest.mark.parametrize(
    ("start", "seconds"), [("-5", -5), ("-00:30:00", -1800), ("-1h", -3600), ("-0.5", -1)]
)
def test_a_start_may_be_before_that_of_the_workload(
    start: str, seconds: int, tmp_path: Path
) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(f"- {{start: {start}, duration: 1h, nodes: {{CPU: 1}}}}")
    assert read(path).leases[0].start == seconds


def test_hours_and_minutes_are_a_time_of_day_where_a_service_is_asked(tmp_path: Path) -> None:
    text = "{start: '9:00', duration: 1h, nodes: {CPU: 1}}"
    sent = parse_lease(text.encode(), "application/yaml", NOW).start
    assert sent is not None
    assert format_moment(sent, SystemZone())[11:19] == "09:00:00"
    path = tmp_path / "w.yaml"
    path.write_text(f"- {text}")
    with pytest.raises(Exception, match=r"'9:00' is not clear: write 9:00:00 or \+9:00 for hours"):
        read(path)


def test_a_service_takes_a_deadline_in_every_form() -> None:
    text = f'<lease>{NODES}<start/><duration time="1h"/><deadline time="2h"/></lease>'
    draft = parse_lease(text.encode(), "application/xml", NOW)
    assert (draft.kind, draft.after, draft.deadline) == (Kind.DEADLINE, None, NOW + 7200)
    text = "{after: +30m, deadline: +2h, duration: 1h, nodes: {CPU: 1}}"
    draft = parse_lease(text.encode(), "application/yaml", NOW)
    assert (draft.after, draft.deadline) == (NOW + 1800, NOW + 7200)
    text = f'<lease>{NODES}<start/><duration time="1h"/><extra name="paid"/></lease>'
    assert parse_lease(text.encode(), "application/xml", NOW).label == "paid"


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        ("2027-01-15 10:00 Europe/Berlin", 3600),
        ("2027-01-15 09:00", 3600),
        ("20270115T090000Z", 3600),
        ("2027-01-15 09:00+01:00", 0),
        ("2027-01-14 08:00 UTC", -86400),
        ("01:00:00", 3600),
    ],
)
def test_a_start_may_be_a_date_where_that_of_the_workload_is_known(
    start: str, seconds: int, tmp_path: Path
) -> None:
    in_yaml, in_lwf = tmp_path / "w.yaml", tmp_path / "w.lwf"
    in_yaml.write_text(f"- {{start: {json.dumps(start)}, duration: 1h, nodes: {{CPU: 1}}}}")
    exact = f'<start><exact time="{start}"/></start>'
    in_lwf.write_text(f'<lease>{NODES}{exact}<duration time="1h"/></lease>')
    for path in (in_yaml, in_lwf):
        assert read(path, origin=NOW).leases[0].start == seconds
        if start != "01:00:00":
            with pytest.raises(Exception, match="is a date, and the workload's start has none"):
                read(path)


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("2027-03-28 02:30 Europe/Berlin", "there is no 02:30 on 2027-03-28"),
        ("2027-10-31 02:30 Europe/Berlin", "there are two 02:30 on 2027-10-31"),
        ("2027-02-29 02:30", "2027-02-29 is not a day of the calendar$"),
        ("2027-02-09 02:30 Europe/Berln", "is Europe/Berlin meant[?]$"),
        ("soon", "HH:MM:SS or seconds, or now, or best-effort$"),
    ],
)
def test_a_date_that_is_none_is_told_as_anywhere(start: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(f"- {{start: {json.dumps(start)}, duration: 1h, nodes: {{CPU: 1}}}}")
    with pytest.raises(Exception, match=f"line 1, start: .*{told}"):
        read(path, origin=NOW)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        ("best_effort", Kind.BEST_EFFORT),
        ("Best-Effort", Kind.BEST_EFFORT),
        ("NOW", Kind.IMMEDIATE),
        ("1h", Kind.AR),
    ],
)
def test_words_for_a_start(start: str, kind: Kind, tmp_path: Path) -> None:
    in_yaml, in_csv = tmp_path / "w.yaml", tmp_path / "w.csv"
    in_yaml.write_text(f"- {{start: {start}, duration: 1h, nodes: {{CPU: 1}}}}")
    in_csv.write_text(f"start,duration\n{start},1h\n")
    assert read(in_yaml).leases[0].kind is kind
    assert read_csv(Source(in_csv)).leases[0].kind is kind


@pytest.mark.parametrize("text", ["1099511627775", "1099511627775s", "PT1099511627775S"])
def test_the_longest_duration_can_be_written_in_seconds(text: str) -> None:
    longest = (1 << 40) - 1
    assert parse_lease_duration(text, longest) == longest
    with pytest.raises(ValueError, match="is the most"):
        parse_lease_duration(text.replace("7775", "7776"), longest)
