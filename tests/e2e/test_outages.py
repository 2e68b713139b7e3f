"""A store that is away for a while: who is watching goes on watching, in whatever format and however many they are."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import media
from headwater import Account, player_session
from separate import Separate

#: Longer than the host believes what it knows (five seconds), and leaves alone who did not answer (ten).
AWAY_S = 16
#: More at once than there were before, so that the host makes instances that never asked the store for anything.
VIEWERS = 24
FORMATS = ("m3u8-cmaf", "mpd-time-cmaf")


def shown(session, manifest: str) -> dict[str, bytes]:
    """Everything that players fetch, by its address."""
    urls = [f"{manifest}(format={name})" for name in FORMATS]
    for rendition in media.read_master(session, urls[0]):
        playlist = media.read_media_playlist(session, rendition.url)
        urls += [rendition.url, playlist.init, *(segment.url for segment in playlist.segments)]
    return {url: session.get(url, timeout=30).content for url in urls}


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_who_is_watching_goes_on_watching(separate: Separate, tmp_path, how: str):
    store = separate.store()
    # Nothing of what was answered is kept: every request is an instance's.
    connection = separate.host_of(store, "--no-ingest", "--cache-mib=0")
    account = Account(connection)
    film = account.publish(account.encode(account.upload(media.make_counted(tmp_path / "film.mp4", seconds=10)), "H264SingleBitrateSD"))
    session = player_session(connection)
    manifest = film.hls.partition("(")[0]
    before = shown(session, manifest)

    store.kill() if how == "killed" else store.signal(signal.SIGSTOP)
    waits: list[tuple[float, str]] = []
    failures: list[str] = []
    lock = threading.Lock()

    def watch(number: int, over: float, waits: list[tuple[float, str]]) -> None:
        own = player_session(connection)
        urls = list(before)
        while time.monotonic() < over:
            url = urls[number % len(urls)]
            begun = time.monotonic()
            answer = own.get(url, timeout=60)
            with lock:
                waits.append((time.monotonic() - begun, url))
                if answer.status_code != 200 or answer.content != before[url]:
                    failures.append(f"{url}: {answer.status_code} {answer.text[:200]}")
            number += 1
            time.sleep(0.05)

    def all_watch(seconds: float, waits: list[tuple[float, str]]) -> None:
        over = time.monotonic() + seconds
        with ThreadPoolExecutor(VIEWERS) as pool:
            for viewer in [pool.submit(watch, number, over, waits) for number in range(VIEWERS)]:
                viewer.result()
        assert not failures, f"{len(failures)} of {len(waits)}: {failures[0]}"

    all_watch(AWAY_S, waits)
    store.start() if how == "killed" else store.signal(signal.SIGCONT)
    store.wait_up()
    # A store is waited for once in a while, and not by a player that has something buffered. A busy machine makes everybody wait: by so
    # much as it does while the store is there.
    if max(waits)[0] >= 10:
        usual: list[tuple[float, str]] = []
        all_watch(AWAY_S, usual)
        assert max(waits)[0] < 10 + 2 * max(usual)[0], (max(usual), sorted(waits)[-20:])
    # What is new is there when the store is.
    again = account.publish(film.asset)
    deadline = time.monotonic() + 120
    while session.get(again.hls, timeout=30).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.5)
