"""An installation whose blobs are in a bucket of somebody else's S3 server."""

from __future__ import annotations

import base64
import json
import subprocess
import time
import uuid
from contextlib import ExitStack

import pytest
import requests
from azure.storage.blob import ContainerClient

import media
from headwater import Account, Mkio, needs_binary, player_session
from installation import Installation
from processes import free_port
from receiver import eventually
from s3 import ACCESS_KEY, SECRET_KEY
from s3 import client as s3client
from s3 import server as s3server

FOLDER = "headwater"



@pytest.fixture(scope="module")
def server():
    with s3server() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def s3(server):
    return s3client(server)


def settings(server, bucket):
    return [
        f"--s3-url={server}",
        f"--s3-bucket={bucket}",
        f"--s3-folder={FOLDER}",
        f"--s3-access-key={ACCESS_KEY}",
        f"--s3-secret-key={SECRET_KEY}",
    ]


@pytest.fixture(scope="module")
def bucket(server, s3):
    name = f"media-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def in_bucket(tmp_path_factory, server, bucket):
    made = Installation(tmp_path_factory.mktemp("bucket"))
    made.start("--no-ingest", *settings(server, bucket))
    yield made
    made.stop()
    made.log.close()


def keys(s3, bucket, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{FOLDER}/{prefix}")
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def frames(http, published, folder):
    variant = next(r for r in media.read_master(http, published.hls) if r.kind == "video")
    playlist = media.read_media_playlist(http, variant.url)
    file = media.download(http, [playlist.init, *(s.url for s in playlist.segments)], folder / "v.mp4", "video")
    return media.read_counter(file)


def encoded(account, stem):
    """The published output of the upload rule for a file."""
    deadline = time.monotonic() + 120
    while True:
        found = account.client.assets.list(*account.where, filter=f"name ge '{stem}' and name lt '{stem}~'")
        outputs = [asset for asset in found if not asset.name.endswith("-source")]
        if outputs:
            break
        assert time.monotonic() < deadline, "no job started"
        time.sleep(0.5)
    (output,) = outputs
    rule = next(r for r in Mkio(account.connection).call("GET", "/uploadRules")["value"] if r["properties"]["container"] == "uploads")
    ended = account.wait(rule["properties"]["transformName"], output.name)
    assert ended.state == "Finished", ended.outputs[0].error
    (locator,) = account.client.assets.list_streaming_locators(*account.where, output.name).streaming_locators
    return output, account.published(locator.name, output.name, str(locator.streaming_locator_id))


def told_by_s3(installation, bucket, key, file):
    """What comes of a notification of S3's."""
    secret = json.loads((installation.data / "secrets.json").read_text())["eventSecret"]
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-29T09:00:00.000Z",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": file.stat().st_size, "sequencer": "0055AED6DCD90281E5"}},
    }
    url = f"{installation.connection().apiUrl}/events/storage"
    answer = requests.post(url, json={"Records": [record]}, headers={"Authorization": f"Bearer {secret}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_dropped_file_plays_from_the_bucket_also_after_a_restart(in_bucket, server, s3, bucket, counted, tmp_path):
    connection = in_bucket.connection()
    account, http = Account(connection), player_session(connection)
    stem = f"drop{uuid.uuid4().hex[:8]}"
    uploads = ContainerClient.from_connection_string(connection.blobConnectionString, "uploads")
    with counted.open("rb") as file:
        uploads.upload_blob(f"{stem}.mp4", file)
    assert keys(s3, bucket, "uploads/") == [f"{FOLDER}/uploads/{stem}.mp4"]
    output, published = encoded(account, stem)
    assert frames(http, published, tmp_path) == list(range(300))
    # S3 tells of it as well, and it is known in this version.
    told = told_by_s3(in_bucket, bucket, f"{FOLDER}/uploads/{stem}.mp4", counted)
    assert (told["started"], told["ignored"]) == (0, 1), told
    made = keys(s3, bucket, f"{output.container}/")
    assert any(key.endswith(".mp4") for key in made), made
    # What an upload needed on the way is let go of when it is done, or a moment later.
    eventually(lambda: not list((in_bucket.data / "bucket/scratch").iterdir()))
    in_bucket.stop()
    connection = in_bucket.start("--no-ingest", *settings(server, bucket))
    again = Account(connection).published(published.locator, output.name, published.locator_id)
    assert frames(player_session(connection), again, tmp_path) == list(range(300))


def test_what_another_client_put_there_starts_a_job_when_s3_tells(in_bucket, s3, bucket, counted, tmp_path):
    connection = in_bucket.connection()
    stem = f"theirs{uuid.uuid4().hex[:8]}"
    key = f"{FOLDER}/uploads/{stem}.mp4"
    s3.upload_file(str(counted), bucket, key)
    told = told_by_s3(in_bucket, bucket, key, counted)
    assert told["started"] == 1, told
    assert told_by_s3(in_bucket, bucket, key, counted)["duplicate"] == 1
    _, published = encoded(Account(connection), stem)
    assert frames(player_session(connection), published, tmp_path) == list(range(300))


def test_an_assets_container_goes_with_it(in_bucket, s3, bucket, counted):
    account = Account(in_bucket.connection())
    asset = account.upload(counted)
    container = account.client.assets.get(*account.where, asset).container
    assert keys(s3, bucket, f"{container}/")
    account.client.assets.delete(*account.where, asset)
    deadline = time.monotonic() + 120
    while keys(s3, bucket, f"{container}/"):
        assert time.monotonic() < deadline, "objects of a deleted asset are still there"
        time.sleep(0.2)


def refusal(folder, *arguments):
    ended = subprocess.run(
        [needs_binary(), "up", "--no-demo", f"--data={folder}", "--listen=:0", "--blob-listen=:0", "--metrics-listen=:0", *arguments],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return ended.returncode, ended.stderr


def test_settings_of_a_bucket_that_cannot_be_used_are_named(server, tmp_path):
    code, said = refusal(tmp_path, *settings(server, "nowhere"))
    assert (code, "--s3-bucket (HEADWATER_S3_BUCKET)" in said, "NoSuchBucket" in said) == (78, True, True), said
    code, said = refusal(tmp_path, *settings("http://127.0.0.1:9", "media"))
    assert (code, "--s3-url (HEADWATER_S3_URL)" in said) == (69, True), said
    code, said = refusal(tmp_path, "--s3-bucket=media")
    assert (code, "--s3-access-key (HEADWATER_S3_ACCESS_KEY)" in said) == (78, True), said
    code, said = refusal(tmp_path, "--s3-bucket=media", "--s3-credentials-command=exit 3")
    assert (code, "--s3-credentials-command" in said, "exit status: 3" in said) == (69, True, True), said


def test_a_store_is_not_ready_while_its_bucket_is_away(tmp_path):
    there = ExitStack()
    url = there.enter_context(s3server())
    s3client(url).create_bucket(Bucket="media")
    health, blobs = free_port(), free_port()
    key = base64.b64encode(b"k" * 64).decode()
    command = [needs_binary(), "blobstore", f"--data={tmp_path}", f"--blob-listen=127.0.0.1:{blobs}", f"--health-listen=127.0.0.1:{health}",
               f"--storage-key={key}", *settings(url, "media")]  # fmt: skip

    def asked(path):
        try:
            answer = requests.get(f"http://127.0.0.1:{health}{path}", timeout=60)
            return answer.status_code, answer.text
        except requests.ConnectionError:
            return 0, ""

    def in_the_end(status):
        deadline = time.monotonic() + 120
        while (said := asked("/readyz"))[0] != status:
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        return said[1]

    store = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        in_the_end(200)
        there.close()
        assert "storage" in in_the_end(503)
        assert asked("/livez")[0] == 200
    finally:
        there.close()
        store.terminate()
        assert store.wait(timeout=120) == 0
