//! A protected segment: what precedes its media, and the cipher run over it.

use crate::boxes::{Auxiliary, Encryption, Iv};
use crate::fragment::{self, FragmentProtection};
use crate::{Cipher, Kid, Pattern, ProtectError, Scheme, Subsample};

/// How a track's segments are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentProtection {
    /// The scheme.
    pub scheme: Scheme,
    /// Of the key.
    pub kid: Kid,
    /// Whether samples have subsamples: video. Audio is protected as a whole.
    pub video: bool,
    /// The constant vector of `cbcs`: [`crate::IvSpace::constant`], or what a CPIX document says.
    pub constant_iv: [u8; 16],
}

impl SegmentProtection {
    /// What `tenc` says of the track, and `seig` of a fragment under another key.
    pub fn encryption(&self) -> Encryption {
        let (iv, pattern) = match (self.scheme, self.video) {
            (Scheme::Cenc | Scheme::Piff, _) => (Iv::PerSample, None),
            (Scheme::Cbcs, true) => (Iv::Constant(self.constant_iv), Some(Pattern::VIDEO)),
            (Scheme::Cbcs, false) => (Iv::Constant(self.constant_iv), Some(Pattern::WHOLE)),
        };
        Encryption {
            kid: self.kid,
            iv,
            pattern,
        }
    }

    /// The head of a protected segment. `samples`, and their places if not all of the segment's are there.
    fn head(
        &self,
        clear: &[u8],
        (samples, places): (&[Vec<Subsample>], Option<&[usize]>),
        first_iv: u64,
        rotated: Option<&[Vec<u8>]>,
    ) -> Result<Vec<u8>, ProtectError> {
        let per_sample = self.scheme != Scheme::Cbcs;
        let auxiliary = Auxiliary {
            first_iv: per_sample.then_some(first_iv),
            samples,
            places,
            subsamples: self.video,
        };
        fragment::protect(
            clear,
            &FragmentProtection {
                scheme: self.scheme,
                auxiliary,
                rotated: rotated.map(|_| self.encryption()),
                pssh: rotated.unwrap_or_default(),
            },
        )
    }

    /// Subsamples of samples that are protected as a whole, from their sizes: no media has to be read.
    pub fn whole(sizes: impl IntoIterator<Item = u32>) -> Vec<Vec<Subsample>> {
        let whole = |size| {
            vec![Subsample {
                clear: 0,
                protected: size,
            }]
        };
        sizes.into_iter().map(whole).collect()
    }
}

/// What replaces a clear segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedSegment {
    /// Everything up to the media: in place of the clear head.
    pub head: Vec<u8>,
    /// Over the media bytes, which stay where they are and keep their number.
    pub cipher: Cipher,
}

impl ProtectedSegment {
    /// Plans a segment.
    ///
    /// `head`: of the clear segment, up to and with the header of `mdat`. `samples`: subsamples of each sample.
    /// `first_iv`: of the first sample ([`crate::IvSpace::first`]); `cbcs` has no use for it. `rotated`: the samples are
    /// under a key that the init segment does not name; `pssh`: whole boxes that say so.
    ///
    /// Errors: `Mismatch` if `head` has another number of media bytes; as [`fragment::protect`].
    pub fn plan(
        protection: &SegmentProtection,
        head: &[u8],
        samples: Vec<Vec<Subsample>>,
        first_iv: u64,
        rotated: Option<&[Vec<u8>]>,
    ) -> Result<Self, ProtectError> {
        let head = protection.head(head, (&samples, None), first_iv, rotated)?;
        Self::over(protection, head, samples, first_iv)
    }

    /// Plans a fragment that has some samples of a segment alone: each is encrypted as it is in the segment, with the same vector.
    ///
    /// `head`: of the clear fragment. `samples`: subsamples of each sample of the segment. `places`: which of them the fragment
    /// has, ascending. `first_iv`: of the segment's first sample.
    ///
    /// Errors: `Mismatch` if `samples` has none at a place, or places do not ascend; as [`plan`](Self::plan).
    pub fn plan_some(
        protection: &SegmentProtection,
        head: &[u8],
        (samples, places): (Vec<Vec<Subsample>>, &[usize]),
        first_iv: u64,
    ) -> Result<Self, ProtectError> {
        let mut kept = Vec::with_capacity(places.len());
        let mut run = Vec::new();
        let mut rest = samples.into_iter();
        for place in places {
            let left_out = place.checked_sub(run.len());
            let left_out =
                left_out.ok_or(ProtectError::Mismatch("the samples are not in order"))?;
            let sample = rest.nth(left_out);
            let sample = sample.ok_or(ProtectError::Mismatch("the segment has fewer samples"))?;
            // A sample of no bytes takes its vector with it, wherever the cipher run is carried out.
            run.resize(*place, vec![NO_BYTES]);
            kept.push(sample.clone());
            run.push(sample);
        }
        let head = protection.head(head, (&kept, Some(places)), first_iv, None)?;
        Self::over(protection, head, run, first_iv)
    }

    /// `head`: of the protected segment.
    fn over(
        protection: &SegmentProtection,
        head: Vec<u8>,
        samples: Vec<Vec<Subsample>>,
        first_iv: u64,
    ) -> Result<Self, ProtectError> {
        let cipher = match (protection.scheme, protection.video) {
            (Scheme::Cenc | Scheme::Piff, _) => Cipher::Ctr { first_iv, samples },
            (Scheme::Cbcs, video) => Cipher::Cbcs {
                pattern: if video {
                    Pattern::VIDEO
                } else {
                    Pattern::WHOLE
                },
                iv: protection.constant_iv,
                samples,
            },
        };
        if Some(cipher.input_len()) != media_len(&head) {
            return Err(ProtectError::Mismatch(
                "the samples are not as long as the mdat that holds them",
            ));
        }
        Ok(Self { head, cipher })
    }
}

const NO_BYTES: Subsample = Subsample {
    clear: 0,
    protected: 0,
};

/// Bytes of media that the `mdat` header at the end of `head` announces.
fn media_len(head: &[u8]) -> Option<u64> {
    let (size, kind) = head.last_chunk::<8>()?.split_first_chunk::<4>()?;
    if kind == b"mdat" {
        return u64::from(u32::from_be_bytes(*size)).checked_sub(8);
    }
    let (large, size) = head.last_chunk::<16>()?.split_last_chunk::<8>()?;
    (large == b"\0\0\0\x01mdat").then_some(())?;
    u64::from_be_bytes(*size).checked_sub(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::{PIFF_SAMPLE_ENCRYPTION, boxed};
    use crate::{IvSpace, Key, encrypt};

    const SAMPLES: usize = 6;

    fn samples() -> Vec<Vec<Subsample>> {
        let part = |clear, protected| Subsample { clear, protected };
        (0..SAMPLES as u32)
            .map(|at| vec![part(3 + at, 40 + 16 * at), part(5, 33 - at)])
            .collect()
    }

    fn len(sample: &[Subsample]) -> usize {
        sample.iter().map(|part| part.len() as usize).sum()
    }

    /// The head of a clear fragment with so many bytes of media.
    fn head(media: usize) -> Vec<u8> {
        let tfhd = boxed(b"tfhd", &[&[0, 2, 0, 0, 0, 0, 0, 1]]).unwrap();
        let moof = boxed(b"moof", &[&boxed(b"traf", &[&tfhd]).unwrap()]).unwrap();
        let size = (media as u32 + 8).to_be_bytes();
        [&moof[..], &size, b"mdat"].concat()
    }

    /// What the box of a kind says of each sample.
    fn said(head: &[u8], scheme: Scheme, count: usize) -> Vec<Vec<u8>> {
        let kind: &[u8] = match scheme {
            Scheme::Piff => &PIFF_SAMPLE_ENCRYPTION,
            _ => b"senc",
        };
        let at = head.windows(kind.len()).position(|bytes| bytes == kind);
        let body = &head[at.unwrap() + kind.len()..];
        assert_eq!(body[4..8], (count as u32).to_be_bytes());
        // Vector, count, two subsamples of six bytes.
        let each = if scheme == Scheme::Cbcs { 14 } else { 22 };
        let entries = body[8..].chunks_exact(each);
        entries.take(count).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn some_samples_of_a_segment_are_encrypted_as_they_are_in_it() {
        let key = Key::new([9; 16]);
        let media: Vec<u8> = (0..1000).map(|at| (at * 7 % 251) as u8).collect();
        let ends = samples().into_iter().scan(0, |at, sample| {
            let begin = *at;
            *at += len(&sample);
            Some(begin..*at)
        });
        let ranges: Vec<_> = ends.collect();
        let whole = &media[..ranges[SAMPLES - 1].end];
        for scheme in [Scheme::Cenc, Scheme::Piff, Scheme::Cbcs] {
            let kid = Kid::from_bytes([1; 16]);
            let protection = SegmentProtection {
                scheme,
                kid,
                video: true,
                constant_iv: IvSpace::constant(kid),
            };
            // The vectors go round.
            let first_iv = u64::MAX - 1;
            let clear = head(whole.len());
            let full = ProtectedSegment::plan(&protection, &clear, samples(), first_iv, None);
            let full = full.unwrap();
            let encrypted = encrypt(&full.cipher, &key, whole).unwrap();
            let entries = said(&full.head, scheme, SAMPLES);
            for places in [
                &[0, 1, 2, 3, 4, 5][..],
                &[0],
                &[0, 3],
                &[2, 4],
                &[1, 2, 5],
                &[],
            ] {
                let of = |bytes: &[u8]| {
                    let parts = places
                        .iter()
                        .map(|place| bytes[ranges[*place].clone()].to_vec());
                    parts.collect::<Vec<_>>().concat()
                };
                let clear = head(of(whole).len());
                let some = (samples(), places);
                let some = ProtectedSegment::plan_some(&protection, &clear, some, first_iv);
                let some = some.unwrap();
                let made = encrypt(&some.cipher, &key, &of(whole)).unwrap();
                assert_eq!(made, of(&encrypted), "{scheme:?} {places:?}");
                let own = said(&some.head, scheme, places.len());
                let wanted: Vec<_> = places.iter().map(|at| entries[*at].clone()).collect();
                assert_eq!(own, wanted, "{scheme:?} {places:?}");
                if places.len() == SAMPLES {
                    assert_eq!(some, full);
                }
            }
            for places in [&[0, 0][..], &[2, 1], &[6], &[0, usize::MAX]] {
                let some = (samples(), places);
                let some = ProtectedSegment::plan_some(&protection, &clear, some, first_iv);
                assert!(some.is_err(), "{places:?}");
            }
        }
    }
}
