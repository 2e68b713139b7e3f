//! What tests of broken input share: numbers that are the same in every run, files with faults, an allocator that counts, and the
//! bounds that no input may pass.
#![allow(dead_code, unreachable_pub)] // Every test file uses another part.

mod counting;
mod cpu;

use counting::{HELD, PEAK};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// splitmix64: the file of a number is the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }
}

/// A file and where what a parser reads of it is: everything but the contents of `mdat`.
pub struct Seed {
    pub bytes: Vec<u8>,
    structure: Vec<std::ops::Range<usize>>,
    /// Where boxes begin that may be nested.
    boxes: Vec<usize>,
}

const CONTAINERS: [&[u8; 4]; 12] = [
    b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"mfra",
    b"stsd", b"dinf",
];

impl Seed {
    pub fn new(bytes: Vec<u8>) -> Self {
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

    pub fn mutated(&self, random: &mut Random) -> Vec<u8> {
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

/// A text with quoted values: a server or client manifest.
pub struct Text(pub Vec<u8>);

/// What somebody puts into a value who means no good, or does not know better.
const VALUES: [&str; 18] = [
    "",
    " ",
    "0",
    "-1",
    "1",
    "2",
    "99999999999999999999999",
    "4294967295",
    "NaN",
    "../film.mp4",
    "/film.mp4",
    "film.mp4",
    "no.mp4",
    "a&amp;b&lt;&quot;",
    "&#1;&#x202e;",
    "\u{2003}\u{a0}x,)(=;\u{fffd}",
    "mp4a",
    "und",
];

impl Text {
    /// Where quoted values are, quotes not included.
    fn values(&self) -> Vec<std::ops::Range<usize>> {
        let quotes: Vec<usize> = (0..self.0.len()).filter(|at| self.0[*at] == b'"').collect();
        quotes.chunks_exact(2).map(|q| q[0] + 1..q[1]).collect()
    }

    pub fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut text = Self(self.0.clone());
        for _ in 0..=random.below(4) {
            let values = text.values();
            let len = text.0.len().max(1);
            let at = random.below(len).min(text.0.len());
            let end = (at + random.below(80)).min(text.0.len());
            match random.below(8) {
                0 | 1 if !values.is_empty() => {
                    let value = values[random.below(values.len())].clone();
                    let new = VALUES[random.below(VALUES.len())];
                    text.0.splice(value, new.bytes());
                }
                2 if !values.is_empty() => {
                    let from = text.0[values[random.below(values.len())].clone()].to_vec();
                    let to = values[random.below(values.len())].clone();
                    text.0.splice(to, from);
                }
                3 if !values.is_empty() => {
                    let value = values[random.below(values.len())].clone();
                    text.0.splice(value, b"x".repeat(1 << random.below(15)));
                }
                4 => {
                    text.0.drain(at..end);
                }
                5 => {
                    let again = text.0[at..end].to_vec();
                    text.0.splice(at..at, again);
                }
                6 if at < text.0.len() => text.0[at] = random.number() as u8,
                _ if at < text.0.len() => text.0[at] ^= 1 << random.below(8),
                _ => {}
            }
        }
        if random.below(16) == 0 {
            let len = random.below(text.0.len());
            text.0.truncate(len);
        }
        text.0
    }
}

/// What was found of a run.
#[derive(Debug, Default)]
pub struct Tally {
    pub count: u64,
    pub refused: u64,
    /// And the number of the input that took it.
    pub slowest: (Duration, u64),
    pub largest: (usize, u64),
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Digests inputs, `usual` many unless `HEADWATER_MUTATIONS` says otherwise, from number `HEADWATER_MUTATION_SEED` on. `make`: the
/// files of an input by its number; `digest`: Err for those that are refused, and how many bytes of memory are not its own.
///
/// Panics where an input panics or passes a bound; it is then in a folder of the temporary directory, which is named.
pub fn run(
    test: &str,
    usual: u64,
    make: impl Fn(u64) -> Vec<(String, Vec<u8>)>,
    digest: impl Fn(u64, &[(String, Vec<u8>)]) -> (Result<(), String>, usize),
) -> Tally {
    let count = setting("HEADWATER_MUTATIONS").unwrap_or(usual);
    let first = setting("HEADWATER_MUTATION_SEED").unwrap_or(0);
    let mut tally = Tally {
        count,
        ..Tally::default()
    };
    for nth in first..first + count {
        let files = make(nth);
        let len: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let before = HELD.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let started = cpu::time();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| digest(nth, &files)));
        let took = cpu::time().saturating_sub(started);
        let Ok((result, others)) = result else {
            panic!("{test}: input {nth} panics; {}", kept(test, nth, &files));
        };
        let bytes = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let bytes = bytes.saturating_sub(others);
        tally.refused += u64::from(result.is_err());
        tally.slowest = tally.slowest.max((took, nth));
        tally.largest = tally.largest.max((bytes, nth));
        let most = (64 << 20).max(8 * len);
        if bytes > most {
            let kept = kept(test, nth, &files);
            panic!("{test}: input {nth} takes {bytes} bytes of {most}; {kept}");
        }
        // Without optimisation everything takes some ten times as long.
        let patience = if cfg!(debug_assertions) { 10 } else { 1 };
        if took > Duration::from_secs(patience) {
            panic!(
                "{test}: input {nth} takes {took:?}; {}",
                kept(test, nth, &files)
            );
        }
    }
    println!("{test}: {tally:?}");
    tally
}

/// Puts an input where somebody can look at it.
fn kept(test: &str, nth: u64, files: &[(String, Vec<u8>)]) -> String {
    let folder: PathBuf = std::env::temp_dir().join(format!("headwater-mutations/{test}-{nth}"));
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    format!(
        "it is in {}, HEADWATER_MUTATION_SEED={nth} makes it again",
        folder.display()
    )
}
