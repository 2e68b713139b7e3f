"""The native assembler and the one in Wasm: the same plan, the same bytes."""

from __future__ import annotations

import pytest

import media
from headwater import Account, player_session
from installation import Installation

RANGES = (None, "bytes=0-99", "bytes=100-70000", "bytes=-1000")


def test_both_assemblers_send_the_same_bytes(installation: Installation, counted):
    account = Account(installation.start())
    origin = account.connection.streamingUrl
    published = {
        "encoded": account.publish(account.encode(account.upload(counted), "H264SingleBitrateSD")),
        # Runs of samples from all over the file.
        "as it is": account.publish(account.upload(counted)),
    }
    session = player_session(account.connection)
    paths = []
    for what in published.values():
        for rendition in media.read_master(session, what.hls):
            playlist = media.read_media_playlist(session, rendition.url)
            paths += [url.removeprefix(origin) for url in (playlist.init, *(s.url for s in playlist.segments[:3]))]
        paths += [url.removeprefix(origin) for url in what.downloads if url.endswith(".mp4")]

    def answers() -> dict:
        base, session = installation.connection().streamingUrl, player_session(installation.connection())
        found = {}
        for path in paths:
            for asked in RANGES:
                got = session.get(base + path, headers={"Range": asked} if asked else {}, timeout=60)
                assert got.status_code in (200, 206), f"{path} {asked}: {got.text}"
                headers = {name: got.headers.get(name) for name in ("Content-Length", "Content-Range", "ETag")}
                found[path, asked] = (got.status_code, headers, got.content)
        return found

    native = answers()
    assert installation.stop() == 0
    installation.start("--wasm-assembler")
    for question, answer in answers().items():
        if answer != native[question]:
            pytest.fail(f"{question}: {answer[:2]} is not {native[question][:2]}, or the bytes differ")
