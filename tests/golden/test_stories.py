"""Stories of traces: what their descriptions promise is what happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cases import CASES
from played import Played, clock, play

Run = Callable[[str], Played]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a case by its name."""

    def play_case(name: str) -> Played:
        directory = tmp_path / name
        directory.mkdir()
        case = CASES[name]
        return play(directory, case.sections(), case.loglevel)

    return play_case


def says(played: Played, time: str, words: str) -> bool:
    """Tell whether the log has these words at this time of the first day."""
    return any(line.startswith(f"[2006-11-25 {time}]") and words in line for line in lines(played))


def lines(played: Played) -> list[str]:
    return played.log.splitlines()


# --- the quick start, to the second ---------------------------------------------------------


def test_quickstart_a_reservation_suspends_a_batch_lease(run: Run) -> None:
    sample = run("sample")
    assert sample.times(1) == [
        ("run", "0:00:00", "0:29:28"),
        ("suspend", "0:29:28", "0:30:00"),
        ("resume", "1:00:00", "1:00:32"),
        ("run", "1:00:32", "1:31:04"),
    ]
    assert sample.times(2) == [("run", "0:30:00", "1:00:00")]
    assert sample.states() == {"Done": 2}


def test_quickstart_without_suspension_it_starts_over(run: Run) -> None:
    sample = run("sample-without-suspension")
    assert sample.runs(1) == [("0:00:00", "0:15:00"), ("1:00:00", "2:00:00")]
    assert says(sample, "13:15:00", "lease 1: Active -> Queued")
    assert sample.runs(2) == [("0:30:00", "1:00:00")]


def test_quickstart_with_image_transfers_the_reservation_is_still_on_time(run: Run) -> None:
    sample = run("sample-with-images")
    assert sample.times(1)[:2] == [
        ("transfer", "0:00:00", "0:01:22"),
        ("run", "0:01:22", "0:29:28"),
    ]
    assert sample.runs(2) == [("0:30:00", "1:00:00")]
    assert max(s.end for s in sample.of(2, "transfer")) <= 30 * 60


def test_quickstart_without_preemption_the_reservation_is_rejected(run: Run) -> None:
    sample = run("sample-without-preemption")
    assert sample.leases[2].state == "Rejected"
    assert sample.leases[2].reason.startswith("4 nodes asked, at most 3 free between")
    assert sample.runs(1) == [("0:00:00", "1:00:00")]


# --- traces that come with Haizea -----------------------------------------------------------


def test_preemption_takes_the_youngest_and_no_more_than_needed(run: Run) -> None:
    played = run("preemption")
    assert [lease for lease in played.leases if played.of(lease, "suspend")] == [4]
    assert [s.end for s in played.of(4, "suspend")] == [40 * 60]
    assert played.of(5, "run")[0].hosts == (5, 6, 7, 8)
    assert played.runs(5) == [("0:40:00", "1:10:00")]
    for lease in (1, 2, 3):
        assert len(played.runs(lease)) == 1


def test_preemption_without_suspension_starts_over(run: Run) -> None:
    played = run("preemption-without-suspension")
    assert played.runs(4) == [("0:06:00", "0:20:00"), ("1:10:00", "2:40:00")]
    for lease in (1, 2, 3):
        assert len(played.runs(lease)) == 1


def test_backfilling_off_nobody_overtakes(run: Run) -> None:
    played = run("backfilling-off")
    starts = [played.runs(lease)[0][0] for lease in (1, 2, 3, 4)]
    assert starts == ["0:00:00", "1:00:00", "1:40:00", "1:40:00"]


def test_backfilling_aggressive_lets_overtake_who_delays_nobody(run: Run) -> None:
    played = run("backfilling-aggressive")
    starts = [played.runs(lease)[0][0] for lease in (1, 2, 3, 4)]
    assert starts == ["0:00:00", "1:00:00", "0:10:00", "1:40:00"]


def test_backfilling_with_suspension_uses_a_hole_that_is_too_short(run: Run) -> None:
    played = run("backfilling-with-suspension")
    assert played.runs(2) == [("1:00:00", "1:40:00")]
    first, second = played.runs(4)
    assert first == ("0:40:00", "0:59:28")
    assert second[0] == "1:40:32"


def test_early_end_starts_the_next_at_once_but_no_reservation(run: Run) -> None:
    played = run("early-end")
    assert played.runs(1) == [("0:00:00", "0:25:00")]
    assert says(played, "13:05:00", "lease 2 is expected to start at 2006-11-25 15:00:00")
    assert played.runs(2)[0][0] == "0:25:00"
    assert played.runs(3) == [("1:30:00", "1:50:00")]


def test_image_list_gives_each_lease_its_image(run: Run) -> None:
    played = run("early-end-with-images")
    sent = {lease: played.of(lease, "transfer") for lease in (1, 2, 3)}
    # web.img has 2048 MB, base.img 1024 MB, and each host is sent a copy of its own.
    assert [s.end - s.start for s in sent[1]] == [164, 164]
    assert [s.end - s.start for s in sent[2]] == [82, 82, 82, 82]
    assert [s.end - s.start for s in sent[3]] == [164, 164]
    assert played.runs(3)[0][0] == "1:30:00"


def test_image_reuse_starts_at_once_where_the_image_is(run: Run) -> None:
    played = run("image-reuse")
    (host,) = played.of(1, "run")[0].hosts
    for lease, arrival in ((2, "0:45:00"), (4, "1:20:00")):
        assert played.of(lease, "transfer") == []
        assert played.of(lease, "run")[0].hosts == (host,)
        assert played.runs(lease)[0][0] == arrival
    assert played.times(3)[0] == ("transfer", "0:50:00", "0:55:28")


def test_image_reuse_without_caches_everyone_waits_for_a_transfer(run: Run) -> None:
    played = run("image-reuse-without-caches")
    assert all(len(played.of(lease, "transfer")) == 1 for lease in (1, 2, 3, 4))


def test_migration_goes_on_elsewhere(run: Run) -> None:
    played = run("migration")
    assert [s.hosts for s in played.of(2, "run")] == [(3, 4), (1, 2)]
    assert played.times(2)[1:4] == [
        ("suspend", "0:19:28", "0:20:00"),
        ("migrate", "0:30:00", "0:31:22"),
        ("resume", "0:31:22", "0:31:54"),
    ]


def test_without_migration_it_waits_for_its_own_hosts(run: Run) -> None:
    played = run("migration-no")
    assert [s.hosts for s in played.of(2, "run")] == [(3, 4), (3, 4)]
    assert played.times(2)[2] == ("resume", "2:20:00", "2:20:32")


def test_wait_runs_one_after_another(run: Run) -> None:
    played = run("wait")
    starts = [played.runs(lease)[0][0] for lease in range(1, 6)]
    assert starts == ["0:00:00", "0:10:00", "0:20:00", "0:30:00", "0:40:00"]


def test_leases_in_yaml_the_batch_job_runs_around_the_course(run: Run) -> None:
    played = run("leases")
    assert played.leases[1].kind == "immediate"
    assert played.runs(2) == [("1:00:00", "2:30:00")]
    assert len(played.of(2, "run")[0].hosts) == 6
    before, after = played.of(3, "run")
    assert before.end < 3600 < 2 * 3600 + 1800 < after.start
    # It really takes 2 h 20 min.
    assert before.end - before.start + after.end - after.start == 8400


def test_reservations_in_ten_columns(run: Run) -> None:
    played = run("reservations")
    starts = [lease.started for lease in played.leases.values()]
    assert starts == [7200, 28800, 57600, 97200, 151200]
    assert all(lease.kind == "ar" for lease in played.leases.values())


def test_reservations_beside_a_batch(run: Run) -> None:
    played = run("batch-with-reservations")
    assert played.states() == {"Done": 305}
    reserved = [lease for lease in played.leases.values() if lease.kind == "ar"]
    assert [lease.started for lease in reserved] == [7200, 28800, 57600, 97200, 151200]


# --- shared examples ------------------------------------------------------------------------


def test_migrate_the_third_lease_migrates_from_hosts_3_and_4_to_1_and_2(run: Run) -> None:
    played = run("example-migrate")
    assert [s.hosts for s in played.of(3, "run")] == [(3, 4), (1, 2)]
    assert played.of(3, "suspend")[0].hosts == (3, 4)
    (moved,) = played.of(3, "migrate")
    # It is there when the first lease leaves hosts 1 and 2.
    assert clock(moved.start) == played.runs(1)[0][1]
    assert clock(moved.start) < played.runs(2)[0][1]
    assert played.runs(1) == [("0:01:30", "1:01:30")]
    assert played.runs(2) == [("0:30:00", "1:30:00")]
    assert played.states() == {"Done": 3}


def test_preemption_example_a_running_lease_makes_room(run: Run) -> None:
    played = run("example-preemption")
    assert played.times(1)[1] == ("suspend", "0:29:28", "0:30:00")
    assert played.runs(2) == [("0:30:00", "1:00:00")]
    assert played.runs(1)[1] == ("1:00:32", "1:31:04")


def test_preemption_prematureend_the_rest_is_shorter(run: Run) -> None:
    played = run("example-preemption_prematureend")
    assert played.runs(2) == [("0:30:00", "0:45:00")]
    # 29:28 of 45:00 are done before.
    assert played.runs(1)[1] == ("0:45:32", "1:01:04")
    assert says(played, "14:01:04", "lease 1: Active -> Done: ended before its duration was over")


def test_preemption_prematureend2_it_resumes_when_the_reservation_ends_early(run: Run) -> None:
    played = run("example-preemption_prematureend2")
    assert played.runs(2) == [("0:30:00", "0:40:00")]
    assert played.runs(1)[1] == ("0:40:32", "0:56:04")


def test_reservation_the_second_lease_holds_a_future_reservation(run: Run) -> None:
    played = run("example-reservation")
    assert says(played, "13:15:00", "lease 2: Queued -> Scheduled")
    assert says(played, "13:15:00", "lease 2 is expected to start at 2006-11-25 14:00:00")
    assert played.runs(2) == [("1:00:00", "1:15:00")]


def test_reservation_prematureend_the_future_reservation_moves(run: Run) -> None:
    played = run("example-reservation_prematureend")
    assert says(played, "13:15:00", "lease 2 is expected to start at 2006-11-25 14:00:00")
    assert played.runs(1) == [("0:00:00", "0:30:00")]
    assert played.runs(2) == [("0:30:00", "0:45:00")]


def test_reuse1_the_second_lease_transfers_nothing(run: Run) -> None:
    played = run("example-reuse1")
    assert len(played.of(1, "transfer")) == 1
    assert played.of(2, "transfer") == []
    assert played.of(2, "run")[0].hosts == played.of(1, "run")[0].hosts
    assert played.runs(2) == [("0:45:00", "1:00:00")]


def test_reuse2_the_third_lease_runs_where_its_image_is(run: Run) -> None:
    played = run("example-reuse2")
    assert played.of(2, "run")[0].hosts == (3, 4)
    assert played.of(3, "transfer") == []
    assert set(played.of(3, "run")[0].hosts) <= {3, 4}
    assert played.runs(3) == [("0:45:00", "1:00:00")]


def test_sample_with_its_requests_commented_out_ends_where_it_begins(run: Run) -> None:
    played = run("example-sample")
    assert played.leases == {}
    assert lines(played) == ["[2006-11-25 13:00:00] STATUS the run is complete; 0 of 0 submitted"]


def test_wait_all_but_the_first_wait(run: Run) -> None:
    played = run("example-wait")
    starts = [played.runs(lease)[0][0] for lease in range(1, 9)]
    assert starts == [clock(900 * i) for i in range(8)]


def test_wait_with_images_that_one_transfer_brings_for_all(run: Run) -> None:
    played = run("example-wait-with-images")
    sent = [played.of(lease, "transfer") for lease in range(1, 9)]
    assert {(len(own), own[0].start, own[0].end) for own in sent} == {
        (1, sent[0][0].start, sent[0][0].end)
    }
    starts = [played.runs(lease)[0][0] for lease in range(1, 9)]
    assert starts == [clock(82 + 900 * i) for i in range(8)]


@pytest.mark.parametrize("injection", ["inj1", "inj2"])
@pytest.mark.parametrize("trace", ["withprematureend", "withoutprematureend"])
def test_injected_reservations_are_on_time(trace: str, injection: str, run: Run) -> None:
    played = run(f"example-{trace}-{injection}")
    assert played.states() == {"Done": len(played.leases)}
    reserved = [lease for lease in played.leases.values() if lease.kind == "ar"]
    assert len(reserved) == 13
    # One is asked for every hour, a quarter of an hour ahead.
    assert [lease.started for lease in reserved] == [3600 * i + 900 for i in range(1, 14)]
    early = "ended before its duration was over" in played.log
    assert early == (trace == "withprematureend")
