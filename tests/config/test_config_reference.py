"""The sample configuration and the reference page are what the options' declarations say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from haizea.config import load, loads
from haizea.config.option import options_of
from haizea.config.reference import reference_page, sample_configuration
from haizea.config.sections import SECTIONS

ROOT = Path(__file__).parent.parent.parent


def test_the_committed_sample_is_up_to_date() -> None:
    committed = (ROOT / "etc" / "sample.conf").read_text(encoding="utf-8")
    assert committed == sample_configuration(), (
        "run: python -m haizea.config.reference --sample > etc/sample.conf"
    )


def test_the_committed_reference_is_up_to_date() -> None:
    committed = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert committed == reference_page(), (
        "run: python -m haizea.config.reference > docs/configuration.md"
    )


def test_the_module_prints_the_page() -> None:
    command = [sys.executable, "-m", "haizea.config.reference"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode() == reference_page()
    assert not done.stderr


def test_the_sample_is_a_configuration_of_what_it_promises() -> None:
    config = load(ROOT / "etc" / "sample.conf")
    rows = {(section, option): value for section, option, value in config.rows()}
    assert rows["general", "mode"] == "simulated"
    assert rows["simulation", "resources"] == "4 CPU:100 Memory:1024"
    assert rows["scheduling", "suspension"] == "all"
    assert rows["scheduling", "backfilling"] == "aggressive"
    assert rows["scheduling", "policy-preemption"] == "ar-preempts-everything"
    assert rows["accounting", "datafile"].endswith(".results")


def test_every_option_has_help_and_an_example_that_is_valid() -> None:
    for name, section in SECTIONS.items():
        for _, option in options_of(section):
            assert option.help.endswith("."), f"[{name}] {option.name}"
            assert option.parse(option.example) is not None, f"[{name}] {option.name}"


def test_the_sample_with_every_option_set_is_a_configuration_too() -> None:
    lines = sample_configuration().splitlines()
    names = {option.name for section in SECTIONS.values() for _, option in options_of(section)}
    everything = [
        line[1:] if line.startswith("#") and line[1:].partition(":")[0] in names else line
        for line in lines
    ]
    config = loads("\n".join(everything))
    assert sum(value == "" for _, _, value in config.rows()) == 0
