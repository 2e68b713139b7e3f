"""The installation under test, and requests that reach something in it.

Schemathesis makes up every value. A made-up project or asset is one that does not exist, and all that would be tested is
that it is not found. So the project is the installation's, and half of all names come from a small pool.
"""

from __future__ import annotations

import json
import os
import random
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


def connection() -> dict:
    path = os.environ.get("HEADWATER_CONNECTION")
    if not path:
        pytest.exit("HEADWATER_CONNECTION has to name the connection.json of a running Headwater", returncode=2)
    return json.loads(Path(path).read_text())


def choice(context) -> random.Random:
    """A source of chance that gives the same for the same request."""
    return random.Random(repr(context))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not path_parameters:
        return path_parameters
    chance = choice(sorted(path_parameters.items()))
    for name in path_parameters:
        if name == "project":
            path_parameters[name] = "default"
        elif isinstance(path_parameters[name], str) and chance.random() < 0.5:
            path_parameters[name] = chance.choice(POOL)
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    return named(body, choice(repr(body)))


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
