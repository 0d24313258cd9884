"""Brings the tables of a store to what this version of Haizea knows."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from haizea.store import schema
from haizea.store.database import APPLICATION_ID, Database
from haizea.store.errors import StoreError

_VERSION_TABLE = "haizea_schema"

#: The last step in ``migrations/versions``.
REVISION = "0003"


def revision(database: Database) -> str | None:
    """The step up to which the tables of ``database`` were brought; ``None`` if it is empty.

    Raises :class:`StoreError` where it is another program's, or of a newer Haizea.
    """
    with database.trouble("opened"), database.read.connect() as connection:
        # Before the tables: another process may just now be making both in one transaction.
        mark = _mark(database, connection)
        tables = set(sa.inspect(connection).get_table_names())
        if _VERSION_TABLE not in tables:
            _refuse_foreign(database, mark, tables)
            return None
        found = connection.execute(sa.text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()
    if found is None:
        return None
    if not (found.isdigit() and int(found) <= int(REVISION)):
        raise StoreError(
            f"the store {database.shown} was made by a newer Haizea (its schema is {found:.40},"
            f" this program knows {REVISION}): install that version again, or restore the"
            " backup that was made before its upgrade"
        )
    return str(found)


def migrate(database: Database, to: str = REVISION) -> list[str]:
    """Make the tables, or change them step by step, in one transaction; who calls holds the lock.

    A SQLite file that has something in it is copied first. Answers what was done, in words.
    Raises :class:`StoreError`.
    """
    before = revision(database)
    if before == to:
        return []
    notes = []
    if before is not None and database.path is not None:
        copy = _backup(database.path, before)
        notes.append(f"the store was copied to {copy} before its schema was changed")
    with database.upgrading() as connection:
        _upgrade(connection, to)
        if database.path is not None:
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    if before is not None:
        notes.append(f"the schema of the store {database.shown} went from {before} to {to}")
    return notes


def _upgrade(connection: sa.Connection, to: str) -> None:
    # Here, because it takes a fifth of a second and is needed once per upgrade.
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = _VERSION_TABLE
    command.upgrade(config, to)


def _mark(database: Database, connection: sa.Connection) -> int:
    """Read what a SQLite file says of the program that made it; 0 if nothing."""
    if database.path is None:
        return 0
    return int(connection.exec_driver_sql("PRAGMA application_id").scalar() or 0)


def _refuse_foreign(database: Database, mark: int, tables: set[str]) -> None:
    ours = set(schema.metadata.tables)
    if mark or (tables if database.path is not None else tables & ours):
        raise StoreError(
            f"{database.shown} is not a store of Haizea, it is something else's database:"
            " name another file or database"
        )


def _backup(path: Path, before: str) -> Path:
    """A copy beside the file, whole or not there."""
    copy = path.with_name(f"{path.name}.schema-{before}")
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with (
            closing(sqlite3.connect(path)) as source,
            closing(sqlite3.connect(unfinished)) as target,
        ):
            source.backup(target)
        unfinished.replace(copy)
    except (OSError, sqlite3.Error) as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(
            f"the store {path} must be copied before its schema is changed, and cannot be:"
            f" {error}. Make room there and start again"
        ) from error
    return copy
