"""Taking over what was exported from Azure Media Services: containers that are there become assets, locators keep their ids,
content keys their values, a live archive plays, and nothing is made before somebody says so."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import uuid
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError

import media
from headwater import Account, Mkio, in_ci

TFXD = bytes.fromhex("6d1d9b0542d544e680e2141daff757b2")


def boxes(data: bytes):
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at : at + length]
        at += length


def archived(file: Path) -> dict[str, bytes]:
    """A fragmented file as live archives of AMS are: `header`, and a blob for each fragment, named by its `tfxd` time."""
    blobs, header, moof, time = {}, b"", b"", 0
    for kind, data in boxes(file.read_bytes()):
        if kind in (b"ftyp", b"moov"):
            header += data
        elif kind == b"moof":
            at = data.index(TFXD)
            moof, (time,) = data, struct.unpack(">Q", data[at + 20 : at + 28])
        elif kind == b"mdat":
            blobs[str(time)] = moof + data
    return {"header": header, **blobs}


def ffmpeg(*args) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, args)], check=True)


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("import")
    media.make_counted(folder / "film.mp4", seconds=12)
    return folder / "film.mp4"


@pytest.fixture
def container(account: Account):
    """A container as an export names it, and a client for it. An asset that made it gives the signature, and stays, as AMS's own
    assets over one container did."""
    made = account.new_asset("exported")
    return account.client.assets.get(*account.where, made).container, account.container(made)


def run_import(mkio: Mkio, document: dict, apply: bool = False) -> list[dict]:
    answer = mkio.call("POST", "/import", {**document, "dryRun": not apply}, expect=(200,))
    assert answer["dryRun"] is not apply
    return answer["items"]


def outcomes(items: list[dict]) -> list[tuple[str, str]]:
    return [(item["kind"], item["outcome"]) for item in items]


def frames(url: str, connection) -> list[str]:
    tls = ["-ca_file", connection.caFile] if connection.get("caFile") else []
    command = ["ffmpeg", "-v", "error", *tls, "-i", url, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split(",")[5].strip() for line in text.splitlines() if not line.startswith("#")]


def local_frames(path: Path) -> list[str]:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split(",")[5].strip() for line in text.splitlines() if not line.startswith("#")]


def test_an_export_is_reported_on_and_then_taken_over(account, mkio, container, film, connection):
    name, client = container
    with film.open("rb") as file:
        client.upload_blob("film.mp4", file)
    client.upload_blob("film_manifest.xml", b"<encoder/>")
    asset_id, locator_id, key_id = (str(uuid.uuid4()) for _ in range(3))
    key = base64.b64encode(os.urandom(16)).decode()
    asset, locator, policy = account.name("taken"), account.name("loc"), account.name("keys")
    # `az ams ... list`, with the keys of `list-content-keys` put in.
    document = {
        "contentKeyPolicies": [{
            "name": policy, "id": "/subscriptions/x", "etag": None, "description": "open", "policyId": str(uuid.uuid4()),
            "options": [{
                "name": None, "policyOptionId": str(uuid.uuid4()),
                "configuration": {"odataType": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
                "restriction": {"odataType": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
            }],
        }],
        "streamingPolicies": [{"name": "Predefined_ClearKey", "type": "x"}],
        "assets": [{
            "name": asset, "assetId": asset_id, "alternateId": "42", "container": name, "description": None,
            "storageEncryptionFormat": "None", "type": "Microsoft.Media/mediaservices/assets",
        }],
        "streamingLocators": [{
            "name": locator, "assetName": asset, "streamingPolicyName": "Predefined_ClearKey",
            "streamingLocatorId": locator_id, "defaultContentKeyPolicyName": policy, "endTime": "9999-12-31T23:59:59.999999+00:00",
            "contentKeys": {"contentKeys": [{
                "id": key_id, "type": "EnvelopeEncryption", "value": key,
                "labelReferenceInStreamingPolicy": "ContentKey_AES", "policyName": policy, "tracks": [],
            }]},
        }],
    }
    report = run_import(mkio, document)
    assert outcomes(report) == [
        ("ContentKeyPolicy", "WouldCreate"),
        ("StreamingPolicy", "Exists"),
        ("Asset", "WouldCreate"),
        ("StreamingLocator", "WouldCreate"),
    ], report
    assert report[2]["serverManifest"] == "film.ism"
    assert {track["type"] for track in report[2]["streaming"]["tracks"]} == {"Video", "Audio"}
    assert any(locator_id in path for path in report[3]["paths"])
    # Nothing is there yet.
    with pytest.raises(ResourceNotFoundError):
        account.client.assets.get(*account.where, asset)
    assert not client.get_blob_client("film.ism").exists()

    made = run_import(mkio, document, apply=True)
    assert [outcome for _, outcome in outcomes(made)] == ["Created", "Exists", "Created", "Created"], made
    assert {outcome for _, outcome in outcomes(run_import(mkio, document, apply=True))} == {"Exists"}
    found = account.client.assets.get(*account.where, asset)
    assert (str(found.asset_id), found.alternate_id, found.container) == (asset_id, "42", name)
    (kept,) = account.client.streaming_locators.list_content_keys(*account.where, locator).content_keys
    assert (str(kept.id), kept.value, kept.policy_name) == (key_id, key, policy)
    assert b'<video src="film.mp4"' in client.download_blob("film.ism").readall()
    url = f"{connection.streamingUrl}/{locator_id}/film.ism/manifest(format=m3u8-cmaf,encryption=cbc)"
    assert frames(url, connection) == local_frames(film)


def test_an_archive_of_a_live_event_is_taken_over(account, mkio, container, film, connection, tmp_path):
    name, client = container
    for track, args in (("video", ["-movflags", "frag_keyframe"]), ("audio", ["-frag_duration", "2000000"])):
        out = tmp_path / f"{track}.ismv"
        ffmpeg("-i", film, "-map", f"0:{track[0]}", "-c", "copy", "-output_ts_offset", "100000", *args, "-f", "ismv", out)
        for blob, data in archived(out).items():
            client.upload_blob(f"live-{track}/{blob}", data)
    client.upload_blob("live.ism", b"""<?xml version="1.0" encoding="utf-8"?>
        <smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="vod-fmp4"/></head><body><switch>
        <video src="live-video" systemBitrate="300000"><param name="trackName" value="video"/></video>
        <audio src="live-audio" systemBitrate="96000"><param name="trackName" value="audio"/></audio>
        <audio src="lost" systemBitrate="64000"><param name="trackName" value="lost"/></audio>
        </switch></body></smil>""")
    asset, locator_id = account.name("archive"), str(uuid.uuid4())
    document = {
        "assets": [{"name": asset, "properties": {"container": name}}],
        "streamingLocators": [{"name": account.name("loc"), "properties": {
            "assetName": asset, "streamingPolicyName": "Predefined_ClearStreamingOnly", "streamingLocatorId": locator_id}}],
    }
    made = run_import(mkio, document, apply=True)
    assert [outcome for _, outcome in outcomes(made)] == ["Created", "Created"], made
    assert [left["fileName"] for left in made[0]["streaming"]["leftOut"]] == ["lost/header"]
    assert mkio.call("GET", f"/assets/{asset}/streaming")["tracks"] == made[0]["streaming"]["tracks"]
    for form in ("m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3"):
        url = f"{connection.streamingUrl}/{locator_id}/live.ism/manifest(format={form})"
        assert frames(url, connection) == local_frames(film), form


def test_what_cannot_be_imported_is_said(account, mkio, container):
    name, client = container
    client.upload_blob("notes.txt", b"nothing to play")
    document = {
        "assets": [
            {"name": "encrypted", "container": name, "storageEncryptionFormat": "MediaStorageClientEncryption"},
            {"name": "nowhere", "container": f"none-{uuid.uuid4()}"},
            {"name": "text", "container": name},
        ],
        "streamingLocators": [
            {"name": "a", "assetName": "other", "streamingPolicyName": "Predefined_ClearStreamingOnly"},
            {"name": "b", "assetName": "text", "streamingPolicyName": "missing"},
            {"name": "c", "assetName": "text", "streamingPolicyName": "Predefined_ClearStreamingOnly"},
        ],
    }
    items = run_import(mkio, document)
    assert [item["outcome"] for item in items] == ["Refused", "Refused", "WouldCreate", "Refused", "Refused", "WouldCreate"]
    assert "encrypted in storage" in items[0]["reason"] and "empty or not there" in items[1]["reason"]
    assert items[2]["streaming"]["tracks"] == []
    assert items[5]["warnings"] == [
        "There is no streamingLocatorId: the locator gets a new one, and old URLs end.",
        "Nothing in the asset plays.",
    ]


def test_the_command_reports_and_imports(account, container, film, connection, tmp_path):
    binary = os.environ.get("HEADWATER_BINARY")
    if not binary:
        missing = "HEADWATER_BINARY names no binary to run"
        pytest.fail(missing) if in_ci() else pytest.skip(missing)
    name, client = container
    with film.open("rb") as file:
        client.upload_blob("film.mp4", file)
    asset = account.name("taken")
    export = tmp_path / "export.json"
    export.write_text(json.dumps({"assets": [{"name": asset, "container": name}]}))
    data = connection.path.parent

    def command(*args):
        return subprocess.run([binary, "import", export, "--data", data, *args], capture_output=True, text=True)

    report = command()
    assert report.returncode == 0, report.stderr
    assert f"WouldCreate {asset}" in report.stdout and "Nothing was made" in report.stdout
    with pytest.raises(ResourceNotFoundError):
        account.client.assets.get(*account.where, asset)
    made = command("--apply", "--json")
    assert made.returncode == 0, made.stderr
    assert [item["outcome"] for item in json.loads(made.stdout)["items"]] == ["Created"]
    export.write_text(json.dumps({"assets": [{"name": account.name("no"), "container": "none-there"}]}))
    assert command().returncode != 0
