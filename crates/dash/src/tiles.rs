//! Thumbnail tiles: DASH-IF IOP 4.3 §6.2.6.
//!
//! An AdaptationSet of JPEG pictures, each with a grid of tiles that are shown one after the other.

use crate::text::{attribute, number, number_attribute};

/// Scheme of the property that says how many tiles a picture has.
const TILE_SCHEME: &str = "http://dashif.org/guidelines/thumbnail_tile";

/// A track of pictures. The first one starts with the Period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileSet {
    /// `Representation@id`, unique in the Period, without spaces.
    pub id: String,
    /// bit/s: also what `$Bandwidth$` stands for in URLs.
    pub bandwidth: u32,
    /// Size of a whole picture, pixels.
    pub size: (u32, u32),
    /// Tiles of a picture: columns, rows.
    pub layout: (u32, u32),
    /// How long a picture is shown, milliseconds; the last one may be shown for less.
    pub sheet_ms: u64,
    /// Number of the first picture.
    pub start_number: u64,
    /// `@media`, percent-encoded, with `$Bandwidth$` and `$Number$`.
    pub media: String,
}

impl TileSet {
    pub(crate) fn write(&self, out: &mut String, id: u64) {
        out.push_str("    <AdaptationSet");
        number_attribute(out, "id", id);
        out.push_str(" contentType=\"image\" mimeType=\"image/jpeg\">\n      <SegmentTemplate");
        attribute(out, "media", &self.media);
        number_attribute(out, "timescale", 1000);
        number_attribute(out, "duration", self.sheet_ms);
        number_attribute(out, "startNumber", self.start_number);
        out.push_str("/>\n      <Representation");
        attribute(out, "id", &self.id);
        number_attribute(out, "bandwidth", self.bandwidth.into());
        number_attribute(out, "width", self.size.0.into());
        number_attribute(out, "height", self.size.1.into());
        out.push_str(">\n        <EssentialProperty");
        attribute(out, "schemeIdUri", TILE_SCHEME);
        out.push_str(" value=\"");
        number(out, self.layout.0.into());
        out.push('x');
        number(out, self.layout.1.into());
        out.push_str("\"/>\n      </Representation>\n    </AdaptationSet>\n");
    }
}
