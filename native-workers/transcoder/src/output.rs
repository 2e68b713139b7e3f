//! Putting an output into storage, in a way that can be taken up again at any point.
//!
//! A track file is staged block by block: every finished chunk is one block of every rendition, under an id made from the
//! job, the lease and the chunk. When all are there, one block with init segment and `sidx` is staged and the list is committed:
//! a track file appears whole or not at all. The server manifest comes last, so whoever finds one finds everything.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use headwater_blob::{ClientError, Conditions, HyperClient, Store};
use headwater_cmaf::index;
use headwater_cmaf::track_file::{SegmentRecord, TrackFile};
use headwater_work::{Claim, Place};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::failure::{self, Step, Stopped};
use crate::h264::encoder::ParameterSets;
use crate::retry::retrying;
use crate::source::blob_name;
use crate::storage::Storage;
use crate::video::EncodedChunk;

/// The folder of one output.
#[derive(Debug, Clone)]
pub struct OutputPlace {
    store: Store<HyperClient>,
    place: Place,
    job: Uuid,
    /// Whose blocks: see [`OutputPlace::block_id`].
    hand: String,
    stop: CancellationToken,
}

/// How long a hand's name is.
const HAND: usize = 8;

/// What the API keeps of a finished chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of the plan; see [`crate::plan`].
    pub plan: String,
    /// Who staged its blocks: see [`OutputPlace::block_id`].
    pub hand: String,
    /// One per rendition of the chunk, in the plan's order.
    pub tracks: Vec<TrackRecord>,
}

impl Record {
    /// `None` when the value is not a record of ours.
    pub fn read(value: &serde_json::Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackRecord {
    /// Bytes of the block.
    pub bytes: u64,
    /// Base64 of each segment's record.
    pub segments: Vec<String>,
    /// Base64 of SPS and PPS, for video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_sets: Option<(String, String)>,
}

impl TrackRecord {
    pub fn new(chunk: &EncodedChunk) -> Self {
        Self {
            bytes: chunk.bytes.len() as u64,
            segments: chunk
                .segments
                .iter()
                .map(|segment| BASE64.encode(segment.to_bytes()))
                .collect(),
            parameter_sets: chunk
                .parameter_sets
                .as_ref()
                .map(|sets| (BASE64.encode(&sets.sps), BASE64.encode(&sets.pps))),
        }
    }

    /// `None` when the record was not written by [`Self::new`].
    pub fn segments(&self) -> Option<Vec<SegmentRecord>> {
        self.segments
            .iter()
            .map(|text| SegmentRecord::from_bytes(&BASE64.decode(text).ok()?).ok())
            .collect()
    }

    pub fn parameter_sets(&self) -> Option<ParameterSets> {
        let (sps, pps) = self.parameter_sets.as_ref()?;
        Some(ParameterSets {
            sps: BASE64.decode(sps).ok()?,
            pps: BASE64.decode(pps).ok()?,
        })
    }
}

/// Staged blocks of one file: length by id.
pub type Staged = HashMap<Vec<u8>, u64>;

impl OutputPlace {
    pub fn new(
        storage: &Storage,
        place: &Place,
        claim: &Claim,
        stop: &CancellationToken,
    ) -> Step<Self> {
        Ok(Self {
            store: storage.store(place).map_err(failure::internal)?,
            place: place.clone(),
            job: claim.job_id,
            hand: hand(&claim.lease),
            stop: stop.clone(),
        })
    }

    /// The id of a chunk's block. Blocks are those of a hand, i.e. of one lease: a worker that lost its lease and comes back
    /// late stages over nothing that another made.
    pub fn block_id(&self, chunk: u32) -> Vec<u8> {
        self.block_id_of(&self.hand, chunk)
    }

    /// The id of a chunk's block that `hand` staged. All ids of a file have the same length, as the protocol wants.
    pub fn block_id_of(&self, hand: &str, chunk: u32) -> Vec<u8> {
        format!("{}-{hand:HAND$.HAND$}-{chunk:06}", self.job.simple()).into_bytes()
    }

    /// Who stages here.
    pub fn hand(&self) -> &str {
        &self.hand
    }

    fn header_id(&self) -> Vec<u8> {
        format!("{}-{:HAND$}-header", self.job.simple(), self.hand).into_bytes()
    }

    /// The blocks of `file` that storage still has, staged or committed.
    pub async fn staged(&self, file: &str) -> Step<Staged> {
        let blob = blob_name(&self.place, file);
        let list = retrying(
            &self.stop,
            |error| failure::upload(file, error),
            async || match self.store.get_block_list(&blob).await {
                Err(ClientError::NotFound { .. }) => Ok(None),
                other => other.map(Some),
            },
        )
        .await?;
        let Some(list) = list else {
            return Ok(Staged::new());
        };
        let blocks = list.committed.into_iter().chain(list.uncommitted).flatten();
        Ok(blocks
            .filter_map(|block| Some((BASE64.decode(block.id).ok()?, block.len)))
            .collect())
    }

    /// Stages one block.
    pub async fn stage(&self, file: &str, id: &[u8], bytes: Bytes) -> Step<()> {
        let blob = blob_name(&self.place, file);
        retrying(
            &self.stop,
            |error| failure::upload(file, error),
            async || self.store.put_block(&blob, id, bytes.clone()).await,
        )
        .await
    }

    /// Writes a whole small file; gives its entity tag.
    pub async fn put(&self, file: &str, content_type: &str, bytes: Bytes) -> Step<String> {
        let blob = blob_name(&self.place, file);
        let written = retrying(
            &self.stop,
            |error| failure::upload(file, error),
            async || {
                self.store
                    .put(&blob, content_type, bytes.clone(), &Conditions::default())
                    .await
            },
        )
        .await?;
        Ok(written.etag)
    }

    /// Where a track lies that is put together with others: not among the files of the asset.
    pub fn part_name(&self, output: u32, track: usize) -> String {
        format!(".headwater/{}/{output}-{track}.mp4", self.job.simple())
    }

    /// Makes the staged blocks `blocks` (in order) the track file, and writes its packaging index.
    pub async fn commit(
        &self,
        file: &str,
        track: &TrackFile,
        segments: &[SegmentRecord],
        blocks: Vec<Vec<u8>>,
    ) -> Step<()> {
        let etag = self.commit_part(file, track, segments, blocks).await?;
        let index_bytes = track
            .index(segments, &etag)
            .map_err(|error| unwritable(file, &error))?;
        self.put(
            &index::blob_name(file),
            "application/octet-stream",
            index_bytes.into(),
        )
        .await?;
        Ok(())
    }

    /// Makes the staged blocks `blocks` (in order) the track file; gives its entity tag.
    pub async fn commit_part(
        &self,
        file: &str,
        track: &TrackFile,
        segments: &[SegmentRecord],
        blocks: Vec<Vec<u8>>,
    ) -> Step<String> {
        let content_type = match track.config().kind {
            headwater_bmff::TrackKind::Audio => "audio/mp4",
            _ => "video/mp4",
        };
        let mut header = track.init().to_vec();
        let sidx = track.sidx(segments);
        header.extend_from_slice(&sidx.map_err(|error| unwritable(file, &error))?);
        self.stage(file, &self.header_id(), header.into()).await?;
        let ids: Vec<Vec<u8>> = std::iter::once(self.header_id()).chain(blocks).collect();
        let blob = blob_name(&self.place, file);
        let written = retrying(
            &self.stop,
            |error| failure::upload(file, error),
            async || {
                self.store
                    .put_block_list(&blob, &ids, content_type, &Conditions::default())
                    .await
            },
        )
        .await?;
        Ok(written.etag)
    }

    /// Makes the staged blocks `ids` the file; gives its entity tag.
    pub async fn commit_plain(
        &self,
        file: &str,
        ids: &[Vec<u8>],
        content_type: &str,
    ) -> Step<String> {
        let blob = blob_name(&self.place, file);
        let written = retrying(
            &self.stop,
            |error| failure::upload(file, error),
            async || {
                self.store
                    .put_block_list(&blob, ids, content_type, &Conditions::default())
                    .await
            },
        )
        .await?;
        Ok(written.etag)
    }

    /// Removes files that are of no use any more. What fails here is left: it harms nobody.
    pub async fn remove(&self, files: &[String]) {
        for file in files {
            for name in [index::blob_name(file), file.clone()] {
                if let Err(error) = self
                    .store
                    .delete(&blob_name(&self.place, &name), None)
                    .await
                    && !matches!(error, ClientError::NotFound { .. })
                {
                    tracing::warn!(%error, file = name, "a file that is of no use any more could not be removed");
                }
            }
        }
    }
}

fn unwritable(file: &str, error: &headwater_cmaf::CmafError) -> Stopped {
    failure::internal(format!(
        "The file '{file}' cannot be put together: {error}."
    ))
}

/// The name of a lease's hand: its end, which differs between leases however they are counted.
fn hand(lease: &str) -> String {
    let mut end: Vec<char> = lease
        .chars()
        .rev()
        .filter(char::is_ascii_alphanumeric)
        .take(HAND)
        .collect();
    end.resize(HAND, '0');
    end.into_iter().rev().collect()
}

/// The name that outputs of `input` start with: its own without the extension, in characters that need no escaping
/// in a URL or a shell. Not empty, 64 characters at most.
pub fn base_name(input: &str) -> String {
    let stem = input.rsplit_once('.').map_or(input, |(stem, _)| stem);
    let safe: String = stem
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '_'
            }
        })
        .take(64)
        .collect();
    let trimmed = safe.trim_matches('.');
    if trimmed.is_empty() {
        "media".into()
    } else {
        trimmed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_after_the_input() {
        assert_eq!(base_name("film.mp4"), "film");
        assert_eq!(base_name("my film (1).v2.mov"), "my_film__1_.v2");
        assert_eq!(base_name(".mp4"), "media");
        assert_eq!(base_name("Überfahrt.mp4"), "Überfahrt");
    }
}
