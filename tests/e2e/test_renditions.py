"""Files go in, and what comes out of the packager is decoded again: every frame of every rendition."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import media
from headwater import Account, Published

SEGMENT_TIME = re.compile(r"Fragments(?:\(|%28)[^=]+=(\d+)", re.IGNORECASE)


@dataclass
class Case:
    """A source, and what is known about it before it goes in."""

    file: str
    preset: str = "AdaptiveStreaming"
    audio: bool = True
    tags: set[str] = field(default_factory=set)


CASES = {
    "bigbuckbunny": Case("bigbuckbunny.mp4"),
    "car-detection": Case("car-detection.mp4"),
    "azure-bumper": Case("azure-bumper.mp4"),
    "ten-minutes": Case("", tags={"counted", "long"}),
}


@dataclass
class Played:
    """One presentation: its source's facts, and its renditions as downloaded files."""

    case: Case
    source: media.StreamFacts
    published: Published
    progress: list[int]
    variants: list[media.Rendition]
    playlists: dict[str, media.MediaPlaylist]
    files: dict[str, Path]
    facts: dict[str, media.StreamFacts]

    def of_kind(self, kind: str) -> list[str]:
        return [variant.url for variant in self.variants if variant.kind == kind]


@pytest.fixture(scope="module", params=CASES)
def played(request, account: Account, http, shared_media: Path, tmp_path_factory) -> Played:
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    if "long" in case.tags:
        if os.environ.get("HEADWATER_QUICK"):
            pytest.skip("HEADWATER_QUICK is set")
        source = media.make_counted(folder / "ten-minutes.mp4", seconds=600)
    else:
        source = shared_media / case.file

    progress: list[int] = []
    asset = account.encode(
        account.upload(source),
        case.preset,
        timeout_s=1500,
        on_poll=lambda job: progress.append(job.outputs[0].progress or 0),
    )
    published = account.publish(asset)
    variants = media.read_master(http, published.hls)
    playlists, files, facts = {}, {}, {}
    for number, variant in enumerate({variant.url: variant for variant in variants}.values()):
        playlist = media.read_media_playlist(http, variant.url)
        urls = [playlist.init, *(segment.url for segment in playlist.segments)]
        file = media.download(http, urls, folder / f"{variant.kind}-{number}.mp4", variant.kind)
        playlists[variant.url], files[variant.url] = playlist, file
        facts[variant.url] = media.decode(file, f"{variant.kind[0]}:0")
    source_facts = media.decode(source, "v:0")
    return Played(case, source_facts, published, progress, variants, playlists, files, facts)


def test_sound_alone_is_played_from_the_origin(account: Account, http, shared_media: Path, tmp_path: Path):
    source = shared_media / "bigbuckbunny.mp4"
    published = account.publish(account.encode(account.upload(source), "AACGoodQualityAudio"))
    # The one variant, and the same playlist as its audio group's.
    rendition = media.read_master(http, published.hls)[0]
    playlist = media.read_media_playlist(http, rendition.url)
    file = media.download(http, [playlist.init, *(s.url for s in playlist.segments)], tmp_path / "sound.mp4", "audio")
    heard, sent = media.decode(file, "a:0"), media.decode(source, "a:0")
    assert (heard.codec, heard.channels) == ("aac", 2) and abs(heard.end - sent.end) < 0.1
    manifest = media.read_mpd(http, published.dash)
    assert [representation.kind for representation in manifest.representations] == ["audio"]


def test_progress_only_grows_and_ends_at_100(played: Played):
    assert played.progress == sorted(played.progress), played.progress
    assert played.progress[-1] == 100
    if "long" in played.case.tags:
        assert any(0 < percent < 100 for percent in played.progress), played.progress


def test_the_ladder_fits_the_source(played: Played):
    videos = [played.facts[url] for url in played.of_kind("video")]
    assert videos
    if played.source.height >= 720:
        assert len(videos) >= 3, [fact.height for fact in videos]
    for fact in videos:
        assert fact.height <= played.source.height, "upscaled"
        assert fact.codec == "h264"
        ratio = fact.width / fact.height / (played.source.width / played.source.height)
        assert 0.98 < ratio < 1.02, f"{fact.width}x{fact.height} is not the shape of the source"


def test_the_master_playlist_tells_the_truth(played: Played):
    for variant in played.variants:
        fact, playlist = played.facts[variant.url], played.playlists[variant.url]
        if variant.kind != "video":
            continue
        assert variant.attributes["RESOLUTION"] == f"{fact.width}x{fact.height}"
        assert re.search(r"avc1\.[0-9a-fA-F]{6}", variant.attributes["CODECS"]), variant.attributes
        audio = next((url for url in played.of_kind("audio")), None)
        if audio:
            assert "mp4a.40.2" in variant.attributes["CODECS"]
        # BANDWIDTH bounds the peak of any segment, sound included; it is not an average of the file.
        bits = played.files[variant.url].stat().st_size * 8
        if audio:
            bits += played.files[audio].stat().st_size * 8
        assert int(variant.attributes["BANDWIDTH"]) >= bits / playlist.duration * 0.98


def test_every_frame_is_there_once(played: Played):
    for url in played.of_kind("video"):
        fact = played.facts[url]
        assert fact.frames == played.source.frames, f"{fact.height}p"
        assert abs(fact.duration - played.source.duration) < 0.1
        if "counted" in played.case.tags:
            assert media.read_counter(played.files[url]) == list(range(played.source.frames)), f"{fact.height}p"


def test_sound_is_stereo_aac_as_long_as_the_picture(played: Played):
    audio = played.of_kind("audio")
    assert audio
    for url in audio:
        fact = played.facts[url]
        assert (fact.codec, fact.channels) == ("aac", 2)
        picture = played.facts[played.of_kind("video")[0]]
        assert abs(fact.end - picture.end) < 0.5, f"sound ends at {fact.end}, the picture at {picture.end}"


def test_sound_and_picture_start_together(played: Played):
    for audio in played.of_kind("audio"):
        one_frame = 1024 / played.facts[audio].sample_rate
        for video in played.of_kind("video"):
            picture, sound = (media.first_packet_time(played.files[url], "0") for url in (video, audio))
            assert abs(sound - picture) <= one_frame
            assert picture < 0.0005


def test_sound_stays_with_the_picture_to_the_end(played: Played):
    if "counted" not in played.case.tags:
        pytest.skip("only the counted file has a tone at every second")
    starts = media.tone_starts(played.files[played.of_kind("audio")[0]])
    assert len(starts) == 600
    off = {second: round(at - second, 3) for second, at in enumerate(starts) if abs(at - second) > 0.025}
    assert not off, f"tones away from their second: {dict(list(off.items())[:10])}"


def test_segments_are_cut_at_the_same_times_in_every_rendition(played: Played):
    cuts = {
        played.facts[url].height: (
            [SEGMENT_TIME.search(segment.url).group(1) for segment in played.playlists[url].segments],
            [segment.duration for segment in played.playlists[url].segments],
        )
        for url in played.of_kind("video")
    }
    assert len({str(cut) for cut in cuts.values()}) == 1, cuts


def test_every_segment_starts_with_a_key_frame_and_lasts_as_announced(played: Played):
    for url in played.of_kind("video"):
        playlist, fact, clock = played.playlists[url], played.facts[url], 0.0
        for segment in playlist.segments:
            assert any(abs(key - clock) < 0.002 for key in fact.key_times), f"no key frame at {clock} in {fact.height}p"
            assert segment.duration <= playlist.target_duration + 0.5
            clock += segment.duration
        assert abs(clock - fact.duration) < 0.01


def test_dash_offers_the_same_tracks_cut_at_the_same_times(played: Played, http):
    manifest = media.read_mpd(http, played.published.dash)
    assert abs(manifest.duration - played.source.duration) < 0.5
    for kind in ("video", "audio"):
        of_kind = [r for r in manifest.representations if r.kind == kind]
        assert len(of_kind) == len(set(played.of_kind(kind)))
        playlist = played.playlists[played.of_kind(kind)[0]]
        for representation in of_kind:
            assert len(representation.segments) == len(playlist.segments)
            for segment, (_, duration) in zip(playlist.segments, representation.times):
                assert abs(float(duration) - segment.duration) < 0.001
            for (start, duration), (following, _) in zip(representation.times, representation.times[1:]):
                assert start + duration == following, "gap or overlap"


def test_dash_segments_are_the_bytes_of_hls_segments(played: Played, http):
    """Caches in front of the origin hit twice only if they are."""
    manifest = media.read_mpd(http, played.published.dash)
    by_bytes = {http.get(played.playlists[url].init).content: url for url in played.playlists}
    for representation in manifest.representations:
        init = http.get(representation.init)
        assert init.status_code == 200
        playlist = played.playlists[by_bytes[init.content]]
        for at in (0, len(playlist.segments) - 1):
            assert http.get(representation.segments[at]).content == http.get(playlist.segments[at].url).content


@pytest.mark.parametrize("protocol", ["hls", "dash"])
def test_ffmpeg_plays_it_without_complaint(played: Played, protocol: str):
    if "long" in played.case.tags:
        pytest.skip("the short files show it")
    options = []
    if protocol == "hls":
        # Left alone, ffmpeg takes only segments whose URL ends in a media file's name; these URLs are AMS's.
        options = media.hls_options()
    done = subprocess.run(
        ["ffmpeg", "-v", "warning", *options, "-i", getattr(played.published, protocol), "-map", "0", "-f", "null", "-"],
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    complaints = [
        line
        for line in done.stderr.decode(errors="replace").splitlines()
        # The null muxer's remarks on tracks of unequal length are about its own output.
        if line and "null" not in line and "deprecated" not in line
    ]
    assert done.returncode == 0 and not complaints, complaints


def test_a_poster_comes_with_it(played: Played, account: Account, http):
    names = [blob.name for blob in account.container(played.published.asset).list_blobs()]
    posters = [name for name in names if name.lower().endswith((".jpg", ".jpeg"))]
    assert posters, names
    assert any(name.endswith(".ism") for name in names), names
    url = next(url for url in played.published.downloads if url.endswith(posters[0]))
    answer = http.get(url)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert answer.content.startswith(b"\xff\xd8\xff")
