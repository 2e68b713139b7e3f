//! How much a source's content asks for, from a quick encode of a few moments of it.

use super::graph::Part;
use super::output::OutputRun;
use super::{fault, inputs};
use crate::failure::Step;

/// Moments that are looked at, in parts of the duration, and for how long.
const MOMENTS: [f64; 3] = [0.15, 0.5, 0.85];
const LOOK_MS: u64 = 2000;
/// Lines that moments are scaled to.
const LINES: u32 = 360;
/// kbit/s that film and television at 360 lines take in H.264 of this quality.
const USUAL_KBPS: f64 = 650.0;
const QUALITY: &str = "23";

/// Where of `parts`, which come one after the other, `moment` is, in parts of the whole: which one, and seconds from its start.
fn find(parts: &[Part], moment: f64) -> Option<(&Part, f64)> {
    let whole: f64 = parts.iter().map(|part| part.seconds).sum();
    let mut left = whole * moment;
    for part in parts {
        if left < part.seconds {
            return Some((part, left));
        }
        left -= part.seconds;
    }
    parts.last().map(|part| (part, part.seconds))
}

/// How many bits the source needs beside a usual one: 0.25 to 1.5.
pub(super) async fn content(run: &OutputRun<'_>) -> Step<f64> {
    let (mut bits, mut seconds) = (0.0, 0.0);
    for moment in MOMENTS {
        let Some((part, from)) = find(&run.sources.parts, moment) else {
            continue;
        };
        let Some(video) = &part.video else {
            continue;
        };
        let Some(input) = run.sources.inputs.get(video.input) else {
            continue;
        };
        let length = (part.seconds * 1000.0) as u64;
        let look = LOOK_MS.min(length.max(1));
        let from = ((from * 1000.0) as u64).min(length.saturating_sub(look));
        let input = inputs::Input {
            start_ms: input.start_ms + from,
            length_ms: Some(look),
            ..input.clone()
        };
        let out = run.folder.join("measured");
        let mut arguments = run.opening(run.threads());
        arguments.extend(input.arguments(true));
        arguments.extend(encode(video.index));
        arguments.push(OutputRun::argument(&out));
        let program = run.program(arguments, 1);
        let ended = program.run_counted(&run.job.stop, &mut |_| ()).await;
        fault::outcome(&run.sources.name, ended)?;
        if let Ok(made) = std::fs::metadata(&out) {
            bits += made.len() as f64 * 8.0;
            seconds += look as f64 / 1000.0;
        }
        let _ = std::fs::remove_file(&out);
    }
    if seconds <= 0.0 {
        return Ok(1.0);
    }
    let kbps = bits / seconds / 1000.0;
    tracing::info!(kbps, "content measured");
    Ok((kbps / USUAL_KBPS).clamp(0.25, 1.5))
}

/// What is made of the stream `index`. With one thread: of several, as many as the machine has cores by itself, x264 writes other
/// bytes, and every worker has to come to the same ladder.
fn encode(index: u32) -> Vec<String> {
    let map = format!("0:{index}");
    let scale = format!("scale=-2:{LINES}:flags=bilinear,format=yuv420p");
    ["-map", &map, "-vf", &scale, "-fps_mode", "vfr", "-an"]
        .into_iter()
        .chain(["-c:v", "libx264", "-threads", "1"])
        .chain(["-preset", "veryfast", "-crf", QUALITY, "-f", "h264"])
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_whole_sequence() {
        let part = |seconds| Part {
            video: None,
            audios: Vec::new(),
            seconds,
            still: false,
            first: None,
        };
        let parts = [part(10.0), part(30.0)];
        let at = |moment| find(&parts, moment).map(|(part, from)| (part.seconds, from));
        assert_eq!(at(0.15), Some((10.0, 6.0)));
        assert_eq!(at(0.5), Some((30.0, 10.0)));
        assert_eq!(at(0.85), Some((30.0, 24.0)));
        assert_eq!(at(1.0), Some((30.0, 30.0)));
        assert!(find(&[], 0.5).is_none());
    }

    #[test]
    fn measuring_does_not_depend_on_the_machine() {
        let words = encode(3);
        let threads = words.windows(2).position(|pair| pair == ["-threads", "1"]);
        let encoder = words.iter().position(|word| word == "libx264");
        assert!(threads > encoder && encoder.is_some(), "{words:?}");
    }
}
