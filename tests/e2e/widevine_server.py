"""A Widevine device and a licence server of the tests' own, from the public description of the messages: they prove that messages
are carried unharmed, not that a real client would accept anything. No real device's material is needed, or used."""

from __future__ import annotations

import hmac
import os
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import cmac, hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

LICENSE_REQUEST, LICENSE = 1, 2
CONTENT_KEY = 2
SYSTEM_ID = 4242


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A member of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def members(data: bytes) -> dict[int, list]:
    found: dict[int, list] = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = number()
        kind = tag & 7
        if kind == 0:
            value = number()
        elif kind == 2:
            length = number()
            value, at = data[at : at + length], at + length
        else:
            width = {1: 8, 5: 4}[kind]
            value, at = data[at : at + width], at + width
        found.setdefault(tag >> 3, []).append(value)
    return found


class Device:
    """A key pair, and a client identification that names it."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        certificate = b"".join(
            (field(1, 2), field(2, b"\1" * 16), field(3, 1_700_000_000), field(4, public), field(5, SYSTEM_ID))
        )
        token = field(1, certificate) + field(2, b"\0" * 256)
        names = {"company_name": "Headwater", "model_name": "tests"}
        info = b"".join(field(3, field(1, name) + field(2, value)) for name, value in names.items())
        self.client_id = field(1, 1) + field(2, token) + info

    def pem(self) -> bytes:
        kind = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())


def derive(session_key: bytes, label: bytes, message: bytes, bits: int, counters: range) -> bytes:
    out = b""
    for counter in counters:
        mac = cmac.CMAC(algorithms.AES(session_key))
        mac.update(bytes([counter]) + label + b"\0" + message + struct.pack(">I", bits))
        out += mac.finalize()
    return out


def licence(challenge: bytes, device: Device, keys: dict[bytes, bytes]) -> bytes:
    """The answer to a licence request, with these keys by their ids."""
    signed = members(challenge)
    assert signed[1] == [LICENSE_REQUEST]
    (message,), (signature,) = signed[2], signed[3]
    public = device.key.public_key()
    pss = padding.PSS(padding.MGF1(hashes.SHA1()), 20)
    public.verify(signature, message, pss, hashes.SHA1())
    request = members(message)
    request_id = members(members(request[2][0])[1][0])[3][0]

    session_key = os.urandom(16)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    wrapping = derive(session_key, b"ENCRYPTION", message, 128, range(1, 2))
    server_mac = derive(session_key, b"AUTHENTICATION", message, 512, range(1, 3))
    containers = b""
    for kid, key in keys.items():
        iv, pad = os.urandom(16), PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(wrapping), modes.CBC(iv)).encryptor()
        wrapped = encryptor.update(pad.update(key) + pad.finalize()) + encryptor.finalize()
        containers += field(3, field(1, kid) + field(2, iv) + field(3, wrapped) + field(4, CONTENT_KEY))
    identification = field(1, request_id) + field(2, b"session") + field(4, 1) + field(5, 0)
    made = field(1, identification) + field(2, field(1, 1)) + containers + field(4, int(time.time()))
    mac = hmac.digest(server_mac, made, "sha256")
    return field(1, LICENSE) + field(2, made) + field(3, mac) + field(4, public.encrypt(session_key, oaep))


class LicenceServer:
    """Answers with what `answer` makes of a request's body: status, body, and a content type if there is to be one. Keeps requests."""

    def __init__(self, answer):
        requests = self.requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                requests.append((self.path, dict(self.headers), body))
                status, sent, *kind = answer(body)
                self.send_response(status)
                for value in kind:
                    self.send_header("content-type", value)
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
