//! Where the sample tables of a track are (ISO/IEC 14496-12 §8.6 and §8.7), with their counts checked against their boxes.

use std::ops::Range;

use crate::{BmffError, FourCc};

/// The rows of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Box path, for errors.
    pub(super) path: String,
    /// First byte of the first row in the file.
    pub(super) at: u64,
    pub(super) count: u32,
    /// Bits of a row: 4 to 96.
    pub(super) bits: u32,
}

/// The tables of one track; a later box of the same type takes the place of an earlier one.
#[derive(Debug, Clone, Default)]
pub(super) struct TablePlaces {
    /// The size of all samples, if it is the same.
    pub(super) uniform_size: Option<u32>,
    pub(super) sizes: Rows,
    pub(super) durations: Rows,
    pub(super) offsets: Rows,
    /// `None` if every sample is a sync sample.
    pub(super) sync: Option<Rows>,
    pub(super) chunk_runs: Rows,
    pub(super) chunks: Rows,
}

pub(super) fn is_table(name: &[u8; 4]) -> bool {
    matches!(
        name,
        b"stsz" | b"stz2" | b"stts" | b"ctts" | b"stss" | b"stsc" | b"stco" | b"co64"
    )
}

impl TablePlaces {
    pub(super) fn sample_count(&self) -> u32 {
        self.sizes.count
    }

    /// Notes table `name`. `payload`: where it is; `fields`: its first twelve bytes, or all if it has fewer.
    pub(super) fn note(
        &mut self,
        name: FourCc,
        path: String,
        payload: Range<u64>,
        fields: &[u8],
    ) -> Result<(), BmffError> {
        let field = |nth: usize| {
            let start = nth.saturating_mul(4);
            let bytes = fields.get(start..start.saturating_add(4));
            let bytes = bytes.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            bytes
                .map(u32::from_be_bytes)
                .ok_or_else(|| BmffError::Malformed {
                    path: path.clone(),
                    offset: payload.start,
                    fault: format!("a table of {} bytes", fields.len()),
                })
        };
        let has_size_field = name == b"stsz" || name == b"stz2";
        let (count, head) = match has_size_field {
            true => (field(2)?, 12),
            false => (field(1)?, 8),
        };
        let at = payload.start.saturating_add(head);
        let mut uniform_size = None;
        let bits = match &name.0 {
            b"stsz" => {
                uniform_size = Some(field(1)?).filter(|size| *size != 0);
                32
            }
            b"stz2" => match field(1)? & 0xff {
                width @ (4 | 8 | 16) => width,
                other => {
                    return Err(BmffError::Malformed {
                        path,
                        offset: at,
                        fault: format!("a field size of {other} bits"),
                    });
                }
            },
            b"stts" | b"ctts" | b"co64" => 64,
            b"stsc" => 96,
            _ => 32,
        };
        let left = payload.end.saturating_sub(at);
        let bytes = u64::from(count).saturating_mul(u64::from(bits)).div_ceil(8);
        if uniform_size.is_none() && bytes > left {
            return Err(BmffError::Malformed {
                path,
                offset: at,
                fault: format!(
                    "a table of {count} entries of {} bytes in a box with {left} bytes left",
                    bits.div_ceil(8)
                ),
            });
        }
        let rows = Rows {
            path,
            at,
            count,
            bits,
        };
        match &name.0 {
            b"stsz" | b"stz2" => (self.uniform_size, self.sizes) = (uniform_size, rows),
            b"stts" => self.durations = rows,
            b"ctts" => self.offsets = rows,
            b"stss" => self.sync = Some(rows),
            b"stsc" => self.chunk_runs = rows,
            _ => self.chunks = rows,
        }
        Ok(())
    }
}
