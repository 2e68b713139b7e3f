//! Messages for players in imported media (`emsg`): they are not carried, and operators are told.

use crate::archives::{Flavour, archive};
use crate::common::*;
use futures::executor::block_on;
use headwater_live::cue::{ID3_SCHEME, event_message};
use headwater_origin::{Report, report};
use std::ops::Range;

fn message(id: u32) -> Vec<u8> {
    event_message(ID3_SCHEME, "", (90_000, None), id, b"ID3\x04\0\0\0\0\0\0")
}

/// Places and names of boxes that follow each other.
fn boxes(file: &[u8]) -> Vec<(Range<usize>, &[u8])> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
        let end = at + size as usize;
        found.push((at..end, &file[at + 4..at + 8]));
        at = end;
    }
    found
}

/// The file with a message in front of every fragment, and how many those are.
fn told(file: &[u8]) -> (Vec<u8>, u32) {
    let (mut out, mut count) = (Vec::new(), 0);
    for (place, name) in boxes(file) {
        if name == b"moof" {
            count += 1;
            out.extend(message(count));
        }
        out.extend_from_slice(&file[place]);
    }
    (out, count)
}

fn said(storage: &Memory, name: &str) -> Report {
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    block_on(report(storage, (&(), "memory"), name, now, |_| {})).unwrap()
}

fn warning(file: &str, count: u32) -> String {
    format!(
        "{file}: its messages for players ({count} emsg boxes, such as timed ID3) are not carried"
    )
}

#[test]
fn messages_of_a_fragmented_file_are_told_to_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let args = "-f lavfi -i testsrc2=duration=6:size=128x72:rate=25 -f lavfi -i sine=duration=6 -c:v libx264 -preset ultrafast \
        -g 50 -pix_fmt yuv420p -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof film.mp4";
    ffmpeg(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    let file = std::fs::read(folder.path().join("film.mp4")).unwrap();
    let storage = Memory::default();
    storage.write("plain.mp4", file.clone());
    let plain = said(&storage, "plain");
    assert_eq!(plain.warnings, Vec::<String>::new());

    let (file, count) = told(&file);
    assert!(count >= 3, "{count}");
    storage.write("film.mp4", file);
    // As much when the index is made as when it is there.
    for _ in 0..2 {
        let found = said(&storage, "film");
        assert_eq!(found.warnings, [warning("film.mp4", count)]);
        assert_eq!((found.tracks.len(), found.left_out.len()), (2, 0));
    }
    let media = |name: &str| parts(&Bench::new(storage.clone()), name);
    assert_eq!(media("film"), media("plain"), "the media is what it was");
}

#[test]
fn messages_of_an_archive_are_told_to_be_left_out() {
    for flavour in [Flavour::Regular, Flavour::LowLatency] {
        let made = archive(flavour);
        assert_eq!(said(&made.storage, "live").warnings, Vec::<String>::new());
        let made = archive(flavour);
        let mut all = 0;
        for start in &made.video {
            let name = format!("live-video/{start}");
            let (fragment, count) = told(&made.storage.get(&name).unwrap());
            made.storage.write(&name, fragment);
            all += count;
        }
        let found = said(&made.storage, "live");
        assert_eq!(found.warnings, [warning("live-video/header", all)]);
        assert_eq!((found.tracks.len(), found.left_out.len()), (2, 0));
    }
}
