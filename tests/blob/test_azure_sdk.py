"""The embedded blob store, driven by the unmodified azure-storage-blob client."""

import hashlib
import os
import time
from datetime import datetime, timedelta, timezone

import pytest
import requests
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    AccountSasPermissions,
    BlobBlock,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ContentSettings,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)


def soon(minutes=10):
    return datetime.now(timezone.utc) + timedelta(minutes=minutes)


def container_sas_url(connection, container, permissions, **changes):
    arguments = {"expiry": soon(), "permission": ContainerSasPermissions.from_string(permissions), **changes}
    key = arguments.pop("key", connection.key)
    sas = generate_container_sas(connection.account, container.container_name, account_key=key, **arguments)
    return f"{container.url}?{sas}"


def with_sas(connection, container, permissions, **changes):
    url = container_sas_url(connection, container, permissions, **changes)
    return ContainerClient.from_container_url(url, retry_total=0)


# ---- containers


def test_containers_are_created_listed_and_deleted(service):
    names = [f"list-{i:02}-{os.getpid()}" for i in range(7)]
    for name in names:
        service.create_container(name, metadata={"kind": "test"})
    with pytest.raises(ResourceExistsError):
        service.create_container(names[0])
    pages = list(service.list_containers(name_starts_with="list-", results_per_page=3, include_metadata=True).by_page())
    pages = [list(page) for page in pages]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [c.name for page in pages for c in page] == names
    assert pages[0][0].metadata == {"kind": "test"}
    properties = service.get_container_client(names[0]).get_container_properties()
    assert properties.etag and properties.last_modified and properties.metadata == {"kind": "test"}
    for name in names:
        service.delete_container(name)
    with pytest.raises(ResourceNotFoundError):
        service.get_container_client(names[0]).get_container_properties()
    assert not service.get_container_client(names[0]).exists()
    service.create_container(names[0])  # at once, unlike in Azure
    service.delete_container(names[0])


# ---- writing and reading


def test_a_blob_reads_as_it_was_written(container):
    settings = ContentSettings(
        content_type="video/mp4", cache_control="no-cache", content_disposition="inline", content_language="de"
    )
    blob = container.get_blob_client("clip.mp4")
    blob.upload_blob(b"hello world", content_settings=settings, metadata={"title": "Ein_Titel"})
    properties = blob.get_blob_properties()
    assert properties.size == 11
    assert properties.content_settings.content_type == "video/mp4"
    assert properties.content_settings.cache_control == "no-cache"
    assert properties.content_settings.content_disposition == "inline"
    assert properties.content_settings.content_language == "de"
    assert properties.content_settings.content_md5 == hashlib.md5(b"hello world").digest()
    assert properties.metadata == {"title": "Ein_Titel"}
    assert properties.blob_type == "BlockBlob"
    assert blob.download_blob().readall() == b"hello world"
    assert blob.exists()


def test_an_empty_blob_is_a_blob(container):
    blob = container.upload_blob("empty", b"")
    assert blob.get_blob_properties().size == 0
    assert blob.download_blob().readall() == b""


def test_300_megabytes_go_up_in_blocks_and_come_down_again(container, connection):
    """Through a SAS URL, in parallel blocks of 4 MiB, as an upload script does it."""
    piece = os.urandom(1 << 20)
    total = 300
    digest = hashlib.sha256()

    class Source:
        """300 MiB without holding them."""

        def __init__(self):
            self.left = total * len(piece)
            self.at = 0

        def read(self, size=-1):
            size = self.left if size < 0 else min(size, self.left)
            out = bytearray()
            while len(out) < size:
                start = self.at % len(piece)
                part = piece[start : start + size - len(out)]
                out += part
                self.at += len(part)
            self.left -= size
            digest.update(out)
            return bytes(out)

        def __len__(self):
            return total * len(piece)

    uploader = ContainerClient.from_container_url(
        container_sas_url(connection, container, "rcwl"), max_block_size=4 << 20, max_single_put_size=4 << 20
    )
    blob = uploader.get_blob_client("big/source.mp4")
    started = time.monotonic()
    blob.upload_blob(Source(), length=total << 20, max_concurrency=4)
    up = time.monotonic() - started
    committed, uncommitted = blob.get_block_list("all")
    assert (len(committed), len(uncommitted)) == (75, 0)
    assert blob.get_blob_properties().size == total << 20

    started = time.monotonic()
    back = hashlib.sha256()
    for chunk in blob.download_blob(max_concurrency=1).chunks():
        back.update(chunk)
    down = time.monotonic() - started
    assert back.digest() == digest.digest()
    print(f"\n300 MiB: up {total / up:.0f} MiB/s (every block synced), down {total / down:.0f} MiB/s")

    middle = 150 << 20
    assert blob.download_blob(offset=middle - 5, length=10).readall() == piece[-5:] + piece[:5]


def test_ranges_are_exact(container):
    data = bytes(range(256)) * 64
    blob = container.upload_blob("ranges", data)
    for offset, length in [(0, 1), (0, 256), (100, 5000), (len(data) - 1, 1), (len(data) - 10, 500)]:
        assert blob.download_blob(offset=offset, length=length).readall() == data[offset : offset + length]
    assert blob.download_blob(offset=1000).readall() == data[1000:]
    assert blob.download_blob(offset=0, length=64, validate_content=True).readall() == data[:64]
    with pytest.raises(HttpResponseError) as refused:
        blob.download_blob(offset=len(data), length=1).readall()
    assert refused.value.status_code == 416 and refused.value.error_code == "InvalidRange"


def test_blocks_are_listed_committed_and_reused(container):
    blob = container.get_blob_client("blocks")
    with pytest.raises(ResourceNotFoundError):
        blob.get_block_list("all")
    for name in ["a", "b", "c"]:
        blob.stage_block(name, (name * 3).encode())
    committed, uncommitted = blob.get_block_list("all")
    assert [(b.id, b.size) for b in uncommitted] == [("a", 3), ("b", 3), ("c", 3)] and not committed
    assert not blob.exists()
    blob.commit_block_list([BlobBlock("c"), BlobBlock("a")], content_settings=ContentSettings(content_type="text/plain"))
    assert blob.download_blob().readall() == b"cccaaa"
    assert blob.get_blob_properties().content_settings.content_type == "text/plain"
    committed, uncommitted = blob.get_block_list("all")
    assert [b.id for b in committed] == ["c", "a"] and not uncommitted
    # One new block between two that are there already, one of them twice.
    blob.stage_block("d", b"ddd")
    blob.commit_block_list([BlobBlock("a"), BlobBlock("d"), BlobBlock("c"), BlobBlock("a")])
    assert blob.download_blob().readall() == b"aaadddcccaaa"
    with pytest.raises(HttpResponseError) as refused:
        blob.commit_block_list([BlobBlock("zzz")])
    assert refused.value.error_code == "InvalidBlockList"
    assert blob.download_blob().readall() == b"aaadddcccaaa"


def test_checksums_of_uploads_are_verified(container):
    blob = container.get_blob_client("checked")
    blob.upload_blob(b"x" * 100_000, validate_content=True)
    blob.stage_block("one", b"y" * 1000, validate_content=True)
    with pytest.raises(HttpResponseError) as refused:
        blob.upload_blob(b"data", overwrite=True, headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert refused.value.error_code == "Md5Mismatch"
    assert blob.get_blob_properties().size == 100_000


# ---- listing


def test_listing_pages_in_name_order(container):
    names = sorted([f"f{i % 7}/n{i:03}" for i in range(53)] + ["a", "a-b", "a/b", "a/b/c", "a0"], key=str.encode)
    for name in reversed(names):
        container.upload_blob(name, name.encode(), metadata={"n": "1"})
    pages = [list(page) for page in container.list_blobs(results_per_page=10).by_page()]
    assert [len(page) for page in pages] == [10, 10, 10, 10, 10, 8]
    assert [blob.name for page in pages for blob in page] == names
    assert [b.name for b in container.list_blobs(name_starts_with="a/")] == ["a/b", "a/b/c"]
    assert [b.name for b in container.list_blobs(name_starts_with="f3/n0")] == [n for n in names if n.startswith("f3/n0")]
    first = next(iter(container.list_blobs(include=["metadata"])))
    assert (first.name, first.size, first.metadata) == ("a", 1, {"n": "1"})
    assert first.etag.strip('"') == container.get_blob_client("a").get_blob_properties().etag.strip('"')


def test_listing_folds_folders(container):
    for name in ["a", "a/b", "a/c/d", "b/x", "b/y/z", "c"]:
        container.upload_blob(name, b"")
    # The client shows the folders of a page before its blobs.
    assert [entry.name for entry in container.walk_blobs()] == ["a/", "b/", "a", "c"]
    assert [entry.name for entry in container.walk_blobs("b/")] == ["b/y/", "b/x"]
    pages = [[e.name for e in page] for page in container.walk_blobs(results_per_page=1).by_page()]
    assert pages == [["a"], ["a/"], ["b/"], ["c"]]
    assert [e.name for e in container.walk_blobs(delimiter="/y")] == ["b/y", "a", "a/b", "a/c/d", "b/x", "c"]


def test_odd_names_live_side_by_side(container):
    names = [
        "a", "a/b", "a/b/c", "with space", " lead", "trail ", "ünïcödé/日本語 🎬.mp4", "100%", "a+b", "a~meta", "q?x=1&y=2",
        "hash#tag", "semi;colon", "dots...", "..hidden", "x/..y", "back\\slash", "quote'\"", "<tag>", "a//b", "slash/",
        "a%2Fb", "~", "+", "%", "x" * 255, "y" * 600 + "/" + "z" * 300, ".headwater/index.hwx",
    ]  # fmt: skip
    for name in names:
        container.upload_blob(name, name.encode())
    assert [b.name for b in container.list_blobs()] == sorted(names, key=str.encode)
    for name in names:
        assert container.download_blob(name).readall() == name.encode(), name
    for name in names:
        container.delete_blob(name)
    assert list(container.list_blobs()) == []


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "a/%2e%2e/%2e%2e/x", "a%00b", "%0aname", "%ff"])
def test_traversal_is_refused(container, connection, path):
    sas = container_sas_url(connection, container, "rcwl").partition("?")[2]
    session = requests.Session()
    request = requests.Request("GET", container.url).prepare()
    request.url = f"{container.url}/{path}?{sas}"
    answer = session.send(request)
    assert answer.status_code == 400 and answer.headers["x-ms-error-code"] == "InvalidResourceName"


@pytest.mark.parametrize("name", ["a\ufffe", "dir/\uffff.mp4"])
def test_a_name_that_xml_cannot_hold_is_refused_and_the_listing_stays_readable(container, name):
    container.upload_blob("there", b"x")
    with pytest.raises(HttpResponseError) as refused:
        container.upload_blob(name, b"x")
    assert (refused.value.status_code, refused.value.error_code) == (400, "InvalidResourceName")
    assert [blob.name for blob in container.list_blobs()] == ["there"]


# ---- conditions


def test_conditions_guard_writes_and_reads(container):
    blob = container.get_blob_client("guarded")
    first = blob.upload_blob(b"one")["etag"]
    with pytest.raises(ResourceExistsError) as refused:
        blob.upload_blob(b"two")
    assert refused.value.error_code == "BlobAlreadyExists"
    second = blob.upload_blob(b"two", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)["etag"]
    assert second != first
    with pytest.raises(ResourceModifiedError):
        blob.upload_blob(b"three", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        blob.download_blob(etag=first, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        blob.delete_blob(etag=first, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(HttpResponseError) as unchanged:
        blob.download_blob(etag=second, match_condition=MatchConditions.IfModified)
    assert unchanged.value.status_code == 304
    assert blob.download_blob(etag=second, match_condition=MatchConditions.IfNotModified).readall() == b"two"
    with pytest.raises(ResourceModifiedError):
        blob.download_blob(if_unmodified_since=datetime.now(timezone.utc) - timedelta(hours=1))
    blob.delete_blob(etag=second, match_condition=MatchConditions.IfNotModified)


def test_metadata_and_headers_change_the_etag_but_not_the_bytes(container, connection):
    blob = container.upload_blob("m", b"bytes", content_settings=ContentSettings(content_type="a/b"))
    etags = {blob.get_blob_properties().etag}
    blob.set_blob_metadata({"k": "v"})
    etags.add(blob.get_blob_properties().etag)
    blob.set_http_headers(ContentSettings(content_type="c/d"))
    properties = blob.get_blob_properties()
    etags.add(properties.etag)
    # In a bucket an etag is that of the bytes.
    assert len(etags) == (1 if connection.in_bucket else 3)
    assert (properties.metadata, properties.content_settings.content_type) == ({"k": "v"}, "c/d")
    assert blob.download_blob().readall() == b"bytes"


def test_deleted_blobs_are_gone(container):
    blob = container.upload_blob("gone", b"x")
    blob.delete_blob(delete_snapshots="include")
    assert not blob.exists()
    for call in [blob.download_blob, blob.delete_blob, blob.get_blob_properties]:
        with pytest.raises(ResourceNotFoundError) as missing:
            call()
        assert missing.value.error_code == "BlobNotFound"
    with pytest.raises(ResourceNotFoundError) as missing:
        elsewhere = BlobClient(container.url.rsplit("/", 1)[0], "no-such-container", "x", credential=container.credential)
        elsewhere.download_blob()
    assert missing.value.error_code == "ContainerNotFound"


# ---- credentials


def test_a_wrong_account_key_is_refused(connection):
    wrong = "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXkgd3Jvbmcga2V5IHdyb25nIGtleSE="
    service = BlobServiceClient(
        connection.url, credential={"account_name": connection.account, "account_key": wrong}, retry_total=0
    )
    with pytest.raises(ClientAuthenticationError) as refused:
        list(service.list_containers())
    assert refused.value.status_code == 403 and refused.value.error_code == "AuthenticationFailed"


def test_a_container_sas_allows_what_it_says(container, connection):
    container.upload_blob("there", b"old")
    reader = with_sas(connection, container, "rl")
    assert reader.download_blob("there").readall() == b"old"
    assert [b.name for b in reader.list_blobs()] == ["there"]
    creator = with_sas(connection, container, "c")
    creator.upload_blob("new", b"new")
    deleter = with_sas(connection, container, "d")
    deleter.delete_blob("new")
    refused = [
        (lambda: reader.upload_blob("x", b""), "AuthorizationPermissionMismatch"),
        (lambda: reader.delete_blob("there"), "AuthorizationPermissionMismatch"),
        (lambda: list(creator.list_blobs()), "AuthorizationPermissionMismatch"),
        (lambda: creator.download_blob("there"), "AuthorizationPermissionMismatch"),
        (lambda: creator.upload_blob("there", b"over", overwrite=True), "UnauthorizedBlobOverwrite"),
        (lambda: deleter.download_blob("there"), "AuthorizationPermissionMismatch"),
        (lambda: with_sas(connection, container, "rwdl").delete_container(), "AuthorizationResourceTypeMismatch"),
    ]
    for call, code in refused:
        with pytest.raises(HttpResponseError) as error:
            call()
        assert (error.value.status_code, error.value.error_code) == (403, code)
    assert container.download_blob("there").readall() == b"old"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": "d3Jvbmcga2V5IHdyb25nIGtleSB3cm9uZyBrZXkgd3Jvbmcga2V5IHdyb25nIGtleSE="}, "AuthenticationFailed"),
        ({"expiry": datetime(2020, 1, 1)}, "AuthenticationFailed"),
        ({"start": soon(5)}, "AuthenticationFailed"),
        ({"protocol": "https"}, "AuthorizationProtocolMismatch"),
        ({"ip": "10.1.2.3"}, "AuthorizationSourceIPMismatch"),
    ],
)
def test_bad_signatures_are_refused(container, connection, changes, code):
    container.upload_blob("secret", b"x")
    client = with_sas(connection, container, "rwdl", **changes)
    for call in [lambda: client.download_blob("secret"), lambda: client.upload_blob("y", b""), lambda: list(client.list_blobs())]:
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert refused.value.status_code == 403
        assert refused.value.response.headers["x-ms-error-code"] == code
    assert [b.name for b in container.list_blobs()] == ["secret"]


def test_a_tampered_signature_is_refused(container, connection):
    container.upload_blob("secret", b"x")
    url = container_sas_url(connection, container, "r")
    blob = url.replace("?", "/secret?")
    assert requests.get(blob).content == b"x"
    for tampered in [blob.replace("sp=r", "sp=rw"), blob + "&sp=rw", blob.replace("/secret?", "2/secret?"), blob[:-4] + "AA%3D"]:
        answer = requests.get(tampered)
        assert answer.status_code == 403, tampered
        assert connection.key not in answer.text
    assert requests.get(blob.partition("?")[0]).status_code == 401


def test_a_blob_sas_opens_one_blob(container, connection):
    for name in ["mine ü.mp4", "other"]:
        container.upload_blob(name, name.encode())
    sas = generate_blob_sas(
        connection.account, container.container_name, "mine ü.mp4", account_key=connection.key,
        permission=BlobSasPermissions(read=True), expiry=soon(), content_type="video/special", cache_control="private",
    )  # fmt: skip
    mine = BlobClient(container.url.rsplit("/", 1)[0], container.container_name, "mine ü.mp4", credential=sas)
    download = mine.download_blob()
    assert download.readall() == "mine ü.mp4".encode()
    assert download.properties.content_settings.content_type == "video/special"
    assert download.properties.content_settings.cache_control == "private"
    other = BlobClient(container.url.rsplit("/", 1)[0], container.container_name, "other", credential=sas, retry_total=0)
    with pytest.raises(ClientAuthenticationError):
        other.download_blob()


def test_an_account_sas_works_within_its_types(connection, container):
    def client(types, letters):
        sas = generate_account_sas(
            connection.account, connection.key, ResourceTypes.from_string(types), AccountSasPermissions.from_string(letters), soon()
        )
        return BlobServiceClient(connection.url, credential=sas, retry_total=0)

    everything = client("sco", "rwdlc")
    assert container.container_name in [c.name for c in everything.list_containers()]
    everything.get_blob_client(container.container_name, "x").upload_blob(b"x")
    objects = client("o", "rwdlc")
    assert objects.get_blob_client(container.container_name, "x").download_blob().readall() == b"x"
    with pytest.raises(HttpResponseError) as refused:
        list(objects.list_containers())
    assert refused.value.error_code == "AuthorizationResourceTypeMismatch"


# ---- the rest of the protocol


def test_answers_carry_ids_versions_and_cors(container, connection):
    container.upload_blob("x", b"0123456789")
    url = container_sas_url(connection, container, "r").replace("?", "/x?")
    headers = {"x-ms-client-request-id": "abc", "x-ms-version": "2020-10-02", "Origin": "https://player.example"}
    answer = requests.get(url, headers=headers)
    assert answer.headers["x-ms-client-request-id"] == "abc"
    assert answer.headers["x-ms-version"] == "2020-10-02"
    assert answer.headers["x-ms-request-id"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    suffix = requests.get(url, headers={"Range": "bytes=-3"})
    assert (suffix.status_code, suffix.content, suffix.headers["Content-Range"]) == (206, b"789", "bytes 7-9/10")
    preflight = requests.options(
        url, headers={"Origin": "https://a", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-ms-blob-type"}
    )
    assert preflight.status_code == 200
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"] == "x-ms-blob-type"


def test_what_is_missing_says_so(container):
    blob = container.upload_blob("x", b"x")
    calls = [
        lambda: blob.create_snapshot(),
        lambda: blob.acquire_lease(),
        lambda: blob.start_copy_from_url(blob.url),
        lambda: container.get_blob_client("p").create_page_blob(512),
        lambda: container.get_blob_client("a").create_append_blob(),
        lambda: blob.set_blob_tags({"a": "b"}),
        lambda: container.set_container_access_policy({}),
    ]
    for call in calls:
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert (refused.value.status_code, refused.value.error_code) == (501, "NotImplemented")
