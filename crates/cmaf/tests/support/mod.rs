//! Real files, the tools that judge them, and a small origin: everything a test needs to play what an index promises.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use headwater_bmff::{Limits, Movie, MovieReader, Step, Track};
use headwater_cmaf::index::{
    BuildSizes, BuildStep, HeadParse, IndexBuilder, IndexHead, SegmentEntry, SourceId, TrackHead,
    parse_head, parse_page, record, segment_bytes,
};

pub fn media(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: the tests read real files from there",
        path.display()
    );
    path
}

/// Runs a tool and returns what it printed; its errors fail the test.
pub fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{tool} must be installed: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn ffmpeg(args: &[&str]) -> String {
    run(
        "ffmpeg",
        &[&["-v", "error", "-y", "-nostdin"], args].concat(),
    )
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn source(file: &[u8]) -> SourceId {
    SourceId {
        etag: "\"0x8DBF00\"".to_owned(),
        len: file.len() as u64,
    }
}

/// Parses a file through the pull parser, feeding exactly what it asks for. Returns the bytes that took.
pub fn pull(file: &[u8]) -> Result<(Movie, u64), headwater_bmff::BmffError> {
    let mut reader = MovieReader::new(file.len() as u64);
    let mut fed = 0;
    loop {
        match reader.step()? {
            Step::Need { offset, len } => {
                fed += len;
                let range = offset as usize..(offset + len) as usize;
                reader.feed(offset, Bytes::copy_from_slice(&file[range]))?;
            }
            Step::Done(movie) => return Ok((*movie, fed)),
        }
    }
}

/// Builds an index by range reads, and notes them; fails on ranges outside of the file.
pub fn build(
    file: &[u8],
    limits: Limits,
    sizes: BuildSizes,
) -> Result<(Vec<u8>, Vec<std::ops::Range<u64>>), headwater_cmaf::CmafError> {
    let mut builder = IndexBuilder::new(source(file), limits, sizes);
    let (mut parts, mut reads) = (Vec::new(), Vec::new());
    loop {
        match builder.step()? {
            BuildStep::Need { offset, len } => {
                reads.push(offset..offset + len);
                let range = offset as usize..(offset + len) as usize;
                builder.feed(offset, Bytes::copy_from_slice(&file[range]))?;
            }
            BuildStep::Part(part) => parts.extend(part),
            BuildStep::Done(mut front) => {
                front.extend(parts);
                return Ok((front, reads));
            }
        }
    }
}

pub fn movie(file: &[u8]) -> Movie {
    pull(file).unwrap().0
}

pub fn head(index: &[u8]) -> IndexHead {
    let given = index.len().min(16 << 10);
    match parse_head(&index[..given]).unwrap() {
        HeadParse::Complete(head) => head,
        HeadParse::NeedMore(length) => match parse_head(&index[..length as usize]).unwrap() {
            HeadParse::Complete(head) => head,
            HeadParse::NeedMore(more) => panic!("{length} bytes were asked for, now {more}"),
        },
    }
}

pub fn part(bytes: &[u8], range: std::ops::Range<u64>) -> &[u8] {
    &bytes[range.start as usize..range.end as usize]
}

pub fn entries(index: &[u8], head: &IndexHead, track: &TrackHead) -> Vec<SegmentEntry> {
    let mut entries = Vec::new();
    for page in 0..track.page_count() {
        let range = track.page_range(page).unwrap();
        entries.extend(parse_page(head, track, page, part(index, range)).unwrap());
    }
    assert_eq!(entries.len(), track.segment_count as usize);
    entries
}

/// The segment as a player would get it.
pub fn segment(
    file: &[u8],
    index: &[u8],
    head: &IndexHead,
    track: &TrackHead,
    entry: &SegmentEntry,
) -> Vec<u8> {
    let record = part(index, entry.record.clone());
    let plan = segment_bytes(head, track, entry, record).unwrap();
    let mut bytes = plan.inline;
    for range in plan.ranges {
        bytes.extend_from_slice(part(file, range));
    }
    assert_eq!(bytes.len() as u64, entry.response_len);
    bytes
}

/// Ticks that the edit list of a packaged track takes off its composition times.
pub fn reordering(track: &Track) -> i64 {
    let edit = track.edits.entries.first();
    let taken_off = edit.and_then(|edit| edit.media_time).unwrap_or(0);
    taken_off.try_into().unwrap()
}

/// Init segment and all segments, one after the other; checks on the way what every index promises.
pub fn play(file: &[u8], index: &[u8], track: &TrackHead) -> Vec<u8> {
    let head = head(index);
    let entries = entries(index, &head, track);
    let reordering = reordering(&movie(&track.init).tracks[0]);
    let mut at = track.start;
    let mut bytes = track.init.clone();
    for entry in &entries {
        assert_eq!(entry.start, at, "segments tile");
        at += entry.duration;
        assert!(entry.duration <= track.max_segment_duration);
        let page = track.page_of_time(entry.start).unwrap();
        assert_eq!(Some(page), track.page_of_segment(entry.number));
        assert_eq!(Some(page), track.page_of_time(at - 1));

        let samples = record::decode(&head, entry, part(index, entry.samples.clone())).unwrap();
        let mut decoded = 0_i64;
        let mut earliest = i64::MAX;
        for sample in &samples.samples {
            earliest = earliest.min(decoded + i64::from(sample.cto));
            decoded += i64::from(sample.duration);
        }
        assert_eq!(
            earliest, reordering,
            "the start is the earliest presentation time"
        );
        assert_eq!(decoded as u64, entry.duration, "samples fill the segment");
        assert!(samples.samples[0].sync);
        bytes.extend(segment(file, index, &head, track, entry));
    }
    assert_eq!(at, track.start + track.duration);
    assert_eq!(track.page_of_time(at), None);
    bytes
}

/// One packet as ffprobe sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub pts: i64,
    pub dts: Option<i64>,
    pub duration: Option<i64>,
    pub size: u32,
    pub pos: u64,
    pub key: bool,
    pub discard: bool,
}

/// Packets of stream `index` in decode order.
pub fn packets(path: &Path, index: usize, options: &[&str]) -> Vec<Packet> {
    let stream = index.to_string();
    let fixed = [
        "-v",
        "error",
        "-select_streams",
        &stream,
        "-show_packets",
        "-of",
        "compact=p=0",
        "-show_entries",
        "packet=pts,dts,duration,size,pos,flags",
        text(path),
    ];
    let out = run("ffprobe", &[options, &fixed].concat());
    let field = |line: &str, name: &str| {
        line.split('|')
            .find_map(|pair| {
                pair.strip_prefix(name)?
                    .strip_prefix('=')
                    .map(str::to_owned)
            })
            .unwrap_or_else(|| panic!("no {name} in {line}"))
    };
    out.lines()
        .filter(|line| line.contains("pts="))
        .map(|line| Packet {
            pts: field(line, "pts").parse().unwrap(),
            dts: field(line, "dts").parse().ok(),
            duration: field(line, "duration").parse().ok(),
            size: field(line, "size").parse().unwrap(),
            pos: field(line, "pos").parse().unwrap(),
            key: field(line, "flags").contains('K'),
            discard: field(line, "flags").contains('D'),
        })
        .collect()
}

/// MD5 of every decoded frame of stream `index`.
pub fn frame_hashes(path: &Path, index: usize, options: &[&str]) -> Vec<String> {
    let map = format!("0:{index}");
    let input = ["-i", text(path), "-map", &map];
    let output = ["-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let out = ffmpeg(&[options, &input, &output].concat());
    out.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').nth(5).unwrap().trim().to_owned())
        .collect()
}

/// MD5 of every packet of stream `index`.
pub fn packet_hashes(path: &Path, index: usize, options: &[&str]) -> Vec<String> {
    let map = format!("0:{index}");
    let input = ["-i", text(path), "-map", &map, "-c", "copy"];
    let out = ffmpeg(&[options, &input, &["-f", "framemd5", "-"]].concat());
    out.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').nth(5).unwrap().trim().to_owned())
        .collect()
}
