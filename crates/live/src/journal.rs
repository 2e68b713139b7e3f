//! A worker's memory of an event on its own disk: a snapshot of the timeline, then the changes since.
//!
//! ```text
//! frame "HWLJ" { timeline } | frame "HWLC" { change } | frame "HWLC" { change } | ...
//! ```
//!
//! Parts are not among the changes: a segment is kept once it is complete, and so is its media. A row is kept before
//! anybody hears of it, so that its number is not given twice. A process that is killed while it appends leaves a torn last
//! frame: [`read`] says where the good bytes end.

use crate::LiveError;
use crate::timeline::{
    Change, TIMELINE_VERSION, Timeline, read_change, read_timeline, write_change, write_timeline,
};
use crate::wire::{Reader, Writer, frame, open};

const SNAPSHOT: [u8; 4] = *b"HWLJ";
const CHANGE: [u8; 4] = *b"HWLC";
const VERSION: u16 = TIMELINE_VERSION;
const CHANGE_VERSION: u16 = 1;

/// The first bytes of a journal.
#[must_use]
pub fn snapshot(timeline: &Timeline) -> Vec<u8> {
    let mut w = Writer::default();
    write_timeline(&mut w, timeline);
    frame(SNAPSHOT, VERSION, &w.0)
}

/// What is appended for `change`; `None` if a journal does not keep it.
#[must_use]
pub fn record(change: &Change) -> Option<Vec<u8>> {
    if matches!(
        change,
        Change::Open { .. } | Change::Part { .. } | Change::Close { .. }
    ) {
        return None;
    }
    let mut w = Writer::default();
    write_change(&mut w, change);
    Some(frame(CHANGE, CHANGE_VERSION, &w.0))
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
