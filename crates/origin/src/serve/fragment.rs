//! Segments in every container, init segments, and files.

use super::protected::{enveloped, wide};
use super::{FILE_CACHE, Made, Origin, SEGMENT_CACHE, Visit, made};
use crate::address::{Format, Noun, Options, Part, TrackAddress, TsVersion, child};
use crate::answer::{self, Coding, Content, Meta, Request};
use crate::error::{Code, OriginError};
use crate::index::storage_error;
use crate::manifests::smooth::Clock;
use crate::policy;
use crate::ports::{Catalog, Storage, StorageError};
use crate::presentation::Track;
use crate::segments::{TrackReader, damaged, first_picture};
use crate::shield::{LicenceData, Shield};
use crate::smooth;
use crate::tag::Tag;
use crate::transport::{self, Carriage, Elementary, Samples};
use bytes::Bytes;
use headwater_cmaf::index::{MAX_RUNS, SegmentEntry, TrackKind, segment_head};
use headwater_plan::{MAX_STEPS, Object, Plan, PlanBuilder, PlanError, Source};
use headwater_protect::{Key, ProtectedSegment};
use std::ops::Range;

/// A segment's URL.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) track: &'a TrackAddress,
    pub(super) part: Part,
    pub(super) noun: Noun,
    pub(super) options: &'a Options,
}

pub(super) fn none() -> OriginError {
    OriginError::new(
        Code::FragmentTimestampNotFound,
        "no segment of the track starts at this time",
    )
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    pub(super) async fn fragment(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        asked: Asked<'_>,
    ) -> Result<Made, OriginError> {
        let options = asked.options;
        if options.part.is_some() || options.fragments.is_some() || options.period.is_some() {
            return Err(none());
        }
        if let Some(found) = self.text_track(visit, asked.track).await? {
            return self.text_fragment(request, visit, asked, &found).await;
        }
        if let Some(images) = self.images_named(visit, asked.track, asked.options).await? {
            return match asked.part {
                Part::Start(number) if asked.noun == Noun::Fragments => {
                    let file = images.file(number).ok_or_else(none)?;
                    self.file(request, visit, file).await
                }
                _ => Err(none()),
            };
        }
        let track = self.track(visit, asked.track).await?;
        let shield = self.shield(visit, asked.options).await?;
        let shield = shield.as_ref();
        if let Some(shield) = shield {
            shield.check(track.head()?)?;
        }
        match (asked.options.format, asked.part) {
            (format, Part::Init) => Self::init(&track, shield, format),
            (Format::HlsTs(version), Part::Start(time)) => {
                let time = (time, version);
                self.transport_stream(request, visit, asked, (&track, shield), time)
                    .await
            }
            (Format::Smooth(_), Part::Start(time)) => {
                self.smooth_fragment(request, visit, asked, (&track, shield), time)
                    .await
            }
            (_, Part::Start(time)) => {
                self.cmaf_segment(request, visit, asked, (&track, shield), time)
                    .await
            }
        }
    }

    fn init(track: &Track, shield: Option<&Shield>, format: Format) -> Result<Made, OriginError> {
        let head = track.head()?;
        let mut tag = Tag::new();
        tag.track_bytes(track);
        tag.text("init");
        let bytes = match shield {
            None => Bytes::copy_from_slice(&head.init),
            Some(shield) => {
                let licence_data = LicenceData::of(format);
                tag.text(&format!("{licence_data:?}"));
                shield.tag(&mut tag)?;
                shield.init(head, licence_data)?.into()
            }
        };
        Ok(made(
            Content::Bytes(bytes),
            meta(mp4_type(head.kind), tag, None),
        ))
    }

    async fn cmaf_segment(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        asked: Asked<'_>,
        (track, shield): (&Track, Option<&Shield>),
        time: u64,
    ) -> Result<Made, OriginError> {
        let reader = self.reader(visit, track)?;
        let head = reader.head;
        let alone = is_key_frame(asked, head.kind)?;
        let entry = reader.at(time).await?;
        let mut tag = Tag::new();
        tag.track_bytes(track);
        tag.number(entry.number.into());
        if alone {
            tag.text(KEY_FRAME);
        }
        if let Some(shield) = shield {
            shield.tag_bytes(shield.key(head)?, &mut tag);
        }
        let next = next_url(asked, reader.next_start(&entry).await?);
        let meta = meta(mp4_type(head.kind), tag, next);
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        if let Some(shield) = shield
            && let Some((protection, key)) = shield.of_samples(head)?
        {
            let mut samples = reader.samples(&entry).await?;
            if alone {
                samples = first_picture(entry.duration, &samples)?;
            }
            let clear = segment_head(head, &entry, &samples).map_err(damaged)?;
            let protected = self
                .protect(
                    visit,
                    &reader,
                    track,
                    &entry,
                    &samples,
                    (&protection, &clear),
                )
                .await?;
            let head_len = wide(protected.head.len());
            let object = reader.object(&entry, &samples)?;
            let plan = segment_plan(object, protected.head, &samples.ranges)
                .and_then(|plan| plan.cover(head_len, protected.cipher, key.key.clone()));
            return Ok(made(Content::Plan(plan.map_err(unplannable)?), meta));
        }
        let stored = entry.stored.clone().filter(|_| !alone);
        let (object, inline, ranges) = match stored {
            Some(range) => (self.object(&reader)?, Vec::new(), vec![range]),
            None => {
                let mut samples = reader.samples(&entry).await?;
                if alone {
                    samples = first_picture(entry.duration, &samples)?;
                }
                let inline = segment_head(head, &entry, &samples).map_err(damaged)?;
                (reader.object(&entry, &samples)?, inline, samples.ranges)
            }
        };
        let plan = segment_plan(object, inline, &ranges).map_err(unplannable)?;
        let plan = enveloped(plan, shield, [head])?;
        Ok(made(Content::Plan(plan), meta))
    }

    async fn smooth_fragment(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        asked: Asked<'_>,
        (track, shield): (&Track, Option<&Shield>),
        time: u64,
    ) -> Result<Made, OriginError> {
        let reader = self.reader(visit, track)?;
        let head = reader.head;
        let clock = Clock::of(head);
        let ticks = clock.ticks(time).ok_or_else(none)?;
        let entry = reader.at(ticks).await?;
        let mut tag = Tag::new();
        tag.track_bytes(track);
        tag.text("smooth");
        tag.number(entry.number.into());
        tag.number(match asked.noun {
            Noun::Fragments => 0,
            Noun::FragmentInfo => 1,
            Noun::RawFragments => 2,
            Noun::KeyFrames => 3,
        });
        if let Some(shield) = shield {
            shield.tag_bytes(shield.key(head)?, &mut tag);
        }
        let next = next_smooth_url(asked, clock, reader.next_start(&entry).await?);
        let meta = meta(mp4_type(head.kind), tag, next);
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        let samples = reader.samples(&entry).await?;
        let fragment = smooth::fragment(head, &entry, &samples, (clock, &[]), asked.noun)?;
        let object = reader.object(&entry, &samples)?;
        let protected = match shield.map(|shield| shield.of_samples(head)).transpose()? {
            Some(Some((protection, key))) => {
                let (map, first_iv) = self
                    .vectors(visit, &reader, track, &entry, &samples, &protection)
                    .await?;
                let made = fragment.protect(&protection, map, first_iv)?;
                Some((made, key.key.clone()))
            }
            _ => None,
        };
        let plan = smooth_plan(fragment, object, asked.noun, protected)?;
        let plan = enveloped(plan, shield, [head])?;
        Ok(made(Content::Plan(plan), meta))
    }

    /// `time`: the start of the segment's first fragment, and the dialect.
    async fn transport_stream(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        asked: Asked<'_>,
        (track, shield): (&Track, Option<&Shield>),
        (time, version): (u64, TsVersion),
    ) -> Result<Made, OriginError> {
        let reader = self.reader(visit, track)?;
        let head = reader.head;
        let carriage = transport::carriage(head)
            .map_err(|why| OriginError::new(Code::FormatNotSupported, why))?;
        let alone = is_key_frame(asked, head.kind)?;
        let count = match alone {
            true => 1,
            false => transport::fragments_per_hls_segment(head, track.fragments_per_hls_segment),
        };
        let entries = together(&reader, reader.at(time).await?, count).await?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(none());
        };
        let audio = match version {
            TsVersion::V3 if head.kind == TrackKind::Video => {
                let presentation = self.presentation(visit, &asked.track.manifest).await?;
                presentation.audio_with_video(asked.options.audio_track.as_ref())?
            }
            _ => None,
        };
        let mut tag = Tag::new();
        tag.track_bytes(track);
        tag.text("ts");
        tag.number(first.number.into());
        tag.number(wide(entries.len()));
        if alone {
            tag.text(KEY_FRAME);
        }
        if let Some(audio) = &audio {
            tag.track_bytes(audio);
        }
        let mut heads = vec![head];
        if let Some(audio) = &audio {
            heads.push(audio.head()?);
        }
        if let Some(shield) = shield {
            shield.tag_bytes(shield.key_of(heads.iter().copied())?, &mut tag);
        }
        let next = next_url(asked, reader.next_start(last).await?);
        let meta = meta(headwater_ts::CONTENT_TYPE, tag, next);
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        let mut plan = PlanBuilder::new();
        let mut objects = Vec::new();
        let mut own = elementary(
            &reader,
            &carriage,
            &entries,
            None,
            (&mut plan, &mut objects),
        )
        .await?;
        if alone {
            own.keep_first();
        }
        let key = match shield {
            Some(shield) => shield.stream_key(head)?,
            None => None,
        };
        if let (Some(key), TrackKind::Video) = (&key, head.kind) {
            let of = (key, alone);
            self.encrypted_lengths(visit, &reader, track, &entries, of, &mut own.fragments)
                .await?;
        }
        let mut with = None;
        if let Some(audio) = &audio {
            let audio_reader = self.reader(visit, audio)?;
            let audio_head = audio_reader.head;
            let carriage = transport::carriage(audio_head)
                .map_err(|why| OriginError::new(Code::FormatNotSupported, why))?;
            let span = transport::Span {
                time: first.start..last.start.saturating_add(last.duration),
                first: first.number == 0,
                last: last.number.saturating_add(1) >= head.segment_count,
            };
            let span = transport::audio_span(&span, head, audio_head);
            let entries = audio_reader.during(span.clone()).await?;
            let objects = (&mut plan, &mut objects);
            let frames =
                elementary(&audio_reader, &carriage, &entries, Some(&span), objects).await?;
            with = Some((audio_head, carriage, frames));
        }
        let mut tracks = vec![(head, &carriage, own.fragments.as_slice())];
        if let Some((head, carriage, frames)) = &with {
            tracks.push((*head, carriage, frames.fragments.as_slice()));
        }
        let segment = {
            let samples = match &key {
                Some(_) => Samples::Encrypted,
                None => Samples::Clear,
            };
            transport::lay_out(&tracks, samples, None)?
        };
        let frames = with.as_ref().map(|(_, _, frames)| frames);
        let (video, audio) = match carriage {
            Carriage::Video { .. } => (Some(&own), frames),
            Carriage::Audio { .. } => (None, Some(&own)),
        };
        let step = transport::packetise(segment, video, audio, key).map_err(unplannable)?;
        plan.packetise(step).map_err(unplannable)?;
        let plan = enveloped(plan.finish(), shield, heads)?;
        Ok(made(Content::Plan(plan), meta))
    }

    pub(super) fn object(&self, reader: &TrackReader<'_, S>) -> Result<Object, OriginError> {
        let media = &reader.media;
        self.storage
            .object(media.at, media.file, reader.index.source_etag())
            .map_err(storage_error)
    }

    pub(super) async fn file(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        path: &str,
    ) -> Result<Made, OriginError> {
        let at = &visit.published.location;
        let info = self
            .storage
            .head(at, path)
            .await
            .map_err(|error| match error {
                StorageError::NotFound => {
                    OriginError::new(Code::ResourceNotFound, "there is nothing at this address")
                }
                other => storage_error(other),
            })?;
        let meta = Meta {
            content_type: policy::content_type(path),
            etag: info.etag.clone(),
            last_modified: info.last_modified,
            cache_control: FILE_CACHE,
            coding: Coding::Plain,
            prefetch: None,
        };
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        let object = self
            .storage
            .object(at, path, &info.etag)
            .map_err(storage_error)?;
        let whole = 0..info.len;
        let plan =
            segment_plan(object, Vec::new(), std::slice::from_ref(&whole)).map_err(unplannable)?;
        Ok(made(Content::Plan(plan), meta))
    }
}

/// The fragments that are one segment of MPEG-2 TS, from `first` on: see [`transport::unbroken`].
///
/// Errors: 404 if no segment starts with it.
async fn together<S: Storage>(
    reader: &TrackReader<'_, S>,
    first: SegmentEntry,
    count: u32,
) -> Result<Vec<SegmentEntry>, OriginError> {
    let place = first.number.checked_rem(count).unwrap_or(0);
    if place > 0 {
        let before = reader
            .numbered(first.number.saturating_sub(1)..first.number)
            .await?;
        if !before
            .iter()
            .any(|before| transport::is_gap(before, &first))
        {
            return Err(none());
        }
    }
    let end = first
        .number
        .saturating_sub(place)
        .saturating_add(count.max(1));
    let mut entries = reader.numbered(first.number..end).await?;
    let pairs = entries.iter().zip(entries.iter().skip(1));
    let broken = pairs
        .map(|(entry, next)| transport::is_gap(entry, next))
        .position(|gap| gap);
    if let Some(at) = broken {
        entries.truncate(at.saturating_add(1));
    }
    Ok(entries)
}

/// The samples of `entries`, those in `span` only if there is one. `objects`: those that the plan has, by name.
async fn elementary<S: Storage>(
    reader: &TrackReader<'_, S>,
    carriage: &Carriage,
    entries: &[SegmentEntry],
    span: Option<&Range<u64>>,
    (plan, objects): (&mut PlanBuilder, &mut Vec<(String, u32)>),
) -> Result<Elementary, OriginError> {
    let mut found = Elementary {
        fragments: Vec::new(),
        sources: Vec::new(),
    };
    for entry in entries {
        let samples = reader.samples(entry).await?;
        let name = reader.object_name(entry, &samples);
        let known = objects.iter().find(|(known, _)| *known == name);
        let object = match known {
            Some((_, known)) => *known,
            None => {
                let object = reader.object(entry, &samples)?;
                let object = plan.object(object).map_err(unplannable)?;
                objects.push((name.into_owned(), object));
                object
            }
        };
        let fragment = transport::fragment(entry, &samples, carriage);
        let (fragment, ranges) = match span {
            Some(span) => transport::in_span(fragment, &samples.ranges, span),
            None => (fragment, samples.ranges),
        };
        found.fragments.push(fragment);
        let ranges = ranges.into_iter();
        found
            .sources
            .extend(ranges.map(|range| Source { object, range }));
    }
    Ok(found)
}

fn mp4_type(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "video/mp4",
        TrackKind::Audio => "audio/mp4",
        TrackKind::Text => "application/mp4",
    }
}

fn meta(content_type: &'static str, tag: Tag, prefetch: Option<String>) -> Meta {
    Meta {
        content_type,
        etag: tag.finish(),
        last_modified: None,
        cache_control: SEGMENT_CACHE,
        coding: Coding::Plain,
        prefetch,
    }
}

/// Goes into entity tags.
pub(super) const KEY_FRAME: &str = "key frame";

/// Whether a picture alone is asked for.
///
/// Errors: 404 for those of sound.
fn is_key_frame(asked: Asked<'_>, kind: TrackKind) -> Result<bool, OriginError> {
    match (asked.noun == Noun::KeyFrames, kind) {
        (true, TrackKind::Audio | TrackKind::Text) => Err(none()),
        (alone, _) => Ok(alone),
    }
}

fn noun(noun: Noun) -> &'static str {
    match noun {
        Noun::Fragments => "Fragments",
        Noun::FragmentInfo => "FragmentInfo",
        Noun::RawFragments => "RawFragments",
        Noun::KeyFrames => "KeyFrames",
    }
}

/// The URL of the Smooth fragment that starts at `next`, relative to the one asked for.
pub(super) fn next_smooth_url(asked: Asked<'_>, clock: Clock, next: Option<u64>) -> Option<String> {
    let (noun, name) = (noun(asked.noun), child::encode(&asked.track.name));
    Some(format!("{noun}({name}={})", clock.name(next?)))
}

/// The URL of the segment that starts at `next`, relative to the one asked for.
pub(super) fn next_url(asked: Asked<'_>, next: Option<u64>) -> Option<String> {
    let next = next?;
    let carried = child::Carried::new(asked.options, asked.options.audio_track.as_ref());
    let name = &asked.track.name;
    let (prefix, suffix) = match asked.noun {
        Noun::KeyFrames => carried.hls_key_frames(name),
        _ => {
            let (_, prefix, suffix) = carried.hls_segments(name);
            (prefix, suffix)
        }
    };
    Some(format!("{prefix}{next}{suffix}"))
}

// An index holds no segment that a plan could not: its runs and what is put in front of them.
const _: () = assert!(MAX_RUNS < MAX_STEPS);

pub(super) fn segment_plan(
    object: Object,
    inline: Vec<u8>,
    ranges: &[Range<u64>],
) -> Result<Plan, PlanError> {
    let mut plan = PlanBuilder::new();
    let object = plan.object(object)?;
    plan.inline(inline)?;
    for range in ranges {
        plan.range(object, range.clone())?;
    }
    Ok(plan.finish())
}

/// A part of a Smooth Streaming fragment. `protected`: the fragment with its samples encrypted, and the key.
///
/// Errors: 415 for what no plan holds.
pub(super) fn smooth_plan(
    fragment: smooth::Clear,
    object: Object,
    noun: Noun,
    protected: Option<(ProtectedSegment, Key)>,
) -> Result<Plan, OriginError> {
    let (protected, key) = protected.unzip();
    let (head, ranges, cipher) = fragment.part(noun, protected);
    let head_len = wide(head.len());
    let plan = segment_plan(object, head, &ranges);
    match cipher.zip(key) {
        Some((cipher, key)) => plan.and_then(|plan| plan.cover(head_len, cipher, key)),
        None => plan,
    }
    .map_err(unplannable)
}

pub(crate) fn unplannable(error: PlanError) -> OriginError {
    OriginError::new(
        Code::FormatNotSupported,
        "the segment is too large or too scattered to be served",
    )
    .because(error)
}
