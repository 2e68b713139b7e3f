//! The sound of an output whose pictures are made in chunks: encoded beside them in one piece, and kept in storage as soon as it is
//! there, so that whoever takes up the job need not encode it again.

use std::path::Path;

use headwater_work::ChunkRecord;
use serde::{Deserialize, Serialize};

use super::inputs::download;
use super::output::OutputRun;
use super::pack;
use super::planning::Plan;
use super::split::Split;
use crate::failure::{self, Step};
use crate::source::Source;

/// What the API keeps of finished sound, under the number that follows those of the chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// [`Split::fingerprint`], which is of the sound as well.
    plan: String,
    tracks: Vec<TrackRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TrackRecord {
    /// Its place among the plan's tracks.
    track: usize,
    bytes: u64,
}

impl OutputRun<'_> {
    /// Makes the tracks that are no pictures, or gets what an earlier attempt made of them.
    pub(super) async fn encode_sound(&self, plan: &Plan, split: &Split) -> Step<()> {
        let tracks = plan.tracks.iter().enumerate();
        let sounds = tracks.filter(|(_, track)| !track.is_video());
        let sounds: Vec<usize> = sounds.map(|(index, _)| index).collect();
        if sounds.is_empty() {
            return Ok(());
        }
        for &index in &sounds {
            let part = self.place.part_name(self.index(), index);
            self.job.leave(&self.place, part);
        }
        if self.kept_sound(split, &sounds).await? {
            return Ok(());
        }
        let stderr = self
            .encode_tracks(
                plan,
                &plan.sound_graph,
                |track| !track.is_video(),
                &mut |_| (),
            )
            .await?;
        if !stderr.is_empty() {
            tracing::warn!(file = self.sources.name, stderr, "ffmpeg complained");
        }
        self.keep_sound(split, &sounds).await
    }

    async fn keep_sound(&self, split: &Split, sounds: &[usize]) -> Step<()> {
        let mut tracks = Vec::with_capacity(sounds.len());
        for &track in sounds {
            let path = self.temporary(track);
            let part = self.place.part_name(self.index(), track);
            let stored = pack::upload(&path, &part, "audio/mp4", &self.place).await?;
            let bytes = stored.len;
            tracks.push(TrackRecord { track, bytes });
        }
        let plan = split.fingerprint.clone();
        let record = serde_json::to_value(Record { plan, tracks });
        self.job.finished_chunk(ChunkRecord {
            output: self.index(),
            chunk: number(split),
            record: record.map_err(|error| {
                failure::internal(format!("A record cannot be written: {error}."))
            })?,
        });
        Ok(())
    }

    /// Puts sound that an earlier attempt kept where it would be if it had been made here; says whether all of it was there.
    async fn kept_sound(&self, split: &Split, sounds: &[usize]) -> Step<bool> {
        let mut chunks = self.claim.chunks.iter();
        let record =
            chunks.find(|chunk| chunk.output == self.index() && chunk.chunk == number(split));
        let record = record.and_then(|chunk| Record::deserialize(&chunk.record).ok());
        let Some(record) = record.filter(|record| record.plan == split.fingerprint) else {
            return Ok(false);
        };
        if !record
            .tracks
            .iter()
            .map(|kept| kept.track)
            .eq(sounds.iter().copied())
        {
            return Ok(false);
        }
        for kept in &record.tracks {
            let part = self.place.part_name(self.index(), kept.track);
            // A worker that lost the job may be writing the same again.
            let staged = self.place.staged(&part).await?;
            if staged.values().sum::<u64>() != kept.bytes {
                return Ok(false);
            }
            self.fetch_part(&part, &self.temporary(kept.track)).await?;
        }
        Ok(true)
    }

    /// Gets a track from where it lies among the parts of the job.
    pub(super) async fn fetch_part(&self, name: &str, path: &Path) -> Step<()> {
        let (storage, place) = (&self.job.storage, &self.output.place);
        let source = Source::named(storage, place, name, &self.job.stop).await?;
        download(&source, path).await
    }
}

/// What the record of the sound is kept under.
fn number(split: &Split) -> u32 {
    u32::try_from(split.chunks.len()).unwrap_or(u32::MAX)
}
