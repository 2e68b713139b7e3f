//! Which bytes of a sample stay clear (CENC §9.5, §10.1, §10.4).
//!
//! Of a video sample these are the lengths and headers of all NAL units, slice headers, and NAL units that hold no picture
//! data. What is needed of the media to know: every NAL unit's length, and of those with picture data as many bytes as the
//! slice header has, rarely more than 40. Other bytes are not looked at, so a mapped file's pages stay where they are.

use crate::codec::{Av1State, AvcSets, HevcSets};
use crate::{ProtectError, Scheme};

/// A part of a sample: clear bytes, then protected ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subsample {
    /// Count of clear bytes.
    pub clear: u32,
    /// Count of protected bytes.
    pub protected: u32,
}

impl Subsample {
    /// Bytes of both.
    pub const fn len(&self) -> u64 {
        (self.clear as u64).saturating_add(self.protected as u64)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.clear == 0 && self.protected == 0
    }
}

/// Finds the subsamples of a track's samples, in decode order: parameter sets in samples count for what follows.
#[derive(Debug, Clone)]
pub enum Scanner {
    /// H.264 with NAL lengths of so many bytes (1, 2 or 4).
    Avc {
        /// Of each length field.
        nal_length_size: u8,
        /// Of the track.
        sets: AvcSets,
    },
    /// H.265, the same way.
    Hevc {
        /// Of each length field.
        nal_length_size: u8,
        /// Of the track.
        sets: HevcSets,
    },
    /// AV1: all but tiles stays clear.
    Av1(Box<Av1State>),
    /// Samples are protected as a whole: audio.
    Whole,
}

impl Scanner {
    /// For H.264. `sets`: every parameter set of `avcC`, NAL header included.
    ///
    /// Errors: `ParameterSet`; `Value` for another length size.
    pub fn avc<'a>(
        nal_length_size: u8,
        sets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, ProtectError> {
        check_length_size(nal_length_size)?;
        let mut known = AvcSets::default();
        for set in sets {
            known
                .add(set)
                .ok_or(ProtectError::ParameterSet("a parameter set of avcC"))?;
        }
        Ok(Self::Avc {
            nal_length_size,
            sets: known,
        })
    }

    /// For H.265, from the payload of `hvcC` (ISO/IEC 14496-15 §8.3.3.1).
    ///
    /// Errors: `ParameterSet`.
    pub fn hevc(record: &[u8]) -> Result<Self, ProtectError> {
        let broken = || ProtectError::ParameterSet("hvcC");
        let mut sets = HevcSets::default();
        let nal_length_size = (record.get(21).ok_or_else(broken)? & 3).saturating_add(1);
        check_length_size(nal_length_size)?;
        let mut rest = record.get(23..).ok_or_else(broken)?;
        for _ in 0..*record.get(22).ok_or_else(broken)? {
            let (head, tail) = rest.split_at_checked(3).ok_or_else(broken)?;
            let [_, high, low] = head else {
                return Err(broken());
            };
            rest = tail;
            for _ in 0..u16::from_be_bytes([*high, *low]) {
                let (length, tail) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
                let length = usize::from(u16::from_be_bytes(*length));
                let (nal, tail) = tail.split_at_checked(length).ok_or_else(broken)?;
                sets.add(nal)
                    .ok_or(ProtectError::ParameterSet("a parameter set of hvcC"))?;
                rest = tail;
            }
        }
        Ok(Self::Hevc {
            nal_length_size,
            sets,
        })
    }

    /// For AV1, from the payload of `av1C` (AV1 Codec ISO Media File Format Binding, §2.3).
    ///
    /// Errors: `ParameterSet`.
    pub fn av1(record: &[u8]) -> Result<Self, ProtectError> {
        let broken = || ProtectError::ParameterSet("av1C");
        let units = record.get(4..).ok_or_else(broken)?;
        let mut state = Av1State::default();
        state.tiles(units).map_err(|_| broken())?;
        Ok(Self::Av1(Box::new(state)))
    }

    /// The subsamples of the next sample: at least one, together as long as the sample. No clear part passes 65535 bytes,
    /// which is what `senc` can say.
    ///
    /// Errors: `Sample` if the NAL units do not fill the sample, or a slice header does not parse; `TooLarge` past 4 GiB.
    pub fn scan(&mut self, sample: &[u8], scheme: Scheme) -> Result<Vec<Subsample>, ProtectError> {
        let size = u32::try_from(sample.len()).map_err(|_| ProtectError::TooLarge("a sample"))?;
        let nal_length_size = match self {
            Self::Avc {
                nal_length_size, ..
            }
            | Self::Hevc {
                nal_length_size, ..
            } => *nal_length_size,
            Self::Av1(state) => return av1_parts(state, sample),
            Self::Whole => return Ok(vec![whole(size)]),
        };
        let mut parts = Parts::default();
        let mut at: usize = 0;
        while at < sample.len() {
            let fault = |fault| ProtectError::Sample { offset: at, fault };
            let body = at.saturating_add(nal_length_size.into());
            let length = sample
                .get(at..body)
                .ok_or_else(|| fault("its length is cut off"))?;
            let length = length
                .iter()
                .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
            let end = body.saturating_add(length);
            let nal = sample
                .get(body..end)
                .ok_or_else(|| fault("it is longer than the sample"))?;
            let header = self
                .header_len(nal)
                .ok_or_else(|| fault("its header does not parse"))?;
            let clear = usize::from(nal_length_size).saturating_add(header);
            parts.add(clear, nal.len().saturating_sub(header), scheme);
            at = end;
        }
        Ok(parts.finish())
    }

    /// Bytes of `nal` that stay clear; all of them if it holds no picture data. `None` if that cannot be told.
    fn header_len(&mut self, nal: &[u8]) -> Option<usize> {
        match self {
            _ if nal.is_empty() => Some(0),
            Self::Avc { sets, .. } => match nal.first()? & 31 {
                1 | 5 => sets.slice_header_len(nal),
                7 | 8 => sets.add(nal).map(|()| nal.len()),
                _ => Some(nal.len()),
            },
            Self::Hevc { sets, .. } => match crate::codec::nal_type(nal)? {
                0..=31 => sets.slice_header_len(nal),
                33 | 34 => sets.add(nal).map(|()| nal.len()),
                _ => Some(nal.len()),
            },
            Self::Av1(_) | Self::Whole => Some(0),
        }
    }
}

/// Tiles, whole blocks of each up to its last byte, whatever the scheme (AV1 binding, §4.2).
fn av1_parts(state: &mut Av1State, sample: &[u8]) -> Result<Vec<Subsample>, ProtectError> {
    let fault = "its headers do not parse";
    let tiles = state
        .tiles(sample)
        .map_err(|offset| ProtectError::Sample { offset, fault })?;
    let mut parts = Parts::default();
    let mut at: usize = 0;
    for tile in tiles {
        let clear = tile.start.saturating_sub(at);
        let len = tile.end.saturating_sub(tile.start);
        parts.add(clear, len, Scheme::Cenc);
        at = tile.end;
    }
    parts.add(sample.len().saturating_sub(at), 0, Scheme::Cenc);
    Ok(parts.finish())
}

fn check_length_size(size: u8) -> Result<(), ProtectError> {
    if matches!(size, 1 | 2 | 4) {
        return Ok(());
    }
    Err(ProtectError::value("NAL length size", "must be 1, 2 or 4"))
}

/// A sample that is protected as a whole.
pub(crate) const fn whole(size: u32) -> Subsample {
    Subsample {
        clear: 0,
        protected: size,
    }
}

/// Clear and protected bytes as they come, joined.
#[derive(Default)]
struct Parts {
    done: Vec<Subsample>,
    clear: usize,
}

impl Parts {
    fn add(&mut self, clear: usize, body: usize, scheme: Scheme) {
        // Counter mode protects whole blocks (CENC §10.1), so the clear part takes the odd bytes. With less than a block
        // nothing is encrypted either way.
        let protected = match scheme {
            Scheme::Cenc | Scheme::Piff => body & !15,
            Scheme::Cbcs if body < 16 => 0,
            Scheme::Cbcs => body,
        };
        let clear = clear.saturating_add(body.saturating_sub(protected));
        self.clear = self.clear.saturating_add(clear);
        if protected > 0 {
            self.close(protected);
        }
    }

    fn close(&mut self, protected: usize) {
        const MOST: usize = u16::MAX as usize;
        // The caller's sample is below 4 GiB, so the numbers fit.
        let fits = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        while self.clear > MOST {
            self.done.push(Subsample {
                clear: fits(MOST),
                protected: 0,
            });
            self.clear = self.clear.saturating_sub(MOST);
        }
        self.done.push(Subsample {
            clear: fits(self.clear),
            protected: fits(protected),
        });
        self.clear = 0;
    }

    fn finish(mut self) -> Vec<Subsample> {
        if self.clear > 0 || self.done.is_empty() {
            self.close(0);
        }
        self.done
    }
}
