//! Where the pictures of an output are divided, so that parts of them can be encoded by themselves.
//!
//! Key frames are wanted at the first picture in every stretch of the presentation, so what lies between two of them can be
//! encoded alone: ffmpeg goes to the source's key frame before, decodes on, and lets pictures through from the first of the
//! chunk to the first of the next. Which pictures those are is known beforehand from the times of the source's packets. What
//! comes out is held against these times ([`super::chunks`]): an output whose pictures are others is made in one piece.
//!
//! The division is a function of the source and the preset alone. Where there is none, the reason is a sentence.

use std::ops::Range;

use headwater_preset::{OverlayKind, RateControl, SyncMode, VideoCodec, VideoFormat};
use headwater_work::MAX_CHUNK_BYTES;

use super::graph::Overlaid;
use super::indexed::has_index;
use super::inputs::{Input, LIMITS};
use super::output::OutputRun;
use super::planning::Plan;
use super::rungs::Rung;
use super::sandbox::{Limits, Program};
use super::tracks::Work;
use super::{SILENCE, fault, pieces};
use crate::failure::{Step, Stopped};
use crate::plan::Fingerprint;

/// Of track times.
pub(super) const TICKS: u64 = 90_000;
/// How long a chunk lasts, about: what is lost with a worker. Rate control begins anew in each, so not shorter.
pub(super) const CHUNK_MS: u64 = 20_000;
/// Encoder's slack at the limits of stretches: half a millisecond.
const SLACK: u64 = 45;
/// Longest lead of decoding that a track's edit list is given.
const MOST_REORDERING: u64 = TICKS;
/// At most so many bytes of a chunk's record are about one picture of one rendition.
const PICTURE_BYTES: usize = 13;
/// Most pictures that are planned with: two days of 60 a second.
const MOST_PICTURES: usize = 48 * 3600 * 60;

const TOO_MANY: &str = "it has more pictures than are planned with";

/// Where a clip begins in its source, and ends if that is before the source does, in seconds.
type Clip = (f64, Option<f64>);

/// When pictures are shown, in seconds of their source; its clip; when the last of them is over; and what tells it from others.
type Scanned = (Vec<f64>, Clip, f64, Fingerprint);

/// The pictures of an output, divided.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Split {
    /// When each picture is shown, in [`TICKS`] a second from the start.
    pub(super) times: Vec<u64>,
    /// Pictures of each segment.
    pub(super) segments: Vec<Range<usize>>,
    pub(super) chunks: Vec<Chunk>,
    /// Every so many pictures of the source one is kept.
    pub(super) thin: u32,
    /// Pictures are frames of a rate that the source does not have.
    pub(super) steady: bool,
    /// For each overlay of the preset, if it moves, when its first picture is shown, in seconds of its source.
    pub(super) overlaid: Vec<Option<f64>>,
    /// Of everything that bytes depend on.
    pub(super) fingerprint: String,
}

/// What is encoded in one go.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chunk {
    pub(super) segments: Range<usize>,
    pub(super) pictures: Range<usize>,
    /// Seconds of the source, between two pictures: from here on. `None`: from its beginning.
    pub(super) from: Option<f64>,
    /// Up to here. `None`: to its end.
    pub(super) to: Option<f64>,
}

impl Split {
    /// When the last picture begins, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.times.last().copied().unwrap_or(0) as f64 / TICKS as f64
    }

    /// When the last picture of `pictures` ends: where the next begins. `None` for the last of all.
    pub(super) fn end(&self, pictures: &Range<usize>) -> Option<u64> {
        self.times.get(pictures.end).copied()
    }

    /// When `chunk` has key frames, as ffmpeg is told: a time between two pictures for every segment. An expression would not do:
    /// ffmpeg counts its time from the first picture that the encoder sees.
    pub(super) fn key_frames(&self, chunk: &Chunk) -> String {
        let segments = self.segments.get(chunk.segments.clone());
        let times: Vec<String> = segments
            .unwrap_or_default()
            .iter()
            .map(|segment| {
                let first = self.times.get(segment.start).copied().unwrap_or(0);
                let before = segment.start.checked_sub(1);
                let before = before.and_then(|before| self.times.get(before));
                let between = before.map_or(0, |before| (before + first) / 2);
                format!("{:.6}", between as f64 / TICKS as f64)
            })
            .collect();
        times.join(",")
    }

    /// Ticks that decoding is ahead by, with up to `pictures` decoded before one that is shown earlier.
    pub(super) fn reordering(&self, pictures: usize) -> u64 {
        let lead = |segment: &Range<usize>| {
            let times = self.times.get(segment.clone()).unwrap_or_default();
            let far = times.iter().skip(pictures);
            times.iter().zip(far).map(|(near, far)| far - near).max()
        };
        match pictures {
            0 => 0,
            _ => self.segments.iter().filter_map(lead).max().unwrap_or(0),
        }
    }
}

/// How many pictures an encoder of `rung` decodes before one that is shown earlier, at most: both x264 and x265 order
/// groups of B pictures in two levels. AV1 has frames that are not shown instead.
pub(super) fn depth(rung: &Rung) -> usize {
    let none = rung
        .options
        .windows(2)
        .any(|pair| pair[0] == "-bf" && pair[1] == "0");
    match rung.format {
        VideoFormat::Av1 => 0,
        _ if none => 0,
        _ => 2,
    }
}

/// What the source's packets say of its pictures.
#[derive(Debug, Default)]
struct Scan {
    /// Seconds from the start of the part, by which they are shown; ascending.
    times: Vec<f64>,
    /// How long a picture is shown, as the last packet says.
    lasts: Option<f64>,
    fingerprint: Fingerprint,
    /// Why the times are of no use.
    unusable: Option<&'static str>,
}

/// Divides pictures that are shown at `times` (seconds of the source, ascending), of which every `thin`th is kept.
/// `start`: where the presentation begins. `end`: where the clip ends, if it does before the source.
fn divide(times: &[f64], thin: u32, grid_ms: u32, (start, end): Clip) -> Option<Split> {
    let thin = (thin as usize).max(1);
    let mut split = Split {
        times: Vec::with_capacity(times.len() / thin + 1),
        segments: Vec::new(),
        chunks: Vec::new(),
        thin: thin as u32,
        steady: false,
        overlaid: Vec::new(),
        fingerprint: String::new(),
    };
    for (number, time) in times.iter().step_by(thin).enumerate() {
        let ticks = ((time - start) * TICKS as f64).round().max(0.0) as u64;
        // What is first on screen is so from the start.
        split.times.push(if number == 0 { 0 } else { ticks });
    }
    if split.times.windows(2).any(|pair| pair[0] >= pair[1]) {
        return None;
    }
    let grid = (TICKS * u64::from(grid_ms) / 1000).max(1);
    let cell = |time: u64| (time + SLACK) / grid;
    let mut first = 0;
    for at in 1..=split.times.len() {
        let next = split.times.get(at).map(|&time| cell(time));
        if next.is_none_or(|next| next > cell(split.times[first])) {
            split.segments.push(first..at);
            first = at;
        }
    }
    let last = split.times.last().copied()?;
    let count = (last * 1000 / TICKS / CHUNK_MS).max(1);
    let length = last / count + 1;
    let mut begins = 0;
    for at in 1..=split.segments.len() {
        let chunk_of = |segment: &Range<usize>| split.times[segment.start] / length;
        let ends = match split.segments.get(at) {
            Some(next) => chunk_of(next) > chunk_of(&split.segments[begins]),
            None => true,
        };
        if !ends {
            continue;
        }
        let pictures = split.segments[begins].start..split.segments[at - 1].end;
        // Halfway between two pictures, so that no rounding moves one over the limit.
        let limit = |picture: usize| -> Option<f64> {
            let own = picture * thin;
            Some((times.get(own.checked_sub(1)?)? + times.get(own)?) / 2.0)
        };
        split.chunks.push(Chunk {
            from: limit(pictures.start).or((start > 0.0).then_some(start)),
            to: limit(pictures.end).or(end),
            segments: begins..at,
            pictures,
        });
        begins = at;
    }
    Some(split)
}

/// The frame rate of all renditions of `plan`, if they are asked for one.
fn common_rate(plan: &Plan) -> Option<f64> {
    let (up, down) = pieces::common_rate(&plan.pictures.as_ref()?.rungs)?;
    Some(f64::from(up) / f64::from(down))
}

/// When frames of `rate` a second are shown for `seconds` from `start` on. `None`: they are too many.
fn steadily(seconds: f64, rate: f64, start: f64) -> Option<Vec<f64>> {
    let count = (seconds * rate).round().max(1.0);
    let few = count <= MOST_PICTURES as f64;
    few.then(|| {
        (0..count as usize)
            .map(|frame| start + frame as f64 / rate)
            .collect()
    })
}

impl Split {
    /// Makes its pictures frames of `rate` a second that those of the source at `times` become. Each chunk has what its frames may be
    /// made of, and one more at either end.
    fn between(&mut self, times: &[f64], rate: f64, (start, end): Clip) {
        self.steady = true;
        for chunk in &mut self.chunks {
            let at = |frame: usize| start + frame as f64 / rate;
            let first = at(chunk.pictures.start) - 1.0 / rate;
            let from = times.partition_point(|&time| time < first);
            let from = from.checked_sub(2).and_then(|from| times.get(from));
            chunk.from = from
                .map(|time| time - 0.001)
                .or((start > 0.0).then_some(start));
            let last = at(chunk.pictures.end) + 1.0 / rate;
            let to = times.partition_point(|&time| time <= last);
            chunk.to = times.get(to + 1).map(|time| time + 0.001).or(end);
        }
    }
}

impl OutputRun<'_> {
    /// How the pictures of `plan` are divided; Err: why they are not.
    pub(super) async fn split(&self, plan: &Plan) -> Step<Result<Split, String>> {
        if let Err(why) = self.may_split(plan) {
            return Ok(Err(why));
        }
        // Of the source's own pictures, where frames of another rate are made of them.
        let mut source = None;
        let (times, clip, fingerprint) = match pieces::sequence_rate(&self.sources.parts) {
            // Whatever its parts are like, a sequence has frames of one rate.
            Some(rate) => {
                let parts = self.sources.parts.iter();
                let count: u64 = parts.map(|part| pieces::frames_of(part, rate)).sum();
                if count > MOST_PICTURES as u64 {
                    return Ok(Err(TOO_MANY.into()));
                }
                let times = (0..count).map(|frame| frame as f64 / rate).collect();
                let inputs = self.sources.inputs.iter();
                let clips: Vec<_> = inputs
                    .map(|input| (input.start_ms, input.length_ms))
                    .collect();
                (times, (0.0, None), Fingerprint::default().with(clips))
            }
            None => {
                let (times, clip, over, fingerprint) = match self.scan_single().await? {
                    Ok(scanned) => scanned,
                    Err(why) => return Ok(Err(why.into())),
                };
                match common_rate(plan) {
                    None => (times, clip, fingerprint),
                    Some(rate) => {
                        let Some(steady) = steadily(over - clip.0, rate, clip.0) else {
                            return Ok(Err(TOO_MANY.into()));
                        };
                        source = Some((times, rate));
                        (steady, clip, fingerprint)
                    }
                }
            }
        };
        let Some(mut split) = divide(&times, plan.thin, plan.key_frame_ms, clip) else {
            return Ok(Err("its pictures have no times of their own".into()));
        };
        if let Some((times, rate)) = source {
            split.between(&times, rate, clip);
        }
        let short = self.seconds() - split.seconds();
        if self.sources.states_duration && short > (self.seconds() * 0.05).max(1.0) {
            return Ok(Err("its pictures end before it does".into()));
        }
        if split.chunks.len() < 2 {
            return Ok(Err("it is short".into()));
        }
        let rungs = plan.tracks.iter().filter_map(|track| match &track.work {
            Work::Picture { rung, .. } => Some(rung),
            _ => None,
        });
        let lead = rungs.map(|rung| split.reordering(depth(rung))).max();
        if lead.is_none_or(|lead| lead > MOST_REORDERING) {
            return Ok(Err("its pictures are shown for long, one by one".into()));
        }
        let renditions = plan.tracks.iter().filter(|track| track.is_video()).count();
        let longest = split.chunks.iter().map(|chunk| chunk.pictures.len()).max();
        if longest.unwrap_or(0) * renditions * PICTURE_BYTES > MAX_CHUNK_BYTES {
            return Ok(Err("it has more renditions than are kept track of".into()));
        }
        split.overlaid = match self.overlaid().await? {
            Ok(overlaid) => overlaid,
            Err(why) => return Ok(Err(why)),
        };
        let works: Vec<&Work> = plan.tracks.iter().map(|track| &track.work).collect();
        split.fingerprint = fingerprint
            .with("ffmpeg")
            .with(self.engine.tools.identity().await)
            .with(&self.sources.etags)
            .with(works)
            .with(&plan.graph)
            .with((&split.chunks, split.times.len(), super::chunks::THREADS))
            .text();
        Ok(Ok(split))
    }

    /// When the pictures of the only source are shown that are inside its clip, in seconds of it; and the clip.
    async fn scan_single(&self) -> Step<Result<Scanned, &'static str>> {
        let part = self.sources.parts.first();
        let video = part.and_then(|part| part.video.as_ref());
        let found = video.and_then(|video| Some((video, self.sources.inputs.get(video.input)?)));
        let Some((video, input)) = found else {
            return Ok(Err("it has no pictures"));
        };
        let scan = self.scan(video.index, input).await?;
        if let Some(why) = scan.unusable {
            return Ok(Err(why));
        }
        let start = input.start_ms as f64 / 1000.0;
        let end = input.length_ms.map(|length| start + length as f64 / 1000.0);
        let (times, lasts) = (scan.times, scan.lasts.filter(|&lasts| lasts > 0.0));
        let inside: Vec<f64> = times
            .iter()
            .copied()
            .filter(|&time| time >= start - 1e-7 || input.start_ms == 0)
            .filter(|&time| end.is_none_or(|end| time < end - 1e-7))
            .collect();
        // The last one, until the next is shown, or as long as its packet says, or as the one before.
        let last = inside.last().copied().unwrap_or(start);
        let next = times.get(times.partition_point(|&time| time <= last));
        let before = inside.iter().rev().nth(1);
        let shown = next.map(|next| next - last).into_iter().chain(lasts);
        let shown = shown
            .reduce(f64::min)
            .or(before.map(|before| last - before));
        let over = last + shown.unwrap_or(0.0);
        Ok(Ok((inside, (start, end), over, scan.fingerprint)))
    }

    /// The stream of an overlay that moves, and the input that it is in.
    fn moving(&self, (overlay, part): &Overlaid<'_>) -> Option<(u32, &Input)> {
        let picture = matches!(overlay.kind, OverlayKind::Picture { .. });
        let video = part.video.as_ref().filter(|_| picture && !part.still)?;
        Some((video.index, self.sources.inputs.get(video.input)?))
    }

    /// [`Split::overlaid`]; the inner error: why it is not known.
    async fn overlaid(&self) -> Step<Result<Vec<Option<f64>>, String>> {
        let mut found = Vec::new();
        for overlay in self.overlays()? {
            let Some((index, input)) = self.moving(&overlay) else {
                found.push(None);
                continue;
            };
            let scan = self.scan(index, input).await?;
            let start = input.start_ms as f64 / 1000.0;
            let mut times = scan.times.iter().copied();
            let first = times.find(|&time| time >= start - 1e-7);
            let (None, Some(first)) = (scan.unusable, first) else {
                return Ok(Err("what is laid over it has no times of its own".into()));
            };
            found.push(Some(first));
        }
        Ok(Ok(found))
    }

    /// Err: what in the preset or the source stands against it.
    fn may_split(&self, plan: &Plan) -> Result<(), String> {
        let pictures = plan
            .tracks
            .iter()
            .any(|track| matches!(track.work, Work::Picture { .. }));
        let asked = plan.tracks.iter().any(
            |track| matches!(&track.work, Work::Picture { rung, .. } if rung.frame_rate.is_some()),
        );
        // One for all of a source can be cut anywhere.
        let common = self.sources.parts.len() == 1 && plan.thin <= 1 && common_rate(plan).is_some();
        let rates = asked && !common;
        let constant = self.preset.videos.iter().any(
            |video| matches!(video, VideoCodec::Encode(encode) if encode.rate == RateControl::Constant),
        );
        // Others are searched by guess, or have no times for their packets.
        let moving = self.overlays().is_ok_and(|overlays| {
            overlays.iter().any(|overlay| {
                let moves = self.moving(overlay);
                moves.is_some_and(|(_, input)| !has_index(&input.demuxer))
            })
        });
        let mut sources = self.sources.parts.iter().map(|part| {
            let video = part.video.as_ref()?;
            self.sources.inputs.get(video.input)
        });
        let searched = sources.all(|input| input.is_some_and(|input| has_index(&input.demuxer)));
        let reason = if !pictures {
            "it has no pictures to encode"
        } else if moving {
            "something is laid over it that moves, in a container that does not say where its key frames are"
        } else if rates || plan.sync == SyncMode::Cfr {
            "its renditions have frame rates of their own"
        } else if constant {
            "the buffer of a constant rate goes through all of it"
        } else if !searched {
            "in a source of this container nothing says where its key frames are"
        } else {
            return Ok(());
        };
        Err(reason.into())
    }

    /// Reads the times of all packets of the stream `index`.
    async fn scan(&self, index: u32, input: &Input) -> Step<Scan> {
        let mut arguments: Vec<String> = ["-v", "error", "-of", "compact=p=0:nk=1"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(LIMITS.map(str::to_owned));
        let patience = input.demuxer.patience().iter();
        arguments.extend(patience.map(|&word| word.to_owned()));
        arguments.extend(
            [
                "-select_streams",
                &index.to_string(),
                "-show_entries",
                "packet=pts_time,duration_time,size,flags",
                "-f",
                input.demuxer.name,
                "-i",
                &format!("file:{}", input.path.display()),
            ]
            .map(str::to_owned),
        );
        let program = Program {
            path: self.engine.tools.ffprobe.clone(),
            arguments,
            folder: self.folder.clone(),
            limits: Limits {
                file_bytes: 0,
                silence: SILENCE,
                ..self.engine.limits(self.seconds(), 0)
            },
            reads: vec![input.path.clone()],
        };
        let mut scan = Scan::default();
        let mut line = |text: &str| read_packet(text, &mut scan);
        let ended = program.run(&self.job.stop, Some(&mut line)).await;
        match fault::outcome(&self.sources.name, ended) {
            Ok(_) => {}
            // Encoding it says more exactly what is wrong with it.
            Err(Stopped::Failed(_)) => scan.unusable = Some("its packets cannot be read"),
            Err(stopped) => return Err(stopped),
        }
        scan.times.sort_by(f64::total_cmp);
        for time in &mut scan.times {
            *time += input.late - input.file_start;
        }
        if scan.times.windows(2).any(|pair| pair[0] == pair[1]) {
            scan.unusable = Some("its pictures have no times of their own");
        }
        if scan.times.is_empty() {
            scan.unusable = Some("it has no pictures");
        }
        Ok(scan)
    }
}

/// One line of ffprobe: `1.000000|0.040000|2613|K_`.
fn read_packet(text: &str, scan: &mut Scan) {
    if text.is_empty() {
        return;
    }
    scan.fingerprint = std::mem::take(&mut scan.fingerprint).with(text);
    let mut fields = text.split('|');
    let time = fields.next().and_then(|time| time.parse::<f64>().ok());
    let lasts = fields.next().and_then(|time| time.parse::<f64>().ok());
    let discarded = fields.nth(1).is_some_and(|flags| flags.contains('D'));
    match time {
        _ if discarded => {}
        _ if scan.times.len() >= MOST_PICTURES => {
            scan.unusable = Some(TOO_MANY);
        }
        Some(time) => {
            scan.lasts = lasts;
            scan.times.push(time);
        }
        None => scan.unusable = Some("its pictures have no times of their own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(count: usize, rate: f64) -> Vec<f64> {
        (0..count).map(|at| at as f64 / rate).collect()
    }

    #[test]
    fn chunks_tile_the_pictures_at_segments() {
        let times = steady(2997, 30_000.0 / 1001.0);
        let split = divide(&times, 1, 2000, (0.0, None)).unwrap();
        assert_eq!(split.chunks.len(), 4);
        assert_eq!(split.segments.len(), 50);
        let (mut picture, mut segment) = (0, 0);
        let mut limit = None;
        for chunk in &split.chunks {
            assert_eq!(chunk.pictures.start, picture);
            assert_eq!(chunk.segments.start, segment);
            assert_eq!(chunk.from, limit);
            (picture, segment, limit) = (chunk.pictures.end, chunk.segments.end, chunk.to);
        }
        assert_eq!((picture, segment, limit), (2997, 50, None));
        // The first picture in the stretch that begins at 2 s.
        assert_eq!(split.segments[1].start, 60);
        assert_eq!(split.end(&(0..60)), Some(split.times[60]));
        assert_eq!(split.end(&(60..2997)), None);
        // A time between pictures 599 and 600, between 659 and 660, ...
        let keys = split.key_frames(&split.chunks[1]);
        let keys: Vec<f64> = keys.split(',').map(|key| key.parse().unwrap()).collect();
        assert_eq!(keys.len(), split.chunks[1].segments.len());
        for (key, segment) in keys
            .iter()
            .zip(&split.segments[split.chunks[1].segments.clone()])
        {
            assert!(*key > times[segment.start - 1] && *key < times[segment.start]);
        }
        // Two pictures of 3003 ticks.
        assert_eq!(split.reordering(2), 6006);
        assert_eq!(split.reordering(0), 0);
    }

    #[test]
    fn clips_and_thinned_sources_keep_their_places() {
        let times: Vec<f64> = steady(6000, 60.0).iter().map(|time| time + 7.003).collect();
        let split = divide(&times, 2, 2000, (7.0, Some(107.003))).unwrap();
        assert_eq!(split.times.len(), 3000);
        assert_eq!(split.times[0], 0);
        assert_eq!(split.times[1], 3270);
        assert_eq!(split.chunks[0].from, Some(7.0));
        let second = &split.chunks[1];
        let first = times[second.pictures.start * 2];
        let before = times[second.pictures.start * 2 - 1];
        assert!(
            second
                .from
                .is_some_and(|from| before < from && from < first)
        );
        assert_eq!(split.chunks.last().unwrap().to, Some(107.003));
        assert!(divide(&[0.0, 1.0, 1.0], 1, 2000, (0.0, None)).is_none());
    }

    #[test]
    fn packets_are_read() {
        let mut scan = Scan::default();
        for line in [
            "0.080000|0.040000|100|K_",
            "0.000000|N/A|20|__",
            "0.040000|0.040000|3|_D",
            "",
        ] {
            read_packet(line, &mut scan);
        }
        assert_eq!((scan.times.len(), scan.unusable), (2, None));
        read_packet("N/A|N/A|5|__", &mut scan);
        assert!(scan.unusable.is_some());
    }
}
