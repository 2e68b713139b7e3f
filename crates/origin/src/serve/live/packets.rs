//! Live segments in MPEG-2 TS. A segment is a row's: pictures, sound, or with version 3 both.

use super::super::fragment::{Asked, unplannable};
use super::super::protected::{Looked, enveloped};
use super::super::{Origin, Visit};
use super::chunks::head;
use super::find::{Found, none, not_ready};
use super::load::Source;
use super::media_meta;
use crate::address::TsVersion;
use crate::answer::{Content, Resource};
use crate::error::{Code, OriginError};
use crate::live::show::LATE_ROWS;
use crate::live::{media, messages};
use crate::ports::{Catalog, Storage};
use crate::shield::Shield;
use crate::transport::{self, Carriage, Elementary, Samples};
use headwater_cmaf::index::{TrackHead, TrackKind};
use headwater_live::chunk::Chunk;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Track, TrackIndex};
use headwater_plan::{PlanBuilder, Source as Stretch};
use std::sync::Arc;

/// Goes into entity tags: with another layout the same segment is other bytes. The second has a metadata stream.
const LAYOUT: &str = "ts 2";

/// A track's part of a segment.
struct Stream {
    head: TrackHead,
    carriage: Carriage,
    chunks: Vec<Arc<Chunk>>,
    elementary: Elementary,
}

/// The sound that is in the segments of pictures: the first track, or the one that is asked for.
///
/// Errors: 404 if there is none of that name.
pub(super) fn sound_with_pictures<'a>(
    tracks: impl Iterator<Item = (TrackIndex, &'a Track)>,
    name: Option<&str>,
) -> Result<Option<TrackIndex>, OriginError> {
    let mut sounds = tracks.filter(|(_, track)| track.kind == Kind::Audio);
    let found = sounds.find(|(_, track)| name.is_none_or(|name| track.name == name));
    match (found, name) {
        (None, Some(_)) => Err(OriginError::new(
            Code::EgressTrackNotFound,
            "the presentation has no audio track of this name",
        )),
        (found, _) => Ok(found.map(|(index, _)| index)),
    }
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    pub(super) async fn live_packets(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        (start, version): (u64, TsVersion),
        shield: Option<&Shield>,
    ) -> Result<Resource, OriginError> {
        let found = self.find(visit, source, asked, start).await?;
        if !found.segment.complete {
            return Err(not_ready());
        }
        let beside = match (version, found.track.kind) {
            (TsVersion::V3, Kind::Video) => {
                let wanted = asked.options.audio_track.as_deref();
                self.sound_of(visit, source, &found, wanted).await?
            }
            _ => None,
        };
        let all: Vec<&Found> = std::iter::once(&found).chain(&beside).collect();
        let mut heads = Vec::with_capacity(all.len());
        for found in &all {
            heads.push(head(found)?);
        }
        let mut tag = found.tag(visit);
        tag.text(LAYOUT);
        if let Some(beside) = &beside {
            tag.text(&beside.name());
            tag.number(beside.segment.size());
        }
        if let Some(shield) = shield {
            for head in &heads {
                shield.check(head)?;
            }
            shield.tag_bytes(shield.key_of(&heads)?, &mut tag);
        }
        let meta = media_meta(headwater_ts::CONTENT_TYPE, tag);
        let mut plan = PlanBuilder::new();
        let mut streams = Vec::with_capacity(all.len());
        for (found, head) in all.iter().zip(heads) {
            streams.push(self.stream(visit, source, found, head, &mut plan).await?);
        }
        let mut key = None;
        if let (Some(shield), Some(own)) = (shield, streams.first_mut()) {
            key = shield.stream_key(&own.head)?;
            if let (Some(key), TrackKind::Video) = (&key, own.head.kind) {
                let looked = Looked::lengths(key);
                let map = self
                    .live_map(visit, source, &found, &own.chunks, looked)
                    .await?;
                let samples = own.elementary.fragments.iter_mut();
                let samples = samples.flat_map(|fragment| &mut fragment.samples);
                for (sample, found) in samples.zip(map.iter()) {
                    sample.becomes = found.first().map_or(0, |part| part.protected);
                }
            }
        }
        let tracks: Vec<_> = streams
            .iter()
            .map(|s| (&s.head, &s.carriage, s.elementary.fragments.as_slice()))
            .collect();
        let samples = match &key {
            Some(_) => Samples::Encrypted,
            None => Samples::Clear,
        };
        // All tracks of a row carry the same messages.
        let own = streams.first().map(|own| own.chunks.as_slice());
        let tags = messages::tags(own.unwrap_or_default(), found.row.start);
        let segment = transport::lay_out(&tracks, samples, Some(&tags))?;
        let of = |kind: TrackKind| streams.iter().find(|s| s.head.kind == kind);
        let video = of(TrackKind::Video).map(|stream| &stream.elementary);
        let audio = of(TrackKind::Audio).map(|stream| &stream.elementary);
        let step = transport::packetise(segment, video, audio, key).map_err(unplannable)?;
        plan.packetise(step).map_err(unplannable)?;
        let heads = streams.iter().map(|stream| &stream.head);
        let plan = enveloped(plan.finish(), shield, heads)?;
        let body = Content::Plan(plan);
        Ok(Resource { body, meta })
    }

    /// The sound of the row that `pictures` are in. Ok `None` if it has none.
    ///
    /// Errors: 412 while it may come.
    async fn sound_of(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        pictures: &Found,
        wanted: Option<&str>,
    ) -> Result<Option<Found>, OriginError> {
        let tracks = (0..).zip(&pictures.tracks);
        let Some(index) = sound_with_pictures(tracks, wanted)? else {
            return Ok(None);
        };
        let beside = pictures.beside(index);
        if let Some(sound) = beside.filter(|sound| sound.segment.complete) {
            return Ok(Some(sound));
        }
        // Storage may have the pictures before the sound.
        let Some(snapshot) = self.told(visit, source, None).await? else {
            return Ok(None);
        };
        let timeline = &snapshot.timeline;
        let number = pictures.row.number;
        let there = timeline
            .row(number)
            .and_then(|row| Some((row, row.segments.get(&index)?)));
        if let Some((row, segment)) = there.filter(|(_, segment)| segment.complete) {
            let (row, segment) = (row.clone(), segment.clone());
            return Ok(super::find::found(timeline, index, row, segment, false));
        }
        let newest = timeline.next_number.unwrap_or(0).saturating_sub(1);
        match number.saturating_add(LATE_ROWS) > newest && !timeline.ended {
            true => Err(not_ready()),
            false => Ok(None),
        }
    }

    async fn stream(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        mut head: TrackHead,
        plan: &mut PlanBuilder,
    ) -> Result<Stream, OriginError> {
        let count = found.segment.parts.len();
        let chunks = self.chunks(visit, source, found, count).await?;
        let (entry, samples) = media::samples(&found.row, &found.segment, &chunks);
        if head.kind == TrackKind::Video {
            head.frame_rate = media::frame_rate(&samples.samples, head.timescale);
        }
        let carriage = transport::carriage(&head)
            .map_err(|why| OriginError::new(Code::FormatNotSupported, why))?;
        if samples.samples.is_empty() {
            return Err(none());
        }
        let object = self.whole_object(visit, source, found)?;
        let object = plan.object(object).map_err(unplannable)?;
        let ranges = samples.ranges.iter().cloned();
        let elementary = Elementary {
            sources: ranges.map(|range| Stretch { object, range }).collect(),
            fragments: vec![transport::fragment(&entry, &samples, &carriage)],
        };
        Ok(Stream {
            head,
            carriage,
            chunks,
            elementary,
        })
    }
}
