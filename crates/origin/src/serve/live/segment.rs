//! Media of live presentations and recordings: init segments, segments, parts.

use super::super::fragment::{Asked, segment_plan, unplannable};
use super::super::{Origin, Visit};
use super::load::Source;
use super::media_meta;
use crate::address::{Format, Part};
use crate::answer::{Body, Content, Growing, Resource};
use crate::error::{Code, OriginError};
use crate::index::{Freshness, storage_error};
use crate::live::{Broadcast, Edge};
use crate::ports::{Catalog, Storage};
use crate::tag::Tag;
use headwater_live::archive::{self, Recording};
use headwater_live::edge::{Place, Snapshot, path};
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Segment, Timeline, Track, TrackIndex, clock_of_ticks};
use headwater_plan::Object;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};

/// The worker has at least so many of its newest rows in memory.
const ROWS_AT_EDGE: u64 = 10;
/// A part that is hinted at is waited for so long.
const PART_PATIENCE_MS: u64 = 6_000;

pub(super) enum Media {
    Whole(Resource),
    Growing(Response<Body>),
}

/// A segment, and where it is.
struct Found<'a> {
    track: &'a Track,
    index: TrackIndex,
    number: u64,
    segment: Segment,
}

fn none() -> OriginError {
    OriginError::new(
        Code::FragmentTimestampNotFound,
        "no segment of the track starts at this time",
    )
}

fn not_ready() -> OriginError {
    OriginError::new(Code::FragmentNotReady, "the segment is still to come")
}

fn content_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "video/mp4",
        Kind::Audio => "audio/mp4",
    }
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    pub(super) async fn live_segment(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
    ) -> Result<Media, OriginError> {
        match (asked.part, asked.options.part) {
            (Part::Init, config) => self.live_init(visit, source, asked, config).await,
            (Part::Start(number), Some(part)) if asked.options.format == Format::HlsCmaf => {
                self.live_part(visit, source, asked, (number, part)).await
            }
            (Part::Start(_), Some(_)) => Err(none()),
            (Part::Start(start), None) => self.whole_segment(visit, source, asked, start).await,
        }
    }

    /// The newest rows, where a worker has them.
    async fn told(
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
    async fn stored(
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

    async fn live_init(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        config: Option<u32>,
    ) -> Result<Media, OriginError> {
        // Heads have the init segments of all tracks that have media in storage.
        let recording = self.stored(visit, source, true).await?;
        let of = |timeline: &Timeline| {
            let index = timeline.find(&asked.track.name, asked.track.bitrate)?;
            let track = timeline.tracks.get(usize::from(index))?;
            let config = u16::try_from(config.unwrap_or(0)).ok()?;
            let found: &Config = timeline.config(index, config)?;
            Some(init(track, found))
        };
        if let Some(found) = recording.and_then(|recording| of(&recording.open)) {
            return Ok(Media::Whole(found));
        }
        let snapshot = self.told(visit, source, None).await?;
        let found = snapshot.and_then(|snapshot| of(&snapshot.timeline));
        let found = found.ok_or_else(|| {
            OriginError::new(
                Code::EgressTrackNotFound,
                "the presentation has no track of this name and bit rate",
            )
        })?;
        Ok(Media::Whole(found))
    }

    async fn live_part(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        (number, part): (u64, u32),
    ) -> Result<Media, OriginError> {
        let (Source::Live(broadcast), Ok(part)) = (source, usize::try_from(part)) else {
            return Err(none());
        };
        let mut snapshot = self.snapshot(visit, broadcast, None).await?;
        let index = |snapshot: &Option<Snapshot>| {
            let timeline = &snapshot.as_ref()?.timeline;
            timeline.find(&asked.track.name, asked.track.bitrate)
        };
        let track = index(&snapshot).ok_or_else(none)?;
        let place = Place {
            track: Some(track),
            number,
            part: Some(part),
        };
        let there = snapshot.as_ref().is_some_and(|s| place.is_in(&s.timeline));
        if !there {
            // What is hinted at is the next part, or the first one of the next segment.
            let next = snapshot.as_ref().and_then(|s| s.timeline.next_number);
            if next.is_some_and(|next| number > next) {
                return Err(not_ready());
            }
            let wait = Some((place, PART_PATIENCE_MS));
            snapshot = self.snapshot(visit, broadcast, wait).await?;
        }
        let snapshot = snapshot.ok_or_else(none)?;
        let timeline = &snapshot.timeline;
        let row = timeline.row(number);
        let segment = row.and_then(|row| row.segments.get(&track));
        let range = segment.and_then(|segment| segment.part_range(part));
        let (Some(segment), Some(range)) = (segment, range) else {
            return Err(match place.is_in(timeline) {
                true => none(),
                false => not_ready(),
            });
        };
        let found = Found {
            track: timeline.tracks.get(usize::from(track)).ok_or_else(none)?,
            index: track,
            number,
            segment: segment.clone(),
        };
        let mut tag = tag(visit, &found);
        tag.text("part");
        tag.number(u64::try_from(part).unwrap_or(u64::MAX));
        let meta = media_meta(content_type(found.track.kind), tag);
        let edge = broadcast.edge.as_ref().ok_or_else(none)?;
        let stored = segment.complete
            && broadcast.preview.is_none()
            && (visit.freshness == Freshness::Looked || is_old(number, timeline.next_number));
        let plan = match stored {
            true => segment_plan(self.stored_object(visit, &found)?, Vec::new(), &[range]),
            false => {
                let len = range.end.saturating_sub(range.start);
                let object = edge_object(edge, broadcast, &found, Some(part))?;
                segment_plan(object, Vec::new(), std::slice::from_ref(&(0..len)))
            }
        };
        let body = Content::Plan(plan.map_err(unplannable)?);
        Ok(Media::Whole(Resource { body, meta }))
    }

    async fn whole_segment(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        start: u64,
    ) -> Result<Media, OriginError> {
        let find = |timeline: &Timeline| -> Option<(TrackIndex, Track, u64, Segment)> {
            let index = timeline.find(&asked.track.name, asked.track.bitrate)?;
            let (row, segment) = timeline.segment_at(index, start)?;
            let track = timeline.tracks.get(usize::from(index))?;
            Some((index, track.clone(), row.number, segment.clone()))
        };
        // Most of what is asked for has been in storage for a while, or is a film.
        let recording = self.stored(visit, source, true).await?;
        let mut found = recording.as_ref().and_then(|r| find(&r.open));
        let mut in_storage = found.is_some();
        let mut next = None;
        if found.is_none() {
            let snapshot = self.told(visit, source, None).await?;
            next = snapshot.as_ref().and_then(|s| s.timeline.next_number);
            found = snapshot.as_ref().and_then(|s| find(&s.timeline));
            let known = snapshot
                .as_ref()
                .and_then(|s| s.timeline.find(&asked.track.name, asked.track.bitrate));
            if let (None, Some(snapshot), Some(index)) = (&found, &snapshot, known)
                && is_ahead(&snapshot.timeline, index, start)
            {
                return Err(not_ready());
            }
        }
        if found.is_none()
            && let Some(recording) = &recording
        {
            found = self.paged(visit, source, recording, asked, start).await?;
            in_storage = found.is_some();
        }
        let (index, track, number, segment) = found.ok_or_else(none)?;
        let found = Found {
            track: &track,
            index,
            number,
            segment,
        };
        let kind = content_type(track.kind);
        let edge = match source {
            Source::Live(broadcast) => broadcast.edge.as_ref().map(|edge| (broadcast, edge)),
            Source::Film(_) => None,
        };
        if !found.segment.complete {
            let (broadcast, edge) = edge.ok_or_else(not_ready)?;
            let url = edge_url(edge, broadcast, &found, None);
            return Ok(Media::Growing(growing(url, kind)));
        }
        let meta = media_meta(kind, tag(visit, &found));
        let in_memory_only = matches!(source, Source::Live(live) if live.preview.is_some());
        let stored = !in_memory_only
            && (in_storage || visit.freshness == Freshness::Looked || is_old(number, next));
        let object = match (stored, edge) {
            (false, Some((broadcast, edge))) => edge_object(edge, broadcast, &found, None)?,
            _ => self.stored_object(visit, &found)?,
        };
        let whole = 0..found.segment.size();
        let plan = segment_plan(object, Vec::new(), std::slice::from_ref(&whole));
        let body = Content::Plan(plan.map_err(unplannable)?);
        Ok(Media::Whole(Resource { body, meta }))
    }

    /// A segment that is in a page.
    async fn paged(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        recording: &Recording,
        asked: Asked<'_>,
        start: u64,
    ) -> Result<Option<(TrackIndex, Track, u64, Segment)>, OriginError> {
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
                let row = rows.iter().find_map(|row| {
                    let segment = row.segments.get(&index)?;
                    (segment.start == start).then(|| (row.number, segment.clone()))
                });
                if let Some((number, segment)) = row
                    && recording.first.is_none_or(|first| number >= first)
                {
                    return Ok(Some((index, track.clone(), number, segment)));
                }
            }
        }
        Ok(None)
    }

    fn stored_object(
        &self,
        visit: &Visit<'_, C::Location>,
        found: &Found<'_>,
    ) -> Result<Object, OriginError> {
        let name = archive::segment_name(found.track, found.segment.start);
        // A segment is written once: the same bytes by whoever writes it.
        self.storage
            .object(&visit.published.location, &name, "")
            .map_err(storage_error)
    }
}

/// Whether a row is so old that the worker may have put it out of its memory.
fn is_old(number: u64, next: Option<u64>) -> bool {
    next.is_none_or(|next| number.saturating_add(ROWS_AT_EDGE) < next)
}

/// Whether a time is beyond what a track has, and near enough to come.
fn is_ahead(timeline: &Timeline, index: TrackIndex, start: u64) -> bool {
    let newest = timeline.segments(index).last();
    newest.is_some_and(|(_, segment)| start > segment.start)
}

fn init(track: &Track, config: &Config) -> Resource {
    let mut tag = Tag::new();
    tag.text("live init");
    tag.text(&track.name);
    tag.number(track.bitrate.into());
    tag.text(&config.codec);
    for chunk in config.init.chunks(8) {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(chunk) {
            *to = *from;
        }
        tag.number(u64::from_le_bytes(bytes));
    }
    Resource {
        body: Content::Bytes(config.init.clone().into()),
        meta: media_meta(content_type(track.kind), tag),
    }
}

fn tag<L>(visit: &Visit<'_, L>, found: &Found<'_>) -> Tag {
    let mut tag = Tag::new();
    tag.text("live");
    tag.text(&visit.published.place);
    tag.text(&archive::segment_name(found.track, found.segment.start));
    tag.number(found.segment.size());
    tag
}

fn edge_url(edge: &Edge, broadcast: &Broadcast, found: &Found<'_>, part: Option<usize>) -> String {
    let path = path::media(&broadcast.event, found.index, found.number, part, 0);
    format!("{}{path}&key={}", edge.url, edge.secret)
}

fn edge_object(
    edge: &Edge,
    broadcast: &Broadcast,
    found: &Found<'_>,
    part: Option<usize>,
) -> Result<Object, OriginError> {
    Object::new(edge_url(edge, broadcast, found, part), None).map_err(unplannable)
}

/// What is still being made, as it is made.
fn growing(url: String, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Growing(Growing(url)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    crate::answer::shared(headers);
    response
}
