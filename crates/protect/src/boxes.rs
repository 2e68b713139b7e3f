//! Boxes of common encryption (ISO/IEC 23001-7 §7, §8, §12; ISO/IEC 14496-12 §8.7.8, §8.7.9, §8.12) and of PIFF 1.1.
//!
//! Functions return whole boxes. What they are put into is for [`crate::init`] and [`crate::fragment`].

use crate::{Kid, Pattern, ProtectError, Scheme, Subsample};

/// PIFF's sample encryption box.
pub const PIFF_SAMPLE_ENCRYPTION: [u8; 16] = [
    0xa2, 0x39, 0x4f, 0x52, 0x5a, 0x9b, 0x4f, 0x14, 0xa2, 0x44, 0x6c, 0x42, 0x7c, 0x64, 0x8d, 0xf4,
];
/// PIFF's track encryption box.
pub const PIFF_TRACK_ENCRYPTION: [u8; 16] = [
    0x89, 0x74, 0xdb, 0xce, 0x7b, 0xe7, 0x4c, 0x51, 0x84, 0xf9, 0x71, 0x48, 0xf9, 0x88, 0x25, 0x54,
];
/// PIFF's protection system specific header box.
pub const PIFF_PSSH: [u8; 16] = [
    0xd0, 0x8a, 0x4f, 0x18, 0x10, 0xf3, 0x4a, 0x82, 0xb6, 0xc8, 0x32, 0xd8, 0xab, 0xa1, 0x83, 0xd3,
];

const SUBSAMPLES: u32 = 2;

/// What a track, or a group of its samples, is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    /// Of the key.
    pub kid: Kid,
    /// Vectors: per sample, or one for all.
    pub iv: Iv,
    /// Of `cbcs`; `None` writes none.
    pub pattern: Option<Pattern>,
}

/// Where initialisation vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iv {
    /// 8 bytes with each sample.
    PerSample,
    /// The same for every sample and subsample.
    Constant([u8; 16]),
}

impl Encryption {
    /// The fields that `tenc` and `seig` share (CENC §6, §8.2).
    fn fields(&self) -> Vec<u8> {
        let pattern = self.pattern.unwrap_or(Pattern::WHOLE);
        let mut out = vec![0, (pattern.crypt << 4) | (pattern.skip & 15), 1];
        match self.iv {
            Iv::PerSample => {
                out.push(8);
                out.extend_from_slice(self.kid.bytes());
            }
            Iv::Constant(iv) => {
                out.push(0);
                out.extend_from_slice(self.kid.bytes());
                out.push(16);
                out.extend_from_slice(&iv);
            }
        }
        out
    }
}

/// A box around `body`.
///
/// Errors: `TooLarge` past 4 GiB.
pub(crate) fn boxed(name: &[u8; 4], body: &[&[u8]]) -> Result<Vec<u8>, ProtectError> {
    let len = body
        .iter()
        .fold(8_usize, |sum, part| sum.saturating_add(part.len()));
    let size = u32::try_from(len).map_err(|_| ProtectError::TooLarge("a box"))?;
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(name);
    body.iter().for_each(|part| out.extend_from_slice(part));
    Ok(out)
}

/// Version and flags of a full box.
pub(crate) fn version(version: u8, flags: u32) -> [u8; 4] {
    ((u32::from(version) << 24) | (flags & 0xff_ffff)).to_be_bytes()
}

/// `tenc` (CENC §8.2): version 1 with a pattern.
pub fn tenc(encryption: &Encryption) -> Result<Vec<u8>, ProtectError> {
    let is_pattern = u8::from(encryption.pattern.is_some());
    boxed(b"tenc", &[&version(is_pattern, 0), &encryption.fields()])
}

/// `sinf { frma, schm, schi { tenc } }` of a sample entry that was `original`; with PIFF's track encryption box for PIFF.
pub fn sinf(
    original: &[u8; 4],
    scheme: Scheme,
    encryption: &Encryption,
) -> Result<Vec<u8>, ProtectError> {
    let track = match scheme {
        Scheme::Cenc | Scheme::Cbcs => tenc(encryption)?,
        Scheme::Piff => {
            // Algorithm 1 is AES-CTR; vectors of 8 bytes.
            let fields: [&[u8]; 4] = [&version(0, 0), &[0, 0, 1], &[8], encryption.kid.bytes()];
            boxed(b"uuid", &[&PIFF_TRACK_ENCRYPTION, &fields.concat()])?
        }
    };
    let frma = boxed(b"frma", &[original])?;
    let schm = boxed(
        b"schm",
        &[
            &version(0, 0),
            scheme.fourcc(),
            &scheme.version().to_be_bytes(),
        ],
    )?;
    let schi = boxed(b"schi", &[&track])?;
    boxed(b"sinf", &[&frma, &schm, &schi])
}

/// What `senc` says of a fragment's samples.
#[derive(Debug, Clone, Copy)]
pub struct Auxiliary<'a> {
    /// Of the segment's first sample, each other has one more; `None` with a constant vector.
    pub first_iv: Option<u64>,
    /// Of each sample.
    pub samples: &'a [Vec<Subsample>],
    /// Where in its segment each sample is, whose vector is as far from the first one: of a fragment that leaves samples out.
    /// `None`: one behind the other.
    pub places: Option<&'a [usize]>,
    /// Whether subsamples are written. Without them samples are protected as a whole.
    pub subsamples: bool,
}

impl Auxiliary<'_> {
    /// Whether there is nothing to say: constant vector, whole samples (CENC §7.2.2).
    pub fn is_empty(&self) -> bool {
        self.first_iv.is_none() && !self.subsamples
    }

    /// The bytes of each sample, and the size that `saiz` has for it.
    fn entries(&self) -> Result<(Vec<u8>, Vec<u8>), ProtectError> {
        let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
        for (at, sample) in self.samples.iter().enumerate() {
            let start = bytes.len();
            if let Some(first) = self.first_iv {
                let place = self.place(at)?;
                bytes.extend_from_slice(&first.wrapping_add(place).to_be_bytes());
            }
            if self.subsamples {
                let count = u16::try_from(sample.len())
                    .map_err(|_| ProtectError::TooLarge("the number of subsamples of a sample"))?;
                bytes.extend_from_slice(&count.to_be_bytes());
                for part in sample {
                    let clear = u16::try_from(part.clear)
                        .map_err(|_| ProtectError::TooLarge("the clear part of a subsample"))?;
                    bytes.extend_from_slice(&clear.to_be_bytes());
                    bytes.extend_from_slice(&part.protected.to_be_bytes());
                }
            }
            let size = bytes.len().saturating_sub(start);
            let size = u8::try_from(size)
                .map_err(|_| ProtectError::TooLarge("the number of subsamples of a sample"))?;
            sizes.push(size);
        }
        Ok((bytes, sizes))
    }

    /// Of the sample `at`.
    fn place(&self, at: usize) -> Result<u64, ProtectError> {
        let place = match self.places {
            Some(places) => places.get(at).copied(),
            None => Some(at),
        };
        let missing = ProtectError::Mismatch("a sample has no place in its segment");
        u64::try_from(place.ok_or(missing)?)
            .map_err(|_| ProtectError::TooLarge("the number of samples"))
    }

    fn count(&self) -> Result<[u8; 4], ProtectError> {
        u32::try_from(self.samples.len())
            .map(u32::to_be_bytes)
            .map_err(|_| ProtectError::TooLarge("the number of samples"))
    }

    fn flags(&self) -> u32 {
        if self.subsamples { SUBSAMPLES } else { 0 }
    }
}

/// `senc`, and where its samples' information begins in it.
pub fn senc(auxiliary: &Auxiliary<'_>) -> Result<(Vec<u8>, u32), ProtectError> {
    let (bytes, _) = auxiliary.entries()?;
    let head = version(0, auxiliary.flags());
    let made = boxed(b"senc", &[&head, &auxiliary.count()?, &bytes])?;
    Ok((made, 16))
}

/// PIFF's sample encryption box, which says the same.
pub fn piff_senc(auxiliary: &Auxiliary<'_>) -> Result<Vec<u8>, ProtectError> {
    let (bytes, _) = auxiliary.entries()?;
    let head = version(0, auxiliary.flags());
    boxed(
        b"uuid",
        &[&PIFF_SAMPLE_ENCRYPTION, &head, &auxiliary.count()?, &bytes],
    )
}

/// `saiz`: one size for all samples where that is so.
pub fn saiz(auxiliary: &Auxiliary<'_>) -> Result<Vec<u8>, ProtectError> {
    let (_, sizes) = auxiliary.entries()?;
    let count = auxiliary.count()?;
    let first = sizes.first().copied().unwrap_or(0);
    let alike = first > 0 && sizes.iter().all(|size| *size == first);
    let (default, table): (u8, &[u8]) = if alike { (first, &[]) } else { (0, &sizes) };
    boxed(b"saiz", &[&version(0, 0), &[default], &count, table])
}

/// `saio` with one offset, from the start of the `moof`.
pub fn saio(offset: u32) -> Result<Vec<u8>, ProtectError> {
    boxed(
        b"saio",
        &[&version(0, 0), &1_u32.to_be_bytes(), &offset.to_be_bytes()],
    )
}

/// `sgpd` and `sbgp` that put all `samples` of a fragment under another key than `tenc` says: key rotation (CENC §6).
pub fn seig(encryption: &Encryption, samples: u32) -> Result<Vec<u8>, ProtectError> {
    let entry = encryption.fields();
    let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
    let mut out = boxed(
        b"sgpd",
        &[
            &version(1, 0),
            b"seig",
            &length.to_be_bytes(),
            &1_u32.to_be_bytes(),
            &entry,
        ],
    )?;
    // Indices above 0x10000 count in the fragment's own descriptions (ISO/IEC 14496-12 §8.9.4).
    out.extend(boxed(
        b"sbgp",
        &[
            &version(0, 0),
            b"seig",
            &1_u32.to_be_bytes(),
            &samples.to_be_bytes(),
            &0x1_0001_u32.to_be_bytes(),
        ],
    )?);
    Ok(out)
}
