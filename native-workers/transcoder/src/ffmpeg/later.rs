//! Recordings whose encoder came back with other settings.
//!
//! Their rows say which fragment has which (`headwater_live::archive`). Pictures of other settings are put into the file with their
//! parameter sets before each key frame, as decoders take them; sound has no such place.

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use headwater_bmff::{BoxedKind, CodecConfig, TrackConfig, TrackKind, hevc};
use headwater_cmaf::index::{ArchiveBuilder, SourceId};
use headwater_live::archive::{Recording, folder, head_name, page_name, parse_page};
use headwater_live::timeline::{Config, Row, TrackIndex};
use headwater_work::Place;

use super::archive::AT_A_TIME;
use super::inputs::Loader;
use crate::failure::{self, Step};
use crate::source::Source;

/// Largest head or page of a recording.
const MAX_BYTES: u64 = 16 << 20;

/// From the fragment `from` on, what is put before every key frame: NAL units with their lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Later {
    pub(super) from: u64,
    pub(super) sets: Bytes,
}

/// Those of the fragment `start`; `all` ascend.
pub(super) fn later_at(all: &[Later], start: u64) -> Option<&Later> {
    let after = all.partition_point(|later| later.from <= start);
    all.get(after.checked_sub(1)?)
}

impl Loader<'_> {
    /// The settings of the track in `path`, whose first ones are those of `config`, by the rows of the recording `manifest`.
    ///
    /// Errors: `ContentUnsupported` for what cannot be one stream, `ContentMalformed`, those of reading.
    pub(super) async fn later_settings(
        &self,
        place: &Place,
        manifest: &str,
        path: &str,
        config: &TrackConfig,
    ) -> Step<Vec<Later>> {
        let refused = |why: &str| {
            failure::unsupported(format!(
                "The archived track '{path}' was sent with other settings later on: {why}."
            ))
        };
        if self.copies && config.kind == TrackKind::Video {
            return Err(refused(
                "a copy can state one picture size only, use a preset that encodes",
            ));
        }
        let damaged = |error: headwater_live::LiveError| {
            failure::malformed(format!(
                "The recording '{manifest}' cannot be read: {error}."
            ))
        };
        let head = self.small(place, &head_name(manifest)).await?;
        let recording = Recording::parse(&head).map_err(damaged)?;
        let tracks = (0..).zip(&recording.open.tracks);
        let own = path.rsplit('/').next().unwrap_or(path);
        let Some((index, track)) = tracks.into_iter().find(|(_, track)| folder(track) == own)
        else {
            return Err(refused("the recording does not say where"));
        };
        let pages = recording.pages.iter().map(|page| async {
            let name = page_name(manifest, page.first);
            parse_page(&self.small(place, &name).await?).map_err(damaged)
        });
        let pages: Vec<_> = stream::iter(pages)
            .buffered(AT_A_TIME)
            .try_collect()
            .await?;
        let rows = pages.iter().flatten().chain(&recording.open.rows);
        let mut found = Vec::new();
        for (from, number) in changes(rows, index) {
            let other = track.configs.get(usize::from(number));
            let other = other.ok_or_else(|| refused("the recording does not say which"))?;
            let sets = sets(config, other).map_err(refused)?;
            found.push(Later { from, sets });
        }
        Ok(found)
    }

    async fn small(&self, place: &Place, name: &str) -> Step<Bytes> {
        let source = Source::named(self.storage, place, name, self.stop).await?;
        if source.len > MAX_BYTES {
            let len = source.len;
            return Err(failure::malformed(format!("'{name}' has {len} bytes.")));
        }
        source.read(0..source.len).await
    }
}

/// At which segments of a track its configuration becomes which.
fn changes<'a>(rows: impl Iterator<Item = &'a Row>, track: TrackIndex) -> Vec<(u64, u16)> {
    let mut segments: Vec<(u64, u16)> = rows
        .filter_map(|row| row.segments.get(&track))
        .map(|segment| (segment.start, segment.config))
        .collect();
    segments.sort_unstable();
    segments.dedup_by_key(|(_, config)| *config);
    // The file begins with the first ones.
    if segments.first().is_some_and(|&(_, config)| config == 0) {
        segments.remove(0);
    }
    segments
}

/// What `other` is told a decoder by that began with `first`.
fn sets(first: &TrackConfig, other: &Config) -> Result<Bytes, &'static str> {
    let id = SourceId {
        etag: String::new(),
        len: other.init.len() as u64,
    };
    let builder = ArchiveBuilder::new(Bytes::from(other.init.clone()), id)
        .map_err(|_| "its header cannot be read")?;
    let other = builder.config();
    if other.timescale != first.timescale {
        return Err("it counts time otherwise since");
    }
    match (&first.codec, &other.codec) {
        (CodecConfig::Avc(first), CodecConfig::Avc(other)) => {
            let sets = other.sps.iter().chain(&other.pps).map(Vec::as_slice);
            lengths(sets, first.nal_length_size, other.nal_length_size)
        }
        (CodecConfig::Boxed(first), CodecConfig::Boxed(other))
            if (first.kind, other.kind) == (BoxedKind::Hevc, BoxedKind::Hevc) =>
        {
            let size = |record: &[u8]| record.get(21).map_or(4, |byte| (byte & 3) + 1);
            let sets = hevc::parameter_sets(&other.config).ok_or("its header cannot be read")?;
            let sets = sets.into_iter().filter(|nal| hevc::is_parameter_set(nal));
            lengths(sets, size(&first.config), size(&other.config))
        }
        // They say in key frames what they are.
        (CodecConfig::Boxed(first), CodecConfig::Boxed(other))
            if first.kind == other.kind
                && [BoxedKind::Av1, BoxedKind::Vp9].contains(&first.kind) =>
        {
            Ok(Bytes::new())
        }
        (first, other) if first == other => Ok(Bytes::new()),
        _ => Err("it is of another codec, sample rate or number of channels since"),
    }
}

/// `sets` with lengths of `size` bytes, which must be the `other` size as well, as there is one for all of a file.
fn lengths<'a>(
    sets: impl Iterator<Item = &'a [u8]>,
    size: u8,
    other: u8,
) -> Result<Bytes, &'static str> {
    if size != other {
        return Err("lengths of its NAL units have another size since");
    }
    let mut out = Vec::new();
    for set in sets {
        let length = (set.len() as u64).to_be_bytes();
        let (beyond, length) = length.split_at(8 - usize::from(size.min(8)));
        if beyond.iter().any(|&byte| byte != 0) {
            return Err("a parameter set is too long for the size of lengths");
        }
        out.extend_from_slice(length);
        out.extend_from_slice(set);
    }
    Ok(out.into())
}
