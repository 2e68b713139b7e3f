"""Every MPD that an installation makes, against the schema of ISO/IEC 23009-1.

The schema is the standard's and not ours to pass on: `HEADWATER_MPD_SCHEMA` is the path of a copy of `DASH-MPD.xsd`. Without
it these tests are skipped.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from azure.mgmt.media.models import (
    AssetFilter,
    CbcsDrmConfiguration,
    CencDrmConfiguration,
    ClearKeyEncryptionConfiguration,
    CommonEncryptionCbcs,
    CommonEncryptionCenc,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOpenRestriction,
    ContentKeyPolicyWidevineConfiguration,
    DefaultKey,
    EnabledProtocols,
    EnvelopeEncryption,
    FilterTrackPropertyCondition,
    FilterTrackSelection,
    PresentationTimeRange,
    StreamingLocator,
    StreamingPolicy,
    StreamingPolicyContentKeys,
    StreamingPolicyPlayReadyConfiguration,
    StreamingPolicyWidevineConfiguration,
)

import media
from headwater import Account, player_session
from installation import started
from test_formats import base
from test_live_cues import broadcast, health  # noqa: F401 (a fixture)
from test_live_stream import Show, source  # noqa: F401 (a fixture)
from test_protection import key_policy, playready
from test_text_tracks import titled, wait_for  # noqa: F401 (a fixture)

FORMS = ["mpd-time-cmaf", "mpd-time-csf"]

# What the schema takes from XLink, which nobody's MPD here uses (W3C XLink 1.1, section 4).
XLINK = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
<xs:attribute name="href" type="xs:anyURI"/><xs:attribute name="actuate" type="xs:string"/>
<xs:attribute name="type" type="xs:string"/><xs:attribute name="show" type="xs:string"/></xs:schema>"""


@pytest.fixture(scope="session")
def schema(tmp_path_factory):
    path = os.environ.get("HEADWATER_MPD_SCHEMA")
    if not path:
        pytest.skip("HEADWATER_MPD_SCHEMA names no DASH-MPD.xsd")
    import xmlschema

    folder = tmp_path_factory.mktemp("schema")
    (folder / "xlink.xsd").write_text(XLINK)
    text = Path(path).read_text(encoding="utf-8")
    # Nothing is fetched: the import names an address of the W3C.
    (folder / "mpd.xsd").write_text(re.sub(r'schemaLocation="[^"]*xlink\.xsd"', 'schemaLocation="xlink.xsd"', text), "utf-8")
    return xmlschema.XMLSchema(str(folder / "mpd.xsd"), allow="local")


@pytest.fixture(scope="session")
def valid(schema):
    """Fetches an MPD and asserts that the schema accepts it. Returns its text."""

    def check(session: requests.Session, url: str) -> str:
        answer = session.get(url, timeout=30)
        assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text[:500]}"
        text = answer.text
        faults = [f"{fault.path}: {fault.reason}" for fault in schema.iter_errors(text)]
        assert not faults, "\n".join([url, *faults, text[:4000]])
        return text

    return check


def test_the_schema_finds_faults(schema):
    """Who validates the validator: one that lets everything pass proves nothing."""
    mpd = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" minBufferTime="PT2S">'
        '<Period><AdaptationSet><Role schemeIdUri="a"/><Representation id="v" bandwidth="1"/></AdaptationSet></Period></MPD>'
    )
    assert schema.is_valid(mpd)
    for wrong in [
        mpd.replace(' id="v"', ' id="v 1"'),
        mpd.replace('bandwidth="1"', 'bandwidth="-1"'),
        mpd.replace('<Role schemeIdUri="a"/>', '<Role schemeIdUri="a"/><Label>b</Label>'),
        mpd.replace("<AdaptationSet>", '<AdaptationSet lang="en_GB">'),
    ]:
        assert not schema.is_valid(wrong), wrong


def test_in_the_clear_with_text_and_pictures(account, counted_published, titled, http, valid):  # noqa: F811
    wait_for(http, f"{titled}(format={FORMS[0]})", "Deutsch")
    container = account.container(counted_published.asset)
    vtt = "WEBVTT\n"
    for at in range(6):
        vtt += f"\n00:00:{at * 2:02}.000 --> 00:00:{at * 2 + 2:02}.000\ns-1.jpg#xywh={at % 3 * 160},{at // 3 * 90},160,90\n"
    container.upload_blob("s-1.jpg", b"\xff\xd8\xff\xd9", overwrite=True)
    container.upload_blob("t_manifest.vtt", vtt.encode(), overwrite=True)
    try:
        for form in FORMS:
            url = f"{titled}(format={form})"
            # New files of an asset are noticed after a minute.
            deadline = time.monotonic() + 180
            while "thumbnail_tile" not in http.get(url, timeout=30).text:
                assert time.monotonic() < deadline, url
                time.sleep(0.5)
            assert "trickmode" in valid(http, f"{titled}(format={form},type=keyframes)")
            text = valid(http, url)
            assert 'contentType="image"' in text and 'contentType="text"' in text and "<Label>" in text
    finally:
        # The signature allows no deleting; a file without cues lists no pictures.
        container.upload_blob("t_manifest.vtt", b"WEBVTT\n", overwrite=True)


@pytest.mark.parametrize("form", FORMS)
def test_parts_of_it(account, counted_published, http, valid, form):
    only = FilterTrackSelection(
        track_selections=[FilterTrackPropertyCondition(property="Type", value="Video", operation="Equal")]
    )
    cut = PresentationTimeRange(start_timestamp=40_000_000, end_timestamp=80_000_000, timescale=10_000_000)
    name = f"cut-{uuid.uuid4().hex[:8]}"
    account.client.asset_filters.create_or_update(
        *account.where, counted_published.asset, name, AssetFilter(presentation_time_range=cut, tracks=[only])
    )
    url = base(counted_published)
    filtered = valid(http, f"{url}(format={form},filter={name})")
    assert 'contentType="audio"' not in filtered
    valid(http, f"{url}(format={form},vbegin=PT3S,vend=PT7S)")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "file", ["bigbuckbunny.mp4", "azure-bumper.mp4", "car-detection.mp4", "surround-audio.mp4"]
)
def test_files_of_others(account, shared_media, http, valid, file, form):
    """Published as they were uploaded: tracks, codecs and names that no encoder of ours chose."""
    asset = account.upload(shared_media / file)
    locator = account.locate(asset)
    stem = file.removesuffix(".mp4")
    valid(http, f"{account.connection.streamingUrl}/{locator.streaming_locator_id}/{stem}.ism/manifest(format={form})")


def streaming_policy(account: Account) -> str:
    """Everything that DASH has, under every scheme."""
    name = account.name("all")
    dash = EnabledProtocols(download=False, dash=True, hls=False, smooth_streaming=False)

    def keys(label: str) -> StreamingPolicyContentKeys:
        return StreamingPolicyContentKeys(default_key=DefaultKey(label=label))

    clear_key = ClearKeyEncryptionConfiguration()
    url = "https://licences.example/{ContentKeyId}?a=1&b=%3C"
    drm = {
        "play_ready": StreamingPolicyPlayReadyConfiguration(custom_license_acquisition_url_template=url),
        "widevine": StreamingPolicyWidevineConfiguration(custom_license_acquisition_url_template=url),
    }
    policy = StreamingPolicy(
        envelope_encryption=EnvelopeEncryption(enabled_protocols=dash, content_keys=keys("aes")),
        common_encryption_cenc=CommonEncryptionCenc(
            enabled_protocols=dash,
            content_keys=keys("cenc"),
            drm=CencDrmConfiguration(**drm),
            clear_key_encryption_configuration=clear_key,
        ),
        common_encryption_cbcs=CommonEncryptionCbcs(
            enabled_protocols=dash,
            content_keys=keys("cbcs"),
            drm=CbcsDrmConfiguration(**drm),
            clear_key_encryption_configuration=clear_key,
        ),
    )
    account.client.streaming_policies.create(*account.where, name, policy)
    return name


def protected(account: Account, asset: str) -> str:
    """The folder of a locator under that."""
    configurations = [
        ContentKeyPolicyClearKeyConfiguration(),
        playready(),
        ContentKeyPolicyWidevineConfiguration(widevine_template="{}"),
    ]
    keys = key_policy(account, ContentKeyPolicyOpenRestriction(), *configurations)
    made = account.client.streaming_locators.create(
        *account.where,
        account.name("loc"),
        StreamingLocator(
            asset_name=asset, streaming_policy_name=streaming_policy(account), default_content_key_policy_name=keys
        ),
    )
    return f"{account.connection.streamingUrl}/{made.streaming_locator_id}"


@pytest.fixture(scope="module")
def under_keys(account, counted_published) -> str:
    name = base(counted_published).rsplit("/", 2)[1]
    return f"{protected(account, counted_published.asset)}/{name}/manifest"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encryption", ["cbc", "cenc", "cbcs"])
def test_under_every_encryption(under_keys, http, valid, form, encryption):
    text = valid(http, f"{under_keys}(format={form},encryption={encryption})")
    assert "<ContentProtection" in text
    assert ("cenc:pssh" in text) == (encryption != "cbc")
    assert "trickmode" in valid(http, f"{under_keys}(format={form},encryption={encryption},type=keyframes)")


@pytest.fixture(scope="module")
def installed(schema, tmp_path_factory, health):  # noqa: F811
    yield from started(tmp_path_factory.mktemp("mpd"), f"--ingest-health-listen={health}")


def test_live_and_what_is_left_of_it(installed, source, valid, tmp_path):  # noqa: F811
    smaller = media.make_counted(tmp_path / "smaller.mp4", seconds=20, size="480x270", group_s=1)
    account = Account(installed.connection())
    http = player_session(account.connection)
    cued, plain = Show(account, "SRT"), Show(account, low_latency=False)
    under = protected(account, plain.asset) + "/show.ism/manifest"
    running = [*broadcast(cued, source), plain.push(source)]
    encryptions = ["cbc", "cenc", "cbcs"]
    try:
        begun = datetime.now(timezone.utc)
        text = cued.until(cued.dash, lambda text: "<EventStream" in text, 40).text
        assert "<InbandEventStream" in text and "availabilityTimeComplete" in text and "<UTCTiming" in text
        plain.until(plain.dash, lambda text: 'contentType="audio"' in text)
        for url in [cued.dash, plain.dash]:
            for form in FORMS:
                assert 'type="dynamic"' in valid(http, url.replace(FORMS[0], form))
                assert "trickmode" in valid(http, url.replace(FORMS[0], f"{form},type=keyframes"))
        start = (begun - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        valid(http, plain.dash.replace(")", f",start={start})"))
        for encryption in encryptions:
            for form in FORMS:
                assert "<ContentProtection" in valid(http, f"{under}(format={form},encryption={encryption})")
        # An encoder that comes back with another picture size: another Period.
        running[-1].kill()
        running[-1].wait()
        time.sleep(2)
        running[-1] = plain.push(smaller)
        plain.until(plain.dash, lambda text: text.count("<Period") == 2)
        assert 'id="p1"' in valid(http, plain.dash)
    finally:
        for process in running:
            process.kill()
            process.wait()
    time.sleep(1)
    for show in (cued, plain):
        show.end()
        show.until(show.dash, lambda text: 'type="static"' in text, 15)
        for form in FORMS:
            valid(http, show.dash.replace(FORMS[0], form))
    for encryption in encryptions:
        valid(http, f"{under}(format={FORMS[0]},encryption={encryption})")
