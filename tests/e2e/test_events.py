"""The door for storage events: who may knock, in which languages, and that an event is only a hint."""

from __future__ import annotations

import json
import os
import time
import uuid
from datetime import datetime, timezone

import pytest
import requests
from azure.mgmt.media.models import Asset

from headwater import Account


@pytest.fixture(scope="module")
def door(connection):
    """Posts to `/events/storage`."""
    secrets = connection.path.with_name("secrets.json")
    secret = os.environ.get("HEADWATER_EVENT_SECRET") or json.loads(secrets.read_text())["eventSecret"]

    def knock(body=None, *, key=secret, method="POST", **options) -> requests.Response:
        headers = options.pop("headers", {}) | ({"aeg-sas-key": key} if key else {})
        return requests.request(
            method, f"{connection.apiUrl}/events/storage", json=body, headers=headers, verify=connection.verify,
            timeout=30, **options,
        )  # fmt: skip

    knock.secret = secret
    return knock


@pytest.fixture(scope="module")
def uploads(account: Account):
    account.client.assets.create_or_update(*account.where, "e2e-uploads", Asset(container="uploads"))
    return account.container("e2e-uploads")


def created(blob: str, event_id: str | None = None, container: str = "uploads") -> dict:
    return {
        "id": event_id or str(uuid.uuid4()),
        "topic": "/subscriptions/0/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/local",
        "subject": f"/blobServices/default/containers/{container}/blobs/{blob}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
        "dataVersion": "",
        "metadataVersion": "1",
        "data": {"api": "PutBlob", "eTag": "0x1", "contentType": "video/mp4", "contentLength": 5},
    }


def outputs_of(account: Account, stem: str) -> list[str]:
    found = account.client.assets.list(*account.where, filter=f"name ge '{stem}' and name lt '{stem}~'")
    return [asset.name for asset in found if not asset.name.endswith("-source")]


def test_a_stranger_is_turned_away(door):
    event = [created("x.mp4")]
    missing = door(event, key=None)
    wrong = door(event, key="not it")
    assert (missing.status_code, wrong.status_code) == (401, 403)
    for refused in (missing, wrong):
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json()["status"] == refused.status_code
    assert door(event, key=None, params={"code": "nope"}).status_code == 403
    assert door(event, key=None, params={"code": door.secret}).status_code == 200
    assert door(event, key=None, headers={"Authorization": f"Bearer {door.secret}"}).status_code == 200


def test_event_grids_handshake_is_answered_for_those_who_know_the_secret(door):
    event = {
        "id": str(uuid.uuid4()),
        "topic": "t",
        "subject": "",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"},
    }
    headers = {"aeg-event-type": "SubscriptionValidation"}
    answer = door([event], headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}
    assert door([event], headers=headers, key=None).status_code == 401


def test_cloudevents_abuse_protection_is_answered(door):
    asked = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    answer = door(method="OPTIONS", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"]
    assert door(method="OPTIONS", headers=asked, key=None).status_code == 401


def test_bodies_that_are_no_events_are_refused(door, connection):
    assert door({"hello": 1}).status_code == 400
    for raw in (b"", b"{", b"\xff"):
        answer = requests.post(
            f"{connection.apiUrl}/events/storage", data=raw, headers={"aeg-sas-key": door.secret},
            verify=connection.verify, timeout=30,
        )  # fmt: skip
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
    big = requests.post(
        f"{connection.apiUrl}/events/storage", data=b" " * (1024 * 1024 + 1), headers={"aeg-sas-key": door.secret},
        verify=connection.verify, timeout=30,
    )  # fmt: skip
    assert big.status_code == 413
    assert door(method="GET").status_code == 405


def test_events_about_other_things_are_taken_and_ignored(door):
    other = created("x.mp4") | {"eventType": "Microsoft.Storage.BlobTierChanged"}
    nowhere = created("x.mp4") | {"subject": "/blobServices/default/containers/uploads"}
    answer = door([other, nowhere])
    assert answer.status_code == 200


def test_an_event_for_a_blob_that_is_not_there_starts_nothing(door, account: Account):
    stem = f"ghost{uuid.uuid4().hex[:8]}"
    assert door([created(f"{stem}.mp4")]).status_code == 200
    time.sleep(1)
    assert outputs_of(account, stem) == []


def test_an_event_told_often_and_in_every_language_starts_one_job(door, account: Account, uploads, counted):
    stem = f"often{uuid.uuid4().hex[:8]}"
    blob = f"{stem}.mp4"
    with counted.open("rb") as file:
        uploads.upload_blob(blob, file)
    grid = created(blob)
    cloud = {
        "specversion": "1.0",
        "type": "Microsoft.Storage.BlobCreated",
        "source": grid["topic"],
        "id": str(uuid.uuid4()),
        "time": grid["eventTime"],
        "subject": grid["subject"],
        "data": grid["data"],
    }
    binary = {f"ce-{name}": value for name, value in cloud.items() if name != "data"}
    for _ in range(2):
        assert door([grid, grid]).status_code == 200
        assert door(cloud, headers={"Content-Type": "application/cloudevents+json"}).status_code == 200
        assert door([cloud], headers={"Content-Type": "application/cloudevents-batch+json"}).status_code == 200
        assert door(grid["data"], headers=binary).status_code == 200
    deadline = time.monotonic() + 180
    while not (found := outputs_of(account, stem)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    time.sleep(1)
    assert len(outputs_of(account, stem)) == 1, found
