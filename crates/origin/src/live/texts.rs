//! Text that was added to a recording, in the words of HLS, DASH and Smooth Streaming.
//!
//! Text is cut where rows begin, whatever tracks have in them, so nothing of it depends on a track that stayed away or that
//! a filter leaves out. Its clock is the event's, and documents count from where the recording begins. What is still live has
//! no documents: nobody can have written one that goes on.

use super::cues::date_ranges;
use super::show::{Show, date_ms};
use crate::address::Format;
use crate::address::child::Carried;
use crate::error::OriginError;
use crate::index::SegmentTime;
use crate::manifests::hls::{says_independent, version};
use crate::manifests::smooth::{Clock, chunks};
use crate::manifests::text;
use crate::presentation::TextTrack;
use crate::shield::Shield;
use headwater_dash as dash;
use headwater_hls as hls;
use headwater_live::CLOCK;
use headwater_live::timeline::{Row, Timeline};
use headwater_protect::Period;
use headwater_protect::hls::KeyTag;
use headwater_smooth as smooth;
use std::ops::RangeInclusive;

/// A segment of text: rows that are one segment of the media, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Number of its first row.
    pub(crate) row: u64,
    /// Rows.
    pub(crate) rows: u64,
    /// On the event's clock.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Nothing before it fits.
    pub(crate) discontinuity: bool,
}

impl Piece {
    /// Of neighbouring rows; `None` of none. `next`: the row after them.
    pub(crate) fn of(timeline: &Timeline, rows: &[&Row], next: Option<&Row>) -> Option<Self> {
        let (first, last) = (rows.first()?, rows.last()?);
        // What follows after a hole, or by another clock, is not where this ends.
        let follows = next
            .filter(|next| !next.discontinuity)
            .map(|next| next.start);
        let end = follows.or_else(|| timeline.row_end(last));
        let ticks = |clock: i64| u64::try_from(clock).unwrap_or(0);
        let start = ticks(first.start);
        Some(Self {
            row: first.number,
            rows: last.number.saturating_sub(first.number).saturating_add(1),
            start,
            end: ticks(end.unwrap_or(last.start)).max(start),
            discontinuity: first.discontinuity,
        })
    }

    fn time(&self) -> SegmentTime {
        SegmentTime {
            start: self.start,
            duration: self.end.saturating_sub(self.start),
        }
    }
}

/// The segments of text of what is shown, in order.
pub(crate) fn pieces(show: &Show) -> Vec<Piece> {
    let rows: Vec<&Row> = show.timeline.rows.iter().collect();
    let mut runs = rows
        .chunk_by(|_, next| !show.rows_per_segment.begins(next))
        .peekable();
    let mut pieces = Vec::with_capacity(rows.len());
    while let Some(run) = runs.next() {
        let next = runs.peek().and_then(|next| next.first()).copied();
        pieces.extend(Piece::of(&show.timeline, run, next));
    }
    pieces
}

/// The media playlist of a text track.
///
/// Errors: as those of [`Shield`].
pub(crate) fn media_playlist(
    show: &Show,
    track: &TextTrack,
    format: Format,
    carried: Carried<'_>,
    shield: Option<&Shield>,
) -> Result<String, OriginError> {
    let pieces = pieces(show);
    let codec = text::codec(format, track);
    let (init, names) = carried.live_texts(&track.name);
    let init = (format == Format::HlsCmaf).then_some(init);
    let (mut keys, mut least) = (Vec::new(), 0);
    let mut segments = Vec::with_capacity(pieces.len());
    let mut last: Option<Option<Period>> = None;
    for piece in &pieces {
        let start = i64::try_from(piece.start).unwrap_or(i64::MAX);
        let period = shield.and_then(|shield| shield.period(start));
        if last.replace(period) != Some(period) {
            let shield = shield.map(|shield| shield.in_period(period));
            let tags = match &shield {
                Some(shield) => match shield.text_key(codec)? {
                    Some(key) => shield.hls(key)?,
                    None => Vec::new(),
                },
                None => Vec::new(),
            };
            least = tags.iter().map(KeyTag::version).fold(least, u8::max);
            keys.push(hls::LiveKeys {
                lines: tags.iter().map(KeyTag::key_line).collect(),
                cover_init: false,
            });
        }
        segments.push(hls::LiveSegment {
            uri: names.uri(piece.start, piece.rows),
            duration: piece.time().duration,
            date_ms: date_ms(piece.start, CLOCK),
            discontinuity: piece.discontinuity,
            gap: false,
            init_uri: init.clone(),
            parts: Vec::new(),
            keys: keys.len().saturating_sub(1),
            cues: Vec::new(),
        });
    }
    let first = pieces.first().map_or(0, |piece| piece.row);
    Ok(hls::LivePlaylist {
        version: version(format).max(least),
        keys,
        timescale: CLOCK,
        first_number: show.timeline.segment_number(first, show.rows_per_segment),
        discontinuity_sequence: show.timeline.discontinuity_sequence(first),
        target_duration: u64::from(show.segment_ms()).div_ceil(1000),
        deltas: false,
        segments,
        low_latency: None,
        ended: show.ended,
        independent: says_independent(format),
        key_frames: false,
        date_ranges: date_ranges(show),
    }
    .write(hls::Skip::No))
}

/// The segments of text in `rows`.
pub(super) fn of_rows(pieces: &[Piece], rows: &RangeInclusive<u64>) -> Vec<SegmentTime> {
    let from = pieces.partition_point(|piece| piece.row < *rows.start());
    let to = pieces.partition_point(|piece| piece.row <= *rows.end());
    let own = pieces.get(from..to).unwrap_or_default();
    own.iter().map(Piece::time).collect()
}

/// The adaptation set of a text track in a period with `segments` that begins at `start` on the event's clock.
///
/// Errors: as those of [`Shield`].
pub(super) fn adaptation_set(
    track: &TextTrack,
    (segments, start): (&[SegmentTime], i64),
    format: Format,
    carried: Carried<'_>,
    shield: Option<&Shield>,
) -> Result<dash::AdaptationSet, OriginError> {
    let cut = text::Cut {
        segments,
        scale: CLOCK,
        offset: u64::try_from(start).unwrap_or(0),
    };
    let mut set = text::adaptation_set(track, &cut, format, carried);
    if let Some(shield) = shield
        && let Some(key) = shield.text_key(text::codec(format, track))?
    {
        set.protection = shield.dash(key)?;
    }
    Ok(set)
}

/// The chunks of all streams of text of a Smooth manifest, and the scale of their times.
pub(super) fn smooth_chunks(show: &Show) -> (Vec<smooth::Chunk>, Clock) {
    let clock = Clock::with(CLOCK);
    let times: Vec<SegmentTime> = pieces(show).iter().map(Piece::time).collect();
    (chunks(&times, clock), clock)
}
