//! What an index costs at most: files made to take much memory, against what an instance has.

#[path = "it/common.rs"]
mod common;
#[path = "../../cmaf/tests/mutate/counting.rs"]
mod counting;
#[path = "../../dash/tests/schema/mod.rs"]
mod schema;

use common::*;
use counting::{HELD, PEAK};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// An instance has 128 MiB, of which caches, code and stack take some 15.
const MOST_BYTES: usize = 100 << 20;

/// One file at a time, as all are counted by one allocator.
static ALONE: Mutex<()> = Mutex::new(());

/// Asks for a manifest of `file`; the status, and the memory that it took at most.
fn cost(file: Vec<u8>) -> (u16, usize) {
    let storage = Memory::default();
    storage.write("film.mp4", file);
    let bench = Bench::new(storage.clone());
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let stored = storage.held_bytes();
    let got = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    // What is stored is in the same memory here.
    let stored = storage.held_bytes() - stored;
    let bytes = (PEAK.load(Ordering::Relaxed) - before).saturating_sub(stored);
    println!(
        "{} with {} KiB: {}",
        got.status,
        bytes >> 10,
        got.text().lines().next().unwrap()
    );
    (got.status, bytes)
}

fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], name, &payload].concat()
}

/// A full box of version 0 around 32-bit fields.
fn table(name: &[u8; 4], fields: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let bytes = [0].into_iter().chain(fields).flat_map(u32::to_be_bytes);
    boxed(name, &[&bytes.collect::<Vec<u8>>()])
}

/// A table that begins with the number of its rows.
fn counted<const N: usize>(
    name: &[u8; 4],
    rows: impl ExactSizeIterator<Item = [u32; N]>,
) -> Vec<u8> {
    let count = u32::try_from(rows.len()).unwrap();
    table(name, [count].into_iter().chain(rows.flatten()))
}

#[derive(Clone, Copy)]
enum Kind {
    Video,
    Audio,
}

/// `trak` of a track with these tables.
fn trak(id: u32, kind: Kind, tables: &[Vec<u8>]) -> Vec<u8> {
    let bumper = media("azure-bumper.mp4");
    let mut entries = (0..bumper.len()).filter(|at| bumper[*at..].starts_with(b"stsd"));
    let (handler, place) = match kind {
        Kind::Video => (b"vide", 0),
        Kind::Audio => (b"soun", 1),
    };
    let at = entries.nth(place).unwrap() - 4;
    let len = u32::from_be_bytes(bumper[at..at + 4].try_into().unwrap()) as usize;
    let tkhd = table(b"tkhd", [0, 0, id].into_iter().chain([0; 17]));
    let mdhd = table(b"mdhd", [0, 0, 48_000, 0, 0x55c4_0000]);
    let hdlr = boxed(b"hdlr", &[&[0; 8], handler, &[0; 13]]);
    let stbl = boxed(b"stbl", &[&bumper[at..at + len], &tables.concat()]);
    let minf = boxed(b"minf", &[&stbl]);
    boxed(b"trak", &[&tkhd, &boxed(b"mdia", &[&mdhd, &hdlr, &minf])])
}

/// A file of these tracks, and a mebibyte that all their samples may point into.
fn file(traks: &[Vec<u8>]) -> Vec<u8> {
    let mvhd = table(b"mvhd", [0, 0, 1000].into_iter().chain([0; 22]));
    let moov = boxed(b"moov", &[&mvhd, &traks.concat()]);
    [moov, boxed(b"mdat", &[&vec![0; 1 << 20]])].concat()
}

/// Rows of a table that takes all that a movie header may have, nearly.
fn rows(row_bytes: usize) -> u32 {
    u32::try_from(((16 << 20) - (64 << 10)) / row_bytes).unwrap()
}

#[test]
fn a_chunk_for_every_sample() {
    let _alone = ALONE.lock();
    // A quarter of what is accepted, against a quarter of the memory: millions of samples take long without optimisation.
    let count = rows(4) / 4;
    let track = [
        table(b"stsz", [1, count]),
        counted(b"stts", [[count, 1024]].into_iter()),
        counted(b"stsc", [[1, 1, 1]].into_iter()),
        table(
            b"stco",
            [count].into_iter().chain((0..count).map(|n| n % 2 * 1000)),
        ),
    ];
    let (status, bytes) = cost(file(&[trak(1, Kind::Audio, &track)]));
    assert!(matches!(status, 200 | 415), "{status}");
    assert!(bytes < MOST_BYTES / 4, "{bytes}");
}

#[test]
fn a_duration_an_offset_and_a_size_for_every_picture() {
    let _alone = ALONE.lock();
    let count = rows(24);
    let places = 0..count as usize;
    let vary = |n: usize| 500 + n as u32 % 2;
    let track = [
        table(
            b"stsz",
            [0, count].into_iter().chain((0..count).map(|n| n % 50)),
        ),
        counted(b"stts", places.clone().map(|n| [1, vary(n)])),
        counted(b"ctts", places.clone().map(|n| [1, vary(n)])),
        counted(b"stss", places.map(|n| [1 + n as u32])),
        counted(b"stsc", [[1, 200, 1]].into_iter()),
        table(
            b"stco",
            [count / 200 + 1]
                .into_iter()
                .chain((0..count / 200 + 1).map(|_| 0)),
        ),
    ];
    let (status, bytes) = cost(file(&[trak(1, Kind::Video, &track)]));
    assert!(matches!(status, 200 | 415), "{status}");
    assert!(bytes < MOST_BYTES, "{bytes}");
}

/// Twelve hours of 1080p60 with reordered pictures and two sounds, interleaved every half second. A `co64`, sizes one by
/// one and offsets one by one: more than 40 MiB of tables, which a streaming build must not hold.
fn twelve_hours() -> Vec<u8> {
    const SECONDS: u32 = 12 * 3600;
    let offsets = [[1, 1600], [1, 4000], [1, 1600], [1, 0], [1, 800]];
    let video = SECONDS * 60;
    let chunks = |count: u32, step: u64, first: u64| {
        let head = [0, count].into_iter().flat_map(u32::to_be_bytes);
        let rows = (0..u64::from(count)).flat_map(move |n| (first + n * step).to_be_bytes());
        boxed(b"co64", &[&head.chain(rows).collect::<Vec<u8>>()])
    };
    let pictures = [
        table(
            b"stsz",
            [0, video]
                .into_iter()
                .chain((0..video).map(|n| 150 + n % 40)),
        ),
        counted(b"stts", [[video, 800]].into_iter()),
        counted(b"ctts", (0..video as usize).map(|n| offsets[n % 5])),
        counted(
            b"stss",
            (0..video as usize / 120).map(|n| [1 + 120 * n as u32]),
        ),
        counted(b"stsc", [[1, 30, 1]].into_iter()),
        chunks(video / 30, 8000, 8),
    ];
    let frames = SECONDS * 375 / 8;
    let sound = |first: u64| {
        [
            table(
                b"stsz",
                [0, frames]
                    .into_iter()
                    .chain((0..frames).map(|n| 40 + n % 30)),
            ),
            counted(b"stts", [[frames, 1024]].into_iter()),
            counted(b"stsc", [[1, 24, 1]].into_iter()),
            chunks(frames.div_ceil(24), 8000, first),
        ]
    };
    let traks = [
        trak(1, Kind::Video, &pictures),
        trak(2, Kind::Audio, &sound(10_000_008)),
        trak(3, Kind::Audio, &sound(20_000_008)),
    ];
    let mvhd = table(b"mvhd", [0, 0, 1000].into_iter().chain([0; 22]));
    let moov = boxed(b"moov", &[&mvhd, &traks.concat()]);
    assert!(moov.len() > 40 << 20, "{} MiB", moov.len() >> 20);
    // The media itself is never read.
    let mdat = 800_000_000_u64;
    let mut head = [0, 0, 0, 1].to_vec();
    head.extend(b"mdat");
    head.extend(mdat.to_be_bytes());
    [moov, head].concat()
}

#[test]
fn twelve_hours_take_64_megabytes() {
    let _alone = ALONE.lock();
    let front = twelve_hours();
    let len = front.len() as u64 - 16 + 800_000_000;
    let storage = Memory::default();
    storage.write_sparse("film.mp4", front, len);
    let bench = Bench::new(storage.clone());
    let before = HELD.load(Ordering::Relaxed);
    let stored_before = storage.held_bytes();
    PEAK.store(before, Ordering::Relaxed);
    let started = std::time::Instant::now();
    let got = bench.get("film.ism/QualityLevels(1)/Fragments(video=1,format=m3u8-cmaf)");
    let took = started.elapsed();
    // The store itself holds what was written in the same memory.
    let index = storage.held_bytes() - stored_before;
    let peak = PEAK.load(Ordering::Relaxed) - before;
    let (calls, read) = storage.calls();
    println!(
        "{} in {took:?}: {} KiB at most, {} KiB of index in the store, {} calls, {} KiB read",
        got.status,
        peak >> 10,
        index >> 10,
        calls.len(),
        read >> 10
    );
    assert_eq!(got.status, 404, "no such bit rate, but the index is there");
    assert!(index > 8 << 20, "{index}");
    assert!(peak - index < 64 << 20, "{peak} - {index}");
    assert!(
        calls
            .iter()
            .filter(|call| call.starts_with("stage"))
            .count()
            > 2
    );
    assert!(calls.len() < 200, "{} calls", calls.len());
    storage.calls();
    let got = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(got.status, 200);
    // Looking for captions reads a little of the media, and nothing of the movie header.
    let (calls, read) = storage.calls();
    let reads = calls.iter().filter(|call| *call == "read film.mp4");
    assert!(reads.count() <= 4 && read < 3 << 20, "{read} {calls:?}");
}

#[test]
fn twelve_hours_of_fragments_take_64_megabytes() {
    let _alone = ALONE.lock();
    let nothing = |id, kind| {
        let tables = [
            table(b"stsz", [0, 0]),
            table(b"stts", [0]),
            table(b"stsc", [0]),
            table(b"stco", [0]),
        ];
        trak(id, kind, &tables)
    };
    let mvhd = table(b"mvhd", [0, 0, 1000].into_iter().chain([0; 22]));
    let trex = [1, 2].map(|id| table(b"trex", [id, 1, 0, 0, 0]));
    let traks = [nothing(1, Kind::Video), nothing(2, Kind::Audio)];
    let moov = boxed(
        b"moov",
        &[&mvhd, &traks.concat(), &boxed(b"mvex", &[&trex.concat()])],
    );
    let traf = |id: u32, flags: u32, head: &[u32], rows: &[u32]| {
        let mut tfhd = table(b"tfhd", [&[id][..], head].concat());
        let fixed = 0x2_0000 | if head.is_empty() { 0 } else { 0x8 };
        tfhd[8..12].copy_from_slice(&u32::to_be_bytes(fixed));
        let mut trun = table(b"trun", rows.iter().copied());
        trun[8..12].copy_from_slice(&flags.to_be_bytes());
        boxed(b"traf", &[&tfhd, &trun])
    };
    // Two seconds: 120 pictures with size, flags and offset of their own, 94 frames of sound.
    let offsets = [1600, 4000, 1600, 0, 800];
    let pictures =
        (0..120).flat_map(|n| [1 + n % 2, u32::from(n > 0) << 16, offsets[n as usize % 5]]);
    let pictures: Vec<u32> = [120].into_iter().chain(pictures).collect();
    let frames: Vec<u32> = [94].into_iter().chain((0..94).map(|n| 1 + n % 2)).collect();
    let trafs = [
        traf(1, 0xe00, &[800], &pictures),
        traf(2, 0x200, &[1024], &frames),
    ];
    let moof = boxed(b"moof", &[&trafs.concat()]);
    let fragment = [moof, boxed(b"mdat", &[&[0; 400]])].concat();
    let file = [&moov[..], &fragment.repeat(21_600)].concat();
    let (status, bytes) = cost(file);
    assert_eq!(status, 200);
    assert!(bytes < 64 << 20, "{} MiB", bytes >> 20);
}

#[test]
fn many_tracks_that_claim_samples_for_nothing() {
    let _alone = ALONE.lock();
    let count = 100_000;
    let track = [
        table(b"stsz", [1, count]),
        counted(b"stts", [[count, 96_000]].into_iter()),
        counted(b"stsc", [[1, count, 1]].into_iter()),
        counted(b"stco", [[0]].into_iter()),
    ];
    let traks: Vec<_> = (1..=20).map(|id| trak(id, Kind::Audio, &track)).collect();
    let (status, bytes) = cost(file(&traks));
    assert_eq!(status, 415);
    assert!(bytes < MOST_BYTES, "{bytes}");
}

#[test]
fn fragments_that_state_everything_for_every_sample() {
    let _alone = ALONE.lock();
    let nothing: [Vec<u8>; 4] = [
        table(b"stsz", [0, 0]),
        table(b"stts", [0]),
        table(b"stsc", [0]),
        table(b"stco", [0]),
    ];
    let trex = table(b"trex", [1, 1, 0, 0, 0]);
    let mvhd = table(b"mvhd", [0, 0, 1000].into_iter().chain([0; 22]));
    let track = trak(1, Kind::Video, &nothing);
    let moov = boxed(b"moov", &[&mvhd, &track, &boxed(b"mvex", &[&trex])]);
    // `trun` with durations, sizes, flags and offsets; no two rows alike.
    let count = 250_000;
    let all = (0..count).flat_map(|n| [500 + n % 2, 1, (n % 2) << 16, n % 2 * 10]);
    let trun = table(b"trun", [count].into_iter().chain(all));
    let mut trun = trun;
    trun[8..12].copy_from_slice(&0xf00_u32.to_be_bytes());
    let mut tfhd = table(b"tfhd", [1]);
    tfhd[8..12].copy_from_slice(&0x2_0000_u32.to_be_bytes());
    let moof = boxed(b"moof", &[&boxed(b"traf", &[&tfhd, &trun])]);
    let file = [&moov[..], &moof.repeat(8)].concat();
    let (status, bytes) = cost(file);
    assert_eq!(status, 415);
    assert!(bytes < MOST_BYTES, "{bytes}");
}
