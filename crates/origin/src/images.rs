//! Sheets of pictures for seeking: what an asset has of them, and the words of HLS and DASH for it.
//!
//! A WebVTT file in the asset whose cues are parts of pictures (`sheet.jpg#xywh=..`) is what makes a track of them, whatever
//! the files are called. Their segments are the pictures, numbered from 1.

use crate::address::child::Carried;
use crate::documents::Reader;
use crate::error::OriginError;
use crate::index::storage_error;
use crate::ports::Storage;
use crate::presentation::{LIST_LIMIT, TextEntry, is_inside};
use headwater_dash as dash;
use headwater_hls as hls;
use headwater_text::thumbnails;
use percent_encoding::percent_decode_str;

/// Stream name of the track in URLs.
pub(crate) const NAME: &str = "thumbnails";

/// Most files that are looked at to find sheets of pictures.
const MAX_SHEET_FILES: usize = 8;

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

/// The sheets of pictures that an asset has for the presentation `name`, and the WebVTT file that says so. `texts`: what else
/// its text files are. Whatever is wrong with these files, the presentation plays without.
pub(crate) async fn find<S: Storage>(
    reader: &Reader<'_, S>,
    name: &str,
    texts: &[TextEntry],
) -> Option<(String, Images)> {
    let files = match reader.storage.list(reader.at, LIST_LIMIT).await {
        Ok(files) => files,
        Err(error) => {
            (reader.log)(&format!(
                "{name}: the asset's files cannot be listed: {error}"
            ));
            return None;
        }
    };
    let is_vtt = |file: &String| file.to_ascii_lowercase().ends_with(".vtt");
    let is_text = |file: &str| texts.iter().any(|text| text.file == file);
    let files = files.into_iter();
    let mut files: Vec<String> = files.filter(|f| is_vtt(f) && !is_text(f)).collect();
    // Of several, what is named like the presentation.
    files.sort_by_key(|file| !file.starts_with(name));
    for file in files.into_iter().take(MAX_SHEET_FILES) {
        match sheets(reader, &file).await {
            Ok(Some(images)) => return Some((file, images)),
            Ok(None) => {}
            Err(error) => (reader.log)(&format!("{file}: {}", error.log_line())),
        }
    }
    None
}

async fn sheets<S: Storage>(
    reader: &Reader<'_, S>,
    file: &str,
) -> Result<Option<Images>, OriginError> {
    let document = reader.document(file).await?;
    let Some(track) = &document.sheets else {
        return Ok(None);
    };
    let Some(files) = files(track) else {
        return Ok(None);
    };
    let Some(first) = files.first() else {
        return Ok(None);
    };
    let info = reader.storage.head(reader.at, first).await;
    let info = info.map_err(storage_error)?;
    Ok(Some(Images {
        bitrate: bitrate(track, info.len),
        track: track.clone(),
        files,
        etag: document.etag.clone(),
    }))
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
