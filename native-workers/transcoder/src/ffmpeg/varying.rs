//! Sound that changes its shape on the way: broadcasts go from stereo to surround and back, and encoders come back with another sample
//! rate.
//!
//! FFmpeg makes its filters anew wherever that happens, and those that let sound begin at 0 would do so again in the middle of it. So
//! such sound is made alike first, in a file beside its source.

use std::collections::{BTreeMap, BTreeSet};

use super::channels::of_layout;
use super::fault;
use super::inputs::{Input, Loader};
use super::probe::{AudioStream, VideoStream};
use crate::failure::{Step, Stopped};

/// Demuxers of containers in which one stream may hold sound of several shapes.
const VARYING: [&str; 3] = ["mpegts", "mpeg", "flv"];
/// Codecs whose frames say themselves what they are, so that any container may.
const VARYING_CODECS: [&str; 6] = ["ac3", "eac3", "dts", "truehd", "mp2", "mp3"];

/// What decoded sound is like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    rate: u32,
    layout: String,
}

/// The shapes of each stream, as ffmpeg tells of the buffers of its filters with `-v verbose`: `[graph_0_in_0_1 @ 0x55] tb:1/48000
/// samplefmt:fltp samplerate:48000 chlayout:stereo`, where 1 is the stream.
fn shapes(told: &str) -> BTreeMap<u32, BTreeSet<Shape>> {
    let mut found: BTreeMap<u32, BTreeSet<Shape>> = BTreeMap::new();
    for line in told.split(['\n', '\r']) {
        let Some((name, said)) = line
            .split_once("[graph_")
            .and_then(|(_, rest)| rest.split_once(" @ "))
        else {
            continue;
        };
        let word = |name: &str| {
            let mut words = said.split_ascii_whitespace();
            words.find_map(|word| word.strip_prefix(name))
        };
        let stream = name.rsplit(['_', ':']).next().and_then(|n| n.parse().ok());
        let rate = word("samplerate:").and_then(|rate| rate.parse().ok());
        if let (Some(stream), Some(rate), Some(layout)) = (stream, rate, word("chlayout:")) {
            let layout = layout.to_owned();
            found
                .entry(stream)
                .or_default()
                .insert(Shape { rate, layout });
        }
    }
    found
}

impl Loader<'_> {
    /// Puts those of `audios` of `input`, which is the job's `number`th and `seconds` long, that change into a file of their own, and tells
    /// them that they are the `next` input. `None`: none does, it is to be copied as it is, or it cannot be done.
    ///
    /// Errors: `Interrupted` if the job is.
    pub(super) async fn steady(
        &self,
        (number, input): (usize, &Input),
        seconds: f64,
        (videos, audios): (&[VideoStream], &mut [(String, AudioStream)]),
        next: usize,
    ) -> Step<Option<Input>> {
        let contained = VARYING.contains(&input.demuxer.name);
        let own = |audio: &AudioStream| {
            let may = contained || VARYING_CODECS.contains(&audio.codec.as_str());
            audio.input == number && may
        };
        if self.copies_sound || !audios.iter().any(|(_, audio)| own(audio)) {
            return Ok(None);
        }
        let found = self.heard(input, seconds).await?;
        let mut changing = Vec::new();
        for (_, audio) in audios.iter_mut().filter(|(_, audio)| own(audio)) {
            let Some(shapes) = found.get(&audio.index).filter(|shapes| shapes.len() > 1) else {
                continue;
            };
            let most = shapes.iter().filter_map(|shape| of_layout(&shape.layout));
            audio.channels = audio.channels.max(most.max().unwrap_or(0));
            changing.push(audio);
        }
        if changing.is_empty() {
            return Ok(None);
        }
        let kept: Vec<_> = changing.iter().map(|audio| (**audio).clone()).collect();
        let pictures = videos.iter().filter(|video| video.input == number);
        let pictures: Vec<u32> = pictures.map(|video| video.index).collect();
        let copy = match self.made_alike(input, seconds, &kept, &pictures).await {
            Ok(copy) => copy,
            // Encoding it says more exactly what is wrong with it.
            Err(Stopped::Failed(_)) => return Ok(None),
            Err(stopped) => return Err(stopped),
        };
        for (index, audio) in (0..).zip(changing) {
            (audio.input, audio.index) = (next, index);
            audio.codec = "flac".to_owned();
            audio.profile = String::new();
            audio.jitter = 0.0;
        }
        Ok(Some(copy))
    }

    async fn heard(&self, input: &Input, seconds: f64) -> Step<BTreeMap<u32, BTreeSet<Shape>>> {
        let words = [
            "-nostdin",
            "-v",
            "verbose",
            "-map",
            "0:a",
            "-progress",
            "pipe:1",
            "-f",
            "null",
            "-",
        ];
        let mut program = self.asking(
            &self.engine.tools.ffmpeg,
            &words,
            (&input.path, input.demuxer),
        );
        program.limits.cpu = self.engine.limits(seconds, 1).cpu;
        let ended = program.run_counted(self.stop, &mut |_| ()).await;
        match fault::outcome(input.demuxer.called, ended) {
            Ok((_, told)) => Ok(shapes(&told)),
            Err(Stopped::Interrupted) => Err(Stopped::Interrupted),
            // Encoding it says more exactly what is wrong with it.
            Err(Stopped::Failed(_)) => Ok(BTreeMap::new()),
        }
    }

    async fn made_alike(
        &self,
        input: &Input,
        seconds: f64,
        audios: &[AudioStream],
        pictures: &[u32],
    ) -> Step<Input> {
        let mut made: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| made.extend(words.iter().map(|&word| word.to_owned()));
        for (at, audio) in audios.iter().enumerate() {
            add(&["-map", &format!("0:{}", audio.index)]);
            add(&[&format!("-ac:{at}"), &audio.channels.to_string()]);
            add(&[&format!("-ar:{at}"), &audio.sample_rate.to_string()]);
        }
        add(&[
            "-c",
            "flac",
            "-compression_level",
            "0",
            "-sample_fmt",
            "s16",
        ]);
        add(&["-f", "matroska"]);
        self.remade(input, (seconds, audios.len()), made, pictures)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_streams_are_read() {
        let found = shapes(
            "[graph_0_in_0_1 @ 0x5648fe05f640] tb:1/48000 samplefmt:fltp samplerate:48000 chlayout:stereo\n\
             size=N/A time=00:00:00.03 speed=N/A    [graph_0_in_0_1 @ 0x56] tb:1/48000 samplefmt:fltp samplerate:48000 chlayout:5.1(side)\n\
             [graph_1_in_0:2 @ 0x57] tb:1/48000 samplefmt:fltp samplerate:48000 chlayout:mono\n\
             [format_out_0_0 @ 0x58] auto-inserting filter\n",
        );
        assert_eq!(found[&1].len(), 2);
        assert_eq!(found[&2].len(), 1);
        assert_eq!(found.len(), 2);
    }
}
