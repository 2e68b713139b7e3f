//! A live event of real pictures and sound, as its worker and storage have it.
#![allow(dead_code, unreachable_pub)] // Every test file uses another part.

use super::common::*;
use super::sealed::frame_sums;
use bytes::Bytes;
use headwater_bmff::write::{SegmentHeader, SegmentSample, init_segment, segment_header};
use headwater_bmff::{CodecConfig, TrackKind, parse_movie};
use headwater_live::archive::{Recording, folder, segment_name};
use headwater_live::edge::Snapshot;
use headwater_live::group::RowsPerSegment;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Change, Config, Part, Segment, Timeline};
use headwater_origin::{Broadcast, Edge, Published};
use std::io::Write as _;
use std::ops::Range;
use std::process::{Command, Stdio};

/// 2026-06-01T00:00:00Z in seconds, which is also the number of the row that begins there.
pub const FIRST: u64 = 1_780_272_000;
pub const SECONDS: u64 = 8;

struct OnAir {
    kind: Kind,
    bitrate: u32,
    config: Config,
    /// By row: the segment, and the bytes of its parts.
    rows: Vec<(Segment, Vec<Bytes>)>,
}

/// Eight seconds with a key frame, and so a row, every second, in parts of a fifth of a second.
pub struct Air {
    tracks: Vec<OnAir>,
    /// Cues and the like, for the timeline.
    pub told: Vec<Change>,
    /// Of segments of transport streams, as the recording has it.
    pub rows_per_segment: RowsPerSegment,
    /// Rows that are discontinuities.
    pub breaks: Vec<u64>,
    /// Rows that a track has nothing in.
    pub missing: Vec<(Kind, u64)>,
    /// Rows without anything in front of the first.
    pub before: u64,
    /// Ticks of the event's clock that rows begin after their second.
    pub late: i64,
}

impl Air {
    /// `pictures`: arguments for the encoder.
    pub fn new(pictures: &[&str]) -> Self {
        Self::with_sound(pictures, &["-c:a", "aac"])
    }

    /// The same, with an encoder for the sound.
    pub fn with_sound(pictures: &[&str], sound: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let length = SECONDS.to_string();
        let sources = [
            format!("testsrc2=duration={length}:size=320x180:rate=25"),
            format!("sine=frequency=440:duration={length}:sample_rate=48000"),
        ];
        let mut args = vec![
            "-f",
            "lavfi",
            "-i",
            &sources[0],
            "-f",
            "lavfi",
            "-i",
            &sources[1],
        ];
        args.extend(pictures);
        args.extend([
            "-g",
            "25",
            "-pix_fmt",
            "yuv420p",
            "-video_track_timescale",
            "90000",
        ]);
        args.extend(sound);
        args.extend(["-ac", "2", "film.mp4"]);
        ffmpeg(folder.path(), &args);
        let film = Bytes::from(std::fs::read(folder.path().join("film.mp4")).unwrap());
        let movie = parse_movie(film.clone()).unwrap();
        let tracks = movie.tracks.iter().map(|track| {
            let video = track.config.kind == TrackKind::Video;
            let mut config = track.config.clone();
            config.id = 1;
            let scale = u64::from(config.timescale.get());
            let samples: Vec<_> = track.samples.iter().collect();
            // A row begins with the first sample at or after its second; pictures are cut at key frames.
            let cut = |row: u64| {
                samples.iter().position(|s| {
                    s.dts >= row * scale && (!video || s.sync) && (row == 0 || s.dts > 0)
                })
            };
            let rows = (0..SECONDS).map(|row| {
                let from = cut(row).unwrap();
                let to = cut(row + 1).unwrap_or(samples.len());
                let own = &samples[from..to];
                // What is decoded first is shown when it is decoded, as the worker has it.
                let late = i64::from(own[0].cto);
                let start = FIRST * scale + own[0].dts;
                let end = samples.get(to).map_or(
                    own.last().unwrap().dts + u64::from(own.last().unwrap().duration),
                    |s| s.dts,
                );
                let mut parts = Vec::new();
                let mut bytes = Vec::new();
                let each = if video { 5 } else { 10 };
                let (mut decode, mut offset) = (start, 0);
                for (at, chunk) in own.chunks(each).enumerate() {
                    let rows: Vec<SegmentSample> = chunk
                        .iter()
                        .map(|s| SegmentSample {
                            size: s.size,
                            duration: s.duration,
                            cto: i32::try_from(i64::from(s.cto) - late).unwrap(),
                            sync: s.sync,
                        })
                        .collect();
                    let mut whole = segment_header(&SegmentHeader {
                        sequence_number: u32::try_from(row * 128).unwrap()
                            + u32::try_from(at).unwrap(),
                        track_id: 1,
                        decode_time: decode,
                        samples: &rows,
                    })
                    .unwrap();
                    let header = u32::try_from(whole.len()).unwrap();
                    for s in chunk {
                        let range = s.offset as usize..s.offset as usize + s.size as usize;
                        whole.extend_from_slice(&film[range]);
                    }
                    let duration: u32 = rows.iter().map(|r| r.duration).sum();
                    parts.push(Part {
                        offset,
                        duration,
                        size: u32::try_from(whole.len()).unwrap(),
                        header,
                        independent: rows[0].sync,
                    });
                    offset += duration;
                    decode += u64::from(duration);
                    bytes.push(Bytes::from(whole));
                }
                let segment = Segment {
                    start,
                    duration: u32::try_from(FIRST * scale + end - start).unwrap(),
                    config: 0,
                    parts,
                    complete: true,
                };
                (segment, bytes)
            });
            OnAir {
                kind: if video { Kind::Video } else { Kind::Audio },
                bitrate: if video { 2_000_000 } else { 128_000 },
                config: Config {
                    codec: match &track.config.codec {
                        CodecConfig::Avc(avc) => avc.rfc6381(),
                        CodecConfig::Aac(aac) => aac.rfc6381(),
                        CodecConfig::Boxed(boxed) => boxed.rfc6381.clone(),
                        _ => panic!("a codec"),
                    },
                    timescale: config.timescale,
                    width: config.width.into(),
                    height: config.height.into(),
                    sample_rate: config.sample_rate,
                    channels: config.channels,
                    init: init_segment(&config, 0).unwrap(),
                },
                rows: rows.collect(),
            }
        });
        Self {
            tracks: tracks.collect(),
            told: Vec::new(),
            rows_per_segment: RowsPerSegment::ONE,
            breaks: Vec::new(),
            missing: Vec::new(),
            before: 0,
            late: 0,
        }
    }

    /// Puts a message in front of a part of every track.
    pub fn say(&mut self, row: u64, part: usize, message: &[u8]) {
        for track in &mut self.tracks {
            let (segment, parts) = &mut track.rows[row as usize];
            parts[part] = [message, &parts[part]].concat().into();
            let len = u32::try_from(message.len()).unwrap();
            segment.parts[part].size += len;
            segment.parts[part].header += len;
        }
    }

    pub fn avc() -> Self {
        Self::new(&["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"])
    }

    fn has(&self, kind: Kind, row: u64) -> bool {
        !self.missing.contains(&(kind, row))
    }

    fn changes(&self, rows: Range<u64>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (index, track) in (0_u16..).zip(&self.tracks) {
            changes.push(Change::Track {
                kind: track.kind,
                name: track.kind.name().into(),
                bitrate: track.bitrate,
                language: None,
            });
            changes.push(Change::Config {
                track: index,
                config: track.config.clone(),
            });
        }
        let empty = match rows.start {
            0 => FIRST - self.before..FIRST,
            _ => 0..0,
        };
        for number in empty.chain(rows.start + FIRST..rows.end + FIRST) {
            changes.push(Change::Row {
                number,
                start: i64::try_from(number * 90_000).unwrap() + self.late,
                discontinuity: number >= FIRST && self.breaks.contains(&(number - FIRST)),
            });
            let Some(row) = number.checked_sub(FIRST) else {
                continue;
            };
            let tracks = (0_u16..).zip(&self.tracks);
            for (index, track) in tracks.filter(|(_, track)| self.has(track.kind, row)) {
                changes.push(Change::Whole {
                    track: index,
                    number,
                    segment: track.rows[row as usize].0.clone(),
                });
            }
        }
        changes.extend(self.told.iter().cloned());
        changes
    }

    /// Puts rows into storage, as a film if nothing follows.
    pub fn record(&self, storage: &Memory, rows: Range<u64>, ended: bool) {
        let mut recording = Recording {
            rows_per_segment: self.rows_per_segment,
            ..Recording::default()
        };
        for change in self.changes(rows.clone()) {
            recording.apply(&change).unwrap();
        }
        if let Some(page) = recording.seal("show", u64::MAX) {
            storage.write(&page.name, page.bytes);
        }
        if ended {
            recording.apply(&Change::End).unwrap();
            storage.write(
                "show.ism",
                r#"<smil><head><meta name="formats" content="vod-cmaf"/></head><body><switch/></body></smil>"#,
            );
        }
        let head = recording.head("show");
        storage.write(&head.name, head.bytes);
        for (track, on_air) in recording.open.tracks.iter().zip(&self.tracks) {
            storage.write(
                &format!("{}/header", folder(track)),
                on_air.config.init.clone(),
            );
            for (segment, parts) in &on_air.rows[rows.start as usize..rows.end as usize] {
                storage.write(&segment_name(track, segment.start), parts.concat());
            }
        }
    }

    /// Five rows in storage, the worker has the newest five and a part of another one.
    pub fn airing(&self, low_latency: bool) -> Memory {
        let storage = Memory::default();
        self.record(&storage, 0..5, false);
        self.tell(&storage, 2..7, 2, low_latency, None);
        storage
    }

    /// Lets the worker have rows, and of the next one so many parts of each track. `number`: of the row that grows, if it is
    /// another than the next.
    pub fn tell(
        &self,
        storage: &Memory,
        rows: Range<u64>,
        growing: usize,
        low_latency: bool,
        number: Option<u64>,
    ) {
        let mut changes = self.changes(rows.clone());
        let next = FIRST + rows.end;
        let number = number.unwrap_or(next);
        if growing > 0 {
            for missing in next..number {
                changes.push(Change::Row {
                    number: missing,
                    start: i64::try_from(next * 90_000 - (number - missing)).unwrap(),
                    discontinuity: false,
                });
            }
            changes.push(Change::Row {
                number,
                start: i64::try_from(next * 90_000).unwrap(),
                discontinuity: false,
            });
        }
        let media = |track: usize, number: u64| format!("live/v1/events/e/media/{track}/{number}");
        for (index, track) in self.tracks.iter().enumerate() {
            for row in rows.clone() {
                let parts = &track.rows[row as usize].1;
                storage.write(&media(index, FIRST + row), parts.concat());
                for (at, part) in parts.iter().enumerate() {
                    storage.write(&format!("{}/{at}", media(index, FIRST + row)), part.clone());
                }
            }
            if growing > 0 {
                let (segment, parts) = &track.rows[rows.end as usize];
                let index16 = u16::try_from(index).unwrap();
                changes.push(Change::Open {
                    track: index16,
                    number,
                    start: segment.start,
                    config: 0,
                });
                for (at, bytes) in parts.iter().take(growing).enumerate() {
                    changes.push(Change::Part {
                        track: index16,
                        number,
                        part: segment.parts[at],
                    });
                    storage.write(&format!("{}/{at}", media(index, number)), bytes.clone());
                }
            }
        }
        let mut timeline = Timeline::default();
        for change in changes {
            timeline.apply(&change).unwrap();
        }
        let snapshot = Snapshot {
            generation: 1,
            now_ms: 0,
            interval_ms: 1_000,
            part_ms: 213,
            low_latency,
            timeline,
        };
        storage.write("live/v1/events/e/timeline", snapshot.to_bytes());
    }

    /// All that was ever sent of a track, in the clear, with its init segment.
    pub fn clear(&self, kind: Kind, rows: Range<u64>) -> Vec<u8> {
        let track = self.tracks.iter().find(|t| t.kind == kind).unwrap();
        let rows = &track.rows[rows.start as usize..rows.end as usize];
        let parts = rows.iter().flat_map(|(_, parts)| parts);
        let init = std::iter::once(track.config.init.clone());
        let all: Vec<Vec<u8>> = init.chain(parts.map(|part| part.to_vec())).collect();
        all.concat()
    }

    pub fn config(&self, kind: Kind) -> Config {
        let track = self.tracks.iter().find(|t| t.kind == kind).unwrap();
        track.config.clone()
    }

    /// Start of a row's segment in ticks.
    pub fn start(&self, kind: Kind, row: u64) -> u64 {
        let track = self.tracks.iter().find(|t| t.kind == kind).unwrap();
        track.rows[row as usize].0.start
    }
}

/// A locator of what is on air.
pub fn on_air(published: Published<()>) -> Published<()> {
    Published {
        live: Some(Broadcast {
            event: "e".into(),
            manifest: "show".into(),
            edge: Some(Edge {
                url: "http://memory".into(),
                secret: "s".into(),
            }),
            archive_ms: 3_600_000,
            rewind_ms: None,
            rows_per_segment: RowsPerSegment::ONE,
            preview: None,
        }),
        ..published
    }
}

/// What a media playlist or a segment is of, by its path.
pub fn kind_of(path: &str) -> Kind {
    match path.contains("(audio") {
        true => Kind::Audio,
        false => Kind::Video,
    }
}

pub fn ok(bench: &Bench, path: &str) -> Got {
    let got = bench.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    got
}

/// The media playlists of the show: paths and texts.
pub fn media_playlists(bench: &Bench, options: &str) -> Vec<(String, String)> {
    let master = ok(bench, &format!("show.ism/manifest({options})"));
    let mut found = uris(master.text());
    found.truncate(1);
    let audio = master
        .text()
        .lines()
        .filter(|l| l.starts_with("#EXT-X-MEDIA"));
    found.extend(attributes(&audio.collect::<Vec<_>>().join("\n"), "URI"));
    let found = found.into_iter().map(|uri| {
        let path = format!("show.ism/{uri}");
        let text = ok(bench, &path).text().to_owned();
        (path, text)
    });
    found.collect()
}

pub fn bytes_of(bench: &Bench, urls: &[String]) -> Vec<u8> {
    let parts = urls.iter().map(|url| ok(bench, url).body.to_vec());
    parts.collect::<Vec<_>>().concat()
}

/// Hashes of all decoded frames of a file, by stream and in order.
pub fn frames(file: &[u8], key: Option<&str>) -> Vec<String> {
    let text = frame_sums(file, key, &["-vsync", "passthrough"]);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let stream = line.split(',').next().unwrap().trim();
            format!("{stream} {}", line.rsplit(',').next().unwrap().trim())
        })
        .collect()
}

/// Decrypts AES-128 with openssl.
pub fn opened(segment: &[u8], key: &str, iv: &str) -> Vec<u8> {
    let mut openssl = Command::new("openssl")
        .args(["enc", "-d", "-aes-128-cbc", "-K", key, "-iv", iv])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut stdin = openssl.stdin.take().unwrap();
    let bytes = segment.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success());
    writer.join().unwrap().unwrap();
    output.stdout
}
