//! A reader of fragmented files with one track, for tests: ISO/IEC 14496-12 as it is written there, `tfxd` of [MS-SSTR], and
//! what fragments say of their encryption (ISO/IEC 23001-7 §7, PIFF 1.1 §5.3.2). It shares no code with what it reads the work of.

use md5::{Digest, Md5};
use std::ops::Range;

/// A sample, ticks of its track.
pub(crate) struct Sample {
    /// Decode time, and that of the one behind it.
    pub(crate) decoded: i64,
    pub(crate) decoded_until: i64,
    /// Presentation time.
    pub(crate) shown: i64,
    /// Of its bytes, in hexadecimal digits.
    pub(crate) md5: String,
    /// Where they are, from the start of the fragment.
    pub(crate) place: Range<usize>,
    /// It is the first of a fragment that states this time.
    pub(crate) begins: Option<u64>,
}

type Boxed<'a> = ([u8; 4], &'a [u8]);

/// Names and contents of boxes that follow each other.
pub(crate) fn children(mut bytes: &[u8]) -> Vec<Boxed<'_>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (head, len) = match word(bytes, 0) {
            1 => (16, long(bytes, 8) as usize),
            0 => (8, bytes.len()),
            len => (8, len as usize),
        };
        found.push((bytes[4..8].try_into().unwrap(), &bytes[head..len]));
        bytes = &bytes[len..];
    }
    found
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The contents of the box at the end of a path of names.
fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    let Some((name, rest)) = path.split_first() else {
        return Some(bytes);
    };
    let (_, content) = children(bytes).into_iter().find(|(own, _)| own == *name)?;
    find(content, rest)
}

/// A time at `at` of a full box, of 64 bits in version 1 and of 32 in version 0.
fn time(full: &[u8], at: usize) -> u64 {
    match full[0] {
        0 => word(full, at).into(),
        _ => long(full, at),
    }
}

/// Ticks that are added to composition times by the edit list: at most a delay and one stretch of media.
fn edits(init: &[u8], scale: u32) -> i64 {
    let Some(list) = find(init, &[b"moov", b"trak", b"edts", b"elst"]) else {
        return 0;
    };
    let movie = find(init, &[b"moov", b"mvhd"]).unwrap();
    let movie_scale = i64::from(word(movie, if movie[0] == 0 { 12 } else { 20 }));
    let width = if list[0] == 0 { 4 } else { 8 };
    let mut shift = 0;
    for at in 0..word(list, 4) as usize {
        let at = 8 + at * (2 * width + 4);
        let lasts = time(&list[..at + width], at) as i64;
        let media = match width {
            4 => i64::from(word(list, at + 4) as i32),
            _ => long(list, at + 8) as i64,
        };
        match media {
            -1 => shift += lasts * i64::from(scale) / movie_scale,
            from => return shift - from,
        }
    }
    shift
}

const TFXD: [u8; 16] = [
    0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2,
];

/// The track's timescale, and its samples in the order of the file.
pub(crate) fn read(file: &[u8]) -> (u32, Vec<Sample>) {
    let header = find(file, &[b"moov", b"trak", b"mdia", b"mdhd"]).unwrap();
    let scale = word(header, if header[0] == 0 { 12 } else { 20 });
    let shift = edits(file, scale);
    // Duration and size of samples of which none is stated.
    let defaults = find(file, &[b"moov", b"mvex", b"trex"])
        .map_or([0, 0], |trex| [word(trex, 12), word(trex, 16)]);
    let mut samples = Vec::new();
    let mut at = 0;
    for (name, content) in children(file) {
        if &name == b"moof" {
            fragment(&file[at..], content, (defaults, shift), &mut samples);
        }
        // A head has eight bytes: nothing in here has 4 GiB.
        at += content.len() + 8;
    }
    (scale, samples)
}

/// The samples of a fragment without a movie header: one of Smooth Streaming, which states everything.
pub(crate) fn alone(bytes: &[u8]) -> Vec<Sample> {
    let mut samples = Vec::new();
    let moof = find(bytes, &[b"moof"]).unwrap();
    fragment(bytes, moof, ([0, 0], 0), &mut samples);
    samples
}

/// How a sample is encrypted in counter mode: its vector of eight bytes; clear and protected bytes in turn, or all protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encrypted {
    pub(crate) vector: [u8; 8],
    pub(crate) parts: Vec<(usize, usize)>,
}

/// What a fragment says of the encryption of each of its samples, in `senc` or PIFF's box. What finds its way by `saio` and
/// `saiz` has to come to the same.
pub(crate) fn encryption(fragment: &[u8]) -> Vec<Encrypted> {
    let traf = find(fragment, &[b"moof", b"traf"]).unwrap();
    let boxes = children(traf);
    let own = |name: &[u8; 4]| {
        let found = boxes.iter().find(|(other, _)| other == name);
        found.map(|(_, content)| *content)
    };
    let piff = boxes.iter().find_map(|(name, content)| {
        let content = content.strip_prefix(&PIFF)?;
        (name == b"uuid").then_some(content)
    });
    let said = own(b"senc").or(piff).unwrap();
    let count = word(said, 4) as usize;
    let mut at = 8;
    let mut found = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..count {
        let begin = at;
        let vector = said[at..at + 8].try_into().unwrap();
        at += 8;
        let mut parts = Vec::new();
        if word(said, 0) & 2 != 0 {
            let short = |at: usize| usize::from(u16::from_be_bytes([said[at], said[at + 1]]));
            let subsamples = short(at);
            at += 2;
            for _ in 0..subsamples {
                parts.push((short(at), word(said, at + 2) as usize));
                at += 6;
            }
        }
        sizes.push(at - begin);
        found.push(Encrypted { vector, parts });
    }
    assert_eq!(at, said.len(), "nothing follows");
    if let Some(saiz) = own(b"saiz") {
        assert_eq!(word(saiz, 5) as usize, count);
        let each = (0..count).map(|at| match saiz[4] {
            0 => usize::from(saiz[9 + at]),
            same => usize::from(same),
        });
        assert!(each.eq(sizes));
        let saio = own(b"saio").unwrap();
        assert_eq!(word(saio, 4), 1);
        let first = word(saio, 8) as usize;
        assert!(fragment[first..].starts_with(&said[8..]));
    }
    found
}

const PIFF: [u8; 16] = [
    0xa2, 0x39, 0x4f, 0x52, 0x5a, 0x9b, 0x4f, 0x14, 0xa2, 0x44, 0x6c, 0x42, 0x7c, 0x64, 0x8d, 0xf4,
];

/// `from`: the file from the fragment on.
fn fragment(from: &[u8], moof: &[u8], (defaults, shift): ([u32; 2], i64), out: &mut Vec<Sample>) {
    let traf = find(moof, &[b"traf"]).unwrap();
    let boxes = children(traf);
    let own = |name: &[u8; 4]| {
        let found = boxes.iter().find(|(other, _)| other == name);
        found.map(|(_, content)| *content)
    };
    let mut defaults = defaults;
    let tfhd = own(b"tfhd").unwrap();
    let flags = word(tfhd, 0);
    assert_eq!(flags & 1, 0, "places count from the fragment");
    let mut at = 8 + if flags & 2 != 0 { 4 } else { 0 };
    for (bit, value) in [8, 16].iter().zip(&mut defaults) {
        if flags & bit != 0 {
            *value = word(tfhd, at);
            at += 4;
        }
    }
    let stated = match own(b"tfdt") {
        Some(tfdt) => time(tfdt, 4),
        None => {
            let mut extended = boxes.iter().filter(|(name, _)| name == b"uuid");
            let (_, content) = extended.find(|(_, b)| b[..16] == TFXD).unwrap();
            time(&content[16..], 4)
        }
    };
    let mut decoded = stated as i64;
    let mut begins = Some(stated);
    for (_, run) in boxes.iter().filter(|(name, _)| name == b"trun") {
        let flags = word(run, 0);
        assert_ne!(flags & 1, 0, "a run says where it is");
        let mut place = word(run, 8) as usize;
        let mut at = 12 + if flags & 4 != 0 { 4 } else { 0 };
        let mut field = |bit: u32| {
            (flags & bit != 0).then(|| {
                at += 4;
                word(run, at - 4)
            })
        };
        for _ in 0..word(run, 4) {
            let duration = field(0x100).unwrap_or(defaults[0]);
            let size = field(0x200).unwrap_or(defaults[1]) as usize;
            field(0x400);
            let offset = match (field(0x800), run[0]) {
                (None, _) => 0,
                (Some(offset), 0) => i64::from(offset),
                (Some(offset), _) => i64::from(offset as i32),
            };
            let until = decoded + i64::from(duration);
            let digest = Md5::digest(&from[place..place + size]);
            out.push(Sample {
                decoded,
                decoded_until: until,
                shown: decoded + offset + shift,
                place: place..place + size,
                md5: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
                begins: begins.take(),
            });
            (decoded, place) = (until, place + size);
        }
    }
}
