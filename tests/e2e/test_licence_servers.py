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
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

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


def by_token(configuration: dict) -> dict:
    """An option of a content key policy."""
    return {
        "configuration": configuration,
        "restriction": {
            "@odata.type": f"{ODATA}TokenRestriction", "issuer": ISSUER, "audience": AUDIENCE, "restrictionTokenType": "Jwt",
            "primaryVerificationKey": {
                "@odata.type": f"{ODATA}SymmetricTokenKey", "keyValue": base64.b64encode(SECRET).decode(),
            },
        },
    }  # fmt: skip


def locator(mkio: Mkio, name: str, asset: str, options: list[dict], policy: dict) -> dict[str, dict]:
    """Makes a locator with policies of its name. Returns its keys by label."""
    mkio.call("PUT", f"/contentKeyPolicies/{name}", {"properties": {"options": options}})
    mkio.call("PUT", f"/streamingPolicies/{name}", {"properties": policy})
    made = {"assetName": asset, "streamingPolicyName": name, "defaultContentKeyPolicyName": name}
    mkio.call("PUT", f"/streamingLocators/{name}", {"properties": made})
    keys = mkio.call("POST", f"/streamingLocators/{name}/listContentKeys")["contentKeys"]
    return {key["labelReferenceInStreamingPolicy"]: key for key in keys}


def encryption(label: str, drm: dict, **protocols: bool) -> dict:
    enabled = {name: protocols.get(name, False) for name in ("download", "dash", "hls", "smoothStreaming")}
    return {"enabledProtocols": enabled, "contentKeys": {"defaultKey": {"label": label}}, "drm": drm}


def protected(mkio: Mkio, account, asset: str) -> dict:
    """The key of a locator under Widevine with a token."""
    option = by_token({"@odata.type": f"{ODATA}WidevineConfiguration", "widevineTemplate": "{}"})
    policy = {"commonEncryptionCenc": encryption("k", {"widevine": {}}, dash=True)}
    return locator(mkio, account.name("drm"), asset, [option], policy)["k"]


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
            time.sleep(30)
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
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)

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
    answer = http.post(f"{url}&token={token()}", data=body, timeout=60)
    # A busy machine may take as long again; the licence server takes half a minute.
    assert answer.status_code in (503, 504) and time.monotonic() - begun < 20, answer.text
    metrics = http.get(connection.metricsUrl, timeout=60).text
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


PLAYREADY = {
    "@odata.type": f"{ODATA}PlayReadyConfiguration",
    "licenses": [{
        "allowTestDevices": True, "licenseType": "NonPersistent", "contentType": "Unspecified",
        "contentKeyLocation": {"@odata.type": f"{ODATA}PlayReadyContentEncryptionKeyFromHeader"},
    }],
}  # fmt: skip


def acquire_licence(kid: uuid.UUID, custom: str = "") -> bytes:
    """A client's message, as far as anybody but Microsoft's server reads it: SOAP around a challenge with a header."""
    header = (
        '<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="4.0.0.0"><DATA><PROTECTINFO>'
        "<KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO>"
        f"<KID>{base64.b64encode(kid.bytes_le).decode()}</KID></DATA></WRMHEADER>"
    )
    challenge = (
        '<Challenge xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols/messages"><LA><Version>1</Version>'
        f"<ContentHeader>{header}</ContentHeader>{custom}<Nonce>{base64.b64encode(os.urandom(16)).decode()}</Nonce></LA></Challenge>"
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        '<AcquireLicense xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols">'
        f"<challenge>{challenge}</challenge></AcquireLicense></soap:Body></soap:Envelope>"
    ).encode()


def test_playready_and_fairplay_messages_are_carried_through_key_delivery(installation, tmp_path):
    said: dict[str, tuple] = {}
    servers = {system: LicenceServer(lambda _, system=system: said[system]) for system in ("PlayReady", "FairPlay")}
    configuration = tmp_path / "licences.json"
    configuration.write_text(json.dumps([
        {"system": "PlayReady", "url": f"{servers['PlayReady'].url}/rightsmanager.asmx", "headers": {"x-api-key": "a-secret"}},
        {"system": "FairPlay", "url": f"{servers['FairPlay'].url}/ckc?asset={{ContentKeyId}}", "wrapping": "form"},
    ]))  # fmt: skip
    connection = installation.start(f"--licence-config={configuration}")
    mkio, http = Mkio(connection), player_session(connection)
    mkio.call("PUT", "/assets/film", {"properties": {}})
    fairplay = {
        "@odata.type": f"{ODATA}FairPlayConfiguration", "ask": base64.b64encode(bytes(16)).decode(), "fairPlayPfx": "AAAA",
        "fairPlayPfxPassword": "none", "rentalAndLeaseKeyType": "Undefined", "rentalDuration": 0,
    }  # fmt: skip
    policy = {
        "commonEncryptionCenc": encryption("pr", {"playReady": {}}, dash=True, smoothStreaming=True),
        "commonEncryptionCbcs": encryption("fp", {"fairPlay": {"allowPersistentLicense": False}}, hls=True),
    }
    keys = locator(mkio, Names().name("drm"), "film", [by_token(PLAYREADY), by_token(fairplay)], policy)
    good = {"Authorization": f"Bearer {token()}"}

    def refused(address: str, body: bytes, server: LicenceServer) -> None:
        reached = len(server.requests)
        assert http.post(address, data=body, timeout=30).status_code == 401
        wrong = {"Authorization": f"Bearer {token(aud='others')}"}
        assert http.post(address, data=body, headers=wrong, timeout=30).status_code == 401
        assert len(server.requests) == reached, "nothing gets there without a token, nor with one for somebody else"

    # PlayReady: every byte as the client sent it, the licence as the server sent it.
    kid, server = uuid.UUID(keys["pr"]["id"]), servers["PlayReady"]
    address, message = f"{connection.keysUrl}/PlayReady/", acquire_licence(kid)
    refused(address, message, server)
    said["PlayReady"] = (200, b"<soap>a licence \xc3\xa9</soap>", "text/xml; charset=utf-8")
    answer = http.post(address, data=message, headers=good, timeout=30)
    assert (answer.status_code, answer.content) == (200, said["PlayReady"][1])
    assert answer.headers["content-type"].startswith("text/xml") and answer.headers["cache-control"] == "no-store"
    path, headers, body = server.requests[-1]
    headers = {name.lower(): text for name, text in headers.items()}
    assert (path, body, headers["x-api-key"]) == ("/rightsmanager.asmx", message, "a-secret")
    assert headers["soapaction"] == '"http://schemas.microsoft.com/DRM/2007/03/protocols/AcquireLicense"'
    assert headers["content-type"].startswith("text/xml") and "authorization" not in headers
    # For clients that cannot add a header the token is custom data.
    inner = f"<Access><Data><Token>{token()}</Token></Data></Access>"
    custom = acquire_licence(kid, f"<CustomData>{escape(inner)}</CustomData>")
    assert http.post(address, data=custom, timeout=30).status_code == 200
    # A fault tells the client what to do first, and is for it; anything else of the server's is not.
    said["PlayReady"] = (500, b"<soap:Fault>0x8004c065</soap:Fault>", "text/xml")
    answer = http.post(address, data=message, headers=good, timeout=30)
    assert (answer.status_code, answer.content) == (500, said["PlayReady"][1])
    for bad in ((500, b"stack trace", "text/html"), (403, b"who are you", "text/xml"), (200, b"", "text/xml")):
        said["PlayReady"] = bad
        answer = http.post(address, data=message, headers=good, timeout=30)
        assert answer.status_code == 502 and (not bad[1] or bad[1] not in answer.content), answer.text
    reached = len(server.requests)
    for malformed in (b"", b"challenge", message[:-20], acquire_licence(kid).replace(b"WRMHEADER", b"OTHER"), message + bytes(65 * 1024)):
        assert http.post(address, data=malformed, headers=good, timeout=30).status_code == 400, malformed[:80]
    assert http.post(address, data=acquire_licence(uuid.uuid4()), headers=good, timeout=30).status_code == 401
    assert len(server.requests) == reached

    # FairPlay: the context as AMS players send it, as a form for the server, and its answer as AMS players read it.
    kid, server, spc = uuid.UUID(keys["fp"]["id"]), servers["FairPlay"], os.urandom(700)
    address = f"{connection.keysUrl}/FairPlay/?kid={kid}"
    form = {"spc": base64.b64encode(spc).decode(), "assetId": str(kid)}
    refused(address, b"spc=AAAA", server)
    ckc = os.urandom(300)
    for carried in (f"<ckc>{base64.b64encode(ckc).decode()}</ckc>", base64.b64encode(ckc).decode()):
        said["FairPlay"] = (200, carried.encode(), "text/plain")
        for body in (form, spc):
            answer = http.post(address, data=body, headers=good, timeout=30)
            assert (answer.status_code, answer.text) == (200, f"<ckc>{base64.b64encode(ckc).decode()}</ckc>")
            path, headers, got = server.requests[-1]
            assert path == f"/ckc?asset={kid}"
            sent = {name: values[0] for name, values in parse_qs(got.decode()).items()}
            assert base64.b64decode(sent["spc"]) == spc and sent["assetId"] == str(kid)
    for bad in ((500, b"stack trace"), (200, b""), (200, b"<ckc></ckc>"), (200, b"<ckc>no base64!</ckc>"), (302, b"elsewhere")):
        said["FairPlay"] = bad
        answer = http.post(address, data=form, headers=good, timeout=30)
        assert answer.status_code == 502 and (not bad[1] or bad[1] not in answer.content), answer.text
    for server in servers.values():
        server.close()
    assert http.post(address, data=form, headers=good, timeout=30).status_code in (502, 504)
    installation.stop()
    log = Path(installation.log.name).read_text()
    assert not any(secret in log for secret in ("a-secret", token()[:20], keys["pr"]["value"], keys["fp"]["value"]))
