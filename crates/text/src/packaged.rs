//! Text that was packaged before: `.cmft` and `.ismt` files, MP4 whose samples are WebVTT cues or TTML documents
//! (ISO/IEC 14496-30), read back into cues.
//!
//! A packager repeats a cue in every sample that it is shown in; one that goes on where the sample before ended is one cue
//! here. TTML documents count their times from the track's start (MP4), or from the sample's (Smooth Streaming); which of
//! the two, their times tell, as only one of them puts what they say into their own sample. Track time 0 is document
//! time 0.
//!
//! ```text
//! WebVTT sample: vttc { vsid?, iden?, ctim?, sttg?, payl? }* | vtte | vtta
//! ```

use crate::convert;
use crate::document::Text;
use crate::error::{TextError, Warning, warn};
use crate::time::Span;
use crate::ttml;
use crate::vtt::{self, Cue};
use bytes::Bytes;
use headwater_bmff::{CodecConfig, Track, TrackKind, parse_movie};
use headwater_time::{Rounding, Timescale, rescale};

/// Whether a file is MP4, by its first box.
pub(crate) fn is_mp4(file: &[u8]) -> bool {
    let kind = file.get(4..8).unwrap_or_default();
    [b"ftyp", b"styp", b"moov"]
        .iter()
        .any(|known| kind == *known)
}

/// The first text track of an MP4 file.
///
/// Errors: `Mp4` if it does not parse, `NoTextTrack`. Samples that are wrong are passed over with a warning.
pub(crate) fn read(file: &[u8], warnings: &mut Vec<Warning>) -> Result<Text, TextError> {
    let movie = parse_movie(Bytes::copy_from_slice(file));
    let movie = movie.map_err(|error| TextError::Mp4(error.to_string()))?;
    let mut tracks = movie.tracks.iter();
    let track = tracks.find(|track| track.config.kind == TrackKind::Text);
    let track = track.ok_or(TextError::NoTextTrack)?;
    let samples = samples(track, file, warnings);
    let mut documents: Vec<(Span, ttml::Document)> = Vec::new();
    let mut cues = Cues::default();
    for (number, (span, bytes)) in (1_u32..).zip(samples) {
        let is_xml = std::str::from_utf8(bytes)
            .map(|text| text.trim_start_matches('\u{feff}').trim_start())
            .is_ok_and(|text| text.starts_with('<'));
        if is_xml {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            match ttml::parse(text, warnings) {
                Ok(document) => documents.push((span, document)),
                Err(error) => warn(warnings, 1, format!("sample {number}: {error}")),
            }
        } else {
            match webvtt(bytes) {
                Some(shown) => cues.show(span, shown),
                None => warn(warnings, 1, format!("sample {number} is no text")),
            }
        }
    }
    // One document for all of time is kept as it is.
    if let [(span, document)] = documents.as_slice()
        && span.start_ms == 0
        && cues.all.is_empty()
    {
        let document = document.clone();
        return Ok(Text::of_ttml(document));
    }
    let documents: Vec<(Span, Vec<Cue>)> = documents
        .iter()
        .map(|(span, document)| (*span, convert::to_vtt(document).cues))
        .collect();
    let relative = count_from_samples(&documents);
    for (span, shown) in documents {
        let base = if relative { span.start_ms } else { 0 };
        let placed = shown.into_iter().filter_map(|cue| {
            let own = Span {
                start_ms: cue.span.start_ms.saturating_add(base),
                end_ms: cue.span.end_ms.saturating_add(base),
            };
            let own = own.intersection(span);
            (!own.is_empty()).then_some((Cue { span: own, ..cue }, None))
        });
        cues.take(placed.collect());
    }
    let mut all = cues.all;
    all.sort_by_key(|cue| cue.span.start_ms);
    Ok(Text::of_vtt(vtt::Document {
        blocks: blocks(&track.config.codec),
        cues: all,
    }))
}

/// When each sample is shown, in milliseconds, and its bytes.
fn samples<'a>(
    track: &Track,
    file: &'a [u8],
    warnings: &mut Vec<Warning>,
) -> Vec<(Span, &'a [u8])> {
    let ms = |ticks: i64| {
        let ticks = u64::try_from(ticks).unwrap_or(0);
        let scale = track.config.timescale;
        rescale(ticks, scale, Timescale::MILLIS, Rounding::HalfUp).unwrap_or(u64::MAX)
    };
    let mut found = Vec::new();
    for sample in &track.samples {
        let start = sample.composition_time();
        let span = Span {
            start_ms: ms(start),
            end_ms: ms(start.saturating_add(sample.duration.into())),
        };
        let at = usize::try_from(sample.offset).unwrap_or(usize::MAX);
        let end = at.saturating_add(usize::try_from(sample.size).unwrap_or(usize::MAX));
        match file.get(at..end) {
            Some(bytes) if !bytes.is_empty() && !span.is_empty() => found.push((span, bytes)),
            Some(_) => {}
            None => warn(warnings, 1, format!("sample {} is cut off", sample.index)),
        }
    }
    found
}

/// Whether documents count from their sample: of those that begin later than the track, all say times that are over when
/// they begin.
fn count_from_samples(documents: &[(Span, Vec<Cue>)]) -> bool {
    let later = documents.iter().filter(|(span, _)| span.start_ms > 0);
    let mut times = later.flat_map(|(span, cues)| cues.iter().map(move |cue| (span, cue.span)));
    let mut any = false;
    let all = times.all(|(sample, cue)| {
        any = true;
        cue.start_ms < sample.start_ms && cue.end_ms <= sample.start_ms
    });
    any && all
}

/// Cues as they are put together.
#[derive(Default)]
struct Cues {
    all: Vec<Cue>,
    /// Places of those that the sample before showed, and what the file calls them.
    open: Vec<(usize, Option<u32>)>,
}

impl Cues {
    /// Takes what a sample shows for all of its time.
    fn show(&mut self, span: Span, shown: Vec<(Cue, Option<u32>)>) {
        let cues = shown.into_iter();
        let cues = cues.map(|(cue, source)| (Cue { span, ..cue }, source));
        self.take(cues.collect());
    }

    /// Takes what a sample shows. What goes on is one cue.
    fn take(&mut self, shown: Vec<(Cue, Option<u32>)>) {
        let mut before = std::mem::take(&mut self.open);
        for (cue, source) in shown {
            let goes_on = before.iter().position(|(at, called)| {
                self.all.get(*at).is_some_and(|known| {
                    *called == source
                        && known.span.end_ms == cue.span.start_ms
                        && known.text == cue.text
                        && known.id == cue.id
                        && known.settings == cue.settings
                })
            });
            match goes_on {
                Some(place) => {
                    let (at, _) = before.swap_remove(place);
                    if let Some(known) = self.all.get_mut(at) {
                        known.span.end_ms = cue.span.end_ms;
                    }
                    self.open.push((at, source));
                }
                None => {
                    self.open.push((self.all.len(), source));
                    self.all.push(cue);
                }
            }
        }
    }
}

/// The cues of a WebVTT sample, and what it calls those that other samples have, too; `None` if it is none.
fn webvtt(sample: &[u8]) -> Option<Vec<(Cue, Option<u32>)>> {
    let mut cues = Vec::new();
    for (kind, content) in boxes(sample)? {
        match &kind {
            b"vttc" => {
                let mut cue = Cue {
                    id: None,
                    span: Span::ALWAYS,
                    settings: String::new(),
                    text: String::new(),
                };
                let mut source = None;
                for (kind, content) in boxes(content)? {
                    let text = || String::from_utf8_lossy(content).trim().to_owned();
                    match &kind {
                        b"vsid" => source = content.try_into().ok().map(u32::from_be_bytes),
                        b"iden" => cue.id = Some(text()).filter(|id| !id.is_empty()),
                        b"sttg" => cue.settings = text(),
                        b"payl" => cue.text = text(),
                        _ => {}
                    }
                }
                if !cue.text.is_empty() {
                    cues.push((cue, source));
                }
            }
            b"vtte" | b"vtta" => {}
            _ => return None,
        }
    }
    Some(cues)
}

/// Boxes one behind the other; `None` if they do not fill `bytes`.
fn boxes(mut bytes: &[u8]) -> Option<Vec<([u8; 4], &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let (content, next) = rest.split_at_checked(size.checked_sub(8)?)?;
        found.push((*kind, content));
        bytes = next;
    }
    Some(found)
}

/// Styles and regions of a WebVTT track's header.
fn blocks(codec: &CodecConfig) -> Vec<String> {
    let CodecConfig::Boxed(boxed) = codec else {
        return Vec::new();
    };
    let header = boxes(&boxed.config).unwrap_or_default();
    let header = header.iter().find(|(kind, _)| kind == b"vttC");
    let text = header.and_then(|(_, text)| std::str::from_utf8(text).ok());
    // It may end anywhere, with cues the line would go on.
    let parsed = text.and_then(|text| vtt::parse(&format!("{text}\n"), &mut Vec::new()).ok());
    parsed.map(|document| document.blocks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::{stpp_init, stpp_segment, wvtt_init, wvtt_segment};
    use crate::ttml::Base;
    use crate::{Clock, Format};
    use proptest::prelude::*;

    const CLOCK: Clock = Clock {
        scale: Timescale::MPEG,
        zero: 0,
    };
    const VTT: &str = "WEBVTT\n\nSTYLE\n::cue { color: lime }\n\na\n00:00.500 --> 00:07.000 line:0\none\n\n00:02.000 --> 00:03.000\ntwo <i>lines</i>\nof it\n\n00:02.500 --> 00:04.000\ntwo <i>lines</i>\nof it\n";
    const TTML: &str = "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div><p begin=\"1s\" end=\"5s\">Hallo</p><p begin=\"5s\" end=\"7s\">Welt</p></div></body></tt>";

    fn text(source: &str) -> Text {
        Text::parse(source.as_bytes()).unwrap().0
    }

    fn windows() -> impl Iterator<Item = (u32, std::ops::Range<u64>)> {
        (0_u32..).zip((0..4).map(|at| at * 180_000..(at + 1) * 180_000))
    }

    fn spans(text: &Text) -> Vec<(u64, u64, String)> {
        let cues = text.cues().cues.iter();
        cues.map(|cue| (cue.span.start_ms, cue.span.end_ms, cue.text.clone()))
            .collect()
    }

    #[test]
    fn cues_of_webvtt_are_put_together_again() {
        let source = text(VTT);
        let mut file = wvtt_init(&source, CLOCK.scale, Some("en")).unwrap();
        for (number, window) in windows() {
            file.extend(wvtt_segment(&source, &window, CLOCK, number).unwrap());
        }
        let (read, warnings) = Text::parse(&file).unwrap();
        assert_eq!(warnings, []);
        assert_eq!(read.format(), Format::WebVtt);
        assert_eq!(read.cues(), source.cues());
    }

    #[test]
    fn documents_with_times_of_the_track_and_of_the_sample_say_the_same() {
        let source = text(TTML);
        let expected = [
            (1000, 5000, "Hallo".to_owned()),
            (5000, 7000, "Welt".to_owned()),
        ];
        let mut of_track = stpp_init(CLOCK.scale, None).unwrap();
        let mut of_sample = of_track.clone();
        for (number, window) in windows() {
            of_track.extend(stpp_segment(&source, &window, CLOCK, number, None).unwrap());
            let document = source.ttml_segment(&window, CLOCK, Base::Segment, None);
            let sample = [(180_000, document.into_bytes())];
            of_sample.extend(crate::mp4::segment(number, window.start, &sample).unwrap());
        }
        for file in [of_track, of_sample] {
            let (read, warnings) = Text::parse(&file).unwrap();
            assert_eq!(warnings, []);
            assert_eq!(spans(&read), expected);
        }
        let mut whole = stpp_init(CLOCK.scale, None).unwrap();
        let sample = [(720_000, TTML.as_bytes().to_vec())];
        whole.extend(crate::mp4::segment(0, 0, &sample).unwrap());
        let (read, _) = Text::parse(&whole).unwrap();
        assert_eq!(
            (read.format(), spans(&read)),
            (Format::Ttml, expected.to_vec())
        );
    }

    #[test]
    fn what_is_no_text_is_refused_or_passed_over() {
        let init = stpp_init(CLOCK.scale, None).unwrap();
        let mut file = init.clone();
        let samples = [
            (90_000, b"<tt".to_vec()),
            (90_000, b"\0\0\0\x09mooo".to_vec()),
            (90_000, b"\0\0\0\x1avttc\0\0\0\x12paylstill read".to_vec()),
        ];
        file.extend(crate::mp4::segment(0, 0, &samples).unwrap());
        let (read, warnings) = Text::parse(&file).unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!(spans(&read), [(2000, 3000, "still read".to_owned())]);
        assert!(matches!(
            Text::parse(b"\0\0\0\x08ftyp"),
            Err(TextError::Mp4(_) | TextError::NoTextTrack)
        ));
    }

    proptest! {
        #[test]
        fn damaged_files_are_read_or_refused(at in 0_usize..2000, byte: u8, cut in 0_usize..4000) {
            let source = text(VTT);
            let mut file = wvtt_init(&source, CLOCK.scale, None).unwrap();
            for (number, window) in windows() {
                file.extend(wvtt_segment(&source, &window, CLOCK, number).unwrap());
            }
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
            file.truncate(cut);
            let _ = Text::parse(&file);
        }
    }
}
