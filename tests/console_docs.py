"""Runs the console examples of a page of documentation, one after another, as a reader would.

In a ```` ```console ```` fence a line that begins with ``$ `` is a command, and what
follows is what it prints, on whichever stream. ``...`` stands for any text within a line,
and for any lines where it is alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A command, what it is said to print, and the line of the page where it stands."""

    line: int
    command: str
    output: str

    def matches(self, printed: str) -> bool:
        """Whether this is what was said to be printed."""
        pattern = ""
        for line in self.output.splitlines():
            if line.strip() == "...":
                pattern += r"(?:.*\n)*"
            else:
                pattern += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
        return re.fullmatch(pattern, printed) is not None


def examples(text: str) -> Iterator[Example]:
    """The examples of a page, in order."""
    for fence in _FENCE.finditer(text):
        line = text.count("\n", 0, fence.start(1)) + 1
        assert fence[1].startswith("$ "), f"line {line}: an example begins with a command"
        for part in re.split(r"^\$ ", fence[1], flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command += "\n" + more
            yield Example(line, command, output)
            line += part.count("\n")


def environment(home: Path) -> dict[str, str]:
    """The commands of this installation come first; nothing of the user's own is read."""
    commands = Path(sys.executable).parent
    path = f"{commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8"}


def run_examples(text: str, directory: Path) -> list[str]:
    """Run all examples of a page in ``directory``; answers what is not as the page says."""
    wrong = []
    for example in examples(text):
        done = subprocess.run(
            ["bash", "-c", example.command],
            cwd=directory,
            env=environment(directory),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        shows_error = re.search("^Error: ", example.output, re.MULTILINE) is not None
        if not example.matches(done.stdout) or (done.returncode != 0) != shows_error:
            wrong.append(
                f"line {example.line}: $ {example.command}\nexit status {done.returncode},"
                f" said to print:\n{example.output}\nprinted:\n{done.stdout}"
            )
    return wrong
