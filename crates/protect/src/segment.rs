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
        let per_sample = protection.scheme != Scheme::Cbcs;
        let auxiliary = Auxiliary {
            first_iv: per_sample.then_some(first_iv),
            samples: &samples,
            subsamples: protection.video,
        };
        let head = fragment::protect(
            head,
            &FragmentProtection {
                scheme: protection.scheme,
                auxiliary,
                rotated: rotated.map(|_| protection.encryption()),
                pssh: rotated.unwrap_or_default(),
            },
        )?;
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
