"""Live and encrypted: ffmpeg pushes, AES-128 over MPEG-2 TS and cenc over CMAF are decoded while it is live, and every frame counts.

Everything is found as a client finds it: URLs from listPaths, keys from where playlists and MPDs say.
"""

from __future__ import annotations

import base64
import re
import subprocess
import time
import uuid
import xml.etree.ElementTree as ElementTree
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
from azure.mgmt.media.models import (
    ClearKeyEncryptionConfiguration,
    CommonEncryptionCenc,
    ContentKeyPolicy,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOpenRestriction,
    ContentKeyPolicyOption,
    DefaultKey,
    EnabledProtocols,
    EnvelopeEncryption,
    Hls,
    IPAccessControl,
    IPRange,
    LiveEvent,
    LiveEventActionInput,
    LiveEventEncoding,
    LiveEventInput,
    LiveEventInputAccessControl,
    LiveOutput,
    StreamingLocator,
    StreamingPolicy,
    StreamingPolicyContentKeys,
)

import media
from headwater import Account, Mkio, player_session
from installation import started

SPACES = {"d": "urn:mpeg:dash:schema:mpd:2011"}
RATE = 25
SECONDS = 8


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    yield from started(tmp_path_factory.mktemp("live"))


def policies(account: Account) -> tuple[str, str]:
    """AES-128 for HLS and cenc for DASH, with keys for everybody."""
    client, where = account.client, account.where
    streaming, keys = account.name("sec"), account.name("keys")
    only = {"download": False, "dash": False, "hls": False, "smooth_streaming": False}
    client.streaming_policies.create(
        *where,
        streaming,
        StreamingPolicy(
            envelope_encryption=EnvelopeEncryption(
                enabled_protocols=EnabledProtocols(**{**only, "hls": True}),
                content_keys=StreamingPolicyContentKeys(default_key=DefaultKey(label="aes")),
            ),
            common_encryption_cenc=CommonEncryptionCenc(
                enabled_protocols=EnabledProtocols(**{**only, "dash": True}),
                content_keys=StreamingPolicyContentKeys(default_key=DefaultKey(label="cenc")),
                clear_key_encryption_configuration=ClearKeyEncryptionConfiguration(),
            ),
        ),
    )
    option = ContentKeyPolicyOption(
        configuration=ContentKeyPolicyClearKeyConfiguration(), restriction=ContentKeyPolicyOpenRestriction()
    )
    client.content_key_policies.create_or_update(*where, keys, ContentKeyPolicy(options=[option]))
    return streaming, keys


def decoded(path: Path, key: str) -> list[int]:
    """The number that each frame of an encrypted file shows."""
    clear = path.with_suffix(".clear.mp4")
    with path.open("rb") as source:
        # Through a pipe: of a file that it can seek in, ffmpeg takes the vectors of the last fragment for those of all.
        subprocess.run(
            ["ffmpeg", "-v", "error", "-xerror", "-decryption_key", key, "-i", "pipe:0", "-c", "copy", clear],
            stdin=source,
            check=True,
        )
    return media.read_counter(clear)


def names(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def seconds(playlist: str) -> float:
    return sum(float(length) for length in re.findall(r"#EXTINF:([\d.]+)", playlist))


def test_what_is_live_is_encrypted_and_every_frame_comes_back(installed, tmp_path):
    account = Account(installed.connection())
    client, where = account.client, account.where
    source = media.make_counted(tmp_path / "counted.mp4", seconds=SECONDS, group_s=1)
    event, asset = account.name("ev")[:32], account.new_asset("live")
    anywhere = IPAccessControl(allow=[IPRange(name="all", address="0.0.0.0", subnet_prefix_length=0)])
    client.live_events.begin_create(
        *where,
        event,
        LiveEvent(
            location="local",
            input=LiveEventInput(
                streaming_protocol="RTMP",
                access_control=LiveEventInputAccessControl(ip=anywhere),
                access_token=str(uuid.uuid4()),
                key_frame_interval_duration="PT1S",
            ),
            encoding=LiveEventEncoding(encoding_type="PassthroughStandard"),
            stream_options=["LowLatency"],
        ),
    ).result()
    # Three rows to a segment of a transport stream; rows are of a second.
    hls_settings = Hls(fragments_per_ts_segment=3)
    output = LiveOutput(
        asset_name=asset, archive_window_length=timedelta(hours=1), manifest_name="show", hls=hls_settings
    )
    client.live_outputs.begin_create(*where, event, "out", output).result()
    streaming, keys = policies(account)
    locator = account.name("loc")
    client.streaming_locators.create(
        *where,
        locator,
        StreamingLocator(asset_name=asset, streaming_policy_name=streaming, default_content_key_policy_name=keys),
    )
    client.live_events.begin_start(*where, event).result()
    http = player_session(account.connection)

    def get(url: str, status: int = 200):
        answer = http.get(url, timeout=30)
        assert answer.status_code == status, f"{url}: {answer.status_code} {answer.text[:500]}"
        return answer

    def until(url: str, there, patience_s: float = 120):
        deadline = time.monotonic() + patience_s
        while True:
            answer = http.get(url, timeout=30)
            if answer.ok and there(answer.text):
                return answer.text
            assert time.monotonic() < deadline, f"{url}: {answer.status_code} {answer.text[:2000]}"
            time.sleep(0.3)

    ingest = client.live_events.get(*where, event).input.endpoints[0].url
    encoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-re", "-i", source, "-c", "copy", "-f", "flv", ingest + "/main"],
        stdin=subprocess.DEVNULL,
    )
    base = f"{account.connection.streamingUrl}/"
    named = client.streaming_locators.list_paths(*where, locator).streaming_paths
    urls = [urljoin(base, path) for entry in named for path in entry.paths]
    hls = next(url for url in urls if "m3u8-aapl" in url)
    dash = next(url for url in urls if "mpd-time-cmaf" in url)
    until(hls, lambda text: "#EXT-X-STREAM-INF" in text and "TYPE=AUDIO" in text)
    # Whatever is named is there, and nothing else: not in the clear, nor a part of it.
    for url in urls:
        # Where parts cannot be encrypted, nothing is there before the first second is over.
        until(url, lambda text: True)
        plain = re.sub(r",?encryption=[a-z-]+", "", url).replace("manifest()", "manifest")
        if "cmaf" in url:
            assert get(plain, 400).json()["code"] == "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL"
        else:
            # Where there is no choice, it need not be said.
            assert "encryption=" in until(plain, lambda text: True)
    encoder.wait(timeout=180)
    video = urljoin(hls, re.search(r"#EXT-X-STREAM-INF:.*\n(.+)", get(hls).text).group(1))
    # The encoder has gone, and the event goes on. Its last second may still be open.
    rows = SECONDS - 1
    counted = list(range(SECONDS * RATE))
    # The first and the last segment may have less than three rows, and the last is there when it has all that it gets.
    text = until(video, lambda text: seconds(text) > rows - 2.5)
    assert "#EXT-X-ENDLIST" not in text and "#EXT-X-PART" not in text

    def opened(text: str) -> Path:
        tag = re.search(r'#EXT-X-KEY:METHOD=AES-128,URI="([^"]+)",IV=0x([0-9a-fA-F]{32})', text)
        key = get(tag.group(1)).content
        assert len(key) == 16
        path = tmp_path / f"{uuid.uuid4().hex}.ts"
        with path.open("wb") as film:
            for name in names(text):
                sealed = get(urljoin(video, name)).content
                how = ["-aes-128-cbc", "-K", key.hex(), "-iv", tag.group(2)]
                film.write(media.run("openssl", "enc", "-d", *how, input_bytes=sealed))
        return path

    assert any(",fragments=3," in name for name in names(text))
    shown = media.read_counter(opened(text))
    assert len(shown) == round(seconds(text) * RATE) and shown == counted[: len(shown)]

    def times_of(mpd: str) -> list[int]:
        """When segments of pictures begin."""
        found, at = [], 0
        for entry in ElementTree.fromstring(mpd).find(".//d:AdaptationSet[@contentType='video']//d:SegmentTimeline", SPACES):
            at = int(entry.get("t", at))
            for _ in range(int(entry.get("r", 0)) + 1):
                found.append(at)
                at += int(entry.get("d"))
        return found

    mpd = until(dash, lambda text: len(times_of(text)) >= rows)
    assert 'type="dynamic"' in mpd and "availabilityTimeOffset" not in mpd
    kid = re.search(r'cenc:default_KID="([0-9a-f-]+)"', mpd).group(1)
    found = client.streaming_locators.list_content_keys(*where, locator).content_keys
    cenc = next(entry.value for entry in found if entry.id == kid)
    pictures = ElementTree.fromstring(mpd).find(".//d:AdaptationSet[@contentType='video']", SPACES)
    template = pictures.find(".//d:SegmentTemplate", SPACES)
    bandwidth = pictures.find("d:Representation", SPACES).get("bandwidth")
    times = times_of(mpd)

    def whole() -> bytes:
        segments = [template.get("media").replace("$Time$", str(time)) for time in times]
        paths = [path.replace("$Bandwidth$", bandwidth) for path in [template.get("initialization"), *segments]]
        return b"".join(get(urljoin(dash, path)).content for path in paths)

    live = whole()
    (tmp_path / "cenc.mp4").write_bytes(live)
    assert decoded(tmp_path / "cenc.mp4", base64.b64decode(cenc).hex()) == counted[: len(times) * RATE]

    client.live_outputs.begin_delete(*where, event, "out").result()
    client.live_events.begin_stop(*where, event, LiveEventActionInput()).result()
    ended = until(video, lambda text: "#EXT-X-ENDLIST" in text)
    assert whole() == live
    assert media.read_counter(opened(ended)) == counted
    # What was listed is what is there now.
    assert names(ended)[: len(names(text))] == names(text)
    assert re.search(r"#EXT-X-MEDIA-SEQUENCE:.*", ended).group() == re.search(r"#EXT-X-MEDIA-SEQUENCE:.*", text).group()
    for url in urls:
        get(url)



def test_keys_change_while_it_is_live_and_every_frame_comes_back(installed, tmp_path):
    """Half a minute is the shortest interval: the encoder begins some seconds before one ends, and ends well before the next does, on a
    busy machine as well."""
    interval, length = 30, 20
    mkio = Mkio(installed.connection())
    name = f"rotating-{uuid.uuid4().hex[:8]}"
    event = f"/liveEvents/{name}"
    source = media.make_counted(tmp_path / "counted.mp4", seconds=length, group_s=1)

    def put(path: str, properties: dict) -> dict:
        return mkio.call("PUT", path, {"properties": properties})["properties"]

    def scheme(label: str, **more) -> dict:
        only_hls = {"download": False, "dash": False, "hls": True, "smoothStreaming": False}
        keys = {"defaultKey": {"label": label}}
        return {"enabledProtocols": only_hls, "contentKeys": keys, "keyRotationInterval": f"PT{interval}S", **more}

    put(f"/assets/{name}", {})
    mkio.call(
        "PUT",
        event,
        {
            "location": "local",
            "properties": {
                "input": {"streamingProtocol": "RTMP", "keyFrameIntervalDuration": "PT1S"},
                "encoding": {"encodingType": "PassthroughStandard"},
                "streamOptions": ["Default"],
            },
        },
    )
    put(f"{event}/liveOutputs/out", {"assetName": name, "manifestName": "show", "archiveWindowLength": "PT1H"})
    made = put(
        f"/streamingPolicies/{name}",
        {
            "envelopeEncryption": scheme("aes"),
            "commonEncryptionCbcs": scheme("cbcs", clearKeyEncryptionConfiguration={}),
        },
    )
    assert made["commonEncryptionCbcs"]["keyRotationInterval"] == "PT30S"
    option = {
        "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
        "restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
    }
    put(f"/contentKeyPolicies/{name}", {"options": [{"name": "open", **option}]})
    locator = put(
        f"/streamingLocators/{name}",
        {"assetName": name, "streamingPolicyName": name, "defaultContentKeyPolicyName": name},
    )
    mkio.call("POST", f"{event}/start", expect=(200, 202))
    http = player_session(mkio.connection)
    deadline = time.monotonic() + 120
    while not (endpoints := mkio.call("GET", event)["properties"]["input"].get("endpoints")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    ingest = next(entry["url"] for entry in endpoints if entry["url"].startswith("rtmp:"))
    time.sleep((interval - 11 - time.time()) % interval)
    encoder = ["ffmpeg", "-v", "error", "-re", "-i", source, "-c", "copy", "-f", "flv", ingest + "/main"]
    subprocess.run(encoder, stdin=subprocess.DEVNULL, check=True, timeout=180)

    base = f"{mkio.connection.streamingUrl}/{locator['streamingLocatorId']}/show.ism/"
    keys_url = mkio.connection.keysUrl

    def get(url: str) -> bytes:
        answer = http.get(url, timeout=30)
        assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text[:500]}"
        return answer.content

    def playlist(options: str, there) -> tuple[str, str]:
        """Where the pictures' playlist is, and what it says once `there`."""
        deadline = time.monotonic() + 120
        while True:
            answer = http.get(base + f"manifest({options})", timeout=30)
            if answer.ok:
                url = base + re.search(r"#EXT-X-STREAM-INF:.*\n(.+)", answer.text).group(1)
                text = get(url).decode()
                if there(text):
                    return url, text
            assert time.monotonic() < deadline, answer.text[:2000]
            time.sleep(0.3)

    def runs(text: str) -> list[str]:
        """A playlist cut in front of its keys."""
        return re.split(r"(?m)^(?=#EXT-X-KEY:)", text)[1:]

    def under_cbcs(url: str, text: str) -> tuple[list[int], list[bytes]]:
        shown, served = [], []
        for run in runs(text):
            kid = bytes.fromhex(re.search(r"KEYID=0x([0-9a-f]{32})", run).group(1))
            asked = base64.urlsafe_b64encode(kid).decode().rstrip("=")
            licence = http.post(f"{keys_url}/ClearKey", json={"kids": [asked], "type": "temporary"}, timeout=30).json()
            (key,) = (base64.urlsafe_b64decode(entry["k"] + "==") for entry in licence["keys"])
            init = re.search(r'#EXT-X-MAP:URI="([^"]+)"', run).group(1)
            file = b"".join(get(urljoin(url, path)) for path in [init, *names(run)])
            path = tmp_path / f"{uuid.uuid4().hex}.mp4"
            path.write_bytes(file)
            shown, served = shown + decoded(path, key.hex()), [*served, file]
        return shown, served

    def under_aes(url: str, text: str) -> list[int]:
        path = tmp_path / f"{uuid.uuid4().hex}.ts"
        with path.open("wb") as film:
            for run in runs(text):
                tag = re.search(r'METHOD=AES-128,URI="([^"]+)",IV=0x([0-9a-fA-F]{32})', run)
                how = ["-aes-128-cbc", "-K", get(tag.group(1)).hex(), "-iv", tag.group(2)]
                for segment in names(run):
                    film.write(media.run("openssl", "enc", "-d", *how, input_bytes=get(urljoin(url, segment))))
        return media.read_counter(path)

    counted = list(range(length * RATE))
    listed = lambda text: seconds(text) > length - 2.5  # noqa: E731
    cbcs = playlist("format=m3u8-cmaf,encryption=cbcs-aapl", listed)
    aes = playlist("format=m3u8-aapl,encryption=cbc", listed)
    assert len(runs(cbcs[1])) == len(runs(aes[1])) == 2, cbcs[1]
    shown, served = under_cbcs(*cbcs)
    assert shown == counted[: len(shown)] and len(shown) == round(seconds(cbcs[1]) * RATE)
    assert under_aes(*aes) == counted[: round(seconds(aes[1]) * RATE)]
    # What all periods are derived from is for nobody.
    stored = mkio.call("POST", f"/streamingLocators/{name}/listContentKeys")["contentKeys"]
    for key in stored:
        assert key["id"] not in cbcs[1] + aes[1]
        assert http.get(f"{keys_url}/?kid={key['id']}", timeout=30).status_code == 401

    mkio.call("DELETE", f"{event}/liveOutputs/out", expect=(200, 202, 204))
    mkio.call("POST", f"{event}/stop", {"removeOutputsOnStop": True}, expect=(200, 202))
    ended = playlist("format=m3u8-cmaf,encryption=cbcs-aapl", lambda text: "#EXT-X-ENDLIST" in text)
    shown, film = under_cbcs(*ended)
    assert shown == counted
    assert len(film) == 2 and film[0] == served[0] and film[1].startswith(served[1])
    ended = playlist("format=m3u8-aapl,encryption=cbc", lambda text: "#EXT-X-ENDLIST" in text)
    assert under_aes(*ended) == counted
