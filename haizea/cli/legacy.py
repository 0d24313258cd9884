"""Console scripts with the old names, each a sub-command of ``haizea`` by itself."""

from __future__ import annotations

from haizea.cli.main import begin


def cancel_lease() -> None:
    """``haizea-cancel-lease``."""
    _run("cancel", "haizea-cancel-lease")


def convert_data() -> None:
    """``haizea-convert-data``."""
    _run("convert-data")


def csv2lwf() -> None:
    """``haizea-csv2lwf``."""
    _run("csv2lwf")


def generate_configs() -> None:
    """``haizea-generate-configs``."""
    _run("generate-configs")


def generate_scripts() -> None:
    """``haizea-generate-scripts``."""
    _run("generate-scripts")


def list_hosts() -> None:
    """``haizea-list-hosts``."""
    _run("hosts", "haizea-list-hosts")


def list_leases() -> None:
    """``haizea-list-leases``."""
    _run("list", "haizea-list-leases")


def lwf2xml() -> None:
    """``haizea-lwf2xml``."""
    _run("lwf2xml")


def request_lease() -> None:
    """``haizea-request-lease``."""
    _run("request", "haizea-request-lease")


def show_queue() -> None:
    """``haizea-show-queue``."""
    _run("queue", "haizea-show-queue")


def _run(name: str, program: str | None = None) -> None:
    begin(program or f"haizea-{name}", name)
