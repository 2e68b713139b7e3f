//! What goes in front of a fragment's samples, [MS-SSTR] §2.2.4:
//!
//! ```text
//! moof { mfhd, traf { tfhd, trun, uuid tfxd, [uuid tfrf] } } mdat header
//! ```
//! There is no `tfdt`: players of this protocol take the time from the URL and from `tfxd`, and some stumble over it.
//! `trun` is of version 0, as the specification has it, unless a picture is presented before it is decoded; then 1.

/// `tfxd`: absolute time and duration.
const TFXD: [u8; 16] = [
    0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2,
];
/// `tfrf`: times and durations of the fragments after it.
const TFRF: [u8; 16] = [
    0xd4, 0x80, 0x7e, 0xf2, 0xca, 0x39, 0x46, 0x95, 0x8e, 0x54, 0x26, 0xcb, 0x9e, 0x46, 0xa7, 0x9f,
];
const SYNC_FLAGS: u32 = 0x0200_0000;
const NON_SYNC_FLAGS: u32 = 0x0101_0000;
/// `trun`: data offset; duration, size, flags and composition offset of each sample.
const RUN_FIELDS: u32 = 0x1 | 0x100 | 0x200 | 0x400 | 0x800;

const FULL_BOX: u32 = 12;
const TFHD_LEN: u32 = FULL_BOX + 4;
const MFHD_LEN: u32 = FULL_BOX + 4;
const TFXD_LEN: u32 = 8 + 16 + 4 + 16;
/// Without its entries.
const TFRF_LEN: u32 = 8 + 16 + 4 + 1;

/// A sample, in ticks of the stream's `TimeScale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes.
    pub size: u32,
    /// Ticks to the next one's decode time.
    pub duration: u32,
    /// Presentation time minus decode time.
    pub composition_offset: i32,
    /// Decodes without earlier samples.
    pub sync: bool,
}

/// A fragment that comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Following {
    /// Its time in the URL.
    pub start: u64,
    /// To the start of the next one.
    pub duration: u64,
}

/// A fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Ascending from fragment to fragment.
    pub sequence_number: u32,
    /// Track identifier.
    pub track_id: u32,
    /// Its time in the URL.
    pub start: u64,
    /// To the start of the next one.
    pub duration: u64,
    /// What clients of a live presentation learn from it, the next one first; 255 at most are said. None: no `tfrf`.
    pub following: &'a [Following],
    /// In decode order.
    pub samples: &'a [Sample],
}

/// A fragment whose boxes would pass 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fragment of more than 4 GiB")]
pub struct TooLarge;

impl Fragment<'_> {
    /// `moof`, and the header of the `mdat` that holds the samples.
    ///
    /// Errors: [`TooLarge`].
    pub fn header(&self) -> Result<Vec<u8>, TooLarge> {
        let count = u32::try_from(self.samples.len()).map_err(|_| TooLarge)?;
        let run_len = count
            .checked_mul(16)
            .and_then(|n| n.checked_add(FULL_BOX + 8));
        let run_len = run_len.ok_or(TooLarge)?;
        let following = self.following.get(..255).unwrap_or(self.following);
        let ahead = u8::try_from(following.len()).unwrap_or(u8::MAX);
        let tfrf_len = match ahead {
            0 => 0,
            count => u32::from(count).saturating_mul(16).saturating_add(TFRF_LEN),
        };
        let traf_len = run_len
            .checked_add(8 + TFHD_LEN + TFXD_LEN)
            .and_then(|n| n.checked_add(tfrf_len))
            .ok_or(TooLarge)?;
        let moof_len = traf_len.checked_add(8 + MFHD_LEN).ok_or(TooLarge)?;
        let mdat_len = self
            .samples
            .iter()
            .try_fold(8_u32, |sum, s| sum.checked_add(s.size));
        let mdat_len = mdat_len.ok_or(TooLarge)?;
        let mut out = Vec::with_capacity(
            usize::try_from(moof_len)
                .unwrap_or_default()
                .saturating_add(8),
        );
        header(&mut out, moof_len, *b"moof");
        header(&mut out, MFHD_LEN, *b"mfhd");
        words(&mut out, &[0, self.sequence_number]);
        header(&mut out, traf_len, *b"traf");
        header(&mut out, TFHD_LEN, *b"tfhd");
        words(&mut out, &[0, self.track_id]);
        header(&mut out, run_len, *b"trun");
        let signed = self.samples.iter().any(|s| s.composition_offset < 0);
        let version: u32 = if signed { 0x0100_0000 } else { 0 };
        let data_offset = moof_len.checked_add(8).ok_or(TooLarge)?;
        words(&mut out, &[version | RUN_FIELDS, count, data_offset]);
        for sample in self.samples {
            let flags = if sample.sync {
                SYNC_FLAGS
            } else {
                NON_SYNC_FLAGS
            };
            words(&mut out, &[sample.duration, sample.size, flags]);
            out.extend_from_slice(&sample.composition_offset.to_be_bytes());
        }
        header(&mut out, TFXD_LEN, *b"uuid");
        out.extend_from_slice(&TFXD);
        words(&mut out, &[0x0100_0000]);
        out.extend_from_slice(&self.start.to_be_bytes());
        out.extend_from_slice(&self.duration.to_be_bytes());
        if ahead > 0 {
            header(&mut out, tfrf_len, *b"uuid");
            out.extend_from_slice(&TFRF);
            words(&mut out, &[0x0100_0000]);
            out.push(ahead);
            for next in following {
                out.extend_from_slice(&next.start.to_be_bytes());
                out.extend_from_slice(&next.duration.to_be_bytes());
            }
        }
        header(&mut out, mdat_len, *b"mdat");
        Ok(out)
    }
}

fn header(out: &mut Vec<u8>, len: u32, name: [u8; 4]) {
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&name);
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_the_lengths_they_state() {
        let sample = |size, offset| Sample {
            size,
            duration: 400_000,
            composition_offset: offset,
            sync: offset == 0,
        };
        let fragment = Fragment {
            sequence_number: 3,
            track_id: 2,
            start: 40_000_000,
            duration: 800_000,
            following: &[],
            samples: &[sample(10, 0), sample(20, -400_000)],
        };
        let bytes = fragment.header().unwrap();
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(word(0) as usize + 8, bytes.len());
        // moof 8, mfhd 16, traf 8, tfhd 16, then trun.
        assert_eq!(&bytes[52..56], b"trun");
        assert_eq!(word(56), 0x0100_0f01);
        assert_eq!(
            word(64) as usize,
            bytes.len(),
            "the data offset is from moof to the first sample"
        );
        let end = bytes.len() - 8;
        assert_eq!((word(end), &bytes[end + 4..]), (38, &b"mdat"[..]));
        assert_eq!(bytes[end - 16..end - 8], 40_000_000_u64.to_be_bytes());
        let following = [
            Following {
                start: 48_000_000,
                duration: 800_000,
            },
            Following {
                start: 56_000_000,
                duration: 700_000,
            },
        ];
        let live = Fragment {
            following: &following,
            ..fragment
        };
        let longer = live.header().unwrap();
        assert_eq!(longer.len(), bytes.len() + 29 + 2 * 16);
        let offset = u32::from_be_bytes(longer[64..68].try_into().unwrap());
        assert_eq!(offset as usize, longer.len());
        let entries = &longer[longer.len() - 8 - 33..longer.len() - 8];
        assert_eq!(entries[0], 2);
        assert_eq!(entries[17..25], 56_000_000_u64.to_be_bytes());
        let huge = Fragment {
            samples: &[sample(u32::MAX, 0)],
            ..fragment
        };
        assert_eq!(huge.header(), Err(TooLarge));
    }
}
