"""Decrypted frames are those of the source."""

import struct

import pytest
from conftest import run
from decryptor import decrypt

KID = "00112233445566778899aabbccddeeff"
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER_KID = "ffeeddccbbaa99887766554433221100"
OTHER_KEY = "a0b1c2d3e4f5061728394a5b6c7d8e9f"
IV = "000102030405060708090a0b0c0d0e0f"
PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=2", "-pix_fmt", "yuv420p")
WIDE = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=2", "-pix_fmt", "yuv420p")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2")
FRAGMENTS = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof")

SOURCES = {
    "h264": (*PICTURES, "-c:v", "libx264", "-bf", "2", "-g", "50"),
    "h264-slices": (
        *PICTURES, "-c:v", "libx264", "-bf", "3",
        "-x264-params", "slices=4:weightp=2:weightb=1:keyint=50:ref=5:b-pyramid=normal",
    ),
    "h264-baseline": (*PICTURES, "-c:v", "libx264", "-profile:v", "baseline", "-g", "25"),
    "h264-interlaced": (*PICTURES, "-c:v", "libx264", "-flags", "+ilme+ildct", "-x264-params", "tff=1:keyint=50:bframes=2"),
    "h265": (*PICTURES, "-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "keyint=50:log-level=none"),
    "h265-slices": (
        *PICTURES, "-c:v", "libx265", "-tag:v", "hvc1",
        "-x265-params", "slices=3:weightb=1:keyint=50:ref=4:bframes=4:log-level=none",
    ),
    "av1": (*PICTURES, "-c:v", "libaom-av1", "-cpu-used", "8", "-g", "25", "-b:v", "400k", "-lag-in-frames", "19"),
    "av1-tiles": (
        *WIDE, "-c:v", "libaom-av1", "-cpu-used", "8", "-g", "25", "-tiles", "2x2", "-b:v", "600k", "-denoise-noise-level", "20",
    ),
    "av1-svt": (*PICTURES, "-c:v", "libsvtav1", "-preset", "10", "-g", "25"),
    "aac": (*SOUND, "-c:a", "aac", "-b:a", "96k", "-frag_duration", "500000"),
}  # fmt: skip


def frames(*source, data=None):
    """Hashes of the decoded frames, in order."""
    text = run("ffmpeg", "-v", "error", *source, "-f", "framemd5", "-", data=data).decode()
    return [line.split(",")[-1].strip() for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module", params=SOURCES)
def source(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / f"{request.param}.mp4"
    # In two steps: fragments at once have no decoder configuration of libaom's, which comes with the first packet.
    whole = path.with_suffix(".whole.mp4")
    run("ffmpeg", "-v", "error", "-y", *SOURCES[request.param], whole)
    run("ffmpeg", "-v", "error", "-y", "-i", whole, "-c", "copy", *FRAGMENTS, *frag_duration(SOURCES[request.param]), path)
    return path


def frag_duration(options):
    """Audio has no key frames to cut at."""
    at = options.index("-frag_duration") if "-frag_duration" in options else None
    return options[at : at + 2] if at is not None else ()


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_three_decryptors_give_the_frames_of_the_source(source, scheme, examples, packager, tmp_path):
    protected, again = tmp_path / "protected.mp4", tmp_path / "again.mp4"
    run(examples / "protect", source, protected, scheme, KID, KEY)
    run(examples / "protect", source, again, scheme, KID, KEY)
    assert protected.read_bytes() == again.read_bytes(), "the same input gives the same bytes"
    expected = frames("-i", source)
    assert len(expected) >= 50
    assert frames("-decryption_key", KEY, "-i", "pipe:0", data=protected.read_bytes()) == expected

    clear = tmp_path / "clear.mp4"
    stream = "audio" if "aac" in source.name else "video"
    run(
        packager, f"in={protected},stream={stream},out={clear}",
        "--enable_raw_key_decryption", "--keys", f"label=:key_id={KID}:key={KEY}",
    )  # fmt: skip
    assert frames("-i", clear) == expected

    opened, used = decrypt(protected.read_bytes(), {KID: KEY})
    assert used == [KID]
    assert frames("-i", "pipe:0", data=opened) == expected


@pytest.mark.parametrize("scheme", ["cenc", "cbcs", "piff"])
def test_a_decryptor_gives_the_bytes_of_the_source(source, scheme, examples, tmp_path):
    """Not only what is shown: every sample is what it was, under PIFF as well, which neither ffmpeg nor shaka-packager decrypts."""
    protected = tmp_path / "protected.mp4"
    run(examples / "protect", source, protected, scheme, KID, KEY)
    opened, used = decrypt(protected.read_bytes(), {KID: KEY})
    assert used == [KID]
    assert media(opened) == media(source.read_bytes()) != media(protected.read_bytes())
    assert frames("-i", "pipe:0", data=opened) == frames("-i", source)
    wrong, _ = decrypt(protected.read_bytes(), {KID: OTHER_KEY})
    assert media(wrong) != media(opened)


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_fragments_under_another_key_say_so(source, scheme, examples, tmp_path):
    """`seig`, with `pssh` in `moof`: the first fragment and every other one. ffmpeg 5.1 and shaka-packager do not read it."""
    protected = tmp_path / "protected.mp4"
    run(examples / "protect", source, protected, scheme, KID, KEY, OTHER_KID, OTHER_KEY)
    fragments = [kind for kind, _ in boxes(source.read_bytes())].count(b"moof")
    opened, used = decrypt(protected.read_bytes(), {KID: KEY, OTHER_KID: OTHER_KEY})
    assert used == [OTHER_KID, KID][:fragments]
    assert media(opened) == media(source.read_bytes())
    assert frames("-i", "pipe:0", data=opened) == frames("-i", source)


@pytest.mark.parametrize("source", ["h264-baseline", "h265", "aac"], indirect=True)
@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_the_decryptor_opens_what_shaka_packager_makes(source, scheme, packager, tmp_path):
    """With one key, and with keys that change every second: ids and keys of periods are those of the first, turned around."""
    expected, stream = frames("-i", source), "audio" if "aac" in source.name else "video"
    turned = {KID[2 * at :] + KID[: 2 * at]: KEY[2 * at :] + KEY[: 2 * at] for at in range(16)}
    for rotation, known in [((), {KID: KEY}), (("--crypto_period_duration", "1"), turned)]:
        protected = tmp_path / "theirs.mp4"
        run(
            packager, f"in={source},stream={stream},out={protected}", "--enable_raw_key_encryption", "--protection_scheme", scheme,
            "--clear_lead", "0", "--segment_duration", "1", "--fragment_duration", "0.5",
            "--keys", f"label=:key_id={KID}:key={KEY}", *rotation,
        )  # fmt: skip
        opened, used = decrypt(protected.read_bytes(), known)
        # Keys change at key frames, of which h265 has one.
        assert (len(used) > 1) == (bool(rotation) and source.name != "h265.mp4"), used
        assert frames("-i", "pipe:0", data=opened) == expected


def media(data):
    return [body for kind, body in boxes(data) if kind == b"mdat"]


def boxes(data):
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        yield kind, data[8:size]
        data = data[size:]


def find(data, *path):
    for name in path:
        data = next(body for kind, body in boxes(data) if kind == name)
    return data


def subsamples(path, iv_size):
    """Clear and protected bytes of each sample, from every `senc`."""
    samples = []
    for kind, moof in boxes(path.read_bytes()):
        if kind != b"moof":
            continue
        flags, count = struct.unpack(">II", (senc := find(moof, b"traf", b"senc"))[:8])
        assert flags == 2
        senc = senc[8:]
        for _ in range(count):
            (parts,) = struct.unpack(">H", senc[iv_size : iv_size + 2])
            senc = senc[iv_size + 2 :]
            samples.append([struct.unpack(">HI", senc[6 * at : 6 * at + 6]) for at in range(parts)])
            senc = senc[6 * parts :]
        assert not senc
    return samples


def whole_blocks(sample):
    """Subsamples whose protected part ends where it did, and is whole blocks."""
    out, clear = [], 0
    for more, protected in sample:
        clear += more + protected % 16
        if protected >= 16:
            out.append((clear, protected - protected % 16))
            clear = 0
    return [*out, (clear, 0)] if clear else out


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "aac"], indirect=True)
@pytest.mark.parametrize(("scheme", "iv_size"), [("cenc", 8), ("cbcs", 0)])
def test_the_same_bytes_stay_clear_as_with_shaka_packager(source, scheme, iv_size, examples, packager, tmp_path):
    """A decryptor works with whatever `senc` says; that slice headers are measured right shows here."""
    ours, theirs = tmp_path / "ours.mp4", tmp_path / "theirs.mp4"
    run(examples / "protect", source, ours, scheme, KID, KEY)
    run(
        packager, f"in={source},stream=video,out={theirs}", "--enable_raw_key_encryption", "--protection_scheme", scheme,
        "--clear_lead", "0", "--keys", f"label=:key_id={KID}:key={KEY}",
    )  # fmt: skip
    expected = subsamples(theirs, iv_size)
    if "av1" in source.name:
        # Protected bytes of AV1 are whole blocks up to a tile's last byte under every scheme (AV1 binding §4.2), which
        # shaka-packager keeps to under cenc alone.
        expected = [whole_blocks(sample) for sample in expected]
    assert subsamples(ours, iv_size) == expected


def test_sample_aes_is_undone_as_the_format_says(examples, tmp_path):
    from sample_aes import decrypt_adts, decrypt_eac3, decrypt_h264  # noqa: PLC0415

    for name, kind, options, undo in [
        ("clear.h264", "h264", (*PICTURES, "-c:v", "libx264", "-x264-params", "slices=3:keyint=50", "-f", "h264"), decrypt_h264),
        ("clear.aac", "adts", (*SOUND, "-c:a", "aac", "-f", "adts"), decrypt_adts),
        ("clear.eac3", "eac3", (*SOUND, "-c:a", "eac3", "-f", "eac3"), decrypt_eac3),
    ]:  # fmt: skip
        clear, protected, undone = tmp_path / name, tmp_path / f"protected-{name}", tmp_path / f"undone-{name}"
        run("ffmpeg", "-v", "error", "-y", *options, clear)
        run(examples / "sample_aes", clear, protected, kind, KEY, IV)
        assert protected.read_bytes() != clear.read_bytes()
        undone.write_bytes(undo(protected.read_bytes(), bytes.fromhex(KEY), bytes.fromhex(IV)))
        assert frames("-i", undone) == frames("-i", clear)
