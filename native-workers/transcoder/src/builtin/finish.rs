//! The end of an output: chunks become files, and a picture becomes the poster.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use headwater_bmff::TrackConfig;
use headwater_cmaf::track_file::{SegmentRecord, TrackFile};
use headwater_ism::{EntryKind, FORMATS_CMAF, ServerManifest, TrackEntry};
use headwater_time::Timescale;
use headwater_work::{EncodedTrack, PictureSize};
use tokio::sync::mpsc;

use super::{OutputRun, panicked};
use crate::audio::AudioWork;
use crate::failure::{self, Step, Stopped};
use crate::feed::{self, feed};
use crate::h264::decoder::{Decoded, Decoder};
use crate::h264::encoder::ParameterSets;
use crate::output::Record;
use crate::picture::Picture;
use crate::plan::{VideoPlan, look_at};
use crate::poster;
use crate::video::{self, Shared};

/// A track file of which all chunks are there.
struct Whole<'a> {
    name: &'a str,
    file: TrackFile,
    segments: Vec<SegmentRecord>,
    /// Ids of its blocks, in order.
    blocks: Vec<Vec<u8>>,
    /// Not copied.
    is_encoded: bool,
    metered: EncodedTrack,
    /// In the manifest.
    entry: TrackEntry,
}

impl OutputRun<'_> {
    /// Makes everything visible: track files and their indexes, poster, manifest. The poster is made unless it is given.
    pub(super) async fn commit(
        &self,
        records: &HashMap<u32, Record>,
        made: Option<Vec<u8>>,
        visible: &mut Vec<String>,
    ) -> Step<String> {
        let files = self.whole(records)?;
        visible.extend(files.iter().map(|whole| whole.name.to_owned()));
        // Storage takes as long for each of them as for all: the other workers have nothing to do any more.
        let committed = files.iter().map(|whole| {
            let blocks = whole.blocks.clone();
            self.place
                .commit(whole.name, &whole.file, &whole.segments, blocks)
        });
        futures::future::try_join_all(committed).await?;
        for whole in &files {
            if whole.is_encoded {
                self.job.encoded(whole.metered);
            }
        }
        if let Some(shared) = &self.video {
            let poster = format!("{}_Thumbnail000001.jpg", self.base);
            let jpeg = match made {
                Some(made) => made,
                None => self.poster(shared).await?,
            };
            visible.push(poster.clone());
            self.place.put(&poster, "image/jpeg", jpeg.into()).await?;
        }
        let manifest = format!("{}.ism", self.base);
        let text = headwater_ism::write(&ServerManifest {
            formats: Some(FORMATS_CMAF.into()),
            tracks: files.into_iter().map(|whole| whole.entry).collect(),
            ..ServerManifest::default()
        });
        visible.push(manifest.clone());
        self.place
            .put(&manifest, "application/smil+xml", text.into_bytes().into())
            .await?;
        Ok(manifest)
    }

    /// The output's track files in the order of its manifest.
    fn whole(&self, records: &HashMap<u32, Record>) -> Step<Vec<Whole<'_>>> {
        let mut files = Vec::with_capacity(self.video_files.len() + self.audio_files.len());
        let mut next = 0;
        if let Some(shared) = &self.video {
            let plan = &shared.plan;
            let chunks = 0..plan.chunks.len() as u32;
            next = chunks.end;
            for (index, (file, &rendition)) in
                self.video_files.iter().zip(&plan.renditions).enumerate()
            {
                let (segments, sets) = gather(records, chunks.clone(), index)?;
                let sets =
                    sets.ok_or_else(|| failure::internal("A rendition has no parameter sets."))?;
                let config = video::track_config(plan, rendition, &sets)?;
                let mut entry = TrackEntry::new(EntryKind::Video, &file.name);
                entry.bitrate = Some(file.kbps * 1000);
                entry.track_id = Some(1);
                entry.track_name = Some("video".into());
                files.push(Whole {
                    name: &file.name,
                    metered: EncodedTrack {
                        picture: Some(PictureSize {
                            width: rendition.size.width,
                            height: rendition.size.height,
                        }),
                        duration_ms: duration_ms(&segments, config.timescale),
                    },
                    is_encoded: true,
                    file: track_file(config)?,
                    segments,
                    blocks: self.blocks(records, chunks.clone())?,
                    entry,
                });
            }
        }
        let mut names: Vec<String> = Vec::new();
        for (file, plan) in self.audio_files.iter().zip(&self.audio) {
            let chunks = next..next + plan.chunks.len() as u32;
            next = chunks.end;
            let (segments, _) = gather(records, chunks.clone(), 0)?;
            let config = plan.track_config()?;
            let mut entry = TrackEntry::new(EntryKind::Audio, &file.name);
            entry.bitrate = Some(file.kbps * 1000);
            entry.language = (plan.language != "und").then(|| plan.language.clone());
            entry.track_id = Some(1);
            let mut name = format!(
                "aac_{}_2_{}",
                language_name(&plan.language),
                file.kbps * 1000
            );
            if names.contains(&name) {
                name = format!("{name}_{}", names.len() + 1);
            }
            names.push(name.clone());
            entry.track_name = Some(name);
            files.push(Whole {
                name: &file.name,
                metered: EncodedTrack {
                    picture: None,
                    duration_ms: duration_ms(&segments, config.timescale),
                },
                is_encoded: matches!(plan.work, AudioWork::Encode(_)),
                file: track_file(config)?,
                segments,
                blocks: self.blocks(records, chunks)?,
                entry,
            });
        }
        Ok(files)
    }

    /// The blocks of `chunks`, whoever staged them.
    fn blocks(
        &self,
        records: &HashMap<u32, Record>,
        chunks: std::ops::Range<u32>,
    ) -> Step<Vec<Vec<u8>>> {
        chunks
            .map(|chunk| {
                let record = records
                    .get(&chunk)
                    .ok_or_else(|| failure::internal("A chunk is missing at the end of a job."))?;
                Ok(self.place.block_id_of(&record.hand, chunk))
            })
            .collect()
    }

    /// The first picture worth showing, near a tenth of the way in.
    pub(super) async fn poster(&self, shared: &Arc<Shared>) -> Step<Vec<u8>> {
        let plan = &shared.plan;
        let frames = plan.timeline.frames.len();
        let mut best: Option<(u32, Picture)> = None;
        let mut seen = HashSet::new();
        for thousandths in poster::CANDIDATES {
            let frame = (frames * thousandths / 1000).min(frames - 1);
            let (frame, samples) = look_at(&plan.timeline, &plan.samples, frame);
            if !seen.insert(frame) {
                continue;
            }
            let Some(picture) = self.picture(shared, frame, samples).await? else {
                continue;
            };
            let interest = poster::interest(&picture);
            if best.as_ref().is_none_or(|(most, _)| interest > *most) {
                best = Some((interest, picture));
            }
            if interest >= poster::GOOD {
                break;
            }
        }
        let Some((_, picture)) = best else {
            return Err(failure::malformed(format!(
                "Track {} (H.264) has no picture for a poster.",
                plan.track
            )));
        };
        let size = poster::size(plan.renditions[0].size);
        let (rotation, colour) = (plan.rotation, plan.colour);
        tokio::task::spawn_blocking(move || poster::jpeg(&picture.rotated(rotation), size, colour))
            .await
            .map_err(panicked)?
            .map_err(|error| failure::internal(format!("The poster cannot be made: {error}.")))
    }

    /// The picture of `frame`, decoded from `samples`.
    async fn picture(
        &self,
        shared: &Arc<Shared>,
        frame: usize,
        samples: std::ops::Range<u32>,
    ) -> Step<Option<Picture>> {
        let plan = &shared.plan;
        let (to, mut from) = mpsc::channel::<Bytes>(feed::QUEUE);
        let fed = feed(self.source, &plan.samples, samples.clone(), to);
        let work = {
            let shared = Arc::clone(shared);
            tokio::task::spawn_blocking(move || {
                let wanted = u64::from(shared.plan.timeline.frames[frame].sample);
                shared
                    .slots
                    .run(|| decode_one(&shared.plan, samples, wanted, &mut || from.blocking_recv()))
            })
        };
        let (fed, picture) = tokio::join!(fed, work);
        fed?;
        if self.job.stop.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        picture.map_err(panicked)
    }
}

/// The picture of sample `wanted`, decoded from the beginning of `samples`.
fn decode_one(
    plan: &VideoPlan,
    samples: std::ops::Range<u32>,
    wanted: u64,
    next: &mut dyn FnMut() -> Option<Bytes>,
) -> Option<Picture> {
    let sets = plan
        .config
        .sps
        .iter()
        .chain(&plan.config.pps)
        .map(Vec::as_slice);
    let mut decoder = Decoder::new(sets, plan.config.nal_length_size).ok()?;
    let mut out: Vec<Decoded> = Vec::new();
    for sample in samples {
        let bytes = next()?;
        // A damaged sample on the way is the chunk's business.
        let _ = decoder.decode(&bytes, u64::from(sample), &mut out);
        if let Some(at) = out.iter().position(|decoded| decoded.sample == wanted) {
            return Some(out.swap_remove(at).picture);
        }
        out.clear();
    }
    decoder.flush(&mut out);
    out.into_iter()
        .find(|decoded| decoded.sample == wanted)
        .map(|decoded| decoded.picture)
}

/// The segments of one file over its chunks, and its parameter sets, which must be the same in all of them.
fn gather(
    records: &HashMap<u32, Record>,
    chunks: std::ops::Range<u32>,
    track: usize,
) -> Step<(Vec<SegmentRecord>, Option<ParameterSets>)> {
    let mut segments = Vec::new();
    let mut sets: Option<ParameterSets> = None;
    for chunk in chunks {
        let record = records
            .get(&chunk)
            .and_then(|record| record.tracks.get(track))
            .ok_or_else(|| failure::internal("A chunk is missing at the end of a job."))?;
        let mut own = record
            .segments()
            .ok_or_else(|| failure::internal("A chunk's record is damaged."))?;
        segments.append(&mut own);
        if let Some(own) = record.parameter_sets() {
            if sets.as_ref().is_some_and(|sets| *sets != own) {
                return Err(failure::internal(
                    "The encoder changed its parameter sets between chunks.",
                ));
            }
            sets = Some(own);
        }
    }
    Ok((segments, sets))
}

fn track_file(config: TrackConfig) -> Step<TrackFile> {
    TrackFile::new(config)
        .map_err(|error| failure::internal(format!("A track file cannot be written: {error}.")))
}

/// How long a track plays.
pub(crate) fn duration_ms(segments: &[SegmentRecord], scale: Timescale) -> u32 {
    let ticks: u64 = segments
        .iter()
        .flat_map(|segment| &segment.samples)
        .map(|sample| u64::from(sample.duration))
        .sum();
    u32::try_from(u128::from(ticks) * 1000 / u128::from(scale.get())).unwrap_or(u32::MAX)
}

/// For file and track names: ISO 639 codes are safe, free text is not.
pub(crate) fn language_name(language: &str) -> String {
    let safe: String = language
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(16)
        .collect();
    if safe.is_empty() { "und".into() } else { safe }
}
