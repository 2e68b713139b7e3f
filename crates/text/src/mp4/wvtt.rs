//! WebVTT in fragmented MP4 (ISO/IEC 14496-30 §7).
//!
//! ```text
//! sample entry: wvtt { vttC header }
//! sample: vttc { vsid?, iden?, sttg?, payl } for each cue that is shown, or vtte where none is
//! ```
//! Samples tile: a new one begins wherever a cue begins or ends, and a cue is repeated in all samples that it is shown in,
//! with one source identifier.

use super::{init, segment};
use crate::vtt::{Cue, Document};
use crate::{Clock, Text};
use headwater_bmff::BmffError;
use headwater_time::Timescale;
use std::ops::Range;

/// RFC 6381 codec string.
pub const WEBVTT_CODEC: &str = "wvtt";

/// The init segment of a track. `language`: BCP-47 or ISO 639-2/T.
///
/// Errors: [`BmffError`] as of `headwater_bmff::write::init_segment`.
pub fn wvtt_init(
    text: &Text,
    timescale: Timescale,
    language: Option<&str>,
) -> Result<Vec<u8>, BmffError> {
    let mut config = Vec::new();
    boxed(&mut config, b"vttC", text.cues().header().as_bytes())?;
    init(*b"wvtt", &config, timescale, language)
}

/// The media segment of `window`, ticks of the track. `number`: its place in the track, from 0.
///
/// Errors: [`BmffError`] for a window of more than 2^32 ticks.
pub fn wvtt_segment(
    text: &Text,
    window: &Range<u64>,
    clock: Clock,
    number: u32,
) -> Result<Vec<u8>, BmffError> {
    segment(number, window.start, &samples(text.cues(), window, clock)?)
}

fn samples(
    document: &Document,
    window: &Range<u64>,
    clock: Clock,
) -> Result<Vec<(u32, Vec<u8>)>, BmffError> {
    let shown: Vec<(usize, &Cue, Range<u64>)> = document
        .touching(window, clock)
        .map(|(at, cue)| (at, cue, clock.range(cue.span)))
        .collect();
    let mut edges = vec![window.start, window.end];
    for (_, _, range) in &shown {
        let inside = [range.start, range.end];
        edges.extend(inside.into_iter().filter(|at| window.contains(at)));
    }
    edges.sort_unstable();
    edges.dedup();
    let mut samples = Vec::new();
    for (start, end) in edges.iter().zip(edges.iter().skip(1)) {
        let mut bytes = Vec::new();
        for (at, cue, range) in &shown {
            if range.start < *end && range.end > *start {
                let whole = *range == (*start..*end);
                let source = (!whole).then(|| u32::try_from(*at).unwrap_or(u32::MAX));
                cue_box(&mut bytes, cue, source)?;
            }
        }
        if bytes.is_empty() {
            boxed(&mut bytes, b"vtte", &[])?;
        }
        samples.push((ticks(&(*start..*end))?, bytes));
    }
    Ok(samples)
}

/// `source`: what other samples call the same cue, if it is in several.
fn cue_box(out: &mut Vec<u8>, cue: &Cue, source: Option<u32>) -> Result<(), BmffError> {
    let mut inside = Vec::new();
    if let Some(source) = source {
        boxed(&mut inside, b"vsid", &source.to_be_bytes())?;
    }
    if let Some(id) = &cue.id {
        boxed(&mut inside, b"iden", id.as_bytes())?;
    }
    if !cue.settings.is_empty() {
        boxed(&mut inside, b"sttg", cue.settings.as_bytes())?;
    }
    boxed(&mut inside, b"payl", cue.text.as_bytes())?;
    boxed(out, b"vttc", &inside)
}

fn boxed(out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) -> Result<(), BmffError> {
    let len = u32::try_from(content.len()).ok();
    let len = len.and_then(|len| len.checked_add(8));
    let len = len.ok_or_else(|| BmffError::Unwritable {
        what: "mdat",
        fault: "a cue of more than 4 GiB".to_owned(),
    })?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(content);
    Ok(())
}

/// The length of a window as a sample's duration.
pub(super) fn ticks(window: &Range<u64>) -> Result<u32, BmffError> {
    let len = window.end.saturating_sub(window.start);
    u32::try_from(len).map_err(|_| BmffError::Unwritable {
        what: "trun",
        fault: format!("a sample of {len} ticks"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock() -> Clock {
        Clock {
            scale: Timescale::new(1000).unwrap(),
            zero: 0,
        }
    }

    fn text(vtt: &str) -> Text {
        Text::parse(vtt.as_bytes()).unwrap().0
    }

    #[test]
    fn samples_tile_and_hold_what_is_shown() {
        let text = text(
            "WEBVTT\n\na\n00:01.000 --> 00:03.000 line:0\none\n\n00:02.000 --> 00:08.000\ntwo\n",
        );
        let samples = samples(text.cues(), &(0..6000), clock()).unwrap();
        let durations: Vec<u32> = samples.iter().map(|s| s.0).collect();
        assert_eq!(durations, [1000, 1000, 1000, 3000]);
        let bytes: Vec<&[u8]> = samples.iter().map(|s| s.1.as_slice()).collect();
        let one = b"\0\0\0\x36vttc\0\0\0\x0cvsid\0\0\0\0\0\0\0\x09idena\0\0\0\x0esttgline:0\0\0\0\x0bpaylone";
        assert_eq!(usize::from(one[3]), one.len());
        let two = b"\0\0\0\x1fvttc\0\0\0\x0cvsid\0\0\0\x01\0\0\0\x0bpayltwo";
        assert_eq!(bytes[0], b"\0\0\0\x08vtte");
        assert_eq!(bytes[1], one);
        assert_eq!(bytes[2], [&one[..], &two[..]].concat());
        assert_eq!(bytes[3], two);
        let alone = super::samples(text.cues(), &(20_000..21_000), clock()).unwrap();
        assert_eq!(alone, [(1000, b"\0\0\0\x08vtte".to_vec())]);
    }

    #[test]
    fn the_sample_entry_has_the_header() {
        let text = text("WEBVTT\n\nSTYLE\n::cue { color: lime }\n\n00:00.000 --> 00:01.000\nx\n");
        let init = wvtt_init(&text, Timescale::MPEG, Some("deu")).unwrap();
        let movie = headwater_bmff::parse_movie(bytes::Bytes::from(init)).unwrap();
        let config = &movie.tracks[0].config;
        assert_eq!(config.codec.rfc6381().as_deref(), Some(WEBVTT_CODEC));
        assert_eq!(config.language, "deu");
        let headwater_bmff::CodecConfig::Boxed(codec) = &config.codec else {
            panic!("{:?}", config.codec);
        };
        let expected = b"\0\0\0\x2bvttCWEBVTT\n\nSTYLE\n::cue { color: lime }";
        assert_eq!(usize::from(expected[3]), expected.len());
        assert_eq!(codec.config, expected);
    }

    proptest! {
        #[test]
        fn every_instant_shows_the_cues_that_it_is_in(
            cues in proptest::collection::vec((0_u64..20_000, 1_u64..9000), 0..12),
            start in 0_u64..20_000, len in 1_u64..10_000,
        ) {
            let mut source = "WEBVTT\n".to_owned();
            for (at, (from, len)) in cues.iter().enumerate() {
                source.push('\n');
                crate::time::clock_time(&mut source, *from);
                source.push_str(" --> ");
                crate::time::clock_time(&mut source, from + len);
                source.push_str(&format!("\n#{at}#\n"));
            }
            let window = start..start + len;
            let found = samples(text(&source).cues(), &window, clock()).unwrap();
            let mut at = start;
            for (duration, bytes) in &found {
                prop_assert!(*duration > 0);
                let shown = String::from_utf8_lossy(bytes).into_owned();
                for (number, (from, len)) in cues.iter().enumerate() {
                    let inside = *from <= at && from + len >= at + u64::from(*duration);
                    prop_assert_eq!(shown.contains(&format!("#{number}#")), inside);
                }
                at += u64::from(*duration);
            }
            prop_assert_eq!(at, window.end);
        }
    }
}
