//! The samples of a progressive track, read from its tables side by side through bounded windows.
//!
//! What the tables mean is what [`TableBuilder`](crate::table) makes of them in memory: the sizes decide how many samples
//! there are, surplus elsewhere is ignored and a lack is an error.

use bytes::Bytes;

use super::outline::OutlineTrack;
use super::places::{Rows, TablePlaces};
use super::window::Window;
use crate::table::SyncRuns;
use crate::{BmffError, Sample, TrackKind};

/// What of the samples is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkFields {
    /// Times and sync flags; sizes and places in the file are 0.
    Times,
    /// Everything.
    All,
}

/// What [`TrackWalk`] wants or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkStep {
    /// Feed at least these bytes of the file.
    Need {
        /// First byte.
        offset: u64,
        /// Number of bytes, not 0.
        len: u64,
    },
    /// The next sample in decode order.
    Sample(Sample),
    /// There are no more.
    End,
}

/// Most separate runs of sync samples: every other picture of two hours. Their list need not be sorted, so it is read
/// as a whole.
const MAX_SYNC_RUNS: usize = 1 << 18;

/// Walks the samples of one track from the first to the last.
#[derive(Debug)]
pub struct TrackWalk {
    id: u32,
    fields: WalkFields,
    /// Bytes of the file.
    file_len: u64,
    count: u32,
    next: u32,
    uniform_size: Option<u32>,
    tables: [Table; 6],
    sync_runs: Option<SyncRuns>,
    sync_at: usize,
    dts: u64,
    duration: u32,
    duration_left: u32,
    cto: i32,
    cto_left: u32,
    chunk: u32,
    chunk_left: u32,
    per_chunk: u32,
    /// The next row of `stsc`, read ahead.
    chunk_run: Option<(u32, u32)>,
    chunk_run_last: u32,
    position: u64,
}

const SIZES: usize = 0;
const DURATIONS: usize = 1;
const OFFSETS: usize = 2;
const SYNC: usize = 3;
const CHUNK_RUNS: usize = 4;
const CHUNKS: usize = 5;

/// One table and the window on it.
#[derive(Debug)]
struct Table {
    rows: Rows,
    next: u32,
    window: Window,
    window_bytes: u64,
}

/// A row is not here.
enum Missing {
    /// It has to be read: first byte and number of bytes.
    Bytes(u64, u64),
    /// There is none.
    End,
}

impl Table {
    fn new(rows: &Rows, window_bytes: u64) -> Self {
        Self {
            rows: rows.clone(),
            next: 0,
            window: Window::default(),
            window_bytes,
        }
    }

    fn row<const N: usize>(&mut self) -> Result<[u8; N], Missing> {
        if self.next >= self.rows.count {
            return Err(Missing::End);
        }
        let bits = u64::from(self.next).saturating_mul(u64::from(self.rows.bits));
        let at = self.rows.at.saturating_add(bits / 8);
        if let Some(row) = self.window.array(at) {
            self.next = self.next.saturating_add(1);
            return Ok(row);
        }
        let all = u64::from(self.rows.count).saturating_mul(u64::from(self.rows.bits));
        let end = self.rows.at.saturating_add(all.div_ceil(8));
        let len = end.saturating_sub(at).min(self.window_bytes);
        self.window.want(at, len);
        Err(Missing::Bytes(at, len))
    }

    /// The next row of 4, 8, 16 or 32 bits.
    fn number(&mut self) -> Result<u32, Missing> {
        let odd = self.next & 1 == 1;
        match self.rows.bits {
            4 => {
                let [byte] = self.row()?;
                Ok(u32::from(if odd { byte & 15 } else { byte >> 4 }))
            }
            8 => self.row::<1>().map(|[byte]| u32::from(byte)),
            16 => self.row().map(|bytes| u32::from(u16::from_be_bytes(bytes))),
            _ => self.row().map(u32::from_be_bytes),
        }
    }

    /// The next row of two 32-bit fields.
    fn pair(&mut self) -> Result<(u32, u32), Missing> {
        let [a, b, c, d, e, f, g, h] = self.row()?;
        Ok((
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
        ))
    }

    /// The next row of `stsc`: first chunk, samples per chunk, sample description.
    fn chunk_run(&mut self) -> Result<(u32, u32, u32), Missing> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.row()?;
        Ok((
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
            u32::from_be_bytes([i, j, k, l]),
        ))
    }

    fn malformed(&self, fault: String) -> BmffError {
        BmffError::Malformed {
            path: self.rows.path.clone(),
            offset: self.rows.at,
            fault,
        }
    }
}

/// The value of a row; without it the walk pauses, or goes on with `$end` at the end of the table.
macro_rules! row {
    ($row:expr, $end:expr) => {
        match $row {
            Ok(row) => row,
            Err(Missing::Bytes(offset, len)) => return Ok(Some((offset, len))),
            Err(Missing::End) => $end,
        }
    };
}

impl TrackWalk {
    /// A walk over `track` of a file of `file_len` bytes. At most `window_bytes` of each of six tables are held.
    #[must_use]
    pub fn new(track: &OutlineTrack, file_len: u64, window_bytes: u64, fields: WalkFields) -> Self {
        let places: &TablePlaces = &track.places;
        let every_sample_syncs = track.track.config.kind == TrackKind::Audio;
        let none = Rows::default();
        let sync = places.sync.as_ref().filter(|_| !every_sample_syncs);
        let window_bytes = window_bytes.max(16);
        Self {
            id: track.track.config.id,
            fields,
            file_len,
            count: places.sample_count(),
            next: 0,
            uniform_size: places.uniform_size,
            tables: [
                &places.sizes,
                &places.durations,
                &places.offsets,
                sync.unwrap_or(&none),
                &places.chunk_runs,
                &places.chunks,
            ]
            .map(|rows| Table::new(rows, window_bytes)),
            sync_runs: sync.map(|_| SyncRuns::default()),
            sync_at: 0,
            dts: 0,
            duration: 0,
            duration_left: 0,
            cto: 0,
            cto_left: 0,
            chunk: 0,
            chunk_left: 0,
            per_chunk: 0,
            chunk_run: None,
            chunk_run_last: 0,
            position: 0,
        }
    }

    /// Hands over bytes that cover the last `Need`. Errors: `WrongFeed` if they do not.
    pub fn feed(&mut self, offset: u64, bytes: Bytes) -> Result<(), BmffError> {
        let mut tables = self.tables.iter_mut();
        match tables.find(|table| table.window.is_wanting()) {
            Some(table) => table.window.feed(offset, bytes),
            None => Ok(()),
        }
    }

    /// The next sample, or what is missing for it.
    ///
    /// Errors: `Malformed` for tables that contradict each other, `Truncated` for samples past the end of the file,
    /// `Unsupported` for a second sample description.
    pub fn step(&mut self) -> Result<WalkStep, BmffError> {
        if let Some((offset, len)) = self.load_sync()? {
            return Ok(WalkStep::Need { offset, len });
        }
        if self.next >= self.count {
            return match self.drain_chunk_runs()? {
                Some((offset, len)) => Ok(WalkStep::Need { offset, len }),
                None => Ok(WalkStep::End),
            };
        }
        if let Some((offset, len)) = self.load_times()? {
            return Ok(WalkStep::Need { offset, len });
        }
        let mut size = 0;
        if self.fields == WalkFields::All {
            if let Some((offset, len)) = self.load_chunk()? {
                return Ok(WalkStep::Need { offset, len });
            }
            size = match self.uniform_size {
                Some(size) => size,
                None => match self.table(SIZES).number() {
                    Ok(size) => size,
                    Err(Missing::Bytes(offset, len)) => return Ok(WalkStep::Need { offset, len }),
                    Err(Missing::End) => return Ok(WalkStep::End),
                },
            };
        }
        self.take(size).map(WalkStep::Sample)
    }

    fn table(&mut self, at: usize) -> &mut Table {
        let [sizes, durations, offsets, sync, chunk_runs, chunks] = &mut self.tables;
        match at {
            SIZES => sizes,
            DURATIONS => durations,
            OFFSETS => offsets,
            SYNC => sync,
            CHUNK_RUNS => chunk_runs,
            _ => chunks,
        }
    }

    fn load_sync(&mut self) -> Result<Option<(u64, u64)>, BmffError> {
        let Some(mut runs) = self.sync_runs.take() else {
            return Ok(None);
        };
        let loaded = loop {
            match self.table(SYNC).number() {
                Ok(number) => runs.push(number),
                Err(Missing::Bytes(offset, len)) => break Some((offset, len)),
                Err(Missing::End) => {
                    runs.finish();
                    break None;
                }
            }
            if runs.len() > MAX_SYNC_RUNS {
                let fault = format!("more than {MAX_SYNC_RUNS} separate runs of sync samples");
                return Err(self.table(SYNC).malformed(fault));
            }
        };
        self.sync_runs = Some(runs);
        Ok(loaded)
    }

    fn load_times(&mut self) -> Result<Option<(u64, u64)>, BmffError> {
        while self.duration_left == 0 {
            let lacking = |walk: &mut Self| {
                let fault = format!(
                    "durations are stated for {} of {} samples",
                    walk.next, walk.count
                );
                walk.table(DURATIONS).malformed(fault)
            };
            (self.duration_left, self.duration) =
                row!(self.table(DURATIONS).pair(), return Err(lacking(self)));
        }
        while self.cto_left == 0 {
            let (count, offset) = row!(self.table(OFFSETS).pair(), (u32::MAX, 0));
            self.cto_left = count;
            // Version 0 is unsigned on paper; QuickTime and others write negative offsets into it nonetheless.
            self.cto = i32::from_be_bytes(offset.to_be_bytes());
        }
        Ok(None)
    }

    fn load_chunk(&mut self) -> Result<Option<(u64, u64)>, BmffError> {
        while self.chunk_left == 0 {
            let number = self.chunk.saturating_add(1);
            loop {
                if self.chunk_run.is_none() {
                    let run = row!(self.table(CHUNK_RUNS).chunk_run(), break);
                    self.chunk_run = Some(self.check_chunk_run(run)?);
                }
                match self.chunk_run {
                    Some((first, per_chunk)) if first <= number => {
                        self.per_chunk = per_chunk;
                        self.chunk_run = None;
                    }
                    _ => break,
                }
            }
            let lacking = |walk: &mut Self| {
                let fault = format!("the chunks hold {} of {} samples", walk.next, walk.count);
                walk.table(CHUNKS).malformed(fault)
            };
            let table = self.table(CHUNKS);
            let offset = match table.rows.bits {
                64 => table.row().map(u64::from_be_bytes),
                _ => table
                    .row()
                    .map(|bytes| u64::from(u32::from_be_bytes(bytes))),
            };
            self.position = row!(offset, return Err(lacking(self)));
            self.chunk = number;
            self.chunk_left = self.per_chunk;
        }
        Ok(None)
    }

    fn check_chunk_run(&mut self, run: (u32, u32, u32)) -> Result<(u32, u32), BmffError> {
        let (first, per_chunk, entry) = run;
        if entry > 1 {
            let table = self.table(CHUNK_RUNS);
            return Err(BmffError::Unsupported {
                path: table.rows.path.clone(),
                offset: table.rows.at,
                feature: "a track that changes its codec configuration midway".to_owned(),
            });
        }
        if first < self.chunk_run_last {
            let fault = "chunk numbers do not ascend".to_owned();
            return Err(self.table(CHUNK_RUNS).malformed(fault));
        }
        self.chunk_run_last = first;
        Ok((first, per_chunk))
    }

    /// Where only times are read, whether the track can be is found out nonetheless.
    fn drain_chunk_runs(&mut self) -> Result<Option<(u64, u64)>, BmffError> {
        loop {
            let run = row!(self.table(CHUNK_RUNS).chunk_run(), return Ok(None));
            self.check_chunk_run(run)?;
        }
    }

    fn take(&mut self, size: u32) -> Result<Sample, BmffError> {
        let index = self.next;
        let end = self.position.checked_add(u64::from(size));
        if self.fields == WalkFields::All && end.is_none_or(|end| end > self.file_len) {
            return Err(BmffError::Truncated {
                path: format!("sample {index} of track {}", self.id),
                offset: self.position,
                needed: size.into(),
                available: self.file_len.saturating_sub(self.position),
            });
        }
        let sync = match &self.sync_runs {
            None => true,
            Some(runs) => runs.contains(&mut self.sync_at, index),
        };
        let sample = Sample {
            index,
            offset: self.position,
            size,
            dts: self.dts,
            duration: self.duration,
            cto: self.cto,
            sync,
        };
        self.position = end.unwrap_or(u64::MAX);
        let dts = self.dts.checked_add(u64::from(self.duration));
        self.dts = dts.ok_or_else(|| {
            let fault = "decode times pass 64 bits".to_owned();
            self.table(DURATIONS).malformed(fault)
        })?;
        self.next = index.saturating_add(1);
        self.duration_left = self.duration_left.saturating_sub(1);
        self.cto_left = self.cto_left.saturating_sub(1);
        self.chunk_left = self.chunk_left.saturating_sub(1);
        Ok(sample)
    }
}
