"""Tokens, with which users show who they are. A store has their digests, not the secrets."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from haizea.service_types import Role, TokenInfo, TokenNameTaken
from haizea.store.database import Database
from haizea.store.errors import StoreError
from haizea.store.schema import tokens
from haizea.store.turns import text

PREFIX = "hz_"
_SECRET_BYTES = 32
_LONGEST_SECRET = 200

#: A token's last use is written down when it is this much later than what is written.
_COARSE_SECONDS = 3600


_BY_DIGEST = sa.select(tokens).where(tokens.c.digest == sa.bindparam("digest"))
_BY_ID = sa.select(tokens).where(tokens.c.id == sa.bindparam("token_id"))


class TokenTable:
    """The tokens of a store; any thread may use it. Times are of the real clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, role: Role, owner: str, expires: int | None = None
    ) -> tuple[TokenInfo, str]:
        """A new token and its secret, which nobody can find out later.

        Raises :class:`TokenNameTaken`, and the store's errors.
        """
        secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        values: dict[str, Any] = {
            "name": text(name),
            "role": role.value,
            "owner": text(owner),
            "digest": _digest(secret),
            "created": int(time.time()),
            "expires": expires,
        }
        try:
            with self._database.changing() as connection:
                added = connection.execute(sa.insert(tokens).values(values))
                number = added.inserted_primary_key
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise TokenNameTaken(
                    f"there is a token {name!r:.80} already; revoke it, or choose another name"
                ) from None
            raise
        assert number is not None, "one row was inserted"
        info = TokenInfo(
            id=number[0],
            name=values["name"],
            role=role,
            owner=values["owner"],
            created=values["created"],
            expires=expires,
        )
        return info, secret

    def list(self) -> list[TokenInfo]:
        """All tokens by id, those that were revoked or expired included."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(tokens).order_by(tokens.c.id))
            return [_info(row) for row in rows]

    def revoke(self, which: int | str) -> TokenInfo | None:
        """Revoke the token with this id or name; ``None`` if none that is good has it."""
        same = tokens.c.id == which if isinstance(which, int) else tokens.c.name == text(which)
        chosen = sa.and_(same, tokens.c.revoked.is_(None))
        with self._database.changing() as connection:
            row = connection.execute(sa.select(tokens).where(chosen)).first()
            if row is None:
                return None
            mark = sa.update(tokens).where(tokens.c.id == row.id).values(revoked=int(time.time()))
            connection.execute(mark)
        with self._database.reading() as connection:
            return _info(connection.execute(sa.select(tokens).where(tokens.c.id == row.id)).one())

    def check(self, secret: str) -> TokenInfo | None:
        """The token with this secret, unless it was revoked or has expired."""
        if not secret.startswith(PREFIX) or len(secret) > _LONGEST_SECRET:
            return None
        digest, now = _digest(secret), int(time.time())
        with self._database.reading() as connection:
            row = connection.execute(_BY_DIGEST, {"digest": digest}).first()
        # What can be learnt from how long the search took is about digests, not secrets.
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        return self._used(row, now)

    def find(self, token_id: int) -> TokenInfo | None:
        """The token with this id, unless it was revoked or has expired; it is used now."""
        with self._database.reading() as connection:
            row = connection.execute(_BY_ID, {"token_id": token_id}).first()
        return None if row is None else self._used(row, int(time.time()))

    def _used(self, row: sa.Row[tuple[object, ...]], now: int) -> TokenInfo | None:
        if row.revoked is not None or (row.expires is not None and row.expires <= now):
            return None
        if row.last_used is None or row.last_used + _COARSE_SECONDS <= now:
            self._note_use(row.id, now)
        return _info(row)

    def _note_use(self, token_id: int, now: int) -> None:
        try:
            with self._database.changing() as connection:
                used = sa.update(tokens).where(tokens.c.id == token_id).values(last_used=now)
                connection.execute(used)
        except StoreError:
            pass  # Nobody is refused because the disk is full.


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _info(row: sa.Row[tuple[object, ...]]) -> TokenInfo:
    return TokenInfo(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        owner=row.owner,
        created=row.created,
        expires=row.expires,
        last_used=row.last_used,
        revoked=row.revoked is not None,
    )
