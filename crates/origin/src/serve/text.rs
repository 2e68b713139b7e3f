//! Text tracks: found, listed and sent.

use super::listing::leaves_out;
use super::{MANIFEST_CACHE, Made, Origin, SEGMENT_CACHE, Visit, made};
use crate::address::{Format, Noun, Options, Part, TrackAddress, child::Carried};
use crate::answer::{self, Coding, Content, Meta, Request};
use crate::documents::{NO_TEXT, Reader};
use crate::error::{Code, OriginError};
use crate::filter::{Instant, Selection, Spanning};
use crate::index::SegmentTime;
use crate::manifests::{self, TextCut, hls, smooth::Clock, text};
use crate::ports::{Catalog, Storage};
use crate::presentation::{Grid, Listing, Presentation, TextTrack};
use crate::protection::ContentKey;
use crate::serve::fragment::{Asked, none, unplannable};
use crate::shield::Shield;
use crate::tag::Tag;
use crate::transport;
use futures::future::join_all;
use headwater_plan::PlanBuilder;
use headwater_protect::{Cipher, IvSpace};
use headwater_smooth::{Fragment, Sample};
use headwater_text::{Base, mp4};
use headwater_time::Timescale;
use std::ops::Range;

/// A text track, and the presentation that it is cut along with.
pub(super) struct Found {
    presentation: Presentation,
    text: TextTrack,
}

/// The segments of text that a manifest shows.
pub(super) struct ShownText(Option<Vec<SegmentTime>>);

impl ShownText {
    pub(super) fn text<'a>(
        &'a self,
        whole: &'a Presentation,
    ) -> Result<Option<TextCut<'a>>, OriginError> {
        Ok(match &self.0 {
            None => None,
            Some(segments) => Some(TextCut {
                grid: manifests::grid(whole)?,
                segments,
            }),
        })
    }
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    pub(super) fn documents<'a>(&'a self, visit: &'a Visit<'_, C::Location>) -> Reader<'a, S> {
        Reader {
            storage: &self.storage,
            documents: &self.documents,
            at: &visit.published.location,
            place: &visit.published.place,
            now: visit.now,
            freshness: visit.freshness,
            log: self.log,
        }
    }

    /// The text tracks of a listing that manifests show. One whose file is not there or is no text is left out.
    pub(super) async fn texts(
        &self,
        visit: &Visit<'_, C::Location>,
        listing: &Listing,
    ) -> Result<Vec<TextTrack>, OriginError> {
        let visible = listing.texts.iter().filter(|t| !t.settings.hidden);
        let documents = &self.documents(visit);
        let loads = visible.map(|entry| async move { (entry, documents.of_entry(entry).await) });
        let mut texts = Vec::new();
        for (entry, loaded) in join_all(loads).await {
            match loaded {
                Ok(document) if document.sheets.is_none() => {
                    texts.push(TextTrack::new(entry, document));
                }
                Ok(_) => (self.log)(&format!("{}: {NO_TEXT}", entry.file)),
                Err(error) if leaves_out(error.code()) => {
                    (self.log)(&format!("{}: {}", entry.file, error.log_line()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(texts)
    }

    /// Leaves out the text that has no key under an encryption that covers it.
    pub(super) fn encryptable_texts(
        &self,
        texts: &mut Vec<TextTrack>,
        format: Format,
        shield: &Shield,
    ) {
        texts.retain(|track| {
            let key = shield.text_key(text::codec(format, track));
            if let Err(error) = &key {
                (self.log)(&format!("{}: {}", track.name, error.log_line()));
            }
            key.is_ok()
        });
    }

    /// The text track that a URL names, if it names one.
    ///
    /// Errors: 404 for another bit rate, and what is wrong with its file.
    pub(super) async fn text_track(
        &self,
        visit: &Visit<'_, C::Location>,
        address: &TrackAddress,
    ) -> Result<Option<Found>, OriginError> {
        // Most requests are for media, and for assets that say all of it.
        let listing = self.listing(visit, &address.manifest).await?;
        if listing
            .written_down(&address.name, address.bitrate)
            .is_some()
        {
            return Ok(None);
        }
        let listing = self.whole_listing(visit, &address.manifest).await?;
        let Some(mut text) = self.listed_text(visit, &listing, address).await? else {
            return Ok(None);
        };
        let presentation = self.join(visit, &listing).await?;
        self.documents(visit)
            .place(&mut text, manifests::grid(&presentation)?);
        Ok(Some(Found { presentation, text }))
    }

    /// The text track of a listing that a URL names, if it names one.
    ///
    /// Errors: as of [`Self::text_track`].
    pub(super) async fn listed_text(
        &self,
        visit: &Visit<'_, C::Location>,
        listing: &Listing,
        address: &TrackAddress,
    ) -> Result<Option<TextTrack>, OriginError> {
        let Some(entry) = listing.texts.iter().find(|t| t.name == address.name) else {
            return Ok(None);
        };
        let document = self.documents(visit).of_entry(entry).await?;
        let text = TextTrack::new(entry, document);
        match text.bitrate == address.bitrate {
            true => Ok(Some(text)),
            false => Err(OriginError::new(
                Code::ManifestMediaEntryNotFound,
                "the track does not exist at this bit rate",
            )),
        }
    }

    /// The segments that text is cut into, of those that `selection` shows: so many fragments of the media as make one of HLS over
    /// MPEG-2 TS, whatever the format. Where the media's segments are single fragments, the first begins with theirs.
    ///
    /// Errors: 404 if none is shown.
    async fn text_segments(
        &self,
        visit: &Visit<'_, C::Location>,
        grid: Grid<'_>,
        selection: &Selection,
        format: Format,
    ) -> Result<Vec<SegmentTime>, OriginError> {
        let count = fragments(grid);
        if count == 1 {
            return selection.cut(self.directory(visit, grid.track).await?, grid.head);
        }
        let all = self.reader(visit, grid.track)?.all().await?;
        let groups = transport::grouped(&all, count).into_iter();
        let times = groups.map(|group| group.time()).collect();
        let mut shown = selection.cut(times, grid.head)?;
        let begins = match format {
            Format::HlsTs(_) => None,
            _ => selection
                .cut(all, grid.head)?
                .first()
                .map(|first| first.start),
        };
        if let (Some(first), Some(begins)) = (shown.first_mut(), begins) {
            let late = begins.saturating_sub(first.start);
            first.start = first.start.saturating_add(late);
            first.duration = first.duration.saturating_sub(late);
        }
        Ok(shown)
    }

    /// The segments of text that a manifest shows, if it has text.
    pub(super) async fn text_cut(
        &self,
        visit: &Visit<'_, C::Location>,
        whole: &Presentation,
        shown: &Presentation,
        (selection, format): (&Selection, Format),
    ) -> Result<ShownText, OriginError> {
        if shown.texts.is_empty() {
            return Ok(ShownText(None));
        }
        let grid = manifests::grid(whole)?;
        let cut = self.text_segments(visit, grid, selection, format).await;
        Ok(ShownText(self.unless_empty("text", cut)?))
    }

    pub(super) async fn text_playlist(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        found: &Found,
        options: &Options,
    ) -> Result<Made, OriginError> {
        let Found { presentation, text } = found;
        let grid = manifests::grid(presentation)?;
        let zero = match options.window.is_relative() {
            true => manifests::start(presentation)?,
            false => Instant::new(0, 1),
        };
        let selection = self.selection(visit, options, zero).await?;
        selection.shows_text(text)?;
        let format = options.format;
        let unserved = text::carrier(format, text).is_none();
        if unserved || options.key_frames {
            return Err(OriginError::new(
                Code::EgressTrackNotFound,
                "this playlist is not served of text",
            ));
        }
        let shield = self.shield(visit, options).await?;
        let key = match &shield {
            Some(shield) => shield.text_key(text::codec(format, text))?,
            None => None,
        };
        let tags = match (&shield, key) {
            (Some(shield), Some(key)) => shield.hls(key)?,
            _ => Vec::new(),
        };
        let keys = hls::Keys {
            lines: tags.iter().map(|key| key.key_line()).collect(),
            cover_init: false,
            version: tags
                .iter()
                .map(|key| key.version())
                .max()
                .unwrap_or_default(),
        };
        let carried = Carried::new(options, None);
        let mut tag = Tag::new();
        tag.text("text");
        tag.text(&carried.media_playlist(0, ""));
        for line in &keys.lines {
            tag.text(line);
        }
        selection.tag(&mut tag);
        tag.text_track(text);
        grid_tag(grid, &mut tag);
        let meta = playlist_meta(tag, Coding::of(request.headers));
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        if let Some(known) = self.texts.get(&meta.etag, visit.now) {
            return Ok(made(Content::Bytes(known), meta));
        }
        let segments = self.text_segments(visit, grid, &selection, format).await?;
        let playlist = text::media_playlist(text, grid, &segments, format, carried, &keys);
        Ok(self.text(playlist, meta))
    }

    /// An init or media segment of a text track.
    pub(super) async fn text_fragment(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        asked: Asked<'_>,
        found: &Found,
    ) -> Result<Made, OriginError> {
        let Found { presentation, text } = found;
        let grid = manifests::grid(presentation)?;
        let format = asked.options.format;
        let carrier = text::carrier(format, text).ok_or_else(none)?;
        if asked.noun == Noun::KeyFrames && carrier != text::Carrier::Smooth {
            return Err(none());
        }
        let shield = self.shield(visit, asked.options).await?;
        let key = match &shield {
            Some(shield) => shield.text_key(text::codec(format, text))?,
            None => None,
        };
        if key.is_some() && asked.noun != Noun::Fragments {
            return Err(OriginError::new(
                Code::EncryptionNotSupported,
                "only whole fragments are served with encryption",
            ));
        }
        let mut tag = Tag::new();
        tag.text_bytes(text);
        tag.text(&format!("{carrier:?} {:?}", asked.noun));
        grid_tag(grid, &mut tag);
        let window = match asked.part {
            Part::Init => None,
            Part::Start(time) => {
                let (number, window) = self.text_window(visit, grid, format, time).await?;
                tag.number(number.into());
                tag.number(window.end);
                Some((number, window))
            }
        };
        if let Some(shield) = &shield {
            shield.tag_bytes(key, &mut tag);
        }
        let meta = segment_meta(carrier, tag);
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        let Some((number, window)) = window else {
            let bytes = init(text, grid.head.timescale, carrier)?;
            return Ok(made(Content::Bytes(bytes.into()), meta));
        };
        let cut = Cut {
            clock: grid.clock,
            number,
            window,
        };
        let bytes = cut.bytes(text, carrier, asked.noun)?;
        Ok(made(sealed(bytes, key)?, meta))
    }

    /// The segment of text that starts at `time`: its number, and ticks of the grid.
    async fn text_window(
        &self,
        visit: &Visit<'_, C::Location>,
        grid: Grid<'_>,
        format: Format,
        time: u64,
    ) -> Result<(u32, Range<u64>), OriginError> {
        let ticks = match format {
            Format::Smooth(_) => Clock::of(grid.head).ticks(time).ok_or_else(none)?,
            _ => time,
        };
        let reader = self.reader(visit, grid.track)?;
        let first = reader.at(ticks).await?;
        let count = fragments(grid);
        let before = first.number.checked_rem(count).unwrap_or_default();
        // What is shown of a film may begin within a segment of text.
        if before != 0 && matches!(format, Format::HlsTs(_)) {
            return Err(none());
        }
        let rest = count.saturating_sub(before);
        let numbers = first.number..first.number.saturating_add(rest);
        let entries = reader.numbered(numbers).await?;
        let last = entries.last().unwrap_or(&first);
        let end = last.start.saturating_add(last.duration);
        let number = first.number.checked_div(count).unwrap_or_default();
        Ok((number, first.start..end))
    }
}

/// Fragments of the grid's track to a segment of text.
fn fragments(grid: Grid<'_>) -> u32 {
    let stated = grid.track.fragments_per_hls_segment;
    transport::fragments_per_hls_segment(grid.head, stated)
}

/// Where text is cut.
pub(super) fn grid_tag(grid: Grid<'_>, tag: &mut Tag) {
    tag.track_bytes(grid.track);
    tag.number(grid.clock.zero);
    tag.number(fragments(grid).into());
}

pub(super) fn playlist_meta(tag: Tag, coding: Coding) -> Meta {
    Meta {
        content_type: headwater_hls::CONTENT_TYPE,
        etag: coding.tag(&tag.finish()),
        last_modified: None,
        cache_control: MANIFEST_CACHE,
        coding,
        prefetch: None,
    }
}

pub(super) fn segment_meta(carrier: text::Carrier, tag: Tag) -> Meta {
    Meta {
        content_type: match carrier {
            text::Carrier::WebVtt => headwater_text::WEBVTT_TYPE,
            _ => "application/mp4",
        },
        etag: tag.finish(),
        last_modified: None,
        cache_control: SEGMENT_CACHE,
        coding: Coding::Plain,
        prefetch: None,
    }
}

/// A media segment, as a whole under `key` if there is one. Init segments stay clear, as those of the media do.
pub(super) fn sealed(bytes: Vec<u8>, key: Option<&ContentKey>) -> Result<Content, OriginError> {
    let Some(key) = key else {
        return Ok(Content::Bytes(bytes.into()));
    };
    let mut plan = PlanBuilder::new();
    plan.inline(bytes).map_err(unplannable)?;
    let plan = plan.finish();
    let cipher = Cipher::Envelope {
        iv: IvSpace::constant(key.kid),
        len: plan.total_len(),
    };
    let plan = plan.cover(0, cipher, key.key.clone());
    Ok(Content::Plan(plan.map_err(unplannable)?))
}

/// `scale`: of the segments' times.
pub(super) fn init(
    text: &TextTrack,
    scale: Timescale,
    carrier: text::Carrier,
) -> Result<Vec<u8>, OriginError> {
    let language = text.language.as_deref();
    match carrier {
        text::Carrier::Wvtt => mp4::wvtt_init(&text.document.text, scale, language),
        text::Carrier::Stpp => mp4::stpp_init(scale, language),
        // Their URLs have no init segments.
        text::Carrier::WebVtt | text::Carrier::Smooth => return Err(none()),
    }
    .map_err(unwritable)
}

/// A segment of text.
pub(super) struct Cut {
    pub(super) clock: headwater_text::Clock,
    pub(super) number: u32,
    /// Ticks of the clock.
    pub(super) window: Range<u64>,
}

impl Cut {
    pub(super) fn bytes(
        &self,
        text: &TextTrack,
        carrier: text::Carrier,
        noun: Noun,
    ) -> Result<Vec<u8>, OriginError> {
        let Self {
            clock,
            number,
            window,
        } = self;
        let (clock, language) = (*clock, text.language.as_deref());
        let document = &text.document.text;
        Ok(match carrier {
            text::Carrier::WebVtt => {
                let zero = i64::try_from(clock.zero).unwrap_or(i64::MAX);
                let mpegts = headwater_ts::clock(zero, clock.scale);
                document.webvtt_segment(window, clock, mpegts).into_bytes()
            }
            text::Carrier::Wvtt => {
                mp4::wvtt_segment(document, window, clock, *number).map_err(unwritable)?
            }
            text::Carrier::Stpp => {
                mp4::stpp_segment(document, window, clock, *number, language).map_err(unwritable)?
            }
            text::Carrier::Smooth => {
                let ttml = document.ttml_segment(window, clock, Base::Segment, language);
                self.smooth(ttml.into_bytes(), noun)?
            }
        })
    }

    /// A fragment of Smooth Streaming: the document is its one sample.
    fn smooth(&self, document: Vec<u8>, noun: Noun) -> Result<Vec<u8>, OriginError> {
        if noun == Noun::RawFragments {
            return Ok(document);
        }
        let names = Clock::with(self.clock.scale);
        let start = names.name(self.window.start);
        let duration = names.name(self.window.end).saturating_sub(start);
        let sample = Sample {
            size: u32::try_from(document.len()).unwrap_or(u32::MAX),
            duration: u32::try_from(duration).unwrap_or(u32::MAX),
            composition_offset: 0,
            sync: true,
        };
        let mut bytes = Fragment {
            sequence_number: self.number.saturating_add(1),
            track_id: mp4::TRACK_ID,
            start,
            duration,
            following: &[],
            samples: &[sample],
        }
        .header()
        .map_err(|fault| OriginError::new(Code::FormatNotSupported, fault.to_string()))?;
        if noun == Noun::FragmentInfo {
            bytes.truncate(bytes.len().saturating_sub(crate::smooth::MDAT_HEADER));
        } else {
            bytes.extend_from_slice(&document);
        }
        Ok(bytes)
    }
}

fn unwritable(error: impl std::fmt::Display) -> OriginError {
    OriginError::new(
        Code::FormatNotSupported,
        "the text cannot be carried like this",
    )
    .because(error)
}
