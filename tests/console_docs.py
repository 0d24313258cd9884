"""Runs the console examples of a page of documentation, one after another, as a reader would.

In a ```` ```console ```` fence a line that begins with ``$ `` is a command, and what
follows is what it prints, on whichever stream. ``...`` stands for any text within a line,
and for any lines where it is alone.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
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
        """Tell whether this is what was said to be printed."""
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
    found = {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    server = home / ".server"
    return found | ({"HAIZEA_SERVER": server.read_text("utf-8")} if server.exists() else {})


#: Ports that pages show, and that tests beside this one may use as well.
_PORTS = ("42493", "2633", "2101")


def on_free_ports(text: str, directory: Path) -> str:
    """The page, and the samples in ``directory``, with free ports in place of the usual ones."""
    with ExitStack() as exits:
        taken = [exits.enter_context(socket.socket()) for _ in _PORTS]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        ports = {old: str(one.getsockname()[1]) for old, one in zip(_PORTS, taken, strict=True)}

    def moved(old: str) -> str:
        return re.sub(rf"\b({'|'.join(_PORTS)})\b", lambda found: ports[found[1]], old)

    for sample in (directory / "etc").glob("*.conf"):
        sample.write_text(moved(sample.read_text("utf-8")), "utf-8")
    (directory / ".server").write_text(f"http://127.0.0.1:{ports['42493']}", "utf-8")
    return moved(text)


def run_examples(text: str, directory: Path, more: Mapping[str, str] | None = None) -> list[str]:
    """Run all examples of a page in ``directory``; answers what is not as the page says.

    ``more`` is in their environment, too. A service that a page starts is stopped if the page
    does not do it.
    """
    try:
        return _run_examples(on_free_ports(text, directory), directory, more or {})
    finally:
        for file in directory.rglob("haizea.pid"):
            with suppress(OSError, ValueError):
                os.kill(int(file.read_text("utf-8")), signal.SIGTERM)


def _run_examples(text: str, directory: Path, more: Mapping[str, str]) -> list[str]:
    wrong = []
    for example in examples(text):
        done = subprocess.run(
            ["bash", "-c", example.command],
            cwd=directory,
            env={**environment(directory), **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        shows_error = re.search("^Error: ", example.output, re.MULTILINE) is not None
        if not example.matches(done.stdout) or (done.returncode != 0) != shows_error:
            wrong.append(
                f"line {example.line}: $ {example.command}\nexit status {done.returncode},"
                f" said to print:\n{example.output}\nprinted:\n{done.stdout}"
            )
    return wrong
