"""Probes: what collects figures while a run goes on.

``[accounting] probes`` names those of a run: short names of those that come with Haizea,
entry points of the group ``haizea.probes``, or ``package.module.Class``. How to write one
is in ``docs/probes.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from haizea.accounting.probes.base import Probe
from haizea.plugins import PROBES, find

__all__ = ["Probe", "make_probes"]


def make_probes(names: Iterable[str]) -> list[Probe]:
    """New probes with these names, in order; a name given twice makes one probe.

    Raises :class:`haizea.plugins.PluginError` for the first name that stands for none.
    """
    return [cast(Probe, find(PROBES, name)) for name in dict.fromkeys(names)]
