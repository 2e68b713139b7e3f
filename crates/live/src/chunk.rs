//! A chunk's samples, from its header alone: what an origin needs to know of media that it never reads.
//!
//! ```text
//! emsg*, moof { mfhd, traf { tfhd, tfdt, trun } }  mdat header | media, which stays where it is
//! ```

use bytes::{Bytes, BytesMut};
use headwater_bmff::write::SegmentSample;
use headwater_bmff::{Limits, MovieReader, Step};

use crate::LiveError;

/// Largest header: that of two thousand samples takes 32 KiB.
pub const MAX_HEADER_BYTES: u32 = 1 << 20;

/// A reader looks at so many bytes where a box begins, which may be more than the header of `mdat` has.
const BEYOND: usize = 16;

/// One `moof` and what is in its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// `emsg` boxes, `moof` and the header of `mdat`.
    pub header: Bytes,
    /// Decode time of the first sample, ticks of the track.
    pub decode_time: u64,
    /// In decode order, not empty. Their bytes follow the header, one after the other.
    pub samples: Vec<SegmentSample>,
}

impl Chunk {
    /// Reads the header of a chunk of `size` bytes, header included. `init`: the track's CMAF header.
    ///
    /// Errors: `Box` if it is none, or its samples are not all of the bytes behind it.
    pub fn parse(init: &[u8], header: Bytes, size: u32) -> Result<Self, LiveError> {
        let wide = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let file_len = wide(init.len()).saturating_add(size.into());
        let mut front = BytesMut::with_capacity(
            init.len()
                .saturating_add(header.len())
                .saturating_add(BEYOND),
        );
        front.extend_from_slice(init);
        front.extend_from_slice(&header);
        front.extend_from_slice(&[0; BEYOND]);
        let front = front.freeze();
        let limits = Limits {
            moof_bytes: MAX_HEADER_BYTES.into(),
            samples: 1 << 16,
            window_bytes: 0,
            ..Limits::default()
        };
        let mut reader = MovieReader::with_limits(file_len, limits);
        let movie = loop {
            match reader.step()? {
                Step::Need { .. } => reader.feed(0, front.clone())?,
                Step::Done(movie) => break movie,
            }
        };
        let misfit = |fault: &'static str| LiveError::Chunk { fault };
        let mut tracks = movie.tracks.iter();
        let (Some(track), None) = (tracks.next(), tracks.next()) else {
            return Err(misfit("it is not of one track"));
        };
        let mut at = wide(init.len()).saturating_add(wide(header.len()));
        let (mut samples, mut decode_time) = (Vec::new(), None);
        for sample in &track.samples {
            if sample.offset != at {
                return Err(misfit("its samples are not behind its header, in order"));
            }
            at = at.saturating_add(sample.size.into());
            decode_time.get_or_insert(sample.dts);
            samples.push(SegmentSample {
                size: sample.size,
                duration: sample.duration,
                cto: sample.cto,
                sync: sample.sync,
            });
        }
        if at != file_len {
            return Err(misfit("its samples are not as long as its media"));
        }
        Ok(Self {
            header,
            decode_time: decode_time.ok_or_else(|| misfit("it has no samples"))?,
            samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::{Entry, init_segment};
    use headwater_bmff::write::{SegmentHeader, segment_header};
    use headwater_time::Timescale;
    use proptest::prelude::*;

    fn init() -> Vec<u8> {
        let entry = Entry::Audio {
            name: b"Opus",
            channels: 2,
            sample_rate: 48_000,
            config: (b"dOps", &[0, 2, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0]),
        };
        init_segment(Timescale::new(48_000).unwrap(), &entry)
    }

    proptest! {
        #[test]
        fn a_header_tells_its_samples(
            rows in proptest::collection::vec((1u32..5000, 1u32..3000, -300i32..300, any::<bool>()), 1..40),
            decode_time in 0u64..1 << 48,
        ) {
            let samples: Vec<SegmentSample> = rows
                .into_iter()
                .map(|(size, duration, cto, sync)| SegmentSample { size, duration, cto, sync })
                .collect();
            let header = segment_header(&SegmentHeader { sequence_number: 1, track_id: 1, decode_time, samples: &samples }).unwrap();
            let media: u32 = samples.iter().map(|sample| sample.size).sum();
            let size = u32::try_from(header.len()).unwrap() + media;
            let chunk = Chunk::parse(&init(), header.clone().into(), size).unwrap();
            prop_assert_eq!((chunk.decode_time, &chunk.samples), (decode_time, &samples));
            prop_assert!(Chunk::parse(&init(), header.clone().into(), size + 1).is_err());
            prop_assert!(Chunk::parse(&init(), header.into(), size - 1).is_err());
        }

        #[test]
        fn any_header_is_answered(header in proptest::collection::vec(any::<u8>(), 0..300), size in 0u32..400) {
            let _ = Chunk::parse(&init(), header.into(), size);
        }
    }
}
