//! The CMAF header of a track: `ftyp` and `moov` (ISO/IEC 23000-19 §7.3.1, ISO/IEC 14496-12 §8.8).
//!
//! One `trak` with empty sample tables and durations of 0, `mvex` with one `trex`. Times are those of the segments (brand
//! `cmf2`), unless samples are reordered: then an edit list takes the reordering delay off (brand `cmfc`).

use super::boxes::BoxWriter;
use super::segment::{NON_SYNC_FLAGS, SYNC_FLAGS};
use super::track::{TrackBoxes, mvhd};
use crate::{AvcConfig, BmffError, BoxedKind, CodecConfig, Edit, TrackConfig, TrackKind};

/// The init segment of `config`. Its movie timescale is that of the track.
///
/// `reordering`: ticks by which the segments' composition times are late, so that no composition offset is negative.
/// Errors: `Unwritable` for codecs that are only recognised, and for track id 0.
pub fn init_segment(config: &TrackConfig, reordering: u32) -> Result<Vec<u8>, BmffError> {
    let taken_off = [Edit {
        duration: 0,
        media_time: Some(reordering.into()),
        rate: 0x1_0000,
    }];
    let mut track = TrackBoxes::new(config)?;
    let (major, compatible): (&[u8; 4], &[u8]) = if reordering == 0 {
        (b"cmf2", b"iso6cmfccmf2")
    } else {
        track.edits = &taken_off;
        (b"cmfc", b"iso6cmfc")
    };
    let mut w = BoxWriter::default();
    w.boxed(b"ftyp", |w| {
        w.bytes(major);
        w.u32(0);
        w.bytes(compatible);
        if let Some(brand) = media_brand(config) {
            w.bytes(brand);
        }
    });
    w.boxed(b"moov", |w| {
        mvhd(w, config.timescale.get(), 0, config.id);
        track.write(w, |w| {
            w.full(b"stts", 0, 0, |w| w.u32(0));
            w.full(b"stsc", 0, 0, |w| w.u32(0));
            w.full(b"stsz", 0, 0, |w| w.zeros(8));
            w.full(b"stco", 0, 0, |w| w.u32(0));
        });
        w.boxed(b"mvex", |w| {
            w.full(b"trex", 0, 0, |w| {
                w.u32(config.id);
                w.u32(1); // sample description index
                w.u32(0);
                w.u32(0);
                w.u32(match config.kind {
                    TrackKind::Video => NON_SYNC_FLAGS,
                    _ => SYNC_FLAGS,
                });
            });
        });
    });
    w.finish()
}

/// The CMAF media profile brand (ISO/IEC 23000-19 annex A.1), if the track is known to keep to one.
fn media_brand(config: &TrackConfig) -> Option<&'static [u8; 4]> {
    match &config.codec {
        CodecConfig::Avc(avc) => avc_brand(avc, config.width, config.height),
        CodecConfig::Aac(_) if config.channels <= 2 => Some(b"caac"),
        CodecConfig::Aac(_) => Some(b"camc"),
        CodecConfig::Boxed(boxed) => match boxed.kind {
            BoxedKind::WebVtt => Some(b"cwvt"),
            BoxedKind::Ttml if boxed.rfc6381.ends_with(".im1t") => Some(b"im1t"),
            _ => None,
        },
        CodecConfig::Other(_) => None,
    }
}

fn avc_brand(avc: &AvcConfig, width: u16, height: u16) -> Option<&'static [u8; 4]> {
    // Main and High; Baseline is outside the CMAF profiles unless constrained.
    if !matches!(avc.profile, 77 | 100) {
        return None;
    }
    match avc.level {
        0..=31 if width <= 864 && height <= 576 => Some(b"cfsd"),
        0..=40 if width <= 1920 && height <= 1080 => Some(b"cfhd"),
        0..=42 if width <= 1920 && height <= 1080 => Some(b"chdf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AacConfig, Colour, Matrix, PixelAspect, Rotation, parse_movie};
    use bytes::Bytes;
    use headwater_time::Timescale;

    fn read_back(config: &TrackConfig) -> TrackConfig {
        let movie = parse_movie(Bytes::from(init_segment(config, 0).unwrap())).unwrap();
        assert!(
            movie
                .fragments
                .is_some_and(|fragments| fragments.list.is_empty())
        );
        movie.tracks[0].config.clone()
    }

    #[test]
    fn a_header_says_all_that_it_was_given() {
        let sps = vec![
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00,
            0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
        ];
        let avc = AvcConfig::from_parameter_sets(vec![sps], vec![vec![0x68, 0xee]]).unwrap();
        let scale = Timescale::new(30_000).unwrap();
        let mut config = TrackConfig::video(7, scale, avc, (1920, 1080));
        config.matrix = Matrix::rotate(Rotation::Cw90, 1920, 1080);
        config.pixel_aspect = Some(PixelAspect {
            horizontal: 4,
            vertical: 3,
        });
        config.colour = Some(Colour {
            primaries: 1,
            transfer: 1,
            matrix: 1,
            full_range: true,
        });
        assert_eq!(read_back(&config), config);

        let aac = AacConfig::lc(44_100, 2).unwrap();
        let scale = Timescale::new(44_100).unwrap();
        for language in ["deu", "pt-BR"] {
            let config = TrackConfig::audio(2, scale, language, aac.clone());
            assert_eq!(read_back(&config), config);
        }
    }

    #[test]
    fn brands_name_the_profile() {
        let aac = AacConfig::lc(48_000, 6).unwrap();
        let config = TrackConfig::audio(1, Timescale::new(48_000).unwrap(), "und", aac);
        let movie = parse_movie(Bytes::from(init_segment(&config, 0).unwrap())).unwrap();
        for brand in [b"cmf2", b"cmfc", b"iso6", b"camc"] {
            assert!(movie.brands.contains(brand));
        }
    }
}
