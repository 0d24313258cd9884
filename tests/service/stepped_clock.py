"""The ``haizea`` command on a machine whose clock was set.

Its first argument is a file with the seconds by which the system's clock is put forward, or
back if they are negative, at the present moment.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_true = time.time
_file = Path(sys.argv.pop(1))


def _stepped() -> float:
    return _true() + float(_file.read_text(encoding="ascii"))


if __name__ == "__main__":
    # Before anything is imported that may keep the function.
    time.time = _stepped
    from haizea.cli.main import main

    main()
