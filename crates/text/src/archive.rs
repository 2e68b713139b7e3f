//! Text tracks of live archives as Azure Media Services left them: a folder of objects, each `moof` and `mdat` with one TTML
//! document, whose time is in a `tfxd` box (reference: streaming, 3.3). Joined they are one packaged file.
//!
//! What the folder's movie header says of the format is as many things as there were encoders; of it the timescale counts.

use crate::document::Text;
use crate::error::TextError;
use crate::mp4::{TRACK_ID, stpp_init};
use crate::packaged;
use crate::time::Clock;
use headwater_bmff::{BmffError, parse_movie};
use headwater_time::Timescale;

/// The head of the joined file. `header`: the folder's movie header, empty if it has none.
///
/// Errors: that of the box writer.
pub fn init(header: &[u8]) -> Result<Vec<u8>, BmffError> {
    let movie = parse_movie(bytes::Bytes::copy_from_slice(header)).ok();
    let track = movie.and_then(|movie| movie.tracks.into_iter().next());
    let scale = track.map_or(Timescale::HUNDRED_NANOS, |track| track.config.timescale);
    stpp_init(scale, None)
}

/// A fragment as it follows in the joined file; `None` if it shows nothing. `init`: see [`init`].
///
/// Errors: [`TextError`] for what is no fragment.
pub fn fragment(init: &[u8], fragment: &[u8]) -> Result<Option<Vec<u8>>, TextError> {
    let mut fragment = fragment.to_vec();
    let head = fragment.windows(4).position(|name| name == b"tfhd");
    // Behind version and flags is the track's id.
    let id = head.and_then(|at| fragment.get_mut(at.checked_add(8)?..at.checked_add(12)?));
    if let Some(id) = id {
        id.copy_from_slice(&TRACK_ID.to_be_bytes());
    }
    let alone = [init, fragment.as_slice()].concat();
    let (text, _) = Text::parse(&alone)?;
    Ok((!text.cues().cues.is_empty()).then_some(fragment))
}

/// What a joined file says, as a WebVTT file in the time of the track: a tenth of its size, and read sooner. `file`: [`init`],
/// then [`fragment`]s in order.
///
/// Errors: [`TextError`] for what is no such file.
pub fn webvtt(file: &[u8]) -> Result<String, TextError> {
    let mut warnings = Vec::new();
    let text = packaged::read(file, &mut warnings)?;
    let clock = Clock {
        scale: Timescale::MILLIS,
        zero: 0,
    };
    Ok(text.webvtt_segment(&(0..u64::MAX), clock, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `moof` and `mdat` of track 7, with `tfxd`.
    fn blob(start: u64, duration: u64, document: &str) -> Vec<u8> {
        fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
            let size = u32::try_from(payload.len() + 8).unwrap();
            [&size.to_be_bytes()[..], name, payload].concat()
        }
        let size = u32::try_from(document.len()).unwrap();
        let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 7]);
        let tfxd = [
            &[
                0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7,
                0x57, 0xb2,
            ][..],
            &[1, 0, 0, 0],
            &start.to_be_bytes(),
            &duration.to_be_bytes(),
        ]
        .concat();
        let trun = |offset: u32| {
            let duration = u32::try_from(duration).unwrap();
            let fields = [0x301, 1, offset, duration, size];
            boxed(b"trun", &fields.map(u32::to_be_bytes).concat())
        };
        let moof = |offset| {
            let mfhd = boxed(b"mfhd", &[0; 8]);
            let traf = [tfhd.clone(), trun(offset), boxed(b"uuid", &tfxd)].concat();
            boxed(b"moof", &[mfhd, boxed(b"traf", &traf)].concat())
        };
        let offset = u32::try_from(moof(0).len() + 8).unwrap();
        [moof(offset), boxed(b"mdat", document.as_bytes())].concat()
    }

    fn document(cues: &[(&str, &str, &str)]) -> String {
        let cues: String = cues
            .iter()
            .map(|(begin, end, text)| format!("<p begin='{begin}' end='{end}'>{text}</p>"))
            .collect();
        format!("<tt xmlns='http://www.w3.org/ns/ttml'><body><div>{cues}</div></body></tt>")
    }

    #[test]
    fn fragments_join_to_one_track_in_its_own_time() {
        // From 100 s on, two seconds each, in units of 100 ns.
        let second = 10_000_000;
        let init = init(b"").unwrap();
        let of_track = [
            document(&[("00:01:40.5", "00:01:42", "one")]),
            document(&[]),
            document(&[("00:01:44", "00:01:45", "two")]),
        ];
        let of_sample = [
            document(&[("00:00:00.5", "00:00:02", "one")]),
            document(&[]),
            document(&[("00:00:00", "00:00:01", "two")]),
        ];
        for documents in [of_track, of_sample] {
            let mut file = init.clone();
            let mut kept = 0;
            for (number, document) in (0..).zip(&documents) {
                let blob = blob((100 + 2 * number) * second, 2 * second, document);
                if let Some(fragment) = fragment(&init, &blob).unwrap() {
                    file.extend(fragment);
                    kept += 1;
                }
            }
            assert_eq!(kept, 2, "the empty one is left out");
            let (text, warnings) = Text::parse(webvtt(&file).unwrap().as_bytes()).unwrap();
            assert_eq!(warnings, []);
            let cues = |text: &Text| {
                let cues = text.cues().cues.iter();
                cues.map(|cue| (cue.span.start_ms, cue.span.end_ms, cue.text.clone()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                cues(&text),
                [
                    (100_500, 102_000, "one".to_owned()),
                    (104_000, 105_000, "two".to_owned())
                ]
            );
            // What was over before the presentation began is not there.
            assert_eq!(
                cues(&text.earlier(101_000)),
                [(0, 1000, "one".to_owned()), (3000, 4000, "two".to_owned())]
            );
            assert_eq!(cues(&text.earlier(102_000)).len(), 1);
            assert_eq!(text.earlier(0), text);
        }
    }

    proptest! {
        #[test]
        fn damaged_fragments_are_read_or_refused(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
            let init = init(b"").unwrap();
            let mut blob = blob(0, 10_000_000, &document(&[("00:00:00", "00:00:01", "x")]));
            if let Some(place) = blob.get_mut(at) {
                *place = byte;
            }
            blob.truncate(cut);
            let _ = fragment(&init, &blob);
        }
    }
}
