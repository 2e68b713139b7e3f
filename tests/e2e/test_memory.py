"""What an instance answers of what it remembers, in one call, is what its handler answers."""

from __future__ import annotations

import http.client
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

import media
from headwater import Account, player_session
from installation import Installation
from test_assemblers import common_encryption, encrypted

#: Manifests of every protocol.
FORMS = ("m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3", "mpd-time-cmaf", "mpd-time-csf", None)
#: Headers that the answer goes by.
CONDITIONS = (
    {}, {"Range": "bytes=0-99"}, {"Range": "bytes=-7"}, {"Range": "bytes=9999999999-"}, {"Accept-Encoding": "gzip"},
    {"Accept-Encoding": "gzip, br"}, {"Accept-Encoding": "identity"}, {"If-None-Match": "*"}, {"Origin": "https://player.example"},
)  # fmt: skip


def recalls(connection, outcome: str) -> int:
    text = requests.get(connection.metricsUrl, timeout=30).text
    series = f'headwater_component_recalls_total{{component="origin",outcome="{outcome}"}}'
    return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(series + " "))


def ask(method: str, url: str, headers: dict, *, with_body: bool = False) -> tuple[int, dict, bytes]:
    """Asks as it stands there. `with_body`: one is announced, which is enough for a request to be none for memory."""
    where = urlsplit(url)
    asking = http.client.HTTPConnection(where.netloc, timeout=60)
    try:
        length = {"Content-Length": "1"} if with_body else {}
        asking.request(method, url[len(f"http://{where.netloc}") :], headers=headers | length)
        answer = asking.getresponse()
        # How long it took, and when, is another time's; a connection on which a body is left unread is closed.
        other = ("date", "server-timing", "connection")
        told = {name: value for name, value in answer.getheaders() if name.lower() not in other}
        return answer.status, told, answer.read()
    finally:
        asking.close()


def recalled(connection, method: str, url: str, headers: dict | None = None) -> tuple[int, dict, bytes]:
    """What memory answers. An instance that has just begun has none, and what it knows it believes for seconds only."""
    for _ in range(20):
        before = recalls(connection, "answered")
        answer = ask(method, url, headers or {})
        if recalls(connection, "answered") == before + 1:
            return answer
    raise AssertionError(f"the handler was asked 20 times: {method} {url}")


def resources(session, account: Account, source: str) -> list[str]:
    """Manifests, init segments and segments, in the clear and encrypted, and what is not there."""
    locator = account.publish(source)
    base = locator.hls.split("(format=")[0]
    urls = [base if form is None else f"{base}(format={form})" for form in FORMS]
    for form, has_init in (("m3u8-cmaf", True), ("m3u8-aapl", False)):
        for rendition in media.read_master(session, f"{base}(format={form})"):
            playlist = media.read_media_playlist(session, rendition.url, has_init=has_init)
            urls += [rendition.url, *([playlist.init] if has_init else []), playlist.segments[1].url]
    urls += [f"{base}(format=none)", f"{base}(format=m3u8-cmaf,start=1)", f"{base}/QualityLevels(1)/Fragments(video=0)"]
    return urls + encrypted(account, session, source)


@pytest.mark.parametrize("interleaved", [False, True])
def test_memory_answers_as_the_handler_does(installation: Installation, counted: Path, interleaved: bool):
    connection = installation.start("--cache-mib=0")
    account, session = Account(connection), player_session(connection)
    asset = account.upload(counted)
    urls = resources(session, account, asset if interleaved else account.encode(asset, "H264SingleBitrateSD"))
    assert len(urls) > 20
    for url in urls:
        for method, condition in (("HEAD", {}), *(("GET", condition) for condition in CONDITIONS)):
            remembered = recalled(connection, method, url, condition)
            before = recalls(connection, "answered"), recalls(connection, "asked")
            handled = ask(method, url, condition, with_body=True)
            assert (recalls(connection, "answered"), recalls(connection, "asked")) == before
            assert remembered == handled, (method, url, condition)


def test_a_replaced_file_is_noticed_by_whoever_remembers_it(installation: Installation, counted: Path, tmp_path: Path):
    connection = installation.start("--cache-mib=0")
    account, session = Account(connection), player_session(connection)
    asset = account.upload(counted)
    base = account.publish(asset).hls.split("(format=")[0]
    rendition = media.read_master(session, f"{base}(format=m3u8-cmaf)")[0]
    segment = media.read_media_playlist(session, rendition.url).segments[1].url
    _, before, content = recalled(connection, "GET", segment)
    other = tmp_path / counted.name
    command = ["ffmpeg", "-v", "error", "-i", str(counted), "-c", "copy", "-metadata", "title=Another", str(other)]
    subprocess.run(command, check=True)
    with other.open("rb") as file:
        account.container(asset).upload_blob(counted.name, file, overwrite=True)
    asked = recalls(connection, "asked")
    after = session.get(segment)
    assert after.status_code == 200 and after.headers["ETag"] != before["etag"]
    assert recalls(connection, "asked") == asked + 1
    # The same samples, wherever they are in the file now.
    assert after.content == content
