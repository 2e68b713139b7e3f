"""An installation of many processes, each of which falls in turn: nothing acknowledged is lost, and everything goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import media
from headwater import FINAL_STATES, Account
from parts import Bed
from processes import Part
from receiver import Receiver, put_rule, rules_of
from test_live_stream import Show
from watchers import FilmPlayer, LivePlayer, Writer

#: What a player has buffered when something falls. Segments of what is published have up to six seconds.
BUFFER_S = 30
#: How long the store and the catalog are away for good measure.
OUTAGE_S = 60
#: Within which a job is somebody's again.
RESUMED_S = 30
#: So long that the job is not over before both its workers fell.
JOB_S = 1800


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    made = Bed(tmp_path_factory.mktemp("bed"))
    try:
        yield made
    finally:
        made.stop()


def log(*said) -> None:
    print(f"{time.strftime('%H:%M:%S')}", *said, flush=True)


class Scene:
    """What is going on: a film, a live event, a job, webhooks, a writer."""

    def __init__(self, bed: Bed, folder: Path):
        self.bed, self.folder = bed, folder
        self.connection = bed.start()
        self.account = Account(self.connection)
        log("all parts are up")
        clip = media.make_counted(folder / "film.mp4", seconds=30, group_s=2)
        film = self.account.publish(self.account.encode(self.account.upload(clip), "H264SingleBitrateSD"))
        log("the film is published")
        self.job_of = self.account.upload(media.make_counted(folder / "long.mp4", seconds=JOB_S))
        self.film = FilmPlayer(self.connection, film.hls, BUFFER_S)
        self.show = Show(self.account, "RTMP", low_latency=False)
        # For as long as it takes, from an encoder that comes back by itself, as encoders do.
        self.source = media.make_counted(folder / "live.mp4", seconds=60, group_s=1)
        self.encoder: subprocess.Popen | None = None
        self.push()
        video = self.show.playlists()["video"]
        self.live = LivePlayer(self.connection, video, BUFFER_S)
        self.receiver = Receiver()
        put_rule(rules_of(self.connection), "bed", f"{self.receiver.url}/bed", ["MediaKind.StreamingLocatorCreated"])
        self.writer = Writer(self.connection)
        self.transform = self.job = self.output = ""
        for watcher in (self.film, self.live, self.writer):
            watcher.start()
        log("film, live event, webhooks and writer are under way")

    def begin_job(self) -> None:
        self.transform, self.job, self.output = self.account.submit(self.job_of, "H264SingleBitrateSD")

    def push(self) -> None:
        self.encoder = self.show.push(self.source, "-stream_loop", "-1")

    def keep_pushing(self) -> None:
        """An encoder whose connection broke connects again."""
        if self.encoder.poll() is not None:
            self.push()

    def job_now(self):
        return self.account.client.jobs.get(*self.account.where, self.transform, self.job)

    def holder_of_job(self) -> Part:
        """The transcoder that took the job last."""
        def taken(part: Part) -> str:
            plain = re.sub(r"\x1b\[[0-9]*m", "", part.log.read_text(errors="replace"))
            times = [line.split()[0] for line in plain.splitlines() if "job taken" in line]
            return times[-1] if times else ""

        return max(self.bed.transcoders, key=taken)

    def holder_of_event(self) -> Part:
        url = self.show.ingest_urls()[0]
        port = re.search(r":(\d+)/", url).group(1)
        return next(part for part in self.bed.ingests if f":{port}" in part.environment["HEADWATER_RTMP_LISTEN"])

    def at_work(self) -> bool:
        state = self.job_now().state
        assert state not in FINAL_STATES, f"the job was {state} before it could be disturbed"
        return state == "Processing"

    def progress(self) -> int:
        return self.job_now().outputs[0].progress


def eventually(there, patience_s: float, what: str):
    deadline = time.monotonic() + patience_s
    while True:
        try:
            found = there()
            if found:
                return found
            said = found
        except Exception as error:  # noqa: BLE001: what is tried may meet what has fallen
            said = error
        assert time.monotonic() < deadline, f"{what}: not within {patience_s} s ({said})"
        time.sleep(0.3)


def settle(scene: Scene, seconds: float) -> None:
    """Lets things go on, and sees that they do."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        scene.keep_pushing()
        for watcher in (scene.film, scene.live, scene.writer):
            if watcher.failure is not None:
                raise watcher.failure
        time.sleep(0.2)


def everybody_is_ready(bed: Bed) -> bool:
    return all(part.readiness()[0] == 200 for part in [*bed.hosts, *bed.transcoders, *bed.ingests, *bed.notifiers])


def test_each_part_falls_in_turn(bed: Bed, tmp_path):
    scene = Scene(bed, tmp_path)
    eventually(lambda: everybody_is_ready(bed), 30, "readiness")
    written = lambda: len(scene.writer.acknowledged)  # noqa: E731

    log("a host is killed")
    bed.hosts[0].kill()
    before = written()
    settle(scene, 8)
    assert written() > before, "nothing could be written with one host"
    bed.hosts[0].start()
    settle(scene, 5)

    log("the other host is paused")
    bed.hosts[1].signal(signal.SIGSTOP)
    settle(scene, 15)
    bed.hosts[1].signal(signal.SIGCONT)
    settle(scene, 3)
    eventually(lambda: everybody_is_ready(bed), 60, "readiness after hosts")

    log("the worker with the job is killed")
    scene.begin_job()
    eventually(lambda: scene.at_work() and scene.progress() >= 5, 60, "a job under way")
    holder, before = scene.holder_of_job(), scene.progress()
    holder.kill()
    another_takes_it(scene, holder)
    assert scene.progress() >= before, "progress went back"
    holder.start()
    settle(scene, 5)

    log("the worker with the job is paused")
    assert scene.at_work()
    holder = scene.holder_of_job()
    holder.signal(signal.SIGSTOP)
    another_takes_it(scene, holder)
    holder.signal(signal.SIGCONT)
    settle(scene, 5)

    log("the notifier is killed and started again")
    told = lambda: {event["data"]["resource"]["properties"]["streamingLocatorId"] for _, _, event in list(scene.receiver.received)}  # noqa: E731
    (notifier,) = bed.notifiers
    notifier.kill()
    missed = len(scene.writer.locators)
    eventually(lambda: keeps_going(scene) and len(scene.writer.locators) >= missed + 2, 60, "locators while nobody tells of them")
    notifier.start()
    known = set(scene.writer.locators.values())
    eventually(lambda: keeps_going(scene) and known <= told(), 60, "what the killed notifier had to tell")

    log("the ingest worker with the event is killed and started again")
    holder, known = scene.holder_of_event(), max(scene.live.segments)
    holder.restart()
    settle(scene, 2)
    eventually(lambda: keeps_pushing(scene) and max(scene.live.segments) > known + 2, 40, "live after its worker was killed")

    log("the store is killed and started again")
    bed.blobs.restart()
    settle(scene, 8)

    log("the store is away for a minute")
    bed.blobs.kill()
    settle(scene, OUTAGE_S)
    bed.blobs.start()
    bed.blobs.wait_up()
    settle(scene, 8)

    log("the store is paused")
    bed.blobs.signal(signal.SIGSTOP)
    eventually(lambda: bed.hosts[0].readiness()[0] == 503, 20, "a host that says that storage is away")
    status, body = bed.hosts[0].readiness()
    assert status == 503 and "storage" in body["missing"], body
    assert bed.hosts[0].liveness() == 200
    bed.blobs.signal(signal.SIGCONT)
    settle(scene, 5)

    log("the catalog is paused")
    bed.postgres.signal(signal.SIGSTOP)
    eventually(lambda: bed.hosts[0].readiness()[0] == 503, 20, "a host that says that the catalog is away")
    status, body = bed.hosts[0].readiness()
    assert status == 503 and "catalog" in body["missing"], body
    assert bed.hosts[0].liveness() == 200
    bed.postgres.signal(signal.SIGCONT)
    settle(scene, 5)

    log("the catalog is killed and started again")
    bed.postgres.restart()
    bed.postgres.wait_up()
    before = written()
    settle(scene, 10)
    assert written() > before, "nothing could be written after the catalog came back"

    log("nginx is killed and started again")
    bed.nginx.restart()
    bed.nginx.wait_up()
    settle(scene, 5)

    eventually(lambda: everybody_is_ready(bed), 60, "readiness in the end")
    log("the job comes to its end")
    deadline = time.monotonic() + 600
    while scene.job_now().state not in FINAL_STATES:
        assert time.monotonic() < deadline, scene.job_now().serialize(True)
        settle(scene, 1)
    for watcher in (scene.film, scene.live, scene.writer):
        watcher.end()
    eventually(lambda: set(scene.writer.locators.values()) <= told(), 60, "every webhook")
    scene.receiver.close()
    log(f"film: {scene.film.played} segments, longest wait {scene.film.longest_s:.1f} s")
    log(f"live: {len(scene.live.segments)} segments, waits {scene.live.waits}, missing {scene.live.missing()}, "
        f"not to be had {scene.live.missed}")  # fmt: skip
    log(f"writes: {len(scene.writer.acknowledged)} assets, {len(scene.writer.blobs)} blobs and {len(scene.writer.locators)} locators acknowledged, "
        f"{scene.writer.refused} refused; {len(scene.receiver.received)} webhooks arrived")  # fmt: skip
    assert scene.writer.lost() == []
    assert len(scene.live.missing()) + len(scene.live.missed) <= 1

    ended = scene.job_now()
    assert ended.state == "Finished", ended.outputs[0].error.serialize(True)
    # Nothing was encoded twice, and nothing is left out.
    published = scene.account.publish(scene.output)
    session = scene.film.session
    video = next(r for r in media.read_master(session, published.hls) if r.kind == "video")
    playlist = media.read_media_playlist(session, video.url)
    urls = [playlist.init, *(segment.url for segment in playlist.segments)]
    assert media.read_counter(media.download(session, urls, tmp_path / "video.mp4", "video")) == list(range(JOB_S * 25))
    scene.encoder.kill()
    scene.encoder.wait()
    scene.show.end()


def test_what_plays_plays_on_while_the_catalog_is_away_for_a_minute(bed: Bed, tmp_path):
    """A film and a live event: its worker records on, and its encoder hears of nothing."""
    account = Account(bed.started or bed.start())
    clip = media.make_counted(tmp_path / "film.mp4", seconds=30, group_s=2)
    published = account.publish(account.encode(account.upload(clip), "H264SingleBitrateSD"))
    film = FilmPlayer(account.connection, published.hls, BUFFER_S)
    show = Show(account, "RTMP", low_latency=False)
    encoder = show.push(media.make_counted(tmp_path / "live.mp4", seconds=60, group_s=1), "-stream_loop", "-1")
    live = LivePlayer(account.connection, show.playlists()["video"], BUFFER_S)
    watchers = (film, live)
    for watcher in watchers:
        watcher.start()
    # Once through, so that both hosts have been asked.
    eventually(lambda: film.played > 2 * len(film.playlist.segments), 120, "the film, twice")
    for how in (signal.SIGKILL, signal.SIGSTOP):
        log(f"the catalog is away for a minute: {how.name}")
        bed.postgres.kill() if how == signal.SIGKILL else bed.postgres.signal(how)
        before, seen, until = film.played, len(live.segments), time.monotonic() + OUTAGE_S
        while time.monotonic() < until and all(watcher.failure is None for watcher in watchers):
            time.sleep(0.2)
        shown = len(live.segments) - seen
        if how == signal.SIGKILL:
            bed.postgres.start()
            bed.postgres.wait_up()
        else:
            bed.postgres.signal(signal.SIGCONT)
        for watcher in watchers:
            assert watcher.failure is None, watcher.failure
        assert film.played > before + OUTAGE_S // 3, film.played - before
        assert shown > OUTAGE_S // 3, shown
        eventually(lambda: all(host.readiness()[0] == 200 for host in bed.hosts), 60, "readiness after the catalog was away")
        # Nobody takes it from its worker afterwards.
        time.sleep(15)
        assert encoder.poll() is None
    for watcher in watchers:
        watcher.end()
    log(f"film: {film.played} segments, longest wait {film.longest_s:.1f} s")
    log(f"live: {len(live.segments)} segments, longest wait {live.longest_s:.1f} s, missing {live.missing()}, not to be had {live.missed}")
    assert live.missing() == [] and live.missed == []
    encoder.kill()
    encoder.wait()
    show.end()


def another_takes_it(scene: Scene, holder: Part) -> None:
    """Sees a worker other than `holder` take the job."""
    others = [part for part in scene.bed.transcoders if part is not holder]
    takings = lambda: sum(part.log.read_text(errors="replace").count("job taken") for part in others)  # noqa: E731
    before = takings()
    eventually(lambda: takings() > before, RESUMED_S, "the job's next worker")


def keeps_going(scene: Scene) -> bool:
    settle(scene, 0.5)
    return True


def keeps_pushing(scene: Scene) -> bool:
    scene.keep_pushing()
    return True
