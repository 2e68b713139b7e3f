"""Undoes Apple's sample encryption of elementary streams, written from the format's description."""

import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def _decryptor(key, iv):
    return Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()


def _nal(nal, key, iv):
    if nal[0] & 31 not in (1, 5) or len(nal) <= 48:
        return nal
    nal = re.sub(rb"\x00\x00\x03", b"\x00\x00", nal)
    out, at, cipher = bytearray(nal[:32]), 32, _decryptor(key, iv)
    while at < len(nal):
        if len(nal) - at > 16:
            out += cipher.update(nal[at : at + 16])
            at += 16
        out += nal[at : at + 144]
        at += 144
    return bytes(out)


def decrypt_h264(stream, key, iv):
    nals = stream.split(b"\x00\x00\x00\x01")[1:]
    return b"".join(b"\x00\x00\x00\x01" + _nal(nal, key, iv) for nal in nals)


def decrypt_eac3(stream, key, iv):
    out = bytearray()
    while stream:
        assert stream[:2] == b"\x0b\x77"
        length = 2 * ((stream[2] & 7) << 8 | stream[3]) + 2
        frame, stream = stream[:length], stream[length:]
        whole = max(len(frame) - 16, 0) // 16 * 16
        out += frame[:16] + _decryptor(key, iv).update(frame[16 : 16 + whole]) + frame[16 + whole :]
    return bytes(out)


# Lengths in 16-bit words at 48 kHz, by `frmsizecod` (ETSI TS 102 366 table 4.13).
AC3_WORDS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1152, 1280)


def decrypt_ac3(stream, key, iv):
    out = bytearray()
    while stream:
        assert stream[:2] == b"\x0b\x77" and stream[4] >> 6 == 0, "48 kHz"
        length = 2 * AC3_WORDS[(stream[4] & 63) >> 1]
        frame, stream = stream[:length], stream[length:]
        whole = max(len(frame) - 16, 0) // 16 * 16
        out += frame[:16] + _decryptor(key, iv).update(frame[16 : 16 + whole]) + frame[16 + whole :]
    return bytes(out)


def decrypt_adts(stream, key, iv):
    out = bytearray()
    while stream:
        length = (stream[3] & 3) << 11 | stream[4] << 3 | stream[5] >> 5
        frame, stream = stream[:length], stream[length:]
        start = (7 if frame[1] & 1 else 9) + 16
        whole = max(len(frame) - start, 0) // 16 * 16
        out += frame[:start] + _decryptor(key, iv).update(frame[start : start + whole]) + frame[start + whole :]
    return bytes(out)
