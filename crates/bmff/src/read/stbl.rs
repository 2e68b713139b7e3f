//! `stbl`: the sample tables (ISO/IEC 14496-12 §8.5 to §8.7).
//!
//! Counts are checked against the payload before anything is allocated. What the tables mean together is checked by
//! [`TableBuilder`].

use super::cursor::{BoxReader, Read};
use super::entry::{SampleEntries, parse_stsd};
use crate::table::{SampleSizes, StoredTables, TableBuilder};
use crate::{FourCc, OtherCodec, TrackKind};

/// The contents of `stbl`.
pub(super) struct SampleTables {
    pub(super) entries: SampleEntries,
    pub(super) samples: TableBuilder,
    /// Some samples use another sample entry than the first.
    pub(super) entry_changes: bool,
}

impl SampleTables {
    /// No samples, of a track that nobody reads.
    pub(super) fn unread(handler: FourCc) -> Self {
        Self {
            entries: SampleEntries::other(OtherCodec::recognise(handler)),
            samples: TableBuilder::default(),
            entry_changes: false,
        }
    }
}

pub(super) fn parse(stbl: &mut BoxReader<'_>, kind: TrackKind) -> Read<SampleTables> {
    let mut entries = None;
    let mut sizes = None;
    let mut entry_changes = false;
    let mut stored = StoredTables {
        sizes: SampleSizes::Uniform { size: 0, count: 0 },
        durations: Vec::new(),
        offsets: Vec::new(),
        sync: None,
        chunk_runs: Vec::new(),
        chunk_offsets: Vec::new(),
    };
    stbl.children(|table, name| {
        match &name.0 {
            b"stsd" => entries = Some(parse_stsd(table, kind)?),
            b"stsz" => sizes = Some(stsz(table)?),
            b"stz2" => sizes = Some(stz2(table)?),
            b"stts" => {
                stored.durations = rows(table, |row| Ok((row.u32()?, row.u32()?)), 8)?;
            }
            // Version 0 is unsigned on paper; QuickTime and others write negative offsets into it nonetheless.
            b"ctts" => {
                stored.offsets = rows(table, |row| Ok((row.u32()?, row.i32()?)), 8)?;
            }
            b"stss" => stored.sync = Some(rows(table, |row| row.u32(), 4)?),
            b"stsc" => {
                stored.chunk_runs = rows(
                    table,
                    |row| {
                        let run = (row.u32()?, row.u32()?);
                        entry_changes |= row.u32()? > 1;
                        Ok(run)
                    },
                    12,
                )?;
                let mut firsts = stored.chunk_runs.iter().map(|(first, _)| *first);
                if !firsts.by_ref().is_sorted() {
                    return Err(table.malformed("chunk numbers do not ascend"));
                }
            }
            b"stco" => stored.chunk_offsets = rows(table, |row| row.u32().map(u64::from), 4)?,
            b"co64" => stored.chunk_offsets = rows(table, |row| row.u64(), 8)?,
            _ => {}
        }
        Ok(())
    })?;
    let entries = entries.ok_or_else(|| stbl.malformed("no stsd box"))?;
    stored.sizes = sizes.unwrap_or(SampleSizes::Uniform { size: 0, count: 0 });
    let mut samples = TableBuilder::from_stored(stored).map_err(|fault| stbl.malformed(fault))?;
    if kind == TrackKind::Audio {
        // Some writers list only the first frame.
        samples.all_sync();
    }
    Ok(SampleTables {
        entries,
        samples,
        entry_changes,
    })
}

/// The rows of a full box that holds a count and as many entries of `row_bytes`.
fn rows<T>(
    table: &mut BoxReader<'_>,
    mut row: impl FnMut(&mut BoxReader<'_>) -> Read<T>,
    row_bytes: usize,
) -> Read<Vec<T>> {
    table.version_and_flags()?;
    let count = table.table_count(row_bytes)?;
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        rows.push(row(table)?);
    }
    Ok(rows)
}

fn stsz(table: &mut BoxReader<'_>) -> Read<SampleSizes> {
    table.version_and_flags()?;
    let size = table.u32()?;
    let count = table.u32()?;
    if size != 0 {
        return Ok(SampleSizes::Uniform { size, count });
    }
    let count = table.check_count(count, 4)?;
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        sizes.push(table.u32()?);
    }
    Ok(SampleSizes::Listed(sizes))
}

/// §8.7.3.3: sizes of 4, 8 or 16 bits.
fn stz2(table: &mut BoxReader<'_>) -> Read<SampleSizes> {
    table.version_and_flags()?;
    table.skip(3)?;
    let width = table.u8()?;
    let count = table.u32()?;
    let mut sizes = Vec::new();
    match width {
        4 => {
            let bytes = table.check_count(count.div_ceil(2), 1)?;
            for byte in table.take(bytes)? {
                sizes.push(u32::from(byte >> 4));
                sizes.push(u32::from(byte & 15));
            }
            sizes.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        }
        8 => {
            let count = table.check_count(count, 1)?;
            sizes.extend(table.take(count)?.iter().copied().map(u32::from));
        }
        16 => {
            for _ in 0..table.check_count(count, 2)? {
                sizes.push(u32::from(table.u16()?));
            }
        }
        other => return Err(table.malformed(format!("a field size of {other} bits"))),
    }
    Ok(SampleSizes::Listed(sizes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FourCc;
    use crate::read::cursor::Path;
    use crate::table::Sample;

    fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, payload].concat()
    }

    /// A full box of version 0 around 32-bit fields.
    fn table(name: &[u8; 4], fields: &[u32]) -> Vec<u8> {
        let mut payload = vec![0; 4];
        fields
            .iter()
            .for_each(|field| payload.extend_from_slice(&field.to_be_bytes()));
        boxed(name, &payload)
    }

    /// An `stsd` with one entry that is only recognised.
    fn entries() -> Vec<u8> {
        let entry = boxed(b"vp09", &[0; 78]);
        boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat())
    }

    fn read(tables: &[Vec<u8>]) -> Read<Vec<Sample>> {
        let payload = [entries(), tables.concat()].concat();
        let path = Path::top(FourCc(*b"stbl"));
        let parsed = parse(&mut BoxReader::new(&path, 0, &payload), TrackKind::Video)?;
        Ok(parsed.samples.into_table().iter().collect())
    }

    fn compact_sizes(width: u8, count: u32, sizes: &[u8]) -> Vec<u8> {
        let head = [0, 0, 0, 0, 0, 0, 0, width];
        boxed(b"stz2", &[&head[..], &count.to_be_bytes(), sizes].concat())
    }

    fn rest(count: u32) -> Vec<Vec<u8>> {
        vec![
            table(b"stts", &[1, count, 10]),
            table(b"stsc", &[1, 1, 2, 1]),
            boxed(
                b"co64",
                &[
                    &[0, 0, 0, 0, 0, 0, 0, 2][..],
                    &(1_u64 << 40).to_be_bytes(),
                    &(1_u64 << 41).to_be_bytes(),
                ]
                .concat(),
            ),
        ]
    }

    #[test]
    fn compact_sizes_of_every_width_and_large_offsets() {
        for (width, bytes) in [
            (4, &[0x12, 0x3f][..]),
            (8, &[1, 2, 3][..]),
            (16, &[0, 1, 0, 2, 0, 3][..]),
        ] {
            let tables = [vec![compact_sizes(width, 3, bytes)], rest(3)].concat();
            let samples = read(&tables).unwrap();
            let places: Vec<(u64, u32)> = samples.iter().map(|s| (s.offset, s.size)).collect();
            let (first, second) = (1 << 40, 1 << 41);
            assert_eq!(places, [(first, 1), (first + 1, 2), (second, 3)]);
            assert!(samples.iter().all(|sample| sample.sync), "no stss");
        }
        assert!(read(&[vec![compact_sizes(4, 5, &[0x12, 0x3f])], rest(5)].concat()).is_err());
        assert!(read(&[vec![compact_sizes(5, 1, &[0x12])], rest(1)].concat()).is_err());
    }

    #[test]
    fn negative_offsets_in_version_0_are_negative() {
        let offsets = table(b"ctts", &[2, 1, 20, 2, u32::MAX]);
        let sync = table(b"stss", &[1, 1]);
        let sizes = table(b"stsz", &[7, 3]);
        let samples = read(&[vec![sizes, offsets, sync], rest(3)].concat()).unwrap();
        let times: Vec<i64> = samples.iter().map(Sample::composition_time).collect();
        assert_eq!(times, [20, 9, 19]);
        assert_eq!(samples.iter().filter(|sample| sample.sync).count(), 1);
    }

    #[test]
    fn chunk_numbers_that_fall_are_refused() {
        let mut tables = rest(3);
        tables[1] = table(b"stsc", &[2, 2, 1, 1, 1, 1, 1]);
        let sizes = table(b"stsz", &[7, 3]);
        let error = read(&[vec![sizes], tables].concat()).unwrap_err();
        assert!(error.to_string().ends_with("chunk numbers do not ascend"));
    }
}
