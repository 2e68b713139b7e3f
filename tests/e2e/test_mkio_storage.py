"""Storage accounts with credentials of their own, projects, direct access to files, and what was used."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.media.models import MediaService, StorageAccount
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)

from headwater import Account, Mkio

EVERYTHING = AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True)


@pytest.fixture(scope="module")
def account_key(connection) -> str:
    fields = dict(field.split("=", 1) for field in connection.blobConnectionString.split(";") if field)
    return fields["AccountKey"]


@pytest.fixture(scope="module")
def blobs(connection, account_key) -> BlobServiceClient:
    return BlobServiceClient(
        connection.blobUrl,
        credential={"account_name": "local", "account_key": account_key},
        connection_verify=connection.verify,
    )


@pytest.fixture
def sas(account_key):
    """Makes an account SAS that is good for so many days."""

    def make(days: int, key: str = account_key, permission=EVERYTHING) -> str:
        expiry = datetime.now(timezone.utc) + timedelta(days=days)
        return "?" + generate_account_sas("local", key, ResourceTypes(container=True, object=True), permission, expiry)

    return make


@pytest.fixture
def storage(mkio: Mkio, connection, sas):
    """The embedded store once more, under another name and opened by a SAS."""
    name = f"sas-{uuid.uuid4().hex[:8]}"
    spec = {"type": "Microsoft.Storage", "url": connection.blobUrl, "credential": {"sasToken": sas(30)}}
    mkio.call("PUT", f"/storage/{name}", {"spec": spec}, (201,))
    return name


def test_a_film_goes_all_the_way_through_storage_that_a_sas_opens(mkio: Mkio, storage, blobs, counted, http):
    run = uuid.uuid4().hex[:8]
    container = f"sas-in-{run}"
    for name, properties in {
        f"in-{run}": {"storageAccountName": storage, "container": container},
        f"out-{run}": {"storageAccountName": storage},
    }.items():
        mkio.call("PUT", f"/assets/{name}", {"properties": properties}, (201,))
    with counted.open("rb") as file:
        blobs.get_container_client(container).upload_blob("film.mp4", file)
    preset = {"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "H264SingleBitrateSD"}
    mkio.call("PUT", f"/transforms/sas-{run}", {"properties": {"outputs": [{"preset": preset}]}})
    job = f"/transforms/sas-{run}/jobs/job1"
    properties = {
        "input": {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": f"in-{run}", "files": ["film.mp4"]},
        "outputs": [{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": f"out-{run}"}],
    }
    mkio.call("PUT", job, {"properties": properties})
    deadline = time.monotonic() + 300
    while (state := mkio.call("GET", f"{job}/state")["status"]["state"]) not in ("Finished", "Error", "Canceled"):
        assert time.monotonic() < deadline, state
        time.sleep(0.5)
    assert state == "Finished", mkio.call("GET", job)
    locator = {"assetName": f"out-{run}", "streamingPolicyName": "Predefined_ClearStreamingOnly"}
    mkio.call("PUT", f"/streamingLocators/sas-{run}", {"properties": locator})
    paths = mkio.call("POST", f"/streamingLocators/sas-{run}/listPaths")["streamingPaths"]
    hls = next(path for entry in paths for path in entry["paths"] if "m3u8-cmaf" in path)
    playlist = http.get(mkio.connection.streamingUrl + hls)
    assert playlist.status_code == 200 and "#EXTM3U" in playlist.text
    # Nothing can be signed with a signature, and the storage account's own is nobody else's: files are handed on.
    refusal = mkio.session.post(f"{mkio.base}/assets/in-{run}/listContainerSas", json={}, timeout=30)
    assert refusal.status_code == 409 and "account key" in refusal.json()["error"]["detail"]
    info = mkio.call("POST", f"/assets/in-{run}/getFileAccessInfo")
    url, token = f"{info['url']}/{info['subPath']}/film.mp4", {"Authorization": f"Bearer {info['jwt']}"}
    got = http.get(url, headers=token, timeout=30, allow_redirects=False)
    assert got.status_code == 200 and int(got.headers["content-length"]) == len(got.content) > 100_000
    part = http.get(url, headers={**token, "Range": "bytes=1000-1999"}, timeout=30, allow_redirects=False)
    assert part.status_code == 206 and part.content == got.content[1000:2000]
    kept = mkio.session.delete(f"{mkio.base}/storage/{storage}", timeout=30)
    assert kept.status_code == 409 and "is used by" in kept.json()["error"]["detail"]


def test_credentials_are_tried_rotated_and_never_shown(mkio: Mkio, connection, storage, sas):
    path = f"/storage/{storage}"
    old = mkio.call("GET", path)["status"]["activeCredentialId"]
    added = mkio.call("POST", f"{path}/credentials", {"spec": {"credential": {"sasToken": sas(60)}}}, (201,))
    new = added["metadata"]["id"]
    assert mkio.call("GET", path)["status"]["activeCredentialId"] == new
    assert "sig=" not in str(added) and "se=" in added["spec"]["credential"]["sasTokenSanitized"]
    mkio.call("DELETE", f"{path}/credentials/{old}")
    assert [item["metadata"]["id"] for item in mkio.call("GET", f"{path}/credentials")["items"]] == [new]
    mkio.call("DELETE", f"{path}/credentials/{new}", expect=(409,))

    forged = sas(90, key="Zm9yZ2VkIGtleSBvZiB0aGlydHktdHdvIGJ5dGVzISE=")
    body = {"spec": {"credential": {"sasToken": forged}}}
    refusal = mkio.session.post(f"{mkio.base}{path}/credentials", json=body, timeout=30)
    assert refusal.status_code == 400 and "AuthenticationFailed" in refusal.text, refusal.text
    # One that is right and may only read is its maker's choice.
    only_reads = sas(1, permission=AccountSasPermissions(read=True))
    mkio.call("POST", f"{path}/credentials", {"spec": {"credential": {"sasToken": only_reads}}}, (201,))
    mkio.call("DELETE", path)
    mkio.call("DELETE", path, expect=(204,))


def test_the_older_form_creates_from_a_complete_url(connection, sas):
    profile = Mkio(connection, prefix="/api/v1/user/profile").call("GET", "")
    stats = Mkio(connection, prefix=f"/api/ams/{connection.project}/stats/").call("GET", "")
    customer, subscription = profile["spec"]["activeOrganizationId"], stats["extra"]["subscription_id"]
    older = Mkio(connection, prefix=f"/api/accounts/{customer}/subscriptions/{subscription}/storage/")
    name = f"old-{uuid.uuid4().hex[:8]}"
    spec = {"name": name, "azureStorageConfiguration": {"url": connection.blobUrl + sas(30)}}
    made = older.call("POST", "", {"spec": spec}, (201,))
    assert made["spec"]["azureStorageConfiguration"]["url"] == connection.blobUrl
    assert name in [item["spec"]["name"] for item in older.call("GET", "")["items"]]
    older.call("DELETE", f"{made['metadata']['id']}/")


def test_files_are_read_with_the_address_and_the_token_that_are_given_out(mkio: Mkio, account: Account, counted, http):
    asset = account.upload(counted, "film one.mp4")
    info = mkio.call("POST", f"/assets/{asset}/getFileAccessInfo")
    url = f"{info['url']}/{info['subPath']}/film one.mp4"
    got = http.get(url, headers={"Authorization": f"Bearer {info['jwt']}"}, timeout=30)
    assert got.status_code == 200 and got.content == counted.read_bytes()
    body = {"storageAccountName": info["storageAccountName"], "containerName": info["containerName"], "fileName": "film one.mp4"}
    older = http.post(f"{info['url']}downloadBlob", json=body, headers={"Authorization": f"Bearer {info['jwt']}"}, timeout=30)
    assert older.status_code == 200 and older.content == counted.read_bytes()
    assert http.get(url, timeout=30).status_code == 401
    assert mkio.session.get(url, timeout=30).status_code == 401, "an ordinary token is for ordinary calls"


def test_projects_come_and_go_on_both_surfaces(connection, account: Account):
    projects = Mkio(connection, prefix="/api/v1/projects")
    name = f"e2e{uuid.uuid4().hex[:8]}"
    made = projects.call("PUT", f"/{name}", {"spec": {"displayName": "End to end"}}, (201,))
    assert made["spec"]["displayName"] == "End to end"
    client, group = account.client, connection.resourceGroup
    shown = client.mediaservices.get(group, name)
    assert shown.storage_accounts == []
    client.mediaservices.delete(group, name)

    storage = client.mediaservices.get(group, connection.accountName).storage_accounts[0]
    body = MediaService(
        location=shown.location, storage_accounts=[StorageAccount(id=storage.id, type="Primary")], tags={"of": "e2e"}
    )
    made = client.mediaservices.begin_create_or_update(group, name, body).result()
    assert made.provisioning_state == "Succeeded" and made.tags == {"of": "e2e"}
    asset = client.assets.create_or_update(group, name, "a", {})
    assert asset.container
    with pytest.raises(HttpResponseError, match="assets"):
        client.mediaservices.delete(group, name)
    client.assets.delete(group, name, "a")
    client.mediaservices.delete(group, name)
    assert name not in [item["metadata"]["name"] for item in projects.call("GET", "")["items"]]


def test_what_was_encoded_is_in_the_usage(connection, counted_published):
    used = Mkio(connection, prefix=f"/api/v1/projects/{connection.project}/usage").call("GET", "")
    quantities = {item["meter"]: item["quantity"] for item in used["items"]}
    assert quantities["jobs"] >= 1
    # Twelve seconds in at least one rendition.
    assert quantities["encodedVideoSD"] >= 0.2
    today = datetime.now(timezone.utc).date()
    # What was encoded may have been encoded before midnight.
    wanted = {"startDate": str(today - timedelta(days=1)), "endDate": str(today + timedelta(days=1)), "format": "csv"}
    reports = Mkio(connection, prefix="/api/v1/organization/reports/usage")
    answer = reports.session.post(reports.base, json=wanted, timeout=30)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/csv")
    assert f",{connection.project},jobs,pieces," in answer.text
