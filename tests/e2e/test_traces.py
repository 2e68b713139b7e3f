"""One trace from a player's request, or an encoder's connection, to storage."""

from __future__ import annotations

import os
import subprocess
import time

import media
from collector import Collector, path_to_root, traced
from headwater import Account, needs_binary, player_session
from separate import Separate
from test_live_stream import Show


def test_a_players_request_is_traced_into_the_store(collector: Collector, separate: Separate, tmp_path):
    store = separate.store()
    connection = separate.host_of(store, "--no-ingest", "--cache-mib=0", "--media-cache-mib=0")
    account = Account(connection)
    film = account.publish(account.encode(account.upload(media.make_counted(tmp_path / "film.mp4", seconds=6)), "H264SingleBitrateSD"))
    session = player_session(connection)
    video = next(r for r in media.read_master(session, film.hls) if r.kind == "video")
    segment = media.read_media_playlist(session, video.url).segments[0].url

    trace, outside, headers = traced()
    answer = session.get(f"{segment}?token=not-to-be-told", headers=headers, timeout=30)
    assert answer.status_code == 200
    whole = ["headwater-blobstore: GET", "headwater: GET", "headwater: assembler", "headwater: origin", "headwater: GET"]
    collector.until("a span of the store", lambda spans: [span for span in spans if span.trace == trace and path_to_root(span, spans) == whole])
    found = [span for span in collector.spans if span.trace == trace]
    server = next(span for span in found if span.parent == outside)
    assert server.kind == 2 and not server.failed
    assert server.said["http.request.method"] == "GET" and server.said["http.response.status_code"] == 200
    assert server.said["http.response.body.size"] == len(answer.content)
    assert server.said["url.path"] in segment and "..." in server.said["http.route"]
    origin = next(span for span in found if span.name == "origin")
    assert server.begun <= origin.begun <= origin.ended <= server.ended
    # Signatures and tokens are told to nobody.
    told = " ".join(str(span.said) for span in collector.spans)
    assert "sig=" not in told and "not-to-be-told" not in told and "Bearer" not in told

    trace, outside, headers = traced()
    assert session.get(segment.replace("Fragments(", "Fragments(no-"), headers=headers, timeout=30).status_code == 404
    (server,) = collector.until("the refused request", lambda spans: [span for span in spans if span.parent == outside])
    assert server.said["http.response.status_code"] == 404 and not server.failed
    # The worker's job, too, though nobody asked for it here.
    (job,) = collector.until(
        "the worker's job", lambda spans: [span for span in spans if (span.service, span.name) == ("headwater-transcoder", "transcode")]
    )

    def inside(spans: list) -> list:
        return [span for span in spans if span.parent == job.id]

    collector.until("what it did in the store", lambda spans: {"GET", "PUT"} <= {span.name for span in inside(spans)})
    assert {span.service for span in inside(collector.spans)} == {"headwater-blobstore"}


def test_an_encoders_connection_is_traced_into_the_store(collector: Collector, separate: Separate, tmp_path):
    store = separate.store()
    account = Account(separate.host_of(store))
    show = Show(account, "RTMP", low_latency=False)
    encoder = show.push(media.make_counted(tmp_path / "live.mp4", seconds=15, group_s=1))
    video = show.playlists()["video"]
    trace, _, headers = traced()
    assert show.http.get(video, headers=headers, timeout=30).status_code == 200
    edge = ["headwater-ingest: GET", "headwater: GET", "headwater: origin", "headwater: GET"]
    collector.until("the worker's part", lambda spans: [span for span in spans if span.trace == trace and path_to_root(span, spans) == edge])
    assert encoder.wait() == 0
    whole = ["headwater-blobstore: PUT", "headwater-ingest: record", "headwater-ingest: publish"]

    def written(spans: list) -> set[str]:
        # Account, container, name.
        return {span.said["url.path"].split("/", 3)[3] for span in spans if path_to_root(span, spans) == whole}

    collector.until("what the encoder sent, in the store", lambda spans: "show.live/head" in written(spans) and len(written(spans)) > 10)
    publish = next(span for span in collector.spans if span.name == "publish")
    assert publish.kind == 2 and publish.said["client.address"] == "127.0.0.1" and publish.said["headwater.stream"] == "main"
    assert publish.ended - publish.begun > 10 * 10**9
    show.end()


def test_what_cannot_be_exported_to_is_said_at_the_start(tmp_path):
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}
    ended = subprocess.run([needs_binary(), "up", f"--data={tmp_path / 'data'}"], env=environment, capture_output=True, text=True, timeout=180)
    assert ended.returncode == 78
    assert "OTEL_EXPORTER_OTLP_ENDPOINT: `collector:4318` is not a URL" in ended.stderr, ended.stderr


def test_a_collector_that_is_away_disturbs_nobody(monkeypatch, installation):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    connection = installation.start("--no-ingest")
    session = player_session(connection)
    took = []
    for _ in range(20):
        begun = time.monotonic()
        assert session.get(f"{connection.apiUrl}/api/ready", timeout=60).status_code == 200
        took.append(time.monotonic() - begun)
        time.sleep(0.05)
    # Not all of them, on a busy machine.
    assert sorted(took)[10] < 2, took
    installation.stop()
