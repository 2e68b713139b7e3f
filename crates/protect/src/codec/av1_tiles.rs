//! How an AV1 frame is divided into tiles (§5.9.15).

use super::av1_bits::Bits;
use super::av1_frame::Size;

const MAX_WIDTH: u32 = 4096;
const MAX_AREA: u32 = 4096 * 2304;
const MAX_COLUMNS: u32 = 64;
const MAX_ROWS: u32 = 64;

#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    columns: u32,
    rows: u32,
    /// Of columns and rows, together.
    log2: u32,
}

/// The smallest number of doublings after which `block` reaches `target`.
fn tile_log2(block: u32, target: u32) -> u32 {
    let mut count: u32 = 0;
    while count < 31 && u64::from(block) << count < u64::from(target) {
        count = count.saturating_add(1);
    }
    count
}

impl Tiles {
    pub(super) fn count(&self) -> u32 {
        self.columns.saturating_mul(self.rows)
    }

    pub(super) fn bits(&self) -> u32 {
        self.log2
    }

    pub(super) fn parse(large: bool, size: Size, bits: &mut Bits<'_>) -> Option<Self> {
        let blocks = |pixels: u32| {
            let units = (pixels.checked_add(7)? >> 3).checked_mul(2)?;
            match large {
                true => Some(units.checked_add(31)? >> 5),
                false => Some(units.checked_add(15)? >> 4),
            }
        };
        let (across, down) = (blocks(size.width)?, blocks(size.height)?);
        let shift = if large { 7 } else { 6 };
        let max_width = MAX_WIDTH >> shift;
        let max_area = MAX_AREA >> (2_u32.checked_mul(shift)?);
        let area = across.checked_mul(down)?;
        let min_columns = tile_log2(max_width, across);
        let max_columns = tile_log2(1, across.min(MAX_COLUMNS));
        let max_rows = tile_log2(1, down.min(MAX_ROWS));
        let min_tiles = min_columns.max(tile_log2(max_area, area));
        if bits.flag()? {
            let (columns, columns_log2) = uniform(across, min_columns, max_columns, bits)?;
            let min_rows = min_tiles.saturating_sub(columns_log2);
            let (rows, rows_log2) = uniform(down, min_rows, max_rows, bits)?;
            return Some(Self {
                columns,
                rows,
                log2: columns_log2.checked_add(rows_log2)?,
            });
        }
        let (columns, widest) = listed(across, max_width, MAX_COLUMNS, bits)?;
        let max_area = match min_tiles {
            0 => area,
            tiles => area.checked_shr(tiles.checked_add(1)?)?,
        };
        let max_height = max_area.checked_div(widest)?.max(1);
        let (rows, _) = listed(down, max_height, MAX_ROWS, bits)?;
        Some(Self {
            columns,
            rows,
            log2: tile_log2(1, columns).checked_add(tile_log2(1, rows))?,
        })
    }
}

/// Tiles of one size: how many, and the number of doublings.
fn uniform(blocks: u32, least: u32, most: u32, bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let mut log2 = least;
    while log2 < most && bits.flag()? {
        log2 = log2.checked_add(1)?;
    }
    let size = blocks.checked_add(1_u32.checked_shl(log2)?.checked_sub(1)?)?;
    let size = size.checked_shr(log2)?;
    if size == 0 {
        return None;
    }
    Some((blocks.div_ceil(size), log2))
}

/// Tiles whose sizes are listed: how many, and the largest.
fn listed(blocks: u32, most: u32, limit: u32, bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let (mut start, mut count, mut largest) = (0_u32, 0_u32, 0_u32);
    while start < blocks {
        if count >= limit {
            return None;
        }
        let left = blocks.checked_sub(start)?.min(most);
        let size = bits.ns(left)?.checked_add(1)?;
        largest = largest.max(size);
        start = start.checked_add(size)?;
        count = count.checked_add(1)?;
    }
    Some((count, largest))
}
