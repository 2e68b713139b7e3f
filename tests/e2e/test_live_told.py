"""What webhooks tell of a live event's encoder, from ffmpeg to a receiver: who came and went, what came in, how it is doing every
twenty seconds, and who was turned away."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from datetime import datetime
from pathlib import Path

import pytest
from azure.mgmt.media.models import (
    IPAccessControl,
    IPRange,
    LiveEvent,
    LiveEventActionInput,
    LiveEventEncoding,
    LiveEventInput,
    LiveEventInputAccessControl,
)

import media
from headwater import Account
from installation import Installation, started
from receiver import Receiver, eventually, put_rule, rules_of

LIVE = "Microsoft.Media.LiveEvent"
KINDS = [
    "ConnectionRejected",
    "EncoderConnected",
    "EncoderDisconnected",
    "IncomingStreamReceived",
    "IncomingDataChunkDropped",
    "IncomingStreamsOutOfSync",
    "IncomingVideoStreamsOutOfSync",
    "IngestHeartbeat",
    "TrackDiscontinuityDetected",
]
ANYWHERE = ("0.0.0.0", 0)
ELSEWHERE = ("192.0.2.0", 24)
EVERY_S = 20
"""From one heartbeat to the next."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    yield from started(tmp_path_factory.mktemp("told"), "--egress-allow=127.0.0.0/8")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Ten seconds with a key frame every second."""
    return media.make_counted(tmp_path_factory.mktemp("source") / "counted.mp4", seconds=10, group_s=1)


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    """As long as three heartbeats and more. One that is repeated has a gap wherever it begins again."""
    return media.make_counted(tmp_path_factory.mktemp("long") / "counted.mp4", seconds=150, group_s=1)


@pytest.fixture(scope="module")
def receiver():
    made = Receiver()
    yield made
    made.close()


class Told:
    """A live event, and what the receiver is told of it."""

    def __init__(self, installed: Installation, receiver: Receiver, protocol: str = "RTMP", allow=ANYWHERE):
        self.connection, self.receiver = installed.connection(), receiver
        self.account = Account(self.connection)
        self.events, self.where = self.account.client.live_events, self.account.where
        self.name, self.token = self.account.name("ev")[:32], str(uuid.uuid4())
        self.hook = f"/{self.name}"
        kinds = [LIVE + kind for kind in KINDS]
        put_rule(rules_of(self.connection), self.name, receiver.url + self.hook, kinds)
        address, length = allow
        ranges = IPAccessControl(allow=[IPRange(name="those", address=address, subnet_prefix_length=length)])
        event = LiveEvent(
            location="local",
            input=LiveEventInput(
                streaming_protocol=protocol,
                access_control=LiveEventInputAccessControl(ip=ranges),
                access_token=self.token,
                key_frame_interval_duration="PT1S" if protocol == "RTMP" else None,
            ),
            encoding=LiveEventEncoding(encoding_type="PassthroughStandard"),
        )
        self.events.begin_create(*self.where, self.name, event).result()
        self.events.begin_start(*self.where, self.name).result()
        self.url = self.events.get(*self.where, self.name).input.endpoints[0].url

    def push(self, source: Path, url: str | None = None) -> subprocess.Popen:
        url = url or self.url
        container = "mpegts" if url.startswith("srt") else "flv"
        target = url if url.startswith("srt") else f"{url}/main"
        return subprocess.Popen(
            ["ffmpeg", "-v", "error", "-re", "-i", source, "-c", "copy", "-f", container, target],
            stdin=subprocess.DEVNULL,
        )

    def of(self, kind: str) -> list[dict]:
        """The events of a kind in the order in which they happened, each once: one may be delivered twice."""
        sent = self.receiver.events(self.hook, LIVE + kind)
        # A rule is of the whole project.
        by_id = {event["id"]: event for event in sent if event["subject"].endswith(f"/{self.name}")}
        return sorted(by_id.values(), key=lambda event: at(event))

    def wait(self, kind: str, count: int = 1, timeout_s: float = 180) -> list[dict]:
        return eventually(lambda: found if len(found := self.of(kind)) >= count else None, timeout_s)

    def beats(self, track_type: str, state: str) -> list[dict]:
        return [
            event for event in self.of("IngestHeartbeat")
            if (event["data"]["trackType"], event["data"]["state"]) == (track_type, state)
        ]

    def stop(self) -> None:
        self.events.begin_stop(*self.where, self.name, LiveEventActionInput()).result()


def at(event: dict) -> datetime:
    return datetime.fromisoformat(event["time"])


def number(text: str) -> int:
    """Times and scales are decimal texts, which may be longer than a JavaScript number holds."""
    assert isinstance(text, str)
    return int(text)


def gone(encoder: subprocess.Popen) -> int:
    if encoder.poll() is None:
        encoder.kill()
    return encoder.wait(timeout=180)


def test_an_encoder_from_its_coming_to_its_end(installed, receiver, source, long):
    told = Told(installed, receiver)
    encoder = told.push(long)
    try:
        (connected,) = told.wait("EncoderConnected")
        received = told.wait("IncomingStreamReceived", 2)

        # Each is a CloudEvent of the account, about the live event.
        for event in (connected, *received):
            assert event["specversion"] == "1.0" and event["datacontenttype"] == "application/json"
            assert uuid.UUID(event["id"]) and at(event).tzinfo
            account = told.connection.management_path().replace("mediaServices", "mediaservices")
            assert (event["source"], event["subject"]) == (account, f"liveEvent/{told.name}")
        headers = [headers for path, headers, _ in receiver.received if path == told.hook]
        assert all(header["content-type"].startswith("application/cloudevents+json") for header in headers)

        assert set(connected["data"]) == {"ingestUrl", "streamId", "encoderIp", "encoderPort"}
        assert (connected["data"]["streamId"], connected["data"]["encoderIp"]) == ("main", "127.0.0.1")
        assert 0 < number(connected["data"]["encoderPort"]) < 65536
        assert connected["data"]["ingestUrl"].startswith("rtmp://") and told.token not in str(connected)

        members = {
            "ingestUrl", "trackType", "trackName", "bitrate", "encoderIp", "encoderPort", "timestamp", "duration", "timescale",
        }  # fmt: skip
        assert [set(event["data"]) for event in received] == [members] * 2
        assert {event["data"]["trackType"] for event in received} == {"audio", "video"}
        names = {event["data"]["trackType"]: event["data"]["trackName"] for event in received}
        for event in received:
            data = event["data"]
            for member in ("ingestUrl", "encoderIp", "encoderPort"):
                assert data[member] == connected["data"][member]
            assert data["bitrate"] > 0 and data["trackName"].endswith(f"_{data['bitrate']}")
            assert number(data["timestamp"]) >= 0 and number(data["duration"]) >= 0 and number(data["timescale"]) > 0
            assert at(connected) <= at(event)

        # Every track is told of every twenty seconds.
        for kind in ("video", "audio"):
            def three(kind=kind):
                return beats if len(beats := told.beats(kind, "Running")) >= 3 else None

            # The first one is of less than twenty seconds.
            _, first, second, *_ = eventually(three, 180)
            assert EVERY_S * 0.5 <= (at(second) - at(first)).total_seconds() <= EVERY_S * 2
            for beat in (first, second):
                data = beat["data"]
                assert set(data) >= {
                    "trackType", "trackName", "bitrate", "incomingBitrate", "lastTimestamp", "timescale", "overlapCount",
                    "discontinuityCount", "nonincreasingCount", "unexpectedBitrate", "state", "healthy",
                    "lastFragmentArrivalTime", "ingestDriftValue", "transcriptionState", "transcriptionLanguage",
                }  # fmt: skip
                assert data["trackName"] == names[kind]
                assert (data["overlapCount"], data["discontinuityCount"], data["nonincreasingCount"]) == (0, 0, 0)
                assert data["healthy"] is True and data["incomingBitrate"] > 0
                assert datetime.fromisoformat(data["lastFragmentArrivalTime"]) <= at(beat)
            passed = number(second["data"]["lastTimestamp"]) - number(first["data"]["lastTimestamp"])
            seconds = passed / number(second["data"]["timescale"])
            assert EVERY_S * 0.5 <= seconds <= EVERY_S * 2, "the media's time goes with the clock's"
        assert told.of("EncoderDisconnected") == []
    finally:
        encoder.send_signal(signal.SIGKILL)
        encoder.wait(timeout=180)

    (left,) = told.wait("EncoderDisconnected")
    assert set(left["data"]) == {"ingestUrl", "streamId", "encoderIp", "encoderPort", "resultCode"}
    assert left["data"] == connected["data"] | {"resultCode": "MPE_CLIENT_TERMINATED_SESSION"}
    assert at(connected) < at(left)

    # The tracks are still told of, and that nothing comes.
    for kind in ("video", "audio"):
        (beat, *_) = eventually(lambda kind=kind: told.beats(kind, "Stopped"))
        assert beat["data"]["healthy"] is False and beat["data"]["trackName"] == names[kind]
        assert at(left) <= at(beat)

    # One that ends its stream says so.
    encoder = told.push(source)
    assert encoder.wait(timeout=180) == 0
    _, ended = told.wait("EncoderDisconnected", 2)
    assert ended["data"]["resultCode"] == "S_OK"
    ports = [event["data"]["encoderPort"] for event in told.wait("EncoderConnected", 2)]
    assert ports == [event["data"]["encoderPort"] for event in (left, ended)] and len(set(ports)) == 2
    assert told.of("ConnectionRejected") == []
    told.stop()


def test_an_encoder_whose_event_is_stopped_is_told_of(installed, receiver, long):
    told = Told(installed, receiver)
    encoder = told.push(long)
    (connected,) = told.wait("EncoderConnected")
    told.wait("IncomingStreamReceived", 2)
    told.stop()
    gone(encoder)
    (left,) = told.wait("EncoderDisconnected")
    assert left["data"] == connected["data"] | {"resultCode": "MPI_REST_API_CHANNEL_STOP"}


def test_the_url_that_is_told_is_the_one_that_was_given_out(installed, receiver, source):
    """Without the token, which nobody else may know."""
    for protocol, secret in (("RTMP", "/"), ("SRT", "?")):
        told = Told(installed, receiver, protocol)
        encoder = told.push(source)
        (connected,) = told.wait("EncoderConnected")
        assert encoder.wait(timeout=180) == 0
        told.stop()
        given, _, _ = told.url.rpartition(secret)
        assert connected["data"]["ingestUrl"] == given


def test_a_wrong_passphrase_lets_nobody_in(installed, receiver, source):
    """The handshake of SRT refuses it before anybody is asked, so that there is nobody who could tell (docs/live.md)."""
    told = Told(installed, receiver, "SRT")
    assert told.token in told.url
    encoder = told.push(source, told.url.replace(told.token, str(uuid.uuid4())))
    assert encoder.wait(timeout=180) != 0
    # It keeps out nobody else.
    right = told.push(source)
    told.wait("EncoderConnected")
    assert right.wait(timeout=180) == 0
    told.wait("EncoderDisconnected")
    assert len(told.of("EncoderConnected")) == 1
    told.stop()


def test_an_encoder_by_srt(installed, receiver, source):
    told = Told(installed, receiver, "SRT")
    encoder = told.push(source)
    (connected,) = told.wait("EncoderConnected")
    received = told.wait("IncomingStreamReceived", 2)
    assert connected["data"]["ingestUrl"].startswith("srt://") and told.token not in str(connected)
    assert {event["data"]["trackType"] for event in received} == {"audio", "video"}
    assert encoder.wait(timeout=180) == 0
    (left,) = told.wait("EncoderDisconnected")
    assert {**left["data"], "resultCode": None} == connected["data"] | {"resultCode": None}
    assert left["data"]["resultCode"] in ("S_OK", "MPE_CLIENT_TERMINATED_SESSION")
    told.stop()


def test_a_gap_is_told_of(installed, receiver, source):
    """Nothing came for five seconds."""
    told = Told(installed, receiver)
    first = told.push(source)
    assert first.wait(timeout=180) == 0
    told.wait("EncoderDisconnected")
    time.sleep(5)
    second = told.push(source)
    assert second.wait(timeout=180) == 0
    told.wait("EncoderDisconnected", 2)
    # Each is delivered by itself, and in any order.
    shown = lambda kind: [event for event in told.of(kind) if event["data"]["trackType"] == "video"]  # noqa: E731
    gaps, all_received = (eventually(lambda kind=kind: shown(kind)) for kind in ("TrackDiscontinuityDetected", "IncomingStreamReceived"))
    members = {"trackType", "trackName", "bitrate", "previousTimestamp", "newTimestamp", "timescale", "discontinuityGap"}
    received, (gap,) = all_received[0], [event["data"] for event in gaps]
    assert set(gap) == members
    assert (gap["trackName"], gap["bitrate"]) == (received["data"]["trackName"], received["data"]["bitrate"])
    missing = number(gap["newTimestamp"]) - number(gap["previousTimestamp"])
    assert number(gap["discontinuityGap"]) == missing
    assert missing / number(gap["timescale"]) >= 4
    told.stop()


@pytest.mark.parametrize("protocol", ["RTMP", "SRT"])
def test_an_address_that_is_not_allowed_is_turned_away(installed, receiver, source, protocol):
    told = Told(installed, receiver, protocol, ELSEWHERE)
    encoder = told.push(source)
    (rejected, *_) = told.wait("ConnectionRejected")
    assert set(rejected["data"]) == {"ingestUrl", "streamId", "encoderIp", "encoderPort", "resultCode"}
    assert rejected["data"]["resultCode"] == "MPE_INGEST_ENCODER_CONNECTION_DENIED"
    assert rejected["data"]["encoderIp"] == "127.0.0.1" and number(rejected["data"]["encoderPort"])
    assert rejected["data"]["ingestUrl"].startswith(protocol.lower())
    gone(encoder)
    assert told.of("EncoderConnected") == told.of("IncomingStreamReceived") == []
    told.stop()


def test_a_token_that_nobody_has_leads_nowhere(installed, receiver, source):
    """By RTMP the token alone says whose encoder it is: there is nobody to be told, and the encoder is turned away."""
    told = Told(installed, receiver)
    assert told.token in told.url
    encoder = told.push(source, told.url.replace(told.token, str(uuid.uuid4())))
    assert encoder.wait(timeout=180) != 0
    # Whoever has it comes in afterwards, and is the first that is told of.
    encoder = told.push(source)
    told.wait("EncoderConnected")
    assert encoder.wait(timeout=180) == 0
    told.wait("EncoderDisconnected")
    assert told.of("ConnectionRejected") == []
    told.stop()
