"""Text tracks from the tracks API to the cues that ffmpeg reads of a playlist, and what manifests say of them."""

from __future__ import annotations

import re
import subprocess
from xml.etree import ElementTree

import pytest
from azure.mgmt.media.models import AssetTrack, HlsSettings, TextTrack
from test_formats import base

VTT = """WEBVTT

NOTE nobody sees this

1
00:00:00.500 --> 00:00:03.000
One

2
00:00:05.000 --> 00:00:07.500 line:0
Across a boundary

00:00:09.000 --> 00:00:11.000
Last
in two lines
"""
CUES = [
    ("00:00:00,500", "00:00:03,000", "One"),
    ("00:00:05,000", "00:00:07,500", "Across a boundary"),
    ("00:00:09,000", "00:00:11,000", "Last in two lines"),
]
TTML = """<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="de"><body><div>
<p begin="1s" end="4s">Hallo<br/>Welt</p></div></body></tt>"""

DASH = {"d": "urn:mpeg:dash:schema:mpd:2011"}


@pytest.fixture(scope="module")
def titled(account, counted_published):
    """The published clip with two text tracks and one that is hidden; taken off again, as others use it too."""
    container = account.container(counted_published.asset)
    container.upload_blob("en.vtt", VTT.encode(), overwrite=True)
    container.upload_blob("de.ttml", TTML.encode(), overwrite=True)
    where = (*account.where, counted_published.asset)
    settings = HlsSettings(default=True, characteristics="public.accessibility.transcribes-spoken-dialog")
    tracks = {
        "english": TextTrack(file_name="en.vtt", display_name="English", language_code="en", hls_settings=settings),
        "german": TextTrack(file_name="de.ttml", display_name="Deutsch", language_code="de"),
        "hidden": TextTrack(file_name="en.vtt", display_name="Hidden", language_code="fr", player_visibility="Hidden"),
    }
    # Two tracks of one file would be one.
    container.upload_blob("fr.vtt", VTT.encode(), overwrite=True)
    tracks["hidden"].file_name = "fr.vtt"
    for name, track in tracks.items():
        account.client.tracks.begin_create_or_update(*where, name, AssetTrack(track=track)).result()
    yield base(counted_published)
    for name in tracks:
        account.client.tracks.begin_delete(*where, name).result()


def wait_for(http, url: str, text: str) -> str:
    """A manifest that has what was added a moment ago: instances remember for some seconds, and say so."""
    for _ in range(180):
        body = http.get(url).text
        if text in body:
            return body
        subprocess.run(["sleep", "0.5"], check=True)
    raise AssertionError(f"{url} never had {text!r}:\n{body}")


def ffmpeg_cues(url: str) -> list[tuple[str, str, str]]:
    command = ["ffmpeg", "-v", "error", "-i", url, "-map", "0:s:0", "-f", "srt", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = []
    for block in done.stdout.replace("\r", "").strip().split("\n\n"):
        lines = block.splitlines()
        times = next(at for at, line in enumerate(lines) if "-->" in line)
        start, end = lines[times].split(" --> ")
        cue = (start, end, re.sub(r"<[^>]+>|\{[^}]+\}", "", " ".join(lines[times + 1 :])).strip())
        # Repeated in the segments that it touches.
        if cue not in found:
            found.append(cue)
    return found


def test_a_playlist_of_webvtt_has_the_cues(titled, http):
    master = wait_for(http, f"{titled}(format=m3u8-aapl)", 'NAME="Deutsch"')
    lines = [line for line in master.splitlines() if "TYPE=SUBTITLES" in line]
    assert len(lines) == 2 and "Hidden" not in master
    english = next(line for line in lines if 'LANGUAGE="en"' in line)
    assert 'DEFAULT=YES,AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS="public.accessibility' in english
    assert all('SUBTITLES="subs"' in line for line in master.splitlines() if line.startswith("#EXT-X-STREAM-INF"))
    uri = re.search(r'URI="([^"]+)"', english).group(1)
    assert ffmpeg_cues(titled.rsplit("/", 1)[0] + "/" + uri) == CUES


def test_fragmented_text_is_listed_and_there(titled, http):
    folder = titled.rsplit("/", 1)[0]
    for form in ("mpd-time-cmaf", "mpd-time-csf"):
        root = ElementTree.fromstring(wait_for(http, f"{titled}(format={form})", "Deutsch"))
        sets = root.findall(".//d:AdaptationSet[@contentType='text']", DASH)
        assert [s.get("lang") for s in sets] == ["en", "de"]
        roles = [[r.get("value") for r in s.findall("d:Role", DASH)] for s in sets]
        assert roles == [["caption", "main"], ["subtitle"]]
        for text in sets:
            template = text.find(".//d:SegmentTemplate", DASH)
            representation = text.find("d:Representation", DASH)
            bandwidth = representation.get("bandwidth")
            code = representation.get("codecs").split(".")[0].encode()
            path = template.get("initialization").replace("$Bandwidth$", bandwidth)
            init = http.get(f"{folder}/{path}")
            assert init.status_code == 200 and code in init.content
            assert init.headers["content-type"] == "application/mp4"
            time, cues = 0, 0
            for s in template.findall(".//d:S", DASH):
                time = int(s.get("t", time))
                for _ in range(int(s.get("r", "0")) + 1):
                    path = template.get("media").replace("$Bandwidth$", bandwidth).replace("$Time$", str(time))
                    segment = http.get(f"{folder}/{path}")
                    assert segment.status_code == 200, path
                    cues += segment.content.count(b"payl") + segment.content.count(b"<p ")
                    time += int(s.get("d"))
            assert cues >= (3 if text.get("lang") == "en" else 1)


def test_smooth_has_captions(titled, http):
    root = ElementTree.fromstring(wait_for(http, titled, "Deutsch"))
    streams = {s.get("Name"): s for s in root.findall("StreamIndex[@Type='text']")}
    assert set(streams) == {"english", "german"}
    assert all(s.get("Subtype") == "CAPT" and s.find("QualityLevel").get("FourCC") == "TTML" for s in streams.values())
    german = streams["german"]
    path = german.get("Url").replace("{bitrate}", german.find("QualityLevel").get("Bitrate"))
    path = path.replace("{start time}", german.find("c").get("t")).replace("Fragments", "RawFragments")
    document = http.get(titled.rsplit("/", 1)[0] + "/" + path)
    assert document.status_code == 200, document.text
    paragraph = ElementTree.fromstring(document.content).find(".//{http://www.w3.org/ns/ttml}p")
    assert paragraph.get("begin") == "00:00:01.000" and "".join(paragraph.itertext()) == "HalloWelt"


def test_a_broken_file_leaves_only_itself_out(account, titled, counted_published, http):
    container = account.container(counted_published.asset)
    wait_for(http, f"{titled}(format=m3u8-cmaf)", 'NAME="Deutsch"')
    container.upload_blob("de.ttml", b"no longer TTML", overwrite=True)
    try:
        for _ in range(180):
            answer = http.get(f"{titled}(format=m3u8-cmaf)")
            assert answer.status_code == 200, answer.text
            if "Deutsch" not in answer.text:
                break
            subprocess.run(["sleep", "0.5"], check=True)
        assert "Deutsch" not in answer.text and 'NAME="English"' in answer.text
    finally:
        container.upload_blob("de.ttml", TTML.encode(), overwrite=True)


def test_sheets_of_pictures(account, counted_published, http):
    container = account.container(counted_published.asset)
    sheet = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=red:size=320x180:rate=1:duration=1", "-frames:v", "1",
         "-f", "image2pipe", "-c:v", "mjpeg", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    vtt = "WEBVTT\n"
    for at in range(6):
        x, y = at % 4 % 2 * 160, at % 4 // 2 * 90
        vtt += f"\n00:00:{at * 2:02}.000 --> 00:00:{at * 2 + 2:02}.000\nt-{at // 4 + 1:06}.jpg#xywh={x},{y},160,90\n"
    names = ["t-000001.jpg", "t-000002.jpg", "t_manifest.vtt"]
    for name, content in zip(names, [sheet, sheet, vtt.encode()], strict=True):
        container.upload_blob(name, content, overwrite=True)
    try:
        url = base(counted_published)
        for _ in range(300):
            master = http.get(f"{url}(format=m3u8-cmaf)").text
            if "EXT-X-IMAGE-STREAM-INF" in master:
                break
            subprocess.run(["sleep", "0.5"], check=True)
        uri = re.search(r'#EXT-X-IMAGE-STREAM-INF:.*URI="([^"]+)"', master).group(1)
        playlist_url = url.rsplit("/", 1)[0] + "/" + uri
        playlist = http.get(playlist_url).text
        assert playlist.count("#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x2,DURATION=2.000") == 2
        for line in playlist.splitlines():
            if not line.startswith("#"):
                picture = http.get(playlist_url.rsplit("/", 1)[0] + "/" + line)
                assert picture.headers["content-type"] == "image/jpeg" and picture.content == sheet
        mpd = http.get(f"{url}(format=mpd-time-cmaf)").text
        assert 'schemeIdUri="http://dashif.org/guidelines/thumbnail_tile" value="2x2"' in mpd
    finally:
        # The signature allows no deleting; a file without cues lists no pictures.
        container.upload_blob("t_manifest.vtt", b"WEBVTT\n", overwrite=True)
