"""The part of ``docs/performance.md`` on what makes runs fast, and on what stays slow."""

from __future__ import annotations

TRIED = """\
## What was tried

What makes runs fast:

* looking at the whole queue only after something came free, and then only at leases whose size and
  length may fit ([`wait_queue.py`](../haizea/core/schedule/wait_queue.py));
* keeping what has started apart from what is to come
  ([present and future](decisions/0003-present-and-future.md)), and per size of node the sets of
  hosts that have room, as bits of one number;
* reservations of waiting leases as numbers where hosts are alike
  ([counting](decisions/0005-counting-and-reserving.md));
* elsewhere, looking for an earlier start before anything is changed, and at who is bound to hosts
  only once these have room ([looks](decisions/0096-looks-that-change-nothing.md));
* recording in large blocks: notes taken in a thousand at a time, rows two hundred to a statement,
  those that make no whole block waiting for more, averages worked out for thousands of values in
  one go;
* hosts chosen for a lease known as a set and as a list at once, and sets of hosts listed eight at a
  time from a table, which is worth most to wide leases;
* leaving out of a row what it leaves empty, which takes Python ten times as long to hand to SQLite
  as a number, and handing over once what all rows of a counter have in common;
* members of enumerations by names of their own
  ([`members.py`](../haizea/core/model/members.py)), because looking one up takes as long as ten
  other look-ups;
* looking for garbage less often, not at all while modules are imported and when all is over, and
  importing parsers only where a trace needs them;
* reading lines of whole numbers as such, and keeping what was read of a trace until the end: among
  the requests it would leave holes in memory, and what a long run makes would be scattered over
  them, a twentieth of the time of 200,000 jobs;
* [compiling](decisions/0008-compiling-the-core.md), which is left to the user.

What did not pay and was left out: remembering, within one look at the queue, what was refused to
leases beside reservations to come, for all that are as wide and as long (0.91, 1.05 and 1.08 times
as fast with 2,000, 8,000 and 16,000 reservations booked ahead); rows of results one by one, which
take twice the time; trees that keep keys in order, where a list of some thousand does; larger pages
and a larger cache in SQLite, which change nothing; smaller buffers, which cost more than they spare
the processor's cache; and other switches of the C compiler (hidden symbols, calls without a table),
because compiled code waits for Python's own objects, not for itself.

What would pay, and has another price: decisions made without their class being called, 1.5 %,
whose types nobody would check then; averages of counters worked out when they are read, 2 to 3 %,
which would not be the same to the last digit in every version of SQLite; requests that can be
changed, 1 to 2 %. A third of what recording takes is SQLite's own, a tenth of a microsecond a
value.

What stands between the figures and the targets that are missed is no single place, as the functions
named above show: a lease passes through many, from its line in the trace to its rows in the
results, and none of them takes more than a few percent. Starting up (`start-up` above) counts for
more the shorter a run is. A wide lease costs what its hosts cost: each of them is named in its
plan, in what is free, and in the results; the generated jobs have 86 nodes on average.

A lease of `blue-60` makes 293 Python calls and 309 of C. Fewer of them will not make it twice as
fast: from 429 to 327 gained little, 29 were 3 % of the time. By samples of runs the core has 54 %
of it, results and probes 28 % (8 % in SQLite), reading 7 %, what the loop calls besides 11 %;
Python's own loop takes 37 % of the samples, no function of C more than 4 %, looking for garbage
less than 1 %. To start up takes a tenth of it besides, a third of which goes into making classes.

*Deep conservative queues* of nodes of several sizes (`types-deep-…`, `types-bursts-…` and
`vms-conservative-…`) aim at three times the yardstick that counts in sums. There each lease that
waits has hosts and a start of its own, and is looked at whenever something comes free; the
yardstick never looks at a host. Most looks find nothing: what is left out of them is told in
[looks that change nothing](decisions/0096-looks-that-change-nothing.md) and
[counted before it is looked at](decisions/0097-counted-before-it-is-looked-at.md). Sets of hosts
by slice of time cost little to keep, but rule out only one search in thirteen. To come closer,
most leases would have to be passed over without being asked, which counting over all hosts cannot
justify where nodes take parts of them.

*Reservations beside jobs* (`ars-…`): with more of them each lease is suspended and resumed more
often, and that is what grows: *over states*, the time of those with suspension and migration is in
proportion. No function takes more than a few percent of it; a third goes into finding out what
hosts have room for and until when, for leases that begin in the gaps between what was promised.

*VMs of many sizes* (`vms-easy-1250`): hosts are looked for six times for each lease that begins,
and five times those that are found would delay the first in the queue. Such a refusal holds for as
many nodes or more of the same size until something begins; for larger nodes other hosts might be
chosen, so it says nothing of them.

*Images* (`images`) go to all hosts ahead of the leases that need them, so that these start sooner.
Copies that are alike on many hosts are [kept once](decisions/0098-copies-that-are-alike.md). Most
of what is left is looking, whenever the link is free, at who waits for which image.
"""
