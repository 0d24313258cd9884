"""Tokens: made once, told once, good until they are revoked or expire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_service import RealService, Role, real_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("service"), speed=60) as running:
        yield running


def test_a_token_is_told_once_and_works_until_it_is_revoked(
    service: RealService, tmp_path: Path
) -> None:
    made = service.run("token", "make", "anna", "--expires", "+90d")
    assert made.exit_code == 0
    [secret] = made.stdout.splitlines()
    assert "Token anna (user, owner anna) is good until 2" in made.stderr
    assert secret not in made.stderr
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(secret)
    assert service.json("status", token=path)["role"] == "user"
    listed = service.run("token", "list", "--all")
    assert secret not in listed.output
    assert "anna" in listed.stdout
    revoked = service.run("token", "revoke", "anna")
    assert revoked.stdout == "Token anna (anna) is revoked.\n"
    assert service.run("status", token=path).exit_code == 1
    assert "anna" not in [token["name"] for token in service.json("token", "list")["tokens"]]
    assert "anna" in [token["name"] for token in service.json("token", "list", "--all")["tokens"]]


def test_a_token_can_be_saved_instead(service: RealService, tmp_path: Path) -> None:
    path = tmp_path / "reader.token"
    made = service.run("token", "make", "reader", "--role", "reader", "--save", str(path))
    assert made.exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() not in made.output
    assert service.json("status", token=path)["role"] == "reader"


def test_no_token_is_made_that_cannot_be_saved(service: RealService, tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("precious")
    result = service.run("token", "make", "lost", "--save", str(path))
    assert result.exit_code == 2
    assert f"{path}: file exists; name another one with --save" in result.stderr
    assert path.read_text() == "precious"
    assert "lost" not in [
        token["name"] for token in service.json("token", "list", "--all")["tokens"]
    ]


def test_no_file_is_left_where_no_token_is_made(service: RealService, tmp_path: Path) -> None:
    assert service.run("token", "make", "twice").exit_code == 0
    path = tmp_path / "token"
    result = service.run("token", "make", "twice", "--save", str(path))
    assert result.exit_code == 1
    assert "there is a token twice already" in result.stderr
    assert not path.exists()


@pytest.mark.parametrize("which", ["nobody", "99999", "../leases/1", "a b"])
def test_what_is_no_token_is_not_revoked(service: RealService, which: str) -> None:
    before = service.json("token", "list")["tokens"]
    result = service.run("token", "revoke", which)
    assert result.exit_code == (2 if which == "a b" else 1)
    assert service.json("token", "list")["tokens"] == before


@pytest.mark.parametrize("name", ["", "a\nb", "two words", "9lives", "x" * 65])
def test_what_is_no_name_is_told_in_words(service: RealService, name: str) -> None:
    result = service.run("token", "make", name)
    assert result.exit_code == 2
    assert "is not a name that a token can have: write at most 64 letters" in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--expires", "2020-01-01 0:00"], "'2020-01-01 0:00' is past: a token that ends then"),
        (["--owner", "two words"], "invalid owner 'two words': write at most 64 letters"),
    ],
)
def test_no_token_is_made_that_is_of_no_use(
    service: RealService, options: list[str], told: str
) -> None:
    before = service.json("token", "list", "--all")["tokens"]
    result = service.run("token", "make", "useless", *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert service.json("token", "list", "--all")["tokens"] == before


def test_tokens_are_for_operators(service: RealService) -> None:
    user = service.token("mallory", Role.USER)
    for command in (["list"], ["make", "x"], ["revoke", "1"]):
        result = service.run("token", *command, token=user)
        assert result.exit_code == 1
        assert "this is for an operator; the token is that of a user" in result.stderr


def test_json(service: RealService) -> None:
    result = service.run("token", "make", "program", "--owner", "anna", "--output", "json")
    made = json.loads(result.stdout)
    assert (made["owner"], made["expires"]) == ("anna", None)
    assert made["secret"].startswith("hz_")
