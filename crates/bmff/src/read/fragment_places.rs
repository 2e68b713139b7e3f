//! Where a fragmented file says its fragments are: `mfra` at its end (ISO/IEC 14496-12 §8.8.10) or `sidx` in front of them
//! (§8.16.3).
//!
//! Both are hints: nothing keeps a writer from being wrong, so whoever reads fragments by them looks at every box all the
//! same. What they are good for is to ask for many at once.

/// Bytes of `mfro`, the last box of a file that has `mfra`.
pub const MFRO_LEN: u64 = 16;
/// Most fragments that are looked at: as many as a file of days has.
const MAX_ENTRIES: usize = 1 << 18;

/// Length of the `mfra` box, which ends where the file does. `end`: the last [`MFRO_LEN`] bytes of the file.
#[must_use]
pub fn mfra_len(end: &[u8]) -> Option<u64> {
    let mut fields = Fields(end);
    if fields.u32()? != 16 || fields.take(4)? != b"mfro" {
        return None;
    }
    fields.u32()?;
    Some(u64::from(fields.u32()?)).filter(|len| *len >= MFRO_LEN)
}

/// Offsets of the `moof` boxes that an `mfra` box lists, for all tracks, ascending. `mfra`: the whole box.
#[must_use]
pub fn mfra_places(mfra: &[u8]) -> Option<Vec<u64>> {
    let (name, mut rest, _) = Fields(mfra).child()?;
    if name != *b"mfra" {
        return None;
    }
    let mut places = Vec::new();
    while let Some((name, table, behind)) = rest.child() {
        rest = behind;
        if name == *b"tfra" {
            tfra(table, &mut places)?;
        }
    }
    places.sort_unstable();
    places.dedup();
    Some(places)
}

fn tfra(mut table: Fields<'_>, places: &mut Vec<u64>) -> Option<()> {
    let wide = table.u32()? >> 24 == 1;
    table.u32()?; // track id
    let lengths = table.u32()?;
    let behind = [lengths >> 4, lengths >> 2, lengths].map(|bits| usize::try_from(bits & 3));
    let mut skipped = 0_usize;
    for bytes in behind {
        skipped = skipped.checked_add(bytes.ok()?)?.checked_add(1)?;
    }
    for _ in 0..table.u32()? {
        let place = match wide {
            true => {
                table.u64()?;
                table.u64()?
            }
            false => {
                table.u32()?;
                u64::from(table.u32()?)
            }
        };
        table.take(skipped)?;
        if places.len() >= MAX_ENTRIES {
            return None;
        }
        places.push(place);
    }
    Some(())
}

/// Offsets of the subsegments that a `sidx` box lists, ascending. `sidx`: the whole box, which begins at `at`. `None` if it
/// leads to other `sidx` boxes.
#[must_use]
pub fn sidx_places(at: u64, sidx: &[u8]) -> Option<Vec<u64>> {
    let (name, mut fields, _) = Fields(sidx).child()?;
    if name != *b"sidx" {
        return None;
    }
    let wide = fields.u32()? >> 24 == 1;
    fields.take(8)?; // reference id, timescale
    let first = match wide {
        true => {
            fields.u64()?;
            fields.u64()?
        }
        false => {
            fields.u32()?;
            u64::from(fields.u32()?)
        }
    };
    let mut place = at
        .checked_add(u64::try_from(sidx.len()).ok()?)?
        .checked_add(first)?;
    let count = fields.u32()? & 0xffff;
    let mut places = Vec::new();
    for _ in 0..count {
        let reference = fields.u32()?;
        if reference >> 31 == 1 {
            return None;
        }
        fields.take(8)?;
        places.push(place);
        place = place.checked_add(u64::from(reference))?;
    }
    Some(places)
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        let bytes = self.take(8)?.try_into().ok()?;
        Some(u64::from_be_bytes(bytes))
    }

    /// The box that begins here: its type, its payload, and what follows it. `None` for one of 4 GiB.
    fn child(&self) -> Option<([u8; 4], Fields<'a>, Fields<'a>)> {
        let mut fields = Fields(self.0);
        let len = usize::try_from(fields.u32()?).ok()?;
        let name = <[u8; 4]>::try_from(fields.take(4)?).ok()?;
        let payload = fields.take(len.checked_sub(8)?)?;
        Some((name, Fields(payload), fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), name in 0usize..3) {
            if bytes.len() >= 16 {
                let len = (bytes.len() as u32).to_be_bytes();
                bytes[..4].copy_from_slice(&len);
                bytes[4..8].copy_from_slice([b"mfra", b"sidx", b"mfro"][name]);
                let inner = (bytes.len() as u32 - 8).to_be_bytes();
                bytes[8..12].copy_from_slice(&inner);
                bytes[12..16].copy_from_slice(b"tfra");
            }
            let _ = mfra_places(&bytes);
            let _ = sidx_places(7, &bytes);
            let _ = mfra_len(&bytes);
        }
    }

    #[test]
    fn counts_that_lie_take_no_memory() {
        let mut tfra = Vec::new();
        tfra.extend_from_slice(&[0; 8]);
        tfra.extend_from_slice(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        let mut mfra = Vec::new();
        mfra.extend_from_slice(&(tfra.len() as u32 + 16).to_be_bytes());
        mfra.extend_from_slice(b"mfra");
        mfra.extend_from_slice(&(tfra.len() as u32 + 8).to_be_bytes());
        mfra.extend_from_slice(b"tfra");
        mfra.extend_from_slice(&tfra);
        assert_eq!(mfra_places(&mfra), None);
    }
}
