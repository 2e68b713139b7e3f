//! Sources in whose container nothing says where key frames are: their pictures, as they are, in a file where it is said.
//!
//! A transport stream can only be searched by guess, and decoding begins with the next key frame after that: the pictures up to there
//! would be missing from a clip. So pictures that are gone to are copied to a QuickTime file beside it.

use super::container::Demuxer;
use super::inputs::{Input, Loader};
use super::probe::VideoStream;
use super::sandbox::Program;
use super::split::CHUNK_MS;
use super::{UNRIPE, fault};
use crate::failure::{Step, Stopped};

/// Demuxers of containers without an index, whose packets say when they are shown.
const WITHOUT: [&str; 2] = ["mpegts", "flv"];

/// Whether the pictures of a file for `demuxer` can be gone to.
pub(super) fn has_index(demuxer: &Demuxer) -> bool {
    ["mov", "matroska"].contains(&demuxer.name)
}

impl Loader<'_> {
    /// Puts `videos` of `input`, which is the job's `number`th and `seconds` long, into a file with an index if they are going to be gone
    /// to, and tells them that they are the `next` input. `None`: they are not, or it cannot be done.
    ///
    /// Errors: `Interrupted` if the job is.
    pub(super) async fn indexed(
        &self,
        (number, input): (usize, &Input),
        seconds: f64,
        videos: &mut [VideoStream],
        next: usize,
    ) -> Step<Option<Input>> {
        let gone_to = input.start_ms > 0 || seconds * 1000.0 >= 2.0 * CHUNK_MS as f64;
        let own = || videos.iter().filter(|video| video.input == number);
        if !gone_to || !WITHOUT.contains(&input.demuxer.name) || own().next().is_none() {
            return Ok(None);
        }
        let streams: Vec<(u32, &str)> = own().map(|video| (video.index, &*video.codec)).collect();
        let copy = match self.copied(input, seconds, &streams).await {
            Ok(copy) => copy,
            // Encoding it says more exactly what is wrong with it.
            Err(Stopped::Failed(_)) => return Ok(None),
            Err(stopped) => return Err(stopped),
        };
        let own = videos.iter_mut().filter(|video| video.input == number);
        for (index, video) in own.enumerate() {
            video.input = next;
            video.index = index as u32;
        }
        Ok(Some(copy))
    }

    /// `streams`: their indexes and codecs.
    async fn copied(&self, input: &Input, seconds: f64, streams: &[(u32, &str)]) -> Step<Input> {
        let path = self.path();
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&["-hide_banner", "-nostdin", "-y", "-v", "error"]);
        // So that a long one is not taken for one that hangs.
        add(&["-progress", "pipe:1", "-stats_period", "5"]);
        arguments.extend(input.whole().arguments(true));
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        for (at, (stream, codec)) in streams.iter().enumerate() {
            add(&["-map", &format!("0:{stream}")]);
            // An encoder that comes back with other settings says so beside its pictures, where a QuickTime file has them once.
            if input.demuxer.name == "flv" && *codec == "h264" {
                add(&[&format!("-bsf:{at}"), "h264_mp4toannexb"]);
            }
        }
        add(&["-c", "copy", "-map_metadata", "-1", "-map_chapters", "-1"]);
        add(&UNRIPE);
        let file = format!("file:{}", path.display());
        add(&["-video_track_timescale", "90000", "-f", "mov", &file]);
        let indexes: Vec<u32> = streams.iter().map(|(stream, _)| *stream).collect();
        arguments.extend(Input::read_along(0, &indexes));
        let program = Program {
            path: self.engine.tools.ffmpeg.clone(),
            arguments,
            folder: self.folder.to_owned(),
            limits: self.engine.limits(seconds, streams.len()),
            reads: vec![input.path.clone()],
        };
        let name = input.demuxer.called;
        let ended = program.run_counted(self.stop, &mut |_| ()).await;
        fault::outcome(name, ended)?;
        let (demuxer, media) = self.look(name, &path).await?;
        Ok(input.beside(path, demuxer, media.start))
    }
}
