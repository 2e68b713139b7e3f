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
        // ffprobe moves some tracks with negative composition offsets as a whole.
        let first = track.samples.get(0).unwrap().composition_time();
        for (sample, packet) in track.samples.iter().zip(&packets) {
            assert_eq!(sample.size, packet.size, "{} {sample:?}", path.display());
            assert_eq!(sample.offset, packet.pos, "{} {sample:?}", path.display());
            let time = sample.composition_time() - first;
            assert_eq!(
                time,
                packet.pts - packets[0].pts,
                "{} {sample:?}",
                path.display()
            );
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
        match track.kind {
            TrackKind::Video => assert_eq!(
                frame_hashes(&out, 0, &[]),
                frame_hashes(path, stream, &[]),
                "{}",
                path.display()
            ),
            // Decoders of sound make noise of their own, so packets are compared.
            _ => {
                let whole = ["-ignore_editlist", "1"];
                let ours = packet_hashes(&out, 0, &whole);
                let theirs = packet_hashes(path, stream, &whole);
                let dropped = theirs.len() - ours.len();
                assert!(dropped <= 2, "{} {dropped}", path.display());
                assert_eq!(ours, theirs[dropped..], "{}", path.display());
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
    // Which Apple's players do not play.
    assert_eq!(codecs(&head), ["hvc1.1.6.L60.90", "ec-3"]);
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
    let made = encode(folder.path(), "made.mp4", X264);
    let remux = |name: &str, flags: &str| {
        let path = folder.path().join(name);
        let flags: Vec<&str> = flags.split_whitespace().collect();
        ffmpeg(
            &[
                &["-i", text(&made), "-c", "copy"],
                &flags[..],
                &[text(&path)],
            ]
            .concat(),
        );
        path
    };
    for (nth, flags) in [
        "",
        "-movflags faststart",
        "-movflags frag_keyframe",
        "-movflags frag_keyframe+empty_moov",
        "-movflags frag_keyframe+empty_moov+default_base_moof",
        "-movflags frag_keyframe+separate_moof",
        "-movflags frag_keyframe+empty_moov+omit_tfhd_offset",
        "-movflags frag_keyframe+delay_moov+dash",
        "-movflags frag_keyframe+empty_moov+default_base_moof+global_sidx",
        "-movflags frag_keyframe+empty_moov+negative_cts_offsets",
        "-movflags cmaf -frag_duration 700000",
        "-movflags frag_every_frame+empty_moov",
        "-use_editlist 0",
        "-movflags negative_cts_offsets",
    ]
    .iter()
    .enumerate()
    {
        println!("{flags}");
        let head = check(&remux(&format!("{nth}.mp4"), flags));
        assert_eq!(codecs(&head), ["avc1.64000c", "mp4a.40.2"], "{flags}");
        assert_eq!(head.warnings, [], "{flags}");
    }
    let head = check(&remux("a.mov", ""));
    assert_eq!(codecs(&head), ["avc1.64000c", "mp4a.40.2"]);
    let head = check(&encode(folder.path(), "a.m4a", "-vn -c:a aac"));
    assert_eq!(codecs(&head), ["mp4a.40.2"]);
}

#[test]
fn smooth_streaming_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = encode(folder.path(), "a.ismv", &format!("{X264} -f ismv"));
    let head = check(&path);
    assert_eq!(codecs(&head), ["avc1.64000c", "mp4a.40.2"]);
    assert_eq!(head.tracks[0].timescale.get(), 10_000_000);
}

/// Fragments that state when their first sample is presented (`tfxd`) and no decode time, ten seconds into an event: ffprobe
/// does not read that, so the boxes themselves are the witness.
#[test]
fn smooth_fragments_are_where_their_tfxd_says() {
    let folder = tempfile::tempdir().unwrap();
    let late = format!("{X264} -output_ts_offset 10 -f ismv");
    let file = std::fs::read(encode(folder.path(), "a.ismv", &late)).unwrap();
    let id = [0x6d_u8, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6];
    let stated: Vec<u64> = (0..file.len() - 28)
        .filter(|at| file[*at..].starts_with(&id))
        .map(|at| u64::from_be_bytes(file[at + 20..at + 28].try_into().unwrap()))
        .collect();
    let movie = movie(&file);
    let list = &movie.fragments.as_ref().unwrap().list;
    assert_eq!(list.len(), stated.len());
    assert!(stated.iter().any(|time| *time >= 100_000_000), "{stated:?}");
    for (fragment, stated) in list.iter().zip(stated) {
        let mut tracks = movie.tracks.iter();
        let track = tracks.find(|track| track.config.id == fragment.track_id);
        let first = track.unwrap().samples.get(fragment.samples.start).unwrap();
        let off = first.composition_time().abs_diff(stated as i64);
        assert!(off <= 1, "{fragment:?} {first:?} {stated}");
    }
    let (index, _) = build(&file, Limits::default(), BuildSizes::default()).unwrap();
    let head = head(&index);
    assert!(head.tracks.iter().all(|track| track.start >= 99_000_000));
    for track in &head.tracks {
        play(&file, &index, track);
    }
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

/// A text track in a file of its own, as the parts of a CMAF track file.
#[test]
fn text_is_carried() {
    use headwater_bmff::{BoxedCodec, CodecConfig, FourCc, Matrix, TrackConfig};
    use headwater_cmaf::track_file::{MediaSample, TrackFile};
    let vttc = b"\0\0\0\x0evttCWEBVTT";
    let stpp = b"http://www.w3.org/ns/ttml\0\0\0";
    for (entry, body, name) in [
        (*b"wvtt", &vttc[..], "wvtt"),
        (*b"stpp", &stpp[..], "stpp.ttml.im1t"),
    ] {
        let codec = BoxedCodec::parse(FourCc(entry), body, &[]).unwrap();
        let config = TrackConfig {
            id: 3,
            kind: MediaKind::Text,
            timescale: headwater_time::Timescale::MILLIS,
            language: "fr-CA".to_owned(),
            codec: CodecConfig::Boxed(codec),
            width: 0,
            height: 0,
            matrix: Matrix::IDENTITY,
            pixel_aspect: None,
            colour: None,
            sample_rate: 0,
            channels: 0,
        };
        let file = TrackFile::new(config.clone()).unwrap();
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let sample = MediaSample {
                bytes: b"\0\0\0\x08vtte",
                duration: 2000,
                cto: 0,
                sync: true,
            };
            let start = u64::from(number) * 2000;
            let (segment, record) = file.segment(number, start, &[sample]).unwrap();
            bytes.extend(segment);
            records.push(record);
        }
        let whole = [file.init(), &file.sidx(&records).unwrap(), &bytes].concat();
        assert_eq!(movie(&whole).tracks[0].config, config);
        let (index, _) = build(&whole, Limits::default(), BuildSizes::default()).unwrap();
        let head = head(&index);
        let track = &head.tracks[0];
        assert_eq!((track.kind, track.codec.as_str()), (TrackKind::Text, name));
        assert_eq!((track.language.as_str(), track.segment_count), ("fr-CA", 3));
        // Without the sidx it is anybody's file, and packaged.
        let plain = [file.init(), &bytes].concat();
        let (index, _) = build(&plain, Limits::default(), BuildSizes::default()).unwrap();
        assert!(play(&plain, &index, &support::head(&index).tracks[0]).ends_with(b"vtte"));
    }
}
