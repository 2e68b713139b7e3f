"""The MK.IO surface, driven with plain HTTP as its users' scripts do it."""

from __future__ import annotations

import time
import uuid

import pytest
import requests

from headwater import Account, Mkio


def test_the_whole_way_from_file_to_playback(mkio: Mkio, account: Account, counted, http):
    source, run = account.upload(counted), uuid.uuid4().hex[:8]
    mkio.call("PUT", f"/assets/mk-{run}", {"properties": {"storageAccountName": "local"}})
    preset = {"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "H264SingleBitrateSD"}
    mkio.call("PUT", f"/transforms/mk-{run}", {"properties": {"outputs": [{"preset": preset}]}})
    job = f"/transforms/mk-{run}/jobs/job1"
    made = mkio.call(
        "PUT",
        job,
        {
            "properties": {
                "input": {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": source, "files": [""]},
                "outputs": [{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": f"mk-{run}"}],
            }
        },
    )
    assert made["properties"]["state"] in ("Queued", "Scheduled", "Processing")
    deadline = time.monotonic() + 300
    while (state := mkio.call("GET", f"{job}/state")["status"]["state"]) not in ("Finished", "Error", "Canceled"):
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    assert state == "Finished", mkio.call("GET", job)

    mkio.call(
        "PUT",
        f"/streamingLocators/mk-{run}",
        {"properties": {"assetName": f"mk-{run}", "streamingPolicyName": "Predefined_ClearStreamingOnly"}},
    )
    paths = mkio.call("POST", f"/streamingLocators/mk-{run}/listPaths")["streamingPaths"]
    assert {entry["streamingProtocol"] for entry in paths} >= {"Hls", "Dash"}
    for entry in paths:
        for path in entry["paths"]:
            if "cmaf" in path:
                assert http.get(mkio.connection.streamingUrl + path).status_code == 200


def test_resources_have_the_envelope_and_lists_the_supplement(mkio: Mkio):
    name = f"mk-{uuid.uuid4().hex[:8]}"
    labels = {"team": "news", "run": name}
    made = mkio.call(
        "PUT", f"/assets/{name}", {"labels": labels, "properties": {"storageAccountName": "local", "description": "d"}}
    )
    assert made["name"] == name
    assert made["labels"] == labels
    assert made["properties"]["container"] and made["properties"]["assetId"]
    assert made["systemData"]["createdAt"]

    listed = mkio.call("GET", "/assets", params={"$filter": f"name eq '{name}'"})
    assert [asset["name"] for asset in listed["value"]] == [name]
    assert listed["supplemental"]["pagination"]["records"] == 1
    by_label = mkio.call("GET", "/assets", params={"$label": f"run={name}"})
    assert [asset["name"] for asset in by_label["value"]] == [name]
    nothing = mkio.call("GET", "/assets", params={"$filter": "name eq 'no such asset'"})
    assert nothing["value"] == []
    mkio.call("DELETE", f"/assets/{name}", expect=(200, 204))


def test_pages_follow_their_links_to_the_end(mkio: Mkio):
    stem = f"mkpage-{uuid.uuid4().hex[:8]}"
    for number in range(5):
        mkio.call("PUT", f"/assets/{stem}-{number}", {"properties": {"storageAccountName": "local"}})
    seen, link = [], None
    for _ in range(10):
        if link is None:
            body = mkio.call("GET", "/assets", params={"$filter": f"contains(name,'{stem}')", "$top": "2", "$orderby": "name"})
        else:
            answer = mkio.session.get(requests.compat.urljoin(mkio.base, link), timeout=30)
            assert answer.status_code == 200, answer.text
            body = answer.json()
        assert len(body["value"]) <= 2
        seen += [asset["name"] for asset in body["value"]]
        link = body.get("@odata.nextLink")
        if not link:
            break
    assert seen == [f"{stem}-{number}" for number in range(5)]


def test_errors_have_a_code_a_detail_and_a_reference(mkio: Mkio):
    missing = mkio.session.get(f"{mkio.base}/assets/no-such-asset", timeout=30)
    assert missing.status_code == 404
    body = missing.json()
    assert body["error"]["code"] and "not found" in body["error"]["detail"].lower()
    assert body["status"] == 404
    assert body["ref"]
    bad = mkio.session.put(f"{mkio.base}/assets/x", data="{", headers={"Content-Type": "application/json"}, timeout=30)
    assert bad.status_code == 400


def test_the_older_prefix_and_header_still_work(connection, mkio: Mkio):
    older = requests.get(
        f"{connection.apiUrl}/api/ams/{connection.project}/assets",
        headers={"x-mkio-token": connection.token},
        verify=connection.verify,
        timeout=30,
    )
    assert older.status_code == 200, older.text
    assert "value" in older.json()


def test_without_a_token_nothing_is_told(connection):
    for headers in ({}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Basic eDp5"}):
        refused = requests.get(
            f"{connection.apiUrl}/api/v1/projects/{connection.project}/media/assets",
            headers=headers,
            verify=connection.verify,
            timeout=30,
        )
        assert refused.status_code == 401, refused.text
        assert refused.json()["error"]["code"]


def test_ready_answers_without_a_token(connection):
    assert requests.get(f"{connection.apiUrl}/api/ready", verify=connection.verify, timeout=30).status_code == 200


def test_the_published_list_names_what_plays(mkio: Mkio, counted_published, http):
    listed = mkio.call("GET", "/published")["value"]
    entry = next(video for video in listed if video["locatorId"] == counted_published.locator_id)
    assert entry["assetName"] == counted_published.asset
    assert entry["durationSeconds"] is None or abs(entry["durationSeconds"] - 12) < 0.2
    for url in (entry["hlsUrl"], entry["dashUrl"], entry["posterUrl"]):
        assert http.get(url).status_code == 200, url


def test_the_published_list_names_no_poster_that_cannot_be_had(mkio: Mkio, account: Account, counted_published, http):
    streamed_only = account.publish(counted_published.asset, "Predefined_ClearStreamingOnly")
    listed = mkio.call("GET", "/published")["value"]
    entry = next(video for video in listed if video["locatorId"] == streamed_only.locator_id)
    assert entry["posterUrl"] is None or http.get(entry["posterUrl"]).status_code == 200


def test_a_program_gets_a_token_of_its_own_and_loses_it(connection):
    tokens = Mkio(connection, prefix="/api/v1/user/tokens")
    made = tokens.call("POST", "", {"type": "full-access", "description": "a program", "roles": ["viewer"]}, (201,))
    token, path = made["metadata"]["JWT"], "/" + made["metadata"]["id"]
    program = Mkio(connection, token=token)
    program.call("GET", "/assets", expect=(200,))
    program.call("PUT", "/assets/not-mine", {"properties": {}}, expect=(403,))
    assert tokens.call("GET", path)["spec"]["roles"] == ["viewer"]
    assert "JWT" not in tokens.call("GET", path)["metadata"]
    tokens.call("DELETE", path, expect=(200,))
    refused = program.call("GET", "/assets", expect=(401,))
    assert "revoked" in refused["error"]["detail"]
    assert tokens.call("GET", path)["spec"]["revoked"]
