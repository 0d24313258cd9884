"""Probes: what collects figures while a run goes on.

``[accounting] probes`` names those of a run: short names of those that come with Haizea,
entry points of the group ``haizea.probes``, or ``package.module.Class``. How to write one
is in ``docs/probes.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import cast

from haizea import plugins
from haizea.accounting.probes.base import Probe

__all__ = ["PROBES", "Probe", "make_probes"]

PROBES = dataclasses.replace(
    plugins.PROBES,
    methods=("begin", "note", "figures"),
    builtin={
        "ar": "haizea.accounting.probes.leases.ArProbe",
        "best-effort": "haizea.accounting.probes.leases.BestEffortProbe",
        "immediate": "haizea.accounting.probes.leases.ImmediateProbe",
        "cpu-utilization": "haizea.accounting.probes.cpu.CpuUtilizationProbe",
        "disk-usage": "haizea.accounting.probes.disk.DiskUsageProbe",
    },
)


def make_probes(names: Iterable[str]) -> list[Probe]:
    """New probes with these names, in order; a name given twice makes one probe.

    Raises :class:`haizea.plugins.PluginError` for the first name that stands for none.
    """
    return [cast(Probe, plugins.find(PROBES, name)) for name in dict.fromkeys(names)]
