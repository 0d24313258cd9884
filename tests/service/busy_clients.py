"""Clients that go on asking for leases and cancelling, whatever becomes of the service."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service_process import Client, Unanswered, written

#: What an answer may be that settles a request for a lease.
_SETTLED = {200, 201, 409}


@dataclass
class Answers:
    """Promises of the service to its clients, who rely on them."""

    #: By idempotency key: the lease of every answer, in the order of the answers.
    leases: dict[str, list[int]] = field(default_factory=dict)
    #: Leases whose cancellation was confirmed.
    cancelled: set[int] = field(default_factory=set)
    #: Statuses that were neither an answer nor a polite "later".
    odd: list[tuple[int, Any]] = field(default_factory=list)
    later: int = 0
    unanswered: int = 0


class BusyClients:
    """Threads that ask for leases until they are to end, and repeat what nobody answered.

    ``now`` reads the service's clock. ``pause_seconds`` is the mean time, of real time, between
    two requests of a client.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        connect: Callable[[], Client],
        now: Callable[[], float],
        pause_seconds: float,
    ) -> None:
        self.answers = Answers()
        self._now = now
        self._pause_seconds = pause_seconds
        self._connect = connect
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, args=(number, random.Random(f"{seed} {number}")))
            for number in range(count)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Ask for nothing new; wait until all that was asked is answered."""
        self._over.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "every request is answered in the end"

    def _work(self, number: int, chance: random.Random) -> None:
        client = self._connect()
        own: list[int] = []
        serial = 0
        while not self._over.wait(chance.expovariate(1 / self._pause_seconds)):
            if own and chance.random() < 0.15:
                self._cancel(client, own.pop(chance.randrange(len(own))))
                continue
            serial += 1
            lease = self._ask(client, f"client-{number}-{serial}", chance)
            own += [] if lease is None else [lease]
        client.close()

    def _ask(self, client: Client, key: str, chance: random.Random) -> int | None:
        draft = random_draft(chance, self._now(), key)
        while True:
            status, body = self._insist(lambda: client.submit(draft, key))
            if status not in _SETTLED:
                self._note_odd(status, body)
                return None
            lease: int = body["lease"]["id"]
            with self._lock:
                self.answers.leases.setdefault(key, []).append(lease)
            # Some answers get lost on their way, and so the client asks again.
            if chance.random() < 0.9:
                return lease

    def _cancel(self, client: Client, lease: int) -> None:
        status, body = self._insist(lambda: client.cancel(lease))
        if status == 200:
            with self._lock:
                self.answers.cancelled.add(lease)
        elif status != 409:
            self._note_odd(status, body)

    def _insist(self, call: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
        """Call until there is an answer."""
        while True:
            try:
                status, body = call()
            except Unanswered:
                with self._lock:
                    self.answers.unanswered += 1
                time.sleep(0.05)
                continue
            if status != 503:
                return status, body
            with self._lock:
                self.answers.later += 1
            time.sleep(0.05)

    def _note_odd(self, status: int, body: Any) -> None:
        with self._lock:
            self.answers.odd.append((status, body))


def random_draft(chance: random.Random, now: float, label: str) -> dict[str, Any]:
    """A request as they come in a busy hour."""
    kind = chance.choice(["ar", "immediate", "best-effort", "best-effort", "best-effort"])
    draft: dict[str, Any] = {
        "kind": kind,
        "duration": chance.randint(20, 300),
        "label": label,
        "nodes": [
            {
                "count": chance.randint(1, 3),
                "resources": {"CPU": chance.choice([50, 100]), "Memory": chance.choice([128, 512])},
            }
        ],
    }
    if kind == "ar":
        draft["start"] = written(now + chance.randint(60, 600))
    if kind == "best-effort":
        draft["preemptible"] = chance.random() < 0.8
    return draft
