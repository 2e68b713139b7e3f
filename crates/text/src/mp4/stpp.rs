//! TTML in fragmented MP4 (ISO/IEC 14496-30 §6): one document a segment, one segment a sample.

use super::{init, segment};
use crate::{Base, Clock, Text};
use headwater_bmff::BmffError;
use headwater_time::Timescale;
use std::ops::Range;

/// RFC 6381 codec string of the IMSC 1.1 text profile.
pub const TTML_CODEC: &str = "stpp.ttml.im1t";

/// Namespace, schema location, auxiliary types (ISO/IEC 14496-12 §12.6.3.2), each with its zero.
const SAMPLE_ENTRY: &[u8] = b"http://www.w3.org/ns/ttml\0\0\0";

/// The init segment of a track. `language`: BCP-47 or ISO 639-2/T.
///
/// Errors: [`BmffError`] as of `headwater_bmff::write::init_segment`.
pub fn stpp_init(timescale: Timescale, language: Option<&str>) -> Result<Vec<u8>, BmffError> {
    init(*b"stpp", SAMPLE_ENTRY, timescale, language)
}

/// The media segment of `window`, ticks of the track. `number`: its place in the track, from 0.
///
/// Errors: [`BmffError`] for a window of more than 2^32 ticks.
pub fn stpp_segment(
    text: &Text,
    window: &Range<u64>,
    clock: Clock,
    number: u32,
    language: Option<&str>,
) -> Result<Vec<u8>, BmffError> {
    let document = text.ttml_segment(window, clock, Base::Track, language);
    let duration = super::wvtt::ticks(window)?;
    segment(number, window.start, &[(duration, document.into_bytes())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_one_document() {
        let vtt = "WEBVTT\n\n00:01.000 --> 00:07.000\n<i>one</i> &\ntwo\n";
        let (text, _) = Text::parse(vtt.as_bytes()).unwrap();
        let clock = Clock {
            scale: Timescale::new(1000).unwrap(),
            zero: 500,
        };
        let bytes = stpp_segment(&text, &(500..6500), clock, 0, Some("en")).unwrap();
        let document = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:ttp=\"http://www.w3.org/ns/ttml#parameter\" xmlns:tts=\"http://www.w3.org/ns/ttml#styling\" ttp:profile=\"http://www.w3.org/ns/ttml/profile/imsc1/text\" xml:lang=\"en\"><head><styling><style xml:id=\"s0\" tts:color=\"white\" tts:backgroundColor=\"#000000c0\"/></styling><layout><region xml:id=\"r0\" tts:origin=\"10% 10%\" tts:extent=\"80% 80%\" tts:displayAlign=\"after\" tts:textAlign=\"center\"/></layout></head><body><div><p begin=\"00:00:01.500\" end=\"00:00:06.500\" region=\"r0\"><span style=\"s0\" tts:fontStyle=\"italic\">one</span><span style=\"s0\"> &amp;<br/>two</span></p></div></body></tt>\n";
        let at = bytes.len() - document.len();
        assert_eq!(std::str::from_utf8(&bytes[at..]).unwrap(), document);
        // moof { mfhd, traf { tfhd with duration, size and flags, tfdt, trun } } mdat
        let tfdt = bytes.windows(4).position(|w| w == b"tfdt").unwrap();
        assert_eq!(
            bytes[tfdt + 4..tfdt + 16],
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xf4]
        );
        assert_eq!(&bytes[at - 4..at], b"mdat");
        let empty = stpp_segment(&text, &(6500 + 1000..9000), clock, 1, None).unwrap();
        let empty = String::from_utf8_lossy(&empty).into_owned();
        assert!(empty.ends_with("</layout></head><body/></tt>\n"), "{empty}");
    }
}
