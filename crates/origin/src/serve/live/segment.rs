//! Media of live presentations and recordings in CMAF: init segments, segments, parts.

use super::super::fragment::{Asked, KEY_FRAME, next_url, segment_plan, unplannable};
use super::super::protected::{Looked, enveloped, wide};
use super::super::{Origin, Visit};
use super::chunks::head;
use super::find::{
    Found, ROWS_AHEAD, at_edge, edge_object, edge_url, found, is_old, none, not_ready,
};
use super::load::Source;
use super::media_meta;
use crate::address::{Format, Noun, Part};
use crate::answer::{Body, Content, Growing, Resource};
use crate::error::{Code, OriginError};
use crate::index::Freshness;
use crate::live::{cues, media};
use crate::ports::{Catalog, Storage};
use crate::segments::{damaged, first_picture};
use crate::shield::{LicenceData, Shield, unprotectable};
use crate::tag::Tag;
use headwater_cmaf::index::{TrackHead, segment_head};
use headwater_live::chunk::Chunk;
use headwater_live::edge::{Place, Snapshot};
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Timeline, Track};
use headwater_plan::{Plan, PlanBuilder, SubsampleMap};
use headwater_protect::{Period, ProtectedSegment, RowIvs, Scheme, SegmentProtection};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use std::sync::Arc;

/// A part that is hinted at is waited for so long.
const PART_PATIENCE_MS: u64 = 6_000;

pub(super) enum Media {
    Whole(Resource),
    Growing(Response<Body>),
}

pub(super) fn content_type(kind: Kind) -> &'static str {
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
        shield: Option<&Shield>,
    ) -> Result<Media, OriginError> {
        let start = match (asked.part, asked.options.part) {
            (Part::Init, config) => {
                let period = asked.options.period.map(Period::numbered);
                // Where keys rotate an init segment is of one period, but for whole segments, whose keys it does not name.
                let named = shield.filter(|shield| shield.samples().is_some());
                if named.is_some_and(Shield::rotates) != period.is_some() {
                    return Err(none());
                }
                let shield = shield.map(|shield| shield.in_period(period));
                let init = self
                    .live_init(visit, source, asked, config, shield.as_ref())
                    .await?;
                return Ok(Media::Whole(init));
            }
            (Part::Start(number), Some(part)) => {
                if asked.options.format != Format::HlsCmaf {
                    return Err(none());
                }
                let part = self
                    .live_part(visit, source, asked, (number, part), shield)
                    .await?;
                return Ok(Media::Whole(part));
            }
            (Part::Start(start), None) => start,
        };
        let resource = match asked.options.format {
            Format::Smooth(_) if asked.track.name == cues::SPARSE && asked.track.bitrate == 0 => {
                self.live_cue(visit, source, asked, start, shield).await?
            }
            Format::Smooth(_) => {
                self.live_fragment(visit, source, asked, start, shield)
                    .await?
            }
            Format::HlsTs(version) => {
                self.live_packets(visit, source, asked, (start, version), shield)
                    .await?
            }
            Format::HlsCmaf | Format::DashCsf | Format::DashCmaf => {
                let found = self.find(visit, source, asked, start).await?;
                let shield = shield.map(|shield| shield.at(found.row.start));
                let shield = shield.as_ref();
                let prefetch = next_url(asked, found.next);
                if asked.noun == Noun::KeyFrames {
                    let mut picture = self.key_frame(visit, source, &found, shield).await?;
                    picture.meta.prefetch = prefetch;
                    return Ok(Media::Whole(picture));
                }
                if !found.segment.complete {
                    // What is not complete cannot be encrypted as it comes.
                    let (broadcast, edge) = at_edge(source, &found)
                        .filter(|_| shield.is_none())
                        .ok_or_else(not_ready)?;
                    let url = edge_url(edge, broadcast, &found, None);
                    return Ok(Media::Growing(growing(url, content_type(found.track.kind))));
                }
                let mut resource = self.whole_segment(visit, source, &found, shield).await?;
                resource.meta.prefetch = prefetch;
                resource
            }
        };
        Ok(Media::Whole(resource))
    }

    async fn live_init(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        config: Option<u32>,
        shield: Option<&Shield>,
    ) -> Result<Resource, OriginError> {
        // Heads have the init segments of all tracks that have media in storage.
        let recording = self.stored(visit, source, true).await?;
        let of = |timeline: &Timeline| {
            let index = timeline.find(&asked.track.name, asked.track.bitrate)?;
            let track = timeline.tracks.get(usize::from(index))?;
            let config = u16::try_from(config.unwrap_or(0)).ok()?;
            let found: &Config = timeline.config(index, config)?;
            Some(init(track, found, asked.options.format, shield))
        };
        if let Some(found) = recording.and_then(|recording| of(&recording.open)) {
            return found;
        }
        let snapshot = self.told(visit, source, None).await?;
        let found = snapshot.and_then(|snapshot| of(&snapshot.timeline));
        found.ok_or_else(|| {
            OriginError::new(
                Code::EgressTrackNotFound,
                "the presentation has no track of this name and bit rate",
            )
        })?
    }

    async fn live_part(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        (number, part): (u64, u32),
        shield: Option<&Shield>,
    ) -> Result<Resource, OriginError> {
        let (Source::Live(broadcast), Ok(part)) = (source, usize::try_from(part)) else {
            return Err(none());
        };
        if shield.is_some_and(|shield| shield.samples().is_none()) {
            return Err(OriginError::new(
                Code::EncryptionNotSupported,
                "with encryption=cbc whole segments are encrypted, and there are no parts",
            ));
        }
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
            if let Some(next) = next.filter(|next| number > *next) {
                return Err(match number > next.saturating_add(ROWS_AHEAD) {
                    true => none(),
                    false => not_ready(),
                });
            }
            let wait = Some((place, PART_PATIENCE_MS));
            snapshot = self.snapshot(visit, broadcast, wait).await?;
        }
        let snapshot = snapshot.ok_or_else(none)?;
        let timeline = &snapshot.timeline;
        let row = timeline.row(number);
        let segment = row.and_then(|row| row.segments.get(&track));
        let range = segment.and_then(|segment| segment.part_range(part));
        let (Some(row), Some(segment), Some(range)) = (row, segment, range) else {
            return Err(match place.is_in(timeline) {
                true => none(),
                false => not_ready(),
            });
        };
        let stored = segment.complete
            && broadcast.preview.is_none()
            && (visit.freshness == Freshness::Looked || is_old(number, timeline.next_number));
        let found = found(timeline, track, row.clone(), segment.clone(), stored);
        let found = found.ok_or_else(none)?;
        let shield = shield.map(|shield| shield.at(found.row.start));
        let shield = shield.as_ref();
        let mut tag = found.tag(visit);
        tag.text("part");
        tag.number(wide(part));
        if let Some(shield) = shield {
            shield.tag_bytes(shield.key(&head(&found)?)?, &mut tag);
        }
        let meta = media_meta(content_type(found.track.kind), tag);
        if let Some(shield) = shield
            && let Some(plan) = self
                .encrypted(visit, source, &found, part..part.saturating_add(1), shield)
                .await?
        {
            let body = Content::Plan(plan);
            return Ok(Resource { body, meta });
        }
        let plan = match stored {
            true => segment_plan(self.stored_object(visit, &found)?, Vec::new(), &[range]),
            false => {
                let len = range.end.saturating_sub(range.start);
                let edge = broadcast.edge.as_ref().ok_or_else(none)?;
                let object = edge_object(edge, broadcast, &found, Some(part))?;
                segment_plan(object, Vec::new(), std::slice::from_ref(&(0..len)))
            }
        };
        let body = Content::Plan(plan.map_err(unplannable)?);
        Ok(Resource { body, meta })
    }

    /// The first picture of a segment as a segment of its own.
    ///
    /// Errors: 412 while the segment is not complete; 404 if it does not begin with one that decodes by itself, or is of sound.
    async fn key_frame(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        shield: Option<&Shield>,
    ) -> Result<Resource, OriginError> {
        if found.track.kind != Kind::Video {
            return Err(none());
        }
        if !found.segment.complete {
            return Err(not_ready());
        }
        let head = head(found)?;
        let mut tag = found.tag(visit);
        tag.text(KEY_FRAME);
        if let Some(shield) = shield {
            shield.check(&head)?;
            shield.tag_bytes(shield.key(&head)?, &mut tag);
        }
        let meta = media_meta(content_type(found.track.kind), tag);
        let chunks = self.chunks(visit, source, found, 1).await?;
        let (entry, samples) = media::samples(&found.row, &found.segment, &chunks);
        let samples = first_picture(entry.duration, &samples)?;
        let clear = segment_head(&head, &entry, &samples).map_err(damaged)?;
        let object = self.whole_object(visit, source, found)?;
        let protected = match shield {
            Some(shield) => shield.of_samples(&head)?,
            None => None,
        };
        let plan = match protected {
            None => {
                let plan = segment_plan(object, clear, &samples.ranges);
                enveloped(plan.map_err(unplannable)?, shield, [&head])?
            }
            Some((protection, key)) => {
                let of = (&head, &protection);
                let map = self.live_subsamples(visit, source, found, &chunks, of);
                let mut map = map.await?;
                map.truncate(1);
                let first_iv = self.first_iv(visit, source, found, &protection, map.len())?;
                let made = ProtectedSegment::plan(&protection, &clear, map, first_iv, None);
                let made = made.map_err(unprotectable)?;
                let head_len = wide(made.head.len());
                let plan = segment_plan(object, made.head, &samples.ranges)
                    .and_then(|plan| plan.cover(head_len, made.cipher, key.key.clone()));
                plan.map_err(unplannable)?
            }
        };
        let body = Content::Plan(plan);
        Ok(Resource { body, meta })
    }

    async fn whole_segment(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        shield: Option<&Shield>,
    ) -> Result<Resource, OriginError> {
        let head = head(found)?;
        let mut tag = found.tag(visit);
        if let Some(shield) = shield {
            shield.check(&head)?;
            shield.tag_bytes(shield.key(&head)?, &mut tag);
        }
        let meta = media_meta(content_type(found.track.kind), tag);
        if let Some(shield) = shield {
            let parts = 0..found.segment.parts.len();
            if let Some(plan) = self.encrypted(visit, source, found, parts, shield).await? {
                let body = Content::Plan(plan);
                return Ok(Resource { body, meta });
            }
        }
        let object = self.whole_object(visit, source, found)?;
        let whole = 0..found.segment.size();
        let plan = segment_plan(object, Vec::new(), std::slice::from_ref(&whole));
        let plan = enveloped(plan.map_err(unplannable)?, shield, [&head])?;
        let body = Content::Plan(plan);
        Ok(Resource { body, meta })
    }

    /// Some neighbouring parts of a segment with their samples encrypted. Ok `None` if those of the track are not.
    async fn encrypted(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        parts: std::ops::Range<usize>,
        shield: &Shield,
    ) -> Result<Option<Plan>, OriginError> {
        let head = head(found)?;
        let Some((protection, key)) = shield.of_samples(&head)? else {
            return Ok(None);
        };
        let chunks = self.chunks(visit, source, found, parts.end).await?;
        let mut map = self
            .live_subsamples(visit, source, found, &chunks, (&head, &protection))
            .await?;
        let first_iv = self.first_iv(visit, source, found, &protection, map.len())?;
        let media = self.media(visit, source, found, parts.end)?;
        let before = chunks.get(..parts.start).unwrap_or_default();
        let before = before.iter().map(|chunk| chunk.samples.len());
        let before = before.fold(0, usize::saturating_add);
        let own: Vec<Arc<Chunk>> = chunks.get(parts.clone()).unwrap_or_default().to_vec();
        let map = map.split_off(before.min(map.len()));
        let first_iv = first_iv.wrapping_add(wide(before));
        let protected = media::protect(&protection, &own, map, first_iv)?;
        let mut plan = PlanBuilder::new();
        let first_len = wide(protected.heads.first().map_or(0, Vec::len));
        let mut last = None;
        for (head, (object, range)) in protected
            .heads
            .into_iter()
            .zip(media.into_iter().skip(parts.start))
        {
            let number = match last {
                Some((known, number)) if known == object => number,
                _ => plan.object(object.clone()).map_err(unplannable)?,
            };
            plan.inline(head).map_err(unplannable)?;
            plan.range(number, range).map_err(unplannable)?;
            last = Some((object, number));
        }
        let plan = plan.finish();
        let plan = plan.cover(first_len, protected.cipher, key.key.clone());
        plan.map_err(unplannable).map(Some)
    }

    /// The subsamples of a segment's first chunks.
    pub(super) async fn live_subsamples(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        chunks: &[Arc<Chunk>],
        (head, protection): (&TrackHead, &SegmentProtection),
    ) -> Result<SubsampleMap, OriginError> {
        if !protection.video {
            let samples = chunks.iter().flat_map(|chunk| &chunk.samples);
            return Ok(SegmentProtection::whole(samples.map(|sample| sample.size)));
        }
        let looked = Looked::subsamples(protection.scheme, head)?;
        let map = self.live_map(visit, source, found, chunks, looked).await?;
        Ok(SubsampleMap::clone(&map))
    }

    /// The initialisation vector of a segment's first sample. `samples`: how many are known.
    pub(super) fn first_iv(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        protection: &SegmentProtection,
        samples: usize,
    ) -> Result<u64, OriginError> {
        if protection.scheme == Scheme::Cbcs {
            // Has no use for it.
            return Ok(0);
        }
        let identity = format!("{}\n{}", visit.published.place, source.manifest());
        RowIvs::new(protection.kid, identity.as_bytes())
            .first(found.row.number, found.index, samples)
            .map_err(unprotectable)
    }
}

fn init(
    track: &Track,
    config: &Config,
    format: Format,
    shield: Option<&Shield>,
) -> Result<Resource, OriginError> {
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
    let bytes = match shield {
        None => config.init.clone(),
        Some(shield) => {
            let licence_data = LicenceData::of(format);
            tag.text(&format!("{licence_data:?}"));
            shield.tag(&mut tag)?;
            let head = media::head(track, config);
            shield.check(&head)?;
            shield.init(&head, licence_data)?
        }
    };
    Ok(Resource {
        body: Content::Bytes(bytes.into()),
        meta: media_meta(content_type(track.kind), tag),
    })
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
