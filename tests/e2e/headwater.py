"""A running Headwater as its clients see it: where it is, and the steps that most tests have in common."""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.media import AzureMediaServices
from azure.mgmt.media.models import (
    Asset,
    AssetContainerPermission,
    BuiltInStandardEncoderPreset,
    Job,
    JobInputAsset,
    JobOutputAsset,
    ListContainerSasInput,
    StreamingLocator,
    Transform,
    TransformOutput,
)
from azure.storage.blob import ContainerClient

import called

FINAL_STATES = ("Finished", "Error", "Canceled")


class HeadwaterConnection:
    """`connection.json` (design: "Readiness"), by attribute."""

    def __init__(self, path: str):
        self.path = Path(path)
        self._fields = json.loads(self.path.read_text())

    def __getattr__(self, name: str):
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"{self.path} has no {name}") from None

    def get(self, name: str, default=None):
        return self._fields.get(name, default)

    @property
    def verify(self):
        """What `requests` needs to trust it."""
        return self.get("caFile") or True

    def management_path(self) -> str:
        return (
            f"/subscriptions/{self.subscriptionId}/resourceGroups/{self.resourceGroup}"
            f"/providers/Microsoft.Media/mediaServices/{self.accountName}"
        )


class StaticToken:
    """A credential for the Azure SDKs that always gives the same token."""

    def __init__(self, token: str):
        self._token = token

    def get_token(self, *_scopes, **_kwargs) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)


class BearerOverHttp(SansIOHTTPPolicy):
    """Adds the token without insisting on TLS, which the SDK's own policy does."""

    def __init__(self, token: str):
        self._token = token

    def on_request(self, request) -> None:
        request.http_request.headers["Authorization"] = f"Bearer {self._token}"


def ams_client(
    connection: HeadwaterConnection, subscription: str | None = None, base_url: str | None = None
) -> AzureMediaServices:
    """The unmodified SDK: over TLS with its own policies, over plain HTTP with one that adds the token.

    `subscription`, `base_url`: in place of the installation's.
    """
    options = {}
    if connection.armUrl.startswith("https://"):
        options["connection_verify"] = connection.caFile
    else:
        options["authentication_policy"] = BearerOverHttp(connection.token)
    client = AzureMediaServices(
        StaticToken(connection.token),
        subscription or connection.subscriptionId,
        base_url=base_url or connection.armUrl,
        **options,
    )
    return called.noted(client)


@dataclass
class Published:
    """An asset that players can reach."""

    asset: str
    locator: str
    locator_id: str
    hls: str
    dash: str
    downloads: list[str]


class Account:
    """The steps of a video team's script, on the AMS surface."""

    def __init__(self, connection: HeadwaterConnection):
        self.connection = connection
        self.client = ams_client(connection)
        self.where = (connection.resourceGroup, connection.accountName)

    @staticmethod
    def name(kind: str) -> str:
        return f"e2e-{kind}-{uuid.uuid4().hex[:10]}"

    def new_asset(self, kind: str, **properties) -> str:
        name = self.name(kind)
        self.client.assets.create_or_update(*self.where, name, Asset(**properties))
        return name

    def container(self, asset: str, permissions=AssetContainerPermission.READ_WRITE) -> ContainerClient:
        """The asset's container, through the URL that `listContainerSas` gives."""
        expiry = datetime.now(timezone.utc) + timedelta(hours=2)
        answer = self.client.assets.list_container_sas(
            *self.where, asset, ListContainerSasInput(permissions=permissions, expiry_time=expiry)
        )
        return ContainerClient.from_container_url(
            answer.asset_container_sas_urls[0], connection_verify=self.connection.verify
        )

    def upload(self, path: Path, name: str | None = None, **properties) -> str:
        """Puts a file into an asset of its own."""
        asset = self.new_asset("in", **properties)
        with path.open("rb") as file:
            self.container(asset).upload_blob(name or path.name, file, overwrite=True)
        return asset

    def transform(self, preset: str) -> str:
        name = f"e2e-{preset}"
        output = TransformOutput(preset=BuiltInStandardEncoderPreset(preset_name=preset))
        self.client.transforms.create_or_update(*self.where, name, Transform(outputs=[output]))
        return name

    def submit(self, source: str, preset: str, files: list[str] | None = None) -> tuple[str, str, str]:
        """Starts a job. Returns transform, job and output asset."""
        transform, job, output = self.transform(preset), self.name("job"), self.new_asset("out")
        self.client.jobs.create(
            *self.where,
            transform,
            job,
            Job(
                input=JobInputAsset(asset_name=source, files=files),
                outputs=[JobOutputAsset(asset_name=output)],
            ),
        )
        return transform, job, output

    def wait(self, transform: str, job: str, timeout_s: float = 600, on_poll=None) -> Job:
        """Polls a job until it ends. `on_poll` sees every state on the way."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.client.jobs.get(*self.where, transform, job)
            if on_poll:
                on_poll(found)
            if found.state in FINAL_STATES:
                return found
            assert time.monotonic() < deadline, f"job {job} is still {found.state} after {timeout_s} s: {found.outputs}"
            time.sleep(0.5)

    def encode(self, source: str, preset: str, timeout_s: float = 600, on_poll=None) -> str:
        """Encodes the one file of an asset. Returns the output asset."""
        transform, job, output = self.submit(source, preset)
        ended = self.wait(transform, job, timeout_s, on_poll)
        assert ended.state == "Finished", f"{ended.state}: {ended.outputs[0].error}"
        return output

    def locate(self, asset: str, policy: str = "Predefined_DownloadAndClearStreaming") -> StreamingLocator:
        """Makes a locator, whatever there is to play."""
        return self.client.streaming_locators.create(
            *self.where, self.name("loc"), StreamingLocator(asset_name=asset, streaming_policy_name=policy)
        )

    def publish(self, asset: str, policy: str = "Predefined_DownloadAndClearStreaming") -> Published:
        made = self.locate(asset, policy)
        return self.published(made.name, asset, str(made.streaming_locator_id))

    def published(self, locator: str, asset: str, locator_id: str) -> Published:
        paths = self.client.streaming_locators.list_paths(*self.where, locator)

        def url(protocol: str, form: str) -> str:
            for entry in paths.streaming_paths:
                if entry.streaming_protocol == protocol:
                    for path in entry.paths:
                        if f"format={form}" in path:
                            return self.connection.streamingUrl + path
            raise AssertionError(f"listPaths of {locator} names no {protocol} as {form}: {paths.serialize(True)}")

        return Published(
            asset,
            locator,
            locator_id,
            url("Hls", "m3u8-cmaf"),
            url("Dash", "mpd-time-cmaf"),
            [self.connection.streamingUrl + path for path in paths.download_paths or []],
        )


class Mkio:
    """The MK.IO surface with `requests`, as scripts use it."""

    def __init__(self, connection: HeadwaterConnection, token: str | None = None, prefix: str | None = None):
        self.connection = connection
        self.base = connection.apiUrl + (prefix or f"/api/v1/projects/{connection.project}/media")
        self.session = player_session(connection)
        self.session.headers["Authorization"] = f"Bearer {token or connection.token}"

    def call(self, method: str, path: str, body=None, expect=(200, 201), **options) -> dict:
        response = self.session.request(method, self.base + path, json=body, timeout=60, **options)
        assert response.status_code in expect, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else {}


def player_session(connection: HeadwaterConnection) -> requests.Session:
    """An HTTP client that trusts the installation and shows no credentials."""
    session = requests.Session()
    # A CA bundle or proxy in the environment would otherwise win over `verify`.
    session.trust_env = False
    session.verify = connection.verify
    return session


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def needs_binary() -> str:
    """Path of the `headwater` under test. Skips the test where none is named, which CI may not."""
    binary = os.environ.get("HEADWATER_BINARY")
    if not binary:
        missing = "HEADWATER_BINARY names no binary"
        pytest.fail(missing) if in_ci() else pytest.skip(missing)
    return binary

