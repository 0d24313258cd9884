"""The workload model of Lublin and Feitelson: how big, how long and when batch jobs are.

Source: U. Lublin, D. G. Feitelson, "The Workload on Parallel Supercomputers: Modeling the
Characteristics of Rigid Jobs", Journal of Parallel and Distributed Computing 63(11), 2003.
The constants are the paper's for batch jobs; the authors' own program (``lublin99.c``, in
the Parallel Workloads Archive) has the same.

Random numbers come from :class:`random.Random`, whose ``random()`` and ``gammavariate()``
give the same numbers for a seed in every Python from 3.11 to 3.13.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from random import Random

SLOTS = 48
SLOT_SECONDS = 1800
DAY_SECONDS = SLOTS * SLOT_SECONDS


@dataclass(frozen=True, slots=True)
class LublinModel:
    """The model's parameters, called as in the paper, with its values for batch jobs."""

    # Sizes. A job is serial with one probability and has a power of two of nodes with
    # another; log2 of a parallel size is uniform in [u_low, u_med] with probability
    # u_prob, else uniform in [u_med, u_high]. u_high is log2 of the machine's size.
    serial_prob: float = 0.2927
    pow2_prob: float = 0.6686
    u_low: float = 1.2
    u_med: float = 5.0
    u_high: float = 7.0
    u_prob: float = 0.875

    # Run times. ln(seconds) is hyper-gamma: gamma(a1, b1) with probability
    # p = pa × nodes + pb, else gamma(a2, b2); gamma(shape, scale).
    a1: float = 6.57
    b1: float = 0.823
    a2: float = 639.1
    b2: float = 0.0156
    pa: float = -0.003
    pb: float = 0.6986

    # Arrivals. ln(seconds) between two jobs in the rush hours is gamma(a_arr × arar, b_arr):
    # "arar" turns the figure of the rush hours into one of the whole day. How many jobs
    # a half-hour gets is proportional to gamma(a_num, b_num), the day starting at slot 11.
    a_arr: float = 6.0415
    b_arr: float = 0.8531
    arar: float = 1.0519
    a_num: float = 6.1271
    b_num: float = 5.2740
    first_slot: int = 11

    # Draws beyond these are made again (from the authors' program): e^12 s are about two
    # days of running, e^13 s about five days between two jobs.
    most_ln_runtime: float = 12.0
    most_ln_gap: float = 13.0
    # Not of the paper: where the site ends jobs at a limit, many run just as long. What is
    # drawn beyond most_ln_runtime does so, too, rather than being drawn again.
    has_limit: bool = False

    @staticmethod
    def for_nodes(nodes: int) -> LublinModel:
        """The model for a machine of another size than the paper's 128 nodes.

        As the authors advise, ``u_high`` is log2 of the machine's size, and ``u_med`` lies
        1.5 to 3.5 below it: 2, as in their values for 128 nodes.
        """
        high = math.log2(nodes)
        low = min(1.2, high)
        return LublinModel(u_low=low, u_med=max(low, high - 2.0), u_high=high)

    def size(self, rng: Random) -> int:
        """Return the number of nodes that a job needs."""
        kind = rng.random()
        if kind <= self.serial_prob:
            return 1
        if rng.random() <= self.u_prob:
            low, high = self.u_low, self.u_med
        else:
            low, high = self.u_med, self.u_high
        log2 = low + (high - low) * rng.random()
        if kind <= self.serial_prob + self.pow2_prob:
            log2 = math.floor(log2 + 0.5)
        # Rounding log2 up may step over a machine whose size is no power of two.
        return min(math.floor(2**log2 + 0.5), math.floor(2**self.u_high + 0.5))

    def runtime_seconds(self, nodes: int, rng: Random) -> int:
        """Return how long a job of this size runs; at least one second."""
        p = min(1.0, max(0.0, self.pa * nodes + self.pb))
        while True:
            first = rng.random() <= p
            ln = rng.gammavariate(self.a1, self.b1) if first else rng.gammavariate(self.a2, self.b2)
            if self.has_limit:
                ln = min(ln, self.most_ln_runtime)
            if ln <= self.most_ln_runtime:
                return max(1, math.floor(math.exp(ln)))

    def gap_seconds(self, rng: Random) -> float:
        """Time between two arrivals, on a clock that runs as fast as jobs arrive.

        :class:`DailyCycle` turns that clock's time into time of day.
        """
        while True:
            ln = rng.gammavariate(self.a_arr * self.arar, self.b_arr)
            if ln <= self.most_ln_gap:
                return math.exp(ln)


class DailyCycle:
    """Activity in each half-hour of the day, relative to the mean; days start at midnight.

    *Busy time* runs faster than real time when many jobs arrive and slower at night; over
    a whole day both run equally far.
    """

    def __init__(self, model: LublinModel) -> None:
        weights = [0.0] * SLOTS
        for slot in range(model.first_slot, model.first_slot + SLOTS):
            upper = gamma_cdf(slot + 0.5, model.a_num, model.b_num)
            weights[(slot - 1) % SLOTS] = upper - gamma_cdf(slot - 0.5, model.a_num, model.b_num)
        mean = sum(weights) / SLOTS
        self.weights = [w / mean for w in weights]
        self._passed = [0.0, *accumulate(w * SLOT_SECONDS for w in self.weights)]
        self._passed[-1] = float(DAY_SECONDS)

    def busy(self, seconds: float) -> float:
        """Busy time passed when this much real time has passed since midnight."""
        days, rest = divmod(seconds, DAY_SECONDS)
        slot, within = divmod(rest, SLOT_SECONDS)
        index = min(int(slot), SLOTS - 1)
        return days * DAY_SECONDS + self._passed[index] + within * self.weights[index]

    def real(self, busy_seconds: float) -> float:
        """The inverse of :meth:`busy`."""
        days, rest = divmod(busy_seconds, DAY_SECONDS)
        index = min(bisect_right(self._passed, rest) - 1, SLOTS - 1)
        within = (rest - self._passed[index]) / self.weights[index]
        return days * DAY_SECONDS + index * SLOT_SECONDS + min(within, SLOT_SECONDS)


def gamma_cdf(x: float, shape: float, scale: float) -> float:
    """The distribution function of gamma(shape, scale), by its power series.

    The series ``x^a e^-x / Γ(a+1) × Σ x^n / ((a+1)…(a+n))`` converges for every x; some
    hundred terms are enough where x is a few times the mean, as it is here.
    """
    x /= scale
    if x <= 0:
        return 0.0
    term = total = 1.0
    n = 0
    while term > total * 1e-16:
        n += 1
        term *= x / (shape + n)
        total += term
    return min(1.0, total * math.exp(shape * math.log(x) - x - math.lgamma(shape + 1)))
