"""Every protocol of a published asset gives the same pictures and sound, as ffmpeg sees them with no options of ours."""

from __future__ import annotations

import re
import subprocess
import uuid
from xml.etree import ElementTree

import pytest
from azure.mgmt.media.models import (
    AssetFilter,
    FilterTrackPropertyCondition,
    FilterTrackSelection,
    PresentationTimeRange,
)

MANIFESTS = ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3", "mpd-time-cmaf", "mpd-time-csf"]


def base(published) -> str:
    return published.hls.split("(format=")[0]


def hashes(url: str, selector: str) -> list[str]:
    """What each decoded picture, or coded frame of sound, hashes to. Of several renditions: the first one's."""
    codec = ["-c", "copy"] if selector.startswith("0:a") else []
    command = ["ffmpeg", "-v", "error", "-i", url, "-map", selector, *codec, "-f", "framemd5", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [line.rsplit(",", 1)[1].strip() for line in done.stdout.splitlines() if not line.startswith("#")]


def tallest(url: str) -> int:
    """ffmpeg's number of the video stream with the most lines; manifests differ in what they list first."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=height", "-of", "csv=p=0", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    heights = [int(line.split(",")[0]) for line in done.stdout.split() if line.strip(",")]
    return heights.index(max(heights))


@pytest.fixture(scope="module")
def pictures(counted_published) -> list[str]:
    url = f"{base(counted_published)}(format=mpd-time-cmaf)"
    return hashes(url, f"0:v:{tallest(url)}")


@pytest.mark.parametrize("form", MANIFESTS)
def test_pictures_are_the_same_in_every_format(counted_published, pictures, form):
    url = f"{base(counted_published)}(format={form})"
    assert len(pictures) == 12 * 25
    assert hashes(url, f"0:v:{tallest(url)}") == pictures


def test_smooth_streaming_lists_and_gives_what_it_lists(counted_published, http):
    url = base(counted_published)
    answer = http.get(url)
    assert answer.status_code == 200
    root = ElementTree.fromstring(answer.content)
    assert root.tag == "SmoothStreamingMedia" and root.get("MajorVersion") == "2"
    kinds = {index.get("Type") for index in root.findall("StreamIndex")}
    assert kinds == {"video", "audio"}
    for index in root.findall("StreamIndex"):
        bitrate = index.find("QualityLevel").get("Bitrate")
        time, listed = 0, 0
        for chunk in index.findall("c"):
            time = int(chunk.get("t", time))
            for _ in range(int(chunk.get("r", "1"))):
                path = index.get("Url").replace("{bitrate}", bitrate).replace("{start time}", str(time))
                fragment = http.get(url.rsplit("/", 1)[0] + "/" + path)
                assert fragment.status_code == 200, path
                assert fragment.content[4:8] == b"moof"
                time, listed = time + int(chunk.get("d")), listed + 1
        assert listed == int(index.get("Chunks"))


def test_a_filter_cuts_every_format_to_the_same_time(account, counted_published, http):
    name = f"cut-{uuid.uuid4().hex[:8]}"
    only_video = FilterTrackSelection(
        track_selections=[FilterTrackPropertyCondition(property="Type", value="Video", operation="Equal")]
    )
    cut = PresentationTimeRange(start_timestamp=40_000_000, end_timestamp=80_000_000, timescale=10_000_000)
    account.client.asset_filters.create_or_update(
        *account.where,
        counted_published.asset,
        name,
        AssetFilter(presentation_time_range=cut, tracks=[only_video]),
    )
    playlist = http.get(f"{base(counted_published)}(format=m3u8-cmaf,filter={name})")
    assert playlist.status_code == 200, playlist.text
    assert "TYPE=AUDIO" not in playlist.text
    variant = re.search(r"^(QualityLevels.*)$", playlist.text, re.MULTILINE).group(1)
    segments = http.get(base(counted_published).rsplit("/", 1)[0] + "/" + variant).text
    lasts = sum(float(length) for length in re.findall(r"#EXTINF:([\d.]+)", segments))
    assert lasts == pytest.approx(4, abs=0.1)
    mpd = http.get(f"{base(counted_published)}(format=mpd-time-csf,filter={name})")
    assert mpd.status_code == 200 and 'contentType="audio"' not in mpd.text
    missing = http.get(f"{base(counted_published)}(format=m3u8-cmaf,filter=no-such-filter)")
    assert missing.status_code >= 400
