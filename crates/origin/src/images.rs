//! Sheets of pictures for seeking: what an asset has of them, and the words of HLS and DASH for it.
//!
//! A WebVTT file in the asset whose cues are parts of pictures (`sheet.jpg#xywh=..`) is what makes a track of them, whatever
//! the files are called. Their segments are the pictures, numbered from 1.

use crate::address::child::Carried;
use crate::presentation::is_inside;
use headwater_dash as dash;
use headwater_hls as hls;
use headwater_text::thumbnails;
use percent_encoding::percent_decode_str;

/// Stream name of the track in URLs.
pub(crate) const NAME: &str = "thumbnails";

/// A track of sheets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Images {
    pub(crate) track: thumbnails::Track,
    /// The pictures, relative to the asset, in order.
    pub(crate) files: Vec<String>,
    /// Bit rate in URLs, bit/s: that of the first sheet.
    pub(crate) bitrate: u32,
    /// Entity tag of the WebVTT file.
    pub(crate) etag: String,
}

/// The files of a track's sheets, relative to the asset. `None` if one of them is somewhere else.
pub(crate) fn files(track: &thumbnails::Track) -> Option<Vec<String>> {
    let files = track.sheets.iter().map(|sheet| {
        let file = percent_decode_str(&sheet.file).decode_utf8().ok()?;
        let file = file.strip_prefix("./").unwrap_or(&file);
        let jpeg = [".jpg", ".jpeg"]
            .iter()
            .any(|e| file.to_ascii_lowercase().ends_with(e));
        (jpeg && is_inside(file)).then(|| file.to_owned())
    });
    files.collect()
}

/// Bit rate of sheets of which the first has `len` bytes.
pub(crate) fn bitrate(track: &thumbnails::Track, len: u64) -> u32 {
    let bits = len.saturating_mul(8).saturating_mul(1000);
    let bitrate = bits.div_ceil(track.sheet_ms().max(1));
    u32::try_from(bitrate).unwrap_or(u32::MAX).max(1)
}

impl Images {
    pub(crate) fn hls(&self, carried: Carried<'_>) -> hls::Images {
        hls::Images {
            uri: carried.alone().media_playlist(self.bitrate, NAME),
            bitrate: self.bitrate.into(),
            tile: self.track.tile,
        }
    }

    /// The HLS image playlist.
    pub(crate) fn playlist(&self, carried: Carried<'_>) -> String {
        let (uri_prefix, uri_suffix) = carried.sheets(NAME);
        let spans = self.track.sheets.iter().map(|sheet| sheet.span);
        let sheets: Vec<(u64, u64)> = (1..)
            .zip(spans.map(|s| s.end_ms.saturating_sub(s.start_ms)))
            .collect();
        hls::ImagePlaylist {
            tile: self.track.tile,
            layout: (self.track.columns, self.track.rows),
            tile_ms: self.track.tile_ms,
            uri_prefix: &uri_prefix,
            uri_suffix: &uri_suffix,
            sheets: &sheets,
        }
        .write()
    }

    pub(crate) fn dash(&self, carried: Carried<'_>) -> dash::TileSet {
        let track = &self.track;
        dash::TileSet {
            id: format!("{NAME}_{}", self.bitrate),
            bandwidth: self.bitrate,
            size: (
                track.tile.0.saturating_mul(track.columns),
                track.tile.1.saturating_mul(track.rows),
            ),
            layout: (track.columns, track.rows),
            sheet_ms: track.sheet_ms(),
            start_number: 1,
            media: carried.dash_sheets(NAME),
        }
    }

    /// The file of sheet `number`.
    pub(crate) fn file(&self, number: u64) -> Option<&str> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        self.files.get(at).map(String::as_str)
    }
}
