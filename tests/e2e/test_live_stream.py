"""Live from encoder to player and on to the film: ffmpeg pushes, ffmpeg plays, and every frame carries its number."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import uuid
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from azure.mgmt.media.models import (
    IPAccessControl,
    IPRange,
    LiveEvent,
    LiveEventActionInput,
    LiveEventEncoding,
    LiveEventInput,
    LiveEventInputAccessControl,
    LiveOutput,
)

import media
from headwater import Account, player_session
from installation import started

ANYWHERE = IPAccessControl(allow=[IPRange(name="AllowAll", address="0.0.0.0", subnet_prefix_length=0)])
RATE = 25
DASH = "{urn:mpeg:dash:schema:mpd:2011}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    yield from started(tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Half a minute with a key frame every second."""
    return media.make_counted(tmp_path_factory.mktemp("source") / "counted.mp4", seconds=30, group_s=1)


class Show:
    """A live event with one output and a locator, from start to film."""

    def __init__(
        self, account: Account, protocol: str = "RTMP", low_latency: bool = True, encoding: LiveEventEncoding | None = None,
        **output,
    ):  # fmt: skip
        self.account, self.client, self.where = account, account.client, account.where
        self.name = account.name("ev")[:32]
        self.asset = account.new_asset("live")
        event = LiveEvent(
            location="local",
            input=LiveEventInput(
                streaming_protocol=protocol,
                access_control=LiveEventInputAccessControl(ip=ANYWHERE),
                access_token=str(uuid.uuid4()),
                key_frame_interval_duration=None if encoding else "PT1S",
            ),
            encoding=encoding or LiveEventEncoding(encoding_type="PassthroughStandard"),
            stream_options=["LowLatency" if low_latency else "Default"],
        )
        self.client.live_events.begin_create(*self.where, self.name, event).result()
        wanted = {"archive_window_length": timedelta(hours=1), "manifest_name": "show", **output}
        self.client.live_outputs.begin_create(
            *self.where, self.name, "out", LiveOutput(asset_name=self.asset, **wanted)
        ).result()
        locator = account.locate(self.asset, "Predefined_ClearStreamingOnly")
        self.base = f"{account.connection.streamingUrl}/{locator.streaming_locator_id}/show.ism/"
        self.hls = self.base + "manifest(format=m3u8-cmaf)"
        self.dash = self.base + "manifest(format=mpd-time-cmaf)"
        self.client.live_events.begin_start(*self.where, self.name).result()
        self.http = player_session(account.connection)

    def ingest_urls(self) -> list[str]:
        event = self.client.live_events.get(*self.where, self.name)
        return [endpoint.url for endpoint in event.input.endpoints]

    def preview(self) -> str:
        event = self.client.live_events.get(*self.where, self.name)
        return event.preview.endpoints[0].url

    def push(self, source: Path, *arguments: str) -> subprocess.Popen:
        url = self.ingest_urls()[0]
        carried, target = {
            "srt": (["-f", "mpegts"], url),
            "rtm": (["-f", "flv"], url + "/main"),
            "htt": (["-f", "ismv", "-movflags", "isml+frag_keyframe"], url + "/Streams(main)"),
        }[url[:3]]
        return subprocess.Popen(
            ["ffmpeg", "-v", "error", "-re", *arguments, "-i", source, "-c", "copy", *carried, target],
            stdin=subprocess.DEVNULL,
        )

    def get(self, url: str, status: int = 200, **options) -> requests.Response:
        answer = self.http.get(url, timeout=30, **options)
        assert answer.status_code == status, f"{url}: {answer.status_code} {answer.text[:500]}"
        return answer

    def until(self, url: str, there, patience_s: float = 90) -> requests.Response:
        deadline = time.monotonic() + patience_s
        while True:
            answer = self.http.get(url, timeout=30)
            if answer.ok and there(answer.text):
                return answer
            assert time.monotonic() < deadline, f"{url}: {answer.status_code} {answer.text[:2000]}"
            time.sleep(0.2)

    def settle(self, url: str, still_s: float = 3) -> None:
        """Until nothing is added to a playlist any more: what was sent last has come through, however busy the machine is."""
        deadline = time.monotonic() + 90
        seen, since = None, time.monotonic()
        while time.monotonic() - since < still_s:
            text = self.get(url).text
            if text != seen:
                seen, since = text, time.monotonic()
            assert since < deadline, f"{url} does not come to rest"
            time.sleep(0.2)

    def playlists(self) -> dict[str, str]:
        """URLs of the media playlists, by kind, once the event plays."""
        text = self.until(self.hls, lambda text: "#EXT-X-STREAM-INF" in text and "TYPE=AUDIO" in text).text
        video = re.search(r"#EXT-X-STREAM-INF:.*\n(.+)", text).group(1)
        audio = re.search(r'TYPE=AUDIO.*URI="([^"]+)"', text).group(1)
        return {"video": urljoin(self.hls, video), "audio": urljoin(self.hls, audio)}

    def end(self) -> None:
        """Ends the recording, then the event."""
        self.client.live_outputs.begin_delete(*self.where, self.name, "out").result()
        self.client.live_events.begin_stop(*self.where, self.name, LiveEventActionInput()).result()

    def film(self, folder: Path, url: str | None = None) -> Path:
        path = folder / f"{uuid.uuid4().hex}.mp4"
        media.run("ffmpeg", "-v", "error", "-i", url or self.hls, "-map", "0", "-c", "copy", path)
        return path


def segments(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def sequence(playlist: str) -> int:
    return int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", playlist).group(1))


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Runs of numbers that count up by one, as first and last."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def played_live(url: str, seconds: int) -> int:
    """How many frames ffmpeg decodes of what is live."""
    raw = media.run(
        "ffmpeg", "-v", "error", "-i", url, "-t", seconds, "-map", "0:v:0", "-vf", "scale=8:8", "-pix_fmt", "gray",
        "-f", "rawvideo", "-",
    )  # fmt: skip
    return len(raw) // 64


@pytest.mark.parametrize("protocol", ["RTMP", "SRT", "FragmentedMP4"])
def test_from_an_encoder_to_players_and_to_the_film(installed, source, tmp_path, protocol):
    show = Show(Account(installed.connection()), protocol)
    encoder = show.push(source)
    playlists = show.playlists()

    live = show.until(playlists["video"], lambda text: len(segments(text)) >= 4)
    assert "max-age" in live.headers["cache-control"] or "no-cache" in live.headers["cache-control"]
    assert live.headers["access-control-allow-origin"] == "*"
    first = live.text
    assert "#EXT-X-ENDLIST" not in first and "#EXT-X-PROGRAM-DATE-TIME" in first
    assert "#EXT-X-TARGETDURATION:1\n" in first
    newest = segments(first)[-1]
    answer = show.get(urljoin(playlists["video"], newest))
    assert "immutable" in answer.headers["cache-control"] and answer.headers["content-type"] == "video/mp4"
    part = show.get(urljoin(playlists["video"], newest), 206, headers={"Range": "bytes=4-7"})
    assert part.content == b"moof"

    # Both at once: a busy machine has to be done before there is nothing live any more.
    with ThreadPoolExecutor(2) as players:
        played = list(players.map(lambda url: played_live(url, 4), (show.hls, show.dash)))
    assert min(played) >= 4 * RATE - 2, played
    later = show.get(playlists["video"]).text
    assert set(segments(first)) < set(segments(later)) and sequence(later) == sequence(first)

    encoder.wait(timeout=180)
    show.settle(playlists["video"])
    show.end()
    ended = show.until(playlists["video"], lambda text: "#EXT-X-ENDLIST" in text).text
    assert segments(ended)[: len(segments(later))] == segments(later) and "PART" not in ended
    mpd = ElementTree.fromstring(show.until(show.dash, lambda text: 'type="static"' in text).content)
    assert mpd.get("mediaPresentationDuration") and not mpd.get("minimumUpdatePeriod")
    for url in (show.hls, show.dash):
        film = show.film(tmp_path, url)
        frames = media.read_counter(film)
        # SRT joins at the first key frame whose packets are all there.
        begun = frames[0] if protocol == "SRT" else 0
        shown = runs(frames)
        # ffmpeg closes SRT without waiting for what it has just handed over: a last bundle of sound, some 0.4 s, and pictures of it.
        # Of DASH it plays to where the first of the tracks ends, and loses what is reordered at the end of the other.
        lost = (5 if protocol == "SRT" else 0) + (0 if url == show.hls else 8 if protocol == "SRT" else 5)
        if shown[0][1] + 1 >= 30 * RATE - lost and len(shown) <= 1 + (lost > 0):
            shown = [(shown[0][0], 30 * RATE - 1)]
        assert begun <= RATE and shown == [(begun, 30 * RATE - 1)], url


def test_low_latency(installed, source):
    show = Show(Account(installed.connection()))
    # Two minutes, of which a machine of its own needs twenty seconds.
    encoder = show.push(source, "-stream_loop", "3")
    playlists = show.playlists()
    url = playlists["video"]
    live = show.until(url, lambda text: len(segments(text)) >= 8 and "#EXT-X-PART:" in text).text
    assert "CAN-BLOCK-RELOAD=YES" in live and "#EXT-X-PART-INF:PART-TARGET=0.38" in live

    # A reload that waits is answered as soon as the part is there, and has it.
    took = []
    for _ in range(6):
        text = show.get(url).text
        number = sequence(text) + len(segments(text))
        growing = text.rsplit("#EXTINF", 1)[1].count("#EXT-X-PART:")
        asked = time.monotonic()
        waited = show.get(f"{url}?_HLS_msn={number}&_HLS_part={growing}")
        took.append(time.monotonic() - asked)
        at = sequence(waited.text) + len(segments(waited.text))
        parts = waited.text.rsplit("#EXTINF", 1)[1].count("#EXT-X-PART:")
        assert (at, parts) >= (number, growing + 1) or at > number
    # A part takes a third of a second. On a busy machine the answer is late now and then.
    assert sorted(took)[1] < 1.0, took
    show.get(f"{url}?_HLS_msn={number + 50}", 400)
    show.get(f"{url}?_HLS_part=1", 400)

    # Its hint is the next part; parts are the segment.
    statuses = []
    for _ in range(8):
        text = show.get(url).text
        hint = re.search(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', text).group(1)
        hinted = show.http.get(urljoin(url, hint), timeout=30)
        statuses.append(hinted.status_code)
        if hinted.ok:
            # Where a segment is over, its next part is the next segment's first.
            text = show.until(url, lambda text: f'URI="{hint}"' in text).text
            assert f'#EXT-X-PART:' in text and hinted.content[4:8] == b"moof"
    assert set(statuses) <= {200, 404} and statuses.count(200) >= 4, statuses
    text = show.get(url).text
    assert "#EXT-X-RENDITION-REPORT:URI=" in text and "LAST-PART=" in text
    whole = segments(text)[-1]
    before = text.split(whole)[0].rsplit("#EXTINF", 2)[1]
    parts = re.findall(r'#EXT-X-PART:.*URI="([^"]+)"', before)
    assert len(parts) >= 3
    joined = b"".join(show.get(urljoin(url, part)).content for part in parts)
    assert joined == show.get(urljoin(url, whole)).content

    # What is old may be left out.
    delta = show.get(f"{url}?_HLS_skip=YES").text
    skipped = int(re.search(r"#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)", delta).group(1))
    assert skipped >= 1 and "#EXT-X-ENDLIST" not in delta

    mpd = ElementTree.fromstring(show.get(show.dash).content)
    template = mpd.find(f".//{DASH}SegmentTemplate")
    assert template.get("availabilityTimeComplete") == "false"
    assert mpd.find(f"{DASH}UTCTiming") is not None and mpd.find(f"{DASH}ServiceDescription") is not None
    encoder.kill()
    encoder.wait()
    show.end()


def test_an_encoder_that_comes_back(installed, source, tmp_path):
    show = Show(Account(installed.connection()), low_latency=False)
    encoder = show.push(source)
    playlists = show.playlists()
    before = show.until(playlists["video"], lambda text: len(segments(text)) >= 4).text
    encoder.kill()
    encoder.wait()
    time.sleep(3)
    encoder = show.push(source)
    # What the first still wrote as it was killed may come late: what counts is what follows the break.
    show.until(playlists["video"], lambda text: len(segments(text.partition("#EXT-X-DISCONTINUITY\n")[2])) >= 4)
    assert len(segments(before)) >= 4
    encoder.kill()
    encoder.wait()
    show.settle(playlists["video"])
    show.end()
    show.until(playlists["video"], lambda text: "#EXT-X-ENDLIST" in text)
    counted = media.read_counter(show.film(tmp_path))
    # Both lives from their first frame on; where each was killed, what was to be reordered is missing.
    begun = [run for run in runs(counted) if run[0] == 0]
    assert counted[0] == 0 and len(begun) == 2 and begun[1][1] > 3 * RATE
    assert len(counted) > 7 * RATE and len(runs(counted)) <= 6


def test_the_command_line_runs_an_event(installed, source, tmp_path):
    """Made, started, recorded, stopped, published and deleted with `headwater` alone."""

    def run(*arguments: str, code: int = 0) -> str:
        command = [installed.binary, *arguments, f"--data={installed.data}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == code, f"{arguments}: {done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def line(shown: str, name: str) -> str:
        return re.search(rf"^{name} +(.+)$", shown, re.MULTILINE).group(1)

    # A player has begun by then, on a busy machine as well.
    seconds = 20
    name = f"cli{uuid.uuid4().hex[:8]}"
    shown = run("live", "create", name, "--start")
    assert line(shown, "state") == "Running"
    assert name in run("live", "record", name, name)
    run("locators", "create", name, "--asset", name)
    encoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-re", "-t", str(seconds), "-i", source, "-c", "copy", "-f", "flv", line(shown, "send to") + "/main"],
        stdin=subprocess.DEVNULL,
    )
    preview = line(shown, "preview").replace("manifest", "manifest(format=m3u8-cmaf)")
    deadline = time.monotonic() + 90
    while "RESOLUTION=" not in requests.get(preview, timeout=30).text:
        assert time.monotonic() < deadline, f"{preview} does not begin"
        time.sleep(0.2)
    assert played_live(preview, 2) >= 2 * RATE - 2
    assert encoder.wait(timeout=180) == 0
    urls = [row.split()[-1] for row in run("locators", "paths", name).splitlines() if row.startswith("Hls")]
    variant = segments(requests.get(urls[0], timeout=30).text)[0]
    # All of it is there.
    seen, since = "", time.monotonic()
    while time.monotonic() - since < 3:
        text = requests.get(urljoin(urls[0], variant), timeout=30).text
        if text != seen:
            seen, since = text, time.monotonic()
        time.sleep(0.2)
    refusal = run("live", "stop", name, code=1)
    assert "output" in refusal, refusal
    stopped = run("live", "stop", name, "--remove-outputs")
    assert line(stopped, "state") == "Stopped" and "OUTPUT" not in stopped
    deadline = time.monotonic() + 90
    while "#EXT-X-ENDLIST" not in requests.get(urljoin(urls[0], variant), timeout=30).text:
        assert time.monotonic() < deadline, "the recording does not end"
        time.sleep(0.2)
    film = tmp_path / "film.mp4"
    media.run("ffmpeg", "-v", "error", "-i", urls[0], "-map", "0", "-c", "copy", film)
    frames = media.read_counter(film)
    # ffmpeg stops by decoding time, so the last pictures may lack those shown between them.
    whole = seconds * RATE
    assert frames[: whole - 5] == list(range(whole - 5)) and len(frames) <= whole + 5, runs(frames)
    run("live", "delete", name)
    assert "not found" in run("live", "show", name, code=1)


def growing(playlist: str) -> tuple[int, list[str]]:
    """Number of the segment that is not complete, and addresses of its parts."""
    tail = playlist[playlist.rindex("#EXTINF:") :]
    return sequence(playlist) + len(segments(playlist)), re.findall(r'#EXT-X-PART:.*URI="([^"]+)"', tail)


def test_what_grew_when_the_worker_was_killed_stays(installed, source, tmp_path):
    show = Show(Account(installed.connection()), low_latency=True)
    encoder = show.push(source)
    playlists = show.playlists()
    video, text = playlists["video"], ""
    deadline = time.monotonic() + 90
    # Just after its second part, in which some sound has come as well.
    while len(segments(text)) < 4 or len(growing(text)[1]) != 2:
        assert time.monotonic() < deadline, text
        text = show.get(video).text
    number, parts = growing(text)
    seen = b"".join(show.get(urljoin(video, part)).content for part in parts)
    killed = installed.worker("ingest")
    os.kill(killed, signal.SIGKILL)
    encoder.wait()
    deadline, grown = time.monotonic() + 120, text
    while sequence(grown) + len(segments(grown)) <= number + 2:
        assert time.monotonic() < deadline, grown
        # Refused until the worker is back.
        if encoder.poll() is not None:
            encoder = show.push(source)
        time.sleep(0.3)
        answer = show.http.get(video, timeout=30)
        grown = answer.text if answer.ok else grown
    assert installed.worker("ingest") != killed
    assert "#EXT-X-GAP" not in grown, grown
    # What players have of it is there still, and no more than its encoder sent.
    names = dict(enumerate(segments(grown), sequence(grown)))
    whole = show.get(urljoin(video, names[number])).content
    assert whole.startswith(seen) and len(whole) < 3 * len(seen)
    encoder.kill()
    encoder.wait()
    show.settle(video)
    show.end()
    ended = show.until(video, lambda text: "#EXT-X-ENDLIST" in text).text
    assert show.get(urljoin(video, dict(enumerate(segments(ended), sequence(ended)))[number])).content == whole
    # Both lives of the encoder from their first picture on, one behind the other; where each was cut off, what was to be reordered is missing.
    found = runs(media.read_counter(show.film(tmp_path)))
    assert [first for first, last in found if last - first > 3] == [0, 0] and len(found) <= 4, found


def test_a_killed_worker(installed, source, tmp_path):
    show = Show(Account(installed.connection()), low_latency=False)
    encoder = show.push(source, "-stream_loop", "2")
    playlists = show.playlists()
    before = show.until(playlists["video"], lambda text: len(segments(text)) >= 5).text
    url = show.ingest_urls()
    killed = installed.worker("ingest")
    os.kill(killed, signal.SIGKILL)
    at = time.monotonic()
    # Players go on, and see nothing that they have seen otherwise.
    seen = [before]
    known = lambda text: sequence(text) + len(segments(text))  # noqa: E731
    while time.monotonic() - at < 12 or known(seen[-1]) <= known(before) + 3:
        assert time.monotonic() - at < 120, seen[-1]
        answer = show.http.get(playlists["video"], timeout=30)
        if answer.ok:
            seen.append(answer.text)
        # Refused until the worker is back.
        if encoder.poll() is not None:
            encoder = show.push(source, "-stream_loop", "2")
        time.sleep(0.3)
    assert installed.worker("ingest") != killed
    assert show.ingest_urls() == url
    numbers = [known(text) for text in seen]
    assert numbers == sorted(numbers) and numbers[-1] > numbers[0] + 3
    names: dict[int, str] = {}
    for text in seen:
        for number, name in enumerate(segments(text), sequence(text)):
            assert names.setdefault(number, name) == name
    encoder.kill()
    encoder.wait()
    show.settle(playlists["video"])
    show.end()
    ended = show.until(playlists["video"], lambda text: "#EXT-X-ENDLIST" in text).text
    assert segments(ended)[: len(segments(before))] == segments(before)
    found = runs(media.read_counter(show.film(tmp_path)))
    # Where the source is over and begins again is no break.
    assert len([run for run in found if run[1] != 30 * RATE - 1]) <= 3, found


def test_an_event_that_is_encoded(installed, tmp_path):
    # Key frames of its own every three seconds, and smaller than half of the layers.
    source = media.make_counted(tmp_path / "source.mp4", seconds=12)
    encoding = LiveEventEncoding(
        encoding_type="Standard", key_frame_interval=timedelta(seconds=1), stretch_mode="AutoSize"
    )
    show = Show(Account(installed.connection()), encoding=encoding)
    encoder = show.push(source)
    master = show.until(show.hls, lambda text: text.count("#EXT-X-STREAM-INF") == 3 and "TYPE=AUDIO" in text).text
    sizes = re.findall(r"RESOLUTION=(\d+)x(\d+)", master)
    assert {(int(width), int(height)) for width, height in sizes} == {(512, 288), (384, 216), (340, 190)}
    encoder.wait(timeout=180)
    # A busy machine encodes a little behind what comes, and what is not made when an output is deleted is not in it.
    video = show.playlists()["video"]
    show.until(video, lambda text: len(segments(text)) >= 11)
    show.settle(video)
    show.end()
    show.until(video, lambda text: "#EXT-X-ENDLIST" in text)
    film = show.film(tmp_path)
    begun = media.first_packet_time(film, "v:0")
    for layer in range(3):
        facts = media.decode(film, f"v:{layer}")
        assert facts.start == begun and len(facts.key_times) == 12
        assert all(abs(at - begun - second) < 0.002 for second, at in enumerate(sorted(facts.key_times)))
        alone = tmp_path / f"{layer}.mp4"
        media.run("ffmpeg", "-v", "error", "-i", film, "-map", f"0:v:{layer}", "-c", "copy", alone)
        assert runs(media.read_counter(alone)) == [(0, 12 * RATE - 1)]
    tones = [start - begun for start in media.tone_starts(film)]
    late = [start for start in tones if start > 0.5]
    assert len(late) >= 10 and all(abs(start - round(start)) < 0.02 for start in late), tones
