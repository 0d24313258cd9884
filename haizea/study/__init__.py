"""Studies: hundreds of runs from one file, made once each, and the tables that come of them.

In a notebook, ``haizea.study.load("directory")`` has the results as data frames.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haizea.study.frames import Frames

__all__ = ["load"]


def load(directory: str | os.PathLike[str]) -> Frames:
    """The results of the study whose directory this is.

    Raises :class:`haizea.study.directory.StudyError` where there are none.
    """
    # What it needs is an extra, and takes a second to import.
    from haizea.study.frames import read_frames

    return read_frames(directory)
