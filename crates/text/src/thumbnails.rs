//! Sprite sheets: the WebVTT that says which part of which picture shows what time.
//!
//! A cue's text is `{file}#xywh={x},{y},{width},{height}` (Media Fragments URI 1.0 §4.2.2, pixels), as the encoders of Azure
//! Media Services and MK.IO write it. [`Track::of`] finds the grid that HLS and DASH describe such sheets by.

use crate::time::Span;
use crate::vtt;
use std::collections::HashSet;

/// A track of sprite sheets: all have the same grid, and all but the last the same number of tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Size of a tile, pixels.
    pub tile: (u32, u32),
    /// Tiles beside each other in a sheet.
    pub columns: u32,
    /// Tiles above each other.
    pub rows: u32,
    /// How long a tile is shown, milliseconds.
    pub tile_ms: u64,
    /// When the first tile begins and the last one ends.
    pub span: Span,
    /// In order, not empty.
    pub sheets: Vec<Sheet>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// As the WebVTT names it: relative to that.
    pub file: String,
    /// What all of its tiles show.
    pub span: Span,
}

/// Most sheets: ten thousand times a hundred pictures.
const MAX_SHEETS: usize = 10_000;

/// A tile of a sheet.
struct Tile<'a> {
    span: Span,
    file: &'a str,
    rect: [u32; 4],
}

impl Track {
    /// The sheets that the cues of a document are parts of. `None` if it is of something else: cues that are not parts of
    /// pictures, or whose tiles are not a grid with the same time for each.
    #[must_use]
    pub fn of(document: &vtt::Document) -> Option<Self> {
        let tiles: Option<Vec<Tile<'_>>> = document.cues.iter().map(tile).collect();
        grid(&tiles?)
    }

    /// How long a full sheet is shown, milliseconds.
    #[must_use]
    pub fn sheet_ms(&self) -> u64 {
        let tiles = u64::from(self.columns).saturating_mul(self.rows.into());
        self.tile_ms.saturating_mul(tiles)
    }
}

fn tile(cue: &vtt::Cue) -> Option<Tile<'_>> {
    let (file, fragment) = cue.text.trim().split_once('#')?;
    let numbers = fragment.strip_prefix("xywh=")?;
    let numbers = numbers.strip_prefix("pixel:").unwrap_or(numbers);
    let numbers: Option<Vec<u32>> = numbers.split(',').map(|n| n.trim().parse().ok()).collect();
    let rect: [u32; 4] = numbers?.try_into().ok()?;
    let [_, _, width, height] = rect;
    (!file.is_empty() && width > 0 && height > 0).then_some(Tile {
        span: cue.span,
        file,
        rect,
    })
}

fn grid(tiles: &[Tile<'_>]) -> Option<Track> {
    let (first, last) = (tiles.first()?, tiles.last()?);
    let [_, _, width, height] = first.rect;
    let per_sheet = tiles.iter().take_while(|t| t.file == first.file).count();
    let columns = tiles
        .iter()
        .take(per_sheet)
        .take_while(|t| t.rect.get(1) == first.rect.get(1))
        .count();
    let rows = per_sheet.div_ceil(columns);
    let tile_ms = first.span.end_ms.saturating_sub(first.span.start_ms);
    let mut sheets: Vec<Sheet> = Vec::new();
    let mut files = HashSet::new();
    for (at, tile) in tiles.iter().enumerate() {
        let within = at.checked_rem(per_sheet)?;
        let (row, column) = (within.checked_div(columns)?, within.checked_rem(columns)?);
        let place = |count: usize, size: u32| u32::try_from(count).ok()?.checked_mul(size);
        let expected = [place(column, width)?, place(row, height)?, width, height];
        let start = u64::try_from(at).ok()?.checked_mul(tile_ms)?;
        let start = start.checked_add(first.span.start_ms)?;
        // Writers round times to milliseconds; the last tile may end with the video.
        let off = tile.span.start_ms.abs_diff(start);
        let half = tile_ms.checked_div(2).unwrap_or_default();
        let allowed = u64::try_from(at).ok()?.saturating_add(1).min(half);
        if tile.rect != expected || off > allowed {
            return None;
        }
        let full = sheets.len() >= MAX_SHEETS;
        match sheets.last_mut() {
            Some(sheet) if within > 0 && sheet.file == tile.file => {
                sheet.span.end_ms = tile.span.end_ms;
            }
            _ if within > 0 || full || !files.insert(tile.file) => {
                return None;
            }
            _ => sheets.push(Sheet {
                file: tile.file.to_owned(),
                span: tile.span,
            }),
        }
    }
    (tile_ms > 0).then_some(Track {
        tile: (width, height),
        columns: u32::try_from(columns).ok()?,
        rows: u32::try_from(rows).ok()?,
        tile_ms,
        span: Span {
            start_ms: first.span.start_ms,
            end_ms: last.span.end_ms,
        },
        sheets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Track> {
        Track::of(crate::Text::parse(text.as_bytes()).unwrap().0.cues())
    }

    fn sheets(count: u32, per_sheet: u32, columns: u32) -> String {
        let mut text = "WEBVTT\n".to_owned();
        for at in 0..count {
            let within = at % per_sheet;
            let (x, y) = (within % columns * 160, within / columns * 90);
            text.push('\n');
            crate::time::clock_time(&mut text, u64::from(at) * 5000);
            text.push_str(" --> ");
            crate::time::clock_time(&mut text, u64::from(at) * 5000 + 5000);
            text.push_str(&format!(
                "\nfilm-{:06}.jpg#xywh={x},{y},160,90\n",
                at / per_sheet + 1
            ));
        }
        text
    }

    #[test]
    fn a_grid_is_found() {
        let track = parse(&sheets(60, 25, 5)).unwrap();
        assert_eq!((track.tile, track.columns, track.rows), ((160, 90), 5, 5));
        assert_eq!((track.tile_ms, track.sheet_ms()), (5000, 125_000));
        let files: Vec<_> = track.sheets.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(
            files,
            ["film-000001.jpg", "film-000002.jpg", "film-000003.jpg"]
        );
        assert_eq!(
            track.sheets[2].span,
            Span {
                start_ms: 250_000,
                end_ms: 300_000
            }
        );
        // Of a single sheet that is not full, what is there is the grid.
        let track = parse(&sheets(7, 25, 5)).unwrap();
        assert_eq!((track.columns, track.rows), (5, 2));
        let track = parse(&sheets(1, 25, 5)).unwrap();
        assert_eq!((track.columns, track.rows), (1, 1));
    }

    #[test]
    fn other_files_are_not_taken_for_sheets() {
        let not = |text: &str| assert_eq!(parse(text), None, "{text}");
        not("WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n");
        not("WEBVTT\n");
        not(&sheets(10, 5, 5).replace("xywh=160,", "xywh=161,"));
        not(&sheets(10, 5, 5).replace("film-000002", "film-000001"));
        not("WEBVTT\n\n00:00.000 --> 00:01.000\na.jpg#xywh=0,0,0,9\n");
    }
}
