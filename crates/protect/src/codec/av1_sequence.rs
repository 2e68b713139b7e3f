//! AV1's sequence header (§5.5): what all frame headers of a stream are read with.

use super::av1::Layer;
use super::av1_bits::Bits;

/// Whether a tool is on: frames may be left to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Off,
    On,
    /// Each frame says.
    Frame,
}

#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) reduced_still_picture: bool,
    /// Bits of `frame_presentation_time`, if frames have one.
    pub(super) presentation_time_bits: Option<u32>,
    pub(super) decoder_model: Option<DecoderModel>,
    pub(super) width_bits: u32,
    pub(super) height_bits: u32,
    pub(super) max_width: u32,
    pub(super) max_height: u32,
    /// Bits of frame ids and of their differences.
    pub(super) frame_ids: Option<(u32, u32)>,
    pub(super) large_superblocks: bool,
    pub(super) warped_motion: bool,
    pub(super) order_hint_bits: u32,
    pub(super) ref_frame_mvs: bool,
    pub(super) screen_content_tools: Choice,
    pub(super) integer_mv: Choice,
    pub(super) superres: bool,
    pub(super) cdef: bool,
    pub(super) restoration: bool,
    pub(super) monochrome: bool,
    /// Of chroma: in both directions.
    pub(super) subsampled: bool,
    pub(super) separate_uv_delta_q: bool,
    pub(super) film_grain: bool,
}

#[derive(Debug, Clone)]
pub(super) struct DecoderModel {
    pub(super) removal_time_bits: u32,
    /// Of each operating point: its layers, and whether it has a decoder model.
    pub(super) points: Vec<(u32, bool)>,
}

impl DecoderModel {
    /// How many removal times a frame of `layer` has.
    pub(super) fn removal_times(&self, layer: Layer) -> usize {
        let of = |point: &&(u32, bool)| {
            let (layers, has) = **point;
            let temporal = (layers >> layer.temporal) & 1 == 1;
            let spatial = (layers >> u32::from(layer.spatial).saturating_add(8)) & 1 == 1;
            has && (layers == 0 || (temporal && spatial))
        };
        self.points.iter().filter(of).count()
    }
}

impl Sequence {
    pub(super) fn order_hints(&self) -> bool {
        self.order_hint_bits > 0
    }

    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(body);
        let bits = &mut bits;
        let profile = bits.u(3)?;
        bits.skip(1)?;
        let reduced_still_picture = bits.flag()?;
        let (mut presentation_time_bits, mut decoder_model) = (None, None);
        if reduced_still_picture {
            bits.skip(5)?;
        } else {
            (presentation_time_bits, decoder_model) = timing(bits)?;
        }
        let width_bits = bits.u(4)?.checked_add(1)?;
        let height_bits = bits.u(4)?.checked_add(1)?;
        let max_width = bits.u(width_bits)?.checked_add(1)?;
        let max_height = bits.u(height_bits)?.checked_add(1)?;
        let mut frame_ids = None;
        if !reduced_still_picture && bits.flag()? {
            let difference = bits.u(4)?.checked_add(2)?;
            let id = bits.u(3)?.checked_add(1)?.checked_add(difference)?;
            frame_ids = Some((id, difference));
        }
        let large_superblocks = bits.flag()?;
        bits.skip(2)?;
        let mut made = Self {
            reduced_still_picture,
            presentation_time_bits,
            decoder_model,
            width_bits,
            height_bits,
            max_width,
            max_height,
            frame_ids,
            large_superblocks,
            warped_motion: false,
            order_hint_bits: 0,
            ref_frame_mvs: false,
            screen_content_tools: Choice::Frame,
            integer_mv: Choice::Frame,
            superres: false,
            cdef: false,
            restoration: false,
            monochrome: false,
            subsampled: true,
            separate_uv_delta_q: false,
            film_grain: false,
        };
        if !reduced_still_picture {
            made.tools(bits)?;
        }
        made.superres = bits.flag()?;
        made.cdef = bits.flag()?;
        made.restoration = bits.flag()?;
        made.colour(profile, bits)?;
        made.film_grain = bits.flag()?;
        Some(made)
    }

    fn tools(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        bits.skip(2)?;
        self.warped_motion = bits.flag()?;
        bits.skip(1)?;
        let order_hints = bits.flag()?;
        if order_hints {
            bits.skip(1)?;
            self.ref_frame_mvs = bits.flag()?;
        }
        let choice = |bits: &mut Bits<'_>| {
            let left_to_frames = bits.flag()?;
            Some(if left_to_frames {
                Choice::Frame
            } else if bits.flag()? {
                Choice::On
            } else {
                Choice::Off
            })
        };
        self.screen_content_tools = choice(bits)?;
        if self.screen_content_tools != Choice::Off {
            self.integer_mv = choice(bits)?;
        }
        if order_hints {
            self.order_hint_bits = bits.u(3)?.checked_add(1)?;
        }
        Some(())
    }

    /// `color_config` (§5.5.2).
    fn colour(&mut self, profile: u32, bits: &mut Bits<'_>) -> Option<()> {
        let high = bits.flag()?;
        let twelve = profile == 2 && high && bits.flag()?;
        self.monochrome = profile != 1 && bits.flag()?;
        let description = match bits.flag()? {
            true => (bits.u(8)?, bits.u(8)?, bits.u(8)?),
            false => (2, 2, 2),
        };
        if self.monochrome {
            return bits.skip(1);
        }
        // sRGB in 4:4:4.
        if description == (1, 13, 0) {
            self.subsampled = false;
        } else {
            bits.skip(1)?;
            self.subsampled = match profile {
                0 => true,
                1 => false,
                _ if twelve => bits.flag()? && bits.flag()?,
                _ => false,
            };
            if self.subsampled {
                bits.skip(2)?;
            }
        }
        self.separate_uv_delta_q = bits.flag()?;
        Some(())
    }
}

/// Timing, decoder model and operating points.
fn timing(bits: &mut Bits<'_>) -> Option<(Option<u32>, Option<DecoderModel>)> {
    let mut equal_intervals = false;
    // Bits of buffer delays, removal times and presentation times.
    let mut model = None;
    if bits.flag()? {
        bits.skip(64)?;
        equal_intervals = bits.flag()?;
        if equal_intervals {
            bits.uvlc()?;
        }
        if bits.flag()? {
            let delay = bits.u(5)?.checked_add(1)?;
            bits.skip(32)?;
            let removal = bits.u(5)?.checked_add(1)?;
            let presentation = bits.u(5)?.checked_add(1)?;
            model = Some((delay, removal, presentation));
        }
    }
    let display_delays = bits.flag()?;
    let mut points = Vec::new();
    for _ in 0..=bits.u(5)? {
        let layers = bits.u(12)?;
        if bits.u(5)? > 7 {
            bits.skip(1)?;
        }
        let mut has_model = false;
        if let Some((delay, ..)) = model {
            has_model = bits.flag()?;
            if has_model {
                bits.skip(delay)?;
                bits.skip(delay)?;
                bits.skip(1)?;
            }
        }
        if display_delays {
            bits.optional(4)?;
        }
        points.push((layers, has_model));
    }
    let presentation = model
        .filter(|_| !equal_intervals)
        .map(|(.., presentation)| presentation);
    let model = model.map(|(_, removal_time_bits, _)| DecoderModel {
        removal_time_bits,
        points,
    });
    Some((presentation, model))
}
