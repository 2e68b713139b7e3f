//! `adts_frame` headers (ISO/IEC 14496-3 §1.A.2.2.1): 7 bytes in front of every AAC frame, no CRC.

/// What the header says of a stream's AAC core. HE-AAC is signalled as its core; decoders find SBR and PS themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adts {
    frequency_index: u8,
    channel_configuration: u8,
}

const FREQUENCIES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Bytes of a header.
pub(crate) const HEADER_LEN: usize = 7;
/// `aac_frame_length` has 13 bits.
const MAX_FRAME: u32 = 0x1fff;

impl Adts {
    /// `None` for what the header has no words for: other sampling rates, channel layouts that the stream describes
    /// itself (configuration 0) or that have numbers above 7.
    ///
    /// `core_rate`: Hz. `channel_configuration`: of the AudioSpecificConfig.
    #[must_use]
    pub fn new(core_rate: u32, channel_configuration: u8) -> Option<Self> {
        let index = FREQUENCIES.iter().position(|rate| *rate == core_rate)?;
        Some(Self {
            frequency_index: u8::try_from(index).ok()?,
            channel_configuration: (1..=7)
                .contains(&channel_configuration)
                .then_some(channel_configuration)?,
        })
    }

    /// How long a frame of 1024 samples lasts, 90 kHz.
    pub(crate) fn frame_units(self) -> i64 {
        let rate = FREQUENCIES.get(usize::from(self.frequency_index));
        let units = 1024_i64.saturating_mul(90_000);
        units
            .checked_div(rate.copied().unwrap_or_default().into())
            .unwrap_or(i64::MAX)
    }

    /// The header of a frame whose raw data block has `size` bytes. `None` if that is more than the header can say.
    pub(crate) fn header(self, size: u32) -> Option<[u8; HEADER_LEN]> {
        let length = size
            .checked_add(u32::try_from(HEADER_LEN).ok()?)
            .filter(|length| *length <= MAX_FRAME)?;
        let byte = |value: u32| u8::try_from(value & 0xff).unwrap_or_default();
        let channels = self.channel_configuration;
        Some([
            0xff,
            0xf1, // MPEG-4, layer 0, no CRC
            // Profile 1 is LC.
            (1 << 6) | (self.frequency_index << 2) | (channels >> 2),
            (channels << 6) | byte(length >> 11),
            byte(length >> 3),
            byte(length << 5) | 0x1f, // buffer fullness 0x7ff: variable bit rate
            0xfc,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_a_stereo_frame() {
        let adts = Adts::new(48_000, 2).unwrap();
        assert_eq!(
            adts.header(364),
            Some([0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc])
        );
        assert_eq!(adts.header(8185), None);
        assert_eq!(Adts::new(48_001, 2), None);
        assert_eq!(Adts::new(48_000, 0), None);
    }
}
