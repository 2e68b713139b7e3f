"""What an installation has delivered, as its API reports it."""

from __future__ import annotations

import pytest

import media
from headwater import Account, Mkio, player_session


def used(mkio: Mkio) -> dict[str, float]:
    answer = mkio.session.get(f"{mkio.connection.apiUrl}/api/v1/projects/{mkio.connection.project}/usage", timeout=30)
    assert answer.status_code == 200, answer.text
    return {item["meter"]: item["quantity"] for item in answer.json()["items"]}


def test_what_players_fetched_is_in_the_report_of_usage(installation, counted):
    connection = installation.start("--no-ingest")
    account, http = Account(connection), player_session(connection)
    published = account.publish(account.encode(account.upload(counted), "H264SingleBitrateSD"))
    # Bytes of every answer with what was asked for, as they were sent.
    sent: list[int] = []
    http.headers["Accept-Encoding"] = "identity"
    http.hooks["response"].append(lambda answer, **_: sent.append(len(answer.content)) if answer.ok else None)
    urls = []
    for rendition in media.read_master(http, published.hls):
        playlist = media.read_media_playlist(http, rendition.url)
        urls += [playlist.init, *(segment.url for segment in playlist.segments)]
    # Once from storage and once from memory: players were sent both.
    for url in [*urls, *urls]:
        assert http.get(url, timeout=30).status_code == 200
    part = http.get(urls[-1], headers={"Range": "bytes=0-99"}, timeout=30)
    assert (part.status_code, len(part.content)) == (206, 100)
    # These are nobody's.
    assert http.get(f"{connection.streamingUrl}/00000000-0000-0000-0000-000000000001/x.ism/manifest", timeout=30).status_code == 404
    assert http.get(urls[-1].replace("Fragments(", "Fragments(no"), timeout=30).status_code in (400, 404)
    # What was not written in the minute before is written at the end.
    installation.stop()

    after = used(Mkio(installation.start("--no-ingest")))
    assert after["streamed"] == pytest.approx(sum(sent) / 1e9)
    assert after["streamedRequests"] == len(sent) > 20
    assert after["jobs"] == 1
    assert after["encodedVideoSD"] == pytest.approx(0.2, abs=0.02)
