//! Codecs that are carried without being decoded, in the containers that ffmpeg makes: what the index serves decodes to
//! what the file holds, and manifests get the right words for it.

mod support;

use std::path::{Path, PathBuf};

use headwater_bmff::{Limits, TrackKind as MediaKind};
use headwater_cmaf::index::{BuildSizes, IndexHead, TrackKind, VideoRange, build_from_movie};
use support::*;

const PICTURE: &str = "testsrc2=size=320x180:rate=25:duration=5.2";
const SOUND: &str = "sine=frequency=440:sample_rate=48000:duration=5.2";

/// Encodes picture and sound into `name` with `options`.
fn encode(folder: &Path, name: &str, options: &str) -> PathBuf {
    let path = folder.join(name);
    let inputs = ["-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", SOUND];
    let options: Vec<&str> = options
        .split(' ')
        .filter(|option| !option.is_empty())
        .collect();
    ffmpeg(&[&inputs[..], &options, &[text(&path)]].concat());
    path
}

/// Builds by ranges and in memory, checks samples against ffprobe and plays every track; the head.
fn check(path: &Path) -> IndexHead {
    let file = std::fs::read(path).unwrap();
    let movie = movie(&file);
    for (stream, track) in movie.tracks.iter().enumerate() {
        if track.config.kind == MediaKind::Other {
            continue;
        }
        let packets = packets(path, stream, &["-ignore_editlist", "1"]);
        assert_eq!(track.samples.len() as usize, packets.len());
        let least = track.samples.iter().map(|sample| sample.cto).min();
        let moved = i64::from(least.unwrap_or(0).min(0).unsigned_abs());
        // Where a fragmented file says nothing of earlier times, ffprobe begins where the file does.
        for (sample, packet) in track.samples.iter().zip(&packets) {
            assert_eq!(sample.size, packet.size, "{} {sample:?}", path.display());
            assert_eq!(sample.offset, packet.pos, "{} {sample:?}", path.display());
            let time = sample.composition_time() + moved;
            assert_eq!(time, packet.pts, "{} {sample:?}", path.display());
        }
    }
    let index = build_from_movie(&movie, &source(&file)).unwrap();
    let (built, _) = build(&file, Limits::default(), BuildSizes::default()).unwrap();
    assert_eq!(index, built, "{}", path.display());
    let head = head(&index);
    let folder = tempfile::tempdir().unwrap();
    for track in &head.tracks {
        let stream = movie
            .tracks
            .iter()
            .position(|from| from.config.id == track.id);
        let stream = stream.unwrap();
        let out = folder.path().join(format!("{stream}.mp4"));
        std::fs::write(&out, play(&file, &index, track)).unwrap();
        if track.kind == TrackKind::Text {
            continue;
        }
        let ours = frame_hashes(&out, 0, &[]);
        match track.kind {
            TrackKind::Video => {
                assert_eq!(ours, frame_hashes(path, stream, &[]), "{}", path.display());
            }
            _ => {
                let theirs = frame_hashes(path, stream, &["-ignore_editlist", "1"]);
                let dropped = theirs.len() - ours.len();
                // Some decoders remember the frames before; the last is cut to length by the container.
                let settled = if dropped == 0 { 0 } else { 4 };
                let same = ours[settled..].iter().zip(&theirs[dropped + settled..]);
                let differing = same.filter(|(a, b)| a != b).count();
                assert!(
                    dropped <= 2 && differing <= 1,
                    "{} {dropped} {differing}",
                    path.display()
                );
            }
        }
    }
    head
}

fn codecs(head: &IndexHead) -> Vec<&str> {
    head.tracks
        .iter()
        .map(|track| track.codec.as_str())
        .collect()
}

#[test]
fn hevc_with_dolby_audio() {
    let folder = tempfile::tempdir().unwrap();
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50 -tag:v hvc1 -pix_fmt yuv420p";
    let head = check(&encode(
        folder.path(),
        "a.mp4",
        &format!("{x265} -c:a ac3 -b:a 96k"),
    ));
    assert_eq!(codecs(&head), ["hvc1.1.6.L60.90", "ac-3"]);
    assert_eq!(head.tracks[0].frame_rate, (25, 1));
    assert_eq!(
        (head.tracks[1].channels, head.tracks[1].sample_rate),
        (1, 48_000)
    );
    let head = check(&encode(
        folder.path(),
        "b.mp4",
        &format!("{x265} -tag:v hev1 -ac 6 -c:a eac3 -b:a 192k"),
    ));
    assert_eq!(codecs(&head), ["hev1.1.6.L60.90", "ec-3"]);
    assert_eq!(head.tracks[1].channels, 6);
}

#[test]
fn dynamic_range_is_read_from_container_and_stream() {
    let folder = tempfile::tempdir().unwrap();
    let range = |name: &str, transfer: &str, container: &str| {
        let x265 = format!(
            "-an -c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -tag:v hvc1 -t 1 \
             -x265-params log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc {container}"
        );
        check(&encode(folder.path(), name, &x265)).tracks[0].video_range
    };
    assert_eq!(range("pq.mp4", "smpte2084", ""), VideoRange::Pq);
    assert_eq!(range("hlg.mp4", "arib-std-b67", ""), VideoRange::Hlg);
    assert_eq!(
        range("none.mp4", "smpte2084", "-movflags -write_colr"),
        VideoRange::Pq
    );
    assert_eq!(range("sdr.mp4", "bt709", ""), VideoRange::Sdr);
}

#[test]
fn av1_with_opus_and_vp9_with_flac() {
    let folder = tempfile::tempdir().unwrap();
    let head = check(&encode(
        folder.path(),
        "a.mp4",
        "-c:v libsvtav1 -preset 12 -g 50 -svtav1-params keyint=50 -c:a libopus -ac 2",
    ));
    assert_eq!(codecs(&head), ["av01.0.00M.08", "Opus"]);
    assert_eq!(
        (head.tracks[1].channels, head.tracks[1].sample_rate),
        (2, 48_000)
    );
    let head = check(&encode(
        folder.path(),
        "b.mp4",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a flac -ar 44100 -ac 2 -strict -2",
    ));
    assert_eq!(head.tracks[0].codec.split('.').next(), Some("vp09"));
    assert_eq!(head.tracks[1].codec, "fLaC");
    assert_eq!(
        (head.tracks[1].channels, head.tracks[1].sample_rate),
        (2, 44_100)
    );
}

const X264: &str = "-c:v libx264 -preset veryfast -g 25 -bf 3 -pix_fmt yuv420p -c:a aac -b:a 64k";

#[test]
fn every_container_that_ffmpeg_makes() {
    let folder = tempfile::tempdir().unwrap();
    for (nth, flags) in [
        "",
        "-movflags faststart",
        "-movflags frag_keyframe",
        "-movflags frag_keyframe+empty_moov",
        "-movflags frag_keyframe+empty_moov+default_base_moof",
        "-movflags frag_keyframe+separate_moof",
        "-movflags frag_keyframe+empty_moov+omit_tfhd_offset",
        "-movflags frag_keyframe+delay_moov+dash",
        "-movflags frag_keyframe+empty_moov+global_sidx",
        "-movflags frag_keyframe+empty_moov+negative_cts_offsets",
        "-movflags cmaf -frag_duration 700000",
        "-movflags frag_every_frame+empty_moov",
        "-use_editlist 0",
        "-movflags negative_cts_offsets",
    ]
    .iter()
    .enumerate()
    {
        let head = check(&encode(
            folder.path(),
            &format!("{nth}.mp4"),
            &format!("{X264} {flags}"),
        ));
        assert_eq!(codecs(&head), ["avc1.64000d", "mp4a.40.2"], "{flags}");
        assert_eq!(head.warnings, [], "{flags}");
    }
    let head = check(&encode(folder.path(), "a.mov", X264));
    assert_eq!(codecs(&head), ["avc1.64000d", "mp4a.40.2"]);
    let head = check(&encode(folder.path(), "a.m4a", "-vn -c:a aac"));
    assert_eq!(codecs(&head), ["mp4a.40.2"]);
}

#[test]
fn smooth_streaming_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = encode(folder.path(), "a.ismv", &format!("{X264} -f ismv"));
    let head = check(&path);
    assert_eq!(codecs(&head), ["avc1.64000d", "mp4a.40.2"]);
    assert_eq!(head.tracks[0].timescale.get(), 10_000_000);
}

#[test]
fn a_track_of_another_codec_is_dropped_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let head = check(&encode(folder.path(), "a.mp4", "-c:v mpeg4 -c:a libopus"));
    assert_eq!(codecs(&head), ["Opus"]);
    let warnings: Vec<(u32, &str)> = head
        .warnings
        .iter()
        .map(|warning| (warning.track, warning.reason.as_str()))
        .collect();
    assert_eq!(
        warnings,
        [(1, "MPEG-4 Visual cannot be packaged without transcoding")]
    );
}

#[test]
fn text_is_carried() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    let vtt = folder.path().join("a.vtt");
    std::fs::write(
        &vtt,
        "WEBVTT\n\n00:00.500 --> 00:02.000\nOne\n\n00:03.000 --> 00:04.000\nTwo\n",
    )
    .unwrap();
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        PICTURE,
        "-i",
        text(&vtt),
        "-c:v",
        "libx264",
        "-c:s",
        "webvtt",
        "-g",
        "50",
        "-metadata:s:s:0",
        "language=fra",
        text(&path),
    ]);
    let head = check(&path);
    assert_eq!(codecs(&head)[1..], ["wvtt"]);
    assert_eq!(
        (head.tracks[1].kind, head.tracks[1].language.as_str()),
        (TrackKind::Text, "fra")
    );
}
