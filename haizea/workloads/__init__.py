"""Workload files → lease requests: what a trace says, in whatever format it is written.

:func:`read` takes any format; :func:`bind` turns the result into requests on a site.
``docs/formats.md`` describes the formats.
"""

from haizea.core.model.lease import Nodes
from haizea.workloads.errors import WorkloadError
from haizea.workloads.images import read_images
from haizea.workloads.model import (
    BoundWorkload,
    ImageList,
    LeftOut,
    Workload,
    WorkloadLease,
    WorkloadSite,
    bind,
    merge,
    site_of,
    with_images,
    with_memory,
    with_overheads,
)
from haizea.workloads.reader import Format, read
from haizea.workloads.swf import ReadOptions

__all__ = [
    "BoundWorkload",
    "Format",
    "ImageList",
    "LeftOut",
    "Nodes",
    "ReadOptions",
    "Workload",
    "WorkloadError",
    "WorkloadLease",
    "WorkloadSite",
    "bind",
    "merge",
    "read",
    "read_images",
    "site_of",
    "with_images",
    "with_memory",
    "with_overheads",
]
