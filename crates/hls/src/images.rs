//! Image media playlists: pictures for seeking, several to a sheet (Roku and others, *Image Media Playlist* version 0.4).
//!
//! ```text
//! #EXT-X-IMAGE-STREAM-INF:BANDWIDTH=12000,RESOLUTION=160x90,CODECS="jpeg",URI="..."      multivariant playlist
//!
//! #EXT-X-IMAGES-ONLY                                                                     media playlist
//! #EXTINF:125.000000,
//! #EXT-X-TILES:RESOLUTION=160x90,LAYOUT=5x5,DURATION=5.000
//! sheet
//! ```
//! Players that do not know these tags ignore them.

use crate::multivariant::resolution;
use crate::text::{attribute, decimal, number};
use crate::version;

/// An image playlist, as a multivariant playlist names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// URL of the playlist.
    pub uri: String,
    /// bit/s.
    pub bitrate: u64,
    /// Size of a tile, pixels.
    pub tile: (u32, u32),
}

impl Images {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=");
        number(out, self.bitrate.max(1));
        resolution(out, Some(self.tile));
        attribute(out, "CODECS", "jpeg");
        attribute(out, "URI", &self.uri);
        out.push('\n');
    }
}

/// A complete, closed playlist of sheets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePlaylist<'a> {
    /// Size of a tile, pixels.
    pub tile: (u32, u32),
    /// Tiles of a sheet: columns, rows.
    pub layout: (u32, u32),
    /// How long a tile is shown, milliseconds.
    pub tile_ms: u64,
    /// A sheet's URL is this, ...
    pub uri_prefix: &'a str,
    /// ... its number in decimal, and this.
    pub uri_suffix: &'a str,
    /// Number and duration in milliseconds of every sheet, in order.
    pub sheets: &'a [(u64, u64)],
}

impl ImagePlaylist<'_> {
    /// Renders the playlist.
    pub fn write(&self) -> String {
        let longest = self.sheets.iter().map(|(_, ms)| *ms).max();
        let longest = longest.unwrap_or_default().saturating_add(500);
        let target = longest.checked_div(1000).unwrap_or_default().max(1);
        let mut out = String::new();
        out.push_str("#EXTM3U\n#EXT-X-VERSION:");
        number(&mut out, version::DECIMAL_DURATIONS.into());
        out.push_str("\n#EXT-X-TARGETDURATION:");
        number(&mut out, target);
        out.push_str("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n");
        for (sheet, ms) in self.sheets {
            out.push_str("#EXTINF:");
            decimal(&mut out, *ms, 3);
            out.push_str(",\n#EXT-X-TILES:RESOLUTION=");
            pair(&mut out, self.tile);
            out.push_str(",LAYOUT=");
            pair(&mut out, self.layout);
            out.push_str(",DURATION=");
            decimal(&mut out, self.tile_ms, 3);
            out.push('\n');
            out.push_str(self.uri_prefix);
            number(&mut out, *sheet);
            out.push_str(self.uri_suffix);
            out.push('\n');
        }
        out.push_str("#EXT-X-ENDLIST\n");
        out
    }
}

fn pair(out: &mut String, (across, down): (u32, u32)) {
    number(out, across.into());
    out.push('x');
    number(out, down.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_playlist() {
        let playlist = ImagePlaylist {
            tile: (160, 90),
            layout: (5, 5),
            tile_ms: 5000,
            uri_prefix: "Fragments(thumbnails=",
            uri_suffix: ").jpg",
            sheets: &[(1, 125_000), (2, 41_500)],
        };
        assert_eq!(
            playlist.write(),
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:125\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n#EXTINF:125.000,\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=5x5,DURATION=5.000\nFragments(thumbnails=1).jpg\n#EXTINF:41.500,\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=5x5,DURATION=5.000\nFragments(thumbnails=2).jpg\n#EXT-X-ENDLIST\n"
        );
    }
}
