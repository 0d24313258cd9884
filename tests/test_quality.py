"""Types, lint and format are tests like any other: there is one command that passes or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

TYPES = ["mypy", "--strict", "haizea", "tests", "bench"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(TYPES, id="types", marks=pytest.mark.long),
        pytest.param(["ruff", "check", "."], id="lint"),
        pytest.param(["ruff", "format", "--check", "."], id="format"),
    ],
)
def test_a_tool_finds_nothing(tool: list[str]) -> None:
    command = [sys.executable, "-m", *tool]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(tool)}\n{done.stdout}{done.stderr}"
