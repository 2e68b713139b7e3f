//! A worker's memory of an event on its own disk: a snapshot of the timeline, then the changes since.
//!
//! ```text
//! frame "HWLJ" { timeline } | frame "HWLC" { change } | frame "HWLC" { change } | ...
//! ```
//!
//! A row is kept before anybody hears of it, so that its number is not given twice. What grows is kept part by part: whoever
//! finds its media goes on behind it ([`Timeline::close_what_grew`]). A process that is killed while it appends leaves a torn
//! last frame: [`read`] says where the good bytes end.

use crate::LiveError;
use crate::timeline::{
    Change, TIMELINE_VERSION, Timeline, read_change, read_timeline, write_change, write_timeline,
};
use crate::wire::{Reader, Writer, frame, open};

const SNAPSHOT: [u8; 4] = *b"HWLJ";
const CHANGE: [u8; 4] = *b"HWLC";
const VERSION: u16 = TIMELINE_VERSION;
const CHANGE_VERSION: u16 = 1;

/// The first bytes of a journal: a snapshot of what is complete, and how what grows has come to be.
#[must_use]
pub fn snapshot(timeline: &Timeline) -> Vec<u8> {
    let mut complete = timeline.clone();
    complete.drop_incomplete();
    let mut w = Writer::default();
    write_timeline(&mut w, &complete);
    let mut bytes = frame(SNAPSHOT, VERSION, &w.0);
    for change in timeline.what_grows() {
        bytes.extend(appended(&change));
    }
    bytes
}

/// What is appended for `change`; `None` if a journal does not keep it: a segment that is complete is told of as a whole.
#[must_use]
pub fn record(change: &Change) -> Option<Vec<u8>> {
    (!matches!(change, Change::Close { .. })).then(|| appended(change))
}

fn appended(change: &Change) -> Vec<u8> {
    let mut w = Writer::default();
    write_change(&mut w, change);
    frame(CHANGE, CHANGE_VERSION, &w.0)
}

/// What a journal held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub timeline: Timeline,
    /// Bytes up to here are good. Appending goes on here.
    pub good: usize,
}

/// Reads a journal, up to its end or to the first frame that is torn.
///
/// Errors: `Damaged` or `Version` if there is no snapshot in front.
pub fn read(bytes: &[u8]) -> Result<Read, LiveError> {
    let snapshot = open("a journal", SNAPSHOT, VERSION, bytes)?;
    let mut r = Reader::new("a journal", snapshot.payload);
    let mut timeline = read_timeline(&mut r, snapshot.version)?;
    r.finish()?;
    let mut rest = snapshot.rest;
    while let Ok(record) = open("a journal", CHANGE, CHANGE_VERSION, rest) {
        let mut r = Reader::new("a journal", record.payload);
        let change = read_change(&mut r);
        let Ok(()) = change.and_then(|change| timeline.apply(&change)) else {
            break;
        };
        rest = record.rest;
    }
    Ok(Read {
        timeline,
        good: bytes.len().saturating_sub(rest.len()),
    })
}
