"""An S3 server of somebody else's (moto) for tests, and a client of it. It is in their process: it ends with them."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import boto3
from moto.server import ThreadedMotoServer

#: Any would do.
ACCESS_KEY, SECRET_KEY = "test", "test"

# One line for each request.
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@contextmanager
def server():
    """Its address, until the block ends."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        running.stop()


def client(endpoint: str):
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint, **keys)
