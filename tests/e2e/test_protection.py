"""Content protection, from a content key policy by the Azure SDK to frames that ffmpeg decrypted with a key that we fetched as a
player would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import xml.etree.ElementTree as ElementTree
from urllib.parse import urljoin

import pytest
from azure.mgmt.media.models import (
    ClearKeyEncryptionConfiguration,
    CommonEncryptionCbcs,
    CommonEncryptionCenc,
    ContentKeyPolicy,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOpenRestriction,
    ContentKeyPolicyOption,
    ContentKeyPolicyPlayReadyConfiguration,
    ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader,
    ContentKeyPolicyPlayReadyLicense,
    ContentKeyPolicySymmetricTokenKey,
    ContentKeyPolicyTokenRestriction,
    ContentKeyPolicyWidevineConfiguration,
    DefaultKey,
    EnabledProtocols,
    StreamingLocator,
    StreamingPolicy,
    StreamingPolicyContentKeys,
)

import media
import piff
from headwater import Account

SECRET = b"a secret of thirty-two bytes or more"
ISSUER, AUDIENCE = "https://issuer.example", "players"
MPD = "{urn:mpeg:dash:schema:mpd:2011}"
LAURL = "{https://dashif.org/CPS}Laurl"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(secret: bytes = SECRET, **claims) -> str:
    """A JWT under HS256."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def key_policy(account: Account, restriction, *configurations) -> str:
    name = account.name("keys")
    options = [
        ContentKeyPolicyOption(configuration=configuration, restriction=restriction)
        for configuration in configurations or [ContentKeyPolicyClearKeyConfiguration()]
    ]
    account.client.content_key_policies.create_or_update(*account.where, name, ContentKeyPolicy(options=options))
    return name


def playready() -> ContentKeyPolicyPlayReadyConfiguration:
    licence = ContentKeyPolicyPlayReadyLicense(
        allow_test_devices=True,
        license_type="NonPersistent",
        content_key_location=ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader(),
        content_type="Unspecified",
    )
    return ContentKeyPolicyPlayReadyConfiguration(licenses=[licence])


def by_token() -> ContentKeyPolicyTokenRestriction:
    return ContentKeyPolicyTokenRestriction(
        issuer=ISSUER,
        audience=AUDIENCE,
        restriction_token_type="Jwt",
        primary_verification_key=ContentKeyPolicySymmetricTokenKey(key_value=SECRET),
    )


def streaming_policy(account: Account) -> str:
    """cenc for DASH and cbcs for HLS, both with ClearKey."""
    name = account.name("drm")
    clear_key = ClearKeyEncryptionConfiguration()
    account.client.streaming_policies.create(
        *account.where,
        name,
        StreamingPolicy(
            common_encryption_cenc=CommonEncryptionCenc(
                enabled_protocols=EnabledProtocols(download=False, dash=True, hls=False, smooth_streaming=False),
                content_keys=StreamingPolicyContentKeys(default_key=DefaultKey(label="cenc")),
                clear_key_encryption_configuration=clear_key,
            ),
            common_encryption_cbcs=CommonEncryptionCbcs(
                enabled_protocols=EnabledProtocols(download=False, dash=False, hls=True, smooth_streaming=False),
                content_keys=StreamingPolicyContentKeys(default_key=DefaultKey(label="cbcs")),
                clear_key_encryption_configuration=clear_key,
            ),
        ),
    )
    return name


def protect(account: Account, asset: str, policy: str, keys: str, name: str = "") -> dict[tuple[str, str], list[str]]:
    """A locator's URLs, by protocol and scheme."""
    name = name or account.name("loc")
    account.client.streaming_locators.create(
        *account.where,
        name,
        StreamingLocator(asset_name=asset, streaming_policy_name=policy, default_content_key_policy_name=keys),
    )
    paths = account.client.streaming_locators.list_paths(*account.where, name).streaming_paths
    return {
        (entry.streaming_protocol, entry.encryption_scheme): [account.connection.streamingUrl + p for p in entry.paths]
        for entry in paths
    }


def only(urls: list[str], form: str) -> str:
    return next(url for url in urls if f"format={form}," in url or f"format={form})" in url)


@pytest.fixture(scope="module")
def encoded_asset(account, counted) -> str:
    return account.encode(account.upload(counted), "AdaptiveStreaming")


@pytest.fixture(scope="module")
def clear_frames(account, http, encoded_asset, tmp_path_factory) -> list[int]:
    """What every frame of the best rendition in the clear shows."""
    found = account.publish(encoded_asset)
    playlist = media.read_media_playlist(http, video(http, found.hls))
    urls = [playlist.init, *(segment.url for segment in playlist.segments)]
    path = media.download(http, urls, tmp_path_factory.mktemp("clear") / "clear.mp4", "video")
    frames = media.read_counter(path)
    assert len(frames) > 250
    return frames


def video(http, master: str) -> str:
    return next(r for r in media.read_master(http, master) if r.kind == "video").url


def key_tag(http, playlist: str) -> dict[str, str]:
    line = next(line for line in http.get(playlist, timeout=30).text.splitlines() if line.startswith("#EXT-X-KEY:"))
    return media.attributes(line)


def test_whole_segments_under_a_token(account, http, encoded_asset, clear_frames, tmp_path):
    urls = protect(account, encoded_asset, "Predefined_ClearKey", key_policy(account, by_token()))
    hls = urls["Hls", "EnvelopeEncryption"]
    for form in ("m3u8-cmaf", "m3u8-aapl"):
        address = video(http, only(hls, form))
        playlist = media.read_media_playlist(http, address, has_init=form == "m3u8-cmaf")
        tag = key_tag(http, address)
        assert (tag["METHOD"], len(tag["IV"])) == ("AES-128", 34)
        uri = tag["URI"]
        assert http.get(uri, timeout=30).status_code == 401
        wrong = {"Authorization": f"Bearer {token(b'another secret of at least 32 bytes')}"}
        assert http.get(uri, headers=wrong, timeout=30).status_code == 401
        answer = http.get(uri, headers={"Authorization": f"Bearer {token()}"}, timeout=30)
        assert (answer.status_code, len(answer.content)) == (200, 16)
        file = tmp_path / f"{form}.media"
        with file.open("wb") as out:
            if playlist.init:
                out.write(http.get(playlist.init, timeout=30).content)
            for segment in playlist.segments:
                body = http.get(segment.url, timeout=30).content
                assert len(body) % 16 == 0
                out.write(
                    media.run(
                        "openssl", "enc", "-d", "-aes-128-cbc", "-K", answer.content.hex(), "-iv", tag["IV"][2:],
                        input_bytes=body,
                    )
                )  # fmt: skip
        assert media.read_counter(file) == clear_frames


@pytest.mark.parametrize("form", ["m3u8-cmaf", "m3u8-aapl"])
def test_a_token_in_the_url_reaches_the_key(account, http, encoded_asset, form):
    """For players that cannot add headers: nothing but the master playlist's URL knows the token."""
    urls = protect(account, encoded_asset, "Predefined_ClearKey", key_policy(account, by_token()))
    master = only(urls["Hls", "EnvelopeEncryption"], form)
    plain = http.get(master, timeout=30)
    answer = http.get(f"{master}?token={token()}", timeout=30)
    assert answer.headers["cache-control"] == "no-store"
    playlist = urljoin(master, next(line for line in answer.text.splitlines() if line and not line.startswith("#")))
    assert "?token=" in playlist
    key = http.get(key_tag(http, playlist)["URI"], timeout=30)
    assert (key.status_code, len(key.content)) == (200, 16)
    # Whoever asks without one gets none of another's.
    assert http.get(master, timeout=30).text == plain.text and "token" not in plain.text


def test_ffmpeg_plays_aes_hls(account, http, encoded_asset, clear_frames):
    """A player that knows the tags by itself fetches the key and shows every frame."""
    urls = protect(account, encoded_asset, "Predefined_ClearKey", key_policy(account, ContentKeyPolicyOpenRestriction()))
    address = video(http, only(urls["Hls", "EnvelopeEncryption"], "m3u8-aapl"))
    if address.startswith("https:"):
        pytest.skip("ffmpeg does not trust the installation's certificate")
    count = media.run(
        "ffprobe", "-v", "error", *media.hls_options(), "-count_frames", "-select_streams", "v:0", "-show_entries",
        "stream=nb_read_frames", "-of", "csv=p=0", address,
    )  # fmt: skip
    assert int(count.split()[0].strip(b",")) == len(clear_frames)


def licence(http, url: str, kid: str, **options):
    body = {"kids": [encoded(bytes.fromhex(kid.replace("-", "")))], "type": "temporary"}
    return http.post(url, json=body, timeout=30, **options)


def the_key(answer, kid: str) -> str:
    assert answer.status_code == 200, answer.text
    (key,) = answer.json()["keys"]
    assert key["kid"] == encoded(bytes.fromhex(kid.replace("-", "")))
    return base64.urlsafe_b64decode(key["k"] + "==").hex()


def shown(path, key: str) -> list[int]:
    """Decrypts by ffmpeg, and reads the frames. Through a pipe: of a file that ffmpeg can seek in, it takes the vectors of the last
    fragment for those of all."""
    clear = path.with_suffix(".clear.mp4")
    media.run(
        "ffmpeg", "-v", "error", "-y", "-decryption_key", key, "-i", "pipe:0", "-c", "copy", clear,
        input_bytes=path.read_bytes(),
    )  # fmt: skip
    return media.read_counter(clear)


def test_dash_with_a_clearkey_licence(account, http, encoded_asset, clear_frames, tmp_path):
    urls = protect(account, encoded_asset, streaming_policy(account), key_policy(account, by_token()))
    address = only(urls["Dash", "CommonEncryptionCenc"], "mpd-time-cmaf")
    text = http.get(address, timeout=30).text
    mpd = ElementTree.fromstring(text)
    sets = [s for s in mpd.iter(f"{MPD}AdaptationSet") if s.get("contentType") == "video"]
    protection = sets[0].findall(f"{MPD}ContentProtection")
    assert protection[0].get("schemeIdUri") == "urn:mpeg:dash:mp4protection:2011"
    kid = protection[0].get("{urn:mpeg:cenc:2013}default_KID")
    system = "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"
    url = next(p for p in protection if p.get("schemeIdUri") == system).find(LAURL).text
    assert licence(http, url, kid).status_code == 401
    wrong = {"Authorization": f"Bearer {token(aud='somebody else')}"}
    assert licence(http, url, kid, headers=wrong).status_code == 401
    key = the_key(licence(http, url, kid, headers={"Authorization": f"Bearer {token()}"}), kid)

    best = max(
        (r for r in media.read_mpd(http, address).representations if r.kind == "video"), key=lambda r: r.bandwidth
    )
    file = media.download(http, [best.init, *best.segments], tmp_path / "cenc.mp4", "video")
    assert shown(file, key) == clear_frames
    # In the clear there is nothing.
    plain = re.sub(r",encryption=[a-z-]+", "", address)
    refusal = http.get(plain, timeout=30)
    assert (refusal.status_code, refusal.json()["code"]) == (400, "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL")


def test_hls_with_cbcs(account, http, encoded_asset, clear_frames, tmp_path):
    urls = protect(
        account, encoded_asset, streaming_policy(account), key_policy(account, ContentKeyPolicyOpenRestriction())
    )
    address = video(http, only(urls["Hls", "CommonEncryptionCbcs"], "m3u8-cmaf"))
    tag = key_tag(http, address)
    assert (tag["METHOD"], tag["KEYFORMAT"]) == ("SAMPLE-AES", "org.w3.clearkey")
    kid = tag["KEYID"][2:]
    answer = licence(http, urljoin(account.connection.streamingUrl + "/", "/keys/ClearKey"), kid)
    playlist = media.read_media_playlist(http, address)
    segments = [playlist.init, *(segment.url for segment in playlist.segments)]
    file = media.download(http, segments, tmp_path / "cbcs.mp4", "video")
    assert shown(file, the_key(answer, kid)) == clear_frames


def framemd5(path, *options: str) -> list[str]:
    """Hashes of the decoded frames, in order."""
    text = media.run("ffmpeg", "-v", "error", "-xerror", "-i", path, *options, "-f", "framemd5", "-").decode()
    return [line.split(",")[-1].strip() for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("encryption", ["piff", "cenc"])
def test_smooth_fragments_decrypt_to_the_clear_frames(account, http, encoded_asset, tmp_path, encryption):
    """By a reader of our test tree: ffmpeg knows the older boxes not at all, and reads no Smooth manifest."""
    found = account.publish(encoded_asset)
    expected = {}
    for kind in ("video", "audio"):
        reps = [r for r in media.read_mpd(http, found.dash).representations if r.kind == kind]
        best = max(reps, key=lambda r: r.bandwidth)
        clear = media.download(http, [best.init, *best.segments], tmp_path / f"{kind}.mp4", kind)
        # Without edit lists: elementary streams have none.
        expected[kind] = framemd5(clear) if kind == "video" else framemd5_of_adts(clear, tmp_path)
    name = account.name("loc")
    keys = key_policy(account, ContentKeyPolicyOpenRestriction(), playready(), ContentKeyPolicyWidevineConfiguration(widevine_template="{}"))
    urls = protect(account, encoded_asset, "Predefined_MultiDrmCencStreaming", keys, name)
    (url,) = urls["SmoothStreaming", "CommonEncryptionCenc"]
    url = url.replace("encryption=cenc", f"encryption={encryption}")
    (key,) = account.client.streaming_locators.list_content_keys(*account.where, name).content_keys
    value, kid = base64.b64decode(key.value), bytes.fromhex(str(key.id).replace("-", ""))
    for kind, suffix in (("video", "h264"), ("audio", "aac")):
        stream = tmp_path / f"{encryption}.{suffix}"
        stream.write_bytes(piff.byte_stream(http, url, kind, value, kid))
        got = framemd5(stream)
        assert len(got) > 250
        assert got == expected[kind], kind


def framemd5_of_adts(path, folder) -> list[str]:
    """Of the sound as a stream of its own, as what is compared with it is."""
    stream = folder / "clear.aac"
    media.run("ffmpeg", "-v", "error", "-y", "-i", path, "-c", "copy", "-f", "adts", stream)
    return framemd5(stream)
