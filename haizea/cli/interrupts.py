"""What Ctrl-C does before a command has begun and after it is over.

While it runs, Ctrl-C is a :class:`KeyboardInterrupt`, as it is in Python; who runs Haizea with
SIGINT ignored (a job of a script, behind ``&``) has it ignored throughout.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130


@contextmanager
def ending_at_once() -> Iterator[None]:
    """While modules are imported, end the process: there is nothing to be put in order.

    An exception would not do: it is lost where the interpreter calls back amid an import, and
    taken for a module that does not work where one can be done without.
    """
    if not _listens():
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_at_the_end() -> None:
    """Once the interpreter ends, have nothing interrupted: all that was asked for is done."""
    if _listens():
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _listens() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _end(number: int, frame: object) -> None:
    os._exit(INTERRUPTED)
