"""Fixtures: the installation under test, its clients, and the media that goes through it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

import media
from collector import Collector
from headwater import Account, HeadwaterConnection, Mkio, in_ci, needs_binary, player_session
from installation import Installation
from separate import Separate

SHARED_MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"


LAST = "test_operations_called.py"
"""Looks back at all others."""

APART = {
    *("test_live_cues.py", "test_live_encoders.py", "test_live_protected.py", "test_live_stream.py", "test_live_told.py"),
    *("test_assemblers.py", "test_bad_night.py", "test_bucket.py", "test_killed_parts.py", "test_licence_servers.py"),
    *("test_master_key.py", "test_memory.py", "test_outages.py", "test_traces.py", "test_usage.py", "test_mpd_schema.py"),
}
"""May run by themselves, and call nothing that others do not."""


def pytest_collection_modifyitems(session, config, items):
    ours = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    # What is left out by name is not collected, what is left out by a word is still here.
    chosen = config.option.keyword or config.option.markexpr or any("::" in argument for argument in config.args)
    config.whole_suite = not chosen and ours - APART <= {item.path.name for item in items}
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture(scope="session")
def connection() -> HeadwaterConnection:
    path = os.environ.get("HEADWATER_CONNECTION")
    if not path:
        pytest.exit("HEADWATER_CONNECTION has to name the connection.json of a running Headwater", returncode=2)
    return HeadwaterConnection(path)


@pytest.fixture(scope="session")
def tls_connection() -> HeadwaterConnection:
    path = os.environ.get("HEADWATER_CONNECTION_TLS")
    if not path:
        missing = "HEADWATER_CONNECTION_TLS names no connection.json"
        pytest.fail(missing) if in_ci() else pytest.skip(missing)
    return HeadwaterConnection(path)


@pytest.fixture(scope="session")
def account(connection) -> Account:
    return Account(connection)


@pytest.fixture(params=["http", "tls"])
def any_account(request) -> Account:
    """The same account of the SDK's two ways in."""
    return Account(request.getfixturevalue("connection" if request.param == "http" else "tls_connection"))


@pytest.fixture(scope="session")
def mkio(connection) -> Mkio:
    return Mkio(connection)


@pytest.fixture(scope="session")
def http(connection) -> requests.Session:
    """A player's HTTP client: no credentials."""
    return player_session(connection)


@pytest.fixture(scope="session")
def shared_media() -> Path:
    folder = Path(os.environ.get("HEADWATER_MEDIA", SHARED_MEDIA))
    assert folder.is_dir(), f"no test media at {folder}: set HEADWATER_MEDIA"
    return folder


@pytest.fixture(scope="session")
def packager() -> str:
    found = os.environ.get("SHAKA_PACKAGER") or shutil.which("packager")
    if not found:
        missing = "SHAKA_PACKAGER names no packager"
        pytest.fail(missing) if in_ci() else pytest.skip(missing)
    return found


@pytest.fixture(scope="session")
def counted(tmp_path_factory) -> Path:
    """Twelve seconds with a number in every frame and a tone at every second."""
    return media.make_counted(tmp_path_factory.mktemp("counted") / "counted.mp4", seconds=12)


@pytest.fixture(scope="session")
def counted_published(account, counted):
    """The same, encoded and published; for tests that need something to play, whatever it is."""
    return account.publish(account.encode(account.upload(counted), "AdaptiveStreaming"))


@pytest.fixture(scope="session")
def headwater(connection):
    """Runs a command of the binary on the installation under test."""
    binary = needs_binary()

    def run(*arguments) -> subprocess.CompletedProcess:
        data = ["--data", str(connection.path.parent)]
        command = [binary, arguments[0], *map(str, arguments[1:]), *data]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    run.binary = binary
    return run


@pytest.fixture
def installation(tmp_path):
    made = Installation(tmp_path)
    yield made
    if made.process and made.process.poll() is None:
        made.kill()
    made.log.close()


@pytest.fixture
def collector(monkeypatch):
    made = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    # Spans are exported so often.
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "300")
    yield made
    made.server.shutdown()


@pytest.fixture
def separate(tmp_path, installation):
    made = Separate(tmp_path, installation)
    yield made
    made.stop()
