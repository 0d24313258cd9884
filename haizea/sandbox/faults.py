"""Faults: by chance, from a seed, or as told."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, fields

from haizea.sandbox.objects import Machine
from haizea.sandbox.states import Lcm

#: How a step ends.
DONE, FAIL, HANG = "done", "fail", "hang"
#: What the web server does instead of answering. With ``lose`` the call was carried out.
ERROR, CLOSE, STALL, LOSE = "error", "close", "stall", "lose"

#: Steps of the core itself, which no driver can spoil.
_SAFE = {Lcm.LCM_INIT, Lcm.FAILURE, Lcm.CLEANUP_DELETE, Lcm.CLEANUP_RESUBMIT}
#: By chance only those fail from which a VM comes back by itself or by a plain retry.
_TOUGH = {Lcm.EPILOG, Lcm.EPILOG_STOP, Lcm.EPILOG_UNDEPLOY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """Probabilities, from 0 to 1; ``slow_factor`` is how many times as long a slow step takes.

    ``fail``, ``slow`` and ``hang`` are of each step of an operation, ``refuse`` of each call
    that changes something, those of the web of each call.
    """

    fail: float = 0.0
    slow: float = 0.0
    slow_factor: float = 10.0
    hang: float = 0.0
    refuse: float = 0.0
    lose_event: float = 0.0
    repeat_event: float = 0.0
    swap_events: float = 0.1
    web_error: float = 0.0
    web_close: float = 0.0
    web_lose: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            most = 1e6 if each.name == "slow_factor" else 1.0
            if not 0 <= value <= most:
                raise ValueError(f"{each.name} must be from 0 to {most:g}, not {value}")


@dataclass(slots=True)
class Plan:
    """The planned end of the next steps of a kind; ``None`` matches every step, VM and host."""

    outcome: str
    lcm: Lcm | None = None
    vm: int | None = None
    host: int | None = None
    count: int = 1
    factor: float = 1.0

    def fits(self, vm: Machine, lcm: Lcm) -> bool:
        """Tell whether the plan is about this step of this VM."""
        host = vm.record.host_id if vm.record else None
        return self.lcm in (None, lcm) and self.vm in (None, vm.id) and self.host in (None, host)


class Faults:
    """Decides how steps end, which events are lost, and whether the web server answers."""

    def __init__(self, seed: int = 0, chances: Chances | None = None) -> None:
        self.chances = chances or Chances()
        self._random = random.Random(seed)
        self._event_random = random.Random(seed + 1)
        self._web_random = random.Random(seed + 2)
        self._call_random = random.Random(seed + 3)
        #: Decides how fast steps with a spread go.
        self.paces = random.Random(seed + 4)
        self.plans: list[Plan] = []
        self.refusals: list[str] = []
        # Requests are decided on by many threads, without the cloud's lock.
        self._web_lock = threading.Lock()
        self._web_mode = ""
        self._web_until = 0.0
        self._web_count = 0

    def step(self, vm: Machine, lcm: Lcm) -> tuple[str, float]:
        """Decide how this step ends, and how many times as long as usual it takes."""
        if lcm in _SAFE:
            return DONE, 1.0
        for plan in self.plans:
            if plan.fits(vm, lcm):
                plan.count -= 1
                if plan.count <= 0:
                    self.plans.remove(plan)
                return plan.outcome, plan.factor
        dice = self._random.random
        chances = self.chances
        if lcm not in _TOUGH:
            if dice() < chances.hang:
                return HANG, 1.0
            if dice() < chances.fail:
                return FAIL, 1.0
        return DONE, chances.slow_factor if dice() < chances.slow else 1.0

    def refuses(self, method: str) -> bool:
        """This call is answered by an internal error: planned for it or any, or by chance."""
        for planned in (method, ""):
            if planned in self.refusals:
                self.refusals.remove(planned)
                return True
        return self._call_random.random() < self.chances.refuse

    def event_copies(self) -> int:
        """The number of times that the next event is sent."""
        if self._event_random.random() < self.chances.lose_event:
            return 0
        return 2 if self._event_random.random() < self.chances.repeat_event else 1

    def swaps_events(self) -> bool:
        """The next event is sent after the one that follows."""
        return self._event_random.random() < self.chances.swap_events

    def break_web(self, mode: str, *, seconds: float = 0.0, count: int = 0) -> None:
        """Do ``mode`` to requests, for real ``seconds`` or to the next ``count``."""
        if mode not in (ERROR, CLOSE, STALL, LOSE, ""):
            raise ValueError(f"{mode!r} is not one of error, close, stall, lose")
        with self._web_lock:
            self._web_mode = mode
            self._web_until = time.monotonic() + seconds
            self._web_count = count

    def web(self) -> tuple[str, float]:
        """Decide what this request gets instead of an answer, and for how many seconds yet."""
        with self._web_lock:
            return self._web()

    def _web(self) -> tuple[str, float]:
        if self._web_count > 0:
            self._web_count -= 1
            return self._web_mode, 0.0
        left = self._web_until - time.monotonic()
        if left > 0:
            return self._web_mode, left
        chances = self.chances
        possible = (
            (ERROR, chances.web_error),
            (CLOSE, chances.web_close),
            (LOSE, chances.web_lose),
        )
        for mode, chance in possible:
            if self._web_random.random() < chance:
                return mode, 0.0
        return "", 0.0
