//! One track: its access units become chunks and segments.
//!
//! An access unit waits for the next one, as only that says how long it lasts. Its decode time is moved so that a segment's
//! first sample is presented when it is decoded (`tfdt` is the segment's start, composition offsets of the rest may be
//! negative): what CMAF calls `cmf2`, without an edit list.

use bytes::Bytes;
use headwater_bmff::write::{SegmentHeader, SegmentSample, segment_header};
use headwater_time::Timescale;

use crate::LiveError;
use crate::grid::Mark;
use crate::timeline::Part;

/// An access unit in ticks of the track since the epoch.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// Decode time as it came.
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) sync: bool,
    pub(crate) bytes: Bytes,
}

/// What a builder has made.
#[derive(Debug)]
pub(crate) enum Made {
    Open {
        number: u64,
        start: u64,
    },
    Part {
        number: u64,
        part: Part,
        bytes: Bytes,
    },
    Close {
        number: u64,
        duration: u32,
    },
}

#[derive(Debug)]
struct Sample {
    /// Moved decode time.
    decode: i64,
    pts: i64,
    sync: bool,
    bytes: Bytes,
}

#[derive(Debug)]
struct Open {
    number: u64,
    start: i64,
    /// Moved decode time at which the growing part begins.
    part_start: i64,
    part_duration: i64,
    samples: Vec<SegmentSample>,
    media: Vec<Bytes>,
    media_bytes: usize,
    parts: u32,
}

/// Builds one track.
#[derive(Debug)]
pub(crate) struct Builder {
    /// Ticks that a part lasts at most.
    part_most: i64,
    /// Ticks that end a part: no further sample is taken.
    part_enough: i64,
    scale: Timescale,
    open: Option<Open>,
    waiting: Option<Sample>,
    /// What is added to decode times.
    shift: i64,
    /// The last duration known: what the last sample before a hole is given.
    usual: i64,
    /// Where the last segment ended.
    end: i64,
    made: Vec<Made>,
    /// `emsg` boxes that go in front of the next part.
    messages: Vec<u8>,
    /// Likewise, of the segment that begins next.
    first_messages: Vec<u8>,
    /// Likewise, of the first one that begins with this row or a later one.
    later_messages: Vec<(u64, Vec<u8>)>,
}

/// A part ends with the sample that takes it to seven eighths of the longest one: an eighth is to spare. At least 0.85 are
/// asked for (draft-pantos-hls-rfc8216bis), and a part that may be a picture longer than it needs to be leaves no picture over at
/// the segment's end: of 25 pictures 9, 9 and 7 instead of 8, 8, 8 and 1. Players lose such a crumb, and fetch it if they do not.
const SPARE: i64 = 8;

/// Most bytes of a part: it is closed early when it would grow beyond.
const MAX_PART_BYTES: usize = 8 << 20;

/// Most bytes of `emsg` boxes in front of a part: two of the largest and what goes with them.
const MAX_MESSAGES_BYTES: usize = 640 << 10;

impl Builder {
    pub(crate) fn new(scale: Timescale, part_ms: u32) -> Self {
        let most = i64::from(part_ms).saturating_mul(i64::from(scale.get())) / 1000;
        let most = most.max(1);
        Self {
            part_most: most,
            part_enough: most.saturating_sub(most / SPARE),
            scale,
            open: None,
            waiting: None,
            shift: 0,
            usual: i64::from(scale.get()) / 25,
            end: 0,
            made: Vec::new(),
            messages: Vec::new(),
            first_messages: Vec::new(),
            later_messages: Vec::new(),
        }
    }

    /// Puts an `emsg` box in front of the next part. What does not fit is left out.
    pub(crate) fn message(&mut self, message: &[u8]) {
        if self.messages.len().saturating_add(message.len()) <= MAX_MESSAGES_BYTES {
            self.messages.extend_from_slice(message);
        }
    }

    /// Puts an `emsg` box in front of the next part of row `row` or a later one. What does not fit is left out.
    pub(crate) fn message_from(&mut self, row: u64, message: &[u8]) {
        match self.row() {
            None => {}
            Some(own) if own >= row => self.message(message),
            Some(_) => {
                let waiting = self.later_messages.iter().map(|(_, bytes)| bytes.len());
                let waiting = waiting.fold(message.len(), usize::saturating_add);
                if waiting <= MAX_MESSAGES_BYTES {
                    self.later_messages.push((row, message.to_vec()));
                }
            }
        }
    }

    /// Puts `emsg` boxes in front of the segment that begins next.
    pub(crate) fn begin_with(&mut self, messages: Vec<u8>) {
        self.first_messages = messages;
    }

    /// What has been made since it was last asked.
    pub(crate) fn take(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.made)
    }

    /// The row that is growing.
    pub(crate) fn row(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.number)
    }

    /// Where the track is: decode time of the unit that waits.
    pub(crate) fn head(&self) -> Option<i64> {
        self.waiting.as_ref().map(|sample| sample.decode)
    }

    /// Up to where there is something to decode, or will be: the unit that waits lasts as long as those before it.
    pub(crate) fn reaches(&self) -> i64 {
        let waiting = self.head().map(|head| head.saturating_add(self.usual));
        waiting.map_or(self.end, |end| end.max(self.end))
    }

    /// How much later samples are shown than they came to be decoded, at least.
    pub(crate) fn shift(&self) -> i64 {
        self.shift
    }

    /// The last duration known, in ticks of the track.
    pub(crate) fn usual(&self) -> i64 {
        self.usual
    }

    pub(crate) fn set_usual(&mut self, ticks: i64) {
        self.usual = ticks.max(1);
    }

    /// Adds a unit. `cut`: a row begins with it. Its time is after that of the one before.
    ///
    /// Errors: `Box` if a part cannot be written.
    pub(crate) fn push(&mut self, unit: Unit, cut: Option<Mark>) -> Result<(), LiveError> {
        if cut.is_some() {
            let shift = unit.pts.saturating_sub(unit.dts);
            // A reordering delay that shrinks would let time run back; then the old one stays.
            let moved = unit.dts.saturating_add(shift);
            if self.head().is_none_or(|head| moved > head) {
                self.shift = shift;
            }
        }
        // What ended without a next unit was given its usual length, which may have been some ticks too much.
        let least = self.head().map_or(self.end, |head| head.saturating_add(1));
        let decode = unit.dts.saturating_add(self.shift).max(least);
        if let Some(waiting) = self.waiting.take() {
            let lasting = decode.saturating_sub(waiting.decode).max(1);
            self.usual = lasting;
            self.settle(waiting, lasting)?;
        }
        if let Some(mark) = cut {
            self.close(decode)?;
            // The same unless the reordering delay shrank: then time would overlap.
            let start = unit.pts.max(decode).max(0);
            self.open = Some(Open {
                number: mark.number,
                start,
                part_start: decode,
                part_duration: 0,
                samples: Vec::new(),
                media: Vec::new(),
                media_bytes: 0,
                parts: 0,
            });
            let first = std::mem::take(&mut self.first_messages);
            self.message(&first);
            let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.later_messages)
                .into_iter()
                .partition(|(row, _)| *row <= mark.number);
            self.later_messages = later;
            for (_, message) in &due {
                self.message(message);
            }
            self.made.push(Made::Open {
                number: mark.number,
                start: u64::try_from(start).unwrap_or(0),
            });
        }
        self.waiting = Some(Sample {
            decode,
            pts: unit.pts,
            sync: unit.sync,
            bytes: unit.bytes,
        });
        Ok(())
    }

    /// Ends what is growing: the unit that waits lasts as long as those before it.
    ///
    /// Errors: as [`Self::push`].
    pub(crate) fn finish(&mut self) -> Result<(), LiveError> {
        self.pause()?;
        let end = self.open.as_ref().map(|open| open.part_start);
        if let Some(end) = end {
            self.close(end)?;
        }
        Ok(())
    }

    /// Writes out what is there, without an end to the segment: a hole follows.
    pub(crate) fn pause(&mut self) -> Result<(), LiveError> {
        if let Some(waiting) = self.waiting.take() {
            let usual = self.usual;
            self.settle(waiting, usual)?;
        }
        self.flush()
    }

    /// Takes a sample whose duration is known into the growing part.
    fn settle(&mut self, sample: Sample, lasting: i64) -> Result<(), LiveError> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let full = open.part_duration >= self.part_enough
            || open.part_duration.saturating_add(lasting) > self.part_most
            || open.media_bytes.saturating_add(sample.bytes.len()) > MAX_PART_BYTES;
        // After a hole a part begins where it goes on.
        let apart = open.part_start.saturating_add(open.part_duration) != sample.decode;
        if (full || apart) && !open.samples.is_empty() {
            self.flush()?;
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.samples.is_empty() {
            open.part_start = sample.decode;
        }
        let offset = sample.pts.saturating_sub(sample.decode);
        open.samples.push(SegmentSample {
            size: u32::try_from(sample.bytes.len()).unwrap_or(u32::MAX),
            duration: u32::try_from(lasting).unwrap_or(u32::MAX),
            cto: i32::try_from(offset).unwrap_or(0),
            sync: sample.sync,
        });
        open.media_bytes = open.media_bytes.saturating_add(sample.bytes.len());
        open.media.push(sample.bytes);
        open.part_duration = open.part_duration.saturating_add(lasting);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LiveError> {
        let Some(open) = self.open.as_mut().filter(|open| !open.samples.is_empty()) else {
            return Ok(());
        };
        let header = segment_header(&SegmentHeader {
            sequence_number: fragment_number(open.number, open.parts),
            track_id: 1,
            decode_time: u64::try_from(open.part_start).unwrap_or(0),
            samples: &open.samples,
        })?;
        let front = self.messages.len().saturating_add(header.len());
        let mut bytes = Vec::with_capacity(front.saturating_add(open.media_bytes));
        bytes.append(&mut self.messages);
        bytes.extend_from_slice(&header);
        for media in &open.media {
            bytes.extend_from_slice(media);
        }
        let part = Part {
            offset: u32::try_from(open.part_start.saturating_sub(open.start)).unwrap_or(0),
            duration: u32::try_from(open.part_duration).unwrap_or(u32::MAX),
            size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            header: u32::try_from(front).unwrap_or(u32::MAX),
            independent: open.samples.first().is_some_and(|sample| sample.sync),
        };
        self.made.push(Made::Part {
            number: open.number,
            part,
            bytes: bytes.into(),
        });
        open.part_start = open.part_start.saturating_add(open.part_duration);
        open.part_duration = 0;
        open.samples.clear();
        open.media.clear();
        open.media_bytes = 0;
        open.parts = open.parts.saturating_add(1);
        Ok(())
    }

    /// Ends the growing segment at `end`, or where its media ends, whichever is earlier.
    fn close(&mut self, end: i64) -> Result<(), LiveError> {
        self.flush()?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        if open.parts == 0 {
            return Ok(());
        }
        let end = end.min(open.part_start);
        let duration = end.saturating_sub(open.start).max(1);
        self.end = end;
        self.made.push(Made::Close {
            number: open.number,
            duration: u32::try_from(duration).unwrap_or(u32::MAX),
        });
        Ok(())
    }

    /// Ticks a second.
    pub(crate) fn scale(&self) -> Timescale {
        self.scale
    }
}

/// `mfhd` numbers ascend from part to part and from segment to segment; a row has room for 128 of them before they meet
/// those of the next, which no player minds.
fn fragment_number(row: u64, part: u32) -> u32 {
    let low = row.wrapping_mul(128) & u64::from(u32::MAX);
    u32::try_from(low).unwrap_or(0).wrapping_add(part)
}
