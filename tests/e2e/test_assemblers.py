"""The native assembler and the one in Wasm: the same plan, the same bytes, encrypted ones too."""

from __future__ import annotations

import pytest
from azure.mgmt.media.models import (
    ClearKeyEncryptionConfiguration,
    CommonEncryptionCbcs,
    CommonEncryptionCenc,
    ContentKeyPolicyOpenRestriction,
    DefaultKey,
    EnabledProtocols,
    StreamingPolicy,
    StreamingPolicyContentKeys,
)

import media
from headwater import Account, player_session
from installation import Installation
from processes import free_port
from test_protection import key_policy, protect

#: Formats with an init segment, and without.
FORMS = (("m3u8-cmaf", True), ("m3u8-aapl", False))
RANGES = (None, "bytes=0-99", "bytes=100-70000", "bytes=-1000")


def common_encryption(account: Account) -> str:
    """A streaming policy with `cenc` and `cbcs` for HLS, both with ClearKey."""
    name = account.name("drm")
    protocols = EnabledProtocols(download=False, dash=True, hls=True, smooth_streaming=False)

    def scheme(label: str) -> dict:
        return {
            "enabled_protocols": protocols, "clear_key_encryption_configuration": ClearKeyEncryptionConfiguration(),
            "content_keys": StreamingPolicyContentKeys(default_key=DefaultKey(label=label)),
        }  # fmt: skip

    cenc, cbcs = CommonEncryptionCenc(**scheme("cenc")), CommonEncryptionCbcs(**scheme("cbcs"))
    policy = StreamingPolicy(common_encryption_cenc=cenc, common_encryption_cbcs=cbcs)
    account.client.streaming_policies.create(*account.where, name, policy)
    return name


def encrypted(account: Account, session, asset: str) -> list[str]:
    """URLs of init segments and segments under every way of encrypting."""
    keys = key_policy(account, ContentKeyPolicyOpenRestriction())
    masters = protect(account, asset, "Predefined_ClearKey", keys)["Hls", "EnvelopeEncryption"]
    common = protect(account, asset, common_encryption(account), keys)
    masters += common["Hls", "CommonEncryptionCenc"] + common["Hls", "CommonEncryptionCbcs"]
    urls = []
    for form, has_init in FORMS:
        for master in (master for master in masters if f"format={form}," in master or f"format={form})" in master):
            for rendition in media.read_master(session, master):
                playlist = media.read_media_playlist(session, rendition.url, has_init=has_init)
                urls += [url for url in (playlist.init, *(segment.url for segment in playlist.segments[:2])) if url]
    return urls


def test_both_assemblers_send_the_same_bytes(installation: Installation, counted):
    # The store gets another port each time, the host keeps its own: init segments name where licences are.
    listen = f"--listen=127.0.0.1:{free_port()}"
    account = Account(installation.start(listen))
    origin = account.connection.streamingUrl
    published = {
        "encoded": account.publish(account.encode(account.upload(counted), "H264SingleBitrateSD")),
        # Runs of samples from all over the file.
        "as it is": account.publish(account.upload(counted)),
    }
    session = player_session(account.connection)
    paths = []
    for what in published.values():
        for rendition in media.read_master(session, what.hls):
            playlist = media.read_media_playlist(session, rendition.url)
            paths += [url.removeprefix(origin) for url in (playlist.init, *(s.url for s in playlist.segments[:3]))]
        paths += [url.removeprefix(origin) for url in what.downloads if url.endswith(".mp4")]
        secret = encrypted(account, session, what.asset)
        # Two by whole segments, one by counters, two by blocks; pictures and sound.
        assert len(secret) >= 2 * (3 + 2 + 3 + 3 + 2), secret
        paths += [url.removeprefix(origin) for url in secret]

    def answers() -> dict:
        base, session = installation.connection().streamingUrl, player_session(installation.connection())
        found = {}
        for path in paths:
            for asked in RANGES:
                got = session.get(base + path, headers={"Range": asked} if asked else {}, timeout=60)
                assert got.status_code in (200, 206), f"{path} {asked}: {got.text}"
                headers = {name: got.headers.get(name) for name in ("Content-Length", "Content-Range", "ETag")}
                found[path, asked] = (got.status_code, headers, got.content)
        return found

    native = answers()
    assert installation.stop() == 0
    installation.start(listen, "--wasm-assembler")
    for question, answer in answers().items():
        if answer != native[question]:
            pytest.fail(f"{question}: {answer[:2]} is not {native[question][:2]}, or the bytes differ")
