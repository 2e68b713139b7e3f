//! The VOD media playlist, §4.4.3 and §4.4.4 of the draft.

use crate::text::{decimal, number, quoted};
use crate::{INDEPENDENT_SEGMENTS, VERSION};
use headwater_time::Timescale;

/// One media segment of a track, on the track's own timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Presentation time of its first sample, in track ticks: its name in the URL.
    pub start: u64,
    /// Ticks to the start of the next segment.
    pub duration: u64,
}

/// A complete, closed playlist of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaPlaylist<'a> {
    /// Of every tick in `segments`.
    pub timescale: Timescale,
    /// URL of the init segment.
    pub init_uri: &'a str,
    /// A segment's URL is this, ...
    pub uri_prefix: &'a str,
    /// ... its start in decimal, and this.
    pub uri_suffix: &'a str,
    /// In presentation order.
    pub segments: &'a [Segment],
    /// Whether each segment decodes without another.
    pub independent: bool,
}

/// Decimals of an `EXTINF`: microseconds are finer than a sample of 192 kHz audio.
const DIGITS: u32 = 6;
const MICROS: u64 = 1_000_000;

impl MediaPlaylist<'_> {
    /// Renders the playlist.
    ///
    /// Every `EXTINF` is the difference of two rounded media times, so their sum is the media's length however many
    /// segments there are.
    pub fn write(&self) -> String {
        let line = self
            .uri_prefix
            .len()
            .saturating_add(self.uri_suffix.len())
            .saturating_add(44);
        let mut out = String::with_capacity(
            self.segments
                .len()
                .saturating_mul(line)
                .saturating_add(self.init_uri.len())
                .saturating_add(256),
        );
        out.push_str("#EXTM3U\n#EXT-X-VERSION:");
        out.push_str(VERSION);
        out.push_str("\n#EXT-X-TARGETDURATION:");
        number(&mut out, self.target_duration());
        out.push_str("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n");
        if self.independent {
            out.push_str(INDEPENDENT_SEGMENTS);
        }
        out.push_str("#EXT-X-MAP:URI=");
        quoted(&mut out, self.init_uri);
        out.push('\n');
        for segment in self.segments {
            out.push_str("#EXTINF:");
            decimal(&mut out, self.micros(segment), DIGITS);
            out.push_str(",\n");
            out.push_str(self.uri_prefix);
            number(&mut out, segment.start);
            out.push_str(self.uri_suffix);
            out.push('\n');
        }
        out.push_str("#EXT-X-ENDLIST\n");
        out
    }

    /// The longest segment, rounded to the nearest second as §4.4.3.1 compares it; at least 1.
    fn target_duration(&self) -> u64 {
        let half = MICROS.checked_div(2).unwrap_or_default();
        let longest = self
            .segments
            .iter()
            .map(|s| self.micros(s))
            .max()
            .unwrap_or_default();
        longest
            .saturating_add(half)
            .checked_div(MICROS)
            .unwrap_or_default()
            .max(1)
    }

    fn micros(&self, segment: &Segment) -> u64 {
        let end = to_micros(
            segment.start.saturating_add(segment.duration),
            self.timescale,
        );
        end.saturating_sub(to_micros(segment.start, self.timescale))
    }
}

/// Ticks as microseconds, rounded half up, saturating.
fn to_micros(ticks: u64, scale: Timescale) -> u64 {
    let per_second = u64::from(scale.get());
    let half = per_second.checked_div(2).unwrap_or_default();
    // 21 days of 10 MHz ticks fit 64 bits; longer ones take the slow way.
    match ticks.checked_mul(MICROS).and_then(|t| t.checked_add(half)) {
        Some(scaled) => scaled.checked_div(per_second).unwrap_or_default(),
        None => {
            let scaled = u128::from(ticks)
                .saturating_mul(u128::from(MICROS))
                .saturating_add(half.into());
            let micros = scaled.checked_div(per_second.into()).unwrap_or_default();
            u64::try_from(micros).unwrap_or(u64::MAX)
        }
    }
}
