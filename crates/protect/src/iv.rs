//! Initialisation vectors that need no state: the same segment gets the same ones each time, and no two samples under a key
//! share one.
//!
//! The 8 bytes of a `cenc` sample are `hash(key id, identity) + (track << 40) + unit + position`, modulo 2^64, where *unit*
//! is the segment's start in 1/8192 s and *position* that of the sample in its segment. A sample lasts at least one unit,
//! so the numbers of a segment end before those of the next begin; tracks are 4 years of units apart. Presentations that
//! share a key start at unrelated places of 2^64: two of nine hours and twenty tracks meet with a chance of 2^-27.
//!
//! A sample's blocks count in the other eight bytes of the counter (CENC §9.2), so different vectors never meet.

use sha2::{Digest, Sha256};

use crate::{Kid, ProtectError};

/// Units of a second.
const UNITS: u128 = 8192;
const TRACK_SHIFT: u32 = 40;

/// The vectors of one track under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IvSpace {
    start: u64,
}

impl IvSpace {
    /// `identity`: what tells this presentation's media from any other under the same key and from its own earlier
    /// versions (asset id and the entity tags of its files). `track`: its number within the presentation.
    pub fn new(kid: Kid, identity: &[u8], track: u16) -> Self {
        let hash = hashed(b"headwater cenc iv", kid, identity);
        Self {
            start: hash.wrapping_add(u64::from(track) << TRACK_SHIFT),
        }
    }

    /// The first vector of a segment; each sample's is one more than the one before it.
    ///
    /// `decode_time`, `duration`: of the segment, in ticks of `timescale`. `samples`: how many it has.
    /// Errors: `Mismatch` if samples are shorter than a unit on average, or the timescale is 0.
    pub fn first(
        &self,
        decode_time: u64,
        duration: u64,
        samples: usize,
        timescale: u32,
    ) -> Result<u64, ProtectError> {
        let units = |ticks: u64| {
            u128::from(ticks)
                .saturating_mul(UNITS)
                .checked_div(u128::from(timescale))
                .ok_or(ProtectError::Mismatch("the timescale is 0"))
        };
        if units(duration)? < u128::try_from(samples).unwrap_or(u128::MAX) {
            return Err(ProtectError::Mismatch(
                "the samples are shorter than 1/8192 s, so their initialisation vectors would overlap",
            ));
        }
        // Less than 2^77, of which the low 64 bits tell segments apart for as long as a track lasts.
        let unit = units(decode_time)? & u128::from(u64::MAX);
        Ok(self
            .start
            .wrapping_add(u64::try_from(unit).unwrap_or(u64::MAX)))
    }

    /// The constant vector of a `cbcs` key, and of whole segments (AES-128), from the key's id. Who delivers keys derives
    /// the same.
    pub fn constant(kid: Kid) -> [u8; 16] {
        let digest = Sha256::new()
            .chain_update(b"headwater constant iv")
            .chain_update(kid.bytes())
            .finalize();
        let mut iv = [0; 16];
        iv.iter_mut()
            .zip(digest.iter())
            .for_each(|(to, from)| *to = *from);
        iv
    }
}

/// The vectors of a live presentation and its recording under one key: by row, track and sample.
///
/// The 8 bytes of a `cenc` sample are `hash(key id, identity) + (row << 26) + (track << 16) + position`, modulo 2^64. Time is
/// no ground to stand on here: parts that players have seen may be lost with their worker, and the encoder that comes back is
/// put at the time of its arrival, which those may have had. The number of a row is given once, whatever happens
/// (`headwater_live::timeline`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowIvs {
    start: u64,
}

const ROW_SHIFT: u32 = 26;
const ROW_TRACK_SHIFT: u32 = 16;

impl RowIvs {
    /// `identity`: what tells this presentation from any other under the same key.
    pub fn new(kid: Kid, identity: &[u8]) -> Self {
        Self {
            start: hashed(b"headwater live iv", kid, identity),
        }
    }

    /// The first vector of a track's segment in a row; each sample's is one more than the one before it.
    ///
    /// `samples`: how many it has.
    /// Errors: `TooLarge` for more than 65,536 samples, or a track beyond the 1,024th.
    pub fn first(&self, row: u64, track: u16, samples: usize) -> Result<u64, ProtectError> {
        if samples > 1 << ROW_TRACK_SHIFT {
            return Err(ProtectError::TooLarge("the number of a segment's samples"));
        }
        if track >= 1 << (ROW_SHIFT - ROW_TRACK_SHIFT) {
            return Err(ProtectError::TooLarge("the number of tracks"));
        }
        // 38 bits of a row's number count: the half seconds since the epoch take 32.
        let row = row.wrapping_shl(ROW_SHIFT);
        let track = u64::from(track) << ROW_TRACK_SHIFT;
        Ok(self.start.wrapping_add(row).wrapping_add(track))
    }
}

fn hashed(domain: &[u8], kid: Kid, identity: &[u8]) -> u64 {
    let digest = Sha256::new()
        .chain_update(domain)
        .chain_update(kid.bytes())
        .chain_update(identity)
        .finalize();
    let mut hash = [0; 8];
    hash.iter_mut()
        .zip(digest.iter())
        .for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn segments_of_all_tracks_never_share_a_vector(
            segments in proptest::collection::vec((1usize..200, 12u64..5000), 1..30),
            tracks in 1u16..5,
            epoch in 0u64..1 << 47,
            timescale in 8192u32..100_000,
        ) {
            let kid = Kid::from_bytes([7; 16]);
            let mut seen = HashSet::new();
            for track in 0..tracks {
                let space = IvSpace::new(kid, b"asset", track);
                let mut time = epoch;
                for (samples, each) in &segments {
                    // Each lasts a unit at least.
                    let each = (*each).max(u64::from(timescale).div_ceil(8192) + 1);
                    let duration = each * *samples as u64;
                    let first = space.first(time, duration, *samples, timescale).unwrap();
                    for at in 0..*samples as u64 {
                        prop_assert!(seen.insert(first.wrapping_add(at)));
                    }
                    time += duration;
                }
            }
        }
    }

    #[test]
    fn another_version_of_a_file_starts_elsewhere() {
        let kid = Kid::from_bytes([7; 16]);
        let a = IvSpace::new(kid, b"asset \"1\"", 0);
        let b = IvSpace::new(kid, b"asset \"2\"", 0);
        assert_ne!(a, b);
        assert_eq!(a, IvSpace::new(kid, b"asset \"1\"", 0));
        assert!(a.first(0, 1, 2, 90_000).is_err());
        assert!(a.first(0, 1, 2, 0).is_err());
    }

    #[test]
    fn rows_tracks_and_samples_never_share_a_vector() {
        let ivs = RowIvs::new(Kid::from_bytes([7; 16]), b"asset\nshow");
        let rows = [
            0,
            1,
            1_780_272_000,
            1_780_272_001,
            3_560_544_000,
            (1 << 38) - 1,
        ];
        let mut spans = Vec::new();
        for row in rows {
            for track in [0, 1, 2, 1023] {
                let first = ivs.first(row, track, 1 << 16).unwrap();
                spans.push(first.wrapping_sub(ivs.start));
            }
        }
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[1] - pair[0] >= 1 << 16));
        assert!(ivs.first(0, 1024, 1).is_err() && ivs.first(0, 0, (1 << 16) + 1).is_err());
        assert_ne!(ivs, RowIvs::new(Kid::from_bytes([7; 16]), b"asset\nother"));
        assert_ne!(ivs, RowIvs::new(Kid::from_bytes([8; 16]), b"asset\nshow"));
    }
}
