"""Reads Smooth Streaming fragments, decrypts their samples (PIFF 1.1 or ISO/IEC 23001-7, AES in counter mode), and writes
elementary streams. Made from the formats' descriptions, so that it judges what another program wrote."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import requests
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SAMPLE_ENCRYPTION = bytes.fromhex("a2394f525a9b4f14a2446c427c648df4")
FREQUENCIES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Types and payloads. The type of a `uuid` box is its 16 bytes."""
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        assert 8 <= size <= len(data), f"a box {kind} of {size} bytes in {len(data)}"
        yield (data[8:24], data[24:size]) if kind == b"uuid" else (kind, data[8:size])
        data = data[size:]


def child(data: bytes, *path: bytes) -> bytes | None:
    for name in path:
        data = next((body for kind, body in boxes(data) if kind == name), None)
        if data is None:
            return None
    return data


def sample_sizes(traf: bytes) -> list[int]:
    """Of the one `trun`, or the default of `tfhd`."""
    tfhd, trun = child(traf, b"tfhd"), child(traf, b"trun")
    (flags,) = struct.unpack(">I", b"\0" + tfhd[1:4])
    at = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0) + (4 if flags & 8 else 0)
    default = struct.unpack(">I", tfhd[at : at + 4])[0] if flags & 0x10 else None
    (flags, count) = struct.unpack(">II", b"\0" + trun[1:8])
    at = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    sizes = []
    for _ in range(count):
        at += 4 if flags & 0x100 else 0
        sizes.append(struct.unpack(">I", trun[at : at + 4])[0] if flags & 0x200 else default)
        at += sum(4 for bit in (0x200, 0x400, 0x800) if flags & bit)
    assert at == len(trun)
    return sizes


def encryption(traf: bytes, kid: bytes) -> list[tuple[bytes, list[tuple[int, int]]]]:
    """Vector and subsamples of each sample; without subsamples all of it is encrypted."""
    box = child(traf, SAMPLE_ENCRYPTION)
    if box is None:
        box = child(traf, b"senc")
    (flags,) = struct.unpack(">I", b"\0" + box[1:4])
    at, iv_size = 4, 8
    if flags & 1:
        algorithm, iv_size = int.from_bytes(box[4:7], "big"), box[7]
        assert (algorithm, box[8:24]) == (1, kid), "AES in counter mode, of this key"
        at = 24
    (count,) = struct.unpack(">I", box[at : at + 4])
    at += 4
    samples = []
    for _ in range(count):
        iv, parts = box[at : at + iv_size], []
        at += iv_size
        if flags & 2:
            (number,) = struct.unpack(">H", box[at : at + 2])
            parts = [struct.unpack(">HI", box[at + 2 + 6 * n : at + 8 + 6 * n]) for n in range(number)]
            at += 2 + 6 * number
        samples.append((iv, parts))
    assert at == len(box)
    return samples


def samples(fragment: bytes, key: bytes, kid: bytes) -> Iterator[bytes]:
    """The samples of a fragment, in the clear."""
    traf = child(fragment, b"moof", b"traf")
    data = child(fragment, b"mdat")
    sizes, protection = sample_sizes(traf), encryption(traf, kid)
    assert len(sizes) == len(protection) and sum(sizes) == len(data)
    for size, (iv, parts) in zip(sizes, protection, strict=True):
        sample, data = data[:size], data[size:]
        cipher = Cipher(algorithms.AES(key), modes.CTR(iv.ljust(16, b"\0"))).decryptor()
        out = bytearray()
        for clear, protected in parts or [(0, size)]:
            end = len(out) + clear + protected
            out += sample[len(out) : len(out) + clear]
            out += cipher.update(sample[len(out) : end])
        assert len(out) == size, "subsamples fill the sample"
        yield bytes(out)


def fragments(http: requests.Session, url: str, index: ElementTree.Element, quality: ElementTree.Element) -> Iterator[bytes]:
    time = 0
    for chunk in index.findall("c"):
        time = int(chunk.get("t", time))
        for _ in range(int(chunk.get("r", "1"))):
            path = index.get("Url").replace("{bitrate}", quality.get("Bitrate")).replace("{start time}", str(time))
            answer = http.get(f"{url.rsplit('/', 1)[0]}/{path}", timeout=30)
            assert answer.status_code == 200, f"{path}: {answer.text}"
            yield answer.content
            time += int(chunk.get("d"))


def byte_stream(http: requests.Session, url: str, kind: str, key: bytes, kid: bytes) -> bytes:
    """The best quality of a kind: H.264 with start codes, or AAC in ADTS."""
    root = ElementTree.fromstring(http.get(url, timeout=30).content)
    index = next(index for index in root.findall("StreamIndex") if index.get("Type") == kind)
    quality = max(index.findall("QualityLevel"), key=lambda quality: int(quality.get("Bitrate")))
    private = bytes.fromhex(quality.get("CodecPrivateData"))
    out = bytearray(private if kind == "video" else b"")
    for fragment in fragments(http, url, index, quality):
        for sample in samples(fragment, key, kid):
            if kind == "video":
                at = 0
                while at < len(sample):
                    (length,) = struct.unpack(">I", sample[at : at + 4])
                    assert at + 4 + length <= len(sample), "NAL units fill the sample"
                    out += b"\0\0\0\1" + sample[at + 4 : at + 4 + length]
                    at += 4 + length
            else:
                rate, channels = FREQUENCIES.index(int(quality.get("SamplingRate"))), int(quality.get("Channels"))
                length = len(sample) + 7
                out += bytes((
                    0xFF, 0xF1, 0x40 | rate << 2 | channels >> 2, (channels & 3) << 6 | length >> 11,
                    length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC,
                ))  # fmt: skip
                out += sample
    return bytes(out)
