"""Ends a service from another process, which needs nothing of what a service is made of.

So ``haizea -c FILE --stop`` does not take longer to begin than a service takes to end.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from haizea.locks import is_taken
from haizea.service.paths import Paths

#: So long, in seconds, a service may take to end after it was asked to.
_END_SECONDS = 30.0


class NotStopped(Exception):
    """There is no service to stop, or it does not end; the message says which."""


def stop(configuration: Path, state_directory: Path) -> str:
    """End the service of a configuration and wait until it has; a word about it.

    Raises :class:`NotStopped`.
    """
    paths = Paths.of(state_directory)
    pid = paths.read_pid()
    # The number of one that was killed may be another process's by now.
    if not is_taken(paths.lock):
        raise NotStopped(f"no service of {configuration} runs: there is nothing to stop")
    if pid is None or not _alive(pid):
        raise NotStopped(
            f"a service of {configuration} runs, but {paths.pid} does not say which process it is:"
            f" try again if it is just starting, or find it (fuser {paths.lock}) and end it with"
            " SIGTERM"
        )
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while _alive(pid):
        if time.monotonic() > deadline:
            raise NotStopped(
                f"process {pid} has not ended within {_END_SECONDS:.0f} s; see its log"
            )
        time.sleep(0.05)
    return f"process {pid} has ended"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise NotStopped(
            f"process {pid} is another user's: it has to be stopped by that user"
        ) from None
    return True
