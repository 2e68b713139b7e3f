//! Cues as fragments of Smooth Streaming.

use super::super::fragment::Asked;
use super::super::text::sealed;
use super::super::{Origin, Visit};
use super::find::none;
use super::load::Source;
use crate::address::Noun;
use crate::answer::{Coding, Meta, Resource};
use crate::error::OriginError;
use crate::live::cues::sparse_fragment;
use crate::ports::{Catalog, Storage};
use crate::shield::Shield;
use crate::tag::Tag;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Encoders may still say it otherwise.
const CACHE: &str = "public, max-age=2";
/// What filters of content keys know the stream as.
const CODEC: &str = "scte35";

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// What is said of the moment `name`, in units of the protocol. Text is encrypted with its segment only.
    ///
    /// Errors: 404 if nothing is.
    pub(super) async fn live_cue(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        name: u64,
        shield: Option<&Shield>,
    ) -> Result<Resource, OriginError> {
        if asked.noun != Noun::Fragments {
            return Err(none());
        }
        // The worker knows what was said last.
        let snapshot = self.told(visit, source, None).await?;
        let mut found = match &snapshot {
            Some(snapshot) => sparse_fragment(&snapshot.timeline.cues, name)?,
            None => None,
        };
        if found.is_none()
            && let Some(recording) = self.stored(visit, source, false).await?
        {
            found = sparse_fragment(&recording.open.cues, name)?;
        }
        let bytes = found.ok_or_else(none)?;
        let key = match shield {
            Some(shield) => shield.text_key(CODEC)?,
            None => None,
        };
        let mut tag = Tag::new();
        tag.text("live cue");
        tag.text(&STANDARD.encode(&bytes));
        if let Some(shield) = shield {
            shield.tag_bytes(key, &mut tag);
        }
        let body = sealed(bytes, key)?;
        let meta = Meta {
            content_type: "application/mp4",
            etag: tag.finish(),
            last_modified: None,
            cache_control: CACHE,
            coding: Coding::Plain,
            prefetch: None,
        };
        Ok(Resource { body, meta })
    }
}
