//! Captions inside of pictures: CEA-608 channels and CEA-708 services in the SEI messages of H.264 and HEVC (ATSC A/53 part 4
//! §6.2.3). Players show them on their own; manifests have to say which there are, so pictures are looked at for it.
//!
//! [`CaptionScan`] takes some pictures of a track, here and there; [`Captions`] is what they carry. A channel is there if
//! it is spoken on: control codes of CEA-608 name their channel, service blocks of CEA-708 their service. Pictures that have
//! room for captions and nothing in it yet are taken for ones with `CC1`, or with service 1 if they have room for no other.
//!
//! Nothing here changes pictures: SEI messages stay where they are in every container, and in the clear under encryption.

mod scan;
mod sei;
mod service;

pub use scan::CaptionScan;

use headwater_bmff::{BoxedKind, CodecConfig};

/// How the pictures of a track are written into its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictures {
    /// H.264.
    Avc {
        /// Bytes of the length in front of a NAL unit.
        nal_length_size: u8,
    },
    /// HEVC.
    Hevc {
        /// As of [`Self::Avc`].
        nal_length_size: u8,
    },
}

impl Pictures {
    /// Those of a codec that carries captions in SEI messages; `None` for others.
    #[must_use]
    pub fn of(codec: &CodecConfig) -> Option<Self> {
        match codec {
            CodecConfig::Avc(avc) => Some(Self::Avc {
                nal_length_size: avc.nal_length_size,
            }),
            // `lengthSizeMinusOne`, ISO/IEC 14496-15 §8.3.3.1.
            CodecConfig::Boxed(boxed) if boxed.kind == BoxedKind::Hevc => {
                let size = (boxed.config.get(21)? & 3).saturating_add(1);
                Some(Self::Hevc {
                    nal_length_size: size,
                })
            }
            _ => None,
        }
    }
}

/// The captions that pictures carry; by default none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Captions {
    /// Bit n: channel n of CEA-608, 1 to 4.
    channels: u64,
    /// Bit n: service n of CEA-708, 1 to 63.
    services: u64,
}

impl Captions {
    /// Those with these channels of CEA-608 (1 to 4) and services of CEA-708 (1 to 63); other numbers are ignored.
    #[must_use]
    pub fn new(channels: &[u8], services: &[u8]) -> Self {
        let mut captions = Self::default();
        for number in channels {
            captions.channel(*number);
        }
        for number in services {
            captions.service(*number);
        }
        captions
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Numbers of the channels of CEA-608, `CC1` to `CC4`, ascending.
    pub fn channels(&self) -> impl Iterator<Item = u8> + '_ {
        (1..=4_u8).filter(|number| self.channels & bit(*number) != 0)
    }

    /// Numbers of the services of CEA-708, ascending, but for those that repeat a channel for newer receivers: by
    /// convention service 1 is `CC1` and service 2 is `CC3`.
    pub fn own_services(&self) -> impl Iterator<Item = u8> + '_ {
        let repeats = |number: u8| match number {
            1 => self.channels().any(|channel| channel == 1),
            2 => self.channels().any(|channel| channel == 3),
            _ => false,
        };
        self.services().filter(move |number| !repeats(*number))
    }

    /// Numbers of all services of CEA-708, ascending.
    pub fn services(&self) -> impl Iterator<Item = u8> + '_ {
        (1..=63_u8).filter(|number| self.services & bit(*number) != 0)
    }

    /// With those of `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            channels: self.channels | other.channels,
            services: self.services | other.services,
        }
    }

    /// As one word: `608:1,3;708:1`, with nothing after a colon where there are none.
    #[must_use]
    pub fn to_word(&self) -> String {
        let list = |numbers: &mut dyn Iterator<Item = u8>| {
            let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
            numbers.join(",")
        };
        format!(
            "608:{};708:{}",
            list(&mut self.channels()),
            list(&mut self.services())
        )
    }

    /// Reads [`Self::to_word`]; `None` for anything else.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let (channels, services) = word.strip_prefix("608:")?.split_once(";708:")?;
        let numbers = |list: &str| -> Option<Vec<u8>> {
            let numbers = list.split(',').filter(|number| !number.is_empty());
            numbers.map(|number| number.parse().ok()).collect()
        };
        let captions = Self::new(&numbers(channels)?, &numbers(services)?);
        (captions.to_word() == word).then_some(captions)
    }

    fn channel(&mut self, number: u8) {
        if matches!(number, 1..=4) {
            self.channels |= bit(number);
        }
    }

    fn service(&mut self, number: u8) {
        if matches!(number, 1..=63) {
            self.services |= bit(number);
        }
    }
}

/// The bit of a number below 64.
fn bit(number: u8) -> u64 {
    1_u64.checked_shl(number.into()).unwrap_or(0)
}
