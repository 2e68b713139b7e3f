"""The store under test: the one that the environment names, or one of our own."""

import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Connection:
    url: str
    account: str
    key: str

    def service(self):
        return BlobServiceClient(self.url, credential={"account_name": self.account, "account_key": self.key})


@pytest.fixture(scope="session")
def connection(tmp_path_factory):
    if url := os.environ.get("HEADWATER_BLOB_URL"):
        yield Connection(url, os.environ["HEADWATER_BLOB_ACCOUNT"], os.environ["HEADWATER_BLOB_KEY"])
        return
    if program := os.environ.get("HEADWATER_BLOB_SERVE"):
        command = [program]
    else:
        command = ["cargo", "run", "-q", "-p", "headwater-blobstore", "--release", "--example", "serve", "--"]
    command += ["--root", str(tmp_path_factory.mktemp("blob")), "--port", "0", "--print", "--until-eof"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as store:
        line = store.stdout.readline()
        assert line, "the store did not start"
        facts = json.loads(line)
        yield Connection(facts["url"], facts["account"], facts["key"])
        store.stdin.close()
        assert store.wait(timeout=30) == 0


@pytest.fixture(scope="session")
def service(connection):
    with connection.service() as client:
        yield client


@pytest.fixture
def container(service):
    client = service.create_container(f"test-{uuid.uuid4().hex[:12]}")
    yield client
    try:
        client.delete_container()
    except Exception as error:  # the test may have deleted it
        if getattr(error, "error_code", None) != "ContainerNotFound":
            raise
