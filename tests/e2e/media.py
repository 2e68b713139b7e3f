"""Media made and measured by tools that are not ours: ffmpeg, ffprobe, and a reader of playlists and MPDs.

The counted clip carries its own proof. A block of 16 squares in the upper left corner shows the frame's number in
binary, and a tone of a tenth of a second begins at every full second, so that what comes out of a player can be
checked for missing, repeated and reordered frames, and for sound that drifts from the picture.
"""

from __future__ import annotations

import array
import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from urllib.parse import urljoin

import requests

COUNTER_BITS = 16
COUNTER_COLUMNS = 8
SQUARE = 40


def run(*command, input_bytes: bytes | None = None) -> bytes:
    done = subprocess.run([str(part) for part in command], input=input_bytes, capture_output=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}"
    return done.stdout


def make_counted(path: Path, seconds: int, size: str = "640x360", rate: int = 25, group_s: int = 3) -> Path:
    """H.264 and AAC, with B-frames and a key frame every `group_s` (by default not where segments will be cut)."""
    width = COUNTER_COLUMNS * SQUARE
    rows = COUNTER_BITS // COUNTER_COLUMNS
    boxes = [f"drawbox=x=0:y=0:w={width}:h={rows * SQUARE}:color=black:t=fill"]
    for bit in range(COUNTER_BITS):
        x, y = (bit % COUNTER_COLUMNS) * SQUARE, (bit // COUNTER_COLUMNS) * SQUARE
        boxes.append(
            f"drawbox=x={x}:y={y}:w={SQUARE}:h={SQUARE}:color=white:t=fill:enable='gt(bitand(n,{1 << bit}),0)'"
        )
    tone = "if(lt(mod(t,1),0.1),0.5*sin(2*PI*1000*t),0)"
    run(
        "ffmpeg", "-v", "error", "-y",
        "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}",
        "-f", "lavfi", "-i", f"aevalsrc='{tone}|{tone}':s=48000:d={seconds}",
        "-vf", ",".join(boxes),
        "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p", "-g", str(rate * group_s), "-sc_threshold", "0",
        "-b:v", "1200k", "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", path,
    )  # fmt: skip
    return path


def read_counter(path: Path) -> list[int]:
    """The number that each decoded frame shows, in the order shown."""
    rows = COUNTER_BITS // COUNTER_COLUMNS
    crop = f"crop=iw*{COUNTER_COLUMNS * SQUARE}/640:ih*{rows * SQUARE}/360:0:0"
    shrink = f"scale={COUNTER_COLUMNS}:{rows}:flags=area"
    raw = run(
        "ffmpeg", "-v", "error", "-i", path, "-an", "-vf", f"{crop},{shrink}", "-fps_mode", "passthrough",
        "-pix_fmt", "gray", "-f", "rawvideo", "-",
    )  # fmt: skip
    return [
        sum(1 << bit for bit, level in enumerate(raw[at : at + COUNTER_BITS]) if level > 127)
        for at in range(0, len(raw), COUNTER_BITS)
    ]


def tone_starts(path: Path, rate: int = 48000, window_s: float = 0.005) -> list[float]:
    """When a tone begins, in seconds on the track's own timeline."""
    start = first_packet_time(path, "a:0")
    pcm = array.array("h")
    pcm.frombytes(run("ffmpeg", "-v", "error", "-i", path, "-vn", "-ac", "1", "-ar", rate, "-f", "s16le", "-"))
    step = int(rate * window_s)
    loud = [max(map(abs, pcm[at : at + step])) > 3000 for at in range(0, len(pcm) - step + 1, step)]
    starts = [at for at, now in enumerate(loud) if now and not any(loud[max(0, at - 20) : at])]
    return [start + at * window_s for at in starts]


def probe(path, *arguments) -> dict:
    return json.loads(run("ffprobe", "-v", "error", "-of", "json", *arguments, path))


@dataclass
class StreamFacts:
    """One decoded stream. Times in seconds."""

    codec: str
    frames: int
    start: float
    end: float
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    key_times: list[float] = field(default_factory=list)

    @property
    def duration(self) -> float:
        return self.end - self.start


def decode(path, selector: str) -> StreamFacts:
    """Decodes a stream to its end and says what was in it. A decoder's complaint is a failure."""
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-map", f"0:{selector}", "-f", "null", "-"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr.strip(), f"{path} does not decode cleanly: {done.stderr.decode()}"
    stream = probe(path, "-select_streams", selector, "-count_frames", "-show_streams")["streams"][0]
    packets = probe(path, "-select_streams", selector, "-show_entries", "packet=pts_time,duration_time,flags")["packets"]
    times = [float(packet["pts_time"]) for packet in packets]
    last = max(packets, key=lambda packet: float(packet["pts_time"]))
    return StreamFacts(
        codec=stream["codec_name"],
        frames=int(stream["nb_read_frames"]),
        start=min(times),
        end=float(last["pts_time"]) + float(last.get("duration_time", 0)),
        width=stream.get("width", 0),
        height=stream.get("height", 0),
        sample_rate=int(stream.get("sample_rate", 0)),
        channels=stream.get("channels", 0),
        key_times=sorted(float(p["pts_time"]) for p in packets if p["flags"].startswith("K")),
    )


def hls_options() -> list[str]:
    """What ffmpeg's HLS reader needs for URLs without an extension, as those of AMS are."""
    options = ["-allowed_extensions", "ALL"]
    if b"extension_picky" in run("ffmpeg", "-hide_banner", "-h", "demuxer=hls"):
        options += ["-extension_picky", "0"]
    return options


def first_packet_time(path, selector: str, *options: str) -> float:
    # The interval counts packets of all streams, and those of one may come late.
    packets = probe(
        path, *options, "-select_streams", selector, "-read_intervals", "%+#100", "-show_entries", "packet=pts_time"
    )["packets"]
    return float(packets[0]["pts_time"])


# ---- HLS ----


@dataclass
class Segment:
    url: str
    duration: float


@dataclass
class MediaPlaylist:
    url: str
    text: str
    init: str
    segments: list[Segment]
    target_duration: int

    @property
    def duration(self) -> float:
        return sum(segment.duration for segment in self.segments)


@dataclass
class Rendition:
    """A video variant or an audio rendition of a master playlist."""

    kind: str
    attributes: dict[str, str]
    url: str


ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


def attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in ATTRIBUTE.findall(line.split(":", 1)[1])}


def get_text(http: requests.Session, url: str, media_type: str) -> str:
    response = http.get(url, timeout=30)
    assert response.status_code == 200, f"{url}: {response.status_code} {response.text}"
    assert response.headers["Content-Type"].split(";")[0] == media_type, response.headers
    return response.content.decode("utf-8")


def read_master(http: requests.Session, url: str) -> list[Rendition]:
    lines = get_text(http, url, "application/vnd.apple.mpegurl").splitlines()
    assert lines[0] == "#EXTM3U"
    found = []
    for at, line in enumerate(lines):
        if line.startswith("#EXT-X-MEDIA:"):
            named = attributes(line)
            if named["TYPE"] == "AUDIO" and "URI" in named:
                found.append(Rendition("audio", named, urljoin(url, named["URI"])))
        elif line.startswith("#EXT-X-STREAM-INF:"):
            named = attributes(line)
            uri = next(text for text in lines[at + 1 :] if text and not text.startswith("#"))
            kind = "video" if "RESOLUTION" in named else "audio"
            found.append(Rendition(kind, named, urljoin(url, uri)))
    return found


def read_media_playlist(http: requests.Session, url: str, has_init: bool = True) -> MediaPlaylist:
    text = get_text(http, url, "application/vnd.apple.mpegurl")
    init, segments, duration, target = "", [], None, 0
    for line in text.splitlines():
        if line.startswith("#EXT-X-MAP:"):
            init = urljoin(url, attributes(line)["URI"])
        elif line.startswith("#EXT-X-TARGETDURATION:"):
            target = int(line.split(":")[1])
        elif line.startswith("#EXTINF:"):
            duration = float(line.split(":")[1].split(",")[0])
        elif line and not line.startswith("#"):
            assert duration is not None, f"a segment without EXTINF in {url}"
            segments.append(Segment(urljoin(url, line), duration))
            duration = None
    assert "#EXT-X-ENDLIST" in text and bool(init) == has_init and segments, text[:1000]
    return MediaPlaylist(url, text, init, segments, target)


def download(http: requests.Session, urls: list[str], into: Path, kind: str) -> Path:
    """Concatenates an init segment and media segments into a file that other tools can open."""
    with into.open("wb") as file:
        for url in urls:
            response = http.get(url, timeout=60)
            assert response.status_code == 200, f"{url}: {response.status_code} {response.text[:500]}"
            assert response.headers["Content-Type"] == f"{kind}/mp4", f"{url}: {response.headers}"
            assert int(response.headers["Content-Length"]) == len(response.content)
            file.write(response.content)
    return into


# ---- DASH ----

MPD = {"mpd": "urn:mpeg:dash:schema:mpd:2011"}


@dataclass
class Representation:
    kind: str
    id: str
    bandwidth: int
    init: str
    segments: list[str]
    """Start and duration of each segment in seconds, exactly."""
    times: list[tuple[Fraction, Fraction]]


@dataclass
class Manifest:
    duration: float
    representations: list[Representation]


def iso_seconds(text: str) -> float:
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?", text)
    assert found, f"not a duration: {text}"
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)


def read_mpd(http: requests.Session, url: str) -> Manifest:
    root = ElementTree.fromstring(get_text(http, url, "application/dash+xml"))
    assert root.get("type", "static") == "static"
    found = []
    for adaptation in root.iterfind(".//mpd:AdaptationSet", MPD):
        for representation in adaptation.iterfind("mpd:Representation", MPD):
            template = representation.find("mpd:SegmentTemplate", MPD)
            if template is None:
                template = adaptation.find("mpd:SegmentTemplate", MPD)
            timescale = int(template.get("timescale", "1"))
            offset = int(template.get("presentationTimeOffset", "0"))
            starts, clock = [], 0
            for s in template.iterfind("mpd:SegmentTimeline/mpd:S", MPD):
                clock = int(s.get("t", clock))
                for _ in range(int(s.get("r", "0")) + 1):
                    starts.append((clock, int(s.get("d"))))
                    clock += int(s.get("d"))
            fill = {"RepresentationID": representation.get("id"), "Bandwidth": representation.get("bandwidth")}

            def expand(pattern: str, **values) -> str:
                for name, value in (fill | values).items():
                    pattern = pattern.replace(f"${name}$", str(value))
                return urljoin(url, pattern)

            mime = representation.get("mimeType") or adaptation.get("mimeType")
            found.append(
                Representation(
                    kind=mime.split("/")[0],
                    id=fill["RepresentationID"],
                    bandwidth=int(fill["Bandwidth"]),
                    init=expand(template.get("initialization")),
                    segments=[expand(template.get("media"), Time=start) for start, _ in starts],
                    times=[(Fraction(start - offset, timescale), Fraction(d, timescale)) for start, d in starts],
                )
            )
    assert found
    return Manifest(iso_seconds(root.get("mediaPresentationDuration")), found)
