"""`kill -9` of every process in turn: what was acknowledged is there, and what ran goes on."""

from __future__ import annotations

import hashlib
import os
import signal
import time

import media
from headwater import FINAL_STATES, Account, player_session
from installation import Installation


def under_way(account: Account, transform: str, job: str, percent: int) -> int:
    """Waits until a job has come so far, and says how far."""
    deadline = time.monotonic() + 120
    while True:
        found = account.client.jobs.get(*account.where, transform, job)
        assert found.state not in FINAL_STATES, f"over before it could be disturbed: {found.state}"
        if found.outputs[0].progress >= percent:
            return found.outputs[0].progress
        assert time.monotonic() < deadline, f"no progress: {found.state}"
        time.sleep(0.2)


def test_a_night_of_killed_processes(installation: Installation, tmp_path):
    seconds = 180
    clip = media.make_counted(tmp_path / "counted.mp4", seconds=seconds)
    account = Account(installation.start())
    source = account.upload(clip)
    transform, job, output = account.submit(source, "H264SingleBitrateSD")

    # The transcoder falls: it is started again, and its job goes on where it was.
    before = under_way(account, transform, job, 20)
    os.kill(installation.worker(), signal.SIGKILL)
    time.sleep(1)
    assert account.client.jobs.get(*account.where, transform, job).outputs[0].progress >= before

    # Everything falls, in the middle of that job and with a file just acknowledged.
    under_way(account, transform, job, 50)
    notes, asset = os.urandom(3 << 20), account.new_asset("notes")
    account.container(asset).upload_blob("notes.bin", notes)
    installation.kill()
    account = Account(installation.start())
    kept = account.container(asset).download_blob("notes.bin").readall()
    assert hashlib.sha256(kept).digest() == hashlib.sha256(notes).digest()
    assert account.container(source).download_blob("counted.mp4").readall() == clip.read_bytes()

    seen = []
    ended = account.wait(transform, job, on_poll=lambda found: seen.append(found.outputs[0].progress))
    assert ended.state == "Finished", ended.outputs[0].error.serialize(True)
    assert seen == sorted(seen) and seen[0] >= before, f"progress went back: {before}, then {seen}"

    # It was not begun anew, and no frame is missing or doubled at the seams.
    assert installation.resumed_chunks() > 0
    published = account.publish(output)
    session = player_session(account.connection)
    video = next(r for r in media.read_master(session, published.hls) if r.kind == "video")
    playlist = media.read_media_playlist(session, video.url)
    urls = [playlist.init, *(segment.url for segment in playlist.segments)]
    file = media.download(session, urls, tmp_path / "video.mp4", "video")
    assert media.read_counter(file) == list(range(seconds * 25))

    # And it still goes when it is asked to.
    assert installation.stop() == 0
    assert not (installation.data / "connection.json").exists()


def test_an_upload_that_is_acknowledged_starts_its_job_after_a_crash(installation: Installation, tmp_path):
    clip = media.make_counted(tmp_path / "dropped.mp4", seconds=4)
    account = Account(installation.start())
    uploads = account.new_asset("drop", container="uploads")
    account.container(uploads).upload_blob("dropped.mp4", clip.read_bytes())
    # At once: the event is on its way at best.
    installation.kill()
    account = Account(installation.start())
    deadline = time.monotonic() + 120
    while True:
        jobs = list(account.client.jobs.list(*account.where, "AdaptiveStreaming"))
        if jobs and all(job.state in FINAL_STATES for job in jobs):
            break
        assert time.monotonic() < deadline, f"the upload started nothing: {jobs}"
        time.sleep(0.5)
    assert [job.state for job in jobs] == ["Finished"]


def test_a_damaged_cache_of_compiled_code_is_made_again(installation: Installation):
    installation.start()
    assert installation.stop() == 0
    compiled = [path for path in (installation.data / "cache/compiled").rglob("*") if path.is_file()]
    assert compiled
    for path in compiled:
        os.truncate(path, path.stat().st_size // 2)
    account = Account(installation.start())
    assert [endpoint.name for endpoint in account.client.streaming_endpoints.list(*account.where)] == ["default"]
