//! Broken and hostile files and indexes: errors, in bounded time, and never a panic.

#[path = "mutate/cpu.rs"]
mod cpu;
mod support;

use bytes::Bytes;
use headwater_bmff::{BmffError, MovieReader, Step, parse_movie};
use headwater_cmaf::index::{
    HeadParse, build_from_movie, parse_head, parse_page, record, segment_bytes,
};
use proptest::prelude::*;
use support::*;

/// Numbers without a pattern, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// Where `moov` and everything else but `mdat` is: what a parser reads.
fn structure(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at + 8 <= file.len() {
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let size = if size < 8 { file.len() - at } else { size };
        if &file[at + 4..at + 8] != b"mdat" {
            ranges.push(at..(at + size).min(file.len()));
        }
        at += size;
    }
    ranges
}

fn fragmented() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fragmented.mp4");
    let input = [
        "-i",
        text(&media("bigbuckbunny.mp4")).to_owned().leak(),
        "-c",
        "copy",
    ];
    let flags = [
        "-movflags",
        "frag_keyframe+empty_moov+default_base_moof",
        "-frag_duration",
        "500000",
    ];
    ffmpeg(&[&input[..], &flags, &[text(&path)]].concat());
    std::fs::read(path).unwrap()
}

/// Everything a server would do with an uploaded file.
fn digest(file: &[u8]) -> Result<(), String> {
    let (movie, fed) = pull(file).map_err(|error| error.to_string())?;
    assert!(fed <= 3 * file.len() as u64 + (1 << 20));
    let index = build_from_movie(&movie, &source(file)).map_err(|error| error.to_string())?;
    let head = head(&index);
    for track in &head.tracks {
        for entry in entries(&index, &head, track) {
            let plan = segment_bytes(&head, track, &entry, part(&index, entry.record.clone()));
            for range in plan.map_err(|error| error.to_string())?.ranges {
                assert!(range.end <= file.len() as u64);
            }
        }
    }
    Ok(())
}

#[test]
fn two_thousand_mutations_are_digested_or_refused() {
    let files = [
        std::fs::read(media("bigbuckbunny.mp4")).unwrap(),
        std::fs::read(media("azure-bumper.mp4")).unwrap(),
        std::fs::read(media("car-detection.mp4")).unwrap(),
        fragmented(),
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let started = cpu::time();
    let (mut refused, mut longest) = (0, 0);
    for round in 0..2000 {
        let mut file = files[round % files.len()].clone();
        let ranges = structure(&file);
        for _ in 0..=random.next(4) {
            let range = &ranges[random.next(ranges.len())];
            let at = range.start + random.next(range.len());
            match random.next(4) {
                0 => file[at] ^= 1 << random.next(8),
                1 => file[at] = 0xff,
                2 => {
                    let end = (at + 4).min(range.end);
                    file[at..end].fill([0x00, 0x7f, 0x80, 0xff][random.next(4)]);
                }
                _ => {
                    let from = range.start + random.next(range.len());
                    file[at] = file[from];
                }
            }
        }
        if random.next(20) == 0 {
            file.truncate(random.next(file.len()));
        }
        let before = cpu::time();
        refused += usize::from(digest(&file).is_err());
        longest = longest.max(cpu::time().saturating_sub(before).as_millis());
    }
    println!("{refused} of 2000 refused, the longest took {longest} ms");
    assert!(refused > 200, "mutations hit what matters: {refused}");
    assert!(longest < 5_000, "one file took {longest} ms");
    assert!(cpu::time().saturating_sub(started).as_secs() < 300);
}

fn refuse(file: &[u8]) -> BmffError {
    parse_movie(Bytes::copy_from_slice(file)).unwrap_err()
}

#[test]
fn what_is_no_movie_is_said_to_be_none() {
    let texts = [
        (&b""[..], "not an MP4 or QuickTime file: the file is empty"),
        (b"abc", "not an MP4 or QuickTime file: 3 bytes are too few"),
        (
            b"#EXTM3U\n#EXT-X-VERSION:7\n",
            "not an MP4 or QuickTime file: it begins with 'M3U\\x0a' where a box type belongs",
        ),
        (
            b"\0\0\0\x08mdat",
            "the file has no moov box, so nothing describes its tracks (an upload or recording that was cut off?)",
        ),
        (
            b"\0\0\0\x01mdat\x80\0\0\0\0\0\0\0",
            "mdat at byte 0 needs 9223372036854775808 bytes, but the file ends after 16",
        ),
        (b"\0\0\0\x07moov", "moov at byte 0: a size of 7 bytes"),
    ];
    for (file, expected) in texts {
        assert_eq!(refuse(file).to_string(), expected);
    }
    let webm = std::fs::read(media("echo-hereweare.webm")).unwrap();
    assert!(matches!(refuse(&webm), BmffError::NotIsoMedia { .. }));
    let playlist = std::fs::read(media("sample.vtt")).unwrap();
    assert!(matches!(refuse(&playlist), BmffError::NotIsoMedia { .. }));
}

#[test]
fn a_huge_moov_is_refused_before_it_is_asked_for() {
    let mut reader = MovieReader::new(1 << 40);
    let Ok(Step::Need { offset: 0, len }) = reader.step() else {
        panic!("the head of the file is wanted first");
    };
    let mut front = b"\0\0\0\x01moov\0\0\0\x10\0\0\0\0".to_vec();
    front.resize(len as usize, 0);
    reader.feed(0, front.into()).unwrap();
    let error = reader.step().unwrap_err().to_string();
    assert_eq!(
        error,
        "moov at byte 0 has 68719476736 bytes; at most 67108864 are accepted"
    );
}

/// Finds box `name` and replaces the four bytes `at` bytes into its payload.
fn patched(file: &[u8], name: &[u8; 4], at: usize, value: u32) -> Vec<u8> {
    let moov = file.windows(4).position(|four| four == b"moov").unwrap();
    let found = file[moov..].windows(4).position(|four| four == name);
    let start = moov + found.unwrap() + 4 + at;
    let mut file = file.to_vec();
    file[start..start + 4].copy_from_slice(&value.to_be_bytes());
    file
}

#[test]
fn zero_timescales_and_absurd_counts_name_their_box() {
    let file = std::fs::read(media("bigbuckbunny.mp4")).unwrap();
    let error = |file: &[u8]| refuse(file).to_string();
    let zero = error(&patched(&file, b"mdhd", 12, 0));
    assert!(
        zero.starts_with("moov/trak[1]/mdia/mdhd at byte "),
        "{zero}"
    );
    assert!(zero.ends_with("a timescale of zero"), "{zero}");
    let zero = error(&patched(&file, b"mvhd", 12, 0));
    assert!(zero.starts_with("moov/mvhd at byte "), "{zero}");
    for (table, at) in [
        (b"stsz", 8),
        (b"stts", 4),
        (b"stsc", 4),
        (b"stco", 4),
        (b"stsd", 4),
    ] {
        let absurd = error(&patched(&file, table, at, u32::MAX));
        assert!(absurd.contains("a table of 4294967295 entries"), "{absurd}");
    }
    // Four billion samples of one byte: legal to say in eight bytes, but the other tables do not bear it out.
    let many = patched(&patched(&file, b"stsz", 8, u32::MAX), b"stsz", 4, 1);
    let error = error(&many);
    assert!(error.contains("of 4294967295 samples"), "{error}");
}

/// A file of one audio track that states `count` frames of one byte and `duration` ticks, all in one chunk: a few bytes
/// of tables, however many there are.
fn claiming(file: &[u8], count: u32, duration: u32) -> Vec<u8> {
    let fields = [
        (b"stsz", 4, 1),
        (b"stsz", 8, count),
        (b"stts", 8, count),
        (b"stts", 12, duration),
        (b"stsc", 8, 1),
        (b"stsc", 12, count),
    ];
    let mut file = fields
        .iter()
        .fold(file.to_vec(), |file, (name, at, value)| {
            patched(&file, name, *at, *value)
        });
    if let Some(edits) = file.windows(4).position(|four| four == b"edts") {
        file[edits..edits + 4].copy_from_slice(b"free");
    }
    file.resize(file.len() + count as usize, 0);
    file
}

#[test]
fn samples_that_cost_nothing_to_state_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.m4a");
    let bumper = media("azure-bumper.mp4");
    ffmpeg(&["-i", text(&bumper), "-vn", "-c", "copy", text(&path)]);
    let file = std::fs::read(&path).unwrap();
    let index = |count: u32, duration: u32| {
        let file = claiming(&file, count, duration);
        let movie = parse_movie(file.clone().into()).map_err(|error| error.to_string())?;
        build_from_movie(&movie, &source(&file)).map_err(|error| error.to_string())
    };
    assert!(index(200_000, 1024).is_ok(), "an hour of sound");
    let error = index((1 << 24) + 1, 1024).unwrap_err();
    let expected = "more samples than the 16777216 that are accepted";
    assert!(error.ends_with(expected), "{error}");
    // Every frame a segment, and all of them in one.
    let error = index(200_000, 96_000).unwrap_err();
    assert_eq!(error, "track 1: the number of segments is too large");
    let error = index(200_000, 0).unwrap_err();
    let expected = "track 1: the number of samples in a segment is too large";
    assert_eq!(error, expected);
}

#[test]
fn every_truncation_is_an_error_in_time() {
    let file = std::fs::read(media("bigbuckbunny.mp4")).unwrap();
    for length in (0..file.len()).step_by(997) {
        assert!(digest(&file[..length]).is_err(), "{length} bytes");
    }
    let Err(error) = digest(&file[..file.len() - 1]) else {
        panic!("one byte less is noticed");
    };
    println!("{error}");
}

#[test]
fn feeding_the_wrong_bytes_is_an_error() {
    let mut reader = MovieReader::new(1000);
    assert_eq!(
        reader.step(),
        Ok(Step::Need {
            offset: 0,
            len: 1000
        })
    );
    assert!(matches!(
        reader.feed(1, Bytes::from(vec![0; 999])),
        Err(BmffError::WrongFeed { .. })
    ));
}

fn small_index() -> (Vec<u8>, Vec<u8>) {
    let file = std::fs::read(media("azure-bumper.mp4")).unwrap();
    let index = build_from_movie(&movie(&file), &source(&file)).unwrap();
    (file, index)
}

#[test]
fn a_damaged_index_is_noticed() {
    let (_, index) = small_index();
    let head = head(&index);
    let track = &head.tracks[0];
    let range = track.page_range(0).unwrap();
    let mut page = part(&index, range).to_vec();
    let entry = &parse_page(&head, track, 0, &page).unwrap()[0];
    page[3] ^= 1;
    assert!(parse_page(&head, track, 0, &page).is_err());
    let mut bytes = part(&index, entry.record.clone()).to_vec();
    assert!(record::decode(&head, entry, &bytes).is_ok());
    bytes[5] ^= 1;
    assert!(segment_bytes(&head, track, entry, &bytes).is_err());
    let mut other = index.clone();
    other[8] = 99;
    assert_eq!(
        parse_head(&other).unwrap_err().to_string(),
        "packaging index of format version 99"
    );
    assert!(parse_head(b"<?xml version").is_err());
    assert_eq!(parse_head(b""), Ok(HeadParse::NeedMore(32)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Even behind good checksums, which only an honest builder writes, no field may bring the reader down.
    #[test]
    fn heads_with_any_fields_never_panic(at: prop::sample::Index, value: u8, length: prop::sample::Index) {
        let (_, mut index) = small_index();
        let stated = u32::from_le_bytes(index[12..16].try_into().unwrap()) as usize;
        let at = 16 + at.index(stated - 20);
        index[at] = value;
        let crc = crc32fast::hash(&index[..stated - 4]);
        index[stated - 4..stated].copy_from_slice(&crc.to_le_bytes());
        if let Ok(HeadParse::Complete(head)) = parse_head(&index) {
            for track in &head.tracks {
                let _ = track.page_of_time(u64::MAX);
                for page in 0..track.page_count().min(4) {
                    if let Some(bytes) = track.page_range(page).and_then(|range| {
                        index.get(range.start as usize..range.end as usize)
                    }) {
                        let _ = parse_page(&head, track, page, bytes);
                    }
                }
            }
        }
        let _ = parse_head(&index[..length.index(index.len())]);
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), name in 0usize..3) {
        let mut file = bytes;
        if file.len() >= 8 {
            file[4..8].copy_from_slice([b"moov", b"ftyp", b"moof"][name]);
            let len = file.len() as u32;
            file[..4].copy_from_slice(&len.to_be_bytes());
        }
        let _ = parse_movie(Bytes::from(file));
    }
}
