//! Sheets of pictures for seeking: found, listed and sent.

use super::text::playlist_meta;
use super::{Made, Origin, Visit};
use crate::address::{Format, Options, TrackAddress, child::Carried};
use crate::answer::{self, Coding, Request};
use crate::error::{Code, OriginError};
use crate::filter::Selection;
use crate::images::{self, Images};
use crate::ports::{Catalog, Storage};
use crate::presentation::{Listing, Presentation};
use crate::tag::Tag;
use jiff::SignedDuration;
use std::sync::Arc;

/// How long it is believed that an asset has such sheets, or none.
const IMAGES_TTL: SignedDuration = SignedDuration::from_secs(60);

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// The sheets of pictures that an asset has for a presentation. `listing`: what else its text files are.
    async fn images(
        &self,
        visit: &Visit<'_, C::Location>,
        name: &str,
        listing: &Listing,
    ) -> Option<Arc<Images>> {
        let key = format!("{}\n{name}", visit.published.place);
        if let Some(known) = self.images.get(&key, visit.now) {
            return known;
        }
        let found = images::find(&self.documents(visit), name, &listing.texts).await;
        let found = found.map(|(_, images)| Arc::new(images));
        let sheets = found
            .as_ref()
            .map_or(0, |images: &Arc<Images>| images.files.len());
        let until = visit.now.checked_add(IMAGES_TTL).ok();
        let bytes = sheets.saturating_mul(128).saturating_add(128);
        self.images.put(&key, found.clone(), bytes, until);
        found
    }

    /// The sheets that a URL names, if it names them.
    ///
    /// Errors: 404 for another bit rate; 415 under encryption, as pictures have no place in that.
    pub(super) async fn images_named(
        &self,
        visit: &Visit<'_, C::Location>,
        address: &TrackAddress,
        options: &Options,
    ) -> Result<Option<Arc<Images>>, OriginError> {
        if address.name != images::NAME {
            return Ok(None);
        }
        let listing = self.listing(visit, &address.manifest).await?;
        if listing
            .written_down(&address.name, address.bitrate)
            .is_some()
        {
            return Ok(None);
        }
        let listing = self.whole_listing(visit, &address.manifest).await?;
        let Some(images) = self.images(visit, &address.manifest, &listing).await else {
            return Ok(None);
        };
        if options.encryption.is_some() {
            return Err(OriginError::new(
                Code::EncryptionNotSupported,
                "pictures for seeking are not served with encryption",
            ));
        }
        if images.bitrate != address.bitrate {
            return Err(OriginError::new(
                Code::ManifestMediaEntryNotFound,
                "the track does not exist at this bit rate",
            ));
        }
        Ok(Some(images))
    }

    /// The HLS playlist of sheets of pictures.
    pub(super) fn image_playlist(
        &self,
        request: &Request<'_>,
        images: &Images,
        options: &Options,
    ) -> Result<Made, OriginError> {
        let carried = Carried::new(options, None);
        let mut tag = Tag::new();
        tag.text("images");
        tag.text(&carried.media_playlist(0, ""));
        tag.images(images);
        let meta = playlist_meta(tag, Coding::of(request.headers));
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        Ok(self.text(images.playlist(carried), meta))
    }

    /// What a manifest has of sheets of pictures: none where times are cut, which sheets cannot be, nor under encryption.
    pub(super) async fn shown_images(
        &self,
        visit: &Visit<'_, C::Location>,
        (name, listing): (&str, &Listing),
        presentation: &Presentation,
        (options, selection): (&Options, &Selection),
    ) -> Option<Arc<Images>> {
        let smooth = matches!(options.format, Format::Smooth(_));
        let encrypted = options.encryption.is_some();
        if smooth || encrypted || selection.cuts() || presentation.videos.is_empty() {
            return None;
        }
        self.images(visit, name, listing).await
    }
}
