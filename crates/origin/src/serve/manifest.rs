//! Manifests and playlists.

use super::text::grid_tag;
use super::{MANIFEST_CACHE, Made, Origin, Visit, made};
use crate::address::{
    AudioTrack, Format, Options, Protocol, TrackAddress, TsVersion, child::Carried,
};
use crate::answer::{self, Coding, Content, Meta, Request};
use crate::error::{Code, OriginError};
use crate::filter::{Instant, Selection, Spanning, nothing};
use crate::index::SegmentTime;
use crate::manifests::{self, Beside, dash, hls, smooth};
use crate::ports::{Catalog, Storage};
use crate::presentation::{Presentation, Track};
use crate::segments::TrackReader;
use crate::shield::Shield;
use crate::tag::Tag;
use crate::transport::{self, Samples};
use bytes::Bytes;
use futures::future::try_join_all;
use headwater_cmaf::index::{SegmentEntry, TrackHead, TrackKind};
use headwater_hls::{KeyFrame, Segment};
use headwater_protect::hls::KeyTag;

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    pub(super) async fn manifest(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        name: &str,
        options: &Options,
    ) -> Result<Made, OriginError> {
        let listing = self.whole_listing(visit, name).await?;
        let (presentation, texts) =
            futures::join!(self.join(visit, &listing), self.texts(visit, &listing));
        let mut presentation = presentation?;
        let whole = presentation.clone();
        if options.format != Format::HlsTs(TsVersion::V3) {
            presentation.texts = texts?;
        }
        let zero = manifests::start(&presentation)?;
        let selection = self.selection(visit, options, zero).await?;
        selection.tracks(&mut presentation)?;
        self.carry(&mut presentation, options)?;
        let shield = self.shield(visit, options).await?;
        let shield = shield.as_ref();
        if let Some(shield) = shield {
            self.encryptable(&mut presentation, shield)?;
            self.encryptable_texts(&mut presentation.texts, options.format, shield);
        }
        let with_video = with_video(&mut presentation, &whole, options)?;
        let carried = Carried::new(options, with_video.as_ref());
        let mut tag = Tag::new();
        tag.text(options.format.value().unwrap_or_default());
        tag.text(&carried.media_playlist(0, ""));
        tag.number(u64::from(options.audio_only));
        tag.number(u64::from(options.key_frames));
        selection.tag(&mut tag);
        for track in presentation.tracks() {
            tag.track(track);
        }
        for text in &presentation.texts {
            tag.text_track(text);
        }
        let lists_segments = options.format.protocol() != Protocol::Hls;
        if lists_segments && !presentation.texts.is_empty() {
            grid_tag(manifests::grid(&whole)?, &mut tag);
        }
        let asked = (options, &selection);
        let images = self
            .shown_images(visit, (name, &listing), &presentation, asked)
            .await;
        let images = images.as_deref();
        if let Some(images) = images {
            tag.images(images);
        }
        let captions = match options.format {
            Format::Smooth(_) => None,
            _ => self.captions(visit, &presentation).await,
        };
        tag.captions(captions);
        if let Some(shield) = shield {
            shield.tag(&mut tag)?;
        }
        let coding = Coding::of(request.headers);
        let meta = Meta {
            content_type: content_type(options.format),
            etag: coding.tag(&tag.finish()),
            last_modified: None,
            cache_control: MANIFEST_CACHE,
            coding,
            prefetch: None,
        };
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        if let Some(text) = self.texts.get(&meta.etag, visit.now) {
            return Ok(made(Content::Bytes(text), meta));
        }
        let text = match options.format {
            Format::HlsTs(_) | Format::HlsCmaf => {
                let asked = hls::Asked {
                    format: options.format,
                    carried,
                    audio_only: options.audio_only,
                    first_quality: selection.first_quality,
                    shield,
                    images,
                    captions,
                };
                hls::multivariant(&presentation, asked)?
            }
            Format::DashCsf | Format::DashCmaf => {
                let segments = self.shown(visit, &mut presentation, &selection).await?;
                let cut = self
                    .text_cut(visit, &whole, &presentation, (&selection, options.format))
                    .await?;
                let beside = Beside {
                    text: cut.text(&whole)?,
                    images,
                    captions,
                };
                let format = options.format;
                dash::mpd(&presentation, &segments, format, carried, shield, beside)?
            }
            Format::Smooth(version) => {
                let segments = self.shown(visit, &mut presentation, &selection).await?;
                let cut = self
                    .text_cut(visit, &whole, &presentation, (&selection, options.format))
                    .await?;
                let beside = Beside {
                    text: cut.text(&whole)?,
                    images: None,
                    captions: None,
                };
                let written =
                    smooth::manifest(&presentation, &segments, version, carried, shield, beside)?;
                for line in written.left_out {
                    (self.log)(&line);
                }
                written.text
            }
        };
        Ok(self.text(text, meta))
    }

    /// Leaves out what MPEG-2 TS does not carry.
    fn carry(&self, presentation: &mut Presentation, options: &Options) -> Result<(), OriginError> {
        let Format::HlsTs(_) = options.format else {
            return Ok(());
        };
        let mut last = None;
        let mut carried = |track: &Track| match track.head().map(transport::carriage) {
            Ok(Ok(_)) => true,
            Ok(Err(why)) => {
                (self.log)(&format!("{}: {why}", track.name));
                last = Some(OriginError::new(Code::FormatNotSupported, why));
                false
            }
            Err(error) => {
                last = Some(error);
                false
            }
        };
        presentation.videos.retain(&mut carried);
        presentation.audios.retain(&mut carried);
        match (presentation.tracks().next(), last) {
            (None, Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Leaves out what cannot be encrypted as asked: it must not go out in the clear.
    fn encryptable(
        &self,
        presentation: &mut Presentation,
        shield: &Shield,
    ) -> Result<(), OriginError> {
        let mut last = None;
        for track in presentation.tracks() {
            shield.key(track.head()?)?;
        }
        let mut possible = |track: &Track| match track.head().and_then(|head| shield.check(head)) {
            Ok(()) => true,
            Err(error) => {
                (self.log)(&format!("{}: {}", track.name, error.log_line()));
                last = Some(error);
                false
            }
        };
        presentation.videos.retain(&mut possible);
        presentation.audios.retain(&mut possible);
        match (presentation.tracks().next(), last) {
            (None, Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Those segments of every track that are shown. Leaves out the tracks that have none in the time, as archives have gaps.
    ///
    /// Errors: 404 if none is left.
    async fn shown(
        &self,
        visit: &Visit<'_, C::Location>,
        presentation: &mut Presentation,
        selection: &Selection,
    ) -> Result<Vec<Vec<SegmentTime>>, OriginError> {
        let tracks = presentation.tracks().map(|track| async move {
            let segments = self.directory(visit, track).await?;
            let cut = selection.cut(segments, track.head()?);
            self.unless_empty(&track.name, cut)
        });
        let cuts = try_join_all(tracks).await?;
        let mut there = cuts.iter().map(Option::is_some);
        let mut keep = |_: &Track| there.next().unwrap_or_default();
        presentation.videos.retain(&mut keep);
        presentation.audios.retain(&mut keep);
        match presentation.tracks().next() {
            Some(_) => Ok(cuts.into_iter().flatten().collect()),
            None => Err(nothing()),
        }
    }

    /// What is shown of something, or `None` if it has nothing in the time.
    pub(super) fn unless_empty<T>(
        &self,
        name: &str,
        cut: Result<T, OriginError>,
    ) -> Result<Option<T>, OriginError> {
        match cut {
            Err(error) if error.code() == Code::EgressTimestampNotFound => {
                (self.log)(&format!("{name}: {}", error.log_line()));
                Ok(None)
            }
            cut => cut.map(Some),
        }
    }

    pub(super) async fn media_playlist(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        address: &TrackAddress,
        options: &Options,
    ) -> Result<Made, OriginError> {
        if let Some(found) = self.text_track(visit, address).await? {
            return self.text_playlist(request, visit, &found, options).await;
        }
        if let Some(images) = self.images_named(visit, address, options).await? {
            return self.image_playlist(request, &images, options);
        }
        let (track, zero) = if options.window.is_relative() {
            let presentation = self.presentation(visit, &address.manifest).await?;
            let track = presentation.find(&address.name, address.bitrate)?.clone();
            (track, manifests::start(&presentation)?)
        } else {
            (self.track(visit, address).await?, Instant::new(0, 1))
        };
        let head = track.head()?;
        let selection = self.selection(visit, options, zero).await?;
        selection.shows(&track, head)?;
        if let Format::HlsTs(version) = options.format {
            transport::carriage(head)
                .map_err(|why| OriginError::new(Code::FormatNotSupported, why))?;
            if options.key_frames && version == TsVersion::V3 {
                return Err(OriginError::new(
                    Code::OutputFormatNotSupported,
                    "format=m3u8-aapl-v3 has no I-frame playlists",
                ));
            }
        }
        let shield = self.shield(visit, options).await?;
        let shield = shield.as_ref();
        if let Some(shield) = shield {
            shield.check(head)?;
        }
        if options.key_frames && head.kind != TrackKind::Video {
            return Err(OriginError::new(
                Code::EgressTrackNotFound,
                "only video has I-frame playlists",
            ));
        }
        let mut with_video = options.audio_track.clone();
        let mut audio = None;
        let decided = match with_video {
            Some(AudioTrack::Silent) => true,
            Some(AudioTrack::Named(_)) => shield.is_none() && !selection.leaves_out(),
            None => false,
        };
        if options.format != Format::HlsTs(TsVersion::V3) || head.kind != TrackKind::Video {
            with_video = None;
        } else if !decided {
            let mut presentation = self.presentation(visit, &address.manifest).await?;
            let whole = presentation.clone();
            selection.listed(&mut presentation)?;
            with_video = self::with_video(&mut presentation, &whole, options)?;
            audio = presentation.audios.into_iter().next();
        }
        let longest = match options.key_frames {
            true => 0,
            false => {
                let presentation = self.presentation(visit, &address.manifest).await?;
                hls::longest_segment(&presentation, |track, head| {
                    fragments_per_segment(track, head, options.format)
                })?
            }
        };
        let carried = Carried::new(options, with_video.as_ref());
        let mut keys = Vec::new();
        if let Some(shield) = shield {
            let mut heads = vec![head];
            if let Some(audio) = &audio {
                heads.push(audio.head()?);
            }
            if let Some(key) = shield.key_of(heads)? {
                keys = shield.hls(key)?;
            }
        }
        let keys = hls::Keys {
            lines: keys.iter().map(|key| key.key_line()).collect(),
            version: keys.iter().map(KeyTag::version).max().unwrap_or_default(),
            cover_init: shield.is_some_and(|shield| shield.samples().is_some()),
        };
        let mut tag = Tag::new();
        tag.text(&carried.media_playlist(0, ""));
        for line in &keys.lines {
            tag.text(line);
        }
        tag.number(u64::from(options.key_frames));
        tag.number(track.fragments_per_hls_segment.unwrap_or_default().into());
        tag.number(longest);
        selection.tag(&mut tag);
        tag.track(&track);
        let coding = Coding::of(request.headers);
        let meta = Meta {
            content_type: headwater_hls::CONTENT_TYPE,
            etag: coding.tag(&tag.finish()),
            last_modified: None,
            cache_control: MANIFEST_CACHE,
            coding,
            prefetch: None,
        };
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        if let Some(text) = self.texts.get(&meta.etag, visit.now) {
            return Ok(made(Content::Bytes(text), meta));
        }
        let reader = self.reader(visit, &track)?;
        let count = fragments_per_segment(&track, head, options.format).unwrap_or(1);
        let format = options.format;
        let text = if options.key_frames && shield.is_some() {
            let pictures = selection.cut(self.directory(visit, &track).await?, head)?;
            hls::picture_playlist(&track, &pictures, format, carried, &keys)?
        } else if options.key_frames {
            let frames = key_frames(&reader, &selection, format, count).await?;
            hls::key_frame_playlist(&track, &frames, format, carried)?
        } else {
            let segments = match count {
                1 => self.directory(visit, &track).await?,
                count => {
                    let fragments = reader.all().await?;
                    let groups = transport::unbroken(&fragments, count);
                    groups.into_iter().map(|group| group.time()).collect()
                }
            };
            let segments = selection.cut(segments, head)?;
            hls::media_playlist(&track, (&segments, longest), format, carried, &keys)?
        };
        Ok(self.text(text, meta))
    }

    pub(super) fn text(&self, text: String, meta: Meta) -> Made {
        let text = Bytes::from(meta.coding.encode(text));
        self.texts.put(&meta.etag, text.clone(), text.len(), None);
        made(Content::Bytes(text), meta)
    }
}

/// How many fragments of a track make one of its HLS segments, if it is carried.
fn fragments_per_segment(track: &Track, head: &TrackHead, format: Format) -> Option<u32> {
    match format {
        Format::HlsTs(_) => {
            transport::carriage(head).ok()?;
            let stated = track.fragments_per_hls_segment;
            Some(transport::fragments_per_hls_segment(head, stated))
        }
        _ => Some(1),
    }
}

/// Where the segments of the video hold the audio, leaves only the audio that they hold, and says which it is. `whole`: all
/// that a segment could hold whose URL does not say.
fn with_video(
    presentation: &mut Presentation,
    whole: &Presentation,
    options: &Options,
) -> Result<Option<AudioTrack>, OriginError> {
    let wanted = options.audio_track.as_ref();
    let has_video = !presentation.videos.is_empty();
    if options.format != Format::HlsTs(TsVersion::V3) || (!has_video && wanted.is_none()) {
        return Ok(None);
    }
    let audio = presentation.audio_with_video(wanted)?;
    let name = audio.as_ref().map(|track| track.name.clone());
    presentation.audios = audio.into_iter().collect();
    Ok(match name {
        _ if !has_video => None,
        Some(name) => Some(AudioTrack::Named(name)),
        // Of what has no sound, URLs say nothing of it.
        None if whole.audios.is_empty() => None,
        None => Some(AudioTrack::Silent),
    })
}

fn content_type(format: Format) -> &'static str {
    match format {
        Format::DashCsf | Format::DashCmaf => headwater_dash::CONTENT_TYPE,
        Format::HlsTs(_) | Format::HlsCmaf => headwater_hls::CONTENT_TYPE,
        Format::Smooth(_) => headwater_smooth::CONTENT_TYPE,
    }
}

/// Fragments that are one segment.
impl Spanning for &[SegmentEntry] {
    fn time(&self) -> SegmentTime {
        let start = self.first().map_or(0, |e| e.start);
        let end = self
            .last()
            .map_or(0, |e| e.start.saturating_add(e.duration));
        SegmentTime {
            start,
            duration: end.saturating_sub(start),
        }
    }
}

/// The first picture of every fragment, and where it is in its segment.
async fn key_frames<S: Storage>(
    reader: &TrackReader<'_, S>,
    selection: &Selection,
    format: Format,
    count: u32,
) -> Result<Vec<KeyFrame>, OriginError> {
    let head = reader.head;
    let fragments = reader.all().await?;
    let groups = selection.cut(transport::unbroken(&fragments, count), head)?;
    let shown: Vec<SegmentEntry> = groups
        .iter()
        .flat_map(|group| group.iter().cloned())
        .collect();
    let records = reader.records(&shown).await?;
    let carriage = transport::carriage(head);
    let mut found = Vec::new();
    for group in groups {
        let segment = group.time().start;
        let places = match format {
            Format::HlsTs(_) => {
                let carriage = carriage
                    .as_ref()
                    .map_err(|why| OriginError::new(Code::FormatNotSupported, why.as_str()))?;
                // Where a picture is depends on how many packets each one before it takes.
                let fragments = group.iter().map(|entry| {
                    let samples = records.samples(entry)?;
                    Ok(transport::fragment(entry, &samples, carriage))
                });
                let fragments = fragments.collect::<Result<Vec<_>, OriginError>>()?;
                let tracks = [(head, carriage, fragments.as_slice())];
                transport::lay_out(&tracks, Samples::Clear, None)?.key_frames()
            }
            _ => {
                let places = group.iter().map(|entry| {
                    // `moof` and the header of `mdat`, then the picture.
                    let opening = records.opening(entry)?;
                    let head = entry.response_len.saturating_sub(opening.media);
                    Ok(0..head.saturating_add(opening.first.into()))
                });
                places.collect::<Result<Vec<_>, OriginError>>()?
            }
        };
        for (entry, place) in group.iter().zip(places) {
            let time = entry.time();
            found.push(KeyFrame {
                shown: Segment {
                    start: time.start,
                    duration: time.duration,
                },
                segment,
                offset: place.start,
                len: place.end.saturating_sub(place.start),
            });
        }
    }
    Ok(found)
}
