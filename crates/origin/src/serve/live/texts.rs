//! Text that was added to a recording: found, listed and sent.

use super::super::fragment::Asked;
use super::super::text::{Cut, init, sealed, segment_meta};
use super::super::{Origin, Visit};
use super::find::none;
use super::load::Source;
use crate::address::{Format, Noun, Options, Part, TrackAddress, TsVersion, child::Carried};
use crate::answer::{Content, Resource};
use crate::error::{Code, OriginError};
use crate::filter::Selection;
use crate::live::cues::SPARSE;
use crate::live::show::Show;
use crate::live::texts::{self, Piece};
use crate::manifests::smooth::Clock as SmoothClock;
use crate::manifests::text::{Carrier, carrier, codec};
use crate::ports::{Catalog, Storage};
use crate::presentation::{Listing, TextTrack};
use crate::shield::Shield;
use crate::tag::Tag;
use headwater_live::CLOCK;
use headwater_live::archive::Recording;
use headwater_live::timeline::Row;
use headwater_text::Clock;

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// The text tracks that the manifest of `show` lists: none while it is live.
    pub(super) async fn film_texts(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        show: &Show,
        (options, filters): (&Options, &Selection),
        shield: Option<&Shield>,
    ) -> Result<Vec<TextTrack>, OriginError> {
        if !show.ended || is_preview(source) || options.format == Format::HlsTs(TsVersion::V3) {
            return Ok(Vec::new());
        }
        let listing = self.film_listing(visit, source).await?;
        let mut texts = self.texts(visit, &listing).await?;
        texts.retain(|text| filters.shows_text(text).is_ok());
        if let Some(shield) = shield {
            self.encryptable_texts(&mut texts, options.format, shield);
        }
        Ok(texts)
    }

    /// What the server manifest of a recording, if it has one, and the API say beside its media.
    async fn film_listing(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
    ) -> Result<Listing, OriginError> {
        match self.whole_listing(visit, source.manifest()).await {
            Err(error) if error.code() == Code::ResourceNotFound => {
                Ok(Listing::default().with(&self.added_tracks(visit).await?))
            }
            listing => listing,
        }
    }

    /// The text track that a URL of a recording names, if it names one.
    ///
    /// Errors: 404 for another bit rate, and what is wrong with its file.
    pub(super) async fn film_text(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        address: &TrackAddress,
    ) -> Result<Option<TextTrack>, OriginError> {
        if is_preview(source) {
            return Ok(None);
        }
        let listing = self.film_listing(visit, source).await?;
        self.listed_text(visit, &listing, address).await
    }

    /// The media playlist of `text`.
    ///
    /// Errors: 404 where there is none of text.
    pub(super) fn film_text_playlist(
        &self,
        show: &Show,
        text: &TextTrack,
        (options, filters): (&Options, &Selection),
        shield: Option<&Shield>,
    ) -> Result<String, OriginError> {
        filters.shows_text(text)?;
        if carrier(options.format, text).is_none() || options.key_frames {
            return Err(OriginError::new(
                Code::EgressTrackNotFound,
                "this playlist is not served of text",
            ));
        }
        let carried = Carried::new(options, None);
        texts::media_playlist(show, text, options.format, carried, shield)
    }

    /// An init or media segment of text, if the URL names one of a recording.
    ///
    /// Errors: 404 if no segment starts there.
    pub(super) async fn film_text_segment(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        shield: Option<&Shield>,
    ) -> Result<Option<Resource>, OriginError> {
        let address = asked.track;
        // Parts are of what is live, and asked for often: storage has no say in them, and may be away.
        if let (Part::Start(_), Some(_)) = (asked.part, asked.options.part) {
            return Ok(None);
        }
        let Some(recording) = self.stored(visit, source, true).await? else {
            return Ok(None);
        };
        let ended = matches!(source, Source::Film(_)) || recording.open.ended;
        let is_media = recording
            .open
            .find(&address.name, address.bitrate)
            .is_some();
        if !ended || is_media || address.name == SPARSE {
            return Ok(None);
        }
        let Some(text) = self.film_text(visit, source, address).await? else {
            return Ok(None);
        };
        let format = asked.options.format;
        let carrier = carrier(format, &text).ok_or_else(none)?;
        if asked.options.part.is_some()
            || (asked.noun == Noun::KeyFrames && carrier != Carrier::Smooth)
        {
            return Err(none());
        }
        let mut tag = Tag::new();
        tag.text_bytes(&text);
        tag.text(&format!("recorded {carrier:?} {:?}", asked.noun));
        tag.text(&visit.published.place);
        let name = match asked.part {
            Part::Init => {
                let bytes = init(&text, CLOCK, carrier)?;
                return Ok(Some(Resource {
                    body: Content::Bytes(bytes.into()),
                    meta: segment_meta(carrier, tag),
                }));
            }
            Part::Start(name) => name,
        };
        let start = match format {
            Format::Smooth(_) => SmoothClock::with(CLOCK).ticks(name).ok_or_else(none)?,
            _ => name,
        };
        let rows = asked.options.fragments.unwrap_or_default().get();
        let piece = self
            .piece(visit, source, &recording, (start, rows.into()))
            .await?;
        let zero = self.first_moment(visit, source, &recording).await?;
        tag.number(zero);
        tag.number(piece.start);
        tag.number(piece.end);
        let shield = shield.map(|shield| shield.at(i64::try_from(start).unwrap_or(i64::MAX)));
        let key = match &shield {
            Some(shield) => shield.text_key(codec(format, &text))?,
            None => None,
        };
        if key.is_some() && asked.noun != Noun::Fragments {
            return Err(OriginError::new(
                Code::EncryptionNotSupported,
                "only whole fragments are served with encryption",
            ));
        }
        if let Some(shield) = &shield {
            shield.tag_bytes(key, &mut tag);
        }
        let cut = Cut {
            clock: Clock { scale: CLOCK, zero },
            number: u32::try_from(piece.row & 0x7fff_ffff).unwrap_or(0),
            window: piece.start..piece.end,
        };
        Ok(Some(Resource {
            body: sealed(cut.bytes(&text, carrier, asked.noun)?, key)?,
            meta: segment_meta(carrier, tag),
        }))
    }

    /// The rows of the segment of text that begins at `start`.
    ///
    /// Errors: 404 if it is none.
    async fn piece(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        recording: &Recording,
        (start, count): (u64, u64),
    ) -> Result<Piece, OriginError> {
        let clock = i64::try_from(start).map_err(|_| none())?;
        let is_first = |row: &&Row| row.start == clock;
        let mut first = recording.open.rows.iter().find(is_first).cloned();
        if first.is_none()
            && let Some(page) = recording.page_at(clock)
        {
            let rows = self.page(visit, source, page).await?;
            first = rows.iter().find(is_first).cloned();
        }
        let gone = |row: &Row| recording.first.is_some_and(|first| row.number < first);
        let first = first.filter(|row| !gone(row)).ok_or_else(none)?;
        let mut number = first.number;
        let mut rows = vec![first];
        let mut next = None;
        for left in (0..count).rev() {
            number = number.saturating_add(1);
            let row = self.stored_row(visit, source, recording, number).await?;
            match (left, row) {
                (0, row) => next = row,
                (_, Some(row)) if !row.discontinuity => rows.push(row),
                // That would be two segments, or more than there is.
                _ => return Err(none()),
            }
        }
        let rows: Vec<&Row> = rows.iter().collect();
        Piece::of(&recording.open, &rows, next.as_ref()).ok_or_else(none)
    }

    /// When a recording begins, on the event's clock.
    async fn first_moment(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        recording: &Recording,
    ) -> Result<u64, OriginError> {
        let first = match recording.first_row() {
            Some(number) => self.stored_row(visit, source, recording, number).await?,
            None => None,
        };
        let start = first.map_or(0, |row| row.start);
        Ok(u64::try_from(start).unwrap_or(0))
    }
}

fn is_preview(source: Source<'_>) -> bool {
    matches!(source, Source::Live(broadcast) if broadcast.preview.is_some())
}
