"""Reading image lists: which disk images there are, and which lease boots from which.

Lines ``image size-MB``, a line that starts with ``#``, then one image name per lease.
"""

from __future__ import annotations

from pathlib import Path

from haizea.core.model.lease import DiskImage
from haizea.times import shown
from haizea.workloads import values
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import ImageList
from haizea.workloads.source import Source


def read_images(path: Path | str) -> ImageList:
    """The image list in a file; :class:`WorkloadError` says what is wrong with it."""
    source = Source(path)
    known: dict[str, DiskImage] = {}
    order: list[DiskImage] = []
    separator = False
    for number, line in source.text_lines():
        words = line.split()
        if not separator and words[0].startswith("#"):
            separator = True
        elif not separator:
            _define(source.name, number, words, known)
        elif len(words) != 1:
            raise WorkloadError(source.name, number, message="here is one image name per line")
        elif words[0] not in known:
            raise WorkloadError(
                source.name, number, message=values.unknown("image", words[0], known)
            )
        else:
            order.append(known[words[0]])
    if not separator:
        raise WorkloadError(
            source.name, message="there is no line '#' between the images and the leases' images"
        )
    return ImageList(tuple(order), source.name)


def _define(file: str, number: int, words: list[str], known: dict[str, DiskImage]) -> None:
    if len(words) != 2:
        raise WorkloadError(
            file, number, message="an image is NAME SIZE-IN-MB, as in base.img 2048"
        )
    name, size = words
    if name in known:
        raise WorkloadError(file, number, message=f"the image {shown(name)} is defined twice")
    try:
        known[name] = DiskImage(name, values.whole(size))
    except ValueError as wrong:
        raise WorkloadError(file, number, f"size of image {shown(name)}", str(wrong)) from None
