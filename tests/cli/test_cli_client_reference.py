"""The page about commands is what the commands say of themselves."""

from __future__ import annotations

from pathlib import Path

from haizea.cli.commands import COMMANDS
from haizea.cli.reference import reference_page

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert page == reference_page(), "write it anew: python -m haizea.cli.reference > docs/cli.md"


def test_every_command_is_on_it() -> None:
    page = reference_page()
    for name in COMMANDS:
        assert f"\n## haizea {name}\n" in page
    assert "\n### haizea token make\n" in page


def test_the_commands_of_groups_are_on_the_page() -> None:
    page = reference_page()
    for name in ("sandbox", "submit", "vms", "check", "install-driver"):
        assert f"\n### haizea opennebula {name}\n" in page
    for name in ("make", "list", "revoke"):
        assert f"\n### haizea token {name}\n" in page
