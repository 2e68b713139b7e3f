//! Headers of a segment's chunks, and what the assembler finds in their media.

use super::super::fragment::unplannable;
use super::super::protected::Looked;
use super::super::{Origin, Visit};
use super::find::{Found, at_edge, edge_object, not_ready};
use super::load::{AT_ONCE, Source};
use crate::error::{Code, OriginError};
use crate::index::storage_error;
use crate::live::media;
use crate::ports::{Catalog, Storage};
use bytes::Bytes;
use futures::future::try_join_all;
use headwater_cmaf::index::TrackHead;
use headwater_live::chunk::{Chunk, MAX_HEADER_BYTES};
use headwater_live::edge::path;
use headwater_live::timeline::{Config, Part};
use headwater_plan::{MAX_OBJECTS, Object, PlanBuilder, SubsampleMap};
use std::ops::Range;
use std::sync::Arc;

/// Most parts of a segment: a row is at most half a minute of parts of a third of a second, and what an encoder without key
/// frames makes of it.
const MAX_PARTS: usize = 1024;

fn damaged(why: impl std::fmt::Display) -> OriginError {
    OriginError::new(Code::Internal, "a live segment is damaged").because(why)
}

/// The init segment that a segment needs, as a track's head.
pub(super) fn head(found: &Found) -> Result<TrackHead, OriginError> {
    Ok(media::head(&found.track, config(found)?))
}

fn config(found: &Found) -> Result<&Config, OriginError> {
    let configs = &found.track.configs;
    let config = configs.get(usize::from(found.segment.config));
    config.ok_or_else(|| damaged("it has no init segment"))
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// The first `count` chunks of a segment.
    ///
    /// Errors: 412 for what is gone before it was read; 500 for damaged ones.
    pub(super) async fn chunks(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        count: usize,
    ) -> Result<Vec<Arc<Chunk>>, OriginError> {
        if count > MAX_PARTS {
            return Err(OriginError::new(
                Code::KeyFrameIntervalTooLarge,
                "the segment has too many parts to be repackaged: its key frames are too far apart",
            ));
        }
        let config = config(found)?;
        let numbers: Vec<usize> = (0..count).collect();
        let mut chunks = Vec::with_capacity(count);
        for batch in numbers.chunks(AT_ONCE) {
            let reads = batch.iter().map(|number| async {
                let part = found.segment.parts.get(*number).ok_or_else(not_ready)?;
                self.chunk(visit, source, found, (*number, part), config)
                    .await
            });
            chunks.extend(try_join_all(reads).await?);
        }
        Ok(chunks)
    }

    async fn chunk(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        (number, part): (usize, &Part),
        config: &Config,
    ) -> Result<Arc<Chunk>, OriginError> {
        // What was lost with a worker may come again under another number, but not under this one.
        let key = format!(
            "{}\n{}\n{} {number} {}",
            visit.published.place,
            found.name(),
            found.row.number,
            part.size
        );
        let known = &self.recordings.chunks;
        if let Some(chunk) = known.get(&key, visit.now) {
            return Ok(chunk);
        }
        if part.header > part.size || part.header > MAX_HEADER_BYTES {
            return Err(damaged("the header of a part is too long"));
        }
        let header = self
            .header(visit, source, found, (number, part.header))
            .await?;
        let chunk = Chunk::parse(&config.init, header, part.size).map_err(damaged)?;
        let bytes = chunk.samples.len().saturating_mul(16);
        let bytes = bytes.saturating_add(chunk.header.len());
        let chunk = Arc::new(chunk);
        known.put(&key, Arc::clone(&chunk), bytes, None);
        Ok(chunk)
    }

    async fn header(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        (number, len): (usize, u32),
    ) -> Result<Bytes, OriginError> {
        let len = u64::from(len);
        if let Some((broadcast, edge)) = at_edge(source, found) {
            let row = found.row.number;
            let path = path::media(&broadcast.event, found.index, row, Some(number), 0);
            let asked = self.storage.ask_range(edge, &path, 0..len).await;
            // It may have gone to storage in between.
            if let Some(bytes) = asked.map_err(storage_error)? {
                return Ok(bytes);
            }
            if !found.segment.complete {
                return Err(not_ready());
            }
        }
        let range = found.segment.part_range(number).ok_or_else(not_ready)?;
        let (at, name) = (&visit.published.location, found.name());
        let range = range.start..range.start.saturating_add(len);
        let read = self.storage.read(at, &name, range, None).await;
        Ok(read.map_err(storage_error)?.bytes)
    }

    /// Where the media of a segment's first `count` parts is.
    pub(super) fn media(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        count: usize,
    ) -> Result<Vec<(Object, Range<u64>)>, OriginError> {
        let segment = &found.segment;
        if segment.complete {
            let object = self.whole_object(visit, source, found)?;
            let ranges = media::media_ranges(segment).into_iter().take(count);
            return Ok(ranges.map(|range| (object.clone(), range)).collect());
        }
        let (broadcast, edge) = at_edge(source, found).ok_or_else(not_ready)?;
        if count > MAX_OBJECTS {
            return Err(OriginError::new(
                Code::KeyFrameIntervalTooLarge,
                "the segment has too many parts to be encrypted before it is complete",
            ));
        }
        let parts = segment.parts.iter().take(count).enumerate();
        let parts = parts.map(|(number, part)| {
            let object = edge_object(edge, broadcast, found, Some(number))?;
            Ok((object, u64::from(part.header)..u64::from(part.size)))
        });
        parts.collect()
    }

    /// What the assembler finds in the pictures of a segment's first chunks: remembered, or asked. Always from the segment's
    /// start on, so that a part's are the same alone and within its segment.
    pub(super) async fn live_map(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        found: &Found,
        chunks: &[Arc<Chunk>],
        looked: Looked,
    ) -> Result<Arc<SubsampleMap>, OriginError> {
        let media = self.media(visit, source, found, chunks.len())?;
        let len = media.iter().fold(0_u64, |sum, (_, range)| {
            sum.saturating_add(range.end.saturating_sub(range.start))
        });
        let key = format!(
            "{}\n{}\nlive {} {} {len} {}",
            visit.published.place,
            found.name(),
            found.row.number,
            chunks.len(),
            looked.name
        );
        if let Some(map) = self.maps.get(&key, visit.now) {
            return Ok(map);
        }
        let mut plan = PlanBuilder::new();
        let mut last: Option<(Object, u32)> = None;
        for (object, range) in media {
            let number = match last {
                Some((known, number)) if known == object => number,
                _ => plan.object(object.clone()).map_err(unplannable)?,
            };
            plan.range(number, range).map_err(unplannable)?;
            last = Some((object, number));
        }
        let samples = chunks.iter().flat_map(|chunk| &chunk.samples);
        let sizes = samples.map(|sample| sample.size).collect();
        self.look(&key, looked, sizes, plan.finish()).await
    }
}
