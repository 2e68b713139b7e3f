//! What an event takes in, by its encoding type (streaming reference, 5.1).

use crate::reason::Reason;

/// What comes in at most. Bit rates in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub total_bitrate: u64,
    pub layer_bitrate: u64,
    pub video_tracks: usize,
    pub audio_tracks: usize,
    pub width: u32,
    pub height: u32,
    /// Frames in a thousand seconds.
    pub frame_rate_milli: u64,
}

const MBIT: u64 = 1_000_000;

impl Limits {
    /// `PassthroughBasic`.
    pub const BASIC: Self = Self {
        total_bitrate: 5 * MBIT,
        layer_bitrate: 4 * MBIT,
        ..Self::STANDARD
    };

    /// `PassthroughStandard`, and `None` of older clients.
    pub const STANDARD: Self = Self {
        total_bitrate: 60 * MBIT,
        layer_bitrate: 20 * MBIT,
        video_tracks: 8,
        audio_tracks: 8,
        width: 4096,
        height: 2304,
        frame_rate_milli: 61_000,
    };

    /// `Standard` and `Premium1080p`: one stream, which is encoded here.
    pub const ENCODING: Self = Self {
        total_bitrate: 20 * MBIT,
        layer_bitrate: 20 * MBIT,
        video_tracks: 1,
        audio_tracks: 1,
        width: 1920,
        height: 1088,
        frame_rate_milli: 61_000,
    };

    /// Whether a picture may have this size. 0: not stated.
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), Reason> {
        // A portrait picture is as large as it is when laid on its side.
        let (long, short) = (width.max(height), width.min(height));
        if long > self.width.max(self.height) || short > self.width.min(self.height) {
            return Err(Reason::ResolutionNotSupported);
        }
        Ok(())
    }

    /// Whether bit rates that were measured over some seconds may be so high. A tenth above is forgiven: what is promised
    /// is an average.
    pub fn check_measured(&self, layer: u64, total: u64) -> Result<(), Reason> {
        let over = |measured: u64, most: u64| measured > most.saturating_add(most / 10);
        if over(layer, self.layer_bitrate) || over(total, self.total_bitrate) {
            return Err(Reason::BitrateExceeded);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portrait_pictures_are_laid_on_their_side() {
        assert_eq!(Limits::ENCODING.check_size(1080, 1920), Ok(()));
        assert_eq!(
            Limits::ENCODING.check_size(1280, 1920),
            Err(Reason::ResolutionNotSupported)
        );
    }

    #[test]
    fn a_tenth_too_much_is_forgiven() {
        assert_eq!(Limits::BASIC.check_measured(4_300_000, 5_400_000), Ok(()));
        assert!(Limits::BASIC.check_measured(4_500_000, 4_600_000).is_err());
        assert!(Limits::BASIC.check_measured(3_000_000, 5_600_000).is_err());
    }
}
