"""Encoders other than ffmpeg, and two for one event: every frame carries its number, and the film has all of them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

import media
from headwater import Account
from installation import started
from test_live_stream import RATE, Show, runs, segments, sequence

SECONDS = 20


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    yield from started(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return media.make_counted(tmp_path_factory.mktemp("source") / "counted.mp4", seconds=SECONDS, group_s=1)


def gstreamer(source: Path, url: str) -> subprocess.Popen:
    """Decodes, encodes and sends in real time."""
    if url.startswith("srt:"):
        out = f'mpegtsmux name=mux alignment=7 ! srtsink uri="{url}" wait-for-connection=true'
    else:
        out = f'flvmux name=mux streamable=true ! rtmp2sink location="{url}/main"'
    pipeline = (
        f'{out} filesrc location="{source}" ! qtdemux name=film '
        f"film.video_0 ! queue ! h264parse ! openh264dec ! videoconvert ! identity sync=true "
        f"! x264enc bitrate=1200 speed-preset=ultrafast bframes=2 b-adapt=false key-int-max={RATE} option-string=scenecut=0 "
        f"! h264parse ! queue ! mux. "
        # On a busy machine pictures come late; sound that is earlier makes the muxer move their times behind its own.
        f"film.audio_0 ! queue ! aacparse ! identity sync=true ts-offset=700000000 ! queue ! mux."
    )
    return subprocess.Popen(["gst-launch-1.0", "-q", *pipeline.split()], stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("protocol", ["RTMP", "SRT"])
def test_what_gstreamer_sends_is_played_and_recorded(installed, source, tmp_path, protocol):
    show = Show(Account(installed.connection()), protocol)
    encoder = gstreamer(source, show.ingest_urls()[0])
    playlists = show.playlists()
    show.until(playlists["video"], lambda text: len(segments(text)) >= 4 and "#EXT-X-PART:" in text)
    assert encoder.wait(timeout=180) == 0
    show.settle(playlists["video"])
    show.end()
    show.until(playlists["video"], lambda text: "#EXT-X-ENDLIST" in text)
    frames = media.read_counter(show.film(tmp_path))
    # SRT joins at the first key frame whose packets are all there, and loses what is on its way as GStreamer ends. By RTMP the first pictures
    # have one decode time, and so have the last.
    shown = runs(frames)[0]
    assert shown[0] <= (RATE if protocol == "SRT" else 0) and shown[1] >= SECONDS * RATE - 13, runs(frames)


def test_one_of_two_encoders_is_lost_and_nobody_sees_it(installed, source, tmp_path):
    """As AMS's customers do: the same picture to both ingest addresses."""
    show = Show(Account(installed.connection()))
    first, backup = show.ingest_urls()[0], show.ingest_urls()[-1]
    command = ["ffmpeg", "-v", "error", "-re", "-i", source, "-c", "copy", "-f", "flv"]
    encoders = [subprocess.Popen([*command, f"{url}/main"], stdin=subprocess.DEVNULL) for url in (first, backup)]
    playlists = show.playlists()
    show.until(playlists["video"], lambda text: len(segments(text)) >= 6)
    encoders[0].kill()
    encoders[0].wait()
    killed = show.get(playlists["video"]).text
    at = time.monotonic()
    # The next segments come as if nothing had been.
    text = show.until(playlists["video"], lambda text: sequence(text) + len(segments(text)) >= sequence(killed) + len(segments(killed)) + 3).text
    # Three seconds. On a busy machine they may be late; what waits for somebody who says nothing any more waits ten.
    assert time.monotonic() - at < 9
    assert encoders[1].wait(timeout=180) == 0
    assert "#EXT-X-DISCONTINUITY" not in text and "#EXT-X-GAP" not in text
    show.settle(playlists["video"])
    show.end()
    ended = show.until(playlists["video"], lambda text: "#EXT-X-ENDLIST" in text).text
    assert "#EXT-X-DISCONTINUITY" not in ended and "#EXT-X-GAP" not in ended
    assert runs(media.read_counter(show.film(tmp_path))) == [(0, SECONDS * RATE - 1)]
