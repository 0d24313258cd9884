"""Questions about very many leases cost what their answers are worth, and are right at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_service import RealService, real_service

from haizea.service_types import LeaseQuery
from haizea.store import questions
from haizea.store.codec import read_lease

WAITING = 12


def fill(service: RealService) -> None:
    """Let one lease have all hosts, and others wait for them."""
    service.json("request", "-d", "1h", "-n", "4", "-c", "4")
    for _ in range(WAITING):
        service.json("request", "-d", "1h", "-n", "4", "-c", "4")


def test_the_queue_is_told_as_soon_as_the_service_is_back(tmp_path: Path) -> None:
    """Nobody seemed to wait after a restart until something was due, for a minute or more."""
    with real_service(tmp_path) as service:
        fill(service)
        before = [place.record.id for place in service.manager.queue(0, 100, None).places]
        assert len(before) == WAITING
        service.stop()
        service.start()
        part = service.manager.queue(0, 100, None)
        assert [place.record.id for place in part.places] == before
        assert part.length == WAITING


def test_a_page_of_the_queue_is_no_more_than_was_asked_for(tmp_path: Path) -> None:
    with real_service(tmp_path) as service:
        fill(service)
        part = service.manager.queue(3, 4, None)
        assert part.length == WAITING
        assert [place.place for place in part.places] == [4, 5, 6, 7]
        assert service.manager.queue(0, 100, "nobody").places == []
        assert service.manager.queue(WAITING, 100, None).places == []


def test_leases_that_are_at_hand_are_not_read_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with real_service(tmp_path) as service:
        fill(service)
        service.json("cancel", "2")
        whole = service.manager.leases(LeaseQuery(finished=True))
        documents: list[str] = []

        def counted(document: str) -> object:
            documents.append(document)
            return read_lease(document)

        monkeypatch.setattr(questions, "read_lease", counted)
        assert service.manager.leases(LeaseQuery(finished=True)) == whole
        assert len(documents) == 1, "that of the one that is over"


def test_a_lease_that_is_over_is_not_expected_any_more(tmp_path: Path) -> None:
    """Forget what a cancelled lease was expected to do: it used to be told on and on."""
    with real_service(tmp_path) as service:
        fill(service)
        first = service.json("queue")["queue"][0]["lease"]
        assert first["expected"] is not None
        service.json("cancel", str(first["id"]))
        shown = service.json("show", str(first["id"]))
        assert (shown["state"], shown["expected"]) == ("Cancelled", None)
