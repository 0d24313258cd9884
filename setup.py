"""Compiles the busiest modules where ``HAIZEA_COMPILE=1`` asks for it.

Everything else about the package is in ``pyproject.toml``. The modules run as they are,
too: compiling makes them faster and changes nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

#: Modules of the core that stay interpreted: what plug-ins derive classes from, enumerations,
#: and data that is made everywhere.
INTERPRETED = {
    "__init__",
    "allocation",
    "derivable",
    "events",
    "lease",
    "lifecycle",
    "policy",
    "reasons",
    "settings",
}

#: What a run spends its time in besides the core.
BESIDES = (
    "haizea/accounting/counter.py",
    "haizea/accounting/counter_rows.py",
    "haizea/accounting/delivery.py",
    "haizea/accounting/figures.py",
    "haizea/accounting/held.py",
    "haizea/accounting/lease_rows.py",
    "haizea/accounting/leases.py",
    "haizea/accounting/limited.py",
    "haizea/accounting/probes/cpu.py",
    "haizea/accounting/probes/leases.py",
    "haizea/accounting/results.py",
    "haizea/accounting/rows.py",
    "haizea/accounting/underway.py",
    "haizea/backends/simulated.py",
    "haizea/loop.py",
    "haizea/policies/host_selection.py",
    "haizea/workloads/swf.py",
)

#: What compiling needs: the compiler comes with mypy, and looks at the types first.
COMPILER = ["mypy>=1.11", "types-PyYAML", "types-python-dateutil"]

#: Commands that build. Others only ask for the package's name, or for what building needs.
BUILDING = {"bdist_wheel", "build", "build_ext", "develop", "editable_wheel", "install"}

ASKED = os.environ.get("HAIZEA_COMPILE", "") not in {"", "0"}


def extensions() -> list[Extension]:
    """The modules, as C."""
    from mypyc.build import mypycify

    core = Path("haizea/core")
    modules = sorted(str(path) for path in core.rglob("*.py") if path.stem not in INTERPRETED)
    found: list[Extension] = mypycify(
        [*modules, *BESIDES], opt_level=os.environ.get("MYPYC_OPT_LEVEL", "3"), debug_level="0"
    )
    return found


if not ASKED:
    setup()
elif BUILDING & set(sys.argv):
    setup(ext_modules=extensions())
else:
    setup(setup_requires=COMPILER)
