//! Which key a track is encrypted with: usage rules applied (CPIX §4, "ContentKeyUsageRule").

use super::{AudioFilter, Cpix, UsageRule, VideoFilter};
use crate::Kid;

/// What rules look at in a track.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Media {
    /// Width × height of video.
    pub pixels: Option<u64>,
    /// Frames per second of video, times 1000.
    pub milli_fps: u64,
    /// High dynamic range.
    pub hdr: bool,
    /// Wide colour gamut.
    pub wcg: bool,
    /// Channels of audio.
    pub channels: Option<u64>,
    /// Bits per second.
    pub bitrate: Option<u64>,
    /// Of the track.
    pub label: Option<String>,
    /// The id of the crypto period that is on.
    pub period: Option<String>,
}

/// Why a track has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It must be encrypted, and no rule is for it.
    #[error("no usage rule is for the track")]
    NoRule,
    /// Rules of different keys are for it.
    #[error("usage rules of several keys are for the track")]
    Ambiguous,
}

fn within(value: u64, least: Option<u64>, most: Option<u64>) -> bool {
    least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most)
}

impl VideoFilter {
    fn matches(&self, media: &Media) -> bool {
        let Some(pixels) = media.pixels else {
            return false;
        };
        let thousand = |fps: u64| fps.saturating_mul(1000);
        within(pixels, self.min_pixels, self.max_pixels)
            && self.hdr.is_none_or(|hdr| hdr == media.hdr)
            && self.wcg.is_none_or(|wcg| wcg == media.wcg)
            && self
                .min_fps
                .is_none_or(|fps| media.milli_fps > thousand(fps))
            && self
                .max_fps
                .is_none_or(|fps| media.milli_fps <= thousand(fps))
    }
}

impl AudioFilter {
    fn matches(&self, media: &Media) -> bool {
        media
            .channels
            .is_some_and(|channels| within(channels, self.min_channels, self.max_channels))
    }
}

impl UsageRule {
    /// Whether the rule is for a track: of every kind of filter that it has, one at least matches.
    pub fn matches(&self, media: &Media) -> bool {
        let among = |names: &[String], name: &Option<String>| {
            names.is_empty() || name.as_ref().is_some_and(|name| names.contains(name))
        };
        let bitrate = |(least, most): &(Option<u64>, Option<u64>)| {
            media
                .bitrate
                .is_some_and(|rate| within(rate, *least, *most))
        };
        among(&self.periods, &media.period)
            && among(&self.labels, &media.label)
            && (self.video.is_empty() || self.video.iter().any(|filter| filter.matches(media)))
            && (self.audio.is_empty() || self.audio.iter().any(|filter| filter.matches(media)))
            && (self.bitrate.is_empty() || self.bitrate.iter().any(bitrate))
    }
}

impl Cpix {
    /// The key for a track that must be encrypted. Without any rules, the one key there is.
    ///
    /// Errors: [`RuleError`]; packaging stops then, rather than guess.
    pub fn key_for(&self, media: &Media) -> Result<Kid, RuleError> {
        if self.rules.is_empty() {
            return match self.keys.as_slice() {
                [key] => Ok(key.kid),
                [] => Err(RuleError::NoRule),
                _ => Err(RuleError::Ambiguous),
            };
        }
        let mut kids = self
            .rules
            .iter()
            .filter(|rule| rule.matches(media))
            .filter_map(|rule| rule.kid);
        let kid = kids.next().ok_or(RuleError::NoRule)?;
        if kids.any(|other| other != kid) {
            return Err(RuleError::Ambiguous);
        }
        Ok(kid)
    }
}
