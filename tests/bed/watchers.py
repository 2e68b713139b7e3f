"""What goes on while parts fall: a player of a film, a player of what is live, a script that writes."""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import urljoin

import requests
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient

import media
from headwater import HeadwaterConnection, player_session


class Watcher(threading.Thread):
    """Runs until it is told to end; what it raises is raised at the end."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self.step()
        except BaseException as failure:
            self.failure = failure

    def end(self) -> None:
        self.ended.set()
        self.join(timeout=60)
        if self.failure is not None:
            raise self.failure


def persistently(session: requests.Session, url: str, patience_s: float, timeout_s: float = 5, **options) -> tuple[bytes, float]:
    """As a player that has something buffered: it asks again until it has it. The body, and how long that took."""
    begun = time.monotonic()
    while True:
        try:
            answer = session.get(url, timeout=timeout_s, **options)
            if answer.status_code == 200:
                return answer.content, time.monotonic() - begun
            said = f"{answer.status_code} {answer.text[:200]}"
        except requests.RequestException as error:
            said = repr(error)
        assert time.monotonic() - begun < patience_s, f"{url}: {said} for {patience_s} s"
        time.sleep(0.3)


class FilmPlayer(Watcher):
    """Plays a film over and over, a segment every second, and knows the longest wait for one."""

    def __init__(self, connection: HeadwaterConnection, hls: str, patience_s: float):
        super().__init__()
        self.session, self.patience_s = player_session(connection), patience_s
        video = next(r for r in media.read_master(self.session, hls) if r.kind == "video")
        self.playlist = media.read_media_playlist(self.session, video.url)
        self.known: dict[str, bytes] = {}
        self.at, self.played, self.longest_s = 0, 0, 0.0

    def step(self) -> None:
        url = self.playlist.segments[self.at % len(self.playlist.segments)].url
        body, waited = persistently(self.session, url, self.patience_s)
        assert self.known.setdefault(url, body) == body, f"{url} is not what it was"
        self.longest_s = max(self.longest_s, waited)
        self.at, self.played = self.at + 1, self.played + 1
        self.ended.wait(1)


class LivePlayer(Watcher):
    """Follows a live playlist and fetches every segment that it names, once."""

    def __init__(self, connection: HeadwaterConnection, playlist: str, patience_s: float):
        super().__init__()
        self.session, self.url, self.patience_s = player_session(connection), playlist, patience_s
        self.segments: dict[int, str] = {}
        self.missed: list[str] = []
        self.newest_at = time.monotonic()
        self.longest_s = 0.0
        #: Waits of more than five seconds for the next segment: when they ended, and how long they were.
        self.waits: list[str] = []

    def step(self) -> None:
        text, _ = persistently(self.session, self.url, self.patience_s)
        text = text.decode()
        first = int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text).group(1))
        names = [line for line in text.splitlines() if line and not line.startswith("#")]
        for number, name in enumerate(names, first):
            if number in self.segments:
                assert self.segments[number] == name, f"segment {number} was {self.segments[number]} and is {name}"
                continue
            self.segments[number] = name
            try:
                persistently(self.session, urljoin(self.url, name), 15)
            except AssertionError as error:
                self.missed.append(str(error))
            now = time.monotonic()
            waited, self.newest_at = now - self.newest_at, now
            self.longest_s = max(self.longest_s, waited)
            if waited > 5:
                self.waits.append(f"{time.strftime('%H:%M:%S')} {waited:.1f} s")
        self.ended.wait(0.5)

    def missing(self) -> list[int]:
        """Numbers that no playlist named, between the first and the last."""
        return [number for number in range(min(self.segments), max(self.segments)) if number not in self.segments]


class Writer(Watcher):
    """Makes assets; puts a blob into every tenth and publishes it. Remembers what was acknowledged and nothing else."""

    def __init__(self, connection: HeadwaterConnection):
        super().__init__()
        self.session = player_session(connection)
        self.session.headers["Authorization"] = f"Bearer {connection.token}"
        self.base = f"{connection.apiUrl}/api/v1/projects/{connection.project}/media"
        self.acknowledged: list[str] = []
        #: The bodies of blobs, by the URL of their container.
        self.blobs: dict[str, bytes] = {}
        #: The ids of locators, by name.
        self.locators: dict[str, str] = {}
        self.refused = 0

    def step(self) -> None:
        name = f"bed-{uuid.uuid4().hex[:12]}"
        if self.ask("PUT", f"/assets/{name}", {"properties": {}}) is not None:
            self.acknowledged.append(name)
            if len(self.acknowledged) % 10 == 0:
                self.fill(name)
        self.ended.wait(0.15)

    def fill(self, asset: str) -> None:
        expiry = (datetime.now(timezone.utc) + timedelta(hours=2)).isoformat(timespec="seconds").replace("+00:00", "Z")
        answer = self.ask("POST", f"/assets/{asset}/listContainerSas", {"permissions": "ReadWrite", "expiryTime": expiry})
        if answer is not None:
            url, body = answer["assetContainerSasUrls"][0], os.urandom(200_000)
            try:
                # Without retries: what is acknowledged is acknowledged once.
                ContainerClient.from_container_url(url, retry_total=0, connection_timeout=5, read_timeout=12).upload_blob("notes.bin", body)
                self.blobs[url] = body
            except AzureError as error:
                assert (getattr(error, "status_code", None) or 500) >= 500, error
                self.refused += 1
        properties = {"assetName": asset, "streamingPolicyName": "Predefined_ClearStreamingOnly"}
        made = self.ask("PUT", f"/streamingLocators/{asset}", {"properties": properties})
        if made is not None:
            self.locators[asset] = made["properties"]["streamingLocatorId"]

    def ask(self, method: str, path: str, body: dict) -> dict | None:
        """What was answered; None if it was refused for now, or not heard of again."""
        try:
            answer = self.session.request(method, self.base + path, json=body, timeout=12)
        except requests.RequestException:
            self.refused += 1
            return None
        if answer.status_code in (200, 201):
            return answer.json()
        assert answer.status_code >= 500 or answer.status_code == 429, f"{answer.status_code} {answer.text}"
        self.refused += 1
        return None

    def lost(self) -> list[str]:
        """What was acknowledged and is not there, or is something else."""
        lost = [name for name in self.acknowledged if self.session.get(f"{self.base}/assets/{name}", timeout=30).status_code != 200]
        for url, body in self.blobs.items():
            if ContainerClient.from_container_url(url).download_blob("notes.bin").readall() != body:
                lost.append(url.partition("?")[0])
        for name, locator_id in self.locators.items():
            found = self.session.get(f"{self.base}/streamingLocators/{name}", timeout=30)
            if found.status_code != 200 or found.json()["properties"]["streamingLocatorId"] != locator_id:
                lost.append(f"locator {name}")
        return lost
