"""What is beside the resources: operations that can be asked about, names, private links, accounts; and transforms and jobs by
every method that `azure-mgmt-media` has for them."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.media.models import (
    AssetTrack,
    BuiltInStandardEncoderPreset,
    CheckNameAvailabilityInput,
    Job,
    JobInputAsset,
    JobOutputAsset,
    ListEdgePoliciesInput,
    LiveEvent,
    LiveEventActionInput,
    LiveEventInput,
    LiveOutput,
    MediaService,
    MediaServiceUpdate,
    PrivateEndpointConnection,
    PrivateLinkServiceConnectionState,
    StreamingEndpoint,
    TextTrack,
    Transform,
    TransformOutput,
)

from headwater import FINAL_STATES, Account, ams_client
from live_worker import LiveWorker

UNKNOWN = str(uuid.UUID(int=1))


class Answers:
    """What a call was answered with, the polls of its operation included: `call(..., raw_response_hook=answers)`."""

    def __init__(self):
        self.seen = []

    def __call__(self, answer):
        self.seen.append(answer.http_response)

    @property
    def status(self) -> int:
        return self.seen[0].status_code

    def operation(self, *headers: str) -> str:
        """The id of the operation that the first answer names in these headers."""
        ids = set()
        for header in headers or ("Azure-AsyncOperation", "Location"):
            url = self.seen[0].headers[header]
            assert "api-version=" in url, url
            ids.add(url.partition("?")[0].rsplit("/", 1)[-1])
        assert int(self.seen[0].headers["Retry-After"]) >= 1
        (found,) = ids
        return found


def refused(call, status: int, code: str, target: str | None = None) -> HttpResponseError:
    """The call is answered with this status, and with an error as ARM has them."""
    with pytest.raises(HttpResponseError) as thrown:
        call()
    error = thrown.value
    assert (error.status_code, error.error.code) == (status, code), error.message
    assert error.error.target == target
    assert target is None or error.error.message.startswith(f"{target}: ")
    return error


def test_the_operations_that_could_be_granted(any_account: Account):
    found = list(any_account.client.operations.list().value)
    names = [operation.name for operation in found]
    assert len(set(names)) == len(names)
    assert {"Microsoft.Media/mediaservices/assets/read", "Microsoft.Media/mediaservices/liveEvents/write"} <= set(names)
    for operation in found:
        shown = operation.display
        assert shown.provider and shown.resource and shown.operation and shown.description


def test_a_name_is_available_if_it_is_well_formed_and_free(any_account: Account):
    client, where = any_account.client, any_account.where
    location = client.mediaservices.get(*where).location

    def check(name: str):
        wanted = CheckNameAvailabilityInput(name=name, type="mediaservices")
        return client.locations.check_name_availability(location, wanted)

    taken = check(where[1])
    assert (taken.name_available, taken.reason) == (False, "AlreadyExists") and where[1] in taken.message
    for bad in ("ab", "has space", "UPPER", "a" * 25):
        answer = check(bad)
        assert (answer.name_available, answer.reason) == (False, "Invalid") and answer.message
    assert check(f"a{uuid.uuid4().hex[:20]}").name_available is True
    nameless = CheckNameAvailabilityInput(type="mediaservices")
    refused(lambda: client.locations.check_name_availability(location, nameless), 400, "BadRequest", "name")


def test_there_are_no_private_links(any_account: Account):
    client, where = any_account.client, any_account.where
    links, connections = client.private_link_resources, client.private_endpoint_connections
    assert links.list(*where).value == []
    refused(lambda: links.get(*where, "keydelivery"), 404, "NotFound")
    wanted = PrivateEndpointConnection(
        private_link_service_connection_state=PrivateLinkServiceConnectionState(status="Approved")
    )
    refused(lambda: connections.create_or_update(*where, "mine", wanted), 400, "BadRequest", "properties")
    refused(lambda: connections.get(*where, "mine"), 404, "NotFound")
    assert connections.list(*where).value == []
    answers = Answers()
    connections.delete(*where, "mine", raw_response_hook=answers)
    assert answers.status == 204
    policies = client.mediaservices.list_edge_policies(*where, ListEdgePoliciesInput(device_id="d"))
    assert policies.usage_data_collection_policy is None


def test_a_change_of_an_account_can_be_asked_about(any_account: Account):
    client, where = any_account.client, any_account.where
    answers, tag = Answers(), uuid.uuid4().hex
    before = client.mediaservices.get(*where)
    update = MediaServiceUpdate(tags={"tag": tag})
    changed = client.mediaservices.begin_update(*where, update, raw_response_hook=answers).result()
    assert (answers.status, changed.tags) == (202, {"tag": tag})
    operation = answers.operation()
    status = client.media_services_operation_statuses.get(before.location, operation)
    assert (status.name, status.status) == (operation, "Succeeded")
    result = client.media_services_operation_results.get(before.location, operation)
    assert (result.id, result.tags) == (before.id, {"tag": tag})
    refused(lambda: client.media_services_operation_statuses.get(before.location, UNKNOWN), 404, "NotFound")
    refused(lambda: client.media_services_operation_results.get(before.location, UNKNOWN), 404, "NotFound")


def test_an_account_comes_and_goes(any_account: Account):
    client, (group, existing) = any_account.client, any_account.where
    name = f"e2e{uuid.uuid4().hex[:12]}"
    location = client.mediaservices.get(group, existing).location
    seen = []
    for _ in range(2):
        answers = Answers()
        wanted = MediaService(location=location, tags={"of": name})
        made = client.mediaservices.begin_create_or_update(group, name, wanted, raw_response_hook=answers).result()
        seen.append(answers.status)
        assert (made.name, made.provisioning_state, made.tags) == (name, "Succeeded", {"of": name})
    assert seen == [201, 200]
    assert name in {found.name for found in client.mediaservices.list(group)}
    assert name in {found.name for found in client.mediaservices.list_by_subscription()}
    for expected in (200, 204):
        answers = Answers()
        client.mediaservices.delete(group, name, raw_response_hook=answers)
        assert answers.status == expected
    refused(lambda: client.mediaservices.get(group, name), 404, "NotFound")


def test_operations_on_tracks(any_account: Account):
    client, asset, other = any_account.client, any_account.new_asset("film"), any_account.new_asset("film")
    where = (*any_account.where, asset, "english")
    any_account.container(asset).upload_blob("en.vtt", b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n")
    wanted = AssetTrack(track=TextTrack(file_name="en.vtt"))
    change = AssetTrack(track=TextTrack(player_visibility="Hidden"))
    statuses, results = client.operation_statuses, client.operation_results
    seen = []
    for begin, body, answered, visibility in (
        (client.tracks.begin_create_or_update, [wanted], 201, "Visible"),
        (client.tracks.begin_create_or_update, [wanted], 200, "Visible"),
        (client.tracks.begin_update, [change], 202, "Hidden"),
        (client.tracks.begin_update_track_data, [], 202, "Hidden"),
    ):
        answers = Answers()
        begin(*where, *body, raw_response_hook=answers).result()
        assert answers.status == answered
        seen.append(answers.operation())
        status = statuses.get(*where, seen[-1])
        assert (status.name, status.status, status.error) == (seen[-1], "Succeeded", None)
        assert status.start_time <= status.end_time and status.id.endswith(f"/operationStatuses/{seen[-1]}")
        track = results.get(*where, seen[-1])
        assert (track.name, track.track.file_name, track.track.player_visibility) == ("english", "en.vtt", visibility)
        # It is found where it belongs only.
        elsewhere = (*any_account.where, other, "english")
        refused(lambda: statuses.get(*elsewhere, seen[-1]), 404, "NotFound")
        refused(lambda: results.get(*elsewhere, seen[-1]), 404, "NotFound")
    assert len(set(seen)) == len(seen)
    answers = Answers()
    client.tracks.begin_delete(*where, raw_response_hook=answers).result()
    assert answers.status == 202
    # They outlive the track.
    for operation in (*seen, answers.operation()):
        assert statuses.get(*where, operation).status == "Succeeded"
        answered = Answers()
        assert results.get(*where, operation, raw_response_hook=answered) is None
        assert answered.status == 204
    refused(lambda: statuses.get(*where, UNKNOWN), 404, "NotFound")
    refused(lambda: results.get(*where, UNKNOWN), 404, "NotFound")


def test_operations_on_streaming_endpoints(any_account: Account):
    endpoints, where = any_account.client.streaming_endpoints, any_account.where
    name = any_account.name("ep")[:24]
    endpoints.begin_create(*where, name, StreamingEndpoint(location="local", scale_units=0)).result()
    for begin, reached in ((endpoints.begin_start, "Running"), (endpoints.begin_stop, "Stopped")):
        answers = Answers()
        begin(*where, name, raw_response_hook=answers).result()
        assert answers.status == 202
        operation = answers.operation()
        status = endpoints.async_operation(*where, operation)
        assert (status.name, status.status, status.error) == (operation, "Succeeded", None)
        answered = Answers()
        endpoints.operation_location(*where, name, operation, raw_response_hook=answered)
        assert answered.status == 200
        assert endpoints.get(*where, name).resource_state == reached
    endpoints.begin_delete(*where, name).result()
    # Whoever still waits for the last one is told of it.
    assert endpoints.async_operation(*where, operation).status == "Succeeded"
    endpoints.operation_location(*where, name, operation)
    refused(lambda: endpoints.async_operation(*where, UNKNOWN), 404, "NotFound")
    refused(lambda: endpoints.operation_location(*where, name, UNKNOWN), 404, "NotFound")


def live_event() -> LiveEvent:
    return LiveEvent(location="local", input=LiveEventInput(streaming_protocol="RTMP"))


def test_operations_on_live_events_and_outputs(any_account: Account):
    client, where = any_account.client, any_account.where
    events, outputs = client.live_events, client.live_outputs
    name = any_account.name("ev")[:32]
    events.begin_create(*where, name, live_event()).result()
    last = None

    def followed(begin, *arguments, accepted: int = 202) -> Answers:
        answers = Answers()
        begin(*where, name, *arguments, raw_response_hook=answers, polling_interval=1).result()
        assert answers.status == accepted, answers.seen[0].text()
        return answers

    with LiveWorker(any_account.connection):
        for begin, body, reached in (
            (events.begin_allocate, [], "StandBy"),
            (events.begin_start, [], "Running"),
            (events.begin_reset, [], "Running"),
        ):
            last = followed(begin, *body).operation()
            status = events.async_operation(*where, last)
            assert (status.name, status.status, status.error) == (last, "Succeeded", None)
            answered = Answers()
            events.operation_location(*where, name, last, raw_response_hook=answered)
            assert answered.status == 200
            assert events.get(*where, name).resource_state == reached

        recording = LiveOutput(asset_name=any_account.new_asset("rec"), archive_window_length=timedelta(hours=1))
        made = followed(outputs.begin_create, "main", recording, accepted=201).operation()
        found = outputs.get(*where, name, "main")
        assert (found.asset_name, found.resource_state) == (recording.asset_name, "Running")
        gone = followed(outputs.begin_delete, "main").operation()
        for operation in (made, gone):
            status = outputs.async_operation(*where, operation)
            assert (status.name, status.status, status.error) == (operation, "Succeeded", None)
            answered = Answers()
            outputs.operation_location(*where, name, "main", operation, raw_response_hook=answered)
            assert answered.status == 200
        # Each collection has its own.
        refused(lambda: events.async_operation(*where, made), 404, "NotFound")
        refused(lambda: outputs.async_operation(*where, last), 404, "NotFound")

        last = followed(events.begin_stop, LiveEventActionInput()).operation()
        followed(events.begin_delete, accepted=200)
    assert events.async_operation(*where, last).status == "Succeeded"
    events.operation_location(*where, name, last)
    refused(lambda: events.operation_location(*where, name, UNKNOWN), 404, "NotFound")
    refused(lambda: outputs.operation_location(*where, name, "main", UNKNOWN), 404, "NotFound")


def test_the_location_of_an_operation_that_is_over_has_the_resource(any_account: Account):
    """`operation_location` returns `StreamingEndpoint`, `LiveEvent` and `LiveOutput`."""
    client, where = any_account.client, any_account.where
    name, answers = any_account.name("ep")[:24], Answers()
    endpoints = client.streaming_endpoints
    endpoints.begin_create(*where, name, StreamingEndpoint(location="local", scale_units=0)).result()
    endpoints.begin_start(*where, name, raw_response_hook=answers).result()
    found = endpoints.operation_location(*where, name, answers.operation())
    stopping = Answers()
    endpoints.begin_stop(*where, name, raw_response_hook=stopping).result()
    endpoints.begin_delete(*where, name).result()
    assert endpoints.operation_location(*where, name, stopping.operation()) is None, "it is gone"
    assert isinstance(found, StreamingEndpoint) and (found.name, found.resource_state) == (name, "Running")


def preset(name: str, **more) -> TransformOutput:
    return TransformOutput(preset=BuiltInStandardEncoderPreset(preset_name=name), **more)


def test_a_transform_lives_through_create_read_update_list_delete(any_account: Account):
    transforms, where = any_account.client.transforms, any_account.where
    name = any_account.name("transform")
    refused(lambda: transforms.get(*where, name), 404, "NotFound")
    refused(lambda: transforms.update(*where, name, Transform(description="none")), 404, "NotFound")
    outputs = [
        preset("H264SingleBitrateSD", on_error="StopProcessingJob", relative_priority="High"),
        preset("AACGoodQualityAudio", on_error="ContinueJob", relative_priority="Low"),
    ]
    seen = []
    for _ in range(2):
        answers = Answers()
        made = transforms.create_or_update(
            *where, name, Transform(description="first", outputs=outputs), raw_response_hook=answers
        )
        seen.append(answers.status)
        assert (made.name, made.description, made.outputs) == (name, "first", outputs)
    assert seen == [201, 200]
    assert transforms.get(*where, name) == made

    described = transforms.update(*where, name, Transform(description="second"))
    assert (described.description, described.outputs, described.created) == ("second", outputs, made.created)
    assert described.last_modified > made.last_modified
    narrowed = transforms.update(*where, name, Transform(outputs=outputs[1:]))
    assert (narrowed.description, narrowed.outputs) == ("second", outputs[1:])
    wrong = Transform(outputs=[preset("NoSuchPreset")])
    refused(
        lambda: transforms.update(*where, name, wrong), 400, "BadRequest", "properties.outputs[0].preset.presetName"
    )
    assert transforms.get(*where, name) == narrowed

    other = f"{name}-b"
    transforms.create_or_update(*where, other, Transform(outputs=outputs))
    since = made.created.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    mine = f"properties/created ge {since} and (name eq '{name}' or name eq '{other}')"
    for orderby, expected in (("name desc", [other, name]), ("properties/created", [name, other])):
        assert [found.name for found in transforms.list(*where, filter=mine, orderby=orderby)] == expected
    with pytest.raises(HttpResponseError) as wrong_order:
        list(transforms.list(*where, orderby="properties/outputs"))
    assert (wrong_order.value.status_code, wrong_order.value.error.target) == (400, "$orderby")

    transforms.delete(*where, other)
    for expected in (200, 204):
        answers = Answers()
        transforms.delete(*where, name, raw_response_hook=answers)
        assert answers.status == expected
    refused(lambda: transforms.get(*where, name), 404, "NotFound")
    assert list(transforms.list(*where, filter=mine)) == []


def test_a_job_is_updated_and_deleted(any_account: Account):
    client, where, account = any_account.client, any_account.where, any_account
    transform, name = account.transform("H264SingleBitrateSD"), account.name("job")
    wanted = Job(
        input=JobInputAsset(asset_name=account.new_asset("in")),
        outputs=[JobOutputAsset(asset_name=account.new_asset("out"))],
        description="first",
        correlation_data={"run": "1"},
    )
    made = client.jobs.create(*where, transform, name, wanted)
    assert (made.priority, made.description) == ("Normal", "first")
    described = client.jobs.update(*where, transform, name, Job(description="second"))
    assert (described.description, described.priority) == ("second", "Normal")
    urgent = client.jobs.update(*where, transform, name, Job(priority="High"))
    assert (urgent.description, urgent.priority, urgent.correlation_data) == ("second", "High", {"run": "1"})
    wrong = Job(priority="Utmost")
    refused(lambda: client.jobs.update(*where, transform, name, wrong), 400, "BadRequest", "properties.priority")
    missing = account.name("none")
    refused(lambda: client.jobs.update(*where, transform, missing, Job(priority="Low")), 404, "NotFound")
    # It has no files, so that it ends soon.
    ended = account.wait(transform, name, timeout_s=120)
    assert ended.state in FINAL_STATES and (ended.description, ended.priority) == ("second", "High")
    for expected in (200, 204):
        answers = Answers()
        client.jobs.delete(*where, transform, name, raw_response_hook=answers)
        assert answers.status == expected
    refused(lambda: client.jobs.get(*where, transform, name), 404, "NotFound")


def test_another_subscription_has_nothing_of_this_one(any_account: Account):
    """The same token, and an id that nobody has."""
    elsewhere = ams_client(any_account.connection, str(uuid.uuid4()))
    assert list(elsewhere.mediaservices.list_by_subscription()) == []
    refused(lambda: elsewhere.mediaservices.get(*any_account.where), 404, "NotFound")
