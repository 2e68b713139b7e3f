//! The rows that a request is answered from, and one track of them.
//!
//! Numbers, times and discontinuities are those of the timeline, whatever the window: a window that moves on never
//! renumbers anything.

use super::hls::Listed;
use crate::error::{Code, OriginError};
use headwater_live::archive::{PageRef, Recording};
use headwater_live::edge::Snapshot;
use headwater_live::group::RowsPerSegment;
use headwater_live::stream::Kind;
use headwater_live::timeline::{
    Change, Config, Row, Segment, Timeline, Track, TrackIndex, clock_of_ticks, ticks_of_clock,
};
use headwater_live::{CLOCK_PER_MS, clock_of_ms};
use headwater_text::captions::Captions;
use headwater_time::{Rounding, Timescale, rescale};

/// A track whose newest segment is older by so many rows than that of others has a gap there.
pub(crate) const LATE_ROWS: u64 = 3;

/// A break belongs to the segment that starts so close to it, in ticks of the event clock: what rows tolerate.
pub(crate) const CUE_SLACK: i64 = 5_400;

/// What a manifest shows by default at most (MK.IO): what is older needs a start and an end.
pub(crate) const DEFAULT_WINDOW_MS: u64 = 25 * 60 * 60 * 1000;

/// The rows of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Show {
    /// Its rows are those that are shown, growing segments included.
    pub(crate) timeline: Timeline,
    /// Promised distance of key frames; of a recording whose worker is gone, the longest row.
    pub(crate) interval_ms: u32,
    /// There is a worker that promises it.
    pub(crate) promised: bool,
    /// The longest part, with low latency.
    pub(crate) part_ms: Option<u32>,
    /// Nothing follows: a film, or a window whose end has passed.
    pub(crate) ended: bool,
    /// How much is shown at most, while it is live.
    pub(crate) window_ms: u64,
    /// Captions inside of pictures; `None` while it is not known.
    pub(crate) captions: Option<Captions>,
    /// Rows of a segment: one, but in transport streams.
    pub(crate) rows_per_segment: RowsPerSegment,
    /// The row that everything began with, if that is still there: a segment begins with it.
    pub(crate) begun: Option<u64>,
    /// A segment ends with this row, as what follows and is not shown begins another.
    pub(crate) closed: Option<u64>,
    /// When rows before those that are shown begin, as far as they are known: in order and without a hole.
    pub(crate) earlier: Vec<i64>,
    /// When the row begins that was the first under the keys of the first that is shown, where they rotate and that is known.
    pub(crate) keys_began: Option<i64>,
}

/// Part of the event's clock, in its ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    /// Rows that end before it are not shown.
    pub(crate) start: Option<i64>,
    /// Rows from it on are not shown.
    pub(crate) end: Option<i64>,
    /// A filter insists on the end.
    pub(crate) forced: bool,
    /// Likewise, once nothing follows any more.
    pub(crate) end_of_film: Option<i64>,
    /// While it is live, no more is shown than this.
    pub(crate) window: Option<i64>,
    /// While it is live, nothing newer is shown than so much before the newest moment.
    pub(crate) back_off: i64,
}

/// Rows from whoever has them, in order and without a hole.
///
/// `pages`: those whole pages of `recording` that are needed, oldest first, up to its newest. Rows that all have are the
/// snapshot's. What was before the recording began is left out.
pub(crate) fn join(
    snapshot: Option<&Snapshot>,
    recording: Option<&Recording>,
    pages: Vec<(PageRef, Vec<Row>)>,
) -> Timeline {
    let Some(recording) = recording else {
        return snapshot.map_or_else(Timeline::default, |s| s.timeline.clone());
    };
    let begun = recording.first_row().or(recording.open.next_number);
    let mut joined = recording.open.clone();
    for row in pages
        .into_iter()
        .rev()
        .flat_map(|(_, rows)| rows.into_iter().rev())
    {
        joined.gone.give_back(&row);
        joined.rows.push_front(row);
    }
    if let Some(snapshot) = snapshot {
        let newer = &snapshot.timeline;
        joined.tracks.clone_from(&newer.tracks);
        joined.next_number = newer.next_number.max(joined.next_number);
        joined.ended |= newer.ended;
        for cue in &newer.cues {
            joined.take_cue(cue.clone());
        }
        joined.schemes.clone_from(&newer.schemes);
        let first = newer.rows.front().map(|row| row.number);
        let known = joined.rows.back().map(|row| row.number);
        // Storage has nothing, or has been away for longer than the worker shows: what is in between is not known here, but
        // counted there.
        let beyond = |known: u64| first.is_some_and(|first| known.saturating_add(1) < first);
        if known.is_none_or(beyond) {
            joined.rows.clear();
            joined.gone = newer.gone_before(begun.unwrap_or(0));
        }
        let ours = |row: &&Row| begun.is_none_or(|begun| row.number >= begun);
        let front = joined.rows.front().map(|row| row.number);
        let is_older = |row: &&Row| front.is_some_and(|front| row.number < front);
        // Those are in pages that nobody had to read.
        for row in newer.rows.iter().rev().filter(ours).filter(is_older) {
            joined.gone.give_back(row);
            joined.rows.push_front(row.clone());
        }
        for row in newer.rows.iter().filter(ours).filter(|row| !is_older(row)) {
            let from = joined.rows.front().map_or(row.number, |row| row.number);
            let at = row.number.checked_sub(from);
            let at = at.and_then(|at| usize::try_from(at).ok());
            match at.and_then(|at| joined.rows.get_mut(at)) {
                Some(there) => merge(there, row),
                None => joined.rows.push_back(row.clone()),
            }
        }
    }
    if let Some(first) = recording.first {
        // Misfit is for what is not here.
        let _ = joined.apply(&Change::Trim { number: first });
    }
    joined
}

/// What the worker says of a row counts, but for what it no longer knows.
fn merge(there: &mut Row, newer: &Row) {
    for (track, segment) in &newer.segments {
        let complete = there
            .segments
            .get(track)
            .is_some_and(|known| known.complete);
        if !complete {
            there.segments.insert(*track, segment.clone());
        }
    }
}

impl Show {
    /// Leaves what is in `span`, and while it is live no more than `window_ms`.
    ///
    /// Segments are shown whole: one that is in it with a row is there with all of them.
    pub(crate) fn cut(&mut self, span: Span) {
        self.drop_torn();
        let film = span.end_of_film.filter(|_| self.ended);
        let end = match (span.end, film) {
            (Some(end), Some(film)) => Some(end.min(film)),
            (end, film) => end.or(film),
        };
        if !self.ended {
            self.back_off(span.back_off);
        }
        if let Some(end) = end {
            self.end_at(end);
        }
        let edge = self.timeline.end();
        if span
            .start
            .is_some_and(|start| edge.is_none_or(|edge| start >= edge))
        {
            self.timeline.rows.clear();
        }
        let mut first = span.start.and_then(|start| {
            let rows = &self.timeline.rows;
            // A row lasts to the start of the next one.
            let after = rows.partition_point(|row| row.start <= start);
            rows.get(after.saturating_sub(1)).map(|row| row.number)
        });
        if !self.ended {
            let own = span
                .window
                .and_then(|window| window.checked_div(CLOCK_PER_MS));
            let own = own.and_then(|ms| u64::try_from(ms).ok());
            self.window_ms = own.map_or(self.window_ms, |own| own.min(self.window_ms));
            first = first.max(self.timeline.first_within(self.window_ms));
        }
        if let Some(number) = first {
            self.trim(self.segment_start(number));
        }
    }

    /// Takes away rows whose segment has lost its beginning: it would be another one under the same number.
    fn drop_torn(&mut self) {
        let (rows, begun) = (self.rows_per_segment, self.begun);
        let begins = |row: &Row| rows.begins(row) || begun == Some(row.number);
        let whole = self.timeline.rows.iter().find(|row| begins(row));
        let next = self.timeline.next_number;
        if let Some(first) = whole.map(|row| row.number).or(next) {
            self.trim(first);
        }
    }

    /// Number of the row that the segment begins with which has row `number`.
    fn segment_start(&self, number: u64) -> u64 {
        let rows = self.timeline.rows.iter().rev();
        let mut rows = rows.skip_while(|row| row.number > number);
        let start = rows.find(|row| self.rows_per_segment.begins(row));
        let front = self.timeline.rows.front();
        start.or(front).map_or(number, |row| row.number.min(number))
    }

    /// Takes away segments from `end` on. If that is the end of what is live as well, nothing follows.
    fn end_at(&mut self, end: i64) {
        let rows = &self.timeline.rows;
        let before = rows.iter().take_while(|row| row.start < end).count();
        let rest = rows.iter().skip(before);
        let rest = rest.take_while(|row| before > 0 && !self.rows_per_segment.begins(row));
        let kept = before.saturating_add(rest.count());
        let reached = self.timeline.end().is_some_and(|edge| edge >= end);
        // The last segment has all of its rows once there is something of the next.
        let mut later = rows.iter().skip(kept);
        let whole = self.rows_per_segment == RowsPerSegment::ONE
            || self.ended
            || later.any(|row| row.segments.values().any(|segment| segment.complete));
        let passed = reached && whole;
        self.ended |= passed;
        if let Some(next) = rows.get(kept) {
            self.closed = next.number.checked_sub(1);
        }
        self.timeline.rows.truncate(kept);
        if let (Some(last), true) = (self.timeline.rows.back(), passed) {
            self.timeline.next_number = Some(last.number.saturating_add(1));
        }
    }

    /// Takes away what is newer than `ticks` before the newest moment.
    fn back_off(&mut self, ticks: i64) {
        let Some(edge) = self.timeline.end().filter(|_| ticks > 0) else {
            return;
        };
        let newest = edge.saturating_sub(ticks);
        let mut end = edge;
        while let Some(last) = self.timeline.rows.back().filter(|_| end > newest) {
            (end, self.timeline.next_number) = (last.start, Some(last.number));
            if self.rows_per_segment.begins(last) {
                self.closed = last.number.checked_sub(1);
            }
            self.timeline.rows.pop_back();
        }
        // What is shown is whole: there is nothing to wait for.
        self.part_ms = None;
    }

    fn trim(&mut self, number: u64) {
        let ended = std::mem::take(&mut self.timeline.ended);
        // Misfit is for what is not here.
        let _ = self.timeline.apply(&Change::Trim { number });
        self.timeline.ended = ended;
    }

    /// Whether players can begin with `tracks`: each has a whole segment, or the presentation is too long for one that has none
    /// to be only late. Players read the list of tracks once, and leave out for good what they found empty then.
    pub(crate) fn has_begun(&self, tracks: &[Listed<'_>]) -> bool {
        const LATE: usize = 3;
        let rows = &self.timeline.rows;
        let whole = |track: TrackIndex| {
            let mut segments = rows.iter().filter_map(|row| row.segments.get(&track));
            segments.any(|segment| segment.complete)
        };
        self.ended || rows.len() > LATE || tracks.iter().all(|(track, _, _)| whole(*track))
    }

    /// The tracks that play: those with something in the window, while it is live near its end.
    pub(crate) fn tracks(&self) -> Vec<(TrackIndex, &Track, &Config)> {
        const NEAR: usize = 16;
        let rows = self.timeline.rows.len();
        let from = match self.ended {
            true => 0,
            false => rows.saturating_sub(NEAR),
        };
        let has = |index: TrackIndex| {
            let mut rows = self.timeline.rows.iter().skip(from);
            rows.any(|row| {
                row.segments
                    .get(&index)
                    .is_some_and(|s| !s.parts.is_empty())
            })
        };
        let tracks = (0..).zip(&self.timeline.tracks);
        tracks
            .filter(|(index, _)| has(*index))
            .filter_map(|(index, track)| {
                let config = self.newest_config(index)?;
                Some((index, track, self.timeline.config(index, config)?))
            })
            .collect()
    }

    /// Which init segment the newest media of a track needs.
    pub(crate) fn newest_config(&self, track: TrackIndex) -> Option<u16> {
        let rows = self.timeline.rows.iter().rev();
        let newest = rows.filter_map(|row| row.segments.get(&track)).next();
        newest.map(|segment| segment.config)
    }

    /// One track's segments and gaps.
    pub(crate) fn lane(&self, track: TrackIndex) -> Lane<'_> {
        let rows = &self.timeline.rows;
        let newest = |wanted: Option<TrackIndex>| {
            let mut rows = rows.iter().rev();
            let row = rows.find(|row| {
                row.segments.iter().any(|(index, segment)| {
                    wanted.is_none_or(|wanted| *index == wanted) && segment.complete
                })
            });
            row.map_or(0, |row| row.number)
        };
        let (own, all) = (newest(Some(track)), newest(None));
        let scale = self
            .newest_config(track)
            .and_then(|config| self.timeline.config(track, config))
            .map_or(headwater_live::CLOCK, |config| config.timescale);
        let mut lane = Lane {
            track,
            scale,
            items: Vec::with_capacity(rows.len()),
            growing: None,
            next_number: self.timeline.next_number.unwrap_or(0),
        };
        for (at, row) in rows.iter().enumerate() {
            let segment = row.segments.get(&track);
            if let Some(segment) = segment.filter(|segment| segment.complete) {
                lane.push(&self.timeline, row, segment);
                continue;
            }
            let past = row.number < own
                || row.number.saturating_add(LATE_ROWS) <= all
                || (self.ended && row.number <= own);
            if !past {
                lane.growing = segment
                    .filter(|_| !self.ended)
                    .map(|segment| (row, segment));
                lane.next_number = row.number;
                break;
            }
            let next = rows.get(at.saturating_add(1)).map(|next| next.start);
            let usual = row
                .start
                .saturating_add(clock_of_ms(self.interval_ms.into()));
            let start = ticks_of_clock(row.start, scale);
            let end = ticks_of_clock(next.unwrap_or(usual), scale);
            lane.items.push(Item {
                row,
                segment: None,
                start,
                duration: end.saturating_sub(start),
            });
        }
        lane
    }

    /// Promised length of a segment, milliseconds.
    pub(crate) fn segment_ms(&self) -> u32 {
        self.interval_ms
            .saturating_mul(self.rows_per_segment.get().into())
    }

    /// Whether HLS can be told of what is shown: while it is live, a playlist has to hold three of its longest segments (RFC 8216 §6.2.2),
    /// as much is shown as the window is long, and that may be less.
    ///
    /// Errors: 415 if it is.
    pub(crate) fn holds_three_segments(&self) -> Result<(), OriginError> {
        let three = u64::from(self.segment_ms()).saturating_mul(3);
        match self.promised && !self.ended && three > self.window_ms {
            true => Err(OriginError::new(
                Code::HlsSegmentTooLarge,
                format!(
                    "segments of {} ms are more than a third of the {} ms that are shown",
                    self.segment_ms(),
                    self.window_ms
                ),
            )),
            false => Ok(()),
        }
    }

    /// When a row begins that players play early, on the event's clock: of what is live the newest.
    pub(crate) fn begins_playing(&self) -> i64 {
        let rows = &self.timeline.rows;
        let row = match self.ended {
            true => rows.front(),
            false => rows.back(),
        };
        row.map_or(0, |row| row.start)
    }

    /// When the shown media ends on the event's clock.
    pub(crate) fn end(&self) -> Option<i64> {
        self.timeline.end()
    }
}

/// One track of a show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lane<'a> {
    pub(crate) track: TrackIndex,
    /// Of all times here: that of the newest media.
    pub(crate) scale: Timescale,
    /// One for each row, in order.
    pub(crate) items: Vec<Item<'a>>,
    /// What comes next and has begun.
    pub(crate) growing: Option<(&'a Row, &'a Segment)>,
    /// The number of what comes next.
    pub(crate) next_number: u64,
}

/// A segment, or where one is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    pub(crate) row: &'a Row,
    /// `None`: a gap.
    pub(crate) segment: Option<&'a Segment>,
    /// Ticks of the lane's scale.
    pub(crate) start: u64,
    pub(crate) duration: u64,
}

impl<'a> Lane<'a> {
    fn push(&mut self, timeline: &Timeline, row: &'a Row, segment: &'a Segment) {
        let own = timeline.config(self.track, segment.config);
        let own = own.map_or(self.scale, |config| config.timescale);
        let ticks =
            |ticks: u64| rescale(ticks, own, self.scale, Rounding::HalfUp).unwrap_or(u64::MAX);
        self.items.push(Item {
            row,
            segment: Some(segment),
            start: ticks(segment.start),
            duration: ticks(segment.end()).saturating_sub(ticks(segment.start)),
        });
        self.next_number = row.number.saturating_add(1);
    }

    /// Highest and average bits per second of complete segments of rows that `rows` joins.
    pub(crate) fn bitrates(&self, rows: RowsPerSegment) -> Option<(u64, u64)> {
        let (mut peak, mut bytes, mut ticks) = (0, 0_u64, 0_u64);
        for run in self.items.chunk_by(|_, next| !rows.begins(next.row)) {
            let there = run.iter().filter(|item| item.duration > 0);
            let there = there.filter_map(|item| Some((item.segment?.size(), item.duration)));
            let (size, lasts) = there.fold((0_u64, 0_u64), |(size, lasts), own| {
                (size.saturating_add(own.0), lasts.saturating_add(own.1))
            });
            peak = rate(size, lasts, self.scale).max(peak);
            bytes = bytes.saturating_add(size);
            ticks = ticks.saturating_add(lasts);
        }
        (ticks > 0).then(|| (peak, rate(bytes, ticks, self.scale)))
    }
}

fn rate(bytes: u64, ticks: u64, scale: Timescale) -> u64 {
    let bits = u128::from(bytes)
        .saturating_mul(8)
        .saturating_mul(scale.get().into());
    let rate = bits.checked_div(ticks.into()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Milliseconds since the epoch of a track's time.
pub(crate) fn date_ms(ticks: u64, scale: Timescale) -> i64 {
    clock_of_ticks(ticks, scale)
        .checked_div(CLOCK_PER_MS)
        .unwrap_or(0)
}

/// The longest row of a timeline, in milliseconds: what its encoder did in place of what it promised.
pub(crate) fn longest_row_ms(timeline: &Timeline) -> u32 {
    let rows = timeline.rows.iter();
    let lengths = rows
        .zip(timeline.rows.iter().skip(1))
        .filter(|(_, next)| !next.discontinuity)
        .map(|(row, next)| next.start.saturating_sub(row.start));
    let longest = lengths.max().unwrap_or(0).checked_div(CLOCK_PER_MS);
    u32::try_from(longest.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// As filters know it.
pub(crate) fn filter_kind(kind: Kind) -> crate::filter::Kind {
    match kind {
        Kind::Video => crate::filter::Kind::Video,
        Kind::Audio => crate::filter::Kind::Audio,
    }
}
