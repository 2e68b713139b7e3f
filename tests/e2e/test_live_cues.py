"""Breaks and tags that a broadcast encoder announces over SRT, in every protocol: what it said, when it said it, once."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

import cue_stream
import media
from headwater import Account
from installation import started
from processes import free_port
from test_live_stream import DASH, Show, segments, source  # noqa: F401 (a fixture)

BREAK_AT, BREAK_S, TAG_EVERY = 8, 4, 2
METADATA_PID = 0x102
LATENCY_S = 2
SCTE = "{http://www.scte.org/schemas/35/2016}"


@pytest.fixture(scope="module")
def health() -> str:
    """An address that is free."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory, health):
    yield from started(tmp_path_factory.mktemp("cues"), f"--ingest-health-listen={health}")


def broadcast(show: Show, source: Path) -> list[subprocess.Popen]:
    """ffmpeg, the cues, and SRT's own tool: pictures at their pace."""
    ffmpeg = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-re", "-i", source, "-c", "copy", "-f", "mpegts", "-"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    said = [f"--break={BREAK_AT}+{BREAK_S}", f"--tag-every={TAG_EVERY}"]
    speaker = subprocess.Popen([sys.executable, cue_stream.__file__, *said], stdin=ffmpeg.stdout, stdout=subprocess.PIPE)
    (url,) = show.ingest_urls()[:1]
    # A busy machine is not a bad line: nothing is given up for a while.
    patient = f"{url}&latency={1000 * LATENCY_S}"
    sender = subprocess.Popen(["srt-live-transmit", "-q", "-chunk:1316", "file://con", patient], stdin=speaker.stdout)
    # Each has its own end of the pipes.
    ffmpeg.stdout.close()
    speaker.stdout.close()
    return [ffmpeg, speaker, sender]


def attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', line)}


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def starts(playlist: str) -> list[float]:
    """When each segment begins, and the last ends."""
    at = moment(re.search(r"#EXT-X-PROGRAM-DATE-TIME:(.+)", playlist).group(1))
    found = [at]
    for seconds in re.findall(r"#EXTINF:([\d.]+)", playlist):
        found.append(found[-1] + float(seconds))
    return found


def near(moments: list[float], wanted: float) -> bool:
    return min(abs(moment - wanted) for moment in moments) < 0.005


def packetised(stream: bytes) -> list[bytes]:
    """The PES packets of the metadata stream in an MPEG-2 transport stream."""
    found: list[bytes] = []
    for at in range(0, len(stream), cue_stream.PACKET):
        packet = stream[at : at + cue_stream.PACKET]
        if int.from_bytes(packet[1:3], "big") & 0x1FFF != METADATA_PID:
            continue
        if packet[1] & 0x40:
            found.append(b"")
        found[-1] += cue_stream.payload(packet)
    return found


def tags(data: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"cue\0tag (\d+)\0", data)]


def test_breaks_and_tags_of_a_broadcast_encoder(installed, health, source, tmp_path):  # noqa: F811
    assert shutil.which("srt-live-transmit"), "srt-live-transmit of srt-tools is not installed"
    show = Show(Account(installed.connection()), "SRT")
    running = broadcast(show, source)
    try:
        urls = show.playlists()
        live = show.until(urls["video"], lambda text: "SCTE35-OUT" in text).text
        # Announced before it begins, and cut at where it does.
        out = attributes(next(line for line in live.splitlines() if "SCTE35-OUT" in line))
        cue = bytes.fromhex(out["SCTE35-OUT"].removeprefix("0x"))
        begins = moment(out["START-DATE"])
        assert float(out["DURATION" if "DURATION" in out else "PLANNED-DURATION"]) == BREAK_S
        live = show.until(urls["video"], lambda text: starts(text)[-1] > begins + BREAK_S + 1).text
        assert near(starts(live), begins) and near(starts(live), begins + BREAK_S)
        assert "#EXT-X-CUE" in live
        metrics = requests.get(f"http://{health}/metrics", timeout=60).text
        assert re.search(rf'^headwater_ingest_\w+{{.*"{show.name}"', metrics, re.MULTILINE), metrics[:2000]
        # SRT's tool waits for more.
        for process in running[:2]:
            process.wait(timeout=180)
        show.settle(urls["video"], LATENCY_S + 2)
    finally:
        for process in running:
            process.kill()
            process.wait()
    # What SRT sent is what is told: a splice_insert of event 1, out of the network, for four seconds.
    assert cue[0] == 0xFC and cue == cue_stream.section(0xFC, 0b0011, cue[3:-4])
    assert cue[13] == 5 and int.from_bytes(cue[14:18], "big") == 1 and cue[19] & 0x80
    assert int.from_bytes(cue[26:30], "big") == BREAK_S * cue_stream.CLOCK

    show.settle(urls["video"])
    show.end()
    film = show.until(urls["video"], lambda text: "#EXT-X-ENDLIST" in text).text
    assert f"SCTE35-OUT={out['SCTE35-OUT']}" in film

    # CMAF: every tag from where SRT joins on, once, in pictures and sound alike.
    said = {}
    for kind, url in urls.items():
        playlist = show.get(url).text
        data = [show.get(urljoin(url, segment)).content for segment in segments(playlist)]
        said[kind] = [tags(one) for one in data]
        found = [number for one in said[kind] for number in one]
        assert found == list(range(found[0], 15)) and found[0] <= 2, kind
        assert all(one.count(b"https://aomedia.org/emsg/ID3\0") == len(own) for one, own in zip(data, said[kind]))
        # The section is said again in every segment until its moment.
        holds = [at for at, one in zip(starts(playlist), data) if cue in one]
        assert len(holds) >= 2 and max(holds) < begins + 0.005, kind
    assert said["video"] == said["audio"]

    # MPEG-2 TS: the same tags as timed metadata, at their moments.
    master = show.get(show.base + "manifest(format=m3u8-aapl)").text
    variant = urljoin(show.base, re.search(r"#EXT-X-STREAM-INF:.*\n(.+)", master).group(1))
    playlist = show.get(variant).text
    assert f"SCTE35-OUT={out['SCTE35-OUT']}" in playlist
    stream = tmp_path / "film.ts"
    stream.write_bytes(b"".join(show.get(urljoin(variant, segment)).content for segment in segments(playlist)))
    carried = packetised(stream.read_bytes())
    assert [number for one in carried for number in tags(one)] == [number for one in said["video"] for number in one]
    assert len(carried) == sum(map(len, said["video"]))
    times = {}
    for kind in ("v", "d"):
        shown = media.run(
            "ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "packet=pts_time:stream=codec_name", "-of", "csv=p=0", stream
        )  # fmt: skip
        lines = [line.strip(",") for line in shown.decode().split() if line.strip(",")]
        times[kind] = sorted(float(line) for line in lines if line[0].isdigit())
        assert kind == "v" or "timed_id3" in lines
    distances = [later - sooner for sooner, later in zip(times["d"], times["d"][1:])]
    assert all(abs(distance - TAG_EVERY) < 0.002 for distance in distances[1:]), times["d"]
    # The first may be said of a moment before the first picture that came through.
    assert all(min(abs(tag - picture) for picture in times["v"]) < 0.002 for tag in times["d"][1:])

    # DASH: the break as an event of the presentation, and what is in front of segments.
    mpd = ElementTree.fromstring(show.get(show.dash).content)
    (stream,) = (one for one in mpd.iter(f"{DASH}EventStream") if one.get("schemeIdUri").startswith("urn:scte:scte35:2014"))
    (event,) = stream.findall(f"{DASH}Event")
    assert base64.b64decode(next(event.iter(f"{SCTE}Binary")).text) == cue
    assert int(event.get("duration")) / int(stream.get("timescale")) == BREAK_S
    schemes = {one.get("schemeIdUri") for one in mpd.iter(f"{DASH}InbandEventStream")}
    assert schemes == {"https://aomedia.org/emsg/ID3", "urn:scte:scte35:2013:bin"}

    # Smooth Streaming: a sparse stream, in the manifest and as a fragment.
    manifest = ElementTree.fromstring(show.get(show.base + "manifest").content)
    (sparse,) = (one for one in manifest.iter("StreamIndex") if one.get("Name") == "scte35")
    (chunk,) = sparse.findall("c")
    assert base64.b64decode(chunk.findtext("f")) == cue
    fragment = show.get(f"{show.base}QualityLevels(0)/Fragments(scte35={chunk.get('t')})").content
    assert fragment.endswith(cue)
