"""The real ``haizea`` command as a service of its own process, to be killed and started again."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from configparser import ConfigParser
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

#: The command that is installed beside the Python that runs the tests.
HAIZEA = Path(sys.executable).with_name("haizea")

#: So long, in real seconds, something may take on a machine that is busy with other tests.
PATIENCE_SECONDS = 60.0

_AT_WORK = re.compile(r"Haizea is at work on (http://[\d.]+:(\d+))")

CONFIGURATION: Mapping[str, Mapping[str, str]] = {
    "general": {"mode": "simulated", "loglevel": "INFO"},
    "scheduling": {
        "backfilling": "aggressive",
        "suspension": "all",
        "migration": "yes",
        "policy-preemption": "ar-preempts-everything",
        "non-schedulable-interval": "1",
    },
    "simulation": {"clock": "real", "resources": "4 CPU:100 Memory:1024"},
    "service": {"listen": "127.0.0.1:0"},
    "world": {},
}


class Unanswered(Exception):
    """Nobody knows whether the service took notice of the request."""


class Running(Protocol):
    """A process that was started, as :class:`subprocess.Popen` has it."""

    pid: int

    def send_signal(self, number: int, /) -> None:
        """Send it a signal, if it is there."""

    def wait(self, seconds: float, /) -> int:
        """Wait until it has ended; its exit status."""

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""


class ServiceProcess:
    """A service with files of its own in ``directory``.

    ``options`` change its configuration: ``{"world": {"speed": "20"}}``. It has its store
    beside its state unless ``store`` names another. ``program`` is the command.
    """

    program: Sequence[str | Path] = (HAIZEA,)

    def __init__(
        self,
        directory: Path,
        options: Mapping[str, Mapping[str, str]] | None = None,
        store: str | None = None,
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.configuration = directory / "service.conf"
        self.state_directory = directory / "state"
        self.store = store or str(directory / "leases.db")
        self.world = directory / "world.db"
        self.process: Running | None = None
        self.starts = 0
        self.configure(options or {})

    def configure(self, options: Mapping[str, Mapping[str, str]]) -> None:
        """Write the configuration anew, with these options in place of others."""
        own = {
            "general": {"persistence-file": self.store},
            "service": {"state-directory": str(self.state_directory)},
            "world": {"file": str(self.world)},
        }
        parser = ConfigParser(interpolation=None)
        for part in (CONFIGURATION, own, options):
            for section, entries in part.items():
                parser.read_dict({section: entries})
        with self.configuration.open("w", encoding="utf-8") as file:
            parser.write(file)

    # --- life and death ---------------------------------------------------------------

    def begin(self, *options: str) -> None:
        """Start it in the foreground, with these options, without waiting."""
        assert self.process is None, "it runs"
        self.starts += 1
        self.process = self.launch(["--fg", "-c", self.configuration, *options])

    def launch(self, arguments: Sequence[str | Path]) -> Running:
        """Start the command with these arguments, its output in the log."""
        with self.log_file.open("wb") as log:
            return subprocess.Popen(
                [*self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self, *options: str) -> None:
        """Start it, and wait until it serves."""
        self.begin(*options)
        self.wait_until_it_serves()

    def wait_until_it_serves(self) -> None:
        """Wait for the line in its log that says so."""
        until(lambda: self.serving or self.ended, "the service serves")
        assert self.serving, self.account

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it by a signal; its exit status."""
        process = self.process
        assert process is not None, "it does not run"
        process.send_signal(number)
        status = process.wait(PATIENCE_SECONDS)
        self.process = None
        return status

    def wait(self) -> int:
        """Wait until it has ended by itself; its exit status."""
        assert self.process is not None, "it does not run"
        status = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return status

    def close(self) -> None:
        """See that nothing of it is left."""
        if self.process is not None:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what can be seen of it -------------------------------------------------------

    @property
    def ended(self) -> bool:
        """True if the process that was started last is over."""
        return self.process is None or self.process.poll() is not None

    @property
    def log_file(self) -> Path:
        """The log since the last start."""
        return self.directory / f"log-{self.starts}"

    @property
    def log(self) -> str:
        """The log since the last start."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def account(self) -> str:
        """The account of the last start: more than its log, which may be empty."""
        status = "not running" if self.process is None else self.process.poll()
        load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
        log = self.log if self.log_file.exists() else ""
        return f"start {self.starts}, exit status {status}, load {load}; log: {log or 'empty'}"

    @property
    def serving(self) -> bool:
        """True if it said, since the last start, that it serves."""
        return _AT_WORK.search(self.log) is not None

    @property
    def port(self) -> int | None:
        """The port that it said it serves on, since the last start."""
        try:
            found = _AT_WORK.search(self.log)
        except FileNotFoundError:
            return None
        return None if found is None else int(found[2])

    @property
    def url(self) -> str:
        """The address at which it serves."""
        found = _AT_WORK.search(self.log)
        assert found is not None, self.account
        return found[1]

    @property
    def token(self) -> str:
        """The secret of its first token, an operator's."""
        return (self.state_directory / "token").read_text(encoding="ascii").strip()

    def client(self) -> Client:
        """A client with the first token, that finds it wherever it serves at the moment."""
        return Client(lambda: self.port, self.token)

    def save_results(self, name: str = "service.results") -> Path:
        """Return what it did so far, as a results file."""
        path = self.directory / name
        path.unlink(missing_ok=True)
        done = command("save-results", str(self.configuration), str(path))
        assert done.returncode == 0, done.stderr
        return path


class Client:
    """One connection to a service at a time, for one thread. ``port`` finds the service."""

    def __init__(self, port: Callable[[], int | None], token: str, timeout: float = 45) -> None:
        self._port = port
        self._token = token
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._connected: int | None = None
        #: Of the last answer, if it had one.
        self.etag: str | None = None

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and body of the answer. Raises :class:`Unanswered`."""
        connection = self.send(method, path, body, headers)
        try:
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unanswered(repr(error)) from error
        self.etag = answer.headers.get("ETag")
        if "json" not in answer.headers.get("Content-Type", ""):
            return answer.status, text.decode()
        return answer.status, json.loads(text)

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPConnection:
        """Send a call, and leave its answer where it comes. Raises :class:`Unanswered`."""
        port = self._port()
        if port is None:
            raise Unanswered("it does not serve")
        if self._connection is None or self._connected != port:
            self.close()
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=self._timeout)
            self._connected = port
        content = None if body is None else json.dumps(body).encode()
        fields = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            self._connection.request(method, path, content, {**fields, **(headers or {})})
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unanswered(repr(error)) from error
        return self._connection

    def get(self, path: str) -> Any:
        """The body of a good answer."""
        status, body = self.call("GET", path)
        assert status == 200, (path, status, body)
        return body

    def submit(self, draft: Mapping[str, Any], key: str | None = None) -> tuple[int, Any]:
        """Ask for a lease."""
        return self.call("POST", "/v1/leases", draft, {"Idempotency-Key": key} if key else {})

    def cancel(self, lease: int) -> tuple[int, Any]:
        """End a lease."""
        return self.call("DELETE", f"/v1/leases/{lease}")

    def leases(self, query: str = "all=true") -> list[dict[str, Any]]:
        """The leases on all pages of a list."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.get(f"/v1/leases?limit=500&{query}{after}")
            found += page["leases"]
            if page["next"] is None:
                return found
            after = f"&after={page['next']}"

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``haizea`` with these arguments."""
    return subprocess.run(
        [HAIZEA, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS * 2,
        env={**os.environ, **environment},
    )


def until(
    true: Callable[[], object],
    what: str,
    patience_seconds: float = PATIENCE_SECONDS,
    pause_seconds: float = 0.02,
) -> None:
    """Wait until something is so; fails if that takes too long."""
    deadline = time.monotonic() + patience_seconds
    while not true():
        assert time.monotonic() < deadline, f"still waiting for this: {what}"
        time.sleep(pause_seconds)


def moment(text: str) -> int:
    """A time of an answer, in seconds since the epoch."""
    return int(datetime.fromisoformat(text).timestamp())


def written(seconds: float) -> str:
    """A moment as requests have it."""
    return datetime.fromtimestamp(int(seconds)).astimezone().isoformat()


def faults_of(results: Path) -> list[str]:
    """Return what the checker finds wrong with a results file."""
    from haizea.checker import check_file

    return [str(violation) for violation in check_file(results).violations]


def all_over(leases: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether every lease is in a final state."""
    final = {"Done", "Cancelled", "Rejected", "Failed"}
    return all(lease["state"] in final for lease in leases)
