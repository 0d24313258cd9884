"""Console scripts with the old names, each a sub-command of ``haizea`` by itself."""

from __future__ import annotations

from haizea.cli.errors import run
from haizea.cli.main import load_command


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


def lwf2xml() -> None:
    """``haizea-lwf2xml``."""
    _run("lwf2xml")


def _run(name: str) -> None:
    run(load_command(name), f"haizea-{name}")
