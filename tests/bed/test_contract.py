"""The contract suites of the SDKs against the bed: whichever host nginx picks, and whoever keeps the files, clients are told the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import s3
from parts import Bed
from processes import Part

TESTS = Path(__file__).resolve().parents[1]

#: What needs nothing but an address and its own commands: no installation beside it.
CONTRACT = [
    "test_ams.py",
    "test_ams_operations.py",
    "test_ams_policies.py",
    "test_ams_tracks.py",
    "test_bad_requests.py",
    "test_concurrent_writers.py",
    "test_formats.py",
    "test_key_delivery.py",
    "test_mkio.py",
    "test_protection.py",
    "test_retries.py",
]
#: For which the store has to tell of uploads. Azurite tells nobody; what it stands for does, by Event Grid.
TOLD = ["test_uploads.py"]
#: What takes live events itself.
OF_LIVE = ["test_live_resources.py"]
#: nginx answers these itself.
OF_NGINX = ["test_bad_requests.py::test_names_that_are_none"]


def azurite() -> str:
    program = os.environ.get("HEADWATER_AZURITE")
    if not program:
        pytest.skip("HEADWATER_AZURITE names no program of Azurite's")
    return program


def contract(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", *arguments]
    assert subprocess.run(command, cwd=TESTS / "e2e", env=environment, check=False).returncode == 0


def served(host: Part) -> int:
    """Requests that a host has answered with success."""
    text = requests.get(f"http://127.0.0.1:{host.health}/metrics", timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith("headwater_http_requests_total{") and 'status="2' in line]
    assert lines, text[:2000]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)


@pytest.fixture
def bucket():
    """An S3 server with the bucket of the bed."""
    with s3.server() as endpoint:
        s3.client(endpoint).create_bucket(Bucket="bed")
        yield endpoint


@pytest.mark.parametrize("store", ["blobs", "bucket", "azurite"])
def test_the_contract_of_the_sdks(store, request, tmp_path_factory):
    others = {}
    if store == "azurite":
        others["azurite"] = azurite()
    elif store == "bucket":
        others["bucket"] = request.getfixturevalue("bucket")
    # By https: the suites' own http and https variants both go that way.
    bed = Bed(tmp_path_factory.mktemp(store), tls=True, **others)
    try:
        connection = bed.start()
        # With what its own commands need to know of the installation.
        told = dict.fromkeys(("HEADWATER_CONNECTION", "HEADWATER_CONNECTION_TLS"), str(connection.path))
        environment = {**os.environ, **bed.hosts[0].environment, **told}
        files = CONTRACT if store == "azurite" else CONTRACT + TOLD
        contract(environment, *(f"--deselect={name}" for name in OF_NGINX), *files)
        # Workers of live events are played by a double there.
        for worker in bed.ingests:
            worker.stop()
        contract(environment, *OF_LIVE)
        if store == "bucket":
            assert list((bed.folder / "blobs").rglob("*.mp4")) == []
        assert min(served(host) for host in bed.hosts) > 1000, "one host did all of it"
    finally:
        bed.stop()


def test_the_contract_of_the_javascript_sdk(tmp_path_factory):
    """By https, without which the SDK shows nobody a token. All of it, with its look back at which operations were called."""
    bed = Bed(tmp_path_factory.mktemp("javascript"), tls=True)
    try:
        connection = bed.start()
        environment = {**os.environ, **bed.hosts[0].environment, "HEADWATER_CONNECTION_TLS": str(connection.path)}
        # Workers of live events are played by a double there.
        for worker in bed.ingests:
            worker.stop()
        done = subprocess.run(["node", "run.mjs"], cwd=TESTS / "sdk-js", env=environment, check=False)
        assert done.returncode == 0
        assert min(served(host) for host in bed.hosts) > 100, "one host did all of it"
    finally:
        bed.stop()
