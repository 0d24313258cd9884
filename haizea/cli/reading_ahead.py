"""Reading ahead: what comes next is waited for while what came is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Generic, TypeVar

_T = TypeVar("_T")


class _Next(Thread, Generic[_T]):
    """A thread that takes what is next; the process does not wait for it at its end."""

    def __init__(self, source: Iterator[_T]) -> None:
        super().__init__(name="reading ahead", daemon=True)
        self._source = source
        self._found: list[_T] = []
        self._wrong: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._found = [next(self._source)]
        except StopIteration:
            pass
        except BaseException as wrong:  # it is raised where it is waited for
            self._wrong = wrong

    def wait(self) -> list[_T]:
        """Return it, or nothing after the last. Raises what went wrong."""
        self.join()
        if self._wrong is not None:
            raise self._wrong
        return self._found


def read_ahead(source: Iterator[_T]) -> Iterator[_T]:
    """The same, each taken from ``source`` while the one before is worked on."""
    found = _Next(source).wait()
    while found:
        following = _Next(source)
        yield found[0]
        found = following.wait()
