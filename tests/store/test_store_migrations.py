"""Stores of older versions are brought up to date, those of newer ones are refused."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from store_places import PLACES, place
from store_stories import opened, record, submission

import haizea.store.migrations
from haizea.core.model.records import HostRecord, SiteRecord
from haizea.store import KeptTurn, Role, Store, StoreError
from haizea.store.address import parse_address
from haizea.store.codec import write_decision, write_lease, write_site
from haizea.store.database import Database, prepare_file
from haizea.store.migrate import REVISION, migrate
from haizea.store.schema import metadata


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that is not there yet."""
    return place(request.param, tmp_path)


def database_at(url: str) -> Database:
    address = parse_address(url)
    if address.path is not None:
        prepare_file(address.path, create=True)
    return Database(address)


def made_by_the_first_version(url: str, *, filled: bool) -> None:
    """A store as its first revision has it, with a lease and its events if ``filled``."""
    database = database_at(url)
    migrate(database, to="0001")
    if filled:
        lease = record(7)
        row = {
            "id": 7,
            "label": "job 7",
            "owner": "ann",
            "kind": "best-effort",
            "state": "Scheduled",
            "is_over": 0,
            "submitted": 1007,
            "duration": 3600,
            "nodes": 2,
            "changed": 1007,
            "document": write_lease(lease),
        }
        tables = sa.MetaData()
        with database.write.begin() as connection:
            tables.reflect(connection)
            connection.execute(sa.insert(tables.tables["leases"]), row)
            for number, decision in enumerate(submission(7).decisions, 1):
                event = {
                    "id": number,
                    "time": 1000,
                    "lease": 7,
                    "owner": "ann",
                    "kind": type(decision).__name__,
                    "document": write_decision(decision),
                }
                connection.execute(sa.insert(tables.tables["events"]), event)
            site = SiteRecord(hosts=(HostRecord(host=1, status="drained"),))
            state = {"turn": 3, "now": 1000, "next_lease": 8, "last_event": 5, "enacted": 4}
            connection.execute(
                sa.update(tables.tables["state"]).values(**state, site=write_site(site))
            )
    database.close()


def test_an_empty_store_of_the_first_version_is_upgraded(url: str) -> None:
    made_by_the_first_version(url, filled=False)
    store = opened(url)
    assert any("0001" in note for note in store.notes)
    assert store.load().records == []
    store.tokens.create("first", Role.OPERATOR, "ann")
    store.note_start(None, 5)
    assert store.save(submission(1)) == 5
    store.close()
    again = Store.open(url)
    assert again.notes == ()
    again.close()


def test_a_filled_store_of_the_first_version_keeps_all_it_has(url: str) -> None:
    made_by_the_first_version(url, filled=True)
    store = opened(url)
    saved = store.load()
    assert (saved.now, saved.records, saved.next_lease_id) == (1000, [record(7)], 8)
    assert saved.site.hosts == (HostRecord(host=1, status="drained"),)
    decisions = list(submission(7).decisions)
    assert saved.last_decisions == decisions[4:]
    assert [event.decision for event in store.events(0, 100)] == decisions
    assert store.tokens.list() == []
    store.save(KeptTurn(now=1001, records=[record(8)]))
    store.close()


def test_a_file_is_copied_before_it_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    made_by_the_first_version(str(path), filled=True)
    store = Store.open(str(path))
    copy = tmp_path / "store.db.schema-0001"
    assert any(str(copy) in note for note in store.notes)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    store.close()
    # Going back is putting the copy in the store's place.
    copy.replace(path)
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("SELECT version_num FROM haizea_schema").fetchall() == [("0001",)]
        assert old.execute("SELECT id FROM leases").fetchall() == [(7,)]
    with_it = Store.open(str(path))
    assert with_it.lease(7) == record(7)
    with_it.close()


def test_a_store_that_is_in_use_is_not_upgraded_underneath(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haizea.store.store._UPGRADE_SECONDS", 0)
    user = opened(url)
    database = database_at(url)
    with database.write.begin() as connection:
        connection.exec_driver_sql("UPDATE haizea_schema SET version_num = '0001'")
    with pytest.raises(StoreError, match="stop the manager"):
        Store.open(url)
    user.close()
    database.close()


@pytest.mark.parametrize("newer", ["0099", "a1b2c3"])
def test_a_store_of_a_newer_version_is_refused_and_left_alone(url: str, newer: str) -> None:
    opened(url).close()
    database = database_at(url)
    with database.write.begin() as connection:
        connection.exec_driver_sql(f"UPDATE haizea_schema SET version_num = '{newer}'")
    with pytest.raises(StoreError, match="newer Haizea") as caught:
        Store.open(url)
    assert newer in str(caught.value)
    with database.read.connect() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM haizea_schema").scalar()
    assert found == newer
    database.close()


def test_another_programs_database_is_refused_and_left_alone(url: str) -> None:
    database = database_at(url)
    with database.write.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE events (mine INTEGER)")
    with pytest.raises(StoreError, match="not a store of Haizea"):
        Store.open(url)
    with database.read.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["events"]
    database.close()


def test_a_results_file_is_not_taken_for_a_store(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with closing(sqlite3.connect(path)) as results:
        results.execute("PRAGMA application_id=0x487A6561")
    with pytest.raises(StoreError, match="not a store of Haizea"):
        Store.open(str(path))


def test_migrations_make_the_tables_that_the_program_knows(url: str) -> None:
    Store.open(url).close()
    database = database_at(url)
    with database.read.connect() as connection:
        options = {"version_table": "haizea_schema", "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    database.close()


def test_the_program_knows_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", haizea.store.migrations.__path__[0])
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]
