"""Files that are only dropped into storage."""

from __future__ import annotations

import time
import uuid

import pytest
from azure.storage.blob import ContainerClient

import media
from headwater import Account, Mkio

RULES = "/uploadRules"


@pytest.fixture(scope="module")
def uploads(connection) -> ContainerClient:
    """The container that the default upload rule watches, as any storage client opens it."""
    return ContainerClient.from_connection_string(connection.blobConnectionString, "uploads")


def assets_of(account: Account, stem: str) -> list[str]:
    found = account.client.assets.list(*account.where, filter=f"name ge '{stem}' and name lt '{stem}~'")
    return sorted(asset.name for asset in found if not asset.name.endswith("-source"))


def wait_for(what: str, find, timeout_s: float = 180):
    deadline = time.monotonic() + timeout_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"{what} did not appear within {timeout_s} s"
        time.sleep(0.5)
    return found


def test_a_dropped_file_becomes_a_published_asset(account: Account, mkio: Mkio, uploads, counted, http, tmp_path):
    stem = f"drop{uuid.uuid4().hex[:8]}"
    with counted.open("rb") as file:
        uploads.upload_blob(f"{stem}.mp4", file)
    (output,) = wait_for("the output asset", lambda: assets_of(account, stem))

    locators = account.client.assets.list_streaming_locators(*account.where, output).streaming_locators
    assert len(locators) == 1
    rule = next(rule for rule in mkio.call("GET", RULES)["value"] if rule["properties"]["container"] == "uploads")
    ended = account.wait(rule["properties"]["transformName"], output, timeout_s=300)
    assert ended.state == "Finished", ended.outputs[0].error

    published = account.published(locators[0].name, output, str(locators[0].streaming_locator_id))
    variant = next(r for r in media.read_master(http, published.hls) if r.kind == "video")
    playlist = media.read_media_playlist(http, variant.url)
    file = media.download(http, [playlist.init, *(s.url for s in playlist.segments)], tmp_path / "v.mp4", "video")
    assert media.read_counter(file) == list(range(300))


def test_a_file_with_another_ending_starts_nothing(account: Account, uploads):
    stem = f"note{uuid.uuid4().hex[:8]}"
    uploads.upload_blob(f"{stem}.txt", b"not a film")
    time.sleep(3)
    assert assets_of(account, stem) == []


def test_a_rule_of_ones_own_is_followed_and_can_be_switched_off(account: Account, mkio: Mkio, counted):
    container = f"e2e-drop-{uuid.uuid4().hex[:8]}"
    name = account.new_asset("watched", container=container)
    rule = f"{RULES}/e2e-{uuid.uuid4().hex[:8]}"
    properties = {
        "storageAccountName": "local",
        "container": container,
        "prefix": "in/",
        "suffixes": [".mp4", ".mov"],
        "transformName": account.transform("H264SingleBitrateSD"),
        "streamingPolicyName": "Predefined_ClearStreamingOnly",
    }
    mkio.call("PUT", rule, {"properties": properties})
    assert mkio.call("GET", rule)["properties"]["suffixes"] == [".mp4", ".mov"]
    watched = account.container(name)
    stem = f"ruled{uuid.uuid4().hex[:8]}"
    with counted.open("rb") as file:
        watched.upload_blob(f"out/{stem}a.mp4", file)
    with counted.open("rb") as file:
        watched.upload_blob(f"in/{stem}b.MP4", file)
    (output,) = wait_for("the output asset", lambda: assets_of(account, stem))
    assert output.startswith(f"{stem}b")
    mkio.call("DELETE", rule, expect=(200, 204))
    with counted.open("rb") as file:
        watched.upload_blob(f"in/{stem}c.mp4", file)
    time.sleep(3)
    assert assets_of(account, stem) == [output]


def test_a_rule_has_to_name_things_that_exist(account: Account, mkio: Mkio):
    bad = {
        "storageAccountName": "local",
        "container": "uploads",
        "suffixes": [".mp4"],
        "transformName": "no-such-transform",
        "streamingPolicyName": "Predefined_ClearStreamingOnly",
    }
    mkio.call("PUT", f"{RULES}/e2e-bad", {"properties": bad}, expect=(400, 404))


@pytest.mark.parametrize("index_at", ["front", "end"])
def test_an_mp4_without_ism_is_played_as_it_is(account: Account, counted, http, tmp_path, index_at: str):
    source = tmp_path / "film.mp4"
    flags = ["-movflags", "+faststart"] if index_at == "front" else []
    media.run("ffmpeg", "-v", "error", "-y", "-i", counted, "-c", "copy", *flags, source)
    published = account.publish(account.upload(source, "film.mp4"))
    tracks = {}
    for variant in media.read_master(http, published.hls):
        playlist = media.read_media_playlist(http, variant.url)
        urls = [playlist.init, *(s.url for s in playlist.segments)]
        tracks[variant.kind] = media.download(http, urls, tmp_path / f"{variant.kind}.mp4", variant.kind)
    facts = media.decode(tracks["video"], "v:0")
    assert (facts.frames, facts.width, facts.height) == (300, 640, 360)
    assert media.read_counter(tracks["video"]) == list(range(300))
    sound = media.decode(tracks["audio"], "a:0")
    assert sound.duration > 11.9
    starts = {kind: media.first_packet_time(track, "0") for kind, track in tracks.items()}
    assert starts["video"] == 0
    assert abs(starts["audio"] - starts["video"]) < 1024 / 48000 + 0.0005
    # And for a player that reads the playlists, in which nothing undoes a delay of one track alone.
    for kind, start in starts.items():
        assert media.first_packet_time(published.hls, f"{kind[0]}:0", *media.hls_options()) == start
    starts = media.tone_starts(tracks["audio"])
    assert [round(at) for at in starts] == list(range(12))
    assert all(abs(at - round(at)) < 0.025 for at in starts), starts
    manifest = media.read_mpd(http, published.dash)
    assert {r.kind for r in manifest.representations} == {"video", "audio"}


def test_a_progressive_file_downloads_byte_for_byte(account: Account, counted, http):
    published = account.publish(account.upload(counted, "my film.mp4"))
    (url,) = [url for url in published.downloads if "film.mp4" in url]
    assert http.get(url).content == counted.read_bytes()
