"""Addresses of OpenNebula's interface and events, from the configuration or a command."""

from __future__ import annotations

import pytest

from haizea.backends.opennebula.wire.address import Address, address_of


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            {"host": "one.example.org"},
            Address(
                "one.example.org",
                "http://one.example.org:2633/RPC2",
                "tcp://one.example.org:auto",
            ),
        ),
        ({"host": "::1"}, Address("::1", "http://[::1]:2633/RPC2", "tcp://[::1]:auto")),
        (
            {"url": "http://[fd00::7]:2633/RPC2"},
            Address("fd00::7", "http://[fd00::7]:2633/RPC2", "tcp://[fd00::7]:auto"),
        ),
        (
            {"host": "10.0.0.7", "url": "https://one.example.org/RPC2"},
            Address("10.0.0.7", "https://one.example.org/RPC2", "tcp://10.0.0.7:auto"),
        ),
        (
            {"host": "a", "port": 80, "events": "tcp://b:2101"},
            Address("a", "http://a:80/RPC2", "tcp://b:2101"),
        ),
        # Whoever calls there says that it makes no sense.
        ({"url": "http://[::1"}, Address("", "http://[::1", "tcp://:auto")),
        ({"host": "a", "events": "none"}, Address("a", "http://a:2633/RPC2", None)),
        ({"host": "a", "events": None}, Address("a", "http://a:2633/RPC2", None)),
    ],
)
def test_an_address_is_what_is_said_of_it(said: dict[str, object], meant: Address) -> None:
    assert address_of(**said) == meant  # type: ignore[arg-type]
