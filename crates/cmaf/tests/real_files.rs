//! Real files and files that ffmpeg makes: what the index serves decodes to what the file holds, judged by ffmpeg.

mod support;

use std::path::Path;

use headwater_bmff::{Movie, Track, TrackKind as MediaKind};
use headwater_cmaf::index::{TrackKind, build_from_movie};
use support::*;

const FILES: [&str; 4] = [
    "bigbuckbunny.mp4",
    "car-detection.mp4",
    "azure-bumper.mp4",
    "surround-audio.mp4",
];

/// ffprobe moves tracks with negative composition offsets by the largest of them.
fn moved(track: &Track) -> i64 {
    let least = track.samples.iter().map(|sample| sample.cto).min();
    i64::from(least.unwrap_or(0).min(0).unsigned_abs())
}

/// Every sample has the size, place, times and sync flag that ffprobe reports.
fn check_samples(path: &Path, movie: &Movie) {
    for (stream, track) in movie.tracks.iter().enumerate() {
        let packets = packets(path, stream, &["-ignore_editlist", "1"]);
        assert_eq!(track.samples.len() as usize, packets.len());
        let moved = moved(track);
        for (sample, packet) in track.samples.iter().zip(&packets) {
            assert_eq!(sample.composition_time() + moved, packet.pts, "{sample:?}");
            assert_eq!(sample.size, packet.size);
            assert_eq!(sample.offset, packet.pos);
            assert_eq!(sample.sync, packet.key, "{sample:?}");
            if let Some(dts) = packet.dts {
                assert_eq!(i64::try_from(sample.dts), Ok(dts));
            }
        }
    }
}

struct Played {
    /// Source samples before the first one served.
    dropped: usize,
}

/// Presentation times of a file with one track that we packaged, in order, as we and ffprobe see them.
fn presented(path: &Path) -> Vec<i64> {
    let movie = movie(&std::fs::read(path).unwrap());
    let track = &movie.tracks[0];
    let reordering = reordering(track);
    let mut times = Vec::new();
    for sample in track.samples.iter() {
        assert!(
            sample.cto >= 0,
            "players delay tracks with negative offsets"
        );
        times.push(sample.composition_time() - reordering);
    }
    times.sort_unstable();
    let probed = packets(path, 0, &[]);
    let mut probed: Vec<i64> = probed.iter().map(|packet| packet.pts).collect();
    probed.sort_unstable();
    assert_eq!(times, probed);
    times
}

/// Builds the index, plays all tracks and compares with the source. Video must be the same frame by frame at the same
/// times; audio too, but for the frames dropped in front and the one that decodes next to them.
fn check_playback(path: &Path) -> Vec<Played> {
    let file = std::fs::read(path).unwrap();
    let movie = movie(&file);
    let index = build_from_movie(&movie, &source(&file)).unwrap();
    assert_eq!(index, build_from_movie(&movie, &source(&file)).unwrap());
    let head = head(&index);
    assert_eq!(head.source, source(&file));
    assert_eq!(head.index_len, index.len() as u64);
    let folder = tempfile::tempdir().unwrap();
    let mut played = Vec::new();
    for (stream, track) in movie.tracks.iter().enumerate() {
        let Some(head) = head.tracks.iter().find(|head| head.id == track.config.id) else {
            panic!("track {} is not in the index", track.config.id);
        };
        let out = folder.path().join(format!("{stream}.mp4"));
        std::fs::write(&out, play(&file, &index, head)).unwrap();
        // What players see, without trimmed and discarded packets.
        let mut expected: Vec<i64> = packets(path, stream, &[])
            .iter()
            .filter(|packet| !packet.discard && packet.pts >= 0)
            .map(|packet| packet.pts - moved(track))
            .collect();
        expected.sort_unstable();
        assert_eq!(
            presented(&out),
            expected,
            "presentation times of stream {stream}"
        );
        assert_eq!(expected[0], i64::try_from(head.start).unwrap());

        let ours = frame_hashes(&out, 0, &[]);
        match head.kind {
            TrackKind::Video => {
                assert_eq!(
                    ours,
                    frame_hashes(path, stream, &[]),
                    "frames of stream {stream}"
                );
                played.push(Played { dropped: 0 });
            }
            TrackKind::Audio | TrackKind::Text => {
                let theirs = frame_hashes(path, stream, &["-ignore_editlist", "1"]);
                let dropped = theirs.len() - ours.len();
                let differing = if dropped == 0 { 0 } else { 2 };
                assert_eq!(ours[differing..], theirs[dropped + differing..]);
                played.push(Played { dropped });
            }
        }
    }
    played
}

#[test]
fn samples_are_those_that_ffprobe_reports() {
    for name in FILES {
        let path = media(name);
        check_samples(&path, &movie(&std::fs::read(&path).unwrap()));
    }
}

#[test]
fn real_files_play_as_they_are() {
    let dropped = FILES.map(|name| {
        let played = check_playback(&media(name));
        played.iter().map(|track| track.dropped).sum::<usize>()
    });
    // The sound of car-detection.mp4 has an edit list that skips 2048 ticks.
    assert_eq!(dropped, [0, 2, 0, 0]);
}

#[test]
fn codecs_and_shapes_of_real_files_are_known() {
    let heads: Vec<String> = FILES
        .iter()
        .map(|name| {
            let file = std::fs::read(media(name)).unwrap();
            let index = build_from_movie(&movie(&file), &source(&file)).unwrap();
            let tracks = head(&index).tracks;
            let line = |t: &headwater_cmaf::index::TrackHead| {
                let (n, d) = t.frame_rate;
                let (w, h, hz, ch) = (t.width, t.height, t.sample_rate, t.channels);
                let (codec, kbps, count) = (&t.codec, t.bitrate / 1000, t.segment_count);
                format!(
                    "{codec} {w}x{h} {n}/{d} {hz}/{ch} {} {kbps}k {count}",
                    t.language
                )
            };
            tracks
                .iter()
                .take(2)
                .map(line)
                .collect::<Vec<_>>()
                .join(", ")
        })
        .collect();
    assert_eq!(
        heads,
        [
            "avc1.4d401f 1280x720 25/1 0/0 und 1206k 1, mp4a.40.2 0x0 0/1 48000/6 und 386k 1",
            "avc1.428016 768x432 25/2 0/0 eng 615k 7, mp4a.40.2 0x0 0/1 48000/2 eng 127k 7",
            "avc1.4d4028 1920x1080 30000/1001 0/0 eng 745k 4, mp4a.40.2 0x0 0/1 48000/2 eng 129k 4",
            "mp4a.40.2 0x0 0/1 48000/1 und 36k 31, mp4a.40.2 0x0 0/1 48000/1 und 38k 31",
        ]
    );
}

const PICTURE: &str = "testsrc2=size=320x180:rate=25:duration=6.2";
const SOUND: &str = "sine=frequency=440:sample_rate=48000:duration=6.2";
const X264: [&str; 10] = [
    "-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "3", "-pix_fmt", "yuv420p",
];
/// Without noise substitution, whose random numbers depend on the frames before.
const AAC: [&str; 6] = ["-c:a", "aac", "-aac_pns", "0", "-b:a", "96k"];

struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Encodes picture and sound with `before` the second input and `after` in front of the output.
    fn encode(&self, name: &str, before: &[&str], after: &[&str]) -> std::path::PathBuf {
        let path = self.path(name);
        let inputs = [
            &["-f", "lavfi", "-i", PICTURE][..],
            before,
            &["-f", "lavfi", "-i", SOUND],
        ];
        let args = [&inputs.concat(), &X264[..], &AAC, after, &[text(&path)]].concat();
        ffmpeg(&args);
        path
    }
}

#[test]
fn reordered_pictures_priming_and_moov_at_the_end() {
    let made = Made::new();
    let path = made.encode("end.mp4", &[], &[]);
    let file = std::fs::read(&path).unwrap();
    check_samples(&path, &movie(&file));
    let played = check_playback(&path);
    assert_eq!(
        (played[0].dropped, played[1].dropped),
        (0, 1),
        "one frame of priming"
    );
    let (_, fed) = pull(&file).unwrap();
    assert!(fed < 200_000, "{fed} of {} bytes were read", file.len());
}

#[test]
fn moov_in_front_and_many_slices_of_time() {
    let made = Made::new();
    let path = made.encode(
        "front.mp4",
        &[],
        &["-movflags", "+faststart", "-video_track_timescale", "90000"],
    );
    check_samples(&path, &movie(&std::fs::read(&path).unwrap()));
    check_playback(&path);
}

#[test]
fn fragmented_files() {
    let made = Made::new();
    for (name, flags) in [
        ("moof.mp4", "frag_keyframe+empty_moov+default_base_moof"),
        ("base.mp4", "frag_keyframe+empty_moov"),
        ("delay.mp4", "frag_keyframe+delay_moov+default_base_moof"),
        ("cmaf.mp4", "cmaf+separate_moof"),
    ] {
        let path = made.encode(name, &[], &["-movflags", flags]);
        let file = std::fs::read(&path).unwrap();
        let movie = movie(&file);
        assert!(
            movie.fragments.as_ref().is_some_and(|f| f.list.len() > 5),
            "{name}"
        );
        check_samples(&path, &movie);
        check_playback(&path);
    }
}

#[test]
fn sound_that_starts_late_keeps_its_start() {
    let made = Made::new();
    let path = made.encode("late.mp4", &["-itsoffset", "0.5"], &[]);
    check_playback(&path);
    let file = std::fs::read(&path).unwrap();
    let index = build_from_movie(&movie(&file), &source(&file)).unwrap();
    let sound = &head(&index).tracks[1];
    // Half a second less one frame of priming, which ffmpeg's edit list states in whole milliseconds: 478.
    assert_eq!((sound.kind, sound.start), (TrackKind::Audio, 478 * 48));
}

#[test]
fn pictures_that_start_late_keep_their_start() {
    let made = Made::new();
    let path = made.path("late.mp4");
    let inputs = [
        "-itsoffset",
        "3.1",
        "-f",
        "lavfi",
        "-i",
        PICTURE,
        "-f",
        "lavfi",
        "-i",
        SOUND,
    ];
    let passed = ["-fps_mode", "passthrough", text(&path)];
    ffmpeg(&[&inputs[..], &X264, &AAC, &passed].concat());
    check_playback(&path);
    let file = std::fs::read(&path).unwrap();
    let index = build_from_movie(&movie(&file), &source(&file)).unwrap();
    let head = head(&index);
    let (picture, sound) = (&head.tracks[0], &head.tracks[1]);
    assert_eq!(
        picture.start * 25,
        u64::from(picture.timescale.get()) * 78,
        "3.1 s, as a whole frame"
    );
    let starts: Vec<u64> = entries(&index, &head, sound)
        .iter()
        .map(|e| e.start / 480)
        .collect();
    assert_eq!(
        starts,
        [0, 313, 512],
        "a cut where the video starts, and at its boundaries"
    );
}

#[test]
fn varying_frame_rate() {
    let made = Made::new();
    let vary = "select='lt(mod(n,7),4)+eq(mod(n,31),0)'";
    let path = made.encode("vfr.mp4", &[], &["-vf", vary, "-fps_mode", "vfr"]);
    check_samples(&path, &movie(&std::fs::read(&path).unwrap()));
    check_playback(&path);
}

#[test]
fn quicktime_files() {
    let made = Made::new();
    let path = made.encode("camera.mov", &[], &["-metadata:s:a", "language=fra"]);
    let file = std::fs::read(&path).unwrap();
    let movie = movie(&file);
    assert_eq!(movie.tracks[1].config.language, "fra");
    assert_eq!(movie.tracks[1].config.codec.rfc6381().unwrap(), "mp4a.40.2");
    check_samples(&path, &movie);
    check_playback(&path);
}

#[test]
fn rotation_reaches_the_init_segment() {
    let made = Made::new();
    let upright = made.encode("upright.mp4", &[], &[]);
    let turned = made.path("turned.mp4");
    let turn = ["-c", "copy", "-metadata:s:v:0", "rotate=90"];
    ffmpeg(&[&["-i", text(&upright)], &turn[..], &[text(&turned)]].concat());
    let file = std::fs::read(&turned).unwrap();
    let index = build_from_movie(&movie(&file), &source(&file)).unwrap();
    let head = head(&index);
    assert_ne!(head.tracks[0].rotation, 0);
    let out = made.path("out.mp4");
    std::fs::write(&out, play(&file, &index, &head.tracks[0])).unwrap();
    let side_data = |path: &Path| {
        let shown = ["-v", "error", "-select_streams", "v", "-show_entries"];
        let entries = ["stream_side_data=rotation", "-of", "csv=p=0", text(path)];
        run("ffprobe", &[&shown[..], &entries].concat())
    };
    assert_eq!(side_data(&out), side_data(&turned));
}

/// A cut that starts between sync samples: all frames from the cut on are at their times, and the sync sample in front
/// of it is there to decode them from.
#[test]
fn an_edit_that_starts_mid_group_keeps_its_lead_in() {
    let made = Made::new();
    let whole = made.encode("whole.mp4", &[], &[]);
    let cut = made.path("cut.mp4");
    ffmpeg(&["-ss", "1.3", "-i", text(&whole), "-c", "copy", text(&cut)]);
    let file = std::fs::read(&cut).unwrap();
    let movie = movie(&file);
    let start = movie.tracks[0]
        .edits
        .entries
        .iter()
        .find_map(|edit| edit.media_time);
    assert!(
        start.unwrap() > 1024,
        "ffmpeg wrote an edit list that starts mid-group"
    );
    let index = build_from_movie(&movie, &source(&file)).unwrap();
    let track = &head(&index).tracks[0];
    assert_eq!(track.start, 0);
    let out = made.path("out.mp4");
    std::fs::write(&out, play(&file, &index, track)).unwrap();
    let visible: Vec<String> = frame_hashes(&cut, 0, &[]);
    let ours = frame_hashes(&out, 0, &[]);
    let lead_in = ours.len() - visible.len();
    assert!(lead_in > 3, "{lead_in} frames are decoded in front");
    assert_eq!(ours[lead_in..], visible);
    let times = presented(&out);
    let mut expected: Vec<i64> = packets(&cut, 0, &[])
        .iter()
        .filter(|packet| !packet.discard)
        .map(|packet| packet.pts)
        .collect();
    expected.sort_unstable();
    assert_eq!(times[..lead_in], (0..lead_in as i64).collect::<Vec<_>>());
    // The cut lies in the middle of a frame, and ffprobe counts from that frame's start.
    let half_frame = 256;
    let counted: Vec<i64> = expected[1..].iter().map(|time| time + half_frame).collect();
    assert_eq!(times[lead_in + 1..], counted);
    assert!((times[lead_in] - expected[0] - half_frame).unsigned_abs() <= lead_in as u64);
}

#[test]
fn only_sound_or_only_pictures() {
    let made = Made::new();
    let both = made.encode("both.mp4", &[], &[]);
    for (name, keep) in [("sound.m4a", "-vn"), ("pictures.mp4", "-an")] {
        let path = made.path(name);
        ffmpeg(&["-i", text(&both), keep, "-c", "copy", text(&path)]);
        check_playback(&path);
    }
    let file = std::fs::read(made.path("sound.m4a")).unwrap();
    let index = build_from_movie(&movie(&file), &source(&file)).unwrap();
    let head = head(&index);
    let starts = entries(&index, &head, &head.tracks[0]);
    assert_eq!(
        starts[1].start, 96_256,
        "the first frame at or after two seconds"
    );
}

#[test]
fn other_codecs_are_refused_by_name() {
    let made = Made::new();
    let path = made.path("old.mp4");
    let codecs = ["-c:v", "mpeg4", "-an", text(&path)];
    ffmpeg(&[&["-f", "lavfi", "-i", PICTURE], &codecs[..]].concat());
    let file = std::fs::read(&path).unwrap();
    let movie = movie(&file);
    assert_eq!(movie.tracks[0].config.kind, MediaKind::Video);
    let error = build_from_movie(&movie, &source(&file)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "track 1 (MPEG-4 Visual): it cannot be packaged without transcoding"
    );
}
