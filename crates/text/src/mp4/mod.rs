//! Timed text in fragmented MP4 (ISO/IEC 14496-30; ISO/IEC 23000-19 §11): `wvtt` and `stpp` tracks.
//!
//! A track's timescale is that of its [`Clock`](crate::Clock); segments tile, whatever they show.

mod stpp;
mod wvtt;

use headwater_bmff::write::{SegmentHeader, SegmentSample, init_segment, segment_header};
use headwater_bmff::{BmffError, BoxedCodec, CodecConfig, FourCc, Matrix, TrackConfig, TrackKind};
use headwater_time::Timescale;

pub use stpp::{TTML_CODEC, stpp_init, stpp_segment};
pub use wvtt::{WEBVTT_CODEC, wvtt_init, wvtt_segment};

/// Track identifier of all text tracks: each is alone in its file.
pub const TRACK_ID: u32 = 1;

fn init(
    entry: [u8; 4],
    config: &[u8],
    timescale: Timescale,
    language: Option<&str>,
) -> Result<Vec<u8>, BmffError> {
    let codec =
        BoxedCodec::parse(FourCc(entry), config, &[]).ok_or_else(|| BmffError::Unwritable {
            what: "stsd",
            fault: "a text sample entry that does not read back".to_owned(),
        })?;
    let config = TrackConfig {
        id: TRACK_ID,
        kind: TrackKind::Text,
        timescale,
        language: language.unwrap_or("und").to_owned(),
        codec: CodecConfig::Boxed(codec),
        width: 0,
        height: 0,
        matrix: Matrix::IDENTITY,
        pixel_aspect: None,
        colour: None,
        sample_rate: 0,
        channels: 0,
    };
    init_segment(&config, 0)
}

/// A segment of samples, each with its duration in ticks.
pub(crate) fn segment(
    number: u32,
    start: u64,
    samples: &[(u32, Vec<u8>)],
) -> Result<Vec<u8>, BmffError> {
    let rows: Vec<SegmentSample> = samples
        .iter()
        .map(|(duration, bytes)| SegmentSample {
            size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            duration: *duration,
            cto: 0,
            sync: true,
        })
        .collect();
    let mut out = segment_header(&SegmentHeader {
        sequence_number: number.saturating_add(1),
        track_id: TRACK_ID,
        decode_time: start,
        samples: &rows,
    })?;
    for (_, bytes) in samples {
        out.extend_from_slice(bytes);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Text;

    #[test]
    fn brands_name_the_profile() {
        let text = Text::parse(b"WEBVTT\n\n").unwrap().0;
        for (init, brand) in [
            (wvtt_init(&text, Timescale::MPEG, None).unwrap(), b"cwvt"),
            (stpp_init(Timescale::MPEG, None).unwrap(), b"im1t"),
        ] {
            let movie = headwater_bmff::parse_movie(bytes::Bytes::from(init)).unwrap();
            assert!(movie.brands.contains(brand), "{:?}", movie.brands);
        }
    }
}
