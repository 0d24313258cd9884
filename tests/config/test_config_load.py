"""From a configuration file to its meaning, or to all that is wrong with it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.config import Config, ConfigError, load, loads, make_site, scheduling_settings
from haizea.config.option import Option, options_of
from haizea.config.resources import HostGroup
from haizea.config.sections import SECTIONS
from haizea.config.values import (
    Boolean,
    Choice,
    Duration,
    Integer,
    Labels,
    Moment,
    Number,
    PluginName,
    PluginNames,
)
from haizea.core.model.settings import (
    Backfilling,
    Exclusion,
    ImageSettings,
    Migration,
    Settings,
    Suspension,
    Transfer,
)

LEAST = "[simulation]\nresources: 4 CPU:100 Memory:1024\n[tracefile]\ntracefile: a.lwf\n"


SERVICE = "[simulation]\nclock: real\nresources: 4 CPU:100 Memory:1024\n[service]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, "c")
    return str(caught.value).splitlines()


def only_problem(text: str) -> str:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def test_the_least_configuration_has_the_defaults_of_the_core() -> None:
    config = loads(LEAST)
    assert scheduling_settings(config) == Settings()
    assert config.tracefile.tracefile == Path("a.lwf")
    assert config.simulation.starttime == 1164459600
    assert config.simulation.resources == (HostGroup(4, (("CPU", 100), ("Memory", 1024))),)


def test_settings_follow_the_file() -> None:
    config = loads(
        LEAST
        + """
[general]
lease-preparation: imagetransfer
[scheduling]
backfilling: intermediate
backfilling-reservations: 3
suspension: serial-only
suspend-rate: 50
resume-rate: 0.5
override-suspend-time: 00:01:00
override-resume-time: 5
suspendresume-exclusion: global
migration: YES-notransfer
scheduling-threshold-factor: 2.5
force-scheduling-threshold: 90
shutdown-time: 7
enactment-overhead: 2
[deploy-imagetransfer]
transfer-mechanism: multicast
avoid-redundant-transfers: True
diskimage-reuse: image-caches
diskimage-cache-size: 20480
force-imagetransfer-time: 60
"""
    )
    assert scheduling_settings(config) == Settings(
        backfilling=Backfilling.INTERMEDIATE,
        backfilling_reservations=3,
        suspension=Suspension.SERIAL_ONLY,
        suspend_rate_mb_s=50.0,
        resume_rate_mb_s=0.5,
        override_suspend_seconds=60,
        override_resume_seconds=5,
        exclusion=Exclusion.GLOBAL,
        migration=Migration.YES_NOTRANSFER,
        scheduling_threshold_factor=2.5,
        force_scheduling_threshold_seconds=90,
        shutdown_seconds=7,
        enactment_overhead_seconds=2,
        images=ImageSettings(
            mechanism=Transfer.MULTICAST,
            avoid_redundant=True,
            cache_mb=20480,
            force_transfer_seconds=60,
            ahead_mb=20480,
        ),
    )


def test_bandwidth_is_that_of_images_and_of_migration() -> None:
    text = LEAST.replace("[tracefile]", "imagetransfer-bandwidth: 10\n[tracefile]")
    settings = scheduling_settings(loads(text + "[general]\nlease-preparation: imagetransfer\n"))
    assert settings.migration_bandwidth_mbps == 10
    assert settings.images == ImageSettings(bandwidth_mbps=10, ahead_mb=20480)


def test_a_cache_that_is_not_used_has_no_size() -> None:
    text = LEAST + "[general]\nlease-preparation: imagetransfer\n"
    settings = scheduling_settings(
        loads(text + "[deploy-imagetransfer]\ndiskimage-cache-size: 5\n")
    )
    assert settings.images == ImageSettings(ahead_mb=20480)


@pytest.mark.parametrize(
    ("options", "ahead_mb"),
    [
        ("diskimage-ahead-size: 0", 0),
        ("diskimage-ahead-size: 700", 700),
        ("diskimage-reuse: image-caches\ndiskimage-cache-size: 500", 500),
        (
            "diskimage-reuse: image-caches\ndiskimage-cache-size: 500\ndiskimage-ahead-size: 0",
            0,
        ),
    ],
)
def test_images_sent_ahead_take_no_more_than_the_cache(options: str, ahead_mb: int) -> None:
    text = LEAST + "[general]\nlease-preparation: imagetransfer\n[deploy-imagetransfer]\n"
    images = scheduling_settings(loads(f"{text}transfer-mechanism: multicast\n{options}\n")).images
    assert images is not None
    assert images.ahead_mb == ahead_mb
    assert images.sends_ahead == (ahead_mb > 0)


def test_the_old_spelling_of_migration() -> None:
    assert loads(LEAST + "[scheduling]\nmigration: True\n").scheduling.migration is Migration.YES
    assert loads(LEAST + "[scheduling]\nmigration: False\n").scheduling.migration is Migration.NO


@pytest.mark.parametrize("text", ["0.1", "0.001", "32", "2.5", "100000000000000000000"])
def test_a_number_is_told_as_people_write_it(text: str) -> None:
    rows = loads(LEAST + f"[scheduling]\nsuspend-rate: {text}\n").rows()
    assert ("scheduling", "suspend-rate", text) in rows


def test_none_and_nothing_unset_what_has_no_default() -> None:
    text = LEAST + "injectionfile: none\nimagefile:\n[general]\npersistence-file: none\n"
    config = loads(text)
    assert config.tracefile.injectionfile is None
    assert config.tracefile.imagefile is None
    assert config.general.persistence_file is None


def test_several_groups_of_hosts() -> None:
    text = LEAST.replace("Memory:1024", "Memory:1024; 2 Memory:8192 CPU:400 Disk:1000")
    groups = loads(text).simulation.resources
    assert groups is not None
    site = make_site(groups)
    assert site.types.names == ("CPU", "Memory", "Disk")
    assert [host.capacity for host in site.hosts] == [(100, 1024, 0)] * 4 + [(400, 8192, 1000)] * 2
    assert [(host.id, host.name) for host in site.hosts][-1] == (5, "host-6")


def test_the_trace_may_define_the_site() -> None:
    text = "[simulation]\nresources: in-tracefile\n[tracefile]\ntracefile: a.lwf\n"
    assert loads(text).simulation.resources == ()


def test_an_opennebula_configuration_needs_no_trace() -> None:
    config = loads("[general]\nmode: opennebula\n[opennebula]\nhost: one.example.org\n")
    assert (config.opennebula.host, config.opennebula.port) == ("one.example.org", 2633)


def test_a_simulation_in_real_time_needs_no_trace() -> None:
    text = "[simulation]\nclock: real\nresources: 4 CPU:100 Memory:1024\n"
    assert loads(text).tracefile.tracefile is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[scheduling]\nbackfilling: agressive", "did you mean 'aggressive'?"),
        ("[scheduling]\nsuspend-rate: 0", "0 is too small: it is more than 0"),
        ("[scheduling]\nsuspend-rate: fast", "'fast' is not a number of MB/s"),
        ("[scheduling]\nsuspend-rate: nan", "'nan' is not a number"),
        ("[scheduling]\nsuspend-rate:", "has no value; valid: a number of MB/s, more than 0"),
        ("[scheduling]\nbackfilling-reservations: 0", "it goes from 1 to"),
        ("[scheduling]\nshutdown-time: 10:0", "write 90m, 1h30m, 2d, PT1H, HH:MM:SS or seconds"),
        ("[scheduling]\nwakeup-interval: 0", "it is at least 1 s"),
        ("[scheduling]\npolicy-admission: accept-al", "did you mean 'accept-all'?"),
        ("[scheduling]\npolicy-preemption: nix.Policy", "is its folder on PYTHONPATH?"),
        ("[deploy-imagetransfer]\navoid-redundant-transfers: maybe", "neither yes nor no"),
        ("[opennebula]\nport: 70000", "it goes from 1 to 65535"),
        ("[accounting]\nattributes: a=1,b", "'b' is not name=value"),
        ("[accounting]\nattributes: a=1,a=2", "the label 'a' is there twice"),
        ("[accounting]\nprobes: ar cpu-utilisation", "did you mean 'cpu-utilization'?"),
        ("[general]\nlogfile: a\0b", "is not a path"),
    ],
)
def test_one_wrong_value(text: str, message: str) -> None:
    assert message in only_problem(LEAST + text)


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("four hosts", "write how many and what each has"),
        ("4", "write how many and what each has"),
        ("0 CPU:100 Memory:1024", "has no hosts"),
        ("4 CPU:100", "lacks Memory"),
        ("4 CPU:0 Memory:1024", "lacks CPU"),
        ("4 CPU:100 CPU:100 Memory:1", "CPU is named twice"),
        ("4 CPU,100 Memory:1024", "'CPU,100' is not type:amount"),
        ("4 CPU:100 Memory:1024;", "'' is not hosts"),
        ("100001 CPU:100 Memory:1024", "are too many"),
    ],
)
def test_wrong_resources(resources: str, message: str) -> None:
    text = f"[simulation]\nresources: {resources}\n[tracefile]\ntracefile: a.lwf\n"
    assert message in only_problem(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tracefil]", "there is no such section; did you mean 'tracefile'?"),
        ("[zzz]", "there is no such section; known are general, scheduling,"),
        ("[scheduling]\nbackfiling: off", "there is no such option; did you mean 'backfilling'?"),
        ("[scheduling]\ndatafile: x", "it belongs to section [accounting]"),
        ("[scheduling]\nprobse: x", "did you mean 'probes' in section [accounting]?"),
        ("[scheduling]\nzzz: x", "known are mapper, policy-admission,"),
    ],
)
def test_an_unknown_name(text: str, message: str) -> None:
    assert message in only_problem(LEAST + text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["[simulation] resources: is missing", "[tracefile] tracefile: is missing"]),
        (
            "[general]\nmode: opennebula",
            ["[opennebula] host: is missing, and needed where mode is opennebula"],
        ),
        (
            LEAST + "[scheduling]\nbackfilling: intermediate",
            ["[scheduling] backfilling-reservations: is missing"],
        ),
        (
            LEAST + "[deploy-imagetransfer]\ndiskimage-reuse: image-caches",
            ["[deploy-imagetransfer] diskimage-cache-size: is missing"],
        ),
        (
            "[general]\nmode: opennebula\n[opennebula]\nhost: h\n[simulation]\nclock: simulated",
            ["[simulation] clock: OpenNebula lives in real time"],
        ),
        (
            "[simulation]\nclock: real\nresources: in-tracefile\n[tracefile]\ninjectionfile: i\n"
            "imagefile: j",
            [
                "[simulation] resources: in-tracefile, but there is no tracefile",
                "[tracefile] injectionfile: there is no tracefile",
                "[tracefile] imagefile: there is no tracefile",
            ],
        ),
        (
            LEAST + "node-capacity: CPU:100 Disk:5",
            ["[tracefile] node-capacity: no host has Disk"],
        ),
        (
            LEAST + "[accounting]\ndatafile: ./x/../a.lwf\n[general]\nlogfile: a.lwf",
            [
                "[accounting] datafile: it is tracefile ([tracefile]) already",
                "[accounting] datafile: it is logfile ([general]) already",
                "[general] logfile: it is tracefile ([tracefile]) already",
            ],
        ),
        (LEAST + "[accounting]\ndatafile: c", ["[accounting] datafile: it would overwrite"]),
        ("[multi]\ntracefiles: a", ["haizea generate-configs"]),
        *(
            (
                SERVICE + f"listen: {address}",
                ["[service] listen: other machines reach this address, and tokens"],
            )
            for address in ("0.0.0.0:0", "[::]:80", "192.0.2.1:80", "haizea.example.org:80")
        ),
        (
            SERVICE + "listen: 0.0.0.0:80\ntls-key: a.pem",
            [
                "[service] listen: other machines reach this address, and tokens",
                "[service] tls-key: TLS takes tls-certificate as well",
            ],
        ),
    ],
)
def test_what_is_missing_or_makes_no_sense_together(text: str, expected: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(expected), found
    for message, line in zip(expected, found, strict=True):
        assert message in line


def test_what_has_no_effect_is_no_error() -> None:
    loads(
        LEAST
        + "[scheduling]\nmigration: yes\nbackfilling-reservations: 4\n"
        + "[deploy-imagetransfer]\ndiskimage-reuse: image-caches\ndiskimage-cache-size: 1\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        SERVICE + "listen: 127.0.0.2:80",
        SERVICE + "listen: [::1]:80",
        SERVICE + "listen: localhost:80",
        SERVICE + "listen: none",
        SERVICE + "listen: 0.0.0.0:80\nallow-plain-http: yes",
        SERVICE + "listen: 0.0.0.0:80\ntls-certificate: a\ntls-key: b",
        SERVICE + "listen: 0.0.0.0:80\ntls-certificate: both",
        LEAST + "[service]\nlisten: 0.0.0.0:80",
    ],
)
def test_tokens_cross_no_network_in_the_clear_unless_that_is_meant(text: str) -> None:
    loads(text)


def test_nothing_follows_from_a_value_that_is_wrong() -> None:
    assert "did you mean 'opennebula'?" in only_problem("[general]\nmode: openebula\n")
    text = LEAST.replace("a.lwf", "a.lwf\nnode-capacity: CPU:1 Disk:1").replace("CPU:100", "CPU")
    assert "'CPU' is not type:amount" in only_problem(text)


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """[general]
mode: simulated
mode: simulated
logfil: a
[scheduling]
backfilling: sometimes
migration yes
[simulation]
starttime: noon
[simulatoin]
"""
    assert problems(text) == [
        "c:3: [general] mode: is set already, on line 2; keep one of them",
        "c:4: [general] logfil: there is no such option; did you mean 'logfile'?",
        "c:6: [scheduling] backfilling: 'sometimes' is not one of off, aggressive,"
        " intermediate, conservative",
        "c:7: 'migration yes' is neither [section] nor option: value",
        "c:8: [simulation] resources: is missing, and needed where mode is simulated: set it to"
        " how many hosts and what each has, such as 4 CPU:100 Memory:1024 (several groups"
        " separated by ;), or in-tracefile; for example resources: 4 CPU:100 Memory:1024",
        "c:9: [simulation] starttime: 'noon' is not a date and time: write YYYY-MM-DD HH:MM:SS,"
        " with a zone such as +01:00 or Europe/Madrid if need be",
        "c:10: [simulatoin]: there is no such section; did you mean 'simulation'?",
        "c: [tracefile] tracefile: is missing, and needed where mode and clock are simulated:"
        " set it to a path; for example tracefile: traces/sample.lwf",
    ]


def test_paths_are_relative_to_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "a.lwf").write_text("here")
    (tmp_path / "etc" / "a.lwf").write_text("not here")
    (tmp_path / "etc" / "my.conf").write_text(LEAST)
    monkeypatch.chdir(tmp_path)
    trace = load("etc/my.conf").tracefile.tracefile
    assert trace is not None
    assert trace.read_text() == "here"


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/elsewhere/someone")
    config = loads(LEAST + "[accounting]\ndatafile: ~/my.results\n")
    assert config.accounting.datafile == Path("/elsewhere/someone/my.results")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.conf")


# --- properties -----------------------------------------------------------------------


def all_options() -> Iterator[tuple[str, Option]]:
    for name, section in SECTIONS.items():
        for _, option in options_of(section):
            yield name, option


OPTIONS = list(all_options())


def texts(option: Option) -> st.SearchStrategy[str]:
    """Valid values of an option, as a file would say them."""
    match option.type:
        case Choice(values=values):
            return st.sampled_from([str(value) for value in values])
        case Boolean():
            return st.sampled_from(["yes", "no", "True", "OFF", "1"])
        case Integer(least=least, most=most):
            return st.integers(least, most).map(str)
        case Number():
            return st.integers(1, 10**9).map(lambda n: str(n / 1000))
        case Duration(least=least):
            return st.integers(least, 10**9).map(str)
        case Moment():
            return st.sampled_from(["2006-11-25 13:00:00", "2026-01-01T00:00:00+02:00"])
        case PluginName(kind=kind):
            return st.sampled_from(sorted(kind.builtin))
        case PluginNames(kind=kind):
            some = st.lists(st.sampled_from(sorted(kind.builtin)))
            return some.map(lambda names: " ".join(names) or "none")
        case Labels():
            return st.sampled_from(["none", "a=1", "a=1, b = x y"])
        case _:
            return st.just(option.example)


def text_of(values: dict[tuple[str, str], str]) -> str:
    lines = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        lines += [f"{o}: {value}" for (s, o), value in values.items() if s == section]
    return "\n".join(lines)


@st.composite
def valid_values(draw: st.DrawFn) -> dict[tuple[str, str], str]:
    """Any subset of the options with valid values, and what is required beside them."""
    chosen = draw(st.lists(st.sampled_from(OPTIONS), unique_by=lambda x: (x[0], x[1].name)))
    values = {(section, o.name): draw(texts(o)) for section, o in chosen}
    for section, option in OPTIONS:
        if option.required is not None:
            values.setdefault((section, option.name), option.example)
    if values.get(("general", "mode")) == "opennebula":
        values.pop(("simulation", "clock"), None)
    if ("service", "tls-key") in values:
        values.setdefault(("service", "tls-certificate"), "a.pem")
    return values


def as_dict(config: Config) -> dict[tuple[str, str], str]:
    return {(section, option): value for section, option, value in config.rows()}


@given(valid_values())
def test_any_subset_of_valid_options_is_read_and_told_back(
    values: dict[tuple[str, str], str],
) -> None:
    config = loads(text_of(values))
    rows = as_dict(config)
    assert len(rows) == len(OPTIONS)
    for section, option in OPTIONS:
        given_text = values.get((section, option.name), option.default)
        value = getattr_of(config, section, option)
        expected: Any = None if given_text is None else option.parse(given_text)
        assert value == expected
    if config.general.mode != "opennebula":
        again = loads(text_of(rows))
        assert again == config


def getattr_of(config: Config, section: str, option: Option) -> Any:
    for part in config.sections():
        for field, candidate in options_of(part):
            if section == part.NAME and candidate is option:
                return getattr(part, field)
    raise AssertionError(f"{section} {option.name} is not in the configuration")


@given(st.sampled_from(OPTIONS), st.integers(0, 2**32), st.characters(categories=["Ll"]))
def test_a_mistyped_option_always_gets_a_suggestion(
    place: tuple[str, Option], seed: int, letter: str
) -> None:
    section, option = place
    at = random.Random(seed).randrange(len(option.name))
    mistyped = option.name[:at] + letter + option.name[at + 1 :]
    if mistyped in {o.name for _, o in OPTIONS}:
        return
    text = LEAST if section in ("simulation", "tracefile") else ""
    body = f"[{section}]\n{mistyped}: 1\n"
    with pytest.raises(ConfigError) as caught:
        loads(body + text)
    told = [p for p in caught.value.problems if "no such option" in p.what]
    assert len(told) == 1
    assert "did you mean" in told[0].what


@given(st.text())
def test_no_text_ends_in_anything_but_a_configuration_or_its_problems(text: str) -> None:
    with contextlib.suppress(ConfigError):
        loads(text)


@given(st.sampled_from(OPTIONS), st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp"])))
def test_no_value_ends_in_anything_but_a_configuration_or_its_problems(
    place: tuple[str, Option], text: str
) -> None:
    section, option = place
    with contextlib.suppress(ConfigError):
        loads(f"[{section}]\n{option.name}: {text}\n")
