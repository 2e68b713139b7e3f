"""What is served encrypted, of every codec and in every format that carries it, opened by three decryptors that are not ours:
ffmpeg, shaka-packager, and the reader of `tests/protect`, which is written from the standards. Of pictures every decoded frame is
compared with the source's, of sound every coded frame, which its decoder makes the same of."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from azure.mgmt.media.models import (
    CencDrmConfiguration,
    ClearKeyEncryptionConfiguration,
    CommonEncryptionCbcs,
    CommonEncryptionCenc,
    ContentKeyPolicyClearKeyConfiguration,
    ContentKeyPolicyOpenRestriction,
    DefaultKey,
    EnabledProtocols,
    StreamingPolicy,
    StreamingPolicyContentKeys,
    StreamingPolicyPlayReadyConfiguration,
)

import decryptor
import media
import piff
from test_protection import key_policy, playready, protect

PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=6")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=6")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2")
H265 = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=none")
AV1 = ("-c:v", "libsvtav1", "-preset", "10")
CODECS = {
    "h264-aac": (*H264, "-c:a", "aac"),
    "h265-eac3": (*H265, "-c:a", "eac3"),
    "av1-opus": (*AV1, "-c:a", "libopus"),
    "h264-ac3": (*H264, "-c:a", "ac3"),
    "h264-eac3": (*H264, "-c:a", "eac3"),
    "h265-flac": (*H265, "-c:a", "flac"),
}
FORMATS = [
    ("cenc", "mpd-time-cmaf", "cenc"),
    ("cenc", "mpd-time-csf", "cenc"),
    ("cenc", "m3u8-cmaf", "cenc"),
    ("cbcs", "mpd-time-cmaf", "cbcs"),
    ("cbcs", "m3u8-cmaf", "cbcs-aapl"),
]


def framemd5(*source, data: bytes | None = None) -> list[str]:
    """Of frames from the presentation's beginning on: encoders' priming is not part of it."""
    text = media.run("ffmpeg", "-v", "error", "-xerror", *source, "-f", "framemd5", "-", input_bytes=data).decode()
    # Behind the hash there may be what ffmpeg knows of a packet beside its bytes.
    found = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return [fields[5].strip() for fields in found if int(fields[2]) >= 0]


def selected(kind: str) -> tuple[str, ...]:
    """Pictures decoded, sound as it is coded."""
    return ("-map", "0:v:0") if kind == "video" else ("-map", "0:a:0", "-c", "copy")


class Film:
    """A protected film: where it is, its keys, and what its source shows."""

    def __init__(self, account, name: str, folder: Path):
        self.source = source = folder / f"{name}.mp4"
        media.run(
            "ffmpeg", "-v", "error", "-y", *PICTURES, *SOUND, *CODECS[name], "-strict", "-2", "-g", "50",
            "-pix_fmt", "yuv420p", "-movflags", "+faststart", source,
        )  # fmt: skip
        self.frames = {kind: framemd5("-i", source, *selected(kind)) for kind in ("video", "audio")}
        assert len(self.frames["video"]) == 150 and len(self.frames["audio"]) > 60
        policy, locator = account.name("drm"), account.name("loc")
        clear_key = ClearKeyEncryptionConfiguration()
        # Smooth Streaming has no other.
        drm = CencDrmConfiguration(play_ready=StreamingPolicyPlayReadyConfiguration())

        def everywhere(label: str, smooth: bool) -> dict:
            return {
                "enabled_protocols": EnabledProtocols(download=False, dash=True, hls=True, smooth_streaming=smooth),
                "content_keys": StreamingPolicyContentKeys(default_key=DefaultKey(label=label)),
                "clear_key_encryption_configuration": clear_key,
            }

        account.client.streaming_policies.create(
            *account.where,
            policy,
            StreamingPolicy(
                common_encryption_cenc=CommonEncryptionCenc(**everywhere("cenc", True), drm=drm),
                common_encryption_cbcs=CommonEncryptionCbcs(**everywhere("cbcs", False)),
            ),
        )
        configurations = [ContentKeyPolicyClearKeyConfiguration(), playready()]
        asset = account.upload(source)
        urls = protect(account, asset, policy, key_policy(account, ContentKeyPolicyOpenRestriction(), *configurations), locator)
        self.base = next(iter(urls.values()))[0].split("(")[0]
        listed = account.client.streaming_locators.list_content_keys(*account.where, locator).content_keys
        self.keys = {
            key.label_reference_in_streaming_policy: (str(key.id).replace("-", ""), base64.b64decode(key.value).hex())
            for key in listed
        }

    def tracks(self, http, form: str, encryption: str) -> dict[str, list[str]]:
        """Of pictures and of sound the URLs, init segment first."""
        url = f"{self.base}(format={form},encryption={encryption})"
        if form.startswith("mpd"):
            return {r.kind: [r.init, *r.segments] for r in media.read_mpd(http, url).representations}
        found = {}
        for rendition in media.read_master(http, url):
            playlist = media.read_media_playlist(http, rendition.url)
            found[rendition.kind] = [playlist.init, *(segment.url for segment in playlist.segments)]
        return found


@pytest.fixture(scope="module", params=CODECS)
def film(request, account, tmp_path_factory) -> Film:
    return Film(account, request.param, tmp_path_factory.mktemp("film"))


@pytest.mark.parametrize(("scheme", "form", "encryption"), FORMATS, ids=lambda value: value)
def test_three_decryptors_give_the_frames_of_the_source(film, http, packager, tmp_path, scheme, form, encryption):
    kid, key = film.keys[scheme]
    tracks = film.tracks(http, form, encryption)
    assert set(tracks) == {"video", "audio"}
    for kind, urls in tracks.items():
        served = media.download(http, urls, tmp_path / f"{kind}.mp4", kind)
        expected = film.frames[kind]
        encrypted = served.read_bytes()
        # From a pipe: of a file that it can seek in, ffmpeg takes the vectors of the last fragment for those of all.
        got = framemd5("-decryption_key", key, "-i", "pipe:0", *selected(kind), data=encrypted)
        assert got == expected, (kind, "ffmpeg")

        clear, numbered = tmp_path / f"{kind}-clear.mp4", tmp_path / f"{kind}-numbered.mp4"
        numbered.write_bytes(numbered_1(encrypted))
        media.run(
            packager, f"in={numbered},stream={kind},out={clear}", "--enable_raw_key_decryption",
            "--keys", f"label=:key_id={kid}:key={key}",
        )  # fmt: skip
        assert framemd5("-i", clear, *selected(kind)) == expected, (kind, "shaka-packager")

        opened, used = decryptor.decrypt(encrypted, {kid: key})
        assert used == [kid]
        assert framemd5("-i", "pipe:0", *selected(kind), data=opened) == expected, (kind, "decryptor.py")

        # That is not so because it was in the clear.
        wrong, _ = decryptor.decrypt(encrypted, {kid: "00" * 16})
        assert shown_if_at_all(wrong, kind) != expected


PIFF_SAMPLES = b"uuid" + decryptor.PIFF_SAMPLES


def with_names_of_iso(file: bytes) -> bytes:
    """PIFF's box of vectors and subsamples as `senc`, which has the same in it: behind a box of nothing, so that all keeps its place."""
    out, at = bytearray(file), -1
    while (at := out.find(PIFF_SAMPLES, at + 1)) >= 0:
        start = at - 4
        size = int.from_bytes(out[start:at], "big")
        out[start : start + 24] = (16).to_bytes(4, "big") + b"free" + bytes(8) + (size - 16).to_bytes(4, "big") + b"senc"
    return bytes(out)


def numbered_1(file: bytes) -> bytes:
    """The file with its track as number 1, of which the encryption knows nothing. shaka-packager 3.4.2 reads from where its memory is
    not if the only track has another one, in files of ffmpeg's as well."""
    data = bytearray(file)
    for path, offset in (((b"moov", b"trak", b"tkhd"), 12), ((b"moov", b"mvex", b"trex"), 4)):
        at, _ = decryptor.find(data, (0, len(data)), *path)
        data[at + offset : at + offset + 4] = b"\0\0\0\1"
    for kind, at, end in list(decryptor.boxes(data, 0, len(data))):
        if kind == b"moof":
            at, _ = decryptor.find(data, (at, end), b"traf", b"tfhd")
            data[at + 4 : at + 8] = b"\0\0\0\1"
    return bytes(data)


def shown_if_at_all(file: bytes, kind: str) -> list[str] | None:
    try:
        return framemd5("-i", "pipe:0", *selected(kind), data=file)
    except AssertionError:
        return None


@pytest.mark.parametrize("film", ["h264-aac"], indirect=True)
@pytest.mark.parametrize("encryption", ["cenc", "piff"])
def test_fragments_of_smooth_streaming_under_the_init_segment_of_dash(film, http, packager, tmp_path, encryption):
    """For readers that make no movie header of a Smooth manifest, and know PIFF's boxes by the names only that ISO gave them.
    (`test_protection.py` has a reader that needs neither.)"""
    kid, key = film.keys["cenc"]
    url = f"{film.base}(encryption={encryption})"
    inits = {kind: urls[0] for kind, urls in film.tracks(http, "mpd-time-cmaf", "cenc").items()}
    indices = ElementTree.fromstring(http.get(url, timeout=30).content).findall("StreamIndex")
    assert {index.get("Type") for index in indices} == {"video", "audio"}
    for index in indices:
        kind = index.get("Type")
        served = [http.get(inits[kind], timeout=30).content, *piff.fragments(http, url, index, index.find("QualityLevel"))]
        file, clear = tmp_path / f"{kind}.mp4", tmp_path / f"{kind}-clear.mp4"
        assert served[1].count(PIFF_SAMPLES) == (encryption == "piff")
        file.write_bytes(numbered_1(with_names_of_iso(b"".join(served))))
        got = framemd5("-decryption_key", key, "-i", "pipe:0", *selected(kind), data=file.read_bytes())
        assert got == film.frames[kind], (kind, "ffmpeg")
        media.run(
            packager, f"in={file},stream={kind},out={clear}", "--enable_raw_key_decryption",
            "--keys", f"label=:key_id={kid}:key={key}",
        )  # fmt: skip
        assert framemd5("-i", clear, *selected(kind)) == film.frames[kind], (kind, "shaka-packager")
