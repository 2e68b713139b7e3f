//! H.264 sequence parameter sets (ISO/IEC 14496-10 §7.3.2.1.1, annex E): size, pixel shape, colour and timing.

use crate::bits::BitReader;
use crate::{Colour, PixelAspect};

/// The parts of an SPS that a container or a manifest states.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// Constraint flags.
    pub compatibility: u8,
    /// `level_idc`.
    pub level: u8,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits per luma sample, 8 to 14.
    pub bit_depth_luma: u8,
    /// Bits per chroma sample, 8 to 14.
    pub bit_depth_chroma: u8,
    /// Displayed width in pixels, after cropping.
    pub width: u32,
    /// Displayed height in pixels, after cropping.
    pub height: u32,
    /// Every picture is a frame: the stream is progressive, or interlaced in a way that does not show here.
    pub frames_only: bool,
    /// Largest number of reference frames.
    pub max_num_ref_frames: u32,
    /// Most frames that are decoded before and shown after another one: `max_num_reorder_frames`, if it is stated or follows
    /// from the order of pictures.
    pub reordering: Option<u32>,
    /// Pixel shape, unless square or unspecified.
    pub pixel_aspect: Option<PixelAspect>,
    /// Colour, unless nothing is stated. A stream may state the full range of values and nothing else: its code points
    /// are then 2, "unspecified".
    pub colour: Option<Colour>,
    /// What the stream says of its frames' distances, if it does.
    pub timing: Option<Timing>,
}

/// `time_scale` and `num_units_in_tick` (§E.2.1): two ticks are a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// So many frames, not 0,
    pub frames: u32,
    /// in so many seconds, not 0. The fraction is in lowest terms.
    pub seconds: u32,
    /// All frames are so far apart (`fixed_frame_rate_flag`). Else that is what their times are counted in; x264 has the frame rate there
    /// if its input has one.
    pub fixed: bool,
}

impl Timing {
    /// `frames` in `seconds`, in lowest terms; `None` where either is 0 or too large.
    pub(crate) fn lowest(frames: u64, seconds: u64, fixed: bool) -> Option<Self> {
        let (mut divisor, mut rest) = (frames, seconds);
        while rest > 0 {
            (divisor, rest) = (rest, divisor.checked_rem(rest).unwrap_or(0));
        }
        let lowest = |value: u64| {
            let reduced = value.checked_div(divisor)?;
            u32::try_from(reduced).ok().filter(|value| *value > 0)
        };
        Some(Self {
            frames: lowest(frames)?,
            seconds: lowest(seconds)?,
            fixed,
        })
    }
}

/// Sample aspect ratios of table E-1, from index 1.
const ASPECTS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// Largest parameter set read; real ones have some tens of bytes.
const MAX_BYTES: usize = 4096;

/// Removes emulation prevention bytes (§7.4.1.1).
pub(crate) fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(nal.len().min(MAX_BYTES));
    let mut zeros: u8 = 0;
    for &byte in nal.iter().take(MAX_BYTES) {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 {
            zeros.saturating_add(1)
        } else {
            0
        };
        raw.push(byte);
    }
    raw
}

impl Sps {
    /// Reads an SPS NAL unit, header byte included. `None` if it is cut off or out of the specification's ranges.
    #[must_use]
    pub fn parse(nal: &[u8]) -> Option<Self> {
        let raw = unescape(nal);
        let (header, payload) = raw.split_first()?;
        if header & 0x1f != 7 {
            return None;
        }
        let mut bits = BitReader::new(payload);
        let profile = u8::try_from(bits.bits(8)?).ok()?;
        let compatibility = u8::try_from(bits.bits(8)?).ok()?;
        let level = u8::try_from(bits.bits(8)?).ok()?;
        bits.ue()?; // seq_parameter_set_id
        let format = SampleFormat::parse(&mut bits, profile)?;
        bits.ue()?; // log2_max_frame_num_minus4
        let in_order = skip_picture_order(&mut bits)? == 2;
        let max_num_ref_frames = bits.ue()?;
        bits.bit()?; // gaps_in_frame_num_value_allowed_flag
        let width_blocks = bits.ue()?.checked_add(1)?;
        let height_units = bits.ue()?.checked_add(1)?;
        let frames_only = bits.bit()?;
        if !frames_only {
            bits.bit()?; // mb_adaptive_frame_field_flag
        }
        bits.bit()?; // direct_8x8_inference_flag
        let (crop_x, crop_y) = crop(&mut bits, &format, frames_only)?;
        let field_factor = if frames_only { 1 } else { 2 };
        let width = width_blocks.checked_mul(16)?.checked_sub(crop_x)?;
        let height = height_units
            .checked_mul(16)?
            .checked_mul(field_factor)?
            .checked_sub(crop_y)?;
        if width == 0 || height == 0 || width > 16_384 || height > 16_384 {
            return None;
        }
        let (mut pixel_aspect, mut colour, mut timing) = (None, None, None);
        let mut reordering = in_order.then_some(0);
        if bits.bit()? {
            // Decoders manage without usability information, so a cut-off one is no reason to refuse the stream.
            (pixel_aspect, colour) = usability(&mut bits).unwrap_or((None, None));
            timing = self::timing(&mut bits).flatten();
            reordering = reordering.or_else(|| restriction(&mut bits));
        }
        Some(Self {
            profile,
            compatibility,
            level,
            chroma_format: format.chroma,
            bit_depth_luma: format.luma_depth,
            bit_depth_chroma: format.chroma_depth,
            width,
            height,
            frames_only,
            max_num_ref_frames,
            reordering,
            pixel_aspect,
            colour,
            timing,
        })
    }
}

struct SampleFormat {
    chroma: u8,
    separate_planes: bool,
    luma_depth: u8,
    chroma_depth: u8,
}

impl SampleFormat {
    fn parse(bits: &mut BitReader<'_>, profile: u8) -> Option<Self> {
        let mut format = Self {
            chroma: 1,
            separate_planes: false,
            luma_depth: 8,
            chroma_depth: 8,
        };
        if !matches!(
            profile,
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
        ) {
            return Some(format);
        }
        format.chroma = u8::try_from(bits.ue()?).ok().filter(|idc| *idc <= 3)?;
        if format.chroma == 3 {
            format.separate_planes = bits.bit()?;
        }
        let depth = |code: u32| u8::try_from(code).ok().filter(|d| *d <= 6)?.checked_add(8);
        format.luma_depth = depth(bits.ue()?)?;
        format.chroma_depth = depth(bits.ue()?)?;
        bits.bit()?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            let lists = if format.chroma == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.bit()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(format)
    }
}

fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..size {
        if next != 0 {
            next = last.checked_add(bits.se()?)?.rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// `pic_order_cnt_type`, with what belongs to it skipped.
fn skip_picture_order(bits: &mut BitReader<'_>) -> Option<u32> {
    let kind = bits.ue()?;
    match kind {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.bit()?;
            bits.se()?;
            bits.se()?;
            let cycle = bits.ue()?;
            if cycle > 255 {
                return None;
            }
            for _ in 0..cycle {
                bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(kind)
}

/// Pixels cropped off horizontally and vertically (§7.4.2.1.1).
fn crop(bits: &mut BitReader<'_>, format: &SampleFormat, frames_only: bool) -> Option<(u32, u32)> {
    if !bits.bit()? {
        return Some((0, 0));
    }
    let horizontal = bits.ue()?.checked_add(bits.ue()?)?;
    let vertical = bits.ue()?.checked_add(bits.ue()?)?;
    let chroma = if format.separate_planes {
        0
    } else {
        format.chroma
    };
    let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let unit_y: u32 = if chroma == 1 { 2 } else { 1 };
    let unit_y = if frames_only {
        unit_y
    } else {
        unit_y.checked_mul(2)?
    };
    Some((
        horizontal.checked_mul(unit_x)?,
        vertical.checked_mul(unit_y)?,
    ))
}

type Usability = (Option<PixelAspect>, Option<Colour>);

/// The head of `vui_parameters` (§E.1.1).
fn usability(bits: &mut BitReader<'_>) -> Option<Usability> {
    let mut aspect = None;
    if bits.bit()? {
        let idc = bits.bits(8)?;
        let ratio = if idc == 255 {
            Some((bits.bits(16)?, bits.bits(16)?))
        } else {
            let index = usize::try_from(idc).ok()?.checked_sub(1);
            index.and_then(|i| ASPECTS.get(i).copied())
        };
        aspect = ratio
            .filter(|(h, v)| *h > 0 && *v > 0 && h != v)
            .map(|(horizontal, vertical)| PixelAspect {
                horizontal,
                vertical,
            });
    }
    if bits.bit()? {
        bits.bit()?; // overscan_appropriate_flag
    }
    let colour = if bits.bit()? { colour(bits)? } else { None };
    Some((aspect, colour))
}

/// From `chroma_loc_info_present_flag` to `fixed_frame_rate_flag`, from where [`usability`] stopped. Inner `None`: nothing is said.
fn timing(bits: &mut BitReader<'_>) -> Option<Option<Timing>> {
    if bits.bit()? {
        bits.ue()?; // chroma_sample_loc_type_top_field
        bits.ue()?; // chroma_sample_loc_type_bottom_field
    }
    if !bits.bit()? {
        return Some(None);
    }
    let (units, scale) = (u64::from(bits.bits(32)?), u64::from(bits.bits(32)?));
    let fixed = bits.bit()?;
    Some(Timing::lowest(scale, units.saturating_mul(2), fixed))
}

/// `max_num_reorder_frames`, from where [`timing`] stopped.
fn restriction(bits: &mut BitReader<'_>) -> Option<u32> {
    let mut conformance = false;
    for _ in 0..2 {
        if bits.bit()? {
            conformance = true;
            skip_reference_decoder(bits)?;
        }
    }
    if conformance {
        bits.bit()?; // low_delay_hrd_flag
    }
    bits.bit()?; // pic_struct_present_flag
    if !bits.bit()? {
        return None;
    }
    bits.bit()?; // motion_vectors_over_pic_boundaries_flag
    for _ in 0..4 {
        bits.ue()?; // sizes and motion vectors
    }
    bits.ue().filter(|frames| *frames <= 16)
}

/// `hrd_parameters` (§E.1.2).
fn skip_reference_decoder(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue()?;
    if count > 31 {
        return None;
    }
    bits.bits(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..=count {
        bits.ue()?;
        bits.ue()?;
        bits.bit()?;
    }
    bits.bits(20).map(drop) // lengths of delays
}

/// From `video_format` to `matrix_coefficients`.
fn colour(bits: &mut BitReader<'_>) -> Option<Option<Colour>> {
    bits.bits(3)?; // video_format
    let full_range = bits.bit()?;
    if bits.bit()? {
        let mut code = || u16::try_from(bits.bits(8)?).ok();
        return Some(Some(Colour {
            primaries: code()?,
            transfer: code()?,
            matrix: code()?,
            full_range,
        }));
    }
    Some(full_range.then_some(Colour {
        primaries: 2,
        transfer: 2,
        matrix: 2,
        full_range,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cropping_turns_1088_lines_into_1080() {
        // x264, High@4.0, 1920x1080.
        let nal = [
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00,
            0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
        ];
        let sps = Sps::parse(&nal).unwrap();
        assert_eq!((sps.width, sps.height), (1920, 1080));
        assert_eq!((sps.profile, sps.level, sps.chroma_format), (100, 40, 1));
        assert!(sps.frames_only);
        assert_eq!(sps.reordering, Some(2));
        assert_eq!(sps.colour, None);
        let timing = Timing {
            frames: 30,
            seconds: 1,
            fixed: false,
        };
        assert_eq!(sps.timing, Some(timing));
    }

    #[test]
    fn full_range_is_read_without_a_colour_description() {
        // x264 of yuvj420p with nothing else stated.
        let nal = [
            0x67, 0x64, 0x00, 0x0c, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x6c, 0x80, 0x00,
            0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8a, 0x14, 0xcb,
        ];
        let unspecified = Colour {
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full_range: true,
        };
        assert_eq!(Sps::parse(&nal).unwrap().colour, Some(unspecified));
    }

    proptest! {
        #[test]
        fn never_panics(mut nal in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = nal.first_mut() { *first = 0x67; }
            let _ = Sps::parse(&nal);
        }
    }
}
