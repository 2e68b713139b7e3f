"""Live events and live outputs: `azure-mgmt-media` with every method it has for them, and the MK.IO surface by HTTP.

The worker is a double (`live_worker.py`): states, operations and records are real, and there are no pictures.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.media.models import (
    Hls,
    IPAccessControl,
    IPRange,
    LiveEvent,
    LiveEventActionInput,
    LiveEventEncoding,
    LiveEventInput,
    LiveEventInputAccessControl,
    LiveEventPreview,
    LiveEventPreviewAccessControl,
    LiveOutput,
    StreamingLocator,
)

from headwater import Account, Mkio, player_session
from live_worker import LiveWorker

ANYWHERE = IPAccessControl(allow=[IPRange(name="AllowAll", address="0.0.0.0", subnet_prefix_length=0)])


def live_event(**properties) -> LiveEvent:
    """As AMS's own samples make one."""
    wanted = {
        "input": LiveEventInput(
            streaming_protocol="RTMP",
            access_control=LiveEventInputAccessControl(ip=ANYWHERE),
            access_token=str(uuid.uuid4()),
        ),
        "preview": LiveEventPreview(access_control=LiveEventPreviewAccessControl(ip=ANYWHERE)),
        "encoding": LiveEventEncoding(encoding_type="PassthroughStandard"),
        "use_static_hostname": True,
        "stream_options": ["LowLatency"],
    }
    return LiveEvent(location="local", **{**wanted, **properties})


def event_name(account: Account) -> str:
    return account.name("ev")[:32]


@pytest.fixture
def worker(any_account):
    with LiveWorker(any_account.connection) as worker:
        yield worker


@pytest.fixture
def mkio_worker(connection):
    with LiveWorker(connection) as worker:
        yield worker


def test_a_live_show_from_start_to_film(any_account: Account, worker):
    client, where, name = any_account.client, any_account.where, event_name(any_account)
    events, outputs = client.live_events, client.live_outputs
    wanted = live_event(description="first", tags={"team": "video"})
    event = events.begin_create(*where, name, wanted, auto_start=False).result()
    assert (event.resource_state, event.provisioning_state) == ("Stopped", "Succeeded")
    assert event.input.access_token == wanted.input.access_token and event.input.endpoints == []
    assert event.preview.preview_locator
    assert (event.tags, event.stream_options) == ({"team": "video"}, ["LowLatency"])
    assert events.get(*where, name) == event
    # The client repeats what it got no answer to.
    assert events.begin_create(*where, name, wanted).result() == event
    with pytest.raises(ResourceExistsError, match="description"):
        events.begin_create(*where, name, live_event(description="other", input=wanted.input)).result()
    changed = events.begin_update(*where, name, LiveEvent(location="local", description="second")).result()
    assert (changed.description, changed.tags, changed.input) == ("second", event.tags, event.input)

    asset = any_account.new_asset("rec")
    recording = LiveOutput(
        asset_name=asset,
        archive_window_length=timedelta(hours=8),
        manifest_name="show",
        hls=Hls(fragments_per_ts_segment=3),
    )
    output = outputs.begin_create(*where, name, "main", recording).result()
    assert output.archive_window_length == timedelta(hours=8)
    assert (output.manifest_name, output.hls.fragments_per_ts_segment) == ("show", 3)
    # Viewers can be told where to look before there is anything to see.
    locator = any_account.name("loc")
    policy = "Predefined_ClearStreamingOnly"
    client.streaming_locators.create(
        *where, locator, StreamingLocator(asset_name=asset, streaming_policy_name=policy)
    )
    paths = client.streaming_locators.list_paths(*where, locator).streaming_paths
    assert all("/show.ism/" in path for entry in paths for path in entry.paths)

    events.begin_start(*where, name).result()
    event = events.get(*where, name)
    assert event.resource_state == "Running"
    assert event.input.access_token in event.input.endpoints[0].url
    assert event.preview.preview_locator in event.preview.endpoints[0].url
    events.begin_start(*where, name).result()
    with pytest.raises(ResourceExistsError, match="Stopped or StandBy"):
        events.begin_update(*where, name, LiveEvent(location="local", description="third")).result()
    with pytest.raises(ResourceExistsError, match="recorded by live output 'main'"):
        client.assets.delete(*where, asset)

    # An output of an event that runs is made when its recording has begun.
    second = any_account.new_asset("rec")
    output = outputs.begin_create(
        *where, name, "second", LiveOutput(asset_name=second, archive_window_length=timedelta(minutes=1))
    ).result()
    assert (output.resource_state, output.provisioning_state) == ("Running", "Succeeded")
    assert {output.name for output in outputs.list(*where, name)} == {"main", "second"}
    outputs.begin_delete(*where, name, "second").result()
    outputs.begin_delete(*where, name, "second").result()
    with pytest.raises(ResourceNotFoundError):
        outputs.get(*where, name, "second")

    with pytest.raises(ResourceExistsError, match="delete its outputs first"):
        events.begin_stop(*where, name, LiveEventActionInput(remove_outputs_on_stop=False)).result()
    events.begin_stop(*where, name, LiveEventActionInput(remove_outputs_on_stop=True)).result()
    assert events.get(*where, name).resource_state == "Stopped"
    assert list(outputs.list(*where, name)) == []
    assert client.assets.get(*where, asset).name == asset
    events.begin_delete(*where, name).result()
    events.begin_delete(*where, name).result()
    with pytest.raises(ResourceNotFoundError):
        events.get(*where, name)


def test_allocate_reset_and_start_with_the_creation(any_account: Account, worker):
    client, where, name = any_account.client, any_account.where, event_name(any_account)
    events = client.live_events
    event = events.begin_create(*where, name, live_event(), auto_start=True).result()
    assert event.resource_state == "Running"
    assert name in {event.name for event in events.list(*where)}
    output = LiveOutput(asset_name=any_account.new_asset("rec"), archive_window_length=timedelta(hours=1))
    client.live_outputs.begin_create(*where, name, "o", output).result()
    events.begin_reset(*where, name).result()
    assert events.get(*where, name).resource_state == "Running"
    deadline = time.monotonic() + 120
    while list(client.live_outputs.list(*where, name)):
        assert time.monotonic() < deadline, "a reset deletes the outputs"
        time.sleep(0.1)
    events.begin_stop(*where, name, LiveEventActionInput()).result()
    events.begin_allocate(*where, name).result()
    assert events.get(*where, name).resource_state == "StandBy"
    events.begin_delete(*where, name).result()
    # The name is free again.
    events.begin_create(*where, name, live_event()).result()
    events.begin_delete(*where, name).result()


def test_what_makes_no_sense_is_refused(any_account: Account):
    client, where, name = any_account.client, any_account.where, event_name(any_account)
    for field, properties in {
        "streamingProtocol": {"input": LiveEventInput(streaming_protocol="WHIP")},
        "accessToken": {"input": LiveEventInput(streaming_protocol="RTMP", access_token="secret")},
        "keyFrameInterval": {"encoding": LiveEventEncoding(key_frame_interval=timedelta(seconds=2))},
        "presetName": {"encoding": LiveEventEncoding(encoding_type="Standard", preset_name="mine")},
        "hostnamePrefix": {"use_static_hostname": False, "hostname_prefix": "x"},
        "streamOptions": {"stream_options": ["Default", "LowLatency"]},
    }.items():
        with pytest.raises(HttpResponseError, match=field):
            client.live_events.begin_create(*where, name, live_event(**properties)).result()
    with pytest.raises(ResourceNotFoundError):
        client.live_events.begin_start(*where, name).result()
    client.live_events.begin_create(*where, name, live_event()).result()
    for field, output in {
        "assetName": LiveOutput(asset_name="none", archive_window_length=timedelta(hours=1)),
        "archiveWindowLength": LiveOutput(
            asset_name=any_account.new_asset("rec"), archive_window_length=timedelta(seconds=1)
        ),
    }.items():
        with pytest.raises(HttpResponseError, match=field):
            client.live_outputs.begin_create(*where, name, "o", output).result()
    client.live_events.begin_delete(*where, name).result()


def test_the_mkio_surface(mkio: Mkio, mkio_worker):
    run = uuid.uuid4().hex[:8]
    event, asset = f"/liveEvents/mk-{run}", f"/assets/mk-{run}"

    def wait_for(path: str, wanted: str) -> None:
        deadline = time.monotonic() + 120
        while (state := mkio.call("GET", f"{path}/state")["status"]["state"]) != wanted:
            assert time.monotonic() < deadline, state
            time.sleep(0.1)

    body = {
        "location": "local",
        "labels": {"run": run},
        "properties": {
            "input": {"streamingProtocol": "SRT"},
            "encoding": {"encodingType": "Standard", "keyFrameInterval": "2"},
            "streamOptions": ["Default"],
        },
    }
    made = mkio.call("PUT", event, body)
    assert made["properties"]["encoding"] == {
        "encodingType": "Standard",
        "presetName": "Default720p",
        "keyFrameInterval": "PT2S",
        "stretchMode": "AutoSize",
    }
    assert made["labels"] == {"run": run}
    found = mkio.call("GET", f"/liveEvents?$label=run={run}")
    assert [item["name"] for item in found["value"]] == [f"mk-{run}"]
    assert found["supplemental"]["pagination"]["total"] == 1

    mkio.call("PUT", asset, {"properties": {}})
    output = {"properties": {"assetName": f"mk-{run}", "archiveWindowLength": "P7D"}}
    mkio.call("PUT", f"{event}/liveOutputs/o", output)
    begun = mkio.session.post(f"{mkio.base}{event}/start", timeout=30)
    assert begun.status_code == 202
    # MK.IO's client polls without a token.
    anonymous: requests.Session = player_session(mkio.connection)
    deadline = time.monotonic() + 120
    while True:
        polled = anonymous.get(begun.headers["Azure-AsyncOperation"], timeout=30)
        assert polled.status_code == 200, polled.text
        if polled.json()["status"] != "InProgress":
            break
        assert time.monotonic() < deadline
        time.sleep(int(polled.headers["Retry-After"]) / 10)
    assert polled.json()["status"] == "Succeeded"
    wait_for(event, "Running")
    wait_for(f"{event}/liveOutputs/o", "Running")
    assert mkio.call("GET", event)["properties"]["input"]["endpoints"][0]["url"].startswith("srt://")

    refusal = mkio.call("POST", f"{event}/stop", expect=(400,))
    assert "delete its outputs first" in refusal["error"]["detail"]
    mkio.call("DELETE", f"{event}/liveOutputs/o", expect=(200, 202))
    mkio.call("POST", f"{event}/stop", expect=(200, 202))
    wait_for(event, "Stopped")
    mkio.call("DELETE", event, expect=(200,))
    mkio.call("DELETE", event, expect=(204,))


def test_without_a_worker_a_start_fails_and_says_why(mkio: Mkio):
    """Takes a minute. An installation with an ingest worker of its own has nothing to fail here."""
    event = f"/liveEvents/mk-{uuid.uuid4().hex[:8]}"
    mkio.call("PUT", event, {"location": "local", "properties": {}})
    begun = mkio.session.post(f"{mkio.base}{event}/start", timeout=30)
    deadline = time.monotonic() + 240
    while (state := mkio.call("GET", f"{event}/state")["status"]["state"]) == "Starting":
        assert time.monotonic() < deadline
        time.sleep(1)
    if state == "Running":
        mkio.call("POST", f"{event}/stop", expect=(200, 202))
        pytest.skip("an ingest worker took the event")
    assert state == "Stopped"
    operation = requests.get(begun.headers["Azure-AsyncOperation"], verify=mkio.connection.verify, timeout=30).json()
    assert operation["status"] == "Failed"
    assert operation["error"]["message"] == "no ingest worker took the event within 60 s"
    mkio.call("DELETE", event, expect=(200,))
