//! Broken files through everything that a server does with an upload: read, index, package. No panic, no file that takes
//! longer than a second, and none that takes more memory than 64 MiB or eight times its size.
//!
//! `HEADWATER_MUTATIONS` sets how many files are tried (3000 by default); a file depends on its number alone, so that
//! `HEADWATER_MUTATION_SEED` repeats a failure.
#![allow(unsafe_code)] // An allocator cannot be counted otherwise.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_bmff::Limits;
use headwater_cmaf::index::{
    BuildSizes, BuildStep, HeadParse, IndexBuilder, parse_head, parse_page, segment_bytes,
};
use support::*;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// splitmix64: the file of a number is the same in every run.
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }
}

/// A file and where what a parser reads of it is: everything but the contents of `mdat`.
struct Seed {
    bytes: Vec<u8>,
    structure: Vec<std::ops::Range<usize>>,
    /// Where boxes begin that may be nested.
    boxes: Vec<usize>,
}

const CONTAINERS: [&[u8; 4]; 12] = [
    b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"mfra",
    b"stsd", b"dinf",
];

impl Seed {
    fn new(bytes: Vec<u8>) -> Self {
        let mut seed = Self {
            structure: Vec::new(),
            boxes: Vec::new(),
            bytes,
        };
        let mut at = 0;
        while at + 8 <= seed.bytes.len() {
            let size = u32::from_be_bytes(seed.bytes[at..at + 4].try_into().unwrap()) as usize;
            let end = (at + size.max(8)).min(seed.bytes.len());
            let read = if &seed.bytes[at + 4..at + 8] == b"mdat" {
                at + 16
            } else {
                end
            };
            seed.structure.push(at..read.min(end));
            at = end;
        }
        for range in seed.structure.clone() {
            seed.nest(range);
        }
        seed
    }

    fn nest(&mut self, range: std::ops::Range<usize>) {
        let mut at = range.start;
        while at + 8 <= range.end {
            let size = u32::from_be_bytes(self.bytes[at..at + 4].try_into().unwrap()) as usize;
            let end = at + size.max(8);
            if end > range.end {
                return;
            }
            self.boxes.push(at);
            let name: [u8; 4] = self.bytes[at + 4..at + 8].try_into().unwrap();
            if CONTAINERS.contains(&&name) {
                let head = if &name == b"stsd" { 16 } else { 8 };
                self.nest(at + head..end);
            }
            at = end;
        }
    }

    /// One place of what is read, boxes of every size alike.
    fn place(&self, random: &mut Random) -> usize {
        match random.below(2) {
            0 => {
                let range = &self.structure[random.below(self.structure.len())];
                range.start + random.below(range.len())
            }
            _ => (self.boxes[random.below(self.boxes.len())] + random.below(40))
                .min(self.bytes.len() - 1),
        }
    }

    fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut file = self.bytes.clone();
        for _ in 0..=random.below(5) {
            let at = self.place(random);
            let word = at..(at + 4).min(file.len());
            match random.below(8) {
                0 => file[at] ^= 1 << random.below(8),
                1 => file[at] = random.number() as u8,
                2 => file[word].fill([0x00, 0x7f, 0x80, 0xff][random.below(4)]),
                3 => {
                    let from = self.place(random);
                    file[at] = self.bytes[from];
                }
                4 => {
                    // A count or size, nearly right.
                    if let Ok(bytes) = <[u8; 4]>::try_from(&file[word.clone()]) {
                        let near = [1, u32::MAX, 8, 1 << 16, 1 << 24][random.below(5)];
                        let value = u32::from_be_bytes(bytes).wrapping_add(near);
                        file[word].copy_from_slice(&value.to_be_bytes());
                    }
                }
                5 => {
                    // One box under the name of another.
                    let from = self.boxes[random.below(self.boxes.len())] + 4;
                    let to = self.boxes[random.below(self.boxes.len())] + 4;
                    let name: [u8; 4] = self.bytes[from..from + 4].try_into().unwrap();
                    file[to..to + 4].copy_from_slice(&name);
                }
                6 => {
                    // A stretch of it over another.
                    let from = self.place(random);
                    let len = random
                        .below(64)
                        .min(self.bytes.len() - from)
                        .min(file.len() - at);
                    file[at..at + len].copy_from_slice(&self.bytes[from..from + len]);
                }
                _ => {
                    let to = self.boxes[random.below(self.boxes.len())];
                    let sizes = [0_u32, 1, 7, 8, 9, 16, 1 << 31, u32::MAX];
                    file[to..to + 4].copy_from_slice(&sizes[random.below(8)].to_be_bytes());
                }
            }
        }
        if random.below(16) == 0 {
            file.truncate(random.below(file.len()));
        }
        file
    }
}

/// What the origin accepts.
const LIMITS: Limits = Limits {
    moov_bytes: 1 << 30,
    moof_bytes: 4 << 20,
    samples: 1 << 24,
    table_bytes: 48 << 20,
    top_level_boxes: 1 << 18,
    window_bytes: 64 << 10,
};

/// Indexes a file and packages all of its segments.
fn digest(file: &Bytes) -> Result<(), String> {
    let text = |error: headwater_cmaf::CmafError| error.to_string();
    let mut builder = IndexBuilder::new(source(file), LIMITS, BuildSizes::default());
    let mut parts = Vec::new();
    let front = loop {
        match builder.step().map_err(text)? {
            BuildStep::Need { offset, len } => {
                let bytes = file.slice(offset as usize..(offset + len) as usize);
                builder.feed(offset, bytes).map_err(text)?;
            }
            BuildStep::Part(part) => parts.push(part),
            BuildStep::Done(front) => break front,
        }
    };
    drop(builder);
    let HeadParse::Complete(head) = parse_head(&front).unwrap() else {
        panic!("the front holds the head");
    };
    let index = [front, parts.concat()].concat();
    assert_eq!(head.index_len, index.len() as u64);
    for track in &head.tracks {
        for page in 0..track.page_count() {
            let range = track.page_range(page).unwrap();
            for entry in parse_page(&head, track, page, part(&index, range)).unwrap() {
                let record = part(&index, entry.record.clone());
                let plan = segment_bytes(&head, track, &entry, record).unwrap();
                for range in plan.ranges {
                    assert!(range.end <= file.len() as u64);
                }
            }
        }
    }
    Ok(())
}

fn made(folder: &Path, name: &str, options: &str) -> Vec<u8> {
    let path = folder.join(name);
    let inputs = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=3 -f lavfi -i sine=sample_rate=48000:duration=3";
    let options = format!("{inputs} {options}");
    let options: Vec<&str> = options.split_whitespace().collect();
    ffmpeg(&[&options[..], &[text(&path)]].concat());
    std::fs::read(path).unwrap()
}

fn seeds() -> Vec<Seed> {
    let folder = tempfile::tempdir().unwrap();
    let x264 = "-c:v libx264 -preset veryfast -g 25 -bf 2 -b:v 60k -c:a aac -b:a 32k";
    let make = |name: &str, options: &str| made(folder.path(), name, options);
    let files = [
        std::fs::read(media("bigbuckbunny.mp4")).unwrap(),
        make("a.mp4", x264),
        make(
            "b.mp4",
            &format!("{x264} -movflags faststart -output_ts_offset 0.5"),
        ),
        make(
            "c.mp4",
            &format!("{x264} -movflags frag_keyframe+empty_moov+default_base_moof"),
        ),
        make("d.mp4", &format!("{x264} -movflags frag_keyframe")),
        make("e.mp4", &format!("{x264} -movflags cmaf")),
        make("f.ismv", &format!("{x264} -f ismv")),
        make("g.mov", x264),
        make(
            "h.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none -c:a ac3",
        ),
        make(
            "i.mp4",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus",
        ),
        make("j.mp4", "-c:v libsvtav1 -preset 12 -c:a flac -strict -2"),
        make("k.mp4", "-vn -c:a eac3"),
    ];
    files.into_iter().map(Seed::new).collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn mutated_files_are_digested_or_refused() {
    let seeds = seeds();
    for seed in &seeds {
        digest(&Bytes::from(seed.bytes.clone())).unwrap();
    }
    let count = number("HEADWATER_MUTATIONS").unwrap_or(3000);
    let first = number("HEADWATER_MUTATION_SEED").unwrap_or(0);
    let (mut refused, mut slowest, mut largest) = (0, (Duration::ZERO, 0), (0, 0));
    for nth in first..first + count {
        let mut random = Random(nth);
        let seed = &seeds[(nth % seeds.len() as u64) as usize];
        let file = Bytes::from(seed.mutated(&mut random));
        let before = HELD.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let started = Instant::now();
        let result = std::panic::catch_unwind(|| digest(&file));
        let took = started.elapsed();
        let took_bytes = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let result = result.unwrap_or_else(|_| panic!("file {nth} panics"));
        refused += u64::from(result.is_err());
        slowest = slowest.max((took, nth));
        largest = largest.max((took_bytes, nth));
        let most = (64 << 20).max(8 * file.len());
        assert!(took_bytes <= most, "file {nth} takes {took_bytes} bytes");
        // Without optimisation everything takes some ten times as long.
        let patience = if cfg!(debug_assertions) { 10 } else { 1 };
        assert!(
            took < Duration::from_secs(patience),
            "file {nth} takes {took:?}"
        );
    }
    println!("{refused} of {count} refused, slowest {slowest:?}, largest {largest:?}");
    assert!(
        refused > count / 10,
        "mutations hit what matters: {refused}"
    );
    assert!(
        refused < count * 19 / 20,
        "and do not end all at the front: {refused}"
    );
}
