//! What a source is: its tracks sorted into what is used, what is passed over and what ends the job, and the plan of one
//! output made from it.

use headwater_bmff::sps::Sps;
use headwater_bmff::{
    AacConfig, AvcConfig, CodecConfig, MediaWindow, Movie, Rotation as Turn, Track, TrackKind,
};

use crate::aac::decoder::{DecodeError, Decoder, Format};
use crate::audio::{AudioPlan, AudioSource};
use crate::colour;
use crate::failure::{self, Step};
use crate::h264::nal;
use crate::h264::support;
use crate::ladder::{self, SourceVideo};
use crate::picture::{Rotation, Size};
use crate::plan::{Fingerprint, VideoPlan, video_chunks};
use crate::preset::{Preset, VideoPreset};
use crate::source::Source;
use crate::timeline::VideoTimeline;

/// Access units that are decoded to find out what an audio track really is.
const PROBED_UNITS: usize = 6;
/// Largest sample that is read: it has to fit into one answer of the storage, and no picture that can be decoded comes
/// near it.
const LARGEST_SAMPLE_BYTES: u32 = 32 << 20;
/// Most audio tracks that are published.
const MAX_AUDIO_TRACKS: usize = 32;

/// A source that can be encoded.
pub struct Analysis {
    pub movie: Movie,
    pub video: Option<Video>,
    pub audio: Vec<Audio>,
    /// Sound that is left out because it cannot be decoded, beside some that can: id and codec of each track.
    pub passed_over: Vec<(u32, String)>,
}

pub struct Video {
    /// Place in the movie.
    track: usize,
    config: AvcConfig,
    sps: Sps,
    window: MediaWindow,
}

pub struct Audio {
    track: usize,
    config: AacConfig,
    window: MediaWindow,
    probed: (Format, u32),
}

/// What one output will be.
pub struct Plan {
    pub video: Option<VideoPlan>,
    pub audio: Vec<AudioPlan>,
    pub fingerprint: String,
}

/// The tracks of a kind that have samples.
fn of_kind(movie: &Movie, kind: TrackKind) -> impl Iterator<Item = (usize, &Track)> {
    movie
        .tracks
        .iter()
        .enumerate()
        .filter(move |(_, track)| track.config.kind == kind && !track.samples.is_empty())
}

/// The video tracks to choose from: the enabled ones, or all when none is.
fn videos(movie: &Movie) -> Vec<usize> {
    let tracks = || of_kind(movie, TrackKind::Video);
    let any_enabled = tracks().any(|(_, track)| track.enabled);
    tracks()
        .filter(|(_, track)| track.enabled || !any_enabled)
        .map(|(at, _)| at)
        .collect()
}

/// All audio tracks, enabled ones first: in a file of several languages only the one to begin with is enabled.
fn audios(movie: &Movie) -> Vec<usize> {
    let mut tracks: Vec<_> = of_kind(movie, TrackKind::Audio).collect();
    tracks.sort_by_key(|(_, track)| !track.enabled);
    tracks.into_iter().map(|(at, _)| at).collect()
}

fn window(movie: &Movie, track: &Track) -> Step<MediaWindow> {
    track
        .edits
        .window(movie.timescale, track.config.timescale)
        .map_err(|error| {
            failure::unsupported(format!(
                "Track {} ({}): {error}.",
                track.config.id,
                track.config.codec.name()
            ))
        })
}

/// "video track 1 is coded in HEVC (H.265), which ..."
fn undecodable(what: &str, track: &Track, decodable: &str) -> failure::Stopped {
    failure::unsupported(format!(
        "Track {} ({what}) is coded in {}, which cannot be decoded; {decodable} can.",
        track.config.id,
        track.config.codec.name()
    ))
}

impl Analysis {
    /// Reads the movie header and the first samples.
    ///
    /// `video`: whether any output wants pictures; a video track that cannot be decoded matters only then.
    pub async fn new(source: &Source, video: bool) -> Step<Self> {
        let movie = source.movie().await?;
        let videos = videos(&movie);
        let audios = audios(&movie);
        if videos.is_empty() && audios.is_empty() {
            return Err(failure::malformed(format!(
                "The input file '{}' has neither a video nor an audio track.",
                source.name
            )));
        }
        let video = if video {
            find_video(source, &movie, &videos).await?
        } else {
            None
        };
        let (audio, passed_over) = find_audio(source, &movie, &audios).await?;
        for track in video
            .iter()
            .map(|video| video.track)
            .chain(audio.iter().map(|audio| audio.track))
        {
            check_extent(source, &movie.tracks[track])?;
        }
        Ok(Self {
            movie,
            video,
            audio,
            passed_over,
        })
    }

    /// Plans one output.
    pub fn plan(&self, source: &Source, preset: &Preset) -> Step<Plan> {
        let video = match (&self.video, &preset.video) {
            (_, VideoPreset::None) | (None, _) => None,
            (Some(video), wanted) => Some(self.plan_video(video, wanted)?),
        };
        if video.is_none() && self.audio.is_empty() {
            return Err(failure::unsupported(format!(
                "The input file '{}' has no audio track, and the preset asks for nothing else.",
                source.name
            )));
        }
        let starts: Option<Vec<u64>> = video.as_ref().map(|video| {
            (0..video.segments.len())
                .map(|segment| video.start_of(segment))
                .collect()
        });
        let boundaries = video
            .as_ref()
            .zip(starts.as_deref())
            .map(|(video, starts)| (starts, video.timeline.timescale));
        let audio = self
            .audio
            .iter()
            .map(|audio| {
                let track = &self.movie.tracks[audio.track];
                let source = AudioSource {
                    track: &track.config,
                    config: &audio.config,
                    samples: &track.samples,
                    window: audio.window,
                    probed: audio.probed,
                };
                AudioPlan::new(&source, preset.audio_kbps, boundaries)
            })
            .collect::<Step<Vec<_>>>()?;
        let mut fingerprint = Fingerprint::new()
            .with(&source.etag)
            .with(source.len)
            .with(preset);
        if let Some(video) = &video {
            fingerprint = fingerprint.with(&video.renditions).with(&video.chunks);
        }
        for audio in &audio {
            fingerprint = fingerprint
                .with(&audio.work)
                .with(&audio.segments)
                .with(&audio.chunks);
        }
        Ok(Plan {
            video,
            audio,
            fingerprint: fingerprint.text(),
        })
    }

    fn plan_video(&self, video: &Video, wanted: &VideoPreset) -> Step<VideoPlan> {
        let track = &self.movie.tracks[video.track];
        let (id, scale) = (track.config.id, track.config.timescale);
        let timeline = VideoTimeline::new(id, scale, &track.samples, video.window)?;
        let rotation = match track.config.rotation() {
            Turn::None => Rotation::None,
            Turn::Cw90 => Rotation::Clockwise90,
            Turn::Cw180 => Rotation::Half,
            Turn::Cw270 => Rotation::Clockwise270,
        };
        let coded = Size::even(video.sps.width, video.sps.height);
        // The container's word on the shape of a pixel goes before the stream's.
        let aspect = track.config.pixel_aspect.or(video.sps.pixel_aspect);
        let square = match aspect {
            Some(aspect) if aspect.vertical > 0 => {
                let width = u64::from(coded.width) * u64::from(aspect.horizontal)
                    / u64::from(aspect.vertical);
                let width = u32::try_from(width.clamp(16, 8192)).unwrap_or(coded.width);
                Size::even(width, coded.height)
            }
            _ => coded,
        };
        let source = SourceVideo {
            size: rotation.apply(square),
            frames_per_second: timeline.frames_per_second(),
            bits_per_second: (track.samples.total_bytes() as f64 * 8.0
                / timeline.seconds().max(0.001)) as u64,
        };
        let renditions = ladder::renditions(wanted, source);
        if renditions.is_empty() {
            return Err(failure::unsupported(format!(
                "Track {id} (H.264) is {}x{}, too small to encode.",
                coded.width, coded.height
            )));
        }
        let segments = timeline.segments();
        let chunks = video_chunks(&timeline, &track.samples, &segments);
        Ok(VideoPlan {
            track: id,
            config: video.config.clone(),
            samples: track.samples.clone(),
            timeline,
            coded,
            rotation,
            colour: colour::decided(colour::stated(video.sps.colour, track.config.colour), coded),
            renditions,
            segments,
            chunks,
        })
    }
}

async fn find_video(source: &Source, movie: &Movie, tracks: &[usize]) -> Step<Option<Video>> {
    let decodable = tracks
        .iter()
        .find_map(|&at| match &movie.tracks[at].config.codec {
            CodecConfig::Avc(config) => Some((at, config.clone())),
            _ => None,
        });
    let Some((at, mut config)) = decodable else {
        return match tracks.first() {
            Some(&at) => Err(undecodable("video", &movie.tracks[at], "H.264")),
            None => Ok(None),
        };
    };
    let track = &movie.tracks[at];
    let id = track.config.id;
    if config.sps.is_empty() {
        // `avc3`: parameter sets stand in the samples.
        in_band_parameter_sets(source, track, &mut config).await?;
    }
    let sps = config
        .sps
        .first()
        .and_then(|sps| Sps::parse(sps))
        .ok_or_else(|| {
            failure::malformed(format!(
                "Track {id} (H.264): its sequence parameter set is damaged."
            ))
        })?;
    if let Some(reason) = support::unsupported(&sps) {
        return Err(failure::unsupported(format!(
            "Track {id} is H.264 with {reason}, which cannot be decoded."
        )));
    }
    Ok(Some(Video {
        track: at,
        config,
        sps,
        window: window(movie, track)?,
    }))
}

async fn in_band_parameter_sets(
    source: &Source,
    track: &Track,
    config: &mut AvcConfig,
) -> Step<()> {
    check_extent(source, track)?;
    let Some(sample) = track
        .samples
        .iter()
        .find(|sample| sample.sync && sample.size > 0)
    else {
        return Ok(());
    };
    let bytes = source
        .read(sample.offset..sample.offset + u64::from(sample.size))
        .await?;
    let mut stream = Vec::new();
    if nal::sample_to_annex_b(&mut stream, &bytes, config.nal_length_size).is_ok() {
        for unit in nal::split_annex_b(&stream) {
            match nal::kind(unit) {
                Some(nal::kind::SPS) => config.sps.push(unit.to_vec()),
                Some(nal::kind::PPS) => config.pps.push(unit.to_vec()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The sound that can be decoded, and what [`Analysis::passed_over`] holds.
async fn find_audio(
    source: &Source,
    movie: &Movie,
    tracks: &[usize],
) -> Step<(Vec<Audio>, Vec<(u32, String)>)> {
    let (mut found, mut passed_over) = (Vec::new(), Vec::new());
    for &at in tracks {
        let track = &movie.tracks[at];
        let CodecConfig::Aac(config) = &track.config.codec else {
            tracing::info!(
                track = track.config.id,
                codec = track.config.codec.name(),
                "audio track passed over: it cannot be decoded"
            );
            passed_over.push((track.config.id, track.config.codec.name().to_owned()));
            continue;
        };
        if found.len() == MAX_AUDIO_TRACKS {
            return Err(failure::unsupported(format!(
                "The input file has more than {MAX_AUDIO_TRACKS} audio tracks."
            )));
        }
        check_extent(source, track)?;
        found.push(Audio {
            track: at,
            config: config.clone(),
            window: window(movie, track)?,
            probed: probe(source, track, config).await?,
        });
    }
    match tracks.first() {
        // Better no output than a silent one.
        Some(&at) if found.is_empty() => Err(undecodable("audio", &movie.tracks[at], "AAC")),
        _ => Ok((found, passed_over)),
    }
}

/// Decodes the first access units: the sample entry does not always tell of spectral band replication or channels.
async fn probe(source: &Source, track: &Track, config: &AacConfig) -> Step<(Format, u32)> {
    let id = track.config.id;
    let name = config.object_type.name();
    let mut decoder = Decoder::new(&config.asc).map_err(|error| match error {
        DecodeError::Config(_) => failure::unsupported(format!("Track {id} ({name}): {error}.")),
        error => failure::internal(format!("{error}.")),
    })?;
    let mut last = None;
    for sample in track
        .samples
        .iter()
        .filter(|sample| sample.size > 0)
        .take(PROBED_UNITS)
    {
        let bytes = source
            .read(sample.offset..sample.offset + u64::from(sample.size))
            .await?;
        match decoder.decode(&bytes) {
            Ok((format, _)) => last = Some(Ok(format)),
            Err(error) => last = last.filter(Result::is_ok).or(Some(Err(error))),
        }
    }
    match last {
        Some(Ok(format)) => Ok((format, decoder.delay())),
        Some(Err(error)) => Err(failure::malformed(format!(
            "Track {id} ({name}) cannot be decoded: {error}."
        ))),
        None => Err(failure::malformed(format!(
            "Track {id} ({name}) has only empty samples."
        ))),
    }
}

/// Whether every sample can be read: a file that was cut off announces samples that are not there.
fn check_extent(source: &Source, track: &Track) -> Step<()> {
    for sample in track.samples.iter() {
        if sample.size > LARGEST_SAMPLE_BYTES {
            return Err(failure::unsupported(format!(
                "Sample {} of track {} ({}) has {} bytes; at most {LARGEST_SAMPLE_BYTES} are supported.",
                u64::from(sample.index) + 1,
                track.config.id,
                track.config.codec.name(),
                sample.size
            )));
        }
        let end = sample.offset.checked_add(u64::from(sample.size));
        if end.is_none_or(|end| end > source.len) {
            return Err(failure::malformed(format!(
                "The input file '{}' is cut off: sample {} of track {} ({}) lies past its end at byte {}.",
                source.name,
                u64::from(sample.index) + 1,
                track.config.id,
                track.config.codec.name(),
                source.len
            )));
        }
    }
    Ok(())
}
