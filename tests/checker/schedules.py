"""Schedules that are right, and ways to change one thing about them."""

from __future__ import annotations

from pathlib import Path

from results_builder import Lease, Results

from haizea.checker import Violation, check_file

Found = tuple[str, int | None, int | None, int | None]


def found(results: Results, tmp_path: Path) -> list[Found]:
    tmp_path.mkdir(exist_ok=True)
    violations: tuple[Violation, ...] = check_file(results.write(tmp_path / "r")).violations
    return [(v.rule.value, v.lease, v.host, v.time) for v in violations]


def plain() -> Results:
    """Three best-effort leases one after another, and an AR."""
    r = Results()
    r.best_effort(1, 100, 100, 50, 0, 1)
    r.best_effort(2, 110, 150, 100, 0)
    r.best_effort(3, 120, 150, 30, 1, code="early-end", asked=60)
    r.reserved(4, 130, 1000, 200, 0, 1)
    return r


def preempting() -> Results:
    """A lease is suspended for an AR, with an overhead of 32 s, and resumes after it."""
    r = Results(hosts=1).option(
        suspension="all", policy_preemption="ar-preempts-everything", backfilling="off"
    )
    r.suspended(1, (100, 700), 0, suspend=468, code="preempted")
    r.reserved(9, 200, 500, 200, 0)
    return r


def dropping() -> Results:
    """The same where suspension is not allowed: it starts over."""
    r = Results(hosts=1).option(policy_preemption="ar-preempts-everything")
    lease = r.lease(Lease(1, "best-effort", 100, 1000, preemptible=True))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(500, "Queued", code="preempted", reason="its hosts go to lease 9")
    lease.then(700, "Scheduled", "Ready", "Active").then(1700, "Done", code="duration-over")
    r.work(lease, "run", 100, 500, 0)
    r.work(lease, "run", 700, 1700, 0)
    r.reserved(9, 200, 500, 200, 0)
    return r


def hole() -> Results:
    """A lease starts in a hole before an AR and is suspended when the hole ends."""
    r = Results(hosts=1).option(suspension="all", policy_preemption="no-preemption")
    r.reserved(9, 50, 500, 200, 0)
    r.suspended(1, (100, 700), 0, suspend=468, code="hole")
    return r


def shutting_down() -> Results:
    r = Results(hosts=1).option(shutdown_time="10", enactment_overhead="2")
    lease = r.lease(Lease(1, "best-effort", 100, 100))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(200, "Done", code="duration-over")
    r.work(lease, "run", 100, 188, 0)
    r.work(lease, "shutdown", 188, 200, 0)
    return r


def moving() -> Results:
    """A lease moves from one host to another: 1024 MB at 100 Mbit/s."""
    r = Results(hosts=2).option(
        suspension="all", policy_preemption="ar-preempts-everything", migration="yes"
    )
    r.options["simulation", "imagetransfer-bandwidth"] = "100"
    lease = r.lease(Lease(1, "best-effort", 100, 1000, preemptible=True))
    lease.then(100, "Queued", "Scheduled", "Ready", "Active")
    lease.then(468, "Suspending", code="preempted", reason="its hosts go to lease 9")
    lease.then(500, "Suspended-Pending", "Suspended-Queued")
    lease.then(600, "Suspended-Scheduled", "Migrating").then(682, "Suspended-Scheduled", "Resuming")
    lease.then(714, "Resumed-Ready", "Active").then(1346, "Done", code="duration-over")
    r.work(lease, "run", 100, 468, 0)
    r.work(lease, "suspend", 468, 500, 0)
    r.work(lease, "migrate", 600, 682, 1)
    r.work(lease, "resume", 682, 714, 1)
    r.work(lease, "run", 714, 1346, 1)
    r.reserved(9, 200, 500, 2000, 0)
    r.reserved(8, 90, 300, 300, 1)
    return r


def backfilling() -> Results:
    """Lease 2 waits for both hosts until 1100; lease 3 overtakes and is gone by then."""
    r = Results().option(backfilling="aggressive")
    r.best_effort(1, 100, 100, 1000, 0)
    r.best_effort(2, 200, 1100, 100, 0, 1)
    r.best_effort(3, 300, 300, 800, 1)
    return r


def with_images() -> Results:
    """Images of 100 MB at 100 Mbit/s take 8 s, one after another."""
    r = Results()
    r.options["general", "lease-preparation"] = "imagetransfer"
    r.options["simulation", "imagetransfer-bandwidth"] = "100"
    for number, host, begin in ((1, 0, 100), (2, 1, 108)):
        lease = r.lease(Lease(number, "immediate", 100, 50, image="a.img", image_mb=100))
        lease.then(100, "Scheduled").then(begin, "Preparing").then(begin + 8, "Ready", "Active")
        lease.then(begin + 58, "Done", code="duration-over")
        r.rows.append((number, "transfer", host, begin, begin + 8, 0, 0))
        r.work(lease, "run", begin + 8, begin + 58, host)
    return r


def refusing() -> Results:
    """An AR and an immediate lease find no room, and one lease is larger than the site."""
    r = Results(hosts=1)
    r.reserved(1, 100, 500, 200, 0)
    r.lease(Lease(2, "ar", 110, 100, start=600)).then(110, "Rejected", code="no-room")
    r.lease(Lease(3, "immediate", 550, 10)).then(550, "Rejected", code="no-room")
    r.lease(Lease(4, "best-effort", 560, 10, 2)).then(560, "Rejected", code="too-big")
    return r


def row(r: Results, lease: int, purpose: str, new: dict[int, int], nth: int = 0) -> None:
    """Change columns (by index) of a lease's nth reservation for a purpose."""
    at = [i for i, x in enumerate(r.rows) if x[0] == lease and x[1] == purpose][nth]
    values = list(r.rows[at])
    for column, value in new.items():
        values[column] = value
    r.rows[at] = tuple(values)  # type: ignore[assignment]


def of(r: Results, number: int) -> Lease:
    return next(lease for lease in r.leases if lease.id == number)


def retime(lease: Lease, times: dict[int, int]) -> None:
    lease.story = [(times.get(t, t), *rest) for t, *rest in lease.story]  # type: ignore[misc]


HOST, START, END, CPU = 2, 3, 4, 5
