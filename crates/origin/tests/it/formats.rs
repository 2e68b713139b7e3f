//! HLS over MPEG-2 TS, Smooth Streaming and DASH `csf`, held against the source by ffmpeg and by a parser of our own for
//! what ffmpeg forgives.

use crate::common::*;
use headwater_origin::{AddedKind, AddedTrack};
use http::Method;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Two seconds of groups with B frames, delimiters in the samples, and two languages: 13 s at 25 pictures a second.
pub(crate) fn film() -> (Memory, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(
        folder.path(),
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=25:duration=13",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000:duration=13",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-g",
            "50",
            "-sc_threshold",
            "0",
            "-bf",
            "2",
            "-x264-params",
            "aud=1:open-gop=0",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-b:a",
            "96k",
            "film.mp4",
        ],
    );
    ffmpeg(
        folder.path(),
        &[
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=880:sample_rate=44100:duration=13",
            "-c:a",
            "aac",
            "-b:a",
            "64k",
            "fra.m4a",
        ],
    );
    let storage = Memory::default();
    for name in ["film.mp4", "fra.m4a"] {
        storage.write(name, std::fs::read(folder.path().join(name)).unwrap());
    }
    storage.write(
        "film.ism",
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4"/></head><body><switch>
        <video src="film.mp4" systemBitrate="200000"><param name="trackName" value="video"/></video>
        <audio src="film.mp4" systemBitrate="96000" systemLanguage="eng"><param name="trackName" value="english"/></audio>
        <audio src="fra.m4a" systemBitrate="64000" systemLanguage="fra"><param name="trackName" value="french"/></audio>
        </switch></body></smil>"#,
    );
    (storage, folder)
}

/// What ffmpeg says about a file; nothing may go wrong on the way.
fn ffmpeg_says(file: &Path, args: &[&str]) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(file)
        .args(args)
        .output()
        .expect("ffmpeg is installed");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && stderr.is_empty(),
        "{}: {stderr}",
        file.display()
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn hashes(lines: &[String]) -> Vec<&str> {
    // Behind the hash there may be those of side data.
    let hash = |l: &'_ String| l.split(',').nth(5).map(str::trim).map(str::len);
    assert!(lines.iter().all(|l| hash(l) == Some(32)));
    lines
        .iter()
        .filter_map(|l| l.split(',').nth(5))
        .map(str::trim)
        .collect()
}

/// Hashes of the decoded pictures.
pub(crate) fn pictures(file: &Path) -> Vec<String> {
    let lines = ffmpeg_says(
        file,
        &[
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
            "-",
        ],
    );
    hashes(&lines).into_iter().map(str::to_owned).collect()
}

/// Hashes of the AAC frames.
fn frames(file: &Path, is_ts: bool) -> Vec<String> {
    let filter: &[&str] = if is_ts {
        &["-bsf:a", "aac_adtstoasc"]
    } else {
        &[]
    };
    let args = [
        &["-map", "0:a:0", "-c", "copy"],
        filter,
        &["-f", "framemd5", "-"],
    ]
    .concat();
    let lines = ffmpeg_says(file, &args);
    hashes(&lines).into_iter().map(str::to_owned).collect()
}

/// Presentation times of a stream in the file, microseconds, ascending.
fn times(file: &Path, stream: &str) -> Vec<i64> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            "packet=pts_time",
            "-of",
            "csv=p=0",
        ])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let micros = |l: &str| (l.trim_end_matches(',').parse::<f64>().unwrap() * 1e6).round() as i64;
    let mut times: Vec<i64> = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(micros)
        .collect();
    times.sort_unstable();
    times
}

pub(crate) fn write(bytes: &[u8], suffix: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn ok(bench: &Bench, path: &str) -> Got {
    let got = bench.get(path);
    assert_eq!(
        got.status,
        200,
        "{path}: {}",
        String::from_utf8_lossy(&got.body)
    );
    got
}

/// The segments of a playlist, and what their EXTINFs say, microseconds.
pub(crate) fn segments(bench: &Bench, path: &str) -> (Vec<Vec<u8>>, Vec<i64>) {
    let playlist = ok(bench, path);
    let text = playlist.text();
    let lengths = text
        .lines()
        .filter_map(|l| l.strip_prefix("#EXTINF:"))
        .map(|l| l.trim_end_matches(',').replace('.', "").parse().unwrap());
    let bodies = uris(text)
        .iter()
        .map(|uri| ok(bench, &resolve(path, uri)).body.to_vec())
        .collect();
    (bodies, lengths.collect())
}

/// A transport stream as ISO/IEC 13818-1 has it, and no more forgiving.
#[derive(Default)]
pub(crate) struct Stream {
    /// Continuity counter that the next packet of a PID has.
    next: BTreeMap<u16, u8>,
    /// PTS, DTS and elementary bytes of every PES packet, by PID.
    pub(crate) packets: BTreeMap<u16, Vec<(u64, u64, Vec<u8>)>>,
    tables: usize,
    clock: Option<u64>,
}

impl Stream {
    pub(crate) fn feed(&mut self, segment: &[u8]) {
        assert_eq!(segment.len() % 188, 0);
        assert_eq!(segment[1..3], [0x40, 0], "a segment starts with its tables");
        for packet in segment.chunks(188) {
            assert_eq!(packet[0], 0x47);
            assert_eq!(packet[1] & 0xa0, 0, "no error, no priority");
            let pid = u16::from_be_bytes([packet[1], packet[2]]) & 0x1fff;
            let starts = packet[1] & 0x40 != 0;
            let counter = packet[3] & 15;
            if let Some(next) = self.next.insert(pid, (counter + 1) & 15) {
                assert_eq!(next, counter, "continuity of PID {pid:#x}");
            }
            let payload = match (packet[3] >> 4) & 3 {
                1 => &packet[4..],
                3 => {
                    let len = usize::from(packet[4]);
                    assert!(len <= 182);
                    self.adaptation(pid, &packet[5..5 + len]);
                    &packet[5 + len..]
                }
                control => panic!("adaptation field control {control}"),
            };
            match pid {
                0 => {
                    self.tables += 1;
                    assert_eq!(payload[9..13], [0, 1, 0xf0, 0x00]);
                }
                0x1000 => assert_eq!(payload[1], 2),
                _ if starts => self.begin(pid, payload),
                _ => self
                    .packets
                    .get_mut(&pid)
                    .unwrap()
                    .last_mut()
                    .unwrap()
                    .2
                    .extend_from_slice(payload),
            }
        }
    }

    fn adaptation(&mut self, pid: u16, field: &[u8]) {
        let Some(flags) = field.first() else { return };
        assert_eq!(flags & 0xaf, 0, "random access and PCR only");
        if flags & 0x10 != 0 {
            let clock = u64::from_be_bytes([
                0, 0, field[1], field[2], field[3], field[4], field[5], field[6],
            ]) >> 15;
            assert!(
                self.clock
                    .is_none_or(|last| clock > last && clock - last <= 9000 * 3),
                "PCR of {pid:#x} at {clock}"
            );
            self.clock = Some(clock);
        }
    }

    fn begin(&mut self, pid: u16, payload: &[u8]) {
        assert_eq!(payload[..3], [0, 0, 1]);
        assert_eq!(payload[6], 0x84);
        let stamp = |at: usize, prefix: u8| {
            let b: Vec<u64> = payload[at..at + 5].iter().map(|b| u64::from(*b)).collect();
            assert_eq!(
                (b[0] >> 4, b[0] & 1, b[2] & 1, b[4] & 1),
                (u64::from(prefix), 1, 1, 1)
            );
            ((b[0] >> 1) & 7) << 30 | b[1] << 22 | (b[2] >> 1) << 15 | b[3] << 7 | b[4] >> 1
        };
        let (pts, dts) = match (payload[7], payload[8]) {
            (0x80, 5) => (stamp(9, 2), stamp(9, 2)),
            (0xc0, 10) => (stamp(9, 3), stamp(14, 1)),
            other => panic!("{other:?}"),
        };
        assert!(dts <= pts, "decoded before shown");
        assert!(
            self.clock.is_some_and(|clock| clock < dts),
            "the clock has not passed a decode time"
        );
        let packets = self.packets.entry(pid).or_default();
        assert!(
            packets.last().is_none_or(|last| last.1 < dts),
            "decode times of {pid:#x} ascend"
        );
        packets.push((pts, dts, payload[9 + usize::from(payload[8])..].to_vec()));
    }

    fn times(&self, pid: u16) -> Vec<i64> {
        let mut times: Vec<i64> = self.packets[&pid]
            .iter()
            .map(|p| (p.0 as i64 - 900_000) * 100 / 9)
            .collect();
        times.sort_unstable();
        times
    }
}

fn near(a: &[i64], b: &[i64], tolerance: i64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance, "{a} {b}");
    }
}

/// `got` is all of `source` but the frame that only primes the decoder, which is presented before the start.
fn are_the_frames(got: &[String], source: &Path) {
    let expected = frames(source, false);
    assert!(expected.ends_with(got), "{got:?} {expected:?}");
    assert_eq!(got.len() + 1, expected.len());
}

/// Earliest presentation time of a Smooth fragment's samples, from when the first is decoded.
fn earliest(fragment: &[u8]) -> i64 {
    let word = |at: usize| u32::from_be_bytes(fragment[at..at + 4].try_into().unwrap());
    let run = fragment.windows(4).position(|w| w == b"trun").unwrap();
    let mut decode = 0;
    let samples = (0..word(run + 8) as usize).map(|n| {
        let at = run + 16 + 16 * n;
        let shown = decode + i64::from(word(at + 12) as i32);
        decode += i64::from(word(at));
        shown
    });
    samples.min().unwrap()
}

/// Pictures and AAC frames of a transport stream are those of the source.
fn is_the_source(segments: &[Vec<u8>], video: Option<&Path>, audio: Option<&Path>) -> Stream {
    let mut stream = Stream::default();
    segments.iter().for_each(|s| stream.feed(s));
    let file = write(&segments.concat(), ".ts");
    if let Some(source) = video {
        assert_eq!(pictures(file.path()), pictures(source));
        let expected = times(source, "v:0");
        near(&stream.times(0x100), &expected, 12);
        for (n, (_, _, bytes)) in stream.packets[&0x100].iter().enumerate() {
            assert_eq!(bytes[..6], [0, 0, 0, 1, 9, 0xf0]);
            let delimiters = bytes
                .windows(5)
                .filter(|w| w[..4] == [0, 0, 0, 1] && w[4] & 0x1f == 9)
                .count();
            assert_eq!(delimiters, 1, "of picture {n}");
        }
    }
    if let Some(source) = audio {
        are_the_frames(&frames(file.path(), true), source);
    }
    stream
}

#[test]
fn transport_streams_carry_the_source_in_renditions() {
    let (storage, folder) = film();
    let bench = Bench::new(storage);
    let master_path = "film.ism/manifest(format=m3u8-aapl)";
    let master = ok(&bench, master_path);
    let bandwidth = |text: &str| {
        text.split("BANDWIDTH=")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let mut shown = master.text().to_owned();
    for number in shown
        .clone()
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| n.len() > 4)
    {
        if !["200000", "96000", "64000"].contains(&number) {
            shown = shown.replace(number, "N");
        }
    }
    assert_eq!(
        shown,
        r#"#EXTM3U
#EXT-X-VERSION:4
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="1",URI="QualityLevels(96000)/Manifest(english,format=m3u8-aapl)"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="French",LANGUAGE="fr",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="1",URI="QualityLevels(64000)/Manifest(french,format=m3u8-aapl)"
#EXT-X-STREAM-INF:BANDWIDTH=N,AVERAGE-BANDWIDTH=N,CODECS="avc1.64000c,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000,VIDEO-RANGE=SDR,AUDIO="aac",CLOSED-CAPTIONS=NONE
QualityLevels(200000)/Manifest(video,format=m3u8-aapl)
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=N,CODECS="avc1.64000c",RESOLUTION=320x180,VIDEO-RANGE=SDR,URI="QualityLevels(200000)/Manifest(video,format=m3u8-aapl,type=keyframes)"
"#
    );
    let source = folder.path().join("film.mp4");
    let (video, lengths) = segments(&bench, &resolve(master_path, &uris(master.text())[0]));
    // Three fragments of two seconds to a segment.
    assert_eq!(lengths, [6_000_000, 6_000_000, 1_000_000]);
    let stream = is_the_source(&video, Some(&source), None);
    assert_eq!(stream.tables, 7);
    let audio_uris = attributes(master.text(), "URI");
    let (english, english_lengths) = segments(&bench, &resolve(master_path, &audio_uris[0]));
    is_the_source(&english, None, Some(&source));
    assert!(
        (english_lengths.iter().sum::<i64>() - 13_000_000).abs() < 50_000,
        "{english_lengths:?}"
    );
    let (french, _) = segments(&bench, &resolve(master_path, &audio_uris[1]));
    is_the_source(&french, None, Some(&folder.path().join("fra.m4a")));
    // What is declared is what is sent, of the heaviest segment and of its audio.
    let peak = |bodies: &[Vec<u8>], lengths: &[i64]| {
        let rates = bodies
            .iter()
            .zip(lengths)
            .filter(|(_, l)| **l > 2_000_000)
            .map(|(b, l)| b.len() as u64 * 8_000_000 / *l as u64);
        rates.max().unwrap()
    };
    let sent = peak(&video, &lengths) + peak(&english, &english_lengths);
    let declared = bandwidth(master.text());
    assert!(
        declared >= sent && declared < sent * 11 / 10,
        "declared {declared}, sent {sent}"
    );
}

#[test]
fn transport_streams_hold_the_chosen_audio() {
    let (storage, folder) = film();
    let bench = Bench::new(storage);
    let source = folder.path().join("film.mp4");
    for (option, name, audio) in [
        ("", "english", "film.mp4"),
        (",audioTrack=french", "french", "fra.m4a"),
    ] {
        let path = format!("film.ism/manifest(format=m3u8-aapl-v3{option})");
        let master = ok(&bench, &path);
        let uri =
            format!("QualityLevels(200000)/Manifest(video,format=m3u8-aapl-v3,audioTrack={name})");
        assert_eq!(uris(master.text()), [uri.as_str()]);
        assert!(
            master
                .text()
                .starts_with("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:"),
            "{}",
            master.text()
        );
        assert!(master.text().contains("CODECS=\"avc1.64000c,mp4a.40.2\""));
        let (bodies, lengths) = segments(&bench, &resolve(&path, &uri));
        assert_eq!(lengths.iter().sum::<i64>(), 13_000_000);
        let stream = is_the_source(&bodies, Some(&source), Some(&folder.path().join(audio)));
        assert_eq!(
            stream.packets.keys().copied().collect::<Vec<_>>(),
            [0x100, 0x101]
        );
        // A segment's sound is that of its pictures.
        for body in &bodies {
            let mut alone = Stream::default();
            alone.feed(body);
            let (pictures, sound) = (alone.times(0x100), alone.times(0x101));
            assert!(
                (pictures[0] - sound[0]).abs() < 60_000,
                "{} {}",
                pictures[0],
                sound[0]
            );
        }
    }
    let alone = ok(
        &bench,
        "film.ism/manifest(format=m3u8-aapl-v3,audio-only=true)",
    );
    let listed = uris(alone.text());
    assert_eq!(
        listed[1],
        "QualityLevels(96000)/Manifest(english,format=m3u8-aapl-v3)"
    );
    let (sound, _) = segments(&bench, &resolve("film.ism/x", &listed[1]));
    is_the_source(&sound, None, Some(&source));
    let missing = bench.get("film.ism/manifest(format=m3u8-aapl-v3,audioTrack=klingon)");
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "MPE_EGRESS_TRACK_NOT_FOUND")
    );
}

/// The film with sound of a codec that transport streams do not carry: after the others, or alone.
fn film_with_opus(alone: bool) -> Memory {
    let (storage, folder) = film();
    ffmpeg(
        folder.path(),
        &[
            "-i", "film.mp4", "-map", "0:a", "-c:a", "libopus", "-b:a", "48k", "opus.mp4",
        ],
    );
    storage.write(
        "opus.mp4",
        std::fs::read(folder.path().join("opus.mp4")).unwrap(),
    );
    let ism = String::from_utf8(storage.get("film.ism").unwrap().to_vec()).unwrap();
    let opus = r#"<audio src="opus.mp4" systemBitrate="48000"><param name="trackName" value="opus"/></audio>"#;
    let (front, sounds) = ism.split_once("<audio").unwrap();
    let ism = match alone {
        true => format!("{front}{opus}</switch></body></smil>"),
        false => format!("{front}{opus}<audio{sounds}"),
    };
    storage.write("film.ism", ism);
    storage
}

#[test]
fn sound_that_transport_streams_do_not_carry_takes_no_pictures_along() {
    let bench = Bench::new(film_with_opus(true));
    let master = ok(&bench, "film.ism/manifest(format=m3u8-aapl-v3)");
    assert!(
        master.text().contains("CODECS=\"avc1.64000c\""),
        "{}",
        master.text()
    );
    let silent = "QualityLevels(200000)/Manifest(video,format=m3u8-aapl-v3,audioTrack=)";
    assert_eq!(uris(master.text()), [silent]);
    let of_pids = |path: &str| {
        let (bodies, lengths) = segments(&bench, path);
        assert_eq!(lengths.iter().sum::<i64>(), 13_000_000);
        let mut stream = Stream::default();
        bodies.iter().for_each(|body| stream.feed(body));
        stream.packets.keys().copied().collect::<Vec<_>>()
    };
    assert_eq!(of_pids(&format!("film.ism/{silent}")), [0x100]);
    // URLs that do not say it are of what can be had.
    let unsaid = "film.ism/QualityLevels(200000)/Manifest(video,format=m3u8-aapl-v3)";
    assert_eq!(of_pids(unsaid), [0x100]);
    let bare = "film.ism/QualityLevels(200000)/Fragments(video=0,format=m3u8-aapl-v3)";
    let named = "film.ism/QualityLevels(200000)/Fragments(video=0,format=m3u8-aapl-v3,audioTrack=)";
    assert_eq!(ok(&bench, bare).body, ok(&bench, named).body);

    let bench = Bench::new(film_with_opus(false));
    let master = ok(&bench, "film.ism/manifest(format=m3u8-aapl-v3)");
    let english = "QualityLevels(200000)/Manifest(video,format=m3u8-aapl-v3,audioTrack=english)";
    assert_eq!(uris(master.text()), [english]);
    let named = bare.replace("-v3", "-v3,audioTrack=english");
    assert_eq!(ok(&bench, bare).body, ok(&bench, &named).body);
}

#[test]
fn sound_that_filters_remove_is_not_in_transport_streams() {
    let (storage, _folder) = film();
    let kinds = |value: &str| {
        format!(
            r#"{{"tracks": [{{"trackSelections": [{{"property": "Type", "operation": "Equal", "value": "{value}"}}]}}]}}"#
        )
    };
    let french = r#"{"tracks": [{"trackSelections": [{"property": "Name", "operation": "NotEqual", "value": "english"}]}]}"#;
    let filters = [("pictures", kinds("video")), ("french", french.to_owned())];
    let filters = filters
        .each_ref()
        .map(|(name, text)| (*name, text.as_str()));
    let pids = |bench: &Bench, path: &str| {
        let (bodies, _) = segments(bench, path);
        let mut stream = Stream::default();
        bodies.iter().for_each(|body| stream.feed(body));
        stream.packets.keys().copied().collect::<Vec<_>>()
    };
    let asked = Bench::filtered(storage.clone(), published(), &filters);
    let path = "film.ism/manifest(format=m3u8-aapl-v3,filter=pictures)";
    let master = ok(&asked, path);
    let silent =
        "QualityLevels(200000)/Manifest(video,format=m3u8-aapl-v3,audioTrack=,filter=pictures)";
    assert_eq!(uris(master.text()), [silent]);
    assert_eq!(pids(&asked, &resolve(path, silent)), [0x100]);
    // The same where the URL does not say it, as those did that were written before.
    let unsaid = silent.replace("audioTrack=,", "");
    assert_eq!(pids(&asked, &resolve(path, &unsaid)), [0x100]);
    let path = "film.ism/manifest(format=m3u8-aapl-v3,filter=french)";
    let master = ok(&asked, path);
    assert!(
        master.text().contains("audioTrack=french,filter=french"),
        "{}",
        master.text()
    );
    // Of the locator nobody escapes.
    let published = headwater_origin::Published {
        filters: vec!["french".to_owned()],
        ..published()
    };
    let bound = Bench::filtered(storage, published, &filters);
    let level = "film.ism/QualityLevels(200000)";
    let unsaid = ok(
        &bound,
        &format!("{level}/Manifest(video,format=m3u8-aapl-v3)"),
    );
    assert!(
        uris(unsaid.text())
            .iter()
            .all(|uri| uri.contains("audioTrack=french")),
        "{}",
        unsaid.text()
    );
    let hidden = bound.get(&format!(
        "{level}/Manifest(video,format=m3u8-aapl-v3,audioTrack=english)"
    ));
    assert_eq!(hidden.code(), "MPE_EGRESS_TRACK_NOT_FOUND");
}

#[test]
fn the_sound_that_the_owner_chose_is_with_the_pictures() {
    let (storage, _folder) = film();
    let french = AddedTrack::read(
        "french".to_owned(),
        AddedKind::Audio,
        "fra.m4a".to_owned(),
        serde_json::json!({"hlsSettings": {"default": true}})
            .as_object()
            .unwrap(),
    );
    let bench = Bench::added(storage, &[], &[french]);
    let master = ok(&bench, "film.ism/manifest(format=m3u8-aapl-v3)");
    let chosen = "QualityLevels(200000)/Manifest(video,format=m3u8-aapl-v3,audioTrack=french)";
    assert_eq!(uris(master.text()), [chosen]);
    let first = |option: &str| {
        let path = format!(
            "film.ism/QualityLevels(200000)/Fragments(video=0,format=m3u8-aapl-v3{option})"
        );
        ok(&bench, &path).body
    };
    assert_eq!(first(""), first(",audioTrack=french"));
}

#[test]
fn key_frames_decode_on_their_own() {
    let (storage, folder) = film();
    let bench = Bench::new(storage);
    let whole = pictures(&folder.path().join("film.mp4"));
    for (format, suffix) in [("m3u8-aapl", ".ts"), ("m3u8-cmaf", ".mp4")] {
        let path = format!(
            "film.ism/QualityLevels(200000)/Manifest(video,format={format},type=keyframes)"
        );
        let playlist = ok(&bench, &path);
        let text = playlist.text();
        assert!(text.contains("#EXT-X-I-FRAMES-ONLY\n"), "{text}");
        let init = attributes(text, "URI")
            .first()
            .map(|uri| ok(&bench, &resolve(&path, uri)).body.to_vec());
        assert_eq!(init.is_some(), format == "m3u8-cmaf");
        let ranges: Vec<&str> = text
            .lines()
            .filter_map(|l| l.strip_prefix("#EXT-X-BYTERANGE:"))
            .collect();
        let listed = uris(text);
        assert_eq!((ranges.len(), listed.len()), (7, 7));
        for (n, (range, uri)) in ranges.iter().zip(&listed).enumerate() {
            let (len, at) = range.split_once('@').unwrap();
            let (len, at): (usize, usize) = (len.parse().unwrap(), at.parse().unwrap());
            let header = format!("bytes={at}-{}", at + len - 1);
            let part = bench.ask(Method::GET, &resolve(&path, uri), &[("range", &header)]);
            assert_eq!((part.status, part.body.len()), (206, len));
            let file = write(
                &[init.clone().unwrap_or_default(), part.body.to_vec()].concat(),
                suffix,
            );
            let output = Command::new("ffmpeg")
                .args(["-v", "quiet", "-i"])
                .arg(file.path())
                .args(["-map", "0:v:0", "-f", "framemd5", "-"])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<String> = text
                .lines()
                .filter(|l| !l.starts_with('#'))
                .map(str::to_owned)
                .collect();
            assert_eq!(hashes(&lines), [whole[n * 50].as_str()], "{format} {n}");
        }
    }
    for (path, code) in [
        (
            "film.ism/QualityLevels(200000)/Manifest(video,format=m3u8-aapl-v3,type=keyframes)",
            "MPE_OUTPUT_FORMAT_NOT_SUPPORTED",
        ),
        (
            "film.ism/QualityLevels(96000)/Manifest(english,format=m3u8-aapl,type=keyframes)",
            "MPE_EGRESS_TRACK_NOT_FOUND",
        ),
    ] {
        assert_eq!(bench.get(path).code(), code);
    }
}

#[test]
fn dash_has_sets_of_key_frames_where_they_are_asked_for() {
    let (storage, folder) = film();
    let bench = Bench::new(storage);
    let whole = pictures(&folder.path().join("film.mp4"));
    for format in ["mpd-time-cmaf", "mpd-time-csf"] {
        let path = format!("film.ism/manifest(format={format},type=keyframes)");
        let mpd = ok(&bench, &path);
        let plain = ok(&bench, &path.replace(",type=keyframes", ""));
        assert!(!plain.text().contains("trickmode"));
        assert_ne!(plain.header("etag"), mpd.header("etag"));
        // What was there is there, and before what is new.
        let same = plain.text().find("  </Period>").unwrap();
        assert_eq!(mpd.text()[..same], plain.text()[..same]);
        let (urls, rate) = dash_key_frames(&path, mpd.text());
        // Two seconds of 25 pictures, and a last one of one.
        assert_eq!((urls.len(), rate), (1 + 7, 46));
        let parts: Vec<u8> = urls
            .iter()
            .flat_map(|url| ok(&bench, url).body.to_vec())
            .collect();
        let expected: Vec<&String> = whole.iter().step_by(50).collect();
        let file = write(&parts, ".mp4");
        assert_eq!(pictures(file.path()).iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn transport_stream_is_one_resource() {
    let (storage, _folder) = film();
    let bench = Bench::new(storage.clone());
    let path =
        "film.ism/QualityLevels(200000)/Fragments(video=0,format=m3u8-aapl-v3,audioTrack=french)";
    let whole = ok(&bench, path);
    assert_eq!(whole.header("content-type"), "video/mp2t");
    assert!(whole.header("cache-control").contains("immutable"));
    let len = whole.body.len();
    for (start, end) in [
        (0, 1),
        (0, len),
        (1, 188),
        (187, 189),
        (375, 20_000),
        (len - 1, len),
    ] {
        let range = format!("bytes={start}-{}", end - 1);
        let part = bench.ask(
            Method::GET,
            path,
            &[("range", &range), ("if-range", whole.header("etag"))],
        );
        assert_eq!(
            (part.status, &part.body[..]),
            (206, &whole.body[start..end]),
            "{range}"
        );
    }
    let head = bench.ask(Method::HEAD, path, &[]);
    assert_eq!(head.header("content-length"), len.to_string());
    let again = Bench::new(storage).get(path);
    assert_eq!(
        (again.body, again.headers.get("etag")),
        (whole.body.clone(), whole.headers.get("etag"))
    );
    let had = bench.ask(
        Method::GET,
        path,
        &[("if-none-match", whole.header("etag"))],
    );
    assert_eq!(had.status, 304);
    // The dialects with audio apart have the same segments; this one has others.
    let apart = ok(
        &bench,
        "film.ism/QualityLevels(200000)/Fragments(video=0,format=m3u8-aapl)",
    );
    let eighth = ok(
        &bench,
        "film.ism/QualityLevels(200000)/Fragments(video=0,format=m3u8-aapl-v8)",
    );
    assert_eq!(
        (apart.header("etag"), &apart.body),
        (eighth.header("etag"), &eighth.body)
    );
    assert_ne!(apart.header("etag"), whole.header("etag"));
    let hint = bench.ask(
        Method::GET,
        "film.ism/QualityLevels(200000)/Fragments(video=0,format=m3u8-aapl)",
        &[("cdn-origin-assist-prefetch-enabled", "1")],
    );
    let next = hint.header("cdn-origin-assist-prefetch-path").to_owned();
    assert_eq!(next, "Fragments(video=76800,format=m3u8-aapl).ts");
    ok(&bench, &resolve("film.ism/QualityLevels(200000)/x", &next));
    // Inside of a segment, and behind the last.
    for time in [25_600, 1_000_000_000] {
        let none = bench.get(&format!(
            "film.ism/QualityLevels(200000)/Fragments(video={time},format=m3u8-aapl)"
        ));
        assert_eq!(none.code(), "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND");
    }
    // Its own count of fragments.
    let ism = String::from_utf8(bench.storage.get("film.ism").unwrap().to_vec()).unwrap();
    let ism = ism.replace(
        "<meta name=\"formats\"",
        "<meta name=\"fragmentsPerHLSSegment\" content=\"1\"/><meta name=\"formats\"",
    );
    bench.storage.write("film.ism", ism);
    let single = Bench::new(bench.storage.clone());
    let (bodies, _) = segments(
        &single,
        "film.ism/QualityLevels(200000)/Manifest(video,format=m3u8-aapl)",
    );
    assert_eq!(bodies.len(), 7);
    let mut stream = Stream::default();
    bodies.iter().for_each(|b| stream.feed(b));
}

#[test]
fn real_films_keep_every_picture_in_transport_streams() {
    for file in ["bigbuckbunny.mp4", "car-detection.mp4", "azure-bumper.mp4"] {
        let storage = Memory::default();
        storage.write(file, media(file));
        let bench = Bench::new(storage);
        let name = file.strip_suffix(".mp4").unwrap();
        let path = format!("{name}.ism/manifest(format=m3u8-aapl-v3)");
        let master = ok(&bench, &path);
        let (bodies, _) = segments(&bench, &resolve(&path, &uris(master.text())[0]));
        let mut stream = Stream::default();
        bodies.iter().for_each(|b| stream.feed(b));
        let ts = write(&bodies.concat(), ".ts");
        let source = std::path::PathBuf::from(format!("{MEDIA}/{file}"));
        assert_eq!(pictures(ts.path()), pictures(&source), "{file}");
        let again = Bench::new(bench.storage.clone());
        assert_eq!(
            segments(&again, &resolve(&path, &uris(master.text())[0])).0,
            bodies
        );
    }
}

/// The init segment of a CMAF track with its media timescale changed: what Smooth clients make up themselves.
pub(crate) fn smooth_init(cmaf: &[u8]) -> Vec<u8> {
    let mut init = cmaf.to_vec();
    let at = init.windows(4).position(|w| w == b"mdhd").unwrap() + 4;
    let scale = at + if init[at] == 1 { 20 } else { 12 };
    init[scale..scale + 4].copy_from_slice(&10_000_000_u32.to_be_bytes());
    // And without an edit list.
    if let Some(at) = init.windows(4).position(|w| w == b"edts") {
        init[at..at + 4].copy_from_slice(b"free");
    }
    init
}

#[test]
fn smooth_fragments_carry_the_source() {
    let (storage, folder) = film();
    let bench = Bench::new(storage);
    let manifest = ok(&bench, "film.ism/Manifest");
    assert_eq!(
        manifest.header("content-type"),
        "application/vnd.ms-sstr+xml"
    );
    let document = roxmltree::Document::parse(manifest.text()).unwrap();
    let root = document.root_element();
    assert_eq!(root.attribute("MinorVersion"), Some("2"));
    assert_eq!(root.attribute("TimeScale"), Some("10000000"));
    let old = ok(&bench, "film.ism/Manifest(format=fmp4-v20)");
    let old = roxmltree::Document::parse(old.text()).unwrap();
    assert_eq!(old.root_element().attribute("MinorVersion"), Some("0"));
    assert!(
        old.descendants()
            .all(|n| !n.has_tag_name("c") || n.attribute("r").is_none())
    );
    let mut kinds = Vec::new();
    for (stream, old) in root
        .children()
        .filter(|n| n.is_element())
        .zip(old.root_element().children().filter(|n| n.is_element()))
    {
        let chunks = |stream: roxmltree::Node<'_, '_>| {
            let mut next = 0_u64;
            let mut chunks = Vec::new();
            for c in stream.children().filter(|n| n.has_tag_name("c")) {
                let number = |name: &str| c.attribute(name).map(|v| v.parse::<u64>().unwrap());
                let start = number("t").unwrap_or(next);
                let duration = number("d").unwrap();
                for n in 0..number("r").unwrap_or(1) {
                    chunks.push((start + n * duration, duration));
                }
                next = chunks.last().map_or(0, |(t, d)| t + d);
            }
            assert_eq!(
                stream.attribute("Chunks").unwrap(),
                chunks.len().to_string()
            );
            chunks
        };
        let level = stream
            .children()
            .find(|n| n.has_tag_name("QualityLevel"))
            .unwrap();
        let name = stream.attribute("Name").unwrap();
        let kind = stream.attribute("Type").unwrap();
        kinds.push((kind, name, level.attribute("FourCC").unwrap()));
        let listed = chunks(stream);
        assert_eq!(listed, chunks(old));
        assert!(
            listed.windows(2).all(|w| w[0].0 + w[0].1 == w[1].0),
            "fragments tile"
        );
        let bitrate = level.attribute("Bitrate").unwrap();
        let init = ok(
            &bench,
            &format!("film.ism/QualityLevels({bitrate})/Fragments({name}=i,format=m3u8-cmaf)"),
        );
        let private = level.attribute("CodecPrivateData").unwrap();
        let bytes: Vec<u8> = (0..private.len())
            .step_by(2)
            .map(|n| u8::from_str_radix(&private[n..n + 2], 16).unwrap())
            .collect();
        if kind == "video" {
            assert_eq!(bytes[..5], [0, 0, 0, 1, 0x67]);
            assert!(
                init.body.windows(bytes.len()).all(|w| w != bytes),
                "start codes are not in avcC"
            );
        } else {
            assert!(
                init.body.windows(bytes.len()).any(|w| w == bytes),
                "{private}"
            );
        }
        let mut file = smooth_init(&init.body);
        for (start, duration) in &listed {
            let url = stream
                .attribute("Url")
                .unwrap()
                .replace("{bitrate}", bitrate)
                .replace("{start time}", &start.to_string());
            let fragment = ok(&bench, &format!("film.ism/{url}"));
            let tfxd = fragment
                .body
                .windows(16)
                .position(|w| {
                    w == [
                        0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d,
                        0xaf, 0xf7, 0x57, 0xb2,
                    ]
                })
                .unwrap()
                + 20;
            assert_eq!(
                fragment.body[tfxd..tfxd + 16],
                [start.to_be_bytes(), duration.to_be_bytes()].concat()
            );
            assert_eq!(earliest(&fragment.body), 0);
            let info = ok(
                &bench,
                &format!("film.ism/{}", url.replace("Fragments", "FragmentInfo")),
            )
            .body;
            let raw = ok(
                &bench,
                &format!("film.ism/{}", url.replace("Fragments", "RawFragments")),
            )
            .body;
            assert_eq!(
                [
                    &info[..],
                    &fragment.body[info.len()..info.len() + 8],
                    &raw[..]
                ]
                .concat(),
                fragment.body
            );
            let keys = ok(
                &bench,
                &format!("film.ism/{}", url.replace("Fragments", "KeyFrames")),
            )
            .body;
            assert_eq!(keys.len() == fragment.body.len(), kind == "audio");
            file.extend_from_slice(&fragment.body);
        }
        let file = write(&file, ".mp4");
        let source = folder.path().join(if name == "french" {
            "fra.m4a"
        } else {
            "film.mp4"
        });
        if kind == "video" {
            assert_eq!(pictures(file.path()), pictures(&source));
            // ffmpeg shows fragmented tracks late where offsets are negative; the samples say when.
            let shown = times(file.path(), "v:0");
            let shown: Vec<i64> = shown.iter().map(|at| at - shown[0]).collect();
            near(&shown, &times(&source, "v:0"), 1);
        } else {
            are_the_frames(&frames(file.path(), false), &source);
        }
    }
    assert_eq!(
        kinds,
        [
            ("video", "video", "H264"),
            ("audio", "english", "AACL"),
            ("audio", "french", "AACL")
        ]
    );
    let none = bench.get("film.ism/QualityLevels(200000)/Fragments(video=7)");
    assert_eq!(none.code(), "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND");
}

#[test]
fn smooth_carries_hevc_and_dolby_digital_plus() {
    let folder = tempfile::tempdir().unwrap();
    let args = "-f lavfi -i testsrc2=size=128x72:rate=25:duration=4 -f lavfi -i sine=duration=4:sample_rate=48000 \
        -c:v libx265 -preset ultrafast -pix_fmt yuv420p -tag:v hvc1 -x265-params log-level=none:keyint=50:open-gop=0 \
        -ac 6 -c:a eac3 -b:a 192k film.mp4";
    ffmpeg(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    let source = folder.path().join("film.mp4");
    let storage = Memory::default();
    storage.write("film.mp4", std::fs::read(&source).unwrap());
    let bench = Bench::new(storage);
    let manifest = ok(&bench, "film.ism/Manifest");
    let document = roxmltree::Document::parse(manifest.text()).unwrap();
    let levels = document.descendants();
    let levels = levels.filter(|n| n.has_tag_name("QualityLevel"));
    let [video, audio] = levels.collect::<Vec<_>>()[..] else {
        panic!("{}", manifest.text());
    };
    assert_eq!(video.attribute("FourCC"), Some("hvc1"));
    for (name, value) in [
        ("FourCC", "EC-3"),
        ("AudioTag", "65534"),
        ("Channels", "6"),
        ("SamplingRate", "48000"),
    ] {
        assert_eq!(audio.attribute(name), Some(value));
    }
    let private = audio.attribute("CodecPrivateData").unwrap();
    let format = "00063F000000AF87FBA7022DFB42A4D405CD93843BDD";
    assert_eq!(&private[..format.len()], format);
    assert_eq!(private.len(), format.len() + 10);

    // With its private data in front, what the fragments hold is the source.
    let raw = |level: roxmltree::Node<'_, '_>| {
        let stream = level.parent().unwrap();
        let (name, bitrate) = (
            stream.attribute("Name").unwrap(),
            level.attribute("Bitrate").unwrap(),
        );
        let mut start = 0;
        let mut bodies = Vec::new();
        for chunk in stream.children().filter(|n| n.has_tag_name("c")) {
            let number = |name: &str| chunk.attribute(name).map(|v| v.parse::<u64>().unwrap());
            start = number("t").unwrap_or(start);
            for _ in 0..number("r").unwrap_or(1) {
                let url = format!("film.ism/QualityLevels({bitrate})/RawFragments({name}={start})");
                bodies.push(ok(&bench, &url).body.to_vec());
                start += number("d").unwrap();
            }
        }
        bodies.concat()
    };
    let private = video.attribute("CodecPrivateData").unwrap();
    let digits = private.as_bytes().chunks(2);
    let mut stream: Vec<u8> = digits
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect();
    assert_eq!(stream[..5], [0, 0, 0, 1, 0x40], "the VPS is first");
    let samples = raw(video);
    let mut rest = samples.as_slice();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (unit, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        stream.extend([0, 0, 0, 1]);
        stream.extend(unit);
        rest = behind;
    }
    assert_eq!(pictures(write(&stream, ".hevc").path()), pictures(&source));
    let args = ["-i", "film.mp4", "-map", "0:a", "-c", "copy", "film.eac3"];
    ffmpeg(folder.path(), &args);
    let frames = std::fs::read(folder.path().join("film.eac3")).unwrap();
    // All but the frame that only primes the decoder.
    let frame = 192_000 / 8 * 1536 / 48_000;
    assert_eq!(raw(audio), frames[frame..]);
}

#[test]
fn old_dash_clients_get_the_same_segments() {
    let (storage, _folder) = film();
    let bench = Bench::new(storage);
    let mpd = ok(&bench, "film.ism/manifest(format=mpd-time-csf)");
    let text = mpd.text();
    assert!(
        text.contains(
            "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" mediaPresentationDuration"
        ),
        "{text}"
    );
    assert_eq!(text.matches("profiles=\"ccff\"").count(), 3);
    assert!(text.contains(
        "media=\"QualityLevels($Bandwidth$)/Fragments(video=$Time$,format=mpd-time-csf)\""
    ));
    let segment = |format: &str| {
        ok(
            &bench,
            &format!("film.ism/QualityLevels(200000)/Fragments(video=25600,format={format})"),
        )
    };
    let (old, new) = (segment("mpd-time-csf"), segment("mpd-time-cmaf"));
    assert_eq!(
        (&old.body, old.header("etag")),
        (&new.body, new.header("etag"))
    );
}
