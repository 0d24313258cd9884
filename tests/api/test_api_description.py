"""Programs that are generated from the description can ask for all that can be asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_service import Service, described, wanted


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """By id: method, path and description of each operation."""
    return {
        route["operationId"]: (method, path, route)
        for path, methods in described()["paths"].items()
        for method, route in methods.items()
    }


def test_operations_have_short_names_of_their_own() -> None:
    """They were called ask_for_lease_v1_leases_post and the like."""
    named = operations()
    assert len(named) == sum(len(methods) for methods in described()["paths"].values())
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", name) for name in named), named
    assert {"ask_for_lease", "list_leases", "cancel_lease", "show_status"} <= set(named)


@pytest.mark.parametrize("media", ["application/yaml", "application/xml"])
def test_a_document_can_be_sent_by_an_operation_of_its_own(media: str) -> None:
    """Generators make a method for the first kind of body of an operation, and drop the others."""
    named = operations()
    method, path, route = named["ask_with_document"]
    assert method == "post"
    assert list(route["requestBody"]["content"]) == ["application/octet-stream"]
    documents = named["ask_for_lease"][2]["requestBody"]["content"][media]["schema"]["examples"]
    with Service() as service, service.client("anna") as anna:
        for document in documents:
            for said in (media, "text/plain", "application/octet-stream"):
                headers = {"Content-Type": said, "Idempotency-Key": "mine"}
                answer = anna.post(path, content=document, headers=headers)
                assert answer.status_code in {200, 201}, answer.text
            # It is the same request, however it is sent.
            headers = {"Content-Type": media, "Idempotency-Key": "mine"}
            again = anna.post("/v1/leases", content=document, headers=headers)
            assert again.json()["lease"] == answer.json()["lease"]
        wrong = anna.post(path, content="{", headers={"Content-Type": media})
        assert wrong.status_code == 422


def test_a_parameter_that_an_address_does_not_know_is_refused() -> None:
    """Nothing is done then: whoever wrote it meant something by it."""
    with Service() as service, service.client("olga") as olga:
        for method, path, route in operations().values():
            if not path.startswith("/v1/"):
                continue
            at = re.sub(r"\{[^}]*\}", "1", path)
            known = [p["name"] for p in route.get("parameters", ()) if p["in"] == "query"]
            answer = olga.request(method, at, params={"nosuch": "1"})
            assert answer.status_code == 422, (method, path, answer.text)
            assert "nosuch" in answer.text, (method, path, answer.text)
            if path.startswith("/v1/maintenance") and known:
                told = answer.json()["error"]
                assert told["field"] == "nosuch"
                assert told["message"].endswith("it takes preview alone")
        made = olga.post("/v1/leases", json=wanted())
        lease = made.json()["lease"]["id"]
        assert olga.delete(f"/v1/leases/{lease}", params={"preview": "true"}).status_code == 422
        assert olga.get(f"/v1/leases/{lease}").json()["state"] != "Cancelled"
