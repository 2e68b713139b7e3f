"""What goes on while parts fall: a player of a film, a player of what is live, a script that writes."""

from __future__ import annotations

import re
import threading
import time
import uuid
from urllib.parse import urljoin

import requests

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
            self.longest_s, self.newest_at = max(self.longest_s, now - self.newest_at), now
        self.ended.wait(0.5)

    def missing(self) -> list[int]:
        """Numbers that no playlist named, between the first and the last."""
        return [number for number in range(min(self.segments), max(self.segments)) if number not in self.segments]


class Writer(Watcher):
    """Makes assets and puts a blob into every tenth; remembers what was acknowledged and nothing else."""

    def __init__(self, connection: HeadwaterConnection):
        super().__init__()
        self.connection = connection
        self.session = player_session(connection)
        self.session.headers["Authorization"] = f"Bearer {connection.token}"
        self.base = f"{connection.apiUrl}/api/v1/projects/{connection.project}/media"
        self.acknowledged: list[str] = []
        self.refused = 0

    def step(self) -> None:
        name = f"bed-{uuid.uuid4().hex[:12]}"
        try:
            answer = self.session.put(f"{self.base}/assets/{name}", json={"properties": {}}, timeout=12)
            if answer.status_code in (200, 201):
                self.acknowledged.append(name)
            else:
                assert answer.status_code >= 500 or answer.status_code == 429, f"{answer.status_code} {answer.text}"
                self.refused += 1
        except requests.RequestException:
            self.refused += 1
        self.ended.wait(0.15)

    def lost(self) -> list[str]:
        return [name for name in self.acknowledged if self.session.get(f"{self.base}/assets/{name}", timeout=30).status_code != 200]
