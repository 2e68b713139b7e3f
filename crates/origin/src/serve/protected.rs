//! Segments that are encrypted: sample by sample, or as a whole.

use super::fragment::{segment_plan, unplannable};
use super::{Origin, Visit};
use crate::error::{Code, OriginError};
use crate::index::storage_error;
use crate::ports::{Catalog, Storage};
use crate::presentation::Track;
use crate::segments::{TrackReader, first_picture};
use crate::shield::{Shield, scan_codec, unprotectable};
use futures::future::try_join_all;
use headwater_cmaf::index::{SegmentEntry, SegmentSamples, TrackHead};
use headwater_plan::{Plan, SampleKey, Scan, ScanCodec, SubsampleMap};
use headwater_protect::{Cipher, IvSpace, ProtectedSegment, Scheme, SegmentProtection};
use headwater_ts::Fragment;
use std::sync::Arc;

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// What a segment whose samples are encrypted consists of. `clear`: its head without that.
    pub(super) async fn protect(
        &self,
        visit: &Visit<'_, C::Location>,
        reader: &TrackReader<'_, S>,
        track: &Track,
        entry: &SegmentEntry,
        samples: &SegmentSamples,
        (protection, clear): (&SegmentProtection, &[u8]),
    ) -> Result<ProtectedSegment, OriginError> {
        let (map, first_iv) = self
            .vectors(visit, reader, track, entry, samples, protection)
            .await?;
        ProtectedSegment::plan(protection, clear, map, first_iv, None).map_err(unprotectable)
    }

    /// The subsamples of a segment's samples, and the initialisation vector of the first.
    pub(super) async fn vectors(
        &self,
        visit: &Visit<'_, C::Location>,
        reader: &TrackReader<'_, S>,
        track: &Track,
        entry: &SegmentEntry,
        samples: &SegmentSamples,
        protection: &SegmentProtection,
    ) -> Result<(SubsampleMap, u64), OriginError> {
        let map = match protection.video {
            false => SegmentProtection::whole(samples.samples.iter().map(|s| s.size)),
            true => {
                let looked = Looked::subsamples(protection.scheme, reader.head)?;
                let map = self
                    .map(visit, reader, track, entry, samples, looked)
                    .await?;
                SubsampleMap::clone(&map)
            }
        };
        let identity = format!(
            "{}\n{}\n{}",
            visit.published.place,
            track.index.file,
            reader.index.source_etag()
        );
        let number = u16::try_from(track.position).unwrap_or(u16::MAX);
        let space = IvSpace::new(protection.kid, identity.as_bytes(), number);
        let first_iv = space
            .first(
                entry.start,
                entry.duration,
                samples.samples.len(),
                reader.head.timescale.get(),
            )
            .or_else(|error| match protection.scheme {
                // Has no use for it.
                Scheme::Cbcs => Ok(0),
                _ => Err(error),
            })
            .map_err(unprotectable)?;
        Ok((map, first_iv))
    }

    /// Says of each picture in `fragments`, which are `entries`, how long it becomes in a transport stream. `alone`: they have
    /// their first one only.
    pub(super) async fn encrypted_lengths(
        &self,
        visit: &Visit<'_, C::Location>,
        reader: &TrackReader<'_, S>,
        track: &Track,
        entries: &[SegmentEntry],
        (key, alone): (&SampleKey, bool),
        fragments: &mut [Fragment],
    ) -> Result<(), OriginError> {
        let maps = entries.iter().map(async |entry| {
            let mut samples = reader.samples(entry).await?;
            if alone {
                samples = first_picture(entry.duration, &samples)?;
            }
            let looked = Looked::lengths(key);
            self.map(visit, reader, track, entry, &samples, looked)
                .await
        });
        for (map, fragment) in try_join_all(maps).await?.iter().zip(fragments) {
            for (sample, found) in fragment.samples.iter_mut().zip(map.iter()) {
                let len = found.first().map_or(0, |part| part.protected);
                sample.becomes = len;
            }
        }
        Ok(())
    }

    /// What the assembler finds in a segment's pictures: remembered, or asked.
    async fn map(
        &self,
        visit: &Visit<'_, C::Location>,
        reader: &TrackReader<'_, S>,
        track: &Track,
        entry: &SegmentEntry,
        samples: &SegmentSamples,
        looked: Looked,
    ) -> Result<Arc<SubsampleMap>, OriginError> {
        let key = format!(
            "{}\n{}\n{}\n{} {} {} {}",
            visit.published.place,
            track.index.file,
            reader.index.source_etag(),
            track.position,
            entry.number,
            samples.samples.len(),
            looked.name
        );
        if let Some(map) = self.maps.get(&key, visit.now) {
            return Ok(map);
        }
        let object = reader.object(entry, samples)?;
        let sizes = samples.samples.iter().map(|s| s.size).collect();
        let plan = segment_plan(object, Vec::new(), &samples.ranges).map_err(unplannable)?;
        self.look(&key, looked, sizes, plan).await
    }

    /// Asks the assembler what it finds in samples, which `plan` has, and remembers that under `key`.
    pub(super) async fn look(
        &self,
        key: &str,
        looked: Looked,
        sizes: Vec<u32>,
        plan: Plan,
    ) -> Result<Arc<SubsampleMap>, OriginError> {
        let scan = Scan {
            scheme: looked.scheme,
            codec: looked.codec,
            sizes,
            plan,
        };
        scan.check().map_err(unplannable)?;
        let map = self.storage.scan(&scan).await.map_err(storage_error)?;
        let map = Arc::new(map);
        let bytes = map.iter().fold(0_usize, |sum, sample| {
            let parts = sample.len().saturating_mul(8);
            sum.saturating_add(parts).saturating_add(24)
        });
        self.maps.put(key, Arc::clone(&map), bytes, None);
        Ok(map)
    }
}

/// What is found out about pictures.
pub(super) struct Looked {
    scheme: Scheme,
    codec: ScanCodec,
    /// Tells one kind of finding from others.
    pub(super) name: String,
}

impl Looked {
    /// Which bytes stay clear.
    ///
    /// Errors: 415 for pictures that nobody here can take apart.
    pub(super) fn subsamples(scheme: Scheme, head: &TrackHead) -> Result<Self, OriginError> {
        let codec = scan_codec(head).ok_or_else(|| {
            let why = "pictures of this kind cannot be encrypted sample by sample";
            OriginError::new(Code::FormatNotSupported, why)
        })?;
        Ok(Self {
            scheme,
            codec,
            name: scheme.name().to_owned(),
        })
    }

    /// How long each becomes in a transport stream. The vector is a function of the key's id.
    pub(super) fn lengths(key: &SampleKey) -> Self {
        Self {
            scheme: Scheme::Cbcs,
            codec: ScanCodec::SampleAes(key.clone()),
            name: format!("sample-aes {:032x}", u128::from_be_bytes(key.iv)),
        }
    }
}

/// The plan of a segment with these tracks, encrypted as a whole if that is asked for and they are not clear.
pub(super) fn enveloped<'a>(
    plan: Plan,
    shield: Option<&Shield>,
    heads: impl IntoIterator<Item = &'a TrackHead>,
) -> Result<Plan, OriginError> {
    let Some(shield) = shield.filter(|shield| shield.samples().is_none()) else {
        return Ok(plan);
    };
    let Some(key) = shield.key_of(heads)? else {
        return Ok(plan);
    };
    let cipher = Cipher::Envelope {
        iv: IvSpace::constant(key.kid),
        len: plan.total_len(),
    };
    plan.cover(0, cipher, key.key.clone()).map_err(unplannable)
}

pub(super) fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
