//! The ways of encrypting samples.

/// How samples of a track are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// AES-CTR over subsamples (CENC §10.1). Per sample IVs of 8 bytes.
    Cenc,
    /// AES-CBC with a pattern (CENC §10.4). One constant IV of 16 bytes.
    Cbcs,
    /// As [`Cenc`](Self::Cenc) in the boxes of PIFF 1.1 (Smooth Streaming).
    Piff,
}

impl Scheme {
    /// `schm`'s scheme type.
    pub const fn fourcc(self) -> &'static [u8; 4] {
        match self {
            Self::Cenc => b"cenc",
            Self::Cbcs => b"cbcs",
            Self::Piff => b"piff",
        }
    }

    /// `schm`'s scheme version.
    pub const fn version(self) -> u32 {
        match self {
            Self::Cenc | Self::Cbcs => 0x0001_0000,
            Self::Piff => 0x0001_0001,
        }
    }

    /// As DASH and CPIX spell it. PIFF has the encryption of `cenc`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cenc | Self::Piff => "cenc",
            Self::Cbcs => "cbcs",
        }
    }
}

/// Of ten 16-byte blocks, how many are encrypted and how many left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// Encrypted blocks.
    pub crypt: u8,
    /// Clear blocks. 0: everything is encrypted.
    pub skip: u8,
}

impl Pattern {
    /// What `cbcs` has for video.
    pub const VIDEO: Self = Self { crypt: 1, skip: 9 };
    /// What `cbcs` has for everything else: whole blocks, all of them.
    pub const WHOLE: Self = Self { crypt: 0, skip: 0 };
}
