"""What a broadcast encoder says beside the pictures, put into ffmpeg's transport stream: SCTE 35 sections and ID3 tags.

A filter from standard input to standard output, so that ffmpeg's pace stays that of the stream:

    ffmpeg -re -i film.mp4 -c copy -f mpegts - | python3 cue_stream.py --break 6+4 --tag-every 2 | srt-live-transmit ...

`--break AT+SECONDS` announces a break AT seconds after the first picture, three seconds before; `--tag-every S` sends an ID3
tag with the text `tag N` (N from 0 on) at every S seconds. ISO/IEC 13818-1, ANSI/SCTE 35, and Apple's *Timed Metadata for HTTP
Live Streaming*; nothing here is Headwater's.
"""

from __future__ import annotations

import argparse
import sys

PACKET = 188
CLOCK = 90_000
PMT, VIDEO = 0x1000, 0x100
"""Where ffmpeg puts the program map and the first stream."""
CUES, TAGS = 0x1F0, 0x1F1
ANNOUNCED = 3
"""Seconds between a splice section and its moment."""


def crc32(data: bytes) -> bytes:
    """CRC-32/MPEG-2 (13818-1, annex A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
            crc &= 0xFFFFFFFF
    return crc.to_bytes(4, "big")


def section(table: int, flags: int, body: bytes) -> bytes:
    """A section of `body`, with its length and checksum."""
    head = bytes([table]) + (flags << 12 | len(body) + 4).to_bytes(2, "big")
    return head + body + crc32(head + body)


def packets(pid: int, payload: bytes, counter: int) -> list[bytes]:
    """`payload` in packets, the last one filled up in its adaptation field."""
    found = []
    for number, at in enumerate(range(0, len(payload), PACKET - 4)):
        part = payload[at : at + PACKET - 4]
        room = PACKET - 4 - len(part)
        field = b"" if room == 0 else b"\0" if room == 1 else bytes([room - 1, 0]) + b"\xff" * (room - 2)
        control = (0x30 if field else 0x10) | (counter + number) & 15
        start = 0x40 if number == 0 else 0
        found.append(bytes([0x47, start | pid >> 8, pid & 255, control]) + field + part)
    return found


def splice_out(event: int, at: int, duration: int) -> bytes:
    """`splice_insert()`: out of the network at `at` for `duration`, both at 90 kHz (SCTE 35, 9.7.3)."""
    at %= 2**33
    time = bytes([0xFE | (at >> 32) & 1]) + (at & 0xFFFFFFFF).to_bytes(4, "big")
    lasts = bytes([0xFE | (duration >> 32) & 1]) + (duration & 0xFFFFFFFF).to_bytes(4, "big")
    command = event.to_bytes(4, "big") + b"\x7f" + b"\xef" + time + lasts + (1).to_bytes(2, "big") + b"\0\0"
    body = b"\0" + b"\0" * 5 + b"\0" + (0xFFF << 12 | len(command)).to_bytes(3, "big") + b"\x05" + command + b"\0\0"
    return section(0xFC, 0b0011, body)


def tag(text: str) -> bytes:
    """An ID3 tag with `text` in a frame for the user's own."""
    content = b"\x03" + b"cue\0" + text.encode() + b"\0"
    frame = b"TXXX" + len(content).to_bytes(4, "big") + b"\0\0" + content
    return b"ID3\x04\0\0" + bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame


def stamp(marker: int, time: int) -> bytes:
    """A time of a PES header (13818-1, 2.4.3.7)."""
    time %= 2**33
    return bytes(
        [marker << 4 | (time >> 29) & 0x0E | 1, time >> 22 & 255, time >> 14 & 0xFE | 1, time >> 7 & 255, time << 1 & 0xFE | 1]
    )


def metadata(time: int, data: bytes) -> bytes:
    """An ID3 tag as a PES packet: private stream 1, aligned, with its moment."""
    header = b"\x84\x80\x05" + stamp(0b0010, time)
    return b"\0\0\1\xbd" + (len(header) + len(data)).to_bytes(2, "big") + header + data


def extended(program_map: bytes) -> bytes:
    """The program map section with the two streams, and what says that cues and tags are in it."""
    length = int.from_bytes(program_map[1:3], "big") & 0xFFF
    body = program_map[3 : 3 + length - 4]
    info = int.from_bytes(body[7:9], "big") & 0xFFF
    said = body[9 : 9 + info] + b"\x05\x04CUEI"
    said += b"\x25\x0f\xff\xffID3 \xffID3 \0\x1f\0\1"
    streams = body[9 + info :]
    streams += b"\x86" + (0xE000 | CUES).to_bytes(2, "big") + b"\xf0\0"
    described = b"\x26\x0d\xff\xffID3 \xffID3 \0\x0f"
    streams += b"\x15" + (0xE000 | TAGS).to_bytes(2, "big") + (0xF000 | len(described)).to_bytes(2, "big") + described
    return section(2, 0b1011, body[:7] + (0xF000 | len(said)).to_bytes(2, "big") + said + streams)


def payload(packet: bytes) -> bytes:
    return packet[4 + (1 + packet[4] if packet[3] & 0x20 else 0) :]


def presented(pes: bytes) -> int | None:
    """The presentation time of a PES packet's header."""
    if not pes.startswith(b"\0\0\1") or not pes[7] & 0x80:
        return None
    a, b, c, d, e = pes[9:14]
    return (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1


class Speaker:
    """Says what is due when a picture comes."""

    def __init__(self, breaks: list[tuple[float, float]], every: float | None):
        self.breaks, self.every = list(enumerate(breaks, 1)), every
        self.first: int | None = None
        self.counters = {CUES: 0, TAGS: 0}
        self.told = 0

    def say(self, pid: int, content: bytes) -> list[bytes]:
        made = packets(pid, content, self.counters[pid])
        self.counters[pid] += len(made)
        return made

    def at(self, time: int) -> list[bytes]:
        self.first = time if self.first is None else self.first
        passed = (time - self.first) / CLOCK
        out = []
        for due in [one for one in self.breaks if one[1][0] - ANNOUNCED <= passed]:
            self.breaks.remove(due)
            number, (begins, lasts) = due
            # A section begins behind a pointer.
            content = b"\0" + splice_out(number, self.first + round(begins * CLOCK), round(lasts * CLOCK))
            out += self.say(CUES, content + b"\xff" * (PACKET - 4 - len(content)))
        if self.every is not None and passed >= self.told * self.every:
            moment = self.first + round(self.told * self.every * CLOCK)
            out += self.say(TAGS, metadata(moment, tag(f"tag {self.told}")))
            self.told += 1
        return out


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--break", dest="breaks", action="append", default=[])
    arguments.add_argument("--tag-every", type=float)
    given = arguments.parse_args()
    breaks = [tuple(float(part) for part in one.split("+")) for one in given.breaks]
    speaker = Speaker(breaks, given.tag_every)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(packet := source.read(PACKET)) == PACKET:
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        starts = packet[1] & 0x40
        before: list[bytes] = []
        if pid == PMT and starts:
            content = b"\0" + extended(payload(packet)[1:])
            (packet,) = packets(PMT, content + b"\xff" * (PACKET - 4 - len(content)), packet[3] & 15)
        elif pid == VIDEO and starts and (time := presented(payload(packet))) is not None:
            before = speaker.at(time)
        try:
            sink.write(b"".join(before) + packet)
            sink.flush()
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
