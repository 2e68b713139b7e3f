"""The installation under test, bodies that name something in it, and a count of what was asked."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest
import schemathesis

POOL = ("film", "film-2", "adaptive")
"""Names that requests meet each other by."""

NAMED = {
    "assetName": POOL,
    "transformName": POOL,
    "storageAccountName": ("local",),
    "streamingPolicyName": ("Predefined_ClearStreamingOnly", "Predefined_DownloadAndClearStreaming"),
}
"""Members of bodies that name something that has to exist, with what there is."""


REQUESTS = Counter()
"""How often each status was answered."""


def connection() -> dict:
    path = os.environ.get("HEADWATER_CONNECTION")
    if not path:
        pytest.exit("HEADWATER_CONNECTION has to name the connection.json of a running Headwater", returncode=2)
    return json.loads(Path(path).read_text())


@schemathesis.hook
def after_call(context, case, response):
    REQUESTS[response.status_code] += 1


def pytest_terminal_summary(terminalreporter):
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(REQUESTS.items()))
    terminalreporter.write_line(f"{REQUESTS.total()} requests: {statuses}")


@schemathesis.hook
def map_body(context, body):
    # The same chance for the same body.
    return named(body, random.Random(repr(body)))


def named(value, chance):
    if isinstance(value, dict):
        return {
            name: chance.choice(NAMED[name])
            if name in NAMED and isinstance(member, str) and chance.random() < 0.8
            else named(member, chance)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [named(item, chance) for item in value]
    return value
