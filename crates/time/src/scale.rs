//! The unit of a tick.

use std::fmt;
use std::num::NonZeroU32;

/// Units per second of a track or of a presentation (ISO/IEC 14496-12 §8.4.2 `timescale`). Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// One tick a second.
    pub const SECONDS: Self = Self(NonZeroU32::MIN);
    /// Milliseconds.
    pub const MILLIS: Self = Self::constant(1_000);
    /// The 90 kHz clock of MPEG-2 systems.
    pub const MPEG: Self = Self::constant(90_000);
    /// The 10 MHz scale of Smooth Streaming and of AMS manifests.
    pub const HUNDRED_NANOS: Self = Self::constant(10_000_000);

    const fn constant(units_per_second: u32) -> Self {
        match NonZeroU32::new(units_per_second) {
            Some(units) => Self(units),
            None => Self::SECONDS,
        }
    }

    /// The scale of `units_per_second`; `None` for zero, which some broken files carry.
    #[must_use]
    pub const fn new(units_per_second: u32) -> Option<Self> {
        match NonZeroU32::new(units_per_second) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    /// Ticks per second.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl From<NonZeroU32> for Timescale {
    fn from(units_per_second: NonZeroU32) -> Self {
        Self(units_per_second)
    }
}

impl fmt::Display for Timescale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.0)
    }
}
