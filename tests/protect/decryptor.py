"""Decrypts fragmented MP4 files of one track: `cenc`, `cbcs` and PIFF's counter mode, with the keys of several ids.

Written from ISO/IEC 23001-7 (common encryption), ISO/IEC 14496-12 and the PIFF 1.1 specification. Where samples' vectors and subsamples are is
read from `saiz` and `saio`, as the standard says, and not from `senc`, which is only where they happen to be; under PIFF, which has
neither, from its own box. Bytes keep their places: boxes that speak of protection become `free`.
"""

import struct
import uuid
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PIFF_TRACK = uuid.UUID("8974dbce-7be7-4c51-84f9-7148f9882554").bytes
PIFF_SAMPLES = uuid.UUID("a2394f52-5a9b-4f14-a244-6c427c648df4").bytes
ENTRY_LENGTH = {b"encv": 78, b"enca": 28}
SOUND = (b"mp4a", b"ac-3", b"ec-3", b"Opus", b"fLaC")
GONE = (b"sinf", b"pssh", b"senc", b"saiz", b"saio", b"sgpd", b"sbgp")


@dataclass(frozen=True)
class Protection:
    """What `tenc`, and `seig` in its place, say."""

    protected: bool
    kid: bytes
    iv_size: int
    constant_iv: bytes = b""
    pattern: tuple[int, int] = (0, 0)

    @classmethod
    def read(cls, fields):
        """The fields that both have, after the version: a reserved byte, the pattern, and so on."""
        pattern, protected, iv_size = fields[1], fields[2], fields[3]
        constant = fields[21 : 21 + fields[20]] if protected and iv_size == 0 else b""
        return cls(bool(protected), fields[4:20], iv_size, constant, (pattern >> 4, pattern & 15))


def boxes(data, start, end):
    """Type, start of the body and end of every box in `data[start:end]`."""
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        assert body <= start + size <= end, f"{kind} is cut off"
        yield kind, body, start + size
        start += size


def find(data, span, *path):
    """The span of the first box on that path; `None` if there is none."""
    for name in path:
        span = next(((at, to) for kind, at, to in boxes(data, *span) if kind == name), None)
        if span is None:
            return None
    return span


def number(data, at, size=4):
    return int.from_bytes(data[at : at + size], "big")


def track(data, moov):
    """Scheme and default protection of the track; makes its sample entry a clear one."""
    at, end = find(data, moov, b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    entry, body, end = next(boxes(data, at + 8, end))
    inside = (body + ENTRY_LENGTH[entry], end)
    sinf = find(data, inside, b"sinf")
    original, _ = find(data, sinf, b"frma")
    scheme, _ = find(data, sinf, b"schm")
    scheme = bytes(data[scheme + 4 : scheme + 8])
    schi = find(data, sinf, b"schi")
    if scheme == b"piff":
        at, _ = find(data, schi, b"uuid")
        assert data[at : at + 16] == PIFF_TRACK
        # Version and flags, the algorithm (1 is AES-CTR), size of vectors, key id.
        assert number(data, at + 20, 3) == 1
        default = Protection(True, bytes(data[at + 24 : at + 40]), data[at + 23])
    else:
        at, end = find(data, schi, b"tenc")
        default = Protection.read(bytes(data[at + 4 : end]))
        assert data[at] == 1 or default.pattern == (0, 0)
    data[body - 4 : body] = data[original : original + 4]
    return scheme, default


def descriptions(data, span):
    """The entries of a `sgpd` of `seig`."""
    at, _ = span
    assert data[at] == 1, "version 0 says no lengths"
    length, count, at = number(data, at + 8), number(data, at + 12), at + 16
    found = []
    for _ in range(count):
        size = length
        if size == 0:
            size, at = number(data, at), at + 4
        found.append(Protection.read(bytes(data[at : at + size])))
        at += size
    return found


def groups(data, traf, count, default):
    """The protection of each sample."""
    kinds = {}
    for kind, at, end in boxes(data, *traf):
        if kind in (b"sgpd", b"sbgp") and data[at + 4 : at + 8] == b"seig":
            kinds[kind] = (at, end)
    if b"sbgp" not in kinds:
        return [default] * count
    own = descriptions(data, kinds[b"sgpd"])
    at, _ = kinds[b"sbgp"]
    at += 8 + (4 if data[at] == 1 else 0)
    runs, at, found = number(data, at), at + 4, []
    for _ in range(runs):
        samples, index, at = number(data, at), number(data, at + 4), at + 8
        # Those of the fragment count from 0x10001; 0 is none.
        assert index == 0 or index > 0x10000, "the track has no descriptions of its own here"
        found += [own[index - 0x10001] if index else default] * samples
    return found + [default] * (count - len(found))


def auxiliary(data, moof_start, traf, piff):
    """Of each sample, the bytes of its vector and subsamples; under PIFF where those of all begin. `None` if nothing is said."""
    if piff:
        places = (at for kind, at, _ in boxes(data, *traf) if kind == b"uuid" and data[at : at + 16] == PIFF_SAMPLES)
        return next(places) + 16
    sizes, offsets = find(data, traf, b"saiz"), find(data, traf, b"saio")
    if sizes is None:
        assert offsets is None
        return None
    at, _ = sizes
    at += 4 + (8 if number(data, at + 1, 3) & 1 else 0)
    default, count = data[at], number(data, at + 1)
    lengths = [default] * count if default else list(data[at + 5 : at + 5 + count])
    at, _ = offsets
    wide, at = data[at] == 1, at + 4 + (8 if number(data, at + 1, 3) & 1 else 0)
    assert number(data, at) == 1, "one run of samples has one offset"
    at = moof_start + number(data, at + 4, 8 if wide else 4)
    found = []
    for length in lengths:
        found.append(bytes(data[at : at + length]))
        at += length
    return found


def entries(data, said, protections, count):
    """Vector and subsamples of each sample; no subsamples: the sample is protected as a whole."""
    if said is None:
        return [(protection.constant_iv, None) for protection in protections]
    found = []
    if isinstance(said, int):
        flags, total, at = number(data, said + 1, 3), number(data, said + 4), said + 8
        assert total == count and not flags & 1
        for protection in protections:
            iv, at, parts = bytes(data[at : at + protection.iv_size]), at + protection.iv_size, None
            if flags & 2:
                pairs, at = number(data, at, 2), at + 2
                parts = [struct.unpack_from(">HI", data, at + 6 * pair) for pair in range(pairs)]
                at += 6 * pairs
            found.append((iv, parts))
        return found
    for entry, protection in zip(said, protections, strict=True):
        size = protection.iv_size
        iv, rest, parts = entry[:size] or protection.constant_iv, entry[size:], None
        if rest:
            parts = [struct.unpack_from(">HI", rest, 2 + 6 * pair) for pair in range(number(rest, 0, 2))]
            assert len(rest) == 2 + 6 * len(parts)
        found.append((iv, parts))
    return found


def pattern_blocks(length, pattern):
    """Where the encrypted blocks of a protected range are: only whole ones are encrypted."""
    crypt, skip = pattern
    if (crypt, skip) == (0, 0):
        crypt, skip = 1, 0
    at = 0
    while at + 16 <= length:
        for _ in range(crypt):
            if at + 16 <= length:
                yield at
                at += 16
        at += 16 * skip


def decrypt_sample(data, start, size, protection, iv, parts, key, scheme):
    ranges, at = [], start
    for clear, protected in parts or [(0, size)]:
        at += clear
        ranges.append((at, protected))
        at += protected
    assert at == start + size, "subsamples are the whole of the sample"
    if scheme == b"cbcs":
        for at, length in ranges:
            # The vector begins anew with each subsample; blocks are chained over those that are skipped.
            cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
            for block in pattern_blocks(length, protection.pattern):
                span = slice(at + block, at + block + 16)
                data[span] = cipher.update(bytes(data[span]))
        return
    # One stream of the sample's protected bytes; a vector of eight bytes is the upper half of the counter.
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv.ljust(16, b"\0"))).decryptor()
    for at, length in ranges:
        data[at : at + length] = cipher.update(bytes(data[at : at + length]))


def run_of_samples(data, moof_start, traf, trex):
    """Start and size of each sample of a `traf` with one `trun`."""
    at, _ = find(data, traf, b"tfhd")
    flags, at, size = number(data, at + 1, 3), at + 8, trex
    assert flags & 0x20000, "offsets count from the moof"
    at += 8 * (flags & 1) + 4 * (flags >> 1 & 1) + 4 * (flags >> 3 & 1)
    if flags & 0x10:
        size = number(data, at)
    at, _ = find(data, traf, b"trun")
    flags, count = number(data, at + 1, 3), number(data, at + 4)
    assert flags & 1
    start, at = moof_start + number(data, at + 8), at + 12 + 4 * (flags >> 2 & 1)
    found = []
    for _ in range(count):
        at += 4 * (flags >> 8 & 1)
        own = size
        if flags & 0x200:
            own, at = number(data, at), at + 4
        at += 4 * (flags >> 10 & 1) + 4 * (flags >> 11 & 1)
        found.append((start, own))
        start += own
    return found


def free(data, start, end):
    """Makes boxes about protection `free`, wherever they are."""
    for kind, at, to in boxes(data, start, end):
        if kind in GONE or (kind == b"uuid" and data[at : at + 16] == PIFF_SAMPLES):
            data[at - 4 : at] = b"free"
        elif kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"):
            free(data, at, to)
        elif kind == b"stsd":
            entry, body, last = next(boxes(data, at + 8, to))
            # By now it is called as it was before.
            free(data, body + (28 if entry in SOUND else 78), last)


def decrypt(file, keys):
    """The file in the clear. `keys`: by key id, both in hexadecimal. Returns it with the key ids that were used, in order of appearance."""
    data, used = bytearray(file), []
    scheme = default = trex = None
    for kind, at, end in list(boxes(data, 0, len(data))):
        if kind == b"moov":
            scheme, default = track(data, (at, end))
            defaults, _ = find(data, (at, end), b"mvex", b"trex")
            trex = number(data, defaults + 16)
            free(data, at, end)
        if kind != b"moof":
            continue
        start = at - 8
        traf = find(data, (at, end), b"traf")
        samples = run_of_samples(data, start, traf, trex)
        protections = groups(data, traf, len(samples), default)
        said = auxiliary(data, start, traf, scheme == b"piff")
        for (place, size), protection, (iv, parts) in zip(
            samples, protections, entries(data, said, protections, len(samples)), strict=True
        ):
            if not protection.protected:
                continue
            kid = protection.kid.hex()
            if kid not in used:
                used.append(kid)
            decrypt_sample(data, place, size, protection, iv, parts, bytes.fromhex(keys[kid]), scheme)
        free(data, at, end)
    return bytes(data), used
