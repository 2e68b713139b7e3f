//! `stbl`: the sample tables (ISO/IEC 14496-12 §8.5 to §8.7).
//!
//! Counts are checked against the payload before anything is allocated. What the tables mean together is checked by
//! [`TableBuilder`].

use super::cursor::{BoxReader, Read};
use super::entry::{SampleEntries, parse_stsd};
use crate::TrackKind;
use crate::table::{SampleSizes, StoredTables, TableBuilder};

/// The contents of `stbl`.
pub(super) struct SampleTables {
    pub(super) entries: SampleEntries,
    pub(super) samples: TableBuilder,
    /// Some samples use another sample entry than the first.
    pub(super) entry_changes: bool,
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
