"""Damaged, foreign and hostile input: a clear answer, and nothing else disturbed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from headwater import Account


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


FTYP = box(b"ftyp", b"isom\0\0\2\0isomavc1")


def truncated(folder: Path, shared_media: Path) -> Path:
    whole = (shared_media / "bigbuckbunny.mp4").read_bytes()
    return write(folder / "truncated.mp4", whole[: len(whole) * 3 // 5])


def empty(folder: Path, _media: Path) -> Path:
    return write(folder / "empty.mp4", b"")


def text(folder: Path, _media: Path) -> Path:
    return write(folder / "notes.mp4", b"This was never a film.\n" * 500)


def playlist(folder: Path, _media: Path) -> Path:
    return write(folder / "list.mp4", b"#EXTM3U\n#EXT-X-VERSION:7\n#EXTINF:2,\nhttp://127.0.0.1:1/x.ts\n#EXT-X-ENDLIST\n")


def endless_box(folder: Path, _media: Path) -> Path:
    return write(folder / "endless.mp4", FTYP + struct.pack(">I4sQ", 1, b"moov", 2**63) + b"\0" * 4096)


def zero_timescale(folder: Path, _media: Path) -> Path:
    mvhd = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 0, 1000), b"\0" * 80)
    return write(folder / "timescale.mp4", FTYP + box(b"moov", mvhd))


def absurd_counts(folder: Path, shared_media: Path) -> Path:
    whole = bytearray((shared_media / "car-detection.mp4").read_bytes())
    at = whole.find(b"stsz")
    assert at > 0
    whole[at + 12 : at + 16] = b"\xff\xff\xff\xf0"
    return write(folder / "counts.mp4", bytes(whole))


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


MALFORMED = {"ContentMalformed"}
REFUSED = {"ContentMalformed", "ContentUnsupported"}
CASES = {
    "truncated": (truncated, REFUSED, ()),
    "empty": (empty, REFUSED, ()),
    "text": (text, REFUSED, ()),
    "playlist": (playlist, REFUSED, ()),
    "endless box": (endless_box, REFUSED, ()),
    "zero timescale": (zero_timescale, REFUSED, ()),
    "absurd counts": (absurd_counts, REFUSED, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_a_source_that_cannot_be_decoded_ends_the_job_with_a_reason(
    account: Account, shared_media: Path, tmp_path: Path, case: str
):
    make, codes, words = CASES[case]
    source = make(tmp_path, shared_media)
    transform, job, _ = account.submit(account.upload(source), "H264SingleBitrateSD")
    ended = account.wait(transform, job, timeout_s=120)
    error = ended.outputs[0].error
    assert (ended.state, ended.outputs[0].state) == ("Error", "Error")
    assert error.code in codes, (error.code, error.message)
    assert error.category == "Content"
    assert error.retry == "DoNotRetry"
    assert len(error.message.split()) >= 4 and error.message[0].isupper(), f"not a sentence: {error.message!r}"
    if words:
        assert any(word.lower() in error.message.lower() for word in words), error.message


def test_a_job_without_its_file_says_which(account: Account):
    transform, job, _ = account.submit(account.new_asset("hollow"), "H264SingleBitrateSD", ["gone.mp4"])
    ended = account.wait(transform, job, timeout_s=120)
    assert ended.state == "Error"
    assert ended.outputs[0].error.category == "Download"
    assert "gone.mp4" in ended.outputs[0].error.message


@pytest.mark.parametrize("case", ["truncated", "text", "playlist", "endless box", "zero timescale", "empty"])
def test_a_dropped_file_that_is_no_film_is_not_packaged(
    account: Account, http, shared_media: Path, tmp_path: Path, case: str
):
    """Published as it is: the origin says so with a problem body, and not with a 500."""
    source = CASES[case][0](tmp_path, shared_media)
    name = account.upload(source, "film.mp4")
    locator = account.name("loc")
    from azure.mgmt.media.models import StreamingLocator

    made = account.client.streaming_locators.create(
        *account.where,
        locator,
        StreamingLocator(asset_name=name, streaming_policy_name="Predefined_ClearStreamingOnly"),
    )
    for form in ("m3u8-cmaf", "mpd-time-cmaf"):
        url = f"{account.connection.streamingUrl}/{made.streaming_locator_id}/film.ism/manifest(format={form})"
        answer = http.get(url, timeout=30)
        assert answer.status_code in (404, 415), f"{answer.status_code} {answer.text}"
        assert_problem(answer)


def assert_problem(answer) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.headers
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"] and body["type"]


HOSTILE = [
    ("/{id}/../../etc/passwd", {400, 404}),
    ("/{id}/%2e%2e/%2e%2e/etc/passwd", {400, 404}),
    ("/{id}/..%2f..%2fcatalog.db", {400, 404}),
    ("/{id}/{name}.ism/manifest(", {400}),
    ("/{id}/{name}.ism/manifest(format=)", {400, 415}),
    ("/{id}/{name}.ism/manifest(format=m3u8-cmaf", {400}),
    ("/{id}/{name}.ism/manifest(format=avi)", {400, 415}),
    ("/{id}/{name}.ism/manifest(format=m3u8-cmaf,format=mpd-time-cmaf)", {400}),
    ("/{id}/{name}.ism/manifest(format=m3u8-cmaf,encryption=cenc)", {400, 403, 415}),
    ("/{id}/{name}.ism/manifest(format=m3u8-cmaf,filter=none)", {404, 415}),
    ("/{id}/{name}.ism/QualityLevels(1)/Fragments(video=0,format=m3u8-cmaf)", {404}),
    ("/{id}/{name}.ism/QualityLevels(99999999999999999999)/Fragments(video=0,format=m3u8-cmaf)", {400, 404}),
    ("/{id}/{name}.ism/QualityLevels(-1)/Fragments(video=0,format=m3u8-cmaf)", {400, 404}),
    ("/{id}/nothing.ism/manifest(format=m3u8-cmaf)", {404}),
    ("/{id}/%00.ism/manifest(format=m3u8-cmaf)", {400, 404}),
    ("/{id}/%ff%fe.ism/manifest(format=m3u8-cmaf)", {400, 404}),
    ("/{id}/" + "a" * 3000 + ".ism/manifest(format=m3u8-cmaf)", {400, 404, 414}),
    ("/{id}/.headwater/x.hwx", {400, 403, 404}),
    ("/{id}/{name}.ism", {400, 403, 404}),
    ("/00000000-0000-0000-0000-000000000000/{name}.ism/manifest(format=m3u8-cmaf)", {404}),
    ("/not-a-guid/{name}.ism/manifest(format=m3u8-cmaf)", {400, 404}),
    ("/';DROP TABLE assets;--/x.ism/manifest", {400, 404}),
]


@pytest.mark.parametrize("path,statuses", HOSTILE, ids=[path[:60] for path, _ in HOSTILE])
def test_a_url_that_means_nothing_gets_a_problem(connection, counted_published, path: str, statuses: set[int]):
    status, headers, body = raw_get(connection, path, counted_published)
    assert status in statuses, f"{status} {body[:300]!r}"
    assert headers.get("content-type") == "application/problem+json", headers
    assert headers.get("access-control-allow-origin") == "*", headers


def test_a_segment_before_between_and_after_the_real_ones_is_not_found(http, counted_published):
    import media

    variant = next(r for r in media.read_master(http, counted_published.hls) if r.kind == "video")
    first = media.read_media_playlist(http, variant.url).segments[0].url
    assert "video=0" in first
    for time in ("1", "18446744073709551615", "99999999999999999999999", "-1", "x", ""):
        answer = http.get(first.replace("video=0", f"video={time}"))
        assert answer.status_code in (400, 404), (time, answer.status_code)
        assert_problem(answer)


def raw_get(connection, path: str, published):
    """A GET whose path goes out as it is written: `requests` would tidy it."""
    import http.client
    import ssl
    from urllib.parse import urlsplit

    name = published.hls.split("/")[4].removesuffix(".ism")
    path = path.replace("{id}", published.locator_id).replace("{name}", name).replace(" ", "%20")
    at = urlsplit(connection.streamingUrl)
    if at.scheme == "https":
        link = http.client.HTTPSConnection(at.netloc, context=ssl.create_default_context(cafile=connection.caFile))
    else:
        link = http.client.HTTPConnection(at.netloc, timeout=30)
    try:
        link.putrequest("GET", path, skip_accept_encoding=True)
        link.endheaders()
        answer = link.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        link.close()


def test_after_all_that_it_still_plays_and_has_not_grown(http, connection, counted_published):
    assert http.get(counted_published.hls).status_code == 200
    # The worker, which reads the media, is a process of its own.
    threads = Path(f"/proc/{connection.pid}/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    assert children, "the worker runs"
    for pid in [connection.pid, *children]:
        status = Path(f"/proc/{pid}/status").read_text()
        most = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        assert most < 600 << 10, f"{most >> 10} MiB were resident at once in {pid}"
