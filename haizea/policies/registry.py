"""From the names in a configuration to the policies of a scheduler."""

from __future__ import annotations

from typing import cast

from haizea.core.model.policy import (
    AdmissionPolicy,
    HostSelectionPolicy,
    Policies,
    PreemptionPolicy,
    QueueOrderPolicy,
)
from haizea.plugins import ADMISSION, HOST_SELECTION, PREEMPTION, QUEUE_ORDER, find


def make_policies(
    *,
    admission: str = "accept-all",
    preemption: str = "no-preemption",
    queue_order: str = "submission",
    host_selection: str = "greedy",
) -> Policies:
    """The policies with these names: short names, entry points or dotted paths.

    Raises :class:`haizea.plugins.PluginError` for the first name that stands for none.
    """
    return Policies(
        admission=cast(AdmissionPolicy, find(ADMISSION, admission)),
        preemption=cast(PreemptionPolicy, find(PREEMPTION, preemption)),
        queue_order=cast(QueueOrderPolicy, find(QUEUE_ORDER, queue_order)),
        host_selection=cast(HostSelectionPolicy, find(HOST_SELECTION, host_selection)),
    )
