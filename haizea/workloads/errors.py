"""The one error that reading a workload can end in."""

from __future__ import annotations


class WorkloadError(Exception):
    """An error in an input, and where it is; ``str()`` is one message for its author.

    ``file`` is the input's name as the user gave it, ``line`` counts from 1, ``element``
    is the part of the file that is wrong (``<res> of lease 3``, ``column duration``).
    """

    def __init__(
        self, file: str, line: int | None = None, element: str | None = None, message: str = ""
    ) -> None:
        super().__init__(file, line, element, message)
        self.file = file
        self.line = line
        self.element = element
        self.message = message

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f", line {self.line}"
        if self.element:
            place += f", {self.element}"
        return f"{place}: {self.message}"
