"""Effect of Ctrl-C before a command has begun, while it imports, and after it is over.

While it works, Ctrl-C is a :class:`KeyboardInterrupt`, as it is in Python; who runs Haizea with
SIGINT ignored (a job of a script, behind ``&``) has it ignored throughout.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130

#: Whether this process is a console script's that Ctrl-C is for.
_in_script = False


@contextmanager
def console_script() -> Iterator[None]:
    """All that a process does. What comes after it is not interrupted: everything is done."""
    global _in_script
    _in_script = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        yield
    finally:
        if _in_script:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        _in_script = False


@contextmanager
def ending_at_once() -> Iterator[None]:
    """While a console script imports, have Ctrl-C end it: there is nothing to be put in order.

    An exception would not do: it is lost where the interpreter calls back amid an import, and
    taken for a module that does not work where one can be done without.
    """
    if not _in_script:
        yield
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, frame: object) -> None:
    os._exit(INTERRUPTED)
