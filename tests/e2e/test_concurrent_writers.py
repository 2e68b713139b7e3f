"""Several writers on one resource at the same time: nobody's change is lost, and one of many makes a thing."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import requests

WRITERS = 8
ROUNDS = 15


class Writer:
    """A client with a connection of its own, which does what the Azure SDKs do with an answer that says: later."""

    def __init__(self, connection):
        self.base = connection.apiUrl + connection.management_path()
        self.session = requests.Session()
        self.session.verify = connection.verify
        self.session.headers["Authorization"] = f"Bearer {connection.token}"
        self.session.params = {"api-version": "2022-08-01"}

    def call(self, method: str, path: str, body=None) -> requests.Response:
        for _ in range(4):
            answer = self.session.request(method, self.base + path, json=body, timeout=60)
            if answer.status_code not in (429, 500, 502, 503, 504):
                break
        assert answer.status_code < 500, answer.text
        return answer


def together(connection, work) -> list:
    """Runs `work(number, writer)` for every writer, all from the same moment on."""
    barrier = threading.Barrier(WRITERS)

    def run(number: int):
        writer = Writer(connection)
        barrier.wait()
        return work(number, writer)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(run, range(WRITERS)))


def test_no_update_is_lost(connection):
    """Each writer owns one track of the asset and one member of the asset itself, and finds both as it left them."""
    asset = f"race-{uuid.uuid4().hex[:8]}"
    first = Writer(connection)
    assert first.call("PUT", f"/assets/{asset}", {"properties": {}}).status_code == 201
    members = ["description", "alternateId"]

    def work(number: int, writer: Writer):
        if number < len(members):
            member = members[number]
            for turn in range(ROUNDS):
                value = f"{number}-{turn}"
                made = writer.call("PATCH", f"/assets/{asset}", {"properties": {member: value}})
                assert made.json()["properties"][member] == value
                seen = writer.call("GET", f"/assets/{asset}").json()
                assert seen["properties"][member] == value
            return
        name = f"filter-{number}"
        for turn in range(ROUNDS):
            body = {"properties": {"firstQuality": {"bitrate": 1 + number * 1000 + turn}}}
            assert writer.call("PUT", f"/assets/{asset}/assetFilters/{name}", body).status_code in (200, 201)
            seen = writer.call("GET", f"/assets/{asset}/assetFilters/{name}").json()
            assert seen["properties"]["firstQuality"]["bitrate"] == 1 + number * 1000 + turn

    together(connection, work)
    end = first.call("GET", f"/assets/{asset}").json()["properties"]
    assert [end[member] for member in members] == [f"{number}-{ROUNDS - 1}" for number in range(len(members))]
    filters = first.call("GET", f"/assets/{asset}/assetFilters").json()["value"]
    assert len(filters) == WRITERS - len(members)
    first.call("DELETE", f"/assets/{asset}")


def test_one_of_many_makes_it(connection):
    """The same asset, transform and locator put by all at once: one 201, and everybody gets the same one."""
    run = uuid.uuid4().hex[:8]

    def work(number: int, writer: Writer):
        made = writer.call("PUT", f"/assets/one-{run}", {"properties": {"description": str(number)}})
        return made.status_code, made.json()["properties"]["assetId"]

    answers = together(connection, work)
    assert sorted(status for status, _ in answers) == [200] * (WRITERS - 1) + [201]
    assert len({asset_id for _, asset_id in answers}) == 1

    locator = {"properties": {"assetName": f"one-{run}", "streamingPolicyName": "Predefined_ClearStreamingOnly"}}

    def publish(number: int, writer: Writer):
        made = writer.call("PUT", f"/streamingLocators/one-{run}", locator)
        return made.status_code, made.json()["properties"]["streamingLocatorId"]

    answers = together(connection, publish)
    assert sum(status == 201 for status, _ in answers) >= 1
    assert {status for status, _ in answers} <= {200, 201}, "the same request again is answered as the first was"
    assert len({locator_id for _, locator_id in answers}) == 1

    def different(number: int, writer: Writer):
        body = {"properties": {**locator["properties"], "alternativeMediaId": str(number)}}
        return writer.call("PUT", f"/streamingLocators/each-{run}", body).status_code

    statuses = together(connection, different)
    assert sorted(statuses) == [201] + [409] * (WRITERS - 1)
    writer = Writer(connection)
    for path in (f"/streamingLocators/one-{run}", f"/streamingLocators/each-{run}", f"/assets/one-{run}"):
        assert writer.call("DELETE", path).status_code in (200, 204)


def test_a_job_is_cancelled_once_and_deleted_once(connection):
    """A delete and many repeated deletes: one is told that it was there."""
    run = uuid.uuid4().hex[:8]
    preset = {"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "AdaptiveStreaming"}
    first = Writer(connection)
    first.call("PUT", f"/transforms/t-{run}", {"properties": {"outputs": [{"preset": preset}]}})
    statuses = together(connection, lambda _, writer: writer.call("DELETE", f"/transforms/t-{run}").status_code)
    assert sorted(statuses) == [200] + [204] * (WRITERS - 1)
