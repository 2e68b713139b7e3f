"""Presets of the customer's own and inputs cut and joined, as scripts for Media Services make them with `azure-mgmt-media`."""

from __future__ import annotations

from datetime import timedelta

from azure.mgmt.media.models import (
    AacAudio,
    AbsoluteClipTime,
    Deinterlace,
    Filters,
    H264Layer,
    H264Video,
    Job,
    JobInputAsset,
    JobInputHttp,
    JobInputSequence,
    JobOutputAsset,
    Mp4Format,
    PngFormat,
    PngImage,
    PngLayer,
    Rectangle,
    StandardEncoderPreset,
    Transform,
    TransformOutput,
)

import media
from headwater import Account, player_session

SECOND = timedelta(seconds=1)


def preset(layers: list[H264Layer], **more) -> StandardEncoderPreset:
    """Pictures in `layers` with a key frame every two seconds, and a file for each of them, with the sound in it."""
    pictures = H264Video(key_frame_interval=2 * SECOND, complexity="Speed", layers=layers)
    return StandardEncoderPreset(
        codecs=[AacAudio(channels=2, sampling_rate=48000, bitrate=128000, profile="AacLc"), pictures, *more.pop("images", [])],
        formats=[Mp4Format(filename_pattern="Video-{Basename}-{Label}-{Bitrate}{Extension}"), *more.pop("formats", [])],
        **more,
    )


def run(account: Account, made: StandardEncoderPreset, job_input, state: str = "Finished"):
    """The output asset of a job, and how it ended."""
    transform, job, output = account.name("own"), account.name("job"), account.new_asset("out")
    outputs = [TransformOutput(preset=made, on_error="StopProcessingJob", relative_priority="Normal")]
    account.client.transforms.create_or_update(*account.where, transform, Transform(outputs=outputs))
    body = Job(input=job_input, outputs=[JobOutputAsset(asset_name=output)])
    account.client.jobs.create(*account.where, transform, job, body)
    ended = account.wait(transform, job)
    assert ended.state == state, f"{ended.state}: {ended.outputs[0].error}"
    return output, ended


def fetch(account: Account, asset: str, folder) -> dict:
    """The asset's files, without indexes."""
    container, found = account.container(asset), {}
    for blob in container.list_blobs():
        if "/" in blob.name:
            continue
        found[blob.name] = folder / blob.name
        found[blob.name].write_bytes(container.download_blob(blob.name).readall())
    return found


def test_a_preset_of_ones_own_with_layers_thumbnails_and_filters(account: Account, counted, tmp_path):
    layers = [
        H264Layer(bitrate=800_000, width="640", height="360", label="HD", profile="High", level="auto", reference_frames=2),
        H264Layer(bitrate=300_000, width="320", height="180", label="SD", profile="Main", b_frames=0, buffer_window=2 * SECOND),
    ]
    made = preset(
        layers,
        images=[PngImage(start="25%", step="25%", range="80%", layers=[PngLayer(width="50%", height="50%")])],
        formats=[PngFormat(filename_pattern="Thumbnail-{Basename}-{Index}{Extension}")],
        filters=Filters(deinterlace=Deinterlace(mode="AutoPixelAdaptive"), crop=Rectangle(left="0", top="0", width="100%", height="100%")),
    )
    output, _ = run(account, made, JobInputAsset(asset_name=account.upload(counted)))
    files = fetch(account, output, tmp_path)
    pictures = {name: tmp_path / name for name in files if name.startswith("Video-") and name.endswith(".mp4") and "D-" in name}
    assert {name.rsplit("-", 2)[1] for name in pictures} == {"HD", "SD"}, sorted(files)
    for name, path in pictures.items():
        facts = media.decode(path, "v:0")
        width = {"HD": 640, "SD": 320}[name.rsplit("-", 2)[1]]
        assert (facts.codec, facts.width, facts.frames) == ("h264", width, 300)
        assert media.read_counter(path) == list(range(300))
        assert facts.key_times == [2.0 * n for n in range(6)]
        # As Microsoft's samples say of this: what is downloaded is heard.
        heard = media.decode(path, "a:0")
        assert (heard.codec, heard.sample_rate, heard.channels) == ("aac", 48000, 2)
        assert abs(heard.end - facts.end) < 0.1
    assert media.probe(next(p for n, p in pictures.items() if "SD" in n), "-show_streams")["streams"][0]["has_b_frames"] == 0
    thumbnails = sorted(name for name in files if name.startswith("Thumbnail-"))
    # At 25, 50 and 75 per cent.
    assert len(thumbnails) == 3, sorted(files)
    for name in thumbnails:
        stream = media.probe(tmp_path / name, "-show_streams")["streams"][0]
        assert (stream["codec_name"], stream["width"], stream["height"]) == ("png", 320, 180)

    published, session = account.publish(output), player_session(account.connection)
    kinds = [rendition.kind for rendition in media.read_master(session, published.hls)]
    assert sorted(kinds) == ["audio", "video", "video"]


def test_clips_are_joined_to_the_frame(account: Account, counted, tmp_path):
    source = account.upload(counted)

    def clip(start: float, end: float) -> JobInputAsset:
        times = [AbsoluteClipTime(time=timedelta(seconds=at)) for at in (start, end)]
        return JobInputAsset(asset_name=source, start=times[0], end=times[1])

    made = preset([H264Layer(bitrate=800_000, width="640", height="360", label="HD")])
    output, _ = run(account, made, JobInputSequence(inputs=[clip(1.0, 3.0), clip(8.0, 9.2)]))
    files = fetch(account, output, tmp_path)
    path = next(path for name, path in files.items() if "HD" in name and name.endswith(".mp4"))
    assert media.read_counter(path) == [*range(25, 75), *range(200, 230)]


def test_an_address_inside_the_network_is_not_fetched(account: Account):
    made = preset([H264Layer(bitrate=800_000, width="640", height="360", label="HD")])
    inside = JobInputHttp(base_uri=account.connection.apiUrl + "/", files=["film.mp4"])
    _, ended = run(account, made, inside, state="Error")
    error = ended.outputs[0].error
    assert (error.code, error.category) == ("DownloadNotAccessible", "Download")
    assert error.retry == "DoNotRetry"
