"""The HTTP interface under whatever its own description allows, and much that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import schemathesis
from api_service import described
from effort import tries
from hypothesis import given
from live_service import LiveService
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(deepcopy(described()))
OPERATIONS = [
    (path, method.upper(), mode)
    for path, methods in described()["paths"].items()
    for method, route in methods.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # Where nothing is sent, nothing can be wrong.
    if mode is GenerationMode.POSITIVE or "parameters" in route or "requestBody" in route
]


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    with LiveService(hosts=16) as running:
        yield running


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_no_request_makes_it_fail(
    service: LiveService, path: str, method: str, mode: GenerationMode
) -> None:
    """Neither an internal error nor a hang, and every answer is as the description says."""
    cases = SCHEMA[path][method].as_strategy(generation_mode=mode)
    who = service.secrets["olga"]

    @tries(25)
    @given(case=cases)
    def ask(case: Any) -> None:
        if path == "/v1/events":
            # It would go on for ever otherwise, as it should.
            case.query = {**(case.query or {}), "follow": "false"}
        case.call_and_validate(
            base_url=service.url,
            headers={"Authorization": f"Bearer {who}"},
            checks=CHECKS,
            timeout=20,
        )

    ask()
    if (path, method, mode) == ("/v1/leases", "POST", GenerationMode.POSITIVE):
        assert service.manager.last_event_id() > 0, "no request was good enough to be taken"
