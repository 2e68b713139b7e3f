"""Tracks of assets and content keys of locators, by the methods that `azure-mgmt-media` has for them, and what the origin does
with a locator that it cannot protect."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.media.models import (
    AccountFilter,
    AssetTrack,
    AudioTrack,
    CencDrmConfiguration,
    CommonEncryptionCenc,
    ContentKeyPolicy,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOpenRestriction,
    ContentKeyPolicyOption,
    DashSettings,
    DefaultKey,
    EnabledProtocols,
    FirstQuality,
    HlsSettings,
    NoEncryption,
    StreamingLocator,
    StreamingLocatorContentKey,
    StreamingPolicy,
    StreamingPolicyContentKeys,
    StreamingPolicyWidevineConfiguration,
    TextTrack,
)

from headwater import Account

VTT = b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n"


def test_a_text_track(any_account: Account):
    client, asset = any_account.client, any_account.new_asset("film")
    where = (*any_account.where, asset)
    container = any_account.container(asset)
    container.upload_blob("en.vtt", VTT)
    container.upload_blob("broken.vtt", b"1\n00:00:00,000 --> 00:00:01,000\n")
    wanted = AssetTrack(track=TextTrack(file_name="en.vtt", display_name="English"))
    for _ in range(2):
        made = client.tracks.begin_create_or_update(*where, "english", wanted).result()
        assert made.provisioning_state == "Succeeded"
        assert (made.track.file_name, made.track.player_visibility) == ("en.vtt", "Visible")
    assert [track.name for track in client.tracks.list(*where)] == ["english"]
    hls = HlsSettings(default=True, forced=False, characteristics="public.easy-to-read")
    change = AssetTrack(track=TextTrack(player_visibility="Hidden", hls_settings=hls))
    poller = client.tracks.begin_update(*where, "english", change, polling_interval=0)
    assert poller.result().track.hls_settings == hls
    shown = client.tracks.get(*where, "english").track
    assert (shown.display_name, shown.player_visibility) == ("English", "Hidden")
    client.tracks.begin_update_track_data(*where, "english").result()
    container.upload_blob("en.vtt", b"no", overwrite=True)
    with pytest.raises(HttpResponseError, match="'en.vtt' line 1"):
        client.tracks.begin_update_track_data(*where, "english").result()
    for file in ("broken.vtt", "none.vtt", "en.mp4"):
        with pytest.raises(HttpResponseError, match="fileName"):
            client.tracks.begin_create_or_update(
                *where, "other", AssetTrack(track=TextTrack(file_name=file))
            ).result()
    client.tracks.begin_delete(*where, "english").result()
    client.tracks.begin_delete(*where, "english").result()
    with pytest.raises(ResourceNotFoundError):
        client.tracks.get(*where, "english")
    assert container.get_blob_client("en.vtt").exists(), "the file stays"
    with pytest.raises(ResourceNotFoundError, match="not encrypted"):
        client.assets.get_encryption_key(*where)


def test_an_audio_track(any_account: Account):
    client, asset = any_account.client, any_account.new_asset("film")
    where = (*any_account.where, asset)
    any_account.container(asset).upload_blob("fr.m4a", b"not really one")
    wanted = AudioTrack(
        file_name="fr.m4a", display_name="Fran\u00e7ais", language_code="fr",
        dash_settings=DashSettings(role="alternate"), hls_settings=HlsSettings(default=False),
    )
    made = client.tracks.begin_create_or_update(*where, "french", AssetTrack(track=wanted)).result()
    assert made.track == wanted
    client.tracks.begin_delete(*where, "french").result()


def key_policy(account: Account) -> str:
    name = account.name("keys")
    option = ContentKeyPolicyOption(
        name="clear",
        configuration=ContentKeyPolicyClearKeyConfiguration(),
        restriction=ContentKeyPolicyOpenRestriction(),
    )
    account.client.content_key_policies.create_or_update(*account.where, name, ContentKeyPolicy(options=[option]))
    return name


def test_generated_keys_stay(any_account: Account):
    client, where = any_account.client, any_account.where
    name, policy = any_account.name("locator"), key_policy(any_account)
    wanted = StreamingLocator(
        asset_name=any_account.new_asset("film"),
        streaming_policy_name="Predefined_ClearKey",
        default_content_key_policy_name=policy,
    )
    client.streaming_locators.create(*where, name, wanted)
    (key,) = client.streaming_locators.list_content_keys(*where, name).content_keys
    assert (key.type, key.label_reference_in_streaming_policy) == ("EnvelopeEncryption", "ContentKey_AES")
    assert len(base64.b64decode(key.value)) == 16 and key.policy_name == policy
    client.streaming_locators.create(*where, name, wanted)
    assert client.streaming_locators.list_content_keys(*where, name).content_keys == [key]
    with pytest.raises(ResourceExistsError, match=name):
        client.content_key_policies.delete(*where, policy)
    wanted.streaming_policy_name = "Predefined_MultiDrmCencStreaming"
    with pytest.raises(HttpResponseError, match="has no PlayReady option"):
        client.streaming_locators.create(*where, any_account.name("locator"), wanted)
    client.streaming_locators.delete(*where, name)
    client.content_key_policies.delete(*where, policy)


def test_keys_survive_a_migration(any_account: Account):
    client, where = any_account.client, any_account.where
    name, policy = any_account.name("locator"), any_account.name("policy")
    enabled = EnabledProtocols(download=False, dash=True, hls=False, smooth_streaming=False)
    template = "https://drm.example/{ContentKeyId}"
    client.streaming_policies.create(*where, policy, StreamingPolicy(
        common_encryption_cenc=CommonEncryptionCenc(
            enabled_protocols=enabled,
            content_keys=StreamingPolicyContentKeys(default_key=DefaultKey(label="all")),
            drm=CencDrmConfiguration(
                widevine=StreamingPolicyWidevineConfiguration(custom_license_acquisition_url_template=template)
            ),
        ),
    ))
    value = base64.b64encode(bytes(range(16))).decode()
    key = StreamingLocatorContentKey(id=str(uuid.uuid4()), value=value, label_reference_in_streaming_policy="all")
    wanted = StreamingLocator(
        asset_name=any_account.new_asset("film"), streaming_policy_name=policy,
        streaming_locator_id=str(uuid.uuid4()), content_keys=[key],
    )
    for _ in range(2):
        made = client.streaming_locators.create(*where, name, wanted)
        assert made.streaming_locator_id == wanted.streaming_locator_id
        assert (made.content_keys[0].id, made.content_keys[0].value) == (key.id, None)
    (kept,) = client.streaming_locators.list_content_keys(*where, name).content_keys
    assert (kept.id, kept.value, kept.type) == (key.id, value, "CommonEncryptionCenc")
    key.value = base64.b64encode(bytes(16)).decode()
    with pytest.raises(ResourceExistsError):
        client.streaming_locators.create(*where, name, wanted)
    client.streaming_locators.delete(*where, name)
    client.streaming_policies.delete(*where, policy)


def test_the_origin_gives_out_nothing_that_is_to_be_protected(account: Account, http: requests.Session, counted: Path):
    client, where = account.client, account.where
    asset, policy, filter = account.new_asset("film"), account.name("policy"), account.name("filter")
    account.container(asset).upload_blob("film.mp4", counted.read_bytes())
    clear = EnabledProtocols(download=False, dash=True, hls=False, smooth_streaming=False)
    hls = EnabledProtocols(download=False, dash=False, hls=True, smooth_streaming=False)
    client.streaming_policies.create(*where, policy, StreamingPolicy(
        no_encryption=NoEncryption(enabled_protocols=clear),
        common_encryption_cenc=CommonEncryptionCenc(enabled_protocols=hls),
    ))
    client.account_filters.create_or_update(*where, filter, AccountFilter(first_quality=FirstQuality(bitrate=1)))

    def status(filters: list[str], options: str) -> tuple[int, str | None]:
        locator = client.streaming_locators.create(*where, account.name("locator"), StreamingLocator(
            asset_name=asset, streaming_policy_name=policy, filters=filters,
        ))
        path = f"/{locator.streaming_locator_id}/film.ism/manifest({options})"
        answer = http.get(account.connection.streamingUrl + path)
        return answer.status_code, None if answer.ok else answer.json()["code"]

    assert status([], "format=mpd-time-cmaf") == (200, None)
    assert status([], "format=m3u8-cmaf") == (400, "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL")
    assert status([], "format=m3u8-aapl") == (403, "MPE_ENC_ENCRYPTION_REQUIRED")
    assert status([], "format=m3u8-aapl,encryption=cenc") == (415, "MPE_ENCRYPTION_NOT_SUPPORTED")
    assert status([filter], "format=mpd-time-cmaf") == (200, None)
