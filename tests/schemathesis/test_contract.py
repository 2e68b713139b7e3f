"""Every operation of the OpenAPI document, with requests that fit it and requests that do not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import schemathesis
from hypothesis import settings
from schemathesis import checks
from schemathesis.config import SchemathesisConfig

from conftest import POOL, connection

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"

REQUESTS = int(os.environ.get("HEADWATER_REQUESTS", "1500"))
"""About how many requests are made in all."""

BOUNDARIES_FROM = 10_000
"""From so many requests on, every bound of the document is tried from both sides, which takes thousands."""

CONNECTION = connection()

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def bound(document: dict) -> dict:
    """The document for the project that there is.

    Schemathesis makes up every value, and for a made-up project all that would be tested is that it is not found. Other
    names are as often ones that other requests use too, so that they meet.
    """
    document = json.loads(json.dumps(document).replace("/projects/{project}/", f"/projects/{CONNECTION['project']}/"))
    for path, item in document["paths"].items():
        if "{project}" not in path:
            of_project = {"$ref": "#/components/parameters/project"}
            item["parameters"] = [one for one in item.get("parameters", []) if one != of_project]
    for name in ("asset", "transform", "job", "policy", "locator", "filter", "endpoint", "rule", "track", "event", "output", "team"):
        parameter = document["components"]["parameters"][name]
        parameter["schema"] = {"anyOf": [{"enum": list(POOL)}, parameter["schema"]]}
    return document


def load():
    # The reader of JSON refuses NUL in any text, which no schema can say.
    generation = {"allow-x00": False, "deterministic": True}
    phases = {"coverage": {"enabled": REQUESTS >= BOUNDARIES_FROM}}
    config = SchemathesisConfig.from_dict({"generation": generation, "phases": phases})
    return schemathesis.openapi.from_dict(bound(json.loads(DOCUMENT.read_text())), config=config)


schema = load()
OPERATIONS = sum(1 for _ in schema.get_all_operations())


@schema.parametrize()
@settings(max_examples=max(1, REQUESTS // OPERATIONS), deadline=None, derandomize=True)
def test_answers_are_those_of_the_document(case):
    case.call_and_validate(
        base_url=CONNECTION["apiUrl"],
        headers={"Authorization": f"Bearer {CONNECTION['token']}"},
        checks=CHECKS,
    )
