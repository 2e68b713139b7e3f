//! Which captions the pictures of a presentation carry: from the note on it, or looked up in the pictures.

use super::{Origin, Visit};
use crate::captions::{MAX_NOTE_BYTES, note, note_name, pictures, probes, read_note, window};
use crate::codec::Decoder;
use crate::error::OriginError;
use crate::index::storage_error;
use crate::ports::{Catalog, Storage, StorageError};
use crate::presentation::{Presentation, Track};
use bytes::Bytes;
use futures::future::try_join_all;
use headwater_cmaf::index::codec_family;
use headwater_text::captions::{CaptionScan, Captions, Pictures};
use jiff::SignedDuration;

/// How long pictures that cannot be read are not tried again.
const RETRY: SignedDuration = SignedDuration::from_secs(60);
/// What a memory of a track costs.
const ENTRY_BYTES: usize = 64;

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// The captions in the presentation's pictures; `None` if that is not known. They are the same in all renditions, so the
    /// smallest is looked at.
    pub(super) async fn captions(
        &self,
        visit: &Visit<'_, C::Location>,
        presentation: &Presentation,
    ) -> Option<Captions> {
        let mut smallest: Option<(&Track, Pictures)> = None;
        let mut others_have_none = !presentation.videos.is_empty();
        for track in &presentation.videos {
            let head = track.head().ok()?;
            match Decoder::of(head).and_then(|decoder| Pictures::of(&decoder.config)) {
                Some(_) if smallest.is_some_and(|(known, _)| known.bitrate <= track.bitrate) => {}
                Some(pictures) => smallest = Some((track, pictures)),
                // VP9 has no place for captions; AV1 has one that is not looked at.
                None => others_have_none &= codec_family(&head.codec) == "vp09",
            }
        }
        let Some((track, pictures)) = smallest else {
            return others_have_none.then(Captions::default);
        };
        let (file, etag) = (&track.index.file, track.index.source_etag());
        let key = format!(
            "{}\n{file}\n{}\n{etag}",
            visit.published.place, track.position
        );
        if let Some(known) = self.captions.get(&key, visit.now) {
            return known;
        }
        let (found, until) = match self.look_for_captions(visit, track, pictures).await {
            Ok(found) => (Some(found), None),
            Err(error) => {
                (self.log)(&format!(
                    "{file}: whether its pictures have captions is not known: {}",
                    error.log_line()
                ));
                (None, visit.now.checked_add(RETRY).ok())
            }
        };
        self.captions.put(&key, found, ENTRY_BYTES, until);
        found
    }

    async fn look_for_captions(
        &self,
        visit: &Visit<'_, C::Location>,
        track: &Track,
        kind: Pictures,
    ) -> Result<Captions, OriginError> {
        let at = &visit.published.location;
        let etag = track.index.source_etag();
        let name = note_name(&track.index.file);
        let stored = self.storage.read(at, &name, 0..MAX_NOTE_BYTES, None).await;
        let useless = match stored {
            Ok(read) => match read_note(&read.bytes, etag) {
                Some(captions) => return Ok(captions),
                None => Some(read.etag),
            },
            Err(StorageError::NotFound) => None,
            Err(error) => return Err(storage_error(error)),
        };
        let reader = self.reader(visit, track)?;
        let runs = probes(reader.head.segment_count).into_iter();
        let reader = &reader;
        let runs = runs.map(|number| async move {
            let entries = reader.numbered(number..number.saturating_add(1)).await?;
            let Some(entry) = entries.into_iter().next() else {
                return Ok(None);
            };
            let samples = reader.samples(&entry).await?;
            let Some(range) = window(&samples) else {
                return Ok(None);
            };
            let (object, start) = (reader.object_name(&entry, &samples), range.start);
            let tag = samples.etag.as_deref().unwrap_or(etag);
            let read = self.storage.read(at, &object, range, Some(tag)).await;
            let bytes = read.map_err(storage_error)?.bytes;
            Ok::<_, OriginError>(Some((samples, start, bytes)))
        });
        let mut scan = CaptionScan::new(kind);
        for (samples, start, bytes) in try_join_all(runs).await?.into_iter().flatten() {
            scan.look(pictures(&samples, start, &bytes));
        }
        let captions = scan.captions();
        let note = Bytes::from(note(etag, captions));
        match self.storage.put(at, &name, note, useless.as_deref()).await {
            // Somebody else was faster, and found the same.
            Ok(_) | Err(StorageError::Changed) => {}
            Err(error) => (self.log)(&format!("{name} could not be stored: {error}")),
        }
        Ok(captions)
    }
}
