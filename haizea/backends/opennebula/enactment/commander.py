"""Sends commands, several at once, without anybody waiting for them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from haizea.backends.opennebula.model.errors import (
    OpenNebulaError,
    RefusalKind,
    Refused,
    Unreachable,
)
from haizea.backends.opennebula.state.steps import Verb
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.commands import Action, Recovery

_log = logging.getLogger(__name__)

_ACTIONS = {
    Verb.RESUME: Action.RESUME,
    Verb.STOP: Action.STOP,
    Verb.SUSPEND: Action.SUSPEND,
    Verb.UNDEPLOY: Action.UNDEPLOY_HARD,
    Verb.TERMINATE: Action.TERMINATE,
    Verb.TERMINATE_HARD: Action.TERMINATE_HARD,
}
_RECOVERIES = {
    Verb.RETRY: Recovery.RETRY,
    Verb.FAIL: Recovery.FAILURE,
    Verb.RECREATE: Recovery.RECREATE,
    Verb.DELETE: Recovery.DELETE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command for a VM; ``host`` and ``datastore`` by OpenNebula's numbers."""

    vm: int
    verb: Verb
    host: int | None = None
    datastore: int | None = None

    def __str__(self) -> str:
        where = f" on host {self.host}" if self.host is not None else ""
        return f"{self.verb} VM {self.vm}{where}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of sending an order, ``at`` by the steady clock.

    ``error`` is empty where it was accepted. ``unreachable`` says that OpenNebula did not
    answer, ``sure`` that the order was not carried out.
    """

    order: Order
    error: str = ""
    kind: RefusalKind | None = None
    unreachable: bool = False
    sure: bool = True
    at: float = field(default_factory=time.monotonic)


class Commander:
    """Sends orders from ``threads`` threads and tells the answers, from those threads.

    In a ``dry_run`` nothing is sent, and every order is accepted.
    """

    def __init__(
        self, client: Client, threads: int, tell: Callable[[Answer], None], *, dry_run: bool = False
    ) -> None:
        self._client = client
        self._tell = tell
        self._dry_run = dry_run
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"opennebula command {n}", daemon=True)
            for n in range(1, threads + 1)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, order: Order) -> None:
        """Have an order sent; returns at once."""
        self._orders.put(order)

    def close(self) -> None:
        """Send nothing more, once what was taken is answered."""
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            self._tell(self._sent(order))

    def _sent(self, order: Order) -> Answer:
        if self._dry_run:
            _log.info("dry run: %s", order)
            return Answer(order)
        try:
            self._give(order)
        except Unreachable as error:
            return Answer(order, str(error), unreachable=True, sure=not error.maybe_done)
        except Refused as refusal:
            return Answer(order, str(refusal), kind=refusal.kind)
        except OpenNebulaError as error:
            return Answer(order, str(error), sure=False)
        except Exception:
            _log.exception("%s failed, which is a bug in Haizea", order)
            return Answer(order, "it could not be sent", sure=False)
        _log.debug("%s", order)
        return Answer(order)

    def _give(self, order: Order) -> None:
        verb, client = order.verb, self._client
        if verb in _ACTIONS:
            client.action(_ACTIONS[verb], order.vm)
        elif verb in _RECOVERIES:
            client.recover(order.vm, _RECOVERIES[verb])
        else:
            assert order.host is not None, "it goes to a host"
            if verb is Verb.DEPLOY:
                client.deploy(order.vm, order.host, datastore=order.datastore)
            else:
                client.migrate(order.vm, order.host, datastore=order.datastore)
