//! Where a live segment is: with the worker, in storage, or in a page of the recording.

use super::super::fragment::{Asked, unplannable};
use super::super::{Origin, Visit};
use super::load::Source;
use crate::error::{Code, OriginError};
use crate::index::{Freshness, SegmentTime, storage_error};
use crate::live::smooth::LOOK_AHEAD;
use crate::live::{Broadcast, Edge};
use crate::ports::{Catalog, Storage};
use crate::tag::Tag;
use headwater_live::archive::{self, Recording};
use headwater_live::edge::{Place, Snapshot, path};
use headwater_live::timeline::{Row, Segment, Timeline, Track, TrackIndex, clock_of_ticks};
use headwater_plan::Object;

/// The worker has at least so many of its newest rows in memory.
const ROWS_AT_EDGE: u64 = 10;

/// What begins so many rows after the newest at most may be asked for too early by a player. Nobody was told of what is later.
pub(super) const ROWS_AHEAD: u64 = 16;

/// A segment, and where it is.
pub(super) struct Found {
    pub(super) track: Track,
    pub(super) index: TrackIndex,
    pub(super) row: Row,
    pub(super) segment: Segment,
    /// In storage; else the worker has it.
    pub(super) stored: bool,
    /// The track's next segments that are complete, as far as they are known: at most two. `None` for what is so old that
    /// nobody asks.
    pub(super) following: Option<Vec<SegmentTime>>,
    /// Where the next complete segment of the track starts, if that is known: what a CDN may fetch ahead.
    pub(super) next: Option<u64>,
    /// Nothing comes after the rows that are known.
    pub(super) ended: bool,
    /// All of the presentation.
    pub(super) tracks: Vec<Track>,
}

/// What the worker has told for a request, if it was asked.
#[derive(Default)]
pub(super) struct Told(Option<Option<Snapshot>>);

/// A row, and where its segments are.
pub(super) struct Held {
    pub(super) row: Row,
    /// All of the presentation.
    pub(super) tracks: Vec<Track>,
    /// In storage; else the worker has them.
    pub(super) stored: bool,
    /// Nothing comes after the rows that are known.
    pub(super) ended: bool,
}

impl Held {
    /// A track's segment in it, complete or not.
    pub(super) fn of(&self, index: TrackIndex) -> Option<Found> {
        let segment = self.row.segments.get(&index)?.clone();
        Some(Found {
            track: self.tracks.get(usize::from(index))?.clone(),
            index,
            row: self.row.clone(),
            segment,
            stored: self.stored,
            following: None,
            next: None,
            ended: self.ended,
            tracks: self.tracks.clone(),
        })
    }

    /// The complete segment of the track of that name and bit rate.
    pub(super) fn whole(&self, track: &Track) -> Option<Found> {
        let mut tracks = (0..).zip(&self.tracks);
        let same = |known: &Track| known.name == track.name && known.bitrate == track.bitrate;
        let (index, _) = tracks.find(|(_, known)| same(known))?;
        self.of(index).filter(|found| found.segment.complete)
    }
}

impl From<&Found> for Held {
    fn from(found: &Found) -> Self {
        Self {
            row: found.row.clone(),
            tracks: found.tracks.clone(),
            stored: found.stored,
            ended: found.ended,
        }
    }
}

impl Found {
    /// What the segment's bytes depend on.
    pub(super) fn tag<L>(&self, visit: &Visit<'_, L>) -> Tag {
        let mut tag = Tag::new();
        tag.text("live");
        tag.text(&visit.published.place);
        tag.text(&self.name());
        tag.number(self.segment.size());
        tag
    }

    /// Its object's name in storage.
    pub(super) fn name(&self) -> String {
        archive::segment_name(&self.track, self.segment.start)
    }
}

pub(super) fn none() -> OriginError {
    OriginError::new(
        Code::FragmentTimestampNotFound,
        "no segment of the track starts at this time",
    )
}

pub(super) fn not_ready() -> OriginError {
    OriginError::new(Code::FragmentNotReady, "the segment is still to come")
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// The newest rows, where a worker has them.
    pub(super) async fn told(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        wait: Option<(Place, u64)>,
    ) -> Result<Option<Snapshot>, OriginError> {
        match source {
            Source::Live(broadcast) => self.snapshot(visit, broadcast, wait).await,
            Source::Film(_) => Ok(None),
        }
    }

    /// What storage has, unless there is none by nature.
    pub(super) async fn stored(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        known: bool,
    ) -> Result<Option<std::sync::Arc<Recording>>, OriginError> {
        match source {
            Source::Live(broadcast) if broadcast.preview.is_some() => Ok(None),
            _ => self.recording(visit, source, known).await,
        }
    }

    /// The segment of the track that starts at `start`, complete or not.
    ///
    /// Errors: 404 if none does; 412 if it may come.
    pub(super) async fn find(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        start: u64,
    ) -> Result<Found, OriginError> {
        let address = asked.track;
        let find = |timeline: &Timeline, stored| {
            let index = timeline.find(&address.name, address.bitrate)?;
            let (row, segment) = timeline.segment_at(index, start)?;
            let (row, segment) = (row.clone(), segment.clone());
            found(timeline, index, row, segment, stored)
        };
        // Most of what is asked for has been in storage for a while, or is a film.
        let recording = self.stored(visit, source, true).await?;
        if let Some(found) = recording.as_ref().and_then(|r| find(&r.open, true)) {
            return Ok(found);
        }
        if let Some(snapshot) = self.told(visit, source, None).await? {
            let timeline = &snapshot.timeline;
            if let Some(mut found) = find(timeline, false) {
                let in_memory_only = matches!(source, Source::Live(live) if live.preview.is_some());
                found.stored = !in_memory_only
                    && found.segment.complete
                    && (visit.freshness == Freshness::Looked
                        || is_old(found.row.number, timeline.next_number));
                return Ok(found);
            }
            let known = timeline.find(&address.name, address.bitrate);
            if known.is_some_and(|index| is_ahead(&snapshot, index, start)) {
                return Err(not_ready());
            }
        }
        let recording = recording.ok_or_else(none)?;
        let paged = self.paged(visit, source, &recording, asked, start).await?;
        paged.ok_or_else(none)
    }

    /// A segment that is in a page.
    async fn paged(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        recording: &Recording,
        asked: Asked<'_>,
        start: u64,
    ) -> Result<Option<Found>, OriginError> {
        let timeline = &recording.open;
        let index = timeline.find(&asked.track.name, asked.track.bitrate);
        let Some(index) = index else {
            return Ok(None);
        };
        let Some(track) = timeline.tracks.get(usize::from(index)) else {
            return Ok(None);
        };
        // A segment starts in its row or a moment before it: it may be on the page after.
        for config in &track.configs {
            let clock = clock_of_ticks(start, config.timescale);
            let at = recording.page_at(clock);
            let place = recording.pages.iter().position(|page| Some(*page) == at);
            let near = place.map_or(0, |place| place.saturating_sub(1));
            for page in recording.pages.iter().skip(near).take(3) {
                let rows = self.page(visit, source, *page).await?;
                let mut own = rows
                    .iter()
                    .filter_map(|row| Some((row, row.segments.get(&index)?)))
                    .skip_while(|(_, segment)| segment.start != start);
                if let Some((row, segment)) = own.next()
                    && recording.first.is_none_or(|first| row.number >= first)
                {
                    let found = found(timeline, index, row.clone(), segment.clone(), true);
                    return Ok(found.map(|found| Found {
                        next: own.next().map(|(_, next)| next.start),
                        ..found
                    }));
                }
            }
        }
        Ok(None)
    }

    /// The row of that number as storage has it, gone or not.
    pub(super) async fn stored_row(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        recording: &Recording,
        number: u64,
    ) -> Result<Option<Row>, OriginError> {
        if let Some(row) = recording.open.row(number) {
            return Ok(Some(row.clone()));
        }
        let Some(page) = recording.page_of(number) else {
            return Ok(None);
        };
        let rows = self.page(visit, source, page).await?;
        Ok(rows.iter().find(|row| row.number == number).cloned())
    }

    /// The row of that number, from whoever has `track` in it. `snapshot`: what the worker tells. Ok `None` if nobody knows of it.
    pub(super) async fn held(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        (track, number): (&Track, u64),
        snapshot: &mut Told,
    ) -> Result<Option<Held>, OriginError> {
        let recording = self.stored(visit, source, true).await?;
        let of = |timeline: &Timeline, row: &Row, stored| Held {
            row: row.clone(),
            tracks: timeline.tracks.clone(),
            stored,
            ended: timeline.ended,
        };
        let mut known = None;
        if let Some(recording) = &recording {
            if recording.first.is_some_and(|first| number < first) {
                return Ok(None);
            }
            let row = self.stored_row(visit, source, recording, number).await?;
            known = row.map(|row| of(&recording.open, &row, true));
        }
        if known
            .as_ref()
            .is_some_and(|held| held.whole(track).is_some())
        {
            return Ok(known);
        }
        // Storage may have a row before all that is in it.
        if let Some(snapshot) = self.told_once(visit, source, snapshot).await? {
            let timeline = &snapshot.timeline;
            if let Some(row) = timeline.row(number) {
                let in_memory_only = matches!(source, Source::Live(live) if live.preview.is_some());
                // What storage does not know of is with the worker, however fresh the look: other rows may be those that were gone.
                let stored = !in_memory_only && is_old(number, timeline.next_number);
                let told = of(timeline, row, stored);
                if known.is_none() || told.whole(track).is_some() {
                    return Ok(Some(told));
                }
            }
        }
        Ok(known)
    }

    /// The newest rows, asked for at most once.
    pub(super) async fn told_once<'t>(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        told: &'t mut Told,
    ) -> Result<Option<&'t Snapshot>, OriginError> {
        if told.0.is_none() {
            told.0 = Some(self.told(visit, source, None).await?);
        }
        Ok(told.0.as_ref().and_then(Option::as_ref))
    }

    pub(super) fn stored_object(
        &self,
        visit: &Visit<'_, C::Location>,
        found: &Found,
    ) -> Result<Object, OriginError> {
        // A segment is written once: the same bytes by whoever writes it.
        self.storage
            .object(&visit.published.location, &found.name(), "")
            .map_err(storage_error)
    }

    /// The object that has all of a complete segment.
    pub(super) fn whole_object(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
    ) -> Result<Object, OriginError> {
        match at_edge(source, found) {
            Some((broadcast, edge)) => edge_object(edge, broadcast, found, None),
            None => self.stored_object(visit, found),
        }
    }
}

/// Whose memory has a segment, if it is not in storage.
pub(super) fn at_edge<'a>(source: Source<'a>, found: &Found) -> Option<(&'a Broadcast, &'a Edge)> {
    match source {
        Source::Live(broadcast) if !found.stored => {
            broadcast.edge.as_ref().map(|edge| (broadcast, edge))
        }
        Source::Live(_) | Source::Film(_) => None,
    }
}

pub(super) fn found(
    timeline: &Timeline,
    index: TrackIndex,
    row: Row,
    segment: Segment,
    stored: bool,
) -> Option<Found> {
    let following: Option<Vec<SegmentTime>> = timeline.row(row.number).map(|_| {
        let newer = timeline
            .segments(index)
            .filter(|(other, newer)| other.number > row.number && newer.complete);
        let times = newer.map(|(_, next)| SegmentTime {
            start: next.start,
            duration: next.duration.into(),
        });
        times.take(LOOK_AHEAD).collect()
    });
    Some(Found {
        track: timeline.tracks.get(usize::from(index))?.clone(),
        index,
        next: following
            .as_ref()
            .and_then(|next| Some(next.first()?.start)),
        following,
        row,
        segment,
        stored,
        ended: timeline.ended,
        tracks: timeline.tracks.clone(),
    })
}

/// Whether a row is so old that the worker may have put it out of its memory.
pub(super) fn is_old(number: u64, next: Option<u64>) -> bool {
    next.is_none_or(|next| number.saturating_add(ROWS_AT_EDGE) < next)
}

/// Whether a time is beyond what a track has, and near enough to come.
fn is_ahead(snapshot: &Snapshot, index: TrackIndex, start: u64) -> bool {
    let timeline = &snapshot.timeline;
    let track = timeline.tracks.get(usize::from(index));
    let newest = timeline.segments(index).last();
    let (Some(track), Some((_, newest)), false) = (track, newest, timeline.ended) else {
        return false;
    };
    let Some(config) = track.configs.get(usize::from(newest.config)) else {
        return false;
    };
    let scale = u64::from(config.timescale.get());
    let ahead_ms = ROWS_AHEAD.saturating_mul(snapshot.interval_ms.into());
    let ahead = ahead_ms
        .saturating_mul(scale)
        .checked_div(1_000)
        .unwrap_or(0);
    start > newest.start && start <= newest.start.saturating_add(ahead)
}

pub(super) fn edge_url(
    edge: &Edge,
    broadcast: &Broadcast,
    found: &Found,
    part: Option<usize>,
) -> String {
    let path = path::media(&broadcast.event, found.index, found.row.number, part, 0);
    format!("{}{path}&key={}", edge.url, edge.secret)
}

pub(super) fn edge_object(
    edge: &Edge,
    broadcast: &Broadcast,
    found: &Found,
    part: Option<usize>,
) -> Result<Object, OriginError> {
    Object::new(edge_url(edge, broadcast, found, part), None).map_err(unplannable)
}
