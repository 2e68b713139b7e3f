"""Challenges on their way to somebody else's licence server, through a Headwater that was told of it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from headwater import Mkio, in_ci, player_session
from test_protection import AUDIENCE, ISSUER, SECRET, token
from widevine_server import Device, LicenceServer, licence

WIDEVINE = uuid.UUID("edef8ba9-79d6-4ace-a3c8-27dcd51d21ed")
ODATA = "#Microsoft.Media.ContentKeyPolicy"


@pytest.fixture
def pywidevine() -> str:
    """A client that is not ours, run as the program that it is."""
    beside = Path(sys.executable).with_name("pywidevine")
    found = os.environ.get("PYWIDEVINE") or (str(beside) if beside.exists() else shutil.which("pywidevine"))
    if not found:
        missing = "pywidevine is not installed"
        pytest.fail(missing) if in_ci() else pytest.skip(missing)
    return found


def protected(mkio: Mkio, account, asset: str) -> dict:
    """A locator under Widevine with a token: its `listPaths` and its key."""
    name = account.name("drm")
    option = {
        "configuration": {"@odata.type": f"{ODATA}WidevineConfiguration", "widevineTemplate": "{}"},
        "restriction": {
            "@odata.type": f"{ODATA}TokenRestriction", "issuer": ISSUER, "audience": AUDIENCE, "restrictionTokenType": "Jwt",
            "primaryVerificationKey": {
                "@odata.type": f"{ODATA}SymmetricTokenKey", "keyValue": base64.b64encode(SECRET).decode(),
            },
        },
    }  # fmt: skip
    mkio.call("PUT", f"/contentKeyPolicies/{name}", {"properties": {"options": [option]}})
    protocols = {"download": False, "dash": True, "hls": False, "smoothStreaming": False}
    cenc = {"enabledProtocols": protocols, "contentKeys": {"defaultKey": {"label": "k"}}, "drm": {"widevine": {}}}
    mkio.call("PUT", f"/streamingPolicies/{name}", {"properties": {"commonEncryptionCenc": cenc}})
    locator = {"assetName": asset, "streamingPolicyName": name, "defaultContentKeyPolicyName": name}
    mkio.call("PUT", f"/streamingLocators/{name}", {"properties": locator})
    (key,) = mkio.call("POST", f"/streamingLocators/{name}/listContentKeys")["contentKeys"]
    return key


class Names:
    def name(self, kind: str) -> str:
        return f"{kind}-{uuid.uuid4().hex[:8]}"


def pssh(kid: bytes) -> str:
    data = b"\x12\x10" + kid
    body = bytes(4) + WIDEVINE.bytes + len(data).to_bytes(4, "big") + data
    return base64.b64encode((len(body) + 8).to_bytes(4, "big") + b"pssh" + body).decode()


def test_a_widevine_client_gets_its_licence_through_key_delivery(collector, installation, tmp_path, pywidevine):
    device = Device()
    keys: dict[bytes, bytes] = {}
    broken: list[tuple[int, bytes]] = []
    asleep = threading.Event()

    def answer_with(body: bytes) -> tuple[int, bytes]:
        if asleep.is_set():
            time.sleep(15)
        return broken[0] if broken else (200, licence(body, device, keys))

    server = LicenceServer(answer_with)
    configuration = tmp_path / "licences.json"
    backend = {"system": "Widevine", "url": f"{server.url}/proxy?kid={{ContentKeyId}}", "headers": {"x-api-key": "a-secret"}}
    configuration.write_text(json.dumps([backend]))
    connection = installation.start(f"--licence-config={configuration}")
    mkio = Mkio(connection)
    mkio.call("PUT", "/assets/film", {"properties": {}})
    key = protected(mkio, Names(), "film")
    kid, value = uuid.UUID(key["id"]), base64.b64decode(key["value"])
    # Whoever makes licences has the keys by a way of their own.
    keys[kid.bytes] = value

    (tmp_path / "key.pem").write_bytes(device.pem())
    (tmp_path / "client_id.bin").write_bytes(device.client_id)
    subprocess.run(
        [pywidevine, "create-device", "-t", "android", "-l", "3", "-k", "key.pem", "-c", "client_id.bin", "-o", "device.wvd"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    url = f"{connection.keysUrl}/Widevine/?kid={kid}"

    def client(address: str) -> subprocess.CompletedProcess:
        command = [pywidevine, "license", "device.wvd", pssh(kid.bytes), address]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    done = client(f"{url}&token={token()}")
    output = done.stdout + done.stderr
    assert f"{kid.hex}:{value.hex()}" in output, output
    ((path, headers, body),) = server.requests
    assert path == f"/proxy?kid={kid}"
    headers = {name.lower(): text for name, text in headers.items()}
    assert headers["x-api-key"] == "a-secret" and headers["content-type"] == "application/octet-stream"
    assert "authorization" not in headers, "a viewer's token is not for the licence server"
    # Nothing gets there without a token, nor with one for somebody else.
    for address in (url, f"{url}&token={token(aud='others')}"):
        refused = client(address)
        assert value.hex() not in refused.stdout + refused.stderr
    assert len(server.requests) == 1
    # What the licence server says of its troubles stays between us.
    http = player_session(connection)
    for status, words in ((500, b"stack trace"), (403, b"who are you"), (200, b"")):
        broken[:] = [(status, words)]
        answer = http.post(f"{url}&token={token()}", data=body, timeout=30)
        assert answer.status_code == 502 and (not words or words not in answer.content), answer.text
    broken[:] = [(200, b"opaque \x00 bytes")]
    answer = http.post(url, data=body, headers={"Authorization": f"Bearer {token()}"}, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"opaque \x00 bytes")
    assert answer.headers["cache-control"] == "no-store"
    # What no licence request can be goes no further.
    reached = len(server.requests)
    answer = http.post(f"{url}&token={token()}", data=bytes(65 * 1024), timeout=30)
    assert answer.status_code == 400 and len(server.requests) == reached, answer.text
    # Players give up after some ten seconds.
    asleep.set()
    begun = time.monotonic()
    answer = http.post(f"{url}&token={token()}", data=body, timeout=30)
    assert answer.status_code in (503, 504) and time.monotonic() - begun < 10, answer.text
    metrics = http.get(connection.metricsUrl, timeout=10).text
    server.close()
    answer = http.post(f"{url}&token={token()}", data=body, timeout=30)
    assert answer.status_code in (502, 504)
    installation.stop()
    log = Path(installation.log.name).read_text()
    # Keys, tokens and what opens the licence server are told to nobody who looks at logs, metrics or traces.
    spans = " ".join(f"{span} {span.said}" for span in collector.spans)
    assert any(span.name == "keys" for span in collector.spans) and "'/proxy'" in spans, spans
    hidden = ("a-secret", token()[:20], value.hex(), key["value"])
    for told in (log, metrics, spans):
        assert not any(secret in told for secret in hidden)
