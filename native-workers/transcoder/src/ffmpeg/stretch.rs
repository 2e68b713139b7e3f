//! What of the sources a chunk is made of: where they are opened, and the filter graph from there to its renditions.

use headwater_preset::{Overlay, OverlayKind, Turn};

use super::chunks::THREADS;
use super::graph::{self, Overlaid, Part};
use super::output::OutputRun;
use super::overlays::shown;
use super::pieces::{Cut, Limits, Piece, Steady, Window, frames_of, sequence_rate};
use super::planning::Plan;
use super::split::{Chunk, Split, TICKS};
use crate::failure::{self, Step};

/// How far before a chunk decoding begins at least, in seconds: filters that compare pictures have seen one.
const RUN_UP: f64 = 1.0;

/// The arguments that open inputs, and how many there are.
#[derive(Default)]
struct Opened {
    arguments: Vec<String>,
    count: usize,
}

impl OutputRun<'_> {
    /// The arguments of ffmpeg that open what `chunk` needs of the sources, and the graph of its pictures.
    pub(super) fn stretch(&self, plan: &Plan, split: &Split, chunk: &Chunk) -> Step<Vec<String>> {
        let Some(pictures) = &plan.pictures else {
            return Err(failure::internal("There is no video to encode."));
        };
        let begins = split.times.get(chunk.pictures.start).copied();
        let begins = begins.unwrap_or(0) as f64 / TICKS as f64;
        let mut opened = Opened::default();
        let mut parts = self.sources.parts.clone();
        let cut = match sequence_rate(&parts) {
            None => self.open_single(chunk, parts.first_mut(), &mut opened)?,
            Some(rate) => self.open_pieces(split, chunk, &mut parts, rate, &mut opened)?,
        };
        let overlays = self.open_overlays(split, begins, &mut opened)?;
        let overlays: Vec<Overlaid<'_>> = overlays
            .iter()
            .map(|(overlay, part)| (*overlay, part))
            .collect();
        let mut out = opened.arguments;
        out.extend([
            "-filter_complex".into(),
            graph::video(
                &parts,
                &self.preset.filters,
                &pictures.canvas,
                &pictures.rungs,
                &overlays,
                split.thin,
                Some(&Window {
                    begins,
                    cut,
                    steady: split.steady.then(|| Steady {
                        frames: chunk.pictures.clone(),
                        ends: chunk.pictures.end == split.times.len(),
                    }),
                }),
            ),
        ]);
        Ok(out)
    }

    /// Opens the source of `part` again, at the key frame before `seconds` or where it begins, and tells it so.
    fn open(&self, part: &mut Part, seconds: Option<f64>, opened: &mut Opened) -> Step<Limits> {
        let video = part.video.as_mut();
        let found = video.and_then(|video| Some((self.sources.inputs.get(video.input)?, video)));
        let Some((input, video)) = found else {
            return Err(failure::internal("There is no video to encode."));
        };
        let threads = ["-threads".to_owned(), THREADS.to_string()];
        opened.arguments.extend(threads);
        let autorotate = self.preset.filters.turn == Turn::Auto;
        let arguments = match seconds {
            Some(seconds) => input.from(autorotate, (seconds - RUN_UP).max(0.0)),
            None => input.arguments(autorotate),
        };
        let options = graph::input_options([&*video], &self.preset.filters);
        opened.arguments.extend(options);
        opened.arguments.extend(arguments);
        video.input = opened.count;
        opened.count += 1;
        let shift = input.start_ms as f64 / 1000.0;
        Ok(Limits {
            from: (shift > 0.0).then_some(shift),
            to: input.length_ms.map(|length| shift + length as f64 / 1000.0),
            shift,
        })
    }

    fn open_single(
        &self,
        chunk: &Chunk,
        part: Option<&mut Part>,
        opened: &mut Opened,
    ) -> Step<Cut> {
        let part = part.ok_or_else(|| failure::internal("The job has no source."))?;
        let limits = self.open(part, Some(chunk.from.unwrap_or(0.0)), opened)?;
        Ok(Cut::Single(Limits {
            from: chunk.from,
            to: chunk.to,
            ..limits
        }))
    }

    /// Opens those parts of a sequence that `chunk` has frames of.
    fn open_pieces(
        &self,
        split: &Split,
        chunk: &Chunk,
        parts: &mut [Part],
        rate: f64,
        opened: &mut Opened,
    ) -> Step<Cut> {
        let thin = u64::from(split.thin.max(1));
        let wanted = chunk.pictures.start as u64 * thin..chunk.pictures.end as u64 * thin;
        let mut pieces = Vec::new();
        let mut before = 0;
        for (number, part) in parts.iter_mut().enumerate() {
            let count = frames_of(part, rate);
            let frames =
                wanted.start.saturating_sub(before)..wanted.end.saturating_sub(before).min(count);
            before += count;
            if frames.is_empty() {
                continue;
            }
            let begins = frames.start as f64 / rate;
            let clip = part.video.as_ref();
            let clip = clip.and_then(|video| self.sources.inputs.get(video.input));
            let shift = clip.map_or(0.0, |input| input.start_ms as f64 / 1000.0);
            let limits = self.open(part, Some(shift + begins), opened)?;
            pieces.push(Piece {
                part: number,
                frames,
                limits,
            });
        }
        Ok(Cut::Sequence(pieces))
    }

    /// Opens the pictures that are laid over: what moves where it is when the presentation is at `begins`.
    fn open_overlays(
        &self,
        split: &Split,
        begins: f64,
        opened: &mut Opened,
    ) -> Step<Vec<(&Overlay, Part)>> {
        self.overlays()?
            .into_iter()
            .zip(split.overlaid.iter())
            .filter(|((overlay, _), _)| matches!(overlay.kind, OverlayKind::Picture { .. }))
            .map(|((overlay, part), first)| {
                let mut part = part.clone();
                part.first = *first;
                let (start, _) = shown(overlay, &part, self.seconds());
                let at = first.map(|first| first + (begins - start).max(0.0));
                self.open(&mut part, at, opened)?;
                Ok((overlay, part))
            })
            .collect()
    }
}
