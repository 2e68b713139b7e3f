//! Live segments as Smooth Streaming fragments.

use super::super::fragment::{Asked, next_smooth_url, smooth_plan};
use super::super::protected::enveloped;
use super::super::{Origin, Visit};
use super::chunks::head;
use super::find::{Found, none, not_ready};
use super::load::Source;
use super::media_meta;
use super::segment::content_type;
use crate::address::Noun;
use crate::answer::{Content, Resource};
use crate::error::OriginError;
use crate::index::SegmentTime;
use crate::live::media;
use crate::live::smooth::LOOK_AHEAD;
use crate::manifests::smooth::Clock;
use crate::ports::{Catalog, Storage};
use crate::shield::Shield;
use crate::smooth;
use headwater_live::timeline::Timeline;
use headwater_time::Timescale;

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// `name`: the fragment's time in its URL.
    pub(super) async fn live_fragment(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        name: u64,
        shield: Option<&Shield>,
    ) -> Result<Resource, OriginError> {
        let found = self.called(visit, source, asked, name).await?;
        if !found.segment.complete {
            return Err(not_ready());
        }
        let following = self.following(visit, source, &found).await?;
        let head = head(&found)?;
        let mut tag = found.tag(visit);
        tag.text("smooth");
        tag.number(match asked.noun {
            Noun::Fragments => 0,
            Noun::FragmentInfo => 1,
            Noun::RawFragments => 2,
            Noun::KeyFrames => 3,
        });
        for next in &following {
            tag.number(next.start);
            tag.number(next.duration);
        }
        if let Some(shield) = shield {
            shield.check(&head)?;
            shield.tag_bytes(shield.key(&head)?, &mut tag);
        }
        let next = following.first().map(|next| next.start).or(found.next);
        let mut meta = media_meta(content_type(found.track.kind), tag);
        meta.prefetch = next_smooth_url(asked, Clock::of(&head), next);
        let count = found.segment.parts.len();
        let chunks = self.chunks(visit, source, &found, count).await?;
        let (entry, samples) = media::samples(&found.row, &found.segment, &chunks);
        let clock = (Clock::of(&head), following.as_slice());
        let fragment = smooth::fragment(&head, &entry, &samples, clock, asked.noun)?;
        let object = self.whole_object(visit, source, &found)?;
        let protected = match shield.map(|shield| shield.of_samples(&head)).transpose()? {
            Some(Some((protection, key))) => {
                let of = (&head, &protection);
                let map = self.live_subsamples(visit, source, &found, &chunks, of);
                let map = map.await?;
                let first_iv = self.first_iv(visit, source, &found, &protection, map.len())?;
                let made = fragment.protect(&protection, map, first_iv)?;
                Some((made, key.key.clone()))
            }
            _ => None,
        };
        let plan = smooth_plan(fragment, object, asked.noun, protected)?;
        let body = Content::Plan(enveloped(plan, shield, [&head])?);
        Ok(Resource { body, meta })
    }

    /// The segment whose fragment is called `name`, in units of the protocol.
    async fn called(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
        name: u64,
    ) -> Result<Found, OriginError> {
        // Units are finer than ticks, so that there is one tick alone for a name, whichever scale a configuration has.
        let scales = self.scales(visit, source, asked).await?;
        let mut refused = none();
        for scale in scales {
            let Some(ticks) = Clock::with(scale).ticks(name) else {
                continue;
            };
            match self.find(visit, source, asked, ticks).await {
                Err(error) => refused = error,
                found => return found,
            }
        }
        Err(refused)
    }

    /// The timescales that a track has had.
    async fn scales(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        asked: Asked<'_>,
    ) -> Result<Vec<Timescale>, OriginError> {
        let of = |timeline: &Timeline| {
            let index = timeline.find(&asked.track.name, asked.track.bitrate)?;
            let track = timeline.tracks.get(usize::from(index))?;
            let mut scales: Vec<_> = track.configs.iter().map(|c| c.timescale).collect();
            scales.dedup();
            Some(scales)
        };
        let recording = self.stored(visit, source, true).await?;
        if let Some(found) = recording.and_then(|recording| of(&recording.open)) {
            return Ok(found);
        }
        let snapshot = self.told(visit, source, None).await?;
        let found = snapshot.and_then(|snapshot| of(&snapshot.timeline));
        found.ok_or_else(none)
    }

    /// What comes after a fragment.
    ///
    /// Errors: 412 while that is not there yet.
    async fn following(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
    ) -> Result<Vec<SegmentTime>, OriginError> {
        let (Source::Live(_), Some(known)) = (source, &found.following) else {
            return Ok(Vec::new());
        };
        if known.len() >= LOOK_AHEAD || found.ended {
            return Ok(known.clone());
        }
        // Storage has the newest segments a moment later than the worker.
        let Some(snapshot) = self.told(visit, source, None).await? else {
            return Err(not_ready());
        };
        let (row, segment) = (found.row.clone(), found.segment.clone());
        let newer = super::find::found(&snapshot.timeline, found.index, row, segment, false);
        match newer.and_then(|newer| Some((newer.following?, newer.ended))) {
            Some((next, ended)) if ended || next.len() >= LOOK_AHEAD => Ok(next),
            Some(_) => Err(not_ready()),
            None => Ok(Vec::new()),
        }
    }
}
