//! Counts of a track, for heartbeats.

use crate::reason::Drop;

/// How a track is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrackStats {
    /// Bytes that came in.
    pub bytes: u64,
    /// Since when, wall clock in milliseconds; `None` before the first report.
    pub since_ms: Option<i64>,
    /// The newest decode time, event clock.
    pub last: Option<i64>,
    pub overlaps: u64,
    pub discontinuities: u64,
    pub non_increasing: u64,
    /// Dropped because another connection of a redundant pair had sent it.
    pub duplicates: u64,
    /// Dropped for want of a key frame in front.
    pub undecodable: u64,
}

impl TrackStats {
    pub(super) fn bytes_in(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn jumped(&mut self) {
        self.discontinuities = self.discontinuities.saturating_add(1);
    }

    pub(super) fn dropped(&mut self, drop: Drop) {
        let count = match drop {
            Drop::Overlap => &mut self.overlaps,
            Drop::NonIncreasing => &mut self.non_increasing,
            Drop::Duplicate => &mut self.duplicates,
            Drop::NoSync => &mut self.undecodable,
        };
        *count = count.saturating_add(1);
    }

    /// The counts so far; they begin anew at `now_ms`.
    pub(super) fn take(&mut self, last: Option<i64>, now_ms: i64) -> Self {
        let fresh = Self {
            since_ms: Some(now_ms),
            ..Self::default()
        };
        let mut taken = std::mem::replace(self, fresh);
        taken.last = last;
        taken
    }

    /// Bits per second since the last report.
    #[must_use]
    pub fn bitrate(&self, now_ms: i64) -> u64 {
        let lasted = self
            .since_ms
            .map_or(0, |since| now_ms.saturating_sub(since));
        let lasted = u64::try_from(lasted).unwrap_or(0).max(1);
        let bits = self.bytes.saturating_mul(8_000);
        bits.checked_div(lasted).unwrap_or(0)
    }
}
