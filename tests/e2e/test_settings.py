"""Wrong, partial and contradicting settings: a message that names the setting, and an exit code that says who has to act."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

USAGE, UNAVAILABLE, CANNOT_CREATE, TAKEN, REFUSED, CONFIGURATION = 64, 69, 73, 75, 77, 78
STORAGE_KEY = base64.b64encode(bytes(64)).decode()


def token(seconds: int) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + seconds}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


@pytest.fixture(scope="module")
def binary() -> str:
    return os.environ.get("HEADWATER_BINARY") or pytest.fail("HEADWATER_BINARY names no binary")


def run(binary: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    return subprocess.run(
        [binary, *arguments], capture_output=True, text=True, env={**clean, **environment}, timeout=180,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def nobody_listens() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def files(folder: Path) -> dict[str, str]:
    """What the cases below put in the place of words in braces."""
    (folder / "nothing.pem").write_text("")
    (folder / "file").write_text("")
    (folder / "broken.json").write_text("{")
    return {"folder": str(folder), "data": str(folder / "data"), "port": str(nobody_listens())}


UP = [
    (["--catalog=mysql://a/b"], {}, CONFIGURATION, "--catalog (HEADWATER_CATALOG)"),
    (["--catalog=postgres://u:s3cret@127.0.0.1:{port}/d"], {}, UNAVAILABLE, "--catalog (HEADWATER_CATALOG)"),
    (["--catalog=postgres://u:s3cret@127.0.0.1/d", "--catalog-ca={folder}/nothing.pem"], {}, CONFIGURATION, "--catalog-ca (HEADWATER_CATALOG_CA)"),
    (["--catalog-ca={folder}/nothing.pem"], {}, CONFIGURATION, "--catalog-ca (HEADWATER_CATALOG_CA)"),
    (["--master-key-file={folder}/absent"], {}, CONFIGURATION, "--master-key-file (HEADWATER_MASTER_KEY_FILE)"),
    ([], {"HEADWATER_MASTER_KEY": "s3cret"}, CONFIGURATION, "--master-key (HEADWATER_MASTER_KEY)"),
    (["--master-key-command=exit 3"], {}, UNAVAILABLE, "--master-key-command (HEADWATER_MASTER_KEY_COMMAND)"),
    (["--master-key-file=a", "--master-key-command=b"], {}, USAGE, "--master-key-file"),
    (["--data={folder}/file/data"], {}, CANNOT_CREATE, "--data (HEADWATER_DATA)"),
    ([], {"HEADWATER_LISTEN": "nowhere"}, USAGE, "--listen is also read from HEADWATER_LISTEN"),
    (["--location=here/there"], {}, USAGE, "--location"),
    (["--listen=203.0.113.7:1"], {}, CANNOT_CREATE, "--listen (HEADWATER_LISTEN)"),
    (["--public-url=video.example.com"], {}, CONFIGURATION, "--public-url (HEADWATER_PUBLIC_URL)"),
    (["--storage-url=https://a.blob.core.windows.net"], {}, CONFIGURATION, "--storage-key (HEADWATER_STORAGE_KEY)"),
    ([], {"HEADWATER_STORAGE_KEY": STORAGE_KEY}, CONFIGURATION, "--storage-key (HEADWATER_STORAGE_KEY)"),
    (["--storage-url=http://127.0.0.1:{port}/local"], {"HEADWATER_STORAGE_KEY": STORAGE_KEY}, UNAVAILABLE, "--storage-url (HEADWATER_STORAGE_URL)"),
    (["--oidc-config={folder}/broken.json"], {}, CONFIGURATION, "--oidc-config (HEADWATER_OIDC_CONFIG)"),
    (["--licence-config={folder}/broken.json"], {}, CONFIGURATION, "--licence-config (HEADWATER_LICENCE_CONFIG)"),
    (["--event-secret=short"], {}, CONFIGURATION, "--event-secret (HEADWATER_EVENT_SECRET)"),
]  # fmt: skip


@pytest.mark.parametrize("arguments, environment, code, named", UP, ids=lambda value: value if isinstance(value, str) else None)
def test_up(binary, tmp_path, arguments, environment, code, named):
    words = files(tmp_path)
    arguments = [argument.format(**words) for argument in arguments]
    if not any(argument.startswith("--data") for argument in arguments):
        arguments.append(f"--data={words['data']}")
    listeners = ["--listen=127.0.0.1:0"] if not any("listen" in text for text in [*arguments, *map(str.lower, environment)]) else []
    others = [f"--{part}-listen=127.0.0.1:0" for part in ("blob", "metrics", "rtmp", "srt")]
    ended = run(binary, "up", "--no-demo", *listeners, *others, *arguments, **environment)
    assert ended.returncode == code, ended.stderr
    assert named in ended.stderr
    assert "s3cret" not in ended.stderr and STORAGE_KEY not in ended.stderr


WORKERS = [
    ({"HEADWATER_API_URL": ""}, CONFIGURATION, "--api-url (HEADWATER_API_URL)"),
    ({"HEADWATER_API_URL": "http://a/b"}, CONFIGURATION, "--api-url (HEADWATER_API_URL)"),
    ({"HEADWATER_TOKEN": "s3cret"}, CONFIGURATION, "--token (HEADWATER_TOKEN)"),
    ({"HEADWATER_TOKEN": token(-5)}, REFUSED, "--token (HEADWATER_TOKEN): it ran out"),
    ({"HEADWATER_TOKEN": token(500)}, REFUSED, "--token (HEADWATER_TOKEN)"),
    ({"HEADWATER_CA_FILE": "{folder}/nothing.pem"}, CONFIGURATION, "--ca-file (HEADWATER_CA_FILE)"),
    ({"HEADWATER_CA_FILE": "{folder}/absent.pem"}, CONFIGURATION, "--ca-file (HEADWATER_CA_FILE)"),
]  # fmt: skip


@pytest.mark.parametrize("verb", ["transcoder", "ingest", "notifier"])
@pytest.mark.parametrize("environment, code, named", WORKERS, ids=lambda value: value if isinstance(value, str) else None)
def test_workers(binary, connection, tmp_path, verb, environment, code, named):
    words = files(tmp_path)
    right = {"HEADWATER_API_URL": connection.apiUrl, "HEADWATER_TOKEN": token(500)}
    if verb == "ingest":
        right |= {"HEADWATER_INGEST_HOST": "localhost", "HEADWATER_INGEST_DATA": words["data"]}
    wrong = {name: value.format(**words) for name, value in environment.items()}
    ended = run(binary, verb, **{**right, **wrong})
    assert ended.returncode == code, ended.stderr
    assert named in ended.stderr and "s3cret" not in ended.stderr


def test_what_is_missing_is_said_with_its_variable(binary):
    ended = run(binary, "transcoder")
    assert ended.returncode == USAGE
    assert "--api-url is also read from HEADWATER_API_URL" in ended.stderr
    assert run(binary, "--help").returncode == 0


def test_a_folder_that_somebody_has(binary, connection):
    data = Path(connection.path).parent
    ended = run(binary, "up", f"--data={data}", "--listen=127.0.0.1:0")
    assert ended.returncode == TAKEN and "--data (HEADWATER_DATA)" in ended.stderr


def test_probes(connection, http):
    base = connection.metricsUrl.removesuffix("/metrics")
    live, ready = http.get(base + "/livez", timeout=60), http.get(base + "/readyz", timeout=60)
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    metrics = http.get(connection.metricsUrl, timeout=60).text
    assert 'headwater_dependency_up{dependency="catalog"} 1' in metrics
    assert 'headwater_dependency_up{dependency="storage"} 1' in metrics
