"""The processes of a larger installation, each killed over and over while clients that know nothing of it go on."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.mgmt.media.models import Asset, AssetContainerPermission, StreamingLocator
from azure.storage.blob import BlobBlock, ContainerClient

import media
from headwater import Account, HeadwaterConnection, player_session
from receiver import Receiver, eventually, log_of, put_rule, rules_of
from separate import Separate


class Worker(threading.Thread):
    """Takes step after step until it is told to end, whatever falls around it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.failure: BaseException | None = None
        #: Steps whose end the client was not told.
        self.cut_off = 0

    def run(self) -> None:
        try:
            while not self.over.is_set():
                try:
                    self.step()
                except AzureError as error:
                    # One that the server answered is a refusal, unless the server says that it could not.
                    if (getattr(error, "status_code", None) or 500) < 500:
                        raise
                    self.cut_off += 1
                    time.sleep(0.1)
        except BaseException as failure:  # noqa: BLE001: raised where the test can see it
            self.failure = failure

    def end(self) -> None:
        self.over.set()
        self.join(300)
        if self.failure is not None:
            raise self.failure


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


#: What a blob is that is not there.
GONE = "gone"


@dataclass
class Blob:
    """What a client knows of a blob: the last that it was told of, and all that it has tried since."""

    acknowledged: str = GONE
    since: set[str] = field(default_factory=set)

    def try_(self, what: str) -> None:
        self.since.add(what)

    def told(self, what: str) -> None:
        self.acknowledged, self.since = what, set()

    def may_be(self) -> set[str]:
        return {self.acknowledged} | self.since


class Uploader(Worker):
    """One that writes, writes again and deletes, whole and in blocks; each blob is the business of one uploader."""

    def __init__(self, container: ContainerClient, number: int):
        super().__init__()
        self.container, self.chance = container, random.Random(number)
        self.prefix, self.blobs = f"from-{number}/", {}
        self.numbers = itertools.count()
        self.done = dict.fromkeys(("whole", "blocks", "again", "deleted"), 0)

    def step(self) -> None:
        kind = self.chance.choice(["whole", "whole", "blocks", "again", "deleted"])
        known = [name for name, blob in self.blobs.items() if blob.acknowledged != GONE]
        if kind in ("again", "deleted") and not known:
            return
        name = self.chance.choice(known) if kind in ("again", "deleted") else f"{self.prefix}{next(self.numbers):04}.bin"
        blob = self.blobs.setdefault(name, Blob())
        client = self.container.get_blob_client(name)
        if kind == "deleted":
            cut_off_before = GONE in blob.since
            blob.try_(GONE)
            try:
                client.delete_blob()
            except ResourceNotFoundError:
                # A deletion whose end this client was not told may have been carried out.
                if not cut_off_before:
                    raise AssertionError(f"{name} was lost: {blob.acknowledged} had been acknowledged") from None
            blob.told(GONE)
        else:
            body = self.chance.randbytes(self.chance.choice([0, 100, 70_000, 2_000_000, 6_000_000]))
            blob.try_(digest(body))
            if kind == "blocks":
                size = max(1, len(body) // 3)
                parts = [body[at : at + size] for at in range(0, len(body), size)]
                ids = [f"{at:06}" for at in range(len(parts))]
                for block, part in zip(ids, parts, strict=True):
                    client.stage_block(block, part)
                client.commit_block_list([BlobBlock(block) for block in ids])
            else:
                client.upload_blob(body, overwrite=True)
            blob.told(digest(body))
        self.done[kind] += 1


def test_the_store_is_killed_while_clients_upload_and_a_job_runs(separate: Separate, tmp_path):
    store = separate.store()
    connection = separate.host_of(store, "--no-ingest")
    account = Account(connection)
    seconds = 150
    source = account.upload(media.make_counted(tmp_path / "counted.mp4", seconds=seconds))
    transform, job, output = account.submit(source, "H264SingleBitrateSD")

    url = account.container(account.new_asset("uploads"), AssetContainerPermission.READ_WRITE_DELETE).url
    # Without retries each knows what it was told. One client goes by the SDK's own, which ride over the deaths.
    uploaders = [Uploader(ContainerClient.from_container_url(url, retry_total=0), number) for number in range(4)]
    patient = ContainerClient.from_container_url(
        url, max_single_put_size=1 << 20, max_block_size=1 << 20, initial_backoff=1, increment_base=1, retry_total=8
    )
    films = []

    def send_films():
        while not uploaders[0].over.is_set():
            film = os.urandom(24 << 20)
            # Over what is there: what the SDK tries again may have been carried out.
            patient.upload_blob(f"film-{len(films)}", film, max_concurrency=2, overwrite=True)
            films.append(digest(film))

    carrier = threading.Thread(target=send_films, daemon=True)
    for worker in (*uploaders, carrier):
        worker.start()
    chance = random.Random(7)
    killed_at_work = 0
    for _ in range(8):
        time.sleep(chance.uniform(1, 3))
        killed_at_work += account.client.jobs.get(*account.where, transform, job).state in ("Scheduled", "Processing")
        store.kill()
        time.sleep(chance.uniform(0, 0.7))
        store.start()
        store.wait_up()
    assert killed_at_work >= 3, "the job was over before it could be disturbed"
    time.sleep(2)

    def done() -> dict[str, int]:
        return {kind: sum(uploader.done[kind] for uploader in uploaders) for kind in uploaders[0].done}

    # On a busy machine little is done until then. Who has failed says so below.
    eventually(lambda: min(done().values()) >= 3 or any(uploader.failure for uploader in uploaders))
    for uploader in uploaders:
        uploader.end()
    carrier.join(300)
    assert not carrier.is_alive()

    # Once more, so that nothing is only in its memory.
    store.restart()
    store.wait_up()
    container = ContainerClient.from_container_url(url)
    listed = {blob.name: blob.size for blob in container.list_blobs()}
    for uploader in uploaders:
        for name, blob in uploader.blobs.items():
            try:
                body = container.download_blob(name).readall()
                assert len(body) == listed[name], name
                found = digest(body)
            except ResourceNotFoundError:
                assert name not in listed
                found = GONE
            assert found in blob.may_be(), f"{name} is {found}, was {blob.acknowledged}, tried {blob.since}"
    assert [digest(container.download_blob(f"film-{at}").readall()) for at in range(len(films))] == films and films
    known = {name for uploader in uploaders for name in uploader.blobs} | {f"film-{at}" for at in range(len(films) + 1)}
    assert set(listed) <= known
    assert min(done().values()) >= 3, done()
    assert sum(uploader.cut_off for uploader in uploaders) >= 4, "the store was killed while nobody wrote"

    ended = account.wait(transform, job)
    assert ended.state == "Finished", ended.outputs[0].error.serialize(True)
    session, published = player_session(connection), account.publish(output)
    video = next(r for r in media.read_master(session, published.hls) if r.kind == "video")
    playlist = media.read_media_playlist(session, video.url)
    urls = [playlist.init, *(segment.url for segment in playlist.segments)]
    assert media.read_counter(media.download(session, urls, tmp_path / "video.mp4", "video")) == list(range(seconds * 25))


def test_the_notifier_is_killed_while_it_delivers_for_many_rules(separate: Separate):
    connection = separate.host("--no-notifier", "--no-ingest", "--no-transcoder")
    rules, account, receiver = rules_of(connection), Account(connection), Receiver(takes_s=0.6)
    notifier = separate.worker("notifier", HEADWATER_EGRESS_ALLOW="127.0.0.0/8")
    names = [f"rule-{number:02}" for number in range(50)]
    for name in names:
        put_rule(rules, name, f"{receiver.url}/{name}", ["MediaKind.StreamingLocatorCreated"])
    # One that refuses at first, so that what is told of attempts can be held against what was attempted.
    receiver.planned["/rule-00"] = [503, 500, 503]
    asset, locators = account.new_asset("told"), 8
    made = [str(account.locate(asset).streaming_locator_id) for _ in range(locators)]
    kills = 3
    for _ in range(kills):
        before = len(receiver.received)
        # However fast it is, it does not get further than that, and what is under way, until it is killed.
        receiver.most = before + 60
        eventually(lambda before=before: len(receiver.received) >= before + 60)
        assert len(receiver.received) < len(names) * locators, "all was delivered before it could be disturbed"
        notifier.kill()
        receiver.most = None
        notifier.start()
        notifier.wait_up()

    # A lease that nobody holds any more runs out, and then the delivery is another's.
    eventually(lambda: all(entry["status"] == "Sent" for name in names for entry in log_of(rules, name)))
    for name in names:
        entries = log_of(rules, name)
        arrived = [event for path, _, event in receiver.received if path == f"/{name}"]
        assert len({entry["id"] for entry in entries}) == len(entries) == locators
        assert {event["id"] for event in arrived} == {entry["id"] for entry in entries}
        assert {event["data"]["resource"]["properties"]["streamingLocatorId"] for event in arrived} == set(made)
        for entry in entries:
            times = sum(event["id"] == entry["id"] for event in arrived)
            assert 1 <= times <= kills + 1 + 3, entry
            # An attempt of one that died was an attempt, whether it got so far as to arrive or not.
            assert times <= entry["attempts"], (times, entry)
    receiver.close()


def test_a_helper_is_killed_while_three_workers_make_one_job(separate: Separate, tmp_path):
    account = Account(separate.host("--no-transcoder", "--no-ingest", "--no-notifier"))
    workers = [
        separate.worker("transcoder", number, HEADWATER_THREADS="1", HEADWATER_ENGINE="builtin") for number in (1, 2, 3)
    ]
    said = lambda worker, what: worker.log.read_text(errors="replace").count(what)  # noqa: E731
    seconds = 240
    source = account.upload(media.make_counted(tmp_path / "counted.mp4", seconds=seconds))
    transform, job, output = account.submit(source, "H264SingleBitrateSD")
    helpers = lambda: [worker for worker in workers if said(worker, "helping with a job")]  # noqa: E731
    eventually(lambda: len(helpers()) == 2)
    progress = lambda: account.client.jobs.get(*account.where, transform, job).outputs[0].progress  # noqa: E731
    eventually(lambda: progress() >= 20)
    helpers()[0].kill()
    seen = []
    ended = account.wait(transform, job, on_poll=lambda found: seen.append(found.outputs[0].progress))
    assert ended.state == "Finished", ended.outputs[0].error.serialize(True)
    assert seen == sorted(seen)

    # One of them had the job throughout, the other made a part of it; nothing is missing or doubled at the seams.
    assert sum(said(worker, "job taken") for worker in workers) == 1
    def helped() -> int:
        told = re.sub(r"\x1b\[[0-9]*m", "", helpers()[1].log.read_text(errors="replace"))
        return sum(map(int, re.findall(r"helped with a job.* chunks=(\d+)", told)))

    # Said when the helper notices that there is nothing more to make.
    eventually(helped)
    session, published = player_session(account.connection), account.publish(output)
    for kind, check in (("video", lambda file: media.read_counter(file) == list(range(seconds * 25))),
                        ("audio", lambda file: [round(at) for at in media.tone_starts(file)] == list(range(seconds)))):  # fmt: skip
        rendition = next(r for r in media.read_master(session, published.hls) if r.kind == kind)
        playlist = media.read_media_playlist(session, rendition.url)
        urls = [playlist.init, *(segment.url for segment in playlist.segments)]
        assert check(media.download(session, urls, tmp_path / f"{kind}.mp4", kind)), kind


class Script(Worker):
    """A video team's script on the unmodified management SDK, with the SDK's own retries."""

    def __init__(self, connection: HeadwaterConnection):
        super().__init__()
        self.account = Account(connection)
        self.assets: dict[str, tuple[str, set[str]]] = {}
        self.locators: dict[str, str] = {}
        self.deleted: list[str] = []

    def step(self) -> None:
        account, name = self.account, Account.name("kept")
        account.client.assets.create_or_update(*account.where, name, Asset(description="0"))
        self.assets[name] = ("0", set())
        for turn in ("1", "2"):
            self.assets[name][1].add(turn)
            account.client.assets.update(*account.where, name, Asset(description=turn))
            self.assets[name] = (turn, set())
        locator = Account.name("kept")
        made = account.client.streaming_locators.create(
            *account.where, locator, StreamingLocator(asset_name=name, streaming_policy_name="Predefined_ClearStreamingOnly")
        )
        self.locators[locator] = str(made.streaming_locator_id)
        passing = Account.name("passing")
        account.client.assets.create_or_update(*account.where, passing, Asset())
        account.client.assets.delete(*account.where, passing)
        self.deleted.append(passing)


def test_the_host_is_killed_while_scripts_write(separate: Separate, installation: Installation):
    arguments = ("--no-ingest", "--no-transcoder")
    connection = separate.host(*arguments)
    scripts = [Script(connection) for _ in range(4)]
    for script in scripts:
        script.start()
    chance = random.Random(11)
    for _ in range(6):
        before = sum(len(script.locators) for script in scripts)
        time.sleep(chance.uniform(0.5, 2))
        eventually(lambda before=before: sum(len(script.locators) for script in scripts) >= before + 4)
        installation.kill()
        account = Account(separate.host(*arguments))
    for script in scripts:
        script.end()

    where = account.where
    assets = {asset.name: asset for asset in account.client.assets.list(*where)}
    for script in scripts:
        for name, (acknowledged, since) in script.assets.items():
            assert assets[name].description in {acknowledged} | since, f"{name}: {assets[name].description}"
        for name, locator_id in script.locators.items():
            assert str(account.client.streaming_locators.get(*where, name).streaming_locator_id) == locator_id
        assert not set(script.deleted) & set(assets)
        assert script.locators and script.deleted
