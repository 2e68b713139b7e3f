//! A recording as it is in storage.
//!
//! ```text
//! {folder}/header, {folder}/header-1, ...   CMAF headers, one for each configuration
//! {folder}/{start}                          one segment: {moof mdat}+; decimal start in the track's timescale
//! {manifest}.live/head                      what there is: tracks, pages, the newest rows
//! {manifest}.live/{number}                  a page: PAGE_ROWS rows from that number on, written once
//! {manifest}.ism                            server manifest, for whoever reads AMS archives
//! ```
//!
//! Folders and segment names are those of AMS's live archives (streaming reference, 3.3, flavour b), with `tfdt` in
//! every chunk. A head has the rows of the page that is not full yet; so a segment is found with two reads at most, the head
//! and one page, however long the recording is. Heads are replaced, pages and segments never. At the end of the event the
//! head says so, and the recording is a film where it is: no media is touched.

use std::collections::VecDeque;

use crate::LiveError;
use crate::group::RowsPerSegment;
use crate::timeline::{
    Change, Row, TIMELINE_VERSION, Timeline, Track, read_row, read_timeline, write_row,
    write_timeline,
};
use crate::wire::{Reader, Writer, frame, open};

/// Rows of a page.
pub const PAGE_ROWS: usize = 64;

const HEAD: [u8; 4] = *b"HWLH";
const PAGE: [u8; 4] = *b"HWLP";
const HEAD_VERSION: u16 = TIMELINE_VERSION;
const PAGE_VERSION: u16 = 1;

/// A track's folder.
#[must_use]
pub fn folder(track: &Track) -> String {
    format!("{}_{}", track.name, track.bitrate)
}

/// The header of configuration `config`.
#[must_use]
pub fn header_name(track: &Track, config: u16) -> String {
    match config {
        0 => format!("{}/header", folder(track)),
        later => format!("{}/header-{later}", folder(track)),
    }
}

/// A segment.
#[must_use]
pub fn segment_name(track: &Track, start: u64) -> String {
    format!("{}/{start}", folder(track))
}

/// The head of a recording.
#[must_use]
pub fn head_name(manifest: &str) -> String {
    format!("{manifest}.live/head")
}

/// The page that begins with row `first`.
#[must_use]
pub fn page_name(manifest: &str, first: u64) -> String {
    format!("{manifest}.live/{first}")
}

/// What a head says of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRef {
    /// Number of its first row.
    pub first: u64,
    /// Start of that row on the event's clock.
    pub start: i64,
}

/// A recording, as its head has it: full pages by reference, the rows since in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    /// Oldest first, each of [`PAGE_ROWS`] rows.
    pub pages: Vec<PageRef>,
    /// Tracks, and the rows that are in no page.
    pub open: Timeline,
    /// Rows before it are gone, even if a page still has them. `None` if nothing is gone.
    pub first: Option<u64>,
    /// What segments of transport streams hold, for the life of the recording.
    pub rows_per_segment: RowsPerSegment,
}

/// Something to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Recording {
    /// Takes a complete step over. What is not for storage (growing segments) is left out.
    ///
    /// Errors: as [`Timeline::apply`].
    pub fn apply(&mut self, change: &Change) -> Result<(), LiveError> {
        match change {
            Change::Open { .. } | Change::Part { .. } | Change::Close { .. } => Ok(()),
            other => self.open.apply(other),
        }
    }

    /// Takes the oldest rows out as a page if there are more than enough. `settled`: rows from that number on may still get
    /// segments, and stay.
    pub fn seal(&mut self, manifest: &str, settled: u64) -> Option<Object> {
        let last = self.open.rows.get(PAGE_ROWS.saturating_sub(1))?;
        if last.number >= settled {
            return None;
        }
        let keep = self.open.rows.split_off(PAGE_ROWS);
        let rows = std::mem::replace(&mut self.open.rows, keep);
        let first = rows.front()?;
        let page = PageRef {
            first: first.number,
            start: first.start,
        };
        self.pages.push(page);
        let gone = &mut self.open.gone;
        rows.iter().for_each(|row| gone.take(row));
        let mut w = Writer::default();
        w.count(rows.len());
        for row in &rows {
            write_row(&mut w, row);
        }
        Some(Object {
            name: page_name(manifest, page.first),
            bytes: frame(PAGE, PAGE_VERSION, &w.0),
        })
    }

    /// The head as it is now.
    #[must_use]
    pub fn head(&self, manifest: &str) -> Object {
        let mut w = Writer::default();
        w.u64(self.first.unwrap_or(u64::MAX));
        w.u8(self.rows_per_segment.get());
        w.count(self.pages.len());
        for page in &self.pages {
            w.u64(page.first);
            w.i64(page.start);
        }
        write_timeline(&mut w, &self.open);
        Object {
            name: head_name(manifest),
            bytes: frame(HEAD, HEAD_VERSION, &w.0),
        }
    }

    /// Reads a head. One of version 1 has a row to a segment, and says of each page how many discontinuities it has, which its
    /// rows say as well.
    ///
    /// Errors: `Damaged`, `Version`.
    pub fn parse(head: &[u8]) -> Result<Self, LiveError> {
        let opened = open("a head", HEAD, HEAD_VERSION, head)?;
        let mut r = Reader::new("a head", opened.payload);
        let first = Some(r.u64()?).filter(|number| *number != u64::MAX);
        let rows_per_segment = match opened.version {
            1 => RowsPerSegment::ONE,
            _ => RowsPerSegment::new(r.u8()?.into())
                .ok_or_else(|| r.damaged("a count of rows that no segment has"))?,
        };
        let mut pages = Vec::new();
        for _ in 0..r.count()? {
            pages.push(PageRef {
                first: r.u64()?,
                start: r.i64()?,
            });
            if opened.version == 1 {
                r.u16()?;
            }
        }
        let open = read_timeline(&mut r, opened.version)?;
        r.finish()?;
        Ok(Self {
            pages,
            open,
            first,
            rows_per_segment,
        })
    }

    /// The page that has the row which plays at `clock`; `None` if it is among the open rows, or before everything.
    #[must_use]
    pub fn page_at(&self, clock: i64) -> Option<PageRef> {
        if self.open.rows.front().is_some_and(|row| row.start <= clock) {
            return None;
        }
        let after = self.pages.partition_point(|page| page.start <= clock);
        self.pages.get(after.checked_sub(1)?).copied()
    }

    /// The page that has the row of that number; `None` if it is among the open rows, or before everything.
    #[must_use]
    pub fn page_of(&self, number: u64) -> Option<PageRef> {
        let open = self.open.rows.front();
        if open.is_some_and(|row| row.number <= number) {
            return None;
        }
        let after = self.pages.partition_point(|page| page.first <= number);
        self.pages.get(after.checked_sub(1)?).copied()
    }

    /// Number of the first row that may be played.
    #[must_use]
    pub fn first_row(&self) -> Option<u64> {
        let oldest = self.pages.first().map(|page| page.first);
        let oldest = oldest.or_else(|| self.open.rows.front().map(|row| row.number));
        self.first.max(oldest)
    }

    /// The first row to keep so that whatever plays at `clock` can be played: the one that a page begins with, or, where a
    /// segment of a transport stream is on that page and the one before, the one that the segment begins with. `None` if
    /// nothing is to go.
    #[must_use]
    pub fn needed_from(&self, clock: i64) -> Option<u64> {
        let first = self.rows_per_segment.stretch(self.page_at(clock)?.first);
        (self.first_row()? < first).then_some(first)
    }

    /// Takes away what is before row `first`. Gives the pages that have no row left: they and their segments are to be
    /// deleted, the segments before the pages.
    pub fn trim(&mut self, first: u64) -> Vec<PageRef> {
        self.first = self.first.max(Some(first));
        let rows = u64::try_from(PAGE_ROWS).unwrap_or(u64::MAX);
        let gone = self
            .pages
            .iter()
            .take_while(|page| page.first.saturating_add(rows) <= first)
            .count();
        let gone = self.pages.drain(..gone).collect();
        let front = self.pages.first().map(|page| page.start);
        if let Some(front) = front.or_else(|| self.open.rows.front().map(|row| row.start)) {
            self.open.cues.retain(|cue| cue.end() >= front);
        }
        gone
    }
}

/// The rows of a page, in order. Errors: `Damaged`, `Version`.
pub fn parse_page(page: &[u8]) -> Result<VecDeque<Row>, LiveError> {
    let payload = open("a page", PAGE, PAGE_VERSION, page)?.payload;
    let mut r = Reader::new("a page", payload);
    let mut rows = VecDeque::new();
    for _ in 0..r.count()? {
        rows.push_back(read_row(&mut r)?);
    }
    r.finish()?;
    Ok(rows)
}
