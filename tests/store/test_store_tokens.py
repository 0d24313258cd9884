"""Tokens: who has the secret is known by it, and the store does not have the secret."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from store_places import PLACES, place
from store_stories import opened, submission

from haizea.store import Role, Store, TokenNameTaken


@pytest.fixture(scope="module", params=PLACES)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """A store for tests that give their tokens names of their own."""
    store = opened(place(request.param, tmp_path_factory.mktemp("tokens")))
    yield store
    store.close()


def test_a_secret_is_known_again(store: Store) -> None:
    info, secret = store.tokens.create("laptop", Role.USER, "ann")
    assert (info.name, info.role, info.owner) == ("laptop", Role.USER, "ann")
    assert secret.startswith("hz_")
    assert len(secret) > 40
    found = store.tokens.check(secret)
    assert found is not None
    assert found.id == info.id
    assert not found.revoked
    used = next(token for token in store.tokens.list() if token.id == info.id)
    assert used.last_used is not None
    assert store.tokens.create("other", Role.READER, "ann")[1] != secret


@tries(60)
@given(guess=st.text(max_size=50) | st.text(max_size=300).map("hz_".__add__))
def test_no_guess_is_a_secret(store: Store, guess: str) -> None:
    assert store.tokens.check(guess) is None


def test_a_secret_must_be_right_in_every_character(store: Store) -> None:
    _, secret = store.tokens.create("exact", Role.USER, "ann")
    for wrong in (secret[:-1], secret + "x", secret.upper(), " " + secret, "hz_", ""):
        assert store.tokens.check(wrong) is None


def test_a_revoked_token_is_no_longer_good_and_its_name_is_free(store: Store) -> None:
    info, secret = store.tokens.create("lost", Role.OPERATOR, "bob")
    with pytest.raises(TokenNameTaken, match="lost"):
        store.tokens.create("lost", Role.USER, "ann")
    revoked = store.tokens.revoke("lost")
    assert revoked is not None
    assert revoked.id == info.id
    assert revoked.revoked
    assert store.tokens.check(secret) is None
    assert store.tokens.revoke("lost") is None
    assert store.tokens.revoke(info.id) is None
    again, other = store.tokens.create("lost", Role.USER, "ann")
    assert again.id > info.id
    assert store.tokens.check(secret) is None
    assert store.tokens.check(other) is not None
    assert store.tokens.revoke(again.id) is not None
    assert store.tokens.check(other) is None


@pytest.mark.parametrize("which", ["nobody", "", 0, 10**6, -1])
def test_what_is_not_there_cannot_be_revoked(store: Store, which: int | str) -> None:
    assert store.tokens.revoke(which) is None


def test_a_token_expires(store: Store) -> None:
    now = int(time.time())
    _, over = store.tokens.create("over", Role.USER, "ann", expires=now - 1)
    _, good = store.tokens.create("good", Role.USER, "ann", expires=now + 3600)
    assert store.tokens.check(over) is None
    assert store.tokens.check(good) is not None


def test_what_is_kept_is_not_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = opened(str(path))
    info, secret = store.tokens.create("laptop", Role.USER, "ann")
    store.tokens.check(secret)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"laptop" in kept
    assert secret.encode() not in kept
    assert secret.removeprefix("hz_").encode() not in kept
    assert secret not in repr(info) + repr(store.tokens.list()) + repr(store)
    store.close()


def test_tokens_that_were_revoked_long_ago_are_forgotten(tmp_path: Path) -> None:
    store = opened(str(tmp_path / "store.db"))
    store.tokens.create("old", Role.USER, "ann")
    store.tokens.create("good", Role.USER, "ann")
    store.tokens.revoke("old")
    store.prune(int(time.time()) - 3600)
    assert [token.name for token in store.tokens.list()] == ["old", "good"]
    store.prune(int(time.time()) + 3600)
    assert [token.name for token in store.tokens.list()] == ["good"]
    store.close()


def test_tokens_are_made_and_checked_while_turns_are_saved(store: Store) -> None:
    first = store.load().next_lease_id

    def use(number: int) -> bool:
        _, secret = store.tokens.create(f"thread {first} {number}", Role.USER, "ann")
        return store.tokens.check(secret) is not None

    with ThreadPoolExecutor(8) as threads:
        good = threads.map(use, range(40))
        for i in range(40):
            store.save(submission(first + i))
        assert all(good)
    assert store.load().next_lease_id == first + 40
