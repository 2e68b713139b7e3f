"""Lost requests and lost answers: the unmodified client repeats what it got no answer to, up to four times in all, and whatever
it does ends well and is done once."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceResponseError
from azure.mgmt.media.models import (
    AccountFilter,
    Asset,
    AssetFilter,
    AssetTrack,
    BuiltInStandardEncoderPreset,
    ContentKeyPolicy,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOpenRestriction,
    ContentKeyPolicyOption,
    EnabledProtocols,
    FirstQuality,
    Job,
    JobInputAsset,
    JobOutputAsset,
    ListContainerSasInput,
    LiveEvent,
    LiveEventActionInput,
    LiveEventInput,
    LiveOutput,
    MediaService,
    MediaServiceUpdate,
    NoEncryption,
    StreamingEndpoint,
    StreamingEntityScaleUnit,
    StreamingLocator,
    StreamingPolicy,
    SyncStorageKeysInput,
    TextTrack,
    Transform,
    TransformOutput,
)

import media
from headwater import Account, ams_client
from live_worker import LiveWorker
from unreliable import Fault, Unreliable

# Of a second only: there are hundreds of calls.
FAULTS = {
    "500": Fault(500, after=False),
    "503 with Retry-After": Fault(503, after=False, retry_after=0.05),
    "429 with Retry-After": Fault(429, after=False, retry_after=0.05),
    "no answer": Fault(None, after=False),
    "done, then 500": Fault(500, after=True),
    "done, then 503 with Retry-After": Fault(503, after=True, retry_after=0.05),
    "done, then no answer": Fault(None, after=True),
}

VTT = b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n"


def persistent(call, *arguments, **options):
    """As a script that repeats a call once where the client gives up: it sends no POST and no PATCH again whose connection broke."""
    try:
        return call(*arguments, **options)
    except ServiceResponseError:
        return call(*arguments, **options)


class Way:
    """The client, whose every write fails first."""

    def __init__(self, connection, proxy: Unreliable):
        self.proxy, self.account = proxy, Account(connection)
        self.client = ams_client(connection, base_url=proxy.url)
        self.where = self.account.where

    def call(self, operation, *arguments, **options):
        """The result, polled for if it takes its time."""
        answer = persistent(operation, *self.where, *arguments, **options)
        return answer.result() if hasattr(answer, "result") else answer

    def repeated(self, method: str, path_end: str) -> list[int]:
        """What Headwater answered to one write. It got it twice if it did it before the answer was lost, and once if not."""
        found = self.proxy.statuses(method, path_end)
        assert len(found) == (1 + self.proxy.fault.times if self.proxy.fault.after else 1), (method, path_end, found)
        assert all(200 <= status < 300 for status in found), (method, path_end, found)
        return found

    def created(self, path_end: str, again: int = 200) -> None:
        """A PUT made its resource, and said so once more."""
        found = self.repeated("PUT", path_end)
        assert found == [201] + [again] * (len(found) - 1), path_end

    def deleted(self, path_end: str, first: int = 200) -> None:
        found = self.repeated("DELETE", path_end)
        assert found == [first] + [204] * (len(found) - 1), path_end


@pytest.fixture(params=FAULTS)
def way(request, connection):
    with Unreliable(connection.apiUrl, FAULTS[request.param]) as proxy:
        yield Way(connection, proxy)


def only(resources, name: str):
    """The one resource of that name."""
    (found,) = [resource for resource in resources if resource.name == name]
    return found


def gone(call, *arguments) -> None:
    with pytest.raises(ResourceNotFoundError):
        call(*arguments)


def test_assets_with_filters_and_tracks(way: Way):
    client, where, name = way.client, way.where, way.account.name("asset")
    made = way.call(client.assets.create_or_update, name, Asset(description="first", alternate_id="a"))
    way.created(f"/assets/{name}")
    found = only(client.assets.list(*where, filter=f"name eq '{name}'"), name)
    assert (found.asset_id, found.container, found.description) == (made.asset_id, made.container, "first")
    assert way.call(client.assets.update, name, Asset(description="second")).alternate_id == "a"
    way.repeated("PATCH", f"/assets/{name}")
    assert client.assets.get(*where, name).description == "second"

    expiry = datetime.now(timezone.utc) + timedelta(hours=1)
    wanted = ListContainerSasInput(permissions="ReadWrite", expiry_time=expiry)
    urls = way.call(client.assets.list_container_sas, name, wanted).asset_container_sas_urls
    way.repeated("POST", f"/assets/{name}/listContainerSas")
    assert urls and all(made.container in url for url in urls)
    assert way.call(client.assets.list_streaming_locators, name).streaming_locators == []
    way.account.container(name).upload_blob("en.vtt", VTT)

    way.call(client.asset_filters.create_or_update, name, "low", AssetFilter(first_quality=FirstQuality(bitrate=1)))
    way.created(f"/assets/{name}/assetFilters/low")
    way.call(client.asset_filters.update, name, "low", AssetFilter(first_quality=FirstQuality(bitrate=2)))
    assert only(client.asset_filters.list(*where, name), "low").first_quality.bitrate == 2
    way.call(client.asset_filters.delete, name, "low")
    way.deleted(f"/assets/{name}/assetFilters/low")
    assert list(client.asset_filters.list(*where, name)) == []

    track = AssetTrack(track=TextTrack(file_name="en.vtt"))
    assert way.call(client.tracks.begin_create_or_update, name, "en", track).provisioning_state == "Succeeded"
    way.created(f"/assets/{name}/tracks/en")
    hidden = AssetTrack(track=TextTrack(player_visibility="Hidden"))
    way.call(client.tracks.begin_update, name, "en", hidden)
    way.call(client.tracks.begin_update_track_data, name, "en")
    assert only(client.tracks.list(*where, name), "en").track.player_visibility == "Hidden"
    way.call(client.tracks.begin_delete, name, "en")
    way.deleted(f"/assets/{name}/tracks/en", first=202)
    assert list(client.tracks.list(*where, name)) == []

    way.call(client.assets.delete, name)
    way.deleted(f"/assets/{name}")
    gone(client.assets.get, *where, name)


def test_filters_of_the_account(way: Way):
    filters, name = way.client.account_filters, way.account.name("filter")
    way.call(filters.create_or_update, name, AccountFilter(first_quality=FirstQuality(bitrate=1)))
    way.created(f"/accountFilters/{name}")
    way.call(filters.update, name, AccountFilter(first_quality=FirstQuality(bitrate=2)))
    assert only(filters.list(*way.where), name).first_quality.bitrate == 2
    way.call(filters.delete, name)
    way.deleted(f"/accountFilters/{name}")
    gone(filters.get, *way.where, name)


def test_policies_and_locators(way: Way):
    client, where = way.client, way.where
    keys, policy, locator = way.account.name("keys"), way.account.name("policy"), way.account.name("loc")
    option = ContentKeyPolicyOption(
        name="clear",
        configuration=ContentKeyPolicyClearKeyConfiguration(),
        restriction=ContentKeyPolicyOpenRestriction(),
    )
    made = way.call(client.content_key_policies.create_or_update, keys, ContentKeyPolicy(options=[option]))
    way.created(f"/contentKeyPolicies/{keys}")
    found = only(client.content_key_policies.list(*where, filter=f"name eq '{keys}'"), keys)
    assert (found.policy_id, found.options[0].policy_option_id) == (made.policy_id, made.options[0].policy_option_id)
    assert len(found.options) == 1
    changed = way.call(client.content_key_policies.update, keys, ContentKeyPolicy(description="d", options=None))
    assert (changed.description, changed.options) == ("d", found.options)
    secrets = way.call(client.content_key_policies.get_policy_properties_with_secrets, keys)
    assert len(secrets.options) == 1

    protocols = EnabledProtocols(download=False, dash=True, hls=True, smooth_streaming=False)
    way.call(client.streaming_policies.create, policy, StreamingPolicy(no_encryption=NoEncryption(enabled_protocols=protocols)))
    way.created(f"/streamingPolicies/{policy}", again=201)
    assert only(client.streaming_policies.list(*where), policy).no_encryption.enabled_protocols == protocols
    way.call(client.streaming_policies.delete, policy)
    way.deleted(f"/streamingPolicies/{policy}")

    asset = way.account.new_asset("film")
    wanted = StreamingLocator(
        asset_name=asset, streaming_policy_name="Predefined_ClearKey", default_content_key_policy_name=keys
    )
    made = way.call(client.streaming_locators.create, locator, wanted)
    way.created(f"/streamingLocators/{locator}", again=201)
    found = only(client.streaming_locators.list(*where, filter=f"name eq '{locator}'"), locator)
    assert found.streaming_locator_id == made.streaming_locator_id
    (of_asset,) = way.call(client.assets.list_streaming_locators, asset).streaming_locators
    assert of_asset.streaming_locator_id == made.streaming_locator_id
    # The key that was made is the one that is given out.
    (key,) = way.call(client.streaming_locators.list_content_keys, locator).content_keys
    assert key.value and key.policy_name == keys
    (again,) = way.call(client.streaming_locators.list_content_keys, locator).content_keys
    assert (again.id, again.value) == (key.id, key.value)
    way.call(client.streaming_locators.list_paths, locator)
    way.call(client.streaming_locators.delete, locator)
    way.deleted(f"/streamingLocators/{locator}")
    gone(client.streaming_locators.get, *where, locator)
    way.call(client.content_key_policies.delete, keys)
    way.deleted(f"/contentKeyPolicies/{keys}")
    gone(client.content_key_policies.get, *where, keys)


def test_transforms_and_jobs(way: Way):
    client, where = way.client, way.where
    transform, job = way.account.name("transform"), way.account.name("job")
    output = TransformOutput(preset=BuiltInStandardEncoderPreset(preset_name="H264SingleBitrateSD"))
    way.call(client.transforms.create_or_update, transform, Transform(outputs=[output]))
    way.created(f"/transforms/{transform}")
    way.call(client.transforms.update, transform, Transform(description="d"))
    assert only(client.transforms.list(*where, filter=f"name eq '{transform}'"), transform).description == "d"

    wanted = Job(
        input=JobInputAsset(asset_name=way.account.new_asset("in")),
        outputs=[JobOutputAsset(asset_name=way.account.new_asset("out"))],
        correlation_data={"run": job},
    )
    made = way.call(client.jobs.create, transform, job, wanted)
    way.created(f"/transforms/{transform}/jobs/{job}", again=201)
    assert [(found.name, found.created) for found in client.jobs.list(*where, transform)] == [(job, made.created)]
    way.call(client.jobs.update, transform, job, Job(priority="High"))
    assert client.jobs.get(*where, transform, job).priority == "High"
    # It has no files, so that it ends in an error, and once only.
    ended = way.account.wait(transform, job, timeout_s=120)
    assert ended.state == "Error"
    way.call(client.jobs.delete, transform, job)
    way.deleted(f"/transforms/{transform}/jobs/{job}")
    assert list(client.jobs.list(*where, transform)) == []
    way.call(client.transforms.delete, transform)
    way.deleted(f"/transforms/{transform}")
    gone(client.transforms.get, *where, transform)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    """Minutes of work for workers who are left to it, so that a cancel that was told to come back later still finds some."""
    return media.make_counted(tmp_path_factory.mktemp("long") / "long.mp4", seconds=240)


def test_a_job_is_cancelled(way: Way, long_film):
    client = way.client
    transform, job, _ = way.account.submit(way.account.upload(long_film), "H264MultipleBitrate1080p")
    way.call(client.jobs.cancel_job, transform, job)
    way.repeated("POST", f"/jobs/{job}/cancelJob")
    assert way.account.wait(transform, job, timeout_s=120).state == "Canceled"
    way.call(client.jobs.delete, transform, job)


def test_streaming_endpoints(way: Way):
    endpoints, where, name = way.client.streaming_endpoints, way.where, way.account.name("ep")[:24]
    made = way.call(endpoints.begin_create, name, StreamingEndpoint(location="local", scale_units=1))
    way.created(f"/streamingEndpoints/{name}")
    assert only(endpoints.list(*where), name).created == made.created
    way.call(endpoints.begin_update, name, StreamingEndpoint(location="local", description="d"))
    way.call(endpoints.begin_scale, name, StreamingEntityScaleUnit(scale_unit=2))
    for begin, action, state in ((endpoints.begin_start, "start", "Running"), (endpoints.begin_stop, "stop", "Stopped")):
        way.call(begin, name)
        found = way.repeated("POST", f"/streamingEndpoints/{name}/{action}")
        assert found == [202] + [200] * (len(found) - 1)
        assert endpoints.get(*where, name).resource_state == state
    assert (endpoints.get(*where, name).scale_units, endpoints.get(*where, name).description) == (2, "d")
    way.call(endpoints.begin_delete, name)
    way.deleted(f"/streamingEndpoints/{name}")
    gone(endpoints.get, *where, name)


def test_live_events_and_outputs(way: Way, connection):
    client, where, name = way.client, way.where, way.account.name("ev")[:32]
    events, outputs = client.live_events, client.live_outputs
    event = LiveEvent(location="local", input=LiveEventInput(streaming_protocol="RTMP"), description="first")
    made = way.call(events.begin_create, name, event)
    way.created(f"/liveEvents/{name}")
    found = only(events.list(*where), name)
    # The token that the encoder was told is the one that is asked for.
    assert (found.created, found.input.access_token) == (made.created, made.input.access_token)
    way.call(events.begin_update, name, LiveEvent(location="local", description="second"))
    asset = way.account.new_asset("rec")
    recording = LiveOutput(asset_name=asset, archive_window_length=timedelta(hours=1))
    with LiveWorker(connection):
        for begin, action, state in (
            (events.begin_allocate, "allocate", "StandBy"),
            (events.begin_start, "start", "Running"),
            (events.begin_reset, "reset", "Running"),
        ):
            way.call(begin, name)
            way.repeated("POST", f"/liveEvents/{name}/{action}")
            assert events.get(*where, name).resource_state == state
        first = way.call(outputs.begin_create, name, "main", recording)
        way.created(f"/liveEvents/{name}/liveOutputs/main")
        assert only(outputs.list(*where, name), "main").created == first.created
        way.call(outputs.begin_delete, name, "main")
        way.repeated("DELETE", f"/liveEvents/{name}/liveOutputs/main")
        assert list(outputs.list(*where, name)) == []
        way.call(events.begin_stop, name, LiveEventActionInput(remove_outputs_on_stop=True))
        way.repeated("POST", f"/liveEvents/{name}/stop")
        found = events.get(*where, name)
        assert (found.resource_state, found.description) == ("Stopped", "second")
    way.call(events.begin_delete, name)
    way.deleted(f"/liveEvents/{name}")
    gone(events.get, *where, name)


def test_accounts(way: Way):
    services, (group, existing) = way.client.mediaservices, way.where
    before = services.get(group, existing)
    tag = uuid.uuid4().hex
    assert way.call(services.begin_update, MediaServiceUpdate(tags={"tag": tag})).tags == {"tag": tag}
    assert way.repeated("PATCH", f"/mediaservices/{existing}")[-1] == 202
    way.call(services.sync_storage_keys, SyncStorageKeysInput(id=before.storage_accounts[0].id))
    name = f"e2e{uuid.uuid4().hex[:12]}"
    way.where = (group, name)
    wanted = MediaService(location=before.location)
    made = way.call(services.begin_create_or_update, wanted)
    way.created(f"/mediaservices/{name}")
    assert only(services.list(group), name).media_service_id == made.media_service_id
    way.call(services.delete)
    way.deleted(f"/mediaservices/{name}")
    gone(services.get, group, name)


def test_three_lost_answers_are_as_good_as_one(connection):
    """The fourth time is the client's last."""
    with Unreliable(connection.apiUrl, Fault(500, after=True, times=3)) as proxy:
        way = Way(connection, proxy)
        client, asset, name = way.client, way.account.name("asset"), way.account.name("loc")
        way.call(client.assets.create_or_update, asset, Asset())
        way.created(f"/assets/{asset}")
        wanted = StreamingLocator(asset_name=asset, streaming_policy_name="Predefined_ClearStreamingOnly")
        way.call(client.streaming_locators.create, name, wanted)
        way.created(f"/streamingLocators/{name}", again=201)
        assert len(way.call(client.assets.list_streaming_locators, asset).streaming_locators) == 1
        way.call(client.assets.update, asset, Asset(description="d"))
        way.repeated("PATCH", f"/assets/{asset}")
        way.call(client.streaming_locators.delete, name)
        way.deleted(f"/streamingLocators/{name}")
        way.call(client.assets.delete, asset)
        way.deleted(f"/assets/{asset}")
