"""The AMS surface, driven by the unmodified `azure-mgmt-media`."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.mgmt.media import AzureMediaServices
from azure.mgmt.media.models import (
    Asset,
    AssetContainerPermission,
    BuiltInStandardEncoderPreset,
    Job,
    JobInputAsset,
    JobOutputAsset,
    StreamingLocator,
    Transform,
    TransformOutput,
)
from azure.storage.blob import ContainerClient

import media
from headwater import Account, BearerOverHttp, StaticToken, player_session


def test_the_whole_way_from_file_to_playback(any_account: Account, counted, tmp_path):
    """Asset, SAS, upload, transform, job, locator, paths, segments: what a migrated script does."""
    account, session = any_account, player_session(any_account.connection)
    published = account.publish(account.encode(account.upload(counted), "AdaptiveStreaming"))
    rendition = next(r for r in media.read_master(session, published.hls) if r.kind == "video")
    playlist = media.read_media_playlist(session, rendition.url)
    file = media.download(
        session, [playlist.init, *(s.url for s in playlist.segments)], tmp_path / "video.mp4", "video"
    )
    assert media.read_counter(file) == list(range(300))


def test_a_script_signs_in_with_client_id_and_secret(tls_connection):
    """`azure-identity` as it is: only authority and base URL differ from the script that ran against Azure."""
    connection = tls_connection

    def client(secret: str) -> AzureMediaServices:
        credential = ClientSecretCredential(
            connection.tenantId,
            connection.clientId,
            secret,
            authority=connection.armUrl,
            disable_instance_discovery=True,
            connection_verify=connection.caFile,
        )
        return AzureMediaServices(
            credential, connection.subscriptionId, base_url=connection.armUrl, connection_verify=connection.caFile
        )

    where = (connection.resourceGroup, connection.accountName)
    names = {endpoint.name for endpoint in client(connection.clientSecret).streaming_endpoints.list(*where)}
    assert "default" in names
    with pytest.raises(ClientAuthenticationError, match="client id or secret is wrong"):
        list(client("not the secret at all").streaming_endpoints.list(*where))


def test_an_asset_lives_through_create_read_update_list_delete(any_account: Account):
    account, client, where = any_account, any_account.client, any_account.where
    name = account.new_asset("asset", description="first", alternate_id="a-1")
    made = client.assets.get(*where, name)
    assert (made.name, made.description, made.alternate_id) == (name, "first", "a-1")
    assert uuid.UUID(str(made.asset_id))
    assert made.container and made.storage_account_name == "local"
    assert made.type.lower() == "microsoft.media/mediaservices/assets"
    assert made.id.lower().endswith(f"/mediaservices/{account.connection.accountName}/assets/{name}".lower())

    patched = client.assets.update(*where, name, Asset(description="second"))
    assert (patched.description, patched.alternate_id) == ("second", "a-1")
    again = client.assets.create_or_update(*where, name, Asset(description="third"))
    assert (again.description, again.asset_id) == ("third", made.asset_id)

    found = list(client.assets.list(*where, filter=f"name eq '{name}'"))
    assert [asset.name for asset in found] == [name]

    client.assets.delete(*where, name)
    with pytest.raises(ResourceNotFoundError):
        client.assets.get(*where, name)
    client.assets.delete(*where, name)


def test_lists_page_through_everything(account: Account):
    stem = account.name("page")
    names = {f"{stem}-{number:02}" for number in range(7)}
    for name in names:
        account.client.assets.create_or_update(*account.where, name, Asset())
    range_filter = f"name ge '{stem}' and name lt '{stem}-99'"
    pages = account.client.assets.list(*account.where, filter=range_filter, top=3, orderby="name").by_page()
    sizes, seen = [], []
    for page in pages:
        items = [asset.name for asset in page]
        sizes.append(len(items))
        seen += items
    assert seen == sorted(names)
    assert max(sizes) <= 3


def test_container_sas_allows_what_was_asked_for_and_no_more(account: Account):
    asset = account.new_asset("sas")
    account.container(asset).upload_blob("a.txt", b"hello")
    reader = account.container(asset, AssetContainerPermission.READ)
    assert [blob.name for blob in reader.list_blobs()] == ["a.txt"]
    assert reader.download_blob("a.txt", offset=1, length=3).readall() == b"ell"
    with pytest.raises(HttpResponseError) as refused:
        reader.upload_blob("b.txt", b"no")
    assert refused.value.status_code == 403
    forged = ContainerClient.from_container_url(reader.url.replace("sig=", "sig=A"))
    with pytest.raises(HttpResponseError) as refused:
        list(forged.list_blobs())
    assert refused.value.status_code == 403
    account.container(asset, AssetContainerPermission.READ_WRITE_DELETE).delete_blob("a.txt")


def test_a_job_can_be_cancelled(account: Account, tmp_path):
    long = media.make_counted(tmp_path / "long.mp4", seconds=120)
    transform, job, _ = account.submit(account.upload(long), "H264MultipleBitrate720p")
    account.client.jobs.cancel_job(*account.where, transform, job)
    ended = account.wait(transform, job, timeout_s=300)
    assert ended.state == "Canceled"
    assert ended.outputs[0].state == "Canceled"
    # Repeating a cancel is what the client does after a lost answer.
    account.client.jobs.cancel_job(*account.where, transform, job)


def test_a_job_reports_times_input_and_correlation(account: Account, counted):
    transform, output = account.transform("AACGoodQualityAudio"), account.new_asset("out")
    source, job = account.upload(counted), account.name("job")
    account.client.jobs.create(
        *account.where,
        transform,
        job,
        Job(
            input=JobInputAsset(asset_name=source),
            outputs=[JobOutputAsset(asset_name=output)],
            correlation_data={"order": "42"},
            priority="High",
        ),
    )
    ended = account.wait(transform, job)
    assert ended.state == "Finished"
    assert ended.correlation_data == {"order": "42"}
    assert ended.priority == "High"
    assert ended.input.asset_name == source
    assert ended.created <= ended.start_time <= ended.end_time
    assert [job] == [j.name for j in account.client.jobs.list(*account.where, transform, filter=f"name eq '{job}'")]


def test_a_job_needs_its_transform_and_assets(account: Account):
    body = Job(
        input=JobInputAsset(asset_name=account.name("nowhere")),
        outputs=[JobOutputAsset(asset_name=account.name("nowhere"))],
    )
    with pytest.raises(HttpResponseError) as missing:
        account.client.jobs.create(*account.where, account.name("none"), account.name("job"), body)
    assert missing.value.status_code == 404
    transform = account.transform("AdaptiveStreaming")
    with pytest.raises(HttpResponseError) as missing:
        account.client.jobs.create(*account.where, transform, account.name("job"), body)
    assert missing.value.status_code in (400, 404)
    assert missing.value.error.code and missing.value.error.message


def test_a_transform_names_a_preset_that_exists(account: Account):
    made = account.client.transforms.get(*account.where, account.transform("H264SingleBitrate720p"))
    assert isinstance(made.outputs[0].preset, BuiltInStandardEncoderPreset)
    assert made.outputs[0].preset.preset_name == "H264SingleBitrate720p"
    with pytest.raises(HttpResponseError) as refused:
        account.client.transforms.create_or_update(
            *account.where,
            account.name("bad"),
            Transform(outputs=[TransformOutput(preset=BuiltInStandardEncoderPreset(preset_name="NoSuchPreset"))]),
        )
    assert refused.value.status_code == 400


def test_predefined_policies_and_the_default_endpoint_are_there(any_account: Account):
    client, where = any_account.client, any_account.where
    names = {policy.name for policy in client.streaming_policies.list(*where)}
    assert {
        "Predefined_ClearKey",
        "Predefined_ClearStreamingOnly",
        "Predefined_DownloadAndClearStreaming",
        "Predefined_DownloadOnly",
    } <= names
    policy = client.streaming_policies.get(*where, "Predefined_ClearStreamingOnly")
    assert policy.no_encryption.enabled_protocols.hls
    endpoint = client.streaming_endpoints.get(*where, "default")
    assert endpoint.resource_state == "Running"
    assert endpoint.host_name
    # A start of what runs already succeeds, and the poller ends.
    client.streaming_endpoints.begin_start(*where, "default").result(timeout=120)


def test_a_locator_keeps_its_id_and_its_window(account: Account, counted_published, http):
    now = datetime.now(timezone.utc)
    wanted = str(uuid.uuid4())
    for name, begin, end, status in (
        (account.name("past"), now - timedelta(hours=2), now - timedelta(hours=1), 410),
        (account.name("future"), now + timedelta(hours=1), now + timedelta(hours=2), 404),
    ):
        made = account.client.streaming_locators.create(
            *account.where,
            name,
            StreamingLocator(
                asset_name=counted_published.asset,
                streaming_policy_name="Predefined_ClearStreamingOnly",
                start_time=begin,
                end_time=end,
            ),
        )
        closed = counted_published.hls.replace(counted_published.locator_id, str(made.streaming_locator_id))
        assert http.get(closed).status_code == status
    chosen = account.name("chosen")
    account.client.streaming_locators.create(
        *account.where,
        chosen,
        StreamingLocator(
            asset_name=counted_published.asset,
            streaming_policy_name="Predefined_ClearStreamingOnly",
            streaming_locator_id=wanted,
        ),
    )
    assert str(account.client.streaming_locators.get(*account.where, chosen).streaming_locator_id) == wanted
    playing = account.published(chosen, counted_published.asset, wanted)
    assert http.get(playing.hls).status_code == 200
    listed = account.client.assets.list_streaming_locators(*account.where, counted_published.asset)
    assert chosen in {locator.name for locator in listed.streaming_locators}
    account.client.streaming_locators.delete(*account.where, chosen)
    assert http.get(playing.hls).status_code in (200, 404), "cached for seconds at most"


def test_a_token_is_needed_and_has_to_be_right(connection):
    for token in ("", "not.a.token", connection.token[:-4] + "AAAA"):
        client = AzureMediaServices(
            StaticToken("x"),
            connection.subscriptionId,
            base_url=connection.armUrl,
            authentication_policy=BearerOverHttp(token),
        )
        with pytest.raises(ClientAuthenticationError):
            client.assets.get(connection.resourceGroup, connection.accountName, "anything")
