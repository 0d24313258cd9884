"""A request that is repeated is told from another one with the same idempotency key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from store_places import PLACES, place
from store_stories import opened, record

from haizea.service_types import KeyReused
from haizea.store import KeptTurn, RequestKey
from haizea.store.address import parse_address
from haizea.store.database import Database, prepare_file
from haizea.store.migrate import migrate


@pytest.mark.parametrize("kind", PLACES)
def test_another_request_with_the_key_is_told(kind: str, tmp_path: Path) -> None:
    url = place(kind, tmp_path)
    with closing(opened(url)) as store:
        keys = [RequestKey("ann", "a", 1, "one"), RequestKey("ann", "b", 2)]
        store.save(KeptTurn(now=1, records=[record(1), record(2)], keys=keys))
    with closing(opened(url)) as store:
        assert store.lease_for_key("ann", "a", "one") == 1
        with pytest.raises(KeyReused) as reused:
            store.lease_for_key("ann", "a", "another")
        assert reused.value.lease_id == 1
        assert store.lease_for_key("bob", "a", "another") is None
        # Where one of the two is not known, the key alone counts.
        assert store.lease_for_key("ann", "a") == 1
        assert store.lease_for_key("ann", "b", "one") == 2


@pytest.mark.parametrize("kind", PLACES)
def test_keys_of_an_older_store_are_those_of_any_request(kind: str, tmp_path: Path) -> None:
    url = place(kind, tmp_path)
    address = parse_address(url)
    if address.path is not None:
        prepare_file(address.path, create=True)
    database = Database(address)
    migrate(database, to="0002")
    with database.write.begin() as connection:
        connection.exec_driver_sql("INSERT INTO keys (owner, key, lease) VALUES ('ann', 'a', 7)")
    database.close()
    with closing(opened(url)) as store:
        assert any("0002" in note for note in store.notes)
        assert store.lease_for_key("ann", "a", "one") == 7
        assert store.lease_for_key("ann", "a", "another") == 7
        # The first request of a key stays.
        store.save(KeptTurn(now=1, keys=[RequestKey("ann", "a", 8, "one")]))
        assert store.lease_for_key("ann", "a", "another") == 7
