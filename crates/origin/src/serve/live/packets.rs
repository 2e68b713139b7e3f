//! Live segments in MPEG-2 TS. A segment is a row's, or that of several rows: pictures, sound, or with version 3 both.
//!
//! Its URL says which rows, so its bytes do not depend on how many a segment has elsewhere, nor on when somebody asks.

use super::super::fragment::{Asked, KEY_FRAME, next_url, unplannable};
use super::super::protected::{Looked, enveloped};
use super::super::{Origin, Visit};
use super::chunks::head;
use super::find::{Found, Held, Told, none, not_ready};
use super::load::Source;
use super::media_meta;
use crate::address::{AudioTrack, Noun, TsVersion};
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
use headwater_live::timeline::{Row, Track, TrackIndex};
use headwater_plan::{PlanBuilder, Source as Stretch};
use std::sync::Arc;

/// Goes into entity tags: with another layout the same segment is other bytes. The second has a metadata stream.
const LAYOUT: &str = "ts 2";

/// What a segment is made of.
struct Rows {
    /// In order; the first has what the segment is named by, and the last has some as well.
    own: Vec<Found>,
    /// The sound that goes with pictures.
    beside: Vec<Found>,
}

/// A track's part of a segment.
struct Stream {
    head: TrackHead,
    carriage: Carriage,
    /// By row.
    chunks: Vec<(Row, Vec<Arc<Chunk>>)>,
    elementary: Elementary,
}

/// The sound that is in the segments of pictures: the first track that they carry, or the one that is asked for.
///
/// Errors: 404 if there is none of that name.
pub(super) fn sound_with_pictures<'a>(
    tracks: impl Iterator<Item = (TrackIndex, &'a Track)>,
    wanted: Option<&AudioTrack>,
) -> Result<Option<TrackIndex>, OriginError> {
    let mut sounds = tracks.filter(|(_, track)| track.kind == Kind::Audio);
    let carried = |track: &Track| {
        let mut configs = track.configs.iter();
        configs.all(|config| transport::carries(&media::head(track, config)))
    };
    let found = match wanted {
        Some(AudioTrack::Silent) => None,
        None => sounds.find(|(_, track)| carried(track)),
        Some(AudioTrack::Named(name)) => {
            let found = sounds.find(|(_, track)| track.name == *name);
            Some(found.ok_or_else(|| {
                OriginError::new(
                    Code::EgressTrackNotFound,
                    "the presentation has no audio track of this name",
                )
            })?)
        }
    };
    Ok(found.map(|(index, _)| index))
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
        let alone = asked.noun == Noun::KeyFrames;
        let rows = match alone {
            true if found.track.kind != Kind::Video => return Err(none()),
            true => Rows {
                own: vec![found],
                beside: Vec::new(),
            },
            false => self.rows(visit, source, asked, found, version).await?,
        };
        let all: Vec<&[Found]> = [rows.own.as_slice(), rows.beside.as_slice()]
            .into_iter()
            .filter(|found| !found.is_empty())
            .collect();
        let mut heads = Vec::with_capacity(all.len());
        for found in all.iter().filter_map(|found| found.first()) {
            heads.push(head(found)?);
        }
        let first = rows.own.first().ok_or_else(none)?;
        let shield = shield.map(|shield| shield.at(first.row.start));
        let shield = shield.as_ref();
        let mut tag = first.tag(visit);
        tag.text(LAYOUT);
        if alone {
            tag.text(KEY_FRAME);
        }
        for found in rows.own.iter().skip(1).chain(&rows.beside) {
            tag.text(&found.name());
            tag.number(found.segment.size());
        }
        if let Some(shield) = shield {
            for head in &heads {
                shield.check(head)?;
            }
            shield.tag_bytes(shield.key_of(&heads)?, &mut tag);
        }
        let mut meta = media_meta(headwater_ts::CONTENT_TYPE, tag);
        if asked.options.fragments.is_none() {
            // Of several rows it is not known how many the next segment has.
            meta.prefetch = next_url(asked, first.next);
        }
        let mut plan = PlanBuilder::new();
        let mut streams = Vec::with_capacity(all.len());
        let number = self.counter(visit, source, first.row.number).await?;
        for (found, head) in all.iter().zip(heads) {
            let found = (*found, number, alone);
            streams.push(self.stream(visit, source, found, head, &mut plan).await?);
        }
        let mut key = None;
        if let (Some(shield), Some(own)) = (shield, streams.first_mut()) {
            key = shield.stream_key(&own.head)?;
            if let (Some(key), TrackKind::Video) = (&key, own.head.kind) {
                let fragments = own.elementary.fragments.iter_mut();
                for ((found, (_, chunks)), fragment) in
                    rows.own.iter().zip(&own.chunks).zip(fragments)
                {
                    let looked = Looked::lengths(key);
                    let map = self.live_map(visit, source, found, chunks, looked).await?;
                    for (sample, found) in fragment.samples.iter_mut().zip(map.iter()) {
                        sample.becomes = found.first().map_or(0, |part| part.protected);
                    }
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
        let tags = messages::tags(told(&streams));
        let tags = Some(tags.as_slice()).filter(|_| !alone);
        let segment = transport::lay_out(&tracks, samples, tags)?;
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

    /// The rows of the segment that begins with `first`.
    ///
    /// Errors: 412 while one may come; 404 if there is no such segment.
    async fn rows(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        first: Found,
        version: TsVersion,
    ) -> Result<Rows, OriginError> {
        let count = asked.options.fragments.unwrap_or_default().get();
        let mut told = Told::default();
        let mut held = vec![Held::from(&first)];
        for number in (first.row.number..).take(count.into()).skip(1) {
            let row = (&first.track, number);
            let Some(next) = self.held(visit, source, row, &mut told).await? else {
                let told = self.told_once(visit, source, &mut told).await?;
                let timeline = told.map(|snapshot| &snapshot.timeline);
                let comes = timeline.is_some_and(|timeline| {
                    !timeline.ended && timeline.next_number.is_none_or(|next| number >= next)
                });
                return Err(if comes { not_ready() } else { none() });
            };
            if next.row.discontinuity {
                return Err(none());
            }
            held.push(next);
        }
        let with_sound = version == TsVersion::V3 && first.track.kind == Kind::Video;
        let wanted = asked.options.audio_track.as_ref();
        let (track, config) = (first.track.clone(), first.segment.config);
        let mut rows = Rows {
            own: vec![first],
            beside: Vec::new(),
        };
        let last = held.len().saturating_sub(1);
        for (at, held) in held.iter().enumerate() {
            if at > 0 {
                let own = held.whole(&track);
                let fits = own.filter(|own| own.segment.config == config);
                match fits {
                    Some(own) => rows.own.push(own),
                    None if at < last => {}
                    // Nobody was told of a segment that ends with nothing.
                    None => return Err(self.missing(visit, source, held, &mut told).await?),
                }
            }
            if with_sound {
                let sound = self
                    .sound_of(visit, source, held, wanted, &mut told)
                    .await?;
                let first = rows.beside.first().map(|first| first.segment.config);
                let fits = |sound: &Found| first.is_none_or(|first| first == sound.segment.config);
                rows.beside.extend(sound.filter(fits));
            }
        }
        Ok(rows)
    }

    /// What is said of a segment that is not in its row: that it may come, or that it does not.
    async fn missing(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        held: &Held,
        told: &mut Told,
    ) -> Result<OriginError, OriginError> {
        let told = self.told_once(visit, source, told).await?;
        let timeline = told.map(|snapshot| &snapshot.timeline);
        let comes = timeline.is_some_and(|timeline| {
            let newest = timeline.next_number.unwrap_or(0).saturating_sub(1);
            !timeline.ended && held.row.number.saturating_add(LATE_ROWS) > newest
        });
        Ok(if comes { not_ready() } else { none() })
    }

    /// The sound of a row. Ok `None` if it has none.
    ///
    /// Errors: 412 while it may come.
    async fn sound_of(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        held: &Held,
        wanted: Option<&AudioTrack>,
        told: &mut Told,
    ) -> Result<Option<Found>, OriginError> {
        let tracks = (0..).zip(&held.tracks);
        let Some(index) = sound_with_pictures(tracks, wanted)? else {
            return Ok(None);
        };
        if let Some(sound) = held.of(index).filter(|sound| sound.segment.complete) {
            return Ok(Some(sound));
        }
        // Storage may have the pictures before the sound.
        let Some(snapshot) = self.told_once(visit, source, told).await? else {
            return Ok(None);
        };
        let timeline = &snapshot.timeline;
        let number = held.row.number;
        let there = timeline
            .row(number)
            .and_then(|row| Some((row, row.segments.get(&index)?)));
        if let Some((row, segment)) = there.filter(|(_, segment)| segment.complete) {
            let (row, segment) = (row.clone(), segment.clone());
            return Ok(super::find::found(timeline, index, row, segment, false));
        }
        // As playlists have it: what came later says that nothing comes any more.
        let mut later = timeline.segments(index);
        let passed = later.any(|(row, segment)| row.number > number && segment.complete);
        let newest = timeline.next_number.unwrap_or(0).saturating_sub(1);
        match !passed && number.saturating_add(LATE_ROWS) > newest && !timeline.ended {
            true => Err(not_ready()),
            false => Ok(None),
        }
    }

    /// What the counters of a segment's tables are taken from: that of the next is one more, but for discontinuities.
    async fn counter(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        row: u64,
    ) -> Result<u32, OriginError> {
        let recording = self.stored(visit, source, true).await?;
        let rows = source.rows_per_segment(recording.as_deref());
        Ok(u32::try_from(rows.stretches(row) & 0x7fff_ffff).unwrap_or(0))
    }

    /// `number`: for the tables in front. `alone`: the first picture of one row.
    async fn stream(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        (rows, number, alone): (&[Found], u32, bool),
        mut head: TrackHead,
        plan: &mut PlanBuilder,
    ) -> Result<Stream, OriginError> {
        let mut chunks = Vec::with_capacity(rows.len());
        let mut parts = Vec::with_capacity(rows.len());
        let mut sources = Vec::new();
        for found in rows {
            let count = match alone {
                true => 1,
                false => found.segment.parts.len(),
            };
            let own = self.chunks(visit, source, found, count).await?;
            let (entry, samples) = media::samples(&found.row, &found.segment, &own);
            if samples.samples.is_empty() {
                return Err(none());
            }
            let object = self.whole_object(visit, source, found)?;
            let object = plan.object(object).map_err(unplannable)?;
            let ranges = samples.ranges.iter().cloned();
            sources.extend(ranges.map(|range| Stretch { object, range }));
            parts.push((entry, samples));
            chunks.push((found.row.clone(), own));
        }
        if head.kind == TrackKind::Video {
            let samples = parts.iter().flat_map(|(_, samples)| &samples.samples);
            head.frame_rate = media::frame_rate(samples, head.timescale);
        }
        let carriage = transport::carriage(&head)
            .map_err(|why| OriginError::new(Code::FormatNotSupported, why))?;
        let fragments = parts.iter().enumerate().map(|(at, (entry, samples))| {
            let mut fragment = transport::fragment(entry, samples, &carriage);
            // One segment, one set of tables.
            fragment.number = (at == 0).then_some(number);
            fragment
        });
        let mut elementary = Elementary {
            fragments: fragments.collect(),
            sources,
        };
        if alone {
            let first = elementary.fragments.first();
            let first = first.and_then(|fragment| fragment.samples.first());
            if first.is_none_or(|sample| !sample.sync) {
                return Err(none());
            }
            elementary.keep_first();
        }
        Ok(Stream {
            head,
            carriage,
            chunks,
            elementary,
        })
    }
}

/// Chunks and starts of a segment's rows. All tracks of a row carry the same messages: each row's are taken from the first that
/// is in it.
fn told(streams: &[Stream]) -> Vec<(&[Arc<Chunk>], i64)> {
    let mut rows: Vec<(&Row, &[Arc<Chunk>])> = Vec::new();
    for (row, chunks) in streams.iter().flat_map(|stream| &stream.chunks) {
        if rows.iter().all(|(known, _)| known.number != row.number) {
            rows.push((row, chunks));
        }
    }
    rows.sort_by_key(|(row, _)| row.number);
    let rows = rows.into_iter();
    rows.map(|(row, chunks)| (chunks, row.start)).collect()
}
