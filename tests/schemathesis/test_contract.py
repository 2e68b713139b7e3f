"""Every operation of the OpenAPI document, with requests that fit it and requests that do not."""

from __future__ import annotations

import os
from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from conftest import connection

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"

REQUESTS = int(os.environ.get("HEADWATER_REQUESTS", "1500"))
"""About how many requests are made in all."""

schema = schemathesis.openapi.from_path(DOCUMENT)
OPERATIONS = sum(1 for _ in schema.get_all_operations())
CONNECTION = connection()

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@schema.parametrize()
@settings(max_examples=max(1, REQUESTS // OPERATIONS), deadline=None, derandomize=True)
def test_answers_are_those_of_the_document(case):
    case.call_and_validate(
        base_url=CONNECTION["apiUrl"],
        headers={"Authorization": f"Bearer {CONNECTION['token']}"},
        checks=CHECKS,
    )
