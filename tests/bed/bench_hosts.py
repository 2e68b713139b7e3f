"""`cargo xtask bench hosts`: what two hosts serve, in multiples of one.

On two cores there is no room for two hosts, a database, a store, nginx and who asks them. So every host gets a small share of a core
(a control group's quota) and is the narrowest place by far; what is measured is whether hosts are in each other's way, in what they
share: catalog, store, nginx.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import media
import pytest
from headwater import Account, HeadwaterConnection, Mkio
from parts import Bed
from processes import Part

#: Of a core, for each host.
SHARE = 0.15
#: For what is answered from a host's memory: with more nginx and who asks are what is narrow.
SMALL_SHARE = 0.05
SECONDS = 8
ROUNDS = 3
CONNECTIONS = 32
#: Short, so that a host that has used up its share does not stand still for long.
PERIOD_US = 10_000
#: The kernel takes no smaller quota.
SMALLEST_US = 1_000


@contextmanager
def shared(parts: list[Part], share: float):
    """Each of the processes, with all that it has started, gets so much of a core."""
    root = Path("/sys/fs/cgroup")
    unified = (root / "cgroup.controllers").exists()
    period = max(PERIOD_US, round(SMALLEST_US / share))
    quota = str(round(share * period))
    made = []
    try:
        for part in parts:
            folder = (root if unified else root / "cpu") / f"headwater-bench-{os.getpid()}-{part.name}"
            folder.mkdir()
            made.append(folder)
            if unified:
                (folder / "cpu.max").write_text(f"{quota} {period}")
            else:
                (folder / "cpu.cfs_period_us").write_text(str(period))
                (folder / "cpu.cfs_quota_us").write_text(quota)
            (folder / "cgroup.procs").write_text(str(part.process.pid))
        yield
    finally:
        for folder in made:
            for pid in (folder / "cgroup.procs").read_text().split():
                (folder.parent / "cgroup.procs").write_text(pid)
            folder.rmdir()


class TwoHosts(Bed):
    """The bed without its workers, and with nginx in front of as many hosts as are asked for."""

    def start(self) -> HeadwaterConnection:
        self.start_hosts()
        self.serve(2)
        return HeadwaterConnection(str(Path(self.hosts[0].environment["HEADWATER_DATA"]) / "connection.json"))

    def serve(self, hosts: int) -> None:
        self.nginx.stop()
        self.nginx = self._nginx()
        config = self.folder / "nginx.conf"
        lines = config.read_text().splitlines()
        servers = [line for line in lines if line.strip().startswith("server 127.0.0.1")]
        assert len(servers) == 2
        config.write_text("\n".join(line for line in lines if line not in servers[hosts:]))
        self.nginx.start()
        self.nginx.wait_up()


def load(url: str, token: str | None) -> float:
    """Requests a second."""
    header = ["-H", f"Authorization: Bearer {token}"] if token else []
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", *header]
    for seconds in (2, SECONDS):
        told = subprocess.run([*command, f"-d{seconds}s", url], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in told and "Socket errors" not in told, told
    return float(re.search(r"Requests/sec:\s+([\d.]+)", told).group(1))


@pytest.fixture
def bed(tmp_path):
    made = TwoHosts(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_what_two_hosts_serve(bed: TwoHosts, tmp_path):
    for program in ("wrk", "nginx", "ffmpeg"):
        assert shutil.which(program), f"{program} is not installed"
    connection = bed.start()
    account = Account(connection)
    film = account.publish(account.upload(media.make_counted(tmp_path / "film.mp4", seconds=60, group_s=2)))
    mkio = Mkio(connection, prefix="/api/v1")
    name = account.name("key")
    odata = "#Microsoft.Media.ContentKeyPolicy"
    option = {"configuration": {"@odata.type": f"{odata}ClearKeyConfiguration"}, "restriction": {"@odata.type": f"{odata}OpenRestriction"}}
    there = f"/projects/{connection.project}/media"
    mkio.call("PUT", f"{there}/contentKeyPolicies/{name}", {"properties": {"options": [option]}})
    locator = {"assetName": film.asset, "streamingPolicyName": "Predefined_ClearKey", "defaultContentKeyPolicyName": name}
    mkio.call("PUT", f"{there}/streamingLocators/{name}", {"properties": locator})
    kid = mkio.call("POST", f"{there}/streamingLocators/{name}/listContentKeys", {})["contentKeys"][0]["id"]
    session = mkio.session
    video = media.read_master(session, film.hls)[0]
    segment = media.read_media_playlist(session, video.url).segments[0].url
    rows = [
        ("GET an asset", SHARE, f"{connection.apiUrl}/api/v1{there}/assets/{film.asset}", connection.token),
        ("AES key", SHARE, f"{connection.keysUrl}/?kid={kid}", None),
        ("media playlist", SMALL_SHARE, video.url, None),
        (f"segment of {len(session.get(segment, timeout=30).content) >> 10} KiB", SHARE, segment, None),
    ]
    print("\n| what | of a core | one host | two | multiple |\n|---|---|---|---|---|")
    for what, share, url, token in rows:
        with shared(bed.hosts, share):
            rates: dict[int, list[float]] = {1: [], 2: []}
            for _ in range(ROUNDS):
                for hosts, found in rates.items():
                    bed.serve(hosts)
                    time.sleep(1)
                    found.append(load(url, token))
            one, two = (statistics.median(found) for found in rates.values())
            print(f"| {what} | {share} | {one:.0f} | {two:.0f} | {two / one:.2f} |", flush=True)
