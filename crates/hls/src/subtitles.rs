//! `EXT-X-MEDIA` of type `SUBTITLES`, §4.4.6.1 of the draft.
//!
//! ```text
//! #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="..."
//! ```

use crate::text::attribute;

/// `GROUP-ID` of all subtitles.
pub(crate) const SUBTITLES_GROUP: &str = "subs";

/// One text track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtitles {
    /// URL of its media playlist.
    pub uri: String,
    /// RFC 6381 codec string: `wvtt` for WebVTT of either kind, `stpp.ttml.im1t`.
    pub codec: &'static str,
    /// bit/s.
    pub bitrate: u64,
    /// `NAME`, for people; unique among all.
    pub name: String,
    /// `LANGUAGE`, BCP-47.
    pub language: Option<String>,
    /// Shown when the viewer has no preference; of one track at most.
    pub default: bool,
    /// `FORCED`: shown even to those who want no subtitles.
    pub forced: bool,
    /// `CHARACTERISTICS`, e.g. `public.accessibility.transcribes-spoken-dialog`.
    pub characteristics: Option<String>,
}

impl Subtitles {
    pub(crate) fn write(&self, out: &mut String) {
        let flag = |set| if set { "YES" } else { "NO" };
        out.push_str("#EXT-X-MEDIA:TYPE=SUBTITLES");
        attribute(out, "GROUP-ID", SUBTITLES_GROUP);
        attribute(out, "NAME", &self.name);
        if let Some(language) = &self.language {
            attribute(out, "LANGUAGE", language);
        }
        out.push_str(",DEFAULT=");
        out.push_str(flag(self.default));
        out.push_str(",AUTOSELECT=YES,FORCED=");
        out.push_str(flag(self.forced));
        if let Some(characteristics) = &self.characteristics {
            attribute(out, "CHARACTERISTICS", characteristics);
        }
        attribute(out, "URI", &self.uri);
        out.push('\n');
    }
}
