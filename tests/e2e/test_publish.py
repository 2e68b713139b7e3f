"""`headwater publish`, `inspect` and `token`: what a new user types first."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import requests

import media


def test_a_file_is_published_and_plays(headwater, http, shared_media: Path, tmp_path):
    film = shared_media / "azure-bumper.mp4"
    done = headwater("publish", "--json", film)
    assert done.returncode == 0, done.stderr
    (published,) = json.loads(done.stdout)
    assert published["asset"].startswith("azure-bumper-")
    rendition = next(r for r in media.read_master(http, published["urls"]["hls"]) if r.kind == "video")
    playlist = media.read_media_playlist(http, rendition.url)
    urls = [playlist.init, *(segment.url for segment in playlist.segments)]
    facts = media.decode(media.download(http, urls, tmp_path / "video.mp4", "video"), "v:0")
    assert facts.frames == media.decode(film, "v:0").frames
    assert media.read_mpd(http, published["urls"]["dash"]).representations


def test_what_cannot_be_published_is_said_and_the_rest_goes_on(headwater, shared_media: Path, tmp_path):
    silent = tmp_path / "no such file.mp4"
    done = headwater("publish", "--preset", "H264SingleBitrateSD", silent, shared_media / "car-detection.mp4")
    assert done.returncode != 0
    assert "no such file.mp4" in done.stderr and "1 of 2 files" in done.stderr
    assert "car-detection" in done.stdout and "m3u8-cmaf" in done.stdout


def test_a_film_in_another_codec_is_encoded_by_ffmpeg(headwater, http, shared_media: Path):
    done = headwater("publish", "--json", "--preset", "H264SingleBitrateSD", shared_media / "echo-hereweare.webm")
    assert done.returncode == 0, done.stderr
    (published,) = json.loads(done.stdout)
    assert media.decode(published["urls"]["hls"], "v:0").frames > 0
    jobs = json.loads(headwater("jobs", "list", "--json").stdout)
    (job,) = [job for job in jobs if job["name"] == published["asset"]]
    engine = job["properties"]["engine"]
    assert engine["name"].lower() == "ffmpeg" and engine["reason"], engine


def test_without_ffmpeg_another_codec_is_refused_and_named(installation, shared_media: Path, monkeypatch):
    monkeypatch.setenv("HEADWATER_ENGINE", "builtin")
    installation.start("--no-ingest")
    film = shared_media / "echo-hereweare.webm"
    command = [installation.binary, "publish", "--preset", "H264SingleBitrateSD", film, "--data", installation.data]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0 and "ContentUnsupported" in done.stderr and "VP8" in done.stderr, done.stderr
    assert installation.stop() == 0


def test_inspect_reads_files_and_urls(headwater, counted, counted_published, http):
    told = headwater("inspect", counted)
    assert told.returncode == 0, told.stderr
    assert "moov" in told.stdout and "avc1" in told.stdout
    rendition = next(r for r in media.read_master(http, counted_published.hls) if r.kind == "video")
    told = headwater("inspect", media.read_media_playlist(http, rendition.url).segments[0].url)
    assert "moof" in told.stdout and "mdat" in told.stdout, told.stderr
    assert "#EXTM3U" in headwater("inspect", counted_published.hls).stdout


def test_renditions_are_compared_with_their_source(headwater, counted, counted_published, tmp_path):
    def compare(*arguments):
        command = [headwater.binary, "compare", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    plot = tmp_path / "quality.svg"
    done = compare("--json", "--seconds", "4", "--plot", plot, counted, counted_published.hls, counted)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["renditions"]
    *renditions, itself = found
    assert itself["psnr"] is None and itself["ssim"] > 0.9999, "a file equals itself"
    assert renditions, found
    for one in renditions:
        assert one["codec"] == "h264" and one["kbps"] > 0 and one["name"].startswith("manifest"), one
        assert one["ssim"] > 0.9 and one["lowestSsim"] <= one["ssim"], one
        assert one["pictures"] == itself["pictures"], "every picture has its own beside it"
        assert [second["time"] for second in one["seconds"]] == [0, 1, 2, 3]
    assert plot.read_text().startswith("<svg")
    missing = compare(counted, tmp_path / "nothing.mp4")
    assert missing.returncode == 1 and "nothing.mp4" in missing.stderr
    audio_only = tmp_path / "sound.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=1", audio_only], check=True, timeout=60)
    silent = compare(counted, audio_only)
    assert silent.returncode == 1 and "has no video" in silent.stderr


def test_a_token_does_what_its_role_may_and_no_more(headwater, connection):
    token = headwater("token", "--role", "viewer").stdout.strip()
    assets = f"{connection.apiUrl}/api/v1/projects/{connection.project}/media/assets"

    def call(method: str, path: str = ""):
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(
            method, assets + path, json={}, headers=headers, verify=connection.verify, timeout=30
        ).status_code

    assert call("GET") == 200
    assert call("PUT", "/e2e-viewers-own") == 403
