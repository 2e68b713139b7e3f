//! The index of a file of any length, built through range reads of bounded size and handed out in parts.
//!
//! Of a progressive file the movie header is walked twice: once for what the edit list presents, once for the segments.
//! Neither its tables nor the records are ever in memory as a whole. A fragmented file has its samples in all of its
//! fragments, so each is visited once and the samples are kept, as the runs that they are stated in.

use bytes::Bytes;
use headwater_bmff::{
    Limits, Movie, MovieOutline, MovieReader, OutlineReader, OutlineStep, Step, Track, TrackWalk,
    WalkFields, WalkStep,
};

use super::SourceId;
use super::TrackWarning;
use super::assemble::{IndexedTrack, Room, assemble};
use super::from_movie::{remarks, stored};
use super::package::Packager;
use super::playable::{nothing_playable, playable, video_first, warning};
use crate::CmafError;
use crate::segments::Spans;
use crate::timeline::WindowScan;

/// What the builder wants or has.
#[derive(Debug)]
pub enum BuildStep {
    /// Feed at least these bytes of the media file.
    Need {
        /// First byte.
        offset: u64,
        /// Number of bytes, never past the end of the file and never 0.
        len: u64,
    },
    /// A part of the index: they follow one another, and all follow the front.
    Part(Vec<u8>),
    /// The front of the index, which is whole with it.
    Done(Vec<u8>),
}

/// Builds the index of one media file.
#[derive(Debug)]
pub struct IndexBuilder {
    source: SourceId,
    limits: Limits,
    sizes: BuildSizes,
    state: State,
    /// What was fed last, or a small movie header as a whole.
    cache: (u64, Bytes),
    moov: Option<std::ops::Range<u64>>,
    room: Room,
    records: Vec<u8>,
    indexed: Vec<IndexedTrack>,
    warnings: Vec<TrackWarning>,
    remarks: Vec<TrackWarning>,
    refusal: Option<CmafError>,
    spans: Option<Spans>,
}

/// How much is read and handed out at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildSizes {
    /// Most bytes of one sample table that are read at a time; a track has six of them.
    pub window_bytes: u64,
    /// Movie headers up to this size are read as a whole.
    pub whole_moov_bytes: u64,
    /// Least bytes of a [`BuildStep::Part`] but the last.
    pub part_bytes: usize,
}

impl Default for BuildSizes {
    fn default() -> Self {
        Self {
            window_bytes: 2 << 20,
            whole_moov_bytes: 8 << 20,
            part_bytes: 4 << 20,
        }
    }
}

#[derive(Debug)]
enum State {
    Outline(OutlineReader),
    Fragments(MovieReader),
    Tracks { samples: Samples, jobs: Jobs },
    Done,
}

/// Where the samples of all tracks are.
#[derive(Debug)]
enum Samples {
    Tables(Box<MovieOutline>),
    Memory(Box<Movie>),
}

/// The tracks still to be packaged, the next one last, and the one in work.
#[derive(Debug)]
struct Jobs {
    places: Vec<usize>,
    job: Option<Job>,
}

#[derive(Debug)]
struct Job {
    place: usize,
    walk: Walk,
    phase: Phase,
}

#[derive(Debug)]
enum Walk {
    Tables(Box<TrackWalk>),
    /// The next sample of the table in memory.
    Memory(u32),
}

#[derive(Debug)]
enum Phase {
    Scan(Box<WindowScan>),
    Package(Box<Packager>),
}

/// Samples taken from a table in memory before the parts are looked at.
const BATCH: usize = 1 << 12;

impl Samples {
    fn tracks(&self) -> Vec<&Track> {
        match self {
            Self::Tables(outline) => outline.tracks.iter().map(|track| &track.track).collect(),
            Self::Memory(movie) => movie.tracks.iter().collect(),
        }
    }

    fn counts(&self) -> Vec<u32> {
        match self {
            Self::Tables(outline) => {
                let counts = outline.tracks.iter().map(|track| track.sample_count());
                counts.collect()
            }
            Self::Memory(movie) => movie
                .tracks
                .iter()
                .map(|track| track.samples.len())
                .collect(),
        }
    }

    fn timescale(&self) -> headwater_time::Timescale {
        match self {
            Self::Tables(outline) => outline.timescale,
            Self::Memory(movie) => movie.timescale,
        }
    }

    fn track(&self, place: usize) -> Option<&Track> {
        match self {
            Self::Tables(outline) => outline.tracks.get(place).map(|track| &track.track),
            Self::Memory(movie) => movie.tracks.get(place),
        }
    }

    fn walk(&self, place: usize, file_len: u64, window: u64, fields: WalkFields) -> Walk {
        match self {
            Self::Tables(outline) => match outline.tracks.get(place) {
                Some(track) => {
                    Walk::Tables(Box::new(TrackWalk::new(track, file_len, window, fields)))
                }
                None => Walk::Memory(0),
            },
            Self::Memory(_) => Walk::Memory(0),
        }
    }
}

impl IndexBuilder {
    /// A builder for the file `source`. `limits`: what is accepted of it.
    #[must_use]
    pub fn new(source: SourceId, limits: Limits, sizes: BuildSizes) -> Self {
        Self {
            state: State::Outline(OutlineReader::new(source.len, limits)),
            source,
            limits,
            sizes,
            cache: (0, Bytes::new()),
            moov: None,
            room: Room::default(),
            records: Vec::new(),
            indexed: Vec::new(),
            warnings: Vec::new(),
            remarks: Vec::new(),
            refusal: None,
            spans: None,
        }
    }

    /// Hands over bytes of the media file that cover the last [`BuildStep::Need`]. Errors: `Movie` if they do not.
    pub fn feed(&mut self, offset: u64, bytes: Bytes) -> Result<(), CmafError> {
        if self.keeps(offset, &bytes) {
            // Handed on when it is asked for again.
            self.cache = (offset, bytes);
            return Ok(());
        }
        pass_on(&mut self.state, offset, bytes)
    }

    /// Whether fragments are being read, one after the other.
    #[must_use]
    pub fn reads_fragments(&self) -> bool {
        matches!(self.state, State::Fragments(_))
    }

    /// Whether bytes serve more than one reader.
    fn keeps(&self, offset: u64, bytes: &Bytes) -> bool {
        let end = offset.saturating_add(length(bytes));
        match (&self.state, &self.moov) {
            (State::Outline(_), None) => true,
            (State::Outline(_) | State::Tracks { .. }, Some(moov)) => {
                offset <= moov.start && end >= moov.end
            }
            _ => false,
        }
    }

    /// Goes on until bytes are missing, a part is whole, or the index is. After `Done` or an error the builder is spent.
    ///
    /// Errors: as [`build_from_movie`](super::build_from_movie), and `Movie` for files that cannot be read.
    pub fn step(&mut self) -> Result<BuildStep, CmafError> {
        loop {
            if self.records.len() >= self.sizes.part_bytes {
                return Ok(BuildStep::Part(std::mem::take(&mut self.records)));
            }
            if let Some((offset, len)) = self.advance()? {
                match self.cached(offset, len) {
                    Some(bytes) => pass_on(&mut self.state, offset, bytes)?,
                    None => return Ok(self.need(offset, len)),
                }
                continue;
            }
            if matches!(self.state, State::Done) {
                if !self.records.is_empty() {
                    return Ok(BuildStep::Part(std::mem::take(&mut self.records)));
                }
                self.warnings.append(&mut self.remarks);
                let front = assemble(&self.source, &self.indexed, &self.warnings)?;
                return Ok(BuildStep::Done(front));
            }
        }
    }

    fn cached(&self, offset: u64, len: u64) -> Option<Bytes> {
        let (at, bytes) = &self.cache;
        let start = usize::try_from(offset.checked_sub(*at)?).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    }

    /// Asks for what is needed: of a small movie header for all of it.
    fn need(&mut self, offset: u64, len: u64) -> BuildStep {
        let end = offset.saturating_add(len);
        let small = self.moov.as_ref().filter(|moov| {
            moov.end.saturating_sub(moov.start) <= self.sizes.whole_moov_bytes
                && moov.start <= offset
        });
        match (small, &self.state) {
            (Some(moov), State::Outline(_) | State::Tracks { .. }) => BuildStep::Need {
                offset: moov.start,
                len: end.max(moov.end).saturating_sub(moov.start),
            },
            _ => BuildStep::Need { offset, len },
        }
    }

    /// Does what can be done; the range that is missing for more.
    fn advance(&mut self) -> Result<Option<(u64, u64)>, CmafError> {
        match &mut self.state {
            State::Outline(reader) => {
                let step = reader.step()?;
                self.moov = reader.moov().or(self.moov.take());
                match step {
                    OutlineStep::Need { offset, len } => return Ok(Some((offset, len))),
                    OutlineStep::Progressive(outline) => {
                        self.start(Samples::Tables(outline));
                    }
                    OutlineStep::Fragmented => {
                        self.cache = (0, Bytes::new());
                        let reader = MovieReader::with_limits(self.source.len, self.limits);
                        self.state = State::Fragments(reader);
                    }
                }
            }
            State::Fragments(reader) => match reader.step()? {
                Step::Need { offset, len } => return Ok(Some((offset, len))),
                Step::Done(movie) => {
                    self.remarks = remarks(&movie);
                    match stored(&movie, &mut self.records) {
                        Some(track) => {
                            self.indexed.push(track);
                            self.state = State::Done;
                        }
                        None => {
                            self.records.clear();
                            self.start(Samples::Memory(movie));
                        }
                    }
                }
            },
            State::Tracks { .. } => return self.work(),
            State::Done => {}
        }
        Ok(None)
    }

    fn start(&mut self, samples: Samples) {
        let (places, warnings) = {
            let tracks = samples.tracks();
            let counted = tracks.iter().copied().zip(samples.counts());
            let (places, warnings) = playable(counted);
            let mut places = video_first(places, &tracks);
            places.reverse();
            (places, warnings)
        };
        self.warnings = warnings;
        self.state = State::Tracks {
            samples,
            jobs: Jobs { places, job: None },
        };
    }

    /// Goes on with the track in work, or begins with the next.
    fn work(&mut self) -> Result<Option<(u64, u64)>, CmafError> {
        let State::Tracks { samples, jobs } = &mut self.state else {
            return Ok(None);
        };
        let (len, window) = (self.source.len, self.sizes.window_bytes);
        let Some(job) = &mut jobs.job else {
            let Some(place) = jobs.places.pop() else {
                if self.indexed.is_empty() {
                    let none = nothing_playable(&self.warnings, &samples.tracks());
                    return Err(self.refusal.take().unwrap_or(none));
                }
                self.state = State::Done;
                return Ok(None);
            };
            let Some(track) = samples.track(place) else {
                return Ok(None);
            };
            match WindowScan::new(samples.timescale(), track) {
                Ok(scan) => {
                    jobs.job = Some(Job {
                        place,
                        walk: samples.walk(place, len, window, WalkFields::Times),
                        phase: Phase::Scan(Box::new(scan)),
                    });
                }
                Err(error) => {
                    let id = track.config.id;
                    leave_out(&mut self.warnings, &mut self.refusal, id, error)?;
                }
            }
            return Ok(None);
        };
        let batch = match take_samples(job, samples, &mut self.room, &mut self.records) {
            Err(error) if matches!(job.phase, Phase::Scan(_)) => {
                let id = samples.track(job.place).map_or(0, |track| track.config.id);
                jobs.job = None;
                leave_out(&mut self.warnings, &mut self.refusal, id, error)?;
                return Ok(None);
            }
            batch => batch?,
        };
        let ended = match batch {
            Batch::Need(offset, len) => return Ok(Some((offset, len))),
            Batch::More => return Ok(None),
            Batch::End => jobs.job.take(),
        };
        let Some((job, track)) = ended.and_then(|job| {
            let track = samples.track(job.place)?;
            Some((job, track))
        }) else {
            return Ok(None);
        };
        match job.phase {
            Phase::Scan(scan) => match scan.finish() {
                Ok(presented) if presented.is_empty() => {}
                Ok(presented) => {
                    let (config, spans) = (track.config.clone(), self.spans.clone());
                    let packager = Packager::new(job.place, config, presented, spans);
                    jobs.job = Some(Job {
                        place: job.place,
                        walk: samples.walk(job.place, len, window, WalkFields::All),
                        phase: Phase::Package(Box::new(packager)),
                    });
                }
                Err(error) => {
                    let id = track.config.id;
                    leave_out(&mut self.warnings, &mut self.refusal, id, error)?;
                }
            },
            Phase::Package(packager) => {
                let track = packager.finish(&mut self.room, &mut self.records)?;
                self.spans = self.spans.take().or_else(|| track.spans());
                self.indexed.push(track);
            }
        }
        Ok(None)
    }
}

/// A track that cannot be presented is left out with a warning; any other error is the file's.
fn leave_out(
    warnings: &mut Vec<TrackWarning>,
    refusal: &mut Option<CmafError>,
    track: u32,
    error: CmafError,
) -> Result<(), CmafError> {
    let Some(warning) = warning(track, &error) else {
        return Err(error);
    };
    warnings.push(warning);
    refusal.get_or_insert(error);
    Ok(())
}

enum Batch {
    Need(u64, u64),
    More,
    End,
}

fn take_samples(
    job: &mut Job,
    samples: &Samples,
    room: &mut Room,
    records: &mut Vec<u8>,
) -> Result<Batch, CmafError> {
    let mut take = |phase: &mut Phase, sample| match phase {
        Phase::Scan(scan) => {
            scan.push(&sample);
            Ok(())
        }
        Phase::Package(packager) => packager.push(&sample, room, records),
    };
    match &mut job.walk {
        Walk::Tables(walk) => {
            for _ in 0..BATCH {
                match walk.step()? {
                    WalkStep::Need { offset, len } => return Ok(Batch::Need(offset, len)),
                    WalkStep::Sample(sample) => take(&mut job.phase, sample)?,
                    WalkStep::End => return Ok(Batch::End),
                }
            }
        }
        Walk::Memory(next) => {
            let Some(track) = samples.track(job.place) else {
                return Ok(Batch::End);
            };
            let mut batch = track.samples.iter_from(*next);
            for _ in 0..BATCH {
                let Some(sample) = batch.next() else {
                    return Ok(Batch::End);
                };
                *next = sample.index.saturating_add(1);
                take(&mut job.phase, sample)?;
            }
        }
    }
    Ok(Batch::More)
}

fn pass_on(state: &mut State, offset: u64, bytes: Bytes) -> Result<(), CmafError> {
    match state {
        State::Outline(reader) => reader.feed(offset, bytes)?,
        State::Fragments(reader) => reader.feed(offset, bytes)?,
        State::Tracks { jobs, .. } => {
            if let Some(Job {
                walk: Walk::Tables(walk),
                ..
            }) = &mut jobs.job
            {
                walk.feed(offset, bytes)?;
            }
        }
        State::Done => {}
    }
    Ok(())
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
