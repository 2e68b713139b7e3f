"""Webhooks: a receiver of the test's own is told of a job and a locator, in CloudEvents, and the log says so."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

import media
from headwater import Account, Mkio
from installation import Installation
from receiver import Receiver, eventually, log_of, put_rule, rules_of

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def test_a_job_and_its_locator_are_told_of(installation: Installation, receiver: Receiver, tmp_path):
    connection = installation.start("--egress-allow=127.0.0.0/8")
    account, rules = Account(connection), rules_of(connection)
    types = ["MediaKind.JobStarted", "MediaKind.JobFinished", "MediaKind.StreamingLocatorCreated"]
    put = put_rule(
        rules, "hook", f"{receiver.url}/hook", types + ["Microsoft.Media.JobOutputProgress"],
        authentication={"headers": {"X-Key": "hunter2"}, "queryParams": {}, "signingSecret": SECRET},
    )  # fmt: skip
    assert "hunter2" not in json.dumps(put)
    put_rule(rules, "dead", f"{receiver.url}/dead", types)
    receiver.planned["/dead"] = [500] * 100

    clip = media.make_counted(tmp_path / "counted.mp4", seconds=4)
    output = account.encode(account.upload(clip), "H264SingleBitrateSD")
    published = account.publish(output)

    for kind in types:
        (event,) = eventually(lambda kind=kind: receiver.events("/hook", kind))
        assert event["specversion"] == "1.0" and event["data"]["projectName"] == connection.project
    (finished,) = receiver.events("/hook", "MediaKind.JobFinished")
    job = finished["data"]["resource"]
    assert (finished["data"]["state"], job["properties"]["outputs"][0]["assetName"]) == ("Finished", output)
    source = Mkio(connection).session.get(finished["source"])
    assert source.status_code == 200 and source.json()["id"] == job["id"]
    (created,) = receiver.events("/hook", "MediaKind.StreamingLocatorCreated")
    assert created["data"]["resource"]["properties"]["streamingLocatorId"] == published.locator_id

    for path, headers, event in receiver.received:
        assert headers["content-type"].startswith("application/cloudevents+json")
        if path == "/hook":
            assert headers["x-key"] == "hunter2" and headers["webhook-id"] == event["id"]
            signed = f"{event['id']}.{headers['webhook-timestamp']}.".encode() + headers["raw"]
            mac = hmac.new(base64.b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()
            assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()

    eventually(lambda: all(entry["status"] == "Sent" for entry in log_of(rules, "hook")))
    assert all(entry["status"] in ("Pending", "Retrying") for entry in log_of(rules, "dead"))
    # The dead one is back, and what it missed comes after all, under the same id.
    receiver.planned["/dead"] = []
    eventually(lambda: all(entry["status"] == "Sent" for entry in log_of(rules, "dead")), 200)
    ids = {event["id"] for event in receiver.events("/dead", "MediaKind.JobFinished")}
    assert ids == {finished["id"]}


def test_what_was_recorded_is_sent_after_everything_fell(installation: Installation, receiver: Receiver):
    connection = installation.start("--egress-allow=127.0.0.0/8")
    rules = rules_of(connection)
    receiver.planned["/hook"] = [503]
    put_rule(rules, "hook", f"{receiver.url}/hook", ["MediaKind.StreamingLocatorCreated"])
    account = Account(connection)
    account.locate(account.new_asset("empty"))
    installation.kill()
    connection = installation.start("--egress-allow=127.0.0.0/8")
    rules = rules_of(connection)
    eventually(lambda: [entry["status"] for entry in log_of(rules, "hook")] == ["Sent"], 120)
    assert len({event["id"] for _, _, event in receiver.received}) == 1


def test_the_operators_own_network_is_out_of_reach(connection, receiver: Receiver):
    rules = rules_of(connection)
    name = Account.name("hook")
    put_rule(rules, name, f"{receiver.url}/hook", ["MediaKind.StreamingLocatorCreated"])
    account = Account(connection)
    account.locate(account.new_asset("empty"))
    (entry,) = eventually(lambda: [e for e in log_of(rules, name) if e["status"] == "Failed"])
    assert "loopback" in entry["error"]
    assert receiver.received == []
    rules.call("DELETE", f"/{name}", expect=(200,))


def test_changes_are_in_the_audit_log(connection, account):
    name = account.new_asset("audited")
    audit = Mkio(connection, prefix="/api/v1/organization")
    query = {"$filter": f"resource eq 'assets/{name}'"}
    (row,) = audit.call("GET", "/auditLog", params=query)["value"]
    assert (row["operation"], row["method"], row["project"]) == ("AssetPut", "PUT", connection.project)
    assert row["status"] in (200, 201) and row["from"] in ("127.0.0.1", "::1")


def test_a_project_that_asks_too_much_is_told_when_to_come_back(installation: Installation):
    connection = installation.start("--rate-limit-reads=20")
    mkio = Mkio(connection)
    answers = [mkio.session.get(f"{mkio.base}/assets", timeout=30) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and [answer.status_code for answer in answers[:10]] == [200] * 10
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].json()["error"]["code"] == "TooManyRequests"
