//! What there is: server manifests, indexes, filters.

use super::{FILTER_TTL, LISTING_TTL, Origin, Visit, catalog_error};
use crate::added::AddedTrack;
use crate::address::{Options, TrackAddress};
use crate::error::{Code, OriginError};
use crate::filter::{Filter, Instant, Selection, Stored};
use crate::index::{Found, Freshness, LoadedIndex, SegmentTime};
use crate::ports::{Catalog, Storage};
use crate::presentation::{self, Listing, Presentation, Track};
use futures::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// What a manifest's URL and its locator select. `zero`: where the presentation starts, for windows that count from
    /// there.
    ///
    /// Errors: 404 for filters that do not exist, and those of [`Selection`].
    pub(super) async fn selection(
        &self,
        visit: &Visit<'_, C::Location>,
        options: &Options,
        zero: Instant,
    ) -> Result<Selection, OriginError> {
        let mut names: Vec<String> = visit.published.filters.clone();
        for name in &options.filters {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut selection = Selection::of(self.filters(visit, names).await?)?;
        selection.window(&options.window, zero)?;
        Ok(selection)
    }

    /// Errors: 404 for a name that none has, 415 for one that cannot be applied.
    pub(super) async fn filters(
        &self,
        visit: &Visit<'_, C::Location>,
        names: Vec<String>,
    ) -> Result<Vec<Filter>, OriginError> {
        let key = |name: &str| format!("{}\n{name}", visit.locator);
        let mut known: HashMap<&str, Option<Stored>> = HashMap::new();
        let mut missing = Vec::new();
        for name in &names {
            let remembered = self
                .filters
                .get(&key(name), visit.now)
                .filter(|_| visit.freshness == Freshness::Remembered);
            match remembered {
                Some(filter) => drop(known.insert(name, filter)),
                None => missing.push(name.clone()),
            }
        }
        if !missing.is_empty() {
            let found = self.catalog.filters(visit.locator, &missing).await;
            let until = visit.now.checked_add(FILTER_TTL).ok();
            for (name, filter) in missing.iter().zip(found.map_err(catalog_error)?) {
                self.filters.put(&key(name), filter.clone(), 1024, until);
                if let Some(name) = names.iter().find(|n| *n == name) {
                    known.insert(name, filter);
                }
            }
        }
        let none = || {
            OriginError::new(
                Code::EgressFilterNotFound,
                "a filter of this name does not exist",
            )
        };
        let filters = names.iter().map(|name| {
            let stored = known.remove(name.as_str()).flatten();
            Ok(stored.ok_or_else(none)??)
        });
        filters.collect()
    }

    pub(super) async fn directory(
        &self,
        visit: &Visit<'_, C::Location>,
        track: &Track,
    ) -> Result<Vec<SegmentTime>, OriginError> {
        let media = visit.media(&track.index.file);
        self.indexes
            .directory(
                &self.storage,
                &media,
                &track.index,
                track.head()?,
                visit.now,
            )
            .await
    }

    /// The track that a URL names. Where the server manifest alone can tell which file that is, only that file's index
    /// is looked at.
    pub(super) async fn track(
        &self,
        visit: &Visit<'_, C::Location>,
        address: &TrackAddress,
    ) -> Result<Track, OriginError> {
        let listing = self.listing(visit, &address.manifest).await?;
        if let Some(entry) = listing.written_down(&address.name, address.bitrate) {
            let alone = Listing {
                entries: vec![entry.clone()],
                fragments_per_hls_segment: listing.fragments_per_hls_segment,
                recording: listing.recording,
                texts: Vec::new(),
            };
            let presentation = self.join(visit, &alone).await?;
            return presentation.find(&address.name, address.bitrate).cloned();
        }
        let presentation = self.presentation(visit, &address.manifest).await?;
        presentation.find(&address.name, address.bitrate).cloned()
    }

    /// The server manifest's tracks, and those that were added through the API.
    pub(super) async fn whole_listing(
        &self,
        visit: &Visit<'_, C::Location>,
        name: &str,
    ) -> Result<Listing, OriginError> {
        let (listing, added) =
            futures::try_join!(self.listing(visit, name), self.added_tracks(visit))?;
        Ok(Listing::clone(&listing).with(&added))
    }

    pub(super) async fn added_tracks(
        &self,
        visit: &Visit<'_, C::Location>,
    ) -> Result<Arc<Vec<AddedTrack>>, OriginError> {
        if visit.freshness == Freshness::Remembered
            && let Some(added) = self.added.get(visit.locator, visit.now)
        {
            return Ok(added);
        }
        let added = self.catalog.added_tracks(visit.locator).await;
        let added = Arc::new(added.map_err(catalog_error)?);
        let bytes = added.len().saturating_mul(512).saturating_add(64);
        let until = visit.now.checked_add(LISTING_TTL).ok();
        self.added
            .put(visit.locator, Arc::clone(&added), bytes, until);
        Ok(added)
    }

    pub(super) async fn presentation(
        &self,
        visit: &Visit<'_, C::Location>,
        name: &str,
    ) -> Result<Presentation, OriginError> {
        let listing = self.whole_listing(visit, name).await?;
        self.join(visit, &listing).await
    }

    /// Looks for the indexes of all files of a listing side by side, then builds those that are missing one by one.
    ///
    /// A file that is not there or cannot be packaged is left out, unless no other is left; every other failure is the
    /// request's, as a presentation that changes with the weather is worse than none.
    pub(super) async fn join(
        &self,
        visit: &Visit<'_, C::Location>,
        listing: &Listing,
    ) -> Result<Presentation, OriginError> {
        let searches = listing.files().into_iter().map(|file| async move {
            let media = visit.media(file);
            let found = self
                .indexes
                .find(&self.storage, &media, visit.now, visit.freshness, self.log)
                .await;
            (media, found)
        });
        let mut indexes: HashMap<String, Arc<LoadedIndex>> = HashMap::new();
        let mut missing = None;
        for (media, found) in join_all(searches).await {
            let index = match found {
                Ok(Found::Index(index)) => Ok(index),
                Ok(Found::MediaOnly { info, useless }) => {
                    self.indexes
                        .build(
                            &self.storage,
                            &media,
                            &info,
                            useless.as_deref(),
                            visit.now,
                            self.log,
                        )
                        .await
                }
                Err(error) => Err(error),
            };
            match index {
                Ok(index) => {
                    indexes.insert(media.file.to_owned(), index);
                }
                Err(error) if leaves_out(error.code()) => {
                    (self.log)(&format!("{}: {}", media.file, error.log_line()));
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        for left_out in presentation::without_track(listing, &indexes) {
            let track = left_out.track.map(|id| format!(" track {id}:"));
            let track = track.unwrap_or_default();
            (self.log)(&format!("{}:{track} {}", left_out.file, left_out.reason));
        }
        match missing {
            Some(error) if indexes.is_empty() => Err(error),
            _ => Presentation::build(listing, &indexes),
        }
    }

    /// The server manifest, or the listing that stands in for it.
    pub(super) async fn listing(
        &self,
        visit: &Visit<'_, C::Location>,
        name: &str,
    ) -> Result<Arc<Listing>, OriginError> {
        let key = format!("{}\n{name}", visit.published.place);
        if visit.freshness == Freshness::Remembered
            && let Some(listing) = self.listings.get(&key, visit.now)
        {
            return Ok(listing);
        }
        let found = presentation::find(&self.storage, &visit.published.location, name).await?;
        for left_out in found.left_out {
            (self.log)(&format!(
                "{name}.ism: {}: {}",
                left_out.file, left_out.reason
            ));
        }
        let listing = found.listing;
        let listing = Arc::new(listing);
        let tracks = listing.entries.len().saturating_add(listing.texts.len());
        let cost = tracks.saturating_mul(256);
        self.listings.put(
            &key,
            Arc::clone(&listing),
            cost,
            visit.now.checked_add(LISTING_TTL).ok(),
        );
        Ok(listing)
    }
}

/// Whether a presentation goes without a file that fails like this.
pub(crate) fn leaves_out(code: Code) -> bool {
    matches!(
        code,
        Code::FormatNotSupported
            | Code::AlreadyEncrypted
            | Code::KeyFrameIntervalTooLarge
            | Code::ResourceNotFound
    )
}
