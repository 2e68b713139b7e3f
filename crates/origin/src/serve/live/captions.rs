//! Captions inside of live pictures: looked for in the newest whole segment of the smallest rendition.

use super::load::Source;
use super::{Origin, Visit};
use crate::captions::{PROBE_BYTES, media_boxes};
use crate::live::show::Show;
use crate::ports::{Catalog, Storage};
use bytes::Bytes;
use headwater_bmff::parse_movie;
use headwater_live::archive::segment_name;
use headwater_live::edge::path;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Segment, Track, TrackIndex};
use headwater_text::captions::{CaptionScan, Captions, Pictures};
use jiff::SignedDuration;

/// An encoder that inserts no captions may begin to; pictures that could not be read may be there later.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// What a memory of a track costs.
const ENTRY_BYTES: usize = 64;

/// A segment to look at.
struct Newest<'a> {
    index: TrackIndex,
    track: &'a Track,
    config: &'a Config,
    number: u64,
    segment: &'a Segment,
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// The captions in the pictures of what is shown; `None` if that is not known.
    pub(super) async fn live_captions(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        show: &Show,
    ) -> Option<Captions> {
        let newest = newest(show)?;
        let movie = parse_movie(Bytes::copy_from_slice(&newest.config.init)).ok()?;
        let pictures = Pictures::of(&movie.tracks.first()?.config.codec)?;
        let manifest = match source {
            Source::Live(broadcast) => broadcast.event.as_str(),
            Source::Film(name) => name,
        };
        // Of an event everything else may change from day to day, but not within what is remembered.
        let key = format!(
            "live\n{}\n{manifest}\n{}\n{}\n{}",
            visit.published.place,
            segment_name(newest.track, 0),
            newest.segment.config,
            newest.config.codec,
        );
        if let Some(known) = self.captions.get(&key, visit.now) {
            return known;
        }
        let bytes = self.newest_bytes(visit, source, &newest).await;
        let found = bytes.map(|bytes| {
            let mut scan = CaptionScan::new(pictures);
            // Samples follow one another without anything in between, and so do their NAL units.
            for (at, media) in (0..).zip(media_boxes(&bytes)) {
                scan.look(vec![(at, media)]);
            }
            scan.captions()
        });
        let until = visit.now.checked_add(AGAIN).ok();
        self.captions.put(&key, found, ENTRY_BYTES, until);
        found
    }

    /// The first part of the segment from the worker, or as much of it from storage.
    async fn newest_bytes(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        newest: &Newest<'_>,
    ) -> Option<Bytes> {
        let part = newest.segment.part_range(0)?;
        let small = part.end.saturating_sub(part.start) <= PROBE_BYTES;
        if let Source::Live(broadcast) = source
            && let Some(edge) = broadcast.edge.as_ref().filter(|_| small)
        {
            let path = path::media(&broadcast.event, newest.index, newest.number, Some(0), 0);
            if let Ok(Some(bytes)) = self.storage.ask(edge, &path).await {
                return Some(bytes);
            }
        }
        if matches!(source, Source::Live(broadcast) if broadcast.preview.is_some()) {
            return None;
        }
        let name = segment_name(newest.track, newest.segment.start);
        let at = &visit.published.location;
        let read = self.storage.read(at, &name, 0..PROBE_BYTES, None).await;
        read.ok().map(|read| read.bytes)
    }
}

fn newest(show: &Show) -> Option<Newest<'_>> {
    let tracks = show.tracks();
    let videos = tracks
        .iter()
        .filter(|(_, track, _)| track.kind == Kind::Video);
    let (index, track, _) = *videos.min_by_key(|(_, track, _)| track.bitrate)?;
    let mut rows = show.timeline.rows.iter().rev();
    rows.find_map(|row| {
        let segment = row.segments.get(&index).filter(|s| s.complete)?;
        Some(Newest {
            index,
            track,
            config: show.timeline.config(index, segment.config)?,
            number: row.number,
            segment,
        })
    })
}
