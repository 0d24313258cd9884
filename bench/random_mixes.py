"""Share of what could be promised that is, on sites and for requests that are drawn at random.

As :mod:`bench.promises` and, with deadlines, :mod:`bench.windows`, whose mixes were chosen: here
hosts, sizes, lengths, lead times, jobs among the requests and load are drawn anew for each mix.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, replace
from random import Random

from bench import promises, windows
from bench.promises import DEFAULTS, Mix, Outcome

_REQUESTS = 200
#: Cores of hosts and of nodes, which fit on some host.
_HOSTS = (1, 2, 4, 8, 16)
_NODES = (1, 2, 3, 4, 5, 6, 8)
#: Work that is asked for, of what all hosts could do.
_LEAST_LOAD, _MOST_LOAD = 0.8, 2.5


def drawn(number: int, least_hosts: int, most_hosts: int, *, deadlines: bool) -> Mix:
    """The mix of this number; with ``deadlines`` some of its requests that are no jobs have one."""
    random = Random(f"mix-{number}")
    hosts = random.randint(least_hosts, most_hosts)
    alike = random.randrange(3) == 0
    cores = (random.choice(_HOSTS[:-1]),) * hosts if alike else _unequal(random, hosts)
    able = [size for size in _NODES if size <= max(cores)]
    sizes = tuple(sorted(random.sample(able, random.randint(1, min(4, len(able))))))
    most_nodes, most_seconds = random.randint(1, 4), random.choice((900, 1800, 3600))
    mix = Mix(
        name=f"random {number}",
        cores=cores,
        sizes=sizes,
        most_nodes=most_nodes,
        requests=_REQUESTS,
        lead_seconds=random.choice((3600, 7200, 14400)),
        most_seconds=most_seconds,
        waiting=random.choice((0, 0, 30, 50)),
        windows=windows.WINDOWS if deadlines else 0,
    )
    work = sum(sizes) / len(sizes) * (1 + most_nodes) / 2 * (mix.least_seconds + most_seconds) / 2
    load = random.uniform(_LEAST_LOAD, _MOST_LOAD)
    return replace(mix, gap_seconds=max(1, round(work / load / sum(cores))))


def _unequal(random: Random, hosts: int) -> tuple[int, ...]:
    return tuple([random.choice(_HOSTS[1:]) for _ in range(hosts)])


def main(say: Callable[[str], None] = print) -> None:
    """Measure mixes that are drawn, and print a line of JSON for each."""
    parser = ArgumentParser(description=main.__doc__)
    parser.add_argument("first", type=int, help="number of the first mix")
    parser.add_argument("count", type=int, help="so many mixes")
    parser.add_argument("--deadlines", action="store_true", help="half of the requests have one")
    parser.add_argument("--hosts", default="5-20", help="from so many to so many: 5-20")
    asked = parser.parse_args()
    least, most = [int(part) for part in asked.hosts.split("-")]
    measure = windows.run if asked.deadlines else promises.run
    for number in range(asked.first, asked.first + asked.count):
        mix = drawn(number, least, most, deadlines=asked.deadlines)
        outcome = Outcome(name=mix.name, seeds=str(number))
        measure(mix, number, outcome, DEFAULTS)
        say(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
