//! What an output consists of: tracks, and the filter graph that they come from.

use headwater_bmff::Rotation;
use headwater_preset::{
    AudioCodec, Fade, Filters, Ladder, Place, Preset, SyncMode, Turn, VideoCodec, VideoEncode,
};

use super::graph::{self, Canvas, Overlaid, Part};
use super::measure;
use super::output::OutputRun;
use super::pieces::fraction;
use super::probe::AudioStream;
use super::rungs::{self, Rung};
use super::tracks::{self, Track, Work};
use crate::failure::{self, Step};
use crate::ladder::SourceVideo;

/// Frames a second above which the built-in presets thin a source, as the built-in engine has it.
const THIN_ABOVE: f64 = 31.0;

/// What is made in one run.
pub(super) struct Plan {
    pub(super) tracks: Vec<Track>,
    /// Of pictures and sound; that of pictures is the first.
    pub(super) graph: String,
    /// Of sound alone.
    pub(super) sound_graph: String,
    pub(super) pictures: Option<Pictures>,
    pub(super) thin: u32,
    pub(super) key_frame_ms: u32,
    pub(super) sync: SyncMode,
}

/// What the graph of the pictures is made from.
pub(super) struct Pictures {
    pub(super) canvas: Canvas,
    /// In the order of the graph's ends.
    pub(super) rungs: Vec<Rung>,
}

impl OutputRun<'_> {
    /// What is laid over, in the order of the preset.
    ///
    /// Errors: `ConfigurationUnsupported`, for a label that no input has.
    pub(super) fn overlays(&self) -> Step<Vec<Overlaid<'_>>> {
        self.preset
            .filters
            .overlays
            .iter()
            .map(|overlay| {
                let found = self
                    .sources
                    .labelled
                    .iter()
                    .find(|(label, _)| *label == overlay.input);
                found.map(|(_, part)| (overlay, part)).ok_or_else(|| {
                    failure::configuration(format!(
                        "The preset lays the input '{}' over, and the job has none of that label.",
                        overlay.input
                    ))
                })
            })
            .collect()
    }

    /// How pictures of `rungs` are timed. Where frames follow each other at one rate, that is theirs: the source's, if they are asked
    /// for none. Those of a sequence do already.
    fn steady(&self, encode: &VideoEncode, thin: u32, rungs: &mut [Rung]) -> SyncMode {
        if encode.sync != SyncMode::Cfr {
            return encode.sync;
        }
        if self.sources.parts.len() > 1 {
            return SyncMode::Auto;
        }
        let Some((up, down)) = fraction(graph::frame_rate(&self.sources.parts)) else {
            return encode.sync;
        };
        for rung in rungs {
            rung.frame_rate.get_or_insert((up, down * thin.max(1)));
        }
        SyncMode::Auto
    }

    pub(super) async fn plan(&self) -> Step<Plan> {
        let part = self.part()?;
        let overlays = self.overlays()?;
        let filters = &self.preset.filters;
        let of_the_whole = |fade: &Fade| matches!(fade.start, Some(Place::Percent(_)));
        let open = filters.fade_out.is_some_and(|fade| fade.start.is_none())
            || [&filters.fade_in, &filters.fade_out]
                .into_iter()
                .flatten()
                .any(of_the_whole);
        if open && self.seconds() <= 0.0 {
            return Err(failure::unsupported(format!(
                "The input file '{}' does not say how long it is, and the preset fades it at its end or after a part of it.",
                self.sources.name
            )));
        }
        let mut plan = Plan {
            tracks: Vec::new(),
            graph: String::new(),
            sound_graph: String::new(),
            pictures: None,
            thin: 1,
            key_frame_ms: 2000,
            sync: SyncMode::Auto,
        };
        let mut chains: Vec<String> = Vec::new();
        if self.sources.parts.len() > 1 && has_copies(self.preset) {
            return Err(failure::configuration(
                "A sequence of inputs is encoded: a preset that copies tracks cannot make it.",
            ));
        }
        let mut rungs: Vec<Rung> = Vec::new();
        let mut painted: Option<(Canvas, u32)> = None;
        for video in &self.preset.videos {
            match video {
                VideoCodec::Copy { label, top_only } => {
                    let count = if *top_only { 1 } else { usize::MAX };
                    for stream in self.sources.videos.iter().take(count) {
                        plan.tracks.push(Track {
                            label: label.clone(),
                            language: "und".into(),
                            kbps: kbps(stream.bits_per_second),
                            work: Work::CopyVideo(stream.clone()),
                        });
                    }
                }
                VideoCodec::Encode(encode) => {
                    if part.video.is_none() {
                        continue;
                    }
                    let canvas = match &painted {
                        Some((canvas, _)) => *canvas,
                        None => self.canvas()?,
                    };
                    let (thin, mut made) = self.rungs(part, encode, &canvas).await?;
                    let sync = self.steady(encode, thin, &mut made);
                    rungs.extend(made);
                    painted.get_or_insert((canvas, thin));
                    plan.key_frame_ms = encode.key_frame_ms;
                    plan.sync = sync;
                }
            }
        }
        let turn = self.turn();
        for rung in &mut rungs {
            rung.turn = turn;
        }
        if let Some((canvas, thin)) = painted {
            // The graph goes from the largest to the smallest, whichever codec they are for.
            rungs.sort_by_key(|rung| std::cmp::Reverse(rung.size.area()));
            chains.push(graph::video(
                &self.sources.parts,
                filters,
                &canvas,
                &rungs,
                &overlays,
                thin,
                None,
            ));
            plan.thin = thin;
            plan.pictures = Some(Pictures {
                canvas,
                rungs: rungs.clone(),
            });
            for (label, rung) in rungs.into_iter().enumerate() {
                plan.tracks.push(Track {
                    label: rung.label.clone(),
                    language: "und".into(),
                    kbps: rung.kbps,
                    work: Work::Picture { rung, label },
                });
            }
        }
        let pictures = chains.len();
        self.plan_sound(&mut plan, &mut chains, &overlays)?;
        plan.sound_graph = chains[pictures..].join(";");
        if plan.tracks.is_empty() && self.preset.images.is_empty() {
            return Err(failure::unsupported(format!(
                "The input file '{}' has none of the tracks that the preset makes something of.",
                self.sources.name
            )));
        }
        plan.graph = chains.join(";");
        Ok(plan)
    }

    /// The sound of every place among the tracks, as the first part that has one there describes it. Where there is none at
    /// all and something audible is laid over, that decides what the only track is like.
    ///
    /// Errors: `ContentUnsupported` for silence of no known length.
    fn sounds(&self, overlays: &[Overlaid<'_>]) -> Step<Vec<AudioStream>> {
        let parts = &self.sources.parts;
        let most = parts.iter().map(|part| part.audios.len()).max();
        let found: Vec<AudioStream> = (0..most.unwrap_or(0))
            .filter_map(|place| {
                parts
                    .iter()
                    .find_map(|part| part.audios.get(place))
                    .cloned()
            })
            .collect();
        let encoded = |audio: &AudioCodec| matches!(audio, AudioCodec::Encode(_));
        if !found.is_empty() || !self.preset.audios.iter().any(encoded) {
            return Ok(found);
        }
        let Some(over) = overlays.iter().find_map(graph::audible) else {
            return Ok(found);
        };
        if self.seconds() <= 0.0 {
            return Err(failure::unsupported(format!(
                "The input file '{}' has no sound and does not say how long it is, and the preset lays sound over it.",
                self.sources.name
            )));
        }
        Ok(vec![over.clone()])
    }

    fn plan_sound(
        &self,
        plan: &mut Plan,
        chains: &mut Vec<String>,
        overlays: &[Overlaid<'_>],
    ) -> Step<()> {
        let sounds = self.sounds(overlays)?;
        let silent = self.sources.parts.iter().all(|part| part.audios.is_empty());
        let untouched = self.preset.filters == Filters::default()
            && self.sources.parts.len() == 1
            && self
                .sources
                .inputs
                .iter()
                .all(|input| input.start_ms == 0 && input.length_ms.is_none());
        let mut label = 0;
        for (place, stream) in sounds.iter().enumerate() {
            let mut encoded = Vec::new();
            for audio in &self.preset.audios {
                let work = match audio {
                    // What is laid over is no track of the source.
                    AudioCodec::Copy { .. } if silent => continue,
                    AudioCodec::Copy { .. }
                        if overlays.iter().any(|over| graph::audible(over).is_some()) =>
                    {
                        return Err(failure::configuration(
                            "The preset lays sound over the source's (filters.overlays, whose audioGainLevel is not 0), and CopyAudio leaves it as it is.",
                        ));
                    }
                    AudioCodec::Copy { .. } if !stream.feeds.is_empty() => {
                        return Err(failure::configuration(
                            "The job's input definitions put tracks together (channelMapping): a preset that copies tracks cannot make that.",
                        ));
                    }
                    AudioCodec::Copy { .. } => Work::CopyAudio(stream.clone()),
                    AudioCodec::Encode(audio) if untouched && tracks::copyable(audio, stream) => {
                        Work::CopyAudio(stream.clone())
                    }
                    AudioCodec::Encode(audio) => {
                        tracks::sound(audio, stream, label + encoded.len(), &self.engine.tools)?
                    }
                };
                let rate = match (&work, audio) {
                    (Work::Sound { .. }, AudioCodec::Encode(audio)) => audio.bitrate / 1000,
                    (_, AudioCodec::Encode(audio)) => audio.bitrate / 1000,
                    _ => kbps(stream.bits_per_second),
                };
                if matches!(work, Work::Sound { .. }) {
                    encoded.push(());
                }
                plan.tracks.push(Track {
                    label: tracks::label_of(audio),
                    language: stream.language.clone(),
                    kbps: rate,
                    work,
                });
            }
            if !encoded.is_empty() {
                let filters = &self.preset.filters;
                let parts = &self.sources.parts;
                chains.push(graph::audio(
                    parts,
                    place,
                    filters,
                    overlays,
                    label,
                    encoded.len(),
                ));
                label += encoded.len();
            }
        }
        Ok(())
    }

    /// What all pictures of the output are made on, whichever codec they are for: a high dynamic range stays where no layer of
    /// any has fewer than ten bits.
    fn canvas(&self) -> Step<Canvas> {
        let deep = |video: &VideoCodec| match video {
            VideoCodec::Copy { .. } => true,
            VideoCodec::Encode(VideoEncode {
                ladder: Ladder::Exact(layers),
                ..
            }) => layers.iter().all(|layer| layer.ten_bits),
            VideoCodec::Encode(_) => false,
        };
        let hdr = self.preset.videos.iter().all(deep);
        let (parts, tools) = (&self.sources.parts, &self.engine.tools);
        graph::canvas(parts, &self.preset.filters, hdr, tools)
    }

    /// How players are told to turn the pictures: as the source says, where the preset leaves them as they are coded and all parts
    /// say the same.
    fn turn(&self) -> Rotation {
        if self.preset.filters.turn != Turn::None {
            return Rotation::None;
        }
        let videos = self
            .sources
            .parts
            .iter()
            .filter_map(|part| part.video.as_ref());
        let mut turns = videos.map(|video| match video.rotation {
            90 => Rotation::Cw90,
            180 => Rotation::Cw180,
            270 => Rotation::Cw270,
            _ => Rotation::None,
        });
        let first = turns.next().unwrap_or(Rotation::None);
        match turns.all(|turn| turn == first) {
            true => first,
            false => Rotation::None,
        }
    }

    /// How the source is thinned, and the renditions of `encode`.
    async fn rungs(
        &self,
        part: &Part,
        encode: &VideoEncode,
        canvas: &Canvas,
    ) -> Step<(u32, Vec<Rung>)> {
        let video = part
            .video
            .as_ref()
            .ok_or_else(|| failure::internal("There is no video to encode."))?;
        let tools = &self.engine.tools;
        let rate = if video.frames_per_second > 0.0 {
            video.frames_per_second
        } else {
            25.0
        };
        let thin = if encode.thin && rate > THIN_ABOVE && rate < 1000.0 {
            (rate / THIN_ABOVE).ceil() as u32
        } else {
            1
        };
        let source = SourceVideo {
            size: canvas.size,
            frames_per_second: rate / f64::from(thin),
            bits_per_second: match video.bits_per_second {
                0 => self.sources.bits_per_second,
                bits => bits,
            },
        };
        let source = SourceVideo {
            // A modern codec says in fewer bits what H.264 needs more for.
            bits_per_second: match video.codec.as_str() {
                "hevc" | "vp9" => source.bits_per_second * 3 / 2,
                "av1" => source.bits_per_second * 2,
                _ => source.bits_per_second,
            },
            ..source
        };
        let content = match &encode.ladder {
            Ladder::ContentAware(_) => measure::content(self).await?,
            _ => 1.0,
        };
        let made = rungs::rungs(encode, source, canvas.colour, content, tools)?;
        Ok((thin, made))
    }
}

fn kbps(bits_per_second: u64) -> u32 {
    u32::try_from(bits_per_second.div_ceil(1000)).unwrap_or(u32::MAX)
}

fn has_copies(preset: &Preset) -> bool {
    preset
        .videos
        .iter()
        .any(|video| matches!(video, VideoCodec::Copy { .. }))
        || preset
            .audios
            .iter()
            .any(|audio| matches!(audio, AudioCodec::Copy { .. }))
}
