"""Makes a copy of Haizea whose busiest modules are compiled, to be measured beside this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.measure import ROOT, ChildFailed

SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
LIMIT_SECONDS = 1800


def compiled(folder: Path) -> Path:
    """The folder of a compiled copy, made in ``folder``. Raises :class:`ChildFailed`."""
    place = folder / "compiled"
    shutil.rmtree(place, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "haizea", place / "haizea", ignore=ignored)
    for name in SOURCES:
        shutil.copy(ROOT / name, place)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=place,
        env={**os.environ, "HAIZEA_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ChildFailed(f"compiling failed: {(done.stdout + done.stderr).strip()[-400:]}")
    return place
