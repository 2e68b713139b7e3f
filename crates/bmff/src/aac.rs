//! `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1), with explicit signalling of SBR and PS, both the hierarchical and
//! the backward compatible kind.

use crate::bits::BitReader;

/// AAC decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacConfig {
    /// The `AudioSpecificConfig` as it is in the file.
    pub asc: Vec<u8>,
    /// What the decoder has to support.
    pub object_type: AudioObjectType,
    /// Sampling rate of the AAC core in Hz; half of [`Self::sample_rate`] with SBR, as a rule.
    pub core_sample_rate: u32,
    /// Sampling rate of the decoder's output in Hz.
    pub sample_rate: u32,
    /// Channels of the decoder's output; 0 if the configuration leaves them to the stream.
    pub channels: u16,
    /// Samples that one access unit yields per channel at [`Self::sample_rate`]: 1024 for LC, 2048 with SBR.
    pub frame_len: u32,
}

/// The AAC flavours that are played everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioObjectType {
    /// AAC-LC, object type 2.
    Lc,
    /// HE-AAC: LC with spectral band replication, object type 5.
    He,
    /// HE-AAC v2: HE-AAC with parametric stereo, object type 29.
    HeV2,
}

impl AudioObjectType {
    /// The MPEG-4 audio object type.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Lc => 2,
            Self::He => 5,
            Self::HeV2 => 29,
        }
    }

    /// Name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lc => "AAC-LC",
            Self::He => "HE-AAC",
            Self::HeV2 => "HE-AAC v2",
        }
    }
}

const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Highest rate accepted; the 24-bit escape could state 16 MHz.
const MAX_RATE: u32 = 192_000;

/// Why a configuration is not one of [`AudioObjectType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AacFault {
    Malformed,
    ObjectType(u32),
}

impl AacConfig {
    /// Reads a configuration. `None` if it is cut off or not AAC-LC, HE-AAC or HE-AAC v2.
    #[must_use]
    pub fn parse(asc: &[u8]) -> Option<Self> {
        Self::read(asc).ok()
    }

    pub(crate) fn read(asc: &[u8]) -> Result<Self, AacFault> {
        let mut bits = BitReader::new(asc);
        let head = head(&mut bits).ok_or(AacFault::Malformed)?;
        if head.core_object_type != 2 {
            return Err(AacFault::ObjectType(head.core_object_type));
        }
        finish(asc, bits, head).ok_or(AacFault::Malformed)
    }

    /// An AAC-LC configuration of two bytes. `None` if the rate has no index or the channels (1 to 6, or 8) no
    /// configuration of their own.
    #[must_use]
    pub fn lc(sample_rate: u32, channels: u16) -> Option<Self> {
        let index = RATES.iter().position(|rate| *rate == sample_rate)?;
        let index = u16::try_from(index).ok()?;
        let configuration = match channels {
            1..=6 => channels,
            8 => 7,
            _ => return None,
        };
        let word = (2 << 11) | (index << 7) | (configuration << 3);
        Self::parse(&word.to_be_bytes())
    }

    /// `mp4a.40.2`, `.5` or `.29` (RFC 6381 §3.3).
    #[must_use]
    pub fn rfc6381(&self) -> String {
        format!("mp4a.40.{}", self.object_type.number())
    }
}

struct Head {
    core_object_type: u32,
    core_rate: u32,
    configuration: u32,
    /// Output rate, if SBR is signalled in front.
    sbr_rate: Option<u32>,
    ps: bool,
}

fn object_type(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.bits(5)? {
        31 => bits.bits(6)?.checked_add(32),
        short => Some(short),
    }
}

fn rate(bits: &mut BitReader<'_>) -> Option<u32> {
    let rate = match bits.bits(4)? {
        15 => bits.bits(24)?,
        index => *RATES.get(usize::try_from(index).ok()?)?,
    };
    (1..=MAX_RATE).contains(&rate).then_some(rate)
}

fn head(bits: &mut BitReader<'_>) -> Option<Head> {
    let first = object_type(bits)?;
    let core_rate = rate(bits)?;
    let configuration = bits.bits(4)?;
    if first != 5 && first != 29 {
        return Some(Head {
            core_object_type: first,
            core_rate,
            configuration,
            sbr_rate: None,
            ps: false,
        });
    }
    let sbr_rate = rate(bits)?;
    Some(Head {
        core_object_type: object_type(bits)?,
        core_rate,
        configuration,
        sbr_rate: Some(sbr_rate),
        ps: first == 29,
    })
}

/// `GASpecificConfig` (§4.4.1) and the backward compatible extension behind it.
fn finish(asc: &[u8], mut bits: BitReader<'_>, head: Head) -> Option<AacConfig> {
    let short_frames = bits.bit()?;
    if bits.bit()? {
        bits.skip(14)?; // coreCoderDelay
    }
    bits.bit()?; // extensionFlag
    let mut channels = match head.configuration {
        0 => program_config_channels(&mut bits)?,
        1..=6 => u16::try_from(head.configuration).ok()?,
        7 => 8,
        11 => 7,
        12 | 14 => 8,
        _ => return None,
    };
    let (mut sbr_rate, mut ps) = (head.sbr_rate, head.ps);
    if sbr_rate.is_none() {
        (sbr_rate, ps) = trailing_extension(&mut bits).unwrap_or((None, false));
    }
    let core_len: u32 = if short_frames { 960 } else { 1024 };
    let (object_type, frame_len) = match (sbr_rate, ps) {
        (None, _) => (AudioObjectType::Lc, core_len),
        (Some(_), false) => (AudioObjectType::He, core_len.checked_mul(2)?),
        (Some(_), true) => (AudioObjectType::HeV2, core_len.checked_mul(2)?),
    };
    // SBR at the core's own rate ("downsampled") puts out as many samples as the core.
    let frame_len = match sbr_rate {
        Some(rate) if rate == head.core_rate => core_len,
        _ => frame_len,
    };
    if object_type == AudioObjectType::HeV2 && channels == 1 {
        channels = 2;
    }
    Some(AacConfig {
        asc: asc.to_vec(),
        object_type,
        core_sample_rate: head.core_rate,
        sample_rate: sbr_rate.unwrap_or(head.core_rate),
        channels,
        frame_len,
    })
}

/// `syncExtensionType` behind an LC configuration: SBR and PS that old decoders do not see.
fn trailing_extension(bits: &mut BitReader<'_>) -> Option<(Option<u32>, bool)> {
    if bits.remaining() < 16 || bits.bits(11)? != 0x2b7 || object_type(bits)? != 5 || !bits.bit()? {
        return None;
    }
    let sbr_rate = rate(bits)?;
    let ps = bits.remaining() >= 12 && bits.bits(11)? == 0x548 && bits.bit()?;
    Some((Some(sbr_rate), ps))
}

/// Channels of a `program_config_element` (§4.4.1.1), which is skipped.
fn program_config_channels(bits: &mut BitReader<'_>) -> Option<u16> {
    bits.bits(4)?; // element_instance_tag
    bits.bits(2)?; // object_type
    bits.bits(4)?; // sampling_frequency_index
    let pairs_or_singles = [bits.bits(4)?, bits.bits(4)?, bits.bits(4)?];
    let low_frequency = bits.bits(2)?;
    let associated = bits.bits(3)?;
    let coupling = bits.bits(4)?;
    for width in [4, 4, 3] {
        if bits.bit()? {
            bits.bits(width)?; // mono, stereo and matrix mixdown
        }
    }
    let mut channels = u16::try_from(low_frequency).ok()?;
    for count in pairs_or_singles {
        for _ in 0..count {
            let is_pair = bits.bit()?;
            channels = channels.checked_add(if is_pair { 2 } else { 1 })?;
            bits.bits(4)?;
        }
    }
    bits.skip(low_frequency.checked_mul(4)?)?;
    bits.skip(associated.checked_mul(4)?)?;
    bits.skip(coupling.checked_mul(5)?)?;
    let to_byte = u32::try_from(bits.remaining() % 8).ok()?;
    bits.skip(to_byte)?;
    let comment = bits.bits(8)?;
    bits.skip(comment.checked_mul(8)?)?;
    Some(channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_lc_and_builds_the_same_two_bytes() {
        let aac = AacConfig::parse(&[0x11, 0x90]).unwrap();
        assert_eq!(aac.object_type, AudioObjectType::Lc);
        assert_eq!(
            (aac.sample_rate, aac.channels, aac.frame_len),
            (48_000, 2, 1024)
        );
        assert_eq!(aac.rfc6381(), "mp4a.40.2");
        assert_eq!(AacConfig::lc(48_000, 2), Some(aac));
        assert_eq!(AacConfig::lc(48_000, 6).unwrap().asc, [0x11, 0xb0]);
        assert_eq!(AacConfig::lc(47_999, 2), None);
    }

    #[test]
    fn reads_explicit_he_aac_of_both_kinds() {
        // Hierarchical: object type 5, core 24 kHz, stereo, output 48 kHz, core type 2.
        let he = AacConfig::parse(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!(he.object_type, AudioObjectType::He);
        assert_eq!((he.core_sample_rate, he.sample_rate), (24_000, 48_000));
        assert_eq!(he.rfc6381(), "mp4a.40.5");
        // Backward compatible: LC 24 kHz stereo, then 0x2b7 with SBR at 48 kHz.
        let compatible = AacConfig::parse(&[0x13, 0x10, 0x56, 0xe5, 0x98]).unwrap();
        assert_eq!(compatible.object_type, AudioObjectType::He);
        assert_eq!(
            (compatible.sample_rate, compatible.frame_len),
            (48_000, 2048)
        );
        // HE-AAC v2: object type 29, mono core, stereo output.
        let v2 = AacConfig::parse(&[0xeb, 0x09, 0x88, 0x00]).unwrap();
        assert_eq!(v2.object_type, AudioObjectType::HeV2);
        assert_eq!((v2.channels, v2.rfc6381().as_str()), (2, "mp4a.40.29"));
    }

    #[test]
    fn names_the_object_type_it_does_not_take() {
        assert_eq!(AacConfig::read(&[0x09, 0x90]), Err(AacFault::ObjectType(1)));
    }

    proptest! {
        #[test]
        fn never_panics(asc in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = AacConfig::parse(&asc);
        }
    }
}
