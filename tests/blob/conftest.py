"""The store under test: the one that the environment names, or those of our own, in a folder and in a bucket."""

import json
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/lib"))

import s3  # noqa: E402


@dataclass(frozen=True)
class Connection:
    url: str
    account: str
    key: str
    # Whether blobs are objects of a bucket.
    in_bucket: bool = False

    def service(self, **options):
        credential = {"account_name": self.account, "account_key": self.key}
        return BlobServiceClient(self.url, credential=credential, **options)


@dataclass(frozen=True)
class Bucket:
    """An S3 server of somebody else's with an empty bucket."""

    endpoint: str
    name: str

    def client(self):
        return s3.client(self.endpoint)

    def arguments(self, prefix="media"):
        return ["--s3-endpoint", self.endpoint, "--s3-bucket", self.name, "--s3-prefix", prefix]


#: As AWS's tools take them.
S3_KEYS = {"AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY}


def program():
    if program := os.environ.get("HEADWATER_BLOB_SERVE"):
        return [program]
    return ["cargo", "run", "-q", "-p", "headwater-blobstore", "--release", "--example", "serve", "--"]


@contextmanager
def serving(root, *arguments, in_bucket=False):
    """A store of our own, until the block ends."""
    command = [*program(), "--root", str(root), "--port", "0", "--print", "--until-eof", *arguments]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env={**os.environ, **S3_KEYS}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as store:
        line = store.stdout.readline()
        assert line, "the store did not start"
        facts = json.loads(line)
        yield Connection(facts["url"], facts["account"], facts["key"], in_bucket)
        store.stdin.close()
        assert store.wait(timeout=120) == 0


@pytest.fixture(scope="session")
def s3_server():
    with s3.server() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def new_bucket(s3_server):
    def new():
        bucket = Bucket(s3_server, f"bucket-{uuid.uuid4().hex[:12]}")
        bucket.client().create_bucket(Bucket=bucket.name)
        return bucket

    return new


@pytest.fixture(scope="session", params=["folder", "bucket"])
def connection(request, tmp_path_factory):
    if url := os.environ.get("HEADWATER_BLOB_URL"):
        if request.param == "bucket":
            pytest.skip("the environment names the store")
        yield Connection(url, os.environ["HEADWATER_BLOB_ACCOUNT"], os.environ["HEADWATER_BLOB_KEY"])
        return
    arguments = []
    if request.param == "bucket":
        arguments = request.getfixturevalue("new_bucket")().arguments()
    with serving(tmp_path_factory.mktemp("blob"), *arguments, in_bucket=bool(arguments)) as store:
        yield store


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
