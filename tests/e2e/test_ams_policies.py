"""The account, filters, content key policies, streaming policies and endpoints, by every method that `azure-mgmt-media` has for
them."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.media.models import (
    AccountFilter,
    AssetFilter,
    ContentKeyPolicy,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOption,
    ContentKeyPolicyPlayReadyConfiguration,
    ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader,
    ContentKeyPolicyPlayReadyLicense,
    ContentKeyPolicyPlayReadyPlayRight,
    ContentKeyPolicyRsaTokenKey,
    ContentKeyPolicySymmetricTokenKey,
    ContentKeyPolicyTokenClaim,
    ContentKeyPolicyTokenRestriction,
    EnabledProtocols,
    FilterTrackPropertyCondition,
    FilterTrackSelection,
    FirstQuality,
    ListEdgePoliciesInput,
    MediaService,
    MediaServiceUpdate,
    NoEncryption,
    PresentationTimeRange,
    StreamingEndpoint,
    StreamingEntityScaleUnit,
    StreamingLocator,
    StreamingPolicy,
    SyncStorageKeysInput,
)

from headwater import Account

RANGE = PresentationTimeRange(start_timestamp=0, end_timestamp=170_000_000, timescale=10_000_000)
TRACKS = [
    FilterTrackSelection(
        track_selections=[
            FilterTrackPropertyCondition(property="Type", operation="Equal", value="Audio"),
            FilterTrackPropertyCondition(property="Bitrate", operation="NotEqual", value="0-1500000"),
        ]
    )
]


@pytest.mark.parametrize("kind", ["account", "asset"])
def test_filters(any_account: Account, kind: str):
    client, name = any_account.client, any_account.name("filter")
    if kind == "asset":
        group, where, made = client.asset_filters, (*any_account.where, any_account.new_asset("film")), AssetFilter
    else:
        group, where, made = client.account_filters, any_account.where, AccountFilter
    with pytest.raises(ResourceNotFoundError):
        group.get(*where, name)
    wanted = made(presentation_time_range=RANGE, first_quality=FirstQuality(bitrate=128_000), tracks=TRACKS)
    for _ in range(2):
        filter = group.create_or_update(*where, name, wanted)
        assert filter.presentation_time_range == RANGE
        assert filter.first_quality.bitrate == 128_000
        assert filter.tracks == TRACKS
    changed = group.update(*where, name, made(first_quality=FirstQuality(bitrate=1)))
    assert (changed.first_quality.bitrate, changed.tracks) == (1, TRACKS)
    assert group.get(*where, name) == changed
    assert name in {filter.name for filter in group.list(*where)}
    with pytest.raises(HttpResponseError, match="endTimestamp"):
        group.create_or_update(
            *where, name, made(presentation_time_range=PresentationTimeRange(start_timestamp=2, end_timestamp=1))
        )
    group.delete(*where, name)
    group.delete(*where, name)
    with pytest.raises(ResourceNotFoundError):
        group.get(*where, name)


def test_content_key_policies(any_account: Account):
    client, where, name = any_account.client, any_account.where, any_account.name("keys")
    secret = b"a key that nobody is to see in a plain answer"
    token = ContentKeyPolicyTokenRestriction(
        issuer="https://issuer",
        audience="players",
        restriction_token_type="Jwt",
        primary_verification_key=ContentKeyPolicySymmetricTokenKey(key_value=secret),
        alternate_verification_keys=[ContentKeyPolicyRsaTokenKey(exponent=b"\1\0\1", modulus=b"\xc3" * 256)],
        required_claims=[ContentKeyPolicyTokenClaim(claim_type="tier", claim_value="gold")],
    )
    license = ContentKeyPolicyPlayReadyLicense(
        allow_test_devices=True,
        license_type="Persistent",
        content_type="UltraVioletStreaming",
        expiration_date=datetime(2030, 1, 1, tzinfo=timezone.utc),
        grace_period=timedelta(hours=1),
        content_key_location=ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader(),
        play_right=ContentKeyPolicyPlayReadyPlayRight(
            digital_video_only_content_restriction=False,
            image_constraint_for_analog_component_video_restriction=True,
            image_constraint_for_analog_computer_monitor_restriction=False,
            allow_passing_video_content_to_unknown_output="NotAllowed",
        ),
    )
    wanted = ContentKeyPolicy(
        description="first",
        options=[
            ContentKeyPolicyOption(
                name="clear", configuration=ContentKeyPolicyClearKeyConfiguration(), restriction=token
            ),
            ContentKeyPolicyOption(
                name="playready",
                configuration=ContentKeyPolicyPlayReadyConfiguration(licenses=[license]),
                restriction=token,
            ),
        ],
    )
    made = client.content_key_policies.create_or_update(*where, name, wanted)
    assert uuid.UUID(str(made.policy_id)) and made.created and made.last_modified
    assert made.options[0].restriction.primary_verification_key.key_value is None
    assert made.options[0].restriction.required_claims[0].claim_value == "gold"
    again = client.content_key_policies.create_or_update(*where, name, wanted)
    assert (again.policy_id, again.options[0].policy_option_id) == (made.policy_id, made.options[0].policy_option_id)
    assert client.content_key_policies.get(*where, name).options == again.options
    listed = client.content_key_policies.list(*where, filter=f"properties/policyId eq '{made.policy_id}'")
    assert [policy.name for policy in listed] == [name]

    secrets = client.content_key_policies.get_policy_properties_with_secrets(*where, name)
    assert bytes(secrets.options[0].restriction.primary_verification_key.key_value) == secret
    assert secrets.options[1].configuration.licenses[0] == license
    changed = client.content_key_policies.update(*where, name, ContentKeyPolicy(description="second", options=None))
    assert (changed.description, len(changed.options)) == ("second", 2)

    wrong = ContentKeyPolicyOption(
        configuration=ContentKeyPolicyClearKeyConfiguration(),
        restriction=ContentKeyPolicyTokenRestriction(
            issuer="i", audience="a", restriction_token_type="Saml",
            primary_verification_key=ContentKeyPolicySymmetricTokenKey(key_value=secret),
        ),
    )
    with pytest.raises(HttpResponseError, match=r"options\[0\].restriction.restrictionTokenType"):
        client.content_key_policies.create_or_update(*where, name, ContentKeyPolicy(options=[wrong]))
    client.content_key_policies.delete(*where, name)
    client.content_key_policies.delete(*where, name)
    with pytest.raises(ResourceNotFoundError):
        client.content_key_policies.get(*where, name)


def test_mkio_shows_key_policies_whole(account: Account, mkio):
    name = account.name("keys")
    option = {
        "name": "clear",
        "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
        "restriction": {
            "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
            "issuer": "i", "audience": "a", "restrictionTokenType": "Jwt",
            "primaryVerificationKey": {
                "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey",
                "keyValue": base64.b64encode(b"thirty-two bytes of a signing key").decode(),
            },
        },
    }
    mkio.call("PUT", f"/contentKeyPolicies/{name}", {"properties": {"options": [option]}})
    secrets = mkio.call("POST", f"/contentKeyPolicies/{name}/getPolicyPropertiesWithSecrets")
    key = secrets["properties"]["options"][0]["restriction"]["primaryVerificationKey"]["keyValue"]
    assert key == option["restriction"]["primaryVerificationKey"]["keyValue"]
    assert mkio.call("GET", f"/contentKeyPolicies/{name}/state")["status"]["state"] == "Created"


def test_streaming_policies(any_account: Account):
    client, where, name = any_account.client, any_account.where, any_account.name("policy")
    protocols = EnabledProtocols(download=False, dash=False, hls=True, smooth_streaming=False)
    wanted = StreamingPolicy(no_encryption=NoEncryption(enabled_protocols=protocols))
    for _ in range(2):
        made = client.streaming_policies.create(*where, name, wanted)
        assert made.no_encryption.enabled_protocols == protocols
    other = StreamingPolicy(
        no_encryption=NoEncryption(
            enabled_protocols=EnabledProtocols(download=True, dash=True, hls=True, smooth_streaming=False)
        )
    )
    with pytest.raises(ResourceExistsError):
        client.streaming_policies.create(*where, name, other)
    assert client.streaming_policies.get(*where, name) == made
    assert {name, "Predefined_ClearKey"} <= {policy.name for policy in client.streaming_policies.list(*where)}

    locator = any_account.name("locator")
    client.streaming_locators.create(
        *where, locator, StreamingLocator(asset_name=any_account.new_asset("film"), streaming_policy_name=name)
    )
    assert locator in {found.name for found in client.streaming_locators.list(*where)}
    assert not client.streaming_locators.list_content_keys(*where, locator).content_keys
    with pytest.raises(ResourceExistsError, match=locator):
        client.streaming_policies.delete(*where, name)
    client.streaming_locators.delete(*where, locator)
    client.streaming_policies.delete(*where, name)
    with pytest.raises(ResourceNotFoundError):
        client.streaming_policies.get(*where, name)


def test_streaming_endpoints(any_account: Account):
    client, where = any_account.client.streaming_endpoints, any_account.where
    name = any_account.name("ep").replace("_", "-")[:24].strip("-")
    wanted = StreamingEndpoint(
        location="local", description="first", scale_units=1, cdn_enabled=False, tags={"team": "video"}
    )
    made = client.begin_create(*where, name, wanted, auto_start=True).result()
    assert (made.resource_state, made.provisioning_state, made.scale_units) == ("Running", "Succeeded", 1)
    assert (made.tags, made.description, made.sku.name) == ({"team": "video"}, "first", "Premium")
    changed = client.begin_update(
        *where, name, StreamingEndpoint(location="local", description="second")
    ).result()
    assert (changed.description, changed.scale_units) == ("second", 1)
    client.begin_scale(*where, name, StreamingEntityScaleUnit(scale_unit=2)).result()
    assert client.get(*where, name).scale_units == 2
    assert {sku.sku.name for sku in client.skus(*where, name).value} == {"Standard", "Premium"}
    assert name in {endpoint.name for endpoint in client.list(*where)}
    with pytest.raises(ResourceExistsError, match="stop it first"):
        client.begin_delete(*where, name).result()
    client.begin_stop(*where, name).result()
    assert client.get(*where, name).resource_state == "Stopped"
    client.begin_start(*where, name).result()
    client.begin_stop(*where, name).result()
    client.begin_delete(*where, name).result()
    with pytest.raises(ResourceNotFoundError):
        client.get(*where, name)
    with pytest.raises(HttpResponseError, match="cdnEnabled"):
        client.begin_create(
            *where, name, StreamingEndpoint(location="local", scale_units=0, cdn_enabled=True)
        ).result()


def test_the_account_and_what_is_beside_it(any_account: Account):
    client, where = any_account.client, any_account.where
    account = client.mediaservices.get(*where)
    assert account.provisioning_state == "Succeeded" and len(account.storage_accounts) == 1
    tag = uuid.uuid4().hex
    account.tags = {"tag": tag}
    assert client.mediaservices.begin_create_or_update(*where, account).result().tags == {"tag": tag}
    update = MediaServiceUpdate(tags={"tag": tag, "more": "x"})
    assert client.mediaservices.begin_update(*where, update).result().tags == {"tag": tag, "more": "x"}
    assert client.mediaservices.get(*where).tags["more"] == "x"
    with pytest.raises(HttpResponseError, match="location"):
        client.mediaservices.begin_create_or_update(*where, MediaService(location="westeurope")).result()
    with pytest.raises(ResourceExistsError, match="part of this installation"):
        client.mediaservices.delete(*where)
    client.mediaservices.sync_storage_keys(*where, SyncStorageKeysInput(id=account.storage_accounts[0].id))
    client.mediaservices.list_edge_policies(*where, ListEdgePoliciesInput(device_id="d"))
    assert client.private_link_resources.list(*where).value == []
    assert client.private_endpoint_connections.list(*where).value == []
    client.private_endpoint_connections.delete(*where, "none")
    for missing in (
        lambda: client.private_link_resources.get(*where, "none"),
        lambda: client.private_endpoint_connections.get(*where, "none"),
        lambda: client.media_services_operation_statuses.get("local", "none"),
        lambda: client.media_services_operation_results.get("local", "none"),
    ):
        with pytest.raises(ResourceNotFoundError):
            missing()
    assert account.name in {found.name for found in client.mediaservices.list_by_subscription()}
    assert account.name in {found.name for found in client.mediaservices.list(where[0])}
