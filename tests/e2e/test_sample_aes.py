"""Transport streams under SAMPLE-AES, of every codec that it knows, held against three programs that are not ours: shaka-packager
encrypts the same coded frames with the same key and vector, and they must come out the same; ffmpeg's HLS reader and the reader of
`tests/protect`, which is written from the format's description, must get back what the source has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import media
import sample_aes
from test_protected_formats import Film, framemd5

# Stream types of pictures and of sound, as the format's description has them: H.264, AAC in ADTS, AC-3, E-AC-3.
ENCRYPTED = {0xDB: "video", 0xCF: "audio", 0xC1: "audio", 0xC2: "audio"}
FILMS = {
    "h264-aac": ("aac", sample_aes.decrypt_adts),
    "h264-ac3": ("ac3", sample_aes.decrypt_ac3),
    "h264-eac3": ("eac3", sample_aes.decrypt_eac3),
}


def elementary(stream: bytes) -> dict[str, list[bytes]]:
    """What the packetised elementary streams of a transport stream carry (ISO/IEC 13818-1 §2.4.3): payloads by kind, one for each packet."""
    assert len(stream) % 188 == 0
    kinds: dict[int, str] = {}
    maps: set[int] = set()
    found: dict[str, list[bytes]] = {"video": [], "audio": []}
    for packet in (stream[at : at + 188] for at in range(0, len(stream), 188)):
        assert packet[0] == 0x47
        starts, pid, adaptation = packet[1] & 0x40, (packet[1] & 0x1F) << 8 | packet[2], packet[3] >> 4 & 3
        if not adaptation & 1:
            continue
        body = packet[5 + packet[4] :] if adaptation & 2 else packet[4:]
        if pid == 0 or pid in maps:
            assert starts, "tables of one packet each"
            section = body[1 + body[0] :]
            section = section[: 3 + ((section[1] & 15) << 8 | section[2]) - 4]
            if pid == 0:
                maps |= {(section[at + 2] & 0x1F) << 8 | section[at + 3] for at in range(8, len(section), 4)}
            else:
                at = 12 + ((section[10] & 15) << 8 | section[11])
                while at < len(section):
                    if section[at] in ENCRYPTED:
                        kinds[(section[at + 1] & 0x1F) << 8 | section[at + 2]] = ENCRYPTED[section[at]]
                    at += 5 + ((section[at + 3] & 15) << 8 | section[at + 4])
        elif pid in kinds:
            if starts:
                assert body[:3] == b"\0\0\1"
                found[kinds[pid]].append(body[9 + body[8] :])
            else:
                found[kinds[pid]][-1] += body
    return found


def slices(stream: bytes) -> list[bytes]:
    """Coded pictures of an H.264 byte stream: its other units stand where a packager wants them."""
    units = [unit.strip(b"\0") for unit in stream.split(b"\0\0\1")]
    return [unit for unit in units if unit and unit[0] & 31 in (1, 5)]


@dataclass
class Rendition:
    """The vector that its playlist names, its segment, and what that carries."""

    iv: str
    segment: bytes
    stream: bytes


def renditions(http, film: Film) -> dict[str, Rendition]:
    found = {}
    for rendition in media.read_master(http, f"{film.base}(format=m3u8-aapl,encryption=cbcs-aapl)"):
        playlist = media.read_media_playlist(http, rendition.url, has_init=False)
        (tag,) = [media.attributes(line) for line in playlist.text.splitlines() if line.startswith("#EXT-X-KEY:")]
        assert tag["METHOD"] == "SAMPLE-AES", tag
        # Six seconds, which one segment holds.
        (segment,) = [http.get(segment.url, timeout=60).content for segment in playlist.segments]
        stream = b"".join(elementary(segment)[rendition.kind])
        found[rendition.kind] = Rendition(tag["IV"].removeprefix("0x"), segment, stream)
    return found


def by_shaka_packager(packager: str, film: Film, kind: str, iv: str, folder: Path) -> bytes:
    kid, key = film.keys["cbcs"]
    media.run(
        packager, f"in={film.source},stream={kind},segment_template={folder}/{kind}-$Number%05d$.ts,playlist_name={kind}.m3u8",
        "--enable_raw_key_encryption", "--protection_scheme", "cbcs", "--clear_lead", "0", "--segment_duration", "2",
        "--keys", f"label=:key_id={kid}:key={key}", "--iv", iv, "--hls_master_playlist_output", f"{folder}/{kind}-master.m3u8",
    )  # fmt: skip
    assert "METHOD=SAMPLE-AES" in (folder / f"{kind}.m3u8").read_text()
    segments = [elementary(path.read_bytes())[kind] for path in sorted(folder.glob(f"{kind}-*.ts"))]
    return b"".join(packet for packets in segments for packet in packets)


@pytest.fixture(scope="module", params=FILMS)
def film(request, account, tmp_path_factory) -> Film:
    film = Film(account, request.param, tmp_path_factory.mktemp("film"))
    film.form, film.undo = FILMS[request.param]
    return film


def test_shaka_packager_encrypts_to_the_same_bytes(film, http, packager, tmp_path):
    served = renditions(http, film)
    assert set(served) == {"video", "audio"}
    theirs = {kind: by_shaka_packager(packager, film, kind, served[kind].iv, tmp_path) for kind in served}
    pictures = slices(served["video"].stream)
    assert len(pictures) == 150
    assert pictures == slices(theirs["video"])
    # Frames of an encoder's priming are not part of the presentation, and not served: one at most.
    ours = served["audio"].stream
    assert theirs["audio"].endswith(ours) and 0 <= len(theirs["audio"]) - len(ours) < len(ours) / 60


def by_ffmpeg(film: Film, rendition: Rendition, chosen: tuple[str, ...], folder: Path) -> list[str]:
    """As its HLS reader gets them. The list goes on with its segments once more: of the last one, ffmpeg 5.1 leaves encrypted what its
    parser holds back until the end, of shaka-packager's streams as well."""
    (folder / "key").write_bytes(bytes.fromhex(film.keys["cbcs"][1]))
    (folder / "segment.ts").write_bytes(rendition.segment)
    lines = ["#EXTM3U", "#EXT-X-VERSION:5", "#EXT-X-TARGETDURATION:6"]
    lines += [f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key",IV=0x{rendition.iv}']
    lines += ["#EXTINF:6.0,", "segment.ts", "#EXT-X-DISCONTINUITY", "#EXTINF:6.0,", "segment.ts", "#EXT-X-ENDLIST", ""]
    (folder / "list.m3u8").write_text("\n".join(lines))
    text = media.run("ffmpeg", "-v", "quiet", *media.hls_options(), "-i", folder / "list.m3u8", *chosen, "-f", "framemd5", "-").decode()
    return [line.split(",")[5].strip() for line in text.splitlines() if not line.startswith("#")]


def test_two_decryptors_give_the_frames_of_the_source(film, http, tmp_path):
    key = bytes.fromhex(film.keys["cbcs"][1])
    for kind, rendition in renditions(http, film).items():
        expected = film.frames[kind]
        strip = ("-bsf:a", "aac_adtstoasc") if film.form == "aac" and kind == "audio" else ()
        chosen = ("-map", "0:v:0") if kind == "video" else ("-map", "0:a:0", "-c", "copy", *strip)
        assert by_ffmpeg(film, rendition, chosen, tmp_path)[: len(expected)] == expected, (kind, "ffmpeg")

        form, undo = ("h264", sample_aes.decrypt_h264) if kind == "video" else (film.form, film.undo)
        iv = bytes.fromhex(rendition.iv)
        opened = undo(rendition.stream, key, iv)
        assert framemd5("-f", form, "-i", "pipe:0", *chosen, data=opened) == expected, (kind, "sample_aes.py")
        # That is not so because it was in the clear.
        assert opened != rendition.stream
        assert undo(rendition.stream, bytes(16), iv) != opened
