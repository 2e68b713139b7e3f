"""The store in a bucket: what other S3 clients see of it, and what several stores on one bucket do to each other."""

import hashlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, ContentSettings
from conftest import REPOSITORY, S3_KEYS, Bucket, program, serving

MIB = 1 << 20


@contextmanager
def listening(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Relay(BaseHTTPRequestHandler):
    """In front of an S3 server, with faults of its own."""

    protocol_version = "HTTP/1.1"
    target: str
    dropped = ()
    away = False
    # Does the next request of which this is true, and says nothing.
    mute = None

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if type(self).away:
            return self.respond(503, {}, b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
        server = http.client.HTTPConnection(urlsplit(self.target).netloc)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in self.dropped}
        server.request(self.command, self.path, body, headers)
        answer = server.getresponse()
        content = answer.read()
        if (mute := type(self).mute) and mute[0](self):
            type(self).mute = None
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding", "content-length")]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.respond(answer.status, dict(kept), content, length)

    def respond(self, status, headers, body, length=None):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = relay

    def log_message(self, *_):
        pass


@contextmanager
def relayed(bucket, dropped=()):
    relay = type("Faulty", (Relay,), {"target": bucket.endpoint, "dropped": dropped})
    with listening(relay) as endpoint:
        yield relay, Bucket(endpoint, bucket.name)


@contextmanager
def store(tmp_path, bucket, name="store", *arguments, prefix="media", **options):
    with serving(tmp_path / name, *bucket.arguments(prefix), *arguments, in_bucket=True) as connection:
        with connection.service(**options) as service:
            yield service


def keys(bucket, prefix=""):
    pages = bucket.client().get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def eventually(holds, what, seconds=60):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def test_a_blob_is_an_object_that_other_clients_read(tmp_path, new_bucket):
    bucket = new_bucket()
    with store(tmp_path, bucket) as service:
        container = service.create_container("films")
        settings = ContentSettings(content_type="video/mp4", cache_control="no-store")
        container.upload_blob("a folder/fílm.mp4", b"pictures", content_settings=settings, metadata={"title": "x"})
        found = bucket.client().get_object(Bucket=bucket.name, Key="media/films/a folder/fílm.mp4")
        assert found["Body"].read() == b"pictures"
        assert (found["ContentType"], found["CacheControl"]) == ("video/mp4", "no-store")
        assert found["Metadata"]["title"] == "x"
        container.delete_blob("a folder/fílm.mp4")
        assert keys(bucket, "media/films/") == []


def test_what_other_clients_put_there_is_a_container(tmp_path, new_bucket):
    bucket = new_bucket()
    s3 = bucket.client()
    s3.put_object(Bucket=bucket.name, Key="films/2026/a.mp4", Body=b"0123456789", ContentType="video/mp4")
    s3.put_object(Bucket=bucket.name, Key="films/2026/", Body=b"")
    s3.put_object(Bucket=bucket.name, Key="Not A Container/b.mp4", Body=b"x")
    with store(tmp_path, bucket, prefix="") as service:
        assert [c.name for c in service.list_containers()] == ["films"]
        container = service.get_container_client("films")
        assert container.get_container_properties().name == "films"
        names = [b.name for b in container.list_blobs(name_starts_with="2026/a")]
        assert names == ["2026/a.mp4"]
        blob = container.get_blob_client("2026/a.mp4")
        assert blob.download_blob(offset=2, length=3).readall() == b"234"
        properties = blob.get_blob_properties()
        assert (properties.size, properties.content_settings.content_type) == (10, "video/mp4")
        with pytest.raises(ResourceExistsError):
            service.create_container("films")
        service.delete_container("films")
        eventually(lambda: keys(bucket) == ["Not A Container/b.mp4"], "the container is not emptied")
        service.create_container("films")


def test_blocks_of_every_size_become_one_object(tmp_path, new_bucket):
    bucket = new_bucket()
    sizes = [4 * MIB, 4 * MIB, 9 * MIB, 1, MIB, 20 * MIB, 3, 6 * MIB]
    blocks = [(f"{n:06}", os.urandom(size)) for n, size in enumerate(sizes)]
    digest = hashlib.sha256(b"".join(data for _, data in blocks)).hexdigest()
    with store(tmp_path, bucket) as service:
        container = service.create_container("films")
        blob = container.get_blob_client("film.mp4")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda block: blob.stage_block(*block), blocks))
        blob.commit_block_list([BlobBlock(id) for id, _ in blocks], metadata={"k": "v"})
        assert hashlib.sha256(blob.download_blob().readall()).hexdigest() == digest
        committed, uncommitted = blob.get_block_list("all")
        assert [(b.id, b.size) for b in committed] == [(id, len(data)) for id, data in blocks]
        assert uncommitted == [] and keys(bucket, "media/.headwater/blocks/") == []
        # The same commit again, as after a lost answer; then another order of what is there, with a new block.
        blob.commit_block_list([BlobBlock(id) for id, _ in blocks], metadata={"k": "v"})
        assert hashlib.sha256(blob.download_blob().readall()).hexdigest() == digest
        blob.stage_block("new000", b"new")
        blob.commit_block_list([BlobBlock(id) for id in ["new000", blocks[5][0], blocks[0][0]]])
        assert blob.download_blob().readall() == b"new" + blocks[5][1] + blocks[0][1]
        assert len(keys(bucket, "media/.headwater/lists/")) == 1
        blob.delete_blob()
        assert keys(bucket, "media/.headwater/lists/") == []


def test_a_large_blob_goes_up_in_parts_and_keeps_its_checksum(tmp_path, new_bucket):
    bucket = new_bucket()
    data = os.urandom(40 * MIB + 5)
    with store(tmp_path, bucket, max_single_put_size=64 * MIB) as service:
        container = service.create_container("films")
        blob = container.upload_blob("film.mp4", data)
        properties = blob.get_blob_properties()
        assert properties.size == len(data)
        assert bytes(properties.content_settings.content_md5) == hashlib.md5(data).digest()
        assert blob.download_blob(offset=17 * MIB, length=5).readall() == data[17 * MIB :][:5]
        blob.set_blob_metadata({"k": "v"})
        assert hashlib.sha256(blob.download_blob().readall()).digest() == hashlib.sha256(data).digest()
    assert bucket.client().list_multipart_uploads(Bucket=bucket.name).get("Uploads", []) == []


def test_two_stores_on_one_bucket_lose_no_write(tmp_path, new_bucket):
    bucket = new_bucket()
    with store(tmp_path, bucket, "one") as one, store(tmp_path, bucket, "two") as two:
        one.create_container("films")
        clients = [service.get_container_client("films") for service in (one, two)]
        with pytest.raises(ResourceExistsError):
            two.create_container("films")

        def create(n):
            try:
                clients[n % 2].upload_blob(f"only-{n // 4}", f"{n}".encode())
                return 1
            except ResourceExistsError:
                return 0

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(create, range(40))) == 10

        clients[0].upload_blob("counter", b"0")

        def count(n):
            blob = clients[n % 2].get_blob_client("counter")
            while True:
                read = blob.download_blob()
                try:
                    next = str(int(read.readall()) + 1).encode()
                    condition = {"etag": read.properties.etag, "match_condition": MatchConditions.IfNotModified}
                    return blob.upload_blob(next, overwrite=True, **condition)
                except ResourceModifiedError:
                    continue

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(count, range(30)))
        assert clients[1].download_blob("counter").readall() == b"30"

        # Blocks through one, their commit through the other.
        clients[0].get_blob_client("film").stage_block("000000", b"block")
        clients[1].get_blob_client("film").commit_block_list([BlobBlock("000000")])
        assert clients[0].download_blob("film").readall() == b"block"


def test_a_deleted_container_keeps_its_name_until_it_is_empty(tmp_path, new_bucket):
    bucket = new_bucket()
    mark = "media/.headwater/deleting/films"
    with store(tmp_path, bucket, "one", retry_total=0) as service:
        container = service.create_container("films")
        container.upload_blob("a", b"x")
        # Another store began to delete it and was killed.
        bucket.client().put_object(Bucket=bucket.name, Key=mark, Body=b"")
        bucket.client().delete_object(Bucket=bucket.name, Key="media/.headwater/containers/films/created")
        assert [c.name for c in service.list_containers()] == []
        with pytest.raises(ResourceNotFoundError):
            container.upload_blob("b", b"x")
        with pytest.raises(HttpResponseError) as refused:
            service.create_container("films")
        assert refused.value.error_code == "ContainerBeingDeleted"
    with store(tmp_path, bucket, "two") as service:
        eventually(lambda: keys(bucket) == [], "nobody went on with the deletion")
        service.create_container("films")


def test_containers_page_whether_created_or_found(tmp_path, new_bucket):
    bucket = new_bucket()
    for n in range(0, 25, 2):
        bucket.client().put_object(Bucket=bucket.name, Key=f"media/list-{n:02}/blob", Body=b"x")
    with store(tmp_path, bucket) as service:
        for n in range(1, 25, 2):
            service.create_container(f"list-{n:02}", metadata={"n": str(n)})
        pages = service.list_containers(name_starts_with="list-", results_per_page=4, include_metadata=True).by_page()
        pages = [list(page) for page in pages]
        assert [len(page) for page in pages] == [4] * 6 + [1]
        listed = [c for page in pages for c in page]
        assert [c.name for c in listed] == [f"list-{n:02}" for n in range(25)]
        assert [c.metadata.get("n") for c in listed if c.metadata] == [str(n) for n in range(1, 25, 2)]


def test_what_is_written_is_told_of(tmp_path, new_bucket):
    told = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self):
            told.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    bucket = new_bucket()
    with listening(Sink) as url, store(tmp_path, bucket, "store", "--events-url", url) as service:
        container = service.create_container("uploads")
        container.upload_blob("a/film.mp4", b"pictures")
        container.upload_blob("a/.headwater/index", b"ours")
        container.delete_blob("a/film.mp4")
        eventually(lambda: len(told) == 2, told)
    assert [event["eventType"] for event in told] == ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"]
    assert told[0]["subject"].endswith("/containers/uploads/blobs/a/film.mp4")
    assert told[0]["data"]["contentLength"] == 8


def test_a_bucket_that_is_away_is_busy_and_nothing_is_lost(tmp_path, new_bucket):
    bucket = new_bucket()
    with relayed(bucket) as (relay, seen), store(tmp_path, seen, retry_total=0) as service:
        container = service.create_container("films")
        container.upload_blob("before", b"x")
        relay.away = True
        for call in (
            lambda: container.upload_blob("after", b"x"),
            lambda: container.download_blob("before"),
            lambda: list(container.list_blobs()),
        ):
            with pytest.raises(HttpResponseError) as failed:
                call()
            assert (failed.value.status_code, failed.value.error_code) == (503, "ServerBusy")
        relay.away = False
        container.upload_blob("after", b"x")
        assert [b.name for b in container.list_blobs()] == ["after", "before"]


def test_a_write_whose_answer_is_lost_is_no_other_writers(tmp_path, new_bucket):
    """The store asks again and finds what it wrote itself: who made a condition must not take it for somebody else's."""
    bucket = new_bucket()
    with relayed(bucket) as (relay, seen), store(tmp_path, seen, retry_total=0, max_single_put_size=64 * MIB) as service:

        def lost(method, word):
            relay.mute = [lambda asked: asked.command == method and word in asked.path]

        container = service.create_container("films")
        lost("PUT", "/only")
        container.upload_blob("only", b"first")
        assert relay.mute is None and container.download_blob("only").readall() == b"first"
        with pytest.raises(ResourceExistsError):
            container.upload_blob("only", b"second")

        etag = container.get_blob_client("only").get_blob_properties().etag
        same = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        lost("PUT", "/only")
        container.upload_blob("only", b"third", overwrite=True, **same)
        assert relay.mute is None and container.download_blob("only").readall() == b"third"
        with pytest.raises(ResourceModifiedError):
            container.upload_blob("only", b"fourth", overwrite=True, **same)

        data = os.urandom(20 * MIB)
        lost("POST", "uploadId=")
        container.upload_blob("whole", data)
        assert relay.mute is None and container.download_blob("whole").readall() == data

        blob = container.get_blob_client("blocks")
        blob.stage_block("000000", data)
        lost("POST", "uploadId=")
        blob.commit_block_list([BlobBlock("000000")], match_condition=MatchConditions.IfMissing)
        assert relay.mute is None and blob.download_blob().readall() == data
        assert [(b.id, b.size) for b in blob.get_block_list()[0]] == [("000000", len(data))]


def refusal(tmp_path, bucket):
    """What a store says that does not start."""
    command = [*program(), "--root", str(tmp_path / "refused"), "--port", "0", *bucket.arguments()]
    ended = subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **S3_KEYS}, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    return ended.stderr


@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_a_store_that_takes_no_heed_of_conditions_is_refused(tmp_path, new_bucket, header):
    with relayed(new_bucket(), dropped=(header,)) as (_, heedless):
        said = refusal(tmp_path, heedless)
    assert f"takes no heed of {header.title()}" in said, said


def test_a_bucket_that_is_not_there_is_named_by_its_server(tmp_path, s3_server):
    assert "NoSuchBucket" in refusal(tmp_path, Bucket(s3_server, "nowhere"))
