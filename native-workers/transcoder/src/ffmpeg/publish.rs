//! From tracks in files of their own to the files of the asset: uploaded or joined, metered, and named by the manifest.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use headwater_bmff::{Matrix, Rotation};
use headwater_cmaf::track_file::SegmentRecord;
use headwater_ism::{EntryKind, TrackEntry};
use headwater_preset::Container;
use headwater_work::{EncodedTrack, PictureSize};

use super::chunks::Joined;
use super::output::OutputRun;
use super::pack::{self, Made};
use super::planning::Plan;
use super::tracks::{File, Track, Work};
use super::{UNRIPE, fault};
use crate::builtin::{duration_ms, language_name};
use crate::failure::{self, Step};

/// Bytes that the slowest disk reads and writes in a second.
const MOVED_PER_SECOND: u64 = 10 << 20;

impl OutputRun<'_> {
    /// Uploads the files, without the tracks that are `empty`; gives the manifest's entries for those that can be streamed.
    pub(super) async fn publish(
        &self,
        plan: &Plan,
        (files, empty): (&[File], &[usize]),
        joined: &HashMap<usize, Joined>,
        progressive: bool,
        visible: &mut Vec<String>,
    ) -> Step<Vec<TrackEntry>> {
        let mut entries = Vec::new();
        let mut boundaries = None;
        self.commit_joined(plan, files, joined, visible).await?;
        let mut entered = vec![false; plan.tracks.len()];
        let mut metered = vec![false; plan.tracks.len()];
        for file in files.iter().filter_map(|file| file.without(empty)) {
            let file = &file;
            visible.push(file.name.clone());
            if file.container == Container::Mp4 && !progressive {
                let index = file.tracks[0];
                let track = &plan.tracks[index];
                if let Some(rendition) = joined.get(&index) {
                    let published = published(rendition);
                    let duration = duration_ms(&published.segments, published.scale);
                    self.meter(track, duration);
                    let bits = bits_per_second(&published.segments, duration);
                    entries.push(entry(track, (bits, 0), &file.name, 1, &entries));
                    boundaries.get_or_insert((published.starts, published.scale));
                    continue;
                }
                let made = Made::open(&self.temporary(index))?.turned(turn(track));
                let cuts = boundaries
                    .as_ref()
                    .map(|(starts, scale): &(Vec<u64>, _)| (starts.as_slice(), *scale));
                let published = pack::publish(
                    &made,
                    &file.name,
                    &track.language,
                    &self.place,
                    plan.key_frame_ms,
                    cuts,
                )
                .await?;
                if track.is_video() {
                    self.check_aligned(&file.name, &published, boundaries.as_ref(), plan)?;
                    boundaries.get_or_insert((published.starts.clone(), published.scale));
                }
                let duration = duration_ms(&published.segments, published.scale);
                self.meter(track, duration);
                entries.push(entry(track, made.shape(), &file.name, 1, &entries));
                continue;
            }
            self.fetch_joined(plan, files, file, joined).await?;
            let path = self.join(plan, file).await?;
            let content_type = match file.container {
                Container::TransportStream => "video/mp2t",
                _ if plan.tracks[file.tracks[0]].is_video() => "video/mp4",
                _ => "audio/mp4",
            };
            let stored = pack::upload(&path, &file.name, content_type, &self.place).await?;
            if file.container == Container::Mp4 {
                pack::write_index(&path, &file.name, &stored, &self.place).await?;
            }
            let _ = std::fs::remove_file(&path);
            for (number, &index) in (1..).zip(&file.tracks) {
                let track = &plan.tracks[index];
                let (duration, shape) = match joined.get(&index) {
                    Some(rendition) => {
                        let scale = rendition.writer.config().timescale;
                        let duration = duration_ms(&rendition.segments, scale);
                        (
                            duration,
                            (bits_per_second(&rendition.segments, duration), 0),
                        )
                    }
                    None => {
                        let made = Made::open(&self.temporary(index))?;
                        ((made.seconds() * 1000.0) as u32, made.shape())
                    }
                };
                if !std::mem::replace(&mut metered[index], true) {
                    self.meter(track, duration);
                }
                // What lies in several files is there once for players.
                if file.container == Container::Mp4 && !std::mem::replace(&mut entered[index], true)
                {
                    entries.push(entry(track, shape, &file.name, number, &entries));
                }
            }
        }
        Ok(entries)
    }

    /// Makes the blocks of the renditions' chunks their files. Those that are no files of the asset go when the job is over, however
    /// it ends.
    async fn commit_joined(
        &self,
        plan: &Plan,
        files: &[File],
        joined: &HashMap<usize, Joined>,
        visible: &mut Vec<String>,
    ) -> Step<()> {
        for (&index, rendition) in joined {
            let name = self.track_file(plan, files, index);
            let (writer, segments) = (&rendition.writer, &rendition.segments);
            let blocks = rendition.blocks.clone();
            visible.push(name.clone());
            if files.iter().any(|file| file.name == name) {
                self.place.commit(&name, writer, segments, blocks).await?;
            } else {
                self.job.leave(&self.place, name.clone());
                self.place
                    .commit_part(&name, writer, segments, blocks)
                    .await?;
            }
        }
        Ok(())
    }

    /// Puts those tracks of `file` that were made in chunks where the others lie.
    async fn fetch_joined(
        &self,
        plan: &Plan,
        files: &[File],
        file: &File,
        joined: &HashMap<usize, Joined>,
    ) -> Step<()> {
        for &index in &file.tracks {
            let path = self.temporary(index);
            if !joined.contains_key(&index) || path.exists() {
                continue;
            }
            let name = self.track_file(plan, files, index);
            self.fetch_part(&name, &path).await?;
        }
        Ok(())
    }

    fn meter(&self, track: &Track, duration_ms: u32) {
        if !track.is_encoded() {
            return;
        }
        let picture = match &track.work {
            Work::Picture { rung, .. } => Some(PictureSize {
                width: rung.size.width,
                height: rung.size.height,
            }),
            _ => None,
        };
        self.job.encoded(EncodedTrack {
            picture,
            duration_ms,
        });
    }

    /// All renditions are cut at the same times, unless they were asked for at different frame rates.
    fn check_aligned(
        &self,
        name: &str,
        published: &pack::Published,
        first: Option<&(Vec<u64>, headwater_time::Timescale)>,
        plan: &Plan,
    ) -> Step<()> {
        let rates = plan.tracks.iter().filter_map(|track| match &track.work {
            Work::Picture { rung, .. } => Some(rung.frame_rate),
            _ => None,
        });
        let different = rates.collect::<HashSet<_>>().len() > 1;
        match first {
            Some((starts, _)) if *starts != published.starts && !different => {
                Err(failure::internal(format!(
                    "The segments of '{name}' do not begin where those of the other renditions do."
                )))
            }
            _ => Ok(()),
        }
    }

    /// Puts the tracks of `file` into one, without encoding.
    async fn join(&self, plan: &Plan, file: &File) -> Step<PathBuf> {
        let path = self.folder.join("joined");
        let mut arguments = self.opening(self.threads());
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        // Each track's file may begin later than the presentation, and is to stay so.
        add(&["-copyts"]);
        for &index in &file.tracks {
            let from = format!("file:{}", self.temporary(index).display());
            add(&["-protocol_whitelist", "file,pipe", "-f", "mov", "-i", &from]);
        }
        for (place, &index) in file.tracks.iter().enumerate() {
            add(&["-map", &format!("{place}:0")]);
            add(&[
                &format!("-metadata:s:{place}"),
                &format!("language={}", language_name(&plan.tracks[index].language)),
            ]);
            // Each input has one sound, which is its default: players of files would play all at once.
            let is_first = |other: &usize| !plan.tracks[*other].is_video();
            let first = file.tracks.iter().position(is_first);
            if !plan.tracks[index].is_video() && first != Some(place) {
                add(&[&format!("-disposition:{place}"), "0"]);
            }
        }
        add(&["-c", "copy", "-map_metadata", "-1"]);
        add(&UNRIPE);
        match file.container {
            Container::TransportStream => add(&["-f", "mpegts"]),
            _ => add(&["-movflags", "+faststart", "-f", "mp4"]),
        }
        add(&[&format!("file:{}", path.display())]);
        let mut program = self.program(arguments, 0);
        // Nothing is reported while the index is moved to the front, which goes through the whole file.
        let bytes: u64 = file
            .tracks
            .iter()
            .filter_map(|&index| std::fs::metadata(self.temporary(index)).ok())
            .map(|made| made.len())
            .sum();
        program.limits.silence += Duration::from_secs(bytes / MOVED_PER_SECOND);
        let ended = program.run_counted(&self.job.stop, &mut |_| ()).await;
        fault::outcome(&self.sources.name, ended)?;
        let turns = file.tracks.iter().map(|&index| &plan.tracks[index]);
        let matrices: Vec<Option<Matrix>> = turns.map(matrix).collect();
        if file.container == Container::Mp4 && matrices.iter().any(Option::is_some) {
            pack::turn(&path, &matrices)?;
        }
        Ok(path)
    }
}

fn published(rendition: &Joined) -> pack::Published {
    let segments = &rendition.segments;
    pack::Published {
        starts: segments.iter().map(|segment| segment.start).collect(),
        scale: rendition.writer.config().timescale,
        segments: segments.clone(),
    }
}

/// How players are told to turn `track`.
fn turn(track: &Track) -> Rotation {
    match &track.work {
        Work::Picture { rung, .. } => rung.turn,
        _ => Rotation::None,
    }
}

/// In the words of MP4; `None` where nothing is to be told.
fn matrix(track: &Track) -> Option<Matrix> {
    let Work::Picture { rung, .. } = &track.work else {
        return None;
    };
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    let (width, height) = (side(rung.size.width), side(rung.size.height));
    (rung.turn != Rotation::None).then(|| Matrix::rotate(rung.turn, width, height))
}

fn bits_per_second(segments: &[SegmentRecord], duration_ms: u32) -> u32 {
    let bytes: u64 = segments
        .iter()
        .map(|segment| u64::from(segment.len()))
        .sum();
    u32::try_from(bytes * 8000 / u64::from(duration_ms.max(1))).unwrap_or(u32::MAX)
}

/// The manifest's entry of `track` in `file`, with a name that no other has.
///
/// `shape`: bits a second on average, and channels.
fn entry(
    track: &Track,
    (bits_per_second, channels): (u32, u16),
    file: &str,
    number: u32,
    others: &[TrackEntry],
) -> TrackEntry {
    let kind = if track.is_video() {
        EntryKind::Video
    } else {
        EntryKind::Audio
    };
    let mut entry = TrackEntry::new(kind, file);
    let bitrate = match track.kbps {
        0 | 400_000 => bits_per_second,
        kbps => kbps.saturating_mul(1000),
    };
    entry.bitrate = Some(bitrate);
    entry.track_id = Some(number);
    if track.is_video() {
        entry.track_name = Some("video".into());
        return entry;
    }
    entry.language = (track.language != "und").then(|| track.language.clone());
    let name = format!(
        "{}_{}_{channels}_{bitrate}",
        track.short_codec(),
        language_name(&track.language)
    );
    let alike = others
        .iter()
        .filter(|other| other.kind == EntryKind::Audio)
        .filter(|other| {
            other
                .track_name
                .as_ref()
                .is_some_and(|taken| taken.starts_with(&name))
        })
        .count();
    entry.track_name = Some(match alike {
        0 => name,
        count => format!("{name}_{}", count + 1),
    });
    entry
}
